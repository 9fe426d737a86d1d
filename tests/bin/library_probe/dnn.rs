//! cuDNN: one convolution, asked for in both ways.

use std::ffi::c_void;

use super::{Device, judge, numbers};
use crate::calls::{Failed, Library, cu, null};

/// Batch, channels, height, width of the image; of the filter; of the result.
const X: [usize; 4] = [2, 3, 6, 5];
const W: [usize; 4] = [4, 3, 3, 2];
const Y: [usize; 4] = [2, 4, 3, 4];
const PAD: [usize; 2] = [1, 0];
const STRIDE: [usize; 2] = [2, 1];

fn count(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

/// Where an element lies.
fn at(shape: [usize; 4], place: [usize; 4]) -> usize {
    shape
        .iter()
        .zip(place)
        .fold(0, |at, (&size, index)| at * size + index)
}

/// The cross-correlation, by its definition.
fn plain(x: &[f32], w: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; count(Y)];
    for n in 0..Y[0] {
        for k in 0..Y[1] {
            for i in 0..Y[2] {
                for j in 0..Y[3] {
                    let mut sum = 0.0;
                    for c in 0..W[1] {
                        for r in 0..W[2] {
                            for s in 0..W[3] {
                                let (row, column) = (i * STRIDE[0] + r, j * STRIDE[1] + s);
                                let inside = row >= PAD[0]
                                    && row - PAD[0] < X[2]
                                    && column >= PAD[1]
                                    && column - PAD[1] < X[3];
                                if inside {
                                    sum += x[at(X, [n, c, row - PAD[0], column - PAD[1]])]
                                        * w[at(W, [k, c, r, s])];
                                }
                            }
                        }
                    }
                    y[at(Y, [n, k, i, j])] = sum;
                }
            }
        }
    }
    y
}

struct Dnn<'a> {
    device: &'a Device,
    library: Library,
    handle: *mut c_void,
    x: u64,
    w: u64,
    y: u64,
    want: Vec<f32>,
}

impl<'a> Dnn<'a> {
    fn open(device: &'a Device) -> Result<Self, Failed> {
        let library = Library::open("libcudnn.so.9");
        let mut handle = null();
        cu!(library, "cudnnCreate", &raw mut handle => *mut *mut c_void)?;
        cu!(library, "cudnnSetStream", handle => *mut c_void, device.stream => *mut c_void)?;
        let (x, w) = (numbers(count(X), 1), numbers(count(W), 2));
        Ok(Self {
            device,
            library,
            handle,
            x: device.array(&x)?,
            w: device.array(&w)?,
            y: device.array(&vec![0.5_f32; count(Y)])?,
            want: plain(&x, &w),
        })
    }

    fn judge(&self, what: &str) -> Result<(), Failed> {
        judge(what, &self.device.get(self.y, count(Y))?, &self.want)
    }

    fn close(self) -> Result<(), Failed> {
        cu!(self.library, "cudnnDestroy", self.handle => *mut c_void)
    }
}

