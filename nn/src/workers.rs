//! A fixed number of threads that share the rows of a layer.

use std::fmt;
use std::ops::Range;

use crate::error::NnError;
use crate::kernels::Word;

/// Threads for a network. What they compute does not depend on how many there are: each row is computed by one of
/// them, the same way as by any other.
pub(crate) struct Workers {
    /// `None` for the caller's thread alone.
    pool: Option<rayon::ThreadPool>,
    threads: usize,
}

impl fmt::Debug for Workers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Workers").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Workers {
    /// The caller's thread.
    pub(crate) fn single() -> Self {
        Self { pool: None, threads: 1 }
    }

    /// A pool of `threads`.
    ///
    /// # Errors
    /// [`NnError::Threads`] for none at all, or where the system does not give them.
    pub(crate) fn new(threads: usize) -> Result<Self, NnError> {
        let refuse = |problem: String| NnError::Threads { threads, problem };
        match threads {
            0 => Err(refuse("a network runs on one or more".into())),
            1 => Ok(Self::single()),
            _ => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let builder = builder.thread_name(|index| format!("nn-{index}"));
                let pool = builder.build().map_err(|error| refuse(error.to_string()))?;
                Ok(Self { pool: Some(pool), threads })
            }
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Does `work`, whose [`share`]s go to these threads.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Rows of an image to be written, with the scratch memory of those that write them.
pub(crate) struct Rows<'a> {
    /// Which.
    pub(crate) rows: Range<usize>,
    /// From the beginning of the first row on.
    pub(crate) output: &'a mut [u8],
    /// Values from one row to the next.
    pub(crate) row_step: usize,
    /// One for each thread.
    pub(crate) scratch: &'a mut [Vec<Word>],
}

/// Rows that take fewer values than these are not worth a second thread.
const SMALL: usize = 4 << 10;

/// Splits rows evenly among the threads, each of which does `work` on its part.
///
/// # Errors
/// Those of `work`.
pub(crate) fn share(
    all: Rows<'_>,
    work: &(impl Fn(Range<usize>, &mut [u8], &mut [Word]) -> Result<(), NnError> + Sync),
) -> Result<(), NnError> {
    let Rows { rows, output, row_step, scratch } = all;
    let threads = if output.len() < SMALL { 1 } else { scratch.len().min(rows.len()) };
    if threads <= 1 {
        return scratch.first_mut().map_or(Ok(()), |scratch| work(rows, output, scratch));
    }
    let upper_rows = rows.len() * (threads / 2) / threads;
    let middle = rows.start + upper_rows;
    let (upper, lower) = output.split_at_mut(upper_rows * row_step);
    let (upper_scratch, lower_scratch) = scratch[..threads].split_at_mut(threads / 2);
    let upper = Rows { rows: rows.start..middle, output: upper, row_step, scratch: upper_scratch };
    let lower = Rows { rows: middle..rows.end, output: lower, row_step, scratch: lower_scratch };
    let (upper, lower) = rayon::join(|| share(upper, work), || share(lower, work));
    upper.and(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once_by_one_thread() {
        const STEP: usize = SMALL / 3;
        for threads in 1..6 {
            let workers = Workers::new(threads).unwrap();
            for rows in 0..9 {
                let mut output = vec![0; rows * STEP];
                let mut scratch = vec![vec![[0; 4]]; threads];
                let all = Rows { rows: 0..rows, output: &mut output, row_step: STEP, scratch: &mut scratch };
                let count = |rows: Range<usize>, output: &mut [u8], scratch: &mut [Word]| {
                    assert_eq!(scratch[0], [0; 4], "scratch memory belongs to one part");
                    scratch[0] = [1; 4];
                    assert_eq!(output.len(), rows.len() * STEP);
                    for (row, values) in rows.zip(output.chunks_mut(STEP)) {
                        values.iter_mut().for_each(|value| *value += row as u8 + 1);
                    }
                    Ok(())
                };
                workers.run(|| share(all, &count)).unwrap();
                let expected: Vec<_> = (0..rows).flat_map(|row| [row as u8 + 1; STEP]).collect();
                assert_eq!(output, expected, "{threads} threads, {rows} rows");
            }
        }
    }

    #[test]
    fn no_threads_are_refused() {
        assert_eq!(
            Workers::new(0).unwrap_err().to_string(),
            "expected threads for a network, found 0: a network runs on one or more"
        );
    }
}
