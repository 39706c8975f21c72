"""A capture session as plain data: one thing on one table in one light, and a hand-held camera that moves around it.

``draw(session)`` gives the same Scene for the same name every time; what Blender makes of it is in ``render``.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from random import Random

from . import parts

FRAMES = 8
# The split of each session, by its number; new ones are added at the end, so that none ever changes its split.
# valid shows parts that training never sees. test shows parts that training sees, but on another table, in another
# light and from other sides, as the app will see your own parts. `other` belongs to no class: in training it teaches
# the model to be unsure.
SPLITS = {label: ["train"] * 24 + ["valid"] * 12 + ["train"] * 30 + ["test"] * 6
          for label in parts.LABELS if label != "other"}
SPLITS["other"] = ["valid"] * 15 + ["test"] * 15 + ["train"] * 36
# What the training sessions of `other` show, from number 30 on: no kind that its test shows, and few pictures of each
# of many kinds. Some of them also lie around as clutter in pictures of all labels.
STRANGERS = ["dc_motor", "cd_drive", "diskette", "sensor_module", "arduino", "fan", "gadget", "multimeter", "mouse",
             "remote", "chips", "pliers", "screwdriver", "keys", "small_parts", "jumpers", "usb_cable", "tape",
             "board", "leds", "coin", "solder", "fasteners", "connector", "pen", "ruler", "resistors", "note",
             "crumpled_paper", "dc_motor", "sensor_module", "fan", "gadget", "arduino", "chips", "small_parts"]
STRANGERS_FRAMES = 4
# From this number on, the sessions with the same number share their table, light, clutter and camera whatever their
# label, so only the thing itself tells the classes apart. With only a few dozen tables, a network would otherwise learn
# which class was seen on which table.
PAIRED = 36
# These sessions also show six parts of each class again and again, as if they were your own: each part in five training
# sessions and one test session. A part is named after its session with a number from OWN to OWN + 5.
OWN, OWN_PARTS = 48, 6
SURFACES = {"seamless_white": 5, "wood": 6, "cutting_mat": 4, "laminate": 4, "fabric": 2, "antistatic_mat": 2,
            "stone": 2, "graph_paper": 1, "paper": 2, "checker": 1, "metal": 1}
HDRIS = ["city", "courtyard", "forest", "interior", "interior", "interior", "studio", "studio", "sunrise", "sunset",
         "night"]


@dataclass(frozen=True)
class Frame:
    """One press of the shutter. Angles in degrees."""

    azimuth: float       # about the vertical, from +x towards +y
    elevation: float     # 90: straight down
    roll: float
    fill: float          # the diameter of the ball around the thing over the frame's side
    aim: tuple[float, float]  # how far the thing's centre is off the middle, in frame sides
    focus: float         # distance focused on over the distance of the thing
    aperture: float      # radius of the lens opening in cm: the larger, the more blur before and behind
    motion: tuple[float, float]  # pixels that the picture moved while the shutter was open, at a side of 256 pixels
    exposure: float      # stops brighter (+) or darker (−) than the camera's meter would have chosen
    noise: float         # standard deviation at full white, 0–1
    quality: int         # of the JPEG, 0–100


@dataclass(frozen=True)
class Thing:
    """Something to build: which family and variant, and the seed of all its details."""

    family: str
    variant: str
    seed: int
    direction: float = 0.0   # of clutter: degrees around the main thing
    gap: float = 0.0         # of clutter: cm between it and the main thing


@dataclass(frozen=True)
class Scene:
    """One capture session. Angles in degrees."""

    session: str
    label: str
    split: str
    seed: int
    thing: Thing
    clutter: tuple[Thing, ...]
    surface: str
    wall: bool               # a wall or box behind the table; without one, the room is visible
    hdri: str                # the room's light: one of Blender's panoramas
    hdri_turn: float
    lamps: int               # 0–2, besides the room's light
    flash: bool
    turn: float              # of the thing on the table
    field_of_view: float
    warmth: float            # white balance error: -1 blue … 1 orange
    contrast: float          # factor about mid-grey, as the camera's own processing applies it
    frames: tuple[Frame, ...]


def sessions() -> list[str]:
    """The names of all sessions, "relay-07" for the eighth of the relays.

    Their order spreads every label and split evenly, so a half-rendered set is a small set rather than half of one.
    """
    spread = []
    for label, splits in SPLITS.items():
        for i, split in enumerate(splits):
            spread.append(((splits[:i].count(split) + 0.5) / splits.count(split), label, f"{label}-{i:02}"))
    return [name for _, _, name in sorted(spread)]


def split_of(session: str) -> str:
    """train, valid or test."""
    label, number = session.rsplit("-", 1)
    return SPLITS[label][int(number)]


def frames_of(session: str) -> int:
    """How many frames the session has."""
    label = session.rsplit("-", 1)[0]
    return STRANGERS_FRAMES if label == "other" and split_of(session) == "train" else FRAMES


def part_of(session: str) -> str:
    """The session that the individual part is named after: the same for all sessions that show it, and for a part that
    is seen only once its only session."""
    label, number = session.rsplit("-", 1)
    if label == "other" or int(number) < PAIRED:
        return session
    return f"{label}-{OWN + (int(number) - OWN) % OWN_PARTS}"


def variant_of(session: str) -> str:
    """The variant that a session shows. Golden-ratio steps through the weights spread the variants over the sessions
    more evenly than chance does, so that each split sees all of the common ones."""
    label, number = part_of(session).rsplit("-", 1)
    if label == "other" and split_of(session) == "train":
        return STRANGERS[int(number) - SPLITS["other"].index("train")]
    variants = parts.WEIGHTS[label]
    if int(number) >= PAIRED:  # more of the rare ones
        variants = {name: sqrt(weight) for name, weight in variants.items()}
    place = (int(number) * 0.6180339887498949 + 0.31) % 1 * sum(variants.values())
    for variant, weight in variants.items():
        place -= weight
        if place < 0:
            return variant
    return variant  # rounding left nothing below 0


def draw(session: str) -> Scene:
    """The scene of that name. Every choice comes from the name, so that any machine draws the same one."""
    label, number = session.rsplit("-", 1)
    paired = int(number) >= PAIRED
    rng = Random(f"tabletop 2 {number}" if paired else f"tabletop 1 {session}")
    surface = _pick(rng, {name: sqrt(weight) for name, weight in SURFACES.items()} if paired else SURFACES)
    product_shot = surface == "seamless_white"
    closest = 1.9 if paired and split_of(session) == "train" else 1.5
    variant = variant_of(session)
    main = Thing(label if variant in parts.WEIGHTS[label] else "clutter", variant, rng.randrange(2**31))
    if part_of(session) != session:
        main = draw(part_of(session)).thing
    pieces = 0 if rng.random() < (0.7 if product_shot else 0.25) else rng.randint(1, 5)
    clutter = tuple(Thing("clutter", _pick(rng, parts.WEIGHTS["clutter"]), rng.randrange(2**31), rng.uniform(0, 360),
                          rng.uniform(0.2, 6)) for _ in range(pieces))
    light = dict(hdri=rng.choice(HDRIS), hdri_turn=rng.uniform(0, 360), lamps=_pick(rng, {0: 4, 1: 4, 2: 2}),
                 flash=rng.random() < 0.12)
    camera = dict(field_of_view=rng.uniform(34, 62), warmth=rng.gauss(0.1, 0.15 if product_shot else 0.35),
                  contrast=rng.uniform(0.85, 1.35))
    return Scene(session, label, split_of(session), rng.randrange(2**31), main, clutter, surface,
                 rng.random() < 0.4, turn=rng.uniform(0, 360),
                 frames=_hand_held(rng, product_shot, paired, closest)[:frames_of(session)], **light, **camera)


def _hand_held(rng: Random, product_shot: bool, paired: bool, closest: float) -> tuple[Frame, ...]:
    """A third of the way around the thing or more, from nearly flat to straight down, near and far. The paired sessions
    put it farther off the centre and have the low noise of a phone's picture that was made small. ``closest``: the
    largest ``fill``."""
    start, sweep = rng.uniform(0, 360), rng.choice([-1, 1]) * rng.uniform(120, 330)
    aperture = _log_uniform(rng, 0.01, 0.14)
    noise = _log_uniform(rng, 0.003, 0.015) if paired else _log_uniform(rng, 0.004, 0.05)
    quality = rng.randint(62, 90)
    off_centre = 0.1 if paired else 0.07
    frames = []
    for i in range(FRAMES):
        shaken = rng.random() < 0.2
        frames.append(Frame(
            azimuth=(start + sweep * i / (FRAMES - 1) + rng.uniform(-12, 12)) % 360,
            elevation=rng.choice([rng.uniform(14, 45), rng.uniform(30, 65), rng.uniform(60, 89)]),
            roll=rng.gauss(0, 9),
            fill=_log_uniform(rng, 0.45, closest),
            aim=(rng.gauss(0, off_centre), rng.gauss(0, off_centre)),
            focus=exp(rng.gauss(0, 0.05)),
            aperture=aperture,
            motion=(rng.gauss(0, 2.5), rng.gauss(0, 2.5)) if shaken else (0.0, 0.0),
            exposure=rng.gauss(2.2 if product_shot else 0.15, 0.4),
            noise=noise,
            quality=quality))
    return tuple(frames)


def _pick(rng: Random, weighted: dict):
    return rng.choices(list(weighted), list(weighted.values()))[0]


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return exp(rng.uniform(log(low), log(high)))
