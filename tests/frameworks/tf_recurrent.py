"""Recurrent networks of cuDNN: Keras's layers against themselves on the CPU, and `CudnnRNNV3`, in layers and in both
directions, against NumPy."""

import numpy
import tensorflow as tf

from tf_support import *

keras = tf.keras


def check(got, want, what, factor=1):
    """Alike, after some steps of functions whose arguments were sums."""
    near(tf.convert_to_tensor(got), tf.convert_to_tensor(want), what, 10 * factor)


def layers(random):
    """A layer twice, with the same weights: one may use cuDNN."""
    kind = [keras.layers.LSTM, keras.layers.GRU][random.integers(2)]
    sequences, states = bool(random.integers(2)), bool(random.integers(2))
    units = int(random.integers(1, 40))
    options = dict(return_sequences=sequences, return_state=states, go_backwards=bool(random.integers(2)))
    make = lambda use: kind(units, use_cudnn=use, **options)
    if random.integers(3) == 0:
        options["go_backwards"] = False
        plain = make
        make = lambda use: keras.layers.Bidirectional(plain(use))
    return make("auto"), make(False), options | {"kind": kind.__name__, "units": units}


def run(layer, x, mask, device):
    """What a layer gives, and the gradients of the sum of its squares."""
    with tf.device(device), tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        results = tf.nest.flatten(layer(x, mask=mask))
        if mask is not None:
            # Behind its end a sequence is zero with cuDNN, and stays what it was without.
            shown = tf.cast(mask, tf.float32)[:, :, None]
            results = [result * shown if len(result.shape) == 3 else result for result in results]
        loss = tf.add_n([tf.reduce_sum(result * result) for result in results])
    variables = [variable.value for variable in layer.trainable_variables]
    return results, tape.gradient(loss, [x, *variables])


def test_recurrent_layers_of_keras(_, random):
    fast, slow, what = layers(random)
    batch, steps, width = (int(size) for size in random.integers(1, 20, 3))
    x = random.standard_normal((batch, steps, width)).astype(numpy.float32)
    mask = None
    if random.integers(2) and not what["go_backwards"]:
        # cuDNN takes masks that are true and then false.
        lengths = random.integers(1, steps + 1, batch)
        mask = tf.constant(numpy.arange(steps)[None, :] < lengths[:, None])
    for layer, device in [(fast, "GPU:0"), (slow, "CPU:0")]:
        with tf.device(device):
            layer.build(x.shape)
    weights = [random.standard_normal(weight.shape) * 0.3 for weight in fast.get_weights()]
    fast.set_weights(weights)
    slow.set_weights(weights)
    # A mask is looked at, so that it says only when the layer runs which way it goes.
    if mask is None:
        with tf.device("GPU:0"):
            graph = tf.function(fast).get_concrete_function(tf.constant(x)).graph
        assert any(operation.type.startswith("CudnnRNN") for operation in graph.get_operations()), f"{what}: not by cuDNN"
    got, want = run(fast, x, mask, "GPU:0"), run(slow, x, mask, "CPU:0")
    for part, factor in zip(range(2), (1, 50)):
        assert len(got[part]) == len(want[part])
        for at, (one, other) in enumerate(zip(got[part], want[part])):
            check(one, other, f"{what}, shape {x.shape}, masked {mask is not None}: part {part} at {at}", factor)


def sigmoid(value):
    return 1 / (1 + numpy.exp(-value))


def cell(kind, x, h, c, matrices, biases):
    """One step, as cuDNN's manual has it."""
    gates = len(matrices) // 2
    part = lambda number: (x if number < gates else h) @ matrices[number].T + biases[number]
    both = lambda gate: part(gate) + part(gates + gate)
    if kind == "lstm":
        i, f, o = (sigmoid(both(gate)) for gate in (0, 1, 3))
        c = f * c + i * numpy.tanh(both(2))
        return o * numpy.tanh(c), c
    if kind == "gru":
        r, z = sigmoid(both(0)), sigmoid(both(1))
        return (1 - z) * numpy.tanh(part(2) + r * part(5)) + z * h, c
    return (numpy.tanh(both(0)) if kind == "rnn_tanh" else numpy.maximum(both(0), 0)), c


def test_layers_of_cudnn(_, random):
    kind = ["lstm", "gru", "rnn_tanh", "rnn_relu"][random.integers(4)]
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    batch, steps, width, units, depth = (int(size) for size in random.integers(1, 9, 5))
    depth = min(depth, 3)
    both = int(random.integers(2))
    lanes = depth * (1 + both)
    columns = lambda lane, number: units if number >= gates else width if lane < 1 + both else units * (1 + both)
    matrices = [[random.standard_normal((units, columns(lane, number))).astype(numpy.float32) * 0.5
                 for number in range(2 * gates)] for lane in range(lanes)]
    biases = [[random.standard_normal(units).astype(numpy.float32) for _ in range(2 * gates)] for _ in range(lanes)]
    flat = lambda lists: [value for list in lists for value in list]
    shape = (lanes, batch, units)
    x = random.standard_normal((steps, batch, width)).astype(numpy.float32)
    h, c = (random.standard_normal(shape).astype(numpy.float32) for _ in range(2))
    lengths = random.integers(1, steps + 1, batch).astype(numpy.int32)
    attributes = dict(rnn_mode=kind, input_mode="linear_input", direction="bidirectional" if both else "unidirectional")
    # As Keras has it: all matrices, then all biases. (`CudnnRNNCanonicalToParamsV2` asks cuDNN where they are, but takes the
    # distance from another place than it gave it.)
    params = numpy.concatenate([value.ravel() for value in flat(matrices) + flat(biases)])
    with tf.device("GPU:0"):
        got = tf.raw_ops.CudnnRNNV3(input=x, input_h=h, input_c=c if kind == "lstm" else numpy.zeros((0, 0, 0), numpy.float32),
                                    params=params, sequence_lengths=lengths, is_training=bool(random.integers(2)),
                                    time_major=True, **attributes)
    values = x
    for layer in range(depth):
        output = numpy.zeros((steps, batch, units * (1 + both)), numpy.float32)
        for direction in range(1 + both):
            lane = layer * (1 + both) + direction
            for sequence, length in enumerate(lengths):
                for step in range(length) if direction == 0 else reversed(range(length)):
                    h[lane, sequence], c[lane, sequence] = cell(
                        kind, values[step, sequence], h[lane, sequence], c[lane, sequence], matrices[lane], biases[lane])
                    output[step, sequence, direction * units:(direction + 1) * units] = h[lane, sequence]
        values = output
    what = f"{kind}, {depth} layers, {1 + both} directions, {x.shape}, lengths {lengths}"
    check(got.output, values, what)
    check(got.output_h, h, what + ": states")
    if kind == "lstm":
        check(got.output_c, c, what + ": cells")
