"""TensorFlow on GPU:0 against TensorFlow on the CPU."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy
import tensorflow as tf

from blas_device import Failed, same

# How far apart results of one term may be, the largest being 1.
EPSILON = {tf.float16: 1e-3, tf.bfloat16: 8e-3, tf.float32: 2e-6, tf.float64: 1e-13, tf.complex64: 2e-6, tf.complex128: 1e-13}


class TensorFlow:
    """What the tests are of."""

    def __init__(self):
        # The factors of products keep their bits.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        same(len(tf.config.list_physical_devices("GPU")), 1, "GPUs that TensorFlow finds")

    def settle(self):
        tf.test.experimental.sync_devices()


def uniform(random, shape, dtype=numpy.float32):
    return random.uniform(-1, 1, shape).astype(dtype)


def near(got, want, what, terms=1):
    """Equal, or for sums of so many terms as near as their type allows."""
    same((got.dtype, list(got.shape)), (want.dtype, list(want.shape)), what + ": type and shape")
    epsilon = EPSILON.get(want.dtype)
    if epsilon is None:
        same(bool(numpy.array_equal(got.numpy(), want.numpy())), True, what + ": equal")
        return
    kind = numpy.complex128 if want.dtype.is_complex else numpy.float64
    got, want = got.numpy().astype(kind), want.numpy().astype(kind)
    finite = numpy.isfinite(want)
    same(bool(numpy.array_equal(finite, numpy.isfinite(got))), True, what + ": what is finite")
    largest = max(1.0, float(numpy.max(numpy.abs(want[finite]), initial=0)))
    difference = float(numpy.max(numpy.abs(got[finite] - want[finite]), initial=0))
    if difference > epsilon * largest * (8 + terms):
        raise Failed(f"{what}: off by {difference} where {largest} is the largest")


def both(what, function, *inputs, terms=1):
    """Calls it with the inputs on the GPU and on the CPU; its results, one or several, must be alike."""
    on = {}
    for device in ("GPU:0", "CPU:0"):
        with tf.device(device):
            on[device] = tf.nest.flatten(function(*(tf.constant(value) for value in inputs)))
    for got, want in zip(on["GPU:0"], on["CPU:0"]):
        if not got.device.endswith("GPU:0"):
            raise Failed(f"{what}: the result lies in {got.device}")
        near(got, want, what, terms)


def with_gradients(function):
    """The function's result and its gradients by each input, for gradients of the result that are not all alike."""

    def all_of_it(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = function(*inputs)
            flat = tf.reshape(result, [-1])
            total = tf.reduce_sum(flat * tf.cast(tf.range(tf.size(flat)) % 7 - 2, flat.dtype))
        return [result, *tape.gradient(total, inputs)]

    return all_of_it
