"""What a phased array would show of the shapes in heart.py.

For every frame the shapes are drawn in centimetres, sampled along the beams, filled with scatterers that move with the
heart, blurred by the beam (narrow along it, wide across it, in polar coordinates), weakened on their way, mixed with
noise, detected, compressed to decibels, and laid out as a sector. The envelope of many scatterers in one resolution cell
is Rayleigh distributed: that is speckle, and nobody has to paint it.
"""

import cv2
import numpy as np

from heart import HEARTS, TISSUE, VIEWS, Moment

HEIGHT, WIDTH = 240, 320
DEPTHS, BEAMS = 240, 144  # samples along and across the beams
SCALE = 16  # pixels of the drawing per centimetre
HALF_WIDTH, REACH = 13.0, 22.0  # of the drawing, in centimetres
LEVEL_RANGE_DB = 62.0
SHIFT = 4  # OpenCV draws with fractions of 1/16 pixel

LABELS = ("Gen", "THI", "S", "Crd", "P21", "MI 0.9", "TIS 0.7", "2D", "55%", "C 60", "P Low", "HPen", "FR 38Hz",
          "15cm", "19", "V 1.6", "H3.2", "M3", "Adult", "Echo", "75", "JPEG", "X5-1")


def low_noise(rng, shape, sigma):
    """Smooth noise of unit variance. What is very smooth is made small and enlarged."""
    coarse = max(1, int(sigma // 4))
    small = tuple(max(1, -(-side // coarse)) for side in shape)
    noise = cv2.GaussianBlur(rng.standard_normal(small, np.float32), (0, 0), sigma / coarse)
    noise = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return noise / max(float(noise.std()), 1e-6)


class Study:
    """One patient, one probe, one view: any frame of it, in any order. The same seed gives the same frames."""

    def __init__(self, view, seed, fps=None):
        self.seed = [VIEWS.index(view), seed]
        rng = np.random.default_rng(self.seed)
        self.view = view
        self.heart = HEARTS[view](rng)
        self.fps = fps or float(rng.choice([25, 30, 40, 50]))
        self.period = 60 / rng.uniform(48, 115)  # seconds from beat to beat
        self.phase = rng.uniform(0, 1)
        self.systole = rng.uniform(0.33, 0.42)
        self._pose(rng)
        self._sector(rng)
        self._physics(rng)
        self._surroundings(rng)
        self._screen(rng)
        self._set_gain(rng)

    def _pose(self, rng):
        self.at = np.array(self.heart.place(rng))
        self.tilt = np.radians(rng.normal(0, 9))
        self.size = rng.uniform(0.86, 1.12)
        self.breath = rng.uniform(0, 0.3), rng.uniform(3, 6), rng.uniform(0, 6.28)  # cm, s, rad

    def _sector(self, rng):
        self.half_angle = np.radians(rng.uniform(34, 46))
        deepest = {"four-chamber": 17.5, "long-axis": 15.5, "short-axis": 14.5}[self.view]
        self.depth = float(np.clip(rng.normal(deepest, 1.6), 12, 20.5))
        top, bottom = rng.uniform(2, 30), rng.uniform(196, 239)
        middle = WIDTH / 2 + rng.normal(0, 12)
        per_cm = (bottom - top) / self.depth
        self.tick = (middle, top, per_cm)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        x, y = (x - middle) / per_cm, (y - top) / per_cm
        radius, angle = np.hypot(x, y), np.arctan2(x, y)
        # A phased array is not a point: the first millimetres are its face.
        self.face = rng.uniform(0.2, 0.9)
        inside = (np.abs(angle) <= self.half_angle) & (radius >= self.face) & (radius <= self.depth)
        self.to_screen = (
            np.where(inside, (angle / self.half_angle + 1) / 2 * (BEAMS - 1), -10).astype(np.float32),
            np.where(inside, radius / self.depth * (DEPTHS - 1), -10).astype(np.float32),
        )
        r = np.linspace(0, self.depth, DEPTHS, dtype=np.float32)[:, None]
        theta = np.linspace(-self.half_angle, self.half_angle, BEAMS, dtype=np.float32)[None, :]
        self.r, self.theta = r, theta
        self.x, self.z = r * np.sin(theta), r * np.cos(theta)
        self.to_beams = ((self.x + HALF_WIDTH) * SCALE, self.z * SCALE)

    def _physics(self, rng):
        loss = rng.uniform(0.0, 1.3)  # dB per cm that the depth gain does not make up for
        gain = -loss * self.r + np.zeros_like(self.theta)
        # The edges of the sector, and what ribs and lungs cover, are dark.
        edge = np.abs(self.theta / self.half_angle)
        gain -= rng.uniform(0, 22) * edge ** rng.uniform(2, 5)
        gain += rng.uniform(0.5, 3) * low_noise(rng, (1, BEAMS), 5)
        for _ in range(rng.choice([0, 1, 2, 3], p=[0.3, 0.35, 0.25, 0.1])):
            middle, breadth = rng.uniform(-1, 1) * self.half_angle, np.radians(rng.uniform(2, 9))
            start = rng.uniform(0.3, self.depth * 0.6)
            dark = np.exp(-(((self.theta - middle) / breadth) ** 2)) / (1 + np.exp(-(self.r - start) / 0.6))
            gain -= rng.uniform(6, 30) * dark
        if rng.random() < 0.6:  # the depth gain's sliders
            knots = np.linspace(0, self.depth, 8)
            gain += np.interp(self.r[:, 0], knots, rng.normal(0, 2.2, 8))[:, None]
        self.gain_db = gain.astype(np.float32)
        self.psf = rng.uniform(0.7, 1.3), rng.uniform(1.0, 2.6)  # sigma along (samples) and across (beams)
        self.specular = rng.uniform(0.3, 1.5)
        self.haze = 10 ** (rng.uniform(-34, -19) / 20)
        self.noise = 10 ** (rng.uniform(-92, -65) / 20)
        self.noise_rise = rng.uniform(0.3, 1.4)  # dB per cm
        self.dynamic_range = rng.uniform(44, 64)
        self.gamma = rng.uniform(0.9, 1.6)
        self.smooth = rng.uniform(0.3, 0.8)
        side = int(2 * HALF_WIDTH * SCALE)
        self.scatterers = rng.standard_normal((int(REACH * SCALE), side, 2), np.float32)
        self.tissue_db = 3.0 * low_noise(rng, (DEPTHS, BEAMS), 4) + 3.0 * low_noise(rng, (DEPTHS, BEAMS), 14)

    def _surroundings(self, rng):
        """What does not beat: chest wall, lungs, and whatever lies behind."""
        shape = (int(REACH * SCALE), int(2 * HALF_WIDTH * SCALE))
        level = TISSUE + rng.uniform(-60, 26) + 16 * low_noise(rng, shape, 12) + rng.uniform(8, 26) * low_noise(rng, shape, 36)
        z = np.arange(shape[0], dtype=np.float32)[:, None] / SCALE
        x = np.arange(shape[1], dtype=np.float32)[None, :] / SCALE - HALF_WIDTH
        r = np.hypot(x, z)
        near = rng.uniform(1.2, 2.8)
        level += rng.uniform(20, 75) * (1 - np.clip(r / near, 0, 1)) ** 0.7
        for _ in range(rng.integers(2, 6)):  # layers of the chest wall
            level += rng.uniform(10, 50) * np.exp(-(((r - rng.uniform(0.2, near)) / 0.09) ** 2))
        if rng.random() < 0.5:  # the lung or the spine behind
            edge = rng.uniform(11, 17) + rng.normal(0, 0.15) * x + 0.4 * low_noise(rng, (1, shape[1]), 30)
            level += rng.uniform(10, 70) * smooth_band(z - edge, 0.35, rng.uniform(0.5, 2.5))
        self.background = np.clip(level, 0, 255).astype(np.uint8)

    def _screen(self, rng):
        """Rulers, words, bars and the trace: the same kinds in every view, so that they tell nothing."""
        screen = np.zeros((HEIGHT, WIDTH), np.uint8)
        middle, top, per_cm = self.tick
        grey = int(rng.integers(70, 220))

        def word(text, x, y):
            cv2.putText(screen, text, (int(x), int(y)), cv2.FONT_HERSHEY_SIMPLEX, 0.27, int(rng.integers(80, 200)), 1,
                        cv2.LINE_AA)

        if rng.random() < 0.7:
            side = int(rng.choice([6, 296, 312]))
            for cm in range(int(self.depth) + 1):
                y = int(top + cm * per_cm)
                cv2.line(screen, (side, y), (side + (4 if cm % 5 == 0 else 1), y), grey, 1)
        if rng.random() < 0.65:
            for column in (2, WIDTH - 34):
                if rng.random() < 0.7:
                    for row in range(rng.integers(1, 6)):
                        word(rng.choice(LABELS), column, 10 + row * 11 + rng.integers(0, 4))
        if rng.random() < 0.4:
            word(rng.choice(LABELS), rng.uniform(2, 290), rng.uniform(196, 234))
        if rng.random() < 0.5:
            side = -1 if rng.random() < 0.3 else 1
            cv2.circle(screen, (int(middle + side * rng.uniform(10, 40)), int(max(top, 4))), 2, grey, -1, cv2.LINE_AA)
        if rng.random() < 0.25:
            y = int(rng.integers(222, 230))
            cv2.rectangle(screen, (int(rng.integers(0, 50)), y), (int(rng.integers(260, 319)), 239), 38, -1)
            for column in range(50, 270, 42):
                word(rng.choice(LABELS), column, y + 9)
        self.screen = screen
        self.has_trace = bool(rng.random() < 0.4)
        self.trace_style = int(rng.integers(205, 232)), float(rng.uniform(8, 16)), int(rng.integers(120, 230))

    def _set_gain(self, rng):
        """As an operator would: turns the gain until the brightest tissue looks right, to his taste."""
        self.offset_db = 0.0
        envelope = self._envelope(0)
        bright = 20 * np.log10(np.percentile(envelope[DEPTHS // 8 :], 98.5) + 1e-9)
        wanted = rng.uniform(0.5, 0.95)  # of white
        self.offset_db = wanted ** (1 / self.gamma) * self.dynamic_range - bright

    def moment(self, time):
        return Moment.at((self.phase + time / self.period) % 1.0, self.systole)

    def _drawing(self, time, now):
        """The levels of everything in centimetres, and where the heart's middle is."""
        canvas = self.background.copy()
        amount, every, offset = self.breath
        shift = self.at + (0, amount * np.sin(2 * np.pi * time / every + offset))
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        turn = np.array([[c, s], [-s, c]]) * self.size
        pivot = np.array(self.heart.centre)
        middle = pivot * self.size + shift
        for shape in self.heart.shapes(now):
            points = (shape.points - pivot) @ turn + middle
            points = np.rint((points + (HALF_WIDTH, 0)) * (SCALE << SHIFT)).astype(np.int32)
            level = float(np.clip(shape.level, 0, 255))
            if shape.thickness:
                width = max(1, round(shape.thickness * self.size * SCALE))
                cv2.polylines(canvas, [points], False, level, width, cv2.LINE_AA, SHIFT)
            else:
                cv2.fillPoly(canvas, [points], level, cv2.LINE_AA, SHIFT)
        return cv2.GaussianBlur(canvas, (0, 0), 1.6), middle

    def _envelope(self, index):
        rng = np.random.default_rng([*self.seed, 1 + index])
        time = index / self.fps
        now = self.moment(time)
        drawing, middle = self._drawing(time, now)
        level = cv2.remap(drawing, *self.to_beams, cv2.INTER_LINEAR).astype(np.float32)
        # Surfaces that the beam meets at right angles are mirrors.
        along = cv2.Sobel(level, cv2.CV_32F, 0, 1, ksize=3) / 8
        across = cv2.Sobel(level, cv2.CV_32F, 1, 0, ksize=3) / 8
        facing = np.abs(along) / (np.hypot(along, across) + 4)
        level += self.specular * np.clip(along, 0, 30) * facing**2 * 2
        db = (level / 255 - 1) * LEVEL_RANGE_DB + self.tissue_db + self.gain_db
        amplitude = np.power(np.float32(10), db / 20)
        # Side lobes and multiple paths spread a faint image of everything over its neighbours.
        amplitude += self.haze * cv2.blur(amplitude, (BEAMS // 3 | 1, 21))

        # Scatterers move with the muscle: less and less, the farther from the heart.
        heart_x, heart_z = np.float32(middle)
        x, z = self.x - heart_x, self.z - heart_z
        pull = 1 + np.float32(0.16 * now.contraction) * np.exp(-(x * x + z * z) / 40)
        lines = (x * pull + heart_x + HALF_WIDTH) * SCALE, (z * pull + heart_z) * SCALE
        field = cv2.remap(self.scatterers, *lines, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        field *= amplitude[..., None]
        field = cv2.GaussianBlur(field, (0, 0), sigmaX=self.psf[1], sigmaY=self.psf[0])
        rise = self.noise * 10 ** (self.noise_rise * (self.r - 8) / 20)
        field += rise.astype(np.float32)[..., None] * rng.standard_normal(field.shape, np.float32)
        return cv2.magnitude(field[..., 0], field[..., 1])

    def frame(self, index):
        """The picture of frame `index`, 240 x 320 grey values."""
        db = 20 * np.log10(self._envelope(index) + 1e-9) + self.offset_db
        grey = np.clip(db / self.dynamic_range, 0, 1) ** self.gamma * 255
        grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), self.smooth)
        picture = cv2.remap(grey, *self.to_screen, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        picture = np.maximum(np.rint(picture).astype(np.uint8), self.screen)
        if self.has_trace:
            self._trace(picture, index / self.fps)
        return picture

    def frames(self, count, step=1):
        return np.stack([self.frame(i * step) for i in range(count)])

    def _trace(self, picture, time):
        """The electrocardiogram as a sweep over three seconds, with a gap where it is being overwritten."""
        base, height, grey = self.trace_style
        columns = np.arange(WIDTH)
        sweep, span = time % 3.0 / 3.0 * WIDTH, 3.0 / WIDTH
        at = time - (sweep - columns) % WIDTH * span
        beat = (self.phase + at / self.period) % 1.0
        waves = ((-0.16, 0.022, 0.16), (-0.025, 0.008, -0.12), (0.0, 0.009, 1.0), (0.028, 0.009, -0.22), (0.30, 0.04, 0.27))
        value = sum(size * np.exp(-((((beat - where + 0.5) % 1.0 - 0.5) / width) ** 2) / 2) for where, width, size in waves)
        points = np.stack([columns, base - height * value], 1)
        gap = (columns - sweep) % WIDTH < 8
        for run in np.split(points, np.flatnonzero(np.diff(gap.astype(int))) + 1):
            if not gap[int(run[0, 0])]:
                run = np.rint(run * (1 << SHIFT)).astype(np.int32)
                cv2.polylines(picture, [run], False, grey, 1, cv2.LINE_AA, SHIFT)


def smooth_band(distance, rise, fall):
    """0 before an edge, 1 at it, fading behind it."""
    return np.where(distance < 0, np.exp(-((distance / rise) ** 2)), np.exp(-distance / fall))
