"""Relays: bare cubes, relay modules and shields, signal and reed relays, plug-in, automotive and solid-state ones."""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import cos, pi, radians, sin
from random import Random

import bpy

from ..kit import WIRE_COLOURS, Kit, linear
from ..outlines import rounded

BLUES = ["#1b57c2", "#2166d6", "#174aa8", "#2f7bdc", "#1a63b8", "#3a86e0"]
BLACKS = ["#17181a", "#202124", "#101113", "#2a2a2c"]
BOARDS = ["#10357a", "#10357a", "#1450a0", "#0e0f10", "#141414", "#a51417", "#0d4a24", "#0c6a3c", "#e9e9e4"]
TERMINALS = ["#1d5fb8", "#1d5fb8", "#2a78cf", "#1f9a4a", "#25b04e", "#1a1a1c"]
BRANDS = ["SONGLE", "SONGLE",  # codespell:ignore
          "TIANBO", "HK HUIKE", "TONLING", "OMEGA", "NORDEX", "HF FORWARD", "FINDAR", "Panatec",
          "OMROX", "CIT RELAY", "Zetler", "SANYO U", "HLS", "GOODSKY", "RAYEX", "Kexin", "JQC"]
RATINGS = ["10A 250VAC 10A 125VAC\n10A  30VDC 10A  28VDC", "10A 250VAC\n15A 125VAC", "7A 250VAC\n12A 120VAC\n10A 24VDC",
           "5A 30VDC 5A 250VAC", "16A 250V~\nIEC61810", "30A 240VAC\n30A 28VDC", "CONTACT: 10A 277VAC\nCOIL: 5VDC",
           "NO 10A 250VAC\nNC  5A 250VAC", "15A 125V~  T85", "3A 120VAC 3A 24VDC"]
VOLTS = ["03", "05", "05", "05", "06", "09", "12", "12", "24"]


# ---- helpers ---------------------------------------------------------------------------------------------------------
def pose(kit: Kit, edge: float = 0.06, flip: float = 0.06, tilt: float = 0.12):
    """Leaves the part lying as built, or now and then stands it on an edge, turns it over or tilts it."""
    rng, chance = kit.rng, kit.rng.random()
    if chance < edge:
        turn = rng.choice([(90, 0), (-90, 0), (0, 90), (0, -90)])
    elif chance < edge + flip:
        turn = (180, 0)
    elif chance < edge + flip + tilt:
        turn = (rng.uniform(-22, 22), rng.uniform(-22, 22))
    else:
        turn = (0, 0)
    kit.rotate((*turn, 0))


def glass(tint: str = "#f2f6f6", gloss: float = 0.04):
    """A thin clear wall. A refracting solid would leave its inside dark, so light passes straight and only reflects."""
    material = bpy.data.materials.new("glass")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    through, mirror = nodes.new("ShaderNodeBsdfTransparent"), nodes.new("ShaderNodeBsdfGlossy")
    edge, mix = nodes.new("ShaderNodeFresnel"), nodes.new("ShaderNodeMixShader")
    through.inputs["Color"].default_value, mirror.inputs["Roughness"].default_value = linear(tint), gloss
    edge.inputs["IOR"].default_value = 1.6
    for source, target in ((edge.outputs[0], mix.inputs[0]), (through.outputs[0], mix.inputs[1]),
                           (mirror.outputs[0], mix.inputs[2]), (mix.outputs[0], nodes["Material Output"].inputs[0])):
        links.new(source, target)
    return material


def words(kit: Kit, string: str, width: float, height: float, at, material, turn=(0, 0, 0), align: str = "CENTER"):
    """Text (perhaps of several lines) made small enough to fit ``width``, at most ``height`` a line."""
    longest = max(len(line) for line in string.split("\n"))
    kit.text(string, min(height, 1.3 * width / max(longest, 1)), at, material, turn, align)


def frame(kit: Kit, width: float, depth: float, at, material, line: float = 0.025):
    """A printed rectangle outline."""
    kit.plate(rounded(width, depth, 0.02), 0.004, at, material,
              [rounded(width - 2 * line, depth - 2 * line, 0.01)])


def triangle(kit: Kit, size: float, at, material):
    """The triangular outline of a certification mark."""
    def loop(radius):
        return [(radius * cos(radians(a)), radius * sin(radians(a))) for a in (-90, 30, 150)]
    kit.plate(loop(size), 0.003, at, material, [loop(size * 0.68)])


def logo(kit: Kit, size: float, at, material):
    """A maker's sign: slanted bars, as several makers have."""
    vertices, faces = [], []
    for i in range(kit.rng.choice([2, 3])):
        y = i * size * 0.36
        vertices += [(x * size + y * 0.5, y + dy * size, 0) for x, dy in ((-.6, 0), (.5, 0), (.65, .26), (-.45, .26))]
        faces.append(tuple(range(4 * i, 4 * i + 4)))
    kit.mesh(vertices, faces, (at[0] - size * 0.15, at[1] - size * 0.45, at[2] + 0.004), material)


# ---- the relay itself ------------------------------------------------------------------------------------------------
@dataclass
class Look:
    """What all relays of one part have in common. Lengths in centimetres, ``gloss`` is a roughness (0–1)."""

    size: tuple[float, float, float]
    colour: str
    ink: str
    brand: str
    model: str
    rating: str
    style: int
    reading: int  # degrees: which way up the print is
    clear: bool
    gloss: float
    vent: int


