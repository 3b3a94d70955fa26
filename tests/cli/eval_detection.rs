//! `kestrel eval detection` and `kestrel eval vedai` against values known by thought or by the reference tools.

use std::fs;

use geometry::test_data::shared_data;
use image::RgbImage;
use serde_json::{Value, json};

use crate::common::Lab;

/// Four images of 100x100 in two scenes, each with a car and every second with a truck, in YOLO's format.
fn lab() -> Lab {
    let lab = Lab::new();
    for (index, name) in ["north1", "north2", "south1", "south2"].into_iter().enumerate() {
        let image = format!("set/images/{name}.png");
        lab.write(&image, "");
        RgbImage::from_pixel(100, 100, image::Rgb([90, 120, 90])).save(lab.path(&image)).unwrap();
        let truck = if index % 2 == 0 { "1 .7 .7 .2 .2\n" } else { "" };
        lab.write(&format!("set/labels/{name}.txt"), format!("0 .2 .2 .2 .2\n{truck}"));
    }
    lab.write("set/classes.txt", "car\ntruck\n");
    lab
}

fn found(image: &str, category: i64, x: f64, score: f64) -> Value {
    json!({"image_id": image, "category_id": category, "bbox": [x, x, 20, 20], "score": score})
}

#[track_caller]
fn assert_close(report: &Value, path: &str, expected: f64) {
    let found = report.pointer(path).and_then(Value::as_f64);
    let found = found.unwrap_or_else(|| panic!("no number at {path} in {report}"));
    assert!((found - expected).abs() < 1e-9, "{path}: expected {expected}, found {found}");
}

const COMMAND: &str = "eval detection --data set --format yolo --detections found.json";

#[test]
fn figures_by_class_scene_and_image() {
    let lab = lab();
    let detections = json!([
        found("north1", 0, 10.0, 0.9),
        found("north2", 0, 10.0, 0.8),
        found("south1", 0, 60.0, 0.7),
        found("north1", 1, 60.0, 0.6),
    ]);
    lab.write("found.json", detections.to_string());
    let report = lab.kestrel(&format!("{COMMAND} --json --report report.html")).expect_code(0).json();
    // Cars: recall 2/4 at precision 1. Trucks: 1 of 2.
    let half = 51.0 / 101.0;
    for (path, expected) in [
        ("/ap50", half),
        ("/ap", half),
        ("/per_class/car/ap50", half),
        ("/per_class/truck/ap50", half),
        ("/per_class/car/objects", 4.0),
        ("/images", 4.0),
        ("/operating_point/score", 0.6),
        ("/scenes/0/ap50", 0.0),
        ("/scenes/1/ap50", 1.0),
        ("/confusion/counts/1/0", 1.0),
    ] {
        assert_close(&report, path, expected);
    }
    assert_eq!((&report["cpu_ms_per_image"], &report["scenes"][0]["scene"]), (&Value::Null, &json!("south")));
    let page = lab.read("report.html");
    for part in
        ["Precision at every recall", "What is taken for what", "Scenes", "south1: 0 right (green), 1 wrong"]
    {
        assert!(page.contains(part), "{part}");
    }
    let table = lab.kestrel(COMMAND).expect_code(0).stdout;
    assert!(table.contains("AP at IoU 0.5 ") && table.contains("101 recalls"), "{table}");
}

#[test]
fn classes_are_mapped_and_images_guarded() {
    let lab = lab();
    lab.write(
        "found.json",
        json!([found("north1", 1, 10.0, 0.9), found("north1", 0, 60.0, 0.8)]).to_string(),
    );
    let mapped = lab.kestrel(&format!("{COMMAND} --map car=vehicle,truck=vehicle,boat=vehicle --json"));
    let mapped = mapped.expect_code(0).json();
    // Both found, of six: precision 1 up to recall 1/3.
    assert_close(&mapped, "/per_class/vehicle/ap50", 34.0 / 101.0);
    assert!(mapped["notes"][0].as_str().unwrap().contains("don't have: boat"), "{mapped}");
    let dropped = lab.kestrel(&format!("{COMMAND} --map truck= --json")).expect_code(0).json();
    assert_close(&dropped, "/per_class/car/ap50", 0.0);
    assert_eq!(dropped["per_class"].as_object().map(serde_json::Map::len), Some(1));
    lab.write("train.txt", "images/south2.png\nnorth9\n");
    let refused = lab.kestrel(&format!("{COMMAND} --trained-on train.txt")).expect_code(1);
    refused.says(&["not trained on", "found 1 of 4 in train.txt, south2 the first"]);
}

