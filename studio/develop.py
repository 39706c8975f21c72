"""What a phone makes of the light: from linear radiance to an 8-bit picture. NumPy and Pillow only."""
from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .scene import Frame, Scene

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709


def develop(light: np.ndarray, scene: Scene, frame: Frame, seed: int) -> Image.Image:
    """Linear RGB radiance (H, W, 3), any scale ≥ 0, to the 8-bit RGB picture that a phone would have saved as a JPEG.

    ``seed`` decides the noise, the vignette and how strongly the phone sharpens."""
    rng = np.random.default_rng(seed)
    light = _shake(np.maximum(light, 0), frame.motion)
    light = light * meter(light) * 2.0 ** frame.exposure
    light = light * np.array([1 + 0.16 * scene.warmth, 1.0, 1 - 0.2 * scene.warmth])
    light = light * _vignette(light.shape, rng.uniform(0, 0.25))
    light = light + rng.normal(0, frame.noise, light.shape) * np.sqrt(np.clip(light, 0.003, 1))
    picture = Image.fromarray((_tone(light, scene.contrast) * 255 + 0.5).astype(np.uint8))
    return picture.filter(ImageFilter.UnsharpMask(1.0, int(rng.uniform(0, 90)), 2))  # phones sharpen


def meter(light: np.ndarray) -> float:
    """The gain that brings the centre-weighted log-mean luminance to 18 % grey, as a camera's meter does."""
    height, width = light.shape[:2]
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    weight = np.exp(-1.5 * (x * x + y * y))
    mean = np.exp(np.sum(weight * np.log(light @ LUMINANCE + 1e-4)) / weight.sum())
    return 0.18 / mean


def _tone(light: np.ndarray, contrast: float) -> np.ndarray:
    """A soft shoulder above 60 % instead of clipping, then the sRGB curve, then contrast about mid-grey; 0–1."""
    light = np.maximum(light, 0)
    light = np.where(light > 0.6, 0.6 + 0.4 * (1 - np.exp(-(light - 0.6) / 0.4)), light)
    display = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(0.46 + (display - 0.46) * contrast, 0, 1)


def _shake(light: np.ndarray, motion: tuple[float, float]) -> np.ndarray:
    """The mean of ``light`` (H, W, 3) along the path (x, y), in pixels, that it moved while the shutter was open."""
    steps = int(np.hypot(*motion)) + 1
    if steps == 1:
        return light
    pad = steps + 1
    wide = np.pad(light, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    total = np.zeros_like(light)
    for t in np.linspace(-0.5, 0.5, steps):
        dx, dy = (pad + int(round(t * m)) for m in motion)
        total += wide[dy:dy + light.shape[0], dx:dx + light.shape[1]]
    return total / steps


def _vignette(shape: tuple, strength: float) -> np.ndarray:
    """The share of light (H, W, 1) that reaches each pixel: 1 in the middle, 1 − ``strength`` in the corners."""
    y, x = np.mgrid[-1:1:shape[0] * 1j, -1:1:shape[1] * 1j]
    return (1 - strength * (x * x + y * y) / 2)[..., None]