/// By `cudnnConvolutionForward`.
pub(crate) fn convolution(device: &Device) -> Result<(), Failed> {
    let dnn = Dnn::open(device)?;
    let [mut x, mut y, mut w, mut how] = [null(); 4];
    cu!(dnn.library, "cudnnCreateTensorDescriptor", &raw mut x => *mut *mut c_void)?;
    cu!(dnn.library, "cudnnCreateTensorDescriptor", &raw mut y => *mut *mut c_void)?;
    cu!(dnn.library, "cudnnCreateFilterDescriptor", &raw mut w => *mut *mut c_void)?;
    cu!(dnn.library, "cudnnCreateConvolutionDescriptor", &raw mut how => *mut *mut c_void)?;
    // NCHW, floats.
    for (descriptor, shape) in [(x, X), (y, Y)] {
        let [n, c, h, w] = shape.map(|size| size as i32);
        cu!(dnn.library, "cudnnSetTensor4dDescriptor", descriptor => *mut c_void, 0 => u32, 0 => u32,
            n => i32, c => i32, h => i32, w => i32)?;
    }
    let [k, c, r, s] = W.map(|size| size as i32);
    cu!(dnn.library, "cudnnSetFilter4dDescriptor", w => *mut c_void, 0 => u32, 0 => u32, k => i32, c => i32, r => i32, s => i32)?;
    let ([ph, pw], [sh, sw]) = (PAD.map(|v| v as i32), STRIDE.map(|v| v as i32));
    // CUDNN_CROSS_CORRELATION.
    cu!(dnn.library, "cudnnSetConvolution2dDescriptor", how => *mut c_void, ph => i32, pw => i32, sh => i32, sw => i32,
        1 => i32, 1 => i32, 1 => u32, 0 => u32)?;
    let mut told = [0_i32; 4];
    let [n, k, h, v] = told.each_mut().map(std::ptr::from_mut);
    cu!(dnn.library, "cudnnGetConvolution2dForwardOutputDim", how => *mut c_void, x => *mut c_void, w => *mut c_void,
        n => *mut i32, k => *mut i32, h => *mut i32, v => *mut i32)?;
    println!("shape {told:?}");
    let (one, zero) = (1.0_f32, 0.0_f32);
    // CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM needs no workspace.
    cu!(dnn.library, "cudnnConvolutionForward", dnn.handle => *mut c_void, &raw const one => *const f32,
        x => *mut c_void, dnn.x => u64, w => *mut c_void, dnn.w => u64, how => *mut c_void, 0 => u32, 0 => u64, 0 => usize,
        &raw const zero => *const f32, y => *mut c_void, dnn.y => u64)?;
    dnn.judge("convolution")?;
    // CUDNN_BATCHNORM_SPATIAL, CUDNN_BATCHNORM_OPS_BN: there is no activation.
    let mut reserve = usize::MAX;
    cu!(dnn.library, "cudnnGetBatchNormalizationTrainingExReserveSpaceSize", dnn.handle => *mut c_void, 1 => u32,
        0 => u32, null() => *mut c_void, x => *mut c_void, &raw mut reserve => *mut usize)?;
    println!("reserve {}", reserve < usize::MAX);
    cu!(dnn.library, "cudnnDestroyConvolutionDescriptor", how => *mut c_void)?;
    cu!(dnn.library, "cudnnDestroyFilterDescriptor", w => *mut c_void)?;
    cu!(dnn.library, "cudnnDestroyTensorDescriptor", y => *mut c_void)?;
    cu!(dnn.library, "cudnnDestroyTensorDescriptor", x => *mut c_void)?;
    // CUDNN_STATUS_BAD_PARAM: it is gone.
    let gone = cu!(dnn.library, "cudnnSetTensor4dDescriptor", x => *mut c_void, 0 => u32, 0 => u32,
        1 => i32, 1 => i32, 1 => i32, 1 => i32);
    println!("gone {}", gone.is_err());
    dnn.close()
}

/// `cudnnBackendDescriptorType_t`.
const POINTWISE: u32 = 0;
const CONVOLUTION: u32 = 1;
const ENGINE_CONFIGURATION: u32 = 3;
const HEURISTICS: u32 = 4;
const PLAN: u32 = 5;
const FORWARD: u32 = 10;
const BY_ELEMENT: u32 = 13;
const GRAPH: u32 = 15;
const VARIANT_PACK: u32 = 16;
const TENSOR: u32 = 17;

/// `cudnnBackendAttributeType_t`.
const HANDLE: u32 = 0;
const DATA_TYPE: u32 = 1;
const BOOLEAN: u32 = 2;
const INT64: u32 = 3;
const FLOAT: u32 = 4;
const POINTER: u32 = 6;
const MODE: u32 = 7;
const HEURISTICS_MODE: u32 = 8;
const POINTWISE_MODE: u32 = 14;
const DESCRIPTOR: u32 = 15;

/// `cudnnPointwiseMode_t`.
const ADD: u32 = 0;
const RELU: u32 = 100;

