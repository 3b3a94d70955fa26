//! Which pixels count.

use std::fmt;

use geometry::DepthImage;

use crate::EvalError;

/// Which part of the image counts. Both crops are shares of its size that cut KITTI's sky, bonnet and sides away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DepthCrop {
    /// All of it.
    #[default]
    None,
    /// That of Garg et al. (ECCV 2016), which nearly all papers use, SfMLearner among them.
    Garg,
    /// That of Eigen et al. (NIPS 2014), as Godard et al. (CVPR 2017) have reconstructed it.
    Eigen,
}

impl DepthCrop {
    /// First row, row after the last, first column, column after the last, as shares of height and width.
    fn shares(self) -> [f64; 4] {
        match self {
            Self::None => [0.0, 1.0, 0.0, 1.0],
            Self::Garg => [0.408_108_11, 0.991_891_89, 0.035_947_71, 0.964_052_29],
            Self::Eigen => [0.332_432_4, 0.913_513_51, 0.035_947_7, 0.964_052_29],
        }
    }

    /// Rows and columns of an image of `width` and `height` that count, each the first and the one after the last.
    pub fn bounds(self, width: usize, height: usize) -> ([usize; 2], [usize; 2]) {
        let [top, bottom, left, right] = self.shares();
        let at = |share: f64, side: usize| (share * side as f64) as usize;
        ([at(top, height), at(bottom, height)], [at(left, width), at(right, width)])
    }
}

/// Its name.
impl fmt::Display for DepthCrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no crop",
            Self::Garg => "Garg crop",
            Self::Eigen => "Eigen crop",
        })
    }
}

/// Which pixels count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthProtocol {
    /// The part of the image.
    pub crop: DepthCrop,
    /// Only truth above this counts, in metres; what is predicted below counts as this.
    pub min_m: f64,
    /// Only truth below this counts, in metres; what is predicted above counts as this.
    pub max_m: f64,
}

impl Default for DepthProtocol {
    /// The whole image, from 1 mm to 80 m: the cap of Eigen et al.
    fn default() -> Self {
        Self { crop: DepthCrop::None, min_m: 1e-3, max_m: 80.0 }
    }
}

impl DepthProtocol {
    /// The protocol itself, where its range is one.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where it is empty or not finite.
    pub fn checked(self) -> Result<Self, EvalError> {
        if self.min_m > 0.0 && self.min_m < self.max_m && self.max_m.is_finite() {
            return Ok(self);
        }
        let found = format!("{} to {} m", self.min_m, self.max_m);
        Err(EvalError::Protocol { expected: "a range of depths above 0 m", found })
    }

    /// Indices of the pixels of `truth` that count, row by row.
    pub(super) fn pixels(&self, truth: &DepthImage) -> impl Iterator<Item = usize> {
        let (width, height) = truth.size();
        let ([top, bottom], [left, right]) = self.crop.bounds(width, height);
        // In the precision of the truth, so that its own rounding does not decide.
        let (min_m, max_m) = (self.min_m as f32, self.max_m as f32);
        let counts =
            move |index: &usize| truth.as_slice()[*index] > min_m && truth.as_slice()[*index] < max_m;
        (top..bottom).flat_map(move |row| row * width + left..row * width + right).filter(counts)
    }
}

/// `1e-3 to 80 m, Garg crop`.
impl fmt::Display for DepthProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} m, {}", self.min_m, self.max_m, self.crop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_those_of_the_papers() {
        // What numpy makes of their shares for the sizes of KITTI's images.
        for (crop, size, expected) in [
            (DepthCrop::Garg, (1242, 375), ([153, 371], [44, 1197])),
            (DepthCrop::Garg, (1224, 370), ([151, 366], [43, 1180])),
            (DepthCrop::Eigen, (1224, 370), ([122, 337], [43, 1180])),
            (DepthCrop::Eigen, (1242, 375), ([124, 342], [44, 1197])),
            (DepthCrop::None, (64, 48), ([0, 48], [0, 64])),
        ] {
            assert_eq!(crop.bounds(size.0, size.1), expected, "{crop} of {size:?}");
        }
    }

    #[test]
    fn only_truth_inside_the_range_counts() {
        let truth = DepthImage::from_vec(3, 2, vec![0.0, 80.0, 79.9, 1e-3, f32::INFINITY, f32::NAN]).unwrap();
        assert_eq!(DepthProtocol::default().pixels(&truth).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_range_must_be_one() {
        for (min_m, max_m) in [(0.0, 80.0), (5.0, 5.0), (1.0, f64::NAN), (1.0, f64::INFINITY)] {
            let protocol = DepthProtocol { min_m, max_m, ..DepthProtocol::default() };
            assert!(protocol.checked().unwrap_err().to_string().starts_with("expected a range of depths"));
        }
        assert!(DepthProtocol::default().checked().is_ok());
    }
}
