//! What is to be followed, as typed.

use clap::Args;
use geometry::BoundingBox;
use runtime::stages::{FollowStart, Pointer, TargetChoice};

#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Follow a target: the box around it (left, top, width and height in pixels), a point near its middle, from which its box is
    /// then found, or id:N, the object that the detector's findings know by that number (detections.csv and the viewer have
    /// them). The boxes go into target.csv
    #[arg(long, value_name = "X,Y[,W,H]|id:N", value_parser = pointer, allow_hyphen_values = true)]
    follow: Option<Pointer>,
    /// The frame in which the target is there, or from which on an id is looked for: its number, from 0, or the seconds since the
    /// first with an `s` behind, as in 4.5s
    #[arg(long, value_name = "FRAME|SECONDSs", value_parser = start, default_value = "0", requires = "follow")]
    follow_at: FollowStart,
}

impl FollowArgs {
    /// What was chosen, if anything.
    pub(crate) fn choice(&self) -> Option<TargetChoice> {
        self.follow.map(|target| TargetChoice { target, start: self.follow_at })
    }
}

/// Four numbers; whether they make a target is for the tracker to say, which knows the image.
pub(super) fn bounding_box(text: &str) -> Result<BoundingBox, String> {
    match numbers(text).as_deref() {
        Some([x, y, width, height]) => Ok(BoundingBox::new(*x, *y, *width, *height)),
        _ => Err("expected four numbers x,y,w,h, like 320,200,40,22".to_owned()),
    }
}

fn pointer(text: &str) -> Result<Pointer, String> {
    if let Some(id) = text.strip_prefix("id:") {
        let id = id.parse().map_err(|_| "expected a number behind id:, like id:3".to_owned())?;
        return Ok(Pointer::Identity(id));
    }
    match numbers(text).as_deref() {
        Some([x, y]) => Ok(Pointer::Point([*x, *y])),
        Some([x, y, width, height]) => Ok(Pointer::Box(BoundingBox::new(*x, *y, *width, *height))),
        _ => Err("expected a box x,y,w,h, like 320,200,40,22, a point x,y, like 340,211, or id:N, like id:3"
            .to_owned()),
    }
}

fn numbers(text: &str) -> Option<Vec<f32>> {
    text.split(',').map(|number| number.trim().parse().ok()).collect()
}

fn start(text: &str) -> Result<FollowStart, String> {
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
    match (seconds.filter(|seconds: &f64| (0.0..1e9).contains(seconds)), text.parse()) {
        (Some(seconds), _) => Ok(FollowStart::Seconds(seconds)),
        (None, Ok(number)) => Ok(FollowStart::Frame(number)),
        (None, Err(_)) => Err("expected a frame's number, like 45, or seconds, like 4.5s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_four_numbers_and_points_two() {
        let expected = BoundingBox::new(1.0, 2.5, 3.0, 4.0);
        assert_eq!(bounding_box("1,2.5, 3,4"), Ok(expected));
        assert_eq!(pointer("1,2.5,3,4"), Ok(Pointer::Box(expected)));
        assert_eq!(pointer("-1, 2.5"), Ok(Pointer::Point([-1.0, 2.5])));
        assert_eq!(pointer("id:12"), Ok(Pointer::Identity(12)));
        assert!(["id:", "id:-1", "id:1.5", "id"].iter().all(|wrong| pointer(wrong).is_err()));
        for wrong in ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "1;2"] {
            assert!(bounding_box(wrong).is_err() && pointer(wrong).is_err(), "{wrong}");
        }
        assert!(bounding_box("1,2").is_err());
    }

    #[test]
    fn starts_are_frames_or_seconds() {
        assert_eq!(start("45"), Ok(FollowStart::Frame(45)));
        assert_eq!(start("4.5s"), Ok(FollowStart::Seconds(4.5)));
        for wrong in ["", "s", "4.5", "-1", "-1s", "NaNs", "infs", "5 s!"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
    }
}
