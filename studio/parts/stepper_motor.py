"""Stepper motors: 28BYJ-48 cans, NEMA 17 and 23 blocks, older tin cans, and motors next to their drivers.

Every motor is built standing on its back, shaft along +z and wires towards −y; ``Kit.settled`` lays it on the table.
"""
from __future__ import annotations

from functools import partial
from math import cos, pi, radians, sin

from mathutils import Vector

from ..outlines import arc, chamfered, eared, rounded
from ..wiring import ahead, harness, plug

BYJ_WIRES = ["#e06a12", "#c4161c", "#e86fa0", "#e8c400", "#1c55b0"]
PHASES = [["#141414", "#1f8a3c", "#c4161c", "#1c55b0"], ["#c4161c", "#1c55b0", "#1f8a3c", "#141414"],
          ["#c4161c", "#e8b400", "#1c55b0", "#141414"], ["#e06a12", "#f2f2f2", "#1c55b0", "#c4161c"]]
BLACK, WHITE = "#18191b", "#ecebe4"


# ---- fittings ------------------------------------------------------------------------------------------------------
def shaft(kit, radius: float, length: float, at, material, flats: int = 0):
    """A shaft whose upper two thirds are milled flat on one or two sides."""
    if not flats:
        return kit.cylinder(radius, length, at, material, 0.02, sides=32)
    kit.cylinder(radius, length * 0.35, at, material, 0, sides=32)
    if flats == 1:
        outline = arc(0, 0, radius, -130, 130)
    else:
        outline = arc(0, 0, radius, -37, 37) + arc(0, 0, radius, 143, 217)
    kit.plate(outline, length * 0.65, (at[0], at[1], at[2] + length * 0.35), material, bevel=0.015)


def gear(kit, radius: float, teeth: int, height: float, at, material):
    """A spur gear."""
    outline = []
    for i in range(teeth):
        for part, depth in ((0.0, 0.86), (0.2, 1.0), (0.5, 1.0), (0.7, 0.86)):
            a = 2 * pi * (i + part) / teeth
            outline.append((radius * depth * cos(a), radius * depth * sin(a)))
    kit.prism(outline, height, at, material)


def fitting(kit, rng, z: float, bore: float):
    """Something pushed onto the shaft whose free part starts at ``z``: pulley, gear, coupler or lead screw."""
    kind = rng.choice(["pulley", "pulley", "pulley", "gear", "coupler", "screw", "hub"])
    alloy = kit.metal(rng.choice(["#c8cacc", "#c8cacc", "#c8a24a", "#2a2b2e", "#a8262a"]), 0.3)
    if kind == "pulley":
        r, h = max(0.62, bore * 1.9), 0.72
        kit.cylinder(r * 1.25, 0.65, (0, 0, z + 0.2), alloy, 0.03)
        kit.cylinder(0.13, 0.02, (r * 1.25, 0, z + 0.52), kit.material("#101012", 0.6), 0, (0, 90, 0), sides=16)
        gear(kit, r, 20, h, (0, 0, z + 0.85), alloy)
        kit.cylinder(r * 1.25, 0.1, (0, 0, z + 0.85 + h), alloy, 0.02)
        kit.cylinder(bore, 0.25, (0, 0, z + 1.0 + h), kit.metal(), 0.02, sides=24)
    elif kind == "gear":
        printed = rng.random() < 0.5
        r = rng.uniform(1.0, 2.2) if printed else bore * rng.uniform(1.6, 2.4)
        skin = kit.plastic(rng.choice(["#e8641a", "#f0efe9", "#1a1a1c", "#2b6fc0"]), 0.5) if printed else alloy
        gear(kit, r, int(10 + r * 9), rng.uniform(0.6, 1.1), (0, 0, z + 0.6), skin)
        kit.cylinder(max(r * 0.45, bore * 1.5), 0.5, (0, 0, z + 0.3), skin, 0.03)
    elif kind == "coupler":
        r = bore * 3.6
        kit.cylinder(r, 2.5, (0, 0, z + 0.5), alloy, 0.05)
        for i in range(5):
            kit.ring(r * 1.004, r * 0.9, 0.07, (0, 0, z + 1.2 + i * 0.24), kit.material("#1a1a1c", 0.6),
                     (rng.uniform(3, 5), 0, 0))
        if rng.random() < 0.6:
            thread(kit, bore * 1.5, rng.uniform(4, 10), z + 2.9, kit.metal())
    elif kind == "screw":
        tall = rng.uniform(6, 14)
        thread(kit, bore * 1.55, tall, z, kit.metal("#aeb0b2", 0.3))
        nut, brass = z + tall * rng.uniform(0.25, 0.8), kit.metal("#c8a24a", 0.3)
        kit.cylinder(bore * 4.4, 0.35, (0, 0, nut), brass)
        kit.cylinder(bore * 2.1, 1.4, (0, 0, nut - 0.8), brass)
    else:
        kit.cylinder(bore * 4.4, 0.3, (0, 0, z + 0.9), alloy)
        kit.cylinder(bore * 2.2, 0.9, (0, 0, z + 0.4), alloy)


