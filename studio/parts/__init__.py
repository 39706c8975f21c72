"""The families of parts, one module each.

A module has VARIANTS: name → build; build(kit, rng) makes one such thing standing on the table (z = 0) around the
origin, in centimetres. It may leave ``kit.root["front"]``: the direction (degrees) from which people look at it.
"""
from __future__ import annotations

from importlib import import_module

LABELS = ["floppy_drive", "piezo", "relay", "stepper_motor", "other"]

# How often each variant is drawn, relative to the others of its family. Here and not in the families' modules, because
# a scene's plain data is also drawn where Blender is not installed.
WEIGHTS = {
    "floppy_drive": {"closed_35": 3, "open_35": 2.6, "underside_35": 1.3, "drive_525": 1.5, "usb_35": 1.4,
        "in_computer": 1},
    "piezo": {"disc": 3, "buzzer": 3, "enclosed": 1.3, "module": 2.5, "on_breadboard": 1.6, "smd": 0.7},
    "relay": {"cube": 3, "module_1": 3, "module_2": 2.5, "module_4": 2, "module_8": 0.8, "shield": 1.6,
        "signal": 1.2, "industrial": 1.4, "solid_state": 0.9},
    "stepper_motor": {"byj48": 3, "nema17": 4, "nema23": 1.5, "round_can": 1.5, "with_driver": 1.2},
    "other": {"arduino": 2, "dev_board": 2, "shield": 2, "sensor_module": 1.5, "breadboard": 1.8, "display":
        0.8, "servo": 1.8, "dc_motor": 2, "tt_motor": 1.5, "fan": 1.2, "speaker": 1.5, "diskette": 1.5,
        "hard_disk": 2, "cd_drive": 1.5, "memory": 1, "capacitors": 1.2, "chips": 1.2, "batteries": 1.5,
        "pliers": 1.2, "screwdriver": 1, "soldering_iron": 1, "multimeter": 1, "mug": 1, "keys": 0.8,
        "remote": 1, "mouse": 0.8, "keyboard": 0.7, "gadget": 1.2, "small_parts": 1.5, "empty_table": 1},
    "clutter": {"wires": 2, "jumpers": 2, "resistors": 1.5, "leds": 1, "fasteners": 1.5, "pen": 1.2,
        "driver": 1.2, "ruler": 0.8, "breadboard_piece": 0.8, "board": 1, "solder": 0.7, "battery": 0.8,
        "coin": 0.6, "note": 0.8, "crumpled_paper": 0.3, "tape": 0.7, "usb_cable": 1, "tweezers": 0.8,
        "capacitor": 1, "connector": 1},
}


def builder(family: str, variant: str):
    """The function build(kit, rng) of that variant. Needs Blender."""
    return import_module(f"{__name__}.{family}").VARIANTS[variant]
