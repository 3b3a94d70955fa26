//! `kestrel train detector`, from labelled images to a quantised network that is measured.

use image::{Rgb, RgbImage};

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
    assert!(said.contains("4 images to learn from, 2 held out"), "{said}");
    assert_eq!(lab.read("trained/curves.csv").lines().count(), 1 + 4);
    let quantize = "model quantize trained/detector.onnx int8.onnx --calibration set/images";
    lab.kestrel(quantize).expect_code(0);
    let inspected = lab.kestrel("model inspect int8.onnx --json").expect_code(0).json();
    assert_eq!(inspected["float_ops"].as_array().map(Vec::len), Some(0), "{inspected}");
    for model in ["trained/detector.onnx", "int8.onnx"] {
        let report =
            lab.kestrel(&format!("eval detection --data set --model {model} --json")).expect_code(0).json();
        assert_eq!(report["images"], 6);
        assert!(report["cpu_ms_per_image"].as_f64().unwrap() > 0.0, "{report}");
        assert!(report["per_class"]["block"]["ap50"].is_number(), "{report}");
    }
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

#[test]
fn what_can_t_be_learnt_is_refused() {
    let lab = lab();
    let none = COMMAND.replace("--find block", "--find boat");
    lab.kestrel(&format!("{none} --out trained"))
        .expect_code(1)
        .says(&["boat", "found 4 pictures without any"]);
    lab.kestrel("train detector --data set --find block --out trained --crop 50").expect_code(2);
    lab.kestrel("eval detection --data set --model set/classes.txt").expect_code(1).says(&["no ONNX model"]);
}
