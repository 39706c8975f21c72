"""What a phone's camera does to a photograph before the model sees it: crop, orientation, focus, light, distance.

Pictures are PIL images in RGB. The changes are simulations: they say which way an accuracy moves, and not how far it
moves with a real camera in a real hand.
"""
import numpy as np
from PIL import Image, ImageFilter, ImageOps

GAMMA = 2.2  # of sRGB, about: pixel value / 255 is light ** (1 / GAMMA)
FULL_WELL = 1000  # photons that fill a small pixel of a phone, video mode; the fewer, the grainier
CROP_OPTIONS = ("centerCrop", "scaleFit", "scaleFill")  # VNImageCropAndScaleOption's names


def wide_frame(picture, aspect=4 / 3):
    """A photograph as a phone's sensor sees it, `aspect` times as wide as high: its mirrored edges are beside
    it."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    missing = max(0, round(height * aspect) - width)
    return Image.fromarray(np.pad(pixels, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), mode="reflect"))


def crop_and_scale(frame, option, size):
    """A camera's frame as Vision hands it to the model under one of its three options.

    option: centerCrop (the middle, in the model's aspect), scaleFit (all of it, black bars fill up) or scaleFill (all
    of it, squeezed); size: (width, height) of the model's input. Raises ValueError for another option.
    """
    if option not in CROP_OPTIONS:
        raise ValueError(f"{option!r} is none of {', '.join(CROP_OPTIONS)}.")
    if option == "centerCrop":
        return ImageOps.fit(frame, size, Image.Resampling.BILINEAR)
    if option == "scaleFit":
        return ImageOps.pad(frame, size, Image.Resampling.BILINEAR)
    return frame.resize(size, Image.Resampling.BILINEAR)


def turned(picture, degrees):
    """The picture turned counter-clockwise by a multiple of 90 degrees."""
    return Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(picture), degrees // 90)))


def out_of_focus(picture, share):
    """A Gaussian blur whose standard deviation is a share of the picture's width."""
    return picture.filter(ImageFilter.GaussianBlur(share * picture.width))


def in_dim_light(picture, stops, seed=0):
    """A picture with 2**stops times less light, and photon noise: sqrt(n) of n photons (FULL_WELL of them make
    white)."""
    light = (np.asarray(picture, np.float64) / 255) ** GAMMA * FULL_WELL / 2 ** stops
    photons = np.random.default_rng(seed).poisson(light)
    return Image.fromarray((255 * np.minimum(photons / FULL_WELL, 1) ** (1 / GAMMA)).round().astype(np.uint8))


def from_further_away(picture, times):
    """The picture from `times` the distance, 1 or more: smaller, on a plain ground in the mean colour of its edges."""
    width, height = picture.size
    pixels = np.asarray(picture)
    edges = np.concatenate([pixels[[0, -1]].reshape(-1, 3), pixels[:, [0, -1]].reshape(-1, 3)])
    changed = Image.new("RGB", picture.size, tuple(int(value) for value in edges.mean(axis=0).round()))
    small = picture.resize((round(width / times), round(height / times)), Image.Resampling.LANCZOS)
    changed.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return changed
