"""How notebook 02 trains with fastai on two CPU cores: the same Learner, with a network and callbacks that suit a
laptop.

Where the time of `fine_tune` goes on a CPU, and what is done about it here:

| fastai's default | here |
| --- | --- |
| every layer is trained, of frozen ones the batch norm: gradients go through all | the early stages need no gradient |
| depthwise kernels are trained: the slowest gradient of all in bfloat16 | they stay as they are |
| batch norm keeps a second copy of each activation | folded into the convolutions, with ImageNet's statistics |
| float32, channels first | bfloat16 where the processor is faster with it, channels last |
| pictures of full size from the first step | smaller ones first |
| each photograph is read in each epoch | once |
| threads on all cores, busy or not, wait for each other | on those that other programs leave free |

`python -m tools.bench training` measures what it is worth, and `python -m tools.bench busy` the last line. A GPU is not
used.
"""
import functools
import json
import time
from pathlib import Path

import utils.torchvision_cpu  # noqa: F401  before torchvision and fastai
import numpy as np
import torch
from fastai.vision import learner as fastai_learner
from fastai.vision.all import Callback, ChannelsLast, IntToFloatTensor, PILImage, TransformBlock, create_head, params
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from timm.layers import Conv2dSame
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from utils import photos
from utils.backbone import PIXEL_MEAN, PIXEL_STD, scale_pixels, torch_backbone
from coreml_runtime import threads
from utils.files import written_whole
from utils.paths import SEED

SIDE = 256  # pixels of the square that the network answers for: that of the bundled photographs; a multiple of 32
TRAINING_SIDES = (128, 192)  # of the crops in the first half of a training and in the second
TRAINED_PHOTOGRAPHS = 14_000  # that a training looks at: as many as two cores do in three minutes
FEATURES = 1280  # channels of the last feature map
FIRST_TRAINED_STAGE = 4  # of seven, counted from 0
STATISTICS = [PIXEL_MEAN / 255] * 3, [PIXEL_STD / 255] * 3  # fastai divides by 255 before it normalizes


class WeightsError(ValueError):
    """A file of weights that cannot be used. The message says which, what is wrong, and what to do."""


def efficientnet_lite0(pretrained=True):
    """An `arch` for fastai's vision_learner: EfficientNet-Lite0 with its bundled ImageNet weights, in timm's layers.

    A network without weights is not to be had here: pretrained=False raises ValueError.
    """
    if not pretrained:
        raise ValueError("efficientnet_lite0 comes with its weights: use pretrained=True.")
    return torch_backbone(include_top=True)


def efficientnet_lite0_for_cpu(pretrained=True):
    """The same, computing the same, for training on a CPU: batch norm folded into the convolutions, and only the
    pointwise convolutions of the last stages are trained (as in utils/keras_recipe.py). Errors as above."""
    model = fix_padding(fold_batch_norm(efficientnet_lite0(pretrained))).requires_grad_(False)
    for module in _trained_layers(model.blocks[FIRST_TRAINED_STAGE:]) + [model.conv_head]:
        module.requires_grad_(True)
    return model


def fold_batch_norm(model):
    """Merges each batch norm, with the statistics that it has, into the convolution before it; timm's batch norm
    leaves its activation in its place. Changes the model, which has to be in evaluation mode, and returns it."""
    convolution = None
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution = name
        elif isinstance(module, nn.BatchNorm2d):
            model.set_submodule(convolution, fuse_conv_bn_eval(model.get_submodule(convolution), module))
            model.set_submodule(name, getattr(module, "act", nn.Identity()))
    return model


