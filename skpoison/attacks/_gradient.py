"""Poison rows optimized by gradient ascent through training."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils._param_validation import Interval

from skpoison._learners import train_hinge
from skpoison._whole_rows import apportion_evenly
from skpoison.attacks._base import repeat_rows
from skpoison.attacks._bilevel import Aim, Bilevel
from skpoison.attacks._targeted import BaseAimedAttack
from skpoison.losses import Hinge
from skpoison.solvers._signed_design import Rows

FIRST_STEP = 0.5
# Rows drawn for each one to start from.
DRAWN = 10
GROW, SHRINK = 1.5, 0.5
LEAST_STEP = 1e-4


class Ascent(NamedTuple):
    """Where poison rows ended."""

    points: np.ndarray  # in their feasible sets
    # The attacker's loss before the first step and after each one; never falling.
    objective: list[float]


def ascend(
    bilevel: Bilevel,
    points: np.ndarray,
    sets: list,
    theta: np.ndarray,
    *,
    max_iter: int,
) -> Ascent:
    """Maximize the attacker's loss by projected gradient ascent.

    Every row starts in its own set and moves by the same fraction of its radius. A step
    that does not increase the loss is undone, and the step size is halved.
    """
    outcome = bilevel.solve_lower(points, theta)
    objective, step = [outcome.value], FIRST_STEP
    direction = _directions(bilevel, points, outcome, sets)
    for _ in range(max_iter):
        moved = _project(sets, points + step * direction)
        new = bilevel.solve_lower(moved, outcome.trained.theta)
        if new.value > outcome.value:
            points, outcome, step = moved, new, step * GROW
            direction = _directions(bilevel, points, outcome, sets)
        else:
            step *= SHRINK
        objective.append(outcome.value)
        if step < LEAST_STEP:
            break
    return Ascent(points, objective)


def _directions(bilevel, points, outcome, sets):
    """Return the gradients, each scaled to the radius of its row's set."""
    gradient = bilevel.gradient(points, outcome.trained)
    lengths = np.linalg.norm(gradient, axis=1)
    radii = np.array([rows.reach for rows in sets])
    return gradient * (radii / np.where(lengths > 0, lengths, 1.0))[:, np.newaxis]


def _project(sets, points):
    pairs = zip(sets, points, strict=True)
    moved = [rows.project(point[np.newaxis])[0] for rows, point in pairs]
    return np.array(moved).reshape(points.shape)


