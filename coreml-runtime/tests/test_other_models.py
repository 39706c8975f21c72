"""Trees, linear models, support vectors, neighbours and preparations, against scikit-learn and against definitions."""

import itertools

import coreml_runtime
import numpy as np
import pytest
from coreml_runtime import ModelFileError, ModelRunError
from coreml_runtime.imports import import_coremltools
from coreml_runtime.other_models import KINDS
from sklearn import ensemble, linear_model, neighbors, preprocessing, svm, tree
from test_neural_network import builder, pipeline, saved

ct = import_coremltools()
Model_pb2, ArrayType = ct.proto.Model_pb2, ct.proto.FeatureTypes_pb2.ArrayFeatureType
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(120, 4))
TARGETS = ROWS @ [1.0, -2.0, 0.5, 0.0] + np.sin(3 * ROWS[:, 1])
TWO = (TARGETS > 0).astype(int)
THREE = np.digitize(TARGETS, [-1.0, 1.0])
PROBES = RNG.normal(size=(20, 4))
NAMES = {2: ["no", "yes"], 3: [-7, 20, 2 ** 40]}
"""Labels by their number: strings or large integers."""


def declare(feature, kind, shape=(), dtype=ArrayType.DOUBLE):
    """Set a feature's type: `double`, `int64`, `string`, `array`, or a dictionary, `string keys` or `int64 keys`."""
    if kind == "array":
        feature.type.multiArrayType.CopyFrom(ArrayType(shape=shape, dataType=dtype))
    elif "keys" in kind:
        getattr(feature.type.dictionaryType, kind.split()[0] + "KeyType").SetInParent()
    else:
        getattr(feature.type, kind + "Type").SetInParent()


def model_of(kind, inputs, outputs, **fields):
    """A model of a kind with inputs and outputs by name; each a type, or a tuple (type, shape)."""
    spec = Model_pb2.Model(specificationVersion=4)
    getattr(spec, kind).CopyFrom(type(getattr(spec, kind))(**fields))
    for features, described in ((spec.description.input, inputs), (spec.description.output, outputs)):
        for name, declared in described.items():
            declare(features.add(name=name), *([declared] if isinstance(declared, str) else declared))
    return spec


def classifier(kind, labels, has_probabilities=True, **fields):
    """A classifier of an array of four, with its label and, if it has them, its probabilities."""
    key = "string" if isinstance(labels[0], str) else "int64"
    outputs = {"label": key} | ({"probabilities": key + " keys"} if has_probabilities else {})
    spec = model_of(kind, {"x": ("array", (4,))}, outputs, **fields)
    getattr(getattr(spec, kind), key + "ClassLabels").vector.extend(labels)
    spec.description.predictedFeatureName = "label"
    spec.description.predictedProbabilitiesName = "probabilities" if has_probabilities else ""
    return spec


def regressor(kind, **fields):
    spec = model_of(kind, {"x": ("array", (4,))}, {"y": "double"}, **fields)
    spec.description.predictedFeatureName = "y"
    return spec


@pytest.fixture
def loaded(tmp_path):
    """Makes of a spec the model that the runtime loads from a file."""
    numbers = itertools.count()
    return lambda spec: coreml_runtime.load(saved(spec, tmp_path / f"{next(numbers)}.mlmodel"))


def assert_probabilities(model, expected, labels):
    """For each of `PROBES` the label is the most probable one and its probability is as expected."""
    assert model.class_labels == labels
    for row, p in zip(PROBES, expected):
        answer = model.predict({"x": row})
        assert answer["label"] == labels[int(np.argmax(p))]
        assert list(answer["probabilities"]) == labels
        np.testing.assert_allclose(list(answer["probabilities"].values()), p, rtol=1e-9, atol=1e-12)


def assert_values(model, expected):
    np.testing.assert_allclose([model.predict({"x": row})["y"] for row in PROBES], expected, rtol=1e-9, atol=1e-12)


# ---- trees -----------------------------------------------------------------------------------------------------------

def tree_ensemble(trees, dimensions, value, base=()):
    """scikit-learn's trees as Core ML's message. `value` makes of a leaf's value and a tree's number the numbers that
    the leaf adds, by index."""
    made = ct.proto.TreeEnsemble_pb2.TreeEnsembleParameters(
        numPredictionDimensions=dimensions, basePredictionValue=base or [0.0] * dimensions)
    for number, fitted in enumerate(trees):
        for i, left in enumerate(fitted.children_left):
            node = made.nodes.add(treeId=number, nodeId=i)
            if left < 0:
                node.nodeBehavior = node.LeafNode
                for index, added in value(fitted.value[i], number).items():
                    node.evaluationInfo.add(evaluationIndex=index, evaluationValue=added)
            else:
                node.branchFeatureIndex, node.branchFeatureValue = int(fitted.feature[i]), fitted.threshold[i]
                node.trueChildNodeId, node.falseChildNodeId = int(left), int(fitted.children_right[i])
    return made


