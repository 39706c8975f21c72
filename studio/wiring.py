"""Wires between things: a motor's cable, the housing at its end, a jumper's arc. Lengths in centimetres."""
from __future__ import annotations

from math import atan2, cos, degrees, hypot, pi, radians, sin

from mathutils import Vector


def harness(kit, start, out, colours, length: float = 8.0, radius: float = 0.06, bend: float | None = None,
            turns: float = 0, sleeve: float = 0, tinned: bool = False, roots=None) -> tuple[float, float, float]:
    """Wires that leave ``start`` along the vector ``out``, sink to the table and bend by ``bend`` degrees in all.

    They lie side by side, or twisted with ``turns``; a black ``sleeve`` covers that share of them; ``roots`` are the
    points where the single wires are soldered. Returns the far end as (x, y, heading)."""
    rng = kit.rng
    heading = degrees(atan2(out[1], out[0])) if hypot(out[0], out[1]) > 0.2 else rng.uniform(0, 360)
    bend = rng.choice([-1, 1]) * rng.uniform(20, 170) if bend is None else bend
    steps, fall = max(12, int(turns * 7)), rng.uniform(1.3, 2.5)
    lead = Vector(start) + Vector(out) * min(0.4, length * 0.1)
    lead.z = max(lead.z, radius)
    x, y, z = lead
    hang = 0.45 if out[2] > 0.6 else 0.0  # wires that leave upwards must clear the body before they sink
    path = [Vector(start), lead]
    for step in range(1, steps + 1):
        heading += bend / steps + rng.uniform(-60, 60) / steps
        x, y = x + length / steps * cos(radians(heading)), y + length / steps * sin(radians(heading))
        sunk = fall * max(0, step / steps - hang) / (1 - hang)
        path.append(Vector((x, y, max(radius, z * max(0, 1 - sunk) ** 1.5))))
    count, side = len(colours), Vector((-sin(radians(heading)), cos(radians(heading)), 0))
    last = len(path) - 1
    for i, colour in enumerate(colours):
        points = [Vector(roots[i]), Vector(roots[i]).lerp(path[0], 0.3) + Vector((0, 0, radius))] if roots else []
        for k, point in enumerate(path):
            along = (path[min(k + 1, last)] - path[max(k - 1, 0)]).normalized()
            across = Vector((-along.y, along.x, 0)).normalized() if hypot(along.x, along.y) > 0.01 else side
            if turns:
                a = 2 * pi * (turns * k / last + i / count)
                shift = across * cos(a) * radius + Vector((0, 0, radius * (1 + sin(a))))
            else:
                loose = rng.uniform(-0.7, 0.7) if 0 < k < last else 0
                shift = across * radius * (2.1 * (i - (count - 1) / 2) * (0.8 if k < last else 1) + loose)
                shift += Vector((0, 0, radius * rng.uniform(0, 1.5)))
            points.append(point + shift)
        kit.wire(points, radius, kit.plastic(colour, 0.4))
        if tinned:
            tip = points[-1] + (points[-1] - points[-2]).normalized() * 0.45
            kit.wire([points[-1], (points[-1] + tip) / 2, tip], radius * 0.55, kit.metal("#c6c8c8"))
    if sleeve:
        thick = radius * (0.55 * count + 1)
        covered = [p + Vector((0, 0, max(0, thick - p.z))) for p in path[:max(3, int(len(path) * sleeve))]]
        kit.wire(covered, thick, kit.rubber())
    return x, y, heading


def ahead(end, distance: float) -> tuple[float, float]:
    """The point ``distance`` beyond a harness's far end."""
    return end[0] + distance * cos(radians(end[2])), end[1] + distance * sin(radians(end[2]))


def plug(kit, end, count: int, colour: str = "#ecebe4", pitch: float = 0.25):
    """The crimp housing at a harness's far end, with its contact windows up."""
    with kit.settled(0, 0, end[2] + 90, ahead(end, 0.35)):
        kit.box((count * pitch + 0.1, 0.75, 0.5), (0, 0, 0), kit.plastic(colour, 0.4), 0.03)
        for i in range(count):
            x = (i - (count - 1) / 2) * pitch
            kit.box((pitch * 0.45, 0.4, 0.01), (x, 0.08, 0.5), kit.metal("#b9b4a6", 0.35), 0)
            kit.box((pitch * 0.6, 0.02, 0.3), (x, -0.375, 0.1), kit.material("#0c0c0e", 0.8), 0)


def wire_arc(kit, start, end, height, colour, radius=0.06):
    """A wire that rises from ``start`` and comes down at ``end``."""
    (x0, y0, z0), (x1, y1, z1) = start, end
    bow = height * kit.rng.uniform(-0.4, 0.4)
    middle = [(x0 + (x1 - x0) * t + bow * sin(pi * t), y0 + (y1 - y0) * t,
               z0 + (z1 - z0) * t + height * sin(pi * t) ** 0.6)
              for t in (0.12, 0.35, 0.65, 0.88)]
    kit.wire([start, *middle, end], radius, kit.plastic(colour, 0.4))
