"""Floppy disk drives: 3.5" closed, opened and from below, 5.25", USB and laptop drives, drives in a computer's front.

Every drive is built flat with its front towards −y and is turned at the end.
"""
from __future__ import annotations

from collections.abc import Sequence
from math import atan2, ceil, cos, pi, radians, sin
from random import Random

from ..kit import Kit, Vector, shade
from ..outlines import rectangle, rounded

SHEET = ["#b4b7b4", "#a6aaa8", "#c2c1bb", "#9aa09f", "#b5afa3", "#cfd0cd", "#8f938f", "#aab0b4"]
BEIGE = ["#cfc5a8", "#c9b988", "#d9d0ba", "#bfb08a", "#ded8c8", "#c8bc98"]
BEZELS = BEIGE + ["#9b9a94", "#7f8080", "#e4e2dc", "#1b1b1c", "#232324", "#a3a5a7", "#b8b6ae"]
DISKETTES = ["#17181a", "#1d4fa0", "#b3202a", "#e3bf46", "#1f8a5a", "#d9d7d0", "#e07a2a", "#6a6d72", "#3a2f6a"]
BOARDS = ["#0d4a24", "#0f5a2c", "#17502a", "#3f5a22", "#5a3a17", "#6b4a20", "#0c3d30"]
BRANDS = ["MITSUMI", "TEAC", "SONY", "NEC", "Panasonic", "ALPS", "CHINON", "SAMSUNG", "CITIZEN", "Y-E DATA", "EPSON"]


# ---- tools -----------------------------------------------------------------------------------------------------------
def _sheet(kit: Kit, rng: Random):
    """Zinc-plated or painted sheet steel: duller than polished metal."""
    return kit.material(rng.choice(SHEET),
                        rng.uniform(0.28, 0.5),
                        metallic=rng.choice([0.45, 0.75, 0.95, 1.0]),
                        grain=rng.uniform(0.15, 0.5),
                        bump=rng.choice([0.0, 0.03, 0.08]))


def _dark(kit: Kit):
    """What lies in the shade inside."""
    return kit.material("#0c0c0d", 0.7)


def _pressed(kit: Kit, width: float, depth: float, reliefs: Sequence[tuple], at: Vector, material, skirt: float = 0.4):
    """A pressed lid: sheet lifted or sunk by ``reliefs`` (x, y, width, depth, rise), its rim folded down."""
    slope = 0.12

    def lines(half: float, axis: int) -> list[float]:
        inner = {
            round(r[axis] + side * (r[axis + 2] / 2 - inset), 4)
            for r in reliefs
            for side in (-1, 1)
            for inset in (0, slope)
        }
        kept = sorted(c for c in inner if abs(c) < half)
        return [-half, -half + 0.04, *kept, half - 0.04, half]

    def rise(x: float, y: float) -> float:
        inside = [(min(w / 2 - abs(x - cx), d / 2 - abs(y - cy)), h) for cx, cy, w, d, h in reliefs]
        return sum(h * min(1, max(0, distance / slope)) for distance, h in inside)

    xs, ys = lines(width / 2, 0), lines(depth / 2, 1)
    vertices = [(x, y, -skirt if x in (xs[0], xs[-1]) or y in (ys[0], ys[-1]) else rise(x, y)) for y in ys for x in xs]
    n = len(xs)
    faces = [(j * n + i, j * n + i + 1, (j + 1) * n + i + 1, (j + 1) * n + i) for j in range(len(ys) - 1)
             for i in range(n - 1)]
    return kit.mesh(vertices, faces, at, material, name="lid")


def _strip(kit: Kit, path: Sequence[Vector], width: float, material, ribs: int = 0, thick: float = 0.09, edge=None):
    """A flat cable along ``path``, lying across its course, with round ribs; ``edge`` colours its first conductor."""
    across = [(-0.5, 0), (0.5, 0)]
    if ribs:
        across = [(k / (ribs * 2) - 0.5, thick if k % 2 else 0) for k in range(ribs * 2 + 1)]
    vertices, faces, n = [], [], len(across)
    for i, (x, y, z) in enumerate(path):
        before, after = path[max(i - 1, 0)], path[min(i + 1, len(path) - 1)]
        heading = atan2(after[1] - before[1], after[0] - before[0])
        vertices += [(x - sin(heading) * a * width, y + cos(heading) * a * width, z + up) for a, up in across]
    for i in range(len(path) - 1):
        faces += [(i * n + k, i * n + k + 1, (i + 1) * n + k + 1, (i + 1) * n + k) for k in range(n - 1)]
    strip = kit.mesh(vertices, faces, material=material, smooth=True, name="strip")
    if edge is not None:
        strip.data.materials.append(edge)
        for k, polygon in enumerate(strip.data.polygons):
            polygon.material_index = int(k % (n - 1) < 2)
    return strip


def _spring(kit: Kit, start: Vector, end: Vector, radius: float = 0.13, turns: int = 11):
    """A small tension spring lying flat between two points."""
    heading = atan2(end[1] - start[1], end[0] - start[0])
    points = []
    for i in range(turns * 4 + 1):
        t, a = i / (turns * 4), i * pi / 2
        side = radius * cos(a)
        points.append((start[0] + (end[0] - start[0]) * t - side * sin(heading),
                       start[1] + (end[1] - start[1]) * t + side * cos(heading),
                       start[2] + (end[2] - start[2]) * t + radius * sin(a)))
    coil = kit.wire(points, 0.025, kit.metal("#b9bab6", 0.3))
    coil.data.resolution_u, coil.data.bevel_resolution = 4, 1


def _wall(kit: Kit, rng: Random, length: float, height: float, at: Vector, heading: float, material, cuts: int = 4):
    """An upright side of folded sheet with notches, screw holes and slots; ``at`` is its low middle."""
    outline = [(-length / 2, 0), (length / 2, 0), (length / 2, height)]
    places = sorted((rng.uniform(-0.42, 0.42) * length for _ in range(cuts)), reverse=True)
    low = height * rng.uniform(0.55, 0.9)
    last = length / 2
    for place in places:
        wide = rng.uniform(0.15, 0.7)
        if place + wide < last:
            outline += [(place + wide, height), (place + wide, low), (place - wide, low), (place - wide, height)]
            last = place - wide - 0.1
    if last > -length / 2:
        outline.append((-length / 2, height))
    holes: list = [(x * length, height * 0.22, 0.16) for x in (-0.36, 0.02, 0.33)]
    holes += [rectangle(x * length, height * 0.42, rng.uniform(0.4, 1.6), 0.18) for x in (-0.2, 0.18)
              if rng.random() < 0.7]
    kit.plate(outline, 0.09, at, material, holes, (90, 0, heading))


def _pose(kit: Kit, rng: Random, flat: float = 0.7) -> bool:
    """Leaves the drive as built with probability ``flat``; else on a side, on its back, upside down or tilted.
    Returns whether its lower face may be seen."""
    turned = rng.random() >= flat
    if turned:
        tilt = (rng.uniform(-25, 25), rng.uniform(-25, 25), 0)
        turn = rng.choice([(0, 90, 0), (0, -90, 0), (-90, 0, 0), (180, 0, 0), tilt])
        kit.rotate(turn)
    return turned


def _pins(kit: Kit, rng: Random, count: int, at: Vector, height: float = 0.6):
    """The drive connector at the back: two rows of pins that point to +y, in a shroud or bare."""
    x, y, z = at
    width = count * 0.254 + 0.35
    body = kit.plastic(rng.choice(["#141414", "#141414", "#d8d6cc", "#3a2a20"]), 0.5)
    kit.box((width, 0.3, height), (x, y, z), body, 0.02)
    if rng.random() < 0.6:
        kit.boxes([((width, 0.85, 0.09), (x, y + 0.42, z)), ((width, 0.85, 0.09), (x, y + 0.42, z + height - 0.09)),
                   ((0.09, 0.85, height), (x - width / 2, y + 0.42, z)),
                   ((0.09, 0.85, height), (x + width / 2, y + 0.42, z))], body)
    kit.boxes([((0.06, 0.75, 0.06), (x + (i - (count - 1) / 2) * 0.254, y + 0.4, z + height / 2 + row * 0.254 - 0.16))
               for i in range(count) for row in (0, 1)], kit.metal("#d4b25a", 0.3))


