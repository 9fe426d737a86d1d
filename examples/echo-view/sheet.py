#!/usr/bin/env python3
"""A contact sheet: what was said of several movies, a row for each."""

import argparse
import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from heart import VIEWS
from movie import MovieError, read_movie
from picture import COLOURS, FAINT, GAP, INK, MARGIN, PAPER, WIDTH, bar, font

COLUMNS = 6  # frames shown
LEFT = 216  # where they begin
NOTE = "the model was trained on synthetic movies only · not for medical use"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="sheet.py", description=__doc__)
    parser.add_argument("output", type=Path, help="the picture to write")
    parser.add_argument("results", type=Path, help="folder with what infer.py left, NAME.csv and NAME.json")
    parser.add_argument("movies", nargs="+", metavar="VIEW=MOVIE", help="a movie, and what is known of it")
    given = parser.parse_args(arguments)
    if not all("=" in movie for movie in given.movies):
        parser.error("each movie is VIEW=MOVIE")
    return given


def results(folder, stem):
    """The consensus, and the probabilities of every frame."""
    with open(folder / f"{stem}.json") as file:
        said = json.load(file)
    with open(folder / f"{stem}.csv", newline="") as file:
        rows = [[float(row[view]) for view in VIEWS] for row in csv.DictReader(file)]
    return said, np.array(rows)


def draw(path, shown):
    """`shown`: for each movie what is known, its name, frames, consensus, probabilities."""
    cell = (WIDTH - LEFT - MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    height = cell * 3 // 4
    pitch = height + 62
    image = Image.new("RGB", (WIDTH, 84 + len(shown) * pitch + 40), PAPER)
    pen = ImageDraw.Draw(image)
    devices = sorted({said["device"] for _, _, _, said, _ in shown})
    pen.text((MARGIN, 22), f"{len(shown)} movies", INK, font(28))
    pen.text((WIDTH - MARGIN, 32), ", ".join(devices), FAINT, font(17), anchor="ra")
    for row, (known, name, frames, said, probabilities) in enumerate(shown):
        top = 84 + row * pitch
        pen.text((MARGIN, top), name, INK, font(15))
        pen.text((MARGIN, top + 24), f"{known}, {len(frames)} frames", FAINT, font(14))
        pen.text((MARGIN, top + 54), said["view"], COLOURS[said["view"]], font(22))
        pen.text((MARGIN, top + 82), f"{said['share']:.0%} of the frames", FAINT, font(14))
        for column, index in enumerate(np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int)):
            left = LEFT + column * (cell + GAP)
            small = cv2.resize(frames[index], (cell, height), interpolation=cv2.INTER_AREA)
            image.paste(Image.fromarray(small & 0xFC).convert("RGB"), (left, top))  # 64 greys: a third less to store
            bar(pen, left, top + height, cell, probabilities[index])
            pen.text((left, top + height + 8), f"{index + 1}", FAINT, font(13))
        votes(image, top + height + 30, probabilities)
    x = MARGIN
    y = 84 + len(shown) * pitch
    for view in VIEWS:
        pen.rounded_rectangle((x, y + 3, x + 13, y + 16), 3, COLOURS[view])
        pen.text((x + 21, y), view, INK, font(15))
        x += 21 + int(pen.textlength(view, font(15))) + 34
    pen.text((WIDTH - MARGIN, y), NOTE, FAINT, font(14), anchor="ra")
    image.save(path, optimize=True)


def votes(image, top, probabilities):
    """What each frame was taken for, over the whole movie."""
    width = WIDTH - MARGIN - LEFT
    at = np.arange(width) * len(probabilities) // width
    palette = np.array([COLOURS[view] for view in VIEWS], np.uint8)
    strip = palette[probabilities[at].argmax(axis=1)]
    image.paste(Image.fromarray(np.broadcast_to(strip, (8, *strip.shape)).copy()), (LEFT, top))


def main(arguments=None):
    given = parse(arguments)
    try:
        shown = []
        for word in given.movies:
            known, _, movie = word.partition("=")
            movie = Path(movie)
            said, probabilities = results(given.results, movie.stem)
            shown.append((known, movie.name, read_movie(movie), said, probabilities))
        draw(given.output, shown)
    except (MovieError, OSError, KeyError, ValueError) as error:
        print(f"sheet.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
