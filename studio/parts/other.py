"""Things on an electronics table that are none of the four parts: they measure whether the app can say so.

Several look alike on purpose: DC motors (stepper motors), disk and CD drives (floppy drives), driver boards and power
bricks (relays), speakers (piezos).
"""
from __future__ import annotations

from math import cos, pi, radians, sin

from .. import components
from ..components import BOARDS, HANDLES, breadboard_block, code, round_cell, scatter
from ..kit import WIRE_COLOURS
from ..outlines import rod, rounded
from ..wiring import wire_arc
from . import builder

SHADES = ["#141416", "#2a2b2e", "#e8e6de", "#d8d0b8", "#8a8d92", "#c9ccd0"]


# ---- helpers -------------------------------------------------------------------------------------------------------
def silk(colour):
    """The print that shows on a board of ``colour``."""
    return "#1c1c1e" if colour == "#e6e6e2" else "#f0f0ee"


def socket(kit, count, at, heading=0.0, height=0.85):
    """A female header strip in two meshes."""
    with kit.moved(at, (0, 0, heading)):
        kit.box((count * 0.254, 0.254, height), (0, 0, 0), kit.plastic("#141414", 0.45), 0.01)
        kit.rectangles([((i - (count - 1) / 2) * 0.254, 0, 0.11, 0.11) for i in range(count)], height + 0.003,
                       kit.material("#55524a", 0.6))


def pins(kit, count, at, heading=0.0, rows=1, down=False):
    """A male header in two meshes, its pins up or through the board downwards."""
    with kit.moved(at, (0, 0, heading)):
        kit.box((count * 0.254, rows * 0.254, 0.25), (0, 0, -0.41 if down else 0), kit.plastic("#141414", 0.5), 0.02)
        foot = -1.0 if down else 0
        kit.boxes([((0.064, 0.064, 1.1), ((i - (count - 1) / 2) * 0.254, (j - (rows - 1) / 2) * 0.254, foot))
                   for i in range(count) for j in range(rows)], kit.metal("#d4b25a", 0.25))


def dip(kit, rng, legs, at, heading=0.0):
    """A DIP chip with ``legs`` legs per side, its notch and print."""
    long, wide = legs * 0.254, 0.65 if legs < 11 else 1.35
    with kit.moved(at, (0, 0, heading)):
        kit.box((long, wide, 0.33), (0, 0, 0.12), kit.material("#1a1a1c", 0.55, bump=0.1), 0.03)
        kit.boxes([((0.1, 0.09, 0.3), ((i - (legs - 1) / 2) * 0.254, side * (wide / 2 + 0.05), 0))
                   for i in range(legs) for side in (-1, 1)], kit.metal("#c2c4c6", 0.3))
        kit.cylinder(0.1, 0.004, (-long / 2 + 0.12, 0, 0.45), kit.material("#050505", 0.8), 0, sides=20)
        kit.text(code(rng, 3, rng.randint(3, 4)), wide * 0.24, (0.05, 0, 0.45), kit.ink("#b5b5b0"))


def usb_b(kit, at, heading=0.0):
    """The tall metal USB-B socket, its mouth towards −x."""
    with kit.moved(at, (0, 0, heading)):
        kit.box((1.6, 1.2, 1.1), (0, 0, 0), kit.metal("#b9bcc0", 0.25), 0.04)
        kit.box((0.01, 0.8, 0.75), (-0.8, 0, 0.18), kit.plastic("#e8e8e4"), 0)


def lead(kit, start, heading, rng, count=2, length=8.0, radius=0.08):
    """The red and black (or other) leads of a motor, speaker or pack."""
    colours = ["#c4161c", "#141414"] if rng.random() < 0.7 else rng.sample(WIRE_COLOURS, 2)
    kit.loose_wires(start, heading, (colours + ["#e8b400"])[:count], length * rng.uniform(0.7, 1.4), radius, 0.2, 30)


def dome(kit, a, b, height, material, power=3.0, z=0.0):
    """A rounded shell over a superellipse of half-axes ``a`` and ``b``, such as a computer mouse."""
    vertices, n, levels = [], 48, [1, 1, 0.97, 0.9, 0.78, 0.6, 0.4, 0.2, 0.0]
    for k, r in enumerate(levels):
        for i in range(n):
            t = 2 * pi * i / n
            x, y = (abs(f(t)) ** (2 / power) * (1 if f(t) >= 0 else -1) for f in (cos, sin))
            slope = 1 - 0.25 * x * r
            up = height * slope * (0.3 + 0.7 * (1 - r ** 3) ** 0.6) if k else 0
            vertices.append((a * r * x, b * r * y, z + up))
    faces = [(k * n + i, k * n + (i + 1) % n, (k + 1) * n + (i + 1) % n, (k + 1) * n + i)
             for k in range(len(levels) - 1) for i in range(n)]
    return kit.mesh(vertices, faces, material=material, smooth=True)


def maybe_stand(kit, rng, turn, chance=0.25):
    """Now and then the thing stands on its edge, or lies the other way up."""
    if rng.random() < chance:
        kit.rotate(turn)


# ---- boards --------------------------------------------------------------------------------------------------------
def arduino(kit, rng):
    """A large microcontroller board: USB-B and power sockets, female headers, a DIP or QFP chip."""
    colour = rng.choice(["#10657a", "#0f5a8a", "#10357a", "#10357a", "#a51417", "#0e0f10"])
    long = rng.choice([6.9, 6.9, 10.1])
    top, left = kit.circuit_board(long, 5.4, 0.3, colour, inset=0.28), -long / 2
    usb_b(kit, (left + 0.3, 1.2, top))
    kit.box((1.4, 0.9, 1.05), (left + 0.5, -1.9, top), kit.plastic("#141414"), 0.05)
    for y, counts in ((2.42, (10, 8)), (-2.42, (8, 6))):
        x = left + 1.9 + (0.8 if y < 0 else 0)
        for count in counts + ((8,) if long > 8 else ()):
            socket(kit, count, (x + count * 0.127, y, top))
            x += count * 0.254 + 0.15
    if long > 8 or rng.random() < 0.4:
        kit.chip((1.1, 1.1, 0.12), (0.6, 0, top), 0, 12, code(rng), 4)
    else:
        dip(kit, rng, 14, (0.9, -1.2, top))
    kit.box((1.1, 0.45, 0.35), (left + 2.2, 0.4, top), kit.metal(), 0.15)
    for y in (-0.9, -1.6):
        kit.capacitor((left + 1.8, y, top), 0.32, 0.6, "#c5c7ca")
    pins(kit, 3, (long / 2 - 0.5, 0, top), 90, 2)
    kit.box((0.6, 0.6, 0.2), (left + 0.7, 2.3, top), kit.metal(), 0.02)
    kit.cylinder(0.16, 0.3, (left + 0.7, 2.3, top), kit.plastic("#a51417"))
    kit.text(rng.choice(["UNO", "MEGA 2560", "DUINO", "MAKER R3", "LEONARDO"]), 0.4, (0.9, 1.2, top),
             kit.ink(silk(colour)))
    kit.surface_mount((left + 2.3, -0.6, long / 2 - 1, 1.9), top, 14)
    if rng.random() < 0.3:
        lead(kit, (0, 2.42, top + 0.9), 90, rng, 3, 10, 0.065)


def dev_board(kit, rng):
    """A small board on two rows of pins: shielded radio module or chip, small USB socket, two buttons."""
    colour = rng.choice(["#0e0f10", "#10357a", "#10357a", "#0d4a24", "#3a1a66"])
    long, wide = rng.uniform(3.6, 5.6), rng.uniform(1.8, 2.8)
    top, count = kit.circuit_board(long, wide, 0.9, colour, 0.1, 0.1, 0.18), int(long / 0.254) - 1
    for side in (-1, 1):
        y = side * (wide / 2 - 0.15)
        pins(kit, count, (0, y, top), down=True)
        kit.rectangles([((i - (count - 1) / 2) * 0.254, y, 0.15, 0.15) for i in range(count)], top + 0.006,
                       kit.metal("#d4b25a"))
        marks = [((i - (count - 1) / 2) * 0.254, y - side * 0.22, 0.08, 0.13) for i in range(count)]
        kit.rectangles(marks, top + 0.005, kit.ink(silk(colour)))
    kit.box((0.7, 0.85, 0.3), (-long / 2 + 0.3, 0, top), kit.metal("#c5c8ca", 0.25), 0.05)
    if rng.random() < 0.55:
        kit.box((1.8, wide * 0.62, 0.08), (long / 2 - 0.9, 0, top), kit.pcb("#0e0f10"), 0)
        kit.box((1.3, wide * 0.56, 0.2), (long / 2 - 1.2, 0, top + 0.08), kit.metal("#c9cbcd", 0.3), 0.03)
        kit.text(rng.choice(["ESP-32", "WROOM", "Wi-Fi", code(rng)]), 0.2, (long / 2 - 1.2, 0, top + 0.28),
                 kit.ink("#33343a"))
    else:
        kit.chip((0.75, 0.75, 0.1), (long * 0.1, 0, top), 45, 8, "", 4)
    for side in (-1, 1):
        kit.box((0.35, 0.3, 0.15), (-long / 2 + 1.0, side * 0.42, top), kit.metal(), 0.02)
        kit.cylinder(0.08, 0.22, (-long / 2 + 1.0, side * 0.42, top), kit.plastic("#e8e4d8"))
    kit.surface_mount((-long * 0.25, -wide * 0.22, long * 0.05, wide * 0.22), top, 8)


