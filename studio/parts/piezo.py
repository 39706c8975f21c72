"""Piezo elements: bare discs, black buzzers, flanged cases, buzzer modules, and buzzers on breadboards."""
from __future__ import annotations

from math import atan2, cos, degrees, pi, sin

from mathutils import Vector

from ..kit import shade
from ..outlines import arc, chamfered, eared
from ..wiring import harness, plug

RED_BLACK = ["#c4161c", "#141414"]
BRASS = ["#d0a848", "#c8a24a", "#d8b656", "#cda23e", "#c8a24a", "#b9bcb8"]
BOARDS = ["#10357a", "#10357a", "#a51417", "#0e0f10", "#0d4a24", "#123f94"]


def leads(kit, rng, start, out, roots=None, scale: float = 1.0):
    """A red and a black wire, loose or twisted, that end bare or in a housing."""
    tinned, twist = rng.random() < 0.6, rng.choice([0, 0, 0, rng.uniform(2, 5)])
    colours = RED_BLACK if rng.random() < 0.85 else rng.choice([["#7a4a21", "#1c55b0"], ["#f2f2f2", "#141414"],
                                                                ["#e8b400", "#141414"], ["#c4161c", "#1c55b0"]])
    end = harness(kit, start, out, colours, rng.uniform(3, 8) * scale, rng.uniform(0.04, 0.065), roots=roots,
                  turns=twist, tinned=tinned, sleeve=rng.choice([0, 0, 0, 0, 0.35]))
    if not tinned:
        plug(kit, end, 2, rng.choice(["#ecebe4", "#ecebe4", "#151515", "#a8262a"]))


# ---- bare discs ----------------------------------------------------------------------------------------------------
def disc_body(kit, rng, r: float, inner: float, soldered: bool, taped: bool):
    """A brass disc with a silvered ceramic disc, perhaps with a feedback tongue, solder where wires start, or tape."""
    aged = rng.random() < 0.35
    brass = kit.material(rng.choice(["#a5873f", "#8f6f3c", "#7d7350"] if aged else BRASS),
                         rng.uniform(0.35, 0.5) if aged else rng.uniform(0.22, 0.4), metallic=1.0,
                         grain=0.7 if aged else 0.35, bump=0.04)
    ceramic = kit.material(rng.choice(["#cfc6ae", "#c4bda8", "#b5ab90"]), 0.6)
    silver = kit.material(rng.choice(["#d9d8d2", "#cdccc6", "#e4e3dd", "#bfc3c6"]), 0.45, metallic=0.45, grain=0.35)
    tin = kit.metal("#c6c9ca", 0.22)
    kit.cylinder(r, 0.035, (0, 0, 0), brass, 0.006, sides=80)
    kit.cylinder(inner, 0.022, (0, 0, 0.034), ceramic, 0.004, sides=80)
    kit.cylinder(inner * rng.uniform(0.9, 0.96), 0.003, (0, 0, 0.056), silver, 0, sides=80)
    if rng.random() < 0.4:
        for grow, z, skin in ((1.0, 0.0585, ceramic), (0.8, 0.0605, silver)):
            head, neck = inner * 0.2 * grow, inner * 0.1 * grow
            tongue = [(neck, -inner * 0.93), *arc(0, 0, head, -60, 240), (-neck, -inner * 0.93)]
            kit.plate(tongue, 0.002, (0, 0, z), skin)
    if soldered:
        kit.blob(r * 0.09 + 0.05, (0.1 * r, -inner * 0.7, 0.06), tin)
        kit.blob(r * 0.07 + 0.05, (-0.25 * r, -(inner + r) * 0.47, 0.035), tin)
    if taped:
        tape = rng.choice([kit.clear("#e8dfc4"), kit.plastic("#141414", 0.3), kit.ink("#e6dcb8"),
                           kit.plastic("#1c4fa0")])
        kit.box((r * 1.3, r * 0.8, 0.02), (0, -r * 0.75, 0.14), tape, 0.005, (0, 0, rng.uniform(-15, 15)))