def fix_padding(model):
    """Replaces timm's convolutions that work out their padding from each picture, as TensorFlow does, by convolutions
    with that padding: the same for pictures whose sides are multiples of 32. Changes the model and returns it.

    coremltools 9 stumbles on the sums in a trace of the originals.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, Conv2dSame):
            assert module.stride == (2, 2) and module.dilation == (1, 1)
            fixed = nn.Conv2d(module.in_channels, module.out_channels, module.kernel_size, module.stride,
                              groups=module.groups, bias=module.bias is not None)
            fixed.load_state_dict(module.state_dict())
            missing = module.kernel_size[0] - 2  # of an even side at stride 2; the odd one goes right and below
            before, after = missing // 2, missing - missing // 2
            model.set_submodule(name, nn.Sequential(nn.ZeroPad2d((before, after, before, after)), fixed))
    return model


def _trained_layers(stages):
    return [module for module in stages.modules() if isinstance(module, nn.Conv2d) and module.groups == 1]


def split_for_cpu(model):
    """fastai's splitter: the parameter groups [last stages, head]. What is in no group is never trained."""
    return [[p for p in model[0].parameters() if p.requires_grad], params(model[1])]


# What vision_learner looks up for an architecture: where to cut off its head, parameter groups, pixel statistics.
fastai_learner.model_meta[efficientnet_lite0] = {"cut": -2, "split": fastai_learner.default_split, "stats": STATISTICS}
fastai_learner.model_meta[efficientnet_lite0_for_cpu] = {"cut": -2, "split": split_for_cpu, "stats": STATISTICS}


@functools.cache
def _kept_photo(path, side):
    return PILImage(photos.read_photo(path, (side, side)))


def PhotoBlock(side=SIDE):
    """In place of fastai's ImageBlock and its Resize: photographs as photos.read_photo reads them, upright, cropped to
    the middle and resized to side x side pixels, as the phone does it. Each is read once and kept: 0.2 MB at 256 px.

    Needs num_workers=0: other processes would keep photographs of their own. Raises photos.PhotoError.
    """
    return TransformBlock(type_tfms=functools.partial(_kept_photo, side=side), batch_tfms=IntToFloatTensor)


@functools.cache
def bfloat16_is_faster():
    """Whether this processor trains faster in bfloat16 than in float32, found out by trying, in less than a second.

    Without AVX512-BF16 or AMX (on x86) PyTorch computes bfloat16 correctly, but several times slower than float32.
    """
    layer = nn.Conv2d(192, 1152, 1).to(memory_format=torch.channels_last)
    x = torch.rand(16, 192, 7, 7).contiguous(memory_format=torch.channels_last)
    seconds = {True: [], False: []}
    with threads.adapted():
        for bfloat16, measured in list(seconds.items()) * 5:
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = layer(x).float().mean()
            loss.backward()
            measured.append(time.perf_counter() - started)
    return min(seconds[True]) < min(seconds[False])


class Bfloat16OnCPU(Callback):
    """Runs the network in bfloat16 where autocast knows how. fastai's own `to_bf16` asks for CUDA and does nothing
    without."""
    order = 10  # as fastai's MixedPrecision

    def before_batch(self):
        self.autocast = torch.autocast("cpu", torch.bfloat16)
        self.autocast.__enter__()

    def after_pred(self):
        self.autocast.__exit__(None, None, None)
        self.autocast = None
        self.learn.pred = self.pred.float()


class FreeCores(Callback):
    """Trains, and validates, with as many threads as there are cores that other programs leave free: of two cores, one
    beside a busy program (coreml_runtime/threads.py). On a quiet computer nothing changes. Sums of gradients are added
    up in another order by another number of threads, so that weights differ in their last digits."""
    order = -100  # before anything computes

    def before_batch(self):
        threads.adapt()

    def after_validate(self):  # get_preds and validate end with it
        threads.restore()

    def after_fit(self):
        threads.restore()


class ProgressiveResizing(Callback):
    """Lets the augmentation cut smaller crops at first: side in pixels by part of the training.

    sides: one for each equal part. Only training pictures are concerned. Needs aug_transforms among the batch_tfms.
    """
    def __init__(self, sides=TRAINING_SIDES):
        self.sides = sides

    def before_fit(self):  # before DistributedTrainer hides the loader's transforms
        self.geometry = [each for each in self.dls.train.after_batch.fs if hasattr(each, "coord_fs")]

    def _set(self, side):
        for transform in self.geometry:
            transform.size = side and (side, side)

    def before_train(self):
        self._set(self.sides[min(int(self.pct_train * len(self.sides)), len(self.sides) - 1)])

    def after_batch(self):  # the next one is cut after this one is trained on
        if self.training:
            self.before_train()

    def before_validate(self):
        self._set(None)

    def after_fit(self):
        self._set(None)


