"""How notebook 05 trains: augmentation, a head on frozen features, then the last stages, on two CPU cores.

Pictures stay in memory as uint8, larger than the network's input, so that augmentation cuts its crop from real pixels.
Everything random is drawn from one seed: the same seed, pictures and machine give the same batches.

TensorFlow keeps its threads on all cores. While another program is busy, a step is about as fast with all threads as
with fewer (`python -m tools.bench busy`), because they do not wait for one another as PyTorch's do.
"""
import contextlib
import math
import os
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
import torch

from utils.backbone import IMAGE_SIZE, keras_backbone, scale_pixels
from utils.paths import SEED

EVALUATION_BATCH = 32
LABEL_SMOOTHING = 0.1  # Szegedy et al. 2016, section 7
HEAD_EXAMPLES = 1728  # that the head is trained on at least: few photographs are augmented more often
HEAD_EPOCHS, HEAD_LEARNING_RATE = 10, 2e-3
TRAINING_SIZE = 192  # pixels per side of the training crops; small ones are fast
UNKNOWN_REPEATS = 2  # how often a pass shows each unknown object: there are few of them, and many kinds of objects
# Pixels per side of the network's input after training: more than the training crops have, in which augmentation makes
# parts look larger (Touvron et al. 2019, Fixing the train-test resolution discrepancy). The average pooling takes any.
INPUT_SIZE = 288
CHECKPOINTS, VALIDATED = 8, 48  # validations during fine-tuning, and the most pictures in one


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a picture of parts on a table without changing its label. Each value is the largest change;
    0 (for `zoom`: (1, 1)) turns it off."""

    rotation: float = 180.0  # degrees either way: a table has no up
    zoom: tuple = (0.6, 1.5)  # below 1 the part gets smaller, above 1 it fills more of the frame
    shift: float = 0.15  # of the picture's side
    perspective: float = 0.15  # change of scale from the middle to the edge
    plain_border: float = 0.3  # share of pictures whose new border is one colour instead of the mirrored picture
    exposure: float = 0.35  # natural logarithm of the gain
    contrast: float = 0.35  # the same
    white_balance: float = 0.15  # the same, red and blue
    saturation: float = 0.5
    hue: float = 12.0  # degrees
    grey: float = 0.1  # share of pictures
    blur: float = 1.0  # 1: a Gaussian of 2 pixels; half of the pictures are sharpened or left alone
    noise: float = 12.0  # pixel values 0..255
    erase: float = 0.3  # share of pictures that lose a rectangle


NO_AUGMENTATION = Augmentation(rotation=0, zoom=(1, 1), shift=0, perspective=0, plain_border=0, exposure=0, contrast=0,
                               white_balance=0, saturation=0, hue=0, grey=0, blur=0, noise=0, erase=0)


@dataclass(frozen=True)
class FineTuning:
    """How `fine_tune` trains. The defaults are notebook 05's."""

    first: str = "block5a_expand_conv"  # the first layer that is trained
    steps: int = 432  # batches; more of them gain a little and take two cores long: measured in data/README.md
    size: int = TRAINING_SIZE  # pixels per side of the training crops
    batch_size: int = 32
    learning_rate: float = 3e-4  # the highest, of a cosine schedule with warm-up
    weight_decay: float = 0.01
    # Share of the weights before training in those at the end: fine-tuned weights forget what helps on photographs of
    # another kind (Wortsman et al. 2022, Robust fine-tuning of zero-shot models).
    keep: float = 0.2


class _Draw:
    """Random numbers for a batch of n pictures: each draw has its own seed, and its first axis is the batch, (n,) or
    (n, *shape)."""

    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def uniform(self, low, high, shape=()):
        self.seed = tf.random.experimental.stateless_fold_in(self.seed, 1)
        return tf.random.stateless_uniform((self.n, *shape), self.seed, low, high)

    def chance(self, share):
        return self.uniform(0.0, 1.0) < share


