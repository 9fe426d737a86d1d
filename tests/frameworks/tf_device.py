"""What TensorFlow knows of the GPU, and where it runs operations: `tf_device.py BYTES`, the memory that there should be.

Run it under `rgpu local` or `rgpu run`.
"""

import ctypes
import os
import re
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # where operations run is information

import numpy
import tensorflow as tf

from blas_device import Failed, same

MIB = 1 << 20
# What `rgpu` tells TensorFlow to leave (docs/frameworks.md).
LEFT = 64 * MIB


def free_and_total():
    cuda = ctypes.CDLL("libcuda.so.1")
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    same(cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), 0, "cuMemGetInfo")
    return free.value, total.value


class Logged:
    """What anyone in this process writes to stderr meanwhile."""

    def __enter__(self):
        self.file = tempfile.TemporaryFile()
        self.before = os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, *_):
        os.dup2(self.before, 2)
        os.close(self.before)
        self.file.seek(0)
        self.text = self.file.read().decode()
        sys.stderr.write(self.text)

    def placed(self):
        """Operations and their devices."""
        eager = re.findall(r"Executing op (\w+) in device \S*/device:(\S+)", self.text)
        graphs = re.findall(r"\((\w+)\): \S*/device:(\S+)", self.text)
        return eager + graphs


def check_placement():
    x = numpy.ones((2, 8, 8, 1), numpy.float32)
    w = numpy.ones((3, 3, 1, 4), numpy.float32)
    with Logged() as eager:
        on_device = tf.nn.conv2d(tf.constant(x), tf.constant(w), 1, "SAME")
        on_device = tf.nn.relu(tf.reshape(on_device, [2, 256]))
        result = tf.matmul(on_device, on_device, transpose_b=True)
    same(result.device.rsplit("/", 1)[1], "device:GPU:0", "where the result lies")
    # Ones under a window of ones: 9 inside, 6 at an edge, 4 in a corner.
    want = 4 * (36 * 81 + 24 * 36 + 4 * 16)
    same(result.numpy().tolist(), [[want, want], [want, want]], "the result")
    placed = eager.placed()
    for operation in ("Conv2D", "Relu", "MatMul"):
        same({device for name, device in placed if name == operation}, {"GPU:0"}, operation)

    keras = tf.keras
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                              keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    with Logged() as fit:
        model.fit(x, numpy.zeros(2, numpy.int32), verbose=0)
        model.predict(x, verbose=0)
    placed = fit.placed()
    for operation in ("Conv2D", "Conv2DBackpropFilter", "MatMul", "Relu", "ReluGrad", "Softmax"):
        devices = {device for name, device in placed if name == operation}
        same(devices, {"GPU:0"}, f"{operation} of the model")


def main(memory):
    tf.debugging.set_log_device_placement(True)
    gpus = tf.config.list_physical_devices("GPU")
    same([(gpu.name, gpu.device_type) for gpu in gpus], [("/physical_device:GPU:0", "GPU")], "physical devices")
    details = tf.config.experimental.get_device_details(gpus[0])
    same(details["compute_capability"], (9, 0), "compute capability")
    print("device:", details["device_name"])

    with Logged() as start:
        tf.constant(1.0)
    limit = re.search(r"Created device \S*/device:GPU:0 with (\d+) MB memory", start.text)
    if limit is None:
        raise Failed("TensorFlow does not say that it created GPU:0")
    free, total = free_and_total()
    print(f"memory: {total} bytes, of which TensorFlow takes {limit[1]} MB")
    same(total, memory, "memory of the GPU")
    # It leaves a part to others; the context and its modules may have taken a little before.
    taken = int(limit[1]) * MIB
    if not memory - LEFT - 32 * MIB <= taken <= memory - LEFT:
        raise Failed(f"TensorFlow takes {taken} bytes of {memory}")

    check_placement()

    try:
        tf.zeros(memory // 4, tf.float32) + 1
        raise Failed("more memory than there is")
    except tf.errors.ResourceExhaustedError:
        print("too much is refused")
    # What fits, still fits.
    same(float(tf.reduce_sum(tf.ones(memory // 16, tf.float32))), memory / 16, "a sum over a quarter of the memory")
    print("failed: none")


if __name__ == "__main__":
    main(int(sys.argv[1]))
