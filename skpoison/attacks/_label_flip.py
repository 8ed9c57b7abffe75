"""Copies of training rows with another label."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skpoison._containers import copies
from skpoison._learners import hinge_learner_of
from skpoison._whole_rows import copied_points
from skpoison.attacks._alfa import alfa
from skpoison.attacks._base import BaseAttack
from skpoison.feasible import in_domain


class LabelFlipAttack(BaseAttack):
    """Add copies of training rows with a different label.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` rows
        are added. If there are fewer candidates, they are added more than once, with
        copy counts that differ by at most one.
    strategy : {"random", "feasible", "alfa"}, default="random"
        ``"random"``: rows are drawn from all training rows, regardless of the filter;
        columns may be non-numeric. ``"feasible"``: rows are drawn from those that the
        filter keeps with the new label. ``"alfa"``: rows are chosen from the same
        candidates to increase the loss of a support vector machine, by alternating
        training with a linear program for the flips; binary only.
    filter : filter, default=None
        The defense that the attacker faces: any filter that supports new rows. A fitted
        filter is used unchanged (wrap it in :class:`sklearn.frozen.FrozenEstimator` to
        keep it fitted when the attack is cloned); otherwise it is cloned and fitted on
        the clean rows. None means sphere and slab at percentile 70, intersected under
        the names ``sphere`` and ``slab``. Not used by ``strategy="random"``.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add, as in
        :class:`~skpoison.CertifiedBound`. Training rows outside the domain are not
        copied. None means no restriction.
    estimator : LinearSVC or NormConstrainedSVC, default=None
        The learner that ``strategy="alfa"`` attacks, with the hinge loss; only its
        parameters are used. None means ``LinearSVC(loss="hinge")``.
    max_iter : int, default=20
        Maximum number of rounds of ``strategy="alfa"``.
    random_state : int, RandomState instance or None, default=None
        Controls the choice of rows and labels.

    Attributes
    ----------
    n_candidates_ : ndarray of shape (n_classes,)
        Number of training rows of other classes that may be added with each label.
    flipped_indices_ : ndarray of shape (n_poison,)
        Index of the training row that each poison row copies.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones; an object array if there
        are non-numeric columns.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        For ``strategy="alfa"``, the mean hinge loss on the clean rows of the learner
        trained with each round's flips; the largest value is that of the rows added.
        Empty for the other strategies.
    filter_ : filter or None
        The fitted filter; None for ``strategy="random"``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    GradientAttack : Starts from such rows and optimizes their features.

    Notes
    -----
    In [1]_, labels of training rows are changed; here, copies with changed labels are
    added, so that epsilon has the same meaning for every attack. The linear program
    then maximizes the sum, over the flips, of the decrease of their loss from the
    learner trained on clean rows to the poisoned one. It is solved by sorting.

    References
    ----------
    .. [1] H. Xiao, H. Xiao, C. Eckert, "Adversarial Label Flips Attack on Support
       Vector Machines", ECAI 2012, equations (10) to (12) and algorithm 1.
    .. [2] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, section 5 (flips that pass the filter).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import SphereFilter
    >>> from skpoison.attacks import LabelFlipAttack
    >>> X, y = load_iris(return_X_y=True)
    >>> sphere = SphereFilter(95)
    >>> attack = LabelFlipAttack(0.1, "feasible", filter=sphere, random_state=0)
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, attack.n_candidates_
    ((15, 4), array([ 0, 20, 28]))
    >>> bool((attack.filter_.predict(X_poison, y_poison) == 1).all())
    True
    """

    _parameter_constraints: dict = {
        **BaseAttack._parameter_constraints,
        "strategy": [StrOptions({"random", "feasible", "alfa"})],
        "domain": "no_validation",
        "estimator": [HasMethods(["fit", "predict"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }
    _needs_feasible_set = False

    def __init__(
        self,
        epsilon=0.03,
        strategy="random",
        *,
        filter=None,
        domain=None,
        estimator=None,
        max_iter=20,
        random_state=None,
    ):
        super().__init__(epsilon, filter=filter, random_state=random_state)
        self.strategy = strategy
        self.domain = domain
        self.estimator = estimator
        self.max_iter = max_iter

    @property
    def _multi_class(self):
        return self.strategy != "alfa"

    @property
    def _needs_numbers(self):
        return self.strategy != "random" or self.domain is not None

    def _like_clean(self, X):
        return copies(X, self.flipped_indices_)

    @property
    def _faces_filter(self):
        return self.strategy != "random"

    def _check(self):
        if self.strategy == "alfa":
            hinge_learner_of(self.estimator, type(self).__name__)

    def _poison(self, X, codes, n_poison, rng):
        rows, labels = self._candidates(X, codes)
        if n_poison and not len(rows):
            raise ValueError(
                f"The filter {self.filter_!r} rejects every training row with a label "
                f"other than its own (labels {self.classes_.tolist()}), so label flips "
                "are impossible."
            )
        chosen, objective = self._choose(X, codes, rows, n_poison, rng)
        self.flipped_indices_ = rows[chosen]
        return X[rows[chosen]], labels[chosen], objective

    def _candidates(self, X, codes):
        """Return rows and positions of the other labels that they may get."""
        n_classes = len(self.classes_)
        rows, labels = _flips(codes, n_classes)
        if self.domain is not None:
            sendable = self._in_domain(X)[rows]
            rows, labels = rows[sendable], labels[sendable]
        self.filter_ = None
        if self.strategy != "random":
            defense = self._defend(X, codes)
            kept = np.empty(len(rows), dtype=bool)
            for code in range(n_classes):
                of_class = labels == code
                kept[of_class] = defense.keeps(X[rows[of_class]], labels[of_class])
            rows, labels = rows[kept], labels[kept]
        self.n_candidates_ = np.bincount(labels, minlength=n_classes)
        return rows, labels

    def _in_domain(self, X):
        """Return which training rows are in the domain; raise if there are none."""
        sendable = in_domain(self.domain, X, self._names)
        if not sendable.any():
            raise ValueError(
                f"No training row is in domain={self.domain!r}, so there is no label "
                "to flip."
            )
        return sendable

    def _choose(self, X, codes, rows, n_poison, rng):
        if self.strategy != "alfa" or not n_poison:
            return np.resize(rng.permutation(len(rows)), n_poison), []
        learner = hinge_learner_of(self.estimator, type(self).__name__)
        signs = 2.0 * codes - 1.0
        found = alfa(X, signs, rows, n_poison, learner, max_iter=self.max_iter, rng=rng)
        return copied_points(found.copies), found.objective


def _flips(codes, n_classes):
    """Return all pairs of a row and another label."""
    rows = np.repeat(np.arange(len(codes)), n_classes)
    labels = np.tile(np.arange(n_classes), len(codes))
    other = labels != codes[rows]
    return rows[other], labels[other]
