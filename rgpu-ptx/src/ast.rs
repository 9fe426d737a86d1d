//! What a parsed module and a parsed body are made of.
//!
//! Names are resolved: registers, labels, variables and functions are dense ids into the vectors of
//! [`Body`] and [`Module`]; strings remain for messages and printing only.
//! A body is one flat list of statements, nested scopes already dissolved.

use crate::{
    error::{Error, Span},
    instr_table::Opcode,
    module::Module,
    types::{
        AtomOp, BarRedOp, BoolOp, CacheHint, CacheLevel, CacheOp, CmpOp, MatchMode, MemSem,
        MulMode, PrmtMode, ProxyKind, Rounding, ScalarType, Scope, ShflMode, ShiftDir, ShiftMode,
        SpecialReg, StateSpace, TestpOp, TypeList, VecWidth, VideoOp, VideoScale, VoteMode,
    },
};

/// A dense index; `index()` is valid in the vector the type's comment names.
macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// A scalar register: [`Body::regs`].
    Reg,
    /// A branch target: [`Body::labels`].
    Label,
    /// A variable declared in a body (`.local`, `.shared`, `.param`): [`Body::vars`].
    LocalId,
    /// A call prototype: [`Body::prototypes`].
    ProtoId,
    /// A module-scope variable: [`Module::variables`](crate::Module::variables).
    VarId,
    /// A function or kernel: [`Module::functions`](crate::Module::functions).
    FuncId,
}

/// Who may see a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linkage {
    /// This module only.
    #[default]
    Internal,
    Visible,
    Weak,
    Common,
    /// Declared here, defined elsewhere (or dynamic shared memory).
    Extern,
}

/// A variable in memory, at module scope or in a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Unique in a module; in a body, scopes may repeat it.
    pub name: String,
    pub linkage: Linkage,
    /// `Global`, `Const`, `Shared`, `Local`, `Param` or `Tex`.
    pub space: StateSpace,
    pub ty: ScalarType,
    pub vec: Option<VecWidth>,
    /// Array dimensions, outermost first; empty for a scalar. A leading `[]` is 0 unless the
    /// initialiser gives the length.
    pub dims: Vec<u64>,
    /// Whole size in bytes; 0 for an unsized extern array.
    pub size: u64,
    /// Bytes, a power of two.
    pub align: u32,
    pub init: Option<Init>,
    /// `.attribute(.managed)`.
    pub managed: bool,
    pub span: Span,
}

impl Variable {
    /// `.extern .shared .b8 smem[];`: its size comes with the launch.
    pub fn is_unsized(&self) -> bool {
        self.dims.first() == Some(&0)
    }
}

/// Initial contents: `bytes` from the start, zero after them, then the relocations applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Init {
    /// At most `size` bytes.
    pub bytes: Vec<u8>,
    pub relocs: Vec<Reloc>,
}

/// Stores `(address(target) + addend) >> shift`, cut to `width` bytes, at `offset`, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloc {
    pub offset: u64,
    /// 1, 2, 4 or 8.
    pub width: u8,
    pub target: RelocTarget,
    pub addend: i64,
    /// Bits; not zero for the `0xFF00(sym)` byte masks.
    pub shift: u8,
    /// `generic(sym)`: the generic address rather than the one in the symbol's state space.
    pub generic: bool,
}

/// What a relocation points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    Variable(VarId),
    Function(FuncId),
}

/// Kernel or device function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// `.entry`
    Entry,
    /// `.func`
    Func,
}

/// A function: its declaration and definition merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: String,
    pub kind: FunctionKind,
    pub linkage: Linkage,
    /// Return parameters, empty for kernels.
    pub returns: Vec<Param>,
    pub params: Vec<Param>,
    pub directives: Directives,
    /// The bytes between the braces; `None` for a declaration.
    pub body: Option<Span>,
    /// `.alias this, other;`
    pub alias_of: Option<FuncId>,
    pub span: Span,
}

