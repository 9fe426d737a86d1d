"""What infer.py promises, on the CPU: `python3 -m unittest` in this folder."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

from heart import VIEWS
from infer import BATCH, HERE, consensus
from movie import read_movie, write_movie
from ultrasound import Study

MODEL = HERE / "echo-view.keras"
FRESH = 3_000_000  # seeds that train.py uses for nothing


def real_movie():
    """The cine loop that comes with pydicom's wheel."""
    from pydicom.data import get_testdata_file

    return get_testdata_file("examples_ybr_color.dcm", download=False)


def infer(*arguments, **environment):
    return subprocess.run(
        [sys.executable, HERE / "infer.py", "--device", "cpu", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
    )


class Consensus(unittest.TestCase):
    def test_most_frames_win(self):
        said = consensus(np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.0, 0.0, 1.0]]))
        self.assertEqual(said["view"], "four-chamber")  # though short-axis has the larger sum
        self.assertEqual(said["votes"], {"four-chamber": 2, "long-axis": 0, "short-axis": 1})
        self.assertAlmostEqual(said["share"], 2 / 3)

    def test_a_tie_goes_to_the_larger_sum(self):
        said = consensus(np.array([[0.5, 0.4, 0.1], [0.1, 0.8, 0.1]]))
        self.assertEqual(said["view"], "long-axis")
        self.assertAlmostEqual(said["mean_probabilities"]["long-axis"], 0.6)


class Model(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        import keras

        cls.model = keras.models.load_model(MODEL, compile=False)

    def test_it_is_small_and_takes_whole_frames(self):
        self.assertLess(MODEL.stat().st_size, 2_000_000)
        self.assertEqual(self.model.input_shape, (None, 240, 320, 1))
        self.assertEqual(self.model.output_shape, (None, len(VIEWS)))

    def test_it_knows_fresh_synthetic_hearts(self):
        frames, views = [], []
        for seed in range(FRESH, FRESH + 45):
            view = seed % len(VIEWS)
            frames.append(Study(VIEWS[view], seed).frames(4, step=9))
            views.append(view)
        said = self.model.predict(np.concatenate(frames)[..., None], verbose=0).argmax(axis=1).reshape(len(views), -1)
        right = said == np.array(views)[:, None]
        self.assertGreaterEqual(right.mean(), 0.94)
        for view, name in enumerate(VIEWS):
            self.assertGreaterEqual(right[np.array(views) == view].mean(), 0.85, name)

    def test_the_report_beside_it_is_its_own(self):
        report = json.loads((HERE / "echo-view.json").read_text())
        self.assertEqual(tuple(report["views"]), VIEWS)
        self.assertEqual(report["bytes"], MODEL.stat().st_size)
        self.assertEqual(report["parameters"], self.model.count_params())


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_movie_that_does_not_fill_its_last_batch(self):
        count = BATCH + 13
        movie, out, timings = self.folder / "beat.avi", self.folder / "out", self.folder / "t.json"
        write_movie(movie, Study("short-axis", FRESH + 2).frames(count), 30)
        ran = infer("--timings", timings, INPUT_FILE_PATH=str(movie), TMP_OUTPUT_DIR=str(out))
        self.assertEqual(ran.returncode, 0, ran.stderr)

        import keras

        model = keras.models.load_model(MODEL, compile=False)
        expected = model.predict(read_movie(movie)[..., None], verbose=0)
        with open(out / "beat.csv") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual([int(line["frame"]) for line in lines], list(range(count)))
        np.testing.assert_allclose([[float(line[v]) for v in VIEWS] for line in lines], expected, atol=1e-4)
        self.assertEqual([line["view"] for line in lines], [VIEWS[i] for i in expected.argmax(axis=1)])
        result = json.loads((out / "beat.json").read_text())
        self.assertEqual((result["frames"], result["view"]), (count, consensus(expected)["view"]))
        self.assertEqual((out / "beat.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        seconds = json.loads(timings.read_text())["seconds"]
        parts = [seconds[n] for n in ("start_interpreter", "import_modules", "load_model", "input_output", "processing")]
        self.assertTrue(all(part > 0 for part in parts), seconds)
        self.assertAlmostEqual(sum(parts), seconds["total"], places=6)

    def test_a_real_dicom_movie(self):
        ran = infer(real_movie(), "--output", self.folder)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(json.loads((self.folder / "examples_ybr_color.json").read_text())["frames"], 30)

    def test_what_cannot_be_read_fails_with_a_reason_and_no_result(self):
        write_movie(self.folder / "whole.mp4", Study("long-axis", 1).frames(4), 30)
        cut = (self.folder / "whole.mp4").read_bytes()[:900]
        broken = Path(real_movie()).read_bytes()[:4000]
        for name, content in (("empty.mp4", b""), ("text.avi", b"words\n" * 99), ("cut.mp4", cut), ("cut.dcm", broken)):
            path, out = self.folder / name, self.folder / f"{name}.out"
            path.write_bytes(content)
            ran = infer(path, "--output", out)
            self.assertEqual(ran.returncode, 1, name)
            self.assertIn(f"infer.py: {path}: ", ran.stderr)
            self.assertNotIn("Traceback", ran.stderr)
            self.assertFalse(out.exists(), name)

    def test_no_movie_is_wrong_usage_and_no_gpu_is_told(self):
        environment = {k: v for k, v in os.environ.items() if k != "INPUT_FILE_PATH"}
        ran = subprocess.run([sys.executable, HERE / "infer.py"], env=environment, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 2, ran.stderr)
        ran = subprocess.run([sys.executable, HERE / "infer.py", "--device", "gpu", real_movie(), "--output", self.folder],
                             env={**environment, "CUDA_VISIBLE_DEVICES": "-1"}, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 3, ran.stderr)


class Luminance(unittest.TestCase):
    def test_colour_becomes_what_a_television_would_show(self):
        import pydicom

        colour = pydicom.dcmread(real_movie()).pixel_array.astype(float)  # pydicom gives red, green, blue
        error = np.abs(read_movie(real_movie()) - colour @ np.array([0.299, 0.587, 0.114]))
        # Where red, green or blue was cut off, the way there and back loses more.
        whole = (colour.min(axis=-1) > 0) & (colour.max(axis=-1) < 255)
        self.assertGreater(whole.mean(), 0.1)
        self.assertLess(error[whole].max(), 1.5)
        self.assertLess(error.mean(), 0.5)


if __name__ == "__main__":
    unittest.main()
