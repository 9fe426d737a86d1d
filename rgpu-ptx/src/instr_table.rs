//! One row per opcode: spelling, modifiers, types, operands, and the PTX version and architecture
//! that brought it. The parser, the validator, the printer and the coverage page all read these rows.

use crate::{
    rules::{ModClass, Rule, Rule::*, TypeSet, sets::*},
    types::tokens,
};

/// One opcode's facts.
#[derive(Debug)]
pub struct Row {
    pub op: Opcode,
    /// Dotted prefix that names the opcode; further spellings in `aliases`.
    pub text: &'static str,
    pub aliases: &'static [&'static str],
    /// Modifiers it may carry, in the order they are written; those of `required` it must.
    pub mods: &'static [ModClass],
    pub required: &'static [ModClass],
    /// What each written type may be, in order. The last `optional_types` may be left out.
    pub types: &'static [TypeSet],
    pub optional_types: usize,
    pub operands: &'static [Rule],
    /// PTX ISA version times ten.
    pub ptx: u16,
    /// Lowest `sm_NN`.
    pub sm: u16,
}

/// Builds [`Opcode`] and [`ROWS`]. A row reads: variant = spelling, required modifiers, all modifiers,
/// types, operands, PTX version, sm.
macro_rules! rows {
    ($($op:ident = $text:literal $(| $alias:literal)* {$($req:ident)*} [$($mods:ident)*]
       ($($ty:expr),* $(; $oty:expr)*) [$($rule:expr),*] $ptx:literal $sm:literal;)+) => {
        tokens! {
            /// Every data instruction that this crate understands. Branches and calls are
            /// statements of their own.
            Opcode { $($op = $text $(| $alias)*),+ }
        }

        /// The rows, in the order of [`Opcode::ALL`].
        pub static ROWS: &[Row] = &[$(Row {
            op: Opcode::$op,
            text: $text,
            aliases: &[$($alias),*],
            required: &[$(ModClass::$req),*],
            mods: &[$(ModClass::$mods),*],
            types: &[$($ty,)* $($oty),*],
            optional_types: <[TypeSet]>::len(&[$($oty),*]),
            operands: &[$($rule),*],
            ptx: $ptx,
            sm: $sm,
        }),+];
    };
}

