//! Which priors learn to find which object.
//!
//! By adaptive selection (Zhang et al., ATSS, CVPR 2020, section 4): an object's candidates are the priors nearest to its
//! centre on each feature map; those learn it that overlap it by at least the mean plus the deviation of all candidates'
//! overlaps. A fixed threshold, as in SSD, leaves objects of a few pixels without any prior.

use geometry::BoundingBox;

use super::augment::Target;
use crate::priors::Level;

/// Cells of each feature map that are candidates.
const NEAREST: usize = 9;

/// What each prior is to learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Assignment {
    /// That there is nothing.
    Background,
    /// That there is nothing, unless it looks like an object: not all of them have labels here.
    Unlabelled,
    /// Nothing: something may be there, but is too small, too cut, or of an unknown kind.
    Ignored,
    /// An object: its number.
    Object(usize),
}

/// Assigns all priors of `levels` over an input of `size`, in the order of [`crate::all_priors`]. In the `incomplete` parts
/// of the input objects may have no target.
pub fn assign(
    levels: &[Level],
    size: usize,
    targets: &[Target],
    incomplete: &[BoundingBox],
) -> Vec<Assignment> {
    let priors = crate::all_priors(levels, size);
    let without_object = |prior: &BoundingBox| {
        let is_unlabelled = incomplete.iter().any(|part| contains(part, prior.center()));
        if is_unlabelled { Assignment::Unlabelled } else { Assignment::Background }
    };
    let mut assigned: Vec<Assignment> = priors.iter().map(without_object).collect();
    for target in targets.iter().filter(|target| target.class_id.is_none()) {
        for (prior, assignment) in priors.iter().zip(&mut assigned) {
            if contains(&target.bounding_box, prior.center()) {
                *assignment = Assignment::Ignored;
            }
        }
    }
    let mut overlaps = vec![0.0; priors.len()];
    for (number, target) in targets.iter().enumerate().filter(|(_, target)| target.class_id.is_some()) {
        for (prior, overlap) in learners(levels, size, &priors, &target.bounding_box) {
            if overlap > overlaps[prior] || !matches!(assigned[prior], Assignment::Object(_)) {
                overlaps[prior] = overlap;
                assigned[prior] = Assignment::Object(number);
            }
        }
    }
    assigned
}

/// The priors that learn an object, and by how much they overlap it.
fn learners(
    levels: &[Level],
    size: usize,
    priors: &[BoundingBox],
    object: &BoundingBox,
) -> Vec<(usize, f32)> {
    let candidates: Vec<(usize, f32)> = candidates(levels, size, object)
        .into_iter()
        .map(|index| (index, priors[index].iou(object)))
        .collect();
    let count = candidates.len().max(1) as f32;
    let mean = candidates.iter().map(|(_, overlap)| overlap).sum::<f32>() / count;
    let variance = candidates.iter().map(|(_, overlap)| (overlap - mean).powi(2)).sum::<f32>() / count;
    let threshold = mean + variance.sqrt();
    let is_learner = |&(index, overlap): &(usize, f32)| {
        overlap >= threshold && overlap > 0.0 && contains(object, priors[index].center())
    };
    let learners: Vec<_> = candidates.iter().copied().filter(is_learner).collect();
    if learners.is_empty() {
        // An object between the centres of cells goes to its best candidate.
        return candidates.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).into_iter().collect();
    }
    learners
}

/// The priors of the cells nearest to the centre of `object` on each feature map.
fn candidates(levels: &[Level], size: usize, object: &BoundingBox) -> Vec<usize> {
    let (x, y) = object.center();
    let mut candidates = Vec::new();
    let mut first = 0;
    for level in levels {
        let cells = level.cells(size);
        let place = |at: f32| at / level.stride as f32 - 0.5;
        let around = |at: f32| {
            let nearest = place(at).round() as isize;
            (nearest - 2..=nearest + 2)
                .filter_map(|cell| usize::try_from(cell).ok())
                .filter(move |&c| c < cells)
        };
        let mut near: Vec<(f32, usize)> = around(y)
            .flat_map(|row| around(x).map(move |column| (row, column)))
            .map(|(row, column)| {
                let (dx, dy) = (column as f32 - place(x), row as f32 - place(y));
                (dx * dx + dy * dy, row * cells + column)
            })
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let shapes = level.shapes.len();
        for &(_, cell) in near.iter().take(NEAREST) {
            candidates.extend((0..shapes).map(|shape| first + cell * shapes + shape));
        }
        first += cells * cells * shapes;
    }
    candidates
}

fn contains(object: &BoundingBox, (x, y): (f32, f32)) -> bool {
    (object.x..object.right()).contains(&x) && (object.y..object.bottom()).contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        [(8, 12.0), (16, 28.0), (32, 60.0)]
            .map(|(stride, side)| Level { stride, shapes: vec![[side, side], [side, side * 2.0]] })
            .into()
    }

    fn target(x: f32, y: f32, width: f32, height: f32) -> Target {
        Target { bounding_box: BoundingBox::new(x, y, width, height), class_id: Some(0) }
    }

    #[test]
    fn every_object_is_learnt_and_by_priors_of_its_size() {
        let targets = [
            target(100.0, 100.0, 13.0, 12.0),
            target(30.2, 17.9, 4.0, 4.0),
            target(200.0, 40.0, 60.0, 118.0),
            target(0.0, 0.0, 9.0, 5.0),
        ];
        let priors = crate::all_priors(&levels(), 320);
        let assigned = assign(&levels(), 320, &targets, &[]);
        for (number, target) in targets.iter().enumerate() {
            let learners = (0..priors.len()).filter(|&i| assigned[i] == Assignment::Object(number));
            let overlaps: Vec<f32> = learners.map(|i| priors[i].iou(&target.bounding_box)).collect();
            assert!(!overlaps.is_empty() && overlaps.len() < 30, "object {number}: {overlaps:?}");
            let best = priors.iter().map(|prior| prior.iou(&target.bounding_box)).fold(0.0, f32::max);
            assert!(overlaps.contains(&best), "object {number}: {best} not in {overlaps:?}");
        }
    }

    #[test]
    fn a_prior_learns_the_object_that_it_covers_best_and_ignores_the_unclear() {
        let unclear = Target { class_id: None, ..target(0.0, 0.0, 160.0, 320.0) };
        let cars = [target(100.0, 100.0, 24.0, 24.0), target(104.0, 100.0, 24.0, 24.0)];
        let assigned = assign(&levels(), 320, &[unclear, cars[0], cars[1]], &[]);
        let count = |what| assigned.iter().filter(|&&assignment| assignment == what).count();
        assert!(count(Assignment::Object(1)) > 0 && count(Assignment::Object(2)) > 0);
        let (ignored, background) = (count(Assignment::Ignored), count(Assignment::Background));
        assert!(ignored.abs_diff(background) < 100, "{ignored} and {background}");
    }

    #[test]
    fn background_counts_as_unlabelled_in_the_incomplete_part() {
        let left = BoundingBox::new(0.0, 0.0, 160.0, 320.0);
        let assigned = assign(&levels(), 320, &[target(100.0, 100.0, 24.0, 24.0)], &[left]);
        for (prior, assignment) in crate::all_priors(&levels(), 320).iter().zip(assigned) {
            let is_left = prior.center().0 < 160.0;
            match assignment {
                Assignment::Background => assert!(!is_left, "{prior:?}"),
                Assignment::Unlabelled => assert!(is_left, "{prior:?}"),
                Assignment::Object(number) => assert_eq!(number, 0),
                Assignment::Ignored => panic!("nothing is unclear: {prior:?}"),
            }
        }
    }
}
