"""Small things that lie around the main thing on an electronics table; none of them is one of the four parts."""
from __future__ import annotations

from math import cos, pi, sin

from ..components import BOARDS, HANDLES, breadboard_block, code, round_cell, scatter, screwdriver
from ..kit import WIRE_COLOURS
from ..outlines import rod, rounded
from ..wiring import wire_arc


def wires(kit, rng):
    """Loose wires of several colours with stripped ends."""
    for _ in range(rng.randint(1, 3)):
        colours = rng.sample(WIRE_COLOURS, rng.randint(1, 3))
        start = (rng.uniform(-2, 2), rng.uniform(-2, 2), 0.08)
        kit.loose_wires(start, rng.uniform(0, 360), colours, rng.uniform(5, 14), rng.uniform(0.05, 0.11), 0.2, 50)


def jumpers(kit, rng):
    """Dupont jumper wires: black housings at both ends, a pin on some."""
    for _ in range(rng.randint(1, 4)):
        x, y, heading = rng.uniform(-2, 2), rng.uniform(-2, 2), rng.uniform(0, 360)
        ex, ey, end = kit.loose_wires((x, y, 0.12), heading, [rng.choice(WIRE_COLOURS)], rng.uniform(7, 13), 0.065, 0,
                                      35)
        for px, py, out in ((x, y, heading + 180), (ex, ey, end)):
            with kit.moved((px, py, 0), (0, 0, out)):
                kit.box((1.4, 0.26, 0.26), (0.6, 0, 0), kit.plastic("#141414", 0.5), 0.02)
                kit.box((0.6, 0.06, 0.06), (1.6, 0, 0.1), kit.metal("#d4b25a", 0.25), 0)


def resistors(kit, rng):
    """A few resistors."""
    for x, y in scatter(rng, rng.randint(1, 4), 2.2, 1.3):
        kit.resistor((x, y, 0), rng.uniform(0, 360), rng.choice([0.65, 0.65, 0.95]), rng.uniform(0.6, 2.4))


def leds(kit, rng):
    """Lying LEDs with two legs."""
    for x, y in scatter(rng, rng.randint(1, 5), 2, 1.2):
        radius = rng.choice([0.15, 0.25])
        with kit.moved((x, y, radius), (0, 90, rng.uniform(0, 360))):
            kit.led((0, 0, 0), rng.choice(["#c81e1e", "#1e9a3c", "#d8a81a", "#1e50c8", "#e8eef0"]), radius)
            for side, length in ((-0.127, 2.4), (0.127, 2.1)):
                kit.wire([(side * 0.8, 0, 0.05), (side, 0, -0.3), (side, 0, -length)], 0.03, kit.metal("#b8babc"))


def fasteners(kit, rng):
    """Screws, nuts and washers lying about."""
    steel = kit.metal(rng.choice(["#b3b6b9", "#a9b0b4", "#c8a24a", "#2a2a2c"]), 0.3)
    for x, y in scatter(rng, rng.randint(3, 7), 2.2, 1.1):
        kind, size, heading = rng.choice(["screw", "screw", "nut",
                                          "washer"]), rng.uniform(0.24, 0.36), rng.uniform(0, 360)
        if kind == "screw":
            length, core = rng.uniform(0.8, 2.0), size * 0.5
            thread = [(core * (1 if i % 2 else 0.82), 0.25 + i * 0.06) for i in range(int(length / 0.06))]
            with kit.moved((x, y, size), (0, 0, heading)):
                kit.along([(0, 0), (size, 0.03), (size, 0.2), (core, 0.22), *thread, (0, length + 0.25)], (0, 0, 0),
                          steel, sides=20)
        elif kind == "nut":
            kit.ring(size * 1.15, size * 0.55, size * 0.8, (x, y, 0), steel, (0, 0, heading), sides=6)
        else:
            kit.ring(size * 1.3, size * 0.6, 0.06, (x, y, 0), steel)


def pen(kit, rng):
    """A ball pen, marker or pencil."""
    colour, radius, length = rng.choice(HANDLES), rng.uniform(0.38, 0.6), rng.uniform(12, 15)
    at, kind = (-length / 2, 0, radius), rng.choice(["ball", "marker", "pencil"])
    if kind == "pencil":
        kit.along(rod(0.36, 0, length, 0.02), (at[0], 0, 0.36), kit.plastic(colour, 0.35), sides=6)
        kit.along([(0.36, length), (0.1, length + 1.2)], (at[0], 0, 0.36), kit.ink("#d9b98a"))
        kit.along([(0.1, length + 1.2), (0, length + 1.6)], (at[0], 0, 0.36), kit.ink("#202022"))
        return
    body = kit.plastic(colour if kind == "marker" else rng.choice(["#f0f0ee", colour, "#18181a"]), 0.3)
    kit.along([(0, 0), (radius * 0.8, 0), (radius, 0.2), (radius, length * 0.62), (radius * 0.95, length * 0.66)], at,
              body)
    kit.along([(radius * 0.9, length * 0.66), (radius * 1.06, length * 0.66), (radius, length * 0.85),
               (radius * 0.35, length), (0, length)], at, kit.plastic(colour, 0.3))
    kit.box((4, 0.3, 0.12), (at[0] + 2.2, 0, radius * 2), kit.metal() if kind == "ball" else body, 0.04)
    if kind == "ball":
        kit.along([(0.12, length), (0.05, length + 0.3), (0, length + 0.3)], at, kit.metal())


