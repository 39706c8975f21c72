"""Tables, walls and light. Lengths in centimetres; every choice comes from the ``rng`` that is passed in."""
from __future__ import annotations

import os
from math import cos, pi, radians, sin
from random import Random

import bpy

from .kit import Kit, linear
from .scene import Scene

WOODS = [("#c79a62", "#a8743e"), ("#e0bf8d", "#c99f66"), ("#8a5a34", "#5f3b20"), ("#5a3a26", "#38231a"),
         ("#d9c6a5", "#bfa57c"), ("#a86f42", "#7c4a28")]
MATS = ["#1d5a46", "#1c4f8c", "#3a3d42", "#23262b", "#7d8489", "#2b6f7a", "#7a2f4f"]
PLAIN = ["#e9e6df", "#d9d4c8", "#b9bdc2", "#2a2a2c", "#8d949b", "#c7b299", "#e3d9c3", "#3b4d63", "#f2f0ea", "#5e5247",
         "#a33a32", "#4b6b52"]
STONES = [("#3a3733", "#9a8f80"), ("#d6d2ca", "#8a857d"), ("#1d1d20", "#5a5c62"), ("#b3a08a", "#5e4f42")]


class Nodes:
    """A shorthand for the shader nodes of a new material: ``n("TexNoise", Scale=3)`` makes a node and sets its inputs.

    The value of an input is a number, a vector, an sRGB hex colour, or another node's output, which is linked to it."""

    def __init__(self, name: str):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]
        self.where = self("TexCoord").outputs["Object"]

    def __call__(self, kind: str, properties: dict | None = None, **inputs):
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in (properties or {}).items():
            setattr(node, name, value)
        self.set(node, **inputs)
        return node

    def set(self, node, **inputs):
        """Sets inputs by their names, with _ for a space."""
        for name, value in inputs.items():
            self._feed(node.inputs[name.replace("_", " ")], value)

    def _feed(self, socket, value):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = linear(value) if isinstance(value, str) else value

    def stretched(self, x: float, y: float, turn: float = 0.0):
        """Coordinates for a pattern that is drawn out along an axis whose factor is below 1; ``turn`` in degrees."""
        return self("Mapping", Vector=self.where, Scale=(x, y, 1), Rotation=(0, 0, radians(turn))).outputs["Vector"]

    def noise(self, scale: float, detail: float = 4.0, vector=None, distortion: float = 0.0):
        return self("TexNoise", Vector=vector or self.where, Scale=scale, Detail=detail,
                    Distortion=distortion).outputs["Fac"]

    def mix(self, factor, a, b, blend: str = "MIX"):
        return self("MixRGB", {"blend_type": blend}, Fac=factor, Color1=a, Color2=b).outputs["Color"]

    def between(self, value, low: float, high: float):
        """``value`` mapped so that low → 0 and high → 1, clamped."""
        return self("MapRange", Value=value, From_Min=low, From_Max=high).outputs["Result"]

    def times(self, a, b):
        node = self("Math", {"operation": "MULTIPLY"})
        self._feed(node.inputs[0], a)
        self._feed(node.inputs[1], b)
        return node.outputs[0]

    def relief(self, height, strength: float):
        self.set(self.shader, Normal=self("Bump", Height=height, Strength=strength, Distance=0.05).outputs["Normal"])


# ---- table tops: each function returns the colour and the roughness (0–1) --------------------------------------------
def _seamless_white(n: Nodes, rng: Random):
    return n.mix(0.0, "#fbfbfa", "#fbfbfa"), rng.choice([0.3, 0.6, 0.9])


def _wood(n: Nodes, rng: Random):
    light, dark = rng.choice(WOODS)
    along = n.stretched(rng.uniform(0.08, 0.2), 1.0)
    rings = n("TexWave", {"wave_type": "BANDS", "bands_direction": "Y"}, Vector=along, Scale=rng.uniform(0.25, 0.9),
              Distortion=rng.uniform(4, 12), Detail=4.0, Detail_Scale=1.2).outputs["Fac"]
    fibre = n.noise(3.0, 6, n.stretched(0.12, 4.0))
    colour = n.mix(rings, light, dark)
    colour = n.mix(n.between(fibre, 0.45, 0.8), colour, dark)
    if rng.random() < 0.5:  # boards next to each other
        width = rng.uniform(4, 14)
        seams = n("TexBrick", {"offset": 0.37}, Vector=n.where, Scale=1.0, Color1="#ffffff", Color2="#d8d0c4",
                  Mortar="#3a2a1c", Mortar_Size=0.03, Brick_Width=width * 7, Row_Height=width).outputs["Color"]
        colour = n.mix(1.0, colour, seams, "MULTIPLY")
    n.relief(fibre, rng.uniform(0.02, 0.2))
    return colour, rng.uniform(0.25, 0.6)


