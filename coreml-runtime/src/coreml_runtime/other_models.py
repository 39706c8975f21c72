"""Runs the Core ML models that are no networks: trees, linear models, support vectors, neighbours and preparations.

One function per kind, named as Core ML names the kind in `Model.proto`. It reads the model's message once, and returns
what computes the outputs from the inputs. Everything is computed in float64, also with `compute_precision="float16"`:
Core ML runs these kinds on the CPU. Formulas are those of the specification,
https://apple.github.io/coremltools/mlmodel/Format/Model.html.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import CoreMLRuntimeError, ModelFileError, ModelRunError, first_line, quoted
from .interpreter import Interpreter, Node
from .mil_ops import Operator

Compute = Callable[..., Any]
"""From the values of the inputs, in the order of the description, to one output or a tuple of all: floats, integers,
strings, dictionaries and float64 arrays. An optional input that is not given is None."""

KINDS: dict[str, Callable[[Any, Any], Compute]] = {}
"""Each kind of model: from its message and the model's description to what computes it."""


def kind(make: Callable[[Any, Any], Compute]) -> Callable[[Any, Any], Compute]:
    """Enter a function into `KINDS` under its own name."""
    KINDS[make.__name__] = make
    return make


class OtherModel(Interpreter):
    """A model of one of `KINDS`: a graph with one operation.

    Args:
        spec: the model (`Model` in coremltools' Model.proto).
        file: the model's name, for error messages.

    Raises:
        ModelFileError: the model contradicts itself, or uses a feature that is not supported.
    """

    round_to_float16 = False

    def __init__(self, spec: Any, file: str):
        name = spec.WhichOneof("Type")
        self.file, self.constants, self.input_shapes = file, {}, {}
        self._inputs = {feature.name: feature.type for feature in spec.description.input}
        self._types = {feature.name: feature.type for feature in spec.description.output}
        self.outputs = list(self._types)
        self._classes = class_labels(getattr(spec, name))
        if name.endswith("Classifier") and not (self._classes or name == "kNearestNeighborsClassifier"):
            raise ModelFileError(f"{file}: the {name} has no class labels; export it again")
        try:
            compute = KINDS[name](getattr(spec, name), spec.description)
        except CoreMLRuntimeError as error:
            raise type(error)(f"{file}: {error}") from None
        except Exception as error:  # a damaged message can refer to anything
            raise ModelFileError(f"{file}: the {name} cannot be read ({first_line(error)}); export or copy it "
                                 f"again") from error
        names = frozenset(self._inputs)

        def run_quietly(**values: Any) -> Any:  # infinity and NaN are results here as in Core ML, and need no warning
            with np.errstate(all="ignore"):
                return compute(*(values[n] for n in self._inputs))

        operator = Operator(run_quietly, names, names)
        self.nodes = [Node(operator, name, name, tuple(self.outputs), tensors={n: n for n in self._inputs})]

    @property
    def class_labels(self) -> list[str] | list[int]:
        """A classifier's labels; empty for other kinds."""
        return self._classes

    @property
    def is_batchable(self) -> bool:
        """These models take one input at a time."""
        return False

    def _start(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _feature(inputs.get(name), declared) for name, declared in self._inputs.items()}

    def _outputs(self, values: dict[str, Any]) -> dict[str, list]:
        try:
            return {name: [_declared(values[name], declared)] for name, declared in self._types.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelRunError(f"{self.file}: a result is not what the model declares ({first_line(error)}); "
                                f"export it again") from error


def _feature(value: Any, declared: Any) -> Any:
    """An input as the functions below take it: a tensor becomes a float64 array, of a declared number a number."""
    if not isinstance(value, Tensor):
        return value
    number = {"doubleType": float, "int64Type": int}.get(declared.WhichOneof("Type"))
    return number(value.item()) if number else value.double().numpy()


def _declared(value: Any, declared: Any) -> Any:
    """A result in the type (`FeatureType`) of its output; an array is a float64 tensor of the declared shape."""
    type_name = declared.WhichOneof("Type")
    if type_name in ("doubleType", "int64Type"):
        number = np.asarray(value).item()
        if type_name == "int64Type" and number != int(number):  # "If that cast is lossy, then an error is generated"
            raise ValueError(f"{number} is no integer")
        return int(number) if type_name == "int64Type" else float(number)
    if type_name != "multiArrayType" or isinstance(value, str | Mapping):
        return value
    array, shape = np.asarray(value, np.float64), tuple(declared.multiArrayType.shape)
    return torch.from_numpy(np.atleast_1d(array.reshape(shape) if math.prod(shape) == array.size and shape else array))


def class_labels(message: Any) -> list[Any]:
    """The labels, strings or integers, in a model's message; empty where it has none. Nearest neighbours repeat one for
    each sample: each label comes once."""
    if "ClassLabels" not in message.DESCRIPTOR.oneofs_by_name or not message.WhichOneof("ClassLabels"):
        return []
    return list(dict.fromkeys(getattr(message, message.WhichOneof("ClassLabels")).vector))


def _row(features: Sequence[Any]) -> np.ndarray:
    """All inputs as one vector: arrays flattened, numbers between them, NaN for a number that is not given."""
    return np.concatenate([np.ravel(np.nan if value is None else value) for value in features]).astype(np.float64)


def _answers(description: Any, labels: Sequence[Any], probabilities: np.ndarray, label: Any = None) -> tuple[Any, ...]:
    """A classifier's outputs in the order of the description: the `label`, by default the most probable one, and the
    `probabilities` by label. Raises ValueError where there are not as many probabilities as labels."""
    if len(probabilities) != len(labels):
        raise ValueError(f"{len(probabilities)} probabilities for {len(labels)} class labels")
    by_label = dict(zip(labels, probabilities.tolist()))
    label = labels[int(np.argmax(probabilities))] if label is None else label
    return tuple(label if feature.name == description.predictedFeatureName else by_label
                 for feature in description.output)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def _logistic(x: Any) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -np.asarray(x, np.float64)))  # of large numbers, too


