"""A Core ML model on disk, and its answers: what `coremltools.MLModel` is on a Mac."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import threads
from .errors import InputError, ModelFileError, ModelRunError, first_line, quoted, told_as
from .interpreter import BATCH_SIZE, Interpreter, default_shape
from .ml_program import MLProgram
from .pipeline import Pipeline
from .reading import choose_function, read_program, read_spec
from .state import State

ComputePrecision = Literal["float32", "float16"]
Prediction = dict[str, Any]

PIL_MODES = {"RGB": "RGB", "BGR": "RGB", "GRAYSCALE": "L", "GRAYSCALE_FLOAT16": "F"}
"""The mode that a PIL image must have for each colour layout of Core ML."""

ARRAY_DTYPES = {"FLOAT32": np.float32, "DOUBLE": np.float64, "INT32": np.int32, "FLOAT16": np.float16, "INT8": np.int8}
"""NumPy's types for those of Core ML's MultiArray."""


VALUES = {"doubleType": "", "int64Type": "", "stringType": "", "dictionaryType": "KeyType", "sequenceType": "Type"}
"""Types of input that are no images and no arrays, with the field that has the type of what is in them."""


@dataclass(frozen=True)
class Metadata:
    """What the model's author says about it; an empty string where nothing is said."""

    author: str
    license: str
    version: str
    short_description: str
    user_defined: dict[str, str]


