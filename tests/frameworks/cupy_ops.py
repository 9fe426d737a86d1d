"""CuPy against NumPy: kernels that it compiles through NVRTC, those that its wheel holds, and libraries of CUDA.
"""

import sys

import cupy
import numpy

import runner
from arrays import close, equal

def normal(random, *shape):
    return random.standard_normal(shape).astype(numpy.float32)


def host(x):
    return cupy.asnumpy(x)


def test_device(_, random):
    assert cupy.cuda.runtime.getDeviceCount() == 1
    free, total = cupy.cuda.runtime.memGetInfo()
    assert 0 < free <= total, (free, total)
    assert cupy.cuda.runtime.getDeviceProperties(0)["name"]


def test_elementwise(_, random):
    x, y = normal(random, 1000), normal(random, 1000)
    a, b = cupy.asarray(x), cupy.asarray(y)
    close(host(cupy.exp(-a * a) + cupy.where(b > 0, a, b)), numpy.exp(-x * x) + numpy.where(y > 0, x, y))
    close(host(a[None, :50] * b[:30, None]), x[None, :50] * y[:30, None])
    equal(host((a * 100).astype(cupy.int32) % 7), (x * numpy.float32(100)).astype(numpy.int32) % 7)


def test_types(_, random):
    for kind in (numpy.int8, numpy.uint16, numpy.int64, numpy.float16, numpy.float64, numpy.complex64):
        x = random.integers(0, 10, 100).astype(kind)
        equal(host(cupy.asarray(x) + cupy.asarray(x)), x + x)


def test_reductions(_, random):
    x = normal(random, 37, 1025)
    a = cupy.asarray(x)
    close(host(a.sum()), x.sum(), 1e-4)
    close(host(a.sum(axis=0)), x.sum(axis=0), 1e-4)
    close(host(a.sum(axis=1)), x.sum(axis=1), 1e-4)
    equal(host(a.max()), x.max())
    equal(host(a.argmin(axis=1)), x.argmin(axis=1))
    close(host(a.var()), x.var(), 1e-4)
    equal(host(cupy.arange(1000).sum()), 499_500)


def test_scan(_, random):
    x = random.integers(-50, 50, 5000)
    equal(host(cupy.cumsum(cupy.asarray(x))), numpy.cumsum(x))
    equal(host(cupy.nonzero(cupy.asarray(x))[0]), numpy.nonzero(x)[0])


def test_sort(_, random):
    x = normal(random, 3, 2000)
    a = cupy.asarray(x)
    equal(host(cupy.sort(a, axis=1)), numpy.sort(x, axis=1))
    equal(host(cupy.argsort(a, axis=1)), numpy.argsort(x, axis=1))
    equal(host(cupy.unique(cupy.asarray([3, 1, 3, 2, 1]))), [1, 2, 3])


def test_matmul(_, random):
    for kind, tolerance in ((numpy.float32, 1e-4), (numpy.float64, 1e-12), (numpy.float16, 1e-2)):
        x, y = normal(random, 65, 130).astype(kind), normal(random, 130, 33).astype(kind)
        close(host(cupy.asarray(x) @ cupy.asarray(y)), x.astype(float) @ y.astype(float), tolerance)
    x, y = normal(random, 4, 17, 19), normal(random, 4, 19, 23)
    close(host(cupy.matmul(cupy.asarray(x), cupy.asarray(y))), x @ y, 1e-4)
    close(host(cupy.einsum("nij,njk->ik", cupy.asarray(x), cupy.asarray(y))), numpy.einsum("nij,njk->ik", x, y), 1e-4)


def test_indexing(_, random):
    x, at = normal(random, 40, 7), random.integers(0, 40, 25)
    a = cupy.asarray(x)
    equal(host(a[cupy.asarray(at)]), x[at])
    cupy.add.at(a, cupy.asarray(at), 1)
    numpy.add.at(x, at, 1)
    close(host(a), x)


def test_raw_kernel(_, random):
    kernel = cupy.RawKernel(
        r"""
        extern "C" __global__ void reversed(const float* in, float* out, int n) {
            __shared__ float tile[128];
            int at = blockIdx.x * blockDim.x + threadIdx.x;
            if (at < n) tile[threadIdx.x] = in[n - 1 - at];
            __syncthreads();
            if (at < n) out[at] = tile[threadIdx.x];
        }
        """,
        "reversed",
    )
    x = normal(random, 1000)
    out = cupy.empty(1000, cupy.float32)
    kernel((8,), (128,), (cupy.asarray(x), out, numpy.int32(1000)))
    equal(host(out), x[::-1])