def _chip(kit: Kit, rng: Random, at: Vector, width: float, depth: float, quad: bool):
    """A chip with its legs as one object, heading 0 or 90 by its proportions."""
    x, y, z = at
    kit.box((width, depth, 0.2), (x, y, z + 0.03), kit.material("#17181a", 0.5, bump=0.1), 0.02)
    spots = [i * 0.13 for i in range(int(-width / 2 / 0.13) + 1, int(width / 2 / 0.13))]
    legs = [((0.06, depth + 0.35, 0.05), (x + s, y, z)) for s in spots]
    if quad:
        legs += [((width + 0.35, 0.06, 0.05), (x, y + s, z)) for s in spots if abs(s) < depth / 2 - 0.05]
    kit.boxes(legs, kit.metal("#c2c4c6", 0.3))
    kit.text(rng.choice(BRANDS)[:6].upper(), min(depth * 0.22, 0.2), (x, y, z + 0.235), kit.ink("#9a9a96"))


def _board(kit: Kit, rng: Random, width: float, depth: float, at: Vector, chips: int, colour: str | None = None):
    """A populated circuit board, its low face centred on ``at``: chips in a loose grid, small parts around."""
    board, top, colour = kit.group(at), 0.16, colour or rng.choice(BOARDS)
    corners = [(sx * (width / 2 - 0.3), sy * (depth / 2 - 0.3)) for sx in (-1, 1) for sy in (-1, 1)]
    board.plate(rounded(width, depth, 0.1), top, (0, 0, 0), board.pcb(colour), [(*c, 0.15) for c in corners])
    for x, y in corners:
        board.ring(0.25, 0.15, 0.006, (x, y, top), board.metal("#d0d2cf", 0.3), sides=24)
    traces = []
    for _ in range(int(10 + width * depth * 1.5)):  # as one object: boards are large
        length, spot = rng.uniform(0.1, 0.25) * width, (rng.uniform(-0.36, 0.36) * width,
                                                        rng.uniform(-0.36, 0.36) * depth, top)
        traces.append(((length, 0.035, 0.003) if rng.random() < 0.5 else
                       (0.035, min(length, depth * 0.25), 0.003), spot))
    board.boxes(traces, board.pcb(shade(colour, 1.3, 10)))
    board.boxes([((0.07, 0.07, 0.005), (rng.uniform(-0.46, 0.46) * width, rng.uniform(-0.46, 0.46) * depth, top))
                 for _ in range(int(width * depth))], board.metal("#cfd2d4", 0.35))
    columns = max(1, round((chips * width / depth)**0.5))
    rows = ceil(chips / columns)
    for i in range(chips):
        cell = (width / columns, depth / rows)
        x = -width / 2 + cell[0] * (i % columns + 0.5) + rng.uniform(-0.1, 0.1) * cell[0]
        y = -depth / 2 + cell[1] * (i // columns + 0.5) + rng.uniform(-0.1, 0.1) * cell[1]
        quad = rng.random() < 0.4 and min(cell) > 1.5
        w = min(cell[0] * 0.7, 1.6 if quad else rng.uniform(1.0, 2.2))
        _chip(board, rng, (x, y, top), w, min(w, cell[1] * 0.6) if quad else min(0.7, cell[1] * 0.5), quad)
    board.surface_mount((-width * 0.45, -depth * 0.44, width * 0.45, depth * 0.44), top,
                        min(24, int(6 + width * depth * 0.16)))
    for _ in range(rng.randint(0, 3)):
        colour = rng.choice(["#1a4fb0", "#17181c", "#2a5f9a", "#c8761e"])
        board.capacitor((rng.uniform(-0.42, 0.42) * width, rng.uniform(-0.4, 0.4) * depth, top),
                        rng.uniform(0.18, 0.28), rng.uniform(0.4, 0.7), colour)


def _rotor(kit: Kit, rng: Random, radius: float, at: Vector):
    """A flat spindle motor seen on its rotor: dark or bright disc, rim, magnet ring, hub and screws."""
    x, y, z = at
    disc = rng.choice(
        [kit.plastic("#2a2220", 0.45),
         kit.metal("#8f9190", 0.35),
         kit.metal("#c0c0bc", 0.3),
         kit.plastic("#1a1a1b")])
    kit.cylinder(radius, 0.3, at, disc, 0.06)
    kit.ring(radius * 1.02, radius * 0.93, 0.26, at, kit.metal("#a8a9a6", 0.35))
    kit.ring(radius * 0.62, radius * 0.58, 0.31, at, _dark(kit))
    for i in range(3):
        spot = (x + radius * 0.42 * cos(2.1 * i), y + radius * 0.42 * sin(2.1 * i), z + 0.3)
        kit.cylinder(radius * 0.09, 0.012, spot, _dark(kit), 0, sides=20)
    kit.cylinder(radius * 0.25, 0.42, at, kit.metal("#b8b6ae", 0.3))
    kit.screw(0.14, (x, y, z + 0.42), kit.metal(rng.choice(["#c8a24a", "#b9bcc0"]), 0.3))


def _diskette(kit: Kit, rng: Random, at: Vector, turn: Vector = (0, 0, 0)):
    """A 3.5" diskette lying flat, its shutter towards +y, label or hub side up."""
    disk = kit.group(at, turn)
    shell = disk.plastic(rng.choice(DISKETTES), 0.45)
    outline = [(-4.5, -4.7), (4.5, -4.7), (4.5, 4.4), (4.2, 4.7), (-4.5, 4.7)]
    notches = [rectangle(x, -4.2, 0.4, 0.45) for x in (-4.1, 4.1)]
    disk.plate(outline, 0.33, (0, 0, 0), shell, notches, bevel=0.02)
    shutter = rng.choice([disk.metal("#c4c5c3", 0.3), disk.plastic("#1c1c1e")])
    disk.plate(rectangle(0.3, 3.2, 5.6, 3.05), 0.38, (0, 0, -0.025), shutter, [rectangle(1.3, 3.3, 1.1, 2.2)])
    disk.box((1.1, 2.2, 0.3), (1.3, 3.3, 0.03), rng.choice([shell, _dark(disk)]), 0)
    if rng.random() < 0.4:
        disk.ring(1.35, 1.25, 0.01, (0, -0.3, 0.33), _dark(disk))
        disk.cylinder(1.25, 0.012, (0, -0.3, 0.33), disk.metal("#b9b9b5", 0.35), 0)
        disk.box((0.4, 0.4, 0.003), (0, -0.3, 0.342), _dark(disk), 0)
    elif rng.random() < 0.7:
        lines = [rng.choice(["DISK 1", "BOOT", "Windows 95", "DOS 6.22", "backup", "HD 1.44 MB", "Setup"]), "3.5\" 2HD"]
        disk.label((7, 5), (0, -1.9, 0.33),
                   lines,
                   colour=rng.choice(["#f2f1ec", "#e9d9a0", "#cfe0ea", "#e8c8c0"]),
                   barcode=False)


def _ribbon(kit: Kit, rng: Random, at: Vector, count: int = 17):
    """A grey flat cable from the drive connector over the table, with its red edge and a black plug at either end."""
    x, y, z = at
    grey, black = kit.plastic(rng.choice(["#a9a9a6", "#9a9b9a", "#bdbcb6", "#8c8f92"]),
                              0.5), kit.plastic("#17171a", 0.5)
    width, reach, bow, drift = count * 0.254, rng.uniform(4, 9), rng.uniform(0, 2.2), rng.uniform(-3.5, 3.5)
    path = []
    for i in range(29):
        t = i / 28
        fall = max(0, 1 - t * 2.2)
        wave = bow * abs(sin(t * pi * 1.5)) * (0.35 + t) * (1 - t)
        path.append((x + drift * t * t, y + 0.7 + reach * t, 0.06 + (z + 0.25) * fall**1.5 + wave))
    _strip(kit, path, width, grey, count * 2, 0.07, kit.plastic("#b03030", 0.5) if rng.random() < 0.7 else None)
    kit.box((width + 0.4, 0.9, 0.55), (x, y + 0.6, z), black, 0.04)
    if rng.random() < 0.6:
        kit.box((width + 0.4, 0.9, 0.55), (path[-1][0], path[-1][1], 0), black, 0.04, (0, 0, -drift / reach * 100))


def _power(kit: Kit, rng: Random, at: Vector):
    """The white four-pin power plug with its yellow, black, black and red wires."""
    x, y, z = at
    kit.box((1.1, 1.0, 0.5), (x, y + 0.5, z), kit.plastic(rng.choice(["#e8e5da", "#1a1a1a"])), 0.04)
    kit.loose_wires((x, y + 1, z + 0.25), rng.uniform(60, 120), ["#e0ae10", "#161616", "#161616", "#c01a1e"],
                    rng.uniform(5, 11), 0.075, 0.22, rng.uniform(15, 45))


# ---- 3.5" ------------------------------------------------------------------------------------------------------------
def _front_35(kit: Kit, rng: Random, width: float, height: float, y: float, colour: str, loaded: float | None):
    """The bezel whose back face stands at ``y``: slot with flap and finger recess, button, light; ``loaded`` is how far
    a diskette sticks out, if there is one."""
    front, thick = kit.group((0, y, 0)), rng.uniform(0.35, 0.7)
    plastic = front.plastic(colour)
    slot, gap, half = height * rng.uniform(0.6, 0.76), rng.choice([0.38, 0.45, 0.55]), min(4.75, width / 2 - 0.3)
    dip = height * rng.uniform(0.12, 0.38) if rng.random() < 0.8 else gap / 2 + 0.02
    dip_half, shift = rng.uniform(1.1, 2.2), rng.choice([0, 0, rng.uniform(-1, 1)])
    low, high = slot - gap / 2, slot + gap / 2
    hole = [(-half, low), (shift - dip_half, low), (shift - dip_half + 0.15, slot - gap / 2 - dip),
            (shift + dip_half - 0.15, slot - gap / 2 - dip), (shift + dip_half, low), (half, low), (half, high),
            (-half, high)]
    outline = [(px, py + height / 2) for px, py in rounded(width, height, 0.12)]
    bx = rng.choice([-1, 1, 1, 1]) * (width / 2 - rng.uniform(1.3, 2.0))
    by, bw, bh = min(low - 0.32, height * 0.3), rng.uniform(0.9, 1.5), rng.uniform(0.4, 0.65)
    light = (rng.choice([-bx, -bx, bx * 0.55]), by)
    front.plate(outline, thick, (0, 0, 0), plastic, [hole, rectangle(bx, by, bw + 0.08, bh + 0.08)], (90, 0, 0), 0.03)
    front.box((2 * dip_half, 0.08, dip + 0.2), (shift, -0.03, low - dip - 0.1), plastic, 0)
    front.box((2 * half, 0.04, gap + 0.1), (0, 0.1, low - 0.05), _dark(front), 0)
    if loaded is None:
        front.box((2 * half - 0.15, 0.05, gap - 0.08), (0, -thick * 0.35, low + 0.03), plastic, 0.01,
                  (rng.uniform(-12, 4), 0, 0))
    else:
        _diskette(front, rng, (0, 4.5 - thick - loaded, slot - 0.16))
    button = plastic if rng.random() < 0.7 else front.plastic(rng.choice(["#2a2a2b", "#d6d3c8", "#8f8f8a", "#4a6a9a"]))
    front.box((bw, thick + rng.uniform(0.1, 0.35), bh), (bx, -thick / 2, by - bh / 2), button, 0.05)
    lamp = rng.choice(["#1e3a1e", "#2f8a3a", "#c8a020", "#20241f", "#7a1a18"])
    front.box((0.45, 0.05, 0.2), (light[0], -thick, light[1] - 0.1),
              front.material(lamp, 0.2, glow=rng.choice([0, 0, 0, 2.0])), 0.01)
    if rng.random() < 0.3:
        front.text(rng.choice([*BRANDS, "3.5", "1.44 MB", "A"]), 0.22, (light[0] + 0.4, -thick - 0.006, height * 0.12),
                   front.ink("#5a5a56" if sum(bytes.fromhex(colour[1:])) > 240 else "#b8b8b4"), (90, 0, 0))


def _sides(kit: Kit, rng: Random, width: float, depth: float, height: float, material):
    """Both side walls of a frame with notches and holes, and the screws in them."""
    for side in (-1, 1):
        x = side * width / 2 - (0.09 if side > 0 else 0)
        _wall(kit, rng, depth, height, (x, 0, 0), 90, material, rng.randint(2, 6))
        for _ in range(rng.randint(0, 3)):
            spot = (side * width / 2, rng.uniform(-0.4, 0.4) * depth, height * rng.uniform(0.3, 0.7))
            kit.screw(0.24, spot, kit.metal(rng.choice(["#c8a24a", "#b9bcc0", "#44464a"])), (0, side * 90, 0))


def _lid(kit: Kit, rng: Random, width: float, depth: float, z: float, material):
    """The pressed lid of a closed drive: ridges, recesses, holes, screws, embossing and label."""
    reliefs = [(rng.uniform(-0.6, 0.6), depth * 0.03, width * rng.uniform(0.6, 0.86), depth * rng.uniform(0.35, 0.72),
                rng.choice([-0.12, 0.12, 0.07]))]
    if rng.random() < 0.8:
        reliefs.append((0, -depth * 0.43, width * rng.uniform(0.6, 0.94), rng.uniform(0.5,
                                                                                      1.1), rng.choice([-0.12, 0.12])))
    for _ in range(rng.randint(0, 2)):
        reliefs.append((rng.uniform(-0.2, 0.2) * width, rng.uniform(-0.15, 0.3) * depth, rng.uniform(0.5, 3.5),
                        rng.uniform(0.4, 2.5), rng.choice([-0.07, 0.08, 0.12])))
    _pressed(kit, width + 0.06, depth, reliefs, (0, 0, z), material, rng.uniform(0.25, 0.7))
    top = z + sum(max(r[4], 0) for r in reliefs)
    for _ in range(rng.randint(0, 5)):
        size = (rng.uniform(0.2, 1.2), rng.choice([0.15, 0.25]), 0.05)
        kit.box(size, (rng.uniform(-0.45, 0.45) * width, rng.choice([-0.46, 0.46, 0.3]) * depth, z + 0.06), _dark(kit),
                0)
    for sx, sy in [(sx, sy) for sx in (-1, 1) for sy in (-1, 1)]:
        if rng.random() < 0.4:
            kit.screw(0.27, (sx * width * 0.45, sy * depth * 0.46, z),
                      kit.metal(rng.choice(["#c8a24a", "#b9bcc0", "#3c3e42"])))
    if rng.random() < 0.5:
        kit.text(rng.choice(BRANDS), rng.uniform(0.4, 0.8), (rng.uniform(-1, 1), -depth * 0.3, top + 0.03), material)
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        size = (rng.uniform(3, 6.5), rng.uniform(1.6, 3.8))
        lines = [
            rng.choice(BRANDS),
            f"MODEL {rng.choice(['FD-235HF', 'D353M3', 'MPF920', 'SFD-321B', 'JU-257A', 'FD1231H'])}",
            f"S/N {rng.randint(10**6, 10**8)}",
            "DC 5V  0.7A   MADE IN " + rng.choice(["JAPAN", "CHINA", "MALAYSIA", "TAIWAN"])
        ]
        kit.label(size,
                  (rng.uniform(-1, 1) * (width / 2 - size[0] * 0.55), rng.uniform(-0.3, 0.35) * depth, top + 0.04),
                  lines[:rng.randint(2, 4)], (0, 0, rng.choice([0, 0, 180, 90, rng.uniform(-4, 4)])),
                  rng.choice(["#f2f1ec", "#e4e0d0", "#eceff0", "#d8c890"]))


def _size_35(rng: Random) -> tuple[float, float, float]:
    """Width, depth without bezel, and height of a 3.5" drive."""
    return 10.16, rng.uniform(12.6, 14.6), rng.choice([2.5, 2.5, 2.5, 1.9, 3.2, 4.1])


def closed_35(kit: Kit, rng: Random):
    """A 3.5" drive in its can, with or without bezel, diskette and cables."""
    width, depth, height = _size_35(rng)
    metal = _sheet(kit, rng)
    _sides(kit, rng, width, depth, height - 0.1, metal)
    kit.box((width - 0.3, depth - 0.5, height - 1.25), (0, 0.1, 1.05), _dark(kit), 0)
    _lid(kit, rng, width, depth, height, metal if rng.random() < 0.7 else _sheet(kit, rng))
    loaded = rng.choice([None, None, None, 0.0, 0.3, 3.0])
    if rng.random() < 0.82:
        _front_35(kit, rng, width + rng.choice([0, 0, 0.1, 0.5]), height + rng.choice([0, 0.05, 0.2]), -depth / 2,
                  rng.choice(BEZELS), loaded)
    else:
        kit.box((9, 0.5, 0.33), (0, -depth / 2 + 0.15, height * 0.55), kit.plastic(rng.choice(DISKETTES)), 0.03)
        kit.box((width - 0.4, 0.1, height * 0.3), (0, -depth / 2 + 0.1, 0), metal, 0.02)
    kit.box((width - 0.2, 0.08, height * 0.4), (0, depth / 2 - 0.05, height * 0.5), metal, 0.01)
    _pins(kit, rng, 17, (-1.2, depth / 2 - 0.3, 0.35))
    kit.box((1.2, 0.8, 0.5), (3.3, depth / 2 - 0.1, 0.35), kit.plastic("#e2dfd2"), 0.03)
    if rng.random() < 0.45:
        if rng.random() < 0.75:
            _ribbon(kit, rng, (-1.2, depth / 2 + 0.2, 0.35))
        if rng.random() < 0.75:
            _power(kit, rng, (3.3, depth / 2 + 0.2, 0.35))
    elif _pose(kit, rng, 0.62):
        _belly(kit.group((0, 0, height), (0, 180, 0)), rng, width, depth, height, metal)


def _stepper(kit: Kit, rng: Random, at: Vector, reach: float):
    """The small can stepper lying along y with its flange, worm screw towards the front, wires and end cap."""
    x, y, z = at
    r = rng.uniform(0.75, 1.05)
    can = kit.metal(rng.choice(["#c3bfb2", "#b5b6b3", "#4a4038", "#a89c80"]), 0.35)
    kit.cylinder(r, 1.5, (x, y, z), can, 0.08, (-90, 0, 0))
    kit.ring(r * 1.03, r * 0.98, 0.12, (x, y + 0.7, z), _dark(kit), (-90, 0, 0))
    kit.cylinder(r * 0.3, 1.56, (x, y, z), kit.metal("#c8a24a"), 0.03, (-90, 0, 0))
    kit.box((2.3 * r, 0.1, 1.9 * r), (x, y - 0.1, z - 0.95 * r), kit.metal("#bdbdb8", 0.35), 0.02)
    turns = 18
    profile = [(0, 0)] + [(0.17 if i % 2 else 0.12, reach * i / (2 * turns))
                          for i in range(2 * turns + 1)] + [(0, reach)]
    kit.lathe(profile, (x, y - 0.1, z), kit.metal("#c9c7c0", 0.25), (90, 0, 0), 20)
    for i, colour in enumerate(rng.sample(["#e0ae10", "#c01a1e", "#f0f0ee", "#7a4a21", "#161616", "#e06a12"], 4)):
        kit.wire([(x + r * 0.9, y + 0.5 + i * 0.1, z), (x + r + 0.5, y + 0.3 + i * 0.15, z + 0.3),
                  (x + r + 1.0, y - 0.6, z - 0.6)], 0.045, kit.plastic(colour, 0.4))


def _carriage(kit: Kit, rng: Random, at: Vector):
    """The head carriage: black moulding, flat sprung arm with the pale head pad, screws, flex print running back."""
    x, y, z = at
    black, steel = kit.plastic(rng.choice(["#17171a", "#1c1b1b", "#232325"]), 0.4), kit.metal("#c6c6c0", 0.28)
    length, wide = rng.uniform(3.4, 4.6), rng.uniform(2.0, 2.7)
    kit.box((wide, length, 0.5), (x, y, z), black, 0.05)
    kit.box((wide * 0.72, length * 0.95, 0.3), (x, y - 0.6, z + 0.62), black, 0.05)
    kit.box((wide * 0.3, length * 0.35, 0.12), (x, y + length * 0.2, z + 0.92), black, 0.03)
    kit.plate(rectangle(x, y - length * 0.38, wide * 0.52, 1.3), 0.05, (0, 0, z + 0.93), steel,
              [rectangle(x, y - length * 0.38 + 0.5, 0.4, 0.12)])
    pad = kit.material("#e6e2d2", 0.4) if rng.random() < 0.5 else kit.metal("#d2cdb4", 0.25)
    kit.box((wide * 0.34, 0.85, 0.08), (x, y - length * 0.4, z + 0.98), pad, 0.02)
    kit.plate(rectangle(x, y + length * 0.36, wide * 0.9, 1.1), 0.06, (0, 0, z + 0.85), steel,
              [(x, y + length * 0.36, 0.2)])
    for side in (-1, 1):
        kit.screw(0.17, (x + side * wide * 0.32, y + length * 0.38, z + 0.91),
                  kit.metal(rng.choice(["#c8a24a", "#c8a24a", "#b9bcc0"])))
        kit.cylinder(0.14, 6.5, (x + side * wide * 0.6, y - 2.6, z + 0.2), steel, 0.02, (-90, 0, 0), sides=20)
    _spring(kit, (x - wide * 0.2, y + 0.2, z + 1.05), (x - wide * 0.2, y + 1.6, z + 1.05), 0.11)
    side = rng.choice([-1, 1])
    flex = kit.material(rng.choice(["#8a5414", "#a86a1c", "#6a3e10", "#c08a2a"]), 0.25, coat=0.5)
    path = [(x + side * t * wide, y + length * 0.3 + 2.2 * sin(t * pi * 0.5), z + 0.7 + 0.9 * sin(t * pi))
            for t in (0, .2, .4, .6, .8, 1)]
    _strip(kit, path, rng.uniform(0.6, 1.1), flex)


def _lift_plate(kit: Kit, rng: Random, at: Vector, metal):
    """The diskette holder over the deck: plate with a round window, slots, brass rivets, folded rims and springs."""
    x, y, z = at
    wide, long = rng.uniform(8.3, 9.2), rng.uniform(7.6, 9.0)
    h, v, bite = wide / 2, long / 2, rng.uniform(1.3, 1.8)
    outline = [(-h, -v), (-h * 0.6, -v), (-h * 0.5, -v + 0.8), (h * 0.5, -v + 0.8), (h * 0.6, -v), (h, -v), (h, v),
               (bite, v), (bite, v - 3.0), (-bite, v - 3.0), (-bite, v), (-h, v)]
    holes: list = [(0, -v * 0.25, rng.uniform(0.5, 1.0)), (-h * 0.7, -v * 0.6, 0.2), (h * 0.72, -v * 0.5, 0.3)]
    if rng.random() < 0.7:
        holes.append([(-h * 0.75, v * 0.1), (-h * 0.4, v * 0.1), (-h * 0.45, v * 0.6), (-h * 0.75, v * 0.75)])
    holes.append(rectangle(h * 0.62, v * 0.3, rng.uniform(0.3, 1.4), rng.uniform(0.8, 2.6)))
    kit.plate(outline, 0.1, at, metal, holes)
    for side in (-1, 1):
        kit.box((0.08, long, 0.6), (x + side * h, y, z - 0.55), metal, 0.01)
    for _ in range(rng.randint(3, 6)):
        spot = (x + rng.choice([-1, 1]) * rng.uniform(0.35, 0.9) * h, y + rng.uniform(-0.85, 0.85) * v, z + 0.1)
        kit.cylinder(rng.uniform(0.16, 0.34),
                     0.1,
                     spot,
                     kit.metal(rng.choice(["#c8a24a", "#b98a5a", "#b9bcc0"]), 0.3),
                     0.02,
                     sides=24)
    for _ in range(2):
        sx = x + rng.choice([-0.75, 0.75]) * h
        sy = y + rng.uniform(-0.5, 0.3) * v
        _spring(kit, (sx, sy, z + 0.22), (sx + rng.uniform(-1.0, 1.0), sy + rng.uniform(1.2, 2.4), z + 0.22))
    kit.plate([(0, 0), (2.2, 0.3), (2.6, 1.1), (1.2, 0.9), (0.4, 2.2),
               (-0.3, 2.0)], 0.08, (x + rng.choice([-3.6, 1.6]), y + v * 0.35, z + 0.16), metal, [(0.3, 0.4, 0.15)],
              (0, 0, rng.uniform(-40, 40)))


def open_35(kit: Kit, rng: Random):
    """A 3.5" drive without its lid: tray, deck, hub or diskette holder, head carriage, stepper, springs, board."""
    width, depth, height = 10.16, rng.uniform(13.2, 14.8), rng.uniform(1.9, 2.7)
    metal = _sheet(kit, rng)
    tall = height * rng.uniform(0.75, 1.0)
    _sides(kit, rng, width, depth, tall, metal)
    deck = rng.uniform(0.55, 0.9)
    hub = (rng.uniform(-0.5, 0.5), rng.uniform(-2.2, -1.0))
    holes: list = [(hub[0] + 4.0, hub[1] - 1.2, rng.uniform(0.2, 0.4)),
                   (hub[0] - 3.8, hub[1] + 0.6, rng.uniform(0.2, 0.5)),
                   rectangle(0, 3.2, 2.2, 3.4), (-3.5, rng.uniform(2.5, 4), rng.uniform(0.5, 0.9)),
                   rectangle(3.6, rng.uniform(2, 4), 1.2, 2.2), (3.4, -5.4, rng.uniform(0.3, 0.7)),
                   (-3.2, -5.2, rng.uniform(0.2, 0.5))]
    kit.box((width - 0.5, depth * rng.uniform(0.85, 1.0), 0.16), (0, 0, 0.1), kit.pcb(rng.choice(BOARDS)), 0.01)
    kit.surface_mount((-4.5, 2, 4.5, depth * 0.46), 0.26, 10)
    kit.plate(rectangle(0, 0, width - 0.1, depth - 0.3), 0.1, (0, 0, deck), metal, holes)
    bright = kit.metal(rng.choice(["#c9c8c4", "#bcbcb8", "#d0cec6"]), 0.3)
    if rng.random() < 0.55:
        reliefs = [(hub[0], -0.6, 6.6, rng.uniform(4.5, 6.5),
                    0.1)] if rng.random() < 0.5 else [(2.2, 0.2, 2.4, 3, 0.15), (-2.6, -2.6, 2.5, 1.5, -0.05)]
        _pressed(kit, rng.uniform(7.2, 8.6), rng.uniform(7.5, 9), reliefs, (0, hub[1] - 0.2, deck + 0.3),
                 bright if rng.random() < 0.6 else metal, 0.2)
        kit.cylinder(1.9, 0.02, (*hub, deck + 0.41), _dark(kit), 0)
        _rotor(kit, rng, rng.uniform(1.2, 1.8), (*hub, deck + 0.42))
        for _ in range(rng.randint(2, 6)):
            kit.cylinder(rng.uniform(0.2, 0.6),
                         0.02, (rng.choice([-1, 1]) * rng.uniform(2.4, 3.4), rng.uniform(-5, 1.5), deck + 0.31),
                         _dark(kit), 0)
    else:
        kit.cylinder(1.3, 0.5, (*hub, deck), kit.plastic("#2a2220"))
        _lift_plate(kit, rng, (0, hub[1] - 0.2, deck + rng.uniform(0.7, 1.1)), metal if rng.random() < 0.5 else bright)
    x = hub[0] + rng.uniform(-0.3, 0.3)
    _carriage(kit, rng, (x, rng.uniform(2.6, 3.6), deck + 0.25))
    side = rng.choice([-1, 1])
    _stepper(kit, rng, (x + side * rng.uniform(0.2, 2.0), depth / 2 - 1.7, deck + 0.9), rng.uniform(2.4, 3.4))
    if rng.random() < 0.7:
        _board(kit, rng, rng.uniform(1.2, 2.0), rng.uniform(2, 3),
               (side * -3.6, rng.uniform(2.5, 4.5), deck + rng.uniform(0.2, 1.2)), 1)
    for _ in range(rng.randint(4, 8)):
        spot = (rng.choice([-1, 1]) * rng.uniform(3.6, 4.6), rng.uniform(-0.46, 0.46) * depth, deck + 0.1)
        kit.screw(rng.uniform(0.2, 0.3),
                  spot,
                  kit.metal(rng.choice(["#c8a24a", "#b8904a", "#b9bcc0", "#8a8a86"])),
                  head=rng.choice(["phillips", "slot"]))
    for sx in (-1, 1):
        size = (0.6, rng.uniform(1, 2.4), rng.uniform(0.4, 1.0))
        kit.box(size, (sx * (width / 2 - 0.5), rng.uniform(-3, 4), deck + 0.1),
                kit.plastic(rng.choice(["#151516", "#d8d6cc", "#151516"])), 0.05)
    for _ in range(rng.randint(3, 7)):
        size = (rng.uniform(0.4, 1.8), rng.uniform(0.3, 1.6), rng.uniform(0.3, 1.1))
        spot = (rng.choice([-1, 1]) * rng.uniform(2.2, 4.2), rng.uniform(0.25, 0.45) * depth, deck + 0.1)
        tone = kit.plastic(rng.choice(["#17171a", "#1d1c1c", "#17171a", "#e0ddd0"])) if rng.random() < 0.7 else bright
        kit.box(size, spot, tone, 0.05)
        if rng.random() < 0.5:
            kit.screw(0.2, (spot[0], spot[1], spot[2] + size[2]), kit.metal(rng.choice(["#c8a24a", "#b9bcc0"])))
    for sx in (-1, 1):
        if rng.random() < 0.6:
            _spring(kit, (sx * 4.2, rng.uniform(-3, -1), deck + 0.4), (sx * 4.2, rng.uniform(0.5, 2), deck + 0.4))
    for _ in range(rng.randint(0, 4)):
        kit.capacitor((rng.choice([-1, 1]) * rng.uniform(2.6, 4.4), rng.uniform(0.3, 0.45) * depth, 0.26), 0.25,
                      rng.uniform(0.8, 1.2), rng.choice(["#1a4fb0", "#17181c", "#2a7fa8"]))
    _wall(kit, rng, width, height * 0.5, (0, depth / 2, 0), 0, metal, 3)
    if rng.random() < 0.4:
        _front_35(kit, rng, width, height + 0.1, -depth / 2, rng.choice(BEZELS), None)
    wired = rng.random() < 0.35
    if wired:
        _pins(kit, rng, 17, (-1, depth / 2 - 0.4, 0.2))
        rng.choice([_ribbon, _ribbon, _power])(kit, rng, (-1, depth / 2 + 0.1, 0.2))
    _pose(kit, rng, 1.0 if wired else 0.85)


def _belly(kit: Kit, rng: Random, width: float, depth: float, height: float, metal):
    """The lower side of a 3.5" drive, facing up at ``height``: plate, spindle motor, circuit board, screws."""
    colour, reach, radius = rng.choice(BOARDS), rng.uniform(0.38, 0.6), rng.uniform(2.0, 3.2)
    z = height - rng.uniform(0.5, 0.8)
    spindle = (rng.uniform(-0.8, 0.8), -depth * 0.5 + rng.uniform(4.0, 5.0))
    holes = [(*spindle, radius + 0.25), (-3.9, -5.6, 0.3), (3.8, -5.7, 0.45), rectangle(3.9, -depth * 0.12, 0.9, 2.2),
             (-4.1, -2, 0.3)]
    kit.plate(rectangle(0, 0, width - 0.1, depth - 0.1), 0.1, (0, 0, z - 0.35), metal, holes)
    board = (0, depth / 2 - depth * reach / 2 - 0.1, z - 0.2)
    _board(kit, rng, width - rng.uniform(0.3, 1.2), depth * reach, board, rng.randint(3, 6), colour)
    plate = kit.pcb(rng.choice([colour, colour, "#6b4a20"])) if rng.random() < 0.7 else kit.metal("#b9bab6")
    kit.plate(rounded(radius * 2 + 1.4, radius * 2 + 0.8, 0.6), 0.12, (*spindle, z - 0.3), plate)
    if rng.random() < 0.35:  # without its rotor: the coils lie open
        for i in range(9):
            a = 2 * pi * i / 9
            spot = (spindle[0] + radius * 0.72 * cos(a), spindle[1] + radius * 0.72 * sin(a), z - 0.18)
            kit.ring(radius * 0.22, radius * 0.1, 0.22, spot, kit.metal("#b8693a", 0.35), sides=24)
        kit.cylinder(radius * 0.3, 0.4, (*spindle, z - 0.18), kit.metal("#c8a24a"))
    else:
        _rotor(kit, rng, radius, (*spindle, z - 0.18))
    for sx in (-1, 1):
        for sy in (-0.46, 0.05):
            kit.screw(0.25, (sx * (width / 2 - 0.5), sy * depth, z - 0.25), kit.metal(rng.choice(["#c8a24a",
                                                                                                  "#b9bcc0"])))
    bridge = [(2.4, spindle[1] + radius * 0.9 + t * 1.6, z + 0.05 + 0.35 * sin(t * pi)) for t in (0, .25, .5, .75, 1)]
    _strip(kit, bridge, 1.3, kit.material(rng.choice(["#c9c7bd", "#a86a1c", "#e8e6de"]), 0.35))
    if rng.random() < 0.4:
        kit.label((rng.uniform(1.6, 3), 1.0), (rng.uniform(-2, 1), spindle[1] - radius - 0.9, z - 0.24),
                  ["FD-05HF", f"{rng.randint(1000, 99999)}"])


def underside_35(kit: Kit, rng: Random):
    """A 3.5" drive seen on its circuit board and flat spindle motor, the cut frame around them."""
    width, depth, height = 10.16, rng.uniform(13.0, 14.6), rng.choice([2.5, 2.5, 1.9, 3.0])
    metal = _sheet(kit, rng)
    _sides(kit, rng, width, depth, height, metal)
    kit.box((width - 0.4, depth - 0.6, height - 1.5), (0, 0, 0.2), _dark(kit), 0)
    _belly(kit, rng, width, depth, height, metal)
    _pins(kit, rng, 17, (1.2, depth / 2 - 0.4, height - 0.75))
    kit.box((1.2, 0.9, 0.55), (-3.6, depth / 2 - 0.3, height - 0.7), kit.plastic("#e2dfd2"), 0.03)
    flipped = kit.group((0, 0, height), (0, 180, 0))
    if rng.random() < 0.75:
        _front_35(flipped, rng, width, height + 0.05, -depth / 2, rng.choice(BEZELS), None)
    if _pose(kit, rng, 0.9):
        _lid(flipped, rng, width, depth, height, metal)


# ---- 5.25" -----------------------------------------------------------------------------------------------------------
def _front_525(kit: Kit, rng: Random, width: float, height: float, y: float, colour: str):
    """A 5.25" bezel whose back face stands at ``y``: wide slot, middle recess, turning latch, light."""
    front, thick = kit.group((0, y, 0)), rng.uniform(0.6, 1.0)
    plastic = front.plastic(colour)
    slot, half, mid = height * rng.uniform(0.5, 0.64), width / 2 - 0.5, rng.uniform(1.6, 3.2)
    dip = min(height * 0.28, 1.3)
    hole = [(-half, slot - 0.16), (-mid, slot - 0.16), (-mid + 0.4, slot - dip), (mid - 0.4, slot - dip),
            (mid, slot - 0.16), (half, slot - 0.16), (half, slot + 0.16), (mid, slot + 0.16),
            (mid - 0.3, slot + dip * 0.6), (-mid + 0.3, slot + dip * 0.6), (-mid, slot + 0.16), (-half, slot + 0.16)]
    outline = [(px, py + height / 2) for px, py in rounded(width, height, 0.12)]
    front.plate(outline, thick, (0, 0, 0), plastic, [hole], (90, 0, 0), 0.04)
    front.box((2 * mid, 0.1, dip * 1.7), (0, -0.06, slot - dip), plastic, 0)
    front.box((2 * half, 0.14, 0.24), (0, -0.08, slot - 0.12), _dark(front), 0)
    lever = plastic if rng.random() < 0.7 else front.plastic(rng.choice(["#1b1b1c", "#d9d0ba", "#8a8a86"]))
    if rng.random() < 0.75:
        x, turn = rng.choice([0, mid * 0.8, mid * 0.8, mid + 0.8]), rng.choice([0, 90, 90, rng.uniform(0, 90)])
        latch = front.group((x, -thick + 0.1, slot), (0, turn, 0))
        latch.cylinder(0.62, 0.5, (0, 0, 0), lever, 0.08, (90, 0, 0))
        latch.plate([(-0.4, -0.45), (1.6, -0.35), (2.2, -0.45), (2.6, -0.1), (2.5, 0.4), (1.5, 0.3), (-0.4, 0.45)],
                    0.45, (0, -0.42, 0), lever, (), (90, 0, 0), 0.08)
    else:
        front.box((2 * mid * 0.8, 0.5, height * 0.2), (0, -thick - 0.05, slot + 0.1), lever, 0.1,
                  (rng.uniform(0, 25), 0, 0))
    lamp = front.material(rng.choice(["#7a1a18", "#c01a1e", "#1e3a2e", "#2f8a3a"]), 0.2, glow=rng.choice([0, 0, 1.5]))
    front.box((rng.choice([0.3, 0.7]), 0.06, 0.25),
              (-half + rng.uniform(0.4, 1.2), -thick, height * rng.choice([0.2, 0.78])), lamp, 0.02)
    if rng.random() < 0.4:
        front.text(rng.choice([*BRANDS, "HIGH DENSITY", "1.2", "A", "B"]), 0.3,
                   (half - 1.5, -thick - 0.006, height * 0.2),
                   front.ink("#5a564c" if sum(bytes.fromhex(colour[1:])) > 240 else "#b8b8b4"), (90, 0, 0))


def _pulley(kit: Kit, rng: Random, at: Vector, motor: Vector):
    """The spindle's belt wheel, the motor's small one, and the flat belt around both."""
    x, y, z = at
    radius = rng.uniform(2.8, 3.6)
    wheel = rng.choice(
        [kit.plastic("#e4e1d6"),
         kit.plastic("#1a1a1b"),
         kit.metal("#c6c6c2", 0.3),
         kit.metal("#b3b4b2", 0.4)])
    kit.lathe([(0, 0), (radius, 0), (radius, 0.6), (radius - 0.2, 0.6), (radius - 0.3, 0.35), (1.0, 0.35), (0.9, 0.65),
               (0, 0.65)], at, wheel)
    bars = 30
    kit.boxes([((0.14, 0.14, 0.004),
                (x + (radius - 0.9) * cos(2 * pi * i / bars), y + (radius - 0.9) * sin(2 * pi * i / bars), z + 0.35))
               for i in range(bars)], kit.ink("#1a1a1b"))
    kit.screw(0.25, (x, y, z + 0.65))
    kit.cylinder(0.55, 0.8, motor, kit.metal("#c8a24a"), 0.05)
    kit.cylinder(1.5, 0.1, (motor[0], motor[1], motor[2] - 0.15), kit.metal("#9a9b98", 0.4))
    heading = atan2(motor[1] - y, motor[0] - x)

    def arc(cx: float, cy: float, r: float, start: float, sweep: float, steps: int) -> list[tuple[float, float]]:
        angles = [heading + start + sweep * k / steps for k in range(steps + 1)]
        return [(cx + r * cos(a), cy + r * sin(a)) for a in angles]

    belt = arc(x, y, radius * 1.02, 1.3, 2 * pi - 2.6, 16) + arc(motor[0], motor[1], 0.58, -1.3, 2.6, 5)
    n = len(belt)
    vertices = [(px, py, pz) for pz in (z + 0.12, z + 0.5) for px, py in belt]
    kit.mesh(vertices, [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)], material=kit.rubber(), name="belt")


