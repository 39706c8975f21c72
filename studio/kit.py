"""The workshop: shapes, materials and electronic components from which every part is put together.

Lengths are centimetres (one Blender unit), angles are degrees, colours are sRGB hex strings such as ``"#1f4fa3"``.
``at`` is always the centre of a shape's bottom face, before ``turn`` rotates the shape about that point; a shape is
built along z. Everything that a Kit makes hangs under one empty object, ``kit.root``.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from math import cos, pi, radians, sin
from random import Random

import bpy
import mathutils

from .outlines import Outline, rectangle, rounded

Vector = Sequence[float]
WIRE_COLOURS = ["#c4161c", "#141414", "#e8b400", "#e06a12", "#1c55b0", "#1f8a3c", "#f2f2f2", "#7a4a21", "#8a8a8a",
                "#6b2f8f", "#e86fa0"]
BOX_FACES = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]


def linear(colour: str) -> tuple[float, float, float, float]:
    """An sRGB hex colour as linear RGBA (IEC 61966-2-1), which is what Blender's shaders take."""
    values = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values) + (1.0,)


def shade(colour: str, factor: float, lift: float = 0) -> str:
    """An sRGB hex colour made lighter or darker: each value (0–255) times ``factor`` plus ``lift``."""
    return "#" + "".join(f"{min(255, int(value * factor + lift)):02x}" for value in bytes.fromhex(colour[1:]))


def _box_corners(size: Vector, at: Vector = (0, 0, 0)) -> list[tuple[float, float, float]]:
    """The eight corners that BOX_FACES counts, of a box whose bottom face is centred on ``at``."""
    (width, depth, height), (x, y, z) = size, at
    return [(px, py, pz) for pz in (z, z + height) for px, py in rectangle(x, y, width, depth)]


def _own_points(thing: bpy.types.Object) -> list[mathutils.Vector]:
    """A mesh's vertices, or the corners of the box around anything else, in the thing's own coordinates."""
    if thing.type == "MESH":
        return [vertex.co for vertex in thing.data.vertices]
    return [mathutils.Vector(corner) for corner in thing.bound_box]


