"""Path-traces a Scene with Blender's Cycles, on the CPU: one picture per frame."""
from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, radians, sin, tan
from pathlib import Path
from random import Random

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import parts
from .develop import develop
from .kit import Kit
from .scene import Frame, Scene, Thing
from .surroundings import lay_table, light_up

SIZE = 256     # pixels, both sides
SAMPLES = 8    # rays per pixel before the denoiser; more makes hardly any difference at this size


@dataclass
class _Stage:
    """A scene as it stands in Blender. Lengths in centimetres."""

    camera: bpy.types.Object
    centre: Vector        # of the thing
    radius: float         # of the ball around it
    front: float | None   # radians about z: where people look at it from, if not from all around


def render(scene: Scene, files: list[Path], threads: int = 0) -> None:
    """Writes the pictures of a scene, one per frame, leaving alone those that exist. Each appears whole or not at all.

    ``threads``: CPU threads for Cycles, 0 for all.
    """
    stage = _build(scene, threads)
    for i, (frame, file) in enumerate(zip(scene.frames, files)):
        if file.exists():
            continue
        _aim(stage, frame, scene)
        picture = develop(_trace(), scene, frame, scene.seed + i)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.part")
        picture.save(partial, "JPEG", quality=frame.quality, optimize=True)
        partial.replace(file)


def _build(scene: Scene, threads: int) -> _Stage:
    """Empties Blender and puts the scene into it: the thing, the table, the clutter, the camera and the light."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _configure(bpy.context.scene, scene.seed, threads)
    rng = Random(scene.seed)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    root = _place(scene.thing, scene.turn)
    low, high = bounds(root)
    centre, radius = (low + high) / 2, max((high - low).length / 2, 0.5)
    lay_table(scene, rng, max(_distance(frame, scene, radius) for frame in scene.frames) + radius)
    for thing in scene.clutter:
        _scatter(thing, centre, Vector((high.x - low.x, high.y - low.y)).length / 2, rng)
    light_up(scene, rng, camera)
    return _Stage(camera, centre, radius, radians(root["front"] + scene.turn) if "front" in root else None)


def _configure(blender: bpy.types.Scene, seed: int, threads: int) -> None:
    """Cycles' settings and the form of its output: linear light as 32-bit floats."""
    cycles, output = blender.cycles, blender.render
    output.engine = "CYCLES"
    cycles.device = "CPU"
    cycles.samples = SAMPLES
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter, cycles.denoising_quality = "FAST", "BALANCED"
    cycles.max_bounces = 5
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.seed = seed % 2**31
    output.resolution_x = output.resolution_y = SIZE
    output.use_persistent_data = True
    output.image_settings.file_format, output.image_settings.color_depth = "OPEN_EXR", "32"
    if threads:
        output.threads_mode, output.threads = "FIXED", threads


def _place(thing: Thing, turn: float) -> bpy.types.Object:
    """Builds a thing and lets it down onto the table, turned about the vertical."""
    rng = Random(thing.seed)
    kit = Kit(rng)
    parts.builder(thing.family, thing.variant)(kit, rng)
    kit.root.matrix_basis = Matrix.Rotation(radians(turn), 4, "Z") @ kit.root.matrix_basis
    kit.root.location.z -= bounds(kit.root, everything=True)[0].z
    bpy.context.view_layer.update()
    return kit.root


def _scatter(thing: Thing, centre: Vector, radius: float, rng: Random) -> None:
    """Puts a piece of clutter next to the main thing, with ``gap`` cm between them."""
    root = _place(thing, rng.uniform(0, 360))
    low, high = bounds(root)
    away = radius * 0.9 + thing.gap + (high - low).length / 2
    angle = radians(thing.direction)
    middle = (low + high) / 2
    root.location.x += centre.x + away * cos(angle) - middle.x
    root.location.y += centre.y + away * sin(angle) - middle.y


def bounds(root: bpy.types.Object, everything: bool = False) -> tuple[Vector, Vector]:
    """The lowest and highest corner (cm) of all that hangs under ``root``; without its wires, which wander far and
    would make the thing itself small in the picture, unless ``everything`` or there is nothing else."""
    bpy.context.view_layer.update()
    solid = [child for child in root.children_recursive if child.type != "EMPTY"]
    if everything:
        points = [_vertices(child) for child in solid]
    else:
        body = [child for child in solid if not child.name.startswith("wire")]
        points = [_box_corners(child) for child in body or solid]
    points = np.concatenate([p for p in points if len(p)] or [np.zeros((1, 3))])
    return Vector(points.min(0)), Vector(points.max(0))


def _box_corners(thing: bpy.types.Object) -> np.ndarray:
    """The corners of the box around a thing, (8, 3). A turned thing's box is larger than the thing."""
    return np.array([thing.matrix_world @ Vector(corner) for corner in thing.bound_box])


def _vertices(thing: bpy.types.Object) -> np.ndarray:
    """All vertices of a thing as it will be rendered, with its modifiers, (N, 3)."""
    shape = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shape.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    shape.to_mesh_clear()
    return (points.reshape(-1, 3) @ np.array(thing.matrix_world.to_3x3()).T
            + np.array(thing.matrix_world.translation))


def _distance(frame: Frame, scene: Scene, radius: float) -> float:
    """From the camera to the thing's centre, cm; never inside the thing."""
    return max(radius / tan(radians(scene.field_of_view / 2)) / frame.fill, radius * 1.15)


def _aim(stage: _Stage, frame: Frame, scene: Scene) -> None:
    """Puts the camera where the frame wants it."""
    distance = _distance(frame, scene, stage.radius)
    azimuth, elevation = radians(frame.azimuth), radians(frame.elevation)
    if stage.front is not None:  # a thing that nobody would photograph from behind: sway in front of it instead
        azimuth = stage.front + radians(60) * sin(azimuth)
    away = Vector((cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)))
    stage.camera.location = stage.centre + away * distance
    look = (-away).to_track_quat("-Z", "Y").to_matrix()
    stage.camera.rotation_euler = (look @ Matrix.Rotation(radians(frame.roll), 3, "Z")).to_euler()
    lens = stage.camera.data
    lens.angle, lens.clip_start, lens.clip_end = radians(scene.field_of_view), 0.05, 2000
    lens.shift_x, lens.shift_y = (min(max(-a, -0.15), 0.15) for a in frame.aim)
    lens.dof.use_dof, lens.dof.focus_distance = True, distance * frame.focus
    # Blender takes the lens in millimetres and the scene in metres: opening = lens / 1000 / (2 × f-stop).
    lens.dof.aperture_fstop = lens.lens / 1000 / (2 * min(frame.aperture, distance * 0.006))


def _trace() -> np.ndarray:
    """Linear RGB radiance of the stage as it stands, float64 (SIZE, SIZE, 3), top row first."""
    with tempfile.TemporaryDirectory() as folder, _muted():
        bpy.context.scene.render.filepath = os.path.join(folder, "frame.exr")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(bpy.context.scene.render.filepath)
        pixels = np.empty(SIZE * SIZE * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    return pixels.reshape(SIZE, SIZE, 4)[::-1, :, :3].astype(np.float64)


@contextmanager
def _muted():
    """Blender writes to the process's own standard output, past Python."""
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
