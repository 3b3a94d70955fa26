//! Errors of depth as numpy computes them on made-up cases.

use std::path::Path;

use geometry::DepthImage;
use kestrel_eval::EvalError;
use kestrel_eval::depth::{DepthCrop, DepthPairs, DepthProtocol, DepthReport, DepthScaling};
use serde_json::Value;

/// A case that `data/depth/make_cases.py` wrote.
struct Case(Value);

impl Case {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/depth/{name}.json"));
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default())
    }

    fn number(&self, path: &str) -> f64 {
        self.0.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    fn images(&self, key: &str) -> Vec<DepthImage> {
        let (width, height) = (self.number("/width") as usize, self.number("/height") as usize);
        let value = |value: &Value| value.as_f64().unwrap_or(f64::NAN) as f32;
        let image = |values: &Value| {
            let values = values.as_array().into_iter().flatten().map(value).collect();
            DepthImage::from_vec(width, height, values).ok()
        };
        self.0[key].as_array().into_iter().flatten().filter_map(image).collect()
    }

    fn protocol(&self) -> DepthProtocol {
        let crop = match self.0["crop"].as_str() {
            Some("garg") => DepthCrop::Garg,
            Some("eigen") => DepthCrop::Eigen,
            _ => DepthCrop::None,
        };
        DepthProtocol { crop, min_m: self.number("/min_m"), max_m: self.number("/max_m") }
    }

    fn measure(&self) -> Result<DepthReport, EvalError> {
        let (truth, predicted, protocol) = (self.images("truth"), self.images("predicted"), self.protocol());
        let names: Vec<String> = (0..truth.len()).map(|index| index.to_string()).collect();
        DepthReport::measure(&names, &protocol, |index| {
            DepthPairs::new(&truth[index], &predicted[index], &protocol)
        })
    }
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{what}: {found} instead of {expected}"
    );
}

#[test]
fn every_scaling_crop_and_range_agrees_with_numpy() {
    for name in ["dense", "laser_garg", "eigen_50m"] {
        let case = Case::read(name);
        let report = case.measure().unwrap();
        for (scaling, key) in DepthScaling::ALL.into_iter().zip(["image", "sequence", "none"]) {
            for (index, found) in report.errors.by(scaling).values().into_iter().enumerate() {
                let path = format!("/errors/{key}/{index}");
                assert_close(&format!("{name}{path}"), found, case.number(&path));
            }
        }
        assert_eq!(report.pixels as f64, case.number("/pixels"), "{name}");
        assert_close(name, report.ratio, case.number("/ratio"));
        assert_close(name, report.ratio_spread, case.number("/ratio_spread"));
    }
}

#[test]
fn another_crop_or_cap_is_another_figure() {
    let mut case = Case::read("laser_garg");
    let cropped = case.measure().unwrap().errors.image.abs_rel;
    case.0["crop"] = "eigen".into();
    let otherwise = case.measure().unwrap().errors.image.abs_rel;
    assert!((cropped - otherwise).abs() > 1e-3, "{cropped} {otherwise}");
    case.0["max_m"] = 20.0.into();
    assert!((case.measure().unwrap().errors.image.rmse - cropped).abs() > 1e-3);
}