def test_a_forest_averages_its_trees(loaded):
    forest = ensemble.RandomForestRegressor(7, random_state=0).fit(ROWS, TARGETS)
    made = tree_ensemble([e.tree_ for e in forest.estimators_], 1, lambda v, _: {0: v.item() / 7})
    assert_values(loaded(regressor("treeEnsembleRegressor", treeEnsemble=made)), forest.predict(PROBES))


def test_boosted_trees_add_to_the_base(loaded):
    boosted = ensemble.GradientBoostingRegressor(n_estimators=9, random_state=0).fit(ROWS, TARGETS)
    made = tree_ensemble([e.tree_ for e in boosted.estimators_[:, 0]], 1, lambda v, _: {0: 0.1 * v.item()},
                         [float(boosted.init_.constant_.item())])
    assert_values(loaded(regressor("treeEnsembleRegressor", treeEnsemble=made)), boosted.predict(PROBES))


@pytest.mark.parametrize("count", [2, 3])
def test_a_decision_tree_gives_the_share_of_each_label(loaded, count):
    fitted = tree.DecisionTreeClassifier(max_depth=3, random_state=0).fit(ROWS, TWO if count == 2 else THREE)
    made = tree_ensemble([fitted.tree_], count, lambda v, _: dict(enumerate((v[0] / v[0].sum()).tolist())))
    model = loaded(classifier("treeEnsembleClassifier", NAMES[count], treeEnsemble=made))
    assert_probabilities(model, fitted.predict_proba(PROBES), NAMES[count])


@pytest.mark.parametrize("transform", ["Regression_Logistic", "Classification_SoftMaxWithZeroClassReference"])
def test_boosted_trees_for_two_labels_have_one_score(loaded, transform):
    boosted = ensemble.GradientBoostingClassifier(n_estimators=9, random_state=0).fit(ROWS, TWO)
    prior = boosted.init_.class_prior_
    made = tree_ensemble([e.tree_ for e in boosted.estimators_[:, 0]], 1, lambda v, _: {0: 0.1 * v.item()},
                         [float(np.log(prior[1] / prior[0]))])
    model = loaded(classifier("treeEnsembleClassifier", NAMES[2], treeEnsemble=made, postEvaluationTransform=transform))
    assert_probabilities(model, boosted.predict_proba(PROBES), NAMES[2])


def test_boosted_trees_for_three_labels_have_a_softmax(loaded):
    boosted = ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0).fit(ROWS, THREE)
    made = tree_ensemble([e.tree_ for e in boosted.estimators_.ravel()], 3, lambda v, n: {n % 3: 0.1 * v.item()},
                         np.log(boosted.init_.class_prior_).tolist())
    model = loaded(classifier("treeEnsembleClassifier", NAMES[3], treeEnsemble=made,
                              postEvaluationTransform="Classification_SoftMax"))
    assert_probabilities(model, boosted.predict_proba(PROBES), NAMES[3])


@pytest.mark.parametrize("behavior, true_for", [
    ("BranchOnValueLessThanEqual", [0, 1]), ("BranchOnValueLessThan", [0]), ("BranchOnValueGreaterThanEqual", [1, 2]),
    ("BranchOnValueGreaterThan", [2]), ("BranchOnValueEqual", [1]), ("BranchOnValueNotEqual", [0, 2])])
@pytest.mark.parametrize("missing_is_true", [False, True])
def test_every_branch_and_a_missing_value(loaded, behavior, true_for, missing_is_true):
    nodes = [{"nodeId": 4, "nodeBehavior": behavior, "branchFeatureIndex": 1, "branchFeatureValue": 1.0,
              "trueChildNodeId": 1, "falseChildNodeId": 2, "missingValueTracksTrueChild": missing_is_true},
             *({"nodeId": i, "nodeBehavior": "LeafNode", "evaluationInfo": [{"evaluationValue": v}]}
               for i, v in ((1, 10.0), (2, 20.0)))]
    spec = model_of("treeEnsembleRegressor", {"a": "double", "b": "int64"}, {"y": "double"},
                    treeEnsemble={"nodes": nodes, "numPredictionDimensions": 1, "basePredictionValue": [0.5]})
    spec.description.input[1].type.isOptional = True
    model = loaded(spec)
    for b in range(3):
        assert model.predict({"a": 9.0, "b": b})["y"] == (10.5 if b in true_for else 20.5)
    assert model.predict({"a": 9.0})["y"] == (10.5 if missing_is_true else 20.5)


