//! cuBLASLt: products, transforms, and questions about algorithms.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;

use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::library::derived::worker::Outcome;
use rgpu_proto::library::lt::{
    self, Attributes, COMPUTE_TYPE, LAYOUT, LAYOUT_COLUMNS, LAYOUT_LD, LAYOUT_ROWS, LAYOUT_TYPE,
    MATMUL, POINTER_MODE, PREFERENCE, SCALE_TYPE, Shape, TRANSFORM, TRANSFORM_POINTER_MODE,
    TRANSFORM_SCALE_TYPE,
};
use rgpu_proto::library::{Fault, Scalars, Value, Worker, data_type_size};
use rgpu_proto::msg::lt::{
    Algo, HeuristicResult, LtAlgoGet, LtAlgoGot, LtAlgoSet, LtCheck, LtHandle, LtHeuristic,
    LtMatmul, LtProblem, LtTransform, LtTypes,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use crate::worker::session::{Failed, Session};

/// Results of a question at most, and bytes of an attribute: more than any library has.
const MOST_RESULTS: i32 = 4096;
const MOST_BYTES: u64 = 1 << 16;
/// Descriptors that are kept for the next call.
const MOST_KEPT: usize = 1024;

const MATMUL_OP: Opcode = Opcode::of("cublasLtMatmul");
const TRANSFORM_OP: Opcode = Opcode::of("cublasLtMatrixTransform");
const HEURISTIC: Opcode = Opcode::of("cublasLtMatmulAlgoGetHeuristic");
const CHECK: Opcode = Opcode::of("cublasLtMatmulAlgoCheck");
const IDS: Opcode = Opcode::of("cublasLtMatmulAlgoGetIds");
const INIT: Opcode = Opcode::of("cublasLtMatmulAlgoInit");
const CAPABILITY: Opcode = Opcode::of("cublasLtMatmulAlgoCapGetAttribute");
const CONFIG_GET: Opcode = Opcode::of("cublasLtMatmulAlgoConfigGetAttribute");
const CONFIG_SET: Opcode = Opcode::of("cublasLtMatmulAlgoConfigSetAttribute");

/// A descriptor of the library.
#[derive(Debug, Clone, Copy)]
struct Raw(*mut c_void);

// SAFETY: the library lets any thread use a descriptor; nothing is read through the pointer here.
unsafe impl Send for Raw {}

/// Kinds of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Matmul,
    Layout,
    Preference,
    Transform,
}

impl Kind {
    fn shape(self) -> &'static Shape {
        match self {
            Self::Matmul => &MATMUL,
            Self::Layout => &LAYOUT,
            Self::Preference => &PREFERENCE,
            Self::Transform => &TRANSFORM,
        }
    }

    /// The functions that create, set an attribute of, and destroy one.
    const fn functions(self) -> [Opcode; 3] {
        match self {
            Self::Matmul => [
                Opcode::of("cublasLtMatmulDescCreate"),
                Opcode::of("cublasLtMatmulDescSetAttribute"),
                Opcode::of("cublasLtMatmulDescDestroy"),
            ],
            Self::Layout => [
                Opcode::of("cublasLtMatrixLayoutCreate"),
                Opcode::of("cublasLtMatrixLayoutSetAttribute"),
                Opcode::of("cublasLtMatrixLayoutDestroy"),
            ],
            Self::Preference => [
                Opcode::of("cublasLtMatmulPreferenceCreate"),
                Opcode::of("cublasLtMatmulPreferenceSetAttribute"),
                Opcode::of("cublasLtMatmulPreferenceDestroy"),
            ],
            Self::Transform => [
                Opcode::of("cublasLtMatrixTransformDescCreate"),
                Opcode::of("cublasLtMatrixTransformDescSetAttribute"),
                Opcode::of("cublasLtMatrixTransformDescDestroy"),
            ],
        }
    }

    /// Attributes that are parameters of its creation.
    const fn created_with(self) -> &'static [u32] {
        match self {
            Self::Matmul => &[COMPUTE_TYPE, SCALE_TYPE],
            Self::Layout => &[LAYOUT_TYPE, LAYOUT_ROWS, LAYOUT_COLUMNS, LAYOUT_LD],
            Self::Preference => &[],
            Self::Transform => &[TRANSFORM_SCALE_TYPE],
        }
    }
}