def thread(kit, radius: float, length: float, z: float, material):
    """A lead screw, as stacked ridges."""
    count = int(length / 0.2)
    ridges = [(radius * (1.0 if i % 2 else 0.82), z + length * i / (2 * count)) for i in range(2 * count + 1)]
    kit.lathe([(0, z), *ridges, (0, z + length)], (0, 0, 0), material, sides=24)


# ---- 28BYJ-48 ------------------------------------------------------------------------------------------------------
def byj_body(kit, rng, cap: str, printed: bool):
    """The motor itself: can, eared front plate, off-centre shaft, plastic cap, print on its back."""
    tin = kit.metal(rng.choice(["#b9bdbe", "#c4c8c9", "#a6abad", "#b5b3a8"]), rng.uniform(0.28, 0.42))
    kit.lathe([(0, 0.04), (1.15, 0.04), (1.2, 0), (1.34, 0), (1.4, 0.08), (1.4, 1.85), (0, 1.85)], (0, 0, 0), tin)
    kit.plate(eared(1.4, 1.75, 0.36, False), 0.09, (0, 0, 1.81), tin,
              [(1.75, 0, 0.21), (-1.75, 0, 0.21)], bevel=0.015)
    dark = kit.material("#2a2b2c", 0.6)
    for a in (20, 160, 250, 290):
        kit.cylinder(0.09, 0.012, (1.15 * cos(radians(a)), 1.15 * sin(radians(a)), 1.9), rng.choice([tin, dark]), 0,
                     sides=16)
    kit.cylinder(0.46, 0.16, (0, 0.8, 1.88), tin, 0.04)
    shaft(kit, 0.25, rng.uniform(0.8, 1.0), (0, 0.8, 2.02), kit.metal("#c8a24a", 0.25), 2)
    skin = kit.plastic(cap, 0.35)
    kit.box((1.46, 0.75, 1.62), (0, -1.35, 0.14), skin, 0.06)
    kit.box((1.76, 0.5, 1.2), (0, -1.17, 0.14), skin, 0.06)
    if printed:
        ink = kit.ink(rng.choice(["#1d6b4e", "#1a1a1c", "#1c3f8a", "#2c5a50"]))
        lines = [rng.choice(["STEP MOTOR", "STEPPER MOTOR", "MOTOR", "KIATRONICS"]),
                 rng.choice(["28BYJ-48", "28BYJ48", "28BYJ-48"]), rng.choice(["5V DC", "12V DC", "DC 5V", "1/64 5V"]),
                 rng.choice(["", f"No.{rng.randint(10000, 99999)}", f"{rng.randint(2011, 2023)}-10"])]
        for i, line in enumerate(lines):
            kit.text(line, 0.22 if i < 3 else 0.16, (0, -0.55 + i * 0.38, 0.037), ink, (180, 0, 0))