# ---- linear models ---------------------------------------------------------------------------------------------------

def normal_below(x):
    """The normal distribution's integral, by adding up its density."""
    grid = np.linspace(-12, x, 40001)
    return np.trapezoid(np.exp(-grid ** 2 / 2), grid) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("transform, function", [
    ("NoTransform", lambda z: z), ("Logit", lambda z: 1 / (1 + np.exp(-z))), ("Probit", normal_below)])
def test_a_linear_regressor_with_each_transformation(loaded, transform, function):
    fitted = linear_model.LinearRegression().fit(ROWS, TARGETS)
    spec = regressor("glmRegressor", weights=[{"value": fitted.coef_}], offset=[fitted.intercept_],
                     postEvaluationTransform=transform)
    np.testing.assert_allclose([loaded(spec).predict({"x": row})["y"] for row in PROBES[:5]],
                               [function(z) for z in fitted.predict(PROBES[:5])], atol=1e-8)


@pytest.mark.parametrize("encoding", ["ReferenceClass", "OneVsRest"])
def test_a_logistic_regression_of_two_labels(loaded, encoding):
    fitted = linear_model.LogisticRegression().fit(ROWS, TWO)
    spec = classifier("glmClassifier", NAMES[2], weights=[{"value": fitted.coef_[0]}], offset=fitted.intercept_,
                      classEncoding=encoding)
    assert_probabilities(loaded(spec), fitted.predict_proba(PROBES), NAMES[2])


def test_a_logistic_regression_of_three_labels_with_the_first_as_reference(loaded):
    fitted = linear_model.LogisticRegression().fit(ROWS, THREE)
    weights, offsets = fitted.coef_ - fitted.coef_[0], fitted.intercept_ - fitted.intercept_[0]
    spec = classifier("glmClassifier", NAMES[3], weights=[{"value": w} for w in weights[1:]], offset=offsets[1:])
    assert_probabilities(loaded(spec), fitted.predict_proba(PROBES), NAMES[3])


@pytest.mark.parametrize("transform, function", [
    ("Logit", lambda z: 1 / (1 + np.exp(-z))), ("Probit", np.vectorize(normal_below))])
def test_one_line_per_label(loaded, transform, function):
    fitted = [linear_model.LogisticRegression().fit(ROWS, THREE == i) for i in range(3)]
    spec = classifier("glmClassifier", NAMES[3], weights=[{"value": f.coef_[0]} for f in fitted],
                      offset=[f.intercept_[0] for f in fitted], classEncoding="OneVsRest",
                      postEvaluationTransform=transform)
    p = function(np.stack([f.decision_function(PROBES) for f in fitted], 1))
    model, expected = loaded(spec), p / p.sum(1, keepdims=True)
    for row, shares in zip(PROBES, expected):
        np.testing.assert_allclose(list(model.predict({"x": row})["probabilities"].values()), shares, atol=1e-7)


# ---- support vectors -------------------------------------------------------------------------------------------------

KERNELS = {
    "linear": {"linearKernel": {}}, "rbf": {"rbfKernel": {"gamma": 0.3}},
    "poly": {"polyKernel": {"degree": 3, "c": 0.7, "gamma": 0.3}},
    "sigmoid": {"sigmoidKernel": {"gamma": 0.3, "c": 0.7}},
}


def vectors(fitted, sparse):
    if not sparse:
        return {"denseSupportVectors": {"vectors": [{"values": v} for v in fitted.support_vectors_]}}
    return {"sparseSupportVectors": {"vectors": [
        {"nodes": [{"index": i, "value": x} for i, x in enumerate(v, 1)]} for v in fitted.support_vectors_]}}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_a_support_vector_regressor(loaded, kernel, sparse):
    fitted = svm.SVR(kernel=kernel, gamma=0.3, coef0=0.7).fit(ROWS, TARGETS)
    spec = regressor("supportVectorRegressor", kernel=KERNELS[kernel], rho=-fitted.intercept_[0],
                     coefficients={"alpha": fitted.dual_coef_[0]}, **vectors(fitted, sparse))
    assert_values(loaded(spec), fitted.predict(PROBES))


