"""Which labels are wrong, judged from out-of-fold probabilities.

Models fitted on wrong labels are less confident than they should be, and correct labels
contradict models wherever classes overlap. The two differ in how contradictions depend
on confidence: correct labels rarely contradict a confident model, wrong labels are as
frequent there as elsewhere. So a row has a true class, drawn from sharpened
probabilities, and a label, drawn from the true class's row of a noise matrix; sharpness
and matrix are estimated together by expectation maximization, as are the weights of
several models. Labels that are wrong at random do not depend on what models say of rows
of one true class; where they do, contradictions come of overlap.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

# Initial shares of wrong labels of each class and sharpness of the true probabilities;
# two starts, since strong noise and strong overlap explain the same labels.
STARTS = (0.05, 1.0), (0.2, 2.0)
# Pseudo-counts of correctly labeled rows of each class: no noise without evidence.
PRIOR = 2.0
# Rows are rejected if the probability that their label is wrong exceeds a cut: the best
# one for F1 is half of the best F1, but probabilities are too small where there is much
# noise, or where rows are few and priors pull. No cut is lower than the least one:
# poison is rarer than models fitted on it imply.
LEAST_CUT = 0.15
OF_BEST = 0.35
PULLED = 200  # rows
# Where the area under the curve by which models tell contradicted labels from others of
# the same true class is above the first, some of the rows that are rejected must be
# wrong: the share rises to the last where the area is the second, and beyond.
NO_OVERLAP, OVERLAP, MOSTLY = 0.6, 0.7, 0.5
BARELY = 1 - 1e-9  # so that rounding rejects no row at the cut
# Share of a class, and the chance that its rejected labels are wrong: where more would
# be rejected at a smaller chance, models know too little of the class.
MOST_OF_CLASS, PROBABLY = 0.5, 0.33
# Models tell wrong labels from overlap if they are surer of the true class than this,
# of at least half of the rows.
SURE, LEAST_SURE = 0.8, 0.5
# Where they are sure of fewer rows, no more than some share of all is rejected, the
# most probably wrong labels: the first if they are sure of few, up to the last.
FEW_SURE, MOST_UNSURE, MOST_SURE = 0.35, 0.04, 0.25
OBSERVATIONS = 200  # that the probabilities of several models are worth
MOST_ROUNDS = 30
# Rows that are fitted to, drawn at random; and how many of each class, if it has them.
MOST_FITTED, FEWEST_OF_CLASS = 20_000, 1_000
MOST_HALVINGS = 10
ENOUGH = 1e-4  # change of the matrix
PULL = 1e-3  # penalty that shrinks weights towards zero, per row
# Standard errors of the area under the curve above one half: models without skill
# contradict every row of a rare class.
SKILL = 3.0
EVEN = 1.5  # total penalty of unequal weights, which few rows cannot estimate


class LabelNoise(NamedTuple):
    """A fitted model of wrong labels."""

    weights: np.ndarray  # (n_models,) of log probabilities
    matrix: np.ndarray  # (n_classes, n_classes): true class, label
    true: (
        np.ndarray
    )  # (n_rows, n_classes): probabilities of the true class, label aside
    known: np.ndarray  # (n_classes,): whether models can predict the class
    cut: float = LEAST_CUT  # of the probability that a label is wrong

    def of(self, log_probabilities: np.ndarray) -> "LabelNoise":
        """The same model for other rows."""
        return self._replace(true=_sharpened(self.weights, log_probabilities))

    @property
    def share_sure(self) -> float:
        """The share of rows whose true class is hardly in doubt."""
        return float(np.mean(self.true.max(axis=1) > SURE))

    def chance_of_wrong(self, codes: np.ndarray) -> np.ndarray:
        """The probability that each row's label is not its true class.

        Zero for labels of classes that no model can predict.
        """
        right = self.true[np.arange(len(codes)), codes] * self.matrix[codes, codes]
        wrong = 1 - right / np.sum(self.true * self.matrix[:, codes].T, axis=1)
        return np.where(self.known[codes], wrong, 0.0)


def fit_label_noise(
    log_probabilities: np.ndarray, codes: np.ndarray, row_weights: np.ndarray
) -> LabelNoise:
    """Fit the matrix and the models' weights to labels.

    ``log_probabilities`` has the shape (n_models, n_rows, n_classes).
    """
    runs = [
        _fit_from(share, sharpness, log_probabilities, codes, row_weights)
        for share, sharpness in STARTS
    ]
    best = max(runs, key=lambda noise: _likelihood(noise, codes, row_weights))
    best = best._replace(cut=cut_of(best.chance_of_wrong(codes)))
    return _without_overlap(best, log_probabilities, codes)


def tells_noise(said: np.ndarray, codes: np.ndarray) -> bool:
    """Whether models are sure of enough rows to tell wrong labels from overlap.

    ``said`` are out-of-fold probabilities of shape (n_rows, n_classes).
    """
    logs, rng = smoothed_logs(said[None], [OBSERVATIONS]), np.random.RandomState(0)
    return _fit_to_some(logs, codes, np.ones(len(codes)), rng).share_sure >= LEAST_SURE


def judge_labels(
    said: np.ndarray, counts: np.ndarray, codes: np.ndarray, groups: np.ndarray, rng
) -> tuple[np.ndarray, LabelNoise | None, np.ndarray]:
    """Which rows have out-of-fold predictions, the noise, and chances of wrong labels.

    ``said`` has the shape (n_models, n_rows, n_classes), NaN for rows without
    predictions, whose chances are 0; rows of a group count as one.
    """
    judged = ~np.isnan(said).any(axis=(0, 2))
    chances = np.zeros(len(codes))
    if not judged.any():
        return judged, None, chances
    logs = smoothed_logs(said[:, judged], counts)
    weights = 1 / np.bincount(groups)[groups[judged]]
    noise = _fit_to_some(logs, codes[judged], weights, rng)
    noise = _without_doubtful_classes(noise, codes[judged])
    noise = _cautious(noise, codes[judged])
    chances[judged] = noise.chance_of_wrong(codes[judged])
    return judged, noise, chances


def _without_doubtful_classes(noise, codes):
    """Call classes unknown most of whose labels would be rejected, each with doubt."""
    chances, known = noise.chance_of_wrong(codes), noise.known.copy()
    for code in np.unique(codes[chances > noise.cut]):
        own = chances[codes == code]
        rejected = own[own > noise.cut]
        if len(rejected) > MOST_OF_CLASS * len(own) and rejected.mean() < PROBABLY:
            known[code] = False
    return noise._replace(known=known)


def _cautious(noise, codes):
    """Reject few labels where models are sure of few rows: most contradict by overlap.

    Noise that would explain the contradictions cannot be told there from overlap.
    """
    share = noise.share_sure
    if share >= LEAST_SURE:
        return noise
    ends = [FEW_SURE, LEAST_SURE], [MOST_UNSURE, MOST_SURE]
    most = int(np.interp(share, *ends) * len(codes))
    cut = float(np.sort(noise.chance_of_wrong(codes))[::-1][most])
    return noise._replace(cut=min(max(noise.cut, cut), BARELY))


def _fit_to_some(logs, codes, weights, rng):
    """Fit to a random part of many rows, in which rare classes are kept."""
    if len(codes) <= MOST_FITTED:
        return fit_label_noise(logs, codes, weights)
    sizes = np.bincount(codes)
    drawn = np.ceil(sizes * (MOST_FITTED / len(codes))).astype(np.intp)
    drawn = np.minimum(sizes, np.maximum(drawn, FEWEST_OF_CLASS))
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(codes == code), n, replace=False)
            for code, n in enumerate(drawn)
        ]
    )
    of_class = codes[rows]
    weights = weights[rows] * (sizes / np.maximum(drawn, 1))[of_class]
    noise = fit_label_noise(logs[:, rows], of_class, weights).of(logs)
    return noise._replace(cut=cut_of(noise.chance_of_wrong(codes)))


def cut_of(chances: np.ndarray) -> float:
    """Where to cut probabilities that labels are wrong, from the F1 that they promise.

    Examples
    --------
    Where it is clear which labels are wrong, doubtful ones are kept:

    >>> import numpy as np
    >>> cut_of(np.repeat([0.0, 0.2, 0.99], [900, 40, 60])) > 0.2
    True
    >>> cut_of(np.repeat([0.0, 0.2], [900, 40]))
    0.15
    """
    ordered = np.sort(chances)[::-1]
    expected = ordered.sum()
    n_rejected = np.arange(1, len(ordered) + 1)
    promised = 2 * np.cumsum(ordered) / (n_rejected + expected)
    share = OF_BEST * len(ordered) / (len(ordered) + PULLED)
    return max(LEAST_CUT, share * float(promised.max(initial=0.0)))


def _without_overlap(noise, log_probabilities, codes):
    """Less noise between classes whose labels are contradicted where they overlap.

    There it is so little that most of the rows beyond the cut are wrong, or fewer, the
    less the classes overlap.
    """
    matrix = noise.matrix.copy()
    chances, true = noise.chance_of_wrong(codes), noise.true.argmax(axis=1)
    rejected = (chances > noise.cut) & (true != codes)
    for one, label in np.unique(np.column_stack([true, codes])[rejected], axis=0):
        rows = (true == one) & ((codes == one) | (codes == label))
        margins = log_probabilities[:, rows, label] - log_probabilities[:, rows, one]
        area = _area(margins, codes[rows] == label)
        needed = MOSTLY * np.clip((area - NO_OVERLAP) / (OVERLAP - NO_OVERLAP), 0, 1)
        of_pair = chances[rejected & (true == one) & (codes == label)]
        cut = _cut_of_share(of_pair, needed)
        if cut > noise.cut:
            kept = BARELY * _odds(noise.cut) / _odds(cut)
            matrix[one, one] += (1 - kept) * matrix[one, label]
            matrix[one, label] *= kept
    return noise._replace(matrix=matrix)


def _cut_of_share(chances, needed):
    """The cut above which such a share of labels is wrong; 0 where of all it is."""
    ordered = np.sort(chances)[::-1]
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    n_above = np.count_nonzero(means >= needed)
    return min(ordered[n_above], 1 - 1e-9) if n_above < len(ordered) else 0.0


def _odds(chance):
    return chance / (1 - chance)


def _fit_from(share, sharpness, log_probabilities, codes, row_weights):
    n_models, _, n_classes = log_probabilities.shape
    weights = np.full(n_models, sharpness / n_models)
    matrix = np.full((n_classes, n_classes), share / max(n_classes - 1, 1))
    np.fill_diagonal(matrix, 1 - share)
    for _ in range(MOST_ROUNDS):
        true = _sharpened(weights, log_probabilities)
        given = true * matrix[:, codes].T
        given /= given.sum(axis=1, keepdims=True)
        given *= row_weights[:, None]
        previous, matrix = matrix, _matrix(given, codes)
        weights = _weights(weights, log_probabilities, given)
        if np.abs(matrix - previous).max() < ENOUGH:
            break
    known = predictable_classes(log_probabilities, codes)
    return LabelNoise(weights, matrix, _sharpened(weights, log_probabilities), known)


def _likelihood(noise, codes, row_weights):
    """Log likelihood of the labels, plus the log priors of matrix and weights."""
    of_labels = np.sum(noise.true * noise.matrix[:, codes].T, axis=1)
    total = row_weights.sum()
    apart = noise.weights - noise.weights.mean()
    pulled = PULL * total * (noise.weights @ noise.weights) + EVEN * (apart @ apart)
    right = PRIOR * np.log(np.diag(noise.matrix)).sum()
    return row_weights @ np.log(of_labels) + right - pulled / 2


def _sharpened(weights, log_probabilities):
    logits = np.tensordot(weights, log_probabilities, 1)
    return np.exp(logits - _log_sums(logits)[:, None])


def _matrix(given, codes):
    n_classes = given.shape[1]
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts.T, codes, given)
    counts += PRIOR * np.eye(n_classes)
    return counts / counts.sum(axis=1, keepdims=True)


def _weights(start, log_probabilities, given):
    """One step of Newton's method on weights that are at least 0, halved if need be."""
    of_rows = given.sum(axis=1)
    total = of_rows.sum()
    even = EVEN / total
    own = np.tensordot(log_probabilities, given, 2) / total

    def loss(weights, logits):
        apart = weights - weights.mean()
        pulled = (PULL * (weights @ weights) + even * (apart @ apart)) / 2
        return of_rows @ _log_sums(logits) / total - weights @ own + pulled

    logits = np.tensordot(start, log_probabilities, 1)
    true = np.exp(logits - _log_sums(logits)[:, None])
    means = np.sum(true * log_probabilities, axis=2)
    apart = log_probabilities - means[:, :, None]
    spread = (apart * true * of_rows[:, None]).reshape(len(start), -1)
    curvature = spread @ apart.reshape(len(start), -1).T / total
    curvature += (PULL + even) * np.eye(len(start)) - even / len(start)
    slope = means @ of_rows / total - own
    slope += PULL * start + even * (start - start.mean())
    step = np.linalg.solve(curvature, slope)
    before = loss(start, logits)
    for _ in range(MOST_HALVINGS):
        weights = np.maximum(start - step, 0)
        if loss(weights, np.tensordot(weights, log_probabilities, 1)) <= before:
            return weights
        step /= 2
    return start


