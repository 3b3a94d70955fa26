//! How a training went, step by step, in a file.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::commands::replace_file;

/// What every step has behind its losses; figures of validations stand behind that.
const COLUMNS: [&str; 3] = ["learning_rate", "seconds", "waited_seconds"];

/// What a step came to.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Row {
    /// Its number, from 1 on.
    pub(in crate::commands) step: usize,
    /// Before it, one for each name that the curves were opened with.
    pub(in crate::commands) losses: Vec<f32>,
    /// How far it went.
    pub(in crate::commands) learning_rate: f64,
    /// How long it took without validation.
    pub(in crate::commands) time: Duration,
    /// For how much of that there was no batch.
    pub(in crate::commands) waited: Duration,
    /// What was measured after it; empty where nothing was.
    pub(in crate::commands) figures: Vec<Option<f64>>,
}

/// A row for each step.
pub(in crate::commands) struct Curves {
    file: File,
    figures: usize,
}

impl Curves {
    /// Goes on behind step `step`: a training that was cut off has written further than its checkpoint. `losses` names
    /// those of a step, `figures` those of a validation.
    pub(in crate::commands) fn open(
        path: &Path,
        step: usize,
        losses: &[&str],
        figures: &[String],
    ) -> anyhow::Result<Self> {
        let broken = || format!("can't write {}", path.display());
        let names = figures.iter().map(|name| name.replace([',', '"', '\n'], "_"));
        let of_step = ["step"].iter().chain(losses).chain(&COLUMNS).map(|&name| name.to_owned());
        let header = of_step.chain(names).collect::<Vec<_>>().join(",");
        let before = if step == 0 { String::new() } else { fs::read_to_string(path).with_context(broken)? };
        let mut rows = before.lines();
        let found = rows.next().unwrap_or(&header);
        ensure!(found == header, "{}: expected the columns {header}, found {found}", path.display());
        let text: String =
            [&*header].into_iter().chain(rows.take(step)).flat_map(|row| [row, "\n"]).collect();
        replace_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).with_context(broken)?;
        Ok(Self { file, figures: figures.len() })
    }

    /// Adds a step.
    pub(in crate::commands) fn write(&mut self, row: &Row) -> anyhow::Result<()> {
        let Row { step, losses, learning_rate, time, waited, figures } = row;
        let [time, waited] = [time, waited].map(Duration::as_secs_f64);
        let figure = |index: usize| match figures.get(index).copied().flatten() {
            Some(figure) => format!(",{figure}"),
            None => ",".to_owned(),
        };
        let figures: String = (0..self.figures).map(figure).collect();
        let losses: String = losses.iter().map(|loss| format!("{loss},")).collect();
        let line = format!("{step},{losses}{learning_rate},{time:.4},{waited:.4}{figures}\n");
        self.file.write_all(line.as_bytes()).context("can't write the curves")
    }
}

/// What the file of the curves holds, by columns.
pub(in crate::commands) struct Table {
    names: Vec<String>,
    /// A value for each name; NaN where there is none.
    rows: Vec<Vec<f64>>,
}

impl Table {
    /// Reads what [`Curves`] has written.
    pub(in crate::commands) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        let row = |line: &str| line.split(',').map(|value| value.parse().unwrap_or(f64::NAN)).collect();
        Ok(Self { names, rows: lines.map(row).collect() })
    }

    /// Names of the columns.
    pub(in crate::commands) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many steps there are.
    pub(in crate::commands) fn steps(&self) -> usize {
        self.rows.len()
    }

    /// A column's values over the steps that have one.
    pub(in crate::commands) fn column(&self, name: &str) -> Vec<(f64, f64)> {
        let Some(index) = self.names.iter().position(|known| known == name) else { return Vec::new() };
        let point = |row: &Vec<f64>| Some((*row.first()?, *row.get(index)?));
        self.rows.iter().filter_map(point).filter(|(_, value)| value.is_finite()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: usize, figures: Vec<Option<f64>>) -> Row {
        let losses = vec![0.5, 0.25];
        let (time, waited) = (Duration::from_millis(1500), Duration::ZERO);
        Row { step, losses, learning_rate: 0.001, time, waited, figures }
    }

    #[test]
    fn rows_behind_the_checkpoint_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.csv");
        let losses = ["class_loss", "box_loss"];
        let names = ["ap50".to_owned(), "ap a,b".to_owned()];
        let mut curves = Curves::open(&path, 0, &losses, &names).unwrap();
        for (step, figures) in [(1, vec![]), (2, vec![Some(0.5), None]), (3, vec![])] {
            curves.write(&row(step, figures)).unwrap();
        }
        Curves::open(&path, 2, &losses, &names).unwrap().write(&row(3, vec![Some(1.0), Some(0.5)])).unwrap();
        let expected = "step,class_loss,box_loss,learning_rate,seconds,waited_seconds,ap50,ap a_b\n\
                        1,0.5,0.25,0.001,1.5000,0.0000,,\n\
                        2,0.5,0.25,0.001,1.5000,0.0000,0.5,\n\
                        3,0.5,0.25,0.001,1.5000,0.0000,1,0.5\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        let table = Table::read(&path).unwrap();
        assert_eq!((table.steps(), table.names().len()), (3, 8));
        assert_eq!(table.column("ap50"), [(2.0, 0.5), (3.0, 1.0)]);
        assert_eq!((table.column("class_loss").len(), table.column("unknown").len()), (3, 0));
        let other = Curves::open(&path, 2, &losses, &names[..1]).map(drop).unwrap_err().to_string();
        assert!(other.contains("expected the columns"), "{other}");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "nothing is lost");
    }
}