def shield(kit, rng):
    """An expansion or driver board: box header, chips, jumpers, terminals, maybe a heat sink."""
    colour, long, wide = rng.choice(BOARDS), rng.uniform(5, 10), rng.uniform(4, 6)
    top = kit.circuit_board(long, wide, 0.5, colour, rng.uniform(0.05, 0.4))
    ink, n = kit.ink(silk(colour)), rng.randint(8, 20)
    kit.box((n * 0.254 + 0.8, 0.9, 0.9), (0, wide / 2 - 0.8, top), kit.plastic("#17171a"), 0.03)
    kit.rectangles([(0, wide / 2 - 0.8, n * 0.254 + 0.5, 0.6)], top + 0.903, kit.material("#060606", 0.9))
    kit.boxes([((0.064, 0.064, 1.05), ((i - (n - 1) / 2) * 0.254, wide / 2 - 0.8 + s * 0.127, top))
               for i in range(n) for s in (-1, 1)], kit.metal("#d4b25a"))
    for i in range(rng.randint(1, 3)):
        x = -long / 2 + 1.5 + i * long / 3.6
        if rng.random() < 0.5:
            dip(kit, rng, rng.choice([4, 7, 8]), (x, -0.3, top), rng.choice([0, 90]))
        else:
            kit.chip((0.7, 0.7, 0.12), (x, -0.3, top), 0, 8, code(rng, 2, 3), rng.choice([2, 4]))
    if rng.random() < 0.4:
        fins = [((1.6, 0.1, 1.8), (long / 2 - 1.6, -0.4 + (k - 2) * 0.3, top)) for k in range(5)]
        kit.boxes(fins + [((1.6, 1.4, 0.4), (long / 2 - 1.6, -0.4, top))],
                  kit.metal(rng.choice(["#2a2b2e", "#b9bcc0", "#1f4fa3"])))
    for i in range(rng.randint(0, 2)):
        kit.screw_terminal(rng.randint(2, 3), (-long / 2 + 1.6 + i * 2.4, -wide / 2 + 0.45, top), 0,
                           rng.choice(["#1d5fb8", "#1f8a3c", "#202022"]))
    pins(kit, rng.randint(3, 6), (long / 2 - 1.3, -wide / 2 + 0.4, top), 0, rng.choice([1, 2]))
    for _ in range(rng.randint(0, 3)):
        kit.capacitor((rng.uniform(-0.3, 0.1) * long, -wide * 0.27, top), rng.uniform(0.2, 0.4), rng.uniform(0.6, 1.1))
    kit.text(f"{code(rng, 4, 2)} v1.{rng.randint(0, 9)}", 0.25, (-long * 0.25, wide * 0.16, top), ink)
    kit.surface_mount((-long * 0.4, -wide * 0.2, long * 0.2, wide * 0.18), top, 16)


def sensor_module(kit, rng):
    """A module with one characteristic thing on it: ultrasonic eyes, knob, gas sensor, display, sensor window."""
    kind = rng.choice(["ultrasonic", "encoder", "gas", "oled", "pir"])
    colour = rng.choice(BOARDS)
    long, wide = {"ultrasonic": (4.5, 2.0), "encoder": (2.6, 2.0), "gas": (3.3, 2.1)}.get(kind, (2.8, 2.8))
    top = kit.circuit_board(long, wide, 0.3, colour, 0.1, 0.11, 0.22)
    kit.pin_header(rng.randint(3, 5), (0, -wide / 2 + 0.15, top), 180, lying=True)
    if kind == "ultrasonic":
        for x in (-1.3, 1.3):
            kit.cylinder(0.8, 1.2, (x, 0.1, top), kit.metal("#b9bcc0", 0.3), 0.06)
            kit.cylinder(0.65, 0.02, (x, 0.1, top + 1.2), kit.material("#3a3a3c", 0.8, bump=0.6), 0)
        kit.text(f"HC-SR{rng.randint(4, 6):02}", 0.16, (0, 0.7, top), kit.ink(silk(colour)))
    elif kind == "encoder":
        kit.box((1.2, 1.3, 0.6), (0, 0.1, top), kit.metal(), 0.05)
        kit.cylinder(0.3, 1.4, (0, 0.1, top), kit.metal())
        if rng.random() < 0.6:
            kit.cylinder(0.75, 1.4, (0, 0.1, top + 0.9), kit.plastic(rng.choice(["#17171a", "#c5c8ca"])), 0.08,
                         sides=18)
    elif kind == "gas":
        kit.cylinder(0.95, 0.6, (0.4, 0, top), kit.metal("#c5c8ca", 0.3), 0.05)
        kit.cylinder(0.8, 0.7, (0.4, 0, top + 0.4), kit.metal("#a0a3a6", 0.5), 0.2)
        kit.box((0.65, 0.65, 0.5), (-1.2, 0.4, top), kit.plastic("#1d5fb8"), 0.02)
    elif kind == "oled":
        kit.box((2.7, 1.9, 0.15), (0, 0.1, top), kit.material("#07080c", 0.06, coat=0.6), 0.01)
        glow = kit.material(rng.choice(["#e8f4ff", "#58b8ff"]), 0.4, glow=2.0)
        for line in range(rng.randint(0, 3)):
            kit.text(rng.choice(["Hello!", "23.5 C", "12:48", "READY", f"A={line}"]), 0.3,
                     (0, 0.55 - line * 0.45, top + 0.15), glow)
    else:
        kit.lathe([(1.15, 0), (1.15, 0.3), (1.05, 0.7), (0.7, 1.1), (0, 1.3)], (0, 0.1, top), kit.plastic("#f0f0ea"),
                  sides=14)
    kit.surface_mount((-long * 0.4, -wide * 0.25, long * 0.4, -wide * 0.15), top, 4)


def breadboard(kit, rng):
    """A breadboard with jumper wires, chips and small parts."""
    columns = rng.choice([17, 30, 30, 63])
    width, _, top = breadboard_block(kit, rng, columns, columns > 20)
    reach = width / 2 - 1.2
    if rng.random() < 0.75:
        dip(kit, rng, rng.choice([4, 7, 8]), (rng.uniform(-0.6, 0.6) * reach, 0, top))
    for _ in range(rng.randint(2, 9)):
        x, up = rng.uniform(-reach, reach), rng.random() < 0.5
        y = rng.choice([-2.4, -1.2, 0.5, 1.2]) if columns > 20 else rng.choice([-1.2, -0.5, 0.5])
        end = (max(-reach, min(reach, x + rng.uniform(-3.5, 3.5))), rng.choice([1.3, -0.6, 0.7]), top)
        colour = rng.choice(WIRE_COLOURS)
        if up:
            kit.boxes([((0.25, 0.25, 1.3), place) for place in ((x, y, top), end)], kit.plastic("#141414"), 0.02)
        lift = 1.3 if up else 0
        wire_arc(kit, (x, y, top + lift), (end[0], end[1], top + lift), rng.uniform(0.3, 2.5), colour, 0.065)
    for _ in range(rng.randint(0, 3)):
        kit.led((rng.uniform(-reach, reach), rng.choice([-1, 1]), top + 0.3),
                rng.choice(["#c81e1e", "#1e9a3c", "#d8a81a"]), 0.22)
    for _ in range(rng.randint(0, 2)):
        kit.resistor((rng.uniform(-reach, reach), rng.choice([-0.8, 0.8]), top + 0.1), rng.choice([0, 90]))
    if rng.random() < 0.4:
        lead(kit, (reach, 1.5, top + 0.1), 20, rng, 3, 9, 0.065)


