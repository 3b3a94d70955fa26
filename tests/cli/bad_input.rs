//! Bad input: an error that says what, where and what was expected; and nothing is touched.

use std::fs;

use crate::common::{FRAMES, Lab, SEQUENCE};

/// Runs what must fail over an earlier run, which must stay as it is.
#[track_caller]
fn assert_refused(lab: &Lab, arguments: &str, code: i32, parts: &[&str]) {
    lab.write("out/run.toml", "an earlier run");
    lab.write("out/trajectory.tum", "its poses");
    let before = lab.files();
    let outcome = lab.kestrel(arguments).expect_code(code);
    outcome.says(parts);
    assert_eq!(outcome.stdout, "");
    assert_eq!(lab.files(), before, "something was written, moved or removed");
}

/// A sequence with one file changed is refused.
#[track_caller]
fn assert_sequence_refused(file: &str, change: impl FnOnce(String) -> String, parts: &[&str]) {
    let lab = Lab::with_world();
    lab.edit(file, change);
    assert_refused(&lab, &format!("run {SEQUENCE} --out out"), 1, parts);
}

fn without_last_word(line: &str) -> &str {
    line.rsplit_once(' ').unwrap().0
}

/// The line with this number, counted from 1, is changed.
fn with_line(text: &str, number: usize, change: impl Fn(&str) -> String) -> String {
    let changed = |(i, line): (usize, &str)| if i + 1 == number { change(line) } else { line.to_owned() };
    text.lines().enumerate().map(|line| changed(line) + "\n").collect()
}

#[test]
fn a_truncated_image_costs_one_frame() {
    let lab = Lab::with_world();
    let image = format!("{SEQUENCE}/image_0/000010.png");
    let bytes = fs::read(lab.path(&image)).unwrap();
    lab.write(&image, &bytes[..100]);
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --out out")).expect_code(3);
    outcome.says(&["can't decode image", "000010.png"]);
    assert!(!outcome.stderr.contains('\u{1b}'), "colours are for terminals: {}", outcome.stderr);

    let admitted = lab.read("out/admitted.csv");
    let outcomes: Vec<_> = admitted.lines().skip(1).map(|row| row.rsplit(',').next().unwrap()).collect();
    let mut expected = ["admitted"; FRAMES];
    expected[10] = "failed";
    assert_eq!(outcomes, expected);
    assert_eq!(lab.read("out/trajectory.kitti.txt").lines().count(), FRAMES, "one row per input frame");
    assert!(lab.read("out/report.html").contains("000010.png"));
}

#[test]
fn a_missing_image() {
    let lab = Lab::with_world();
    fs::remove_file(lab.path(&format!("{SEQUENCE}/image_0/000010.png"))).unwrap();
    assert_refused(
        &lab,
        &format!("run {SEQUENCE} --out out"),
        1,
        &["expected image 000010 after 000009, found 000011 in", "image_0"],
    );
}

#[test]
fn a_time_for_no_image() {
    assert_sequence_refused(
        &format!("{SEQUENCE}/times.txt"),
        |text| text + "9.9\n",
        &["expected 24 times, one per image, found 25 times", "times.txt"],
    );
}

#[test]
fn eleven_numbers_in_a_pose() {
    assert_sequence_refused(
        "world/poses/00.txt",
        |text| with_line(&text, 5, |line| without_last_word(line).to_owned()),
        &["expected 12 values per pose, found 11 at line 5 of", "poses/00.txt"],
    );
}

#[test]
fn eleven_numbers_in_a_truth_file_or_an_estimate() {
    let lab = Lab::with_world();
    let poses = lab.read("world/poses/00.txt");
    lab.write("short.txt", with_line(&poses, 5, |line| without_last_word(line).to_owned()));
    let expected = ["short.txt, line 5: expected 12 values per pose", "found 11 values"];
    assert_refused(&lab, &format!("run {SEQUENCE} --gt short.txt --out out"), 1, &expected);
    assert_refused(&lab, "eval odometry --gt world/poses/00.txt --est short.txt", 1, &expected);
}

#[test]
fn not_a_number_in_a_calibration() {
    assert_sequence_refused(
        &format!("{SEQUENCE}/calib.txt"),
        |text| text.replacen("0 0 0 1 0", "0 0 0 NaN 0", 1),
        &["expected finite numbers", "found `NaN` at line 1 of", "calib.txt"],
    );
}

#[test]
fn trajectories_that_cannot_be_read() {
    let lab = Lab::new();
    lab.write("empty.txt", "# nothing\n");
    assert_refused(
        &lab,
        "eval odometry --gt empty.txt --est empty.txt",
        1,
        &["empty.txt: expected at least one pose"],
    );
    lab.write("row.txt", "1 0 0 0 0 1 0 0 0 0 inf 0\n");
    let not_finite = ["row.txt, line 1: expected a finite number in column 11", "`inf`"];
    assert_refused(&lab, "eval odometry --gt row.txt --est row.txt", 1, &not_finite);
    let outcome = lab.kestrel("eval odometry --gt none.txt --est row.txt").expect_code(1);
    assert_eq!(outcome.stderr.matches("No such file").count(), 1, "causes are said once: {}", outcome.stderr);
}

