"""TensorFlow's own kernels, and products and solutions by cuBLAS."""

import numpy
import tensorflow as tf

from tf_support import *


def test_products(_, random):
    m, n, k, count = (int(size) for size in random.integers(1, 40, 4))
    for dtype in (numpy.float16, numpy.float32, numpy.float64, numpy.complex64):
        a, b = uniform(random, (m, k), dtype), uniform(random, (k, n), dtype)
        both(f"product of {dtype.__name__}", tf.matmul, a, b, terms=k)
        both(f"product of {dtype.__name__}, turned", lambda a, b: tf.matmul(a, b, adjoint_a=True, adjoint_b=True), a.T, b.T, terms=k)
    batch = uniform(random, (count, m, k)), uniform(random, (count, k, n))
    both("batch of products", with_gradients(tf.matmul), *batch, terms=k + m + n)
    both("product with a vector", with_gradients(tf.linalg.matvec), batch[0], batch[1][..., 0], terms=k + m)
    both("einsum", lambda a, b: tf.einsum("bij,bjk->ik", a, b), *batch, terms=k * count)
    both("bfloat16", lambda a, b: tf.matmul(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), a.real.astype(numpy.float32),
         b.real.astype(numpy.float32), terms=k)


def test_dense_layer(_, random):
    """Product, bias and activation, which cuBLASLt does at once."""
    x, w, b = uniform(random, (9, 17)), uniform(random, (17, 33)), uniform(random, 33)
    for name, activation in [("relu", tf.nn.relu), ("gelu", lambda x: tf.nn.gelu(x, approximate=True)), ("none", tf.identity)]:
        layer = tf.function(lambda x, w, b: activation(tf.nn.bias_add(tf.matmul(x, w), b)))
        both("dense layer, " + name, layer, x, w, b, terms=30)


def test_triangular_solution(_, random):
    n = int(random.integers(1, 20))
    a, b = uniform(random, (2, n, n)) + 3 * numpy.eye(n, dtype=numpy.float32), uniform(random, (2, n, 3))
    both("triangular_solve", lambda a, b: tf.linalg.triangular_solve(a, b, lower=True), a, b, terms=10 * n)