def display(kit, rng):
    """A character or seven-segment display module."""
    colour = rng.choice(["#0d4a24", "#10357a", "#0e0f10"])
    top, glass = kit.circuit_board(8.0, 3.6, 0.3, colour, 0.05, 0.15,
                                   0.25), rng.choice(["#2040d8", "#9ab82a", "#101014"])
    kit.box((7.1, 2.5, 0.7), (0, -0.1, top), kit.metal("#2a2b2e", 0.4), 0.05)
    kit.box((6.4, 1.5, 0.02), (0, -0.1, top + 0.7), kit.material(glass, 0.15, coat=0.5), 0)
    ink = kit.material("#e8f0ff" if glass == "#2040d8" else "#c81e1e" if glass == "#101014" else "#1c2410", 0.4,
                       glow=0.5)
    for y, line in ((0.2, ["HELLO WORLD", "TEMP 23.5 C", "12:48:07"]), (-0.4, ["ready...", "V= 5.02", "#########"])):
        kit.text(rng.choice(line), 0.42, (0, y, top + 0.72), ink)
    pins(kit, 16, (-1.5, 1.55, top))
    maybe_stand(kit, rng, (70, 0, 0))


# ---- motors, speakers, fans ----------------------------------------------------------------------------------------
def servo(kit, rng):
    """A small servo: blue or black case with ears, gear turret, white horn, three wires in one ribbon."""
    colour, k = rng.choice(["#1f4fd0", "#1f4fd0", "#2a62c8", "#17171a", "#17171a", "#e07818"]), rng.choice([1, 1, 1.8])
    case = kit.material(colour, 0.3, transmission=0.25) if colour != "#17171a" else kit.plastic(colour)
    lies = rng.random() < 0.5
    with kit.moved((0, 0, 0.6 * k * lies), (90 * lies, 0, 0)):
        kit.box((2.3 * k, 1.2 * k, 2.2 * k), (0, 0, 0), case, 0.05)
        kit.plate(rounded(3.2 * k, 1.2 * k, 0.1), 0.22 * k, (0, 0, 1.5 * k), case,
                  [(-1.38 * k, 0, 0.1 * k), (1.38 * k, 0, 0.1 * k)])
        kit.cylinder(0.58 * k, 0.45 * k, (0.55 * k, 0, 2.2 * k), case, 0.02)
        kit.cylinder(0.3 * k, 0.4 * k, (-0.05 * k, 0, 2.2 * k), case, 0.02)
        kit.cylinder(0.24 * k, 0.3 * k, (0.55 * k, 0, 2.6 * k), kit.plastic("#f0f0ea"), 0.02)
        # On its side the servo must not stand on its horn, so the arms lie along the case.
        with kit.moved((0.55 * k, 0, 2.75 * k), (0, 0, rng.uniform(-12, 12) if lies else rng.uniform(0, 360))):
            white, reach = kit.plastic(rng.choice(["#f4f4f0", "#f4f4f0", "#17171a"])), rng.uniform(1.4, 2.0) * k
            arms = rng.choice([(0,), (0, 180), (0, 180) if lies else (0, 90, 180, 270)])
            for arm in arms:
                shape = [(0, -0.3 * k), (reach, -0.18 * k), (reach + 0.15 * k, 0), (reach, 0.18 * k), (0, 0.3 * k)]
                kit.plate(shape, 0.16 * k, (0, 0, 0), white, [(reach * f, 0, 0.06 * k) for f in (0.45, 0.65, 0.85)],
                          (0, 0, arm))
            kit.cylinder(0.36 * k, 0.2 * k, (0, 0, 0), white, 0.02)
            kit.screw(0.16 * k, (0, 0, 0.2 * k))
        kit.label((1.9 * k, 1.2 * k), (0, -0.602 * k, 0.75 * k),
                  [rng.choice(["MICRO SERVO", "9g SERVO", "TOWER", "DIGITAL"]), code(rng)],
                  (90, 0, 0), rng.choice(["#16161a", "#e8e8e4", "#1c3f9a"]), False, rng.choice(["#d8b030", "#c81e1e"]))
    colours = rng.choice([["#7a4a21", "#c4161c", "#e06a12"], ["#141414", "#c4161c", "#f2f2f2"]])
    start = (-1.15 * k, -0.3, 0.6 * k) if lies else (-1.15 * k, 0, 0.3)
    kit.loose_wires(start, 180, colours, rng.uniform(5, 12), 0.06, 0.13, 30)


def motor_can(kit, rng, radius, length, at=(0, 0, 0)):
    """A brushed motor along x: can with two flats, shaft in a boss, plastic cap with two terminals."""
    angles = [radians(a) for a in list(range(-52, 53, 8)) + list(range(128, 233, 8))]
    outline = [(radius * cos(a), radius * sin(a)) for a in angles]
    steel = kit.metal(rng.choice(["#b9bcc0", "#c9cbcd", "#8f9296"]), 0.25)
    with kit.moved((at[0], at[1], at[2] + radius * 0.8), (90, 0, 90)):
        kit.plate(outline, length, (0, 0, 0), steel, bevel=0.08)
        kit.cylinder(radius * 0.36, 0.25, (0, 0, length), steel)
        kit.cylinder(radius * 0.11, 1.3, (0, 0, length), kit.metal("#d0d2d4", 0.15), 0.01)
        cap = kit.plastic(rng.choice(["#f0efe8", "#17171a", "#d8c9a0", "#2a62c8"]))
        kit.cylinder(radius * 0.78, 0.25, (0, 0, -0.2), cap, 0.03)
        kit.boxes([((0.3, 0.05, 0.5), (0, side * radius * 0.55, -0.5)) for side in (-1, 1)], kit.metal("#c8a24a"))


def dc_motor(kit, rng):
    """One or two DC motors, maybe with leads, a gear or a propeller."""
    for i in range(rng.choice([1, 1, 2])):
        radius, length = rng.uniform(1.0, 1.8), rng.uniform(2.4, 5.0)
        with kit.moved((0, i * 4.5, 0), (0, 0, i * rng.uniform(-40, 40))):
            motor_can(kit, rng, radius, length, (-length / 2, 0, 0))
            extra = rng.choice(["none", "gear", "fan", "label"])
            if extra == "gear":
                kit.along(rod(0.45, 0, 0.7), (length / 2 + 0.4, 0, radius * 0.8), kit.metal("#c8a24a"), sides=12)
            elif extra == "fan":
                with kit.moved((length / 2 + 0.9, 0, radius * 0.8), (0, 90, 0)):
                    blades(kit, rng.randint(2, 4), 0.2, radius * 0.78, 0.4, kit.plastic(rng.choice(HANDLES)))
            elif extra == "label":
                kit.label((length * 0.6, radius), (0, 0, radius * 1.59),
                          ["DC " + rng.choice(["6V", "12V", "3-6V"]), code(rng)], barcode=False)
        if rng.random() < 0.6:
            lead(kit, (-length / 2 - 0.4, i * 4.5, radius * 0.8), 180, rng)


def tt_motor(kit, rng):
    """The yellow gear motor of toy robots, with or without its wheel, sometimes a pair on a clear chassis."""
    pair = rng.random() < 0.3
    wheeled = pair or rng.random() < 0.45
    lies = not pair and rng.random() < 0.4
    # What touches the table is the wheel, the end of the axle, or the gear box.
    lift = (4.1 if wheeled else 1.9) if lies else 2.25 * wheeled
    for i in range(2 if pair else 1):
        with kit.moved((0, i * 8, 0), (0, 0, 180 * i)):
            with kit.moved((0, 0, lift), (90 * lies, 0, 0)):
                gear_motor(kit, rng)
                if wheeled:
                    wheel(kit, rng, (1.0, -1.5, 1.05))
            if rng.random() < 0.8:
                lead(kit, (-4.4, -0.9 * lies, lift + 0.9 * (not lies)), 180, rng, 2, 10, 0.065)
    if pair:
        kit.box((9, 7, 0.3), (1, 4, lift + 2.1), kit.clear() if rng.random() < 0.6 else kit.plastic("#17171a"), 0.05)


def gear_motor(kit, rng):
    """The yellow gear box with its white axle and the motor behind it."""
    yellow = kit.plastic(rng.choice(["#e8b800", "#f0c818", "#f0c818", "#1c4fa8"]), 0.4)
    kit.box((3.7, 2.2, 1.9), (0, 0, 0.1), yellow, 0.15)
    kit.box((1.6, 2.0, 1.7), (-2.3, 0, 0.2), yellow, 0.3)
    kit.plate(rounded(1.0, 0.6, 0.25), 0.3, (2.2, 0, 0.9), yellow, [(0.15, 0, 0.15)])
    motor_can(kit, rng, 1.0, 1.6, (-4.7, 0, 0.25))
    kit.box((0.25, 2.3, 2.0), (-3.3, 0, 0.05), kit.clear(), 0.05)
    kit.along(rod(0.27, -1.9, 1.9, 0.03), (1.0, 0, 1.05), kit.plastic("#f4f4f0"), 90)
    for x, y in ((-1.2, 0.8), (-1.2, -0.8)):
        kit.screw(0.2, (x, y, 2.0))


