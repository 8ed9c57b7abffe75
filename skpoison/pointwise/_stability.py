"""How far a regularized linear model moves if rows are added, removed or relabeled."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skpoison.feasible import FeasibleSet
from skpoison.pointwise._learner import StableLearner, learner_of
from skpoison.pointwise._moves import Metric, Moves, Slopes

GROWTH = 1.5  # from one number of rows that is tried to the next
MOST_DENSE = 3_000  # features of sparse rows whose curvature is looked at
ROUNDS = 2  # of tightening how far the parameters move
UNLIMITED = 2**31


def stable_radius(estimator, X, attack, training):
    """Return radii of regularized linear classifiers from their strong convexity."""
    learner, train = learner_of(estimator, training)
    signed = _signed(learner.augmented(train.X), train.signs)
    sets = [] if attack == "flip" else _insertions(estimator, training.filter)
    moves = Moves(-signed, sets, learner.has_intercept, attack == "change")
    X = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=np.float64)
    tests = learner.augmented(X)
    tests = tests.toarray() if sparse.issparse(tests) else tests
    return _Stability.of(learner, moves, attack == "flip").radius(tests)


def _signed(rows, signs):
    if sparse.issparse(rows):
        return sparse.csr_array(rows.multiply(signs[:, None]))
    return rows * signs[:, None]


def _insertions(estimator: BaseEstimator, filter_: Any) -> list:
    """Return the regions of rows that can be inserted, with their labels' signs."""
    if filter_ is None:
        raise ValueError(
            "filter is needed, because inserted rows of unlimited length can move "
            f"{type(estimator).__name__} arbitrarily far. Give a fitted filter that "
            "training rows must pass, such as SphereFilter, or use attack='flip'."
        )
    feasible: FeasibleSet = filter_.feasible_set()
    if not feasible.is_bounded:
        raise ValueError(
            f"filter must be bounded; rows of any length pass {filter_!r}."
        )
    return [(2 * code - 1, feasible[c]) for code, c in enumerate(estimator.classes_)]


