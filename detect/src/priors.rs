//! The boxes that a detector corrects: one set of shapes at every cell of its feature maps.
//!
//! SSD (Liu et al., ECCV 2016, section 2.2) calls them default boxes.

use geometry::BoundingBox;
use serde::{Deserialize, Serialize};

/// What a correction of a centre is divided by: SSD's variances.
const CENTRE_SCALE: f32 = 0.1;
/// What the logarithm of a correction of a size is divided by.
const SIZE_SCALE: f32 = 0.2;
/// The logarithm of a size is corrected by at most this much: nothing becomes infinite.
pub(crate) const MAX_LOG_SIZE: f32 = 4.0;

/// The priors of one feature map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Pixels of the input from cell to cell.
    pub stride: usize,
    /// Widths and heights in pixels of the input.
    pub shapes: Vec<[f32; 2]>,
}

impl Level {
    /// Columns and rows of cells over a square input of `size` pixels.
    pub fn cells(&self, size: usize) -> usize {
        size.div_ceil(self.stride)
    }

    /// The prior of `shape` at a cell.
    pub fn prior(&self, column: usize, row: usize, shape: usize) -> BoundingBox {
        let [width, height] = self.shapes[shape];
        let centre = |cell: usize| (cell as f32 + 0.5) * self.stride as f32;
        BoundingBox::new(centre(column) - width / 2.0, centre(row) - height / 2.0, width, height)
    }
}

/// All priors of `levels` over a square input of `size` pixels: level by level, row by row, column by column, shape by
/// shape.
pub fn all_priors(levels: &[Level], size: usize) -> Vec<BoundingBox> {
    let of_level = |level: &Level| {
        let cells = level.cells(size);
        let mut priors = Vec::with_capacity(cells * cells * level.shapes.len());
        for row in 0..cells {
            for column in 0..cells {
                priors.extend((0..level.shapes.len()).map(|shape| level.prior(column, row, shape)));
            }
        }
        priors
    };
    levels.iter().flat_map(of_level).collect()
}

/// What takes `prior` to `target`: `[dx, dy, dw, dh]`, SSD's equation 2 with its variances.
pub fn encode(target: &BoundingBox, prior: &BoundingBox) -> [f32; 4] {
    let ((x, y), (prior_x, prior_y)) = (target.center(), prior.center());
    [
        (x - prior_x) / prior.width / CENTRE_SCALE,
        (y - prior_y) / prior.height / CENTRE_SCALE,
        (target.width / prior.width).ln() / SIZE_SCALE,
        (target.height / prior.height).ln() / SIZE_SCALE,
    ]
}

/// The box that `[dx, dy, dw, dh]` make of `prior`.
pub fn decode([dx, dy, dw, dh]: [f32; 4], prior: &BoundingBox) -> BoundingBox {
    let (prior_x, prior_y) = prior.center();
    let size = |log: f32, of: f32| (log * SIZE_SCALE).clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE).exp() * of;
    let (width, height) = (size(dw, prior.width), size(dh, prior.height));
    let x = prior_x + dx * CENTRE_SCALE * prior.width;
    let y = prior_y + dy * CENTRE_SCALE * prior.height;
    BoundingBox::new(x - width / 2.0, y - height / 2.0, width, height)
}

/// Priors for boxes of `sizes`, width and height in pixels of the input: as many shapes per stride as `per_level`, by
/// k-means with one minus the overlap as the distance (Redmon and Farhadi, YOLO9000, CVPR 2017, section 2). The smallest
/// shapes go to the finest stride. The same sizes give the same priors.
pub fn fit_priors(sizes: &[[f32; 2]], strides: &[usize], per_level: usize) -> Vec<Level> {
    let mut shapes = k_means(sizes, strides.len() * per_level);
    shapes.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    let levels = strides.iter().zip(shapes.chunks(per_level));
    levels.map(|(&stride, shapes)| Level { stride, shapes: shapes.to_vec() }).collect()
}