def look(rng: Random, clear: float = 0.06, size=None, colours=None) -> Look:
    """Draws the appearance of a power relay; ``clear`` is the chance of a see-through cover."""
    colour, ink = rng.choices([(rng.choice(BLUES), rng.choice(["#e8f0fa", "#bcd4f2", "#9cbce8"])),
                               (rng.choice(BLACKS), rng.choice(["#d8d8d4", "#a0a09c", "#f0f0ec"])),
                               (rng.choice(["#e8621a", "#d9480f", "#f07a20"]), rng.choice(["#f4f0e8", "#1a1a1a"])),
                               (rng.choice(["#e8c21c", "#f0d040"]), "#1a1a1a"),
                               (rng.choice(["#e8e6de", "#d8d6cc"]), rng.choice(["#1a1a1a", "#274a9c"])),
                               (rng.choice(["#a01c1c", "#1c7a48", "#8a8c8e"]), "#f0f0ec")],
                              colours or [54, 26, 6, 5, 5, 2])[0]
    volt, brand = rng.choice(VOLTS), rng.choice(BRANDS)
    model = rng.choice(["SRD-{}VDC-SL-C", "SRD-{}VDC-SL-C", "SRA-{}VDC-CL", "JQC-3FF-S-Z {}V", "HRS4H-S-DC{}V",
                        "RT314 {}V",
                        "T73-1C-DC{}V", "G5LE-14 DC{}", "JZC-11F {}VDC-1ZS", "NT73-C-10 DC{}V", "SLA-{}VDC-SL-C"])
    shape = size or rng.choices([(1.55, 1.9, 1.55), (1.9, 1.55, 1.55), (1.25, 2.9, 1.6), (2.0, 2.0, 1.5),
                                 (2.75, 3.2, 2.0), (1.0, 2.0, 1.55)], [50, 26, 9, 6, 4, 5])[0]
    return Look(tuple(s * rng.uniform(0.95, 1.05) for s in shape), colour, ink, brand, model.format(volt),
                rng.choice(RATINGS), rng.choices([0, 1, 2, 3], [45, 25, 15, 15])[0], rng.choice([0, 90, 180, 270]),
                rng.random() < clear, rng.uniform(0.15, 0.5), rng.randrange(4))


def legend(kit: Kit, make: Look, width: float, depth: float, at, turn=(0, 0, 0)):
    """The print on one face of a relay, ``width`` × ``depth``, facing z before ``turn``."""
    face, ink = kit.group(at, turn), kit.ink(make.ink)
    small = depth * 0.105
    if make.style == 0:
        logo(face, depth * 0.2, (-width * 0.3, depth * 0.3, 0), ink)
        words(face, make.brand, width * 0.52, depth * 0.13, (width * 0.12, depth * 0.3, 0), ink)
        triangle(face, depth * 0.08, (-width * 0.02, depth * 0.11, 0), ink)
        sign = face.ring(depth * 0.075, depth * 0.055, 0.004, (-width * 0.28, depth * 0.1, 0), ink, sides=20)
        sign.scale.x = 1.6
        words(face, "c RU us", width * 0.28, small, (width * 0.27, depth * 0.1, 0), ink)
        words(face, make.rating, width * 0.84, small, (0, -depth * 0.13, 0), ink)
        words(face, make.model, width * 0.84, depth * 0.15, (0, -depth * 0.36, 0), ink)
    elif make.style == 1:
        words(face, make.brand, width * 0.8, depth * 0.2, (0, depth * 0.3, 0), ink)
        words(face, make.model, width * 0.85, depth * 0.13, (0, depth * 0.07, 0), ink)
        words(face, make.rating, width * 0.8, small, (0, -depth * 0.23, 0), ink)
    elif make.style == 2:
        words(face, f"{make.model}\n{make.rating}", width * 0.85, small * 1.2, (-width * 0.42, 0, 0), ink, align="LEFT")
        triangle(face, depth * 0.07, (width * 0.35, -depth * 0.34, 0), ink)
    else:
        logo(face, depth * 0.18, (-width * 0.32, depth * 0.26, 0), ink)
        words(face, f"{make.brand}\n{make.model}", width * 0.56, depth * 0.14, (width * 0.1, depth * 0.22, 0), ink)
        words(face, f"{make.rating}\nCHINA  c RU us", width * 0.82, small, (0, -depth * 0.22, 0), ink)


def innards(kit: Kit, width: float, depth: float, height: float):
    """Coil, iron and contacts, filling a cover of the given inner size that stands on z = 0."""
    rng = kit.rng
    steel, copper = kit.metal("#b4b6b4", 0.35), kit.metal("#c07a3c", 0.4)
    winding = rng.choice([kit.metal("#b8602c", 0.35), kit.metal("#b8602c", 0.35), kit.metal("#9c3c20", 0.35),
                          kit.plastic("#d8b428"), kit.plastic("#a81e1c"), kit.plastic("#202022")])
    flange = kit.plastic(rng.choice(["#e8e4d8", "#17181a", "#1f5a3a", "#a83a2a"]))
    x, radius, low, high = -width * 0.12, min(width * 0.3, depth * 0.4), height * 0.14, height * 0.66
    kit.box((radius * 2.3, depth * 0.9, height * 0.08), (x, 0, height * 0.07), flange)
    kit.box((radius * 2.3, depth * 0.85, height * 0.06), (x, 0, high), flange)
    ridges = 18
    profile = [(radius * (0.94 + 0.06 * (i % 2)), low + (high - low) * i / ridges) for i in range(ridges + 1)]
    kit.lathe(profile, (x, 0, 0), winding, sides=40)
    kit.box((0.1, depth * 0.7, height * 0.76), (-width * 0.44, 0, height * 0.06), steel)
    kit.box((width * 0.62, depth * 0.6, 0.1), (x - width * 0.05, 0, height * 0.76), steel,
            turn=(0, rng.uniform(-5, 3), 0))
    for side in ((-0.28, 0.28) if depth > 1.7 else (0,)):
        y = side * depth
        for i, gap in enumerate((0.24, 0.32, 0.4)):
            reach = height * (0.68, 0.8, 0.66)[i]
            kit.box((0.04, depth * 0.16, reach), (width * gap, y, height * 0.08), copper, 0)
            kit.cylinder(0.07, 0.06, (width * gap - 0.03, y, reach), kit.metal("#dcdcd8"), 0.02, (0, 90, 0), sides=16)
        kit.wire([(width * 0.32, y, height * 0.8), (width * 0.1, y * 1.1, height * 0.93),
                  (-width * 0.35, y * 0.8, height * 0.8),
                  (-width * 0.45, y, height * 0.1)], 0.035, copper)


