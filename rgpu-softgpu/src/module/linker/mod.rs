//! The driver's linker (`cuLink*`): texts and objects in, one image out.
//!
//! ```text
//! create ──► add, add, …  each read and checked at once, so that its error comes with it
//!                │ complete
//!                ▼
//!        members of libraries that define what is missing ──► device runtime ──► every name defined once?
//!                ──► one text ──► image: a fat binary that holds it
//! ```

mod input;
mod names;

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_fatbin::Builder;
use rgpu_ptx::Module;

pub(crate) use input::InputKind;

use super::JitLog;
use super::image::{Refusal, device_arch};
use crate::driver;
use crate::status::{Result, Status};
use input::Input;

/// Functions that NVIDIA brings as machine code in its device runtime (`libcudadevrt`), written anew.
const DEVICE_RUNTIME: &str = include_str!("device_runtime.ptx");

/// A link under way.
#[derive(Debug)]
pub(crate) struct Linker {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: JitLog,
    inputs: Vec<Input>,
    /// Parts of libraries, which are linked where something that they define is missing.
    members: Vec<Input>,
    /// What was said so far.
    info: String,
    error: String,
    image: Option<Vec<u8>>,
}

impl Linker {
    /// A new link; `log` is where the program reads what is said of it.
    pub(crate) fn create(log: JitLog) -> Result<*mut c_void> {
        let state = State {
            log,
            inputs: Vec::new(),
            members: Vec::new(),
            info: String::new(),
            error: String::new(),
            image: None,
        };
        let linker = Self {
            state: Mutex::new(state),
        };
        Ok(driver::get()?.linkers.add(Arc::new(linker)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an input.
    pub(crate) fn add(&self, kind: InputKind, name: &str, bytes: &[u8]) -> Result {
        let mut state = self.state();
        if state.image.is_some() {
            return Err(Status::ERROR_INVALID_VALUE);
        }
        let arch = state.log.target().unwrap_or_else(device_arch);
        let taken = input::read(kind, name, bytes, arch).map(|inputs| state.take(kind, inputs));
        state.settle(taken)
    }

    /// Links what was added; the image and its size, which stay until the link is destroyed.
    pub(crate) fn complete(&self) -> Result<(*const u8, usize)> {
        let mut state = self.state();
        if state.image.is_none() {
            let linked = state.link();
            state.settle(linked)?;
        }
        let image = state.image.as_deref().unwrap_or_default();
        Ok((image.as_ptr(), image.len()))
    }
}

impl State {
    fn take(&mut self, kind: InputKind, inputs: Vec<Input>) {
        for input in &inputs {
            let kernels = input.module.kernels().count();
            let functions = input.module.functions.len() - kernels;
            let target = &input.module.target;
            self.say(&format!(
                "{}: {target}, {kernels} kernels, {functions} other functions",
                input.name
            ));
        }
        match kind {
            InputKind::Library => self.members.extend(inputs),
            _ => self.inputs.extend(inputs),
        }
    }

    /// Tells a program that wants to know.
    fn say(&mut self, what: &str) {
        if self.log.is_verbose() {
            self.info.push_str(&format!("info    : {what}\n"));
        }
    }

    /// Reports an outcome where the program reads it.
    fn settle(&mut self, outcome: std::result::Result<(), Refusal>) -> Result {
        if let Err(refusal) = &outcome {
            tracing::error!(code = refusal.status.0, "{}", refusal.message);
            for line in refusal.message.lines() {
                self.error.push_str(&format!("error   : {line}\n"));
            }
        }
        self.log.report(&self.info, &self.error);
        outcome.map_err(|refusal| refusal.status)
    }

    fn link(&mut self) -> std::result::Result<(), Refusal> {
        if self.inputs.is_empty() {
            let refusal = Refusal::new(Status::ERROR_INVALID_VALUE, "nothing to link");
            return Err(refusal);
        }
        self.take_members();
        self.take_device_runtime()?;
        let complaints = names::complaints(&self.inputs);
        if !complaints.is_empty() {
            let refusal = Refusal::new(Status::ERROR_INVALID_PTX, complaints.join("\n"));
            return Err(refusal);
        }
        let texts = self
            .inputs
            .iter()
            .map(|input| input.module.text.to_string());
        let module = rgpu_ptx::link(texts)?;
        let arch = module.target_arch().unwrap_or_else(device_arch);
        let text = match self.log.max_registers() {
            Some(most) => limited(&module, most),
            None => module.text.to_string(),
        };
        let mut image = Builder::new();
        image.push_ptx(arch, text.as_bytes());
        self.image = Some(image.finish());
        let (inputs, kernels) = (self.inputs.len(), module.kernels().count());
        self.say(&format!(
            "{inputs} inputs make {kernels} kernels for sm_{arch}"
        ));
        Ok(())
    }

    /// Moves those parts of libraries that define what is missing to the inputs.
    fn take_members(&mut self) {
        loop {
            let missing = names::missing(&self.inputs);
            let wanted = |member: &Input| names::defines_any(member, &missing);
            let Some(at) = self.members.iter().position(wanted) else {
                return;
            };
            let member = self.members.remove(at);
            self.say(&format!("{} is needed", member.name));
            self.inputs.push(member);
        }
    }

    fn take_device_runtime(&mut self) -> std::result::Result<(), Refusal> {
        let runtime = Input {
            name: "device runtime".to_owned(),
            module: Module::parse(DEVICE_RUNTIME)?,
        };
        if names::defines_any(&runtime, &names::missing(&self.inputs)) {
            self.inputs.push(runtime);
        }
        Ok(())
    }
}

/// The text of a module whose kernels have at most so many registers, where they do not say themselves.
fn limited(module: &Module, most: u32) -> String {
    let mut text = module.text.to_string();
    let open = module
        .kernels()
        .filter(|kernel| kernel.directives.maxnreg.is_none())
        .filter_map(|kernel| kernel.body);
    let mut places: Vec<usize> = open.map(|body| body.start as usize - 1).collect();
    places.sort_unstable();
    for brace in places.into_iter().rev() {
        text.insert_str(brace, &format!(" .maxnreg {most}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_do_not_say_get_the_limit_of_registers() {
        let text = ".version 8.0\n.target sm_90\n.address_size 64\n\
                    .visible .entry a()\n{\nret;\n}\n.visible .entry b() .maxnreg 24 {\nret;\n}\n";
        let module = Module::parse(text).unwrap();
        let limited = Module::parse(limited(&module, 38).as_str()).unwrap();
        let limits = limited.kernels().map(|kernel| kernel.directives.maxnreg);
        assert_eq!(limits.collect::<Vec<_>>(), [Some(38), Some(24)]);
    }

    #[test]
    fn the_device_runtime_is_right() {
        super::super::image::checked(DEVICE_RUNTIME.as_bytes(), device_arch()).unwrap();
    }
}
