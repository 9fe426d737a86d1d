//! The run instructions in a file test's comments; `filetests/README.md` describes them.

use half::{bf16, f16};

use crate::support::Shape;

/// A list of values: its element type, its bytes, and how exactly they are compared.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pub(crate) ty: String,
    pub(crate) bytes: Vec<u8>,
    /// Largest relative (or, near zero, absolute) error.
    pub(crate) tolerance: Option<f64>,
}

/// A kernel parameter.
#[derive(Debug, Clone)]
pub(crate) enum Param {
    /// Pointer to a buffer with these contents, and what it must hold afterwards.
    Buffer {
        before: Values,
        after: Option<Values>,
    },
    /// The value itself.
    Value(Values),
}

/// One launch and what must come of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) line: usize,
    pub(crate) kernel: Option<String>,
    pub(crate) shape: Shape,
    pub(crate) params: Vec<Param>,
    pub(crate) trap: Option<String>,
    pub(crate) refuse: Option<String>,
    pub(crate) prints: Option<String>,
}

/// Reads the `//@` lines.
pub(crate) fn parse(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(rest) = line.trim().strip_prefix("//@") else {
            continue;
        };
        let (word, rest) = rest
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| (rest.trim(), ""));
        if word == "run" {
            runs.push(run(number + 1, rest));
            continue;
        }
        let run = runs
            .last_mut()
            .unwrap_or_else(|| panic!("line {}: no run yet", number + 1));
        instruction(run, word, rest, number + 1);
    }
    runs
}

fn instruction(run: &mut Run, word: &str, rest: &str, line: usize) {
    match word {
        "in" => run.params.push(Param::Buffer {
            before: values(rest),
            after: None,
        }),
        "out" => {
            let after = values(rest);
            let zeros = vec![0; after.bytes.len()];
            let before = Values {
                bytes: zeros,
                ..after.clone()
            };
            run.params.push(Param::Buffer {
                before,
                after: Some(after),
            });
        }
        "inout" => {
            let (before, after) = rest.split_once("=>").expect("inout BEFORE => AFTER");
            let before = values(before);
            let after = values(&format!("{} {after}", before.ty));
            run.params.push(Param::Buffer {
                before,
                after: Some(after),
            });
        }
        "next" => {
            let Some(Param::Buffer {
                before,
                after: Some(after),
            }) = run.params.last_mut()
            else {
                panic!("line {line}: `next` goes on with an `out`");
            };
            let more = values(&format!("{} {rest}", after.ty));
            before
                .bytes
                .resize(before.bytes.len() + more.bytes.len(), 0);
            after.bytes.extend(more.bytes);
        }
        "value" => run.params.push(Param::Value(values(rest))),
        "trap" => run.trap = Some(rest.trim().to_owned()),
        "refuse" => run.refuse = Some(rest.trim().to_owned()),
        "prints" => {
            let text = rest.trim().replace("\\n", "\n");
            run.prints.get_or_insert_default().push_str(&text);
        }
        other => panic!("line {line}: unknown instruction {other}"),
    }
}

fn run(line: usize, rest: &str) -> Run {
    let mut run = Run {
        line,
        shape: Shape {
            grid: [1; 3],
            block: [1; 3],
            ..Shape::default()
        },
        ..Run::default()
    };
    for setting in rest.split_whitespace() {
        let (key, value) = setting.split_once('=').expect("KEY=VALUE");
        match key {
            "kernel" => run.kernel = Some(value.to_owned()),
            "grid" => run.shape.grid = extent(value),
            "block" => run.shape.block = extent(value),
            "shared" => run.shape.shared = value.parse().unwrap(),
            "cooperative" => run.shape.cooperative = value == "1",
            other => panic!("line {line}: unknown setting {other}"),
        }
    }
    run
}

fn extent(text: &str) -> [u32; 3] {
    let mut extent = [1; 3];
    for (slot, part) in extent.iter_mut().zip(text.split(',')) {
        *slot = part.parse().unwrap();
    }
    extent
}