/// The library's descriptors, by what they say.
#[derive(Debug, Default)]
pub(in crate::worker) struct Descriptors {
    kept: HashMap<(Kind, Attributes), Raw>,
}

type Ptr = *mut c_void;
type SetAttribute = unsafe extern "C" fn(Ptr, u32, *const c_void, usize) -> u32;
type Destroy = unsafe extern "C" fn(Ptr) -> u32;
type Matmul = unsafe extern "C" fn(
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    *const Algo,
    Ptr,
    usize,
    Ptr,
) -> u32;
type Transform = unsafe extern "C" fn(Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, Ptr) -> u32;
type Heuristic = unsafe extern "C" fn(
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    Ptr,
    i32,
    *mut HeuristicResult,
    *mut i32,
) -> u32;
type Check =
    unsafe extern "C" fn(Ptr, Ptr, Ptr, Ptr, Ptr, Ptr, *const Algo, *mut HeuristicResult) -> u32;
type Ids = unsafe extern "C" fn(Ptr, u32, u32, u32, u32, u32, u32, i32, *mut i32, *mut i32) -> u32;
type Init = unsafe extern "C" fn(Ptr, u32, u32, u32, u32, u32, u32, i32, *mut Algo) -> u32;
type Get = unsafe extern "C" fn(*const Algo, u32, Ptr, usize, *mut usize) -> u32;
type Set = unsafe extern "C" fn(*mut Algo, u32, *const c_void, usize) -> u32;

/// A product with its descriptors made.
struct Problem {
    handle: Ptr,
    desc: Ptr,
    layouts: [Ptr; 4],
}

impl Session {
    /// Carries out a `custom` row of cuBLASLt; `None` where `op` is none.
    pub(in crate::worker) fn lt_call(
        &mut self,
        op: Opcode,
        body: &[u8],
    ) -> Option<Result<Outcome, Failed>> {
        macro_rules! with {
            ($handler:ident) => {
                self.decode(body).map(|body| self.$handler(&body))
            };
        }
        Some(match op {
            MATMUL_OP => with!(lt_matmul),
            TRANSFORM_OP => with!(lt_transform),
            HEURISTIC => with!(lt_heuristic),
            CHECK => with!(lt_check),
            IDS => with!(lt_ids),
            INIT => with!(lt_init),
            CAPABILITY | CONFIG_GET => with!(lt_get),
            CONFIG_SET => with!(lt_set),
            _ => return None,
        })
    }

    /// The library's function of `op`.
    ///
    /// # Safety
    /// `F` is its type.
    unsafe fn lt<F: Copy>(&mut self, op: Opcode) -> Result<F, Fault> {
        let function = self.function(op.0).ok_or(Fault::Missing)?;
        const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
        // SAFETY: the caller's promise.
        Ok(unsafe { std::mem::transmute_copy::<*const c_void, F>(&function) })
    }

    fn lt_handle(&self, handle: LtHandle) -> Result<Ptr, Fault> {
        let (kind, id) = handle.named();
        self.raw(kind, id)
    }

    fn lt_stream(&mut self, id: Id<Stream>) -> Result<Ptr, Fault> {
        self.stream(id).map_err(|_| Fault::Handle)
    }

    /// The library's descriptor that says `attributes`, all of which are checked.
    fn descriptor(&mut self, kind: Kind, attributes: &Attributes) -> Result<Ptr, Fault> {
        let shape = kind.shape();
        if attributes.len() > shape.attributes.len() {
            return Err(Fault::Value);
        }
        for (number, value) in attributes {
            let attribute = shape.attribute(*number).ok_or(Fault::Value)?;
            if attribute.device {
                self.device(*value)?;
            }
        }
        let key = (kind, attributes.clone());
        if let Some(raw) = self.libraries.descriptors.kept.get(&key) {
            return Ok(raw.0);
        }
        let raw = self.make_descriptor(kind, attributes)?;
        self.libraries.descriptors.kept.insert(key, Raw(raw));
        Ok(raw)
    }