def uln_board(kit, rng):
    """The ULN2003 driver board that is sold with the 28BYJ-48."""
    top = kit.circuit_board(3.2, 3.6, 0.25, rng.choice(["#0f5a2c", "#2f6b3a", "#10357a", "#123f94", "#0e0f10"]))
    kit.box((1.9, 0.66, 0.35), (0, -0.1, top), kit.plastic("#17181a", 0.45), 0.03)
    kit.text("ULN2003AN", 0.2, (0, -0.1, top + 0.36), kit.ink("#9a9a96"))
    for i in range(8):
        for side in (-1, 1):
            kit.box((0.07, 0.08, 0.3), ((i - 3.5) * 0.22, -0.1 + side * 0.37, top), kit.metal("#c6c8ca"), 0)
    kit.box((1.5, 0.6, 0.7), (0, -1.05, top), kit.plastic(WHITE, 0.4), 0.04)
    kit.box((1.3, 0.42, 0.01), (0, -1.05, top + 0.7), kit.material("#8d8a82", 0.8), 0)
    glow, lit = rng.choice(["#c81e1e", "#c81e1e", "#3fae4a", "#f0f0ea"]), rng.random() < 0.3
    for i in range(4):
        kit.led((-1.1 + i * 0.42, 0.75, top), glow, 0.14, lit and rng.random() < 0.5)
        kit.text("ABCD"[i], 0.14, (-1.1 + i * 0.42, 0.5, top))
    kit.pin_header(4, (-0.6, 1.4, top))
    kit.pin_header(4, (1.3, 0.1, top), 90, colour=rng.choice(["#141414", "#e8b400"]))
    kit.surface_mount((0.5, 0.5, 1.1, 1.2), top, 5)


def byj(kit, rng, board: bool | None = None):
    """One 28BYJ-48 with its five wires: shaft up, leaning on its shaft with the print up, or on its side."""
    cap = rng.choice(["#1f5fc4", "#2a72d8", "#1a4fae", "#2f86d6", "#e9e9e4", "#9a9c9e"])
    up = rng.choice(["shaft", "shaft", "back", "side"])
    roll, tilt = {"shaft": (0, 0), "back": (180, 180 - rng.uniform(0, 24)),
                  "side": (rng.choice([90, 180, 270]) + rng.uniform(-8, 8), 90)}[up]
    with kit.settled(roll, tilt, rng.uniform(0, 360)) as motor:
        byj_body(kit, rng, cap, rng.random() < 0.9)
    frame = motor.matrix_basis
    start, out = frame @ Vector((0, -1.7, 0.9)), frame.to_3x3() @ Vector((0, -1, 0))
    board = rng.random() < 0.4 if board is None else board
    length = rng.uniform(3, 6) if board else rng.uniform(3.5, 8.5)
    bend = rng.uniform(-90, 90) if board else None  # a tighter bend could lead the board back into the motor
    end = harness(kit, start, out, BYJ_WIRES, length, rng.uniform(0.055, 0.075), bend)
    plug(kit, end, 5)
    if board:
        with kit.settled(0, 0, end[2] + 90 + rng.uniform(-25, 25), ahead(end, 2.6)):
            uln_board(kit, rng)


# ---- NEMA 17 and 23 ------------------------------------------------------------------------------------------------
def nema_print(rng, size: float) -> list[str]:
    """What a NEMA motor's label says."""
    frame = 17 if size < 5 else 23
    return [rng.choice(["STEPPER MOTOR", "STEP MOTOR", "Hybrid Stepper", "2-PHASE STEPPING", "STEPPING MOTOR"]),
            f"{frame}HS{rng.randint(13, 99)}{rng.choice(['01', '-1504S', '-2004', '-0404', 'S1'])}",
            f"1.8 deg {rng.choice(['1.7A', '0.4A', '1.5A', '2.8A', '12V'])}",
            f"S/N {rng.randint(100000, 999999)}"][:rng.randint(2, 4)]


