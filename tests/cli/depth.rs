//! `kestrel eval depth` and `kestrel depth`, with tiny networks whose answers are known.

use std::fs;

use geometry::test_data::shared_data;
use image::{ImageBuffer, Luma};
use nn::architecture::{Builder, Convolution, Weights};
use nn::preprocess::Preprocessing;
use serde_json::{Value, json};
use vo::{DepthDescription, DepthQuantity, OutputActivation};

use crate::common::{FRAMES, Lab, SEQUENCE};

/// A network of 24x16 pixels that sees inverse depth as brightness.
fn write_network(lab: &Lab, name: &str) {
    let mut network = Builder::new(3);
    let image = network.input();
    let look = Convolution { kernel: 1, stride: 1, groups: 1, bias: true };
    let brightness = network.convolution("b", image, 1, look);
    let architecture = network.finish(&[("disparity", brightness)]);
    let values = [("b.weight", vec![1.0 / 3.0; 3]), ("b.bias", vec![0.0])];
    let weights = Weights { values: values.map(|(name, values)| (name.to_owned(), values)).into() };
    let description = DepthDescription {
        output: "disparity".to_owned(),
        quantity: DepthQuantity::InverseDepth,
        activation: OutputActivation::None,
        slope: 0.5,
        offset: 0.01,
        metres_per_unit: None,
    };
    let mut metadata = Preprocessing::default().metadata();
    metadata.push(description.metadata());
    lab.write(name, architecture.to_onnx(&weights, [16, 24], &metadata).unwrap());
}

#[track_caller]
fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} in {report}"))
}

const EVAL: &str = "eval depth --data world --format world --json";

#[test]
fn predictions_in_files_are_measured_by_every_scaling() {
    let lab = Lab::with_world();
    let truth = lab.path(&format!("{SEQUENCE}/depth"));
    let perfect = lab.kestrel(&format!("{EVAL} --predictions {}", truth.display())).expect_code(0).json();
    assert_eq!((number(&perfect, "/abs_rel"), number(&perfect, "/delta1")), (0.0, 1.0));
    assert_eq!((&perfect["images"], &perfect["scaling"]), (&json!(FRAMES), &json!("sequence")));
    // Read in half metres, everything is twice as far.
    let far = format!("{EVAL} --predictions {} --values-per-metre 128", truth.display());
    let scaled = lab.kestrel(&far).expect_code(0).json();
    assert!(number(&scaled, "/abs_rel") < 1e-6 && (number(&scaled, "/ratio") - 0.5).abs() < 1e-6);
    let metric = lab.kestrel(&format!("{far} --scaling none")).expect_code(0).json();
    assert!((number(&metric, "/abs_rel") - 1.0).abs() < 1e-6, "{metric}");
    assert_eq!((number(&metric, "/by_scaling/image/abs_rel") * 1e6).round(), 0.0);
}