impl Function {
    /// Parses the body; `module` must be the one the function comes from.
    pub fn parse_body(&self, module: &Module) -> Result<Body, Error> {
        module.parse_body(self)
    }

    /// Bytes that the parameters take in a launch's parameter buffer.
    pub fn params_size(&self) -> u64 {
        self.params.last().map_or(0, |p| p.offset + p.size)
    }
}

/// A parameter of a function or kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: String,
    /// `.param`, or `.reg` (device functions only; then [`Body::param_regs`] holds the register).
    pub space: ParamSpace,
    /// Element type.
    pub ty: ScalarType,
    pub vec: Option<VecWidth>,
    /// Array elements, `None` for a scalar; 0 for an unsized last parameter.
    pub array: Option<u64>,
    /// Whole size in bytes.
    pub size: u64,
    /// Bytes, a power of two.
    pub align: u32,
    /// Where it lies in the parameter buffer, as the CUDA ABI lays kernel parameters out.
    pub offset: u64,
    /// `.ptr .space .align n` on kernel parameters.
    pub pointer: Option<PointerAttr>,
}

/// Where a parameter lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamSpace {
    Param,
    Reg,
}

/// `.ptr` attribute of a kernel parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerAttr {
    /// `None` is generic.
    pub space: Option<StateSpace>,
    pub align: u32,
}

/// Performance and ABI directives of a function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directives {
    pub maxntid: Option<[u32; 3]>,
    pub reqntid: Option<[u32; 3]>,
    pub minnctapersm: Option<u32>,
    pub maxnctapersm: Option<u32>,
    pub maxnreg: Option<u32>,
    pub noreturn: bool,
    pub explicitcluster: bool,
    pub blocksareclusters: bool,
    pub reqnctapercluster: Option<[u32; 3]>,
    pub maxclusterrank: Option<u32>,
    pub pragmas: Vec<String>,
}

/// A parsed function body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// Type of each register, by [`Reg`]. Vector registers are spread into scalars.
    pub regs: Vec<ScalarType>,
    /// Names of runs of registers, ascending and without gaps.
    pub reg_groups: Vec<RegGroup>,
    pub labels: Vec<LabelDef>,
    /// Variables declared in the body.
    pub vars: Vec<Variable>,
    pub prototypes: Vec<Prototype>,
    /// Registers of the function's `.reg` parameters, `None` for `.param` ones.
    pub param_regs: Vec<Option<Reg>>,
    /// The same for the return parameters.
    pub return_regs: Vec<Option<Reg>>,
    pub statements: Vec<Statement>,
}

/// `.reg .type name<count>` or one plain register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegGroup {
    /// For a run, register `first + i` is `name` followed by `i`. Scopes may repeat it.
    pub name: String,
    pub first: Reg,
    pub count: u32,
    /// False for a register declared without `<n>`.
    pub numbered: bool,
}

/// A label of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelDef {
    pub name: String,
    /// Index of its [`StatementKind::Label`]; always set after a successful parse.
    pub statement: u32,
}

/// `.callprototype`
#[derive(Clone, Debug, PartialEq)]
pub struct Prototype {
    pub name: String,
    pub returns: Vec<Param>,
    pub params: Vec<Param>,
    pub noreturn: bool,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Executed only by threads for which it holds. Never set on labels and pragmas.
    pub guard: Option<Guard>,
    pub kind: StatementKind,
    pub span: Span,
}

/// `@p` or `@!p`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    pub reg: Reg,
    pub negated: bool,
}

/// What a statement does. Control flow inside the body has variants of its own; `ret`, `exit` and
/// `trap` are plain instructions.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    Label(Label),
    Instr(Instr),
    /// `bra`
    Branch {
        target: Label,
        uniform: bool,
    },
    /// `brx.idx`; an index outside the list is undefined behaviour.
    BranchIndexed {
        index: Operand,
        targets: Vec<Label>,
        uniform: bool,
    },
    Call(Box<Call>),
    /// `.pragma "…";`
    Pragma(Vec<String>),
    /// An instruction that this crate knows by name only (textures, matrix units, TMA, …): the
    /// whole text, without guard and semicolon.
    Unsupported(String),
}