def wheel(kit, rng, at):
    """A toy wheel with a ribbed tyre; its axle along −y."""
    with kit.moved(at, (90, 0, 0)):
        profile = [(1.9, 0), (3.1, 0.0), (3.3, 0.25)] + [(3.3 - 0.1 * (k % 2), 0.3 + k * 0.25) for k in range(9)] + \
            [(3.1, 2.6), (1.9, 2.6)]
        kit.lathe(profile, (0, 0, 0), kit.rubber())
        hub = kit.plastic(rng.choice(["#e8b800", "#e8b800", "#f0f0ea"]))
        kit.ring(2.5, 2.1, 2.55, (0, 0, 0.02), hub)
        kit.cylinder(0.5, 2.5, (0, 0, 0), hub)
        for a in range(0, 180, 60):
            kit.box((4.4, 0.35, 1.6), (0, 0, 0.6), hub, 0.05, (0, 0, a))


def blades(kit, count, inner, outer, height, material):
    """Twisted fan blades around z."""
    vertices, faces, n = [], [], 6
    for b in range(count):
        for k in range(n + 1):
            r, base = inner + (outer - inner) * k / n, len(vertices)
            mid, half = 2 * pi * b / count + 0.35 * k / n, pi / count * 0.85
            for side in (-1, 0, 1):
                a = mid + side * half
                vertices.append((r * cos(a), r * sin(a), height * (0.5 + 0.5 * side)))
            if k:
                faces += [(base - 3, base, base + 1, base - 2), (base - 2, base + 1, base + 2, base - 1)]
    thing = kit.mesh(vertices, faces, material=material, smooth=True)
    thick = thing.modifiers.new("thick", "SOLIDIFY")
    thick.thickness = 0.12


def fan(kit, rng):
    """A computer fan: square frame, seven to nine blades, a label on its hub."""
    size = rng.choice([3, 4, 6, 8, 12])
    depth, frame = size * rng.uniform(0.2, 0.32), kit.plastic(rng.choice(["#17171a", "#17171a", "#8a7a5c", "#e8e8e4"]))
    reach, hole = size * 0.47, size * 0.44
    stands = rng.random() < 0.25
    with kit.moved((0, 0, size / 2 * stands), (90 * stands, 0, 0)):
        kit.plate(rounded(size, size, size * 0.05), depth, (0, 0, 0), frame,
                  [(0, 0, reach)] + [(sx * hole, sy * hole, size * 0.022) for sx in (-1, 1) for sy in (-1, 1)])
        skin = kit.plastic(rng.choice(["#17171a", "#17171a", "#2a2b2e", "#e8e8e4", "#8a4a2a"]))
        kit.cylinder(size * 0.2, depth * 0.9, (0, 0, 0), skin)
        with kit.moved((0, 0, depth * 0.15)):
            blades(kit, rng.randint(5, 9), size * 0.19, reach * 0.96, depth * 0.65, skin)
        for a in (0, 120, 240):
            kit.box((reach * 2, size * 0.04, depth * 0.1) if a == 0 else (reach, size * 0.04, depth * 0.1),
                    (0.5 * reach * cos(radians(a)) * (a > 0), 0.5 * reach * sin(radians(a)), 0), frame, 0, (0, 0, a))
        kit.cylinder(size * 0.17, 0.01, (0, 0, depth * 0.9),
                     kit.ink(rng.choice(["#e8e8e4", "#1c3f9a", "#c9ccd0", "#17171a"])), 0)
        ink = kit.ink(rng.choice(["#c81e1e", "#d8b030"]))
        kit.text(rng.choice(["DC 12V", "DC 5V", "COOLER", "SILENT"]), size * 0.05, (0, size * 0.03, depth * 0.9 + 0.01),
                 ink)
        kit.text(code(rng), size * 0.04, (0, -size * 0.05, depth * 0.9 + 0.01), ink)
    start = (size / 2, -depth / 2, size * 0.1) if stands else (size / 2, -size * 0.4, depth / 2)
    lead(kit, start, 0, rng, rng.choice([2, 3]), 10)


def speaker(kit, rng):
    """A loudspeaker, face up (cone and dust cap) or face down (magnet)."""
    radius = rng.choice([1.4, 2, 2.5, 3.3, 4, 6])
    frame = kit.metal(rng.choice(["#2a2b2e", "#b9bcc0", "#17171a"]), 0.4)
    cone = kit.material(rng.choice(["#1b1b1c", "#1b1b1c", "#3a3632", "#c8b890", "#d8d8d4"]), 0.8, bump=0.3)
    over = rng.random() < 0.3
    with kit.moved((0, 0, radius * 0.86 * over), (180 * over, 0, 0)):
        magnet = kit.metal("#3a3b3e" if rng.random() < 0.6 else "#b9bcc0", 0.5)
        kit.cylinder(radius * 0.5, radius * 0.3, (0, 0, 0), magnet)
        kit.lathe([(radius * 0.45, radius * 0.3), (radius * 0.55, radius * 0.36), (radius * 0.93, radius * 0.7),
                   (radius, radius * 0.72), (radius, radius * 0.8), (radius * 0.93, radius * 0.8)], (0, 0, 0), frame)
        edge, z = rng.uniform(0.76, 0.86), radius * 0.8
        roll = [(radius * (0.94 - (0.94 - edge) * k / 6), z + radius * 0.06 * sin(pi * k / 6)) for k in range(7)]
        kit.lathe(roll, (0, 0, 0), kit.rubber(rng.choice(["#121212", "#2a2a2a"])))
        kit.lathe([(radius * edge, z), (radius * 0.55, z - radius * 0.2), (radius * 0.32, z - radius * 0.34)],
                  (0, 0, 0), cone)
        cap = [(radius * 0.33 * cos(pi / 2 * k / 6), z - radius * 0.34 + radius * 0.16 * sin(pi / 2 * k / 6))
               for k in range(7)]
        kit.lathe(cap, (0, 0, 0), cone if rng.random() < 0.6 else kit.metal("#c5c8ca", 0.2))
        if rng.random() < 0.6:
            for a in (45, 135, 225, 315):
                at = (radius * 1.08 * cos(radians(a)), radius * 1.08 * sin(radians(a)), z - 0.1)
                kit.plate(rounded(radius * 0.5, radius * 0.4, radius * 0.15), 0.1, at, frame,
                          [(radius * 0.1, 0, radius * 0.06)], (0, 0, a))
        kit.text(f"{rng.choice([4, 8, 16])} OHM {rng.choice([0.5, 1, 2, 3]):.1f}W", radius * 0.13, (0, 0, -0.004),
                 turn=(180, 0, 0))
    if rng.random() < 0.7:
        lead(kit, (radius * 0.7, 0, radius * (0.4 if over else 0.5)), 0, rng)


# ---- disks and drives ----------------------------------------------------------------------------------------------
def diskette(kit, rng):
    """One to three 3.5-inch diskettes, label or hub side up."""
    for i in range(rng.choice([1, 1, 2, 3])):
        colour = rng.choice(["#17171a", "#17171a", "#1c3f9a", "#c4161c", "#e0a800", "#1d7a3a", "#8a8d92", "#e8e6de",
                             "#e0601a"])
        lift = (i * rng.uniform(1.5, 6), i * rng.uniform(-3, 3), i * 0.36)
        with kit.moved(lift, (0, 0, rng.uniform(-40, 40) * (i > 0))):
            shell = [(-4.5, -4.7), (4.5, -4.7), (4.5, 4.3), (4.1, 4.7), (-4.5, 4.7)]
            kit.plate(shell, 0.33, (0, 0, 0), kit.plastic(colour, 0.5),
                      [[(3.9, -4.4), (4.3, -4.4), (4.3, -4.0), (3.9, -4.0)]])
            steel = kit.metal("#b9bcc0", 0.3) if rng.random() < 0.8 else kit.plastic("#2a2b2e")
            slot = [(0.35, 2.2), (1.2, 2.2), (1.2, 4.4), (0.35, 4.4)]
            kit.plate([(-2.2, 1.7), (1.9, 1.7), (1.9, 4.72), (-2.2, 4.72)], 0.38, (0, 0, -0.025), steel, [slot])
            kit.rectangles([(1.2, 3.2, 4.5, 3.1)], 0.334, kit.material("#0a0a0c", 0.8))
            if rng.random() < 0.25:
                kit.cylinder(1.3, 0.03, (0, 0, 0.33), kit.metal("#b9bcc0", 0.35), 0)
                kit.box((0.35, 0.35, 0.005), (0, 0, 0.36), kit.material("#0a0a0c", 0.8), 0)
                kit.box((0.4, 0.7, 0.005), (0.8, 0.3, 0.36), kit.material("#0a0a0c", 0.8), 0)
                continue
            paper = kit.ink(rng.choice(["#f4f3ee", "#f4f3ee", "#e8d85a", "#a8c8e8", "#f0b0a8"]))
            if rng.random() < 0.85:
                kit.box((7.2, 5.2, 0.01), (0, -2.0, 0.33), paper, 0)
                kit.rectangles([(0, -0.6 - k * 0.6, 6.6, 0.03) for k in range(6)], 0.343, kit.ink("#8a9ac0"))
                kit.rectangles([(0, 0.2, 7.2, 0.6)], 0.343, kit.ink(rng.choice(HANDLES)))
                pen = kit.ink(rng.choice(["#1a2a6a", "#1c1c1e"]))
                for k, word in enumerate(rng.sample(["BACKUP", "Disk 1", "GAMES", "DOS 6.2", "Fotos", "boot", "1996"],
                                                    2)):
                    kit.text(word, 0.55, (-0.5, -0.95 - k * 1.2, 0.342), pen, (0, 0, rng.uniform(-3, 3)))
            kit.text("HD", 0.4, (3.7, 4.2, 0.331))