def support_vector_classifier(fitted, kernel, count, **fields):
    sign = -1 if count == 2 else 1  # scikit-learn turns libsvm's signs round for two labels
    return classifier("supportVectorClassifier", NAMES[count], has_probabilities=bool(fields), kernel=KERNELS[kernel],
                      numberOfSupportVectorsPerClass=fitted.n_support_, rho=-sign * fitted.intercept_,
                      coefficients=[{"alpha": sign * row} for row in fitted.dual_coef_], **vectors(fitted, False),
                      **fields)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("count", [2, 3])
def test_a_support_vector_classifier_votes(loaded, kernel, count):
    fitted = svm.SVC(kernel=kernel, gamma=0.3, coef0=0.7).fit(ROWS, TWO if count == 2 else THREE)
    model = loaded(support_vector_classifier(fitted, kernel, count))
    found = [model.predict({"x": row}) for row in PROBES]
    assert [answer["label"] for answer in found] == [NAMES[count][i] for i in fitted.predict(PROBES)]
    assert found[0].keys() == {"label"}


@pytest.mark.parametrize("count", [2, 3])
def test_a_support_vector_classifiers_probabilities_are_coupled(loaded, count):
    """The probabilities minimize Σ (r_ji p_i - r_ij p_j)², which is solved here as linear equations (Wu, Lin, Weng)."""
    fitted = svm.SVC(gamma=0.3).fit(ROWS, TWO if count == 2 else THREE)
    pairs = list(itertools.combinations(range(count), 2))
    slopes, offsets = [-1.5, -0.8, -2.0][:len(pairs)], [0.1, -0.2, 0.3][:len(pairs)]
    model = loaded(support_vector_classifier(fitted, "rbf", count, probA=slopes, probB=offsets))
    fitted.set_params(decision_function_shape="ovo")
    decisions = fitted.decision_function(PROBES).reshape(len(PROBES), -1) * (-1 if count == 2 else 1)
    for row, decision in zip(PROBES, decisions):
        r = np.zeros((count, count))
        for (i, j), d, a, b in zip(pairs, decision, slopes, offsets):
            r[i, j] = 1 / (1 + np.exp(a * d + b))
            r[j, i] = 1 - r[i, j]
        if count == 2:
            expected = [r[0, 1], r[1, 0]]
        else:
            q = np.diag((r ** 2).sum(0)) - r * r.T
            equations = np.block([[q, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
            expected = np.linalg.solve(equations, [0, 0, 0, 1])[:3]
        answer = model.predict({"x": row})
        assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=0.005 if count > 2 else 1e-9)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


# ---- neighbours ------------------------------------------------------------------------------------------------------

def nearest(labels, rows, **fields):
    index = {"numberOfDimensions": 4, "floatSamples": [{"vector": row} for row in rows], "linearIndex": {},
             "squaredEuclideanDistance": {}}
    spec = classifier("kNearestNeighborsClassifier", labels, nearestNeighborsIndex=index, **fields)
    return spec


@pytest.mark.parametrize("weights", ["uniformWeighting", "inverseDistanceWeighting"])
def test_nearest_neighbours_vote(loaded, weights):
    weigh = "uniform" if weights == "uniformWeighting" else lambda distances: 1 / distances ** 2
    rows = ROWS.astype(np.float32).astype(np.float64)
    fitted = neighbors.KNeighborsClassifier(5, weights=weigh).fit(rows, THREE)
    model = loaded(nearest([NAMES[3][i] for i in THREE], rows, numberOfNeighbors={"defaultValue": 5}, **{weights: {}}))
    order = model.class_labels
    assert sorted(order) == NAMES[3]
    for row, p in zip(PROBES, fitted.predict_proba(PROBES)):
        answer, expected = model.predict({"x": row}), dict(zip(NAMES[3], p))
        assert answer["probabilities"] == pytest.approx(expected)
        assert expected[answer["label"]] == pytest.approx(max(p))


def test_a_sample_that_is_the_input_counts_alone_and_without_samples_the_default_is_the_answer(loaded):
    model = loaded(nearest(["a", "b", "b"], [[0] * 4, [1] * 4, [2] * 4], numberOfNeighbors={"defaultValue": 3},
                           inverseDistanceWeighting={}))
    assert model.predict({"x": [0, 0, 0, 0]}) == {"label": "a", "probabilities": {"a": 1.0, "b": 0.0}}
    spec = nearest(["x"], [], defaultStringLabel="none", uniformWeighting={})
    del spec.kNearestNeighborsClassifier.stringClassLabels.vector[:]
    assert loaded(spec).predict({"x": [0, 0, 0, 0]})["label"] == "none"


# ---- preparation -----------------------------------------------------------------------------------------------------

PREPARATIONS = {
    "scaler": ("scaler", {"x": ("array", (3,))}, {"y": ("array", (3,))},
               {"shiftValue": [1.0, 2.0, 3.0], "scaleValue": [2.0, 0.5, -1.0]}, [1, 2, 3], [4, 2, -6]),
    "scaler by one number": ("scaler", {"x": ("array", (3,))}, {"y": ("array", (3,))},
                             {"shiftValue": [1.0], "scaleValue": [2.0]}, [1, 2, 3], [4, 6, 8]),
    "scaler without numbers": ("scaler", {"x": "double"}, {"y": "double"}, {}, 0.3, 0.3),
    "scaler of integers": ("scaler", {"x": "int64"}, {"y": "int64"}, {"scaleValue": [3.0]}, 4, 12),
    "normalizer LMax": ("normalizer", {"x": ("array", (3,))}, {"y": ("array", (3,))}, {"normType": "LMax"},
                        [1, -4, 2], [0.5, -2, 1]),
    "normalizer of zeros": ("normalizer", {"x": ("array", (2,))}, {"y": ("array", (2,))}, {"normType": "L2"},
                            [0, 0], [0, 0]),
    "imputer of a number": ("imputer", {"x": "double"}, {"y": "double"},
                            {"imputedDoubleValue": 7.0, "replaceDoubleValue": np.nan}, np.nan, 7),
    "imputer keeps others": ("imputer", {"x": "double"}, {"y": "double"},
                             {"imputedDoubleValue": 7.0, "replaceDoubleValue": -1.0}, 2.0, 2),
    "imputer of an integer": ("imputer", {"x": "int64"}, {"y": "int64"},
                              {"imputedInt64Value": 7, "replaceInt64Value": -1}, -1, 7),
    "imputer of a string": ("imputer", {"x": "string"}, {"y": "string"},
                            {"imputedStringValue": "red", "replaceStringValue": ""}, "", "red"),
    "imputer of an array": ("imputer", {"x": ("array", (3,))}, {"y": ("array", (3,))},
                            {"imputedDoubleArray": {"vector": [7, 8, 9]}}, [1, np.nan, np.nan], [1, 8, 9]),
    "imputer of integers": ("imputer", {"x": ("array", (3,))}, {"y": ("array", (3,))},
                            {"imputedInt64Array": {"vector": [7, 8, 9]}, "replaceInt64Value": 0}, [1, 0, 3], [1, 8, 3]),
    "imputer of an array by one number": ("imputer", {"x": ("array", (2,))}, {"y": ("array", (2,))},
                                          {"imputedDoubleValue": 5.0}, [np.nan, 2], [5, 2]),
    "imputer of a dictionary": ("imputer", {"x": "string keys"}, {"y": "string keys"},
                                {"imputedStringDictionary": {"map": {"a": 1.0, "b": 2.0}}},
                                {"a": np.nan, "b": 5.0}, {"a": 1.0, "b": 5.0}),
    "imputer of numbered values": ("imputer", {"x": "int64 keys"}, {"y": "int64 keys"},
                                   {"imputedInt64Dictionary": {"map": {1: 1.0}}, "replaceDoubleValue": -1.0},
                                   {1: -1.0, 2: 5.0}, {1: 1.0, 2: 5.0}),
    "oneHotEncoder of strings": ("oneHotEncoder", {"x": "string"}, {"y": ("array", (3,))},
                                 {"stringCategories": {"vector": ["a", "b", "c"]}}, "b", [0, 1, 0]),
    "oneHotEncoder of integers": ("oneHotEncoder", {"x": "int64"}, {"y": ("array", (2,))},
                                  {"int64Categories": {"vector": [5, 2 ** 40]}}, 2 ** 40, [0, 1]),
    "oneHotEncoder, sparse": ("oneHotEncoder", {"x": "int64"}, {"y": "int64 keys"},
                              {"int64Categories": {"vector": [5, 9]}, "outputSparse": True}, 9, {1: 1.0}),
    "oneHotEncoder, unknown": ("oneHotEncoder", {"x": "string"}, {"y": ("array", (2,))},
                               {"stringCategories": {"vector": ["a", "b"]}, "handleUnknown": "IgnoreUnknown"},
                               "z", [0, 0]),
    "dictVectorizer": ("dictVectorizer", {"x": "string keys"}, {"y": ("array", (4,))},
                       {"stringToIndex": {"vector": ["a", "c", "b", "z"]}}, {"a": 4, "c": 8}, [4, 8, 0, 0]),
    "dictVectorizer of integers": ("dictVectorizer", {"x": "int64 keys"}, {"y": ("array", (2,))},
                                   {"int64ToIndex": {"vector": [7, 3]}}, {3: 0.5}, [0, 0.5]),
    "featureVectorizer": ("featureVectorizer", {"a": "double", "x": ("array", (2,)), "d": "int64 keys", "i": "int64"},
                          {"y": ("array", (7,))},
                          {"inputList": [{"inputColumn": n, "inputDimensions": s}
                                         for n, s in (("x", 2), ("d", 3), ("a", 1), ("i", 1))]},
                          {"a": 0.5, "x": [1, 2], "d": {2: 9.0}, "i": 4}, [1, 2, 0, 0, 9, 0.5, 4]),
    "arrayFeatureExtractor": ("arrayFeatureExtractor", {"x": ("array", (2, 3))}, {"y": ("array", (2,))},
                              {"extractIndex": [4, 0]}, [[1, 2, 3], [4, 5, 6]], [5, 1]),
    "arrayFeatureExtractor of one": ("arrayFeatureExtractor", {"x": ("array", (3,))}, {"y": "int64"},
                                     {"extractIndex": [2]}, [1, 2, 3], 3),
    "categoricalMapping to integers": ("categoricalMapping", {"x": "string"}, {"y": "int64"},
                                       {"stringToInt64Map": {"map": {"a": 2 ** 40}}}, "a", 2 ** 40),
    "categoricalMapping to strings": ("categoricalMapping", {"x": "int64"}, {"y": "string"},
                                      {"int64ToStringMap": {"map": {3: "c"}}}, 3, "c"),
    "categoricalMapping, unknown": ("categoricalMapping", {"x": "int64"}, {"y": "string"},
                                    {"int64ToStringMap": {"map": {3: "c"}}, "strValue": "?"}, 4, "?"),
    "identity": ("identity", {"x": ("array", (2,))}, {"y": ("array", (2,))}, {}, [1, 2], [1, 2]),
}
"""Kind, inputs, outputs and fields of a model, the value of x (or all inputs), and what the specification says of y."""


@pytest.mark.parametrize("case", PREPARATIONS)
def test_a_preparation_computes_what_the_specification_says(loaded, case):
    kind, inputs, outputs, fields, given, expected = PREPARATIONS[case]
    answer = loaded(model_of(kind, inputs, outputs, **fields)).predict(given if len(inputs) > 1 else {"x": given})["y"]
    if isinstance(expected, list):
        assert answer.dtype == np.float64 and answer.tolist() == pytest.approx(expected)
    else:
        assert answer == expected and type(answer) is {"double": float, "int64": int, "string": str}.get(
            outputs["y"], dict)


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_a_normalizer_divides_as_scikit_learns(loaded, norm):
    spec = model_of("normalizer", {"x": ("array", (4,))}, {"y": ("array", (4,))}, normType=norm)
    expected = preprocessing.Normalizer(norm.lower()).transform(PROBES)
    model = loaded(spec)
    np.testing.assert_allclose([model.predict({"x": row})["y"] for row in PROBES], expected, rtol=1e-12)


@pytest.mark.parametrize("kind, inputs, outputs, fields, given, message", [
    ("oneHotEncoder", {"x": "string"}, {"y": ("array", (1,))}, {"stringCategories": {"vector": ["a"]}}, "z",
     "'z' is none of the categories 'a'"),
    ("dictVectorizer", {"x": "string keys"}, {"y": ("array", (1,))}, {"stringToIndex": {"vector": ["a"]}}, {"z": 1},
     "no place for the keys 'z'"),
    ("categoricalMapping", {"x": "int64"}, {"y": "string"}, {"int64ToStringMap": {"map": {3: "c"}}}, 4,
     "4 is none of the categories '3'"),
    ("featureVectorizer", {"x": "int64 keys"}, {"y": ("array", (1,))},
     {"inputList": [{"inputColumn": "x", "inputDimensions": 1}]}, {1: 1.0}, "index 1 of 1 features"),
    ("scaler", {"x": "int64"}, {"y": "int64"}, {"scaleValue": [0.5]}, 3, "1.5 is no integer"),
    ("arrayFeatureExtractor", {"x": ("array", (3,))}, {"y": "double"}, {"extractIndex": [3]}, [1, 2, 3], "index 3"),
])
def test_a_value_that_does_not_fit_is_told_in_one_sentence(loaded, kind, inputs, outputs, fields, given, message):
    model = loaded(model_of(kind, inputs, outputs, **fields))
    with pytest.raises(ModelRunError, match=message) as raised:
        model.predict({"x": given})
    assert "0.mlmodel" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("spec, message", [
    (regressor("treeEnsembleRegressor", treeEnsemble={"nodes": [
        {"nodeBehavior": "LeafNode", "evaluationInfo": [{"evaluationIndex": 5}]}]}), "adds to value 5 of 1"),
    (classifier("glmClassifier", ["a", "b", "c"], weights=[{"value": [1]}] * 2, postEvaluationTransform="Probit",
                offset=[0, 0]), "probit of more than two"),
    (classifier("glmClassifier", ["a", "b"], weights=[{"value": [1]}], offset=[0, 0]), "2 offsets for 1 rows"),
    (classifier("supportVectorClassifier", ["a", "b"], numberOfSupportVectorsPerClass=[1, 1], rho=[0],
                coefficients=[{"alpha": [1, -1]}]), "has no probA"),
    (classifier("supportVectorClassifier", ["a", "b"], numberOfSupportVectorsPerClass=[1, 1], rho=[]),
     "not those of 2 labels"),
    (nearest(["a"], [[0] * 4, [1] * 4]), "2 samples, 1 labels"),
    (model_of("imputer", {"x": "double"}, {"y": "double"}), "no value to impute"),
])
def test_a_model_that_contradicts_itself_is_refused_when_it_is_loaded(loaded, spec, message):
    with pytest.raises(ModelFileError, match=message):
        loaded(spec)


# ---- non-maximum suppression -----------------------------------------------------------------------------------------

def suppression(per_class, inputs=None, rows=(), **fields):
    names = {"confidenceInputFeatureName": "c", "coordinatesInputFeatureName": "b",
             "confidenceOutputFeatureName": "confidence", "coordinatesOutputFeatureName": "coordinates"}
    return model_of("nonMaximumSuppression", {"c": ("array", (30, 2)), "b": ("array", (30, 4))} | (inputs or {}),
                    {"confidence": ("array", (*rows, 2) if rows else ()), "coordinates": "array"},
                    pickTop={"perClass": per_class}, iouThreshold=0.4, confidenceThreshold=0.2, **names, **fields)


def suppressed(confidences, boxes, per_class, most=0.4, least=0.2):
    """The kept rows, box by box: a box is kept unless a kept box before it overlaps it by more than `most`."""
    def area(box):
        return box[2] * box[3]

    def shared(a, b):
        sides = [min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)
                 for i in (0, 1)]
        return max(sides[0], 0) * max(sides[1], 0)

    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -max(confidences[i])):
        others = [j for j in kept if not per_class or np.argmax(confidences[j]) == np.argmax(confidences[i])]
        if max(confidences[i]) >= least and all(
                shared(boxes[i], boxes[j]) / (area(boxes[i]) + area(boxes[j]) - shared(boxes[i], boxes[j])) <= most
                for j in others):
            kept.append(i)
    return kept