/// How much two shapes overlap that share their centre: intersection over union.
fn shape_overlap(a: [f32; 2], b: [f32; 2]) -> f32 {
    let common = a[0].min(b[0]) * a[1].min(b[1]);
    common / (a[0] * a[1] + b[0] * b[1] - common)
}

fn k_means(sizes: &[[f32; 2]], count: usize) -> Vec<[f32; 2]> {
    const ROUNDS: usize = 100;
    let mut sorted = sizes.to_vec();
    sorted.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    // Begins with quantiles of the area.
    let quantile = |index: usize| sorted[(index * 2 + 1) * sorted.len() / (2 * count)];
    let mut means: Vec<[f32; 2]> = (0..count).map(quantile).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0f64; 2], 0usize); count];
        for &size in &sorted {
            let (sum, members) = &mut sums[nearest(&means, size)];
            (0..2).for_each(|side| sum[side] += f64::from(size[side]));
            *members += 1;
        }
        let next: Vec<[f32; 2]> = sums
            .iter()
            .zip(&means)
            .map(|(&(sum, members), &mean)| match members {
                0 => mean,
                _ => sum.map(|sum| (sum / members as f64) as f32),
            })
            .collect();
        if next == means {
            break;
        }
        means = next;
    }
    means
}

fn nearest(means: &[[f32; 2]], size: [f32; 2]) -> usize {
    let overlap = |index: &usize| shape_overlap(means[*index], size);
    (0..means.len()).max_by(|a, b| overlap(a).total_cmp(&overlap(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let prior = Level { stride: 8, shapes: vec![[10.0, 20.0]] }.prior(3, 2, 0);
        assert_eq!(prior, BoundingBox::new(23.0, 10.0, 10.0, 20.0));
        let target = BoundingBox::new(20.0, 14.0, 17.0, 9.0);
        let back = decode(encode(&target, &prior), &prior);
        assert!((back.x - target.x).abs() < 1e-4 && (back.bottom() - target.bottom()).abs() < 1e-4);
        assert!(decode([0.0, 0.0, 1e9, f32::MAX], &prior).is_valid());
        assert_eq!(encode(&prior, &prior), [0.0; 4]);
    }

    #[test]
    fn priors_find_the_clusters_of_the_sizes() {
        let sizes: Vec<[f32; 2]> = (0..300)
            .map(|i| {
                let jitter = (i % 7) as f32 / 10.0;
                [[10.0, 20.0], [20.0, 10.0], [40.0, 41.0]][i % 3].map(|side| side + jitter)
            })
            .collect();
        let levels = fit_priors(&sizes, &[8, 16, 32], 1);
        assert_eq!(levels.iter().map(|level| level.stride).collect::<Vec<_>>(), [8, 16, 32]);
        let near = |shape: [f32; 2], to: [f32; 2]| shape_overlap(shape, to) > 0.9;
        assert!(near(levels[2].shapes[0], [40.3, 41.3]), "{levels:?}");
        let small = [levels[0].shapes[0], levels[1].shapes[0]];
        assert!(small.iter().any(|&s| near(s, [10.3, 20.3])) && small.iter().any(|&s| near(s, [20.3, 10.3])));
        assert_eq!(levels, fit_priors(&sizes, &[8, 16, 32], 1));
    }

    #[test]
    fn priors_come_in_the_order_of_the_feature_maps() {
        let levels = [
            Level { stride: 16, shapes: vec![[4.0, 4.0], [8.0, 8.0]] },
            Level { stride: 32, shapes: vec![[16.0, 16.0]] },
        ];
        let priors = all_priors(&levels, 64);
        assert_eq!(priors.len(), 16 * 2 + 4);
        assert_eq!(priors[2 * 5 + 1], levels[0].prior(1, 1, 1));
        assert_eq!(priors[32 + 3], levels[1].prior(1, 1, 0));
    }
}
