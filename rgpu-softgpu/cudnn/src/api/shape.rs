//! Descriptors that have dimensions: tensors, filters, convolutions, poolings; how they are set and asked.

use std::ffi::c_void;

use rgpu_softgpu_math::nn::conv::Convolution;
use rgpu_softgpu_math::nn::pool::{Mode, Pooling};
use rgpu_softgpu_math::nn::tensor::{Layout, MAX_DIMS};

use super::descriptor::{ConvolutionDescriptor, PoolingDescriptor};
use crate::objects::{get, with};
use crate::status::{Result, Status, require};
use crate::types::{
    FilterDescriptor, TensorDescriptor, array, data_type, filter_layout, format_layout, put,
    put_all, sizes, tensor_layout, type_code,
};

pub(crate) fn set_tensor(descriptor: *mut c_void, layout: Layout) -> Result {
    require(layout.dims.len() == layout.strides.len() && layout.dims.len() <= MAX_DIMS)?;
    require(!layout.dims.is_empty() && layout.dims.iter().all(|&dim| dim > 0))?;
    with(descriptor, |held: &mut TensorDescriptor| {
        held.0 = Some(layout);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnSetTensor4dDescriptor(
    descriptor: *mut c_void,
    format: u32,
    kind: u32,
    n: i32,
    c: i32,
    h: i32,
    w: i32,
) -> Result {
    let dims = sizes(&[n, c, h, w])?;
    set_tensor(descriptor, format_layout(format, data_type(kind)?, &dims)?)
}

pub(crate) unsafe fn cudnnSetTensor4dDescriptorEx(
    descriptor: *mut c_void,
    kind: u32,
    n: i32,
    c: i32,
    h: i32,
    w: i32,
    n_stride: i32,
    c_stride: i32,
    h_stride: i32,
    w_stride: i32,
) -> Result {
    let kind = data_type(kind)?;
    let (dims, strides) = (
        sizes(&[n, c, h, w])?,
        sizes(&[n_stride, c_stride, h_stride, w_stride])?,
    );
    set_tensor(
        descriptor,
        Layout {
            kind,
            dims,
            strides,
        },
    )
}

pub(crate) unsafe fn cudnnSetTensorNdDescriptor(
    descriptor: *mut c_void,
    kind: u32,
    rank: i32,
    dims: *const i32,
    strides: *const i32,
) -> Result {
    let kind = data_type(kind)?;
    // SAFETY: the caller keeps the contract of the C function.
    let (dims, strides) = unsafe { (array(dims, rank)?, array(strides, rank)?) };
    set_tensor(
        descriptor,
        Layout {
            kind,
            dims: sizes(&dims)?,
            strides: sizes(&strides)?,
        },
    )
}

pub(crate) unsafe fn cudnnSetTensorNdDescriptorEx(
    descriptor: *mut c_void,
    format: u32,
    kind: u32,
    rank: i32,
    dims: *const i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    let dims = sizes(&unsafe { array(dims, rank) }?)?;
    set_tensor(descriptor, format_layout(format, data_type(kind)?, &dims)?)
}

pub(crate) unsafe fn cudnnGetTensor4dDescriptor(
    descriptor: *mut c_void,
    kind: *mut u32,
    n: *mut i32,
    c: *mut i32,
    h: *mut i32,
    w: *mut i32,
    n_stride: *mut i32,
    c_stride: *mut i32,
    h_stride: *mut i32,
    w_stride: *mut i32,
) -> Result {
    let layout = tensor_layout(descriptor)?;
    require(layout.dims.len() == 4)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(kind, type_code(layout.kind));
        for (at, pointer) in [n, c, h, w].into_iter().enumerate() {
            put(pointer, layout.dims[at] as i32);
        }
        for (at, pointer) in [n_stride, c_stride, h_stride, w_stride]
            .into_iter()
            .enumerate()
        {
            put(pointer, layout.strides[at] as i32);
        }
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetTensorNdDescriptor(
    descriptor: *mut c_void,
    requested: i32,
    kind: *mut u32,
    rank: *mut i32,
    dims: *mut i32,
    strides: *mut i32,
) -> Result {
    let layout = tensor_layout(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(kind, type_code(layout.kind));
        put(rank, layout.dims.len() as i32);
        put_all(dims, requested, &layout.dims);
        put_all(strides, requested, &layout.strides);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetTensorSizeInBytes(
    descriptor: *mut c_void,
    size: *mut usize,
) -> Result {
    let layout = tensor_layout(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, layout.bytes()) };
    Ok(())
}

fn set_filter(descriptor: *mut c_void, kind: u32, format: u32, dims: &[i32]) -> Result {
    let layout = format_layout(format, data_type(kind)?, &sizes(dims)?)?;
    require(layout.dims.len() >= 3 && layout.dims.iter().all(|&dim| dim > 0))?;
    with(descriptor, |held: &mut FilterDescriptor| {
        held.0 = Some((layout, format));
        Ok(())
    })
}

pub(crate) unsafe fn cudnnSetFilter4dDescriptor(
    descriptor: *mut c_void,
    kind: u32,
    format: u32,
    k: i32,
    c: i32,
    h: i32,
    w: i32,
) -> Result {
    set_filter(descriptor, kind, format, &[k, c, h, w])
}

pub(crate) unsafe fn cudnnSetFilterNdDescriptor(
    descriptor: *mut c_void,
    kind: u32,
    format: u32,
    rank: i32,
    dims: *const i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    set_filter(descriptor, kind, format, &unsafe { array(dims, rank) }?)
}

pub(crate) unsafe fn cudnnGetFilterNdDescriptor(
    descriptor: *mut c_void,
    requested: i32,
    kind: *mut u32,
    format: *mut u32,
    rank: *mut i32,
    dims: *mut i32,
) -> Result {
    let (layout, held) = get::<FilterDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(kind, type_code(layout.kind));
        put(format, held);
        put(rank, layout.dims.len() as i32);
        put_all(dims, requested, &layout.dims);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetFilter4dDescriptor(
    descriptor: *mut c_void,
    kind: *mut u32,
    format: *mut u32,
    k: *mut i32,
    c: *mut i32,
    h: *mut i32,
    w: *mut i32,
) -> Result {
    let layout = filter_layout(descriptor)?;
    require(layout.dims.len() == 4)?;
    let mut dims = [0; 4];
    // SAFETY: the caller keeps the contract of the C function; `dims` has room for four.
    unsafe {
        cudnnGetFilterNdDescriptor(
            descriptor,
            4,
            kind,
            format,
            std::ptr::null_mut(),
            dims.as_mut_ptr(),
        )?;
        for (pointer, dim) in [k, c, h, w].into_iter().zip(dims) {
            put(pointer, dim);
        }
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetFilterSizeInBytes(
    descriptor: *mut c_void,
    size: *mut usize,
) -> Result {
    let layout = filter_layout(descriptor)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put(size, layout.bytes()) };
    Ok(())
}

fn set_convolution(
    descriptor: *mut c_void,
    [pad, stride, dilation]: [&[i32]; 3],
    mode: u32,
    compute: u32,
) -> Result {
    data_type(compute)?;
    require(mode <= 1 && stride.iter().chain(dilation).all(|&step| step > 0))?;
    let pad = sizes(pad)?;
    let conv = Convolution {
        post: pad.clone(),
        pad,
        stride: sizes(stride)?,
        dilation: sizes(dilation)?,
        mirrored: mode == 0,
    };
    with(descriptor, |held: &mut ConvolutionDescriptor| {
        held.conv = Some(conv);
        held.compute = compute;
        Ok(())
    })
}

pub(crate) unsafe fn cudnnSetConvolution2dDescriptor(
    descriptor: *mut c_void,
    pad_h: i32,
    pad_w: i32,
    u: i32,
    v: i32,
    dilation_h: i32,
    dilation_w: i32,
    mode: u32,
    compute: u32,
) -> Result {
    set_convolution(
        descriptor,
        [&[pad_h, pad_w], &[u, v], &[dilation_h, dilation_w]],
        mode,
        compute,
    )
}

pub(crate) unsafe fn cudnnSetConvolutionNdDescriptor(
    descriptor: *mut c_void,
    rank: i32,
    pad: *const i32,
    stride: *const i32,
    dilation: *const i32,
    mode: u32,
    compute: u32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    let [pad, stride, dilation] = unsafe {
        [
            array(pad, rank)?,
            array(stride, rank)?,
            array(dilation, rank)?,
        ]
    };
    set_convolution(descriptor, [&pad, &stride, &dilation], mode, compute)
}

pub(crate) unsafe fn cudnnGetConvolutionNdDescriptor(
    descriptor: *mut c_void,
    requested: i32,
    rank: *mut i32,
    pad: *mut i32,
    stride: *mut i32,
    dilation: *mut i32,
    mode: *mut u32,
    compute: *mut u32,
) -> Result {
    let held = get::<ConvolutionDescriptor>(descriptor)?;
    let conv = held.conv.ok_or(Status::BAD_PARAM)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(rank, conv.pad.len() as i32);
        put_all(pad, requested, &conv.pad);
        put_all(stride, requested, &conv.stride);
        put_all(dilation, requested, &conv.dilation);
        put(mode, u32::from(!conv.mirrored));
        put(compute, held.compute);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetConvolution2dDescriptor(
    descriptor: *mut c_void,
    pad_h: *mut i32,
    pad_w: *mut i32,
    u: *mut i32,
    v: *mut i32,
    dilation_h: *mut i32,
    dilation_w: *mut i32,
    mode: *mut u32,
    compute: *mut u32,
) -> Result {
    let held = get::<ConvolutionDescriptor>(descriptor)?;
    let conv = held.conv.ok_or(Status::BAD_PARAM)?;
    require(conv.pad.len() == 2)?;
    let all = [
        ([pad_h, pad_w], conv.pad),
        ([u, v], conv.stride),
        ([dilation_h, dilation_w], conv.dilation),
    ];
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        for (pointers, values) in all {
            put(pointers[0], values[0] as i32);
            put(pointers[1], values[1] as i32);
        }
        put(mode, u32::from(!conv.mirrored));
        put(compute, held.compute);
    }
    Ok(())
}

/// A setting of a convolution descriptor: how it is set and asked.
macro_rules! settings {
    ($($set:ident, $get:ident: $field:ident as $type:ty, $valid:expr;)*) => {$(
        pub(crate) unsafe fn $set(descriptor: *mut c_void, value: $type) -> Result {
            let valid: fn($type) -> bool = $valid;
            require(valid(value))?;
            with(descriptor, |held: &mut ConvolutionDescriptor| {
                held.$field = value;
                Ok(())
            })
        }

        pub(crate) unsafe fn $get(descriptor: *mut c_void, value: *mut $type) -> Result {
            let held = get::<ConvolutionDescriptor>(descriptor)?;
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { put(value, held.$field) };
            Ok(())
        }
    )*};
}

settings! {
    cudnnSetConvolutionGroupCount, cudnnGetConvolutionGroupCount: groups as i32, |count| count > 0;
    cudnnSetConvolutionMathType, cudnnGetConvolutionMathType: math as u32, |math| math <= 3;
    cudnnSetConvolutionReorderType, cudnnGetConvolutionReorderType: reorder as u32, |reorder| reorder <= 1;
}

fn set_pooling(
    descriptor: *mut c_void,
    mode: u32,
    nan: u32,
    [window, pad, stride]: [&[i32]; 3],
) -> Result {
    require(nan <= 1 && window.iter().chain(stride).all(|&step| step > 0))?;
    let pooling = Pooling {
        mode: match mode {
            // The last is the deterministic one, as ours always is.
            0 | 3 => Mode::Max,
            1 => Mode::AverageAll,
            2 => Mode::AverageInside,
            _ => return Err(Status::BAD_PARAM),
        },
        window: sizes(window)?,
        pad: sizes(pad)?,
        stride: sizes(stride)?,
        nan: nan == 1,
    };
    with(descriptor, |held: &mut PoolingDescriptor| {
        held.0 = Some((pooling, mode, nan));
        Ok(())
    })
}

pub(crate) unsafe fn cudnnSetPooling2dDescriptor(
    descriptor: *mut c_void,
    mode: u32,
    nan: u32,
    window_height: i32,
    window_width: i32,
    vertical_padding: i32,
    horizontal_padding: i32,
    vertical_stride: i32,
    horizontal_stride: i32,
) -> Result {
    let window = [window_height, window_width];
    let pad = [vertical_padding, horizontal_padding];
    set_pooling(
        descriptor,
        mode,
        nan,
        [&window, &pad, &[vertical_stride, horizontal_stride]],
    )
}

pub(crate) unsafe fn cudnnSetPoolingNdDescriptor(
    descriptor: *mut c_void,
    mode: u32,
    nan: u32,
    rank: i32,
    window: *const i32,
    pad: *const i32,
    stride: *const i32,
) -> Result {
    // SAFETY: the caller keeps the contract of the C function.
    let [window, pad, stride] = unsafe {
        [
            array(window, rank)?,
            array(pad, rank)?,
            array(stride, rank)?,
        ]
    };
    set_pooling(descriptor, mode, nan, [&window, &pad, &stride])
}

pub(crate) unsafe fn cudnnGetPoolingNdDescriptor(
    descriptor: *mut c_void,
    requested: i32,
    mode: *mut u32,
    nan: *mut u32,
    rank: *mut i32,
    window: *mut i32,
    pad: *mut i32,
    stride: *mut i32,
) -> Result {
    let (pooling, held_mode, held_nan) = get::<PoolingDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(mode, held_mode);
        put(nan, held_nan);
        put(rank, pooling.window.len() as i32);
        put_all(window, requested, &pooling.window);
        put_all(pad, requested, &pooling.pad);
        put_all(stride, requested, &pooling.stride);
    }
    Ok(())
}

pub(crate) unsafe fn cudnnGetPooling2dDescriptor(
    descriptor: *mut c_void,
    mode: *mut u32,
    nan: *mut u32,
    window_height: *mut i32,
    window_width: *mut i32,
    vertical_padding: *mut i32,
    horizontal_padding: *mut i32,
    vertical_stride: *mut i32,
    horizontal_stride: *mut i32,
) -> Result {
    let (pooling, held_mode, held_nan) = get::<PoolingDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    require(pooling.window.len() == 2)?;
    let all = [
        ([window_height, window_width], pooling.window),
        ([vertical_padding, horizontal_padding], pooling.pad),
        ([vertical_stride, horizontal_stride], pooling.stride),
    ];
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        put(mode, held_mode);
        put(nan, held_nan);
        for (pointers, values) in all {
            put(pointers[0], values[0] as i32);
            put(pointers[1], values[1] as i32);
        }
    }
    Ok(())
}

fn pooling_output(descriptor: *mut c_void, input: *mut c_void) -> Result<Vec<usize>> {
    let (pooling, ..) = get::<PoolingDescriptor>(descriptor)?
        .0
        .ok_or(Status::BAD_PARAM)?;
    Ok(pooling.output(&tensor_layout(input)?.dims)?)
}

pub(crate) unsafe fn cudnnGetPoolingNdForwardOutputDim(
    descriptor: *mut c_void,
    input: *mut c_void,
    rank: i32,
    dims: *mut i32,
) -> Result {
    let output = pooling_output(descriptor, input)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { put_all(dims, rank, &output) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetPooling2dForwardOutputDim(
    descriptor: *mut c_void,
    input: *mut c_void,
    n: *mut i32,
    c: *mut i32,
    h: *mut i32,
    w: *mut i32,
) -> Result {
    let output = pooling_output(descriptor, input)?;
    require(output.len() == 4)?;
    for (pointer, dim) in [n, c, h, w].into_iter().zip(output) {
        // SAFETY: the caller keeps the contract of the C function.
        unsafe { put(pointer, dim as i32) };
    }
    Ok(())
}
