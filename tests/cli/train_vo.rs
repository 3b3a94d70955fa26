//! `kestrel train vo`, from a flight to networks that see depth and motion, and `kestrel pose`.

use image::{Rgb, RgbImage};

use crate::common::Lab;

/// A flight over the synthetic world with its true depth and poses.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.kestrel("world --motion oblique --frames 9 --size 96x64 --frame-rate 10 --out flight").expect_code(0);
    lab
}

const COMMAND: &str = "train vo --channels 0.1 --width 64 --height 32 --batch 2 --save-every 2 --steps 4";

#[test]
fn from_a_flight_to_networks_that_are_measured() {
    let lab = lab();
    let said = lab
        .kestrel(&format!("{COMMAND} --data flight --validation flight --validate-every 4 --out trained"))
        .expect_code(0)
        .stderr;
    assert!(said.contains("7 snippets of three frames from 1 sources"), "{said}");
    assert!(
        said.contains("true depth of 9 images")
            && said.contains("step 4: flight: loss 0.")
            && said.contains("5-frame ATE 0."),
        "{said}"
    );
    let curves = lab.read("trained/curves.csv");
    assert_eq!(curves.lines().count(), 1 + 4);
    assert!(curves.contains("waited_seconds,loss flight,abs_rel flight,ate_5_frames flight\n"), "{curves}");
    let page = lab.read("trained/report.html");
    assert!(page.contains("Relative error of depth") && page.contains("from what the one before it saw"));
    for part in ["depth", "pose"] {
        let inspect = format!("model inspect trained/{part}-int8.onnx --json");
        let inspected = lab.kestrel(&inspect).expect_code(0).json();
        assert_eq!(inspected["float_ops"].as_array().map(Vec::len), Some(0), "{inspected}");
    }
    let eval = "eval depth --data flight --format world --model trained/depth-int8.onnx --json";
    let report = lab.kestrel(eval).expect_code(0).json();
    assert_eq!((report["images"].as_u64(), report["scaling"].as_str()), (Some(9), Some("sequence")));
    assert!(report["abs_rel"].as_f64().unwrap() > 0.0, "{report}");
    let pose =
        "pose flight/sequences/00 --model trained/pose-int8.onnx --out poses.txt --format kitti --json";
    assert_eq!(lab.kestrel(pose).expect_code(0).json()["frames"], 9);
    let judged = lab.kestrel("eval odometry --gt flight/poses/00.txt --est poses.txt --json");
    let judged = judged.expect_code(0).json();
    assert!(judged["ate_5_frames"]["constant_velocity_mean_m"].as_f64().unwrap() >= 0.0, "{judged}");
    let again = lab.kestrel(&format!("{COMMAND} --data flight --out trained")).expect_code(1).stderr;
    assert!(again.contains("expected a new folder, or --resume"), "{again}");
}

#[test]
fn a_training_that_is_done_goes_on_to_its_end_and_another_is_refused() {
    let lab = lab();
    let command = format!("{COMMAND} --data flight --out trained --recipe sc --learn-focal");
    let said = lab.kestrel(&command).expect_code(0).stderr;
    assert!(said.contains("focal length times"), "{said}");
    let before = lab.read("trained/curves.csv");
    lab.kestrel(&format!("{command} --resume")).expect_code(0);
    assert_eq!(lab.read("trained/curves.csv"), before);
    let other = lab.kestrel(&format!("{command} --resume --seed 2")).expect_code(1).stderr;
    assert!(other.contains("expected the configuration of"), "{other}");
}

#[test]
fn losses_that_a_network_can_not_have_are_refused() {
    let lab = lab();
    for (options, said) in [
        ("--explainability 0.1", "expected PoseExpNet"),
        ("--networks sfmlearner --backbone-from none.tflite", "expected --networks light"),
    ] {
        let error =
            lab.kestrel(&format!("{COMMAND} --data flight --out trained {options}")).expect_code(1).stderr;
        assert!(error.contains(said), "{options}: {error}");
        assert!(!lab.path("trained").exists(), "{options} leaves nothing");
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_gpu_is_not_asked_of_a_program_without_it() {
    let error = lab().kestrel(&format!("{COMMAND} --data flight --out trained --device cuda")).expect_code(1);
    error.says(&["--device cuda", "expected a program built for CUDA"]);
}

#[test]
fn what_teaches_nothing_is_named() {
    let lab = Lab::new();
    let write = |name: &str, size: (u32, u32), value: u8| {
        lab.write(name, "");
        RgbImage::from_pixel(size.0, size.1, Rgb([value; 3])).save(lab.path(name)).unwrap();
    };
    for index in 0..5 {
        write(&format!("still/{index}.png"), (64, 48), 90);
        write(&format!("mixed/{index}.png"), if index == 2 { (32, 32) } else { (64, 48) }, 20 * index);
    }
    for index in 0..2 {
        write(&format!("short/{index}.png"), (64, 48), 50 * index);
    }
    for (source, said) in [
        ("still", "found none among 5 frames, of which 4 show what the frame before them shows"),
        ("short", "found none among 2 frames, of which 0"),
        ("mixed", "found none among 4 frames"),
        ("nowhere", "found no such file, folder or device in nowhere"),
    ] {
        let error = lab.kestrel(&format!("{COMMAND} --data {source} --out trained")).expect_code(1).stderr;
        assert!(error.contains(source) && error.contains(said), "{source}: {error}");
        assert!(!lab.path("trained").exists(), "{source} leaves nothing");
    }
}
