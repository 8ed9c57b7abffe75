"""Rows whose gradients stand out are rejected, in rounds."""

from numbers import Integral

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_method_params

from skpoison._fitted import fit_clone
from skpoison._inner import InnerEstimatorMixin, check_classes_weigh
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters import _losses
from skpoison.filters._distance import BaseContaminationFilter
from skpoison.filters._losses import fit_logistic
from skpoison.filters._principal import principal_directions
from skpoison.filters._threshold import (
    contradicted_rows,
    estimate_radius,
    rounding_slack,
)


class SeverFilter(InnerEstimatorMixin, BaseContaminationFilter):
    """Keep the rows whose gradients are similar to those of the rest of their class.

    In each round, a linear classifier is fitted on the remaining rows; the gradients of
    the loss at its parameters, one for each row, are centered within each class; and
    the rows of the class with the largest squared projections on the top right singular
    vector are rejected. Each round rejects about the same number of rows, so that after
    the last one the percentile of each class is left; or, with
    ``contamination="auto"``, as many as have labels that the classifier contradicts,
    and rounds end when there are none. Poison can change the parameters only through
    its gradients, and is detected if these are large and similar.

    A row is kept if it passes all rounds. With one class, or without labels, there is
    nothing to fit: the filter keeps every row, with a warning.

    Parameters
    ----------
    percentile : float or "auto", default=None
        Percentage of the rows of each class that are kept, in (0, 100]; interpolated
        linearly. None and "auto" leave it to ``contamination``.
    contamination : "auto" or float, default="auto"
        Share of the rows of each class that are rejected, in (0, 0.5]:
        ``percentile = 100 * (1 - contamination)``. The paper rejects up to
        twice the share of poison that it expects. "auto": as many of each class as
        the label of another class suits, under which their loss is smaller, and no
        more than the mean loss of the rows of that class [2]_; at most half, in every
        round.
    estimator : classifier, default=None
        A linear classifier, with ``coef_`` and ``decision_function``, or a
        :class:`~sklearn.pipeline.Pipeline` that ends in one (gradients are then those
        of its last step); ``LogisticRegression(max_iter=1000)`` by default, around
        their mean where dense rows are far from the origin. One that is given gets the
        rows as they are.
    loss : {"auto", "hinge", "log_loss", "squared"}, default="auto"
        The loss whose gradients are used. "auto" is the log loss for classifiers with
        ``predict_proba``, and the hinge loss for others.
    n_rounds : int, default=4
        Number of rounds.
    random_state : int, RandomState instance or None, default=None
        Controls the initial vector of the search for the direction (with more than 1000
        parameters), and the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    rounds_ : list of :class:`~sklearn.utils.Bunch`
        Of each round the ``estimator``, and for each class the ``centers`` and the
        ``directions`` of gradients (n_classes, n_parameters) and the ``radii``, the
        largest squared projections that are kept (a few rounding errors above the
        percentile). No rounds with one class.
    estimator_ : classifier or None
        The classifier of the last round; None with one class.
    radii_ : ndarray of shape (n_classes,)
        The radii of the last round, float64.
    offset_ : float
        0.0: scores are decisions.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the smallest difference, over the rounds, of
        radius and squared projection, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if both ``percentile`` and ``contamination`` are given. If X holds
        values whose squares overflow.
    TypeError
        At fit, if the classifier is not linear.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes.

    See Also
    --------
    SpectralFilter : The same on the rows themselves.
    LossFilter : Uses the loss instead of its gradients.

    References
    ----------
    .. [1] I. Diakonikolas et al., "Sever: A Robust Meta-Algorithm for Stochastic
       Optimization", ICML 2019, algorithms 1 and 2, in the form of section 5: a fixed
       share of each class is rejected in each of four rounds.
    .. [2] C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
       Uncertainty in Dataset Labels", JAIR 70, 2021, section 3.1 (how many labels are
       wrong).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import SeverFilter
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(220, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> X[:10], y[:10] = [9, 9, 9, 9, 9], 0
    >>> sever = SeverFilter(contamination=0.1).fit(X, y)
    >>> sever.inlier_mask_[:10].any()
    np.False_
    """

    _parameter_constraints: dict = {
        **BaseContaminationFilter._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "loss": [StrOptions({"auto", *_losses.NAMES})],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        percentile: float | str | None = None,
        *,
        contamination: float | str | None = "auto",
        estimator: BaseEstimator | None = None,
        loss: str = "auto",
        n_rounds: int = 4,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile, contamination=contamination, random_state=random_state
        )
        self.estimator = estimator
        self.loss = loss
        self.n_rounds = n_rounds

    _scores_stay = False

    def _fit(self, X, codes, **params):
        rng = check_random_state(self.random_state)
        self.rounds_ = []
        decisions = np.full(len(codes), np.inf)
        for share in self._shares_left():
            left = decisions >= 0
            of_round = self._fit_round(X, codes, left, share, rng, params)
            decisions = np.minimum(decisions, of_round)
            if share == "auto" and np.all(of_round[left] >= 0):
                break  # the next round would be the same
        last = self.rounds_[-1] if self.rounds_ else Bunch(estimator=None)
        self.estimator_ = last.estimator
        self.radii_ = last.get("radii", np.zeros(len(self.classes_)))
        self.offset_ = 0.0
        if not self.rounds_:
            decisions[:] = 0.0
        return decisions, decisions

    def _shares_left(self):
        """Share of the rows of each class that are left after each round, or "auto"."""
        if len(self.classes_) < 2:
            warn(
                "SeverFilter needs labels of at least two classes to fit a classifier; "
                "it keeps every row.",
                FilterWarning,
            )
            return []
        if self._percentile == "auto":
            return ["auto"] * self.n_rounds
        return np.linspace(1.0, self._percentile / 100.0, self.n_rounds + 1)[1:]

    def _fit_round(self, X, codes, left, share, rng, params):
        """Fit a round on the rows that are left; return the decisions on all rows."""
        rows = np.flatnonzero(left)
        params = _check_method_params(X, params, indices=rows)
        estimator = self._fit_classifier(X[rows], codes[rows], **params)
        found = self._gradients(estimator, X, codes)
        shape = (len(self.classes_), found.shape[1])
        one = Bunch(
            estimator=estimator, centers=np.zeros(shape), directions=np.zeros(shape)
        )
        for code in range(len(self.classes_)):
            of_class = found.of(rows[codes[rows] == code])
            one.centers[code] = of_class.mean()
            of_class.center = one.centers[code]
            directions, _ = principal_directions(of_class, 1, rng)
            one.directions[code] = directions[0] if len(directions) else 0.0
        squares = _squares(one, found, codes)
        kept = self._percentiles(estimator, X, codes, left, share)
        one.radii = _radii(squares, codes, left, kept, X.dtype)
        self.rounds_.append(one)
        return one.radii[codes] - squares

    def _percentiles(self, estimator, X, codes, left, share):
        """Percentages of the rows left of each class that stay in a round.

        What a round leaves too many or too few, because it judges copies of one row
        together, later rounds make up for.
        """
        # Ranks count from zero: the percentile of all rows leaves as many.
        last_ranks = np.maximum(np.bincount(codes[left]) - 1, 1)
        if share == "auto":
            loss = _losses.loss_name(self.loss, estimator)
            losses = _losses.losses_of_labels(
                estimator, X[left], len(self.classes_), loss
            )
            rejected = contradicted_rows(losses, codes[left])
            return 100.0 * np.maximum(0.0, 1.0 - rejected / last_ranks)
        ranks = np.bincount(codes) - 1
        return 100.0 * np.minimum(1.0, share * ranks / last_ranks)

    def _fit_classifier(self, X, codes, **params):
        if "sample_weight" in params:
            check_classes_weigh(params["sample_weight"], codes, self.classes_)
        y = self.classes_[codes]
        if self.estimator is None:
            return fit_logistic(X, y, **params)
        return fit_clone(self.estimator, X, y, **params)

    def _gradients(self, estimator, X, codes):
        loss = _losses.loss_name(self.loss, estimator)
        with np.errstate(over="ignore", invalid="ignore"):
            return gradients(estimator, X, codes, loss)

    def _decide(self, X, codes):
        decisions = np.zeros(X.shape[0])
        if self.rounds_:
            decisions[:] = np.inf
        for one in self.rounds_:
            found = self._gradients(one.estimator, X, codes)
            of_round = one.radii[codes] - _squares(one, found, codes)
            np.minimum(decisions, of_round, out=decisions)
        return decisions

    def _score(self, X, codes):
        return self._decide(X, codes)