def _normal(x: Any) -> np.ndarray:
    """The probability that a standard normal number is below x, element by element: the inverse of probit."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in np.ravel(x)])


# ---- trees -----------------------------------------------------------------------------------------------------------

BRANCHES: dict[str, Callable[[float, float], bool]] = {
    "BranchOnValueLessThanEqual": lambda x, value: x <= value,
    "BranchOnValueLessThan": lambda x, value: x < value,
    "BranchOnValueGreaterThanEqual": lambda x, value: x >= value,
    "BranchOnValueGreaterThan": lambda x, value: x > value,
    "BranchOnValueEqual": lambda x, value: x == value,
    "BranchOnValueNotEqual": lambda x, value: x != value,
}


def _trees(parameters: Any) -> Iterator[tuple[Any, dict[int, Any]]]:
    """Each tree as its root and its nodes by number. Raises ValueError where it is no tree."""
    trees: dict[int, dict[int, Any]] = {}
    for node in parameters.nodes:
        trees.setdefault(node.treeId, {})[node.nodeId] = node
    for number, nodes in trees.items():
        children = [child for node in nodes.values() if not _is_leaf(node)
                    for child in (node.trueChildNodeId, node.falseChildNodeId)]
        roots = nodes.keys() - set(children)
        if len(roots) != 1 or len(children) != len(set(children)) or not nodes.keys() >= set(children):
            raise ValueError(f"tree {number} has {len(roots)} roots, or a branch without an end")
        yield nodes[roots.pop()], nodes


def _is_leaf(node: Any) -> bool:
    return node.nodeBehavior == node.LeafNode


def _leaf(node: Any, nodes: Mapping[int, Any], row: np.ndarray) -> Any:
    """The leaf that `row` reaches; a missing value (NaN) follows the branch that the node names."""
    while not _is_leaf(node):
        value = row[node.branchFeatureIndex]
        goes_on = (node.missingValueTracksTrueChild if np.isnan(value) else
                   BRANCHES[node.TreeNodeBehavior.Name(node.nodeBehavior)](value, node.branchFeatureValue))
        node = nodes[node.trueChildNodeId if goes_on else node.falseChildNodeId]
    return node


def _tree_scores(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From a vector of features to the sum over all trees, after the transformation."""
    parameters, trees = model.treeEnsemble, list(_trees(model.treeEnsemble))
    base = np.array(parameters.basePredictionValue or [0.0] * max(parameters.numPredictionDimensions, 1))
    places = {info.evaluationIndex for node in parameters.nodes for info in node.evaluationInfo}
    if max(places, default=0) >= len(base):
        raise ValueError(f"a leaf adds to value {max(places)} of {len(base)}")
    transform = {0: lambda scores: scores, 1: _softmax, 2: _logistic,
                 3: lambda scores: _softmax(np.concatenate([[0.0], scores]))}[model.postEvaluationTransform]

    def compute(row: np.ndarray) -> np.ndarray:
        scores = base.copy()
        for root, nodes in trees:
            for info in _leaf(root, nodes, row).evaluationInfo:
                scores[info.evaluationIndex] += info.evaluationValue
        return transform(scores)
    return compute