def disc_one(kit, rng, r: float, at, heading: float):
    """One disc, either side up or now and then on its edge, with or without wires."""
    inner = r * rng.uniform(0.58, 0.78)
    wired = rng.random() < 0.68
    soldered = wired or rng.random() < 0.15
    tilt = rng.choice([0] * 14 + [180] * 3 + [rng.uniform(65, 85)])
    taped = tilt == 0 and rng.random() < 0.12
    with kit.settled(0, tilt, heading, at) as body:
        disc_body(kit, rng, r, inner, soldered, taped)
    if wired:
        frame = body.matrix_basis
        roots = [frame @ Vector((0.1 * r, -inner * 0.7, 0.08)), frame @ Vector((-0.25 * r, -(inner + r) * 0.47, 0.06))]
        out = frame.to_3x3() @ Vector((0.1, -1, 0))
        start = frame @ Vector((0, -r * 1.05, 0.1))
        leads(kit, rng, (start.x, start.y, max(start.z, 0.1)), out, roots, 0.5 + 0.3 * r)


def disc(kit, rng):
    """One bare disc, or two or three next to each other."""
    count, r = rng.choice([1, 1, 1, 1, 2, 3]), rng.choice([0.6, 0.75, 1.0, 1.35, 1.35, 1.35, 1.75, 2.5])
    r = r if count == 1 else min(r, 1.75)
    for i in range(count):
        size = r * rng.choice([1, 1, 0.75]) if count > 1 else r
        at = (0, 0) if count == 1 else ((i - (count - 1) / 2) * r * 2.3, rng.uniform(-0.5, 0.5) * r)
        heading = rng.uniform(0, 360) if count == 1 else rng.uniform(-35, 35)
        disc_one(kit, rng, size, at, heading)


# ---- buzzers -------------------------------------------------------------------------------------------------------
def buzzer_skin(kit, rng):
    """The housing's plastic: nearly always black, matt or glossy, rarely grey, blue or white."""
    colour = rng.choice(["#141416", "#141416", "#1a1b1d", "#202124", "#26272a"] * 3 + ["#55585c", "#e6e5e0"])
    return kit.material(colour, rng.uniform(0.28, 0.6), bump=rng.choice([0.05, 0.25, 0.5]))


def buzzer_body(kit, rng, r: float, h: float, z: float = 0.0, at=(0, 0), skin=None, seal: float = 0.15):
    """A round housing with a real sound hole in its flat, dished or stepped top; marks, or a washing seal."""
    skin = skin or buzzer_skin(kit, rng)
    hole = r * rng.uniform(0.12, 0.24) if r < 1 else rng.uniform(0.12, 0.28)
    dip, edge = h * rng.choice([0, 0, 0.04, 0.08]), min(0.05, r * 0.08)
    top = [(r, h - edge), (r - edge, h)]
    if dip:
        top += [(r * 0.86, h), (r * 0.82, h - dip)]
    if rng.random() < 0.4:
        top += [(hole * 2.0, h - dip), (hole * 1.8, h - dip + 0.03), (hole * 1.1, h - dip + 0.03)]
    lip = [(r, 0), (r, h * 0.16), (r * 0.965, h * 0.17)] if rng.random() < 0.35 else [(r * 0.98, 0), (r, 0.04)]
    wall = [(r * 0.965, h * 0.9), (r * 0.965, h - edge), (r * 0.93, h), *top[2:]] if lip[0][0] == r else top
    floor = h - min(0.3, h * 0.4)
    place = (at[0], at[1], z)
    kit.lathe([(0, 0.02), *lip, *wall, (hole, h - dip - 0.01), (hole, floor), (0, floor)], place, skin, sides=64)
    inside = kit.material(rng.choice(["#060607", "#060607", "#6b5a30"]), 0.7)
    kit.cylinder(hole * 0.98, 0.01, (at[0], at[1], z + floor), inside, 0, sides=24)
    face = z + h - dip
    if rng.random() < seal:
        paper = kit.ink(rng.choice(["#f2f1ea", "#f2f1ea", "#e8c93a", "#f0e8c8"]))
        kit.cylinder(r * 0.86, 0.012, (at[0], at[1], z + h + 0.002), paper, 0)
        kit.box((r * 0.5, r * 0.5, 0.012), (at[0] + r * 0.85, at[1], z + h + 0.004), paper, 0)
        for i, line in enumerate(("REMOVE SEAL", "AFTER", "WASHING")):
            kit.text(line, r * 0.16, (at[0], at[1] + r * (0.32 - 0.3 * i), z + h + 0.015), kit.ink("#16161a"))
        return
    print_ink = kit.ink("#d8d8d2") if rng.random() < 0.35 else kit.material("#2b2c30", 0.25)
    if rng.random() < 0.7:
        kit.text("+", r * 0.42, (at[0] + r * 0.58, at[1], face), print_ink)
    if rng.random() < 0.4:
        mark = rng.choice(["TMB12A05", "PKM22E", "HXD", "KPEG242", "5V", "3-24V", "HYDZ", "SFM-27", "PS1240"])
        kit.text(mark, r * 0.16, (at[0], at[1] + r * rng.choice([-0.55, 0.55]), face), print_ink)