def _clamp(kit: Kit, rng: Random, at: Vector, body):
    """The clamping hub on its sprung arm between the two diskette rails."""
    x, y, z = at
    rail = kit.plastic("#1a1a1b") if rng.random() < 0.5 else body
    for sx in (-1, 1):
        kit.box((1.5, 10, 0.5), (x + sx * 5.6, y, z), rail, 0.05)
    kit.box((rng.uniform(8, 11.4), rng.uniform(1.6, 2.6), 0.12), (x, y, z + 0.5), body, 0.03)
    tone = rng.choice([kit.plastic("#e4e1d6"), kit.plastic("#1a1a1b"), kit.metal("#bcbcb8")])
    kit.cylinder(2.2, 0.35, (x, y, z + 0.6), tone, 0.08, top=1.7)
    kit.ring(1.3, 1.1, 0.4, (x, y, z + 0.6), _dark(kit))
    kit.cylinder(0.6, 0.5, (x, y, z + 0.6), kit.metal("#b9bab6"))
    kit.screw(0.3, (x, y, z + 1.1))


def drive_525(kit: Kit, rng: Random):
    """A 5.25" drive, half or full height: bezel with latch, cast or folded body, board, mechanism or belt wheel up."""
    width, depth, height = 14.6, rng.uniform(17.0, 20.0), rng.choice([4.1, 4.1, 4.1, 8.2])
    body = _sheet(kit, rng) if rng.random() < 0.5 else kit.material(
        rng.choice(["#a8a8a4", "#b8b7b1", "#8f908d"]), 0.55, metallic=0.8, grain=0.4, bump=0.25)
    side = rng.choice(["board", "board", "mechanism", "pulley", "pulley"])
    _sides(kit, rng, width, depth, height - rng.uniform(0.1, 0.8), body)
    deck = height - 1.5
    kit.box((width - 0.4, depth - 0.6, deck - 0.7), (0, 0, 0.6), _dark(kit), 0)
    kit.plate(rectangle(0, 0, width - 0.1, depth - 0.1), 0.15, (0, 0, deck), body,
              [(5.2, -6.5, 0.4), (-5.4, -5, 0.6),
               rectangle(-5.6, 3, 1, 3), rectangle(5.6, 5, 1, 2.4)])
    _wall(kit, rng, width, height * 0.7, (0, depth / 2, 0), 0, body, 3)
    hub = (0, -depth / 2 + rng.uniform(6.5, 7.5))
    if side == "board":
        long = depth * rng.choice([rng.uniform(0.35, 0.45), rng.uniform(0.75, 0.92)])
        _board(kit, rng, width - rng.uniform(0.6, 2), long, (0, depth / 2 - long / 2 - 0.3, height - 0.75),
               rng.randint(6, 10))
        if long < depth / 2:
            _clamp(kit, rng, (*hub, deck + 0.15), body)
    elif side == "mechanism":
        _clamp(kit, rng, (*hub, deck + 0.15), body)
        _carriage(kit, rng, (0, hub[1] + 5.5, deck + 0.2))
        kit.cylinder(1.9, 1.4, (rng.choice([-3.8, 3.8]), depth / 2 - 3.4, deck + 0.15), kit.metal("#3a3a3a", 0.4), 0.1)
        _spring(kit, (-4.3, hub[1] - 2, deck + 0.75), (-4.3, hub[1] + 1, deck + 0.75), 0.2)
        _board(kit, rng, 6, 3.4, (rng.choice([-3, 3]), depth / 2 - 8, deck + 0.2), 2)
    else:
        _pulley(kit, rng, (*hub, deck + 0.2), (rng.choice([-4.8, 4.8]), hub[1] + rng.uniform(4.5, 6), deck + 0.2))
        long = depth * rng.uniform(0.3, 0.42)
        _board(kit, rng, width - 1, long, (0, depth / 2 - long / 2 - 0.2, height - 0.8), rng.randint(4, 7))
        kit.label((rng.uniform(2, 3.5), 1.6), (rng.choice([-4.8, 4.8]), hub[1] - 3, deck + 0.15),
                  [rng.choice(BRANDS), "MD5501"])
        for sx in (-1, 1):
            kit.box((0.8, rng.uniform(2, 6), 0.5), (sx * 6.4, hub[1] + rng.uniform(-2, 2), deck + 0.15),
                    kit.plastic("#1a1a1b"))
    for _ in range(5):
        spot = (rng.choice([-1, 1]) * rng.uniform(4.5, 6.6), rng.uniform(-0.45, 0.3) * depth, deck + 0.15)
        kit.screw(0.3,
                  spot,
                  kit.metal(rng.choice(["#c8a24a", "#b9bcc0", "#55575a"])),
                  head=rng.choice(["phillips", "slot"]))
    _front_525(kit, rng, width + 0.2, height + 0.1, -depth / 2, rng.choice(BEIGE + ["#1b1b1c"] * 4 + ["#8f8e88"]))
    kit.plate(rectangle(0, 0, 4.6, 2.0), 0.16, (1.5, depth / 2 + 0.6, height * 0.55), kit.pcb(BOARDS[0]))
    kit.boxes([((0.14, 0.9, 0.01), (-0.5 + i * 0.254, depth / 2 + 1.1, height * 0.55 + 0.16)) for i in range(17)],
              kit.metal("#d4a94a"))
    if rng.random() < 0.25:
        _ribbon(kit, rng, (1.5, depth / 2 + 0.9, height * 0.5))
    elif _pose(kit, rng, 0.75):
        _board(kit.group((0, 0, 0.6), (180, 0, 0)), rng, width - 0.6, depth - 1, (0, 0, 0), 6)