@kind
def treeEnsembleRegressor(model: Any, description: Any) -> Compute:
    """The base prediction plus the value of one leaf per tree."""
    scores = _tree_scores(model)
    return lambda *features: (scores(_row(features)),) * len(description.output)


@kind
def treeEnsembleClassifier(model: Any, description: Any) -> Compute:
    """As the regressor; a single value is the probability of the second of two labels."""
    scores, labels = _tree_scores(model), class_labels(model)

    def compute(*features: Any) -> tuple[Any, ...]:
        found = scores(_row(features))
        return _answers(description, labels, _of_two(found, labels))
    return compute


def _of_two(probabilities: np.ndarray, labels: Sequence[Any]) -> np.ndarray:
    """The probabilities of both labels, where only that of the second is given."""
    if len(probabilities) == 1 and len(labels) == 2:
        return np.array([1 - probabilities[0], probabilities[0]])
    return probabilities


# ---- generalized linear models ---------------------------------------------------------------------------------------

def _lines(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From a vector of features to `weights` times it plus `offset`, one value per row of weights."""
    weights = np.array([list(row.value) for row in model.weights], np.float64)
    offset = np.array(model.offset or [0.0] * len(weights))
    if len(offset) != len(weights):
        raise ValueError(f"{len(offset)} offsets for {len(weights)} rows of weights")
    return lambda row: weights @ row + offset


@kind
def glmRegressor(model: Any, description: Any) -> Compute:
    lines = _lines(model)
    transform = {0: lambda scores: scores, 1: _logistic, 2: _normal}[model.postEvaluationTransform]
    return lambda *features: (transform(lines(_row(features))),) * len(description.output)


@kind
def glmClassifier(model: Any, description: Any) -> Compute:
    """One line decides between two labels, for the second. Of more, the first label is the reference, whose score is 0
    (`ReferenceClass`), or every label has a line of its own and the probabilities are divided by their sum."""
    lines, labels = _lines(model), class_labels(model)
    transform = [_logistic, _normal][model.postEvaluationTransform]
    is_reference = model.classEncoding == model.ReferenceClass
    if is_reference and len(model.weights) > 1 and transform is _normal:
        raise ModelFileError("the runtime does not compute a probit of more than two classes with a reference class; "
                             "train it with logit")

    def compute(*features: Any) -> tuple[Any, ...]:
        scores = lines(_row(features))
        if len(scores) == 1:
            probabilities = _of_two(transform(scores), labels)
        elif is_reference:
            probabilities = _softmax(np.concatenate([[0.0], scores]))
        else:
            probabilities = transform(scores) / transform(scores).sum()
        return _answers(description, labels, probabilities)
    return compute


# ---- support vector machines -----------------------------------------------------------------------------------------

KERNELS: dict[str, Callable[[np.ndarray, np.ndarray, Any], np.ndarray]] = {
    "linearKernel": lambda vectors, x, p: vectors @ x,
    "rbfKernel": lambda vectors, x, p: np.exp(-p.gamma * np.square(vectors - x).sum(1)),
    "polyKernel": lambda vectors, x, p: (p.gamma * (vectors @ x) + p.c) ** p.degree,
    "sigmoidKernel": lambda vectors, x, p: np.tanh(p.gamma * (vectors @ x) + p.c),
}
"""K(v, x) for each support vector v, by the kernel's name; `p` is the kernel's message."""

MOST_FEATURES = 1_000_000
"""How large an index of a sparse support vector may be; a damaged file could ask for gigabytes of zeros."""


def _dense(vector: Any, size: int) -> np.ndarray:
    """A sparse support vector, whose indices begin at 1, as one of `size` numbers."""
    values = np.zeros(size)
    for node in vector.nodes:
        if not 1 <= node.index <= size:
            raise ValueError(f"a support vector has the index {node.index} of {size} features")
        values[node.index - 1] = node.value
    return values


def _support_vectors(model: Any) -> list[Any]:
    """The messages of the support vectors. Raises ValueError where an index is out of bounds."""
    name = model.WhichOneof("supportVectors")
    vectors = list(getattr(model, name).vectors) if name else []
    if name == "sparseSupportVectors" and not all(
            1 <= node.index <= MOST_FEATURES for vector in vectors for node in vector.nodes):
        raise ValueError(f"an index of a support vector is not between 1 and {MOST_FEATURES}")
    return vectors


def _kernel(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From a vector of features to the kernel with each support vector."""
    name = model.kernel.WhichOneof("kernel") or "linearKernel"
    vectors, parameters = _support_vectors(model), getattr(model.kernel, name)
    if model.WhichOneof("supportVectors") == "denseSupportVectors":
        dense = np.array([list(vector.values) for vector in vectors], np.float64)
        return lambda x: KERNELS[name](dense, x, parameters)
    return lambda x: KERNELS[name](np.array([_dense(vector, len(x)) for vector in vectors]), x, parameters)


@kind
def supportVectorRegressor(model: Any, description: Any) -> Compute:
    """The sum of coefficients times kernels, minus rho (libsvm's decision function)."""
    kernel, coefficients = _kernel(model), np.array(model.coefficients.alpha)
    return lambda *features: (kernel(_row(features)) @ coefficients - model.rho,) * len(description.output)


@kind
def supportVectorClassifier(model: Any, description: Any) -> Compute:
    """libsvm's: one decision for each pair of labels; they vote, or Platt's sigmoids of them make probabilities."""
    kernel, labels, counts = _kernel(model), class_labels(model), list(model.numberOfSupportVectorsPerClass)
    coefficients = np.array([list(row.alpha) for row in model.coefficients], np.float64)
    pairs = list(itertools.combinations(range(len(labels)), 2))
    has_probabilities = bool(model.probA)
    if coefficients.shape != (len(labels) - 1, sum(counts)) or len(counts) != len(labels) or len(
            model.rho) != len(pairs) or (has_probabilities and {len(model.probA), len(model.probB)} != {len(pairs)}):
        raise ValueError(f"coefficients, rho or probabilities are not those of {len(labels)} labels with {counts} "
                         f"support vectors")
    if description.predictedProbabilitiesName and not has_probabilities:
        raise ModelFileError("the support vector classifier answers with probabilities, and has no probA and probB for "
                             "them; train it with probabilities")
    ends = list(itertools.accumulate(counts))
    of_class = [slice(end - count, end) for end, count in zip(ends, counts)]

    def compute(*features: Any) -> tuple[Any, ...]:
        values = kernel(_row(features))
        decisions = [coefficients[j - 1, of_class[i]] @ values[of_class[i]]
                     + coefficients[i, of_class[j]] @ values[of_class[j]] - rho
                     for (i, j), rho in zip(pairs, model.rho)]
        if has_probabilities:
            return _answers(description, labels, _coupled(len(labels), pairs, decisions, model.probA, model.probB))
        votes = Counter(i if decision > 0 else j for (i, j), decision in zip(pairs, decisions))
        winner = max(range(len(labels)), key=lambda i: votes[i])  # the first of those with as many votes
        return (labels[winner],) * len(description.output)
    return compute


def _coupled(count: int, pairs: Sequence[tuple[int, int]], decisions: Sequence[float], slopes: Sequence[float],
             offsets: Sequence[float]) -> np.ndarray:
    """The probability of each of `count` labels from the decisions between two of them.

    Platt's sigmoid makes a probability of each decision; the second method of Wu, Lin and Weng (2004), iterated and
    ended as libsvm does (svm.cpp, multiclass_probability), makes one set of probabilities of all.
    """
    r = np.full((count, count), 0.5)
    for (i, j), decision, slope, offset in zip(pairs, decisions, slopes, offsets):
        r[i, j] = np.clip(_logistic(-(slope * decision + offset)), 1e-7, 1 - 1e-7)
        r[j, i] = 1 - r[i, j]
    if count == 2:
        return r[[0, 1], [1, 0]]
    q = -r.T * r
    np.fill_diagonal(q, np.square(r).sum(0) - 0.25)
    p = np.full(count, 1 / count)
    for _ in range(max(100, count)):
        if np.abs(q @ p - p @ q @ p).max() < 0.005 / count:
            break
        for t in range(count):
            p[t] += (p @ q @ p - q[t] @ p) / q[t, t]
            p /= p.sum()
    return p


# ---- nearest neighbours ----------------------------------------------------------------------------------------------

@kind
def kNearestNeighborsClassifier(model: Any, description: Any) -> Compute:
    """The label with the largest weight among the k nearest samples, of several the one with the nearest sample.

    The distance is the squared Euclidean one, the only one of the specification. Each of the k samples weighs 1, or
    1 / distance; samples at the distance 0 are then the only ones that count.
    """
    index, names = model.nearestNeighborsIndex, class_labels(model)
    samples = np.array([list(sample.vector) for sample in index.floatSamples], np.float64)
    labels = list(getattr(model, model.WhichOneof("ClassLabels")).vector) if names else []
    if samples.ndim == 2 and samples.shape != (len(labels), index.numberOfDimensions):
        raise ValueError(f"{len(samples)} samples, {len(labels)} labels, {index.numberOfDimensions} dimensions")
    is_weighted = model.WhichOneof("WeightingScheme") == "inverseDistanceWeighting"
    default = getattr(model, model.WhichOneof("DefaultClassLabel") or "defaultStringLabel")
    k = model.numberOfNeighbors.defaultValue or 5

    def compute(*features: Any) -> tuple[Any, ...]:
        if not labels:
            return _answers(description, [default], np.ones(1))
        distances = np.square(samples - _row(features)).sum(1)
        nearest = np.argsort(distances, kind="stable")[:k]
        weights = _inverse(distances[nearest]) if is_weighted else np.ones(len(nearest))
        by_label = dict.fromkeys((labels[i] for i in nearest), 0.0)
        for i, weight in zip(nearest, weights):
            by_label[labels[i]] += weight
        shares = np.array([by_label.get(name, 0.0) for name in names]) / weights.sum()
        return _answers(description, names, shares, max(by_label, key=lambda label: by_label[label]))
    return compute


def _inverse(distances: np.ndarray) -> np.ndarray:
    if (distances == 0).any():
        return (distances == 0).astype(np.float64)
    return 1 / distances


# ---- preparation of features -----------------------------------------------------------------------------------------

def _items(message: Any, oneof: str) -> list[Any]:
    """The strings or integers in a vector of which there are two types; empty where neither is set."""
    name = message.WhichOneof(oneof)
    return list(getattr(message, name).vector) if name else []


@kind
def identity(model: Any, description: Any) -> Compute:
    """Each output is the input at its place in the description."""
    return lambda *features: features if len(description.output) > 1 else features[0]


@kind
def oneHotEncoder(model: Any, description: Any) -> Compute:
    """A category as zeros with a 1 at its place, or as a dictionary with the place (`outputSparse`)."""
    categories = _items(model, "CategoryType")
    places = {category: place for place, category in enumerate(categories)}

    def compute(value: Any) -> Any:
        place = places.get(value if isinstance(value, str) else int(np.asarray(value).item()))
        if place is None and model.handleUnknown == model.ErrorOnUnknown:
            raise ValueError(f"{value!r} is none of the categories {quoted(categories[:20])}")
        if model.outputSparse:
            return {} if place is None else {place: 1.0}
        return np.array([float(i == place) for i in range(len(categories))])
    return compute


@kind
def dictVectorizer(model: Any, description: Any) -> Compute:
    """The values of a dictionary at the places of their keys, zeros elsewhere."""
    keys = _items(model, "Map")
    places = {key: place for place, key in enumerate(keys)}

    def compute(values: Mapping[Any, float]) -> np.ndarray:
        unknown = values.keys() - places.keys()
        if unknown:  # "All keys in the input dictionary must be present in the index mapping vector"
            raise ValueError(f"the model has no place for the keys {quoted(sorted(map(str, unknown))[:20])}")
        vector = np.zeros(len(keys))
        for key, value in values.items():
            vector[places[key]] = value
        return vector
    return compute


@kind
def featureVectorizer(model: Any, description: Any) -> Compute:
    """All inputs one after the other, in the order of `inputList`; a dictionary has an index for each value."""
    names = [feature.name for feature in description.input]
    columns = [(names.index(column.inputColumn), column.inputDimensions) for column in model.inputList]
    if sum(size for _, size in columns) > 100 * MOST_FEATURES:
        raise ValueError(f"it makes {sum(size for _, size in columns)} features")

    def compute(*features: Any) -> np.ndarray:
        return np.concatenate([_vector(features[place], size) for place, size in columns] or [np.zeros(0)])
    return compute


def _vector(value: Any, size: int) -> np.ndarray:
    """A number, an array or a dictionary from index to number as `size` numbers.

    Raises:
        ValueError: they do not fit.
    """
    if isinstance(value, Mapping):
        vector = np.zeros(size)
        for index, number in value.items():
            if not 0 <= index < size:
                raise ValueError(f"a dictionary has the index {index} of {size} features")
            vector[index] = number
        return vector
    if np.size(value) != size:
        raise ValueError(f"{np.size(value)} values where the model expects {size}")
    return np.ravel(value).astype(np.float64)


@kind
def arrayFeatureExtractor(model: Any, description: Any) -> Compute:
    """The elements at `extractIndex` of the input, flattened."""
    return lambda values: np.ravel(values)[list(model.extractIndex)]


@kind
def scaler(model: Any, description: Any) -> Compute:
    """scaleValue (x + shiftValue); each is one number for all elements, or one per element."""
    shift, scale = np.array(model.shiftValue or [0.0]), np.array(model.scaleValue or [1.0])
    return lambda values: (np.ravel(values) + shift) * scale


@kind
def normalizer(model: Any, description: Any) -> Compute:
    """x divided by its norm; the first one is the largest element, not the largest absolute value. An array with the
    norm 0 stays as it is, because the specification leaves that open."""
    norms: dict[int, Callable[[np.ndarray], Any]] = {
        0: np.max, 1: lambda x: np.abs(x).sum(), 2: lambda x: np.sqrt(np.square(x).sum())}
    norm = norms[model.normType]
    return lambda values: np.asarray(values) / (norm(np.asarray(values)) or 1.0)


@kind
def imputer(model: Any, description: Any) -> Compute:
    """What is missing gets its imputed value: an input that is not given, NaN, or `replaceValue` where one is set."""
    chosen, replaced = model.WhichOneof("ImputedValue"), model.WhichOneof("ReplaceValue")
    if not chosen:
        raise ValueError("it has no value to impute")
    message = getattr(model, chosen)
    imputed = dict(message.map) if hasattr(message, "map") else list(message.vector) if hasattr(
        message, "vector") else message
    marker = getattr(model, replaced) if replaced else math.nan

    def is_missing(value: Any) -> bool:
        return value is None or value == marker or (marker != marker and value != value)

    def compute(values: Any) -> Any:
        if isinstance(imputed, dict):
            return {key: imputed.get(key, value) if is_missing(value) else value for key, value in values.items()}
        if isinstance(values, np.ndarray):
            missing = np.isnan(values) if marker != marker else values == marker
            return np.where(missing, np.reshape(imputed, values.shape if np.ndim(imputed) else ()), values)
        return imputed if is_missing(values) else values
    return compute


@kind
def categoricalMapping(model: Any, description: Any) -> Compute:
    """The integer of a string, or the string of an integer."""
    name, unknown = model.WhichOneof("MappingType"), model.WhichOneof("ValueOnUnknown")
    mapping = dict(getattr(model, name).map) if name else {}

    def compute(value: Any) -> Any:
        if value not in mapping and not unknown:
            raise ValueError(f"{value!r} is none of the categories {quoted(map(str, list(mapping)[:20]))}")
        return mapping[value] if value in mapping else getattr(model, unknown)
    return compute


# ---- non-maximum suppression -----------------------------------------------------------------------------------------

@kind
def nonMaximumSuppression(model: Any, description: Any) -> Compute:
    """The boxes that no more confident box overlaps by more than `iouThreshold`, the most confident first.

    Confidences are [N, classes], coordinates [N, 4]: x and y of the centre, width, height. Where the shape of an output
    is declared, rows of zeros are added, or rows are left out.
    """
    names = [feature.name for feature in description.input]
    outputs = {feature.name: feature.type.multiArrayType for feature in description.output}
    low, high = _row_limits(outputs.values())
    if not {model.confidenceOutputFeatureName, model.coordinatesOutputFeatureName} >= outputs.keys():
        raise ValueError(f"its outputs are {quoted(outputs)}")

    def given(features: Sequence[Any], name: str, stored: float) -> float:
        value = features[names.index(name)] if name in names else None
        return stored if value is None else float(value)

    def compute(*features: Any) -> Any:
        confidences = np.asarray(features[names.index(model.confidenceInputFeatureName)])
        boxes = np.asarray(features[names.index(model.coordinatesInputFeatureName)]).reshape(-1, 4)
        confidences = confidences.reshape(len(boxes), -1)
        kept = _kept(confidences, boxes, given(features, model.iouThresholdInputFeatureName, model.iouThreshold),
                     given(features, model.confidenceThresholdInputFeatureName, model.confidenceThreshold),
                     model.pickTop.perClass)[:high]
        padding = [(0, max(low - len(kept), 0)), (0, 0)]
        found = {model.confidenceOutputFeatureName: np.pad(confidences[kept], padding),
                 model.coordinatesOutputFeatureName: np.pad(boxes[kept], padding)}
        answers = tuple(found[name] for name in outputs)
        return answers if len(answers) > 1 else answers[0]
    return compute


def _row_limits(arrays: Any) -> tuple[int, int | None]:
    """The fewest and the most rows that the outputs may have, by their declared shapes or ranges."""
    for array in arrays:
        ranges = array.shapeRange.sizeRanges
        if ranges:
            high = int(ranges[0].upperBound)
            return _bounded(int(ranges[0].lowerBound)), None if high < 0 else high
        if len(array.shape) > 1:
            return _bounded(int(array.shape[0])), int(array.shape[0])
    return 0, None


def _bounded(rows: int) -> int:
    if not 0 <= rows <= MOST_FEATURES:
        raise ValueError(f"an output has {rows} rows")
    return rows


def _kept(confidences: np.ndarray, boxes: np.ndarray, most_overlap: float, least_confidence: float, per_class: bool
          ) -> list[int]:
    """The numbers of the boxes that are kept, the most confident first (`PickTop` of the specification)."""
    tops, kinds = confidences.max(1, initial=0.0), confidences.argmax(1) if confidences.size else np.zeros(0)
    waiting = [i for i in np.argsort(-tops, kind="stable") if tops[i] >= least_confidence]
    kept = []
    while waiting:
        best, *others = waiting
        kept.append(best)
        overlaps = _overlap(boxes[best], boxes[others])
        waiting = [i for i, overlap in zip(others, overlaps)
                   if overlap <= most_overlap or (per_class and kinds[i] != kinds[best])]
    return kept


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that `box` [4] and each of `others` [N, 4] share, over the area that they cover: [N]."""
    low = np.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.clip(high - low, 0, None).prod(1)
    covered = box[2:].prod() + others[:, 2:].prod(1) - shared
    return np.divide(shared, covered, out=np.zeros_like(shared), where=covered > 0)
