//! The closed vocabularies of PTX: types, state spaces and every instruction modifier.
//!
//! Each enum knows its spelling in PTX text (`token`) and how to read it (`from_token`), so that the
//! parser, the printer and the coverage table share one list.

use std::fmt;

/// Defines an enum whose variants are PTX tokens (spelled without the leading dot).
macro_rules! tokens {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $var:ident = $text:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $var),+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$var),+];

            /// The PTX spelling, without a leading dot.
            pub const fn token(self) -> &'static str {
                match self { $(Self::$var => $text),+ }
            }

            /// Reads the PTX spelling, without a leading dot.
            pub fn from_token(text: &str) -> Option<Self> {
                match text { $($text $(| $alias)* => Some(Self::$var),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.token())
            }
        }
    };
}
pub(crate) use tokens;

tokens! {
    /// A fundamental or packed type.
    ScalarType {
        Pred = "pred",
        B8 = "b8", B16 = "b16", B32 = "b32", B64 = "b64", B128 = "b128",
        U8 = "u8", U16 = "u16", U32 = "u32", U64 = "u64",
        S8 = "s8", S16 = "s16", S32 = "s32", S64 = "s64",
        F16 = "f16", Bf16 = "bf16", F32 = "f32", F64 = "f64", Tf32 = "tf32",
        F16x2 = "f16x2", Bf16x2 = "bf16x2", F32x2 = "f32x2",
        U16x2 = "u16x2", S16x2 = "s16x2",
        E4m3x2 = "e4m3x2", E5m2x2 = "e5m2x2", E2m3x2 = "e2m3x2", E3m2x2 = "e3m2x2",
        E2m1x2 = "e2m1x2", Ue8m0x2 = "ue8m0x2",
        /// What `cvt.pack` packs; no register or variable has these types.
        U2 = "u2", S2 = "s2", U4 = "u4", S4 = "s4",
        TexRef = "texref", SamplerRef = "samplerref", SurfRef = "surfref",
    }
}

/// What the bits of a [`ScalarType`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    Pred,
    /// `.bN`: untyped bits.
    Bits,
    Unsigned,
    Signed,
    /// A scalar float.
    Float,
    /// Several small values in one register.
    Packed,
    /// `.texref`, `.samplerref`, `.surfref`.
    Opaque,
}

impl ScalarType {
    /// Size in bytes in memory. A predicate has no memory form; it counts as one byte.
    pub const fn size(self) -> u32 {
        match self {
            Self::Pred | Self::B8 | Self::U8 | Self::S8 | Self::E2m1x2 => 1,
            Self::U2 | Self::S2 | Self::U4 | Self::S4 => 1,
            Self::B16 | Self::U16 | Self::S16 | Self::F16 | Self::Bf16 => 2,
            Self::E4m3x2 | Self::E5m2x2 | Self::E2m3x2 | Self::E3m2x2 | Self::Ue8m0x2 => 2,
            Self::B32 | Self::U32 | Self::S32 | Self::F32 | Self::Tf32 => 4,
            Self::F16x2 | Self::Bf16x2 | Self::U16x2 | Self::S16x2 => 4,
            Self::B64 | Self::U64 | Self::S64 | Self::F64 | Self::F32x2 => 8,
            Self::TexRef | Self::SamplerRef | Self::SurfRef => 8,
            Self::B128 => 16,
        }
    }

    /// Size in bits; a predicate has one.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Pred => 1,
            Self::U2 | Self::S2 => 2,
            Self::U4 | Self::S4 => 4,
            other => other.size() * 8,
        }
    }

    /// What the bits mean.
    pub const fn kind(self) -> TypeKind {
        match self {
            Self::Pred => TypeKind::Pred,
            Self::B8 | Self::B16 | Self::B32 | Self::B64 | Self::B128 => TypeKind::Bits,
            Self::U2 | Self::U4 | Self::U8 | Self::U16 | Self::U32 | Self::U64 => {
                TypeKind::Unsigned
            }
            Self::S2 | Self::S4 | Self::S8 | Self::S16 | Self::S32 | Self::S64 => TypeKind::Signed,
            Self::F16 | Self::Bf16 | Self::F32 | Self::F64 | Self::Tf32 => TypeKind::Float,
            Self::TexRef | Self::SamplerRef | Self::SurfRef => TypeKind::Opaque,
            _ => TypeKind::Packed,
        }
    }

    /// A scalar floating point type.
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), TypeKind::Float)
    }

    /// `.f16`, `.bf16`, or two of them.
    pub const fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::F16x2 | Self::Bf16 | Self::Bf16x2)
    }

    /// `.sN`.
    pub const fn is_signed(self) -> bool {
        matches!(self.kind(), TypeKind::Signed)
    }

    /// `.uN` or `.sN`.
    pub const fn is_integer(self) -> bool {
        matches!(self.kind(), TypeKind::Unsigned | TypeKind::Signed)
    }

    /// The type of the halves of a packed two-lane type, where PTX has one.
    pub const fn lane(self) -> Option<Self> {
        match self {
            Self::F16x2 => Some(Self::F16),
            Self::Bf16x2 => Some(Self::Bf16),
            Self::F32x2 => Some(Self::F32),
            Self::U16x2 => Some(Self::U16),
            Self::S16x2 => Some(Self::S16),
            _ => None,
        }
    }

    /// The integer type of the same signedness with twice the bits (`mul.wide`, `mad.wide`).
    pub const fn widened(self) -> Option<Self> {
        match self {
            Self::U16 => Some(Self::U32),
            Self::U32 => Some(Self::U64),
            Self::S16 => Some(Self::S32),
            Self::S32 => Some(Self::S64),
            _ => None,
        }
    }
}