def cube(kit: Kit, make: Look, at=(0, 0, 0), turn=(0, 0, 0), pins: bool = False, sides: int = 0):
    """One PCB relay standing on ``at``; ``sides`` of its four walls are printed too."""
    w, d, h = make.size
    body, rng = kit.group(at, turn), kit.rng
    if make.clear:
        cover = glass(rng.choice(["#f4f8f8", "#e8eef0", "#f4e8c0"]))
        innards(body.group((0, 0, 0.1)), w - 0.12, d - 0.12, h - 0.15)
    else:
        cover = kit.material(make.colour, make.gloss, bump=0.05)
    base = kit.plastic(rng.choice([make.colour, make.colour, "#17181a", "#d6cba8"]), 0.5)
    body.box((w, d, h - 0.07), (0, 0, 0.07), cover, 0.05)
    body.box((w - 0.06, d - 0.06, 0.1), (0, 0, 0), base, 0.02)
    if not make.clear:
        seam = kit.material("#0a0c10", 0.8)
        body.box((w + 0.004, d + 0.004, 0.02), (0, 0, 0.16), seam, 0)
        corner = (w * 0.4 * (1 if make.vent % 2 else -1), d * 0.4 * (1 if make.vent > 1 else -1))
        body.ring(0.075, 0.05, 0.012, (*corner, h - 0.004), cover, sides=20)
        body.cylinder(0.05, 0.003, (*corner, h), seam, 0, sides=16)
    along = make.reading % 180 == 90
    legend(body, make, d if along else w, w if along else d, (0, 0, h), (0, 0, make.reading))
    first = rng.randrange(4)
    for side in range(first, first + sides):
        heading = side * 90
        out, across = (d / 2, w) if side % 2 == 0 else (w / 2, d)
        c = (out + 0.002) * sin(radians(heading)), -(out + 0.002) * cos(radians(heading))
        legend(body, make, across, h * 0.9, (*c, h * 0.5), (90, 0, heading))
    if pins:
        relay_pins(body, w, d)


def relay_pins(kit: Kit, width: float, depth: float):
    """The five tinned blades under a changeover relay."""
    tin = kit.metal("#c6c6be", 0.3)
    for x, y, flat in ((-.38, -.4, 0), (.38, -.4, 0), (0, .41, 1), (-.38, .36, 1), (.38, .36, 1)):
        blade = (0.13, 0.05, 0.4) if flat else (0.06, 0.06, 0.4)
        kit.box(blade, (x * width, y * depth, -0.37), tin, 0.01)
        kit.box((0.22, 0.14, 0.012), (x * width, y * depth, -0.008), kit.material("#3a3020", 0.5), 0)


def build_cube(kit: Kit, rng: Random):
    """One to three bare PCB relays standing on their pins, lying on a side or turned over."""
    count = rng.choices([1, 2, 3], [70, 20, 10])[0]
    make = look(rng, clear=0.12)
    sides = rng.choices([0, 1, 2, 4], [20, 25, 20, 35])[0]
    w, d, h = make.size
    for i in range(count):
        if i and rng.random() < 0.35:
            make = look(rng, size=make.size)
        resting = rng.choices([(0, 0, 0.37), (90, 0, d / 2), (-90, 0, d / 2), (0, 90, w / 2), (0, -90, w / 2),
                               (180, 0, h)],
                              [50, 9, 9, 9, 9, 14])[0]
        spot = (0, 0) if count == 1 else (3.0 * cos(i * 2.1) + rng.uniform(-.4, .4),
                                          3.0 * sin(i * 2.1) + rng.uniform(-.4, .4))
        cube(kit, make, (*spot, resting[2]), (resting[0], resting[1], rng.uniform(0, 360)), True, sides)
    if count == 1 and rng.random() < 0.15:
        kit.rotate((rng.uniform(-25, 25), rng.uniform(-25, 25), 0))


# ---- boards ----------------------------------------------------------------------------------------------------------
def tiny_led(kit: Kit, at, lit: bool, colour: str | None = None):
    """A surface-mount LED."""
    colour = colour or kit.rng.choice(["#e02a1c", "#28c840", "#2a60e8"])
    kit.box((0.2, 0.11, 0.05), at, kit.metal("#d4d4cc"), 0.01)
    kit.box((0.12, 0.11, 0.08), at, kit.material(colour if lit else "#e8e4b8", 0.2, glow=5.0 if lit else 0.0), 0.02)


def diode(kit: Kit, at, heading: float):
    """An axial diode lying flat: black with a silver band, or orange glass with a black one."""
    c, s = cos(radians(heading)), sin(radians(heading))
    body, band = kit.rng.choice([("#17181a", "#c8c8c8"), ("#17181a", "#c8c8c8"), ("#c86428", "#17181a")])
    z = at[2] + 0.13
    for length, radius, start, mat in ((0.5, 0.12, -0.25, kit.plastic(body)), (0.08, 0.124, 0.1, kit.ink(band)),
                                       (1.1, 0.035, -0.55, kit.metal("#c0c0bc"))):
        kit.cylinder(radius, length, (at[0] + start * c, at[1] + start * s, z), mat, 0.01, (0, 90, heading), sides=20)


def transistor(kit: Kit, at, heading: float):
    """A TO-92 transistor: a half-round black post."""
    outline = [(0.23 * cos(radians(a)), 0.23 * sin(radians(a))) for a in range(-40, 221, 20)]
    kit.plate(outline, 0.45, (at[0], at[1], at[2] + 0.15), kit.plastic("#17181a", 0.5), turn=(0, 0, heading))
    kit.box((0.3, 0.04, 0.16), at, kit.metal(), 0, (0, 0, heading))


def jumper_wires(kit: Kit, xs: list[float], y: float, z: float, lying: bool, reach: float):
    """Dupont leads on the header pins at ``xs``, leaving towards −y and falling to the table."""
    rng, black = kit.rng, kit.plastic("#141416", 0.5)
    colours = rng.sample(WIRE_COLOURS, len(xs))
    drift = rng.uniform(-1.5, 1.5)
    for x, colour in zip(xs, colours):
        shade, stray = kit.plastic(colour, 0.4), rng.uniform(-0.4, 0.4)
        if lying:
            kit.box((0.245, 1.4, 0.245), (x, y - 1.15, z), black, 0.02)
            path = [(x, y - 1.8, z + 0.12), (x + drift * 0.3, y - 2.8, max(0.15, z)),
                    (x + drift + stray, y - reach, 0.07)]
        else:
            kit.box((0.245, 0.245, 1.4), (x, y, z + 0.28), black, 0.02)
            path = [(x, y, z + 1.6), (x + drift * 0.1, y - 0.4, z + 2.6),
                    (x + drift * 0.5 + stray, y - 0.6 * reach, z + 1.2),
                    (x + drift + stray, y - reach, 0.07)]
        kit.wire(path, 0.065, shade)