def nema_caps(kit, rng, size: float, length: float):
    """Lamination block between two end caps, with screws, holes and boss; returns the z of the boss."""
    s = size / 4.23
    alloy = kit.metal(rng.choice(["#bfc2c4", "#b4b7ba", "#cacccd", "#a9aaa8"]), rng.uniform(0.3, 0.5))
    black = kit.material(BLACK, rng.uniform(0.35, 0.6), bump=0.1)
    front = alloy if rng.random() < 0.75 else black
    rear = black if front is black or rng.random() < 0.35 else alloy
    steel = kit.material("#3a3b3d", 0.45, metallic=0.7) if rng.random() < 0.2 else black
    cap, cut = min(0.9 * s, length * 0.28), rng.uniform(0.25, 0.5) * s
    kit.prism(chamfered(size, cut), cap, (0, 0, 0), rear, bevel=0.03)
    kit.prism(chamfered(size * 0.985, cut * rng.uniform(1.3, 2.2)), length - 2 * cap, (0, 0, cap), steel)
    kit.prism(chamfered(size, cut), cap * 0.8, (0, 0, length - cap * 0.8), front, bevel=0.03)
    kit.prism(chamfered(size * 0.99, cut * 1.5), cap * 0.2, (0, 0, length - cap), front)
    far, dark = size * (0.366 if size < 5 else 0.418), kit.material("#121214", 0.7)
    bolt = rng.choice([kit.metal("#c4c6c8"), kit.material("#1c1c1e", 0.4, metallic=0.6)])
    for x in (-far, far):
        for y in (-far, far):
            kit.cylinder(0.2 * s, 0.01, (x, y, length), dark, 0, sides=20)
            kit.ring(0.28 * s, 0.2 * s, 0.012, (x, y, length), kit.metal(), sides=20)
            kit.cylinder(0.28 * s, 0.05, (x, y, -0.05), bolt, 0.02, sides=24)
            kit.cylinder(0.13 * s, 0.01, (x, y, -0.055), dark, 0, sides=6)
    kit.cylinder(0.34 * s, 0.012, (0, 0, -0.012), dark, 0)
    boss = 1.1 if size < 5 else 1.9
    kit.lathe([(boss, length), (boss, length + 0.17), (boss - 0.05, length + 0.2), (boss * 0.62, length + 0.2),
               (boss * 0.6, length + 0.1), (0, length + 0.1)], (0, 0, 0), alloy)
    kit.ring(boss * 0.55, boss * 0.36, 0.03, (0, 0, length + 0.09), kit.material("#26272a", 0.5))
    if rear is black and rng.random() < 0.8:
        for i, line in enumerate(nema_print(rng, size)):
            kit.text(line, 0.24 * s, (0, (-1.35 + 0.42 * i) * s, -0.005), kit.ink("#c9c9c4"), (180, 0, 0))
    return length + 0.1


def nema_label(kit, rng, size: float, length: float):
    """A sticker or print on one side of the block, along or across it, and now and then on the back."""
    side, turned = rng.choice([1, 2, 3]), rng.random() < 0.5 or length < 3
    a = radians(90 * side - 90)
    at = (size / 2 * cos(a), size / 2 * sin(a), length * 0.5)
    wide, tall = (min(size * 0.8, 3.6), min(length * 0.55, 2.2)) if turned else (min(length * 0.75, 4), size * 0.5)
    paper, ink = rng.choice([(WHITE, "#16161a"), (WHITE, "#1c3f8a"), ("#c9cbcc", "#16161a"), (BLACK, "#dededa")])
    kit.label((wide, tall), at, nema_print(rng, size), (90, 0 if turned else 90, 90 * side), paper,
              rng.random() < 0.4, ink)
    if rng.random() < 0.3:
        kit.cylinder(size * 0.3, 0.015, (0, 0, -0.02), kit.ink(rng.choice([WHITE, "#1c4fa0", "#c9b23a"])), 0)
        for i, line in enumerate(nema_print(rng, size)):
            kit.text(line, 0.2, (0, -0.4 + 0.32 * i, -0.024), kit.ink("#2a2a2e"), (180, 0, 0))


def nema_socket(kit, size: float):
    """The connector socket, or grommet, at the rear of the −y side."""
    body, hollow = kit.plastic(WHITE, 0.4), kit.material("#5a574e", 0.8)
    kit.box((1.7, 0.5, 0.6), (0, -size / 2 - 0.2, 0.12), body, 0.04)
    kit.box((1.45, 0.02, 0.42), (0, -size / 2 - 0.451, 0.21), hollow, 0)
    for i in range(6):
        kit.box((0.06, 0.04, 0.06), ((i - 2.5) * 0.2, -size / 2 - 0.47, 0.4), kit.metal("#d4b25a"), 0)