def _squares(one, found, codes):
    """Squared projections of gradients on the direction of their class."""
    out = np.empty(len(codes))
    for code, (center, direction) in enumerate(
        zip(one.centers, one.directions, strict=True)
    ):
        rows = np.flatnonzero(codes == code)
        with np.errstate(over="ignore", invalid="ignore"):
            out[rows] = (found.of(rows)._along(direction) - center @ direction) ** 2
    if not np.all(np.isfinite(out)):
        raise ValueError(
            "Squared gradients overflow float64: X holds values that are too large; "
            "rescale the data."
        )
    return out


def _radii(squares, codes, left, percentiles, dtype):
    """Radii that leave a percentage of the rows that are left, for each class."""
    radii = np.empty(len(percentiles))
    for code, percentile in enumerate(percentiles):
        of_class = codes == code
        slack = rounding_slack(squares[of_class].max(), dtype)
        radii[code] = estimate_radius(
            squares[left & of_class], percentile, dtype, slack
        )
    return radii


def gradients(estimator, X, codes, loss):
    """Gradients of each row's loss, by coefficients and intercepts, unpenalized."""
    features, linear = X, estimator
    if isinstance(estimator, Pipeline):
        features, linear = estimator[:-1].transform(X), estimator[-1]
    if not (hasattr(linear, "coef_") and hasattr(linear, "decision_function")):
        raise TypeError(
            "SeverFilter needs a linear classifier with coef_ and decision_function, "
            f"or a Pipeline that ends in one; got {estimator!r}."
        )
    slopes = _losses.derivatives(linear.decision_function(features), codes, loss)
    return Gradients(slopes, features, getattr(linear, "fit_intercept", True))