    fn make_descriptor(&mut self, kind: Kind, attributes: &Attributes) -> Result<Ptr, Fault> {
        let [create, set, destroy] = kind.functions();
        let of = |number| lt::value_of(kind.shape(), attributes, number);
        let word = |number| of(number) as u32;
        let mut raw = null_mut();
        let place = &raw mut raw;
        // SAFETY: each type is that of the function; `raw` is live.
        Fault::from_code(unsafe {
            match kind {
                Kind::Matmul => {
                    type Create = unsafe extern "C" fn(*mut Ptr, u32, u32) -> u32;
                    self.lt::<Create>(create)?(place, word(COMPUTE_TYPE), word(SCALE_TYPE))
                }
                Kind::Layout => {
                    type Create = unsafe extern "C" fn(*mut Ptr, u32, u64, u64, i64) -> u32;
                    let (rows, columns) = (of(LAYOUT_ROWS), of(LAYOUT_COLUMNS));
                    let ld = of(LAYOUT_LD).cast_signed();
                    self.lt::<Create>(create)?(place, word(LAYOUT_TYPE), rows, columns, ld)
                }
                Kind::Preference => {
                    type Create = unsafe extern "C" fn(*mut Ptr) -> u32;
                    self.lt::<Create>(create)?(place)
                }
                Kind::Transform => {
                    type Create = unsafe extern "C" fn(*mut Ptr, u32) -> u32;
                    self.lt::<Create>(create)?(place, word(TRANSFORM_SCALE_TYPE))
                }
            }
        })?;
        // SAFETY: the types are those of the functions.
        let (set, destroy) =
            unsafe { (self.lt::<SetAttribute>(set)?, self.lt::<Destroy>(destroy)?) };
        for (number, value) in attributes {
            if kind.created_with().contains(number) {
                continue;
            }
            let bytes = kind
                .shape()
                .attribute(*number)
                .map_or(0, |known| known.bytes);
            let value = value.to_le_bytes();
            // SAFETY: a live descriptor, and a value of at most eight bytes.
            let done = Fault::from_code(unsafe { set(raw, *number, value.as_ptr().cast(), bytes) });
            if let Err(fault) = done {
                // SAFETY: created above, and used no more.
                unsafe { destroy(raw) };
                return Err(fault);
            }
        }
        Ok(raw)
    }

    /// Before the descriptors of a call are made: forgets all, where there are many.
    fn make_room(&mut self) -> Result<(), Fault> {
        if self.libraries.descriptors.kept.len() < MOST_KEPT {
            return Ok(());
        }
        for ((kind, _), raw) in std::mem::take(&mut self.libraries.descriptors.kept) {
            let [_, _, destroy] = kind.functions();
            // SAFETY: the function's type; a descriptor that is used no more: calls keep none of them.
            unsafe { self.lt::<Destroy>(destroy)?(raw.0) };
        }
        Ok(())
    }

    fn problem(&mut self, problem: &LtProblem) -> Result<Problem, Fault> {
        self.make_room()?;
        Ok(Problem {
            handle: self.lt_handle(problem.handle)?,
            desc: self.descriptor(Kind::Matmul, &problem.desc)?,
            layouts: [
                self.descriptor(Kind::Layout, &problem.a)?,
                self.descriptor(Kind::Layout, &problem.b)?,
                self.descriptor(Kind::Layout, &problem.c)?,
                self.descriptor(Kind::Layout, &problem.d)?,
            ],
        })
    }

