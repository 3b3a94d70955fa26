//! Overlap of polygons as counts of pixels, the way VOT counts them.

/// A polygon in pixels, corner after corner.
///
/// In single precision, as VOT's own tools keep it: another precision rounds some corners to another pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    corners: Vec<(f32, f32)>,
}

/// Part of the image that counts, from the origin to the pixel `(right, bottom)`, which belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Last column.
    pub right: usize,
    /// Last row.
    pub bottom: usize,
}

/// A stretch of pixels on a grid: columns and rows, ends included.
#[derive(Clone, Copy)]
struct Window {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

/// In the mask of a row: what belongs to the one polygon, and what to the other.
const OURS: u8 = 1;
const THEIRS: u8 = 2;

impl Polygon {
    /// From at least three corners, all finite: `None` otherwise.
    pub fn new(corners: Vec<(f32, f32)>) -> Option<Self> {
        let is_finite = corners.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        (corners.len() >= 3 && is_finite).then_some(Self { corners })
    }

    /// The rectangle from `(x, y)` to `(x + width, y + height)`; `None` where a number is not finite.
    pub fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Option<Self> {
        let (right, bottom) = (x + width, y + height);
        Self::new(vec![(x, y), (right, y), (right, bottom), (x, bottom)])
    }

    /// From the numbers of a row: four make `x y width height`, six and more the corners' `x y x y ...`.
    pub fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let single = |index: usize| numbers[index] as f32;
        match numbers.len() {
            4 => Self::rectangle(single(0), single(1), single(2), single(3)),
            n if n >= 6 && n % 2 == 0 => {
                Self::new((0..n / 2).map(|corner| (single(2 * corner), single(2 * corner + 1))).collect())
            }
            _ => None,
        }
    }

    /// The corners in their order.
    pub fn corners(&self) -> &[(f32, f32)] {
        &self.corners
    }

    /// Pixels common to both over pixels of either, counted inside `bounds`; 0 where there are none.
    ///
    /// Both are moved to a grid that begins at the whole pixel left of and above them, or at the image's edge; corners are
    /// rounded to the grid, edges belong to the polygon.
    pub fn overlap(&self, other: &Self, bounds: Bounds) -> f64 {
        let (Some(ours), Some(theirs)) = (self.window(bounds), other.window(bounds)) else { return 0.0 };
        if !ours.meets(&theirs) {
            return 0.0;
        }
        let around = ours.around(&theirs);
        let (ours, theirs) = (self.on_grid(&around), other.on_grid(&around));
        let (mut common, mut either) = (0_usize, 0_usize);
        let mut row = vec![0_u8; (around.right - around.left) as usize + 1];
        let mut crossings = Vec::new();
        for y in 0..=(around.bottom - around.top) as i32 {
            row.fill(0);
            fill(&ours, y, OURS, &mut crossings, &mut row);
            fill(&theirs, y, THEIRS, &mut crossings, &mut row);
            common += row.iter().filter(|pixel| **pixel == OURS | THEIRS).count();
            either += row.iter().filter(|pixel| **pixel != 0).count();
        }
        if either == 0 { 0.0 } else { common as f64 / either as f64 }
    }

    /// The whole pixels around the polygon that lie in `bounds`; `None` where there are none.
    fn window(&self, bounds: Bounds) -> Option<Window> {
        let fold = |of: fn(&(f32, f32)) -> f32, pick: fn(f32, f32) -> f32| {
            self.corners.iter().map(of).reduce(pick).unwrap_or(f32::NAN)
        };
        let window = Window {
            left: fold(|corner| corner.0, f32::min).floor().max(0.0),
            top: fold(|corner| corner.1, f32::min).floor().max(0.0),
            right: fold(|corner| corner.0, f32::max).ceil().min(bounds.right as f32),
            bottom: fold(|corner| corner.1, f32::max).ceil().min(bounds.bottom as f32),
        };
        (window.left <= window.right && window.top <= window.bottom).then_some(window)
    }

    /// The corners counted from the window's and rounded.
    fn on_grid(&self, window: &Window) -> Vec<(f64, f64)> {
        let whole = |value: f32| f64::from(value.round());
        self.corners.iter().map(|(x, y)| (whole(x - window.left), whole(y - window.top))).collect()
    }
}

impl Window {
    /// Whether they have an area in common.
    fn meets(&self, other: &Self) -> bool {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width > 0.0 && height > 0.0
    }