class Gradients(LinearOperator):
    """Row i is the outer product of ``slopes[i]`` and ``(X[i], 1)``, less ``center``.

    The 1 is there with ``intercept`` only; ``slopes`` are derivatives by decisions.
    """

    def __init__(self, slopes, X, intercept, center=None):
        n_parameters = slopes.shape[1] * (X.shape[1] + bool(intercept))
        super().__init__(np.dtype(np.float64), (X.shape[0], n_parameters))
        self.slopes = slopes
        self.X = X
        self.intercept = intercept
        self.center = np.zeros(n_parameters) if center is None else center

    def _matmat(self, V):
        out = [self._along(direction) for direction in V.T]
        return np.stack(out, axis=1) - self.center @ V

    def _along(self, direction):
        weights = direction.reshape(self.slopes.shape[1], -1)
        products = self.X @ np.ascontiguousarray(weights[:, : self.X.shape[1]].T)
        if self.intercept:
            products = products + weights[:, -1]
        return np.einsum("ij,ij->i", self.slopes, products)

    def _rmatmat(self, U):
        return np.stack([self._sum(weights) for weights in U.T], axis=1)

    def _sum(self, weights):
        slopes = self.slopes * weights[:, None]
        sums = np.asarray((self.X.T @ slopes).T)
        if self.intercept:
            sums = np.column_stack([sums, slopes.sum(axis=0)])
        return sums.ravel() - self.center * weights.sum()

    def mean(self):
        """Mean of the rows."""
        n_samples = self.shape[0]
        return self._sum(np.full(n_samples, 1.0 / n_samples))

    def of(self, rows, center=None):
        """Return some of the rows, less a center."""
        return Gradients(self.slopes[rows], self.X[rows], self.intercept, center)

    def blocks(self, step=384):
        """Yield the rows in dense blocks of bounded size."""
        for start in range(0, self.shape[0], step):
            rows = slice(start, start + step)
            block = self.X[rows]
            block = block.toarray() if sparse.issparse(block) else block
            if self.intercept:
                block = np.column_stack([block, np.ones(len(block))])
            outer = self.slopes[rows][:, :, None] * block[:, None, :]
            yield outer.reshape(len(block), -1) - self.center