def hard_disk(kit, rng):
    """A hard disk, 3.5 or 2.5 inch, lid or board side up."""
    k = rng.choice([1, 1, 0.68])
    long, wide, tall = 14.7 * k, 10.2 * k, 2.6 * (1 if k == 1 else 0.37)
    cast = kit.metal(rng.choice(["#8f9296", "#a5a8ab", "#5a5c60", "#2c2d30"]), 0.5)
    kit.box((long, wide, tall * 0.85), (0, 0, 0), cast, 0.08)
    if rng.random() < 0.65:
        lid = kit.metal(rng.choice(["#c9cbcd", "#b9bcc0", "#d2d4d6", "#1c1d20"]), 0.25)
        spots = [(sx * long * f, sy * wide * 0.44) for sx, f in ((-1, 0.46), (1, 0.46), (1, 0.02)) for sy in (-1, 1)]
        kit.plate(rounded(long * 0.97, wide * 0.96, 0.7 * k), tall * 0.15, (0, 0, tall * 0.85), lid, bevel=0.04)
        disk = (long * 0.14, 0, tall)
        kit.lathe([(wide * 0.45, 0), (wide * 0.44, 0.07), (wide * 0.42, 0.07), (wide * 0.415, 0)], disk, lid)
        if rng.random() < 0.6:
            kit.lathe([(wide * 0.16, 0), (wide * 0.15, 0.06), (0, 0.06)], disk, lid)
        for x, y in spots:
            kit.screw(0.3 * k, (x, y, tall), kit.metal("#8a8d90", 0.3), head=rng.choice(["hex", "phillips"]))
        at = rng.choice([(0, 0), (-long * 0.15, 0), (long * 0.12, wide * 0.05)])
        brand = rng.choice(["SEAGRAM", "WESTER", "QUANTA", "MAXTAR", "HITOSHI"])
        kit.label((long * rng.uniform(0.45, 0.75), wide * rng.uniform(0.45, 0.75)), (*at, tall + 0.08),
                  [brand + rng.choice([" 500GB", " 1.0TB", " 40 GB"]), "MODEL " + code(rng), "5V 0.7A  12V 0.9A",
                   "S/N " + code(rng, 3, 8)],
                  (0, 0, rng.choice([0, 0, 90, 180])), rng.choice(["#f2f1ec", "#f2f1ec", "#d8e4d0"]))
        if rng.random() < 0.5:
            kit.cylinder(0.5 * k, 0.03, (-long * 0.38, -wide * 0.3, tall), kit.ink("#c5c8ca"), 0)
    else:
        colour, z = rng.choice(["#0d4a24", "#0d4a24", "#10357a"]), tall * 0.85
        with kit.moved((-long * 0.14, 0, 0)):
            top = kit.circuit_board(long * 0.64, wide * 0.9, z, colour, 0.4, 0.15, 0.5)
            for _ in range(3):
                at = (rng.uniform(-0.2, 0.2) * long, rng.uniform(-0.3, 0.3) * wide, top)
                kit.chip((1.7 * k, 1.7 * k, 0.14), at, 0, 10, code(rng), 4)
            kit.surface_mount((-long * 0.28, -wide * 0.4, long * 0.28, wide * 0.4), top, 18)
        kit.cylinder(wide * 0.16, 0.25, (long * 0.27, 0, z), kit.metal("#c9cbcd", 0.25))
        kit.cylinder(wide * 0.07, 0.3, (long * 0.27, 0, z), kit.metal("#8a8d90", 0.3))
        kit.box((0.8, wide * 0.5, tall * 0.4), (-long * 0.49, wide * 0.1, tall * 0.4), kit.plastic("#17171a"))
    maybe_stand(kit, rng, (90, 0, 0), 0.15)


def cd_drive(kit, rng):
    """An optical drive: half-height with its bezel, or slim; the tray sometimes open with a disc in it."""
    slim = rng.random() < 0.3
    wide, deep, tall = (12.8, 12.6, 1.27) if slim else (14.6, rng.uniform(15, 19), 4.1)
    colour = rng.choice(["#d9d2bc", "#e6e3d8", "#17171a", "#17171a", "#c5c8ca"])
    bezel, dark = kit.plastic(colour, 0.5), kit.material("#101012", 0.7)
    kit.box((wide, deep, tall * 0.97), (0, 0, 0), kit.metal("#b9bcc0", 0.35), 0.05)
    kit.plate(rounded(wide * 0.85, deep * 0.8, 1), 0.03, (0, 0.3, tall * 0.97), kit.metal("#b9bcc0", 0.35))
    kit.box((wide + 0.2, 0.5, tall), (0, -deep / 2 - 0.25, 0), bezel, 0.08)
    face, out = -deep / 2 - 0.5, rng.uniform(4, 12) if rng.random() < 0.3 else 0
    kit.box((wide * 0.88, 0.02, tall * 0.4), (0, face, tall * 0.5), dark, 0)
    kit.box((wide * 0.87, 0.3, tall * 0.37), (0, face - 0.05 - out, tall * 0.515), bezel, 0.05)
    if out:
        kit.box((wide * 0.84, out, 0.4), (0, face - out / 2, tall * 0.55),
                kit.plastic("#3a3b3e" if colour == "#17171a" else colour))
        shine = kit.material("#c9cdd6", 0.12, metallic=1.0, grain=0)
        kit.ring(min(out, 12) * 0.48, 0.75, 0.12, (0, face - out / 2, tall * 0.55 + 0.4), shine)
    for x, w in ((wide * 0.4, 1.1), (wide * 0.3, 0.5)):
        kit.box((w, 0.15, tall * 0.13), (x, face - 0.02, tall * 0.2), bezel, 0.03)
    kit.box((0.4, 0.05, 0.15), (0, face - 0.02, tall * 0.25),
            kit.material(rng.choice(["#1e9a3c", "#d8a81a"]), 0.3, glow=1.0), 0)
    ink = kit.ink("#e8e8e4" if colour == "#17171a" else "#4a4a4c")
    kit.text(rng.choice(["COMPACT disc", "DVD-ROM", "DVD RW", "52x MAX"]), tall * 0.12,
             (-wide * 0.33, face, tall * 0.23), ink, (90, 0, 0))
    kit.label((wide * 0.6, deep * 0.35), (0, deep * 0.1, tall + 0.01),
              ["CD-ROM DRIVE", "MODEL " + code(rng), "CLASS 1 LASER", "MADE " + str(rng.randint(1996, 2011))])
    maybe_stand(kit, rng, (0, 90, 0), 0.15)