def test_elementwise_kernel_and_fusion(_, random):
    x, y = normal(random, 500), normal(random, 500)
    squared = cupy.ElementwiseKernel("float32 x, float32 y", "float32 z", "z = (x - y) * (x - y)", "squared_diff")
    close(host(squared(cupy.asarray(x), cupy.asarray(y))), (x - y) ** 2)

    @cupy.fuse()
    def length(x, y):
        return cupy.sqrt(x * x + y * y)

    close(host(length(cupy.asarray(x), cupy.asarray(y))), numpy.hypot(x, y))
    norm = cupy.ReductionKernel("float32 x", "float32 y", "x * x", "a + b", "y = sqrt(a)", "0", "norm2")
    close(host(norm(cupy.asarray(x))), numpy.linalg.norm(x), 1e-4)


def test_streams_and_events(_, random):
    stream = cupy.cuda.Stream(non_blocking=True)
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    with stream:
        begin.record()
        a = cupy.arange(100_000, dtype=cupy.float64)
        b = (a * 2).sum()
        end.record()
    end.synchronize()
    assert cupy.cuda.get_elapsed_time(begin, end) >= 0
    equal(host(b), 100_000 * 99_999)
    pinned = cupy.cuda.alloc_pinned_memory(800)
    x = numpy.frombuffer(pinned, numpy.float64, 100)
    x[:] = normal(random, 100)
    with stream:
        a = cupy.empty(100)
        a.set(x, stream=stream)
        got = a.get(stream=stream)
    stream.synchronize()
    equal(got, x)


def test_memory_pool(_, random):
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.used_bytes()
    a = cupy.empty(1 << 20, cupy.uint8)
    assert pool.used_bytes() == before + (1 << 20)
    del a
    assert pool.used_bytes() == before
    assert pool.total_bytes() >= 1 << 20
    pool.free_all_blocks()
    free, _ = cupy.cuda.runtime.memGetInfo()
    try:
        cupy.empty(free + (1 << 30), cupy.uint8)
    except cupy.cuda.memory.OutOfMemoryError:
        pass
    else:
        raise AssertionError("more than there is was allocated")


def test_random(_, random):
    """Its numbers come from cuRAND."""
    cupy.random.seed(5)
    x = host(cupy.random.standard_normal(20_000))
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03, (x.mean(), x.std())


def test_random_generator(_, random):
    generator = cupy.random.default_rng(3)
    x = host(generator.random(20_000))
    assert x.min() >= 0 and x.max() < 1 and abs(x.mean() - 0.5) < 0.02, (x.min(), x.max(), x.mean())


def test_fft(_, random):
    x = normal(random, 8, 64)
    close(host(cupy.fft.rfft(cupy.asarray(x))), numpy.fft.rfft(x), 1e-4)


def test_sparse(_, random):
    from cupyx.scipy import sparse

    x, y = normal(random, 30, 40), normal(random, 40)
    x[x < 1] = 0
    close(host(sparse.csr_matrix(cupy.asarray(x)) @ cupy.asarray(y)), x @ y, 1e-4)


def test_linear_algebra(_, random):
    x = normal(random, 12, 12)
    x = x @ x.T + 12 * numpy.eye(12, dtype=numpy.float32)
    a, b = cupy.asarray(x), normal(random, 12)
    close(host(cupy.linalg.cholesky(a)), numpy.linalg.cholesky(x), 1e-4)
    close(host(cupy.linalg.solve(a, cupy.asarray(b))), numpy.linalg.solve(x, b), 1e-3)
    close(host(cupy.linalg.eigvalsh(a)), numpy.linalg.eigvalsh(x), 1e-4)
    close(host(cupy.linalg.svd(a, compute_uv=False)), numpy.linalg.svd(x, compute_uv=False), 1e-4)


class CuPy:
    def settle(self):
        cupy.cuda.Device().synchronize()


if __name__ == "__main__":
    sys.exit(runner.main([sys.modules[__name__]], CuPy(), 1, __doc__))