/// `call`
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub uniform: bool,
    pub target: CallTarget,
    pub returns: Vec<CallArg>,
    pub args: Vec<CallArg>,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq)]
pub enum CallTarget {
    Direct(FuncId),
    /// Through a register, with the signature of a prototype.
    Indirect {
        callee: Reg,
        prototype: ProtoId,
    },
    /// Through a register, one of a list; all have one signature.
    OneOf {
        callee: Reg,
        targets: Vec<FuncId>,
    },
}

/// A call's argument or return place.
#[derive(Clone, Debug, PartialEq)]
pub enum CallArg {
    /// A `.param` variable: of the body, or a parameter of the caller itself.
    Param(Symbol),
    Reg(Reg),
    Imm(Imm),
    /// `_` as a return place.
    Sink,
}

/// One data instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Instr {
    pub op: Opcode,
    pub mods: Modifiers,
    /// In the order written, destination first.
    pub operands: Vec<Operand>,
}

impl Instr {
    /// The first type, by far the most used one. Validated instructions whose row has a type have it.
    pub fn ty(&self) -> Option<ScalarType> {
        self.mods.types.first().copied()
    }
}

/// Every modifier an instruction can carry; those that its row does not list are absent or false.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    /// In the order written: destination type first where there are two.
    pub types: TypeList,
    pub rounding: Option<Rounding>,
    /// `.approx`
    pub approx: bool,
    /// `.full`
    pub full: bool,
    /// `.ftz`
    pub ftz: bool,
    /// `.noftz`
    pub noftz: bool,
    /// `.sat`
    pub sat: bool,
    /// `.satfinite`
    pub satfinite: bool,
    /// `.relu`
    pub relu: bool,
    /// `.oob`
    pub oob: bool,
    /// `.NaN`: a NaN operand gives NaN.
    pub nan: bool,
    /// `.xorsign` (always with `.abs`)
    pub xorsign: bool,
    /// `.abs`
    pub abs: bool,
    /// `.cc`: writes the carry flag.
    pub cc: bool,
    /// `.shiftamt`
    pub shiftamt: bool,
    pub cmp: Option<CmpOp>,
    pub bool_op: Option<BoolOp>,
    pub space: Option<StateSpace>,
    /// The second space of `cp.async` (the source).
    pub space2: Option<StateSpace>,
    /// `cvta.to`
    pub to: bool,
    pub sem: Option<MemSem>,
    /// `.mmio`
    pub mmio: bool,
    pub scope: Option<Scope>,
    pub cache: Option<CacheOp>,
    /// `.nc`
    pub nc: bool,
    /// Hints without effect on results, except that `L2CacheHint` adds a policy operand.
    pub hints: Vec<CacheHint>,
    pub level: Option<CacheLevel>,
    pub vec: Option<VecWidth>,
    pub mul: Option<MulMode>,
    pub shift_dir: Option<ShiftDir>,
    pub shift_mode: Option<ShiftMode>,
    pub prmt: Option<PrmtMode>,
    pub atom: Option<AtomOp>,
    /// `.acc::f32`
    pub acc_f32: bool,
    pub shfl: Option<ShflMode>,
    pub vote: Option<VoteMode>,
    pub match_mode: Option<MatchMode>,
    pub bar_red: Option<BarRedOp>,
    pub testp: Option<TestpOp>,
    pub video: Option<VideoOp>,
    /// `.po`
    pub plus_one: bool,
    pub scale: Option<VideoScale>,
    /// `.sync`
    pub sync: bool,
    /// `.aligned`, implied by the `bar.` spelling of barriers.
    pub aligned: bool,
    /// `.uni` (`ret.uni`)
    pub uniform: bool,
    /// `.noinc` (`cp.async.mbarrier.arrive`)
    pub noinc: bool,
    /// `.noComplete` (`mbarrier.arrive`)
    pub no_complete: bool,
    /// `.parity` (`mbarrier.test_wait`)
    pub parity: bool,
    pub proxy: Option<ProxyKind>,
}