/// Descriptors of the graph API. Attributes are `cudnnBackendAttributeName_t`.
impl Dnn<'_> {
    fn make(&self, kind: u32) -> Result<*mut c_void, Failed> {
        let mut descriptor = null();
        cu!(self.library, "cudnnBackendCreateDescriptor", kind => u32, &raw mut descriptor => *mut *mut c_void)?;
        Ok(descriptor)
    }

    fn set<T>(
        &self,
        descriptor: *mut c_void,
        name: u32,
        kind: u32,
        values: &[T],
    ) -> Result<(), Failed> {
        cu!(self.library, "cudnnBackendSetAttribute", descriptor => *mut c_void, name => u32, kind => u32,
            values.len() as i64 => i64, values.as_ptr().cast() => *const c_void)
    }

    fn finish(&self, descriptor: *mut c_void) -> Result<*mut c_void, Failed> {
        cu!(self.library, "cudnnBackendFinalize", descriptor => *mut c_void)?;
        Ok(descriptor)
    }

    /// Packed; one that is `inner` has no memory.
    fn tensor(&self, id: i64, shape: [usize; 4], inner: bool) -> Result<*mut c_void, Failed> {
        let dimensions = shape.map(|size| size as i64);
        let strides = [
            shape[1] * shape[2] * shape[3],
            shape[2] * shape[3],
            shape[3],
            1,
        ];
        let tensor = self.make(TENSOR)?;
        self.set(tensor, 901, DATA_TYPE, &[0_u32])?;
        self.set(tensor, 902, INT64, &dimensions)?;
        self.set(tensor, 903, INT64, &strides.map(|stride| stride as i64))?;
        self.set(tensor, 906, INT64, &[id])?;
        self.set(tensor, 900, INT64, &[16_i64])?;
        self.set(tensor, 907, BOOLEAN, &[inner])?;
        self.finish(tensor)
    }

    fn convolve(
        &self,
        x: *mut c_void,
        w: *mut c_void,
        y: *mut c_void,
    ) -> Result<*mut c_void, Failed> {
        let how = self.make(CONVOLUTION)?;
        let (pad, stride) = (PAD.map(|v| v as i64), STRIDE.map(|v| v as i64));
        self.set(how, 106, INT64, &[2_i64])?;
        self.set(how, 100, DATA_TYPE, &[0_u32])?;
        self.set(how, 101, MODE, &[1_u32])?;
        self.set(how, 102, INT64, &[1_i64; 2])?;
        self.set(how, 103, INT64, &stride)?;
        self.set(how, 104, INT64, &pad)?;
        self.set(how, 105, INT64, &pad)?;
        let how = self.finish(how)?;
        let operation = self.make(FORWARD)?;
        for (name, part) in [(702, how), (703, w), (704, x), (705, y)] {
            self.set(operation, name, DESCRIPTOR, &[part])?;
        }
        self.set(operation, 700, FLOAT, &[1.0_f32])?;
        self.set(operation, 701, FLOAT, &[0.0_f32])?;
        self.finish(operation)
    }

    /// `y = mode(x, factor * b)`.
    fn by_element(
        &self,
        mode: u32,
        x: *mut c_void,
        b: Option<(*mut c_void, f32)>,
        y: *mut c_void,
    ) -> Result<*mut c_void, Failed> {
        let function = self.make(POINTWISE)?;
        self.set(function, 0, POINTWISE_MODE, &[mode])?;
        self.set(function, 1, DATA_TYPE, &[0_u32])?;
        let function = self.finish(function)?;
        let operation = self.make(BY_ELEMENT)?;
        for (name, part) in [(750, function), (751, x), (753, y)] {
            self.set(operation, name, DESCRIPTOR, &[part])?;
        }
        if let Some((b, factor)) = b {
            self.set(operation, 752, DESCRIPTOR, &[b])?;
            self.set(operation, 755, FLOAT, &[factor])?;
        }
        self.finish(operation)
    }

    /// Runs operations by the first configuration of the heuristics, with the tensors' ids and memory.
    fn execute(
        &self,
        operations: &[*mut c_void],
        ids: &[i64],
        memory: &[u64],
    ) -> Result<(), Failed> {
        let graph = self.make(GRAPH)?;
        self.set(graph, 800, HANDLE, &[self.handle])?;
        self.set(graph, 801, DESCRIPTOR, operations)?;
        let graph = self.finish(graph)?;
        let heuristics = self.make(HEURISTICS)?;
        self.set(heuristics, 201, DESCRIPTOR, &[graph])?;
        // CUDNN_HEUR_MODE_A.
        self.set(heuristics, 200, HEURISTICS_MODE, &[3_u32])?;
        let heuristics = self.finish(heuristics)?;
        let configuration = self.make(ENGINE_CONFIGURATION)?;
        let (mut found, mut into) = (0_i64, [configuration]);
        cu!(self.library, "cudnnBackendGetAttribute", heuristics => *mut c_void, 202 => u32, DESCRIPTOR => u32,
            1 => i64, &raw mut found => *mut i64, into.as_mut_ptr().cast() => *mut c_void)?;
        println!("found {found}");

        let plan = self.make(PLAN)?;
        self.set(plan, 400, HANDLE, &[self.handle])?;
        self.set(plan, 401, DESCRIPTOR, &[configuration])?;
        let plan = self.finish(plan)?;
        let (mut size, mut one) = (-1_i64, 0_i64);
        cu!(self.library, "cudnnBackendGetAttribute", plan => *mut c_void, 402 => u32, INT64 => u32, 1 => i64,
            &raw mut one => *mut i64, (&raw mut size).cast() => *mut c_void)?;
        println!("workspace {}", size >= 0);
        let workspace = self.device.array(&vec![0_u8; size as usize + 1])?;

        let pack = self.make(VARIANT_PACK)?;
        self.set(pack, 1000, INT64, ids)?;
        self.set(pack, 1001, POINTER, memory)?;
        self.set(pack, 1003, POINTER, &[workspace])?;
        let pack = self.finish(pack)?;
        cu!(self.library, "cudnnBackendExecute", self.handle => *mut c_void, plan => *mut c_void, pack => *mut c_void)?;
        for descriptor in [pack, plan, configuration, heuristics, graph] {
            cu!(self.library, "cudnnBackendDestroyDescriptor", descriptor => *mut c_void)?;
        }
        Ok(())
    }
}

