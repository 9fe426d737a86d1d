"""A beating heart as flat shapes, in the three views that the example tells apart.

Everything here is drawn from textbook proportions, in centimetres, with x to the right of the picture and z away from
the probe. It is a caricature: enough for a classifier of views, nothing that a physician could read.
"""

from dataclasses import dataclass

import numpy as np

VIEWS = ("four-chamber", "long-axis", "short-axis")

# Echo levels: 0 is silent, 255 the brightest echo; between them lie `ultrasound.LEVEL_RANGE_DB` decibels.
BLOOD, TISSUE, ATRIAL_WALL, MUSCLE, VALVE, PERICARDIUM = 22, 96, 142, 156, 206, 222


@dataclass
class Shape:
    """A filled polygon, or with a thickness the line along its points."""

    points: np.ndarray
    level: float
    thickness: float = 0.0  # cm


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


@dataclass
class Moment:
    """Where in the beat the heart is. `phase` runs from 0 to 1, from one R wave to the next."""

    contraction: float  # 0: end of diastole, 1: end of systole
    mitral: float  # how far the valve to the ventricle is open, 0 to 1
    aortic: float  # how far the valve out of the ventricle is open

    @staticmethod
    def at(phase, systole):
        contraction = (
            smoothstep(0.03, systole, phase)
            - 0.75 * smoothstep(systole + 0.04, systole + 0.24, phase)  # early filling
            - 0.25 * smoothstep(0.84, 0.98, phase)  # the atria push
        )
        early = smoothstep(systole + 0.05, systole + 0.12, phase) * (
            1 - 0.75 * smoothstep(systole + 0.18, systole + 0.34, phase)
        )
        late = 0.6 * smoothstep(0.80, 0.88, phase)
        mitral = min(1.0, early + late) * (1 - smoothstep(0.94, 1.0, phase))
        aortic = smoothstep(0.04, 0.09, phase) - smoothstep(systole - 0.04, systole + 0.02, phase)
        return Moment(float(contraction), float(mitral), float(aortic))