def buzzer_pins(kit, rng, r: float, length: float):
    """The potted underside with two pins below z = 0."""
    potting = rng.choice(["#1a1b1d", "#3c3f42", "#2f5a3a", "#0f4a2a", "#8a8672"])
    kit.cylinder(r * 0.88, 0.03, (0, 0, 0.0), kit.material(potting, 0.5), 0)
    tin = kit.metal("#c4c6c6", 0.25)
    for side, share in ((-1, 1.0), (1, rng.choice([1.0, 0.75]))):
        kit.cylinder(0.035, length * share, (side * r * 0.6, 0, -length * share), tin, 0.01, sides=12)
        kit.blob(0.09, (side * r * 0.6, 0, 0), tin)


def buzzer_size(rng) -> tuple[float, float]:
    """The radius and height of a common round buzzer: 9–14 mm ones, then the large flat ones."""
    r = rng.choice([0.45, 0.6, 0.6, 0.6, 0.7, 1.1, 1.2, 1.5])
    return r, r * (rng.uniform(1.2, 1.65) if r < 0.65 else rng.uniform(0.5, 1.1))


def buzzer_one(kit, rng, r: float, h: float, at, wired: bool):
    """One buzzer: upright, leaning on its pins, lying, or pins up; a wired one has its leads at the side."""
    length = 0 if wired else rng.uniform(0.35, 0.7)
    pose = rng.choice(["up", "up", "up", "down"] if wired else ["up", "up", "lean", "lean", "lying", "lying", "down"])
    lean = degrees(atan2(length, r)) if length else 0
    roll, tilt = {"up": (0, 0), "lean": (0, lean), "lying": (rng.uniform(0, 360), 90), "down": (0, 180)}[pose]
    with kit.settled(roll, tilt, rng.uniform(0, 360), at) as body:
        buzzer_body(kit, rng, r, h)
        if length and pose != "up":
            buzzer_pins(kit, rng, r, length)
        if wired and rng.random() < 0.5:
            kit.box((0.3, 0.12, 0.25), (0, -r, 0.02), kit.material("#18181a", 0.5), 0.02)
    if wired:
        frame = body.matrix_basis
        start, out = frame @ Vector((0, -r * 0.97, h * 0.15)), frame.to_3x3() @ Vector((0, -1, 0))
        leads(kit, rng, start, out, scale=0.4 + 0.4 * r)


def buzzer(kit, rng):
    """A round black buzzer, now and then several."""
    count, (r, h) = rng.choice([1, 1, 1, 1, 1, 2, 3, 4]), buzzer_size(rng)
    wired = rng.random() < (0.2 if r < 0.65 else 0.55) and count < 3
    for i in range(count):
        angle, far = 2 * pi * i / count + rng.uniform(-0.3, 0.3), 0 if count == 1 else r * (1.1 + 0.45 * count)
        buzzer_one(kit, rng, r, h, (far * cos(angle), far * sin(angle)), wired)