    fn around(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// Marks the pixels of row `y` that a polygon covers; `crossings` is scratch.
fn fill(corners: &[(f64, f64)], y: i32, mark: u8, crossings: &mut Vec<i64>, row: &mut [u8]) {
    crossings.clear();
    let y = f64::from(y);
    let edges = corners.iter().zip(corners.iter().cycle().skip(corners.len() - 1));
    for (&(x, start), &(x_end, end)) in edges {
        // An edge that lies in the row adds nothing: the ends of its neighbours do.
        if start != end && (start.min(end)..=start.max(end)).contains(&y) {
            crossings.push((x + (y - start) / (end - start) * (x_end - x)) as i64);
        }
    }
    crossings.sort_unstable();
    fill_between(crossings, mark, row);
}

/// Marks from each odd crossing to the next even one, both included.
///
/// A corner is the end of two edges and stands here twice; the first of two equal crossings is passed over. So a row in which a
/// polygon has a single pixel is left empty, as VOT's tools have it.
fn fill_between(crossings: &[i64], mark: u8, row: &mut [u8]) {
    let last_column = row.len() as i64 - 1;
    let mut rest = crossings;
    while let [first, second, behind @ ..] = rest {
        if first == second {
            rest = &rest[1..];
            continue;
        }
        if *first <= last_column && *second >= 0 {
            let covered = (*first).max(0) as usize..=(*second).min(last_column) as usize;
            row[covered].iter_mut().for_each(|pixel| *pixel |= mark);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Bounds = Bounds { right: 100, bottom: 100 };

    fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Polygon {
        Polygon::rectangle(x, y, width, height).unwrap()
    }

    fn polygon(corners: &[(f32, f32)]) -> Polygon {
        Polygon::new(corners.to_vec()).unwrap()
    }

    #[test]
    fn edges_belong_to_a_rectangle() {
        // 11 columns and rows each; moved by 5, 6 columns are common.
        let (a, b) = (rectangle(10.0, 10.0, 10.0, 10.0), rectangle(15.0, 10.0, 10.0, 10.0));
        assert_eq!(a.overlap(&b, IMAGE), 6.0 / 16.0);
        assert_eq!((a.overlap(&a, IMAGE), b.overlap(&a, IMAGE)), (1.0, 6.0 / 16.0));
    }

    #[test]
    fn only_what_lies_in_the_image_counts() {
        // Of the columns 95 to 100 both have all, whatever lies beyond.
        let (a, b) = (rectangle(95.0, 10.0, 10.0, 10.0), rectangle(95.0, 10.0, 200.0, 10.0));
        assert_eq!(a.overlap(&b, IMAGE), 1.0);
        assert_eq!(a.overlap(&b, Bounds { right: 1000, bottom: 100 }), 11.0 / 201.0);
        // The same at the edge where pixels begin: columns 0 to 5.
        assert_eq!(rectangle(-5.0, 0.0, 10.0, 10.0).overlap(&rectangle(-50.0, 0.0, 55.0, 10.0), IMAGE), 1.0);
    }

    #[test]
    fn what_is_apart_or_outside_has_no_overlap() {
        let a = rectangle(10.0, 10.0, 10.0, 10.0);
        for other in [(40.0, 10.0), (10.0, 40.0), (200.0, 10.0), (-50.0, -50.0)] {
            assert_eq!(a.overlap(&rectangle(other.0, other.1, 10.0, 10.0), IMAGE), 0.0, "{other:?}");
        }
    }

    #[test]
    fn a_triangle_is_a_stair() {
        // Rows 1 to 4 have 2 to 5 pixels, the single one of row 0 is left out: 14 of the square's 25.
        let (triangle, square) =
            (polygon(&[(0.0, 0.0), (4.0, 4.0), (0.0, 4.0)]), rectangle(0.0, 0.0, 4.0, 4.0));
        assert_eq!(triangle.overlap(&square, IMAGE), 14.0 / 25.0);
    }

    #[test]
    fn the_order_of_corners_does_not_matter() {
        let rows = [(20.0, 10.0), (30.0, 20.0), (20.0, 30.0), (10.0, 20.0)];
        let reversed: Vec<_> = rows.iter().rev().copied().collect();
        assert_eq!(polygon(&rows).overlap(&polygon(&reversed), IMAGE), 1.0);
    }

    #[test]
    fn numbers_make_rectangles_and_polygons() {
        assert_eq!(Polygon::from_numbers(&[1.0, 2.0, 3.0, 4.0]), Some(rectangle(1.0, 2.0, 3.0, 4.0)));
        let corners = [0.0, 0.0, 4.0, 4.0, 0.0, 4.0];
        assert_eq!(Polygon::from_numbers(&corners), Some(polygon(&[(0.0, 0.0), (4.0, 4.0), (0.0, 4.0)])));
        for bad in [&[1.0][..], &[1.0; 5], &[1.0; 7], &[f64::NAN, 1.0, 2.0, 3.0]] {
            assert_eq!(Polygon::from_numbers(bad), None, "{bad:?}");
        }
    }
}
