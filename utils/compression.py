"""Fewer megabytes for a converted model, without training it again."""
from utils.files import written_whole

SMALL_LAYER = 10_000  # weights; the layers below hold a hundredth of the megabytes and see the picture first
LEAST_WEIGHTS = 2048  # smaller tensors stay as they are: coremltools' default


def palettize(model, bits):
    """A copy of an ML Program whose weights are indices of `bits` bits into a table of 2**bits values per layer.

    model: a coremltools MLModel. The tables are found by k-means; of 8 bits they are spaced evenly instead, which takes
    a second and loses as little.
    """
    import coremltools.optimize.coreml as cto

    config = cto.OpPalettizerConfig(mode="uniform" if bits == 8 else "kmeans", nbits=bits)
    return cto.palettize_weights(model, cto.OptimizationConfig(global_config=config))


def mixed_precision(model, bits=6, bits_of_widening=4, widening=4):
    """A copy of an ML Program with bits where they matter.

    model: a coremltools MLModel. The `widening` largest 1x1 convolutions that widen, from few channels to many, get
    tables of 2**bits_of_widening values, since the mean over many channels forgives; other large 1x1 convolutions get
    tables of 2**bits. All else, the small layers at the beginning among it, is quantized linearly to 8 bits: one table
    has to serve a whole layer, and in a depthwise convolution, into which batch norm was folded, channels differ a
    hundredfold.
    """
    import coremltools.optimize.coreml as cto

    def optimize(function, model, configs):
        return function(model, cto.OptimizationConfig(op_name_configs=configs))

    found = cto.get_weights_metadata(model, weight_threshold=LEAST_WEIGHTS)
    weights = {name: each.val for name, each in found.items()}
    pointwise = [name for name, w in weights.items() if w.shape[2:] == (1, 1) and w.size >= SMALL_LAYER]
    by_size = sorted(pointwise, key=lambda name: -weights[name].size)
    few = [name for name in by_size if weights[name].shape[0] > weights[name].shape[1]][:widening]
    tables = {name: cto.OpPalettizerConfig(nbits=bits_of_widening if name in few else bits) for name in pointwise}
    others = {name: cto.OpLinearQuantizerConfig(mode="linear_symmetric") for name in weights if name not in pointwise}
    return optimize(cto.palettize_weights, optimize(cto.linear_quantize_weights, model, others), tables)


def save(model, path, **metadata):
    """Saves an MLModel whole or not at all; metadata: user-defined keys, numbers or strings, beside those it has."""
    model.user_defined_metadata.update({key: str(value) for key, value in metadata.items()})
    with written_whole(path) as unfinished:
        model.save(str(unfinished))