def augment(pictures, seed, size=IMAGE_SIZE, settings=Augmentation()):
    """A changed copy of each picture: (N, H, W, 3) of 0..255 -> float32 (N, size, size, 3) of 0..255.

    seed: two integers. One resampling does all of the geometry and one 3x3 matrix per picture all of the colour. Keras'
    own layers, one after the other, would blur the picture five times and take longer than the network.
    """
    pictures = tf.cast(pictures, tf.float32)
    draw = _Draw(tf.shape(pictures)[0], seed)
    pictures = _change_geometry(pictures, draw, size, settings)
    pictures = _change_colour(pictures, draw, settings)
    if settings.blur:
        pictures = _change_sharpness(pictures, draw, settings)
    if settings.erase:
        pictures = _erase_rectangle(pictures, draw, settings)
    if settings.noise:
        amount = draw.uniform(0.0, settings.noise, (1, 1, 1))
        # Standard deviation 1, and the same for the batch: drawing it for each picture takes as long as the blur.
        grain = _Draw(1, draw.seed).uniform(-1.7, 1.7, pictures.shape[1:])
        pictures += amount * grain
    return tf.clip_by_value(pictures, 0.0, 255.0)


def _change_geometry(pictures, draw, size, settings):
    """Rotation, flip, zoom, shift and perspective as one projective transform: (N, H, W, 3) -> (N, size, size, 3)."""
    side = tf.cast(tf.minimum(tf.shape(pictures)[1], tf.shape(pictures)[2]), tf.float32)
    angle = draw.uniform(-settings.rotation, settings.rotation) * np.pi / 180
    flip = tf.where(draw.chance(0.5), 1.0, -1.0)
    zoom = tf.exp(draw.uniform(*np.log(np.float32(settings.zoom))))
    scale = side / size / zoom  # input pixels for one output pixel
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    tilt = draw.uniform(-settings.perspective, settings.perspective, (2,)) / (size / 2)
    shift = draw.uniform(-settings.shift, settings.shift, (2,)) * side
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)

    def matrix(*rows):
        return tf.stack([tf.stack([tf.broadcast_to(v, tf.shape(angle)) for v in row], -1) for row in rows], -2)

    def move(x, y):
        return matrix((one, zero, x), (zero, one, y), (zero, zero, one))

    turn = matrix((cosine * flip, -sine, zero), (sine * flip, cosine, zero), (tilt[:, 0], tilt[:, 1], one))
    height, width = [tf.cast(n, tf.float32) for n in tf.unstack(tf.shape(pictures)[1:3])]
    middle = move((width - 1) / 2 + shift[:, 0], (height - 1) / 2 + shift[:, 1])
    full = middle @ turn @ move(-(size - 1) / 2, -(size - 1) / 2)
    full /= full[:, 2:, 2:]
    transforms = tf.reshape(full, (-1, 9))[:, :8]

    def warp(x, transforms, fill_mode):
        return tf.raw_ops.ImageProjectiveTransformV3(images=x, transforms=transforms, output_shape=[size, size],
                                                     fill_value=0.0, interpolation="BILINEAR", fill_mode=fill_mode)

    changed = warp(pictures, transforms, "REFLECT")
    if settings.plain_border:
        colour = tf.clip_by_value(draw.uniform(-64.0, 384.0, (1, 1, 1)), 0.0, 255.0)  # often white or black
        plain = tf.where(draw.chance(settings.plain_border))
        inside, colour = warp(tf.ones_like(tf.gather_nd(pictures, plain)[..., :1]), tf.gather_nd(transforms, plain),
                              "CONSTANT"), tf.gather_nd(colour, plain)
        filled = tf.gather_nd(changed, plain) * inside + colour * (1 - inside)
        changed = tf.tensor_scatter_nd_update(changed, plain, filled)
    return tf.ensure_shape(changed, (None, size, size, 3))