# ---- slim ------------------------------------------------------------------------------------------------------------
def _usb_cable(kit: Kit, rng: Random, at: Vector, colour: str):
    """A round cable from the back over the table to a USB plug."""
    x, y, z = at
    jacket = kit.plastic(colour, 0.45)
    kit.cylinder(0.32, 1.1, at, jacket, 0.05, (-90, 0, 0), top=0.22)
    points, angle, px, py = [(x, y + 0.9, z)], radians(90 + rng.uniform(-25, 25)), x, y + 0.9
    bend = rng.uniform(-0.5, 0.5)
    for step in range(7):
        px, py = px + 2.1 * cos(angle), py + 2.1 * sin(angle)
        points.append((px, py, 0.2 if step else z * 0.5 + 0.1))
        angle += bend + rng.uniform(-0.25, 0.25)
    kit.wire(points, 0.2, jacket)
    if rng.random() < 0.6:
        before = points[-2]
        heading = atan2(py - before[1], px - before[0])
        plug = kit.group((px, py, 0), (0, 0, heading * 180 / pi))
        plug.box((2.2, 1.5, 0.75), (1, 0, 0), jacket, 0.12)
        plug.box((1.9, 1.2, 0.45), (2.9, 0, 0.15), plug.metal("#c3c4c4", 0.25), 0.02)
        plug.box((0.04, 1.0, 0.2), (3.85, 0, 0.3), plug.plastic(rng.choice(["#e8e8e4", "#1a1a1a"])), 0)