def _grid(n: Nodes, ground, line: str, pitch: float, width: float):
    return n("TexBrick", {"offset": 0.0}, Vector=n.where, Scale=1.0, Color1=ground, Color2=ground, Mortar=line,
             Mortar_Size=width, Brick_Width=pitch, Row_Height=pitch).outputs["Color"]


def _cutting_mat(n: Nodes, rng: Random):
    ground = rng.choice(MATS)
    line = rng.choice(["#e8e8dc", "#e6dc6a", "#b9c4c0", "#ffffff"])
    pitch = rng.choice([1.0, 2.54, 5.0])
    colour = _grid(n, ground, line, pitch, 0.025)
    if rng.random() < 0.6:
        colour = n.mix(0.5, colour, _grid(n, ground, line, pitch / rng.choice([2, 4, 5]), 0.01))
    n.relief(n.noise(30, 2), 0.15)
    return colour, rng.uniform(0.45, 0.75)


def _graph_paper(n: Nodes, rng: Random):
    line = rng.choice(["#8fb4d9", "#9ac9a8", "#d9a08f", "#a9a9b5"])
    return _grid(n, "#f4f3ec", line, rng.choice([0.5, 1.0]), 0.02), 0.85


def _paper(n: Nodes, rng: Random):
    n.relief(n.noise(2.0, 3), rng.uniform(0.0, 0.15))
    return n.mix(n.noise(6, 3), rng.choice(["#f3f2ee", "#e9e2cf", "#ffffff"]), "#efece2"), 0.85


def _laminate(n: Nodes, rng: Random):
    colour = rng.choice(PLAIN)
    speckles = n.between(n.noise(rng.uniform(6, 20), 2), 0.62, 0.7)
    return n.mix(n.times(speckles, rng.choice([0.0, 0.0, 0.5])), colour, rng.choice(PLAIN)), rng.uniform(0.15, 0.6)


def _fabric(n: Nodes, rng: Random):
    scale = rng.uniform(4, 9)
    warp = n("TexWave", {"bands_direction": "X"}, Vector=n.where, Scale=scale, Distortion=0.8).outputs["Fac"]
    weft = n("TexWave", {"bands_direction": "Y"}, Vector=n.where, Scale=scale, Distortion=0.8).outputs["Fac"]
    weave = n.times(warp, weft)
    n.relief(weave, 0.6)
    colour = rng.choice(PLAIN + MATS)
    return n.mix(weave, n.mix(0.5, colour, "#20201e"), colour), 0.95


def _antistatic_mat(n: Nodes, rng: Random):
    colour = rng.choice(["#2f6fb0", "#4f8a5e", "#8b9096", "#3e5f8a", "#5aa0a8"])
    n.relief(n.noise(18, 3), 0.25)
    return n.mix(n.noise(25, 2), colour, n.mix(0.25, colour, "#101418")), rng.uniform(0.4, 0.7)


def _stone(n: Nodes, rng: Random):
    dark, light = rng.choice(STONES)
    grains = n("TexVoronoi", Vector=n.where, Scale=rng.uniform(1.5, 5)).outputs["Color"]
    grey = n("RGBToBW", Color=grains).outputs["Val"]
    colour = n.mix(n.between(grey, 0.3, 0.8), dark, light)
    return n.mix(n.between(n.noise(1.2, 8), 0.5, 0.7), colour, dark), rng.uniform(0.1, 0.35)


def _checker(n: Nodes, rng: Random):
    a, b = rng.choice([("#e8e8e6", "#4a4d52"), ("#f0ece0", "#8a3a34"), ("#e6e6ea", "#3f5f8a")])
    colour = n("TexChecker", Vector=n.where, Color1=a, Color2=b, Scale=1 / rng.uniform(1.5, 6)).outputs["Color"]
    return n.mix(n.noise(9, 3), colour, n.mix(0.15, colour, "#303030")), 0.7


def _metal(n: Nodes, rng: Random):
    brushed = n.noise(2.0, 4, n.stretched(0.05, 14))
    n.set(n.shader, Metallic=rng.choice([0.0, 0.9]))
    return n.mix(brushed, "#8f9396", "#b6babd"), rng.uniform(0.3, 0.5)


SHADERS = {  # one for each key of scene.SURFACES
    "seamless_white": _seamless_white, "wood": _wood, "cutting_mat": _cutting_mat, "graph_paper": _graph_paper,
    "paper": _paper, "laminate": _laminate, "fabric": _fabric, "antistatic_mat": _antistatic_mat, "stone": _stone,
    "checker": _checker, "metal": _metal,
}


