use super::*;

const KITTI: &str = "1 0 0 0 0 1 0 0 0 0 1 0\n0 -1 0 1.5 1 0 0 2.5 0 0 1 3.5\n";

fn parse(text: &str) -> Result<TrajectoryFile, EvalError> {
    parse_trajectory(Path::new("poses/09.txt"), text)
}

#[track_caller]
fn check_refused(text: &str, message: &str) {
    let error = parse(text).expect_err("must be refused").to_string();
    assert_eq!(error, message);
}

#[test]
fn kitti_rows_are_frames_from_zero() {
    let file = parse(KITTI).unwrap();
    assert_eq!(file.format, TrajectoryFormat::Kitti);
    assert_eq!(file.trajectory.stamps(), [Timestamp::ZERO, frame_stamp(1)]);
    let turned = file.trajectory.poses()[1];
    assert_eq!(turned.translation, Vector3::new(1.5, 2.5, 3.5));
    assert!((turned.rotation * Vector3::x() - Vector3::y()).norm() < 1e-12);
}

#[test]
fn an_index_column_names_the_frame() {
    let file = parse("4 1 0 0 0 0 1 0 0 0 0 1 0\r\n7.0 1 0 0 1 0 1 0 0 0 0 1 0\r\n").unwrap();
    assert_eq!(file.format, TrajectoryFormat::KittiIndexed);
    assert_eq!(file.trajectory.stamps(), [frame_stamp(4), frame_stamp(7)]);
}

#[test]
fn tum_stamps_keep_every_nanosecond_and_xyzw_order() {
    let file = parse("# stamp tx ty tz\n1311868164.363181123 1 2 3 0 0 0.70710678 0.70710678\n").unwrap();
    assert_eq!(file.format, TrajectoryFormat::Tum);
    assert_eq!(file.trajectory.stamps(), [Timestamp::from_nanos(1_311_868_164_363_181_123)]);
    let pose = file.trajectory.poses()[0];
    assert!((pose.rotation * Vector3::x() - Vector3::y()).norm() < 1e-7);
}

#[test]
fn tum_columns_with_nanoseconds_are_seen_for_what_they_are() {
    let file = parse("1403636579763555584.000000 1 2 3 0 0 0 1\n").unwrap();
    assert_eq!(file.format, TrajectoryFormat::TumNanoseconds);
    assert_eq!(file.trajectory.stamps()[0].as_nanos(), 1_403_636_579_763_555_584);
}

#[test]
fn euroc_has_w_first_and_more_columns() {
    let text =
        "#timestamp, p_RS_R_x [m]\n1403636580838555648,4.6,-1.7,0.8,0.70710678,0,0,0.70710678,0.1,0.2\n";
    let file = parse(text).unwrap();
    assert_eq!(file.format, TrajectoryFormat::Euroc);
    assert_eq!(file.trajectory.stamps()[0].as_nanos(), 1_403_636_580_838_555_648);
    assert!((file.trajectory.poses()[0].rotation * Vector3::x() - Vector3::y()).norm() < 1e-7);
}

#[test]
fn eleven_numbers_are_refused_with_place_and_expectation() {
    check_refused(
        "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1\n",
        "poses/09.txt, line 2: expected 12 values per pose (KITTI, as in line 1), found 11 values",
    );
    check_refused(
        "1 0 0 0 0 1 0 0 0 0 1\n",
        "poses/09.txt, line 1: expected 12 values per pose (KITTI), 13 (KITTI with index), 8 (TUM) or 8 and more \
         with commas (EuRoC), found 11 values",
    );
}

#[test]
fn nan_and_words_are_refused_with_their_column() {
    check_refused(
        "1 0 0 0 0 1 0 nan 0 0 1 0\n",
        "poses/09.txt, line 1: expected a finite number in column 8, found `nan`",
    );
    check_refused(
        "# head\n0.1 1 2 three 0 0 0 1\n",
        "poses/09.txt, line 2: expected a finite number in column 4, found `three`",
    );
    check_refused(
        "inf 1 2 3 0 0 0 1\n",
        "poses/09.txt, line 1: expected a stamp in seconds in column 1, found `inf`",
    );
}