    /// Alpha and beta for the library, as the pointer mode and scale type of a descriptor say.
    fn scalars(
        &self,
        shape: &Shape,
        desc: &Attributes,
        [pointer_mode, scale_type]: [u32; 2],
        (alpha, beta): (&Value, &Option<Value>),
        slots: &mut [Scalars; 2],
    ) -> Result<[Ptr; 2], Fault> {
        let of = |number| lt::value_of(shape, desc, number);
        let size = data_type_size(of(scale_type) as u32).map(|(size, _)| size);
        let on_device = lt::scalars_on_device(of(pointer_mode)).ok_or(Fault::Value)?;
        let [alpha_slot, beta_slot] = slots;
        let one = |value: Option<&Value>, device, slot| match (value, device) {
            (Some(value), Some(device)) => value.to_library(slot, size, device, self),
            (None, None) => Ok(null_mut()),
            _ => Err(Fault::Value),
        };
        Ok([
            one(Some(alpha), on_device[0], alpha_slot)?,
            one(beta.as_ref(), on_device[1], beta_slot)?,
        ])
    }

    fn lt_matmul(&mut self, body: &LtMatmul) -> Outcome {
        let [a, b, c, d] = body.matrices;
        let [a, b] = [self.device(a)?, self.device(b)?];
        let [c, d] = [self.device(c)?, self.device(d)?];
        let workspace = self.device(body.workspace)?;
        let size = body.workspace_size;
        if body.workspace != 0 && !self.window.holds(body.workspace, size) {
            return Err(Fault::Value);
        }
        let Problem {
            handle,
            desc,
            layouts,
        } = self.problem(&body.problem)?;
        let mut slots = <[Scalars; 2]>::default();
        let numbers = [POINTER_MODE, SCALE_TYPE];
        let given = (&body.alpha, &body.beta);
        let [alpha, beta] =
            self.scalars(&MATMUL, &body.problem.desc, numbers, given, &mut slots)?;
        let algo = body
            .algo
            .as_ref()
            .map_or(std::ptr::null(), |algo| &raw const *algo);
        let stream = self.lt_stream(body.stream)?;
        // SAFETY: the function's type.
        let matmul = unsafe { self.lt::<Matmul>(MATMUL_OP)? };
        let [al, bl, cl, dl] = layouts;
        // SAFETY: live descriptors, addresses of the client's device memory, and scalars in `slots` or there.
        Fault::from_code(unsafe {
            matmul(
                handle,
                desc,
                alpha,
                a,
                al,
                b,
                bl,
                beta,
                c,
                cl,
                d,
                dl,
                algo,
                workspace,
                size as usize,
                stream,
            )
        })?;
        Ok(Vec::new())
    }

    fn lt_transform(&mut self, body: &LtTransform) -> Outcome {
        self.make_room()?;
        let [a, b, c] = body.matrices;
        let [a, b, c] = [self.device(a)?, self.device(b)?, self.device(c)?];
        let handle = self.lt_handle(body.handle)?;
        let desc = self.descriptor(Kind::Transform, &body.desc)?;
        let mut layout = |attributes: Option<&Attributes>| match attributes {
            Some(attributes) => self.descriptor(Kind::Layout, attributes),
            None => Ok(null_mut()),
        };
        let (al, bl) = (layout(body.a.as_ref())?, layout(body.b.as_ref())?);
        let cl = layout(Some(&body.c))?;
        let mut slots = <[Scalars; 2]>::default();
        let numbers = [TRANSFORM_POINTER_MODE, TRANSFORM_SCALE_TYPE];
        let given = (&body.alpha, &body.beta);
        let [alpha, beta] = self.scalars(&TRANSFORM, &body.desc, numbers, given, &mut slots)?;
        let stream = self.lt_stream(body.stream)?;
        // SAFETY: the function's type.
        let transform = unsafe { self.lt::<Transform>(TRANSFORM_OP)? };
        // SAFETY: live descriptors, addresses of the client's device memory, and scalars in `slots` or there.
        Fault::from_code(unsafe {
            transform(handle, desc, alpha, a, al, beta, b, bl, c, cl, stream)
        })?;
        Ok(Vec::new())
    }