def _change_colour(pictures, draw, settings):
    """Exposure, contrast, white balance, saturation, hue and greyscale as one matrix and one offset per picture."""
    def gain(largest, shape=()):
        return tf.exp(draw.uniform(-largest, largest, shape))

    saturation = tf.where(draw.chance(settings.grey), 0.0, 1 + draw.uniform(-settings.saturation, settings.saturation))
    saturation = tf.reshape(saturation, (-1, 1, 1))
    luma = tf.constant([[0.299], [0.587], [0.114]]) @ tf.ones((1, 3))  # ITU-R BT.601
    angle = tf.reshape(draw.uniform(-settings.hue, settings.hue), (-1, 1, 1)) * np.pi / 180
    cross = tf.constant([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], tf.float32) / np.sqrt(3)
    hue = tf.cos(angle) * tf.eye(3) + tf.sin(angle) * cross + (1 - tf.cos(angle)) / 3  # Rodrigues, about the grey axis
    balance = gain(settings.white_balance, (2,))
    balance = tf.stack([balance[:, 0], tf.ones_like(balance[:, 0]), balance[:, 1]], -1)
    matrix = (saturation * tf.eye(3) + (1 - saturation) * luma) @ hue * balance[:, None, :]
    contrast, mean = gain(settings.contrast, (1, 1)), tf.reduce_mean(pictures, axis=(1, 2, 3))[:, None, None]
    matrix *= gain(settings.exposure, (1, 1))
    offset = ((1 - contrast) * mean) @ tf.ones((1, 3)) @ matrix
    return tf.einsum("nhwc,ncd->nhwd", pictures, contrast * matrix) + offset[:, None]


def _change_sharpness(pictures, draw, settings):
    """Moves each picture towards its Gaussian blur (standard deviation 2 pixels), or a little away from it."""
    taps = np.exp(-np.arange(-4, 5) ** 2 / (2 * 2.0 ** 2))
    taps = tf.constant(np.repeat((taps / taps.sum())[:, None], 3, 1), tf.float32)  # (9, 3)
    blurred = tf.pad(pictures, [[0, 0], [4, 4], [4, 4], [0, 0]], "REFLECT")
    blurred = tf.nn.depthwise_conv2d(blurred, taps[:, None, :, None], [1, 1, 1, 1], "VALID")
    blurred = tf.nn.depthwise_conv2d(blurred, taps[None, :, :, None], [1, 1, 1, 1], "VALID")
    amount = draw.uniform(-settings.blur, settings.blur, (1, 1, 1))
    return pictures + tf.maximum(amount, -0.3) * (blurred - pictures)


def _erase_rectangle(pictures, draw, settings):
    """A rectangle of one colour over some of the pictures (random erasing, Zhong et al. 2020)."""
    size = pictures.shape[1]
    corner, extent = draw.uniform(0.0, 1.0, (2,)) * size, draw.uniform(0.15, 0.45, (2,)) * size
    chosen, colour = tf.where(draw.chance(settings.erase)), draw.uniform(0.0, 255.0, (1, 1, 3))
    corner, extent, colour = [tf.gather_nd(x, chosen) for x in (corner, extent, colour)]
    line = tf.range(size, dtype=tf.float32)
    rows, columns = [(line >= corner[:, i:i + 1]) & (line < (corner + extent)[:, i:i + 1]) for i in (0, 1)]
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]
    return tf.tensor_scatter_nd_update(pictures, chosen, tf.where(inside, colour, tf.gather_nd(pictures, chosen)))


def shares_of(targets, classes):
    """The probabilities that a classifier should give, float32 (N, classes): 1 for the target, an integer from 0 on.
    For the target -1, an unknown object, each class gets the same (outlier exposure, Hendrycks et al. 2019)."""
    targets = tf.convert_to_tensor(targets)
    return tf.where(targets[:, None] < 0, 1 / classes, tf.one_hot(targets, classes))


