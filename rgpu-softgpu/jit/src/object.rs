//! Machine code before it has an address: what the code generator gives and what the cache keeps. Everything that
//! differs from process to process (host functions, module variables) is named, and filled in by [`Object::link`].

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::LibCall;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::{Context, binemit};
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{
    DataDescription, DataId, FuncId, Linkage, Module as _, ModuleDeclarations, ModuleReloc,
    ModuleRelocTarget, default_libcall_names,
};
use rgpu_softgpu_exec::abi::Code;
use rgpu_softgpu_exec::libcalls;
use serde::{Deserialize, Serialize};

use crate::trampoline;

/// Functions that call each other, the first being the entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) functions: Vec<Piece>,
    /// Code address and signature of each function of the module, if calls go through pointers.
    pub(crate) table: Option<Piece>,
}

/// Bytes with places to fill in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) align: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) relocs: Vec<Reloc>,
    /// Code that runs for another thread of a group than the first: where it starts and ends, and for which.
    pub(crate) lanes: Vec<(u32, u32, u32)>,
}

/// A place to fill in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloc {
    pub(crate) offset: u32,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) addend: i64,
}

/// What an address is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Abs8,
    X86PcRel4,
    X86CallPcRel4,
    Arm64Call,
    Arm64PageHigh21,
    Arm64PageLow12,
}

/// Code generator's names and ours.
const KINDS: [(binemit::Reloc, Kind); 6] = [
    (binemit::Reloc::Abs8, Kind::Abs8),
    (binemit::Reloc::X86PCRel4, Kind::X86PcRel4),
    (binemit::Reloc::X86CallPCRel4, Kind::X86CallPcRel4),
    (binemit::Reloc::Arm64Call, Kind::Arm64Call),
    (binemit::Reloc::Aarch64AdrPrelPgHi21, Kind::Arm64PageHigh21),
    (binemit::Reloc::Aarch64AddAbsLo12Nc, Kind::Arm64PageLow12),
];

impl Kind {
    /// Ours for the code generator's.
    pub(crate) fn of(reloc: binemit::Reloc) -> Option<Self> {
        KINDS
            .iter()
            .find(|(theirs, _)| *theirs == reloc)
            .map(|(_, kind)| *kind)
    }

    fn reloc(self) -> Option<binemit::Reloc> {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map(|(reloc, _)| *reloc)
    }

    fn width(self) -> usize {
        match self {
            Self::Abs8 => 8,
            _ => 4,
        }
    }
}

/// Whose address is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// A function of the object.
    Function(u32),
    /// The object's table.
    Table,
    /// A row of [`libcalls::LIBCALLS`].
    Host(String),
    /// [`trampoline::NAME`].
    Trampoline,
    /// A function that the code generator itself calls.
    Library(String),
    /// A variable of the module in device memory.
    Variable(u32),
}

/// What [`Target`]s of the outside resolve to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// Device address of each variable of the module that has one.
    pub(crate) variables: &'a [Option<u64>],
    /// None only for the trampoline itself.
    pub(crate) trampoline: Option<*const u8>,
}

impl Outside<'_> {
    /// A name in the linker, and the address.
    fn find(&self, target: &Target) -> Option<(String, *const u8)> {
        match target {
            Target::Function(_) | Target::Table => None,
            Target::Host(name) => libcalls::find(name).map(|row| (name.clone(), row.address())),
            Target::Trampoline => Some((trampoline::NAME.to_owned(), self.trampoline?)),
            Target::Library(_) => None,
            Target::Variable(index) => {
                let address = (*self.variables.get(*index as usize)?)?;
                let address = std::ptr::without_provenance(usize::try_from(address).ok()?);
                Some((variable_name(*index), address))
            }
        }
    }
}

/// The table of functions, in the linker and while code is generated.
pub(crate) const TABLE: &str = "table";
const FUNCTION: &str = "function";
const VARIABLE: &str = "variable";

/// What function number `at` is called there.
pub(crate) fn function_name(at: usize) -> String {
    format!("{FUNCTION}{at}")
}

/// What a module variable is called there.
pub(crate) fn variable_name(index: u32) -> String {
    format!("{VARIABLE}{index}")
}

