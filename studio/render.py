"""Path-traces a Scene with Blender's Cycles, on the CPU: one picture a frame."""
from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from math import cos, radians, sin, tan
from pathlib import Path
from random import Random

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image

from . import parts
from .develop import develop
from .kit import Kit
from .scene import Frame, Scene, Thing
from .surroundings import lay_table, light_up

SIZE = 256     # pixels, both sides
SAMPLES = 8    # rays a pixel before the denoiser; more is hardly seen at this size


def render(scene: Scene, files: list[Path], threads: int = 0) -> None:
    """Writes the pictures of a scene, one a frame, leaving alone those that exist. Each appears whole or not at all.

    ``threads``: processor threads for Cycles, 0 for all.
    """
    camera = _build(scene, threads)
    centre, radius = camera["centre"], camera["radius"]
    for i, (frame, file) in enumerate(zip(scene.frames, files)):
        if file.exists():
            continue
        _aim(camera, frame, scene, Vector(centre), radius)
        picture = develop(_trace(), scene, frame, scene.seed + i)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.part")
        picture.save(partial, "JPEG", quality=frame.quality, optimize=True)
        partial.replace(file)


def _build(scene: Scene, threads: int) -> bpy.types.Object:
    """The whole stage in Blender; returns the camera, which knows the thing's centre and radius (cm)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    stage, rng = bpy.context.scene, Random(scene.seed)
    stage.render.engine, stage.cycles.device, stage.cycles.samples = "CYCLES", "CPU", SAMPLES
    stage.cycles.use_denoising, stage.cycles.denoiser = True, "OPENIMAGEDENOISE"
    stage.cycles.denoising_prefilter, stage.cycles.denoising_quality = "FAST", "BALANCED"
    stage.cycles.max_bounces, stage.cycles.caustics_reflective, stage.cycles.caustics_refractive = 5, False, False
    stage.cycles.seed = scene.seed % 2**31
    stage.render.resolution_x = stage.render.resolution_y = SIZE
    stage.render.use_persistent_data = True
    stage.render.image_settings.file_format, stage.render.image_settings.color_depth = "OPEN_EXR", "32"
    if threads:
        stage.render.threads_mode, stage.render.threads = "FIXED", threads
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    stage.collection.objects.link(camera)
    stage.camera = camera
    root = _place(scene.thing, scene.turn)
    low, high = bounds(root)
    centre, radius = (low + high) / 2, max((high - low).length / 2, 0.5)
    lay_table(scene, rng, max(_distance(frame, scene, radius) for frame in scene.frames) + radius)
    for thing in scene.clutter:
        _scatter(thing, centre, Vector((high.x - low.x, high.y - low.y)).length / 2, rng)
    camera["centre"], camera["radius"] = list(centre), radius
    if "front" in root:
        camera["front"] = radians(root["front"] + scene.turn)
    light_up(scene, rng, camera)
    return camera


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
    """Puts a piece of clutter beside the main thing, its edge ``gap`` cm off."""
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
    graph = bpy.context.evaluated_depsgraph_get()
    solid = [c for c in root.children_recursive if c.type != "EMPTY"]
    chosen = solid if everything else [c for c in solid if not c.name.startswith("wire")] or solid
    corners = []
    for child in chosen:
        if everything:  # exact, since a turned thing's box is larger than the thing
            shape = child.evaluated_get(graph)
            mesh = shape.to_mesh()
            points = np.empty(len(mesh.vertices) * 3, np.float32)
            mesh.vertices.foreach_get("co", points)
            shape.to_mesh_clear()
            corners.append(points.reshape(-1, 3) @ np.array(child.matrix_world.to_3x3()).T
                           + np.array(child.matrix_world.translation))
        else:
            corners.append(np.array([child.matrix_world @ Vector(c) for c in child.bound_box]))
    corners = [c for c in corners if len(c)] or [np.zeros((1, 3))]
    corners = np.concatenate(corners)
    return Vector(corners.min(0)), Vector(corners.max(0))


def _distance(frame: Frame, scene: Scene, radius: float) -> float:
    """From the camera to the thing's centre, cm; never inside the thing."""
    return max(radius / tan(radians(scene.field_of_view / 2)) / frame.fill, radius * 1.15)


def _aim(camera: bpy.types.Object, frame: Frame, scene: Scene, centre: Vector, radius: float) -> None:
    """Puts the camera where the frame wants it."""
    distance = _distance(frame, scene, radius)
    azimuth, elevation = radians(frame.azimuth), radians(frame.elevation)
    if "front" in camera:  # a thing that nobody would photograph from behind: sway before its front instead
        azimuth = camera["front"] + radians(60) * sin(azimuth)
    away = Vector((cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)))
    camera.location = centre + away * distance
    look = (-away).to_track_quat("-Z", "Y").to_matrix()
    turn = look @ Matrix.Rotation(radians(frame.roll), 3, "Z")
    camera.rotation_euler = turn.to_euler()
    lens = camera.data
    lens.angle, lens.clip_start, lens.clip_end = radians(scene.field_of_view), 0.05, 2000
    lens.shift_x, lens.shift_y = (min(max(-a, -0.15), 0.15) for a in frame.aim)
    lens.dof.use_dof, lens.dof.focus_distance = True, distance * frame.focus
    # Blender takes the lens in millimetres and the scene in metres: opening = lens / 1000 / (2 × f-stop).
    lens.dof.aperture_fstop = lens.lens / 1000 / (2 * min(frame.aperture, distance * 0.006))


def _trace() -> np.ndarray:
    """Linear RGB radiance of the stage as it stands, (SIZE, SIZE, 3), top row first."""
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
