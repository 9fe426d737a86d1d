"""JAX against NumPy: what XLA compiles for the GPU, what it calls in cuBLAS and cuDNN, and its own kernels.
"""

import sys

import jax
import jax.numpy as jnp
import numpy
from jax import lax

import runner
from arrays import close, equal

def normal(random, *shape):
    return random.standard_normal(shape).astype(numpy.float32)


def test_devices(_, random):
    assert jax.default_backend() == "gpu", jax.default_backend()
    (device,) = jax.devices()
    assert device.platform == "gpu"
    memory = device.memory_stats()
    assert memory["bytes_limit"] > 0, memory


def test_elementwise(_, random):
    x = normal(random, 1000)
    compiled = jax.jit(lambda x: jnp.tanh(x) * jnp.exp(-x * x) + jnp.where(x > 0, x, 0.1 * x))
    close(compiled(x), numpy.tanh(x) * numpy.exp(-x * x) + numpy.where(x > 0, x, numpy.float32(0.1) * x))


def test_integers(_, random):
    x = random.integers(-1000, 1000, 777).astype(numpy.int32)
    equal(jax.jit(lambda x: (x << 3) ^ (x // 7) + x % 13)(x), (x << 3) ^ (x // 7) + x % 13)


def test_halves(_, random):
    x = normal(random, 300)
    for kind, tolerance in ((jnp.bfloat16, 2e-2), (jnp.float16, 4e-3)):
        close(jax.jit(lambda x: (x.astype(kind) * 2 + 1).astype(jnp.float32))(x), x * 2 + 1, tolerance)


def test_reductions(_, random):
    x = normal(random, 37, 1025)
    close(jax.jit(lambda x: x.sum(axis=1))(x), x.sum(axis=1), 1e-4)
    close(jax.jit(lambda x: x.sum(axis=0))(x), x.sum(axis=0), 1e-4)
    equal(jax.jit(jnp.max)(x), x.max())
    equal(jax.jit(lambda x: x.argmax(axis=1))(x), x.argmax(axis=1))
    close(jax.jit(jnp.var)(x), x.var())


def test_matmul(_, random):
    a, b = normal(random, 65, 130), normal(random, 130, 33)
    close(jax.jit(jnp.matmul)(a, b), a @ b, 1e-4)
    a, b = normal(random, 4, 17, 19), normal(random, 4, 19, 23)
    close(jax.jit(jnp.matmul)(a, b), a @ b, 1e-4)
    close(jax.jit(lambda a, b: jax.nn.relu(a @ b + 1))(a, b), numpy.maximum(a @ b + 1, 0), 1e-4)


def test_convolution(_, random):
    image, kernel = normal(random, 2, 3, 12, 11), normal(random, 5, 3, 3, 3)
    got = jax.jit(lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "VALID"))(image, kernel)
    windows = numpy.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(2, 3))
    close(got, numpy.einsum("nchwij,ocij->nohw", windows, kernel), 1e-4)


def test_gradient_of_a_network(_, random):
    x, y = normal(random, 16, 10), normal(random, 16, 3)
    weights = [normal(random, 10, 20), normal(random, 20, 3)]

    def loss(weights, x, y):
        hidden = jnp.tanh(x @ weights[0])
        return jnp.mean((hidden @ weights[1] - y) ** 2)

    value, (first, second) = jax.jit(jax.value_and_grad(loss))(weights, x, y)
    hidden = numpy.tanh(x @ weights[0])
    wrong = hidden @ weights[1] - y
    close(value, (wrong**2).mean(), 1e-4)
    outer = 2 * wrong / wrong.size
    close(second, hidden.T @ outer, 1e-4)
    close(first, x.T @ ((outer @ weights[1].T) * (1 - hidden**2)), 1e-4)


def test_gradient_of_a_convolution(_, random):
    image, kernel = normal(random, 2, 3, 8, 8), normal(random, 4, 3, 3, 3)
    total = lambda x, k: (lax.conv_general_dilated(x, k, (1, 1), "VALID") ** 2).sum() / 2
    by_image, by_kernel = jax.jit(jax.grad(total, (0, 1)))(image, kernel)
    windows = numpy.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(2, 3))
    out = numpy.einsum("nchwij,ocij->nohw", windows, kernel)
    close(by_kernel, numpy.einsum("nohw,nchwij->ocij", out, windows), 1e-4)
    expected = numpy.zeros_like(image)
    for i in range(3):
        for j in range(3):
            expected[:, :, i : i + 6, j : j + 6] += numpy.einsum("nohw,oc->nchw", out, kernel[:, :, i, j])
    close(by_image, expected, 1e-4)


