//! Where to look for a target that is not seen.

use crate::place::Place;

/// Rings of windows around a place.
const RINGS: isize = 4;

/// Goes through the windows around a place in rounds, each of which reaches one ring of windows farther than the one before;
/// after the widest it begins anew.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Where windows lie, in widths of a window, ring by ring.
    order: Vec<[isize; 2]>,
    next: usize,
    rings: isize,
}

impl Default for Search {
    fn default() -> Self {
        let along = -RINGS..=RINGS;
        let mut order: Vec<_> = along.clone().flat_map(|y| along.clone().map(move |x| [x, y])).collect();
        order.sort_by_key(|[x, y]| (x.abs().max(y.abs()), x * x + y * y));
        order.remove(0);
        Self { order, next: 0, rings: 1 }
    }
}

impl Search {
    /// Begins anew.
    pub(crate) fn restart(&mut self) {
        (self.next, self.rings) = (0, 1);
    }

    /// The next window around `place` whose middle is inside an image of `(width, height)`, windows being `pitch` pixels apart;
    /// none where the image has room for no other.
    pub(crate) fn next_window(
        &mut self,
        place: &Place,
        pitch: f32,
        (width, height): (usize, usize),
    ) -> Option<Place> {
        for _ in 0..2 * self.order.len() {
            let [x, y] = self.order[self.next];
            self.step();
            let window = place.moved([x as f32 * pitch, y as f32 * pitch]);
            let [x, y] = window.center;
            if (0.0..width as f32).contains(&x) && (0.0..height as f32).contains(&y) {
                return Some(window);
            }
        }
        None
    }

    fn step(&mut self) {
        self.next += 1;
        let windows = ((2 * self.rings + 1) * (2 * self.rings + 1) - 1) as usize;
        if self.next >= windows {
            (self.next, self.rings) = (0, self.rings % RINGS + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use geometry::BoundingBox;

    use super::*;

    #[test]
    fn all_of_the_image_is_searched_what_is_near_most_often_and_nothing_outside() {
        let place = Place::of(BoundingBox::new(5.0, 90.0, 20.0, 20.0));
        let mut search = Search::default();
        let mut visits = std::collections::BTreeMap::new();
        for _ in 0..100 {
            let window = search.next_window(&place, 50.0, (200, 150)).unwrap();
            *visits.entry(window.center.map(|v| v as i32)).or_insert(0) += 1;
        }
        // Columns at 14, 64, 114, 164, rows at 49, 99, 149; without the place itself.
        assert_eq!(visits.len(), 11, "{visits:?}");
        assert!(visits.keys().all(|[x, y]| (0..200).contains(x) && (0..150).contains(y)));
        assert!(visits[&[64, 99]] > visits[&[114, 99]] && visits[&[114, 99]] > visits[&[164, 99]]);
        assert!(search.next_window(&place, 500.0, (200, 150)).is_none());
    }
}