def nema_holder(kit, rng, size: float, length: float):
    """An L bracket of metal or printed plastic under the +x side, sometimes on an aluminium profile."""
    printed = rng.random() < 0.5
    skin = (kit.plastic(rng.choice(["#e8641a", "#e8641a", "#1a1a1c", "#d8d8d4", "#2b6fc0", "#c42a2a"]), 0.55) if printed
            else kit.metal(rng.choice(["#c2c4c6", "#2a2b2d"]), 0.4))
    thick, wide = (0.5, size + 0.8) if printed else (0.3, size + 0.5)
    far, boss = size * (0.366 if size < 5 else 0.418), (1.15 if size < 5 else 1.95)
    spots = [(x, y, 0.17) for x in (-far, far) for y in (-far, far)]
    kit.plate(rounded(wide, wide, 0.2), thick, (0, 0, length), skin, [(0, 0, boss), *spots], bevel=0.03)
    for x, y, _ in spots:
        kit.screw(0.28, (x, y, length + thick), head="hex")
    foot, deep = wide / 2 - thick / 2, rng.uniform(0.7, 1.1) * 5
    kit.box((thick, wide, deep), (foot, 0, length + thick - deep), skin, 0.05)
    if rng.random() < 0.4:
        long, x = rng.uniform(7, 11), wide / 2 + 1
        slot = [(0.3, 1), (0.3, 0.8), (0.55, 0.8), (0.25, 0.45), (-0.25, 0.45), (-0.55, 0.8), (-0.3, 0.8), (-0.3, 1)]
        outline = []
        for quarter in range(4):
            c, s = cos(-pi / 2 * quarter), sin(-pi / 2 * quarter)
            outline += [(px * c - py * s, px * s + py * c) for px, py in [(-1, 1), *slot[::-1]]]
        rail = kit.metal(rng.choice(["#c6c9cb", "#c6c9cb", "#232426"]), 0.35)
        kit.prism(outline, long, (x, rng.uniform(-1, 1), length - long * rng.uniform(0.4, 0.7)), rail)


def nema_body(kit, rng, size: float, length: float, up: str, holder: bool = False):
    """The complete motor. With its back up it has no visible shaft, because it has to stand on its face."""
    s = size / 4.23
    z = nema_caps(kit, rng, size, length)
    if rng.random() < 0.7:
        nema_label(kit, rng, size, length)
    nema_socket(kit, size)
    if holder:
        nema_holder(kit, rng, size, length)
    bore, steel = (0.25 if size < 5 else rng.choice([0.32, 0.4])), kit.metal("#b9bcc0", 0.22)
    if up == "back" and not holder:
        return
    if rng.random() < (0.35 if size > 5 else 0.08):
        tall, r, skin = rng.uniform(2.5, 5) * s, size * 0.46, kit.metal(rng.choice(["#bfc2c4", "#3a3b3d"]), 0.35)
        kit.prism(chamfered(size, 0.3), 0.5, (0, 0, length), skin, bevel=0.03)
        kit.cylinder(r, tall, (0, 0, length + 0.5), skin, 0.08)
        for share in (0.2, 0.75):
            kit.ring(r * 1.01, r * 0.95, 0.06, (0, 0, length + 0.5 + tall * share), kit.material("#2a2b2d", 0.6))
        kit.cylinder(r * 0.6, 0.3, (0, 0, length + 0.5 + tall), skin, 0.05)
        z, bore = length + 0.7 + tall, bore * 1.5
    shaft(kit, bore, rng.uniform(1.9, 2.5) * s, (0, 0, z), steel, rng.choice([0, 1]))
    if rng.random() < 0.35:
        fitting(kit, rng, z, bore)
    if size > 5 and up == "lying" and rng.random() < 0.4:
        kit.cylinder(size * rng.uniform(0.3, 0.42), rng.uniform(1.2, 2.2), (0, 0, -2.2), kit.plastic(BLACK, 0.5), 0.1)
        kit.box((1.4, 1.0, 1.0), (0, -size * 0.38, -1.5), kit.plastic(BLACK, 0.5), 0.06)
        kit.cylinder(size * 0.25, 1.0, (0, 0, -1.0), kit.plastic(BLACK, 0.5), 0)


