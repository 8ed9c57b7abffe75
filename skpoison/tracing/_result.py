"""The result of tracing a prediction."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skpoison._words import counted, name_text, percent_text

NEARLY_ALL = 0.5  # of the set's rows must share what the sentence mentions
UNUSUAL, STRIKING = 0.01, 0.001
FEW = 0.05  # of the other errors look the same
UNDECIDED = 0.1  # by which the probability of a wrong label exceeds that of the right
COPIES, CONTRADICTED = "near copies", "contradicted"


@dataclass(kw_only=True, eq=False, repr=False)
class Trace:
    """Training rows that are responsible for predictions, and a set that undoes them.

    Returned by :func:`trace`.

    Parameters
    ----------
    ranking_ : ndarray of shape (n_samples,), int
        Training rows from the most to the least responsible: those of the removal set,
        then the others, each by falling contributions.
    contributions_ : ndarray of shape (n_samples,), float64
        How responsible each training row is, by the method that was followed first;
        higher is more. They do not depend on `max_removed`, and rows of a removal set
        that another method led to may have little.
    scores_ : dict of str to ndarray of shape (n_samples,)
        The same by every method that was computed.
    method_ : str
        The method whose ranking led to the removal set; without one, the method that
        was followed first.
    removal_set_ : ndarray of shape (n_removed,), int, or None
        Training rows, the most responsible first. An estimator that was really fitted
        without them predicts every target right. None if no such set was found.
    reason_ : str or None
        Why there is no removal set.
    prediction_ : ndarray of shape (n_targets,)
        What the estimator predicts, fitted on all rows.
    removed_prediction_ : ndarray of shape (n_targets,) or None
        What it predicts, fitted without the removal set.
    probability_, removed_probability_ : ndarray of shape (n_targets, 2) or None
        Probabilities of the label that is predicted and of the one that would be right
        (or the most probable other one, if any is), by the model that was fitted on all
        rows and by the one without the removal set. Scores of classifiers without
        ``predict_proba`` are turned into such by a logistic or softmax function. None
        for regressors, nets, and classifiers without scores.
    shared_ : list of :class:`~sklearn.utils.Bunch`
        What rows of the removal set have in common (without one, of the `max_removed_`
        rows that are blamed most), the most unusual first: ``column``
        ("label", "near copies", "contradicted" or a name given by `by`), ``value``,
        ``n_rows`` of the set that have it, their ``share`` of the set,
        ``share_of_all`` training rows, and ``p_value``, the probability that as many
        of randomly drawn rows have it (hypergeometric, times the number of values in
        the set).
    groups_ : list of :class:`~sklearn.utils.Bunch`
        What is predicted without all rows of a value of a column given by `by`, however
        many these are, the values that matter most first: ``column``, ``value``,
        ``n_rows`` that have it, ``n_right`` of the targets that the estimator, fitted
        without these, predicts right, and ``p_value``, as in `shared_`, of the value
        among the rows that are blamed most. Values of more than half of the rows, and
        those of fewer than two blamed rows, are left out; of nets, no more than five
        are tried, and right is what is so in several trainings.
    p_value_ : float or None
        Share of the model's other errors (training rows that models fitted without
        them predict wrong, and the targets) that are undone without the rows around
        them, and whose rows contradict such a model as often; judged as if the rows
        around the targets were not there. 1 if that is not so of the targets
        themselves. None if it was not computed: for regressors, without a removal set,
        without other errors, or with a `method` other than "auto".
    n_fits_ : int
        Number of estimators that were fitted.
    max_removed_ : int
        The most rows that a removal set could have had.
    X_target : array-like of shape (n_targets, n_features)
        The rows whose predictions were traced.
    y_target : ndarray of shape (n_targets,) or (n_targets, 2), or None
        The labels that would be right, for regressors the lowest and highest number;
        None if any other label would be.
    tolerance_ : float or None
        For a regressor that was given the numbers that would be right, how far off them
        a prediction may be: the usual size of errors, 1.4826 times their median, of
        models of a cross-validation (of nets, on training rows).
    n_samples_ : int
        Number of training rows.

    See Also
    --------
    trace : Traces predictions of an estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skpoison import trace
    >>> X, y = load_iris(return_X_y=True)
    >>> y[:3] = 2
    >>> model = KNeighborsClassifier(1).fit(X, y)
    >>> found = trace(model, X, y, X[[1]], [0], random_state=0)
    >>> found.removal_set_
    array([1])
    >>> print(found.summary())
    Without this row (0.7 % of 150) the model predicts 0 instead of 2. Of the model's
    other errors, 31.2 % look the same.
    """

    ranking_: np.ndarray
    contributions_: np.ndarray
    scores_: dict[str, np.ndarray]
    method_: str
    removal_set_: np.ndarray | None
    reason_: str | None
    prediction_: np.ndarray
    removed_prediction_: np.ndarray | None
    X_target: Any
    y_target: np.ndarray | None
    max_removed_: int
    tolerance_: float | None = None
    probability_: np.ndarray | None = None
    removed_probability_: np.ndarray | None = None
    n_fits_: int = 0
    shared_: list[Bunch] = field(default_factory=list)
    groups_: list[Bunch] = field(default_factory=list)
    p_value_: float | None = None

    @property
    def n_samples_(self) -> int:
        """Number of training rows."""
        return len(self.contributions_)

    def __repr__(self) -> str:
        return f"<Trace: {self.summary()}>"

    def summary(self) -> str:
        """Return what was found, as a sentence or two.

        Returns
        -------
        summary : str
            For people: the removal set's size, what its rows have in common, and what
            is predicted without them; or why there is no removal set.
        """
        if self.removal_set_ is None or self.removed_prediction_ is None:
            right = self._range().strip(" ()").capitalize()
            right = [f"{right}."] if right else []
            found = [f"{self.reason_}", *right, *self._of_the_blamed(), *self._groups()]
            return " ".join(found)
        n_rows = len(self.removal_set_)
        rows = "this row" if n_rows == 1 else f"these {counted(n_rows, 'row')}"
        share = percent_text(n_rows / self.n_samples_)
        what = f"Without {rows} ({share} of {self.n_samples_:,}){self._common()} "
        text = f"{what}the model predicts {self._change()}{self._contradicted()}."
        parts = [text, *self._doubted(), *self._calibrated(), *self._groups()]
        return " ".join(parts)

    def _of_the_blamed(self):
        """What the rows that are blamed most share, where there is no removal set."""
        common = self._shared_texts()
        if not common:
            return []
        blamed = counted(self.max_removed_, "row")
        return [f"The {blamed} blamed most: {', '.join(common)}."]

    def _groups(self):
        """What is right without the source that matters most, if it is blamed."""
        blamed = [one for one in self.groups_ if one.p_value < UNUSUAL and one.n_right]
        if not blamed:
            return []
        one, n_targets = blamed[0], len(self.prediction_)
        right = f"{one.n_right:,} of {n_targets:,} are right"
        if n_targets == 1:
            right = "the prediction is right"
        rows = counted(one.n_rows, "row")
        value = f"{name_text(one.column)} {name_text(one.value)}"
        return [f"Without the {rows} with {value}, {right}."]

    def _doubted(self):
        """What speaks against taking the set for the cause, as sentences."""
        found = []
        if not self._is_of_the_blamed():
            found.append(
                f"The set was found by {self.method_!r}, and most of it is not among "
                "the rows that are blamed most."
            )
        before, after = self.probability_, self.removed_probability_
        if before is None or after is None:
            return found
        if (before[:, 0] - before[:, 1] >= UNDECIDED).any():
            return found
        if len(before) > 1:
            return [
                *found,
                "All of the predictions were undecided.",
            ]
        return [
            *found,
            f"The prediction was undecided (probability of what is right: "
            f"{before[0, 1]:.3f} before, {after[0, 1]:.3f} after), so that other rows "
            "may turn it as well.",
        ]

    def _is_of_the_blamed(self):
        """Whether half of the set is among as many rows as a set may have."""
        own = self.contributions_[self.removal_set_]
        ranks = np.count_nonzero(self.contributions_ > own[:, np.newaxis], axis=1)
        return np.mean(ranks < self.max_removed_) >= NEARLY_ALL

    def _common(self):
        found = self._shared_texts()
        return f", {', '.join(found)}," if found else ""

    def _shared_texts(self):
        return [
            _in_common(one)
            for one in self.shared_
            if one.share > NEARLY_ALL
            and one.p_value < UNUSUAL
            and one.column != CONTRADICTED
        ]

    def _contradicted(self):
        for one in self.shared_:
            if one.column == CONTRADICTED and one.n_rows > 1:
                which = "all" if one.share == 1.0 else f"{one.n_rows:,}"
                return f", and contradicts {which} of them"
        return ""

    def _change(self):
        if len(self.prediction_) > 1 or self.removed_prediction_ is None:
            return f"all {len(self.prediction_)} targets right{self._range()}"
        new, old = self.removed_prediction_[0], self.prediction_[0]
        return f"{_shown(new)} instead of {_shown(old)}{self._range()}"

    def _range(self):
        """What counts as right, where that is not a label."""
        if self.y_target is None or np.ndim(self.y_target) != 2:
            return ""
        low, high = self.y_target[0]
        is_one = len(self.y_target) == 1
        if self.tolerance_ is not None:
            of = f"{(low + high) / 2:.4g}" if is_one else "the numbers given"
            return f" (right is within {self.tolerance_:.4g} of {of})"
        return f" (right is from {low:.4g} to {high:.4g})" if is_one else ""

    def _calibrated(self):
        if self.p_value_ is None:
            return []
        striking = self._striking()
        if striking is not None and self.p_value_ > FEW:
            what = "are near copies"
            if striking.column != COPIES:
                what = f"have the same {name_text(striking.column)}"
            return [
                f"That so many of them {what} is no coincidence (the probability is "
                f"{striking.p_value:.1g})."
            ]
        if self.p_value_ == 1.0:
            return ["The rows around it do not set it apart from other errors."]
        share = percent_text(self.p_value_)
        return [f"Of the model's other errors, {share} look the same."]

    def _striking(self):
        """What the set's rows share that rows drawn at random hardly ever do."""
        found = [
            one
            for one in self.shared_
            if one.p_value < STRIKING and one.column not in ("label", CONTRADICTED)
        ]
        return min(found, key=lambda one: one.p_value, default=None)


def _in_common(one):
    """What rows share, as a part of a sentence."""
    which = "all" if one.share == 1.0 else f"{one.n_rows:,}"
    if one.column == COPIES:
        return f"{which} near copies of row {one.value}"
    return f"{which} with {name_text(one.column)} {name_text(one.value)}"


def _shown(prediction):
    if isinstance(prediction, float | np.floating):
        return f"{prediction:.4g}"
    return name_text(prediction)