tokens! {
    /// A state space; an access without one is generic.
    StateSpace {
        Reg = "reg", Sreg = "sreg", Const = "const", Global = "global", Local = "local",
        /// Kernel and function parameters; `.param::entry` and `.param::func` fold into it, since the
        /// symbol already says which one is meant.
        Param = "param" | "param::entry" | "param::func",
        /// `.shared` and `.shared::cta`.
        Shared = "shared" | "shared::cta",
        SharedCluster = "shared::cluster",
        Tex = "tex",
    }
}

tokens! {
    /// Rounding. The `i` forms round to an integral value.
    Rounding {
        Rn = "rn", Rz = "rz", Rm = "rm", Rp = "rp", Rna = "rna", Rs = "rs",
        Rni = "rni", Rzi = "rzi", Rmi = "rmi", Rpi = "rpi",
    }
}

tokens! {
    /// Comparison of `set`, `setp` and `vset`. `Equ` to `Geu` are true if an operand is NaN; `Lo` to
    /// `Hs` are the unsigned spellings.
    CmpOp {
        Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge",
        Lo = "lo", Ls = "ls", Hi = "hi", Hs = "hs",
        Equ = "equ", Neu = "neu", Ltu = "ltu", Leu = "leu", Gtu = "gtu", Geu = "geu",
        Num = "num", Nan = "nan",
    }
}

tokens! {
    /// How `set` and `setp` combine the comparison with a predicate; also `lop3.BoolOp`.
    BoolOp { And = "and", Or = "or", Xor = "xor" }
}

tokens! {
    /// Memory ordering of `ld`, `st`, `atom`, `red`, `fence`.
    MemSem {
        Weak = "weak", Volatile = "volatile", Relaxed = "relaxed", Acquire = "acquire",
        Release = "release", AcqRel = "acq_rel", Sc = "sc",
    }
}

tokens! {
    /// Scope of an ordering. `membar.gl` reads as `Gpu`.
    Scope { Cta = "cta", Cluster = "cluster", Gpu = "gpu" | "gl", Sys = "sys" }
}

tokens! {
    /// Cache operator of `ld` and `st`.
    CacheOp { Ca = "ca", Cg = "cg", Cs = "cs", Lu = "lu", Cv = "cv", Wb = "wb", Wt = "wt" }
}

tokens! {
    /// Eviction priority and prefetch hints: no effect on results.
    CacheHint {
        L1EvictNormal = "L1::evict_normal", L1EvictUnchanged = "L1::evict_unchanged",
        L1EvictFirst = "L1::evict_first", L1EvictLast = "L1::evict_last",
        L1NoAllocate = "L1::no_allocate",
        L2EvictNormal = "L2::evict_normal", L2EvictFirst = "L2::evict_first",
        L2EvictLast = "L2::evict_last", L2EvictUnchanged = "L2::evict_unchanged",
        L2Prefetch64 = "L2::64B", L2Prefetch128 = "L2::128B", L2Prefetch256 = "L2::256B",
        /// Adds a trailing 64-bit policy operand.
        L2CacheHint = "L2::cache_hint",
    }
}

tokens! {
    /// Vector width of a memory access, `mov` or variable.
    VecWidth { V2 = "v2", V4 = "v4", V8 = "v8" }
}

impl VecWidth {
    /// Number of elements.
    pub const fn lanes(self) -> usize {
        match self {
            Self::V2 => 2,
            Self::V4 => 4,
            Self::V8 => 8,
        }
    }
}