def training_batches(pictures, targets, classes, batch_size=32, size=TRAINING_SIZE, settings=Augmentation(), seed=SEED):
    """An endless tf.data.Dataset of (scaled pictures (B, size, size, 3), `shares_of` their targets (B, classes)).

    pictures: uint8 (N, H, W, 3); targets: integers (N,), -1 for unknown objects. Each pass is shuffled anew and shows
    unknown objects UNKNOWN_REPEATS times; the b-th batch is augmented with the seed (seed, b).
    """
    places = np.repeat(np.arange(len(targets)), np.where(np.asarray(targets) < 0, UNKNOWN_REPEATS, 1))
    pictures, targets = tf.constant(pictures), shares_of(targets, classes)

    def make(number, chosen):
        batch = augment(tf.gather(pictures, chosen), tf.stack([tf.cast(seed, tf.int64), number]), size, settings)
        return scale_pixels(batch), tf.gather(targets, chosen)

    order = tf.data.Dataset.from_tensor_slices(places).shuffle(len(places), seed=seed).repeat().batch(batch_size)
    return order.enumerate().map(make, num_parallel_calls=1).prefetch(2)


def evaluation_batches(pictures):
    """A tf.data.Dataset of scaled batches of uint8 pictures (N, H, W, 3), in order."""
    batches = tf.data.Dataset.from_tensor_slices(pictures).batch(EVALUATION_BATCH)
    return batches.map(lambda x: scale_pixels(tf.cast(x, tf.float32)))


def predict(model, pictures):
    """A Keras model's outputs for uint8 pictures (N, H, W, 3), scaled here: float32 (N, ...)."""
    return model.predict(evaluation_batches(pictures), verbose=0)


def build_classifier(classes, dropout=0.2):
    """EfficientNet-Lite0 with a new head: scaled RGB pictures (N, H, W, 3) of any size -> probabilities (N, classes).

    Batch norm keeps its ImageNet statistics, which a few hundred pictures would only blur, and is therefore folded.
    """
    backbone = keras_backbone(input_shape=(None, None, 3), fold_batch_norm=True)
    x = keras.layers.Dropout(dropout, seed=SEED, name="dropout")(backbone.output)
    x = keras.layers.Dense(classes, kernel_initializer="zeros", name="logits")(x)
    return keras.Model(backbone.input, keras.layers.Softmax(name="probabilities")(x), name="classifier")


def freeze_before(model, first):
    """Leaves trainable the layers from the one called `first` on, but no depthwise convolutions: TensorFlow takes as
    long for the gradient of these few weights as for all the others."""
    names = [layer.name for layer in model.layers]
    for index, layer in enumerate(model.layers):
        layer.trainable = index >= names.index(first) and not isinstance(layer, keras.layers.DepthwiseConv2D)


def has_bfloat16(capabilities=None, environment=os.environ):
    """Whether TensorFlow multiplies bfloat16 numbers with instructions made for them: without, they are slower than
    float32, or oneDNN refuses.

    capabilities: {name: whether it has it}; by default those of this CPU, from PyTorch, because TensorFlow does not
    publish them. environment: in it, oneDNN may be switched off or held to older instructions.
    """
    capabilities = torch.cpu.get_capabilities() if capabilities is None else capabilities
    limit = environment.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    is_held = environment.get("TF_ENABLE_ONEDNN_OPTS") == "0" or limit not in ("ALL", "DEFAULT") and (
        "BF16" not in limit and "AMX" not in limit and "FP16" not in limit)
    return not is_held and any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


@contextlib.contextmanager
def _convolutions_in_bfloat16(enabled):
    """What TensorFlow compiles inside converts the inputs of convolutions to bfloat16; weights stay float32."""
    option = "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({option: enabled})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: False})


def _evenly(targets):
    """A slice that selects at most VALIDATED of them, evenly spaced."""
    return slice(None, None, math.ceil(len(targets) / VALIDATED))


