#!/usr/bin/env python3
"""Says which view of the heart an echocardiography movie shows: every frame by a Keras model, the movie by consensus.

Stock TensorFlow; it takes the GPU that TensorFlow finds, and the CPU if there is none.
"""

import time

BEGUN = time.perf_counter()  # before the imports, which are a phase of their own

import argparse
import csv
import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from heart import VIEWS
from movie import HEIGHT, WIDTH, MovieError, read_movie

HERE = Path(__file__).resolve().parent
BATCH = 32  # frames that the model takes at once
REEL = 12 * BATCH  # frames that travel together: 29 MB, and four times that on the device

HELP = """\
results, in the output folder:
  NAME.csv    one line per frame: its view and the probability of each
  NAME.json   the consensus, the votes, the device
  NAME.png    some frames with their views, and the views over time

The consensus is the view of most frames; of views with equally many, the one with the larger sum of probabilities.

With --timings FILE the seconds of each phase go to FILE as JSON: import_modules, load_model (with the GPU's
initialisation), input_output (read_movie and write_results), processing; start_interpreter is what came before this file's
first line, and total is from there to the end.

exit status: 0 done, 1 the movie cannot be read or a result not written, 2 wrong arguments, 3 --device gpu and there is none.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="infer.py", description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("movie", nargs="?", type=Path, default=os.environ.get("INPUT_FILE_PATH"),
                        help="MP4, AVI or DICOM; default: $INPUT_FILE_PATH")
    parser.add_argument("--output", type=Path, default=os.environ.get("TMP_OUTPUT_DIR", "."), metavar="DIR",
                        help="default: $TMP_OUTPUT_DIR, or this folder")
    parser.add_argument("--model", type=Path, default=HERE / "echo-view.keras", help="default: the trained one beside this file")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="gpu: fail if there is none")
    parser.add_argument("--timings", type=Path, metavar="FILE", help="write the phases' seconds as JSON")
    parser.add_argument("--placement", action="store_true", help="let TensorFlow log on which device each operation runs")
    given = parser.parse_args(arguments)
    if given.movie is None:
        parser.error("which movie? Name it, or set INPUT_FILE_PATH")
    return given


class Phases:
    """Seconds by name."""

    def __init__(self, begun):
        self.seconds = {}
        self.last = begun

    def end(self, name):
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now


def process_age():
    """Seconds since this process was started, to 0.01 s."""
    with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
        started = int(stat.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return float(uptime.read().split()[0]) - started


def choose_device(tf, wish):
    """The device's name for people. None if a GPU was asked for in vain."""
    gpus = tf.config.list_physical_devices("GPU")
    if wish == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "CPU"
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    return None if wish == "gpu" else "CPU"


def load_classifier(tf, path):
    """A function from a reel, (frames, 240, 320, 1), and the first of BATCH frames of it to their probabilities."""
    model = tf.keras.models.load_model(path, compile=False)

    @tf.function(input_signature=[tf.TensorSpec([None, HEIGHT, WIDTH, 1], tf.float32), tf.TensorSpec([], tf.int32)])
    def classify(reel, first):
        return model(tf.slice(reel, [first, 0, 0, 0], [BATCH, HEIGHT, WIDTH, 1]), training=False)

    classify.get_concrete_function()  # traced here, where it belongs
    return classify


def classify_movie(tf, classify, frames):
    """Probabilities of every frame, shape (frames, views).

    A reel is one upload and one answer, and between them nothing waits for the GPU: the batches are cut out there. (A loop
    in the graph would ask the GPU before each turn whether to go on; bytes, unlike floats, TensorFlow would slice on the CPU.)
    """
    parts = []
    for start in range(0, len(frames), REEL):
        reel = frames[start : start + REEL]
        wanted = len(reel)
        missing = -wanted % BATCH
        if missing:  # with one shape of batch the kernels are chosen once
            reel = np.concatenate([reel, np.zeros((missing, HEIGHT, WIDTH), np.uint8)])
        on_device = tf.cast(tf.constant(reel[..., None]), tf.float32)  # a quarter of the bytes travels
        answers = [classify(on_device, first) for first in range(0, len(reel), BATCH)]
        parts.append(tf.concat(answers, axis=0).numpy()[:wanted])
    return np.concatenate(parts)


def consensus(probabilities):
    """The movie's view and how the frames voted."""
    votes = Counter(probabilities.argmax(axis=1).tolist())
    sums = probabilities.sum(axis=0)
    winner = max(range(len(VIEWS)), key=lambda view: (votes[view], sums[view]))
    return {
        "view": VIEWS[winner],
        "share": votes[winner] / len(probabilities),
        "votes": {name: votes[view] for view, name in enumerate(VIEWS)},
        "mean_probabilities": {name: float(sums[view]) / len(probabilities) for view, name in enumerate(VIEWS)},
    }


def write_results(given, frames, probabilities, result):
    from picture import draw  # fonts and drawing belong to the output, not to the modules that the model needs

    given.output.mkdir(parents=True, exist_ok=True)
    name = given.output / given.movie.stem
    with open(f"{name}.csv", "w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["frame", "view", *VIEWS])
        for index, row in enumerate(probabilities):
            lines.writerow([index, VIEWS[int(row.argmax())], *(f"{p:.6f}" for p in row)])
    with open(f"{name}.json", "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    draw(f"{name}.png", given.movie.name, frames, probabilities, result)


def main(arguments=None):
    given = parse(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if given.placement else "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    start_interpreter = max(0.0, process_age() - (time.perf_counter() - BEGUN))
    phases = Phases(BEGUN)
    phases.end("import_modules")
    try:
        frames = read_movie(given.movie)  # first: a file that is no movie needs neither TensorFlow nor a GPU
        phases.end("read_movie")

        import tensorflow as tf

        tf.keras  # loaded on first use: part of the import
        phases.end("import_modules")
        tf.debugging.set_log_device_placement(given.placement)
        device = choose_device(tf, given.device)
        if device is None:
            print("infer.py: TensorFlow finds no GPU", file=sys.stderr)
            return 3
        classify = load_classifier(tf, given.model)
        phases.end("load_model")
        probabilities = classify_movie(tf, classify, frames)
        phases.end("processing")
        result = {
            "movie": given.movie.name,
            "frames": len(frames),
            **consensus(probabilities),
            "device": device,
            "tensorflow": tf.__version__,
            "warning": "The model was trained on synthetic movies only. Not for any medical use.",
        }
        write_results(given, frames, probabilities, result)
        phases.end("write_results")
    except (MovieError, OSError) as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return 1
    print(f"{given.movie.name}: {result['view']}, {result['share']:.0%} of {len(frames)} frames, on {device}")
    if given.timings:
        seconds = phases.seconds
        report = {
            "movie": given.movie.name,
            "frames": len(frames),
            "device": device,
            "seconds": {
                "start_interpreter": start_interpreter,
                "import_modules": seconds["import_modules"],
                "load_model": seconds["load_model"],
                "input_output": seconds["read_movie"] + seconds["write_results"],
                "read_movie": seconds["read_movie"],
                "write_results": seconds["write_results"],
                "processing": seconds["processing"],
                "total": start_interpreter + sum(seconds.values()),
            },
        }
        given.timings.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