/// `TYPE [~TOLERANCE] VALUE…`; `VALUE*COUNT` repeats, `FIRST..END` counts up.
fn values(text: &str) -> Values {
    let mut words = text.split_whitespace().peekable();
    let ty = words.next().expect("a type").to_owned();
    let tolerance = words
        .next_if(|word| word.starts_with('~'))
        .map(|word| word[1..].parse().expect("a tolerance"));
    let mut bytes = Vec::new();
    for word in words {
        if let Some((first, end)) = word.split_once("..") {
            let (first, end): (i64, i64) = (first.parse().unwrap(), end.parse().unwrap());
            (first..end).for_each(|value| bytes.extend(encode(&ty, &value.to_string())));
        } else if let Some((value, count)) = word.split_once('*') {
            let value = encode(&ty, value);
            (0..count.parse::<usize>().unwrap()).for_each(|_| bytes.extend(&value));
        } else {
            bytes.extend(encode(&ty, word));
        }
    }
    Values {
        ty,
        bytes,
        tolerance,
    }
}

/// Bytes of an element type.
pub(crate) fn width(ty: &str) -> usize {
    let digits: String = ty.chars().filter(char::is_ascii_digit).collect();
    match ty {
        "bf16" => 2,
        _ => digits.parse::<usize>().unwrap() / 8,
    }
}

fn encode(ty: &str, word: &str) -> Vec<u8> {
    let width = width(ty);
    if let Some(hex) = word.strip_prefix("0x") {
        let bits = u64::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("bad number {word}"));
        return bits.to_le_bytes()[..width].to_vec();
    }
    let float = || {
        word.parse::<f64>()
            .unwrap_or_else(|_| panic!("bad number {word}"))
    };
    match ty {
        "f32" => word.parse::<f32>().unwrap().to_le_bytes().to_vec(),
        "f64" => float().to_le_bytes().to_vec(),
        "f16" => f16::from_f64(float()).to_le_bytes().to_vec(),
        "bf16" => bf16::from_f64(float()).to_le_bytes().to_vec(),
        _ => {
            let value: i128 = word.parse().unwrap_or_else(|_| panic!("bad number {word}"));
            value.to_le_bytes()[..width].to_vec()
        }
    }
}

/// An element as a float, if its type is one.
fn decode_float(ty: &str, bytes: &[u8]) -> Option<f64> {
    Some(match ty {
        "f32" => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
        "f64" => f64::from_le_bytes(bytes.try_into().unwrap()),
        "f16" => f64::from(f16::from_le_bytes(bytes.try_into().unwrap())),
        "bf16" => f64::from(bf16::from_le_bytes(bytes.try_into().unwrap())),
        _ => return None,
    })
}

/// What differs between a buffer and what it should hold.
pub(crate) fn differences(expected: &Values, got: &[u8]) -> Vec<String> {
    let width = width(&expected.ty);
    let mut found = Vec::new();
    for (at, (want, have)) in expected
        .bytes
        .chunks(width)
        .zip(got.chunks(width))
        .enumerate()
    {
        if !equal(expected, want, have) {
            found.push(format!(
                "[{at}]: expected {}, got {}",
                show(&expected.ty, want),
                show(&expected.ty, have)
            ));
        }
    }
    found
}

fn equal(expected: &Values, want: &[u8], have: &[u8]) -> bool {
    let floats = (
        decode_float(&expected.ty, want),
        decode_float(&expected.ty, have),
    );
    let (Some(want_float), Some(have_float)) = floats else {
        return want == have;
    };
    if want_float.is_nan() || have_float.is_nan() {
        return want_float.is_nan() && have_float.is_nan();
    }
    match expected.tolerance {
        Some(tolerance) if want_float.is_finite() && have_float.is_finite() => {
            let error = (want_float - have_float).abs();
            error <= tolerance * want_float.abs().max(1e-30) || error <= tolerance * 1e-30
        }
        _ => want == have,
    }
}

fn show(ty: &str, bytes: &[u8]) -> String {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(word);
    match decode_float(ty, bytes) {
        Some(float) => format!("{float} ({bits:#x})"),
        None if ty.starts_with('s') => {
            let shift = 64 - 8 * bytes.len();
            format!("{} ({bits:#x})", (bits << shift).cast_signed() >> shift)
        }
        None => format!("{bits} ({bits:#x})"),
    }
}
