"""What render.py promises: `python3 -m unittest` in this folder."""

import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np

import render
from heart import HEARTS, VIEWS, Moment
from movie import HEIGHT, WIDTH, MovieError, fit, read_movie, write_movie
from ultrasound import DEPTHS, Study


def area(points):
    """Of a polygon, by Gauss's formula."""
    x, z = points.T
    return abs(np.dot(x, np.roll(z, -1)) - np.dot(z, np.roll(x, -1))) / 2


class Frames(unittest.TestCase):
    def test_a_seed_gives_the_same_frames_in_any_order(self):
        for view in VIEWS:
            forwards = Study(view, 5).frames(3)
            study = Study(view, 5)
            backwards = [study.frame(i) for i in (2, 1, 0)][::-1]
            np.testing.assert_array_equal(forwards, backwards)

    def test_another_seed_or_view_gives_other_frames(self):
        frames = [Study(view, seed).frame(0).tobytes() for view in VIEWS for seed in range(4)]
        self.assertEqual(len(set(frames)), len(frames))

    def test_frames_are_grey_pictures_that_move(self):
        frames = Study("long-axis", 8).frames(4, step=6)
        self.assertEqual((frames.shape, frames.dtype), ((4, HEIGHT, WIDTH), np.uint8))
        self.assertGreater(frames.max(), 100)
        for one, next_ in zip(frames, frames[1:]):
            self.assertGreater(np.abs(one.astype(int) - next_).mean(), 0.3)

    def test_views_differ_more_than_halves_of_one_view(self):
        def mean(view, seeds):
            return np.mean([cv2.blur(Study(view, s).frame(0), (9, 9)).astype(float) for s in seeds], axis=0)

        first = {view: mean(view, range(0, 24)) for view in VIEWS}
        second = {view: mean(view, range(24, 48)) for view in VIEWS}
        for view in VIEWS:
            same = np.abs(first[view] - second[view]).mean()
            for other in VIEWS:
                if other != view:
                    self.assertGreater(np.abs(first[view] - second[other]).mean(), 1.2 * same, (view, other))

    def test_speckle_is_rayleigh_distributed(self):
        # Of a Rayleigh variable the mean is sqrt(pi / (4 - pi)) = 1.913 times the standard deviation.
        ratios = []
        for seed in range(6):
            study = Study("short-axis", seed)
            study._drawing = lambda time, now, study=study: (np.full_like(study.background, 150), study.at)
            study.gain_db = study.tissue_db = np.float32(0)
            study.specular = study.haze = study.noise = 0.0
            envelope = study._envelope(0)[DEPTHS // 3 :, 20:-20]
            ratios.append(envelope.mean() / envelope.std())
        self.assertAlmostEqual(np.mean(ratios), 1.913, delta=0.1)


class Beat(unittest.TestCase):
    def test_valves_and_muscle_keep_time(self):
        systole = 0.38
        start, middle, end = (Moment.at(p, systole) for p in (0.0, 0.2, systole))
        self.assertAlmostEqual(start.contraction, 0, delta=0.01)
        self.assertAlmostEqual(end.contraction, 1, delta=0.01)
        self.assertEqual((middle.mitral, middle.aortic), (0, 1))
        filling = Moment.at(systole + 0.15, systole)
        self.assertGreater(filling.mitral, 0.8)
        self.assertAlmostEqual(filling.aortic, 0, delta=0.01)
        for phase in np.linspace(0, 1, 200):
            moment = Moment.at(phase, systole)
            self.assertLess(moment.mitral * moment.aortic, 0.01, phase)
            self.assertTrue(-1e-9 <= moment.contraction <= 1 + 1e-9, phase)

    def test_the_left_ventricle_empties_by_a_plausible_share(self):
        # Its cavity by the order of the shapes of each view; areas shrink by 20 to 70 percent.
        cavity = {"four-chamber": 8, "long-axis": 8, "short-axis": 4}
        full, empty = Moment(0, 0, 0), Moment(1, 0, 0)
        for view in VIEWS:
            for seed in range(20):
                heart = HEARTS[view](np.random.default_rng(seed))
                if getattr(heart, "has_descending", False):
                    heart.has_descending = False
                before, after = (area(heart.shapes(m)[cavity[view]].points) for m in (full, empty))
                self.assertTrue(0.2 <= 1 - after / before <= 0.7, (view, seed, before, after))


class Movies(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_written_movies_read_back(self):
        frames = Study("four-chamber", 2).frames(12)
        for name in ("a.mp4", "b.avi"):
            write_movie(self.folder / name, frames, 30)
            back = read_movie(self.folder / name)
            self.assertEqual(back.shape, frames.shape)
            self.assertLess(np.abs(back.astype(int) - frames).mean(), 3, name)

    def test_the_command_writes_folders_and_files(self):
        self.assertEqual(render.main(["--count", "3", "--frames", "2", "--seed", "3", str(self.folder / "set")]), 0)
        names = sorted(path.name for path in (self.folder / "set").iterdir())
        self.assertEqual(names, ["four-chamber-3-2.mp4", "long-axis-4-2.mp4", "short-axis-5-2.mp4"])
        self.assertEqual(render.main([str(self.folder / "x.mov")]), 1)

    def test_other_sizes_are_fitted_without_distortion(self):
        tall = fit(np.full((480, 320), 200, np.uint8))
        self.assertEqual(tall.shape, (HEIGHT, WIDTH))
        self.assertEqual(np.flatnonzero(tall[100]).tolist(), list(range(80, 240)))
        self.assertTrue((fit(np.full((120, 160), 7, np.uint8)) == 7).all())

    def test_what_is_no_movie_says_so(self):
        for name, content in (("empty.mp4", b""), ("text.avi", b"no movie at all\n" * 100)):
            (self.folder / name).write_bytes(content)
            with self.assertRaisesRegex(MovieError, name):
                read_movie(self.folder / name)
        with self.assertRaisesRegex(MovieError, "no such file"):
            read_movie(self.folder / "absent.mp4")


if __name__ == "__main__":
    unittest.main()