def _loss():
    return keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING)


def train_head(model, pictures, targets, valid_pictures, valid_targets):
    """Trains the head of a classifier on features of the frozen backbone, computed once for augmented copies of the
    pictures, at least HEAD_EXAMPLES in all; the weights are averaged. Returns Keras' History.

    pictures: uint8 (N, H, W, 3); targets: integers (N,), -1 for unknown objects; valid_pictures: uint8 (M, S, S, 3),
    any S, of which at most VALIDATED, evenly spaced, are used; valid_targets: integers (M,).
    """
    keras.utils.set_random_seed(SEED)  # the order of a shuffled dataset also depends on this one
    classes = model.output_shape[-1]
    extractor = keras.Model(model.input, model.get_layer("pool").output)
    batches = training_batches(pictures, targets, classes, EVALUATION_BATCH)
    batches = batches.take(math.ceil(max(len(pictures), HEAD_EXAMPLES) / EVALUATION_BATCH))
    features, one_hot = map(np.concatenate, zip(*[(extractor.predict_on_batch(x), y) for x, y in batches]))
    some = _evenly(valid_targets)
    valid = predict(extractor, valid_pictures[some]), keras.ops.one_hot(valid_targets[some], classes)
    head = keras.Sequential([model.get_layer(name) for name in ("dropout", "logits", "probabilities")])
    optimizer = keras.optimizers.AdamW(HEAD_LEARNING_RATE, use_ema=True, ema_momentum=0.99)
    head.compile(optimizer, _loss(), metrics=["accuracy"])
    return head.fit(features, one_hot, batch_size=64, epochs=HEAD_EPOCHS, validation_data=valid, verbose=0,
                    callbacks=[keras.callbacks.SwapEMAWeights()])


def fine_tune(model, pictures, targets, valid_pictures, valid_targets, recipe=FineTuning(), verbose=2):
    """Trains the last layers with AdamW, a cosine schedule with warm-up and averaged weights. Returns Keras' History
    with CHECKPOINTS entries; its validation is of the averaged weights.

    pictures, targets, valid_pictures, valid_targets: as for train_head. verbose: as for Keras' fit. There are
    recipe.steps batches if each picture is then seen 2 to 40 times; otherwise more or fewer. Convolutions compute in
    bfloat16 where the CPU does, so a step takes about a sixth less time.
    """
    before = model.get_weights()
    freeze_before(model, recipe.first)
    steps_per_epoch = len(pictures) / recipe.batch_size
    steps = min(max(recipe.steps, 2 * steps_per_epoch), 40 * steps_per_epoch)
    steps_per_checkpoint = max(1, round(steps / CHECKPOINTS))
    steps = steps_per_checkpoint * CHECKPOINTS
    warm_up = 1 + steps // 10
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warm_up, warmup_target=recipe.learning_rate,
                                                  warmup_steps=warm_up)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, use_ema=True, ema_momentum=0.98)
    keras.utils.set_random_seed(SEED)
    model.compile(optimizer, _loss(), metrics=["accuracy"])
    classes, some = model.output_shape[-1], _evenly(valid_targets)
    one_hot = tf.data.Dataset.from_tensor_slices(tf.one_hot(valid_targets[some], classes)).batch(EVALUATION_BATCH)
    valid = tf.data.Dataset.zip(evaluation_batches(valid_pictures[some]), one_hot)
    batches = training_batches(pictures, targets, classes, recipe.batch_size, recipe.size)
    with _convolutions_in_bfloat16(has_bfloat16()):
        history = model.fit(batches, shuffle=False, steps_per_epoch=steps_per_checkpoint, epochs=CHECKPOINTS,
                            verbose=verbose, validation_data=valid, callbacks=[keras.callbacks.SwapEMAWeights()])
    model.set_weights([old + (1 - recipe.keep) * (new - old) for old, new in zip(before, model.get_weights())])
    return history