@dataclass(frozen=True)
class ImageInput:
    """An input that takes a picture.

    Attributes:
        name: the key in the dictionary given to `predict`.
        width, height: the declared size in pixels; a flexible input may allow other `sizes`.
        color_layout: RGB, BGR, GRAYSCALE or GRAYSCALE_FLOAT16, as Core ML names them.
        sizes: every allowed (width, height), or the smallest and the largest as ((w, w), (h, h)) ranges.
    """

    name: str
    width: int
    height: int
    color_layout: str
    short_description: str = ""
    sizes: tuple[tuple[int, int], ...] = ()
    size_range: tuple[tuple[int, int], tuple[int, int]] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, as PIL gives a size."""
        return self.width, self.height

    @property
    def mode(self) -> str:
        """The mode that a PIL image must have: RGB for BGR too, the channels are swapped here."""
        return PIL_MODES[self.color_layout]

    def accepts(self, size: tuple[int, int]) -> bool:
        """Whether a picture of `size` (width, height) may be given."""
        if self.size_range:
            return all(low <= n and (high < 0 or n <= high) for n, (low, high) in zip(size, self.size_range))
        return size == self.size or size in self.sizes

    def _sizes(self) -> str:
        """Every allowed size, for an error message."""
        if self.size_range:
            return " x ".join(map(_range_text, self.size_range))
        return " or ".join(f"{width} x {height}" for width, height in dict.fromkeys((self.size, *self.sizes)))

    def to_tensor(self, value: Any) -> Tensor:
        """A picture as [1, channels, height, width], float32 from 0 to 255.

        Raises:
            InputError: it is no PIL image, or of another size or mode.
        """
        if not isinstance(value, Image.Image):
            raise InputError(f"input '{self.name}' takes a PIL.Image.Image, not {_type_name(value)}; "
                             f"open the file with PIL.Image.open")
        if not self.accepts(value.size):
            raise InputError(f"input '{self.name}' takes an image of {self._sizes()} pixels, not "
                             f"{value.width} x {value.height}; resize it, for example with PIL.ImageOps.fit")
        if value.mode != self.mode:
            raise InputError(f"input '{self.name}' takes a {self.color_layout} image, for which PIL's mode is "
                             f"{self.mode}, not {value.mode}; convert it with image.convert(\"{self.mode}\")")
        pixels = torch.from_numpy(np.array(value, np.float32)).reshape(1, value.height, value.width, -1)
        pixels = pixels.flip(-1) if self.color_layout == "BGR" else pixels
        return pixels.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class ArrayInput:
    """An input that takes a MultiArray.

    Attributes:
        shape: the declared shape; a flexible input may allow other `shapes`, or a `shape_range` of one (low,
            high) per axis, where a high of -1 is no limit.
        dtype: NumPy's name of the type; what is given is converted.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    short_description: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    shape_range: tuple[tuple[int, int], ...] = ()

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` may be given."""
        if self.shape_range:
            return len(shape) == len(self.shape_range) and all(
                low <= n and (high < 0 or n <= high) for n, (low, high) in zip(shape, self.shape_range))
        return shape == self.shape or shape in self.shapes

    def to_tensor(self, value: Any) -> Tensor:
        """An array as a float32 or int32 tensor, or float64 where the model declares double. Networks compute in
        float32 all the same; trees and linear models use every digit.

        Raises:
            InputError: it is no array of numbers, or of another shape.
        """
        try:
            array = np.asarray(value)
            double = np.float64 if self.dtype == "float64" else np.float32
            array = array.astype(np.int32 if "int" in self.dtype else double)
        except (TypeError, ValueError):
            raise InputError(f"input '{self.name}' takes a numpy array of {self.dtype}, "
                             f"not {_type_name(value)}") from None
        if not self.accepts(array.shape):
            raise InputError(f"input '{self.name}' takes an array of shape {self._shapes()}, not {array.shape}; "
                             f"reshape it or cut it to size")
        return torch.from_numpy(array)

    def _shapes(self) -> str:
        """Every allowed shape, for an error message."""
        if self.shape_range:
            return f"({', '.join(map(_range_text, self.shape_range))})"
        return " or ".join(map(str, dict.fromkeys((self.shape, *self.shapes))))


@dataclass(frozen=True)
class ValueInput:
    """An input that takes a number, a string, a dictionary or a list.

    Attributes:
        kind: "double", "int64", "string", "dictionary" or "sequence", as Core ML names it.
        key: of a dictionary the type of its keys, of a list that of its elements, "string" or "int64"; else "".
    """

    name: str
    kind: str
    key: str = ""
    short_description: str = ""

    def to_tensor(self, value: Any) -> Any:
        """A number as a tensor [1], float64 or int64; a string, a dictionary or a list as it is, its elements checked.

        Raises:
            InputError: it is of another type.
        """
        try:
            return self._converted(value)
        except (TypeError, ValueError, OverflowError):
            keys = f" with {self.key} keys and numbers" if self.kind == "dictionary" else (
                f" of {self.key}" if self.kind == "sequence" else "")
            raise InputError(f"input '{self.name}' takes a {self.kind}{keys}, not {_type_name(value)} "
                             f"{str(value)[:80]}") from None

    def _converted(self, value: Any) -> Any:
        if self.kind == "double":
            return torch.tensor([_number(value)], dtype=torch.float64)
        if self.kind == "int64":
            return torch.tensor([_integer(value)], dtype=torch.int64)
        if self.kind == "string":
            return _string(value)
        check = _string if self.key == "string" else _integer
        if self.kind == "dictionary":
            return {check(key): _number(number) for key, number in dict(value).items()}
        return [check(each) for each in value]


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError
    return float(np.asarray(value).item())


def _integer(value: Any) -> int:
    number = np.asarray(value).item()
    if isinstance(number, str) or number != int(number):
        raise TypeError
    return int(number)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _range_text(limits: tuple[int, int]) -> str:
    """A (low, high) range for a message: `4`, `4 to 9`, `4 or more`."""
    low, high = limits
    return f"{low} or more" if high < 0 else str(low) if low == high else f"{low} to {high}"


class Model:
    """A Core ML model that answers as `coremltools.MLModel` does on a Mac. Made by `load`.

    Attributes:
        path: the file.
        compute_precision: "float32" or "float16".
        input_description: an `ImageInput`, `ArrayInput` or `ValueInput` for each input, by name.
        optional_inputs: the names of those that need not be given.
        output_names: the keys of a prediction.
        class_labels: a classifier's labels in the order of training; empty for other models.
        metadata: author, license, version, description.
        program: what computes the answers: walk through its `nodes`, or look inside a run with
            `program.run(inputs, until, observe)`, whose inputs are those of `ImageInput.to_tensor`.
    """

    def __init__(self, path: Path, description: Any, program: Interpreter | Pipeline,
                 compute_precision: ComputePrecision):
        self.path = path
        self.compute_precision = compute_precision
        self.input_description = {feature.name: describe_feature(feature) for feature in description.input}
        self.optional_inputs = [feature.name for feature in description.input if feature.type.isOptional]
        self.output_names = [feature.name for feature in description.output]
        self.metadata = read_metadata(description)
        self.class_labels = program.class_labels
        self._state_dtypes = {feature.name: np.dtype(_dtype(feature.type.stateType.arrayType)).name
                              for feature in description.state}
        self._outputs = {feature.name: feature.type for feature in description.output}
        self.program = program

    def __repr__(self) -> str:
        inputs, outputs = ", ".join(self.input_description), ", ".join(self.output_names)
        return f"<Core ML model {self.path.name}: {inputs} -> {outputs}>"

    @property
    def overflows(self) -> dict[str, str]:
        """Operations with a result beyond float16's largest number, 65504, in any prediction so far: the operator by
        the operation's name. Empty for a model that is computed in float32."""
        return dict(self.program.overflows)

    @property
    def image_inputs(self) -> list[ImageInput]:
        """The inputs that take a picture, with name, size and colour layout."""
        return [i for i in self.input_description.values() if isinstance(i, ImageInput)]

    def make_state(self) -> State:
        """A new state for `predict`, zeros; it is empty if the model keeps none."""
        cells = self.program.make_state() if isinstance(self.program, MLProgram) else {}
        return State(self.path.name, cells, self._state_dtypes)

    @overload
    def predict(self, data: Mapping[str, Any], state: State | None = None) -> Prediction: ...

    @overload
    def predict(self, data: Sequence[Mapping[str, Any]], state: State | None = None) -> list[Prediction]: ...

    def predict(self, data: Mapping[str, Any] | Sequence[Mapping[str, Any]], state: State | None = None
                ) -> Prediction | list[Prediction]:
        """Answer one dictionary of inputs, or a list of them with a list.

        Args:
            data: for each input by name, a PIL image of the declared size and mode (nothing is resized here, as on a
                Mac), an array of the declared shape, or a number, string or dictionary. Optional inputs may be left
                out: a network takes its declared default or zeros, other kinds of model a missing value.
            state: what a model with state goes on from, and changes; made by `make_state`.

        Returns:
            The outputs by name. A classifier gives its label, and a dictionary from label to probability; other
            outputs are NumPy arrays of the declared type, or PIL images.

        Raises:
            InputError: a name is missing or not known, or a value has the wrong type, size, mode or shape.
            ModelRunError: an operation of the model failed.
        """
        inputs = [self._tensors(each) for each in ([data] if isinstance(data, Mapping) else data)]
        cells = self._cells(state, isinstance(data, Mapping))
        with told_as(ModelRunError, f"{self.path.name}: the model cannot be run"), threads.adapted():
            answers = self._run_all([each | cells for each in inputs])
        return answers[0] if isinstance(data, Mapping) else answers

    def _cells(self, state: State | None, is_single: bool) -> dict[str, Any]:
        """What the program reads and updates of a state. Raises InputError where one is missing or not the model's."""
        if state is None and not self._state_dtypes:
            return {}
        if state is None:
            raise InputError(f"{self.path.name}: this model keeps a state; make one with model.make_state(), and give "
                             f"it with each input: model.predict(data, state)")
        if not is_single:
            raise InputError(f"{self.path.name}: a state goes with one input at a time; call predict once for each")
        if not isinstance(state, State) or state.cells.keys() != self._state_dtypes.keys():
            raise InputError(f"{self.path.name}: the state is not one of this model's; make one with "
                             f"model.make_state()")
        return dict(state.cells)

    def _run_all(self, inputs: list[dict[str, Any]]) -> list[Prediction]:
        """The answers to inputs, stacked where the program allows it."""
        size = BATCH_SIZE if len(inputs) >= BATCH_SIZE and self.program.is_batchable else 1
        whole = len(inputs) - len(inputs) % size  # the rest one by one: weights are packed for these two sizes only
        stacks = [inputs[i:i + size] for i in range(0, whole, size)] + [[each] for each in inputs[whole:]]
        return [answer for stack in stacks for answer in self._run(stack)]

    def _tensors(self, data: Mapping[str, Any]) -> dict[str, Tensor]:
        if not isinstance(data, Mapping):
            raise InputError(f"{self.path.name}: predict takes a dictionary of inputs or a list of these, "
                             f"not {_type_name(data)}")
        expected = self.input_description
        if data.keys() | set(self.optional_inputs) != expected.keys():
            optional = f" ({quoted(self.optional_inputs)} optional)" * bool(self.optional_inputs)
            raise InputError(f"{self.path.name}: the inputs are {quoted(expected)}{optional}, not {quoted(data)}")
        try:
            return {**self.program.defaults, **{name: expected[name].to_tensor(value) for name, value in data.items()}}
        except InputError as error:
            raise InputError(f"{self.path.name}: {error}") from None

    def _run(self, inputs: list[dict[str, Any]]) -> list[Prediction]:
        """The answers to inputs, which are stacked along the first axis if there are several."""
        threads.adapt()
        if len(inputs) == 1:
            outputs = self.program.run(inputs[0])
            return [{name: self._answer(name, outputs[name], None) for name in self.output_names}]
        outputs = self.program.run({name: torch.cat([each[name] for each in inputs]) for name in inputs[0]})
        return [{name: self._answer(name, outputs[name], i) for name in self.output_names} for i in range(len(inputs))]

    def _answer(self, name: str, value: Any, index: int | None) -> Any:
        """Output `name` of the input at `index` of a batch, or of the only one, in the type that Core ML gives."""
        if isinstance(value, list):
            value = value[index or 0]
        elif index is not None:
            value = value[index:index + 1]
        if not isinstance(value, Tensor):  # a label, or probabilities
            return value
        try:
            return _as_declared(value, self._outputs[name])
        except Exception as error:
            raise ModelRunError(f"{self.path.name}: the output '{name}', of the shape {tuple(value.shape)}, is not "
                                f"what the model declares ({first_line(error)}); export it again") from error


def load(path: str | os.PathLike, compute_precision: ComputePrecision = "float32", function_name: str | None = None
         ) -> Model:
    """Read a Core ML model.

    Args:
        path: an .mlpackage or .mlmodel that holds an ML Program, a neural network, a tree ensemble or another of the
            kinds in `other_models.KINDS`, or a pipeline of these.
        compute_precision: "float32" computes everything in float32, also a model that was converted to float16
            (its weights keep their float16 values). "float16" rounds every weight and the result of every operation
            to float16, as a phone's Neural Engine does, also in a model that was converted to float32; sums inside
            an operation are kept in float32.
        function_name: which function of a model that has several; the model names the one that is the default.

    Raises:
        ModelFileError: there is no such file, it is no Core ML model or damaged, or of a kind that is not read.
        UnknownOperator: the model uses an operator that the runtime does not know.
    """
    if compute_precision not in ("float32", "float16"):
        raise ValueError(f"compute_precision is \"float32\" or \"float16\", not {compute_precision!r}")
    path = Path(path)
    spec, weights_dir = read_spec(path)
    choose_function(path, spec.description, function_name)
    program = read_program(path, spec, weights_dir, compute_precision == "float16")
    with told_as(ModelFileError, f"{path}: the model's description cannot be read"):
        return Model(path, spec.description, program, compute_precision)


def read_metadata(description: Any) -> Metadata:
    """What a model's description (`ModelDescription` in coremltools' Model.proto) says about it."""
    said = description.metadata
    return Metadata(said.author, said.license, said.versionString, said.shortDescription, dict(said.userDefined))


def describe_feature(feature: Any) -> ImageInput | ArrayInput | ValueInput:
    """An input of a model's description (`FeatureDescription`)."""
    kind, name, words = feature.type.WhichOneof("Type"), feature.name, feature.shortDescription
    if kind == "imageType":
        image = feature.type.imageType
        limits = image.imageSizeRange
        return ImageInput(
            name, image.width, image.height, image.ColorSpace.Name(image.colorSpace), words,
            sizes=tuple((size.width, size.height) for size in image.enumeratedSizes.sizes),
            size_range=((limits.widthRange.lowerBound, limits.widthRange.upperBound),
                        (limits.heightRange.lowerBound, limits.heightRange.upperBound))
            if image.HasField("imageSizeRange") else None)
    if kind in VALUES:
        value = getattr(feature.type, kind)
        key = value.WhichOneof(VALUES[kind]) if VALUES[kind] else ""
        return ValueInput(name, kind.removesuffix("Type"), (key or "").removesuffix("Type").removesuffix("Key"), words)
    array = feature.type.multiArrayType
    return ArrayInput(
        name, default_shape(array), np.dtype(_dtype(array)).name, words,
        shapes=tuple(tuple(shape.shape) for shape in array.enumeratedShapes.shapes),
        shape_range=tuple((limit.lowerBound, limit.upperBound) for limit in array.shapeRange.sizeRanges))


def _dtype(array: Any) -> Any:
    """NumPy's type for an ArrayFeatureType; double for a number, which has none."""
    return ARRAY_DTYPES.get(array.ArrayDataType.Name(array.dataType), np.float64)


def _as_declared(value: Tensor, declared: Any) -> Any:
    """A tensor as the type (`FeatureType`) of its output: a PIL image, a number, or an array."""
    kind = declared.WhichOneof("Type")
    if kind == "imageType":
        return _to_image(value, declared.imageType.colorSpace)
    if kind in ("doubleType", "int64Type"):
        return value.item() if kind == "doubleType" else int(value.item())
    return value.contiguous().numpy().astype(_dtype(declared.multiArrayType))


def _to_image(value: Tensor, color_space: int) -> Image.Image:
    """[..., channels, height, width] as a PIL image; values are rounded and held between 0 and 255."""
    pixels = value.reshape(-1, *value.shape[-3:])[0].permute(1, 2, 0).numpy()
    if color_space == 40:  # GRAYSCALE_FLOAT16
        return Image.fromarray(pixels[..., 0], "F")
    pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    pixels = pixels[..., ::-1] if color_space == 30 else pixels  # BGR
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