def usb_35(kit: Kit, rng: Random):
    """A slim external USB drive, or the bare laptop module it holds, perhaps with a diskette in it or on it."""
    width, depth, bare = rng.uniform(9.8, 10.6), rng.uniform(12.6, 14.6), rng.random() < 0.2
    height = rng.uniform(1.2, 1.4) if bare else rng.uniform(1.5, 2.0)
    colour = rng.choice(
        ["#17181a", "#1c1d1f", "#232428", "#e6e5e0", "#c9c9c6", "#8f9194", "#5a5d62", "#b4b6b8", "#2a4a86"])
    loaded = rng.choice([None, None, None, 0.1, 2.5, 3.5, 5.0])
    if bare:
        metal = _sheet(kit, rng)
        _sides(kit, rng, width, depth, height - 0.1, metal)
        kit.box((width - 0.3, depth - 0.2, height - 0.3), (0, 0, 0.1), _dark(kit), 0)
        _lid(kit, rng, width, depth, height, metal)
        flex = kit.material(rng.choice(["#c9c7bd", "#a86a1c"]), 0.35)
        _strip(kit, [(2, depth / 2 - 0.2 + t * 3, 0.1 + (height - 0.4) * (1 - t)**2) for t in (0, .2, .4, .6, .8, 1)],
               1.6, flex)
    else:
        shell = kit.material(colour, rng.uniform(0.25, 0.55), metallic=rng.choice([0, 0, 0, 0.6]), bump=0.06)
        corner = rng.uniform(0.3, 1.4)
        outline = rounded(width, depth, corner)
        if rng.random() < 0.6:  # a bite for the finger in the middle of the front edge
            bite, back = rng.uniform(1.2, 2.4), -depth / 2 + rng.uniform(0.35, 0.8)
            outline[18:18] = [(-bite, -depth / 2), (-bite * 0.8, back), (bite * 0.8, back), (bite, -depth / 2)]
        kit.plate(outline, height, (0, 0, 0), shell, bevel=rng.uniform(0.06, 0.2))
        kit.plate(rounded(width + 0.02, depth + 0.02, corner), 0.04, (0, 0, height * rng.uniform(0.3, 0.4)),
                  _dark(kit))
        style = rng.randrange(5)
        if style == 0:
            kit.plate(rounded(width * 0.8, depth * 0.8, 0.5), 0.05, (0, 0, height), shell, bevel=0.02)
        elif style == 1:
            kit.boxes([((width * 0.7, 0.12, 0.04), (0, depth * (0.2 + 0.025 * i), height)) for i in range(7)], shell)
        elif style == 2:
            other = kit.plastic(rng.choice(["#a8aaac", "#2a2b2e", "#d8d8d4", "#1d4fa0"]), 0.35)
            kit.plate(rounded(width * 0.94, depth * 0.3, 0.4), 0.04, (0, -depth * 0.3, height), other)
        elif style == 3:  # it lies upside down: feet and type plate
            for sx in (-1, 1):
                for sy in (-1, 1):
                    kit.cylinder(0.45, 0.12, (sx * width * 0.4, sy * depth * 0.41, height), kit.rubber())
            kit.label((5.5, 3.4), (0, rng.uniform(-2, 2), height),
                      ["USB FLOPPY DRIVE", rng.choice(BRANDS), "DC 5V 500mA"],
                      colour=rng.choice(["#f2f1ec", "#c9c9c6"]))
        ink = kit.ink("#c8c8c6" if sum(bytes.fromhex(colour[1:])) < 330 else "#4a4c50")
        if style != 3:
            kit.text(rng.choice([*BRANDS, "USB FDD", "FLOPPY DRIVE", "USB 2.0"]), rng.uniform(0.35, 0.8),
                     (0, rng.uniform(-0.3, 0.3) * depth, height + 0.05), ink)
        if rng.random() < 0.6:
            _usb_cable(kit, rng, (rng.uniform(-2.5, 2.5), depth / 2 - 0.1, height / 2),
                       colour if rng.random() < 0.5 else rng.choice(["#161616", "#d8d8d4"]))
    front, slot = -depth / 2, height * rng.uniform(0.55, 0.7)
    face = kit.plastic(colour if rng.random() < 0.7 else rng.choice(["#1b1b1c", "#cfc5a8", "#9b9a94"]))
    kit.box((width * 0.97, 0.3, height * 0.92), (0, front, height * 0.04), face, 0.06)
    kit.box((9.2, 0.06, 0.4), (0, front - 0.14, slot - 0.2), _dark(kit), 0)
    bx = rng.choice([-1, 1, 1]) * rng.uniform(2.6, 3.8)
    kit.box((1.5, 0.35, 0.35), (bx, front - 0.15, 0.2), face, 0.06)
    kit.box((0.4, 0.05, 0.14), (-bx, front - 0.15, 0.3), kit.material("#2f8a3a", 0.2, glow=rng.choice([0, 2.0])), 0)
    if loaded is not None:
        _diskette(kit, rng, (0, front + 4.6 - loaded, slot - 0.16))
    elif rng.random() < 0.5:
        _diskette(kit, rng, (rng.uniform(-1, 1), rng.uniform(-1.5, 1.5), height + 0.08),
                  (0, 0, rng.choice([0, 180, rng.uniform(-40, 40)])))
    elif bare:
        _pose(kit, rng, 0.7)