def ruler(kit, rng):
    """A ruler with a scale: steel, wood or coloured plastic."""
    length, depth = rng.choice([10, 15, 20, 30]), rng.uniform(2.2, 3.4)
    body = rng.choice([kit.metal("#c3c5c7", 0.35), kit.plastic("#d6b072", 0.5), kit.plastic("#e8d23a"),
                       kit.clear("#dff0f4"), kit.plastic("#f0f0ee")])
    kit.box((length + 1, depth, 0.12), (0, 0, 0), body, 0.02)
    ticks = [(i / 10 - length / 2, depth / 2 - size / 2, 0.035, size) for i in range(length * 10 + 1)
             for size in [0.75 if i % 10 == 0 else 0.55 if i % 5 == 0 else 0.35]]
    kit.rectangles(ticks, 0.124, kit.ink("#101012"))
    step = max(1, length // 15)
    for i in range(0, length + 1, step):
        kit.text(str(i), 0.3, (i - length / 2, depth / 2 - 1.05, 0.122), kit.ink("#101012"))


def breadboard_piece(kit, rng):
    """A mini breadboard, or a piece of a longer one, with a wire or two."""
    width, _, height = breadboard_block(kit, rng, rng.choice([17, 17, 30]), rng.random() < 0.4)
    for _ in range(rng.randint(0, 3)):
        x = rng.uniform(-0.4, 0.4) * width
        wire_arc(kit, (x, -1, height), (x + rng.uniform(-1, 1), 1, height), rng.uniform(0.3, 1.5),
                 rng.choice(WIRE_COLOURS))


def board(kit, rng):
    """A small breakout board with one chip and a row of pins."""
    width, depth = rng.uniform(1.5, 3.5), rng.uniform(1.3, 2.5)
    colour = rng.choice(BOARDS)
    kit.plate(rounded(width, depth, 0.1), 0.16, (0, 0, 0.3), kit.pcb(colour),
              [(width / 2 - 0.3, depth / 2 - 0.3, 0.15)])
    kit.chip((0.5, 0.45, 0.14), (0, 0.1, 0.46), rng.choice([0, 90]), 4)
    kit.text(code(rng, 3, 3), 0.16, (0, -depth / 2 + 0.5, 0.46),
             kit.ink("#1c1c1e" if colour == "#e6e6e2" else "#f0f0ee"))
    count = int(width / 0.254) - 1
    xs = [(i - (count - 1) / 2) * 0.254 for i in range(count)]
    kit.boxes([((count * 0.254, 0.25, 0.25), (0, -depth / 2 + 0.15, 0.46))], kit.plastic("#141414"), 0.02)
    kit.boxes([((0.064, 0.064, 1.3), (x, -depth / 2 + 0.15, 0)) for x in xs], kit.metal("#d4b25a", 0.25))
    kit.surface_mount((-width * 0.35, depth * 0.25, width * 0.25, depth * 0.42), 0.46, 3)


def solder(kit, rng):
    """A coil of solder: on a spool, or a loose coil with its end sticking out."""
    tin, outer = kit.metal("#c6c8ca", 0.35), rng.uniform(1.6, 3.0)
    height, wire = rng.uniform(1.5, 3.5), rng.uniform(0.04, 0.08)
    if rng.random() < 0.6:
        rim = kit.plastic(rng.choice(HANDLES + ["#e8e8e4"]), 0.4)
        for z in (0, height):
            kit.ring(outer, outer * 0.35, 0.2, (0, 0, z), rim)
        wound, base = outer * rng.uniform(0.6, 0.92), 0.2
    else:
        wound, base, height = outer * 0.6, 0.0, 0.9
    turns = max(4, int((height - base) / (wire * 2.2)))
    ridges = [(wound - (wire if i % 2 else 0), base + (height - base) * i / (2 * turns)) for i in range(2 * turns + 1)]
    kit.lathe([(outer * 0.36, base), *ridges, (outer * 0.36, height)], (0, 0, 0), tin)
    kit.wire([(wound, 0, 0.8), (wound + 0.5, 1.2, 0.9), (wound + 1.2, 2.4, 0.3), (wound + 0.4, 3.8, wire)], wire, tin)


def battery(kit, rng):
    """One or two round cells."""
    radius, length = rng.choice([(0.72, 5.0), (0.52, 4.4), (0.92, 6.5)])
    for i in range(rng.randint(1, 2)):
        round_cell(kit, rng, (0, i * 2.1, 0), rng.choice([0, 180]) + rng.uniform(-12, 12), radius, length)


def coin(kit, rng):
    """One to four coins: copper, brass or nickel, one of them bicoloured."""
    for x, y in scatter(rng, rng.randint(1, 4), 2.2, 2.4):
        radius, metal = rng.uniform(0.8, 1.28), rng.choice(["#b06a42", "#c9a653", "#c4c2ba"])
        skin = kit.metal(metal, 0.35)
        kit.cylinder(radius, 0.19, (x, y, 0), skin, 0.03)
        kit.ring(radius * 0.97, radius * 0.9, 0.02, (x, y, 0.18), skin)
        if rng.random() < 0.3:
            kit.cylinder(radius * 0.68, 0.01, (x, y, 0.19), kit.metal("#c4c2ba" if metal == "#c9a653" else "#c9a653"),
                         0)
        kit.text(rng.choice(["1", "2", "5", "10", "20", "50"]), radius * 0.7, (x, y, 0.2), skin,
                 (0, 0, rng.uniform(0, 360)))


def note(kit, rng):
    """A curled paper note with lines of writing."""
    width, depth = rng.choice([(7.6, 7.6), (7.6, 7.6), (10, 7), (9, 14)])
    paper = kit.ink(rng.choice(["#f4e66a", "#f5f4ee", "#f5f4ee", "#f0a8c0", "#a8d8a0", "#e9e2cc"]))
    curl, skew, n = rng.uniform(0.1, 1.2), rng.uniform(-0.6, 0.6), 12

    def height(x, y):
        lift = max(0.0, y / depth + skew * x / width)
        return curl * lift ** 2 * 2 + 0.03 * (sin(x * 1.3 + skew * 9) + 1) + 0.01 * abs(y)

    def above(x, y):
        return height(x, y) + 0.012

    grid = [(width * (i / n - 0.5), depth * (j / n - 0.5)) for j in range(n + 1) for i in range(n + 1)]
    faces = [(a, a + 1, a + n + 2, a + n + 1) for j in range(n) for a in range(j * (n + 1), j * (n + 1) + n)]
    kit.mesh([(x, y, height(x, y)) for x, y in grid], faces, material=paper, smooth=True)
    words, y, step = [], depth * 0.38, rng.uniform(0.5, 0.9)
    while y > -depth * rng.uniform(0.1, 0.45):
        x = -width * 0.42
        while x < width * rng.uniform(0.1, 0.36):
            long = rng.uniform(0.25, 1.0)
            words.append((x + long / 2, y + rng.uniform(-0.04, 0.04), long, step * rng.uniform(0.15, 0.3)))
            x += long + 0.2
        y -= step
    kit.rectangles(words, above, kit.ink(rng.choice(["#1a2a6a", "#1c1c1e", "#8a1a1e"])))


def crumpled_paper(kit, rng):
    """A crumpled ball of paper."""
    radius, rings, around = rng.uniform(1.2, 2.6), 9, 13
    vertices = []
    for j in range(rings + 1):
        for i in range(around):
            r, tilt, turn = radius * rng.uniform(0.72, 1.08), pi * j / rings, 2 * pi * (i + 0.5 * (j % 2)) / around
            vertices.append((r * sin(tilt) * cos(turn), r * sin(tilt) * sin(turn), radius - r * cos(tilt)))
    faces = []
    for j in range(rings):
        for i in range(around):
            a, b = j * around + i, j * around + (i + 1) % around
            faces += [(a, b, b + around), (a, b + around, a + around)]
    kit.mesh(vertices, faces, material=kit.ink(rng.choice(["#f5f4ee", "#efe9d8", "#f4e66a"])))


def tape(kit, rng):
    """A roll of tape or insulating tape."""
    outer, height = rng.uniform(2.2, 4.5), rng.uniform(1.0, 2.4)
    inner = outer * rng.uniform(0.5, 0.75)
    colour = rng.choice(["#141414", "#c4161c", "#1c55b0", "#1f8a3c", "#e8b400", "#d8c9a0", "#e8e8e4", "#b5651d"])
    kit.ring(outer, inner + 0.15, height, (0, 0, 0), kit.material(colour, 0.3, coat=0.3))
    kit.ring(inner + 0.16, inner, height * 1.01, (0, 0, 0), kit.ink(rng.choice(["#c9a67a", "#e8e8e4"])))
    if rng.random() < 0.25:
        kit.rotate((90, 0, 0))


def usb_plug(kit, rng, colour):
    """A USB-A plug along +x from the end of its cable at the origin."""
    kit.box((2.4, 1.5, 0.75), (1.2, 0, 0), kit.plastic(colour, 0.5), 0.15)
    kit.box((1.3, 1.2, 0.45), (3.0, 0, 0.15), kit.metal("#c9cbcd", 0.2), 0.02)
    kit.rectangles([(3.0, side, 0.25, 0.25) for side in (-0.28, 0.28)], 0.603, kit.material("#0c0c0e", 0.8))
    kit.rectangles([(3.66, 0, 0.01, 1.0)], 0.3, kit.plastic(rng.choice(["#f0f0f0", "#1c55b0"])))


def usb_cable(kit, rng):
    """The end of a USB cable with its plug."""
    colour = rng.choice(["#141414", "#141414", "#e8e8e6", "#5a5d62", "#1c55b0"])
    radius = rng.uniform(0.17, 0.25)
    usb_plug(kit, rng, colour)
    kit.along([(0.32, 0), (radius, -1.2)], (0, 0, 0.38), kit.rubber(colour), sides=24)
    kit.loose_wires((-0.8, 0, 0.36), 180, [colour], rng.uniform(10, 22), radius, 0, 28)


def tweezers(kit, rng):
    """Steel or black tweezers, two springy arms."""
    skin = rng.choice([kit.metal("#c3c5c7", 0.25), kit.metal("#2a2b2e", 0.4), kit.plastic(rng.choice(HANDLES))])
    outline = [(0, -0.45), (6, -0.5), (10, -0.22), (12, -0.06), (12, 0.06), (10, 0.22), (6, 0.5), (0, 0.45)]
    for lean in (-1, 1):
        with kit.moved((0, 0.12 * lean, 0.5), (90, 0, 3.2 * lean)):
            kit.plate(outline, 0.12, (0, 0, -0.06), skin)
    kit.box((1.4, 0.35, 0.86), (-0.2, 0, 0.07), skin, 0.1)


def capacitor(kit, rng):
    """Electrolytics lying with their legs, and ceramic discs."""
    for x, y in scatter(rng, rng.randint(1, 4), 2, 1.8):
        radius = rng.uniform(0.25, 0.6)
        height = radius * rng.uniform(2, 3.4)
        with kit.moved((x, y, radius), (0, 90, rng.uniform(0, 360))):
            kit.capacitor((0, 0, 0), radius, height, rng.choice(["#17181c", "#1a2f6a", "#5a2f1c", "#1d5a3a"]))
            for side in (-0.12, 0.12):
                kit.wire([(0, side, 0.02), (0, side * 1.6, -0.7), (0, side * 2, -rng.uniform(1.2, 2))], 0.03,
                         kit.metal("#b8babc"))


def connector(kit, rng):
    """A lone connector: screw terminals, a white JST housing on its wires, or a D-sub plug."""
    kind = rng.choice(["terminal", "jst", "dsub"])
    if kind == "terminal":
        kit.screw_terminal(rng.randint(2, 3), (0, 0, 0), colour=rng.choice(["#1d5fb8", "#1f8a3c", "#202022"]))
    elif kind == "jst":
        count = rng.randint(2, 5)
        kit.box((0.9, count * 0.25 + 0.2, 0.5), (0, 0, 0), kit.plastic("#f0efe8", 0.4), 0.04)
        kit.boxes([((0.01, 0.13, 0.2), (0.46, (i - (count - 1) / 2) * 0.25, 0.15)) for i in range(count)],
                  kit.ink("#1c1c1e"))
        kit.loose_wires((-0.4, 0, 0.25), 180, rng.sample(WIRE_COLOURS, count), rng.uniform(5, 10), 0.06, 0.25, 25)
    else:
        kit.box((4.0, 1.6, 1.2), (0, 0, 0), kit.plastic(rng.choice(["#d9d4c2", "#2a2b2e"])), 0.2)
        kit.box((1.8, 0.7, 0.8), (0, 1.1, 0.2), kit.metal("#b9bcc0"), 0.1)
        kit.loose_wires((0, -0.8, 0.5), -90, ["#d9d4c2"], 8, 0.3, 0, 25)


def driver(kit, rng):
    """A small screwdriver, or just a handle that reaches into the picture."""
    screwdriver(kit, rng, rng.uniform(0.5, 1.0))


VARIANTS = {
    "wires": wires, "jumpers": jumpers, "resistors": resistors, "leds": leds,
    "fasteners": fasteners, "pen": pen, "driver": driver, "ruler": ruler,
    "breadboard_piece": breadboard_piece, "board": board, "solder": solder,
    "battery": battery,
    "coin": coin, "note": note, "crumpled_paper": crumpled_paper, "tape": tape,
    "usb_cable": usb_cable, "tweezers": tweezers, "capacitor": capacitor, "connector": connector,
}