def epochs_for(photographs):
    """Epochs after which about TRAINED_PHOTOGRAPHS were looked at: 2 to 40."""
    return min(max(round(TRAINED_PHOTOGRAPHS / photographs), 2), 40)


def batch_size(table, most=32):
    """`most`, or the number of training photographs where there are fewer. fastai leaves out a last batch that is not
    full: of fewer photographs than a batch, none would be trained on, and lr_find would divide by zero.

    table: a DataFrame with the truth values `is_valid`.
    """
    return min(most, int((~table["is_valid"]).sum()))


def callbacks_for_cpu(sides=TRAINING_SIDES):
    """The callbacks that make fastai fast on this computer."""
    return [FreeCores(), ChannelsLast(), ProgressiveResizing(sides)] + [Bfloat16OnCPU()] * bfloat16_is_faster()


def classifier(classes):
    """The network that vision_learner builds of efficientnet_lite0_for_cpu, in evaluation mode, its head untrained:
    scaled RGB pictures (N, 3, H, W) -> logits (N, classes)."""
    body = fastai_learner.create_body(efficientnet_lite0_for_cpu(), cut=-2)
    return nn.Sequential(body, create_head(FEATURES, classes)).eval()


def predict(model, pictures):
    """Probabilities (N, classes) of a classifier, in float32, for uint8 RGB pictures (N, H, W, 3), which are scaled
    here. The model is put into evaluation mode."""
    model.eval()
    return _in_batches(lambda x: model(x).softmax(1), pictures)


def train_head(model, pictures, targets, epochs=30, learning_rate=2e-3, seed=SEED):
    """Trains the head of a classifier on its features of uint8 RGB pictures (N, H, W, 3), computed once; targets:
    integers (N,). Much quicker than notebook 02 and not as good. Changes the model and leaves it in evaluation mode."""
    body, (pool, flatten, *layers) = model
    head, targets = nn.Sequential(*layers), torch.as_tensor(targets)
    features = torch.from_numpy(_in_batches(nn.Sequential(body, pool, flatten).eval(), pictures))
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(head.parameters(), learning_rate)
    head.train()
    for _ in range(epochs):
        with threads.adapted():
            for chosen in torch.randperm(len(features)).split(64):
                if len(chosen) > 1:  # batch norm has no variance of one
                    nn.functional.cross_entropy(head(features[chosen]), targets[chosen]).backward()
                    optimizer.step()
                    optimizer.zero_grad()
    return model.eval()


def _in_batches(function, pictures, size=4):
    """A function of scaled pictures (B, 3, H, W), applied without gradients to uint8 RGB pictures (N, H, W, 3).

    Larger batches outgrow the processor's cache: 32 take one and a half times as long a picture.
    """
    def answer(batch):
        with threads.adapted():
            return function(scale_pixels(batch.float())).numpy()

    with torch.no_grad():
        batches = [torch.from_numpy(pictures[i:i + size]).permute(0, 3, 1, 2) for i in range(0, len(pictures), size)]
        return np.concatenate([answer(batch) for batch in batches])


def save_weights(model, path, labels):
    """Writes a classifier's weights and class labels as safetensors: numbers and text, nothing that can be executed."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with written_whole(path) as unfinished:
        save_file(tensors, unfinished, metadata={"labels": json.dumps(list(labels)), "network": "efficientnet_lite0"})


def load_weights(path):
    """(classifier in evaluation mode, class labels) from a file of save_weights.

    Raises WeightsError: no such file, damaged, or weights of another network.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file. Notebook 02 writes it: run that first.")
    try:
        with safe_open(path, framework="pt") as file:
            labels = json.loads(file.metadata()["labels"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        model = classifier(len(labels))
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: holds no weights of this classifier ({type(error).__name__}). "
                           "Run notebook 02 again.")
    return model, labels
