//! Inputs of a link: the PTX in what a program adds.

use rgpu_fatbin::{Capability, Fatbin, ImageKind, host, sniff};
use rgpu_ptx::Module;

use super::super::image::{Refusal, checked, no_binary, parsed};
use crate::status::Status;

/// What an input is (`CUjitInputType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputKind {
    Cubin,
    Ptx,
    FatBinary,
    Object,
    Library,
}

impl InputKind {
    /// The kind of a number, or none where this driver does not take it.
    pub(crate) const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Cubin),
            1 => Some(Self::Ptx),
            2 => Some(Self::FatBinary),
            3 => Some(Self::Object),
            4 => Some(Self::Library),
            // 5 is NVVM's intermediate code, which only NVIDIA's compiler reads.
            _ => None,
        }
    }
}

/// A text, and what the log calls it.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) module: Module,
}

type Inputs = Result<Vec<Input>, Refusal>;

/// The texts in `bytes` that a device of `arch` could run.
pub(super) fn read(kind: InputKind, name: &str, bytes: &[u8], arch: u32) -> Inputs {
    let inputs = match (kind, sniff(bytes)) {
        (InputKind::Ptx, Some(ImageKind::Ptx)) => of_text(name, bytes, arch),
        (InputKind::Ptx, _) => Err(Refusal::new(Status::ERROR_INVALID_PTX, "not a text")),
        (InputKind::Library, _) => of_library(name, bytes, arch),
        // What a link makes here is a fat binary, whatever it is called.
        (_, Some(ImageKind::Fatbin)) => required(of_containers(name, &[bytes], arch)?),
        (InputKind::Object, Some(ImageKind::Elf)) if rgpu_fatbin::cubin_arch(bytes).is_err() => {
            let containers = host::containers(bytes).map_err(Refusal::from)?;
            required(of_containers(name, &containers, arch)?)
        }
        (InputKind::Cubin | InputKind::Object, Some(ImageKind::Elf)) => required(Vec::new()),
        _ => Err(Refusal::new(
            Status::ERROR_INVALID_IMAGE,
            "not what it is said to be",
        )),
    };
    inputs.map_err(|refusal| Refusal::new(refusal.status, format!("{name}: {}", refusal.message)))
}

/// A text of the program's own: all of it is checked.
fn of_text(name: &str, bytes: &[u8], arch: u32) -> Inputs {
    let end = bytes.iter().position(|&byte| byte == 0);
    let module = checked(&bytes[..end.unwrap_or(bytes.len())], arch)?;
    Ok(vec![Input {
        name: name.to_owned(),
        module,
    }])
}

fn of_containers(name: &str, containers: &[&[u8]], arch: u32) -> Inputs {
    let device = Capability::new(arch / 10, arch % 10);
    let mut inputs = Vec::new();
    for container in containers {
        for entry in Fatbin::parse(container)?.select_all_ptx(device) {
            inputs.push(Input {
                name: name.to_owned(),
                module: parsed(entry.ptx()?, arch)?,
            });
        }
    }
    Ok(inputs)
}

/// Members without PTX are passed over: what they define may never be needed.
fn of_library(name: &str, bytes: &[u8], arch: u32) -> Inputs {
    let mut inputs = Vec::new();
    for member in host::members(bytes).map_err(Refusal::from)? {
        let name = format!("{name}:{}", member.name);
        inputs.extend(of_containers(&name, &member.containers, arch)?);
    }
    Ok(inputs)
}

fn required(inputs: Vec<Input>) -> Inputs {
    if inputs.is_empty() {
        return Err(no_binary("holds no PTX for this device"));
    }
    Ok(inputs)
}
