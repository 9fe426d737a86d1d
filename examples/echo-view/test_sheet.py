"""What sheet.py draws: `python3 -m unittest` in this folder."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

import sheet
from heart import VIEWS
from movie import write_movie
from picture import COLOURS, MARGIN, WIDTH


class Sheet(unittest.TestCase):
    def test_each_movie_has_a_row_with_its_votes(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            words = []
            for view in VIEWS[:2]:
                write_movie(folder / f"{view}.avi", np.full((8, 240, 320), 90, np.uint8), 25)
                said = {"view": view, "share": 1.0, "device": "d"}
                (folder / f"{view}.json").write_text(json.dumps(said))
                sure = [f"{i},{view}," + ",".join(str(float(v == view)) for v in VIEWS) for i in range(8)]
                (folder / f"{view}.csv").write_text("\n".join([",".join(["frame", "view", *VIEWS]), *sure]) + "\n")
                words.append(f"{view}={folder / view}.avi")
            output = folder / "sheet.png"
            self.assertEqual(sheet.main([str(output), str(folder), *words]), 0)
            picture = np.asarray(Image.open(output).convert("RGB"))
        strip = 8 * (WIDTH - MARGIN - sheet.LEFT)  # pixels of a row's votes
        seen = [int((picture == COLOURS[view]).all(axis=-1).sum()) for view in VIEWS]
        self.assertGreater(min(seen[:2]), strip)
        self.assertLess(seen[2], 300)  # the legend alone

    def test_a_result_that_did_not_come_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(sheet.main([f"{folder}/s.png", folder, "long-axis=nothing.mp4"]), 1)


if __name__ == "__main__":
    unittest.main()