class Kit:
    """Makes the shapes of one part; ``rng`` decides everything that is left to chance."""

    def __init__(self, rng: Random):
        self.rng = rng
        self.root = _empty("part")
        self._materials: dict[tuple, bpy.types.Material] = {}

    # ---- placing things --------------------------------------------------------------------------------------------
    def group(self, at: Vector = (0, 0, 0), turn: Vector = (0, 0, 0)) -> Kit:
        """A kit whose shapes are moved to ``at`` and turned as one thing; it shares this kit's random numbers and
        materials."""
        inner = copy(self)
        inner.root = _empty("group")
        inner.root.parent, inner.root.location = self.root, at
        inner.rotate(turn)
        return inner

    @contextmanager
    def moved(self, at: Vector = (0, 0, 0), turn: Vector = (0, 0, 0)) -> Iterator[bpy.types.Object]:
        """Whatever this kit makes inside the block is moved to ``at`` and turned as one thing; yields its root."""
        outer = self.root
        self.root = self.group(at, turn).root
        try:
            yield self.root
        finally:
            self.root = outer

    @contextmanager
    def settled(self, roll: float = 0, tilt: float = 0, heading: float = 0,
                at: tuple[float, float] = (0, 0)) -> Iterator[bpy.types.Object]:
        """Whatever this kit makes inside the block is one body: rolled about its own axis (z), tilted about x, turned
        to ``heading`` and rested on the table above ``at``. Yields its root: after the block, ``matrix_basis`` takes
        the body's own coordinates to the kit's."""
        with self.moved() as body:
            yield body
        turned = (mathutils.Matrix.Rotation(radians(heading), 4, "Z") @ mathutils.Matrix.Rotation(radians(tilt), 4, "X")
                  @ mathutils.Matrix.Rotation(radians(roll), 4, "Z"))
        body.matrix_basis = turned
        bpy.context.view_layer.update()
        lowest = min((thing.matrix_world @ point).z for thing in body.children_recursive if thing.type != "EMPTY"
                     for point in _own_points(thing))
        body.matrix_basis = mathutils.Matrix.Translation((*at, -lowest)) @ turned

    def rotate(self, turn: Vector) -> None:
        """Turns all that hangs under the root by ``turn`` (degrees about x, then y, then z)."""
        self.root.rotation_euler = [radians(a) for a in turn]

    # ---- materials -------------------------------------------------------------------------------------------------
    def material(self, colour: str, roughness: float = 0.5, metallic: float = 0.0, coat: float = 0.0,
                 transmission: float = 0.0, grain: float = 0.15, bump: float = 0.0, glow: float = 0.0):
        """A principled material; ``grain`` (0–1) makes colour and gloss uneven, as dust, wear and fingerprints do."""
        key = (colour, roughness, metallic, coat, transmission, grain, bump, glow)
        if key not in self._materials:
            self._materials[key] = _principled(self.rng.random() * 100, *key)
        return self._materials[key]

    def plastic(self, colour: str, roughness: float | None = None):
        return self.material(colour, self.rng.uniform(0.3, 0.6) if roughness is None else roughness, bump=0.08)

    def rubber(self, colour: str = "#151515"):
        return self.material(colour, 0.75, bump=0.15)

    def metal(self, colour: str = "#b9bcc0", roughness: float = 0.3):
        """Steel by default; brass "#c8a24a", copper "#b8693a", gold "#d4a94a", zinc-plated "#a9b0b4"."""
        return self.material(colour, roughness, metallic=1.0, grain=0.12, bump=0.03)

    def pcb(self, colour: str = "#0d4a24"):
        """Solder mask: dark gloss. Common: green #0d4a24, blue #10357a, red #a51417, black #0e0f10, white, purple."""
        return self.material(colour, 0.3, coat=0.4, grain=0.25)

    def ink(self, colour: str = "#f0f0ee"):
        """Print and paper: matt, even."""
        return self.material(colour, 0.7, grain=0.05)

    def clear(self, colour: str = "#f4f8fa"):
        return self.material(colour, 0.08, transmission=0.9, grain=0.0)

    # ---- shapes ----------------------------------------------------------------------------------------------------
    def _add(self, name: str, data, at: Vector, turn: Vector, material, bevel: float = 0.0):
        thing = bpy.data.objects.new(name, data)
        bpy.context.scene.collection.objects.link(thing)
        thing.parent = self.root
        thing.location = at
        thing.rotation_euler = [radians(a) for a in turn]
        if material is not None:
            data.materials.append(material)
        if bevel > 0:
            modifier = thing.modifiers.new("bevel", "BEVEL")
            modifier.width, modifier.segments, modifier.limit_method = bevel, 2, "ANGLE"
        return thing

    def mesh(self, vertices, faces, at: Vector = (0, 0, 0), material=None, bevel: float = 0.0,
             turn: Vector = (0, 0, 0), smooth: bool = False, name: str = "mesh"):
        """Any mesh from vertices (x, y, z) and faces (tuples of indices)."""
        data = bpy.data.meshes.new(name)
        data.from_pydata([tuple(v) for v in vertices], [], [tuple(f) for f in faces])
        if smooth:
            data.shade_smooth()
            data.set_sharp_from_angle(angle=radians(35))
        return self._add(name, data, at, turn, material, bevel)

    def box(self, size: Vector, at: Vector = (0, 0, 0), material=None, bevel: float = 0.03, turn: Vector = (0, 0, 0)):
        """A box of ``size`` (x, y, z) with bevelled edges."""
        return self.mesh(_box_corners(size), BOX_FACES, at, material, min(bevel, min(size) * 0.3), turn, name="box")

    def boxes(self, blocks: Sequence[tuple[Vector, Vector]], material=None, bevel: float = 0.0):
        """Many boxes (size, centre of the bottom face) in one mesh: pins, legs, ribs."""
        vertices = [corner for size, at in blocks for corner in _box_corners(size, at)]
        faces = [tuple(8 * i + corner for corner in face) for i in range(len(blocks)) for face in BOX_FACES]
        return self.mesh(vertices, faces, material=material, bevel=bevel)

    def rectangles(self, spots: Sequence[tuple], z: float | Callable[[float, float], float], material=None,
                   at: Vector = (0, 0, 0)):
        """Many flat rectangles (x, y, width, depth) in one mesh; ``z`` is a height or a function of (x, y)."""
        corners = [corner for spot in spots for corner in rectangle(*spot)]
        vertices = [(x, y, z(x, y) if callable(z) else z) for x, y in corners]
        return self.mesh(vertices, [(i, i + 1, i + 2, i + 3) for i in range(0, len(vertices), 4)], at, material)

    def lathe(self, profile: Sequence[tuple[float, float]], at: Vector = (0, 0, 0), material=None,
              turn: Vector = (0, 0, 0), sides: int = 56, bevel: float = 0.0):
        """A body of revolution about z from a profile of (radius, z), bottom to top; close it with radius 0."""
        vertices, faces = [], []
        for radius, z in profile:
            vertices += [(radius * cos(2 * pi * i / sides), radius * sin(2 * pi * i / sides), z) for i in range(sides)]
        for ring in range(len(profile) - 1):
            for i in range(sides):
                a, b = ring * sides + i, ring * sides + (i + 1) % sides
                faces.append((a, b, b + sides, a + sides))
        return self.mesh(vertices, faces, at, material, bevel, turn, smooth=True, name="lathe")

    def along(self, profile: Sequence[tuple[float, float]], at: Vector = (0, 0, 0), material=None,
              heading: float = 0.0, sides: int = 48):
        """A body of revolution (radius, distance) that lies along ``heading``; ``at`` is the start of its axis."""
        return self.lathe(profile, at, material, (0, 90, heading), sides)

    def cylinder(self, radius: float, height: float, at: Vector = (0, 0, 0), material=None, bevel: float = 0.03,
                 turn: Vector = (0, 0, 0), top: float | None = None, sides: int = 56):
        """A cylinder, or a cone with the radius ``top`` at its upper end."""
        top = radius if top is None else top
        b = min(bevel, radius * 0.4, height * 0.4)
        profile = [(0, 0), (max(radius - b, 0), 0), (radius, b), (top, height - b), (max(top - b, 0), height),
                   (0, height)]
        return self.lathe(profile, at, material, turn, sides)

    def ring(self, outer: float, inner: float, height: float, at: Vector = (0, 0, 0), material=None,
             turn: Vector = (0, 0, 0), sides: int = 56):
        """A tube or washer."""
        return self.lathe([(inner, 0), (outer, 0), (outer, height), (inner, height), (inner, 0)], at, material, turn,
                          sides)

    def blob(self, radius: float, at: Vector = (0, 0, 0), material=None, scale: Vector = (1, 1, 0.6)):
        """An uneven drop (solder, glue) resting on ``at``."""
        steps = 8
        profile = [(radius * sin(pi * (0.5 + 0.5 * i / steps)), radius * -cos(pi * (0.5 + 0.5 * i / steps)))
                   for i in range(steps + 1)]
        thing = self.lathe(profile, at, material, (self.rng.uniform(-12, 12), self.rng.uniform(-12, 12), 0), 24)
        thing.scale = [s * self.rng.uniform(0.85, 1.15) for s in scale]
        return thing

    def plate(self, outline: Sequence[tuple[float, float]], height: float, at: Vector = (0, 0, 0), material=None,
              holes: Sequence[tuple] = (), turn: Vector = (0, 0, 0), bevel: float = 0.0):
        """A flat plate of any outline [(x, y), …] with holes: (x, y, radius), or an outline as a list of points."""
        data = bpy.data.curves.new("plate", "CURVE")
        data.dimensions, data.fill_mode = "2D", "BOTH"
        data.extrude, data.bevel_depth, data.offset = max(height / 2 - bevel, 0.0005), bevel, -bevel
        loops = [list(outline)]
        for hole in holes:
            if isinstance(hole, tuple):
                x, y, r = hole
                hole = [(x + r * cos(2 * pi * i / 24), y + r * sin(2 * pi * i / 24)) for i in range(24)]
            loops.append(hole)
        for loop in loops:
            spline = data.splines.new("POLY")
            spline.points.add(len(loop) - 1)
            for point, (x, y) in zip(spline.points, loop):
                point.co = (x, y, height / 2, 1)
            spline.use_cyclic_u = True
        return self._add("plate", data, at, turn, material)

    def prism(self, outline: Outline, height: float, at: Vector, material, holes: Sequence[tuple] = (),
              bevel: float = 0.0):
        """A plate whose straight sides are shaded flat, so its corners stay crisp."""
        thing = self.plate(outline, height, at, material, holes, bevel=bevel)
        for spline in thing.data.splines:
            spline.use_smooth = False
        return thing

    def text(self, string: str, height: float, at: Vector, material=None, turn: Vector = (0, 0, 0),
             align: str = "CENTER"):
        """Printed text, ``height`` cm per line, lying flat (facing z) and centred on ``at``."""
        data = bpy.data.curves.new("text", "FONT")
        data.body, data.size, data.align_x, data.align_y, data.extrude = string, height * 1.35, align, "CENTER", 0.001
        return self._add("text", data, (at[0], at[1], at[2] + 0.003), turn, material or self.ink())

    def wire(self, points: Sequence[Vector], radius: float = 0.07, material=None):
        """A round wire that runs smoothly through ``points``."""
        data = bpy.data.curves.new("wire", "CURVE")
        data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = "3D", radius, 3, True
        spline = data.splines.new("BEZIER")
        spline.bezier_points.add(len(points) - 1)
        for knot, point in zip(spline.bezier_points, points):
            knot.co = point
            knot.handle_left_type = knot.handle_right_type = "AUTO"
        return self._add("wire", data, (0, 0, 0), (0, 0, 0), material or self.plastic("#141414"))

    # ---- things that many parts share ------------------------------------------------------------------------------
    def loose_wires(self, start: Vector, heading: float, colours: Sequence[str], length: float = 6.0,
                    radius: float = 0.06, spread: float = 0.12, curl: float = 40.0, drop: float = 1.5):
        """A bundle that leaves ``start`` in the direction ``heading`` (degrees about z), falls to the table (z = 0)
        and wanders over it. Returns the (x, y, heading) of its far end."""
        rng = self.rng
        path, angle = [], heading
        x, y, z = start
        steps = 6
        for step in range(1, steps + 1):
            angle += rng.uniform(-curl, curl)
            x += length / steps * cos(radians(angle))
            y += length / steps * sin(radians(angle))
            z = max(radius, start[2] * max(0.0, 1 - (step / steps) * drop))
            path.append((x, y, z))
        for i, colour in enumerate(colours):
            side = (i - (len(colours) - 1) / 2) * spread
            shift = (-sin(radians(heading)) * side, cos(radians(heading)) * side)
            loose = rng.uniform(0.3, 1.6)
            points = [(start[0] + shift[0], start[1] + shift[1], start[2])]
            points += [(px + shift[0] * loose + rng.uniform(-0.06, 0.06), py + shift[1] * loose, pz)
                       for px, py, pz in path]
            self.wire(points, radius, self.plastic(colour, 0.4))
        return x, y, angle

    def screw(self, radius: float, at: Vector, material=None, turn: Vector = (0, 0, 0), head: str = "phillips"):
        """A screw head seen from above: "phillips", "slot" or "hex"."""
        material = material or self.metal("#a9adb0", 0.35)
        self.cylinder(radius, radius * 0.45, at, material, radius * 0.15, turn, sides=28)
        if turn != (0, 0, 0):
            return
        dark, top = self.material("#16171a", 0.6), (at[0], at[1], at[2] + radius * 0.42)
        a = self.rng.uniform(0, 180)
        if head == "hex":
            self.cylinder(radius * 0.5, radius * 0.06, top, dark, 0, sides=6)
        else:
            for angle in ((a, a + 90) if head == "phillips" else (a,)):
                self.box((radius * 1.4, radius * 0.25, radius * 0.06), top, dark, 0, (0, 0, angle))

    def pin_header(self, count: int, at: Vector, heading: float = 0.0, rows: int = 1, lying: bool = False,
                   female: bool = False, colour: str = "#141414"):
        """A 2.54 mm header: male upright, male with its pins lying sideways (+y), or a female socket strip."""
        pitch, block = 0.254, self.plastic(colour, 0.5)
        gold = self.metal("#d4b25a", 0.25)
        c, s = cos(radians(heading)), sin(radians(heading))

        def place(x, y, z):
            return at[0] + x * c - y * s, at[1] + x * s + y * c, at[2] + z

        height = 0.85 if female else 0.25
        self.box((count * pitch, rows * pitch, height), at, block, 0.02, (0, 0, heading))
        for row in range(rows):
            for i in range(count):
                x, y = (i - (count - 1) / 2) * pitch, (row - (rows - 1) / 2) * pitch
                if female:
                    self.box((0.1, 0.1, 0.01), place(x, y, 0.85), self.material("#050505", 0.8), 0, (0, 0, heading))
                elif lying:
                    self.box((0.064, 0.9, 0.064), place(x, y + 0.45, 0.1), gold, 0, (0, 0, heading))
                else:
                    self.box((0.064, 0.064, 1.1), place(x, y, -0.2), gold, 0, (0, 0, heading))

    def screw_terminal(self, count: int, at: Vector, heading: float = 0.0, colour: str = "#1d5fb8",
                       pitch: float = 0.508):
        """A block of screw terminals; the wire openings face −y before ``heading`` turns it."""
        c, s = cos(radians(heading)), sin(radians(heading))
        body = self.plastic(colour, 0.4)
        self.box((count * pitch, 0.76, 0.7), at, body, 0.03, (0, 0, heading))
        self.box((count * pitch - 0.02, 0.5, 1.0), at, body, 0.05, (0, 0, heading))
        for i in range(count):
            x = (i - (count - 1) / 2) * pitch
            place = (at[0] + x * c, at[1] + x * s, at[2] + 0.98)
            self.cylinder(0.2, 0.015, place, self.material("#101820", 0.7), 0, sides=24)
            self.screw(0.17, place, self.metal("#c9c9c4", 0.3), head=self.rng.choice(["slot", "phillips"]))
            self.box((0.26, 0.03, 0.28), (at[0] + x * c + 0.38 * s, at[1] + x * s - 0.38 * c, at[2] + 0.12),
                     self.material("#0a0a0c", 0.8), 0, (0, 0, heading))

    def chip(self, size: Vector, at: Vector, heading: float = 0.0, pins: int = 8, mark: str = "", sides: int = 2):
        """A black chip of size (x, y, z) with ``pins`` gull-wing legs on each of two or four sides, and print."""
        body, leg = self.material("#17181a", 0.55, bump=0.1), self.metal("#c2c4c6", 0.3)
        c, s = cos(radians(heading)), sin(radians(heading))
        self.box(size, (at[0], at[1], at[2] + 0.03), body, 0.02, (0, 0, heading))
        for i in range(pins):
            x = (i - (pins - 1) / 2) * size[0] * 0.9 / pins
            self.box((size[0] * 0.4 / pins, size[1] * 1.35, 0.04), (at[0] + x * c, at[1] + x * s, at[2] + 0.01), leg, 0,
                     (0, 0, heading))
            if sides == 4:
                self.box((size[0] * 1.3, size[1] * 0.4 / pins, 0.04), (at[0] - x * s, at[1] + x * c, at[2] + 0.01),
                         leg, 0, (0, 0, heading))
        if mark:
            self.text(mark, size[1] * 0.22, (at[0], at[1], at[2] + size[2] + 0.03), self.ink("#9a9a96"),
                      (0, 0, heading))

    def resistor(self, at: Vector, heading: float = 0.0, length: float = 0.65, legs: float = 0.5):
        """A through-hole resistor lying flat, with four colour bands and straight legs."""
        c, s = cos(radians(heading)), sin(radians(heading))
        radius = length * 0.18
        body = self.plastic(self.rng.choice(["#d9b98a", "#7fb2c9", "#c9a67a"]), 0.35)
        side = (0, 90, heading)
        start = (at[0] - c * length / 2, at[1] - s * length / 2, at[2] + radius)
        self.cylinder(radius, length, start, body, radius * 0.4, side, sides=24)
        for place in (0.18, 0.36, 0.52, 0.82):
            band = (start[0] + c * length * place, start[1] + s * length * place, start[2])
            self.cylinder(radius * 1.02, length * 0.06, band, self.ink(self.rng.choice(WIRE_COLOURS)), 0, side,
                          sides=24)
        reach = length / 2 + legs
        self.wire([(at[0] - c * reach, at[1] - s * reach, start[2]), (at[0] + c * reach, at[1] + s * reach, start[2])],
                  0.025, self.metal("#b8babc"))

    def capacitor(self, at: Vector, radius: float = 0.25, height: float = 0.7, colour: str = "#17181c"):
        """An upright electrolytic capacitor with a stripe and a scored aluminium top."""
        self.cylinder(radius, height, at, self.plastic(colour, 0.3), 0.03, sides=32)
        self.cylinder(radius * 0.85, 0.01, (at[0], at[1], at[2] + height), self.metal("#c9cbcd", 0.35), 0, sides=32)
        self.box((radius * 0.1, radius * 0.5, height * 0.9), (at[0] + radius * 0.97, at[1], at[2]),
                 self.ink("#c8ccd0"), 0)

    def led(self, at: Vector, colour: str = "#c81e1e", radius: float = 0.15, lit: bool = False):
        """A round through-hole LED."""
        body = self.material(colour, 0.15, transmission=0.3, glow=6.0 if lit else 0.0)
        self.cylinder(radius * 1.15, radius * 0.5, at, body, 0.01, sides=24)
        self.lathe([(radius, 0), (radius, radius * 1.8), (radius * 0.8, radius * 2.4), (radius * 0.4, radius * 2.75),
                    (0, radius * 2.85)], at, body, sides=24)

    def surface_mount(self, region: tuple[float, float, float, float], z: float, count: int):
        """Scatters small chip resistors, capacitors and transistors over the rectangle (x0, y0, x1, y1)."""
        rng = self.rng
        tin, x0, y0, x1, y1 = self.metal("#cfd2d4", 0.3), *region
        for _ in range(count):
            at, heading = (rng.uniform(x0, x1), rng.uniform(y0, y1), z), rng.choice([0, 90])
            length = rng.choice([0.16, 0.2, 0.32])
            self.box((length, length * 0.55, 0.05), at, tin, 0.01, (0, 0, heading))
            colour = rng.choice(["#141414", "#141414", "#b58a5a", "#c9b79a", "#e8e4d8"])
            self.box((length * 0.6, length * 0.56, 0.07), at, self.material(colour, 0.5), 0.01, (0, 0, heading))

    def circuit_board(self, width: float, depth: float, z: float = 0.0, colour: str = "#0d4a24", corner: float = 0.15,
                      hole: float = 0.16, inset: float = 0.3, holes: bool = True) -> float:
        """A board with mounting holes in ringed pads and faint traces; returns the z of its upper face."""
        rng, top = self.rng, z + 0.16
        spots = [(sx * (width / 2 - inset), sy * (depth / 2 - inset))
                 for sx in (-1, 1) for sy in (-1, 1)] if holes else []
        self.plate(rounded(width, depth, corner), 0.16, (0, 0, z), self.pcb(colour),
                   [(x, y, hole) for x, y in spots])
        for x, y in spots:
            self.ring(hole * 1.45, hole, 0.006, (x, y, top), self.metal("#d0d2cf", 0.3), sides=24)
        lighter = self.pcb(shade(colour, 1.25, 8))
        for _ in range(int(6 + width * depth)):
            length, heading = rng.uniform(0.3, width * 0.35), rng.choice([0, 90, 45])
            at = (rng.uniform(-0.36, 0.36) * width, rng.uniform(-0.36, 0.36) * depth, top)
            length = min(length, 0.24 * depth)
            self.box((length, 0.03, 0.003), at, lighter, 0, (0, 0, heading))
        return top

    def label(self, size: tuple[float, float], at: Vector, lines: Sequence[str], turn: Vector = (0, 0, 0),
              colour: str = "#f2f1ec", barcode: bool = True, ink: str = "#16161a"):
        """A sticker facing z (before ``turn``) with a few lines of print and a bar code."""
        holder, (width, depth) = self.group(at, turn), size
        holder.box((width, depth, 0.01), (0, 0, 0), self.ink(colour), 0)
        rows = len(lines) + (1.5 if barcode else 0)
        step = depth * 0.86 / rows
        y = depth * 0.43 - step / 2
        for line in lines:
            fits = min(step * 0.6, width * 1.1 / max(len(line), 1))
            holder.text(line, fits, (-width * 0.45, y, 0.01), self.ink(ink), align="LEFT")
            y -= step
        if barcode:
            x = -width * 0.42
            while x < width * 0.35:
                thick = self.rng.uniform(0.01, 0.035) * width
                holder.box((thick, step * 1.1, 0.002), (x + thick / 2, y - step * 0.2, 0.01), self.ink(ink), 0)
                x += thick + self.rng.uniform(0.01, 0.03) * width
        return holder.root