#[test]
fn coco_and_voc_say_the_same_as_yolo() {
    let lab = lab();
    lab.write(
        "found.json",
        json!([found("north1", 0, 12.0, 0.9), found("south1", 1, 60.0, 0.8)]).to_string(),
    );
    let yolo = lab.kestrel(&format!("{COMMAND} --json")).expect_code(0).json();
    let names = ["north1", "north2", "south1", "south2"];
    let mut annotations = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let mut objects = String::new();
        for (category, class, x) in [(3, "car", 10), (8, "truck", 60)].into_iter().take(2 - index % 2) {
            let id = annotations.len() + 1;
            annotations
                .push(json!({"id": id, "image_id": index, "category_id": category, "bbox": [x, x, 20, 20]}));
            let end = x + 20;
            objects += &format!(
                "<object><name>{class}</name><bndbox><xmin>{x}</xmin><ymin>{x}</ymin><xmax>{end}</xmax><ymax>{end}</ymax>\
                 </bndbox></object>"
            );
        }
        lab.write(&format!("voc/labels/{name}.xml"), format!("<annotation>{objects}</annotation>"));
        lab.write(
            &format!("voc/images/{name}.png"),
            fs::read(lab.path(&format!("set/images/{name}.png"))).unwrap(),
        );
    }
    let image = |(id, name): (usize, &str)| json!({"id": id, "file_name": format!("{name}.png"), "width": 100, "height": 100});
    let images: Vec<Value> = names.into_iter().enumerate().map(image).collect();
    let categories = json!([{"id": 3, "name": "car"}, {"id": 8, "name": "truck"}]);
    let truth = json!({"images": images, "annotations": annotations, "categories": categories});
    lab.write("coco/labels/any.json", truth.to_string());
    lab.write(
        "numbers.json",
        json!([
            {"image_id": 0, "category_id": 3, "bbox": [12, 12, 20, 20], "score": 0.9},
            {"image_id": 2, "category_id": 8, "bbox": [60, 60, 20, 20], "score": 0.8},
        ])
        .to_string(),
    );
    let coco = lab.kestrel("eval detection --data coco --format coco --detections numbers.json --json");
    let voc = lab.kestrel("eval detection --data voc --format voc --detections found.json --json");
    for other in [coco.expect_code(0).json(), voc.expect_code(0).json()] {
        assert_eq!(other["per_class"], yolo["per_class"]);
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let lab = lab();
    for (detections, says) in [
        (json!([found("east1", 0, 10.0, 0.9)]), "found.json: expected images of the set, found `east1`"),
        (json!([found("north1", 2, 10.0, 0.9)]), "found.json: expected categories of the set, found 2"),
        (json!({}), "expected an array of image_id, category_id, bbox and score"),
    ] {
        lab.write("found.json", detections.to_string());
        lab.kestrel(COMMAND).expect_code(1).says(&[says]);
    }
    lab.write("found.json", "[]");
    lab.kestrel(&format!("{COMMAND} --map car=,truck="))
        .expect_code(1)
        .says(&["expected a class that labels"]);
    lab.kestrel(&format!("{COMMAND} --map car")).expect_code(2).says(&["expected classes as old=new"]);
    lab.kestrel(&format!("{COMMAND} --fold 1")).expect_code(1).says(&["expected --format vedai with --fold"]);
    lab.write("set/labels/north1.txt", "5 .2 .2 .2 .2\n");
    lab.kestrel(COMMAND).expect_code(1).says(&["expected a class from 0 to 1, found 5 at line 1"]);
    fs::remove_file(lab.path("set/labels/north1.txt")).unwrap();
    lab.kestrel(COMMAND).expect_code(1).says(&["expected a file of labels", "north1.png"]);
    let lenient = lab.kestrel(&format!("{COMMAND} --unlabelled-are-empty --json")).expect_code(0).json();
    assert_close(&lenient, "/objects", 4.0);
}