BOXES = np.concatenate([RNG.uniform(0, 1, (30, 2)), RNG.uniform(0.2, 0.6, (30, 2))], 1)
CONFIDENCES = RNG.uniform(0, 1, (30, 2))


@pytest.mark.parametrize("per_class", [False, True])
def test_the_most_confident_boxes_suppress_those_that_they_overlap(loaded, per_class):
    answer = loaded(suppression(per_class)).predict({"c": CONFIDENCES, "b": BOXES})
    kept = suppressed(CONFIDENCES, BOXES, per_class)
    assert 2 < len(kept) < 28
    np.testing.assert_array_equal(answer["coordinates"], BOXES[kept])
    np.testing.assert_array_equal(answer["confidence"], CONFIDENCES[kept])


def test_thresholds_may_be_inputs(loaded):
    spec = suppression(False, {"most": "double", "least": "double"}, iouThresholdInputFeatureName="most",
                       confidenceThresholdInputFeatureName="least")
    for feature in spec.description.input[2:]:
        feature.type.isOptional = True
    model, given = loaded(spec), {"c": CONFIDENCES, "b": BOXES}
    np.testing.assert_array_equal(model.predict(given)["coordinates"], BOXES[suppressed(CONFIDENCES, BOXES, False)])
    np.testing.assert_array_equal(model.predict(given | {"most": 0.9, "least": 0.6})["coordinates"],
                                  BOXES[suppressed(CONFIDENCES, BOXES, False, 0.9, 0.6)])