#[test]
fn a_network_is_measured_and_shown() {
    let lab = Lab::with_world();
    write_network(&lab, "depth.onnx");
    let command = format!("{EVAL} --model depth.onnx --report report.html");
    let report = lab.kestrel(&command).expect_code(0).json();
    for key in ["abs_rel", "sq_rel", "rmse", "rmse_log"] {
        assert!(number(&report, &format!("/{key}")) > 0.0, "{key}: {report}");
    }
    assert!(number(&report, "/cpu_ms_per_image") > 0.0);
    // Scaled by itself, each image is right in the median.
    let (image, sequence) = (number(&report, "/by_scaling/image/rmse_log"), number(&report, "/rmse_log"));
    assert!(image > 0.0 && (image - sequence).abs() > 1e-9, "{image} {sequence}");
    let page = lab.read("report.html");
    for part in ["Error of each image", "image, truth, prediction times", "median-scaled per sequence"] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
    let table =
        lab.kestrel("eval depth --data world --format world --model depth.onnx").expect_code(0).stdout;
    for part in
        ["median-scaled per image", "median-scaled per sequence", "0.001 to 80 m, no crop", "CPU an image"]
    {
        assert!(table.contains(part), "`{part}` is not in {table}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let lab = Lab::with_world();
    write_network(&lab, "depth.onnx");
    let depths = lab.path(&format!("{SEQUENCE}/depth"));
    for (arguments, code, says) in [
        (format!("{EVAL} --model none.onnx"), 1, "none.onnx"),
        (
            format!("{EVAL} --predictions nowhere"),
            1,
            "expected a folder of predictions, found none at nowhere",
        ),
        (format!("{EVAL} --model depth.onnx --max-depth 0"), 1, "expected a range of depths above 0 m"),
        (format!("{EVAL} --model depth.onnx --max-depth 1"), 1, "expected a pixel with truth and prediction"),
        (
            "eval depth --data world --format kitti-object --model depth.onnx".to_owned(),
            1,
            "image_2, velodyne, calib",
        ),
        (format!("{EVAL} --predictions {} --values-per-metre 0", depths.display()), 1, "--values-per-metre"),
    ] {
        lab.kestrel(&arguments).expect_code(code).says(&[says]);
    }
    lab.write("silent.onnx", "no network");
    lab.kestrel(&format!("{EVAL} --model silent.onnx")).expect_code(1).says(&["silent.onnx", "ONNX"]);
    fs::remove_file(depths.join("000003.png")).unwrap();
    lab.kestrel(&format!("{EVAL} --model depth.onnx"))
        .expect_code(1)
        .says(&["the image's depth", "000003.png"]);
}

#[test]
fn kitti_with_its_laser() {
    let Some(data) = shared_data("kitti/object_samples") else { return };
    let lab = Lab::new();
    write_network(&lab, "depth.onnx");
    let command =
        format!("eval depth --data {} --format kitti-object --json --model depth.onnx", data.display());
    let report = lab.kestrel(&command).expect_code(0).json();
    assert_eq!((&report["images"], &report["scaling"]), (&json!(3), &json!("image")));
    assert!(report["protocol"].as_str().unwrap().contains("Garg crop"), "{report}");
    assert!(number(&report, "/constant/abs_rel") > 0.2);
}

fn depth_png(lab: &Lab, name: &str) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    image::open(lab.path(name)).unwrap().into_luma16()
}

#[test]
fn depth_of_images_folders_and_sequences() {
    let lab = Lab::with_world();
    write_network(&lab, "depth.onnx");
    for (name, width, value) in [("a", 48, 255), ("b", 30, 0)] {
        lab.write(&format!("images/{name}.png"), []);
        let picture = image::RgbImage::from_pixel(width, 20, image::Rgb([value; 3]));
        picture.save(lab.path(&format!("images/{name}.png"))).unwrap();
    }
    let depth = "depth --model depth.onnx";
    let summary = lab.kestrel(&format!("{depth} images --out all --json")).expect_code(0).json();
    assert_eq!((&summary["frames"], &summary["metric"]), (&json!(2), &json!(false)));
    let (near, far) = (depth_png(&lab, "all/depth/a.png"), depth_png(&lab, "all/depth/b.png"));
    assert_eq!((near.dimensions(), far.dimensions()), ((48, 20), (30, 20)));
    assert_eq!((near.get_pixel(20, 9).0, far.get_pixel(9, 9).0), ([502], [25_600]));
    assert_eq!(image::open(lab.path("all/preview/a.png")).unwrap().width(), 48);
    let text = lab.kestrel(&format!("{depth} images/a.png --out one")).expect_code(0).stdout;
    assert!(text.starts_with("1 frames in one, 0 unread; 256 values for one unit of the network"), "{text}");
    lab.kestrel(&format!("{depth} {SEQUENCE} --out flight --max-frames 2 --stride 3")).expect_code(0);
    assert_eq!(depth_png(&lab, "flight/depth/000001.png").dimensions(), (240, 180));
    // What one command leaves the other one reads.
    lab.kestrel(&format!("{depth} {SEQUENCE}/image_2 --out world_depth --values-per-metre 2000"))
        .expect_code(0);
    let judge = format!("{EVAL} --predictions world_depth/depth --values-per-metre 2000");
    let from_files = number(&lab.kestrel(&judge).expect_code(0).json(), "/abs_rel");
    let live = number(&lab.kestrel(&format!("{EVAL} --model depth.onnx")).expect_code(0).json(), "/abs_rel");
    assert!((from_files - live).abs() < 2e-3, "{from_files} {live}");
}

#[test]
fn frames_that_cannot_be_read_cost_themselves() {
    let lab = Lab::with_world();
    write_network(&lab, "depth.onnx");
    lab.write(&format!("{SEQUENCE}/image_2/000001.png"), "no picture");
    let command = format!("depth --model depth.onnx {SEQUENCE}/image_2 --out out --json");
    let outcome = lab.kestrel(&command).expect_code(3);
    outcome.says(&["000001.png"]);
    assert_eq!(outcome.json()["unread_frames"], 1);
    assert!(!lab.path("out/depth/000001.png").exists() && lab.path("out/depth/000002.png").exists());
    lab.kestrel(&command).expect_code(1).says(&["expected an empty or new folder for --out, found out"]);
    for (arguments, says) in [
        ("depth --model none.onnx world --out new", "none.onnx"),
        ("depth --model depth.onnx nowhere --out new2", "no such file, folder or device"),
    ] {
        lab.kestrel(arguments).expect_code(1).says(&[says]);
    }
}

#[test]
fn depth_comes_with_the_program_and_flies() {
    let lab = Lab::with_world();
    lab.kestrel(EVAL).expect_code(0);
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --depth-every 4 --out out")).expect_code(0);
    assert!(outcome.stdout.contains("CPU, a look at depth"), "{}", outcome.stdout);
    let metrics: Value = serde_json::from_str(&lab.read("out/metrics.json")).unwrap();
    let looks = metrics["frames"].as_u64().unwrap().div_ceil(4);
    assert_eq!(
        (&metrics["depth"]["network"], &metrics["depth"]["looks"]),
        (&json!("depth-416x128-int8"), &json!(looks))
    );
    assert!(lab.read("out/report.html").contains("its depth, bright where near"));
    lab.kestrel("replay out").expect_code(0);
    let replayed: Value = serde_json::from_str(&lab.read("out/replay/metrics.json")).unwrap();
    assert_eq!(replayed["depth"]["looks"], json!(looks));
    lab.edit("out/run.toml", |text| {
        let (before, depth) = text.split_once("[depth]").unwrap();
        format!("{before}[depth]{}", depth.replacen("fingerprint = \"", "fingerprint = \"0", 1))
    });
    lab.kestrel("replay out --out again").expect_code(1).says(&["depth-416x128-int8", "--no-depth"]);
    lab.kestrel("replay out --out again --no-depth").expect_code(0);
    lab.kestrel(&format!("run {SEQUENCE} --no-depth --out blind")).expect_code(0);
    let blind: Value = serde_json::from_str(&lab.read("blind/metrics.json")).unwrap();
    assert!(blind.get("depth").is_none());
    lab.write("silent.onnx", "no network");
    lab.kestrel(&format!("run {SEQUENCE} --depth-model silent.onnx --out none"))
        .expect_code(1)
        .says(&["silent.onnx", "ONNX"]);
    assert!(!lab.path("none").exists());
}