class GradientAttack(BaseAimedAttack):
    """Optimize poison rows by gradient ascent on the attacker's loss, through training.

    The poison rows start at clean rows with flipped labels, projected onto the filter's
    feasible set: of ten times as many drawn at random, those of largest loss. The
    attacker's loss is the mean loss on `targets` of the learner trained on clean and
    poison rows. Its gradient in the poison rows follows from the learner's optimality
    conditions by implicit differentiation. After each step, the rows are projected onto
    the feasible set and the learner is trained again.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` whole
        rows are sent.
    filter : filter with ``feasible_set``, default=None
        The defense that the attacker faces. A fitted filter is used unchanged (wrap it
        in :class:`sklearn.frozen.FrozenEstimator` to keep it fitted when the attack is
        cloned); otherwise it is cloned and fitted on the clean rows. None means sphere
        and slab at percentile 70, intersected under the names ``sphere`` and ``slab``.
    estimator : estimator, default=None
        The learner that is attacked; only its parameters are used. Must be
        ``LinearSVC(loss="hinge")`` (the default),
        :class:`~skpoison.NormConstrainedSVC`,
        :class:`~sklearn.linear_model.LogisticRegression` or
        :class:`~sklearn.linear_model.RidgeClassifier`, without class weights.
    targets : tuple of (X, y), default=None
        Rows and their true labels on which the attacker wants a large loss, such as
        known test rows. None means the clean rows.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add. One-hot groups are not supported,
        and features must be given by position, not by name. Rows are optimized over a
        convex relaxation of the domain and rounded at the end. None means all rows that
        pass the filter.
    n_distinct : int, default=10
        Number of distinct rows, half of them with each label. Their numbers of copies
        differ by at most one. Against linear learners, few distinct rows do as much
        harm as many, and are faster.
    smoothing : float, default=0.2
        The hinge loss is smoothed for margins within this distance of 1, in both the
        learner's and the attacker's objective. Not used for other losses.
    max_iter : int, default=50
        Maximum number of gradient steps.
    random_state : int, RandomState instance or None, default=None
        Controls the choice of the initial rows.

    Attributes
    ----------
    n_copies_ : ndarray of shape (n_distinct,)
        Number of copies of each distinct row; copies of a row are consecutive.
    coef_ : ndarray of shape (1, n_features)
        Weights of the learner (with the smoothed loss) trained on the poison.
    intercept_ : ndarray of shape (1,)
        Its intercept.
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        The attacker's loss at the start and after each step; it never decreases. If
        `domain` requires integers, the last value is the one before rounding.
    filter_ : filter
        The fitted filter.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    MinMaxAttack : Maximizes the training loss, with a certificate.
    KKTAttack : Makes given parameters optimal.

    Notes
    -----
    Let P(theta) be the learner's objective and A(theta) the attacker's loss. The
    gradient in a poison row x is ``-(d2P / dx dtheta) H^-1 grad A``, where H is the
    Hessian of P; if the learner's norm constraint is active, H is bordered by theta.
    Systems with up to 2000 features or rows of nonzero curvature (500 for sparse rows)
    are solved directly, larger ones by conjugate gradients. The loss is not concave in
    the rows, so the attack finds a local maximum.

    References
    ----------
    .. [1] B. Biggio, B. Nelson, P. Laskov, "Poisoning Attacks against Support Vector
       Machines", ICML 2012, equations (6) to (10).
    .. [2] P. W. Koh, P. Liang, "Understanding Black-box Predictions via Influence
       Functions", ICML 2017, equation (5) and section 5.2.
    .. [3] P. W. Koh, J. Steinhardt, P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison.attacks import GradientAttack
    >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> attack = GradientAttack(0.1, estimator=LogisticRegression(), random_state=0)
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape
    (20, 2)
    >>> attack.objective_[-1] > attack.objective_[0]
    True
    """

    _parameter_constraints: dict = {
        **BaseAimedAttack._parameter_constraints,
        "n_distinct": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        epsilon=0.03,
        *,
        filter=None,
        estimator=None,
        targets=None,
        domain=None,
        n_distinct=10,
        smoothing=0.2,
        max_iter=50,
        random_state=None,
    ):
        super().__init__(
            epsilon,
            filter=filter,
            estimator=estimator,
            targets=targets,
            domain=domain,
            random_state=random_state,
        )
        self.n_distinct = n_distinct
        self.smoothing = smoothing
        self.max_iter = max_iter

    def _poison(self, X, codes, n_poison, rng):
        defense = self._defend(X, codes)
        sets = defense.sets(type(self).__name__, self.domain, self._names)
        clean = _signed(X, codes)
        theta = self._first_theta(clean, rng)
        labels, points = self._start(X, codes, sets, n_poison, theta, rng)
        self.n_copies_ = apportion_evenly(n_poison, len(labels))
        learner = self._learner().smoothed(self.smoothing)
        aim = Aim(self._target_rows(clean), learner.loss)
        signs = 2.0 * labels - 1.0
        bilevel = Bilevel(clean, signs, self.n_copies_, learner, aim)
        hulls = [rows.hull() for rows in sets]
        of_points = [hulls[label] for label in labels]
        found = ascend(bilevel, points, of_points, theta, max_iter=self.max_iter)
        points = [
            point if hulls[label] is sets[label] else sets[label].project([point])[0]
            for label, point in zip(labels, found.points, strict=True)
        ]
        points = np.array(points).reshape(found.points.shape)
        points = defense.inwards(sets, points, labels, X.dtype, self._types)
        theta = bilevel.solve_lower(points, theta).trained.theta
        self.coef_, self.intercept_ = theta[np.newaxis, :-1], theta[-1:]
        rows = repeat_rows(points, self.n_copies_, sparse.issparse(X), X.dtype)
        return rows, np.repeat(labels, self.n_copies_), found.objective

    def _start(self, X, codes, sets, n_poison, theta, rng):
        """Return alternating labels, and projected rows of the other class.

        Rows beyond the margin have no gradient: of several drawn, those of the
        largest loss are taken.
        """
        n_points = min(self.n_distinct, n_poison)
        labels = np.arange(n_points) % 2
        points = np.empty((n_points, X.shape[1]))
        for label in range(2):
            of_label = np.flatnonzero(labels == label)
            others = rng.permutation(np.flatnonzero(codes != label))
            drawn = X[np.resize(others, DRAWN * len(of_label))]
            drawn = drawn.toarray() if sparse.issparse(drawn) else drawn
            drawn = sets[label].project(drawn.astype(np.float64))
            margins = (2 * label - 1) * (drawn @ theta[:-1] + theta[-1])
            points[of_label] = drawn[np.argsort(margins)[: len(of_label)]]
        return labels, points

    def _first_theta(self, clean, rng):
        """Return initial parameters: for the hinge loss, the exact solution."""
        learner = self._learner()
        if not (isinstance(learner.loss, Hinge) and learner.fits_intercept):
            return np.zeros(clean.dim)
        return train_hinge(learner, clean, tol=1e-3, rng=rng)


def _signed(X, codes):
    if sparse.issparse(X) and X.dtype != np.float64:
        X = X.astype(np.float64)
    return Rows(X, 2.0 * codes - 1.0)
