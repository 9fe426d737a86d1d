//! From what a program hands over to parsed PTX.

use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;

use rgpu_fatbin::raw::{self, RawImage};
use rgpu_fatbin::{Capability, Fatbin};
use rgpu_ptx::ErrorKind;

use super::Signature;
use crate::device::CAPABILITY;
use crate::status::{Result, Status};

/// Why an image does not load: the code, and words for the log.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) message: String,
}

impl Refusal {
    pub(super) fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<rgpu_fatbin::Error> for Refusal {
    fn from(error: rgpu_fatbin::Error) -> Self {
        let status = match error {
            rgpu_fatbin::Error::NoImage(_) => Status::ERROR_NO_BINARY_FOR_GPU,
            _ => Status::ERROR_INVALID_IMAGE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<rgpu_ptx::Error> for Refusal {
    fn from(error: rgpu_ptx::Error) -> Self {
        let status = match error.kind {
            // In a body it is an instruction that does not exist.
            ErrorKind::Unsupported if error.function.is_none() => {
                Status::ERROR_UNSUPPORTED_PTX_VERSION
            }
            ErrorKind::Unsupported => Status::ERROR_INVALID_PTX,
            ErrorKind::TooLarge => Status::ERROR_OUT_OF_MEMORY,
            ErrorKind::Syntax | ErrorKind::Name | ErrorKind::Invalid => Status::ERROR_INVALID_PTX,
        };
        Self::new(status, error.to_string())
    }
}

/// Parsed PTX.
#[derive(Debug)]
pub(crate) struct Image {
    module: Arc<rgpu_ptx::Module>,
    kernels: Vec<Arc<Signature>>,
}

impl Image {
    /// Reads the image at `pointer`.
    ///
    /// # Safety
    /// `pointer` is null or a module image as `cuModuleLoadData` takes it.
    pub(crate) unsafe fn at(pointer: *const c_void) -> std::result::Result<Self, Refusal> {
        if pointer.is_null() {
            return Err(Refusal::new(Status::ERROR_INVALID_VALUE, "no image"));
        }
        // SAFETY: the caller's promise.
        match unsafe { raw::image(pointer) }? {
            RawImage::Ptx(text) => Self::of_text(text),
            RawImage::Elf(_) => Err(no_binary("a cubin holds machine code only")),
            RawImage::Fatbin { main, prelinked } => Self::of_containers(main, &prelinked),
        }
    }

    /// Reads the image in a file.
    pub(crate) fn in_file(path: &Path) -> std::result::Result<Self, Refusal> {
        let mut bytes = std::fs::read(path).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            Refusal::new(Status::ERROR_FILE_NOT_FOUND, message)
        })?;
        // Text ends with a NUL in memory, but not in a file.
        bytes.push(0);
        match rgpu_fatbin::sniff(&bytes) {
            Some(rgpu_fatbin::ImageKind::Fatbin) => Self::of_containers(&bytes, &[]),
            Some(rgpu_fatbin::ImageKind::Elf) => Err(no_binary("a cubin holds machine code only")),
            Some(rgpu_fatbin::ImageKind::Ptx) => {
                bytes.pop();
                Self::of_text(&bytes)
            }
            _ => Err(Refusal::new(
                Status::ERROR_INVALID_IMAGE,
                "the file holds no module",
            )),
        }
    }

    fn of_containers(main: &[u8], prelinked: &[&[u8]]) -> std::result::Result<Self, Refusal> {
        let device = Capability::new(CAPABILITY.0.into(), CAPABILITY.1.into());
        let main = Fatbin::parse(main)?;
        if let Some(entry) = main.nearest_ptx(device) {
            return Ok(Self::of_module(rgpu_ptx::Module::parse(entry.ptx()?)?));
        }
        // A program of relocatable device code: its parts are linked here. Parts without PTX are NVIDIA's own.
        let mut texts = Vec::new();
        for part in prelinked {
            for entry in Fatbin::parse(part)?.nearest_all_ptx(device) {
                texts.push(entry.ptx()?);
            }
        }
        if texts.is_empty() {
            return Err(rgpu_fatbin::Error::NoImage(device).into());
        }
        Ok(Self::of_module(rgpu_ptx::link(texts)?))
    }

    /// Text that a program hands over may be its own: it learns at once what is wrong with it. What comes in a
    /// container has been through NVIDIA's compiler, and its bodies are read when they are needed.
    fn of_text(text: &[u8]) -> std::result::Result<Self, Refusal> {
        Ok(Self::of_module(checked(text, device_arch())?))
    }

    fn of_module(module: rgpu_ptx::Module) -> Self {
        let arch = module.target_arch().unwrap_or_else(device_arch);
        let kernels = module.kernels();
        let kernels = kernels.map(|kernel| Arc::new(Signature::of(kernel, arch)));
        Self {
            kernels: kernels.collect(),
            module: Arc::new(module),
        }
    }

    /// The kernels, in the order of the text.
    pub(crate) fn kernels(&self) -> &[Arc<Signature>] {
        &self.kernels
    }

    /// The kernel of this name.
    pub(crate) fn kernel(&self, name: &str) -> Result<&Arc<Signature>> {
        let found = self.kernels.iter().find(|kernel| kernel.name() == name);
        found.ok_or(Status::ERROR_NOT_FOUND)
    }

    /// The PTX.
    pub(super) fn ptx(&self) -> &Arc<rgpu_ptx::Module> {
        &self.module
    }
}

/// A text for devices up to `arch`.
pub(super) fn parsed(text: String, arch: u32) -> std::result::Result<rgpu_ptx::Module, Refusal> {
    let module = rgpu_ptx::Module::parse(text)?;
    if module.target_arch().is_none_or(|target| target > arch) {
        let message = format!(".target {} is not for sm_{arch}", module.target);
        return Err(Refusal::new(Status::ERROR_INVALID_PTX, message));
    }
    Ok(module)
}

/// The same, and its bodies are right.
pub(super) fn checked(text: &[u8], arch: u32) -> std::result::Result<rgpu_ptx::Module, Refusal> {
    let module = parsed(String::from_utf8_lossy(text).into_owned(), arch)?;
    let functions = module.functions.iter();
    for function in functions.filter(|function| function.body.is_some()) {
        let body = module.parse_body(function)?;
        rgpu_ptx::validate::validate(&module, function, &body)?;
    }
    Ok(module)
}

/// The device's `sm` number.
pub(super) fn device_arch() -> u32 {
    u32::from(CAPABILITY.0) * 10 + u32::from(CAPABILITY.1)
}

pub(super) fn no_binary(message: &str) -> Refusal {
    Refusal::new(Status::ERROR_NO_BINARY_FOR_GPU, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Status {
        Image::of_text(text.as_bytes()).unwrap_err().status
    }

    #[test]
    fn targets_above_the_device_are_refused() {
        let text = ".version 8.7\n.target sm_100\n.address_size 64\n";
        assert_eq!(refused(text), Status::ERROR_INVALID_PTX);
    }

    /// Wheels hold machine code for each GPU of today, and PTX for those of tomorrow only.
    #[test]
    fn in_a_container_they_are_taken() {
        let text = ".version 8.7\n.target sm_100\n.address_size 64\n.visible .entry k() { ret; }\n";
        let mut builder = rgpu_fatbin::Builder::new();
        builder.push_ptx(100, text.as_bytes());
        let image = Image::of_containers(&builder.finish(), &[]).unwrap();
        assert!(image.kernel("k").is_ok());
    }

    #[test]
    fn bad_text_is_invalid_ptx() {
        let text = ".version 8.0\n.target sm_90\n.address_size 64\nthis is no directive";
        assert_eq!(refused(text), Status::ERROR_INVALID_PTX);
    }

    #[test]
    fn machine_code_alone_is_no_binary_for_this_gpu() {
        let mut builder = rgpu_fatbin::Builder::new();
        builder.push_image(
            rgpu_fatbin::Kind::ELF,
            90,
            rgpu_fatbin::Flags::ADDRESS_64,
            b"\x7fELF...",
        );
        let bytes = builder.finish();
        let refusal = Image::of_containers(&bytes, &[]).unwrap_err();
        assert_eq!(refusal.status, Status::ERROR_NO_BINARY_FOR_GPU);
    }
}