def memory(kit, rng):
    """Memory cards and USB sticks."""
    for x, y in scatter(rng, rng.randint(1, 4), 3, 3.6):
        with kit.moved((x, y, 0), (0, 0, rng.uniform(0, 360))):
            colour = rng.choice(["#17171a", "#17171a", "#1c3f9a", "#4a3a8a", "#e8e8e4", "#c4161c"])
            if rng.random() < 0.55:
                w, d = rng.choice([(2.4, 3.2), (2.4, 3.2), (1.1, 1.5), (2.1, 5.0), (4.3, 3.6)])
                kit.plate([(-w / 2, -d / 2), (w / 2, -d / 2), (w / 2, d / 2 - 0.4), (w / 2 - 0.4, d / 2),
                           (-w / 2, d / 2)], 0.21, (0, 0, 0), kit.plastic(colour))
                kit.box((w * 0.8, d * 0.62, 0.01), (0, -d * 0.1, 0.21), kit.ink(rng.choice(HANDLES)), 0)
                kit.text(f"{rng.choice([1, 2, 4, 8, 16, 32])} GB", w * 0.16, (0, -d * 0.15, 0.222))
                kit.rectangles([(0, d * 0.12, w * 0.8, d * 0.1)], 0.222, kit.ink("#e8e8e4"))
            else:
                long = rng.uniform(3, 5)
                kit.box((long, 1.8, 0.8), (0, 0, 0), kit.plastic(rng.choice(HANDLES)), 0.25)
                kit.box((1.3, 1.2, 0.45), (long / 2 + 0.6, 0, 0.17), kit.metal("#c9cbcd", 0.2), 0.02)
                kit.rectangles([(long / 2 + 0.6, s, 0.25, 0.25) for s in (-0.3, 0.3)], 0.623,
                               kit.material("#0c0c0e", 0.8))
                kit.text(f"{rng.choice([2, 8, 32])}GB", 0.45, (0, 0, 0.8))


# ---- components and batteries --------------------------------------------------------------------------------------
def capacitors(kit, rng):
    """A few big electrolytics, standing or lying."""
    sleeve = rng.choice(["#17181c", "#1a2f6a", "#3a4a8a", "#5a2f1c", "#1d5a3a", "#c5c7ca"])
    for x, y in scatter(rng, rng.randint(1, 5), 3.2, 3.2):
        radius = rng.uniform(0.5, 1.5)
        height, lies = radius * rng.uniform(1.8, 3.2), rng.random() < 0.5
        with kit.moved((x, y, radius if lies else 0), (0, 90 if lies else 0, rng.uniform(0, 360))):
            kit.capacitor((0, 0, 0), radius, height, sleeve)
            with kit.moved(turn=(0, 0, 180)):
                ink = kit.ink("#e8e8e4" if sleeve != "#c5c7ca" else "#1c1c1e")
                kit.text(f"{rng.choice([470, 1000, 2200, 4700])} uF\n{rng.choice([16, 25, 63, 400])} V",
                         radius * 0.3,
                         (radius + 0.01, 0, height / 2), ink, (0, 90, 0))
            if lies:
                for side in (-0.25, 0.25):
                    kit.wire([(0, side, 0), (0, side, -rng.uniform(0.6, 1.6))], 0.05, kit.metal("#b8babc"))


def chips(kit, rng):
    """A handful of DIP and flat chips and transistors, some on their backs."""
    for x, y in scatter(rng, rng.randint(1, 7), 3.5, 2.9):
        kind, turn = rng.choice(["dip", "dip", "flat", "transistor"]), rng.uniform(0, 360)
        if kind == "dip":
            over = rng.random() < 0.3
            with kit.moved((x, y, 0.45 if over else 0.3), (180 if over else 0, 0, turn)):
                legs = rng.choice([4, 7, 8, 10, 14])
                dip(kit, rng, legs, (0, 0, 0))
                kit.boxes([((0.05, 0.05, 0.32), ((i - (legs - 1) / 2) * 0.254, s * (0.37 if legs < 11 else 0.72), -0.3))
                           for i in range(legs) for s in (-1, 1)], kit.metal("#c2c4c6", 0.3))
        elif kind == "flat":
            size = rng.uniform(0.9, 2.4)
            kit.chip((size, size, 0.14), (x, y, 0), turn, rng.choice([8, 11, 14]), code(rng), 4)
        else:
            with kit.moved((x, y, 0), (0, 0, turn)):
                kit.plate(rounded(1.0, 1.5, 0.05), 0.13, (0, 0.3, 0), kit.metal(), [(0, 0.75, 0.18)])
                kit.box((1.0, 0.9, 0.45), (0, 0, 0), kit.material("#1a1a1c", 0.55), 0.04)
                kit.boxes([((0.08, 1.3, 0.05), (s * 0.254, -1.05, 0.2)) for s in (-1, 0, 1)], kit.metal("#c2c4c6"))
                kit.text(code(rng, 2, 3), 0.2, (0, 0, 0.45), kit.ink("#b5b5b0"))


def batteries(kit, rng):
    """Round cells, a 9 V block, a lithium pouch with its leads, or a holder full of cells."""
    kind = rng.choice(["round", "block", "pouch", "holder"])
    if kind == "round":
        radius, length = rng.choice([(0.72, 5.0), (0.52, 4.4), (0.92, 6.5), (1.3, 5.0), (1.65, 6.0)])
        for i in range(rng.randint(1, 4)):
            round_cell(kit, rng, (rng.uniform(-1, 1), i * radius * 2.3, 0), rng.choice([0, 180]) + rng.uniform(-4, 4),
                       radius, length)
    elif kind == "block":
        colour = rng.choice(["#17171a", "#c4161c", "#1c4fa8", "#1d7a3a", "#d8b030"])
        kit.box((4.6, 2.6, 1.7), (0, 0, 0), kit.material(colour, 0.3, coat=0.3), 0.15)
        band = kit.material(rng.choice(["#b87333", "#d8b030", "#e8e8e4"]), 0.3, coat=0.3)
        kit.box((1.3, 2.61, 1.71), (1.5, 0, -0.003), band, 0.15)
        for y, sides in ((-0.65, 6), (0.65, 40)):
            kit.along(rod(0.38, 0, 0.3, 0.04), (2.3, y, 0.85), kit.metal("#c4c6c8", 0.25), sides=sides)
        kit.text("9V", 0.8, (-0.6, 0.3, 1.7))
        kit.text(rng.choice(["ALKALINE", "6LR61", "POWER"]), 0.3, (-0.6, -0.7, 1.7))
        maybe_stand(kit, rng, rng.choice([(0, -90, 0), (90, 0, 0)]), 0.5)
    elif kind == "pouch":
        long, wide, tall = rng.uniform(3, 10), rng.uniform(2, 4.5), rng.uniform(0.4, 2.2)
        foil = rng.choice(["#c9cbcd", "#c9cbcd", "#1c4fa8", "#17171a", "#e0c02a"])
        kit.box((long, wide, tall), (0, 0, 0), kit.material(foil, 0.3, metallic=0.3), 0.2)
        kit.box((0.6, wide * 0.96, tall * 0.7), (long / 2, 0, tall * 0.15), kit.material("#d8a030", 0.3, coat=0.5))
        kit.label((long * 0.7, wide * 0.7), (0, 0, tall), [f"Li-Po {rng.randint(300, 5000)} mAh", "3.7V " + code(rng),
                                                           "+ -"], barcode=False)
        lead(kit, (long / 2 + 0.3, 0, tall / 2), 0, rng, 2, 7)
    else:
        count = rng.randint(2, 4)
        kit.box((6.2, count * 1.6 + 0.4, 0.4), (0, 0, 0), kit.plastic("#17171a"))
        for s in (-1, 1):
            kit.box((0.2, count * 1.6 + 0.4, 1.5), (s * 3.0, 0, 0), kit.plastic("#17171a"))
        for i in range(count):
            y, turn = (i - (count - 1) / 2) * 1.55, 180 * (i % 2)
            round_cell(kit, rng, (-0.1 * (1 - turn / 90), y, 0.35), turn, 0.7, 5.0)
        lead(kit, (3.1, 0.5, 0.4), 0, rng, 2, 9)


# ---- tools ---------------------------------------------------------------------------------------------------------
def pliers(kit, rng):
    """Pliers or side cutters with coloured grips."""
    steel, jaw = kit.metal(rng.choice(["#b3b6b9", "#6a6c70", "#3a3b3e"]), 0.35), rng.choice([2.0, 2.4, 4.0, 5.5])
    grip, open_by, reach = kit.material(rng.choice(HANDLES), 0.4, bump=0.1), rng.uniform(2, 14), rng.uniform(8, 12)
    for side in (1, -1):
        with kit.moved((0, 0, 0.15 if side > 0 else 0.16), (0, 0, side * open_by)):
            shape = [(0.6, 0.02), (jaw, 0.02), (jaw, 0.22 if jaw > 3 else 0.4), (1.2, 0.75), (0.3, 0.85), (-0.6, 0.6),
                     (-1.6, -0.5),
                     (-2.2, -1.2), (-1.6, -1.5), (-0.7, -0.8), (0.1, -0.6)]
            kit.plate([(x, y * side) for x, y in shape][::side], 0.75, (0, 0, 0), steel, bevel=0.06)
            path = [(-1.5, -1.0), (-3, -1.75), (-reach * 0.55, -1.9), (-reach, -1.2)]
            tube = kit.wire([(x, y * side, 0.4) for x, y in path], 0.55, grip)
            tube.scale = (1, 1, 0.85)
    kit.cylinder(0.5, 0.12, (0, 0, 0.9), steel)


