"""Temperature, threshold and reliability: against formulas written out, and on answers made up to be calibrated."""
import numpy as np
import pytest

from utils import calibration

RNG = np.random.default_rng(0)


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def calibrated(n=20_000, classes=4):
    """Probabilities, and targets that are drawn from them."""
    probabilities = softmax(2 * RNG.normal(size=(n, classes)))
    targets = (probabilities.cumsum(axis=1) < RNG.random((n, 1))).sum(axis=1)
    return probabilities, np.minimum(targets, classes - 1)


def test_temperature_on_probabilities_is_temperature_on_logits():
    logits = RNG.normal(size=(5, 3))
    np.testing.assert_allclose(calibration.with_temperature(softmax(logits), 2.5), softmax(logits / 2.5))


def test_temperature_1_changes_nothing_and_no_temperature_changes_a_label():
    probabilities, _ = calibrated(100)
    np.testing.assert_allclose(calibration.with_temperature(probabilities, 1), probabilities)
    for temperature in (0.2, 7):
        changed = calibration.with_temperature(probabilities, temperature)
        assert (changed.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        assert np.sign(changed.max(axis=1) - probabilities.max(axis=1)) == pytest.approx(np.sign(1 - temperature))


def test_a_probability_of_zero_stays_finite():
    changed = calibration.with_temperature(np.array([[1.0, 0.0]]), 0.5)
    np.testing.assert_allclose(changed, [[1, 0]], atol=1e-12)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match="must be above 0"):
        calibration.with_temperature(np.array([[0.5, 0.5]]), temperature)


@pytest.mark.parametrize("spoilt_by", [0.5, 1, 3])
def test_the_temperature_that_spoilt_calibrated_answers_is_found_and_undone(spoilt_by):
    probabilities, targets = calibrated()
    spoilt = calibration.with_temperature(probabilities, 1 / spoilt_by)
    found = calibration.fit_temperature(spoilt, targets)
    assert found == pytest.approx(spoilt_by, rel=0.05)
    repaired = calibration.with_temperature(spoilt, found)
    assert calibration.calibration_error(repaired, targets) < 0.02


def test_reliability_puts_each_answer_into_the_bin_of_its_confidence():
    probabilities = np.array([[0.55, 0.45], [0.52, 0.48], [0.05, 0.95], [1.0, 0.0]])
    confidence, accuracy, n = calibration.reliability(probabilities, np.array([0, 1, 1, 0]))
    assert n.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    np.testing.assert_allclose(confidence[[5, 9]], [0.535, 0.975])
    np.testing.assert_allclose(accuracy[[5, 9]], [0.5, 1])
    assert np.isnan(accuracy[0])


def test_calibration_error_is_the_weighted_distance_from_the_diagonal():
    probabilities = np.array([[0.75, 0.25]] * 3 + [[0.95, 0.05]])
    assert calibration.calibration_error(probabilities, np.array([0, 1, 1, 0])) == pytest.approx(
        0.75 * (0.75 - 1 / 3) + 0.25 * 0.05)


def test_negative_log_likelihood_reads_the_column_of_the_true_class():
    assert calibration.negative_log_likelihood(np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.9)) / 2)


@pytest.mark.parametrize("keep", [0.5, 0.85, 0.95, 1])
def test_the_threshold_keeps_the_share_asked_for_and_hardly_more(keep):
    correct = RNG.random(1000)
    threshold = calibration.choose_threshold(correct, keep)
    assert keep <= (correct >= threshold).mean() <= keep + 0.005
    assert threshold == round(threshold, 3)


def test_where_no_answer_is_right_the_threshold_rejects_all_and_nothing_stops():
    assert calibration.choose_threshold(np.array([])) == 1


def test_rejection_counts_what_is_accepted_and_what_is_rejected():
    accepted, rejected = calibration.rejection([0.4, 0.9], [0.3, 0.5, 0.8], [0, 0.5, 1])
    np.testing.assert_allclose(accepted, [1, 0.5, 0])
    np.testing.assert_allclose(rejected, [0, 1 / 3, 1])  # a score at the threshold is accepted


def test_the_average_looks_back_and_never_into_another_session():
    probabilities = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    found = calibration.average_last(probabilities, ["a", "a", "a", "b"], frames=2)
    np.testing.assert_allclose(found, [[1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(calibration.average_last(probabilities, ["a", "a", "a", "b"], frames=1), probabilities)


def test_changes_are_counted_within_sessions():
    assert calibration.share_of_changes([0, 1, 1, 0], ["a", "a", "a", "b"]) == 0.5
    assert np.isnan(calibration.share_of_changes([0, 1], ["a", "b"]))
