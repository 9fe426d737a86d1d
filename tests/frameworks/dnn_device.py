"""cuDNN's descriptors and tensors for its tests."""

import ctypes

import numpy

from blas_device import Array, Device, Failed, close, f32, i32, i64, normal, pointer, same

FLOAT, DOUBLE, HALF = 0, 1, 2
KINDS = {numpy.dtype(numpy.float32): FLOAT, numpy.dtype(numpy.float64): DOUBLE, numpy.dtype(numpy.float16): HALF}
NCHW, NHWC = 0, 1
size_t, f64 = ctypes.c_size_t, ctypes.c_double
BAD_PARAM, NOT_SUPPORTED = 2000, 3000


def ints(values):
    values = [int(value) for value in values]
    return (i32 * len(values))(*values)


class Descriptor:
    """Made and destroyed by the functions of that kind."""

    def __init__(self, dnn, kind):
        self.dnn, self.kind = dnn, kind
        self.handle = pointer()
        dnn(f"Create{kind}Descriptor", ctypes.byref(self.handle))

    def __del__(self):
        self.dnn(f"Destroy{self.kind}Descriptor", self.handle)


class Tensor:
    """Values in device memory, in the order of `layout`, and their descriptor. Its shape always begins with N and C."""

    def __init__(self, dnn, values, layout=NCHW):
        self.layout, self.shape = layout, values.shape
        order = values if layout == NCHW else numpy.moveaxis(values, 1, -1)
        self.array = Array(dnn.device, numpy.ascontiguousarray(order), "C")
        strides = numpy.cumprod([1, *order.shape[:0:-1]])[::-1]
        if layout == NHWC:
            strides = [strides[0], strides[-1], *strides[1:-1]]
        self.descriptor = Descriptor(dnn, "Tensor")
        dnn("SetTensorNdDescriptor", self.descriptor, KINDS[values.dtype], i32(values.ndim), ints(values.shape), ints(strides))

    @property
    def pair(self):
        """As most functions take it."""
        return self.descriptor, self.array.p

    def get(self):
        values = self.array.get()
        return values if self.layout == NCHW else numpy.moveaxis(values, -1, 1)


class Filter:
    """Weights in device memory: output channels, input channels of a group, window."""

    def __init__(self, dnn, values, layout=NCHW):
        self.layout = layout
        order = values if layout == NCHW else numpy.moveaxis(values, 1, -1)
        self.array = Array(dnn.device, numpy.ascontiguousarray(order), "C")
        self.descriptor = Descriptor(dnn, "Filter")
        dnn("SetFilterNdDescriptor", self.descriptor, KINDS[values.dtype], layout, i32(values.ndim), ints(values.shape))

    pair = Tensor.pair
    get = Tensor.get


class Dnn:
    def __init__(self, device=None):
        self.device = device or Device()
        self.lib = ctypes.CDLL("libcudnn.so.9")
        self.handle = pointer()
        self("Create", ctypes.byref(self.handle))
        self("SetStream", self.handle, self.device.stream)

    def code(self, name, *arguments):
        handles = [value.handle if isinstance(value, Descriptor) else value for value in arguments]
        return getattr(self.lib, "cudnn" + name)(*handles)

    def __call__(self, name, *arguments):
        """Calls cuDNN, which must succeed."""
        self.device.check(self.code(name, *arguments), "cudnn" + name)

    def run(self, name, *arguments):
        """The same for what takes the handle first."""
        self(name, self.handle, *arguments)

    def made(self, kind, *settings, how=""):
        """A descriptor with its settings."""
        descriptor = Descriptor(self, kind)
        self(f"Set{kind}{how}Descriptor", descriptor, *settings)
        return descriptor

    def bytes(self, name, *arguments):
        """A size that cuDNN tells."""
        size = size_t()
        self(name, *arguments, ctypes.byref(size))
        return size.value

    def space(self, size):
        """Memory for it to work in."""
        return self.device.array(numpy.zeros(max(size, 1), numpy.uint8))

    def settle(self):
        self.device.settle()


class Blend:
    """Factors: the result is alpha times what comes out, plus beta times what was there. Beta is often 0."""

    def __init__(self, random, dtype):
        self.alpha, self.beta = normal(random, 2, numpy.float64) * [1, random.integers(2)]
        self.kept = [self.scalar(value, dtype) for value in (self.alpha, self.beta)]
        self.a, self.b = (ctypes.byref(value) for value in self.kept)

    @staticmethod
    def scalar(value, dtype):
        return (f64 if dtype == numpy.float64 else f32)(value)

    def __call__(self, new, old):
        return self.alpha * new + (self.beta * old if self.beta else 0)


def one_and_zero(dtype):
    return [ctypes.byref(Blend.scalar(value, dtype)) for value in (1, 0)]


def some_type(random, halves=True):
    return [numpy.float32, numpy.float64, numpy.float16][int(random.integers(3 if halves else 2))]


def sizes(random, low, high, count):
    return [int(size) for size in random.integers(low, high, count)]


def wide(values):
    return values.astype(numpy.float64)