/// Compiles the function of a context. `module` declares what it mentions.
pub(crate) fn compile(context: &mut Context, module: &JITModule) -> Result<Piece, String> {
    let compiled = context.compile(module.isa(), &mut ControlPlane::default());
    compiled.map_err(|error| format!("{:?}", error.inner))?;
    let code = context.compiled_code().ok_or("no code")?;
    let least = module.isa().function_alignment().minimum;
    let relocs = code.buffer.relocs().iter().map(|reloc| {
        // The id is for targets inside the function itself, which are not made for what we compile.
        let reloc = ModuleReloc::from_mach_reloc(reloc, &context.func, FuncId::from_u32(0));
        let kind = Kind::of(reloc.kind);
        Ok(Reloc {
            offset: reloc.offset,
            kind: kind.ok_or_else(|| format!("relocation {:?}", reloc.kind))?,
            target: target_of(&reloc.name, module).ok_or("a call of something unknown")?,
            addend: reloc.addend,
        })
    });
    Ok(Piece {
        align: code.buffer.alignment.max(least),
        bytes: code.code_buffer().to_vec(),
        relocs: relocs.collect::<Result<_, String>>()?,
        lanes: code
            .buffer
            .get_srclocs_sorted()
            .iter()
            .filter(|range| !range.loc.is_default())
            .map(|range| (range.start, range.end, range.loc.bits()))
            .collect(),
    })
}

fn target_of(name: &ModuleRelocTarget, module: &JITModule) -> Option<Target> {
    if let ModuleRelocTarget::LibCall(call) = name {
        return Some(Target::Library(call.to_string()));
    }
    if !matches!(name, ModuleRelocTarget::User { .. }) {
        return None;
    }
    let number = |name: &str, prefix| name.strip_prefix(prefix)?.parse().ok();
    if ModuleDeclarations::is_function(name) {
        let declared = module
            .declarations()
            .get_function_decl(FuncId::from_name(name));
        let name = declared.name.as_deref()?;
        return match declared.linkage {
            Linkage::Import if name == trampoline::NAME => Some(Target::Trampoline),
            Linkage::Import => Some(Target::Host(name.to_owned())),
            _ => number(name, FUNCTION).map(Target::Function),
        };
    }
    let declared = module.declarations().get_data_decl(DataId::from_name(name));
    match declared.name.as_deref()? {
        TABLE => Some(Target::Table),
        name => number(name, VARIABLE).map(Target::Variable),
    }
}

/// Machine code, unmapped when nothing refers to it any more.
pub(crate) struct Linked {
    module: Mutex<Option<JITModule>>,
    entry: usize,
    /// Where the functions lie.
    functions: Box<[Range<usize>]>,
    /// [`Piece::lanes`] of the first.
    lanes: Box<[(u32, u32, u32)]>,
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Linked")
    }
}

impl Linked {
    /// Address of the first function, valid while this lives.
    pub(crate) fn entry(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.entry)
    }
}

impl Code for Linked {
    fn contains(&self, address: usize) -> bool {
        self.functions.iter().any(|code| code.contains(&address))
    }

    fn lane_of(&self, address: usize) -> u32 {
        let Some(offset) = address
            .checked_sub(self.entry)
            .and_then(|offset| u32::try_from(offset).ok())
        else {
            return 0;
        };
        let at = self.lanes.partition_point(|(_, end, _)| *end <= offset);
        let found = self.lanes.get(at).filter(|(start, ..)| *start <= offset);
        found.map_or(0, |(_, _, lane)| *lane)
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        let module = self
            .module
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(module) = module {
            // SAFETY: the entry point is valid only while this value lives (contract of `Kernel::code`), so
            // nothing runs in or points into this code any more.
            unsafe { module.free_memory() };
        }
    }
}

/// What room a piece takes at most: each may start a page, and calls may need a detour of their own.
const PAGE: usize = 64 << 10;
const DETOUR: usize = 24;

