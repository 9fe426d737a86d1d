"""Seconds from the start of this process to its first results on the GPU, by phase, as JSON in the file that is named."""

import json
import os
import sys
import time


def process_age():
    """Seconds since this process was started, to 0.01 s."""
    with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
        started = int(stat.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return float(uptime.read().split()[0]) - started


last = time.perf_counter()
seconds = {"interpreter": process_age()}


def end(phase):
    global last
    now = time.perf_counter()
    seconds[phase] = now - last
    last = now


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
import tensorflow as tf

end("import")
if not tf.config.list_physical_devices("GPU"):
    sys.exit("TensorFlow finds no GPU")


def product():
    with tf.device("/GPU:0"):
        return tf.matmul(ones, ones).numpy()


def convolution():
    with tf.device("/GPU:0"):
        return tf.nn.conv2d(image, filters, strides=1, padding="VALID").numpy()


def exponential():
    """Compiled when it is first used: TensorFlow brings no machine code for it."""
    with tf.device("/GPU:0"):
        return tf.exp(zeros).numpy()


with tf.device("/GPU:0"):
    ones, zeros = tf.ones([256, 256]), tf.zeros([256, 256])
    image, filters = tf.ones([8, 64, 64, 8]), tf.ones([3, 3, 8, 16])
end("context")
parts = [("product", product, 256.0), ("convolution", convolution, 72.0), ("compiled", exponential, 1.0)]
for name, part, expected in parts:
    if not np.all(part() == expected):
        sys.exit(f"the {name} is wrong")
    end(name)
for _, part, _ in parts:
    part()
end("again")
with open(sys.argv[1], "w") as file:
    json.dump(seconds, file)