# ---- flanged cases -------------------------------------------------------------------------------------------------
def case_body(kit, rng, r: float, h: float):
    """A thin round case on an eared flange, with one or several sound holes."""
    skin = kit.material(rng.choice(["#141416", "#1a1b1d", "#202124", "#e9e8e2", "#e9e8e2", "#b9b6a8"]),
                        rng.uniform(0.3, 0.55), bump=0.1)
    reach, ear = r * rng.uniform(1.22, 1.42), r * rng.uniform(0.2, 0.3)
    thick = h * rng.uniform(0.25, 0.45)
    kit.plate(eared(r * 1.02, reach, ear, rng.random() < 0.5), thick, (0, 0, 0), skin,
              [(reach, 0, ear * 0.5), (-reach, 0, ear * 0.5)], bevel=0.02)
    step = r * rng.uniform(0.86, 1.0)
    kit.cylinder(step, h - thick * 0.5, (0, 0, thick * 0.5), skin, 0.04, sides=72)
    if rng.random() < 0.5:
        kit.cylinder(step * 0.78, 0.06, (0, 0, h), skin, 0.03)
        h += 0.06
    dark, small = kit.material("#070708", 0.8), r * rng.uniform(0.05, 0.08)
    pattern = rng.choice(["one", "one", "ring", "slots"])
    if pattern == "one":
        kit.cylinder(r * rng.uniform(0.1, 0.17), 0.006, (0, 0, h), dark, 0, sides=32)
        kit.ring(r * 0.24, r * 0.2, 0.025, (0, 0, h), skin)
    elif pattern == "ring":
        for i in range(7):
            far, a = (0 if i == 6 else r * 0.32), pi / 3 * i
            kit.cylinder(small, 0.006, (far * cos(a), far * sin(a), h), dark, 0, sides=16)
    else:
        for i in range(3):
            kit.box((r * 0.6, small, 0.006), (0, (i - 1) * r * 0.25, h), dark, 0)


def enclosed(kit, rng):
    """A flanged case, face up or open side up, with its two wires."""
    r = rng.uniform(1.0, 2.3)
    h = rng.uniform(0.3, 0.45) + r * rng.uniform(0.0, 0.25)
    with kit.settled(0, rng.choice([0, 0, 0, 0, 180]), rng.uniform(0, 360)) as body:
        case_body(kit, rng, r, h)
        kit.cylinder(r * 0.8, 0.02, (0, 0, -0.01), kit.metal(rng.choice(["#c8a24a", "#c8a24a", "#3a3b3d"]), 0.35), 0)
        kit.cylinder(r * 0.5, 0.01, (0, 0, -0.018), kit.material("#d4d3cd", 0.45, metallic=0.4), 0)
    if rng.random() < 0.92:
        frame = body.matrix_basis
        start, out = frame @ Vector((0, -r * 0.99, h * 0.25)), frame.to_3x3() @ Vector((0, -1, 0))
        leads(kit, rng, start, out, scale=0.4 + 0.4 * r)


# ---- surface-mounted -----------------------------------------------------------------------------------------------
def smd_body(kit, rng, w: float, z: float = 0.0, at=(0, 0)):
    """A flat square or cut-cornered black or grey buzzer with its sound hole and silver corner pads."""
    h, cut = w * rng.uniform(0.28, 0.5), w * rng.choice([0.04, 0.04, 0.28])
    colour = rng.choice(["#17181a", "#17181a", "#4c4f54", "#6b6e72", "#85888b"])
    skin = kit.material(colour, rng.uniform(0.35, 0.6), bump=0.2)
    x, y = at
    for sx in (-1, 1):
        for sy in (-1, 1):
            kit.box((w * 0.2, w * 0.16, 0.05), (x + sx * w * 0.47, y + sy * w * 0.36, z), kit.metal("#c9cbcc"), 0.01)
    if rng.random() < 0.3:
        kit.cylinder(w / 2, h, (x, y, z + 0.02), skin, 0.04)
    else:
        kit.prism(chamfered(w, cut), h, (x, y, z + 0.02), skin, bevel=0.02)
    off, dark = rng.choice([0, 0, 0.25]), kit.material("#050506", 0.8)
    kit.cylinder(w * rng.uniform(0.07, 0.16), 0.006, (x + off * w, y + off * w, z + h + 0.02), dark, 0, sides=28)
    if rng.random() < 0.5:
        mark = rng.choice(["CMT-8504", "FUET", "HYG", "5020", "J12", "MLT-8530", "A 21"])
        kit.text(mark, w * 0.13, (x, y - w * 0.3, z + h + 0.02), kit.ink(rng.choice(["#a5a5a0", "#2a2a2c"])))