impl Object {
    /// Maps the code, with the addresses of this process. The object may come from a file: whatever does not fit
    /// together is an error.
    pub(crate) fn link(
        &self,
        isa: &OwnedTargetIsa,
        outside: Outside<'_>,
    ) -> Result<Linked, String> {
        let pieces = || self.functions.iter().chain(&self.table);
        let room = |piece: &Piece| piece.bytes.len() + piece.relocs.len() * DETOUR;
        let room = pieces()
            .map(|piece| room(piece).next_multiple_of(PAGE))
            .sum::<usize>();
        let memory = ArenaMemoryProvider::new_with_size(room.max(PAGE));
        let memory = memory.map_err(|error| error.to_string())?;
        let mut builder = JITBuilder::with_isa(OwnedTargetIsa::clone(isa), default_libcall_names());
        builder.memory_provider(Box::new(memory));
        for reloc in pieces().flat_map(|piece| &piece.relocs) {
            if let Some((name, address)) = outside.find(&reloc.target) {
                builder.symbol(name, address);
            }
        }
        let mut linker = Linker::new(self, outside, JITModule::new(builder))?;
        for (id, piece) in linker.functions.clone().into_iter().zip(&self.functions) {
            linker.function(id, piece)?;
        }
        if let (Some(id), Some(piece)) = (linker.table, &self.table) {
            linker.table(id, piece)?;
        }
        let mut module = linker.module;
        module
            .finalize_definitions()
            .map_err(|error| error.to_string())?;
        let starts = linker
            .functions
            .iter()
            .map(|id| module.get_finalized_function(*id).expose_provenance());
        let functions: Box<[Range<usize>]> = starts
            .zip(&self.functions)
            .map(|(start, piece)| start..start + piece.bytes.len())
            .collect();
        let entry = functions.first().ok_or("an object without functions")?;
        let entry = entry.start;
        Ok(Linked {
            module: Mutex::new(Some(module)),
            entry,
            functions,
            lanes: self
                .functions
                .first()
                .map_or_else(Box::default, |piece| piece.lanes.clone().into()),
        })
    }
}

struct Linker<'a> {
    outside: Outside<'a>,
    module: JITModule,
    functions: Vec<FuncId>,
    table: Option<DataId>,
}

impl<'a> Linker<'a> {
    fn new(object: &Object, outside: Outside<'a>, mut module: JITModule) -> Result<Self, String> {
        // Calls are made already: the linker does not look at signatures.
        let signature = module.make_signature();
        let mut functions = Vec::with_capacity(object.functions.len());
        for at in 0..object.functions.len() {
            let id = module.declare_function(&function_name(at), Linkage::Local, &signature);
            functions.push(id.map_err(|error| error.to_string())?);
        }
        let mut table = None;
        if object.table.is_some() {
            let id = module.declare_data(TABLE, Linkage::Local, false, false);
            table = Some(id.map_err(|error| error.to_string())?);
        }
        Ok(Self {
            outside,
            functions,
            table,
            module,
        })
    }

    fn function(&mut self, id: FuncId, piece: &Piece) -> Result<(), String> {
        let align = checked_align(piece)?;
        let mut relocs = Vec::with_capacity(piece.relocs.len());
        for reloc in &piece.relocs {
            checked_offset(piece, reloc)?;
            relocs.push(ModuleReloc {
                offset: reloc.offset,
                kind: reloc.kind.reloc().ok_or("an unknown relocation")?,
                name: self.target(&reloc.target)?,
                addend: reloc.addend,
            });
        }
        let defined = self
            .module
            .define_function_bytes(id, align, &piece.bytes, &relocs);
        defined.map_err(|error| error.to_string())
    }

    fn table(&mut self, id: DataId, piece: &Piece) -> Result<(), String> {
        let mut data = DataDescription::new();
        data.set_align(checked_align(piece)?);
        data.define(piece.bytes.clone().into_boxed_slice());
        for reloc in &piece.relocs {
            checked_offset(piece, reloc)?;
            let (Target::Function(at), Kind::Abs8, 0) = (&reloc.target, reloc.kind, reloc.addend)
            else {
                return Err("a table of other things than functions".to_owned());
            };
            let function = self
                .functions
                .get(*at as usize)
                .ok_or("a function that is missing")?;
            let function = self.module.declare_func_in_data(*function, &mut data);
            data.write_function_addr(reloc.offset, function);
        }
        self.module
            .define_data(id, &data)
            .map_err(|error| error.to_string())
    }

