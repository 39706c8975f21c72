"""The backbone answers alike in PyTorch and in Keras, on real photographs."""
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

from utils import backbone, photos
from utils.paths import ROOT, TABLETOP
from utils.silence import quiet

quiet("tensorflow")

DAISY, PALACE = 985, 698  # ImageNet-1k class numbers; the dahlia of flower.jpg is nearest to a daisy
LIMIT = 1e-4  # the largest difference of a logit; logits are of the order of 10


@pytest.fixture(scope="module")
def pictures():
    """scikit-learn's two photographs and four of the course's, scaled: (6, 224, 224, 3)."""
    found = [Image.fromarray(image) for image in load_sample_images().images]  # china.jpg, flower.jpg
    found += [photos.read_photo(path) for path in sorted(TABLETOP.glob("*/*.jpg"))[::250][:4]]
    size = (backbone.IMAGE_SIZE, backbone.IMAGE_SIZE)
    return backbone.scale_pixels(np.stack([np.asarray(ImageOps.fit(p, size), np.float32) for p in found]))


@pytest.fixture(scope="module")
def torch_logits(pictures):
    with torch.inference_mode():
        return backbone.torch_backbone(include_top=True)(torch.from_numpy(pictures).permute(0, 3, 1, 2)).numpy()


def test_the_pretrained_network_knows_what_it_sees(torch_logits):
    assert torch_logits[:2].argmax(axis=1).tolist() == [PALACE, DAISY]


@pytest.mark.parametrize("fold", [False, True])
def test_keras_and_pytorch_give_the_same_logits(pictures, torch_logits, fold):
    model = backbone.keras_backbone(include_top=True, fold_batch_norm=fold)
    assert np.abs(model(pictures, training=False).numpy() - torch_logits).max() < LIMIT


def test_keras_and_pytorch_give_the_same_features(pictures):
    with torch.inference_mode():
        expected = backbone.torch_backbone()(torch.from_numpy(pictures).permute(0, 3, 1, 2)).numpy()
    found = backbone.keras_backbone(input_shape=(None, None, 3))(pictures, training=False).numpy()
    assert found.shape == (len(pictures), 1280)
    assert np.abs(found - expected).max() < LIMIT


@pytest.mark.parametrize("spoil", [
    lambda model, layer: model.get_layer(layer).set_weights([w[::-1] for w in model.get_layer(layer).get_weights()]),
    lambda model, layer: setattr(model.get_layer("stem_bn"), "epsilon", 1e-2),
], ids=["a kernel turned over", "another epsilon"])
def test_the_comparison_sees_a_spoilt_network(pictures, torch_logits, spoil):
    model = backbone.keras_backbone(include_top=True)
    spoil(model, "block6c_dwconv")
    assert np.abs(model(pictures, training=False).numpy() - torch_logits).max() > 100 * LIMIT


def test_scaled_pixels_run_from_minus_one_to_one():
    assert backbone.scale_pixels(np.array([0, 127, 255])).tolist() == [-127 / 128, 0, 1]


def test_torchvision_and_timm_can_be_imported_after_torchvision_cpu():
    code = ("import utils.torchvision_cpu, timm, torchvision; from utils.torchvision_cpu import *; "
            "declare_missing_operators()")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True)
