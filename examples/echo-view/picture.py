"""The pictures: of a result (some frames with what was said of them, and the views over time), and of what is rendered."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from heart import VIEWS

PAPER, INK, FAINT = (23, 25, 29), (226, 230, 235), (142, 149, 160)
COLOURS = {"four-chamber": (122, 162, 247), "long-axis": (224, 175, 104), "short-axis": (115, 205, 160)}
WIDTH, MARGIN, GAP = 1240, 36, 16
COLUMNS, MOST = 4, 8  # frames shown
STRIP = 118


def font(size):
    return ImageFont.load_default(size)


def draw(path, title, frames, probabilities, result):
    shown = np.unique(np.linspace(0, len(frames) - 1, min(MOST, len(frames))).round().astype(int))
    cell = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    height = cell * frames.shape[1] // frames.shape[2]
    rows = -(-len(shown) // COLUMNS)
    top = 122
    strip_top = top + rows * (height + 46) + 34
    image = Image.new("RGB", (WIDTH, strip_top + STRIP + 92), PAPER)
    pen = ImageDraw.Draw(image)

    view = result["view"]
    pen.text((MARGIN, 26), title, INK, font(30))
    pen.text((MARGIN, 70), f"{len(frames)} frames · TensorFlow {result['tensorflow']} · {result['device']}", FAINT, font(17))
    said = f"{result['share']:.0%} of the frames"
    large, small = font(34), font(17)
    pen.text((WIDTH - MARGIN, 24), view, COLOURS[view], large, anchor="ra")
    pen.text((WIDTH - MARGIN, 70), said, FAINT, small, anchor="ra")

    for place, index in enumerate(shown):
        left = MARGIN + place % COLUMNS * (cell + GAP)
        y = top + place // COLUMNS * (height + 46)
        picture = cv2.resize(frames[index], (cell, height), interpolation=cv2.INTER_AREA)
        image.paste(Image.fromarray(picture).convert("RGB"), (left, y))
        best = int(probabilities[index].argmax())
        colour = COLOURS[VIEWS[best]]
        bar(pen, left, y + height, cell, probabilities[index])
        pen.text((left, y + height + 10), VIEWS[best], colour, font(16))
        pen.text((left + cell, y + height + 10), f"frame {index + 1} · {probabilities[index, best]:.1%}", FAINT, font(15),
                 anchor="ra")

    over_time(image, pen, strip_top, probabilities)
    x = MARGIN
    y = strip_top + STRIP + 42
    for name in VIEWS:
        pen.rounded_rectangle((x, y + 3, x + 13, y + 16), 3, COLOURS[name])
        text = f"{name}  {result['votes'][name]}"
        pen.text((x + 21, y), text, INK, font(16))
        x += 21 + int(pen.textlength(text, font(16))) + 34
    pen.text((WIDTH - MARGIN, y), "trained on synthetic movies only · not for medical use", FAINT, font(15), anchor="ra")
    image.save(path, optimize=True)


def bar(pen, left, top, width, shares):
    """The probabilities side by side in a thin bar."""
    x = 0.0
    for name, share in zip(VIEWS, shares):
        end = x + width * float(share)
        if round(end) > round(x):
            pen.rectangle((left + round(x), top, left + round(end) - 1, top + 4), COLOURS[name])
        x = end


def over_time(image, pen, top, probabilities):
    """The probabilities of all frames, stacked: one column of pixels shows the frame of its time."""
    width = WIDTH - 2 * MARGIN
    pen.text((MARGIN, top - 26), "probability of each view, frame by frame", FAINT, font(15))
    at = np.arange(width) * len(probabilities) // width
    edges = np.cumsum(probabilities[at], axis=1) * STRIP
    rows = STRIP - 1 - np.arange(STRIP)[:, None]
    which = (rows >= edges[None, :, 0]).astype(int) + (rows >= edges[None, :, 1])
    palette = np.array([COLOURS[name] for name in VIEWS], np.uint8)
    image.paste(Image.fromarray(palette[which]), (MARGIN, top))
    # Under it the votes themselves.
    vote = palette[probabilities[at].argmax(axis=1)]
    image.paste(Image.fromarray(np.broadcast_to(vote, (8, *vote.shape)).copy()), (MARGIN, top + STRIP + 4))
    pen.text((MARGIN, top + STRIP + 17), "1", FAINT, font(13))
    pen.text((WIDTH - MARGIN, top + STRIP + 17), str(len(probabilities)), FAINT, font(13), anchor="ra")


def draw_samples(path, studies):
    """Two studies of each view, each when the heart is fullest and emptiest. `studies`: by view, two of each."""
    cell = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
    height = cell * 3 // 4
    image = Image.new("RGB", (WIDTH, 96 + len(VIEWS) * (height + 44) + 16), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, 24), "Synthetic echocardiograms", INK, font(30))
    for column in range(4):
        left = MARGIN + column * (cell + GAP)
        pen.text((left + cell, 70), ("end of diastole", "end of systole")[column % 2], FAINT, font(15), anchor="ra")
    for row, view in enumerate(VIEWS):
        top = 96 + row * (height + 44)
        for column in range(4):
            study = studies[view][column // 2]
            left = MARGIN + column * (cell + GAP)
            beat = range(max(1, round(study.period * study.fps)))
            index = (min, max)[column % 2](beat, key=lambda i: study.moment(i / study.fps).contraction)
            picture = cv2.resize(study.frame(index), (cell, height), interpolation=cv2.INTER_AREA)
            picture &= 0xFC  # 64 greys: a third less to store
            image.paste(Image.fromarray(picture).convert("RGB"), (left, top))
            if column % 2 == 0:
                pen.text((left, top + height + 8), view, COLOURS[view], font(16))
                about = f"{60 / study.period:.0f} beats/min, {study.depth:.0f} cm deep, seed {study.seed[1]}"
                pen.text((left + 2 * cell + GAP, top + height + 8), about, FAINT, font(15), anchor="ra")
    image.save(path, optimize=True)
