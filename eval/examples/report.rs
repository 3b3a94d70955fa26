//! Measures estimates against ground truth and writes the page:
//! `cargo run -p kestrel-eval --example report -- GROUND_TRUTH OUT.html ESTIMATE...`

use std::path::Path;

use kestrel_eval::{Alignment, EvalError, OdometryProtocol, Report, evaluate_files, read_trajectory};

fn main() -> Result<(), EvalError> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [ground_truth_path, out, estimates @ ..] = paths.as_slice() else {
        return Err(EvalError::Protocol {
            expected: "GROUND_TRUTH OUT.html ESTIMATE...",
            found: paths.join(" "),
        });
    };
    let ground_truth = read_trajectory(ground_truth_path)?;
    let mut report = Report::new("Odometry").subtitle(format!("against {ground_truth_path}"));
    for path in estimates {
        let estimate = read_trajectory(path)?;
        let measured =
            evaluate_files(&ground_truth, &estimate, &OdometryProtocol::aligned_by(Alignment::Sim3))?;
        let name = Path::new(path).file_stem().map_or(path.into(), |stem| stem.to_string_lossy());
        report = report.odometry(name, measured);
    }
    report.write(out)
}
