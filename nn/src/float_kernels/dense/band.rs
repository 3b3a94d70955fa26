//! Rows of an image laid out so that windows read them in runs.

use super::super::lanes::copy_each;

/// A few rows of all channels of an image, with zeros around them. Rows and columns are parted by their remainders under
/// the step between windows, so that what a tap of a filter meets at one result after the other, row after row, is a run
/// of neighbouring values; the results at the ends of rows are computed in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Band {
    /// Channels, height and width of the image.
    pub(crate) image: [usize; 3],
    /// From window to window, in rows and columns of the image.
    pub(crate) step: usize,
    /// Zeros before the first row and the first column.
    pub(crate) lead: usize,
    /// Results in a row.
    pub(crate) columns: usize,
    /// How many values more than results windows meet in a row, and rows likewise.
    pub(crate) reach: usize,
    /// Rows of results for which there is room.
    pub(crate) rows: usize,
}

/// Values that may be read behind the last result of a run.
pub(super) const OVERRUN: usize = 64;

impl Band {
    /// Values between a result and the one below it.
    pub(crate) fn pitch(&self) -> usize {
        self.columns + self.reach
    }

    /// Results of `rows` rows, those in vain between them included.
    pub(crate) fn run(&self, rows: usize) -> usize {
        (rows * self.pitch()).saturating_sub(self.reach)
    }

    /// Values of a channel.
    pub(crate) fn channel(&self) -> usize {
        self.step * self.step * self.part()
    }

    /// Values of all channels.
    pub(crate) fn size(&self) -> usize {
        self.image[0] * self.channel()
    }

    /// Room for all of it, and for [`OVERRUN`].
    pub(crate) fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.size() + OVERRUN]
    }

    /// Where in a channel the run begins that a tap meets.
    pub(crate) fn offset(&self, [y, x]: [usize; 2]) -> usize {
        let part = y % self.step * self.step + x % self.step;
        part * self.part() + y / self.step * self.pitch() + x / self.step
    }

    /// Takes what the rows of results from `first` on meet in `image`, into a buffer made for this band.
    #[inline(always)]
    pub(crate) fn fill(&self, image: &[f32], first: usize, buffer: &mut [f32]) {
        let [_, height, width] = self.image;
        let planes = image.chunks_exact(height * width);
        for (plane, channel) in planes.zip(buffer.chunks_exact_mut(self.channel())) {
            for (row, below) in
                (0..self.rows + self.reach).flat_map(|row| (0..self.step).map(move |y| (row, y)))
            {
                let y = ((first + row) * self.step + below).wrapping_sub(self.lead);
                let values = if y < height { &plane[y * width..][..width] } else { &[] };
                for beside in 0..self.step {
                    let start = self.offset([row * self.step + below, beside]);
                    self.take(values, beside, &mut channel[start..][..self.pitch()]);
                }
            }
        }
    }

    /// Every `step`-th value of a row, the padded row's `beside`-th the first; zeros for a row that is none. The zeros
    /// beside a row are those of a new buffer.
    #[inline(always)]
    fn take(&self, values: &[f32], beside: usize, to: &mut [f32]) {
        let Self { step, lead, .. } = *self;
        let skipped = lead.saturating_sub(beside).div_ceil(step);
        match values {
            [] => to.fill(0.0),
            values => {
                let first = skipped * step + beside - lead;
                copy_each(&values[first.min(values.len())..], step, &mut to[skipped..]);
            }
        }
    }

    fn part(&self) -> usize {
        (self.rows + self.reach) * self.pitch()
    }
}