/// An operand of a data instruction.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Reg(Reg),
    /// `!p`: a predicate source, negated.
    NotPred(Reg),
    Imm(Imm),
    Special(SpecialReg),
    /// `[…]`
    Addr(Address),
    /// The address of a symbol as a value: `mov.u64 %rd, sym+4`.
    Symbol {
        symbol: Symbol,
        offset: i64,
    },
    /// `{a, b}`: registers, immediates, specials or sinks; never nested.
    Vec(Vec<Self>),
    /// `d|p`: value (or first predicate) and predicate; either may be `Sink`.
    Pair(Box<(Self, Self)>),
    /// Part of a register in a video instruction, perhaps negated: `%r.b0`, `%r.h10`, `-%r`.
    Part {
        reg: Reg,
        part: Part,
    },
    /// `_`: the result is not wanted.
    Sink,
}

/// Byte or half selector of a video instruction's operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// `.h…` rather than `.b…`
    pub half: bool,
    /// Number of digits, 1 to 4; 0 for the whole register.
    pub len: u8,
    /// Digits as written (most significant lane first), each below 8; unused ones are 0.
    pub lanes: [u8; 4],
    /// Behind a minus sign (`vmad`).
    pub negated: bool,
}

impl Part {
    /// The whole register, negated.
    pub const NEGATED: Self = Self {
        half: false,
        len: 0,
        lanes: [0; 4],
        negated: true,
    };
}

/// `[base+offset]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub base: AddrBase,
    pub offset: i64,
}

/// What an address is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddrBase {
    Reg(Reg),
    Symbol(Symbol),
    /// `[0x1234]`
    Absolute,
}

/// A resolved name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// A module-scope variable.
    Variable(VarId),
    /// A variable of this body, among them the `.param` variables of calls.
    Local(LocalId),
    /// Parameter number n of this function.
    Param(u32),
    /// Return parameter number n of this function.
    Return(u32),
    Function(FuncId),
}

/// An immediate value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imm {
    /// An integer, as 64 bits in two's complement.
    Int(i64),
    /// `0f…`: the bits of a float.
    F32(u32),
    /// `0d…` or decimal: the bits of a double.
    F64(u64),
}

impl Imm {
    /// The raw bits of this immediate as an operand of type `ty`, zero-extended to 64: integers are
    /// cut to the width, floats are converted to a float type and kept as bits for others.
    /// A predicate is 0 or 1.
    pub fn bits_as(self, ty: ScalarType) -> u64 {
        let bits = match (self, ty) {
            (Self::Int(v), ScalarType::Pred) => u64::from(v != 0),
            // Only initial values mix the kinds; validated operands do not.
            (Self::Int(v), ScalarType::F32) => u64::from((v as f32).to_bits()),
            (Self::Int(v), ScalarType::F64) => (v as f64).to_bits(),
            (Self::Int(v), _) => v as u64,
            (Self::F32(b), ScalarType::F64) => f64::from(f32::from_bits(b)).to_bits(),
            (Self::F32(b), _) => u64::from(b),
            (Self::F64(b), ScalarType::F32) => u64::from((f64::from_bits(b) as f32).to_bits()),
            (Self::F64(b), _) => b,
        };
        match ty.bits() {
            n @ 0..64 => bits & ((1 << n) - 1),
            _ => bits,
        }
    }
}

impl Body {
    /// Type of a register.
    pub fn reg_type(&self, reg: Reg) -> ScalarType {
        self.regs[reg.index()]
    }

    /// Name of a register, for messages and dumps.
    pub fn reg_name(&self, reg: Reg) -> String {
        let at = self.reg_groups.partition_point(|g| g.first <= reg);
        match at.checked_sub(1).map(|i| &self.reg_groups[i]) {
            Some(g) if g.numbered => format!("{}{}", g.name, reg.0 - g.first.0),
            Some(g) => g.name.clone(),
            None => format!("%?{}", reg.0),
        }
    }
}
