#!/usr/bin/env python3
"""Despeckles a DICOM cine loop: frames out of the file, the CUDA program over them, pictures and statistics back.

Run as a job it takes its file from INPUT_FILE_PATH and leaves its results in TMP_OUTPUT_DIR.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont

PROGRAM = Path(os.environ.get("DESPECKLE_PROGRAM", Path(__file__).parent / "despeckle"))
REGION = 16  # side of the square in which speckle is measured


def read_loop(path):
    """All frames of a cine loop as 8-bit luminance, shape (frames, height, width)."""
    data = pydicom.dcmread(path)
    if "PixelData" not in data:
        raise ValueError(f"{path} holds no picture")
    pixels = data.pixel_array
    if data.get("NumberOfFrames", 1) == 1:
        pixels = pixels[np.newaxis]
    if pixels.ndim == 4:
        # pydicom gives RGB for what is stored as YBR: back to the luminance of ITU-R BT.601.
        weights = np.array([0.299, 0.587, 0.114])
        pixels = pixels[..., :3].astype(np.float64) @ weights
    elif pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) * (255 / max(high - low, 1))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def write_pgm(path, frames):
    with open(path, "wb") as file:
        for frame in frames:
            file.write(b"P5\n%d %d\n255\n" % (frame.shape[1], frame.shape[0]))
            file.write(frame.tobytes())


def read_pgm(path, shape):
    """Reads what the CUDA program wrote: images of a size that is known."""
    header = len(b"P5\n%d %d\n255\n" % (shape[2], shape[1]))
    raw = np.fromfile(path, np.uint8).reshape(shape[0], -1)
    return raw[:, header:].reshape(shape)


def homogeneous_region(frames, dynamic_range):
    """The square that echoes and whose amplitude varies least, relative to its mean: there the variation is speckle."""
    grey = frames.astype(np.float64).mean(axis=0)
    some = frames[:: max(1, len(frames) // 10)].astype(np.float64)
    amplitude = np.exp(some * (dynamic_range / 20 * math.log(10) / 255))
    height, width = grey.shape
    best, where = math.inf, (max(width - REGION, 0) // 2, max(height - REGION, 0) // 2)
    for y in range(0, height - REGION, 4):
        for x in range(0, width - REGION, 4):
            window = (slice(y, y + REGION), slice(x, x + REGION))
            # Neither the black around the sector nor what is saturated or written on it.
            if not 40 <= grey[window].mean() <= 180 or grey[window].min() < 20 or grey[window].max() > 220:
                continue
            part = amplitude[:, window[0], window[1]]
            variation = float((part.std(axis=(1, 2)) / part.mean(axis=(1, 2))).mean())
            if variation < best:
                best, where = variation, (x, y)
    return (*where, min(REGION, width - where[0]), min(REGION, height - where[1]))


def options(region, arguments):
    """The options of the filter, which the reference takes too."""
    return [
        "--iterations", str(arguments.iterations),
        "--dt", str(arguments.dt),
        "--dynamic-range", str(arguments.dynamic_range),
        "--region", ",".join(map(str, region)),
    ]  # fmt: skip


INK, SOFT, PAPER, ACCENT = "#e8eaed", "#9aa0a6", "#17191c", "#7fc8a9"


def contact_sheet(before, after, statistics, title):
    """Frames over the whole loop, each above its filtered self, and a detail of one with what was taken from it."""
    count, height, width = before.shape
    columns = min(4, count)
    chosen = [round(i * (count - 1) / max(columns - 1, 1)) for i in range(columns)]
    margin, gap, head, label = 28, 10, 92, 26
    inner = columns * width + (columns - 1) * gap
    detail_gap = 14
    detail_width = (inner - 2 * detail_gap) // 3
    crop = (width // 3, round(width / 3 * 0.8))
    detail_height = round(detail_width * crop[1] / crop[0])
    rows_height = 2 * (height + label)
    total = (2 * margin + inner, head + rows_height + label + detail_height + 14 + margin + 22)
    sheet = Image.new("RGB", total, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = {size: ImageFont.load_default(size) for size in (13, 15, 26)}
    draw.text((margin, 20), title, INK, font[26])
    s = statistics
    draw.text(
        (margin, 56),
        f"Speckle Reducing Anisotropic Diffusion · {s['iterations']} iterations, dt {s['dt']:g} · "
        f"{count} frames of {width} x {height} · {s['device']}",
        SOFT,
        font[15],
    )
    for row, (name, frames) in enumerate((("before", before), ("after", after))):
        y = head + row * (height + label)
        for column, f in enumerate(chosen):
            x = margin + column * (width + gap)
            index = s["frames"][f][name]["speckle_index"]
            draw.text((x, y + 4), f"frame {f + 1}, {name}", ACCENT if row else INK, font[13])
            text = f"speckle index {index:.3f}"
            draw.text((x + width - draw.textlength(text, font[13]), y + 4), text, SOFT, font[13])
            sheet.paste(Image.fromarray(frames[f]), (x, y + label))

    # The part of the picture with most to see, in the frame in the middle.
    f = chosen[len(chosen) // 2]
    left, top = busiest(before[f], crop)
    y = head + rows_height
    taken = np.clip(128 + 4.0 * (before[f].astype(np.float64) - after[f]), 0, 255).astype(np.uint8)
    details = (("before", before[f], INK), ("after", after[f], ACCENT), ("what was taken away, x 4", taken, SOFT))
    for i, (name, picture, colour) in enumerate(details):
        x = margin + i * (detail_width + detail_gap)
        draw.text((x, y + 4), f"frame {f + 1}, detail, {name}", colour, font[13])
        part = Image.fromarray(picture).crop((left, top, left + crop[0], top + crop[1]))
        sheet.paste(part.resize((detail_width, detail_height), Image.Resampling.BICUBIC), (x, y + label))
    foot = "Filter: Y. Yu and S. T. Acton, IEEE Transactions on Image Processing 11 (11), 2002."
    draw.text((margin, total[1] - margin - 6), foot, SOFT, font[13])
    return sheet


def busiest(frame, size):
    """The corner of the window of the given size with the largest variance, well inside the picture."""
    height, width = frame.shape
    best, corner = -1.0, (0, 0)
    for y in range(height // 8, max(height - size[1] - height // 8, height // 8 + 1), 4):
        for x in range(width // 8, max(width - size[0] - width // 8, width // 8 + 1), 4):
            variance = float(frame[y : y + size[1], x : x + size[0]].std())
            if variance > best:
                best, corner = variance, (x, y)
    return corner


def run(arguments):
    times = {}

    def timed(name, start):
        times[name] = round((time.perf_counter() - start) * 1000, 3)

    start = time.perf_counter()
    source = Path(arguments.input)
    before = read_loop(source)
    region = homogeneous_region(before, arguments.dynamic_range)
    timed("read", start)
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        raw, filtered = Path(scratch, "in.pgm"), Path(scratch, "out.pgm")
        write_pgm(raw, before)
        if arguments.split_only:
            (output / "frames.pgm").write_bytes(raw.read_bytes())
            (output / "options.txt").write_text("\n".join(options(region, arguments)) + "\n")
            return
        statistics_file = Path(scratch, "statistics.json")
        start = time.perf_counter()
        command = [PROGRAM, *options(region, arguments), "--statistics", statistics_file, raw, filtered]
        subprocess.run(list(map(str, command)), check=True)
        timed("program", start)
        after = read_pgm(filtered, before.shape)
        statistics = json.loads(statistics_file.read_text())

    start = time.perf_counter()
    for f, frame in enumerate(after):
        Image.fromarray(frame).save(output / f"frame-{f + 1:03}.png", compress_level=3)
    contact_sheet(before, after, statistics, arguments.title or f"{source.stem}: before and after").save(output / "contact-sheet.png")
    timed("write", start)
    statistics["input"] = source.name
    statistics["ms"].update(times)
    (output / "statistics.json").write_text(json.dumps(statistics, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", default=os.environ.get("INPUT_FILE_PATH"), help="the DICOM file ($INPUT_FILE_PATH)")
    parser.add_argument("--output", default=os.environ.get("TMP_OUTPUT_DIR"), help="folder for results ($TMP_OUTPUT_DIR)")
    parser.add_argument("--iterations", type=int, default=int(os.environ.get("DESPECKLE_ITERATIONS", 40)))
    parser.add_argument("--dt", type=float, default=0.1)
    parser.add_argument("--dynamic-range", type=float, default=40, help="decibels between black and white")
    parser.add_argument("--title", help="headline of the contact sheet")
    parser.add_argument("--split-only", action="store_true", help="only write the frames and the options for the reference")
    arguments = parser.parse_args()
    if not arguments.input or not arguments.output:
        parser.error("--input and --output are needed where INPUT_FILE_PATH and TMP_OUTPUT_DIR are not set")
    try:
        run(arguments)
    except subprocess.CalledProcessError as error:
        sys.exit(f"despeckle: the CUDA program ended with status {error.returncode}")
    except (OSError, ValueError, pydicom.errors.InvalidDicomError) as error:
        sys.exit(f"despeckle: {error}")


if __name__ == "__main__":
    main()
