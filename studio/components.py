"""What several families build with: batteries, breadboards, screwdrivers, type numbers.

Lengths in centimetres; every choice comes from ``rng``.
"""
from __future__ import annotations

from .outlines import rod

HANDLES = ["#c4161c", "#1c4fa8", "#e0a800", "#1d7a3a", "#e0601a", "#18181a", "#6a6e74", "#d8438a", "#1f9aa8"]
BOARDS = ["#0d4a24", "#10357a", "#a51417", "#0e0f10", "#3a1a66", "#0c5a66", "#e6e6e2", "#b58a4a"]


def scatter(rng, count, reach, apart):
    """Up to ``count`` places (x, y) within ``reach`` that are at least ``apart`` from each other."""
    spots = []
    for _ in range(count * 12):
        x, y = rng.uniform(-reach, reach), rng.uniform(-reach, reach)
        if len(spots) < count and all((x - a) ** 2 + (y - b) ** 2 > apart ** 2 for a, b in spots):
            spots.append((x, y))
    return spots


def code(rng, letters=2, digits=4):
    """A made-up type number."""
    return "".join(rng.choice("ABCDEFGHKLMNPRSTX") for _ in range(letters)) + \
        "".join(rng.choice("0123456789") for _ in range(digits))


def round_cell(kit, rng, at=(0, 0, 0), heading=0.0, radius=0.72, length=5.0):
    """A lying round battery: printed sleeve in one or two colours, plus pole with its nub, bare minus pole."""
    x, y, z = at
    first, second = rng.choice([("#17171a", "#b87333"), ("#1a7a3c", "#d9d9d4"), ("#b01c20", "#d8b030"),
                                ("#1e4ea0", "#1e4ea0"), ("#6a2f9a", "#e8e8e8"), ("#e8e8e4", "#1c5aa8"),
                                ("#d8b020", "#17171a"), ("#3a9ab8", "#3a9ab8")])
    split, steel = length * rng.uniform(0.3, 0.75), kit.metal("#c4c6c8", 0.25)
    with kit.moved((x, y, z + radius), (0, 0, heading)):
        kit.along(rod(radius * 0.96, -length / 2, length / 2, 0.08), material=steel)
        kit.along(rod(radius * 0.38, length / 2, length / 2 + 0.13, 0.03), material=steel, sides=24)
        for start, end, colour in ((0.03, split, first), (split, length - 0.08, second)):
            kit.along([(radius * 0.8, start), (radius, start + 0.05), (radius, end - 0.05), (radius * 0.8, end)],
                      (-length / 2, 0, 0), kit.material(colour, 0.3, coat=0.4))
        ink = kit.ink("#f0efe8" if first != "#e8e8e4" else "#17171a")
        word = rng.choice(["ALKALINE", "POWER", "1.5V LR6", "Ni-MH 2100", "ENERGO", "VOLTA+",
                           "CELL " + code(rng, 1, 2)])
        with kit.moved(turn=(rng.uniform(-60, 60), 0, 0)):
            kit.text(word, radius * 0.55, (-length / 2 + split / 2, 0, radius), ink)


def tool_handle(kit, rng, length=9.0, colour=None, radius=1.2):
    """A lying screwdriver handle from x = 0 to ``length``, faceted or smooth, with a darker end."""
    colour = colour or rng.choice(HANDLES)
    profile = [(0, 0), (0.75, 0.02), (0.95, 0.1), (1, 0.3), (1, 0.6), (0.72, 0.74), (0.66, 0.84), (0.85, 0.95),
               (0.6, 1), (0, 1)]
    sides = rng.choice([6, 8, 48])
    shape = kit.clear(colour) if rng.random() < 0.2 else kit.plastic(colour, 0.35)
    kit.along([(r * radius, p * length) for r, p in profile], (0, 0, radius), shape, sides=sides)
    if rng.random() < 0.6:
        second = kit.rubber(rng.choice(["#151515", "#2a2a2c", "#d8a800", "#8a1418"]))
        kit.along([(radius * 1.03, length * 0.28), (radius * 1.06, length * 0.34), (radius * 1.06, length * 0.52),
                   (radius * 1.03, length * 0.58)], (0, 0, radius), second, sides=sides)


def screwdriver(kit, rng, scale=1.0):
    """A complete screwdriver along x: handle, round blade, flat or cross tip."""
    length, blade = rng.uniform(7, 11) * scale, rng.uniform(5, 13) * scale
    radius, shaft = rng.uniform(1.0, 1.5) * scale, rng.uniform(0.2, 0.34) * scale
    tool_handle(kit, rng, length, radius=radius)
    steel = kit.metal("#c3c5c7", 0.2)
    start, end = (length - 0.1, 0, radius), length + blade
    if rng.random() < 0.5:
        kit.along(rod(shaft, 0, blade, 0.02), start, steel, sides=24)
        kit.box((0.9 * scale, shaft * 2.4, shaft * 0.7), (end, 0, radius - shaft * 0.35), kit.metal("#6a6c70", 0.4))
    else:
        kit.along(rod(shaft, 0, blade, 0.02)[:-1] + [(shaft * 0.25, blade + shaft * 2), (0, blade + shaft * 2)],
                  start, steel, sides=24)


def breadboard_block(kit, rng, columns, rails=True):
    """A breadboard with ``columns`` columns of 2 × 5 holes; returns (width, depth, height)."""
    pitch, height = 0.254, 0.85
    width, depth = columns * pitch + 0.5, 5.5 if rails else 3.5
    colour = rng.choice(["#f1f0ea", "#f1f0ea", "#f1f0ea", "#e6e0cc", "#b01c20", "#1c4fa8", "#161618", "#1d7a3a"])
    pale = colour in ("#f1f0ea", "#e6e0cc")
    kit.box((width, depth, height), (0, 0, 0), kit.plastic(colour, 0.5), 0.05)
    xs = [(i - (columns - 1) / 2) * pitch for i in range(columns)]
    rows = [side * (0.38 + i * pitch) for side in (-1, 1) for i in range(5)]
    holes = [(x, y, 0.11, 0.11) for x in xs for y in rows]
    if rails:
        holes += [(x, y, 0.11, 0.11) for i, x in enumerate(xs) if i % 6 != 5 for y in (-2.48, -2.22, 2.22, 2.48)]
        for y, line in ((-2.63, "#1c55b0"), (-2.07, "#c4161c"), (2.07, "#1c55b0"), (2.63, "#c4161c")):
            kit.rectangles([(0, y, width * 0.94, 0.05)], height + 0.003, kit.ink(line))
        kit.rectangles([(0, y, width, 0.04) for y in (-1.82, 1.82)], height + 0.003, kit.ink("#77756c"))
    kit.rectangles(holes, height + 0.003, kit.material("#1c1b18" if pale else "#050505", 0.9))
    kit.rectangles([(0, 0, width, 0.28)], height + 0.003, kit.material("#a5a298" if pale else "#0a0a0a", 0.8))
    return width, depth, height