tokens! {
    /// Which half of an integer product `mul`, `mad` keep; `dp2a` halves.
    MulMode { Lo = "lo", Hi = "hi", Wide = "wide" }
}

tokens! {
    /// Direction of `shf`.
    ShiftDir { Left = "l", Right = "r" }
}

tokens! {
    /// What happens to out-of-range amounts in `shf`, `szext`, `bmsk`, `vshl`, `vshr`.
    ShiftMode { Clamp = "clamp", Wrap = "wrap" }
}

tokens! {
    /// Special modes of `prmt`.
    PrmtMode { F4e = "f4e", B4e = "b4e", Rc8 = "rc8", Ecl = "ecl", Ecr = "ecr", Rc16 = "rc16" }
}

tokens! {
    /// Operation of `atom`, `red`, `redux`.
    AtomOp {
        Add = "add", And = "and", Or = "or", Xor = "xor", Min = "min", Max = "max",
        Inc = "inc", Dec = "dec", Exch = "exch", Cas = "cas",
    }
}

tokens! {
    /// Lane selection of `shfl`.
    ShflMode { Up = "up", Down = "down", Bfly = "bfly", Idx = "idx" }
}

tokens! {
    /// What `vote` answers.
    VoteMode { All = "all", Any = "any", Uni = "uni", Ballot = "ballot" }
}

tokens! {
    /// What `match.sync` answers.
    MatchMode { Any = "any", All = "all" }
}

tokens! {
    /// Reduction of `bar.red`.
    BarRedOp { Popc = "popc", And = "and", Or = "or" }
}

tokens! {
    /// Property tested by `testp`.
    TestpOp {
        Finite = "finite", Infinite = "infinite", Number = "number",
        NotANumber = "notanumber", Normal = "normal", Subnormal = "subnormal",
    }
}

tokens! {
    /// Second operation of a video instruction.
    VideoOp { Add = "add", Min = "min", Max = "max" }
}

tokens! {
    /// How far `vmad` shifts its sum to the right.
    VideoScale { Shr7 = "shr7", Shr15 = "shr15" }
}

tokens! {
    /// Proxy of `fence.proxy`.
    ProxyKind { Alias = "alias", Async = "async" }
}

tokens! {
    /// Cache level of `prefetch`, `prefetchu`, `discard`, `applypriority`.
    CacheLevel { L1 = "L1", L2 = "L2" }
}

