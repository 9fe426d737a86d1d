//! Replays the corpora on stable, and mutates them a little: what `cargo fuzz` does for hours, in seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rgpu_fuzz_targets::{TARGETS, Target};

/// Mutations tried for a target.
fn cases(name: &str) -> u32 {
    match name {
        // Compiling takes milliseconds, and `rgpu-softgpu-jit` has mutation tests of its own.
        "ptx_compile" => 200,
        _ => 3000,
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(name);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds
}

/// One change to an input.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Word(Index, u32),
    Splice(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (index(), proptest::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Edit::Remove(from, to)),
        (
            index(),
            prop_oneof![
                Just(0),
                Just(1),
                Just(0x7fff_ffff),
                Just(u32::MAX),
                any::<u32>()
            ]
        )
            .prop_map(|(at, word)| Edit::Word(at, word)),
        (index(), index()).prop_map(|(seed, at)| Edit::Splice(seed, at)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit, seeds: &[(PathBuf, Vec<u8>)]) {
    let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
    match edit {
        Edit::Flip(at, mask) if !bytes.is_empty() => *at.get_mut(bytes) ^= mask,
        Edit::Set(at, byte) if !bytes.is_empty() => *at.get_mut(bytes) = *byte,
        Edit::Flip(..) | Edit::Set(..) => {}
        Edit::Insert(at, new) => {
            let at = place(at, bytes);
            bytes.splice(at..at, new.iter().copied());
        }
        Edit::Remove(from, to) => {
            let (from, to) = (place(from, bytes), place(to, bytes));
            bytes.drain(from.min(to)..from.max(to));
        }
        Edit::Word(at, word) => {
            let at = place(at, bytes);
            let end = (at + 4).min(bytes.len());
            bytes.splice(at..end, word.to_le_bytes());
        }
        Edit::Splice(seed, at) => {
            let at = place(at, bytes);
            bytes.truncate(at);
            bytes.extend_from_slice(&seed.get(seeds).1);
        }
    }
}

fn mutate(name: &str, target: Target) {
    let seeds = corpus(name);
    let input = (any::<Index>(), proptest::collection::vec(edit(), 1..6));
    let config = Config {
        cases: cases(name),
        failure_persistence: None,
        ..Config::default()
    };
    let test = |(seed, edits): (Index, Vec<Edit>)| {
        let mut bytes = seed.get(&seeds).1.clone();
        for edit in &edits {
            apply(&mut bytes, edit, &seeds);
        }
        std::panic::catch_unwind(|| target(&bytes))
            .map_err(|_| TestCaseError::fail(format!("{name} fails on {}", escaped(&bytes))))
    };
    let start = Instant::now();
    let mut tried = 0_u64;
    loop {
        // One that has succeeded would not try again.
        if let Err(failure) = TestRunner::new(config.clone()).run(&input, test) {
            panic!("{failure}");
        }
        tried += u64::from(cases(name));
        if start.elapsed() >= patience() {
            break;
        }
    }
    println!("{name}: {tried} mutations in {:.1?}", start.elapsed());
}

/// How long to go on trying mutations; without the setting, as many as `cases` says are tried once.
fn patience() -> Duration {
    std::env::var("RGPU_FUZZ_SECONDS").map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds.parse().expect("RGPU_FUZZ_SECONDS is a number"))
    })
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn replay(name: &str, target: Target) {
    for (path, bytes) in corpus(name) {
        println!("{}", path.display());
        target(&bytes);
    }
}

fn target(name: &str) -> Target {
    TARGETS.iter().find(|(of, _)| *of == name).unwrap().1
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(mod $name {
            #[test]
            fn corpus_is_fine() {
                super::replay(stringify!($name), super::target(stringify!($name)));
            }

            #[test]
            fn mutated_corpus_is_fine() {
                super::mutate(stringify!($name), super::target(stringify!($name)));
            }
        })*

        #[test]
        fn every_target_is_here() {
            let here = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|(name, _)| *name).eq(here));
        }
    };
}

targets!(
    frame_decode,
    hello,
    call_body,
    session_ops,
    url,
    fatbin,
    ptx_parse,
    ptx_compile,
    function_yaml
);

/// A target that cannot fail would prove nothing.
#[test]
fn a_broken_promise_is_found() {
    let broken: Target = |data| assert!(data.starts_with(b"rGPU"));
    assert!(std::panic::catch_unwind(|| mutate("hello", broken)).is_err());
}

/// `cargo fuzz` finds a target only where it has a file and an entry of its own.
#[test]
fn cargo_fuzz_knows_every_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            source.contains(&format!("rgpu_fuzz_targets::{name}(data)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
