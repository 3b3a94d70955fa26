use std::fs;
use std::path::PathBuf;

use geometry::Timestamp;
use opencv::core::{CV_8UC3, Mat, Scalar, Size};
use opencv::prelude::*;
use opencv::videoio::VideoWriter;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::open as open_source;

/// Blue frames that grow brighter, 25 per second.
fn write_video(folder: &TempDir, frames: usize) -> PathBuf {
    let path = folder.path().join("flight.avi");
    let codec = VideoWriter::fourcc('M', 'J', 'P', 'G').unwrap();
    let mut writer = VideoWriter::new(&path, codec, 25.0, Size::new(64, 48), true).unwrap();
    for i in 0..frames {
        let blue = Scalar::new(20.0 + 10.0 * i as f64, 0.0, 0.0, 0.0);
        let image = Mat::new_rows_cols_with_default(48, 64, CV_8UC3, blue).unwrap();
        writer.write(&image).unwrap();
    }
    writer.release().unwrap();
    path
}

fn open_path(path: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
    open_source(&SourceSpec::new(path.to_string_lossy()))
}

fn complaint(source: &str) -> DatasetError {
    open_source(&SourceSpec::new(source)).err().unwrap()
}

#[test]
fn a_video_gives_colour_frames_with_its_own_times() {
    let folder = tempdir().unwrap();
    let mut source = open_path(&write_video(&folder, 20)).unwrap();
    let info = source.info().clone();
    assert_eq!((info.frame_count, info.frame_rate, info.live), (Some(20), Some(25.0), false));
    assert_eq!(info.assumptions.len(), 1);
    assert!(info.assumptions[0].contains("70 degrees") && info.assumptions[0].contains("--calibration"));
    let mut last: Option<Timestamp> = None;
    for seq in 0..20 {
        let frame = source.next_frame().unwrap().unwrap();
        let [r, g, b] = frame.rgb.unwrap().pixel(30, 20);
        assert!(r < 12 && g < 12 && b.abs_diff(20 + 10 * seq as u8) < 12, "{r} {g} {b} in frame {seq}");
        assert_eq!((frame.seq, frame.gray.size()), (seq, (64, 48)));
        assert!(last.is_none_or(|last| (frame.stamp.secs_since(last) - 0.04).abs() < 1e-6));
        last = Some(frame.stamp);
    }
    assert!(source.next_frame().unwrap().is_none());
    assert!(source.next_frame().unwrap().is_none());
}

#[test]
fn skipping_keeps_number_and_time() {
    let folder = tempdir().unwrap();
    let path = write_video(&folder, 10);
    let stamp_of_4 = {
        let mut source = open_path(&path).unwrap();
        (0..5).map(|_| source.next_frame().unwrap().unwrap().stamp).last().unwrap()
    };
    let mut source = open_path(&path).unwrap();
    assert!((0..4).all(|_| source.skip_frame().unwrap()));
    let frame = source.next_frame().unwrap().unwrap();
    assert_eq!((frame.seq, frame.stamp), (4, stamp_of_4));
}

#[test]
fn a_video_that_was_cut_off_gives_what_it_has_and_then_an_error() {
    let folder = tempdir().unwrap();
    let path = write_video(&folder, 60);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let mut source = open_path(&path).unwrap();
    let mut seen = 0;
    let error = loop {
        match source.next_frame() {
            Ok(frame) => assert!(frame.is_some(), "the end came without an error after {seen} frames"),
            Err(error) => break error.to_string(),
        }
        seen += 1;
    };
    assert!((10..50).contains(&seen), "{seen} frames");
    assert!(error.contains("expected 60 frames") && error.contains(&format!("frame {seen}")), "{error}");
    assert!(source.next_frame().unwrap().is_none());
}

#[test]
fn empty_videos_are_refused() {
    let folder = tempdir().unwrap();
    let nothing = folder.path().join("nothing.mp4");
    fs::write(&nothing, b"").unwrap();
    for path in [nothing, write_video(&folder, 0)] {
        assert!(path.is_file());
        let error = open_path(&path).err().unwrap();
        assert!(matches!(error, DatasetError::Capture { .. }), "{error}");
    }
}

#[test]
fn what_is_no_video_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "not a video at all\n").unwrap();
    let error = open_path(&path).err().unwrap().to_string();
    assert!(error.contains("notes.txt") && error.contains("expected"), "{error}");
}