// One row per line; rustfmt leaves macro bodies of this shape alone.
rows! {
    // Integer and floating point arithmetic.
    Add = "add" {} [Rounding Ftz Sat Cc] (ARITH; HALF) [D0, SLast, S0] 10 10;
    Addc = "addc" {} [Cc] (INT32_64) [D0, S0, S0] 12 10;
    Sub = "sub" {} [Rounding Ftz Sat Cc] (ARITH; HALF) [D0, SLast, S0] 10 10;
    Subc = "subc" {} [Cc] (INT32_64) [D0, S0, S0] 12 10;
    Mul = "mul" {} [Rounding Ftz Sat Mul] (ARITH) [DWide, S0, S0] 10 10;
    Mad = "mad" {} [Rounding Ftz Sat Mul Cc] (MAD) [DWide, S0, S0, SWide] 10 10;
    Madc = "madc" {Mul} [Mul Cc] (INT32_64) [D0, S0, S0, S0] 30 20;
    Mul24 = "mul24" {Mul} [Mul] (INT32) [D0, S0, S0] 10 10;
    Mad24 = "mad24" {Mul} [Mul Sat] (INT32) [D0, S0, S0, S0] 10 10;
    Sad = "sad" {} [] (INT16_64) [D0, S0, S0, S0] 10 10;
    Div = "div" {} [Rounding Approx Full Ftz] (INT16_64.or(F32_64)) [D0, S0, S0] 10 10;
    Rem = "rem" {} [] (INT16_64) [D0, S0, S0] 10 10;
    Abs = "abs" {} [Ftz] (SIGNABLE) [D0, S0] 10 10;
    Neg = "neg" {} [Ftz] (SIGNABLE) [D0, S0] 10 10;
    Min = "min" {} [Ftz Nan XorSign Abs Relu] (ORDERED) [D0, S0, S0, OptS0] 10 10;
    Max = "max" {} [Ftz Nan XorSign Abs Relu] (ORDERED) [D0, S0, S0, OptS0] 10 10;
    Popc = "popc" {} [] (BITS32_64) [DU32, S0] 20 20;
    Clz = "clz" {} [] (BITS32_64) [DU32, S0] 20 20;
    Bfind = "bfind" {} [ShiftAmt] (INT32_64) [DU32, S0] 20 20;
    Fns = "fns" {} [] (BITS32) [DU32, SU32, SU32, SU32] 60 30;
    Brev = "brev" {} [] (BITS32_64) [D0, S0] 20 20;
    Bfe = "bfe" {} [] (INT32_64) [D0, S0, SU32, SU32] 20 20;
    Bfi = "bfi" {} [] (BITS32_64) [D0, S0, S0, SU32, SU32] 20 20;
    Bmsk = "bmsk" {ShiftMode} [ShiftMode] (BITS32) [D0, SU32, SU32] 76 70;
    Szext = "szext" {ShiftMode} [ShiftMode] (INT32) [D0, S0, SU32] 76 70;
    Dp4a = "dp4a" {} [] (INT32, INT32) [DU32, SU32, SU32, SU32] 50 61;
    Dp2a = "dp2a" {Mul} [Mul] (INT32, INT32) [DU32, SU32, SU32, SU32] 50 61;

    // Floating point only.
    Fma = "fma" {} [Rounding Ftz Sat Relu Oob] (FLOATS; HALF) [D0, SLast, SLast, S0] 14 13;
    Rcp = "rcp" {} [Rounding Approx Ftz] (F32_64) [D0, S0] 10 10;
    Sqrt = "sqrt" {} [Rounding Approx Ftz] (F32_64) [D0, S0] 10 10;
    Rsqrt = "rsqrt" {Approx} [Approx Ftz] (F32_64) [D0, S0] 10 10;
    Sin = "sin" {Approx} [Approx Ftz] (F32) [D0, S0] 10 10;
    Cos = "cos" {Approx} [Approx Ftz] (F32) [D0, S0] 10 10;
    Lg2 = "lg2" {Approx} [Approx Ftz] (F32) [D0, S0] 10 10;
    Ex2 = "ex2" {Approx} [Approx Ftz] (F32.or(HALVES)) [D0, S0] 10 10;
    Tanh = "tanh" {Approx} [Approx] (F32.or(HALVES)) [D0, S0] 70 75;
    Copysign = "copysign" {} [] (F32_64) [D0, S0, S0] 20 20;
    Testp = "testp" {Testp} [Testp] (F32_64) [DPred, S0] 20 20;

    // Comparison and selection.
    Set = "set" {Cmp} [Cmp BoolOp Ftz] (SET_DST, SET_SRC) [D0, S1, S1, OptPred] 10 10;
    Setp = "setp" {Cmp} [Cmp BoolOp Ftz] (COMPARABLE) [DPredPair, S0, S0, OptPred] 10 10;
    Selp = "selp" {} [] (SELECTABLE) [D0, S0, S0, SPred] 10 10;
    Slct = "slct" {} [Ftz] (SELECTABLE, SLCT_KEY) [D0, S0, S0, S1] 10 10;

    // Logic and shifts.
    And = "and" {} [] (LOGIC) [D0, S0, S0] 10 10;
    Or = "or" {} [] (LOGIC) [D0, S0, S0] 10 10;
    Xor = "xor" {} [] (LOGIC) [D0, S0, S0] 10 10;
    Not = "not" {} [] (LOGIC) [D0, S0] 10 10;
    Cnot = "cnot" {} [] (BITS16_64) [D0, S0] 10 10;
    Shl = "shl" {} [] (BITS16_64) [D0, S0, SU32] 10 10;
    Shr = "shr" {} [] (BITS16_64.or(INT16_64)) [D0, S0, SU32] 10 10;
    Shf = "shf" {ShiftDir ShiftMode} [ShiftDir ShiftMode] (BITS32) [D0, S0, S0, SU32] 31 32;
    Lop3 = "lop3" {} [BoolOp] (BITS32) [D0Pair, S0, S0, S0, ImmInt, OptPred] 43 50;
    Prmt = "prmt" {} [Prmt] (BITS32) [D0, S0, S0, SU32] 20 20;

    // Moves and conversions.
    Mov = "mov" {} [Vec] (ANY) [DMov, SMov] 10 10;
    Cvt = "cvt" {} [Rounding Ftz Sat Satfinite Relu] (CVT, CVT) [DWide0, SWide1, OptS1, OptRandom] 10 10;
    CvtPack = "cvt.pack" {Sat} [Sat] (PACK_DST, INT32; BITS32) [DU32, SU32, SU32, OptSU32] 65 72;
    Cvta = "cvta" {Space} [To Space] (UINT64) [D0, SAddr0] 20 20;
    Isspacep = "isspacep" {Space} [Space] () [DPred, SPtr] 20 20;
    Mapa = "mapa" {} [Space] (UINT32_64) [D0, SAddr0, SU32] 78 90;
    Getctarank = "getctarank" {} [Space] (UINT32_64) [DU32, SAddr0] 78 90;

    // Memory.
    Ld = "ld" {} [Mmio Sem Scope Space Nc Cache Hints Vec] (MEMORY) [DVec0, Addr, OptPolicy] 10 10;
    Ldu = "ldu" {} [Space Vec] (MEMORY) [DVec0, Addr] 20 20;
    St = "st" {} [Mmio Sem Scope Space Cache Hints Vec] (MEMORY) [Addr, SVec0, OptPolicy] 10 10;
    Atom = "atom" {Atom} [Sem Scope Space Atom Noftz Vec Hints] (ATOM) [DVec0Sink, Addr, SVec0, OptS0, OptPolicy] 11 11;
    Red = "red" {Atom} [Sem Scope Space Atom Noftz Vec Hints] (ATOM) [Addr, SVec0, OptPolicy] 12 11;
    MultimemLdReduce = "multimem.ld_reduce" {Atom} [Sem Scope Space Atom AccF32 Vec] (MULTIMEM) [DVec0, Addr] 81 90;
    MultimemSt = "multimem.st" {} [Sem Scope Space Vec] (MULTIMEM) [Addr, SVec0] 81 90;
    MultimemRed = "multimem.red" {Atom} [Sem Scope Space Atom Vec] (MULTIMEM) [Addr, SVec0] 81 90;
    Prefetch = "prefetch" {} [Space Level Hints] () [Addr] 20 20;
    Prefetchu = "prefetchu" {Level} [Level] () [Addr] 20 20;
    Discard = "discard" {Level} [Level Space] () [Addr, ImmInt] 74 80;
    Applypriority = "applypriority" {Hints} [Hints Space] () [Addr, ImmInt] 74 80;
    CreatePolicyFractional = "createpolicy.fractional" {Hints} [Hints] (BITS64) [D0, OptSF32] 74 80;
    CpAsync = "cp.async" {Cache Space Space2} [Cache Space Space2 Hints] () [Addr, Addr, ImmInt, OptSrcSize, OptPolicy] 70 80;
    CpAsyncCommitGroup = "cp.async.commit_group" {} [] () [] 70 80;
    CpAsyncWaitGroup = "cp.async.wait_group" {} [] () [ImmInt] 70 80;
    CpAsyncWaitAll = "cp.async.wait_all" {} [] () [] 70 80;
    CpAsyncMbarrierArrive = "cp.async.mbarrier.arrive" {} [Noinc Space] (BITS64) [Addr] 70 80;
    Alloca = "alloca" {} [] (UINT32_64) [D0, SAddr0, OptImmInt] 73 52;
    Stacksave = "stacksave" {} [] (UINT32_64) [D0] 73 52;
    Stackrestore = "stackrestore" {} [] (UINT32_64) [S0] 73 52;

    // Threads together.
    Shfl = "shfl" {Shfl} [Sync Shfl] (BITS32) [D0Pair, S0, SU32, SU32, OptSU32] 30 30;
    Vote = "vote" {Vote} [Sync Vote] (PRED_B32) [D0, SPred, OptSU32] 12 12;
    Match = "match" {MatchMode Sync} [MatchMode Sync] (BITS32_64) [DU32Pair, S0, SU32] 60 70;
    Activemask = "activemask" {} [] (BITS32) [D0] 62 30;
    Redux = "redux" {Sync Atom} [Sync Atom Abs Nan] (BITS32.or(INT32).or(F32)) [D0, S0, SU32] 70 80;
    Elect = "elect" {Sync} [Sync] () [DU32Pair, SU32] 80 90;
    BarSync = "barrier.sync" | "barrier.cta.sync" | "bar.sync" | "bar.cta.sync" {} [Aligned] () [SU32, OptSU32] 10 10;
    BarArrive = "barrier.arrive" | "barrier.cta.arrive" | "bar.arrive" | "bar.cta.arrive" {} [Aligned] () [SU32, SU32] 20 20;
    BarRed = "barrier.red" | "barrier.cta.red" | "bar.red" | "bar.cta.red" {BarRed} [BarRed Aligned] (PRED_U32) [D0, SU32, OptSU32, SPred] 20 20;
    BarWarpSync = "bar.warp.sync" {} [] () [SU32] 60 30;
    BarrierClusterArrive = "barrier.cluster.arrive" {} [Sem Aligned] () [] 78 90;
    BarrierClusterWait = "barrier.cluster.wait" {} [Sem Aligned] () [] 78 90;
    Membar = "membar" {Scope} [Scope] () [] 14 10;
    Fence = "fence" {Scope} [Scope Sem] () [] 60 70;
    FenceProxy = "fence.proxy" | "membar.proxy" {Proxy} [Proxy Space] () [] 75 70;
    FenceMbarrierInit = "fence.mbarrier_init" {Sem Scope} [Sem Scope] () [] 80 90;
    MbarrierInit = "mbarrier.init" {} [Space] (BITS64) [Addr, SU32] 70 80;
    MbarrierInval = "mbarrier.inval" {} [Space] (BITS64) [Addr] 70 80;
    MbarrierExpectTx = "mbarrier.expect_tx" {} [Sem Scope Space] (BITS64) [Addr, SU32] 80 90;
    MbarrierCompleteTx = "mbarrier.complete_tx" {} [Sem Scope Space] (BITS64) [Addr, SU32] 80 90;
    MbarrierArrive = "mbarrier.arrive" {} [Sem Scope Space NoComplete] (BITS64) [OptD0Sink, Addr, OptSU32] 70 80;
    MbarrierArriveExpectTx = "mbarrier.arrive.expect_tx" {} [Sem Scope Space] (BITS64) [OptD0Sink, Addr, SU32] 80 90;
    MbarrierArriveDrop = "mbarrier.arrive_drop" {} [Sem Scope Space NoComplete] (BITS64) [OptD0Sink, Addr, OptSU32] 70 80;
    MbarrierArriveDropExpectTx = "mbarrier.arrive_drop.expect_tx" {} [Sem Scope Space] (BITS64) [OptD0Sink, Addr, SU32] 80 90;
    MbarrierTestWait = "mbarrier.test_wait" {} [Parity Sem Scope Space] (BITS64) [DPred, Addr, SAny] 70 80;
    MbarrierTryWait = "mbarrier.try_wait" {} [Parity Sem Scope Space] (BITS64) [DPred, Addr, SAny, OptSU32] 78 90;
    MbarrierPendingCount = "mbarrier.pending_count" {} [] (BITS64) [DU32, S0] 70 80;
    GriddepcontrolWait = "griddepcontrol.wait" {} [] () [] 78 90;
    GriddepcontrolLaunchDependents = "griddepcontrol.launch_dependents" {} [] () [] 78 90;

    // Control and the rest.
    Ret = "ret" {} [Uniform] () [] 10 10;
    Exit = "exit" {} [] () [] 10 10;
    Trap = "trap" {} [] () [] 10 10;
    Brkpt = "brkpt" {} [] () [] 10 11;
    Nanosleep = "nanosleep" {} [] (UINT32) [S0] 63 70;
    Pmevent = "pmevent" {} [] () [ImmInt] 14 10;
    PmeventMask = "pmevent.mask" {} [] () [ImmInt] 30 20;
    SetmaxnregInc = "setmaxnreg.inc" {Sync Aligned} [Sync Aligned] (UINT32) [ImmInt] 80 90;
    SetmaxnregDec = "setmaxnreg.dec" {Sync Aligned} [Sync Aligned] (UINT32) [ImmInt] 80 90;

    // Video: values are 32-bit registers, sources may name bytes or halves.
    Vadd = "vadd" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vsub = "vsub" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vabsdiff = "vabsdiff" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vmin = "vmin" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vmax = "vmax" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vshl = "vshl" {ShiftMode} [ShiftMode Sat Video] (INT32, INT32, UINT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vshr = "vshr" {ShiftMode} [ShiftMode Sat Video] (INT32, INT32, UINT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vmad = "vmad" {} [Sat Po VideoScale] (INT32, INT32, INT32) [DU32, SPartNeg, SPartNeg, SPartNeg] 20 20;
    Vset = "vset" {Cmp} [Cmp Video] (INT32, INT32) [DPart, SPart, SPart, OptSU32] 20 20;
    Vadd2 = "vadd2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vsub2 = "vsub2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vavrg2 = "vavrg2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vabsdiff2 = "vabsdiff2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vmin2 = "vmin2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vmax2 = "vmax2" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vset2 = "vset2" {Cmp} [Cmp Video] (INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vadd4 = "vadd4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vsub4 = "vsub4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vavrg4 = "vavrg4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vabsdiff4 = "vabsdiff4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vmin4 = "vmin4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vmax4 = "vmax4" {} [Sat Video] (INT32, INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
    Vset4 = "vset4" {Cmp} [Cmp Video] (INT32, INT32) [DPart, SPart, SPart, SU32] 30 30;
}

/// Control flow that has statement kinds of its own: spelling, PTX version times ten, lowest sm.
pub const CONTROL: &[(&str, u16, u16)] = &[("bra", 10, 10), ("brx.idx", 60, 30), ("call", 10, 10)];

/// Instructions that parse to [`StatementKind::Unsupported`](crate::ast::StatementKind), by family: what they belong to,
/// and how they begin.
pub const UNSUPPORTED_FAMILIES: &[(&str, &[&str])] = &[
    (
        "matrices of a warp",
        &["mma", "wmma", "ldmatrix", "stmatrix", "movmatrix"],
    ),
    ("matrices of a warp group", &["wgmma"]),
    ("tensor memory", &["tcgen05"]),
    (
        "textures and surfaces",
        &[
            "tex", "tld4", "txq", "istypep", "suld", "sust", "sured", "suq",
        ],
    ),
    (
        "bulk and tensor copies (TMA)",
        &[
            "cp.async.bulk",
            "cp.reduce",
            "multimem.cp",
            "st.bulk",
            "tensormap",
            "fence.proxy.tensormap::generic",
            "fence.proxy.async::generic",
        ],
    ),
    (
        "clusters of more than one block",
        &[
            "st.async",
            "red.async",
            "clusterlaunchcontrol",
            "fence.acquire.sync_restrict::shared::cluster",
            "fence.release.sync_restrict::shared::cta",
        ],
    ),
    ("cache policies of an address range", &["createpolicy"]),
];

/// The beginnings of all unsupported instructions.
pub fn unsupported() -> impl Iterator<Item = &'static str> {
    UNSUPPORTED_FAMILIES
        .iter()
        .flat_map(|(_, prefixes)| prefixes.iter().copied())
}

impl Opcode {
    /// `vadd` to `vset`, whose third source is not always there.
    pub fn is_scalar_video(self) -> bool {
        (Self::Vadd..=Self::Vset).contains(&self)
    }

    /// The facts of this opcode.
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}
