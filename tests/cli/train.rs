//! `kestrel train detector`, from labelled images to a quantised network that is measured.

#[cfg(unix)]
use std::process::Command;

use image::{Rgb, RgbImage};

#[cfg(unix)]
use crate::common::KESTREL;
use crate::common::Lab;

/// Six images in two scenes: red blocks of 16 pixels on grey, in YOLO's format.
fn lab() -> Lab {
    let lab = Lab::new();
    for (index, name) in ["north1", "north2", "north3", "north4", "south1", "south2"].into_iter().enumerate()
    {
        let left = 10 + 12 * index as u32;
        let pixel = |x: u32, y: u32| {
            let is_in = (left..left + 16).contains(&x) && (40..56).contains(&y);
            if is_in { Rgb([220, 30, 30]) } else { Rgb([110, 120, 115]) }
        };
        let image = format!("set/images/{name}.png");
        lab.write(&image, "");
        RgbImage::from_fn(128, 96, pixel).save(lab.path(&image)).unwrap();
        let (x, y) = (f64::from(left + 8) / 128.0, 48.0 / 96.0);
        lab.write(&format!("set/labels/{name}.txt"), format!("0 {x} {y} {} {}\n", 16.0 / 128.0, 16.0 / 96.0));
    }
    lab.write("set/classes.txt", "block\n");
    lab
}

const COMMAND: &str = "train detector --data set --find block --hold-out south --width 0.1 --crop 64 --input 64 \
                       --batch 2 --save-every 2 --steps 4";

#[test]
fn from_images_to_a_quantised_detector() {
    let lab = lab();
    let said = lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(0).stderr;
    assert!(said.contains("4 images to learn from, 2 held out, 2 of them measured on"), "{said}");
    assert!(said.contains("step 4: AP50 0.000, AP 0.000, the best so far"), "{said}");
    let curves = lab.read("trained/curves.csv");
    assert_eq!(curves.lines().count(), 1 + 4);
    assert!(
        curves.contains("waited_seconds,ap50,ap,ap50 set,ap set,ap50 set block,ap set block\n"),
        "{curves}"
    );
    assert!(curves.ends_with(",0,0,0,0,0,0\n"), "{curves}");
    let files = lab.files();
    assert_eq!(files[&lab.path("trained/best.onnx")], files[&lab.path("trained/detector.onnx")]);
    let inspected = lab.kestrel("model inspect trained/detector-int8.onnx --json").expect_code(0).json();
    assert_eq!(inspected["float_ops"].as_array().map(Vec::len), Some(0), "{inspected}");
    for model in ["trained/detector.onnx", "trained/detector-int8.onnx"] {
        let report =
            lab.kestrel(&format!("eval detection --data set --model {model} --json")).expect_code(0).json();
        assert_eq!(report["images"], 6);
        assert!(report["cpu_ms_per_image"].as_f64().unwrap() > 0.0, "{report}");
        assert!(report["per_class"]["block"]["ap50"].is_number(), "{report}");
    }
}

#[test]
fn channels_that_are_cut_and_dealt_fly_on_bytes() {
    let lab = lab();
    lab.kestrel(&format!("{COMMAND} --backbone shufflenet-v2 --out trained")).expect_code(0);
    let inspected = lab.kestrel("model inspect trained/detector-int8.onnx --json").expect_code(0).json();
    assert_eq!(inspected["float_ops"].as_array().map(Vec::len), Some(0), "{inspected}");
}

#[test]
fn a_set_with_missing_labels_is_one_of_those_learnt_from() {
    let lab = lab();
    let problem = "expected one of --data as --incomplete, found other";
    lab.kestrel(&format!("{COMMAND} --incomplete other --out trained")).expect_code(1).says(&[problem]);
    assert!(!lab.path("trained").exists());
    lab.kestrel(&format!("{COMMAND} --incomplete set --out trained")).expect_code(0);
    assert!(lab.read("trained/config.json").contains("\"incomplete\": 4"));
    lab.kestrel(&format!("{COMMAND} --out trained --resume")).expect_code(1).says(&["configuration"]);
}