def screwdriver(kit, rng):
    """One to three screwdrivers."""
    for i in range(rng.choice([1, 1, 2, 3])):
        with kit.moved((rng.uniform(-2, 2) * (i > 0), i * 3.4, 0), (0, 0, rng.uniform(-9, 9))):
            components.screwdriver(kit, rng, rng.uniform(0.7, 1.2))


def soldering_iron(kit, rng):
    """A soldering iron: grip, steel sleeve, tip, cord; sometimes in a spiral stand."""
    grip, tail = rng.choice(["#1c4fa8", "#17171a", "#e0a800", "#c4161c", "#1f9aa8"]), rng.choice(["#17171a", "#2a2b2e"])
    with kit.moved((0, 0, 1.3)):
        kit.along([(0, 0), (0.7, 0), (0.9, 1), (1.0, 5), (1.1, 8), (1.25, 9.4), (1.25, 9.8), (0.6, 10)], (0, 0, 0),
                  kit.plastic(grip))
        kit.along([(1.06, 5.6), (1.2, 6), (1.28, 8.6), (1.15, 9)], (0, 0, 0),
                  kit.rubber(rng.choice(["#17171a", "#c4161c", "#e8b400"])))
        kit.along([(0.42, 10), (0.42, 16), (0.3, 16.1), (0.25, 17), (0.24, 18.4), (0.03, 19.6), (0, 19.6)], (0, 0, 0),
                  kit.metal("#a9a49c", 0.35))
        kit.along([(0.7, 10), (0.7, 10.6), (0.4, 10.8)], (0, 0, 0), kit.metal())
    kit.loose_wires((0, 0, 1.3), 180, [tail], rng.uniform(10, 22), 0.26, 0, 30)
    if rng.random() < 0.35:
        coil = [(11 + t * 0.06, 1.6 * cos(t * 0.7), 1.7 + 1.6 * sin(t * 0.7)) for t in range(110)]
        kit.wire(coil, 0.09, kit.metal("#b9bcc0"))
        kit.box((9, 6, 0.4), (14, 0, -0.4), kit.metal("#2a2b2e", 0.5))


def multimeter(kit, rng):
    """A multimeter: display, dial with marks around it, sockets and two leads."""
    shell = kit.plastic(rng.choice(["#e0b800", "#e0601a", "#c4161c", "#2a2b2e", "#1c4fa8"]), 0.5)
    kit.plate(rounded(7.5, 14, 1.0), 3.0, (0, 0, 0), shell, bevel=0.3)
    kit.plate(rounded(6.6, 13, 0.7), 0.1, (0, 0, 3.0), kit.plastic("#1c1d20"))
    kit.box((5.6, 2.8, 0.04), (0, 4.6, 3.1), kit.material("#a9b59a", 0.15, coat=0.4), 0.01)
    kit.text(rng.choice(["0.00", "12.4", "5.03", "1.", "230"]), 1.5, (0.4, 4.6, 3.14), kit.ink("#15180f"))
    for i in range(18):
        a = 2 * pi * i / 18
        kit.text(rng.choice(["200", "20", "2k", "V", "A", "10", "mA"]), 0.22, (2.5 * cos(a), 2.5 * sin(a) - 0.4, 3.1),
                 kit.ink(rng.choice(["#f0f0ee", "#e8b400"])))
    kit.cylinder(1.7, 0.6, (0, -0.4, 3.1), kit.plastic("#2a2b2e"), 0.1)
    kit.box((0.6, 3.2, 0.5), (0, -0.4, 3.6), kit.plastic("#2a2b2e"), 0.1, (0, 0, rng.uniform(0, 360)))
    for x, colour in ((-1.8, "#e8b400"), (0, "#141414"), (1.8, "#c4161c")):
        kit.ring(0.5, 0.25, 0.12, (x, -4.9, 3.1), kit.plastic(colour))
        if x >= 0 and rng.random() < 0.8:
            kit.cylinder(0.45, 1.8, (x, -4.9, 3.2), kit.plastic(colour))
            kit.loose_wires((x, -4.9, 4.9), -90 + x * 20, [colour], rng.uniform(12, 24), 0.17, 0, 25)


# ---- household -----------------------------------------------------------------------------------------------------
def mug(kit, rng):
    """A mug with a drink in it, a stripe or a word on it."""
    radius, height = rng.uniform(3.6, 4.6), rng.uniform(7.5, 10.5)
    foot = radius * rng.uniform(0.72, 1.0)
    skin = kit.material(rng.choice(HANDLES + ["#f4f4f0"] * 5 + ["#2a2b2e"]), 0.15, coat=0.5)
    kit.lathe([(0, 0), (foot - 0.2, 0), (foot, 0.25), (radius, height - 0.15), (radius - 0.15, height),
               (radius - 0.35, height - 0.2),
               (foot - 0.4, 0.6), (0, 0.6)], (0, 0, 0), skin)
    kit.cylinder(radius - 0.45 - (radius - foot) * 0.2, 0.01, (0, 0, height * 0.8),
                 kit.material(rng.choice(["#2a140a", "#8a5a34", "#7a3a10"]), 0.08), 0)
    kit.wire([(radius * 0.9, 0, height * 0.82), (radius + 1.8, 0, height * 0.84), (radius + 2.4, 0, height * 0.5),
              (radius + 1.4, 0, height * 0.22), (foot * 0.93, 0, height * 0.2)], rng.uniform(0.4, 0.65), skin)
    if rng.random() < 0.5:
        width = radius + (foot - radius) * 0.4
        kit.lathe([(width, height * 0.52), (width + (radius - foot) * 0.16 + 0.02, height * 0.68)], (0, 0, 0.0),
                  kit.ink(rng.choice(HANDLES))).scale = (1.012, 1.012, 1)


def keys(kit, rng):
    """A bunch of keys on a split ring, with a fob."""
    kit.wire([(1.4 * cos(a), 1.4 * sin(a), 0.15) for a in [2 * pi * i / 12 for i in range(13)]], 0.09, kit.metal())
    start = rng.uniform(0, 360)
    for i in range(rng.randint(2, 5)):
        a = start + i * rng.uniform(25, 75)
        brass = kit.metal(rng.choice(["#c8a24a", "#b9bcc0", "#c9cbcd", "#a98a4a"]), 0.3)
        with kit.moved((1.4 * cos(radians(a)), 1.4 * sin(radians(a)), 0.05 + i * 0.22), (0, 0, a)):
            bow = [(0.8 + 1.15 * cos(radians(t)), 1.15 * sin(radians(t))) for t in range(25, 336, 15)]
            teeth = [(5.2 - k * 0.35, -0.42 + rng.uniform(0.02, 0.3)) for k in range(8)]
            kit.plate(bow + [(2.4, -0.42)] + teeth[::-1] + [(5.5, 0), (5.2, 0.42), (2.4, 0.42)], 0.2, (0, 0, 0), brass,
                      [(0.15, 0, 0.3)])
            if rng.random() < 0.3:
                kit.cylinder(1.25, 0.35, (1.0, 0, -0.06), kit.plastic(rng.choice(HANDLES)), 0.1)
    with kit.moved((-2.4 * cos(radians(start)), -2.4 * sin(radians(start)), 0), (0, 0, start)):
        kit.plate(rounded(4.5, rng.uniform(2, 3.5), 0.6), 0.5, (-1.8, 0, 0), kit.plastic(rng.choice(HANDLES)),
                  bevel=0.1)


