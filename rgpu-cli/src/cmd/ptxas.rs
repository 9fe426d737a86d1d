//! `ptxas`, as frameworks that compile kernels while they run look for it.
//!
//! XLA, and TensorFlow with it, assembles the PTX that it generates with a program of this name, and loads the result.
//! The machine of the software GPU is PTX itself: what is written is a fat binary that holds the text, after the same
//! checks that the driver makes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};

/// The version that is told: the software GPU's driver is one of CUDA 13.0.
const VERSION: &str = "\
ptxas: the assembler of rgpu's software GPU
Cuda compilation tools, release 13.0, V13.0.0";

/// The newest PTX that the software GPU reads.
const ARCH: u32 = 90;

/// The arguments, if this program was started under the assembler's name.
pub(crate) fn called_as_ptxas() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os();
    let name = PathBuf::from(arguments.next()?);
    (name.file_name() == Some(OsStr::new("ptxas"))).then(|| arguments.collect())
}

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ptxas fatal   : {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    let Some(call) = Call::read(arguments)? else {
        println!("{VERSION}");
        return Ok(());
    };
    let text = std::fs::read(&call.input)
        .with_context(|| format!("cannot read {}", call.input.display()))?;
    let image = assemble(text)?;
    std::fs::write(&call.output, image)
        .with_context(|| format!("cannot write {}", call.output.display()))
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    input: PathBuf,
    output: PathBuf,
}

impl Call {
    /// Reads a command line of NVIDIA's `ptxas`; `None` where its version is asked for. Options that tell how to
    /// optimise or what to report have no meaning here.
    fn read(arguments: Vec<OsString>) -> anyhow::Result<Option<Self>> {
        let (mut input, mut output) = (None, None);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.to_string_lossy().as_ref() {
                "--version" | "-V" => return Ok(None),
                "-o" | "--output-file" => output = arguments.next(),
                "-arch" | "--gpu-name" => arch(&arguments.next().unwrap_or_default())?,
                "-c" | "--compile-only" => {
                    bail!("relocatable code is for the driver's linker, not for this assembler")
                }
                // Options whose value is an argument of its own.
                "-maxrregcount" | "--maxrregcount" | "-O" | "--opt-level" => {
                    arguments.next();
                }
                option if option.starts_with('-') => {
                    if let Some(name) = option
                        .strip_prefix("-arch=")
                        .or_else(|| option.strip_prefix("--gpu-name="))
                    {
                        arch(OsStr::new(name))?;
                    }
                }
                _ => {
                    ensure!(input.is_none(), "more than one input file");
                    input = Some(argument);
                }
            }
        }
        Ok(Some(Self {
            input: input.context("no input file")?.into(),
            output: output.map_or_else(|| Path::new("elf.o").into(), Into::into),
        }))
    }
}

/// Refuses architectures above the software GPU's, in words that callers of `ptxas` know.
fn arch(name: &OsStr) -> anyhow::Result<()> {
    let name = name.to_string_lossy();
    let number = name.strip_prefix("sm_").unwrap_or_default();
    let digits = number.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let known = digits.parse::<u32>().is_ok_and(|number| number <= ARCH);
    ensure!(known, "Value '{name}' is not defined for option 'gpu-name'");
    Ok(())
}

/// A fat binary with `text`, which must be right.
fn assemble(mut text: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    while text.last() == Some(&0) {
        text.pop();
    }
    let module = rgpu_ptx::Module::parse(String::from_utf8(text)?)?;
    let bodies = module.functions.iter().filter(|f| f.body.is_some());
    for function in bodies {
        let body = module.parse_body(function)?;
        rgpu_ptx::validate::validate(&module, function, &body)?;
    }
    let arch = module
        .target_arch()
        .with_context(|| format!("`.target {}` names no architecture", module.target))?;
    let mut image = rgpu_fatbin::Builder::new();
    image.push_ptx(arch, module.text.as_bytes());
    Ok(image.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> anyhow::Result<Option<Call>> {
        Call::read(line.split_whitespace().map(Into::into).collect())
    }

    #[test]
    fn a_command_line_as_xla_writes_it_is_read() {
        let call = call("/tmp/a.ptx -o /tmp/a.cubin -arch=sm_90a --warn-on-spills -O2").unwrap();
        let expected = Call {
            input: "/tmp/a.ptx".into(),
            output: "/tmp/a.cubin".into(),
        };
        assert_eq!(call, Some(expected));
    }

    #[test]
    fn the_version_comes_before_all() {
        assert_eq!(call("--version").unwrap(), None);
        assert!(VERSION.contains("V13.0."), "XLA looks for V and a number");
    }

    #[test]
    fn a_later_architecture_is_refused_as_ptxas_does() {
        let error = call("a.ptx -o b --gpu-name sm_100a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Value 'sm_100a' is not defined for option 'gpu-name'"
        );
        assert!(call("a.ptx -c").is_err());
    }

    const PTX: &str =
        ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n  ret;\n}\n";

    #[test]
    fn the_image_holds_the_text_for_its_architecture() {
        let image = assemble(PTX.into()).unwrap();
        let fatbin = rgpu_fatbin::Fatbin::parse(&image).unwrap();
        let entry = fatbin
            .select_ptx(rgpu_fatbin::Capability::new(9, 0))
            .expect("an entry for the software GPU");
        assert_eq!(entry.ptx().unwrap(), PTX);
    }

    #[test]
    fn wrong_text_says_what_is_wrong() {
        let error = assemble(PTX.replace("ret", "rat").into()).unwrap_err();
        assert!(error.to_string().contains("rat"), "{error}");
    }
}