def nema(kit, rng, size: float, length: float, wires: bool | None = None):
    """A square motor standing, lying or on its face, with or without its cable; returns the cable's far end."""
    up, holder = rng.choice(["shaft", "shaft", "lying", "lying", "back"]), rng.random() < 0.22
    up = "lying" if holder else up
    roll = 270 if holder else rng.choice([90, 180, 270])
    roll, tilt = {"shaft": (0, 0), "lying": (roll, 90), "back": (0, 180)}[up]
    with kit.settled(roll, tilt, rng.uniform(0, 360)) as motor:
        nema_body(kit, rng, size, length, up, holder)
    frame = motor.matrix_basis
    if not (rng.random() < 0.7 if wires is None else wires):
        return None
    start, out = frame @ Vector((0, -size / 2 - 0.4, 0.4)), frame.to_3x3() @ Vector((0, -1, 0))
    if rng.random() < 0.5:
        with kit.moved() as inside:  # the motor: the housing is pushed into its socket
            inside.matrix_basis = frame
            kit.box((1.4, 0.5, 0.4), (0, -size / 2 - 0.55, 0.22), kit.plastic(WHITE, 0.4), 0.04)
    thick = 0.075 if size < 5 else 0.1
    sleeve = rng.choice([0, 0, 0.6, 0.85]) if size < 5 else rng.choice([0, 0.6, 0.85, 0.85])
    tinned = rng.random() < 0.4
    end = harness(kit, start, out, rng.choice(PHASES), rng.uniform(1.0, 2.4) * size, thick, sleeve=sleeve,
                  bend=rng.uniform(-90, 90) if wires else None, tinned=tinned,
                  turns=0 if sleeve else rng.choice([0, 0, 3]))
    if not tinned:
        plug(kit, end, rng.choice([4, 6]), rng.choice([WHITE, "#151515"]))
    return end


def nema17(kit, rng):
    """A NEMA 17, from pancake to long."""
    nema(kit, rng, 4.23, rng.choice([rng.uniform(2.0, 2.6), rng.uniform(3.3, 4.1), rng.uniform(3.8, 4.8),
                                     rng.uniform(4.8, 6)]))


def nema23(kit, rng):
    """A NEMA 23."""
    nema(kit, rng, 5.64, rng.uniform(4.4, 9.5))


# ---- tin cans ------------------------------------------------------------------------------------------------------
def can_body(kit, rng, r: float, tall: float, pinion: bool):
    """An older permanent-magnet motor: two stacked cups, eared flange, round label on its back, pinion in front."""
    tin = kit.metal(rng.choice(["#b0b4b5", "#a3a59f", "#bdb9a4", "#c2c6c8"]), rng.uniform(0.3, 0.45))
    skin = rng.choice([tin, tin, tin, kit.material("#1c1d1f", 0.45, metallic=0.4)])
    mid = tall * rng.uniform(0.45, 0.55)
    kit.lathe([(0, 0), (r - 0.08, 0), (r, 0.08), (r, mid - 0.03), (r * 0.97, mid), (r, mid + 0.03), (r, tall),
               (0, tall)], (0, 0, 0), skin)
    ear, reach = rng.uniform(0.4, 0.55), r * rng.uniform(1.18, 1.3) + 0.1
    kit.plate(eared(r * 1.02, reach, ear, rng.random() < 0.7), 0.12, (0, 0, tall - 0.02), tin,
              [(reach, 0, ear * 0.45), (-reach, 0, ear * 0.45)], bevel=0.015)
    bush = kit.metal(rng.choice(["#c8a24a", "#b9bcc0"]))
    kit.cylinder(r * rng.uniform(0.22, 0.4), 0.18, (0, 0, tall + 0.1), bush, 0.03)
    bore = rng.uniform(0.1, 0.16) * r ** 0.5
    shaft(kit, bore, rng.uniform(1.0, 1.8), (0, 0, tall + 0.2), kit.metal("#b9bcc0", 0.25))
    if pinion:
        metal = kit.metal("#c8a24a", 0.3) if rng.random() < 0.6 else kit.plastic(rng.choice(["#efeee8", "#1a1a1c"]))
        gear(kit, bore * rng.uniform(2.2, 3.2), rng.randint(10, 18), rng.uniform(0.5, 0.9), (0, 0, tall + 0.5), metal)
    kit.box((r * 0.9, 0.4, tall * 0.55), (0, -r - 0.05, tall * 0.2), kit.plastic(rng.choice([WHITE, BLACK, "#2a2b2d"])),
            0.05)
    maker = rng.choice(["MINEBEA", "SANYO", "MITSUMI", "Airpax", "NMB", "TEC", "SAIA", "COPAL"])
    lines = [maker, "STEPPING MOTOR", f"{rng.choice(['PM', 'SR', 'P'])}{rng.randint(20, 55)}-{rng.randint(20, 99)}",
             f"{rng.choice([5, 12, 24])}V {rng.choice(['7.5', '15', '3.6', '18'])} deg", "MADE IN JAPAN"]
    paper = rng.choice([None, None, WHITE, "#d8d3ad", "#c9cbcc"])
    if paper:
        kit.cylinder(r * 0.85, 0.012, (0, 0, -0.013), kit.ink(paper), 0)
    for i, line in enumerate(lines[:rng.randint(3, 5)]):
        kit.text(line, r * 0.12, (0, r * (-0.5 + 0.24 * i), -0.017), kit.ink("#16161a"), (180, 0, 0))
    if rng.random() < 0.5:
        kit.label((r * 1.3, tall * 0.35), (r * 0.99, 0, tall * 0.3), lines[:2], (90, 0, 90), WHITE, False)