# ---- in a computer ---------------------------------------------------------------------------------------------------
def _grid(kit: Kit, rng: Random, width: float, height: float, at: Vector, material):
    """A ventilated panel facing −y: rows of round, six-sided or long openings."""
    pitch, holes = rng.uniform(0.75, 1.0), []
    kind = rng.choice(["round", "hex", "slots"])
    rows, columns = int(height * 0.85 / (pitch * 0.87)), int(width * 0.92 / pitch)
    for row in range(rows):
        z = height / 2 + (row - (rows - 1) / 2) * pitch * 0.87
        if kind == "slots":
            holes.append(rectangle(0, z, width * 0.86, pitch * 0.4))
            continue
        for column in range(columns - row % 2):
            x = (column - (columns - 1 - row % 2) / 2) * pitch
            sides = 6 if kind == "hex" else 12
            holes.append([(x + pitch * 0.38 * cos(2 * pi * (k + 0.5) / sides),
                           z + pitch * 0.38 * sin(2 * pi * (k + 0.5) / sides)) for k in range(sides)])
    outline = [(px, py + height / 2) for px, py in rounded(width, height, 0.1)]
    kit.plate(outline, 0.25, at, material, holes, (90, 0, 0))
    kit.box((width * 0.95, 0.1, height * 0.9), (at[0], at[1] + 0.25, at[2] + height * 0.05), _dark(kit), 0)


