"""How notebook 02 trains with fastai on two CPU cores: the same Learner, with a network and callbacks that suit a
laptop. The notebook shows each call once; whatever else trains uses `dataloaders`, `learner` and RATES:

    learn = learner(dataloaders(folder, table, names, batch_size(table)))
    learn.fine_tune(epochs_for(photographs), **RATES)

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

`python -m tools.bench training` measures how much time this saves, and `python -m tools.bench busy` the last line. A
GPU is not used.
"""
import functools
import json
import time
from pathlib import Path

# isort: off
import utils.torchvision_cpu  # noqa: F401  before torchvision and fastai
import numpy as np
import torch
from fastai.vision import learner as fastai_learner
from fastai.vision.all import (Callback, CategoryBlock, ChannelsLast, ColReader, ColSplitter, DataBlock,
                               IntToFloatTensor, LabelSmoothingCrossEntropyFlat, PILImage, TransformBlock, accuracy,
                               aug_transforms, create_head, params, vision_learner)
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from timm.layers import Conv2dSame
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from coreml_runtime import threads
from utils import photos
from utils.backbone import PIXEL_MEAN, PIXEL_STD, scale_pixels, torch_backbone
from utils.command_line import CourseError
from utils.files import written_whole
from utils.paths import SEED

INPUT_SIZE = 256  # pixels per side of the network's input, as the bundled photographs have; a multiple of 32
CROP_SIZES = (128, 192)  # pixels per side of the training crops, in the first half of a training and in the second
BATCH_SIZE = 32
AUGMENTATION = {"flip_vert": True, "max_rotate": 180, "min_zoom": 0.7, "max_zoom": 1.5, "max_warp": 0.2,
                "max_lighting": 0.3, "p_affine": 1, "p_lighting": 1}  # of fastai's aug_transforms
HEAD_DROPOUT = 0.25
RATES = {"base_lr": 2e-3, "lr_mult": 6}  # of fastai's fine_tune: the pre-trained stages learn at a sixth of the rate
TRAINED_PHOTOGRAPHS = 14_000  # seen in one training, repetitions included: as many as two cores manage in three minutes
FEATURES = 1280  # channels of the last feature map
FIRST_TRAINED_STAGE = 4  # of seven, counted from 0
STATISTICS = [PIXEL_MEAN / 255] * 3, [PIXEL_STD / 255] * 3  # fastai divides by 255 before it normalizes


class WeightsError(CourseError):
    """A file of weights that cannot be used. The message says which, what is wrong, and what to do."""


def efficientnet_lite0(pretrained=True):
    """An `arch` for fastai's vision_learner: EfficientNet-Lite0 with its bundled ImageNet weights, in timm's layers.

    There is no untrained version: pretrained=False raises ValueError.
    """
    if not pretrained:
        raise ValueError("efficientnet_lite0 comes with its weights: use pretrained=True.")
    return torch_backbone(include_top=True)


def efficientnet_lite0_for_cpu(pretrained=True):
    """The same network with the same outputs, for training on a CPU: batch norm is folded into the convolutions, and
    only the pointwise convolutions of the last stages are trained (as in utils/keras_recipe.py). The same errors."""
    model = fix_padding(fold_batch_norm(efficientnet_lite0(pretrained))).requires_grad_(False)
    for module in _trained_layers(model.blocks[FIRST_TRAINED_STAGE:]) + [model.conv_head]:
        module.requires_grad_(True)
    return model


def fold_batch_norm(model):
    """Merges each batch norm, with its running statistics, into the convolution before it; the activation inside timm's
    batch norm stays. Changes the model, which has to be in evaluation mode, and returns it."""
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
    """The convolutions of these stages that are not depthwise."""
    return [module for module in stages.modules() if isinstance(module, nn.Conv2d) and module.groups == 1]


def split_for_cpu(model):
    """The parameter groups [last stages, head], for fastai's `splitter`. A parameter in no group is never trained."""
    return [[p for p in model[0].parameters() if p.requires_grad], params(model[1])]


# What vision_learner looks up for an architecture: where to cut off its head, parameter groups, pixel statistics.
fastai_learner.model_meta[efficientnet_lite0] = {"cut": -2, "split": fastai_learner.default_split, "stats": STATISTICS}
fastai_learner.model_meta[efficientnet_lite0_for_cpu] = {"cut": -2, "split": split_for_cpu, "stats": STATISTICS}


@functools.cache
def _kept_photo(path, size):
    return PILImage(photos.read_photo(path, (size, size)))


def PhotoBlock(size=INPUT_SIZE):
    """In place of fastai's ImageBlock and its Resize: photographs as photos.read_photo reads them, upright, cropped to
    the middle and resized to size x size pixels, as the phone does it. Each is read once and kept: 0.2 MB at 256 px.

    Needs num_workers=0: other processes would keep photographs of their own. Raises photos.PhotoError.
    """
    return TransformBlock(type_tfms=functools.partial(_kept_photo, size=size), batch_tfms=IntToFloatTensor)


def dataloaders(folder, table, names, batch_size=BATCH_SIZE, size=INPUT_SIZE, augmentation=AUGMENTATION):
    """Augmented batches for training and plain ones for validation, as fastai's DataLoaders: pictures (B, 3, H, W),
    classes (B,). Photographs are size x size pixels.

    table: a DataFrame with `file`, relative to the folder, `label`, and the truth values `is_valid`. names: the labels
    in the order of the outputs. augmentation: keywords of fastai's aug_transforms. Raises photos.PhotoError.
    """
    block = DataBlock((PhotoBlock(size), CategoryBlock(vocab=names)), get_x=lambda row: folder / row["file"],
                      get_y=ColReader("label"), splitter=ColSplitter(), batch_tfms=aug_transforms(**augmentation))
    return block.dataloaders(table, bs=batch_size, num_workers=0)