tokens! {
    /// A special register; those with three components have one variant for each.
    SpecialReg {
        TidX = "%tid.x", TidY = "%tid.y", TidZ = "%tid.z",
        NtidX = "%ntid.x", NtidY = "%ntid.y", NtidZ = "%ntid.z",
        CtaidX = "%ctaid.x", CtaidY = "%ctaid.y", CtaidZ = "%ctaid.z",
        NctaidX = "%nctaid.x", NctaidY = "%nctaid.y", NctaidZ = "%nctaid.z",
        LaneId = "%laneid", WarpId = "%warpid", NwarpId = "%nwarpid",
        SmId = "%smid", NsmId = "%nsmid", GridId = "%gridid",
        IsExplicitCluster = "%is_explicit_cluster",
        ClusterIdX = "%clusterid.x", ClusterIdY = "%clusterid.y", ClusterIdZ = "%clusterid.z",
        NclusterIdX = "%nclusterid.x", NclusterIdY = "%nclusterid.y", NclusterIdZ = "%nclusterid.z",
        ClusterCtaidX = "%cluster_ctaid.x", ClusterCtaidY = "%cluster_ctaid.y",
        ClusterCtaidZ = "%cluster_ctaid.z",
        ClusterNctaidX = "%cluster_nctaid.x", ClusterNctaidY = "%cluster_nctaid.y",
        ClusterNctaidZ = "%cluster_nctaid.z",
        ClusterCtarank = "%cluster_ctarank", ClusterNctarank = "%cluster_nctarank",
        LanemaskEq = "%lanemask_eq", LanemaskLe = "%lanemask_le", LanemaskLt = "%lanemask_lt",
        LanemaskGe = "%lanemask_ge", LanemaskGt = "%lanemask_gt",
        Clock = "%clock", ClockHi = "%clock_hi", Clock64 = "%clock64",
        GlobalTimer = "%globaltimer", GlobalTimerLo = "%globaltimer_lo",
        GlobalTimerHi = "%globaltimer_hi",
        TotalSmemSize = "%total_smem_size", AggrSmemSize = "%aggr_smem_size",
        DynamicSmemSize = "%dynamic_smem_size",
        ReservedSmemOffsetBegin = "%reserved_smem_offset_begin",
        ReservedSmemOffsetEnd = "%reserved_smem_offset_end",
        ReservedSmemOffsetCap = "%reserved_smem_offset_cap",
        ReservedSmemOffset0 = "%reserved_smem_offset_0",
        ReservedSmemOffset1 = "%reserved_smem_offset_1",
        CurrentGraphExec = "%current_graph_exec",
        /// Read-only words that the driver fills; 1 and 2 hold the grid-wide barrier's workspace.
        EnvReg0 = "%envreg0", EnvReg1 = "%envreg1", EnvReg2 = "%envreg2", EnvReg3 = "%envreg3",
        EnvReg4 = "%envreg4", EnvReg5 = "%envreg5", EnvReg6 = "%envreg6", EnvReg7 = "%envreg7",
        EnvReg8 = "%envreg8", EnvReg9 = "%envreg9", EnvReg10 = "%envreg10", EnvReg11 = "%envreg11",
        EnvReg12 = "%envreg12", EnvReg13 = "%envreg13", EnvReg14 = "%envreg14",
        EnvReg15 = "%envreg15", EnvReg16 = "%envreg16", EnvReg17 = "%envreg17",
        EnvReg18 = "%envreg18", EnvReg19 = "%envreg19", EnvReg20 = "%envreg20",
        EnvReg21 = "%envreg21", EnvReg22 = "%envreg22", EnvReg23 = "%envreg23",
        EnvReg24 = "%envreg24", EnvReg25 = "%envreg25", EnvReg26 = "%envreg26",
        EnvReg27 = "%envreg27", EnvReg28 = "%envreg28", EnvReg29 = "%envreg29",
        EnvReg30 = "%envreg30", EnvReg31 = "%envreg31",
        /// Performance counters.
        Pm0 = "%pm0", Pm1 = "%pm1", Pm2 = "%pm2", Pm3 = "%pm3", Pm4 = "%pm4", Pm5 = "%pm5",
        Pm6 = "%pm6", Pm7 = "%pm7", Pm0w = "%pm0_64", Pm1w = "%pm1_64", Pm2w = "%pm2_64",
        Pm3w = "%pm3_64", Pm4w = "%pm4_64", Pm5w = "%pm5_64", Pm6w = "%pm6_64", Pm7w = "%pm7_64",
        /// The constant `WARP_SZ`.
        WarpSize = "WARP_SZ",
    }
}

impl SpecialReg {
    /// The natural type: 64 bits for `clock64`, `globaltimer`, `gridid`, `current_graph_exec`, a
    /// predicate for `is_explicit_cluster`, else `u32`. `mov` may read a 64-bit one as 32 bits
    /// (`mov.u32 %r, %gridid` in old code) and a 32-bit one as 64.
    pub const fn ty(self) -> ScalarType {
        match self {
            Self::Clock64 | Self::GlobalTimer | Self::GridId | Self::CurrentGraphExec => {
                ScalarType::U64
            }
            Self::IsExplicitCluster => ScalarType::Pred,
            Self::Pm0w | Self::Pm1w | Self::Pm2w | Self::Pm3w => ScalarType::U64,
            Self::Pm4w | Self::Pm5w | Self::Pm6w | Self::Pm7w => ScalarType::U64,
            _ => ScalarType::U32,
        }
    }

    /// The number of an environment register.
    pub const fn envreg(self) -> Option<u8> {
        let n = (self as u8).wrapping_sub(Self::EnvReg0 as u8);
        if n < 32 { Some(n) } else { None }
    }
}

/// Up to four types, in the order they are written (`cvt.u64.u32`: destination first).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeList {
    len: u8,
    items: [ScalarType; Self::MAX],
}

impl TypeList {
    /// More types than any supported instruction has.
    pub const MAX: usize = 4;

    /// No types.
    pub const fn new() -> Self {
        Self {
            len: 0,
            items: [ScalarType::B32; Self::MAX],
        }
    }

    /// Appends; false if full.
    pub fn push(&mut self, ty: ScalarType) -> bool {
        let Some(slot) = self.items.get_mut(usize::from(self.len)) else {
            return false;
        };
        *slot = ty;
        self.len += 1;
        true
    }
}

impl Default for TypeList {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for TypeList {
    type Target = [ScalarType];

    fn deref(&self) -> &[ScalarType] {
        &self.items[..usize::from(self.len)]
    }
}

impl fmt::Debug for TypeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