def solder_side(kit: Kit, width: float, depth: float, z: float):
    """Solder joints under a board, as one mesh of blunt cones."""
    vertices, faces = [], []
    for row in (-0.43, -0.3, 0.0, 0.22, 0.43):
        for i in range(11):
            x, y, n = (i - 5) / 11 * width * 0.9 + kit.rng.uniform(-0.06, 0.06), row * depth, len(vertices)
            for radius, height in ((0.12, 0.0), (0.05, -0.11)):
                vertices += [(x + radius * cos(pi * a / 4), y + radius * sin(pi * a / 4), height) for a in range(8)]
            faces += [(n + a, n + 8 + a, n + 8 + (a + 1) % 8, n + (a + 1) % 8) for a in range(8)]
            faces.append(tuple(range(n + 15, n + 7, -1)))
    kit.mesh(vertices, faces, (0, 0, z), kit.metal("#c8cacb", 0.25))


def board_ink(colour: str) -> str:
    """Silkscreen: dark on a white board, white on all others."""
    return "#1a1a1a" if colour > "#d" else "#f0f0ee"


def channel(kit: Kit, x: float, y0: float, y1: float, top: float, style: int, lit: bool, parts: int):
    """The driver of one relay between y0 and y1: optocoupler, LED, transistor, diode and chip resistors."""
    rng, middle = kit.rng, (y0 + y1) / 2
    if style == 0:
        kit.chip((0.62, 0.46, 0.3), (x - 0.25, middle, top), 90, 2, rng.choice(["817C", "", "EL817"]))
        kit.box((0.3, 0.16, 0.1), (x + 0.3, middle + 0.1, top), kit.plastic("#17181a"), 0.01)
        kit.box((0.46, 0.26, 0.2), (x + 0.3, y1 - 0.2, top), kit.plastic("#1c1c1e"), 0.03)
    elif style == 1:
        diode(kit, (x, y1 - 0.2, top), 0)
        transistor(kit, (x + 0.4, middle - 0.1, top), rng.choice([0, 180]))
        kit.resistor((x - 0.4, middle - 0.1, top), 90, 0.5, 0.12)
    else:
        kit.box((0.46, 0.26, 0.2), (x - 0.2, y1 - 0.2, top), kit.plastic("#1c1c1e"), 0.03)
        kit.box((0.29, 0.14, 0.1), (x + 0.35, middle, top), kit.plastic("#17181a"), 0.01)
    tiny_led(kit, (x + 0.35, y0 + 0.12, top), lit, rng.choice(["#e02a1c", "#28c840"]))
    kit.surface_mount((x - 0.5, y0 + 0.1, x + 0.2, y1 - 0.3), top, parts)


def module(kit: Kit, rng: Random, count: int, make: Look | None = None):
    """A relay module: terminals along +y, then the relays in a row, their drivers and a pin header along −y."""
    make = make or look(rng, clear=0.02, size=rng.choice([(1.55, 1.9, 1.55)] * 3 + [(1.9, 1.55, 1.55)] * 2),
                        colours=[62, 24, 6, 5, 2, 1])
    w, d, _ = make.size
    pitch = max(w + rng.uniform(0.08, 0.3), 1.6)
    width = count * pitch + (rng.uniform(0.5, 1.1) if count > 1 else rng.uniform(0.7, 1.3))
    control = rng.uniform(0.6, 1.4) if count == 1 else rng.uniform(1.0, 1.8)
    depth = 1.15 + d + control + 0.45
    colour = rng.choice(BOARDS)
    ink, top = kit.ink(board_ink(colour)), kit.circuit_board(width, depth, 0.14, colour, rng.choice([0.05, 0.15, 0.25]))
    if count > 4:
        make.style = 2  # the shortest print keeps a long board's scene small
    edge = depth / 2
    row, y1 = edge - 1.15 - d / 2, edge - 1.15 - d
    y0 = -edge + 0.4
    ways, style, lit, terminal = 3, rng.randrange(3) if count < 5 else 2, rng.random() < 0.3, rng.choice(TERMINALS)
    for i in range(count):
        x = (i - (count - 1) / 2) * pitch
        kit.screw_terminal(ways, (x, edge - 0.42, top), 180, terminal, 0.5)
        words(kit, rng.choice(["NO  COM  NC", "NC  C  NO", f"NO{i + 1} COM{i + 1} NC{i + 1}"]), 1.5, 0.12,
              (x, edge - 0.95, top), ink)
        cube(kit, make, (x, row, top), (0, 0, 0), sides=rng.choice([0, 0, 1]) if count < 5 else 0)
        frame(kit, w + 0.12, d + 0.12, (x, row, top), ink)
        channel(kit, x, y0 + 0.2, y1, top, style, lit and rng.random() < 0.7, 3 if count < 5 else 1)
    header(kit, rng, count, width, y0, top, ink)
    title = rng.choice([f"{count} Relay Module", f"{count}-Channel Relay", f"{count} CH RELAY", "Keyes_SRly",
                        "RELAY 5V", "HW-383",
                        "www.maker-lab.cn", f"{count} Way Relay V1.2"])
    words(kit, title, width * 0.45, 0.17, (width * rng.choice([-0.1, 0.1]), -edge + 0.13, top), ink)
    solder_side(kit, width, depth, 0.14)
    if rng.random() < 0.06:
        kit.rotate((180, 0, 0))
    elif rng.random() < 0.16:
        kit.loose_wires(((count - 1) / 2 * pitch, edge - 0.1, top + 0.25), 90, rng.sample(WIRE_COLOURS, 2), 6, 0.09,
                        0.5)
    else:
        pose(kit, 0.06, 0.0, 0.1)


def header(kit: Kit, rng: Random, count: int, width: float, y: float, top: float, ink):
    """The control pins of a module with their names, perhaps leads on them, and a supply jumper or 3-way terminal."""
    pins, lying = count + 2, rng.random() < 0.45
    x = rng.uniform(-0.5, 0.5) * max(width - pins * 0.254 - 1.3, 0)
    if count <= 2 and rng.random() < 0.15:
        kit.screw_terminal(3, (x, y + 0.1, top), 0, rng.choice(TERMINALS))
        return
    strip = rng.choice(["#141414", "#141414", "#e0b81c", "#1c50b0"])
    kit.pin_header(pins, (x, y - 0.05, top), 180, lying=lying, colour=strip)
    xs = [x + (i - (pins - 1) / 2) * 0.254 for i in range(pins)]
    names = rng.choice([["GND"], ["S"]]) + [f"IN{i + 1}" for i in range(count)] + [rng.choice(["VCC", "+", "5V"])]
    for place, name in zip(xs, names):
        kit.text(name, 0.11, (place, y + 0.28, top), ink, (0, 0, 90))
    if count > 1 and abs(x) < width / 2 - pins * 0.127 - 1.1:
        spot = (x + pins * 0.127 + 0.6, y - 0.05, top)
        kit.pin_header(3, spot)
        kit.box((0.5, 0.24, 0.55), (spot[0] - 0.12, spot[1], top + 0.28),
                kit.plastic(rng.choice(["#141416", "#1c60c0", "#d8a81c", "#c0201c"])), 0.03)
        kit.text("JD-VCC", 0.1, (spot[0], y + 0.2, top), ink)
    if rng.random() < 0.28:
        jumper_wires(kit, xs[:rng.randint(2, min(pins, 6))], y - 0.05, top, lying, rng.uniform(3.5, 5.5))


