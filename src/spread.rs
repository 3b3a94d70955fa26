//! A few of many, spread evenly over a length that nobody knows beforehand.

/// Every `stride`th of what was offered, where `stride` doubles each time that twice the wanted number has come together.
#[derive(Debug)]
pub(crate) struct Spread<T> {
    kept: Vec<T>,
    wanted: usize,
    stride: u64,
    seen: u64,
}

impl<T> Spread<T> {
    /// Keeps between `wanted` and twice as many, once there are enough.
    pub(crate) fn new(wanted: usize) -> Self {
        Self { kept: Vec::with_capacity(2 * wanted), wanted, stride: 1, seen: 0 }
    }

    /// The next one, which is made only where it is kept.
    pub(crate) fn offer(&mut self, make: impl FnOnce() -> T) {
        if self.seen.is_multiple_of(self.stride) {
            self.kept.push(make());
        }
        self.seen += 1;
        if self.kept.len() == 2 * self.wanted {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// What was kept, in order.
    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// At most as many as are wanted, in order: the middle of each part, because nothing has moved yet in the very first.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &T> {
        let parts = self.wanted.min(self.kept.len());
        (0..parts).map(move |part| &self.kept[(2 * part + 1) * self.kept.len() / (2 * parts)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_spread_over_all_that_was_offered() {
        for (count, expected) in
            [(3, vec![0, 1, 2]), (7, vec![0, 1, 2, 3, 4, 5, 6]), (100, vec![0, 16, 32, 48, 64, 80, 96])]
        {
            let mut spread = Spread::new(4);
            (0..count).for_each(|i| spread.offer(|| i));
            assert_eq!(spread.kept(), expected);
        }
    }
}
