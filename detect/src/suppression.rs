//! One detection per object.

use geometry::Detection;

/// Keeps, of detections of one class that overlap by more than `max_iou`, only the best; the result is sorted by
/// falling score. Boxes of different classes do not suppress each other. Detections whose score is not a number or
/// whose box is not valid are dropped.
pub fn non_maximum_suppression(mut detections: Vec<Detection>, max_iou: f32) -> Vec<Detection> {
    detections.retain(|d| d.score.is_finite() && d.bounding_box.is_valid());
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::with_capacity(detections.len());
    for candidate in detections {
        let suppresses = |k: &Detection| {
            k.class_id == candidate.class_id && k.bounding_box.iou(&candidate.bounding_box) > max_iou
        };
        if !kept.iter().any(suppresses) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use geometry::BoundingBox;

    use super::*;

    fn detection(x: f32, class_id: u32, score: f32) -> Detection {
        Detection { bounding_box: BoundingBox::new(x, 0.0, 10.0, 10.0), class_id, score }
    }

    #[test]
    fn the_best_of_an_overlapping_pair_stays_and_other_classes_too() {
        let found = vec![
            detection(0.0, 0, 0.5),
            detection(1.0, 0, 0.9),
            detection(1.0, 1, 0.2),
            detection(30.0, 0, 0.1),
        ];
        let kept = non_maximum_suppression(found, 0.5);
        assert_eq!(kept, [detection(1.0, 0, 0.9), detection(1.0, 1, 0.2), detection(30.0, 0, 0.1)]);
    }

    #[test]
    fn a_second_pass_changes_nothing() {
        let found =
            (0..50u16).map(|i| detection(f32::from(i) * 3.0, u32::from(i % 2), f32::from(i * 37 % 50)));
        let once = non_maximum_suppression(found.collect(), 0.3);
        assert_eq!(non_maximum_suppression(once.clone(), 0.3), once);
    }

    #[test]
    fn nonsense_is_dropped() {
        assert!(
            non_maximum_suppression(vec![detection(f32::NAN, 0, 1.0), detection(0.0, 0, f32::NAN)], 0.5)
                .is_empty()
        );
    }
}