def smd_board(kit, rng, w: float):
    """A crowded little board with one flat buzzer in its middle."""
    wide, deep = w * rng.uniform(2.2, 3.4), w * rng.uniform(2.0, 2.8)
    top = kit.circuit_board(wide, deep, 0.1, rng.choice(BOARDS), hole=0.12, inset=0.25,
                            holes=wide > 2.2)
    smd_body(kit, rng, w, top)
    kit.surface_mount((-wide * 0.42, -deep * 0.42, -w * 0.75, deep * 0.42), top, 8)
    kit.surface_mount((w * 0.75, -deep * 0.42, wide * 0.42, deep * 0.42), top, 8)
    if rng.random() < 0.5:
        kit.chip((w * 0.6, w * 0.3, 0.12), (0, deep * 0.36, top), pins=6, mark="LM358")
    kit.text(rng.choice(["BZ1", "BUZZER", "LS1", "SP1"]), 0.16, (0, -w * 0.68, top))


def smd(kit, rng):
    """Flat buzzers on a board, or a few alone."""
    w = rng.choice([0.5, 0.85, 0.9, 1.2])
    if rng.random() < 0.6:
        with kit.settled(heading=rng.uniform(0, 360)):
            smd_board(kit, rng, w)
        return
    count = rng.choice([1, 1, 2, 3])
    for i in range(count):
        with kit.settled(0, rng.choice([0, 0, 0, 180]), rng.uniform(0, 360),
                         ((i - (count - 1) / 2) * w * 1.7, rng.uniform(-0.4, 0.4) * w)):
            smd_body(kit, rng, w)


# ---- modules -------------------------------------------------------------------------------------------------------
def module_header(kit, rng, edge: float, top: float, count: int, names):
    """Header pins along the −y edge, lying outward or upright, with their printed names."""
    colour, lying = rng.choice(["#141414", "#141414", "#e8c400", "#1c55b0", "#c4161c"]), rng.random() < 0.6
    kit.pin_header(count, (0, -edge + 0.2, top), 180, lying=lying, colour=colour)
    for i, name in enumerate(names):
        kit.text(name, 0.13, ((i - (count - 1) / 2) * 0.3, -edge + 0.52, top), turn=(0, 0, 90))


def module_board(kit, rng, kind: str):
    """A three-pin, Grove or Qwiic board with its buzzer; returns (width, depth, top), where wires attach."""
    wide, deep = {"pins": rng.choice([(1.6, 3.2), (1.5, 1.9), (2.0, 2.6), (2.4, 2.4), (1.3, 3.4)]),
                  "grove": rng.choice([(2.0, 2.0), (2.0, 4.0)]), "qwiic": (2.54, 2.54)}[kind]
    colour = rng.choice(BOARDS) if kind == "pins" else {"grove": "#123f94", "qwiic": "#b01418"}[kind]
    top = kit.circuit_board(wide, deep, 0.12, colour, hole=0.14, inset=0.22, holes=kind != "pins" or wide > 1.9)
    y = deep * (0.17 if deep / wide > 1.4 else 0.12)
    r = min(wide * 0.42, rng.choice([0.45, 0.6, 0.6, 0.7]))
    if kind == "qwiic" or rng.random() < 0.15:
        y = 0.1
        smd_body(kit, rng, 0.95, top, (0, y))
    else:
        kit.ring(r * 1.1, r * 1.05, 0.003, (0, y, top), kit.ink())
        buzzer_body(kit, rng, r, r * rng.uniform(1.1, 1.75), top, (0, y), seal=0.12)
    kit.surface_mount((-wide * 0.4, -deep * 0.3, wide * 0.4, min(-deep * 0.1, y - r - 0.1)), top, rng.randint(3, 7))
    if kind == "pins":
        count = rng.choice([3, 3, 3, 2, 4])
        names = rng.choice([["GND", "I/O", "VCC"], ["VCC", "I/O", "GND"], ["S", "", "-"], ["+", "-", "S"]])[:count]
        module_header(kit, rng, deep / 2, top, count, names)
    elif kind == "grove":
        kit.box((1.0, 0.55, 0.8), (0, -deep / 2 + 0.3, top), kit.plastic("#ecebe4", 0.4), 0.03)
        kit.box((0.84, 0.02, 0.5), (0, -deep / 2 + 0.02, top + 0.15), kit.material("#8d8a82", 0.8), 0)
    else:
        kit.chip((0.8, 0.4, 0.15), (0, -0.85, top), pins=7)
        for side in (-1, 1):
            kit.box((0.45, 0.65, 0.3), (side * 1.02, 0, top), kit.plastic("#17181a", 0.4), 0.02)
        for i in range(5):
            kit.ring(0.09, 0.05, 0.005, ((i - 2) * 0.254, 1.13, top), kit.metal("#d0d2cf"), sides=16)
    name = rng.choice(["BUZZER", "KY-012", "KY-006", "MH-FMD", "Buzzer v1.2", "BEEP"])
    kit.text(name, 0.12, (0, deep / 2 - 0.34 if kind == "qwiic" else deep / 2 - 0.14, top))
    return wide, deep, top


