"""What cuDNN does for TensorFlow: convolutions through its graphs, pooling, batch normalisation, softmax."""

import numpy
import tensorflow as tf

from tf_support import *


def image(random, dimensions, channels, low=4, high=12):
    return (int(random.integers(1, 4)), *(int(size) for size in random.integers(low, high, dimensions)), channels)


def channels_first(function):
    """The same in the order that CPUs cannot do, between tensors in the order that they can."""
    def change(x, to_first):
        axes = list(range(len(x.shape)))
        return tf.transpose(x, [0, axes[-1], *axes[1:-1]] if to_first else [0, *axes[2:], 1])
    return lambda x, w: change(function(change(x, True), w), False)


def convolution(random, dimensions):
    groups = int(random.choice([1, 1, 2, 3]))
    inputs, outputs = (groups * int(size) for size in random.integers(1, 5, 2))
    window = [int(size) for size in random.integers(1, 4, dimensions)]
    strided = bool(random.integers(2))
    stride = [int(random.integers(1, 3))] * dimensions if strided else [1] * dimensions
    dilation = [1] * dimensions if strided else [int(random.integers(1, 3))] * dimensions
    padding = ["SAME", "VALID"][int(random.integers(2))]
    x = uniform(random, image(random, dimensions, inputs, 6, 12))
    w = uniform(random, (*window, inputs // groups, outputs))
    axes = "DHW"[3 - dimensions:]
    first, last = "NC" + axes, "N" + axes + "C"

    def plain(x, w):
        return tf.nn.convolution(x, w, stride, padding, data_format=last, dilations=dilation)

    def grouped(x, w):
        """As CPUs can do it."""
        parts = zip(tf.split(x, groups, -1), tf.split(w, groups, -1))
        return tf.concat([plain(*part) for part in parts], -1)

    def ordered(x, w):
        return tf.nn.convolution(x, w, stride, padding, data_format=first, dilations=dilation)

    what = f"{dimensions}D, {x.shape} by {w.shape}, {padding}, strides {stride}, dilation {dilation}"
    terms = w[..., 0].size + x[..., 0].size
    reference = None
    for name, function in [("last", plain), ("first", channels_first(ordered))]:
        with tf.device("GPU:0"):
            got = with_gradients(function)(tf.constant(x), tf.constant(w))
        if reference is None:
            with tf.device("CPU:0"):
                reference = with_gradients(grouped)(tf.constant(x), tf.constant(w))
        for part, mine, its in zip(("result", "by data", "by filter"), got, reference):
            near(mine, its, f"{what}, channels {name}: {part}", terms)


def test_convolution_1d(_, random):
    convolution(random, 1)


def test_convolution_2d(_, random):
    convolution(random, 2)


def test_convolution_3d(_, random):
    convolution(random, 3)


def test_other_types_of_convolution(_, random):
    x, w = image(random, 2, 3), (3, 3, 3, 4)
    for dtype in (numpy.float16, numpy.float64):
        both(f"convolution of {dtype.__name__}", with_gradients(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME")),
             uniform(random, x, dtype), uniform(random, w, dtype), terms=100)
    x, w = uniform(random, image(random, 2, 5)), uniform(random, (3, 2, 5, 2))
    both("depthwise", with_gradients(lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME")), x, w, terms=100)
    w = uniform(random, (3, 3, 4, 5))
    shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], 4]
    both("transposed", with_gradients(lambda x, w: tf.nn.conv2d_transpose(x, w, shape, 2, "SAME")), x, w, terms=100)


def test_fused_convolution(_, random):
    """In a graph, what follows a convolution becomes a part of it."""
    @tf.function
    def layer(x, w, b):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, 1, "SAME"), b))

    both("convolution, bias, relu", layer, uniform(random, image(random, 2, 3)), uniform(random, (3, 3, 3, 4)),
         uniform(random, 4), terms=30)


def test_pooling(_, random):
    # TensorFlow refuses strides that are longer than the window.
    stride, window = sorted(int(size) for size in random.integers(1, 4, 2))
    for dimensions in (2, 3):
        shape = image(random, dimensions, 3)
        # No two are alike, of which either could be the largest.
        x = (random.permutation(numpy.prod(shape)) / numpy.prod(shape)).astype(numpy.float32).reshape(shape)
        for kind in ("MAX", "AVG"):
            for padding in ("SAME", "VALID"):
                pool = lambda x: tf.nn.pool(x, [window] * dimensions, kind, [stride] * dimensions, padding)
                both(f"{kind} pooling {dimensions}D, {padding}", with_gradients(pool), x, terms=30)


def test_batch_norm(_, random):
    shape = image(random, 2, int(random.integers(1, 6)))
    x, (scale, offset, mean, difference) = uniform(random, shape), uniform(random, (4, shape[-1]))
    kinds = tf.compat.v1.nn.fused_batch_norm
    both("batch norm, inference", lambda x, s, o, m, v: kinds(x, s, o, m, v, is_training=False)[0],
         x, scale, offset, mean, abs(difference) + 0.1, terms=30)
    both("batch norm, training", lambda x, s, o: list(kinds(x, s, o, is_training=True)), x, scale, offset, terms=100)
    both("batch norm, gradients", with_gradients(lambda x, s, o: kinds(x, s, o, is_training=True)[0]), x, scale, offset, terms=3000)


def test_softmax_and_losses(_, random):
    x = 5 * uniform(random, (7, int(random.integers(2, 40))))
    labels = random.integers(0, x.shape[1], 7)
    both("softmax", with_gradients(tf.nn.softmax), x, terms=30)
    both("log_softmax", with_gradients(tf.nn.log_softmax), x, terms=30)
    both("cross entropy", with_gradients(lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)), x, terms=30)


def test_dropout(_, random):
    """Seeded without state, the GPU draws what the CPU draws."""
    x, rate = uniform(random, (40, 50)) + 2, float(random.uniform(0.1, 0.9))
    both("dropout", lambda x: tf.nn.experimental.stateless_dropout(x, rate, seed=[3, 4]), x)
