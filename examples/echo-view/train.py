#!/usr/bin/env python3
"""Trains the classifier of views on synthetic movies, and measures it on others that it has never seen."""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from heart import VIEWS
from movie import HEIGHT, WIDTH

HERE = Path(__file__).resolve().parent
# What the model makes of a frame first; training and augmentation begin there, for a quarter of the work.
HALF = HEIGHT // 2, WIDTH // 2
# Seeds of the three sets of movies begin here; no patient is in two of them.
TRAINING, VALIDATION, TEST = 0, 1_000_000, 2_000_000

HELP = """\
Renders the movies (see render.py), trains, and writes into the output folder: echo-view.keras, the model;
echo-view.json, what was measured on the held-out movies; learning.png and confusion.png.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="default: beside this file")
    parser.add_argument("--movies", type=int, default=1600, metavar="N", help="to train on; default 1600, 3 frames of each")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of weights, order and augmentation; default 1")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that render; default 2")
    return parser.parse_args(arguments)


def pick_frames(job):
    """Some frames of one movie. Far enough apart to lie anywhere in the beat."""
    from ultrasound import Study

    cv2.setNumThreads(1)
    view, seed, count, step = job
    return Study(view, seed).frames(count, step)


def render_set(first, movies, count, step, processes):
    """Frames (movies, count, 240, 320) and the views of the movies; the views take turns."""
    jobs = [(VIEWS[i % len(VIEWS)], first + i, count, step) for i in range(movies)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        frames = np.stack(list(pool.map(pick_frames, jobs, chunksize=16)))
    return frames, np.arange(movies) % len(VIEWS)


def halve(frames):
    """As the model's first layer does: means of 2 x 2."""
    return np.stack([cv2.resize(f, HALF[::-1], interpolation=cv2.INTER_AREA) for f in frames.reshape(-1, HEIGHT, WIDTH)])


def augment(frame, rng):
    """What changes between machines, hospitals and hands, but not the view. Takes and gives half the size."""
    height, width = frame.shape
    if rng.random() < 0.85:
        scale = rng.uniform(0.78, 1.25)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), scale)
        turn[:, 2] += rng.uniform(-13, 13), rng.uniform(-11, 11)
        turn[0, :2] *= rng.uniform(0.92, 1.08)
        frame = cv2.warpAffine(frame, turn, (width, height))
    if rng.random() < 0.3:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:  # movies come compressed
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        frame = cv2.imdecode(cv2.imencode(".jpg", frame, quality)[1], cv2.IMREAD_GRAYSCALE)
    grey = frame.astype(np.float32) / 255
    grey = grey ** rng.uniform(0.65, 1.5) * rng.uniform(0.55, 1.3) + rng.uniform(0, 0.05) * (rng.random() < 0.3)
    if rng.random() < 0.3:
        grey += rng.uniform(0.0, 0.05) * rng.standard_normal(grey.shape, np.float32)
    for _ in range(rng.integers(0, 3)):  # something covers a part, or is switched off
        high, wide = rng.integers(5, 35, 2)
        top, left = rng.integers(0, height - high), rng.integers(0, width - wide)
        grey[top : top + high, left : left + wide] *= rng.uniform(0, 0.4)
    return np.clip(grey * 255, 0, 255)