@pytest.mark.parametrize("rows", [3, 40])
def test_a_declared_number_of_boxes_is_kept_to(loaded, rows):
    answer, kept = loaded(suppression(False, rows=(rows,))).predict({"c": CONFIDENCES, "b": BOXES}), suppressed(
        CONFIDENCES, BOXES, False)
    assert answer["confidence"].shape == (rows, 2) and answer["coordinates"].shape == (rows, 4)
    count = min(rows, len(kept))
    np.testing.assert_array_equal(answer["coordinates"][:count], BOXES[kept][:count])
    assert not answer["coordinates"][count:].any() and not answer["confidence"][count:].any()


# ---- pipelines -------------------------------------------------------------------------------------------------------

def test_a_pipeline_of_preparations_and_a_classifier(loaded):
    """A category, a missing number and words go through five models to a logistic regression."""
    encoder = model_of("oneHotEncoder", {"colour": "string"}, {"code": ("array", (2,))},
                       stringCategories={"vector": ["red", "blue"]})
    filled = model_of("imputer", {"size": "double"}, {"filled": "double"}, imputedDoubleValue=2.0)
    scaled = model_of("scaler", {"filled": "double"}, {"scaled": "double"}, shiftValue=[-1.0], scaleValue=[3.0])
    words = model_of("dictVectorizer", {"words": "string keys"}, {"counts": ("array", (1,))},
                     stringToIndex={"vector": ["good"]})
    joined = model_of("featureVectorizer", {"code": ("array", (2,)), "scaled": "double", "counts": ("array", (1,))},
                      {"x": ("array", (4,))}, inputList=[{"inputColumn": n, "inputDimensions": s} for n, s in (
                          ("code", 2), ("scaled", 1), ("counts", 1))])
    last = classifier("glmClassifier", NAMES[2], weights=[{"value": [1.0, -1.0, 0.5, 2.0]}], offset=[-4.0])
    stages = [encoder, filled, scaled, words, joined, last]
    spec = pipeline("pipelineClassifier", *stages)
    del spec.description.input[:]
    spec.description.input.extend(stage.description.input[0] for stage in (encoder, filled, words))
    model = loaded(spec)
    answer = model.predict({"colour": "red", "size": float("nan"), "words": {"good": 3.0}})
    assert model.class_labels == NAMES[2] and answer["label"] == "yes"
    assert answer["probabilities"]["yes"] == pytest.approx(1 / (1 + np.exp(-(1 + 0.5 * 3 + 2 * 3 - 4))))


