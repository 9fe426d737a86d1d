"""A device for the tests of cuBLAS: memory, a stream, the libraries, checks."""

import ctypes

import numpy

# Letters of the API.
TYPES = {"S": numpy.float32, "D": numpy.float64, "C": numpy.complex64, "Z": numpy.complex128}
REAL = {"S": numpy.float32, "D": numpy.float64, "C": numpy.float32, "Z": numpy.float64}
# cudaDataType.
R_32F, R_64F, R_16F, R_8I, C_32F, C_64F, R_32I, R_16BF = 0, 1, 2, 3, 4, 5, 10, 14
E4M3, E5M2 = 28, 29

i32, i64, f32, pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p

INVALID_VALUE, NOT_INITIALIZED, EXECUTION_FAILED, NOT_SUPPORTED = 7, 1, 13, 15
# Of memory that is not there: as the software GPU finds it, and as a server that looks before it calls.
WILD = (EXECUTION_FAILED, INVALID_VALUE)


class Failed(Exception):
    pass


def bf16(array):
    """The bits of brain floats, rounded to nearest even."""
    bits = numpy.ascontiguousarray(array, numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def from_bf16(bits):
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


class Array:
    """A copy of a NumPy array in device memory, elements in Fortran's order unless told otherwise."""

    def __init__(self, device, values, order="F"):
        self.device = device
        self.order = order
        self.shape, self.dtype = values.shape, values.dtype
        flat = numpy.ascontiguousarray(values.ravel(order))
        self.bytes = flat.nbytes
        self.address = device.allocate(max(self.bytes, 1))
        if self.bytes:
            device.cuda("cuMemcpyHtoD_v2", i64(self.address), flat.ctypes.data_as(pointer), i64(self.bytes))

    def get(self):
        flat = numpy.empty(int(numpy.prod(self.shape)), self.dtype)
        self.device.synchronise()
        if self.bytes:
            self.device.cuda("cuMemcpyDtoH_v2", flat.ctypes.data_as(pointer), i64(self.address), i64(self.bytes))
        return flat.reshape(self.shape, order=self.order)

    @property
    def p(self):
        return pointer(self.address)

    def __del__(self):
        self.device.cuda("cuMemFree_v2", i64(self.address))


class Device:
    def __init__(self):
        self.lib = ctypes.CDLL("libcuda.so.1")
        self.blas_lib = ctypes.CDLL("libcublas.so.12")
        self.lt_lib = ctypes.CDLL("libcublasLt.so.12")
        self.cuda("cuInit", 0)
        context = pointer()
        self.cuda("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self.cuda("cuCtxSetCurrent", context)
        self.stream = pointer()
        # A blocking one: the copies below go through the default stream, which another would not wait for.
        self.cuda("cuStreamCreate", ctypes.byref(self.stream), 0)
        self.handle = pointer()
        self.blas("cublasCreate_v2", ctypes.byref(self.handle))
        self.blas("cublasSetStream_v2", self.handle, self.stream)
        self.lt = pointer()
        self.check(self.lt_lib.cublasLtCreate(ctypes.byref(self.lt)), "cublasLtCreate")

    def check(self, code, name):
        if code != 0:
            raise Failed(f"{name} answers {code}")

    def cuda(self, name, *arguments):
        self.check(getattr(self.lib, name)(*arguments), name)

    def blas(self, name, *arguments):
        """Calls cuBLAS, which must succeed."""
        self.check(getattr(self.blas_lib, name)(*arguments), name)

    def code(self, name, *arguments):
        """What cuBLAS answers."""
        return getattr(self.blas_lib, name)(*arguments) or self.late()

    def late(self):
        """What a call that was not waited for has to say: the next that waits has it."""
        return self.blas_lib.cublasGetVersion_v2(self.handle, ctypes.byref(ctypes.c_int()))

    def allocate(self, size):
        address = ctypes.c_uint64()
        self.cuda("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def array(self, values, order="F"):
        return Array(self, numpy.asarray(values), order)

    def pointers(self, arrays):
        """Their addresses, in device memory."""
        return Array(self, numpy.array([array.address for array in arrays], numpy.uint64))

    def synchronise(self):
        self.cuda("cuStreamSynchronize", self.stream)

    def settle(self):
        self.cuda("cuCtxSynchronize")

    def on_device(self, on):
        self.blas("cublasSetPointerMode_v2", self.handle, 1 if on else 0)


class Scalar:
    """A scalar argument, in host or device memory, chosen at random for a whole call."""

    def __init__(self, device, random):
        self.device = device
        self.where = bool(random.integers(2))
        self.kept = []

    def __enter__(self):
        self.device.on_device(self.where)
        return self

    def __exit__(self, *_):
        self.device.synchronise()
        self.device.on_device(False)

    def __call__(self, value, dtype):
        values = numpy.array(value, dtype).reshape(-1)
        if self.where:
            array = self.device.array(values)
            self.kept.append(array)
            return array.p
        self.kept.append(values)
        return values.ctypes.data_as(pointer)

    def result(self, dtype, count=1, value=0):
        """A place for a result, which holds a value until then, and what reads it."""
        values = numpy.full(count, value, dtype)
        if self.where:
            array = self.device.array(values)
            self.kept.append(array)
            return array.p, array.get
        self.kept.append(values)
        return values.ctypes.data_as(pointer), lambda: values


def normal(random, shape, dtype):
    values = random.standard_normal(shape)
    if numpy.issubdtype(dtype, numpy.complexfloating):
        values = values + 1j * random.standard_normal(shape)
    return values.astype(dtype)


def stored(random, rows, columns, dtype, gap=None):
    """A matrix and what holds it: more rows than it has, and its leading dimension."""
    gap = int(random.integers(4)) if gap is None else gap
    full = normal(random, (max(rows, 1) + gap, columns), dtype)
    return full, full[:rows, :], full.shape[0]


def operated(matrix, operation):
    return [matrix, matrix.T, matrix.conj().T][operation]


def close(got, want, dtype, what, scale=1.0):
    """As near as the type's precision allows for sums of `scale` terms."""
    dtype = numpy.dtype(dtype)
    epsilon = {2: 1e-3, 4: 2e-6, 8: 1e-13, 16: 1e-13}[dtype.itemsize if dtype != numpy.complex64 else 4]
    largest = max(1.0, float(numpy.max(numpy.abs(want), initial=0)))
    difference = float(numpy.max(numpy.abs(got - want), initial=0))
    if not difference <= epsilon * largest * (8 + scale):
        raise Failed(f"{what}: off by {difference} where {largest} is the largest")


def same(got, want, what):
    if got != want:
        raise Failed(f"{what}: {got}, not {want}")