#[test]
#[cfg(feature = "video")]
fn videos_that_hold_none() {
    let lab = Lab::new();
    lab.write("empty.mp4", "");
    lab.write("text.avi", "no video");
    for video in ["empty.mp4", "text.avi"] {
        let expected = [video, "expected a video or camera that OpenCV can open"];
        assert_refused(&lab, &format!("run {video} --out out"), 1, &expected);
    }
}

#[test]
#[cfg(feature = "video")]
fn a_device_that_cannot_be_read() {
    for device in ["/dev/video97", "97"] {
        let expected = ["/dev/video97", "expected a camera that can be read"];
        assert_refused(&Lab::new(), &format!("run {device} --out out"), 1, &expected);
    }
}

#[test]
fn sources_that_are_none() {
    let lab = Lab::with_world();
    fs::create_dir(lab.path("empty")).unwrap();
    for (source, found) in [
        ("nowhere", "no such file, folder or device in nowhere"),
        ("empty", "a folder with none of these"),
        ("world:sideways", "found sideways in world:sideways"),
        ("world:nadir?sed=3", "found sed=3 in world:nadir?sed=3"),
        ("world:nadir?frames=0", "expected at least one frame"),
        ("wolrd:nadir", "no such file, folder or device in wolrd:nadir"),
    ] {
        assert_refused(&lab, &format!("run {source} --out out"), 1, &["expected", found]);
    }
    let cut = format!("run {SEQUENCE} --out out --skip {FRAMES}");
    assert_refused(&lab, &cut, 1, &["expected at least one frame, found none", SEQUENCE]);
}

#[test]
fn an_output_folder_in_use() {
    let lab = Lab::with_world();
    let world = "world --frames 1 --size 64x48 --out world";
    assert_refused(&lab, world, 1, &["expected an empty folder", "in world"]);
    lab.write("strange/metrics.json", "of another program");
    let expected = ["expected a folder without metrics.json", "strange"];
    assert_refused(&lab, &format!("run {SEQUENCE} --out strange"), 1, &expected);
}

#[test]
fn senseless_numbers() {
    let lab = Lab::with_world();
    for (arguments, expected) in [
        (format!("run {SEQUENCE} --out out --stride 0"), "'--stride <N>': expected at least 1"),
        (format!("run {SEQUENCE} --out out --max-frames 0"), "expected at least 1"),
        ("world --out out/w --size 640".to_owned(), "expected WIDTHxHEIGHT"),
        ("world --out out/w --size 0x480".to_owned(), "sides from 16 to 8192"),
        ("world --out out/w --frames 0".to_owned(), "expected at least 1"),
        ("eval odometry --gt a --est b --step 0".to_owned(), "expected at least 1"),
        ("eval odometry --gt a --est b --align best".to_owned(), "sim3"),
    ] {
        assert_refused(&lab, &arguments, 2, &[expected]);
    }
    for (arguments, expected) in [
        (format!("run {SEQUENCE} --out out --fov 180"), "between 0 and 180 degrees, found 180"),
        ("world --out out/w --fov 400".to_owned(), "between 0 and 180 degrees, found 400"),
        ("world --out out/w --speed 0".to_owned(), "expected a positive --speed, found 0"),
    ] {
        assert_refused(&lab, &arguments, 1, &[expected]);
    }
}

#[test]
fn heights_that_are_none() {
    let lab = Lab::with_world();
    for (rows, parts) in [
        ("0.0 30\n0.1\n", "expected 2 numbers `stamp_s height_m`, found 1 at line 2 of agl.txt"),
        ("0.1 30\n0.0 30\n", "expected a time after 0.100000000 s, found 0.000000000 s at line 2 of agl.txt"),
        ("0.0 -1\n", "expected a value above 0 in `stamp_s height_m`, found -1 at line 1 of agl.txt"),
    ] {
        lab.write("agl.txt", rows);
        assert_refused(&lab, &format!("run {SEQUENCE} --out out --scale agl:agl.txt"), 1, &[parts]);
    }
    assert_refused(&lab, &format!("run {SEQUENCE} --out out --scale agl:none.txt"), 1, &["none.txt"]);
    let refused = format!("run {SEQUENCE} --out out --scale sonar");
    assert_refused(
        &lab,
        &refused,
        2,
        &["expected none, fixed:V, camera-height:M, agl:FILE, velocity:FILE or depth:V"],
    );
}