def build_trunk(keras):
    """All but the first layer: convolutions on a quarter of the resolution and less, 34 million multiplications a frame."""
    layers = keras.layers

    def stage(x, channels, size=3, stride=1):
        x = layers.Conv2D(channels, size, strides=stride, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.ReLU()(x)

    half = keras.Input((*HALF, 1), name="half")
    x = layers.Rescaling(1 / 255)(half)
    x = stage(x, 12, size=5, stride=2)
    x = stage(x, 24)
    x = layers.MaxPooling2D(2)(x)
    x = stage(x, 40)
    x = layers.MaxPooling2D(2)(x)
    x = stage(x, 56)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = stage(x, 64)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(48, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    view = layers.Dense(len(VIEWS), activation="softmax", name="view")(x)
    return keras.Model(half, view, name="trunk")


def whole_model(keras, trunk):
    """The model for whole frames, of the trained layers. It was never compiled: the optimiser's state would triple the file."""
    frame = keras.Input((HEIGHT, WIDTH, 1), name="frame")
    x = keras.layers.AveragePooling2D(2)(frame)
    for layer in trunk.layers[1:]:
        x = layer(x)
    return keras.Model(frame, x, name="echo_view")


def batches(keras, frames, labels, size, seed):
    """A Keras data set that augments anew in every epoch."""

    class Augmented(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.rng = np.random.default_rng(seed)
            self.on_epoch_end()

        def __len__(self):
            return len(frames) // size

        def __getitem__(self, index):
            chosen = self.order[index * size : (index + 1) * size]
            return np.stack([augment(frames[i], self.rng) for i in chosen])[..., None], labels[chosen]

        def on_epoch_end(self):
            self.order = self.rng.permutation(len(frames))

    return Augmented()


def measure(model, frames, views):
    """Accuracy by frame and by movie's consensus, and both confusion matrices: rows are true, columns are said."""
    from infer import consensus

    movies, count = frames.shape[:2]
    said = model.predict(frames.reshape(-1, HEIGHT, WIDTH, 1), batch_size=64, verbose=0).reshape(movies, count, -1)
    by_frame = np.zeros((len(VIEWS),) * 2, int)
    by_movie = np.zeros_like(by_frame)
    for view, probabilities in zip(views, said):
        np.add.at(by_frame, (view, probabilities.argmax(axis=1)), 1)
        by_movie[view, VIEWS.index(consensus(probabilities)["view"])] += 1
    return {
        "movies": movies,
        "frames_of_each": count,
        "frame_accuracy": float(by_frame.trace() / by_frame.sum()),
        "movie_accuracy": float(by_movie.trace() / by_movie.sum()),
        "frame_confusion": by_frame.tolist(),
        "movie_confusion": by_movie.tolist(),
    }


def main(arguments=None):
    given = parse(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    given.output.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    training, training_views = render_set(TRAINING, given.movies, 3, 11, given.processes)
    validation, validation_views = render_set(VALIDATION, 120, 4, 9, given.processes)
    test, test_views = render_set(TEST, 150, 24, 5, given.processes)
    rendered = time.perf_counter()
    print(f"rendered {given.movies} + 120 + 150 movies in {rendered - begun:.0f} s")

    import keras

    keras.utils.set_random_seed(given.seed)
    one_hot = np.eye(len(VIEWS), dtype=np.float32)
    frames = halve(training)
    labels = one_hot[np.repeat(training_views, training.shape[1])]
    data = batches(keras, frames, labels, 48, given.seed)
    model = build_trunk(keras)
    rate = keras.optimizers.schedules.CosineDecay(
        2e-4, given.epochs * len(data), warmup_target=2e-3, warmup_steps=len(data) // 2
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    history = model.fit(
        data,
        epochs=given.epochs,
        validation_data=(halve(validation)[..., None], one_hot[np.repeat(validation_views, validation.shape[1])]),
        validation_batch_size=64,
        verbose=2,
    ).history
    trained = time.perf_counter()

    whole = whole_model(keras, model)
    path = given.output / "echo-view.keras"
    whole.save(path)
    report = {
        "note": "All movies are synthetic: rendered by the same program as those of the training, from other seeds.",
        "views": VIEWS,
        "parameters": whole.count_params(),
        "bytes": path.stat().st_size,
        "training": {
            "movies": given.movies, "frames": len(frames), "epochs": given.epochs, "seed": given.seed,
            "render_seconds": round(rendered - begun, 1), "fit_seconds": round(trained - rendered, 1),
        },
        "history": {name: [round(float(v), 5) for v in values] for name, values in history.items()},
        "held_out": {"first_seed": TEST, **measure(whole, test, test_views)},
    }
    (given.output / "echo-view.json").write_text(json.dumps(report, indent=1) + "\n")

    from plots import draw_confusion, draw_learning

    draw_learning(given.output / "learning.png", report["history"])
    draw_confusion(given.output / "confusion.png", report["held_out"])
    held_out = report["held_out"]
    print(f"held-out synthetic movies: {held_out['frame_accuracy']:.2%} of the frames, "
          f"{held_out['movie_accuracy']:.2%} of the movies; model {report['bytes']} bytes; "
          f"{time.perf_counter() - begun:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