    fn lt_heuristic(&mut self, body: &LtHeuristic) -> Outcome {
        let Problem {
            handle,
            desc,
            layouts,
        } = self.problem(&body.problem)?;
        let preference = self.descriptor(Kind::Preference, &body.preference)?;
        let requested = body.requested.clamp(0, MOST_RESULTS);
        let mut results: Vec<HeuristicResult> = vec![[0; 12]; requested as usize];
        let mut count = 0;
        let [a, b, c, d] = layouts;
        // SAFETY: the function's type; live descriptors, and room for as many results as are asked for.
        Fault::from_code(unsafe {
            self.lt::<Heuristic>(HEURISTIC)?(
                handle,
                desc,
                a,
                b,
                c,
                d,
                preference,
                requested,
                results.as_mut_ptr(),
                &raw mut count,
            )
        })?;
        results.truncate(usize::try_from(count).unwrap_or(0));
        Ok(wire::to_bytes(&results))
    }

    fn lt_check(&mut self, body: &LtCheck) -> Outcome {
        let Problem {
            handle,
            desc,
            layouts,
        } = self.problem(&body.problem)?;
        let mut result: HeuristicResult = [0; 12];
        let [a, b, c, d] = layouts;
        // SAFETY: the function's type; live descriptors, algorithm and result.
        Fault::from_code(unsafe {
            self.lt::<Check>(CHECK)?(handle, desc, a, b, c, d, &body.algo, &raw mut result)
        })?;
        Ok(wire::to_bytes(&result))
    }

    fn lt_ids(&mut self, body: &LtTypes) -> Outcome {
        let handle = self.lt_handle(body.handle)?;
        let requested = body.number.clamp(0, MOST_RESULTS);
        let mut ids = vec![0; requested as usize];
        let mut count = 0;
        let [compute, scale, a, b, c, d] = body.types;
        let (to, length) = (ids.as_mut_ptr(), &raw mut count);
        // SAFETY: the function's type, and room for as many ids as are asked for.
        Fault::from_code(unsafe {
            self.lt::<Ids>(IDS)?(handle, compute, scale, a, b, c, d, requested, to, length)
        })?;
        ids.truncate(usize::try_from(count).unwrap_or(0));
        Ok(wire::to_bytes(&ids))
    }

    fn lt_init(&mut self, body: &LtTypes) -> Outcome {
        let handle = self.lt_handle(body.handle)?;
        let mut algo: Algo = [0; 8];
        let [compute, scale, a, b, c, d] = body.types;
        let (number, to) = (body.number, &raw mut algo);
        // SAFETY: the function's type; `algo` is live.
        Fault::from_code(unsafe {
            self.lt::<Init>(INIT)?(handle, compute, scale, a, b, c, d, number, to)
        })?;
        Ok(wire::to_bytes(&algo))
    }

    /// Both functions that read an attribute of an algorithm.
    fn lt_get(&mut self, body: &LtAlgoGet) -> Outcome {
        let size = usize::try_from(body.size.min(MOST_BYTES)).unwrap_or(0);
        let mut room = vec![0u64; size.div_ceil(8)];
        let mut written = 0;
        let to = if size == 0 {
            null_mut()
        } else {
            room.as_mut_ptr().cast()
        };
        let op = self.frame.op;
        // SAFETY: the type of both functions; a live algorithm, and room for `size` bytes.
        Fault::from_code(unsafe {
            self.lt::<Get>(op)?(&body.algo, body.number, to, size, &raw mut written)
        })?;
        let mut value: Vec<u8> = room.iter().flat_map(|word| word.to_le_bytes()).collect();
        value.truncate(written.min(size));
        let written = written as u64;
        Ok(wire::to_bytes(&LtAlgoGot { written, value }))
    }

    fn lt_set(&mut self, body: &LtAlgoSet) -> Outcome {
        let mut algo = body.algo;
        let (from, size) = (body.value.as_ptr().cast(), body.value.len());
        // SAFETY: the function's type; a live algorithm, and `size` bytes.
        Fault::from_code(unsafe {
            self.lt::<Set>(CONFIG_SET)?(&raw mut algo, body.number, from, size)
        })?;
        Ok(wire::to_bytes(&algo))
    }
}