#[test]
fn a_training_is_not_written_over_and_goes_on() {
    let lab = lab();
    lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(0);
    let network = lab.files().remove(&lab.path("trained/detector.onnx"));
    lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(1).says(&["--resume", "checkpoint"]);
    // All steps are taken: nothing is left to do.
    lab.kestrel(&format!("{COMMAND} --out trained --resume")).expect_code(0);
    assert_eq!(lab.files().remove(&lab.path("trained/detector.onnx")), network);
    let other = format!("{COMMAND} --out trained --resume --seed 9");
    lab.kestrel(&other).expect_code(1).says(&["configuration"]);
    lab.kestrel(&format!("{COMMAND} --out other --from trained/checkpoint")).expect_code(0);
}

/// What a training leaves that depends on neither the time it took nor the order of the entries of a header.
fn results(lab: &Lab, out: &str) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let files = lab.files();
    let network = |name: &str| files[&lab.path(&format!("{out}/{name}"))].clone();
    let untimed = |row: &str| {
        let columns: Vec<&str> = row.split(',').collect();
        [&columns[..4], &columns[6..]].concat().join(",")
    };
    let curves = lab.read(&format!("{out}/curves.csv")).lines().map(untimed).collect();
    (network("best.onnx"), network("detector.onnx"), curves)
}

#[test]
fn a_training_ends_when_nothing_is_gained_and_goes_on_exactly() {
    let lab = lab();
    let command = format!("{COMMAND} --validate-every 1 --out");
    lab.kestrel(&format!("{command} whole")).expect_code(0);
    // After so few steps nothing is found: the first measurement is the best, the second brings no gain.
    let said = lab.kestrel(&format!("{command} parts --patience 1")).expect_code(0).stderr;
    assert!(said.contains("ended after 2 of 4 steps") && said.contains("AP50 0.000 after 1 steps"), "{said}");
    assert_eq!(lab.read("parts/curves.csv").lines().count(), 1 + 2);
    lab.kestrel(&format!("{command} parts --patience 9 --resume")).expect_code(0);
    let (whole, parts) = (results(&lab, "whole"), results(&lab, "parts"));
    assert_eq!(whole.2, parts.2);
    assert!(whole.0 == parts.0 && whole.1 == parts.1, "a training that went on ended elsewhere");
    assert_ne!(whole.0, whole.1, "the best is of the first step");
}

#[test]
fn held_out_images_are_there_and_may_go() {
    let lab = lab();
    let unknown = COMMAND.replace("--hold-out south", "--hold-out south,sout");
    lab.kestrel(&format!("{unknown} --out trained")).expect_code(1).says(&["`sout`"]);
    let none = COMMAND.replace("--hold-out south", "--patience 2");
    lab.kestrel(&format!("{none} --out trained")).expect_code(1).says(&["--hold-out", "--patience"]);
    assert!(!lab.path("trained").exists(), "nothing is written before all is known to be well");
    let whole = std::fs::read(lab.path("set/images/south1.png")).unwrap();
    lab.write("set/images/south1.png", &whole[..whole.len() / 2]);
    let said = lab.kestrel(&format!("{COMMAND} --validate-every 2 --out trained")).expect_code(0).stderr;
    assert_eq!(said.matches("south1.png").count(), 1, "named once, then left out: {said}");
    assert!(said.contains("step 4: AP50 0.000"), "{said}");
}

#[test]
fn a_page_shows_how_it_went() {
    let lab = lab();
    lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(0);
    let page = lab.read("trained/report.html");
    let parts =
        ["Training of trained", "after 4 of 4 steps", "Losses", "AP50 on held-out images", "Learning rate"];
    let parts =
        parts.into_iter().chain(["what the network was shown in step 4: ", "set, south1", "mobilenet"]);
    for part in parts {
        assert!(page.to_lowercase().contains(&part.to_lowercase()), "`{part}` is not on the page");
    }
}