def module(kit, rng):
    """A buzzer module on the table, perhaps with its wires on."""
    kind = rng.choice(["pins"] * 6 + ["grove", "qwiic"])
    with kit.settled(heading=rng.uniform(0, 360)) as body:
        wide, deep, top = module_board(kit, rng, kind)
    if rng.random() < (0.3 if kind == "pins" else 0.6):
        way = Vector((1, 0, 0)) if kind == "qwiic" else Vector((0, -1, 0))
        reach = {"pins": deep / 2 + 0.3, "grove": deep / 2, "qwiic": wide / 2}[kind]
        colours = {"pins": rng.sample(["#c4161c", "#141414", "#e8b400", "#1c55b0", "#f2f2f2", "#1f8a3c", "#7a4a21"], 3),
                   "grove": ["#c4161c", "#141414", "#f2f2f2", "#e8b400"],
                   "qwiic": ["#141414", "#c4161c", "#1c55b0", "#e8b400"]}[kind]
        frame = body.matrix_basis
        harness(kit, frame @ (way * reach + Vector((0, 0, top + 0.15))), frame.to_3x3() @ way, colours,
                rng.uniform(2, 5), 0.055 if kind == "qwiic" else 0.07)


# ---- breadboards ---------------------------------------------------------------------------------------------------
def breadboard(kit, rng, columns: int, rails: bool, colour: str) -> tuple[float, list[float]]:
    """A piece of breadboard whose holes are one mesh; returns its upper face and its rows' y."""
    pitch, h = 0.254, 0.9
    rows = [0.38 + pitch * i for i in range(5)]
    rows = [-y for y in rows] + rows
    extra = [sign * (1.9 + pitch * i) for sign in (-1, 1) for i in (0.5, 1.5)] if rails else []
    wide, deep = columns * pitch + 0.4, (5.5 if rails else 3.5)
    kit.box((wide, deep, h), (0, 0, 0), kit.plastic(colour, 0.5), 0.04)
    kit.box((wide, 0.3, 0.004), (0, 0, h), kit.material(shade(colour, 0.72), 0.7), 0)
    holes = [((i - (columns - 1) / 2) * pitch, row, 0.11, 0.11) for row in rows + extra for i in range(columns)
             if row in rows or i % 6 != 5]
    dark = kit.material("#1c1b19" if colour == "#f0efea" else "#08080a", 0.8)
    kit.rectangles(holes, 0, dark, (0, 0, h + 0.004))
    if rails:
        for sign in (-1, 1):
            for y, line in ((1.82, "#2a5cc4"), (2.5, "#c8242a")):
                kit.box((wide * 0.96, 0.04, 0.003), (0, sign * y, h), kit.ink(line), 0)
        for i in range(0, columns, 5):
            kit.text(str(i + 1), 0.14, ((i - (columns - 1) / 2) * pitch, 1.6, h), kit.ink("#6a6a68"), (0, 0, 90))
    return h, rows


