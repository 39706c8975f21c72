"""What the simulated camera does to pictures whose pixels are known."""
import numpy as np
import pytest
from PIL import Image

from utils import camera


def gradient(width=40, height=40):
    ramp = np.linspace(40, 200, width).astype(np.uint8)
    return Image.fromarray(np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2))


def test_a_wide_frame_has_the_picture_in_its_middle():
    frame = camera.wide_frame(gradient())
    assert frame.size == (53, 40)
    np.testing.assert_array_equal(np.asarray(frame)[:, 6:46], np.asarray(gradient()))


def test_the_three_crop_options_cut_pad_and_squeeze():
    frame = camera.wide_frame(gradient())
    centre, fit, fill = (np.asarray(camera.crop_and_scale(frame, option, (40, 40))) for option in camera.CROP_OPTIONS)
    assert np.abs(centre.astype(int) - np.asarray(gradient())).max() <= 4
    assert (fit[0] == 0).all() and (fit[-1] == 0).all() and (fit[20] > 0).all()
    assert fill[0].min() > 0 and np.abs(fill.astype(int) - centre).max() > 10
    with pytest.raises(ValueError, match="none of centerCrop"):
        camera.crop_and_scale(frame, "stretch", (40, 40))


def test_turning_twice_by_90_degrees_is_turning_by_180():
    picture = gradient()
    assert camera.turned(camera.turned(picture, 90), 90) == camera.turned(picture, 180)
    assert camera.turned(picture, 180) == picture.rotate(180)
    assert camera.turned(picture, 90) != picture


def test_blur_takes_contrast_and_leaves_the_mean():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    blurred = camera.out_of_focus(noise, 0.05)
    assert np.std(blurred) < 0.5 * np.std(noise)
    assert np.mean(blurred) == pytest.approx(np.mean(noise), abs=3)


def test_less_light_is_darker_and_grainier_and_repeats():
    grey = Image.new("RGB", (40, 40), (180, 180, 180))
    dim, dimmer = camera.in_dim_light(grey, 2), camera.in_dim_light(grey, 4)
    assert np.mean(grey) > np.mean(dim) > np.mean(dimmer) > 20
    assert np.std(np.asarray(dim) / np.mean(dim)) < np.std(np.asarray(dimmer) / np.mean(dimmer))
    assert camera.in_dim_light(grey, 2) == dim
    assert np.mean(dim) == pytest.approx(180 * 4 ** (-1 / camera.GAMMA), rel=0.02)


def test_twice_the_distance_halves_the_part():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:30, 10:30] = 255
    white = (np.asarray(camera.from_further_away(Image.fromarray(picture), 2)) > 127)[..., 0]
    assert white.sum() == pytest.approx(10 * 10, abs=20)
    assert white[15:25, 15:25].all()