def learner(dls, crop_sizes=CROP_SIZES):
    """A fastai Learner of efficientnet_lite0_for_cpu with a new head, for DataLoaders. crop_sizes: as for
    ProgressiveResizing."""
    return vision_learner(dls, efficientnet_lite0_for_cpu, metrics=accuracy, loss_func=LabelSmoothingCrossEntropyFlat(),
                          ps=HEAD_DROPOUT, cbs=callbacks_for_cpu(crop_sizes))


@functools.cache
def bfloat16_is_faster():
    """Whether this processor trains faster in bfloat16 than in float32, found out by trying, in less than a second.

    Without AVX512-BF16 or AMX (on x86) PyTorch computes bfloat16 correctly, but several times slower than float32.
    The first call in a process draws from PyTorch's global random numbers. If a result has to repeat, set the seed
    after that call, or make the call at the same place in each run.
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
    """Runs the network in bfloat16 where autocast knows how; its outputs are float32. fastai's own `to_bf16` asks for
    CUDA and does nothing without it."""

    order = 1000  # after all others: nothing can cancel the batch between this and the network

    def before_batch(self):
        """Replaces the network's `forward` for one call. No event of fastai is certain to follow when a network raises,
        so a callback that switched autocast on could not always switch it off again."""
        model, forward = self.model, self.model.forward

        def forward_once(*inputs):
            del model.forward  # the class's own is found again
            with torch.autocast("cpu", torch.bfloat16):
                return forward(*inputs).float()

        model.forward = forward_once


class FreeCores(Callback):
    """Trains, and validates, with as many threads as there are cores that other programs leave free: of two cores, one
    if a program keeps the other busy (coreml_runtime/threads.py). On a quiet computer nothing changes. Another number
    of threads adds up gradients in another order, so weights differ in their last digits."""

    order = -100  # before anything computes

    def before_batch(self):
        threads.adapt()

    def after_validate(self):  # get_preds and validate end with it
        threads.restore()

    def after_fit(self):
        threads.restore()


class ProgressiveResizing(Callback):
    """Lets the augmentation cut smaller crops at first.

    sizes: pixels per side, one number for each equal part of the training. Validation pictures keep their size. Needs
    aug_transforms among the batch_tfms.
    """

    def __init__(self, sizes=CROP_SIZES):
        self.sizes = sizes

    def before_fit(self):  # before DistributedTrainer hides the loader's transforms
        self.geometry = [each for each in self.dls.train.after_batch.fs if hasattr(each, "coord_fs")]

    def _set(self, size):
        for transform in self.geometry:
            transform.size = size and (size, size)

    def before_train(self):
        self._set(self.sizes[min(int(self.pct_train * len(self.sizes)), len(self.sizes) - 1)])

    def after_batch(self):  # the next one is cut after this one is trained on
        if self.training:
            self.before_train()

    def before_validate(self):
        self._set(None)

    def after_fit(self):
        self._set(None)


def epochs_for(photographs):
    """The number of epochs, 2 to 40, in which so many training photographs are seen about TRAINED_PHOTOGRAPHS times in
    all."""
    return min(max(round(TRAINED_PHOTOGRAPHS / photographs), 2), 40)


def batch_size(table, most=BATCH_SIZE):
    """`most`, or the number of training photographs where there are fewer. fastai leaves out a last batch that is not
    full: of fewer photographs than a batch, none would be trained on, and lr_find would divide by zero.

    table: a DataFrame with the truth values `is_valid`.
    """
    return min(most, int((~table["is_valid"]).sum()))


def callbacks_for_cpu(crop_sizes=CROP_SIZES):
    """The callbacks that make fastai fast on this computer."""
    callbacks = [FreeCores(), ChannelsLast(), ProgressiveResizing(crop_sizes)]
    if bfloat16_is_faster():
        callbacks.append(Bfloat16OnCPU())
    return callbacks


def classifier(classes):
    """The network of `learner` with an untrained head, in evaluation mode: scaled RGB pictures (N, 3, H, W) -> logits
    (N, classes)."""
    body = fastai_learner.create_body(efficientnet_lite0_for_cpu(), cut=-2)
    return nn.Sequential(body, create_head(FEATURES, classes)).eval()


def predict(model, pictures):
    """Probabilities (N, classes) of a classifier, in float32, for uint8 RGB pictures (N, H, W, 3), which are scaled
    here. The model is put into evaluation mode."""
    model.eval()
    return _in_batches(lambda x: model(x).softmax(1), pictures)


def train_head(model, pictures, targets, epochs=30, learning_rate=2e-3, seed=SEED):
    """Trains the head of a classifier on features that are computed once. Much quicker than notebook 02, and less
    accurate.

    pictures: uint8 RGB (N, H, W, 3); targets: integers (N,). Changes the model, leaves it in evaluation mode and
    returns it.
    """
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
    """A function of scaled pictures (B, 3, H, W), applied without gradients to uint8 RGB pictures (N, H, W, 3): float32
    (N, ...).

    Larger batches outgrow the processor's cache: with 32, a picture takes one and a half times as long.
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
                           "Run notebook 02 again.") from error
    return model, labels
