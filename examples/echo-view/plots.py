"""The figures of train.py."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from heart import VIEWS

INK, PAPER, GRID = "#d7dadf", "#17191d", "#33373e"
SHARES = LinearSegmentedColormap.from_list("shares", ["#22252b", "#2f4a80", "#7aa2f7"])
plt.rcParams.update({
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER, "text.color": INK,
    "axes.labelcolor": INK, "axes.edgecolor": GRID, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID,
    "font.size": 11, "axes.spines.top": False, "axes.spines.right": False,
    "figure.constrained_layout.h_pad": 0.16, "figure.constrained_layout.w_pad": 0.16, "axes.titlepad": 12,
    "legend.frameon": False,
})


def draw_learning(path, history):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axes, name, title in ((left, "loss", "loss"), (right, "accuracy", "accuracy by frame")):
        axes.plot(epochs, history[name], color="#7aa2f7", label="training, augmented", lw=2)
        axes.plot(epochs, history[f"val_{name}"], color="#e0af68", label="validation", lw=2)
        axes.set(xlabel="epoch", title=title)
        axes.set_xticks(epochs)
        axes.grid(True, lw=0.6)
        axes.legend()
    right.set_ylim(top=1.005)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_confusion(path, held_out):
    figure, both = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
    for axes, of in zip(both, ("frame", "movie")):
        counts = np.array(held_out[f"{of}_confusion"])
        share = counts / counts.sum(axis=1, keepdims=True)
        axes.imshow(share, cmap=SHARES, vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            axes.text(column, row, f"{counts[row, column]}\n{value:.1%}", ha="center", va="center",
                      color="#101216" if value > 0.55 else INK)
        axes.set_xticks(range(len(VIEWS)), VIEWS)
        axes.set_yticks(range(len(VIEWS)), VIEWS, rotation=90, va="center")
        axes.set(xlabel="said", ylabel="true", title=f"held-out synthetic {of}s: {held_out[f'{of}_accuracy']:.1%} right")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(len(VIEWS) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(VIEWS) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=PAPER, lw=3)
        axes.tick_params(which="minor", length=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)
