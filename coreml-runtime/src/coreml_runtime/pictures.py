"""Any photograph as upright 8-bit RGB: one rule for transparency, 16 bits, CMYK, palettes and greyscale.

Needs Pillow and NumPy only, and works on Python 3.8, so that a program without PyTorch can keep to the same rule.
"""
import numpy as np
from PIL import Image, ImageOps

SIXTEEN_BITS_TO_EIGHT = 257  # 65535 / 255: white stays white. Shifting by eight bits divides by 256


def to_rgb(picture):
    """A PIL image, of any mode but floating point, as people see it: an RGB image, 8 bits per channel.

    EXIF rotation is applied. Transparent pixels lie over white, as on a page. 16-bit greyscale is scaled to 8 bits,
    rounded. CMYK, palettes and greyscale are converted as Pillow converts them. Raises ValueError for mode F, whose
    range of values nobody knows.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise ValueError("it is a floating-point picture; save it as 8-bit JPEG or PNG")
    if picture.mode == "I" or picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        levels = np.asarray(picture, dtype=np.float64) / SIXTEEN_BITS_TO_EIGHT
        picture = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