/// As a graph of one operation.
pub(crate) fn graph(device: &Device) -> Result<(), Failed> {
    let dnn = Dnn::open(device)?;
    let (x, w, y) = (
        dnn.tensor(1, X, false)?,
        dnn.tensor(2, W, false)?,
        dnn.tensor(3, Y, false)?,
    );
    let operation = dnn.convolve(x, w, y)?;
    dnn.execute(&[operation], &[1, 2, 3], &[dnn.x, dnn.w, dnn.y])?;
    dnn.judge("graph")?;
    for descriptor in [operation, y, w, x] {
        cu!(dnn.library, "cudnnBackendDestroyDescriptor", descriptor => *mut c_void)?;
    }
    dnn.close()
}

/// With a sum, a bias and ReLU behind it, as TensorFlow has it: what is summed has the factor 0 and no memory.
pub(crate) fn fused(device: &Device) -> Result<(), Failed> {
    let mut dnn = Dnn::open(device)?;
    let bias = numbers(Y[1], 3);
    let shape = [1, Y[1], 1, 1];
    let (x, w, y) = (
        dnn.tensor(1, X, false)?,
        dnn.tensor(2, W, false)?,
        dnn.tensor(3, Y, false)?,
    );
    let (side, b) = (dnn.tensor(4, Y, false)?, dnn.tensor(5, shape, false)?);
    let inner = [6, 7, 8].map(|id| dnn.tensor(id, Y, true));
    let [convolved, summed, shifted] = inner;
    let (convolved, summed, shifted) = (convolved?, summed?, shifted?);
    let operations = [
        dnn.convolve(x, w, convolved)?,
        dnn.by_element(ADD, convolved, Some((side, 0.0)), summed)?,
        dnn.by_element(ADD, summed, Some((b, 1.0)), shifted)?,
        dnn.by_element(RELU, shifted, None, y)?,
    ];
    let memory = [dnn.x, dnn.w, dnn.y, 0, device.array(&bias)?];
    dnn.execute(&operations, &[1, 2, 3, 4, 5], &memory)?;
    let channel = |at: usize| at / (Y[2] * Y[3]) % Y[1];
    for (at, value) in dnn.want.iter_mut().enumerate() {
        *value = (*value + bias[channel(at)]).max(0.0);
    }
    dnn.judge("fused")?;
    dnn.close()
}