def jumper(kit, rng, start, away: int, wide: float, deep: float, top: float):
    """A jumper with a black end that arcs off over the board's edge, or a short one to a hole farther ``away`` in x."""
    x, y = start
    colours = ["#c4161c", "#141414", "#e8b400", "#1c55b0", "#1f8a3c", "#e06a12", "#f2f2f2"]
    wire, radius = kit.plastic(rng.choice(colours), 0.4), 0.065
    if rng.random() < 0.4:
        far, peak = Vector((x + away * rng.uniform(0.8, 2.5), y + rng.uniform(-0.6, 0.6), top)), rng.uniform(0.2, 1.2)
        far.x, near, lift = max(-wide * 0.45, min(wide * 0.45, far.x)), Vector((x, y, top)), Vector((0, 0, peak))
        kit.wire([near, near.lerp(far, 0.2) + lift, near.lerp(far, 0.8) + lift, far], radius, wire)
        return
    kit.box((0.24, 0.24, 1.2), (x, y, top + 0.1), kit.plastic("#141414", 0.5), 0.02)
    sx, sy, edge = rng.uniform(-1, 1), (1 if y >= 0 else -1), deep * 0.5
    kit.wire([(x, y, top + 1.2), (x + 0.2 * sx, y + 0.3 * sy, top + 1.9), (x + sx, y + sy * edge * 0.7, top + 1.4),
              (x + 1.7 * sx, sy * (edge + 1.2), 0.3), (x + 2.4 * sx, sy * (edge + 2.4), radius)], radius, wire)


def controller(kit, rng, x: float, top: float):
    """A small microcontroller board across the groove, its USB socket outward."""
    z = top + 0.25
    kit.box((3.6, 1.8, 0.16), (x, 0, z), kit.pcb(rng.choice(["#0e0f10", "#10357a", "#0d4a24", "#a51417"])), 0.02)
    side, tin = (1 if x > 0 else -1), kit.metal("#c6c8ca")
    kit.box((0.6, 0.8, 0.28), (x + side * 1.6, 0, z + 0.16), tin, 0.03)
    kit.chip((0.7, 0.7, 0.12), (x - side * 0.3, 0, z + 0.16), pins=8, sides=4)
    kit.surface_mount((x - 1.4, -0.6, x + 1.0, 0.6), z + 0.16, 9)
    for sy in (-1, 1):
        kit.box((3.4, 0.25, 0.25), (x, sy * 0.76, top), kit.plastic("#141414", 0.5), 0.02)
        for i in range(12):
            kit.cylinder(0.06, 0.06, (x + (i - 5.5) * 0.27, sy * 0.76, z + 0.15), tin, 0.02, sides=10)


def board_body(kit, rng):
    """The breadboard with its buzzer, and what is plugged in next to it."""
    rails, columns = rng.random() < 0.6, rng.randint(14, 24)
    colour = rng.choice(["#f0efea"] * 4 + ["#1c4fb0", "#c4242a", "#1a1a1c", "#2f8a44", "#e8b92a"])
    top, rows = breadboard(kit, rng, columns, rails, colour if not rails else "#f0efea")
    wide, deep = columns * 0.254 + 0.4, 5.5 if rails else 3.5
    r, h = buzzer_size(rng)
    r = min(r, 1.2)
    busy = rng.random() < 0.4
    at = ((-wide * 0.27 if busy else rng.uniform(-0.2, 0.2) * wide), rng.choice([0, rng.uniform(-0.9, 0.9)]))
    buzzer_body(kit, rng, r, h, top + rng.choice([0.0, 0.06]), at, seal=0.1)
    if busy:
        controller(kit, rng, wide / 2 - rng.uniform(0.8, 1.9), top)
    elif rng.random() < 0.6:
        kit.resistor((at[0] + rng.choice([-1, 1]) * (r + 0.7), rng.choice(rows), top + 0.06), rng.choice([0, 90]))
    for _ in range(rng.randint(1, 4)):
        away, side = rng.choice([-1, 1]), -1 if at[1] > 0 or (at[1] == 0 and rng.random() < 0.5) else 1
        x = at[0] + away * rng.uniform(0.1, 1.2)
        y = at[1] + side * (r + rng.uniform(0.15, 0.5))
        jumper(kit, rng, (max(-wide * 0.45, min(wide * 0.45, x)), y), away, wide, deep, top)


def on_breadboard(kit, rng):
    """A buzzer plugged into a breadboard."""
    with kit.settled(heading=rng.uniform(0, 360)):
        board_body(kit, rng)


VARIANTS = {
    "disc": disc,
    "buzzer": buzzer,
    "enclosed": enclosed,
    "module": module,
    "on_breadboard": on_breadboard,
    "smd": smd,
}