class _Stability(NamedTuple):
    """A learner, the moves against it, and its training rows' margins and lengths."""

    learner: StableLearner
    moves: Moves
    is_flip: bool
    margins: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, learner, moves, is_flip):
        margins = -np.asarray(moves.rows @ learner.theta)
        return cls(learner, moves, is_flip, margins, Metric().lengths(moves.rows))

    def radius(self, tests: np.ndarray) -> np.ndarray:
        """Return how many moves leave the signs of the scores of rows."""
        learner = self.learner
        scores = tests @ learner.theta
        slack = np.abs(scores) - 2.0 * learner.distance * Metric().lengths(tests)
        towards = -np.where(scores > 0, 1.0, -1.0)[:, None] * tests
        per_move = self.shift(self.slopes(0.0), Metric(), towards)
        if self.moves_penalty:
            # n of the penalty's n + k parts are left: the slack shrinks by as much.
            per_move = per_move + np.maximum(slack, 0.0) / learner.n_rows
        radius = _whole(slack, per_move)
        if self.can_be_tightened:
            self._tighten(radius, slack, towards)
        return radius

    @property
    def moves_penalty(self) -> bool:
        """Whether the penalty grows with the number of rows, which moves change."""
        return self.learner.per_row and not (self.is_flip or self.moves.replaces)

    @property
    def can_be_tightened(self) -> bool:
        """Whether more is known of the curvature than that of the penalty."""
        if self.learner.in_ball:
            return False
        if not self.learner.is_smooth:
            return True
        rows = self.moves.rows
        return not (sparse.issparse(rows) and rows.shape[1] > MOST_DENSE)

    def _tighten(self, radius, slack, towards):
        """Raise radii by what is known of the way, for one number of rows at a time.

        What holds for some number of moves holds for fewer. For more of them, less is
        known: rows whose radius stays below that number need not be looked at again.
        """
        limit = self.learner.n_rows if self.moves_penalty else UNLIMITED
        left = np.flatnonzero((slack > 0) & (radius < limit))
        most = 1.0
        while len(left):
            most = np.ceil(GROWTH * most)
            if most >= limit:
                return
            found = self._tightened(most, slack[left], towards[left])
            found = np.minimum(found, int(most))
            radius[left] = np.maximum(radius[left], found)
            left = left[found == most]

    def _tightened(self, most, slack, towards):
        if self.learner.is_smooth:
            metric, slopes = self.on_the_way(most)
            return _whole(slack, self.shift(slopes, metric, towards))
        # With hinges, what comes and goes is all that moves, but for rows on the kink.
        slopes = self.slopes(self.moved(most))
        shift = self.shift(slopes, Metric(excess=0.0), towards)
        rest = slack * self.ridge(most) - self.crossings(most, towards)
        return _whole(rest, shift)

    def shift(self, slopes: Slopes, metric: Metric, towards: np.ndarray) -> np.ndarray:
        """Return how far one move can shift scores along directions."""
        learner = self.learner
        solved, lengths = metric.directions(towards)
        shift = learner.C * self.moves.worst(slopes, metric, solved, lengths)
        if not self.moves_penalty:
            return shift
        # The penalty of one row more or less shifts scores along the parameters.
        length = metric.lengths(learner.theta[None])[0]
        away = learner.distance / np.sqrt(metric.ridge)
        more = metric.along * np.abs(learner.theta @ solved)
        more += lengths * (metric.across * length + away)
        return shift + more / learner.n_rows

    def slopes(self, moved: float | np.ndarray) -> Slopes:
        """Return the slopes of rows that can come or go, where margins have moved.

        `moved` is how far the parameters are from the exact minimizer, or by how much
        the margin of each training row can have fallen and, last, that of each set.
        """
        learner, n = self.learner, len(self.margins)
        longest = np.array(self.moves.longest(Metric()))
        if np.ndim(moved) == 0:
            moved = moved * np.append(self.lengths, longest)
        moved = moved + learner.distance * np.append(self.lengths, longest)
        least = np.array(self.moves.least_margins(learner.theta))
        of_sets = learner.slopes(least - moved[n:])
        if self.is_flip:
            return Slopes(learner.slopes_of_flips(self.margins, moved[:n]), [])
        return Slopes(learner.slopes(self.margins - moved[:n]), of_sets.tolist())

    def longest_move(self, slopes: Slopes, metric: Metric) -> float:
        """Return how far one move can shift the parameters, in a metric."""
        learner = self.learner
        lengths = [(slopes.of_rows * metric.lengths(self.moves.rows)).max()]
        lengths += np.multiply(slopes.of_sets, self.moves.longest(metric)).tolist()
        longest = max(lengths)
        if self.moves.replaces:
            longest = lengths[0] + max(lengths[1:])
        longest *= learner.C
        if self.moves_penalty:
            length = metric.lengths(learner.theta[None])[0]
            away = learner.distance / np.sqrt(metric.ridge)
            longest += (length + away) / learner.n_rows
        return float(longest)

    def ridge(self, most: float) -> float:
        """Return what is left of the penalty after so many moves."""
        if not self.moves_penalty:
            return 1.0
        return 1.0 - most / self.learner.n_rows

    def moved(self, most: float) -> float:
        """Return how far the parameters are after so many moves, at most."""
        metric = Metric()
        longest = self.longest_move(self.slopes(0.0), metric)
        return most * longest / self.ridge(most)

    def on_the_way(self, most: float) -> tuple[Metric, Slopes]:
        """Return curvature and slopes that hold for so many moves.

        How far the parameters move says how large slopes are and how curvatures vary
        on the way, and these say how far the parameters move.
        """
        learner, n = self.learner, len(self.margins)
        every = np.append(self.lengths, self.moves.longest(Metric()))
        widths = self.moved(most) * every
        for i in range(ROUNDS):
            slopes = self.slopes(widths)
            away = learner.distance * self.lengths
            metric = self._metric(most, widths[:n] + away)
            if i < ROUNDS - 1:
                lengths = np.append(
                    metric.lengths(self.moves.rows), self.moves.longest(metric)
                )
                moved = most * self.longest_move(slopes, metric)
                widths = np.minimum(widths, moved * lengths)
        return metric, slopes

    def _metric(self, most, widths):
        learner, ridge = self.learner, self.ridge(most)
        low, high = learner.curvature(self.margins, widths)
        K = _weighted_outer(self.moves.rows, learner.C * low)
        above = _weighted_outer(self.moves.rows, learner.C * (high - low))
        diagonal = np.diag_indices_from(K)
        K[diagonal] += ridge
        above[diagonal] += 2.0 * (1.0 - ridge)
        return Metric(K, above, ridge=ridge)

    def crossings(self, most: float, towards: np.ndarray) -> np.ndarray:
        """Return how far hinges that open or close on the way can shift scores.

        Between hinges the parameters move by exactly the sum of what comes and goes.
        """
        learner = self.learner
        around = (self.moved(most) + learner.distance) * self.lengths + 1e-9
        crossing = np.flatnonzero(np.abs(self.margins - 1.0) <= around)
        changes = -np.asarray(towards @ self.moves.rows[crossing].T)
        known = learner.distance * self.lengths[crossing] + 1e-9
        # A hinge that is open can only close, and one that is closed only open.
        may_open = self.margins[crossing] > 1.0 - known
        may_close = self.margins[crossing] < 1.0 + known
        changes = may_open * np.maximum(changes, 0) + may_close * np.maximum(
            -changes, 0
        )
        return learner.C * changes.sum(axis=1)


def _weighted_outer(rows, weights):
    if sparse.issparse(rows):
        return (rows.T.multiply(weights) @ rows).toarray()
    taken = np.flatnonzero(weights > 0.0)
    scaled = rows[taken] * np.sqrt(weights[taken])[:, None]
    return scaled.T @ scaled


def _whole(slack, per_move):
    """Return the largest number of moves that leave each score its sign."""
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = np.ceil(slack / per_move * (1.0 - 1e-12)) - 1.0
    numbers = np.where(slack > 0, numbers, 0.0)
    return np.clip(np.nan_to_num(numbers, posinf=UNLIMITED), 0, UNLIMITED).astype(
        np.intp
    )
