"""Outlines, lists of points (x, y), for ``Kit.plate``; profiles for ``Kit.lathe``. Centimetres; no Blender needed."""
from __future__ import annotations

from math import acos, asin, cos, degrees, radians, sin

Outline = list[tuple[float, float]]


def rectangle(x: float, y: float, width: float, depth: float) -> Outline:
    """A rectangle centred on (x, y)."""
    return [(x - width / 2, y - depth / 2), (x + width / 2, y - depth / 2), (x + width / 2, y + depth / 2),
            (x - width / 2, y + depth / 2)]


def rounded(width: float, depth: float, radius: float) -> Outline:
    """A rectangle with round corners, centred on the origin."""
    points = []
    for cx, cy, start in ((1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270)):
        for step in range(6):
            a = radians(start + 18 * step)
            points.append((cx * (width / 2 - radius) + radius * cos(a), cy * (depth / 2 - radius) + radius * sin(a)))
    return points


def chamfered(width: float, cut: float) -> Outline:
    """A square whose corners are cut off, centred on the origin."""
    w, c = width / 2, width / 2 - cut
    return [(w, -c), (w, c), (c, w), (-c, w), (-w, c), (-w, -c), (-c, -w), (c, -w)]


def arc(x: float, y: float, radius: float, start: float, stop: float, steps: int = 16) -> Outline:
    """Points on a circle around (x, y), from ``start`` to ``stop`` degrees."""
    angles = [radians(start + (stop - start) * i / steps) for i in range(steps + 1)]
    return [(x + radius * cos(a), y + radius * sin(a)) for a in angles]


def eared(radius: float, reach: float, ear: float, flared: bool) -> Outline:
    """A disc with two ears of radius ``ear`` at x = ±reach, as straight tabs or flared tangentially into the disc."""
    turn = degrees(acos((radius - ear) / reach)) if flared else 90
    join = turn if flared else degrees(asin(ear / radius))
    return (arc(reach, 0, ear, -turn, turn) + arc(0, 0, radius, join, 180 - join, 24)
            + arc(-reach, 0, ear, 180 - turn, 180 + turn) + arc(0, 0, radius, 180 + join, 360 - join, 24))


def rod(radius: float, start: float, end: float, round_off: float = 0.05) -> Outline:
    """The profile (radius, distance) of a closed rod with rounded rims, for ``Kit.lathe`` and ``Kit.along``."""
    return [(0, start), (radius - round_off, start), (radius, start + round_off), (radius, end - round_off),
            (radius - round_off, end), (0, end)]