def _empty(name: str) -> bpy.types.Object:
    """A new object without a shape, for others to hang under."""
    empty = bpy.data.objects.new(name, None)
    bpy.context.scene.collection.objects.link(empty)
    return empty


def _principled(seed: float, colour: str, roughness: float, metallic: float, coat: float, transmission: float,
                grain: float, bump: float, glow: float) -> bpy.types.Material:
    material = bpy.data.materials.new(colour)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = linear(colour)
    for name, value in (("Roughness", roughness), ("Metallic", metallic), ("Coat Weight", coat),
                        ("Transmission Weight", transmission), ("Emission Strength", glow)):
        shader.inputs[name].default_value = value
    shader.inputs["Emission Color"].default_value = linear(colour)
    if grain or bump:
        where = nodes.new("ShaderNodeTexCoord")
        noise = nodes.new("ShaderNodeTexNoise")
        noise.noise_dimensions = "4D"
        noise.inputs["W"].default_value = seed
        noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 1.3, 4.0
        links.new(where.outputs["Object"], noise.inputs["Vector"])
        gloss = nodes.new("ShaderNodeMapRange")
        gloss.inputs["To Min"].default_value = max(0.02, roughness - grain * 0.5)
        gloss.inputs["To Max"].default_value = min(1.0, roughness + grain * 0.7)
        links.new(noise.outputs["Fac"], gloss.inputs["Value"])
        links.new(gloss.outputs["Result"], shader.inputs["Roughness"])
        tint = nodes.new("ShaderNodeMixRGB")
        tint.inputs["Color1"].default_value = tuple(c * (1 - 0.5 * grain) for c in linear(colour)[:3]) + (1,)
        tint.inputs["Color2"].default_value = tuple(min(1, c * (1 + 0.5 * grain) + 0.02 * grain)
                                                    for c in linear(colour)[:3]) + (1,)
        links.new(noise.outputs["Fac"], tint.inputs["Fac"])
        links.new(tint.outputs["Color"], shader.inputs["Base Color"])
        if bump:
            fine = nodes.new("ShaderNodeTexNoise")
            fine.inputs["Scale"].default_value = 90.0
            links.new(where.outputs["Object"], fine.inputs["Vector"])
            relief = nodes.new("ShaderNodeBump")
            relief.inputs["Strength"].default_value, relief.inputs["Distance"].default_value = bump, 0.02
            links.new(fine.outputs["Fac"], relief.inputs["Height"])
            links.new(relief.outputs["Normal"], shader.inputs["Normal"])
    return material
