"""Keras: models that infer and learn on the GPU as on the CPU."""

import numpy
import tensorflow as tf

import runner
from tf_support import *

keras = tf.keras


def small_model():
    layers = keras.layers
    return keras.Sequential([
        layers.Input((24, 24, 1)),
        layers.Conv2D(8, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(12, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(16, activation="gelu"),
        layers.Dense(3, activation="softmax"),
    ])


def learned(device, jit, x, labels):
    """Losses of some steps with Adam, the weights after them, and what the model then says."""
    with tf.device(device):
        keras.utils.set_random_seed(7)
        model = small_model()
        model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=jit)
        history = model.fit(x, labels, batch_size=16, epochs=3, shuffle=False, verbose=0)
        return numpy.array(history.history["loss"]), model.get_weights(), model.predict(x, verbose=0)


def learns(random, jit):
    labels = random.integers(0, 3, 48)
    # Bright on the left, in the middle, or on the right.
    x = uniform(random, (48, 24, 24, 1)) * 0.3
    for image, label in zip(x, labels):
        image[:, 8 * label:8 * label + 8] += 1
    losses, weights, said = learned("GPU:0", jit, x, labels)
    want_losses, want_weights, want_said = learned("CPU:0", False, x, labels)
    same(bool(losses[-1] < losses[0]), True, "the loss falls")
    # Adam divides by the root of squared gradients, so that what is small grows: 1 step in 1000.
    for got, want, what in [(losses, want_losses, "losses"), (said, want_said, "probabilities"),
                            *((a, b, f"weights of {a.shape}") for a, b in zip(weights, want_weights))]:
        difference = float(numpy.max(numpy.abs(got - want)))
        if difference > 2e-3:
            raise Failed(f"{what}: off by {difference}")


@runner.once
def test_learning(_, random):
    learns(random, jit=False)


@runner.once
def test_learning_with_xla(_, random):
    learns(random, jit=True)


def same_on_both(model, x, terms):
    """The same weights, on both devices."""
    answers = []
    for device in ("GPU:0", "CPU:0"):
        with tf.device(device):
            keras.utils.set_random_seed(3)
            made = model()
            answers.append(made(tf.constant(x), training=False))
    near(answers[0], answers[1], made.name, terms)


@runner.once
def test_a_transformer_block(_, random):
    def block():
        layers = keras.layers
        x = tokens = layers.Input((10, 32))
        x = layers.LayerNormalization()(x)
        x = layers.MultiHeadAttention(4, 8)(x, x) + tokens
        return keras.Model(tokens, layers.Dense(32)(layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))) + x)

    same_on_both(block, uniform(random, (2, 10, 32)), 300)


@runner.once
def test_recurrent_layers(_, random):
    """Not by cuDNN; by it, see `tf_recurrent`."""
    for kind in (keras.layers.LSTM, keras.layers.GRU):
        def model():
            return keras.Sequential([keras.layers.Input((6, 5)), kind(7, use_cudnn=False)])

        same_on_both(model, uniform(random, (3, 6, 5)), 300)