def test_a_pipeline_of_a_network_and_a_tree_can_be_watched(loaded):
    network = builder(["features"], x=(2,))
    network.add_activation("double", "LINEAR", "x", "features", [2, 0])
    network.spec.description.output[0].type.multiArrayType.CopyFrom(ArrayType(shape=[2], dataType=ArrayType.DOUBLE))
    nodes = [{"nodeId": 0, "branchFeatureIndex": 1, "branchFeatureValue": 3.0, "trueChildNodeId": 1,
              "falseChildNodeId": 2}, {"nodeId": 1, "nodeBehavior": "LeafNode"},
             {"nodeId": 2, "nodeBehavior": "LeafNode", "evaluationInfo": [{"evaluationValue": 8.0}]}]
    decided = model_of("treeEnsembleRegressor", {"features": ("array", (2,))}, {"y": "double"},
                       treeEnsemble={"nodes": nodes, "numPredictionDimensions": 1})
    after = builder(["z"], y=(1,))
    after.add_activation("half", "LINEAR", "y", "z", [0.5, 0])
    model = loaded(pipeline("pipelineRegressor", network.spec, decided, after.spec))
    assert model.predict({"x": [9.0, 1.0]})["z"].item() == 0 and model.predict({"x": [0.0, 2.0]})["z"].item() == 4
    seen = []
    model.program.run({"x": model.input_description["x"].to_tensor([0, 2])},
                      observe=lambda node, values: seen.append(node.op_type))
    assert seen == ["activation", "treeEnsembleRegressor", "activation"]
    assert model.predict([{"x": [9.0, 1.0]}, {"x": [0.0, 2.0]}] * 3)[1]["z"].item() == 4


def test_every_kind_has_a_test_here():
    tested = {kind for kind, *_ in PREPARATIONS.values()} | {
        "treeEnsembleRegressor", "treeEnsembleClassifier", "glmRegressor", "glmClassifier", "supportVectorRegressor",
        "supportVectorClassifier", "kNearestNeighborsClassifier", "nonMaximumSuppression"}
    assert tested == KINDS.keys()
