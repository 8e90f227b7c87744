//! Two parties call each other, without anything between them: each hears the other in every codec, and the recordings say so.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use judge::{Sound, judge};
use serde_json::Value;

/// Codec and packet time of each pair.
const PAIRS: [(&str, &str, u32); 8] = [
    ("pcmu", "20", 8000),
    ("pcma", "60", 8000),
    ("g722", "20", 16_000),
    ("g722", "30", 16_000),
    ("opus", "20", 16_000),
    ("opus", "60", 16_000),
    ("l16", "10", 8000),
    ("l16-16000", "40", 16_000),
];

/// The caller hangs up by then: both have said their first sentence.
const CALL_MS: &str = "7000";

/// A running party. Dropping it kills it.
struct Party {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    wav: PathBuf,
}

impl Party {
    fn start(folder: &Path, role: &str, pair: (&str, &str, u32), more: &[&str]) -> Party {
        let wav = folder.join(format!("{role}-{}-{}.wav", pair.0, pair.1));
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton-party"))
            .args([role, "--codec", pair.0, "--ptime", pair.1, "--limit-s", "20", "--wav"])
            .arg(&wav)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("our own program");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Party { child, lines, wav }
    }

    /// What it says next that has this name.
    fn until(&mut self, name: &str) -> Value {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("lines") > 0 {
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["event"] == name {
                return event;
            }
            line.clear();
        }
        panic!("{} never said {name}", self.wav.display());
    }

    /// Its summary, and what it heard.
    fn end(mut self) -> (Value, hound::WavSpec, Vec<i16>) {
        let summary = self.until("summary");
        assert!(self.child.wait().expect("our child").success());
        let mut reader = hound::WavReader::open(&self.wav).expect("a recording");
        let samples = reader.samples().map(|sample| sample.expect("a sample")).collect();
        (summary, reader.spec(), samples)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prompt(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("prompts/{name}.wav"));
    let mut reader = hound::WavReader::open(path).expect("a prompt");
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}

#[test]
fn each_hears_the_other_in_every_codec() {
    let folder = std::env::temp_dir().join(format!("baton-parties-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let talks: Vec<_> = PAIRS
        .map(|pair| {
            let words = [
                "--accept",
                "none",
                "--no-briefing",
                "--answer-after",
                "0",
                "--say",
                "human-hello",
            ];
            let mut human = Party::start(&folder, "human", pair, &words);
            let at = format!("127.0.0.1:{}", human.until("ready")["sip"]);
            let to = format!("sip:human@{at}");
            let words = [
                "--to",
                &to,
                "--via",
                &at,
                "--say",
                "caller-1",
                "--hangup-after-ms",
                CALL_MS,
            ];
            (pair, Party::start(&folder, "caller", pair, &words), human)
        })
        .into();
    for (pair, caller, human) in talks {
        for (party, says) in [(caller, "human-hello"), (human, "caller-1")] {
            let (summary, spec, heard) = party.end();
            assert_eq!((spec.channels, spec.sample_rate), (1, pair.2), "{pair:?}");
            assert_eq!(summary["codec"], pair.0);
            for count in [
                "lost",
                "timestamp_breaks",
                "restarted_clocks",
                "unexpected_type",
                "undecodable",
            ] {
                assert_eq!(summary[count], 0, "{pair:?}: {summary}");
            }
            let said = prompt(says);
            let verdict = judge(Sound::new(&said, 8000), Sound::new(&heard, pair.2));
            assert!(verdict.passes(), "{pair:?}, {says}: {verdict}");
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn what_is_not_spoken_is_refused_with_what_is() {
    for (words, told) in [(["--codec", "g729"], "opus"), (["--ptime", "50"], "40")] {
        let output = Command::new(env!("CARGO_BIN_EXE_baton-party"))
            .arg("human")
            .args(words)
            .output()
            .expect("our own program");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(told), "{error}");
    }
}
