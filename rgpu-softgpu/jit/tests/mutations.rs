//! Spoils the file tests at random: whatever the parser lets through compiles or is refused with a reason, and
//! the code generator never meets what it does not expect. `RGPU_MUTATIONS=N` tries N per file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use rgpu_softgpu_exec::abi::DEVICE_WINDOW_BASE;
use rgpu_softgpu_jit::{Error, ModuleMemory, Program};

/// Hands out addresses and stores nothing: spoilt kernels are not run.
struct Nowhere(Cell<u64>);

impl ModuleMemory for Nowhere {
    fn alloc(&self, size: u64, align: u64, _is_const: bool) -> Result<u64, String> {
        let address = self.0.get().next_multiple_of(align);
        self.0.set(address + size);
        Ok(address)
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// A small generator of numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// Pieces that stand for each other.
const PIECES: &[&str] = &[
    ".u16",
    ".s16",
    ".b16",
    ".u32",
    ".s32",
    ".b32",
    ".u64",
    ".s64",
    ".b64",
    ".f32",
    ".f64",
    ".f16",
    ".bf16",
    ".f16x2",
    ".pred",
    ".b8",
    ".u8",
    ".b128",
    ".rn",
    ".rz",
    ".rm",
    ".rp",
    ".ftz",
    ".sat",
    ".lo",
    ".hi",
    ".wide",
    ".global",
    ".shared",
    ".local",
    ".param",
    ".const",
    ".v2",
    ".v4",
    ".sync",
    ".add",
    ".min",
    ".max",
    ".and",
    ".or",
    ".xor",
    ".cas",
    ".exch",
    ".volatile",
    ".relu",
    ".cc",
    "%r1",
    "%r2",
    "%rd1",
    "%rd2",
    "%p1",
    "%f1",
    "%x0",
    "%x1",
    "%o0",
    "-1",
    "0",
    "7",
    "4096",
    "4294967296",
    "0f3F800000",
    "[%rd1]",
    "[%r1+4]",
    "{%r1, %r2}",
    "_",
];

/// Replaces one word of the text by another piece, another word, or nothing.
fn spoil(text: &str, random: &mut Random) -> String {
    let is_piece = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '_' | '$');
    let starts: Vec<usize> = text
        .char_indices()
        .filter(|(at, c)| (is_piece(*c) || *c == '.') && !text[..*at].ends_with(is_piece))
        .map(|(at, _)| at)
        .collect();
    let at = starts[random.below(starts.len())];
    let rest = &text[at + 1..];
    let end = at + 1 + rest.find(|c| !is_piece(c)).unwrap_or(rest.len());
    let other = starts[random.below(starts.len())];
    let other_end = other + 1 + text[other + 1..].find(|c| !is_piece(c)).unwrap_or(0);
    let piece = match random.below(4) {
        0 => "",
        1 => &text[other..other_end],
        _ => PIECES[random.below(PIECES.len())],
    };
    format!("{}{piece}{}", &text[..at], &text[end..])
}

/// The module of one kernel: what stands before the first kernel, and one kernel.
fn small_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.starts_with("//"))
        .map(|l| format!("{l}\n"))
        .collect();
    let starts: Vec<usize> = code
        .match_indices(".visible .entry")
        .map(|(at, _)| at)
        .collect();
    let head = &code[..starts[0]];
    let ends = starts[1..].iter().copied().chain([code.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| format!("{head}{}", &code[*start..end]))
        .collect()
}

#[test]
fn spoilt_modules_are_refused_with_a_reason() {
    let count: usize = std::env::var("RGPU_MUTATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filetests");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "ptx"));
    paths.sort();
    let mut random = Random(42);
    let (mut compiled, mut refused) = (0, 0);
    let mut unexpected = BTreeMap::new();
    for path in &paths {
        let modules = small_modules(&std::fs::read_to_string(path).unwrap());
        for _ in 0..count {
            let mut text = modules[random.below(modules.len())].clone();
            for _ in 0..=random.below(2) {
                text = spoil(&text, &mut random);
            }
            let memory = Nowhere(Cell::new(DEVICE_WINDOW_BASE));
            let Ok(program) = Program::load(&text, &memory) else {
                refused += 1;
                continue;
            };
            for kernel in program.kernels() {
                match program
                    .compile(&kernel.name)
                    .as_ref()
                    .map_err(AsRef::as_ref)
                {
                    Ok(_) => compiled += 1,
                    Err(Error::Codegen { message, .. }) => {
                        unexpected
                            .entry(message.clone())
                            .or_insert_with(|| text.clone());
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    for (message, text) in &unexpected {
        println!("=== {message}\n{text}");
    }
    assert!(
        unexpected.is_empty(),
        "{} failures of the code generator",
        unexpected.len()
    );
    assert!(
        compiled > 0 && refused > 0,
        "{compiled} compiled, {refused} refused"
    );
}