def in_computer(kit: Kit, rng: Random):
    """A piece of a computer's front with one or two drives, blank bays and vents; it lies on its back, leans or
    stands, and from behind the drives' cans are seen."""
    colour = rng.choice(BEIGE * 2 + ["#1b1b1c", "#232324", "#2c2c2e", "#d8d6d0", "#8f8f8c"] * 2)
    case, drives = kit.plastic(colour), BEIGE + [colour, colour, colour, "#1b1b1c", "#e4e2dc"]
    width, z, gap, pose = rng.uniform(16, 20), 0.9, rng.uniform(0.15, 0.9), rng.random()
    metal, upright = _sheet(kit, rng), pose > 0.8
    bays = rng.choice([["35"], ["35", "35"], ["35", "525"], ["525", "35"], ["35", "blank", "vent"], ["vent", "35"],
                       ["vent", "525", "vent", "35"], ["blank", "35", "blank"], ["vent", "35", "buttons"],
                       ["buttons", "35", "blank"]])
    for bay in bays:
        height = {"35": 2.6, "525": 4.2, "blank": rng.choice([2.6, 4.2]), "vent": rng.uniform(3, 6), "buttons": 3}[bay]
        if bay == "35":
            x = rng.choice([0, rng.choice([-1, 1]) * (width / 2 - 6.2)])
            _front_35(kit.group((x, -0.25, z)), rng, 10.3, 2.6, 0, rng.choice(drives),
                      rng.choice([None, None, None, None, 0.1]))
            if upright:
                _sides(kit.group((x, 7.3, z)), rng, 10.1, 14, 2.4, metal)
                _lid(kit.group((x, 7.3, z)), rng, 10.1, 14, 2.5, metal)
            rest = width - 1.2 - 10.6
            for side in (-1, 1):
                free = rest / 2 + side * -x
                if free > 0.3:
                    kit.box((free, 0.5, height), (side * (width / 2 - 0.6 - free / 2), -0.3, z), case, 0.04)
        elif bay == "525":
            _front_525(kit.group((0, -0.25, z)), rng, 14.8, 4.2, 0, rng.choice(drives))
            if upright:
                kit.box((14.4, 18, 3.9), (0, 9.3, z), metal, 0.05)
        elif bay == "blank":
            kit.box((14.8, rng.uniform(0.4, 0.9), height), (0, -0.3, z), case, 0.08)
            if rng.random() < 0.5:
                kit.box((5, 0.1, 0.5), (0, -0.75, z + 0.2), _dark(kit), 0.02)
        elif bay == "vent":
            _grid(kit, rng, width - 1.4, height, (0, -0.3, z), case)
        else:
            kit.cylinder(0.8, 0.9, (4, 0, z + 1.5), kit.plastic(rng.choice(["#d9d0ba", "#2a2a2c", "#8a8a86"])), 0.1,
                         (90, 0, 0))
            for i, lamp in enumerate(["#2f8a3a", "#b02020"]):
                kit.box((0.5, 0.1, 0.2), (-3 + i * 1.2, -0.5, z + 1.4),
                        kit.material(lamp, 0.2, glow=rng.choice([0, 2.0])), 0.02)
            kit.box((width - 1.4, 0.4, height), (0, -0.2, z), case, 0.05)
        z += height + gap
    for side in (-1, 1):
        kit.box((0.7, 1.2, z + 0.5), (side * (width / 2 - 0.3), -0.3, 0), case, 0.15)
    for low in (0, z - 0.4):
        kit.box((width, 1.2, 0.9), (0, -0.3, low), case, 0.15)
    kit.plate([(px, py + z / 2 + 0.25) for px, py in rectangle(0, 0, width - 0.4, z)], 0.1, (0, 0.3, 0), metal, (),
              (90, 0, 0))
    if not upright:
        kit.box((width - 0.3, rng.uniform(2, 6), z + 0.3), (0, 3.2, 0.1), rng.choice([case, case, metal]), 0.1)
    turn = -90 if pose < 0.45 else -rng.uniform(30, 80) if pose < 0.8 else 0
    kit.rotate((turn, 0, 0))
    if turn > -90:
        kit.root["front"] = -90  # degrees: nobody photographs a computer's drives from behind


VARIANTS = {
    "closed_35": closed_35,
    "open_35": open_35,
    "underside_35": underside_35,
    "drive_525": drive_525,
    "usb_35": usb_35,
    "in_computer": in_computer
}
