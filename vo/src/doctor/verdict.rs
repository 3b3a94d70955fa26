//! From what was found to what to do.

use std::fmt;

use serde::Serialize;

use super::findings::Diagnosis;

/// Fewer usable frames are no beginning.
const LEAST_FRAMES: usize = 30;
/// Fewer usable frames are few: good for one of several videos.
const FEW_FRAMES: usize = 300;
/// A smaller share of usable frames is worth a word, and shares of what is wrong above the other one.
const MOST: f64 = 0.6;
const SOME: f64 = 0.15;
/// A share of flat views above which little depth is learnt.
const FLAT: f64 = 0.4;
/// Images narrower or lower than networks see them; and such that nothing can be seen in.
const SMALL: [usize; 2] = [416, 128];
const TINY: usize = 64;
/// Slower is too slow for what moves in front of a camera.
const SLOW_HZ: f64 = 5.0;
/// Rows that shake by more than this share of the image's width are bent.
const WOBBLE: f64 = 0.0004;
/// Events above this many in a hundred frames are many.
const MANY_PERCENT: usize = 5;

/// Whether to learn from a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Yes.
    Good,
    /// Parts of it, or with less success; the reasons say.
    Fair,
    /// No.
    #[default]
    Unusable,
}

/// Its name.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Unusable => "unusable",
        })
    }
}

/// The worst of all judgements, and what was to be said, the worst first.
pub(super) fn judge(of: &Diagnosis) -> (Verdict, Vec<String>) {
    let judgements = [amount(of), frames(of), images(of), motion(of), scene(of)];
    let mut said: Vec<(Verdict, String)> = judgements.into_iter().flatten().collect();
    said.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    let verdict = said.first().map_or(Verdict::Good, |(verdict, _)| *verdict);
    if said.is_empty() {
        said.push((
            verdict,
            "the camera moves, frames are sharp and follow one another, the scene has depth".to_owned(),
        ));
    }
    (verdict, said.into_iter().map(|(_, reason)| reason).collect())
}

type Judgements = Vec<(Verdict, String)>;

/// How much there is to learn from.
fn amount(of: &Diagnosis) -> Judgements {
    let usable = (of.usable_share * of.frames as f64).round() as usize;
    let targets: usize = of.usable_snippets.iter().map(|snippet| snippet.targets()).sum();
    let mut said = Judgements::new();
    if of.frames < 3 {
        said.push((
            Verdict::Unusable,
            format!("{} frames: learning takes three that follow one another", of.frames),
        ));
    } else if usable < LEAST_FRAMES {
        said.push((
            Verdict::Unusable,
            format!("{usable} of {} frames can be learnt from; that is too little to begin with", of.frames),
        ));
    } else if usable < FEW_FRAMES {
        said.push((
            Verdict::Fair,
            format!("{usable} usable frames, {targets} of them with neighbours on both sides: too few to learn from alone"),
        ));
    }
    if usable >= LEAST_FRAMES && of.usable_share < MOST {
        said.push((Verdict::Fair, format!("{} of the frames can be learnt from", percent(of.usable_share))));
    }
    said
}

/// Whether frames follow one another.
fn frames(of: &Diagnosis) -> Judgements {
    let mut said = Judgements::new();
    if of.unreadable_frames > 0 {
        let sizes =
            if of.odd_sizes > 0 { format!(", {} of another size", of.odd_sizes) } else { String::new() };
        said.push((
            grade(of, of.unreadable_frames),
            format!("{} frames can't be read{sizes}", of.unreadable_frames),
        ));
    }
    for (count, what) in [
        (of.gaps, "frames are missing"),
        (of.cuts, "one frame shows another scene than the one before"),
        (of.exposure_jumps, "the brightness jumps"),
    ] {
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        if count > 0 {
            said.push((grade(of, count), format!("{what} {times}; snippets end there")));
        }
    }
    if of.repeated_share > SOME {
        let reason = format!(
            "{} of the frames repeat the one before: the film was made from fewer",
            percent(of.repeated_share)
        );
        said.push((Verdict::Fair, reason));
    }
    if let Some(rate) = of.frame_rate_hz.filter(|rate| *rate < SLOW_HZ) {
        said.push((Verdict::Fair, format!("{rate:.1} frames a second: much changes between frames")));
    }
    said
}

/// Now and then is no matter.
fn grade(of: &Diagnosis, count: usize) -> Verdict {
    if count * 100 > MANY_PERCENT * of.frames { Verdict::Fair } else { Verdict::Good }
}