#[test]
fn a_repeated_stamp_costs_its_row_and_is_counted() {
    let file = parse("0.1 1 0 0 0 0 0 1\n0.1 2 0 0 0 0 0 1\n0.2 3 0 0 0 0 0 1\n").unwrap();
    assert_eq!((file.trajectory.len(), file.repeated_stamps), (2, 1));
    assert_eq!(file.trajectory.poses()[0].translation.x, 1.0);
}

#[test]
fn stamps_must_increase() {
    check_refused(
        "0.2 0 0 0 0 0 0 1\n0.1 0 0 0 0 0 0 1\n",
        "poses/09.txt, line 2: expected a stamp after 0.200000000 s, found `0.1`",
    );
    check_refused(
        "3 1 0 0 0 0 1 0 0 0 0 1 0\n3 1 0 0 0 0 1 0 0 0 0 1 0\n",
        "poses/09.txt, line 2: expected a frame number after 3, found `3`",
    );
}

#[test]
fn what_is_no_rotation_is_refused() {
    check_refused(
        "0.1 1 2 3 0 0 0 0\n",
        "poses/09.txt, line 1: expected a quaternion of length 1, found length 0.000",
    );
    check_refused(
        "1 0 0 0 0 1 0 0 0 0 -1 0\n",
        "poses/09.txt, line 1: expected a rotation matrix and a translation, found a 3x3 part 0.000 off orthonormal \
         with determinant -1.000",
    );
}

#[test]
fn files_without_poses_and_missing_files_are_named() {
    check_refused("# only a comment\n\n", "poses/09.txt: expected at least one pose, found none");
    let error = read_trajectory("/nonexistent/09.txt").unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/09.txt: "), "{error}");
}

#[test]
fn a_fractional_frame_number_is_no_frame_number() {
    check_refused(
        "0.1 1 0 0 0 0 1 0 0 0 0 1 0\n",
        "poses/09.txt, line 1: expected a frame number (0, 1, 2, ...) in column 1, found `0.1`",
    );
}

fn wild_trajectory() -> Trajectory {
    let mut trajectory = Trajectory::new();
    for i in 0..50 {
        let x = f64::from(i);
        let tangent =
            nalgebra::Vector6::new(x.sin() * 1e3, 1e-9 * x, x / 3.0, (x * 0.7).sin(), x.cos() * 3.0, 0.1);
        trajectory
            .push(
                Timestamp::from_nanos(1_700_000_000_000_000_001 + i64::from(i) * 33_333_333),
                Se3::exp(&tangent),
            )
            .unwrap();
    }
    trajectory
}

#[test]
fn tum_round_trips_bit_by_bit() {
    let trajectory = wild_trajectory();
    let mut bytes = Vec::new();
    write_tum(&mut bytes, &trajectory).unwrap();
    let read = parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
    assert_eq!(read.trajectory.stamps(), trajectory.stamps());
    for (read, written) in read.trajectory.poses().iter().zip(trajectory.poses()) {
        assert_eq!(read.translation, written.translation);
        assert!(read.rotation.angle_to(&written.rotation) < 1e-7);
    }
    let mut again = Vec::new();
    write_tum(&mut again, &read.trajectory).unwrap();
    assert_eq!(again, bytes, "reading and writing must change no byte");
}

#[test]
fn kitti_round_trips_to_the_last_digits() {
    let trajectory = wild_trajectory();
    let mut bytes = Vec::new();
    write_kitti(&mut bytes, trajectory.poses()).unwrap();
    let read = parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
    assert_eq!(read.format, TrajectoryFormat::Kitti);
    for (read, written) in read.trajectory.poses().iter().zip(trajectory.poses()) {
        assert_eq!(read.translation, written.translation);
        assert!((read.rotation_matrix() - written.rotation_matrix()).abs().max() < 1e-14);
    }
}