def remote(kit, rng):
    """A remote control with rows of buttons, round pad and coloured keys."""
    long, wide = rng.uniform(12, 21), rng.uniform(3.6, 5.5)
    shade = rng.choice(["#17171a", "#17171a", "#2f3338", "#c5c8ca", "#e8e8e4", "#3a4a44"])
    kit.plate(rounded(wide, long, wide * 0.25), 1.7, (0, 0, 0), kit.plastic(shade, 0.45), bevel=0.3)
    pale = kit.rubber(rng.choice(["#8a8d92", "#d8d8d4", "#4a4d52"]))
    rows = int((long - 4.7) / 1.25) + 1
    ring_at = rng.choice([None, rows // 2])
    keys_at, print_at = [], []
    for row in range(rows):
        y = long / 2 - 2.2 - row * 1.25
        if ring_at is not None and ring_at <= row < ring_at + 3:
            continue
        for x in (-1, 0, 1):
            keys_at.append(((wide * 0.18, 0.6, 0.2), (x * wide * 0.28, y, 1.7)))
            print_at.append((x * wide * 0.28, y, wide * 0.06, 0.2))
    kit.boxes(keys_at, pale, 0.06)
    kit.rectangles(print_at, 1.905, kit.ink("#1c1c1e" if rng.random() < 0.6 else "#f0f0ee"))
    if ring_at is not None:
        at = (0, long / 2 - 2.2 - (ring_at + 1) * 1.25, 1.7)
        kit.ring(wide * 0.34, wide * 0.17, 0.2, at, pale)
        kit.cylinder(wide * 0.14, 0.25, at, pale)
    for i, colour in enumerate(["#c4161c", "#1d7a3a", "#e0b800", "#1c4fa8"]):
        kit.box((wide * 0.14, 0.35, 0.2), ((i - 1.5) * wide * 0.21, -long / 2 + 1.7, 1.7), kit.rubber(colour), 0.05)
    kit.cylinder(0.35, 0.25, (-wide * 0.28, long / 2 - 1.1, 1.7), kit.rubber("#c4161c"))
    kit.text(rng.choice(["VIDEO", "SONIQ", "TV", "HIFI", "AVEX"]), 0.4, (0, -long / 2 + 0.9, 1.7),
             kit.ink("#d8d8d4" if shade < "#4" else "#2a2b2e"))


def mouse(kit, rng):
    """A computer mouse with two buttons, wheel and cord."""
    shade = rng.choice(["#17171a", "#17171a", "#e8e6de", "#d8d0b8", "#8a8d92", "#f4f4f0"])
    dome(kit, 5.6, 3.2, 3.4, kit.plastic(shade, 0.4), rng.uniform(2.3, 3.2), 0.05)
    # The ridge of the shell towards its front, where the two buttons part.
    ridge = [(5.6 * r, 0, 0.05 + 3.4 * (1 - 0.25 * r) * (0.3 + 0.7 * (1 - r ** 3) ** 0.6))
             for r in (0, 0.2, 0.4, 0.6, 0.78, 0.9, 0.97)]
    kit.wire(ridge, 0.05, kit.material("#0a0a0c", 0.8))
    kit.lathe([(0, -0.35), (0.8, -0.35), (0.8, 0.35), (0, 0.35)], (3.2, 0, 2.2), kit.rubber("#2a2b2e"), (90, 0, 0))
    if rng.random() < 0.75:
        kit.loose_wires((5.3, 0, 0.8), 0, [shade], rng.uniform(12, 25), 0.18, 0, 28)


def keyboard(kit, rng):
    """A keyboard, or a pocket calculator."""
    shade, cap = rng.choice([("#17171a", "#222326"), ("#d8d0b8", "#e8e4d4"), ("#c5c8ca", "#f4f4f0"),
                             ("#2a2b2e", "#3a3b3e")])
    ink = kit.ink("#1c1c1e" if cap[1] in "ef" else "#e8e8e4")
    if rng.random() < 0.5:
        columns, rows, pitch, z = rng.choice([15, 18, 21]), 6, 1.9, 1.6
        kit.plate(rounded(columns * pitch + 1.5, rows * pitch + 1.8, 0.6), z, (0, 0, 0), kit.plastic(shade),
                  bevel=0.2)
    else:
        columns, rows, pitch, z = rng.choice([4, 5]), rng.choice([5, 6, 7]), 1.35, 1.1
        kit.plate(rounded(columns * pitch + 1.0, rows * pitch + 5, 0.6), z, (0, 1.7, 0), kit.plastic(shade),
                  bevel=0.2)
        kit.box((columns * pitch, 2.2, 0.05), (0, rows * pitch / 2 + 2.2, z), kit.material("#9aa68a", 0.15, coat=0.4),
                0)
        kit.text(str(rng.randint(0, 99999)), 0.9, (columns * pitch * 0.1, rows * pitch / 2 + 2.2, z + 0.05),
                 kit.ink("#15180f"))
    spots = [((i - (columns - 1) / 2) * pitch, (j - (rows - 1) / 2) * pitch) for j in range(rows)
             for i in range(columns)]
    kit.boxes([((pitch * 0.84, pitch * 0.84, 0.6), (x, y, z - 0.1)) for x, y in spots], kit.plastic(cap), 0.08)
    kit.rectangles([(x - pitch * 0.15, y + pitch * 0.12, pitch * 0.2, pitch * 0.24) for x, y in spots], z + 0.505, ink)


def gadget(kit, rng):
    """A closed electronic box: audio interface, router, charger or power brick."""
    wide, deep, tall = rng.choice([(21, 12, 4.5), (15, 10, 3), (9, 6, 3), (6, 4.5, 3.2), (18, 12, 2.5)])
    shade = rng.choice(SHADES)
    kit.box((wide, deep, tall), (0, 0, 0.2), rng.choice([kit.plastic(shade), kit.metal(shade, 0.45)]),
            rng.choice([0.08, 0.4]))
    ink = kit.ink("#e8e8e4" if shade in ("#141416", "#2a2b2e") else "#1c1c1e")
    kit.text(rng.choice(["M2", "AUDIO", "NETLINK", "ADAPTER", "Hub-4", "SWITCH"]), deep * 0.12,
             (0, deep * 0.1, tall + 0.2), ink)
    face, dark = -deep / 2, kit.plastic("#17171a")
    style = rng.choice(["knobs", "lights", "brick"])
    if style == "knobs":
        for i in range(rng.randint(2, 6)):
            at = (-wide * 0.42 + i * wide * 0.15, face, 0.2 + tall / 2)
            kit.cylinder(tall * 0.24, 1.2, at, rng.choice([dark, kit.metal()]), 0.06, (90, 0, 0))
    elif style == "lights":
        for i in range(rng.randint(3, 8)):
            kit.box((0.35, 0.03, 0.2), (-wide * 0.35 + i * wide * 0.08, face, tall * 0.5),
                    kit.material("#3ae05a", 0.4, glow=3.0), 0)
        for x in (-0.35, 0.35) if rng.random() < 0.6 else ():
            kit.cylinder(0.5, 12, (x * wide, deep * 0.45, tall * 0.5), dark, 0.1, (-12, 0, 0), top=0.35)
    else:
        lines = ["AC ADAPTER", "INPUT 100-240V", "OUTPUT 12V 2.0A", code(rng)]
        kit.label((wide * 0.6, deep * 0.6), (0, 0, tall + 0.21), lines, colour=rng.choice(["#17171a", "#f2f1ec"]),
                  ink="#8a8d92")
    kit.box((wide * 0.2, 0.05, tall * 0.35), (wide * 0.28, face, tall * 0.4), kit.material("#060608", 0.3), 0)
    for _ in range(rng.randint(0, 2)):
        kit.loose_wires((rng.uniform(-0.3, 0.3) * wide, deep / 2, tall * 0.4), 90, [rng.choice(SHADES)],
                        rng.uniform(10, 22), 0.25, 0, 30)


def small_parts(kit, rng):
    """A heap of small things alone in the picture: fasteners, resistors, wires, coins, tape, a connector."""
    names = rng.sample(["wires", "resistors", "fasteners", "leds", "coin", "usb_cable", "jumpers", "connector", "tape",
                        "solder"], rng.randint(1, 3))
    for i, name in enumerate(names):
        with kit.moved((i * 4.5 - 3, rng.uniform(-2, 2), 0), (0, 0, rng.uniform(0, 360))):
            builder("clutter", name)(kit, rng)


def empty_table(kit, rng):
    """Nothing but a few crumbs, so far apart that a camera that frames them sees a large patch of table."""
    for x, y in scatter(rng, 4, 7, 6):
        kit.box((0.12, 0.08, 0.05), (x, y, 0), kit.ink(rng.choice(["#8a6a4a", "#3a3a3c", "#d8d0b8"])), 0.02,
                (0, 0, rng.uniform(0, 90)))


VARIANTS = {
    "arduino": arduino, "dev_board": dev_board, "shield": shield, "sensor_module": sensor_module,
    "breadboard": breadboard, "display": display, "servo": servo, "dc_motor": dc_motor,
    "tt_motor": tt_motor, "fan": fan, "speaker": speaker, "diskette": diskette,
    "hard_disk": hard_disk, "cd_drive": cd_drive, "memory": memory, "capacitors": capacitors,
    "chips": chips, "batteries": batteries, "pliers": pliers, "screwdriver": screwdriver,
    "soldering_iron": soldering_iron, "multimeter": multimeter, "mug": mug, "keys": keys,
    "remote": remote, "mouse": mouse, "keyboard": keyboard, "gadget": gadget,
    "small_parts": small_parts, "empty_table": empty_table,
}