/// Whether images are any good.
fn images(of: &Diagnosis) -> Judgements {
    let mut said = Judgements::new();
    let [width, height] = of.size;
    if of.frames > of.unreadable_frames && width.min(height) < TINY {
        said.push((Verdict::Unusable, format!("{width}x{height} pixels: too small to see depth in")));
    } else if of.frames > of.unreadable_frames && (width < SMALL[0] || height < SMALL[1]) {
        let reason =
            format!("{width}x{height} pixels: less than the {}x{} that networks see", SMALL[0], SMALL[1]);
        said.push((Verdict::Fair, reason));
    }
    if of.blurred_share > SOME {
        let width = of
            .edge_width_px
            .map_or_else(String::new, |px| format!(" (the median edge is {px:.1} pixels wide)"));
        let reason =
            format!("{} of the frames are blurred or show no edges{width}", percent(of.blurred_share));
        said.push((Verdict::Fair, reason));
    }
    if let Some(wobble) = of.row_wobble_px.filter(|wobble| *wobble > WOBBLE * width as f64) {
        let reason = format!(
            "rows shake against each other by {wobble:.2} pixels: a rolling shutter on a shaking mount"
        );
        said.push((Verdict::Fair, reason));
    }
    if of.has_bars {
        said.push((
            Verdict::Good,
            "black bars beside the picture; the suggested crop leaves them out".to_owned(),
        ));
    }
    said
}

/// Whether the camera moves.
fn motion(of: &Diagnosis) -> Judgements {
    let mut said = Judgements::new();
    for (share, what) in [
        (of.static_share, "the camera stands"),
        (of.turning_share, "the camera turns, and moves too little to tell depth"),
    ] {
        if share > SOME {
            said.push((Verdict::Fair, format!("in {} of the frames {what}", percent(share))));
        }
    }
    said
}

/// Whether there is depth to be seen.
fn scene(of: &Diagnosis) -> Judgements {
    let Some(share) = of.planar_share.filter(|share| *share > FLAT) else { return Judgements::new() };
    let reason = format!(
        "{} of the views show a plane and hardly anything else: there is little depth to learn",
        percent(share)
    );
    vec![(Verdict::Fair, reason)]
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::super::Snippet;
    use super::*;

    fn healthy() -> Diagnosis {
        Diagnosis {
            frames: 1000,
            usable_share: 0.98,
            usable_snippets: vec![Snippet { first: 0, last: 979, step: 2 }],
            size: [1280, 720],
            frame_rate_hz: Some(30.0),
            moving_share: 1.0,
            planar_share: Some(0.1),
            edge_width_px: Some(2.5),
            ..Diagnosis::default()
        }
    }

    #[track_caller]
    fn assert_judged(of: &Diagnosis, verdict: Verdict, says: &str) {
        let (found, reasons) = judge(of);
        assert!(
            found == verdict && reasons.iter().any(|reason| reason.contains(says)),
            "{found}: {reasons:?}"
        );
    }

    #[test]
    fn each_fault_has_its_word() {
        let of = healthy;
        assert_judged(&of(), Verdict::Good, "the camera moves");
        assert_judged(&Diagnosis { frames: 2, ..of() }, Verdict::Unusable, "2 frames");
        assert_judged(&Diagnosis { usable_share: 0.0, ..of() }, Verdict::Unusable, "0 of 1000 frames");
        assert_judged(&Diagnosis { usable_share: 0.2, ..of() }, Verdict::Fair, "too few to learn from alone");
        assert_judged(&Diagnosis { usable_share: 0.5, ..of() }, Verdict::Fair, "50 % of the frames can be");
        assert_judged(
            &Diagnosis { unreadable_frames: 2, odd_sizes: 1, ..of() },
            Verdict::Good,
            "1 of another size",
        );
        assert_judged(
            &Diagnosis { exposure_jumps: 80, ..of() },
            Verdict::Fair,
            "the brightness jumps 80 times",
        );
        assert_judged(&Diagnosis { size: [40, 30], ..of() }, Verdict::Unusable, "too small");
        assert_judged(&Diagnosis { size: [320, 240], ..of() }, Verdict::Fair, "416x128");
        assert_judged(
            &Diagnosis { blurred_share: 0.4, ..of() },
            Verdict::Fair,
            "40 % of the frames are blurred",
        );
        assert_judged(&Diagnosis { row_wobble_px: Some(1.0), ..of() }, Verdict::Fair, "rolling shutter");
        assert_judged(&Diagnosis { static_share: 0.3, ..of() }, Verdict::Fair, "the camera stands");
        assert_judged(&Diagnosis { turning_share: 0.3, ..of() }, Verdict::Fair, "the camera turns");
        assert_judged(&Diagnosis { planar_share: Some(0.9), ..of() }, Verdict::Fair, "show a plane");
        assert_judged(&Diagnosis { repeated_share: 0.5, ..of() }, Verdict::Fair, "repeat the one before");
        assert_judged(&Diagnosis { frame_rate_hz: Some(2.0), ..of() }, Verdict::Fair, "2.0 frames a second");
    }

    #[test]
    fn the_worst_comes_first() {
        let (verdict, reasons) =
            judge(&Diagnosis { usable_share: 0.01, has_bars: true, static_share: 0.9, ..healthy() });
        assert_eq!(verdict, Verdict::Unusable);
        assert!(reasons[0].starts_with("10 of 1000") && reasons[2].contains("bars"), "{reasons:?}");
    }
}
