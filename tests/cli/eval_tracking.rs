//! `kestrel eval tracking` against values known by thought or by the reference tools.

use geometry::test_data::shared_data;
use image::{GrayImage, Luma};
use serde_json::Value;

use crate::common::Lab;

/// Boxes of 40 x 20 pixels, `dx` pixels aside of where the target is, one for each frame.
fn boxes(dx: &[f64]) -> String {
    dx.iter().map(|dx| format!("{},10,40,20\n", 10.0 + dx)).collect()
}

/// A lab with the truth of four frames and an estimate of each kind.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("truth.txt", boxes(&[0.0; 4]));
    lab.write("mine.txt", boxes(&[0.0, 10.0, 20.0, 40.0]));
    lab.write("perfect.txt", boxes(&[0.0; 4]).replace(",20\n", ",20,0.9\n"));
    lab
}

#[track_caller]
fn assert_close(report: &Value, key: &str, expected: f64, tolerance: f64) {
    let found = report[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {report}"));
    assert!((found - expected).abs() <= tolerance, "{key}: expected {expected}, found {found}");
}

#[test]
fn success_and_precision() {
    let report = lab().kestrel("eval tracking --protocol otb --gt truth.txt --est mine.txt --json");
    let report = report.expect_code(0).json();
    // Overlaps 1, 30 of 50 columns, 20 of 60 and 0 are above 20, 12, 7 and 0 of the 21 thresholds; 0.6 is above 0.55, not 0.6.
    assert_close(&report, "auc", (20.0 + 12.0 + 7.0) / 84.0, 1e-12);
    assert_close(&report, "precision_20px", 0.75, 0.0);
    assert_close(&report, "frames", 4.0, 0.0);
    assert_eq!(report["sequences"][0]["success"].as_array().map(Vec::len), Some(21));
}

#[test]
fn several_trackers_make_a_table() {
    let lab = lab();
    let command = "eval tracking --protocol otb --gt truth.txt --est mine.txt perfect.txt";
    let table = lab.kestrel(command).expect_code(0).stdout;
    assert!(table.starts_with("tracker") && table.contains("perfect.txt  0.9524"), "{table}");
    let array = lab.kestrel(&format!("{command} --json")).expect_code(0).json();
    assert_eq!(
        (array[0]["tracker"].as_str(), array[1]["tracker"].as_str()),
        (Some("mine.txt"), Some("perfect.txt"))
    );
}

/// Two sequences as OTB lays them out, with frames; the second has an attribute.
fn benchmark() -> Lab {
    let lab = Lab::new();
    for name in ["Bus", "Car"] {
        for frame in 1..=12 {
            let path = format!("otb/{name}/img/{frame:04}.png");
            lab.write(&path, "");
            GrayImage::from_pixel(320, 60, Luma([80])).save(lab.path(&path)).unwrap();
        }
        lab.write(&format!("otb/{name}/groundtruth_rect.txt"), boxes(&[0.0; 12]));
    }
    lab.write("otb/Car/attrs.txt", "OCC");
    lab.write("mine/Bus.txt", boxes(&[0.0; 12]));
    let mut lost = [0.0; 12];
    lost[4..9].fill(200.0);
    lab.write("mine/Car.txt", boxes(&lost));
    lab
}

#[test]
fn a_folder_of_sequences_with_attributes_and_film_strips() {
    let lab = benchmark();
    let command = "eval tracking --protocol otb --gt otb --est mine";
    let report = lab.kestrel(&format!("{command} --json")).expect_code(0).json();
    assert_close(&report, "precision_20px", (1.0 + 7.0 / 12.0) / 2.0, 1e-12);
    assert_eq!(report["sequences"][1]["name"], "Car");
    assert_eq!(report["cpu_ms_per_frame"], Value::Null);
    assert_eq!(report["attributes"][0]["attribute"], "OCC");
    assert_close(&report["attributes"][0], "precision_20px", 7.0 / 12.0, 1e-12);
    lab.write("mine/tracker.json", r#"{"name": "Mine", "cpu_ms_per_frame": 4.25}"#);
    let text = lab.kestrel(&format!("{command} --report page.html")).expect_code(0).stdout;
    assert!(text.contains("attribute") && text.contains("OCC"), "{text}");
    let page = lab.read("page.html");
    for part in [
        "Success: frames",
        "Precision: frames",
        "4.250",
        "Mine, Car: 5 frames without the target; frames 3, 4, 6, 9 from 0",
    ] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
    assert_eq!(page.matches("<img").count(), 1, "Bus was never lost");
}

#[test]
fn one_sequence_by_its_folder_its_file_or_with_frames_from_elsewhere() {
    let lab = benchmark();
    lab.write("copy.txt", lab.read("otb/Car/groundtruth_rect.txt"));
    for ground_truth in [
        "otb/Car",
        "otb/Car/groundtruth_rect.txt",
        "copy.txt --frames otb/Car",
        "copy.txt --frames otb/Car/img",
    ] {
        let command =
            format!("eval tracking --protocol otb --gt {ground_truth} --est mine/Car.txt --report page.html");
        lab.kestrel(&command).expect_code(0);
        assert_eq!(lab.read("page.html").matches("<img").count(), 1, "{ground_truth}");
    }
}

#[test]
fn the_first_frames_only() {
    let lab = lab();
    lab.write("short.txt", boxes(&[0.0, 0.0]));
    let command = "eval tracking --protocol otb --gt truth.txt --est short.txt";
    lab.kestrel(command).expect_code(1).says(&["short.txt", "--max-frames", "found 2 for 4"]);
    let report = lab.kestrel(&format!("{command} --max-frames 2 --json")).expect_code(0).json();
    assert_close(&report, "frames", 2.0, 0.0);
}

#[test]
fn supervised_runs() {
    let lab = Lab::new();
    let regions = vec!["[20, 20, 10, 10]"; 120].join(",");
    lab.write("vot.json", format!(r#"{{"car": {{"width": 100, "height": 100, "gt_rect": [{regions}]}}}}"#));
    let rows = |failure: usize| {
        let row = |frame: usize| match frame.wrapping_sub(failure) {
            _ if frame == 0 => "1\n",
            0 => "2\n",
            1..5 => "0\n",
            5 => "1\n",
            _ => "20,20,10,10\n",
        };
        (0..120).map(row).collect::<String>()
    };
    lab.write("one/baseline/car/car_001.txt", rows(usize::MAX));
    lab.write("two/baseline/car/car_001.txt", rows(30));
    let command = "eval tracking --protocol vot --dataset vot.json --results";
    let report = lab.kestrel(&format!("{command} two --json")).expect_code(0).json();
    assert_close(&report, "failures", 1.0, 0.0);
    assert_close(&report, "robustness", 100.0 / 120.0, 1e-12);
    assert_close(&report, "accuracy", 1.0, 1e-12);
    assert!(report["eao"].as_f64().unwrap() < 0.9, "{report}");
    let table = lab.kestrel(&format!("{command} one two --report page.html")).expect_code(0).stdout;
    assert!(table.starts_with("tracker") && table.contains("two"), "{table}");
    assert!(lab.read("page.html").contains("Expected overlap"));
}

#[test]
fn several_targets() {
    let lab = Lab::new();
    let rows = |names: [u32; 4]| {
        (1..5).zip(names).map(|(frame, id)| format!("{frame},{id},10,10,20,20,1\n")).collect::<String>()
    };
    lab.write("truth.txt", rows([1; 4]));
    lab.write("mine.txt", rows([3, 3, 4, 4]));
    let command = "eval tracking --protocol mot --gt truth.txt --est mine.txt";
    let report = lab.kestrel(&format!("{command} --json")).expect_code(0).json();
    assert_close(&report, "mota", 0.75, 1e-12);
    assert_close(&report, "idf1", 0.5, 1e-12);
    // Each name has 2 boxes of 4 in common.
    assert_close(&report, "hota", 0.5_f64.sqrt(), 1e-12);
    let table = lab.kestrel(&format!("{command} truth.txt --report page.html")).expect_code(0).stdout;
    assert!(table.starts_with("tracker") && table.contains("truth.txt   1.000"), "{table}");
    assert!(lab.read("page.html").contains("<td>truth.txt</td>"));
}

#[test]
fn the_reference_tools_numbers() {
    let Some(track) = shared_data("track") else { return };
    let (lab, track) = (Lab::new(), track.canonicalize().unwrap());
    let track = track.display();
    let report = lab.kestrel(&format!(
        "eval tracking --protocol otb --gt {track}/OTB100/Couple/groundtruth_rect.txt --est \
         {track}/results/otb100/couple_SRDCF.txt --json"
    ));
    let report = report.expect_code(0).json();
    assert_close(&report, "auc", 0.695_238_095_2, 1e-9);
    assert_close(&report, "precision_20px", 1.0, 0.0);
    let report = lab.kestrel(&format!(
        "eval tracking --protocol vot --dataset {track}/results/VOT2018.json --results \
         {track}/results/VOT2018_DaSiamRPN.zip --json"
    ));
    let report = report.expect_code(0).json();
    assert_close(&report, "eao", 0.382_650_92, 1e-6);
    assert_close(&report, "failures", 59.0, 0.0);
}

#[test]
fn what_cannot_be_measured() {
    let lab = lab();
    lab.write("bad/words.txt", "1,2,wide,4\n");
    lab.write("notes.html", "my notes");
    for (arguments, code, parts) in [
        ("--protocol otb --est mine.txt", 2, ["--gt", "required"]),
        ("--protocol vot --dataset vot.json", 2, ["--results", "required"]),
        (
            "--protocol otb --gt truth.txt --est mine.txt --dataset vot.json",
            2,
            ["cannot be used", "--dataset"],
        ),
        ("--protocol otb --gt truth.txt --est bad/words.txt", 1, ["words.txt, line 1", "found `wide`"]),
        ("--protocol otb --gt nowhere.txt --est mine.txt", 1, ["nowhere.txt", "No such file"]),
        ("--protocol otb --gt . --est mine.txt", 1, ["expected a folder with a file NAME.txt", "mine.txt"]),
        ("--protocol mot --gt truth.txt --est mine.txt", 1, ["truth.txt, line 1", "found 4 numbers"]),
        ("--protocol vot --dataset truth.txt --results mine.txt", 1, ["truth.txt", "an object of sequences"]),
        (
            "--protocol otb --gt truth.txt --est mine.txt --report notes.html",
            1,
            ["notes.html", "earlier report"],
        ),
    ] {
        lab.kestrel(&format!("eval tracking {arguments}")).expect_code(code).says(&parts);
    }
    assert_eq!(lab.read("notes.html"), "my notes");
}