/// Two images of VEDAI with a car and a motorcycle each, and folds.
fn vedai() -> Lab {
    let lab = Lab::new();
    let mut rows = "image_id,x,y,orient,x1,x2,x3,x4,y1,y2,y3,y4,class,FLAG1,FLAG2,test_fold\n".to_owned();
    for (image, fold) in [(1, 0), (2, 1)] {
        rows += &format!("{image},201,201,0,161,241,241,161,181,181,221,221,1,0,0,{fold}\n");
        rows += &format!("{image},801,801,0,781,821,821,781,791,791,811,811,7,0,0,{fold}\n");
        let path = format!("vedai/Vehicules512/{image:08}_co.png");
        lab.write(&path, "");
        RgbImage::new(512, 512).save(lab.path(&path)).unwrap();
        let (test, training) = (format!("{image:08}\n"), format!("{:08}\n", 3 - image));
        lab.write(&format!("vedai/folds/fold0{image}test.txt"), test);
        lab.write(&format!("vedai/folds/fold0{image}.txt"), training);
    }
    lab.write("vedai/annotation1024.csv", rows);
    lab
}

#[test]
fn vedai_by_its_modern_protocol() {
    let lab = vedai();
    lab.write(
        "found.json",
        json!([
            {"image_id": 1, "category_id": 1, "bbox": [80, 90, 40, 20], "score": 0.9},
            {"image_id": 1, "category_id": 7, "bbox": [0, 0, 40, 20], "score": 0.9},
        ])
        .to_string(),
    );
    let command = "eval detection --data vedai --format vedai --detections found.json";
    let report = lab.kestrel(&format!("{command} --fold 1 --json")).expect_code(0).json();
    assert_close(&report, "/ap50", 1.0);
    assert_eq!((&report["images"], report["per_class"].get("motorcycle")), (&json!(1), None));
    let refused =
        lab.kestrel(&format!("{command} --fold 1 --trained-on vedai/folds/fold02.txt")).expect_code(1);
    refused.says(&["not trained on", "found 1 of 1", "fold02.txt"]);
    lab.write("vedai/folds/fold01.txt", "00000001\n");
    lab.kestrel(&format!("{command} --fold 1")).expect_code(1).says(&["not trained on"]);
    lab.write("vedai/folds/fold02test.txt", "00000002\n00000003\n");
    lab.kestrel(&format!("{command} --fold 2")).expect_code(1).says(&["expected all 2 images", "found 1"]);
}

#[test]
fn vedai_by_its_original_protocol() {
    let lab = vedai();
    lab.write("found/car_01.txt", "00000001 200 200 0.5\n00000001 500 500 0.9\n");
    lab.write("found/car_02.txt", "00000002 230 200 0.5\n");
    lab.write("found/notes.md", "mine");
    let command = "eval vedai --annotations vedai/annotation1024.csv --detections found";
    let report =
        lab.kestrel(&format!("{command} --class 1 --json --report report.html")).expect_code(0).json();
    assert_close(&report, "/mean_ap", 0.75);
    assert_close(&report, "/folds/0/ap", 0.5);
    assert_close(&report, "/mean_recall_at_fppi/3", 1.0);
    assert!(lab.read("report.html").contains("recall at 0.1 FPPI"));
    assert!(lab.kestrel(command).expect_code(0).stdout.contains("AP, mean of the folds"));
    lab.write("found/car_02.txt", "00000001 230 200 0.5\n");
    lab.kestrel(command).expect_code(1).says(&["image 00000001 in fold 2, which may have trained on it"]);
    lab.write("found/other_01.txt", "00000001 230 200 0.5\n");
    lab.kestrel(command).expect_code(1).says(&["expected one file for fold 1"]);
}

#[test]
fn the_development_kit_of_vedai() {
    let Some(vedai) = shared_data("vedai") else { return };
    let vedai = vedai.display();
    let command = format!(
        "eval vedai --annotations {vedai}/annotation1024.csv --detections {vedai}/devkit_detections --class 1 --json"
    );
    let report = Lab::new().kestrel(&command).expect_code(0).json();
    assert_close(&report, "/mean_ap", 0.555_376_290_4);
    assert_close(&report, "/mean_recall_at_fppi/1", 0.245_022_756_6);
    assert_eq!(report["folds"].as_array().map(Vec::len), Some(10));
}