def linear_body(kit, rng, r: float, tall: float):
    """A small drive motor from a printer or disk drive: can, steel bracket, lead screw."""
    tin, steel = kit.metal("#bcc0c2", 0.35), kit.metal(rng.choice(["#b4b8ba", "#c4c2b0"]), 0.4)
    long = rng.uniform(3, 8)
    kit.lathe([(0, 0), (r - 0.05, 0), (r, 0.05), (r, tall), (0, tall)], (0, 0, 0), tin)
    kit.ring(r * 1.01, r * 0.9, 0.06, (0, 0, tall * 0.5), kit.material("#2a2b2d", 0.6))
    kit.plate(rounded(2.3 * r, 2.3 * r, 0.15), 0.1, (0, 0, tall), steel, [(r * 0.9, r * 0.9, 0.12)])
    kit.box((0.1, 2.0 * r, long + 0.2), (r * 1.15, 0, tall), steel, 0.02)
    kit.box((r * 1.6, 1.6 * r, 0.1), (r * 0.4, 0, tall + long + 0.1), steel, 0.02)
    thread(kit, rng.uniform(0.12, 0.2), long, tall + 0.1, kit.metal("#c2c5c8", 0.2))
    if rng.random() < 0.6:
        slider = kit.plastic(rng.choice(["#efeee8", "#1a1a1c", "#2a6a48"]))
        kit.box((r, r * 1.5, 0.9), (0, 0, tall + long * rng.uniform(0.2, 0.7)), slider, 0.05)
    kit.box((r, 0.25, tall * 0.6), (0, -r, tall * 0.2), kit.plastic(rng.choice([WHITE, BLACK, "#b8741c"])), 0.03)


def round_can(kit, rng):
    """A round tin-can stepper, or a lead-screw stepper from a drive."""
    if rng.random() < 0.25:
        r, tall = rng.uniform(0.75, 1.3), rng.uniform(0.9, 1.8)
        up, build = "lying", partial(linear_body, kit, rng, r, tall)
    else:
        r = rng.uniform(1.7, 2.8)
        tall = r * rng.uniform(0.6, 1.2)
        up, pinion = rng.choice(["shaft", "shaft", "back", "back", "lying"]), rng.random() < 0.55
        build = partial(can_body, kit, rng, r, tall, pinion)
    roll, tilt = {"shaft": (0, 0), "lying": (rng.choice([90, 180, 270]), 90),
                  "back": (180, 180 - rng.uniform(0, 20))}[up]
    with kit.settled(roll, tilt, rng.uniform(0, 360)) as motor:
        build()
    frame = motor.matrix_basis
    start, out = frame @ Vector((0, -r - 0.2, tall * 0.5)), frame.to_3x3() @ Vector((0, -1, 0))
    colours = rng.sample(["#c4161c", "#141414", "#e8b400", "#e06a12", "#1c55b0", "#f2f2f2", "#7a4a21"],
                         rng.choice([4, 4, 5, 6]))
    tinned = rng.random() < 0.5
    end = harness(kit, start, out, colours, rng.uniform(4, 9), rng.uniform(0.055, 0.08), tinned=tinned,
                  turns=rng.choice([0, 0, 2]))
    if not tinned:
        plug(kit, end, len(colours), rng.choice([WHITE, WHITE, "#151515", "#a8262a"]))