#[test]
fn the_synthetic_world_is_learnt_from_too() {
    let lab = lab();
    let command = COMMAND.replace("--find block", "--find block,car --synthetic 2");
    lab.kestrel(&format!("{command} --out trained")).expect_code(0);
    let config: serde_json::Value = serde_json::from_str(&lab.read("trained/config.json")).unwrap();
    assert_eq!((&config["images"], &config["synthetic"]), (&4.into(), &2.into()));
    let other = command.replace("--synthetic 2", "--synthetic 3 --resume");
    lab.kestrel(&format!("{other} --out trained")).expect_code(1).says(&["configuration"]);
}

#[test]
fn a_broken_image_is_named_and_left_out() {
    let lab = lab();
    let pixels = RgbImage::from_fn(96, 96, |x, y| Rgb([x as u8, y as u8, 90]));
    pixels.save(lab.path("set/images/north9.jpg")).unwrap();
    lab.write("set/labels/north9.txt", "0 0.5 0.5 0.2 0.2\n");
    let whole = std::fs::read(lab.path("set/images/north9.jpg")).unwrap();
    lab.write("set/images/north9.jpg", &whole[..whole.len() - whole.len() / 3]);
    let said = lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(0).stderr;
    assert!(said.contains("north9.jpg") && said.contains("not learnt from"), "{said}");
    assert!(said.contains("4 images to learn from"), "{said}");
}

#[test]
fn labels_that_can_t_be_are_refused_before_anything_is_written() {
    for (file, content, said) in [
        ("set/labels/north1.txt", "7 0.5 0.5 0.1 0.1\n", "north1.txt"),
        ("set/labels/north1.txt", "0 NaN 0.5 0.1 0.1\n", "north1.txt"),
        ("set/labels/north7.txt", "0 0.5 0.5 0.1 0.1\n", "north7.txt"),
        ("set/images/north8.png", "", "north8"),
    ] {
        let lab = lab();
        lab.write(file, content);
        lab.kestrel(&format!("{COMMAND} --out trained")).expect_code(1).says(&[said]);
        assert!(!lab.path("trained").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_costs_nothing_that_was_saved() {
    let lab = lab();
    let command = format!("{COMMAND} --validate-every 1 --out");
    lab.kestrel(&format!("{command} whole")).expect_code(0);
    lab.kestrel(&format!("{command} parts --patience 1")).expect_code(0);
    let saved = lab.files();
    // Files may be as large as the network, which is not enough for the checkpoint; a limit of the shell is in blocks of
    // 512 bytes, and the signal that comes with it must not end the program.
    let blocks = saved[&lab.path("parts/detector.onnx")].len() / 512 + 8;
    let arguments = format!("{command} parts --patience 9 --resume");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {KESTREL} {arguments}");
    let failed = Command::new("/bin/sh").args(["-c", &script]).current_dir(lab.path("")).output().unwrap();
    let said = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("checkpoint"), "{said}");
    let left = lab.files();
    for name in ["weights.safetensors", "optimizer.bpk"] {
        let path = lab.path(&format!("parts/checkpoint/{name}"));
        assert!(left[&path] == saved[&path], "{name} was written over");
    }
    lab.kestrel(&arguments).expect_code(0);
    assert!(results(&lab, "parts") == results(&lab, "whole"));
}

#[test]
fn what_can_t_be_learnt_is_refused() {
    let lab = lab();
    let none = COMMAND.replace("--find block", "--find boat");
    lab.kestrel(&format!("{none} --out trained"))
        .expect_code(1)
        .says(&["boat", "found 4 pictures without any"]);
    assert!(!lab.path("trained").exists());
    lab.kestrel("train detector --data set --find block --out trained --crop 50").expect_code(2);
    lab.kestrel("eval detection --data set --model set/classes.txt").expect_code(1).says(&["no ONNX model"]);
}
