//! Kernels of one instruction: thread t computes element t. All forms of a test share a module, and each is launched
//! once over all its elements.

use std::fmt::Write as _;

use rgpu_softgpu_jit::Program;

use crate::support::{Shape, TestDevice};

/// Elements whose results may differ before a form's report stops.
const SHOWN: usize = 4;

/// Says what is wrong with the bits of a result, given those of the sources.
pub(crate) type Judge<'a> = dyn Fn(&[u64], u64) -> Result<(), String> + 'a;

/// One form: its text up to the operands, the types of its result and sources, what they are and must give.
pub(crate) struct Form<'a> {
    pub(crate) text: String,
    pub(crate) result: &'static str,
    pub(crate) sources: &'a [(&'static str, &'a [u64])],
    pub(crate) judge: Box<Judge<'a>>,
}

impl<'a> Form<'a> {
    /// A form that must give the bits that `reference` does; a NaN is any NaN of the type.
    pub(crate) fn exact(
        text: impl Into<String>,
        result: &'static str,
        sources: &'a [(&'static str, &'a [u64])],
        reference: impl Fn(&[u64]) -> u64 + 'a,
    ) -> Self {
        let judge = move |values: &[u64], got: u64| {
            let want = reference(values);
            if want == got || is_nan(result, want) && is_nan(result, got) {
                return Ok(());
            }
            Err(format!("expected {want:#x}"))
        };
        Self {
            text: text.into(),
            result,
            sources,
            judge: Box::new(judge),
        }
    }
}

/// Bytes of a type.
fn width(ty: &str) -> usize {
    let digits: String = ty.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<usize>().unwrap() / 8
}

/// The register and the memory type.
fn register(ty: &str) -> &str {
    match ty {
        "f16" | "bf16" | "u8" | "s8" => "b16",
        "tf32" => "b32",
        other => other,
    }
}

fn memory(ty: &str) -> &str {
    match ty {
        "f16" | "bf16" => "b16",
        "tf32" => "b32",
        other => other,
    }
}

fn is_nan(ty: &str, bits: u64) -> bool {
    let infinity = match ty {
        "f16" => 0x7c00,
        "bf16" => 0x7f80,
        "f32" | "tf32" => 0x7f80_0000,
        "f64" => 0x7ff0_0000_0000_0000,
        _ => return false,
    };
    let sign = 1 << (8 * width(ty) - 1);
    bits & !sign > infinity
}

fn text(at: usize, form: &Form<'_>) -> String {
    let mut text = format!(".visible .entry k{at}(.param .u64 out, .param .u32 count");
    for n in 0..form.sources.len() {
        write!(text, ", .param .u64 in{n}").unwrap();
    }
    // With a barrier, threads run together, in vectors, though such short kernels gain little from it.
    text.push_str(
        ")\n{\nbar.sync 0;\n.reg .u32 %t, %n, %b, %c; .reg .u64 %p; .reg .pred %q;\n\
         mov.u32 %t, %tid.x; mov.u32 %b, %ctaid.x; mov.u32 %c, %ntid.x; mad.lo.u32 %t, %b, %c, %t;\n\
         ld.param.u32 %n, [count]; setp.ge.u32 %q, %t, %n; @%q ret;\n",
    );
    let mut operands = String::from("%d");
    for (n, (ty, _)) in form.sources.iter().enumerate() {
        writeln!(
            text,
            ".reg .{} %s{n}; ld.param.u64 %p, [in{n}]; mad.wide.u32 %p, %t, {}, %p; ld.global.{} %s{n}, [%p];",
            register(ty),
            width(ty),
            memory(ty)
        )
        .unwrap();
        write!(operands, ", %s{n}").unwrap();
    }
    writeln!(
        text,
        ".reg .{} %d; ld.param.u64 %p, [out]; mad.wide.u32 %p, %t, {}, %p;\n{} {operands};\nst.global.{} [%p], %d;\nret;\n}}",
        register(form.result),
        width(form.result),
        form.text,
        memory(form.result)
    )
    .unwrap();
    text
}

fn pack(ty: &str, values: &[u64]) -> Vec<u8> {
    let width = width(ty);
    values
        .iter()
        .flat_map(|value| value.to_le_bytes().into_iter().take(width))
        .collect()
}

fn unpack(ty: &str, bytes: &[u8]) -> Vec<u64> {
    let whole = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(width(ty)).map(whole).collect()
}

/// Runs every form and panics with what is wrong.
pub(crate) fn check(forms: &[Form<'_>]) {
    let mut module = String::from(".version 8.8\n.target sm_100a\n.address_size 64\n");
    for (at, form) in forms.iter().enumerate() {
        module.push_str(&text(at, form));
    }
    let device = TestDevice::get();
    let program = Program::load(&module, &device).unwrap();
    let mut wrong = String::new();
    for (at, form) in forms.iter().enumerate() {
        let results = launch(&program, at, form);
        let mut bad = 0;
        let mut values = vec![0; form.sources.len()];
        for (element, got) in results.iter().enumerate() {
            for (value, (_, column)) in values.iter_mut().zip(form.sources) {
                *value = column[element];
            }
            if let Err(why) = (form.judge)(&values, *got) {
                bad += 1;
                if bad <= SHOWN {
                    writeln!(wrong, "{} {values:#x?}: {why}, got {got:#x}", form.text).unwrap();
                }
            }
        }
        if bad > SHOWN {
            writeln!(wrong, "{}: {bad} of {} are wrong", form.text, results.len()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn launch(program: &Program, at: usize, form: &Form<'_>) -> Vec<u64> {
    let device = TestDevice::get();
    let count = form.sources[0].1.len();
    let out = device.upload(&vec![0; count * width(form.result)]);
    let mut buffers = vec![out];
    let mut params = out.to_le_bytes().to_vec();
    params.extend((count as u64).to_le_bytes());
    for (ty, values) in form.sources {
        assert_eq!(values.len(), count, "{}", form.text);
        let buffer = device.upload(&pack(ty, values));
        buffers.push(buffer);
        params.extend(buffer.to_le_bytes());
    }
    let blocks = u32::try_from(count.div_ceil(256)).unwrap();
    let shape = Shape {
        grid: [blocks, 1, 1],
        block: [256, 1, 1],
        ..Shape::default()
    };
    let (result, _) = device.launch(program, &format!("k{at}"), &shape, &params, true);
    result.unwrap();
    let bytes = device.download(out, count * width(form.result));
    buffers.into_iter().for_each(|buffer| device.free(buffer));
    unpack(form.result, &bytes)
}