# ---- shields and small boards ----------------------------------------------------------------------------------------
def uno_shield(kit: Kit, rng: Random):
    """An Arduino-size shield with two to four relays, terminals at one end and sockets along both sides."""
    width, depth, colour = 6.86, 5.33, rng.choice(BOARDS)
    ink, top = kit.ink(board_ink(colour)), kit.circuit_board(width, depth, 0.8, colour)
    make = look(rng, 0, (rng.choice([(1.55, 1.9, 1.55), (1.9, 1.55, 1.55)])), [25, 65, 4, 2, 2, 2])
    w, d, _ = make.size
    for y, left in ((depth / 2 - 0.2, 0.9), (-depth / 2 + 0.2, 0.9)):
        for x, pins in ((left - 0.3, 8), (left + 1.5, 6)):
            kit.pin_header(pins, (x, y, top), 0, female=True)
            kit.box((pins * 0.254, 0.06, 0.8), (x, y, 0), kit.metal("#d4b25a"), 0)
    terminal, count = rng.choice(["#1f9a4a", "#25b04e", "#1d5fb8"]), rng.choice([2, 4, 4])
    for side in (-1, 1):
        kit.screw_terminal(4, (-width / 2 + 0.42, side * 1.1, top), -90, terminal)
    for i in range(count):
        spot = (-1.5 + (i // 2) * (w + 0.2), (i % 2 - 0.5) * (d + 0.15), top)
        cube(kit, make, spot, (0, 0, rng.choice([0, 180])))
        frame(kit, w + 0.1, d + 0.1, spot, ink)
        tiny_led(kit, (2.9, -1.2 + i * 0.4, top), rng.random() < 0.3)
    solder_side(kit, width, depth, 0.8)
    kit.chip((0.9, 0.5, 0.2), (2.3, rng.uniform(-1, 1), top), 90, 8, "ULN2803A")
    kit.surface_mount((1.9, -1.7, 2.9, 1.7), top, 14)
    words(kit, rng.choice(["RELAY SHIELD v2.1", "4 Relay Shield", "Relay Shield V3.0"]), 2.6, 0.2, (1.9, 2.05, top),
          ink)
    words(kit, "NO4 COM4 NC4 NO3 COM3 NC3", 4.0, 0.12, (-width / 2 + 0.95, 0, top), ink, (0, 0, 90))


def mini_shield(kit: Kit, rng: Random):
    """A Wemos-size board: one relay, three terminals and a row of pads or pins down each side."""
    width, depth, colour = 2.56, rng.uniform(2.85, 3.6), rng.choice(["#10357a", "#1450a0", "#1450a0", "#0e0f10"])
    ink, top = kit.ink(board_ink(colour)), kit.circuit_board(width, depth, 0.3, colour, 0.2, holes=False)
    make = look(rng, 0, (1.55, 1.9, 1.55), [85, 12, 2, 1, 0, 0])
    cube(kit, make, (0, depth / 2 - 0.95, top), sides=1)
    kit.screw_terminal(3, (0, -depth / 2 + 0.45, top), 0, rng.choice(["#1d5fb8", "#2a78cf", "#1f9a4a"]))
    solder_side(kit, width, depth, 0.3)
    fitted = rng.choice(["none", "female", "male"])
    for side in (-1, 1):
        x = side * (width / 2 - 0.15)
        if fitted != "none":
            kit.pin_header(8, (x, 0.2, top), 90, female=fitted == "female")
        else:
            for i in range(8):
                kit.ring(0.09, 0.05, 0.006, (x, 0.2 + (i - 3.5) * 0.254, top), kit.metal("#d8d8d0"), sides=16)
                kit.cylinder(0.05, 0.008, (x, 0.2 + (i - 3.5) * 0.254, top), kit.material("#101012", 0.8), 0, sides=12)
            if rng.random() < 0.5:
                kit.pin_header(8, (side * (width / 2 + rng.uniform(0.8, 1.6)), rng.uniform(-.5, .5), 0.1),
                               90 + rng.uniform(-25, 25),
                               lying=True)
        words(kit, "5V G D4 D3 D2 D1 RX TX", 2.0, 0.12, (x - side * 0.22, 0.2, top), ink, (0, 0, 90))


def grove_board(kit: Kit, rng: Random):
    """A small board with ears, a relay, a two-way terminal and a white four-pin connector."""
    width, depth = rng.uniform(3.6, 4.4), rng.uniform(2.0, 2.4)
    colour = rng.choice(["#10357a", "#133f8c", "#0e0f10", "#a51417"])
    ink, top = kit.ink(), kit.circuit_board(width, depth, 0.14, colour, 0.2, 0.1, 0.25)
    for side in (-1, 1):
        kit.plate(rounded(0.7, depth + 0.5, 0.3), 0.16, (side * width * 0.25, 0, 0.138), kit.pcb(colour))
        for y in (-1, 1):
            kit.cylinder(0.1, 0.17, (side * width * 0.25, y * (depth / 2 + 0.02), 0.135), kit.material("#c8c4b8", 0.6),
                         0)
    make = look(rng, 0, (1.9, 1.55, 1.55), [30, 60, 4, 3, 2, 1])
    cube(kit, make, (width / 2 - 1.1, 0, top), sides=1)
    solder_side(kit, width, depth, 0.14)
    white = kit.plastic("#ece8dc", 0.4)
    x = -width / 2 + 0.45
    kit.box((0.5, 1.0, 0.75), (x, depth / 2 - 0.6, top), white)
    kit.box((0.36, 0.8, 0.02), (x, depth / 2 - 0.6, top + 0.74), kit.material("#8a867a", 0.8), 0)
    for i in range(4):
        kit.box((0.06, 0.06, 0.02), (x, depth / 2 - 0.9 + i * 0.2, top + 0.75), kit.metal("#d4b25a"), 0)
    kit.screw_terminal(2, (x + 0.55, -depth / 2 + 0.45, top), 0, rng.choice(["#1f9a4a", "#25b04e", "#1d5fb8"]))
    kit.surface_mount((x + 0.5, 0.1, x + 0.9, depth / 2 - 0.2), top, 6)
    words(kit, "Relay v1.2", 0.9, 0.16, (x + 0.6, depth / 2 - 0.12, top), ink)
    if rng.random() < 0.3:
        kit.loose_wires((x, depth / 2 - 0.3, top + 0.6), 100, ["#c4161c", "#141414", "#f2f2f2", "#e8b400"], 6,
                        spread=0.2)


def round_board(kit: Kit, rng: Random):
    """A round or square driver board with one or two relays."""
    radius, colour = rng.uniform(2.2, 2.9), rng.choice(BOARDS)
    ink, top = kit.ink(board_ink(colour)), 0.3
    outline = [(radius * cos(pi * i / 32), radius * sin(pi * i / 32)) for i in range(64)]
    holes = [(radius * 0.85 * cos(a), radius * 0.85 * sin(a), 0.16) for a in (0.2, 1.8, 3.3, 4.4)]
    kit.plate(outline, 0.16, (0, 0, 0.14), kit.pcb(colour), holes)
    for x, y, r in holes:
        kit.ring(r * 1.5, r, 0.006, (x, y, top), kit.metal("#d0d2cf"), sides=24)
    make = look(rng, 0, (1.55, 1.9, 1.55), [40, 48, 4, 3, 3, 2])
    for x in ((-0.85, 0.85) if radius > 2.5 else (0,)):
        cube(kit, make, (x, 0.1, top), sides=1)
    kit.screw_terminal(3, (0, radius - 0.85, top), 180, rng.choice(TERMINALS))
    kit.pin_header(4, (0, -radius + 0.5, top), 180, lying=rng.random() < 0.5)
    kit.surface_mount((-1.2, -radius + 0.75, 1.2, -1.0), top, 10)
    words(kit, "IN1 IN2 VCC GND", 1.4, 0.13, (0, -radius + 0.8, top), ink)


def build_shield(kit: Kit, rng: Random):
    """One of the shields and small boards."""
    rng.choices([uno_shield, mini_shield, grove_board, round_board], [32, 32, 22, 14])[0](kit, rng)
    pose(kit, 0.08, 0.04)


# ---- signal and reed relays ------------------------------------------------------------------------------------------
def signal_relay(kit: Kit, make: Look, at, turn, reed: bool):
    """A small DIP relay, or a thin single-row reed relay, with its rows of pins."""
    w, d, h = make.size
    body, tin = kit.group(at, turn), kit.metal("#c8c8c0")
    cover = kit.material(make.colour, make.gloss, bump=0.05)
    body.box((w, d, h - 0.05), (0, 0, 0.05), cover, 0.04)
    body.box((w - 0.05, d - 0.05, 0.08), (0, 0, 0), kit.plastic("#1a1a1c" if kit.rng.random() < 0.5 else make.colour),
             0.01)
    for row in ((0,) if reed else (-0.38, 0.38)):
        for place in (-0.42, -0.2, 0.0, 0.2, 0.42):
            body.box((0.055, 0.04, 0.38), (place * w, row * d, -0.33), tin, 0.01)
    ink = kit.ink(make.ink)
    body.box((0.05, d * 0.8, 0.003), (-w * 0.46, 0, h), ink, 0)
    top = make.model if reed else f"{make.brand}\n{make.model}\n{make.rating}"
    words(body, top, w * 0.8, d * (0.4 if reed else 0.15), (w * 0.03, 0, h), ink)
    for side in (0, 180):
        words(body, f"{make.brand}  {make.model}" if reed else f"{make.model}\n{make.brand}", w * 0.85, h * 0.2,
              (0, (-1 if side == 0 else 1) * (d / 2 + 0.002), h * 0.5), ink, (90, 0, side))


def breadboard(kit: Kit, columns: int) -> float:
    """A piece of solderless breadboard centred on the origin; returns its height."""
    pitch, height = 0.254, 0.85
    width = columns * pitch + 0.4
    kit.box((width, 5.4, height), (0, 0, 0), kit.plastic(kit.rng.choice(["#efeee8", "#efeee8", "#e4e2d8", "#d8dde0"]),
                                                         0.45))
    rows = [side * y for side in (-1, 1) for y in (0.381, 0.635, 0.889, 1.143, 1.397, 2.05, 2.304)]
    holes = [((i - (columns - 1) / 2) * pitch, y, 0.1, 0.1) for y in rows for i in range(columns)]
    kit.rectangles(holes, 0, kit.material("#26262a", 0.8), (0, 0, height + 0.003))
    kit.box((width, 0.25, 0.004), (0, 0, height), kit.material("#a8a69c", 0.7), 0)
    for y, colour in ((1.85, "#1c55b0"), (2.5, "#c4161c"), (-1.85, "#c4161c"), (-2.5, "#1c55b0")):
        kit.box((width * 0.94, 0.04, 0.004), (0, y, height), kit.ink(colour), 0)
    return height


def build_signal(kit: Kit, rng: Random):
    """Small signal or reed relays, on a piece of breadboard or loose on the table."""
    reed = rng.random() < 0.25
    size = (rng.uniform(1.8, 2.4), rng.uniform(0.45, 0.6), rng.uniform(0.6, 0.85)) if reed else \
        rng.choice([(2.0, 1.0, 1.0), (1.5, 0.75, 0.9), (2.0, 1.0, 1.2), (1.4, 0.9, 0.5), (2.9, 1.3, 1.2)])
    make = look(rng, 0, size, [8, 32, 22, 8, 28, 2])
    make.model = rng.choice(["HJR-4102-L-05V", "G5V-2-H1 5VDC", "HK19F-DC5V-SHG", "TQ2-12V", "SIP-1A05", "DIP12-2A72",
                             "V23079-A1"])
    make.rating = rng.choice(["1A 125VAC 2A 30VDC", "0.5A 125VAC", "COIL 5V", "MADE IN CHINA"])
    if rng.random() < 0.35:
        top = breadboard(kit, rng.randint(14, 26))
        signal_relay(kit, make, (rng.uniform(-0.6, 0.6), 0, top + 0.05), (0, 0, 0), reed)
        for _ in range(rng.randint(0, 5)):
            x, y = rng.uniform(-1.6, 1.6), rng.choice([-1.2, 1.2])
            kit.wire([(x, y, top), (x + 0.1, y * 1.2, top + 0.6), (x + rng.uniform(-1, 1), y * 1.75, top + 0.5),
                      (x + rng.uniform(-1, 1), y * 1.8, top)], 0.06, kit.plastic(rng.choice(WIRE_COLOURS)))
        return
    _, d, h = make.size
    for i in range(rng.choices([1, 2, 4], [65, 20, 15])[0]):
        rest = rng.choices([(0, 0.33), (90, d / 2), (-90, d / 2), (180, h)], [45, 17, 17, 21])[0]
        spot = (2.6 * (i % 2) + rng.uniform(-.2, .2), 2.0 * (i // 2) + rng.uniform(-.2, .2))
        signal_relay(kit, make, (*spot, rest[1]), (rest[0], 0, rng.uniform(0, 360)), reed)


# ---- plug-in, automotive and solid-state -----------------------------------------------------------------------------
def ice_cube(kit: Kit, rng: Random, z: float):
    """A clear plug-in relay standing on its blades at ``z``."""
    w, d, h = rng.choice([(2.1, 2.8, 3.3), (2.1, 2.8, 3.3), (3.5, 3.5, 5.0), (1.3, 2.8, 2.9)])
    kit.box((w, d, 0.5), (0, 0, z), kit.plastic(rng.choice(["#17181a", "#17181a", "#8a1c1c", "#e4e0d0", "#1c4a8a"])))
    innards(kit.group((0, 0, z + 0.5), (0, 0, 90 if rng.random() < 0.4 and w == d else 0)), w - 0.2, d - 0.2, h - 0.6)
    cover = glass(rng.choice(["#f4f8f8", "#f4f8f8", "#e6ecec", "#f2d89c", "#e8b868"]))
    kit.box((w, d, h - 0.5), (0, 0, z + 0.5), cover, 0.1)
    ink = kit.ink(rng.choice(["#f0f0ee", "#16161a", "#16161a", "#1c3a8a"]))
    model = rng.choice(["MY4N-J", "LY2NJ", "JQX-13F", "HH54P", "MK3P-I", "RXM4AB2P7", "55.34.8"])
    text = "\n".join([model, rng.choice(["24VDC", "12VDC", "220VAC", "230V~"]),
                      rng.choice(["5A 240VAC", "10A 250VAC", "7A 28VDC"])])
    for side, out in ((0, d / 2), (180, d / 2)):
        words(kit, text, w * 0.75, 0.24, (0, (-1 if side == 0 else 1) * (out + 0.004), z + h * 0.68), ink,
              (90, 0, side))
    words(kit, f"{rng.choice(BRANDS)}\n{model}", w * 0.8, 0.2, (0, -d * 0.15, z + h), ink)
    if rng.random() < 0.35:
        kit.box((0.5, 0.35, 0.2), (0, d * 0.28, z + h - 0.02), kit.plastic(rng.choice(["#e06a12", "#1f8a3c", "#c4161c",
                                                                                       "#1c55b0"])))
    if rng.random() < 0.5:
        kit.label((w * 0.8, 0.7), (0, -d / 2 - 0.012, z + 1.0), [model, "COIL 24V"], (90, 0, 0),
                  rng.choice(["#f2f1ec", "#c8cacc", "#2a58a8"]), False)
    blade = kit.metal("#c8c6bc", 0.3)
    for x in (-0.3, 0, 0.3):
        for y in (-0.38, -0.12, 0.14, 0.38):
            if w > 1.5 or x:
                kit.box((0.05, 0.26, 0.62), (x * w, y * d, z - 0.6), blade, 0.01)


def din_socket(kit: Kit, rng: Random) -> float:
    """A DIN-rail socket with stepped rows of screw terminals at both ends; returns the height of its seat."""
    body = kit.plastic(rng.choice(["#1a1b1d", "#2a2c2e", "#8e9296", "#d8d6cc", "#1c4a8a"]), 0.5)
    kit.box((2.8, 7.0, 1.6), (0, 0, 0), body, 0.05)
    kit.box((2.84, 3.4, 2.3), (0, 0, 0), body, 0.05)
    for side in (-1, 1):
        kit.box((2.82, 1.0, 2.1), (0, side * 2.2, 0), body, 0.04)
        for y, z in ((3.05, 1.6), (2.2, 2.1)):
            for x in (-0.95, -0.32, 0.32, 0.95):
                kit.cylinder(0.27, 0.01, (x, side * y, z), kit.material("#0a0a0c", 0.8), 0, sides=20)
                kit.screw(0.22, (x, side * y, z - 0.02), kit.metal("#c9c4a8"))
        kit.text("1  2  3  4", 0.14, (0, side * 3.38, 1.6))
    return 2.3


def automotive(kit: Kit, rng: Random):
    """A black car relay with five blades, its circuit printed on one wall and perhaps a mounting tab."""
    w, h, z = rng.uniform(2.5, 2.9), rng.uniform(2.3, 3.2), 1.2
    colour = rng.choice(BLACKS * 3 + ["#1c4a9a", "#c8b48a", "#6a6c6e", "#8a1c1c"])
    body = kit.plastic(colour, 0.45)
    kit.box((w, w, h), (0, 0, z), body, 0.12)
    kit.box((w + 0.12, w + 0.12, 0.4), (0, 0, z), body, 0.06)
    if rng.random() < 0.4:
        kit.plate(rounded(1.1, 1.9, 0.3), 0.14, (0, w / 2 + 0.04, z + h),
                  kit.metal() if rng.random() < .4 else body,
                  [(0, 0.45, 0.28)], (90, 0, 0))
    for x, y, heading in ((-.32, 0, 0), (.32, 0, 0), (0, -.32, 90), (0, .32, 90), (0, 0, 90)):
        kit.box((0.09, 0.63, 1.2), (x * w, y * w, 0), kit.metal(rng.choice(["#c8c6bc", "#b8925a"])), 0.03,
                (0, 0, heading))
    ink = kit.ink(rng.choice(["#f0f0ee", "#c8c8c4", "#e8d8a0"]))
    face = kit.group((0, -w / 2 - 0.002, z + h * 0.55), (90, 0, 0))
    frame(face, 0.7, 0.3, (-0.35, -0.3, 0), ink, 0.04)
    for size, at in (((0.04, 0.5), (-0.35, 0.1)), ((0.04, 0.35), (-0.35, -0.65)), ((0.7, 0.04), (0.2, 0.3)),
                     ((0.04, 0.4), (0.55, 0.1)),
                     ((0.5, 0.04), (0.4, -0.1)), ((0.04, 0.4), (0.3, -0.5))):
        face.box((*size, 0.004), (*at, 0), ink, 0, (0, 0, 0))
    for name, at in (("86", (-0.7, 0.2)), ("85", (-0.7, -0.65)), ("30", (0.55, -0.65)), ("87", (0.85, 0.3)),
                     ("87a", (0.9, 0))):
        face.text(name, 0.16, (*at, 0), ink)
    words(face, f"{rng.choice(BRANDS)}  12V {rng.choice(['30A', '40A', '40/30A'])}", w * 0.85, 0.22,
          (0, 0.68 * h / 2.8, 0), ink)
    words(kit, f"{rng.choice(BRANDS)}\n12V 40A\nJD1914", w * 0.75, 0.3, (0, 0, z + h), ink)
    if rng.random() < 0.4:
        kit.label((w * 0.8, h * 0.5), (0, w / 2 + 0.012, z + h * 0.5), ["RELAY 12V", "0 332 019 150"], (90, 0, 180))


def build_industrial(kit: Kit, rng: Random):
    """A clear plug-in relay, loose or in its socket, or a car relay."""
    chance = rng.random()
    if chance < 0.25:
        ice_cube(kit, rng, din_socket(kit, rng))
        pose(kit, 0.15, 0.0, 0.05)
        return
    if chance < 0.65:
        ice_cube(kit, rng, 0.6)
    else:
        automotive(kit, rng)
    turn = rng.choices([(0, 0), (90, 0), (-90, 0), (0, 90), (0, -90), (180, 0)], [32, 14, 24, 13, 13, 4])[0]
    kit.rotate((*turn, 0))


def build_solid_state(kit: Kit, rng: Random):
    """A block solid-state relay on a metal base with four large screws, or a module with flat black ones."""
    if rng.random() < 0.2:
        make = look(rng, 0, (2.3, 0.6, 2.0), [0, 1, 0, 0, 0, 0])
        make.brand, make.model, make.rating, make.style = "OMROX", "G3MB-202P", "2A 240VAC\n5VDC", 1
        module(kit, rng, rng.choice([1, 2, 4]), make)
        return
    width, length, high = rng.uniform(4.3, 4.6), rng.uniform(5.8, 6.3), rng.uniform(2.0, 2.5)
    colour = rng.choice(["#17181a", "#202124", "#e8e4d8", "#f0eee8", "#d8d4c4"])
    body, metal = kit.plastic(colour, 0.45), kit.metal(rng.choice(["#c0c2c4", "#a8acb0"]), 0.35)
    base = rounded(width, length, 0.15)
    kit.plate(base, 0.3, (0, 0, 0), metal, [(0, side * (length / 2 - 0.5), 0.23) for side in (-1, 1)])
    kit.box((width - 0.1, length - 2.0, high - 0.3), (0, 0, 0.3), body, 0.06)
    seat, covered = high * 0.55, rng.random() < 0.45
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * width * 0.3, sy * (length / 2 - 0.62)
            kit.box((width * 0.33, 1.2, seat - 0.3), (x, y, 0.3), body, 0.04)
            kit.box((1.0, 0.95, 0.1), (x, y, seat), kit.metal("#c8c2a4", 0.3), 0.02)
            kit.screw(0.38, (x, y, seat + 0.1), kit.metal(rng.choice(["#c9c4a8", "#c0c2c4", "#c8a24a"])))
            kit.box((0.1, 1.25, high - 0.45), (sx * (width / 2 - 0.08), y, 0.3), body, 0.03)
        kit.box((width - 0.13, 0.2, high - 0.2), (0, sx * (length / 2 - 1.3), 0.3), body, 0.04)
    amps, kind = rng.choice([10, 25, 25, 40, 40, 60, 80]), rng.choice(["DA", "DA", "AA", "DD"])
    paper = rng.choice(["#f2f1ec", "#c8cacc", "#e8e6dc", "#1a1a1e", "#2a58a8", "#d8c040"])
    ink = "#f2f1ec" if paper in ("#1a1a1e", "#2a58a8") else rng.choice(["#16161a", "#16161a", "#a81c1c", "#1c3a8a"])
    lines = [rng.choice(["Solid State Relay", "FOTEC", "SOLID STATE"]), f"SSR-{amps} {kind}",
             f"OUTPUT {rng.choice(['24-380', '24-480', '90-480'])}VAC", "INPUT 3-32 VDC",
             "MADE IN CHINA"][:rng.randint(3, 5)]
    kit.label((width * 0.86, length - 3.5), (0, 0.25, high + 0.002), lines, colour=paper, ink=ink, barcode=False)
    kit.led((width * 0.2, -length * 0.5 + 1.62, high - 0.15), rng.choice(["#c81e1e", "#1fae3c"]), 0.13,
            rng.random() < 0.3)
    for number, sx, sy in ((1, -1, 1), (2, 1, 1), (3, 1, -1), (4, -1, -1)):
        words(kit, f"{number} {'~' if sy > 0 else '+' if sx > 0 else '-'}", 0.5, 0.25,
              (sx * width * 0.38, sy * (length / 2 - 1.3), high + 0.1),
              kit.ink("#d8d8d4" if colour < "#8" else "#16161a"))
    if covered:
        kit.box((width + 0.06, length, high * 0.8), (0, 0, high * 0.35),
                glass(rng.choice(["#f4f8f8", "#e8eeee"]), 0.1), 0.1)
    if rng.random() < 0.2:
        kit.loose_wires((width * 0.3, length / 2, seat + 0.15), 90, [rng.choice(WIRE_COLOURS)], 7, 0.15)
        return
    pose(kit, 0.12, 0.03, 0.1)


VARIANTS = {
    "cube": build_cube,
    "module_1": partial(module, count=1),
    "module_2": partial(module, count=2),
    "module_4": partial(module, count=4),
    "module_8": partial(module, count=8),
    "shield": build_shield,
    "signal": build_signal,
    "industrial": build_industrial,
    "solid_state": build_solid_state,
}