def test_scan(_, random):
    x = normal(random, 50)
    total, sums = jax.jit(lambda x: lax.scan(lambda sum, x: (sum + x, sum + x), 0.0, x))(x)
    close(sums, x.cumsum(), 1e-4)
    close(total, x.sum(), 1e-4)
    close(jax.jit(jnp.cumsum)(x), x.cumsum(), 1e-4)


def test_while_loop(_, random):
    collatz = lambda n: lax.while_loop(
        lambda s: s[0] != 1, lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (n, 0)
    )[1]
    # The sequence of 27 is known to take 111 steps.
    assert int(jax.jit(collatz)(27)) == 111


def test_cond(_, random):
    choose = jax.jit(lambda x: lax.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, x))
    x = numpy.ones(5, numpy.float32)
    equal(choose(x), x + 1)
    equal(choose(-x), -x - 1)


def test_vmap(_, random):
    a, b = normal(random, 6, 9), normal(random, 6, 9)
    close(jax.jit(jax.vmap(jnp.dot))(a, b), (a * b).sum(axis=1), 1e-4)


def test_sort(_, random):
    x = normal(random, 3, 1000)
    equal(jax.jit(lambda x: jnp.sort(x, axis=1))(x), numpy.sort(x, axis=1))
    equal(jax.jit(lambda x: jnp.argsort(x, axis=1))(x), numpy.argsort(x, axis=1))
    long = random.permutation(50_000).astype(numpy.int32)
    equal(jax.jit(jnp.sort)(long), numpy.arange(50_000))
    values, places = jax.jit(lambda x: lax.top_k(x, 5))(x)
    equal(values, -numpy.sort(-x, axis=1)[:, :5])
    equal(places, numpy.argsort(-x, axis=1)[:, :5])


def test_indexing(_, random):
    x, at = normal(random, 40, 7), random.integers(0, 40, 25)
    equal(jax.jit(lambda x, at: x[at])(x, at), x[at])
    expected = x.copy()
    numpy.add.at(expected, at, 1)
    close(jax.jit(lambda x, at: x.at[at].add(1))(x, at), expected)


def test_random(_, random):
    # JAX documents that its generator gives the same numbers on every platform; these are of threefry2x32 with a
    # zero key and a zero counter (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", test vectors).
    from jax.extend.random import threefry_2x32

    words = threefry_2x32(jnp.zeros(2, jnp.uint32), jnp.zeros(2, jnp.uint32))
    equal(words, numpy.array([0x6B200159, 0x99BA4EFE], numpy.uint32))
    x = numpy.asarray(jax.random.normal(jax.random.key(1), (20_000,)))
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03, (x.mean(), x.std())


def test_fft(_, random):
    x = normal(random, 8, 64)
    close(jax.jit(jnp.fft.rfft)(x), numpy.fft.rfft(x), 1e-4)


def test_linear_algebra(_, random):
    a = normal(random, 12, 12)
    a = a @ a.T + 12 * numpy.eye(12, dtype=numpy.float32)
    close(jax.jit(jnp.linalg.cholesky)(a), numpy.linalg.cholesky(a), 1e-4)
    b = normal(random, 12)
    close(jax.jit(jnp.linalg.solve)(a, b), numpy.linalg.solve(a, b), 1e-3)
    close(jax.jit(jnp.linalg.eigvalsh)(a), numpy.linalg.eigvalsh(a), 1e-4)
    close(jax.jit(lambda a: jnp.linalg.svd(a, compute_uv=False))(a), numpy.linalg.svd(a, compute_uv=False), 1e-4)


def test_double_precision(_, random):
    with jax.enable_x64(True):
        a, b = random.standard_normal((9, 8)), random.standard_normal((8, 7))
        close(jax.jit(lambda a, b: jnp.sin(a) @ b)(a, b), numpy.sin(a) @ b, 1e-12)


def test_copies(_, random):
    for count in (1, 1000, 3_000_001):
        x = random.integers(0, 255, count).astype(numpy.uint8)
        equal(jax.device_put(x), x)


class Jax:
    def settle(self):
        """JAX reports errors with the values that depend on them."""


if __name__ == "__main__":
    sys.exit(runner.main([sys.modules[__name__]], Jax(), 1, __doc__))
