#!/usr/bin/env python3
"""Renders synthetic echocardiography movies."""

import argparse
import sys
import time
from pathlib import Path

import cv2

from heart import VIEWS
from movie import CODECS, MovieError, write_movie
from ultrasound import Study

HELP = """\
A movie shows a caricature of a beating heart through a simulated phased array, 240 x 320 grey pixels. The seed decides
everything: size and strength of the heart, pulse, place and tilt of the probe, depth, gain, noise, shadows, what is written
around the picture. The same view and seed give the same frames on every run. No patient was involved.

examples:
  render.py heart.mp4                                     180 frames; the seed, 0, chooses the view too
  render.py --view long-axis --seed 7 --frames 60 x.avi   one movie of a given view
  render.py --sheet views.png --seed 20                   no movie but a picture of two hearts in each view, seeds 20 and 21
  render.py --count 9 movies/                             nine movies, seeds 0 to 8, three of each view;
                                                          named VIEW-SEED-FRAMES.mp4

The name's ending chooses the codec: .mp4 MPEG-4 part 2 (mp4v), .avi Motion JPEG. OpenCV's wheels write and read both; H.264
they cannot write.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="render.py", description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="the movie to write, or with --count a folder")
    parser.add_argument("--view", choices=VIEWS, help="default: all in turn, by the seed")
    parser.add_argument("--frames", type=int, default=180, metavar="N", help="default 180; the paper has 60 to 360")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0; of the first movie, with --count")
    parser.add_argument("--count", type=int, metavar="N", help="write N movies into a folder")
    parser.add_argument("--sheet", action="store_true", help="write a picture of samples instead of a movie")
    parser.add_argument("--format", choices=[s[1:] for s in CODECS], default="mp4", help="of movies in a folder; default mp4")
    parser.add_argument("--fps", type=float, help="frames per second; default: 25, 30, 40 or 50, by the seed")
    given = parser.parse_args(arguments)
    if given.frames < 1 or given.seed < 0 or (given.count is not None and given.count < 1):
        parser.error("--frames and --count begin at 1, --seed at 0")
    if given.fps is not None and not 1 <= given.fps <= 1000:
        parser.error("--fps lies between 1 and 1000")
    return given


def render(path, view, seed, frames, fps):
    started = time.perf_counter()
    study = Study(view, seed, fps)
    write_movie(path, (study.frame(i) for i in range(frames)), study.fps)
    print(f"{path}: {view}, seed {seed}, {frames} frames at {study.fps:g}/s, {60 / study.period:.0f} beats/min, "
          f"depth {study.depth:.1f} cm; {time.perf_counter() - started:.1f} s")


def main(arguments=None):
    given = parse(arguments)
    cv2.setNumThreads(1)  # the pictures are small: threads would cost more than they save
    try:
        if given.sheet:
            from picture import draw_samples

            draw_samples(given.output, {v: [Study(v, seed) for seed in (given.seed, given.seed + 1)] for v in VIEWS})
            return 0
        if given.count is None:
            render(given.output, given.view or VIEWS[given.seed % len(VIEWS)], given.seed, given.frames, given.fps)
            return 0
        given.output.mkdir(parents=True, exist_ok=True)
        for seed in range(given.seed, given.seed + given.count):
            view = given.view or VIEWS[seed % len(VIEWS)]
            render(given.output / f"{view}-{seed}-{given.frames}.{given.format}", view, seed, given.frames, given.fps)
        return 0
    except (MovieError, OSError) as error:
        print(f"render.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