#[test]
fn devices_that_are_not_there_are_named() {
    for source in ["/dev/video97", "97"] {
        let error = complaint(source);
        assert!(matches!(error, DatasetError::Capture { .. }));
        assert!(error.to_string().contains("/dev/video97"), "{error}");
    }
}

#[test]
fn a_broken_pipeline_is_refused() {
    let error = complaint("nosuchelement ! appsink");
    assert!(
        matches!(&error, DatasetError::Capture { source_name, .. } if source_name.contains("nosuchelement"))
    );
}

#[test]
fn a_field_of_view_replaces_the_assumption() {
    let folder = tempdir().unwrap();
    let path = write_video(&folder, 3);
    let spec = SourceSpec { fov_deg: Some(90.0), ..SourceSpec::new(path.to_string_lossy()) };
    let source = open_source(&spec).unwrap();
    assert_eq!(source.info().assumptions, Vec::<String>::new());
    assert!((source.info().camera.focal().x - 32.0).abs() < 1e-9);
}

#[test]
fn car14_reads_to_its_end() {
    let Some(path) = geometry::test_data::shared_data("uav/car14.mp4") else { return };
    let mut source = open_path(&path).unwrap();
    assert_eq!(source.info().frame_count, Some(443));
    assert!((source.info().frame_rate.unwrap() - 10.0).abs() < 1e-6);
    let (mut seen, mut last) = (0, None);
    while let Some(frame) = source.next_frame().unwrap() {
        assert_eq!((frame.size(), frame.seq), ((1280, 720), seen));
        assert!(last.is_none_or(|last| frame.stamp > last));
        last = Some(frame.stamp);
        seen += 1;
    }
    assert_eq!(seen, 443);
    assert!((last.unwrap().as_secs_f64() - 44.2).abs() < 0.2, "{last:?}");
}

#[test]
fn a_pipeline_is_a_live_source_that_ends() {
    // Distributions ship GStreamer's elements apart from the library that OpenCV links.
    let Ok(mut source) = open_source(&SourceSpec::new("videotestsrc num-buffers=5 ! videoconvert ! appsink"))
    else {
        eprintln!("SKIPPED: needs GStreamer's base plugins");
        return;
    };
    assert!(source.info().live && source.info().frame_count.is_none());
    let stamps: Vec<_> = (0..5).map(|_| source.next_frame().unwrap().unwrap().stamp).collect();
    assert!(stamps.is_sorted() && stamps[0].as_secs_f64() > 1.7e9);
    assert!(matches!(source.next_frame(), Err(DatasetError::Capture { .. })));
    let end = std::iter::repeat_with(|| source.next_frame()).take(10).any(|frame| matches!(frame, Ok(None)));
    assert!(end, "a camera that is gone is asked for ever");
}

#[test]
fn what_is_written_can_be_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("drawn.mp4");
    let picture = |index: usize| geometry::RgbImage::filled(64, 48, [20 + 20 * index as u8, 60, 200]);
    let mut writer = crate::VideoWriter::create(&path, (64, 48), 12.5).unwrap();
    (0..6).for_each(|index| writer.write(&picture(index)).unwrap());
    let error = writer.write(&geometry::RgbImage::filled(64, 50, [0; 3])).unwrap_err().to_string();
    assert!(
        error.contains("(64, 48)") && error.contains("(64, 50)") && error.contains("drawn.mp4"),
        "{error}"
    );
    drop(writer);
    let mut source = open_path(&path).unwrap();
    assert_eq!((source.info().frame_count, source.info().frame_rate), (Some(6), Some(12.5)));
    for index in 0..6 {
        let [r, g, b] = source.next_frame().unwrap().unwrap().rgb.unwrap().pixel(30, 20);
        let expected = picture(index).pixel(30, 20);
        let is_near = [r, g, b].iter().zip(expected).all(|(found, wanted)| found.abs_diff(wanted) < 14);
        assert!(is_near, "{r} {g} {b} in frame {index}");
    }
}

#[test]
fn a_video_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("nowhere/drawn.mp4");
    let error = crate::VideoWriter::create(&path, (64, 48), 25.0).err().unwrap().to_string();
    assert!(error.contains("nowhere/drawn.mp4"), "{error}");
}