# ---- drivers -------------------------------------------------------------------------------------------------------
def carrier(kit, rng, x: float = 0, z: float = 0.85):
    """An A4988-like carrier on its two headers, with a finned heat sink."""
    board = kit.pcb(rng.choice(["#a51417", "#a51417", "#4a1c7a", "#0d5a2c", "#10357a", "#0e0f10"]))
    kit.box((1.52, 2.03, 0.16), (x, 0, z), board, 0.01)
    for side in (-1, 1):
        kit.pin_header(8, (x + side * 0.63, 0, z - 0.25), 90)
        kit.box((0.2, 2.0, 0.02), (x + side * 0.63, 0, z + 0.16), kit.metal("#d4c89a"), 0)
    kit.chip((0.5, 0.5, 0.1), (x, 0.1, z + 0.16), pins=6, sides=4)
    kit.surface_mount((x - 0.4, -0.9, x + 0.4, -0.5), z + 0.16, 4)
    kit.screw(0.16, (x, 0.8, z + 0.16))
    if rng.random() < 0.65:
        fin = kit.metal(rng.choice(["#c4c7c9", "#1d4fa8", "#26272a"]), 0.35)
        for i in range(4):
            kit.box((0.1, 0.9, 0.5), (x + (i - 1.5) * 0.24, 0.1, z + 0.27), fin, 0.01)
        kit.box((0.9, 0.9, 0.12), (x, 0.1, z + 0.22), fin, 0.01)


def shield(kit, rng):
    """A red or black shield with up to three carriers, capacitors and a terminal."""
    top = kit.circuit_board(6.8, 5.3, 0.6, rng.choice(["#a51417", "#a51417", "#0e0f10", "#10357a"]))
    for i in range(3):
        for side in (-1, 1):
            kit.pin_header(8, (-1.9 + i * 1.9 + side * 0.63, 0.5, top), 90, female=True)
        kit.capacitor((-1.9 + i * 1.9, -1.3, top), 0.3, 0.7, rng.choice(["#17181c", "#20407a", "#c8cacc"]))
        kit.pin_header(4, (-1.9 + i * 1.9, 2.2, top))
        kit.text("XYZ"[i], 0.3, (-1.3 + i * 1.9, -1.3, top))
        if rng.random() < 0.7:
            carrier(kit, rng, -1.9 + i * 1.9, top + 1.1)
    kit.screw_terminal(2, (2.6, -2.0, top), colour=rng.choice(["#1d5fb8", "#1f8a3c"]))


def driver_box(kit, rng):
    """A TB6600-like driver: aluminium base, black cover with a label, green plug terminals."""
    kit.box((9.6, 5.6, 0.4), (0, 0, 0), kit.metal("#b8bbbd", 0.4), 0.03)
    kit.box((8.0, 5.5, 2.9), (0, 0, 0.3), kit.plastic(rng.choice([BLACK, BLACK, "#2a2b2d", "#1c4fa0"]), 0.45), 0.08)
    kit.label((6.8, 4.2), (0, 0.4, 3.2), [rng.choice(["TB6600", "DM542", "DRV8825", "M542"]), "Stepper Motor Driver",
                                          "9-42V DC  4.0A", "ON OFF ON OFF ON"], (0, 0, 0),
              rng.choice(["#f2f1ec", "#2a2b2d", "#d8b820"]), False, rng.choice(["#16161a", "#b01a1a"]))
    kit.screw_terminal(12, (0, -2.5, 1.0), 0, "#1f8a3c", 0.6)


def with_driver(kit, rng):
    """A motor next to its driver, joined by its wires."""
    kind = rng.choice(["uln", "uln", "carrier", "shield", "box"])
    if kind == "uln":
        return byj(kit, rng, True)
    end = nema(kit, rng, 4.23, rng.uniform(2.2, 4.8), True)
    build, gap = {"carrier": (carrier, 1.8), "shield": (shield, 3.8), "box": (driver_box, 5.0)}[kind]
    with kit.settled(0, 0, end[2] + 90 + rng.choice([0, 180]), ahead(end, gap)):
        build(kit, rng)


VARIANTS = {
    "byj48": byj,
    "nema17": nema17,
    "nema23": nema23,
    "round_can": round_can,
    "with_driver": with_driver,
}