def ellipse(centre, radius_x, radius_z, angle=0.0, power=1.0, count=56):
    """With a power below 1 its corners fill up."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x = radius_x * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
    z = radius_z * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + c * x - s * z, centre[1] + s * x + c * z], axis=1)


def curve(*points, count=14):
    """A smooth line through a start, a point that bends it, and an end."""
    a, b, c = (np.asarray(p, float) for p in points)
    t = np.linspace(0, 1, count)[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def bullet(u, widest, base):
    """Half width of a ventricle at u = 0 (apex) to 1 (base), where the largest is 1."""
    tip = np.sqrt(np.clip(1 - (1 - u / widest) ** 2, 0, 1))
    return np.where(u < widest, tip, 1 - (1 - base) * ((u - widest) / (1 - widest)) ** 2)


class FourChamber:
    """Apical four-chamber view: apex at the top, ventricles over atria, the left heart on the right of the picture."""

    centre = (-0.6, 6.5)  # about which it turns and moves

    def __init__(self, rng):
        self.length = rng.uniform(7.2, 9.4)  # apex to mitral ring
        self.width = rng.uniform(1.8, 2.7)  # half width of the left ventricle
        self.wall = rng.uniform(0.75, 1.15)
        self.squeeze = rng.uniform(0.16, 0.36)
        self.descent = rng.uniform(0.8, 1.6)  # of the valve ring towards the apex
        self.right = rng.uniform(1.9, 3.3)  # width of the right ventricle at its base
        self.left_atrium = rng.uniform(1.6, 2.3), rng.uniform(1.7, 2.5)
        self.right_atrium = rng.uniform(1.5, 2.2), rng.uniform(1.6, 2.3)
        self.widest = rng.uniform(0.5, 0.68)
        self.right_apex = rng.uniform(0.18, 0.38)
        self.lean = rng.uniform(-0.10, 0.16)  # the base lies to the right or left of the apex
        self.septum_glow = rng.uniform(0, 30)
        self.right_wall = rng.uniform(0, 1) ** 2 * -60  # the right heart is often hardly seen
        self.papillary = rng.uniform(0, 1, 3)
        self.square = rng.uniform(0.62, 0.95)  # atria are no circles
        self.roof = rng.uniform(0, 1) * -50  # and their walls are thin

    def place(self, rng):
        return (rng.uniform(-0.9, 1.4), rng.uniform(1.9, 3.6))

    def shapes(self, now):
        c = now.contraction
        wall = self.wall * (1 + 0.4 * c)
        width = self.width * (1 - self.squeeze * c)
        base = self.length - self.descent * c
        u = np.linspace(0, 1, 26)
        half = width * bullet(u, self.widest, 0.82)
        z = u * base

        def lean(points):
            points = np.asarray(points, float).copy()
            points[:, 0] += self.lean * points[:, 1]
            return points

        def outline(grow, top):
            # The tip moves outwards too, so that the wall has its thickness there.
            outer = (half[-1] + grow) * bullet(u, self.widest, 0.9) / 0.9
            outer = np.maximum(outer, half + grow * np.sqrt(np.clip(u * 4, 0, 1)))
            depth = -top + u * (base + top)
            return np.concatenate([np.stack([-outer, depth], 1), np.stack([outer, depth], 1)[::-1]])

        septum = half + wall
        ring = half[-1]
        tricuspid = base - 0.55
        v = np.linspace(0, 1, 20)
        right_z = self.right_apex * base + v * (tricuspid - self.right_apex * base)
        right_x = -np.interp(right_z, z, septum)
        breadth = self.right * (1 - 0.2 * c) * (0.06 + v**0.72 * (1 - 0.18 * v**3))
        right_outer = np.stack([right_x - breadth, right_z], 1)
        right = np.concatenate([np.stack([right_x, right_z], 1), right_outer[::-1]])
        grown = np.concatenate(
            [np.stack([right_x + 0.2, right_z - 0.5], 1), np.stack([right_x - breadth - 0.45, right_z - 0.25], 1)[::-1]]
        )

        fill = 1 + 0.16 * c  # atria are full when the ventricles are empty
        la, ra = self.left_atrium, self.right_atrium
        left_atrium = ellipse((0.1, base + la[1] * fill * 0.96), la[0] * fill, la[1] * fill, 0.1, self.square)
        ra_x = right_x[-1] - breadth[-1] * 0.5
        ra_x = min(ra_x, 0.1 - la[0] * fill - ra[0] * fill - 0.25)
        right_atrium = ellipse((ra_x, tricuspid + ra[1] * fill * 0.96), ra[0] * fill, ra[1] * fill, 0.2, self.square)

        dim = self.right_wall
        shapes = [
            # Fat in the groove between ventricle and atrium, and around the atria.
            Shape(lean(ellipse((0.1, base + 0.4), ring + wall + 0.3, 1.5)), MUSCLE - 24 + self.roof * 0.5),
            Shape(lean(grow_ellipse(left_atrium, 0.7)), MUSCLE - 10 + self.roof),
            Shape(lean(grow_ellipse(right_atrium, 0.6)), MUSCLE - 14 + self.roof + dim * 0.5),
            Shape(lean(grow_ellipse(left_atrium, 0.3)), ATRIAL_WALL + 8 + self.roof * 0.4),
            Shape(lean(grow_ellipse(right_atrium, 0.26)), ATRIAL_WALL + self.roof * 0.4 + dim * 0.5),
            Shape(lean(grown), MUSCLE + dim),
            Shape(lean(outline(wall + 0.22, wall * 0.8)), PERICARDIUM - 40),
            Shape(lean(outline(wall, wall * 0.65)), MUSCLE),
            Shape(lean(right), BLOOD),
            Shape(lean(np.concatenate([np.stack([-half, z], 1), np.stack([half, z], 1)[::-1]])), BLOOD),
            Shape(lean(left_atrium), BLOOD),
            Shape(lean(right_atrium), BLOOD),
            # The middle of the septum reflects most, down to where the four chambers meet.
            Shape(
                lean(np.stack([-half[6:] - wall * 0.5, z[6:]], 1)), MUSCLE + 10 + self.septum_glow, wall * 0.35
            ),
            Shape(
                lean([(-ring - wall * 0.4, base - 0.2), (0.1 - la[0] * fill - 0.12, base + la[1] * fill)]), VALVE - 20, 0.22
            ),
        ]
        if self.papillary[0] < 0.6:
            at = 0.45 + 0.15 * self.papillary[1]
            x = np.interp(at, u, half)
            shapes.append(Shape(ellipse((x * 0.86 + self.lean * at * base, at * base), 0.35, 0.9), MUSCLE - 6))

        def leaflet(hinge, tip_closed, tip_open, opening, bend):
            tip = np.array(tip_closed) * (1 - opening) + np.array(tip_open) * opening
            middle = (np.array(hinge) + tip) / 2 + np.array(bend)
            return Shape(lean(curve(hinge, middle, tip)), VALVE, 0.2)

        m = now.mitral
        shapes += [
            leaflet((-ring, base), (0.1, base - 0.45), (-ring * 0.55, base - 2.0), m, (0, 0.15)),
            leaflet((ring, base), (0.1, base - 0.45), (ring * 0.72, base - 1.4), m, (0, 0.15)),
            leaflet((right_x[-1], tricuspid), (right_x[-1] - breadth[-1] / 2, tricuspid - 0.3),
                    (right_x[-1] - 0.35, tricuspid - 1.3), m, (0, 0.1)),
            leaflet((right_x[-1] - breadth[-1], tricuspid), (right_x[-1] - breadth[-1] / 2, tricuspid - 0.3),
                    (right_x[-1] - breadth[-1] + 0.35, tricuspid - 1.5), m, (0, 0.1)),
        ]
        for hidden in shapes[-2:]:
            hidden.level += dim
        return shapes


def grow_ellipse(points, by):
    """The convex outline moved outwards by `by`."""
    centre = points.mean(axis=0)
    away = points - centre
    return centre + away * (1 + by / np.linalg.norm(away, axis=1, keepdims=True))


class LongAxis:
    """Parasternal long axis: right ventricle on top, left ventricle on the left, aorta and left atrium on the right."""

    centre = (0.4, 0.3)

    def __init__(self, rng):
        self.height = rng.uniform(1.9, 2.7)  # half height of the left ventricle
        self.apex = rng.uniform(4.0, 5.8)  # how far it reaches to the left
        self.wall = rng.uniform(0.75, 1.2)
        self.squeeze = rng.uniform(0.18, 0.38)
        self.right = rng.uniform(1.2, 2.2)  # height of the right ventricle
        self.root = rng.uniform(1.2, 1.7)  # half width of the aortic root
        self.rise = np.radians(rng.uniform(8, 30))  # of the aorta towards the probe
        self.atrium = rng.uniform(1.7, 2.5), rng.uniform(1.4, 2.1)
        self.descending = rng.uniform(0.8, 1.25)
        self.has_descending = rng.random() < 0.7
        self.papillary = rng.uniform(0, 1, 2)
        self.square = rng.uniform(0.62, 0.95)
        self.roof = rng.uniform(0, 1) * -50

    def place(self, rng):
        return (rng.uniform(-1.0, 1.0), rng.uniform(6.0, 7.6))

    def shapes(self, now):
        c = now.contraction
        wall = self.wall * (1 + 0.4 * c)
        height = self.height * (1 - self.squeeze * c)
        base = 2.3 - 0.7 * c
        u = np.linspace(0, 1, 28)
        half = height * bullet(u, 0.6, 0.86)
        x = -self.apex + u * (base + self.apex) + 0.5 * c * (1 - u)
        cavity = np.concatenate([np.stack([x, -half], 1), np.stack([x, half], 1)[::-1]])

        def outline(grow):
            outer = half + grow * np.sqrt(np.clip(u * 5, 0, 1))
            along = x - grow * (1 - u) * 0.8
            return np.concatenate([np.stack([along, -outer], 1), np.stack([along, outer], 1)[::-1]])

        # The right ventricle lies on the septum like a cushion.
        v = np.linspace(0, 1, 22)
        right_x = -self.apex * 0.72 + v * (self.apex * 0.72 + 3.2)
        floor = -np.interp(right_x, x, half + wall, right=half[-1] + wall * 0.6)
        thick = self.right * (1 - 0.22 * c) * np.sin(np.pi * np.clip(0.10 + 0.72 * v, 0, 1)) ** 0.8
        right = np.concatenate([np.stack([right_x, floor], 1), np.stack([right_x, floor - thick], 1)[::-1]])
        right_outer = np.concatenate(
            [np.stack([right_x, floor + 0.4], 1), np.stack([right_x, floor - thick - 0.45], 1)[::-1]]
        )

        # The aortic root leaves the upper half of the base, and rises.
        direction = np.array([np.cos(self.rise), -np.sin(self.rise)])
        across = np.array([np.sin(self.rise), np.cos(self.rise)])
        start = np.array([base - 0.5, -half[-1] * 0.40 - 0.1])
        s = np.linspace(0, 5.2, 20)
        radius = self.root * (0.86 + 0.22 * np.exp(-((s - 1.5) / 0.75) ** 2))
        middle = start + s[:, None] * direction
        upper, lower = middle - radius[:, None] * across, middle + radius[:, None] * across
        aorta = np.concatenate([upper, lower[::-1]])

        fill = 1 + 0.15 * c
        atrium_x = base + self.atrium[0] * fill * 0.9
        atrium_z = np.interp(atrium_x, lower[:, 0], lower[:, 1]) + 0.35 + self.atrium[1] * fill
        atrium = ellipse((atrium_x, atrium_z), self.atrium[0] * fill, self.atrium[1] * fill, -self.rise * 0.6, self.square)
        hinge_back = np.array([base + 0.1, half[-1] - 0.05])
        hinge_front = lower[2]

        shapes = [
            Shape(outline(wall + 0.32), PERICARDIUM + 8),
            Shape(grow_ellipse(atrium, 0.6), MUSCLE - 6 + self.roof),
            Shape(right_outer, MUSCLE + 14),
            Shape(outline(wall), MUSCLE),
            Shape(np.concatenate([upper - 0.28 * across, (lower + 0.22 * across)[::-1]]), VALVE - 22),
            Shape(grow_ellipse(atrium, 0.26), ATRIAL_WALL + 8 + self.roof * 0.4),
            Shape(right, BLOOD),
            Shape(atrium, BLOOD),
            Shape(cavity, BLOOD),
            Shape(aorta, BLOOD),
        ]
        # The floor of the mitral valve: ventricle and atrium are one space when it is open.
        shapes.append(Shape(np.array([hinge_front, hinge_back, atrium[len(atrium) // 2], (base - 0.4, 0.4)]), BLOOD))
        if self.has_descending:
            at = (atrium_x + 0.6, atrium_z + self.atrium[1] * fill + self.descending + 0.5)
            shapes[:0] = [
                Shape(ellipse(at, self.descending + 0.2, self.descending + 0.2), ATRIAL_WALL + 14),
                Shape(ellipse(at, self.descending, self.descending), BLOOD),
            ]
        if self.papillary[0] < 0.4:
            shapes.append(Shape(ellipse((-1.2, height * 0.82), 1.1, 0.36), MUSCLE - 8))

        m = now.mitral
        meet = np.array([base - 1.15, half[-1] * 0.52])
        front = meet * (1 - m) + np.array([base - 2.0, -half[-1] * 0.28]) * m
        back = meet * (1 - m) + np.array([base - 1.2, half[-1] * 0.86]) * m
        shapes += [
            Shape(curve(hinge_front, (hinge_front + front) / 2 + (0.1, -0.22 * m), front), VALVE, 0.2),
            Shape(curve(hinge_back, (hinge_back + back) / 2 + (0.1, 0.12), back), VALVE - 6, 0.2),
        ]
        # Two of the aortic cusps: a line in the middle of the root, or two at its walls.
        for side, wall_point in ((-1, upper[3]), (1, lower[3])):
            tip = middle[6] + side * self.root * 0.78 * now.aortic * across
            bend = (wall_point + tip) / 2 + direction * 0.1 - side * 0.25 * across * now.aortic
            shapes.append(Shape(curve(wall_point, bend, tip), VALVE - 20, 0.15))
        if now.aortic < 0.3:
            shapes.append(Shape(np.array([middle[5], middle[7]]), VALVE - 14, 0.16))
        return shapes


class ShortAxis:
    """Parasternal short axis: the left ventricle as a ring, the right one as a crescent around it."""

    centre = (0.0, 0.0)

    def __init__(self, rng):
        self.radius = rng.uniform(1.9, 2.7)  # of the cavity
        self.wall = rng.uniform(0.8, 1.25)
        self.squeeze = rng.uniform(0.2, 0.42)
        self.oval = rng.uniform(0.9, 1.1)
        self.right = rng.uniform(0.9, 2.0)  # how far the crescent stands off
        self.right_at = np.radians(rng.uniform(195, 240))  # in which direction
        self.at_valve = rng.random() < 0.4  # cut through the mitral valve, or lower through its muscles
        self.twist = rng.uniform(-0.25, 0.25)
        self.muscles = rng.uniform(0.45, 0.75, 2)
        self.visible_right = rng.uniform(0, 1) ** 2 * -50

    def place(self, rng):
        return (rng.uniform(-0.5, 1.5), rng.uniform(5.6, 7.8))

    def shapes(self, now):
        c = now.contraction
        wall = self.wall * (1 + 0.45 * c)
        radius = self.radius * (1 - self.squeeze * c)
        outer = radius + wall
        oval = self.oval
        towards = np.array([np.cos(self.right_at), np.sin(self.right_at)])
        centre = towards * (self.right * (1 - 0.2 * c) + 0.25)
        right = outer * 0.98
        dim = self.visible_right
        shapes = [
            Shape(ellipse((0, 0), (outer + 0.3) * oval, outer + 0.3), PERICARDIUM),
            Shape(ellipse(centre, right + 0.4, right + 0.35), MUSCLE + 4 + dim),
            Shape(ellipse(centre, right, right), BLOOD),
            Shape(ellipse((0, 0), outer * oval, outer), MUSCLE),
            Shape(ellipse((0, 0), radius * oval, radius), BLOOD),
        ]
        twist = self.twist + 0.15 * c
        if self.at_valve:
            # The fish's mouth.
            open_ = 0.12 + 0.88 * now.mitral
            wide, high = radius * 0.78, radius * 0.62 * open_
            left, right_end = np.array([-wide, 0.25]), np.array([wide, 0.25])
            turn = np.array([[np.cos(twist), -np.sin(twist)], [np.sin(twist), np.cos(twist)]])
            for side in (-1, 1):
                lip = curve(left, (0, 0.25 + side * high * 1.6), right_end) @ turn.T
                shapes.append(Shape(lip, VALVE - 4, 0.22))
        else:
            for angle, size in zip(np.radians([35, 145]), self.muscles):
                at = (radius - size * 0.62) * np.array([np.cos(angle + twist), np.sin(angle + twist)])
                shapes.append(Shape(ellipse(at, size, size * 0.85, angle), MUSCLE + 12))
        return shapes


HEARTS = dict(zip(VIEWS, (FourChamber, LongAxis, ShortAxis)))
