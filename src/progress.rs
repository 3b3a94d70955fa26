//! How far along: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::logging::say;

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of something that counts frames.
pub(crate) struct FrameProgress {
    /// What is counted.
    unit: &'static str,
    bar: Option<ProgressBar>,
    total: Option<u64>,
    last_line: Instant,
}

impl FrameProgress {
    /// Progress towards `total` frames, where that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        Self { unit: "frame", bar, total, last_line: Instant::now() }
    }

    /// The same of something else than frames.
    #[cfg(feature = "train")]
    pub(crate) fn counting(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// `done` frames are done; `note` says how it goes.
    pub(crate) fn update(&mut self, done: u64, note: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(note());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let total = self.total.map_or_else(String::new, |total| format!("/{total}"));
            say(&format!("{} {done}{total} {}", self.unit, note()));
        }
    }

    /// Says a line of its own.
    #[cfg(feature = "train")]
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {pos}/{len} {msg} {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {pos} {msg} {elapsed}"),
    };
    // The templates are constant: the default style is there for the type, not for a case.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