    fn target(&mut self, target: &Target) -> Result<ModuleRelocTarget, String> {
        let missing = || format!("{target:?} is missing");
        match target {
            Target::Function(at) => {
                let id = self.functions.get(*at as usize).ok_or_else(missing)?;
                Ok(ModuleRelocTarget::from(*id))
            }
            Target::Table => self.table.map(ModuleRelocTarget::from).ok_or_else(missing),
            Target::Library(name) => {
                let call: LibCall = name.parse().map_err(|()| missing())?;
                Ok(ModuleRelocTarget::LibCall(call))
            }
            Target::Host(_) | Target::Trampoline => {
                let (name, _) = self.outside.find(target).ok_or_else(missing)?;
                let signature = self.module.make_signature();
                let id = self
                    .module
                    .declare_function(&name, Linkage::Import, &signature);
                id.map(ModuleRelocTarget::from)
                    .map_err(|error| error.to_string())
            }
            Target::Variable(_) => {
                let (name, _) = self.outside.find(target).ok_or_else(missing)?;
                let id = self
                    .module
                    .declare_data(&name, Linkage::Import, true, false);
                id.map(ModuleRelocTarget::from)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

fn checked_align(piece: &Piece) -> Result<u64, String> {
    let align = u64::from(piece.align);
    match align.is_power_of_two() && align <= 64 {
        true => Ok(align),
        false => Err(format!("alignment {align}")),
    }
}

fn checked_offset(piece: &Piece, reloc: &Reloc) -> Result<(), String> {
    let end = (reloc.offset as usize).checked_add(reloc.kind.width());
    match end.is_some_and(|end| end <= piece.bytes.len()) {
        true => Ok(()),
        false => Err("a relocation outside the code".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Machine;

    fn piece(relocs: Vec<Reloc>) -> Piece {
        Piece {
            align: 16,
            bytes: vec![0; 16],
            relocs,
            lanes: Vec::new(),
        }
    }

    fn reloc(offset: u32, target: Target) -> Reloc {
        Reloc {
            offset,
            kind: Kind::Abs8,
            target,
            addend: 0,
        }
    }

    fn link(object: &Object) -> Result<(), String> {
        let outside = Outside {
            variables: &[None, Some(0x2000_0000_1000)],
            trampoline: None,
        };
        object.link(&Machine::get().unwrap().isa, outside).map(drop)
    }

    fn one(piece: Piece) -> Object {
        Object {
            functions: vec![piece],
            table: None,
        }
    }

    #[test]
    fn what_fits_together_is_linked() {
        for target in [
            Target::Function(0),
            Target::Variable(1),
            Target::Host("trap".to_owned()),
            Target::Library(LibCall::Memcpy.to_string()),
        ] {
            assert_eq!(link(&one(piece(vec![reloc(8, target)]))), Ok(()));
        }
        let mut object = one(piece(vec![reloc(0, Target::Table)]));
        object.table = Some(piece(vec![reloc(0, Target::Function(0))]));
        assert_eq!(link(&object), Ok(()));
    }

    #[test]
    fn what_does_not_is_refused() {
        for target in [
            Target::Function(1),
            Target::Table,
            Target::Variable(0),
            Target::Variable(2),
            Target::Host("system".to_owned()),
            Target::Trampoline,
            Target::Library("system".to_owned()),
        ] {
            assert!(
                link(&one(piece(vec![reloc(0, target.clone())]))).is_err(),
                "{target:?}"
            );
        }
        for offset in [9, 16, u32::MAX] {
            assert!(link(&one(piece(vec![reloc(offset, Target::Function(0))]))).is_err());
        }
        for align in [0, 3, 1 << 20] {
            assert!(
                link(&one(Piece {
                    align,
                    ..piece(Vec::new())
                }))
                .is_err()
            );
        }
        let mut object = one(piece(Vec::new()));
        object.table = Some(piece(vec![reloc(0, Target::Host("trap".to_owned()))]));
        assert!(link(&object).is_err());
        object.table = Some(piece(vec![reloc(12, Target::Function(0))]));
        assert!(link(&object).is_err());
        assert!(
            link(&Object {
                functions: Vec::new(),
                table: None
            })
            .is_err()
        );
    }
}