def surface_material(kind: str, rng: Random) -> bpy.types.Material:
    """The table top of that kind (a key of SHADERS), worn and stained a little."""
    n = Nodes(kind)
    colour, roughness = SHADERS[kind](n, rng)
    if kind != "seamless_white":
        stains = n.between(n.noise(rng.uniform(0.05, 0.2), 8), 0.35, 0.75)
        colour = n.mix(n.times(stains, rng.uniform(0, 0.8)), colour, n.mix(1.0, colour, "#9a9086", "MULTIPLY"))
    n.set(n.shader, Base_Color=colour)
    gloss = n("MapRange", Value=n.noise(0.8, 8), To_Min=max(0.05, roughness - 0.12), To_Max=min(1, roughness + 0.15))
    n.set(n.shader, Roughness=gloss.outputs["Result"])
    return n.material


# ---- table, wall, light ----------------------------------------------------------------------------------------------
def lay_table(scene: Scene, rng: Random, reach: float) -> None:
    """The table top (z = 0), as large as a desk, and a wall or box behind it if the scene has one, farther away
    than the camera ever gets (``reach``, cm)."""
    kit = Kit(rng)
    table = kit.box((rng.uniform(70, 160), rng.uniform(60, 110), 2.5), (0, 0, -2.5),
                    surface_material(scene.surface, rng), 0.2, (0, 0, rng.uniform(0, 360)))
    if scene.surface == "seamless_white":
        table.scale = (4, 4, 1)
    kit.box((800, 800, 1), (0, 0, -76), kit.plastic(rng.choice(PLAIN + list(WOODS[0]))), 0)  # the floor of the room
    if scene.wall:
        direction, far = rng.uniform(0, 2 * pi), reach + rng.uniform(4, 40)
        material = kit.plastic("#f8f8f8" if scene.surface == "seamless_white" else rng.choice(PLAIN + MATS))
        kit.box((260, 1, rng.uniform(15, 160)), (far * cos(direction), far * sin(direction), 0), material, 0.1,
                (0, 0, 90 + direction * 180 / pi))


def light_up(scene: Scene, rng: Random, camera: bpy.types.Object) -> None:
    """The room's light from one of Blender's HDRIs, up to two lamps, and perhaps the phone's flash."""
    _light_room(scene, rng.uniform(0.5, 1.0) if scene.lamps else 1.0)
    for _ in range(scene.lamps):
        angle, height, away = rng.uniform(0, 2 * pi), rng.uniform(25, 90), rng.uniform(10, 70)
        at = (away * cos(angle), away * sin(angle), height)
        lamp = _lamp(at, sum(c * c for c in at) ** 0.5, rng.uniform(0.6, 4), rng.choice([5, 15, 30, 60]),
                     rng.choice([(1, 0.76, 0.5), (1, 0.9, 0.78), (1, 1, 1), (0.85, 0.93, 1)]))
        _point_at_origin(lamp)
    if scene.flash:
        _lamp((1.5, 1.0, 0), 20, rng.uniform(1, 3), 0.6, (1, 0.97, 0.92)).parent = camera


def _light_room(scene: Scene, strength: float) -> None:
    world = bpy.data.worlds.new("room")
    bpy.context.scene.world = world
    world.use_nodes = True
    # The map is small, so a small importance map finds its lights just as well, and sooner.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256
    nodes, links = world.node_tree.nodes, world.node_tree.links
    room = nodes.new("ShaderNodeTexEnvironment")
    room.image = bpy.data.images.load(os.path.join(bpy.utils.resource_path("LOCAL"), "datafiles", "studiolights",
                                                   "world", scene.hdri + ".exr"))
    place, where = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeTexCoord")
    place.inputs["Rotation"].default_value = (0, 0, radians(scene.hdri_turn))
    links.new(where.outputs["Generated"], place.inputs["Vector"])
    links.new(place.outputs["Vector"], room.inputs["Vector"])
    links.new(room.outputs["Color"], nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = strength


def _lamp(at, distance: float, strength: float, size: float, colour) -> bpy.types.Object:
    """A square area lamp with sides of ``size`` cm, which lights what is ``distance`` cm away ``strength`` times as
    brightly as a white sky would. ``colour``: linear RGB, 0–1."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.energy, data.size, data.color = strength * 12 * distance ** 2, size, colour
    lamp = bpy.data.objects.new("lamp", data)
    bpy.context.scene.collection.objects.link(lamp)
    lamp.location = at
    lamp.visible_camera = False  # it hangs above the phone; a white disc in the air is no part of a photograph
    return lamp


def _point_at_origin(lamp: bpy.types.Object) -> None:
    target = bpy.data.objects.new("target", None)
    bpy.context.scene.collection.objects.link(target)
    track = lamp.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