def test_elementwise(_, random):
    """Most of these are compiled while TensorFlow runs."""
    x, y = uniform(random, (5, 37)) * 3, uniform(random, (5, 37)) + 2
    for function in (tf.exp, tf.tanh, tf.sigmoid, tf.nn.relu, tf.nn.elu, tf.nn.softplus, tf.sin, tf.cos, tf.abs, tf.square,
                     tf.floor, tf.sign, tf.math.erf, tf.math.expm1, tf.nn.swish):
        both(function.__name__, function, x, terms=10)
    for function in (tf.sqrt, tf.math.rsqrt, tf.math.log, tf.math.log1p, tf.math.reciprocal):
        both(function.__name__, function, y, terms=10)
    for function in (tf.add, tf.subtract, tf.multiply, tf.divide, tf.maximum, tf.minimum, tf.less, tf.math.floormod):
        both(function.__name__, function, x, y, terms=10)
    both("pow", lambda x, y: tf.pow(y, x), x, y, terms=100)
    both("where", lambda x, y: tf.where(x > y - 2, x, y), x, y)
    both("logic", lambda x, y: tf.logical_and(x > 0, tf.logical_not(y > 2)), x, y)
    whole = random.integers(-100, 100, (5, 37))
    both("integers", lambda a: [a + 3, a * a, a // 7, a % 7, tf.bitwise.bitwise_and(a, 15)], whole)
    for dtype in (tf.float16, tf.bfloat16, tf.float64, tf.int32, tf.uint8, tf.bool):
        both("cast to " + dtype.name, lambda x: tf.cast(x, dtype), numpy.abs(x))


def test_choices(_, random):
    """How many there are, a kernel writes into page-locked memory of the host."""
    x = uniform(random, (64, 240, 32))
    for share in (0.1, 0.5, 1.0):
        mask = random.random(x.shape) < share
        both(f"where of {share}", tf.where, mask)
        both(f"boolean_mask of {share}", tf.boolean_mask, x, mask)
    both("unique", lambda a: tf.unique(a), random.integers(0, 50, 500))


def test_reductions(_, random):
    x = uniform(random, tuple(int(size) for size in random.integers(1, 30, 3)))
    axes = [axis for axis in range(3) if random.integers(2)]
    for function in (tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min, tf.reduce_prod, tf.math.reduce_variance):
        both(f"{function.__name__} over {axes}", lambda x: function(x, axis=axes), x, terms=x.size)
    both("norm", lambda x: [tf.norm(x, axis=1), tf.norm(x, axis=(0, 2))], x, terms=x.size)
    both("argmax", lambda x: tf.argmax(x, 1), x)
    both("any", lambda x: [tf.reduce_any(x > 0, axes), tf.reduce_all(x > -0.9, axes)], x)
    both("cumsum", lambda x: tf.cumsum(x, 2, reverse=True), x, terms=x.shape[2])


def test_shapes(_, random):
    x = uniform(random, (4, 6, 5))
    places = random.integers(0, 4, 9)
    both("transpose", lambda x: tf.transpose(x, [2, 0, 1]), x)
    both("slice, pad, tile", lambda x: [x[1:3, ::2, -1], tf.pad(x, [[1, 0], [0, 2], [1, 1]]), tf.tile(x, [1, 2, 1])], x)
    both("concat, stack, split", lambda x: [tf.concat([x, 2 * x], 1), tf.stack([x, x], -1), *tf.split(x, 2, 1)], x)
    both("gather", lambda x: tf.gather(x, places), x)
    both("scatter", lambda x: tf.tensor_scatter_nd_add(x, [[0], [2], [0]], tf.ones((3, 6, 5))), x)
    both("segments", lambda x: tf.math.unsorted_segment_sum(tf.gather(x, places), places, 4), x, terms=9)
    both("one_hot", lambda x: tf.one_hot(places, 4) + x[0, 0, 0], x)
    both("reverse, roll", lambda x: [tf.reverse(x, [1]), tf.roll(x, 2, 2)], x)


def test_order(_, random):
    x = uniform(random, (3, int(random.integers(5, 200))))
    both("top_k", lambda x: list(tf.math.top_k(x, 4)), x)
    both("sort", lambda x: tf.sort(x, direction="DESCENDING"), x)
    both("argsort", lambda x: tf.argsort(x), x)


def test_random_numbers(_, random):
    """Without state, the GPU draws what the CPU draws."""
    seed = [int(value) for value in random.integers(0, 1 << 30, 2)]
    both("uniform", lambda x: tf.random.stateless_uniform((50, 3), seed) + 0 * x, numpy.float32(1))
    both("normal", lambda x: tf.random.stateless_normal((50, 3), seed) + 0 * x, numpy.float32(1), terms=10)
    both("integers", lambda x: tf.random.stateless_uniform((50, 3), seed, 0, 1000, tf.int32) + 0 * x, numpy.int32(1))


def test_images(_, random):
    x = uniform(random, (2, 11, 13, 3))
    for method in ("bilinear", "nearest"):
        both("resize, " + method, lambda x: tf.image.resize(x, (17, 9), method=method), x, terms=10)
    both("crop", lambda x: tf.image.crop_and_resize(x, [[0.1, 0.2, 0.8, 0.9]], [1], (5, 6)), x, terms=30)


def test_loop(_, random):
    @tf.function
    def loop(x):
        for turn in tf.range(5):
            x = tf.where(tf.reduce_sum(x) > 0, x * 0.5, x + tf.cast(turn, tf.float32))
        return x

    both("loop", loop, uniform(random, (3, 3)), terms=10)


def test_xla(_, random):
    """Compiled as a whole."""
    @tf.function(jit_compile=True)
    def network(x, w, v):
        return tf.nn.softmax(tf.matmul(tf.nn.relu(tf.matmul(x, w)) - 0.1, v))

    both("XLA", with_gradients(network), uniform(random, (9, 17)), uniform(random, (17, 33)), uniform(random, (33, 5)), terms=100)
