//! Random sequences of calls, carried out by the software GPU directly and through a server: what a program can observe
//! must be the same (`bin/sequence_probe.rs` says what that is, and what CUDA leaves open).
//!
//! `regressions/*.txt` are carried out first. A sequence that differs is shrunk, and printed in the same form: put it
//! there with the mend. `SEQUENCES_SECONDS` says how long to look for new ones.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rgpu_tests::op::{self, Op};
use rgpu_tests::{Outcome, Running, Server};

/// Device memory of both.
const MEMORY: &str = "64Mi";
/// Operations of a sequence at most.
const LONGEST: usize = 60;
/// How long a sequence that differs is shrunk.
const SHRINKING: Duration = Duration::from_secs(40);

fn probe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sequence-probe"))
}

/// Both ways to carry a sequence out.
struct Ways {
    rgpu: PathBuf,
    server: Server,
}

impl Ways {
    fn new() -> Self {
        let built = rgpu_tests::built(env!("CARGO_BIN_EXE_sequence-probe"));
        Self {
            rgpu: built.join("rgpu"),
            server: Server::start(&built, "512Mi"),
        }
    }

    /// What the sequence did: directly, and through the server.
    fn outcomes(&self, ops: &[Op]) -> [Outcome; 2] {
        let mut direct = Command::new(&self.rgpu);
        direct
            .args(["local", "--memory", MEMORY, "--"])
            .arg(probe());
        let remote = self.server.command(probe(), &[]);
        [direct, remote].map(|mut command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut running = Running::start(&mut command);
            let mut input = running.child.stdin.take().expect("input");
            input.write_all(op::to_text(ops).as_bytes()).expect("input");
            drop(input);
            running.finish()
        })
    }

    /// Whether both ways agree; else the first place where they do not.
    fn agree(&self, ops: &[Op]) -> Result<(), String> {
        let [direct, remote] = self.outcomes(ops);
        for (way, outcome) in [("directly", &direct), ("through a server", &remote)] {
            if !outcome.status.success() {
                return Err(format!("it fails {way}: {outcome:?}"));
            }
        }
        difference(&direct.stdout, &remote.stdout).map_or(Ok(()), Err)
    }
}

/// The first line that differs, with the operation that it belongs to.
fn difference(direct: &str, remote: &str) -> Option<String> {
    let mut op = "";
    let mut others = remote.lines();
    for line in direct.lines() {
        let other = others.next().unwrap_or("nothing");
        if !line.starts_with(' ') {
            op = line;
        }
        if line != other {
            return Some(format!(
                "`{op}`: directly{line:?}, through a server{other:?}"
            ));
        }
    }
    others
        .next()
        .map(|more| format!("`{op}`: more through a server: {more:?}"))
}

#[test]
fn known_sequences_do_the_same_remotely() {
    let ways = Ways::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sequences/regressions");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("regressions") {
        let path = file.expect("file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let ops = op::from_text(&text).unwrap_or_else(|line| panic!("{}: {line}", path.display()));
        assert!(!ops.is_empty(), "{}", path.display());
        if let Err(difference) = ways.agree(&ops) {
            panic!("{}: {difference}", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "no regressions");
}

#[test]
#[ignore = "still finds a new difference now and then; run it with --ignored"]
fn random_sequences_do_the_same_remotely() {
    let seconds = std::env::var("SEQUENCES_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().expect("a number of seconds"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let ways = Ways::new();
    let sequences = prop::collection::vec(op::any_op(), 1..LONGEST);
    let mut runner = TestRunner::default();
    let mut count = 0;
    while count == 0 || Instant::now() < until {
        let tree = sequences.new_tree(&mut runner).expect("a sequence");
        if let Err(difference) = ways.agree(&tree.current()) {
            let (ops, difference) = shortest(&ways, tree, difference);
            panic!("{difference}\nin\n{}", op::to_text(&ops));
        }
        count += 1;
    }
    println!("{count} sequences");
}

/// The shortest sequence found in `SHRINKING` that differs, and how.
fn shortest(
    ways: &Ways,
    mut tree: impl ValueTree<Value = Vec<Op>>,
    difference: String,
) -> (Vec<Op>, String) {
    let until = Instant::now() + SHRINKING;
    let mut best = (tree.current(), difference);
    let mut more = tree.simplify();
    while more && Instant::now() < until {
        more = match ways.agree(&tree.current()) {
            Err(difference) => {
                best = (tree.current(), difference);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    best
}