def _log_sums(logits):
    """Logarithms of sums of exponentials, by rows."""
    largest = logits.max(axis=1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))


def predictable_classes(probabilities: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Which classes some model predicts out of fold better than by chance.

    One model is enough, since far rows can spoil linear ones. Probabilities, or their
    logarithms, have shape (n_models, n_rows, n_classes). The Mann–Whitney test compares
    their ranks, which depend neither on the frequency of the class nor on calibration.
    """
    _, n_rows, n_classes = probabilities.shape
    known = np.zeros(n_classes, dtype=bool)
    for code in range(n_classes):
        own = codes == code
        n_own, n_other = own.sum(), n_rows - own.sum()
        if not n_own or not n_other:
            continue
        error = np.sqrt((n_rows + 1) / (12.0 * n_own * n_other))
        known[code] = _area(probabilities[:, :, code], own) > 0.5 + SKILL * error
    return known


def _area(values, chosen):
    """Area under the curve of the chosen rows, by the values of the best model.

    Values have shape (n_models, n_rows).
    """
    n_chosen, n_other = chosen.sum(), np.sum(~chosen)
    if not n_other:
        return 1.0
    ranks = rankdata(values, axis=1)[:, chosen].mean(axis=1).max()
    return (ranks - (n_chosen + 1) / 2) / n_other


def smoothed_log(probabilities: np.ndarray, counts: float) -> np.ndarray:
    """Logarithms of probabilities, smoothed as if estimated from so many rows."""
    n_classes = probabilities.shape[1]
    return np.log((counts * probabilities + 1 / n_classes) / (counts + 1))


def smoothed_logs(said: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The same for each model, with its own number of rows."""
    return np.stack([smoothed_log(p, n) for p, n in zip(said, counts, strict=True)])
