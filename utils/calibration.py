"""Is a probability worth its name, and when is "none of these" the better answer?

Probabilities are what a model gives: arrays (N, classes) whose rows add up to 1. A Core ML file of this course
carries two numbers in its user-defined metadata, as text, and every client reads them there: `temperature`, by which it
divides log-probabilities before it shows them, and `threshold`, below which the largest of them means "none of these".

Works with NumPy alone.
"""
import numpy as np

TINY = 1e-12  # a probability of 0 has no logarithm
TEMPERATURES = np.geomspace(0.1, 10, 401)  # neighbours differ by 1.2 %


def with_temperature(probabilities, temperature):
    """softmax(log(p) / T): probabilities (N, classes) made less sure (T > 1) or surer (T < 1). The order stays.

    The same as softmax(logits / T) of Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2: logits
    are log(p) up to a constant per row, which the softmax cancels. Raises ValueError unless T > 0.
    """
    if not temperature > 0:
        raise ValueError(f"The temperature is {temperature}; it must be above 0.")
    logits = np.log(np.maximum(probabilities, TINY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def negative_log_likelihood(probabilities, targets):
    """Mean of -log(probability of the true class), 0 where each is 1. targets: integers (N,)."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], TINY)).mean())


def fit_temperature(probabilities, targets):
    """The temperature, of TEMPERATURES, with the least negative log-likelihood. targets: integers (N,)."""
    losses = [negative_log_likelihood(with_temperature(probabilities, t), targets) for t in TEMPERATURES]
    return float(TEMPERATURES[np.argmin(losses)])


def reliability(probabilities, targets, bins=10):
    """How often the prediction is correct where the largest probability lies in each of `bins` equal intervals of 0..1.

    Returns three arrays (bins,): mean confidence and accuracy, NaN in an empty bin, and the number of photographs.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins)
    divisor = np.where(n, n, np.nan)
    return (np.bincount(which, confidence, bins) / divisor, np.bincount(which, correct, bins) / divisor, n)


def calibration_error(probabilities, targets, bins=10):
    """Expected calibration error, 0..1: |confidence - accuracy| of the bins of `reliability`, weighted by their
    photographs (Guo et al. 2017, section 2)."""
    confidence, accuracy, n = reliability(probabilities, targets, bins)
    return float(np.nansum(np.abs(confidence - accuracy) * n) / n.sum())


def choose_threshold(correct, keep=0.95):
    """The largest threshold that at least the share `keep` of the scores reaches, rounded down to three decimals.

    correct: scores 0..1 of correct predictions; where there is none, nothing is lost by the largest threshold, 1.
    """
    ordered = np.sort(correct)
    if not len(ordered):
        return 1.0
    return float(np.floor(1000 * ordered[int(np.floor((1 - keep) * len(ordered) + 1e-9))]) / 1000)


def rejection(correct, unknown, thresholds):
    """Two arrays, one entry per threshold: the share of correct predictions that are accepted (score >= threshold) and
    the share of unknown objects that are rejected (score < threshold). correct, unknown: their scores, 0..1."""
    thresholds = np.asarray(thresholds)[:, None]
    return (np.asarray(correct) >= thresholds).mean(axis=1), (np.asarray(unknown) < thresholds).mean(axis=1)


def average_last(probabilities, sessions, frames):
    """Each frame's probabilities averaged with those of the `frames` - 1 before it in its session: an array (N,
    classes).

    probabilities: (N, classes), frames of a session in order; sessions: N names. The first frames of a session have
    fewer before them.
    """
    probabilities, sessions = np.asarray(probabilities, float), np.asarray(sessions)
    averaged = np.empty_like(probabilities)
    for session in dict.fromkeys(sessions.tolist()):
        rows = np.flatnonzero(sessions == session)
        for i, row in enumerate(rows):
            averaged[row] = probabilities[rows[max(0, i + 1 - frames):i + 1]].mean(axis=0)
    return averaged


def share_of_changes(answers, sessions):
    """How often an answer differs from that of the frame before it in the same session, 0..1.

    answers, sessions: N values each, frames of a session one after the other. NaN where no session has two frames.
    """
    answers, sessions = np.asarray(answers), np.asarray(sessions)
    same = sessions[1:] == sessions[:-1]
    return float((answers[1:] != answers[:-1])[same].mean()) if same.any() else np.nan
