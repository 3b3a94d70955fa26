//! Help, completions, exit codes, and what standard output can do to us.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::common::{KESTREL, Lab, SEQUENCE};

#[test]
fn every_command_explains_itself() {
    let lab = Lab::new();
    for (command, word) in [
        ("", "Exit codes"),
        ("demo", "--frames"),
        ("run", "KITTI sequence"),
        ("run", "--follow-at"),
        ("run", "--detect-every"),
        ("demo", "--no-detector"),
        ("detect", "detections.json"),
        ("replay", "--out"),
        ("eval", "odometry"),
        ("eval odometry", "--align"),
        ("eval peers", "--gt"),
        ("eval tracking", "--protocol"),
        ("eval detection", "Detections on labelled images"),
        ("eval vedai", "annotation1024.csv"),
        ("eval depth", "kitti-object"),
        ("depth", "16-bit"),
        ("pose", "kestrel.pose"),
        ("doctor", "verdict"),
        ("data", "check"),
        ("data check", "List what is wrong"),
        ("model", "quantize"),
        ("model run", "little-endian"),
        ("model inspect", "--kernel"),
        ("model quantize", "percentile"),
        ("model compare", "--images"),
        ("track", "x,y,w,h"),
        #[cfg(feature = "train")]
        ("train", "detector"),
        #[cfg(feature = "train")]
        ("train detector", "--hold-out"),
        #[cfg(feature = "train")]
        ("train vo", "--recipe"),
        ("world", "--motion"),
        ("completions", "zsh"),
    ] {
        let help = lab.kestrel(&format!("{command} --help")).expect_code(0).stdout;
        assert!(help.contains(format!("Usage: kestrel {command}").trim_end()), "{help}");
        assert!(help.contains(word), "`{word}` is not in: {help}");
    }
    assert!(lab.kestrel("--version").expect_code(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Lab::new().kestrel(&format!("completions {shell}")).expect_code(0).stdout;
        for word in ["kestrel", "run", "replay", "odometry", "max-frames", "detect-every"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn exit_codes_are_those_of_the_help_text() {
    let lab = Lab::with_world();
    lab.write(&format!("{SEQUENCE}/image_0/000003.png"), "no picture");
    for (arguments, code) in [
        ("--version".to_owned(), 0),
        ("run nowhere --out out".to_owned(), 1),
        (String::new(), 2),
        ("fly".to_owned(), 2),
        ("run nowhere".to_owned(), 2),
        (format!("run {SEQUENCE} --out out"), 3),
    ] {
        lab.kestrel(&arguments).expect_code(code);
    }
}

#[test]
fn a_reader_may_close_the_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = completions(writer.into());
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
#[cfg(target_os = "linux")]
fn an_answer_that_does_not_arrive_is_an_error() {
    let output = completions(File::create("/dev/full").unwrap().into());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("can't write to standard output: No space left")
    );
}

fn completions(stdout: Stdio) -> std::process::Output {
    let command =
        Command::new(KESTREL).args(["completions", "bash"]).stdout(stdout).stderr(Stdio::piped()).spawn();
    command.unwrap().wait_with_output().unwrap()
}
