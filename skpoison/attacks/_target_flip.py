"""Copies of training rows with another target: label flips' counterpart."""

from typing import Any

import numpy as np
from sklearn.utils import RegressorTags, Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data

from skpoison._column_types import RowsLike, Types
from skpoison._containers import copies
from skpoison._labels import check_targets
from skpoison.attacks._base import BaseAttack
from skpoison.bounds._target_range import read_target_range
from skpoison.feasible import in_domain


class RegressionAttackMixin:
    """What attacks do where y holds numbers: no classes, poison with targets."""

    target_range: tuple[float, float] | None
    target_range_: Any  # two numbers; None where there are classes
    _types: Types

    def _validate_targets(self, X, y):
        """Return rows and targets; set the range that targets must lie in."""
        X = validate_data(
            self,
            X,
            accept_sparse="csr",
            dtype=None if self._types.words else [np.float64, np.float32],
        )
        y = check_targets(X, y)
        self.target_range_ = read_target_range(self.target_range, y)
        vars(self).pop("classes_", None)  # of a fit with another learner
        return X, y


def as_regression_tags(tags: Tags) -> Tags:
    """Return the tags of a sampler of rows with targets."""
    tags.classifier_tags, tags.regressor_tags = None, RegressorTags()
    return tags


class TargetFlipAttack(RegressionAttackMixin, BaseAttack):
    """Add copies of training rows with a target far from their own, for regression.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` rows
        are added. If there are fewer candidates, they are added more than once, with
        copy counts that differ by at most one.
    strategy : {"boundary", "inverse"}, default="boundary"
        ``"boundary"``: the target becomes the end of `target_range` that is farther
        away. ``"inverse"``: it is reflected at the middle of `target_range`.
    target_range : pair of float, default=None
        The smallest and the largest target that the attacker can send. None means those
        of the training rows.
    filter : filter, default=None
        The defense that the attacker faces: any filter that supports new rows. Rows are
        drawn from those that it keeps with their new targets. It judges X, and the
        targets too if it is a filter for regression targets, such as
        :class:`~skpoison.filters.TrimFilter`. A fitted filter is used unchanged (wrap
        it in :class:`sklearn.frozen.FrozenEstimator` to keep it fitted when the attack
        is cloned); otherwise it is cloned and fitted on the clean rows. None means that
        rows are drawn from all training rows.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add, as in
        :class:`~skpoison.CertifiedBound`. Training rows outside the domain are not
        copied. None means no restriction.
    random_state : int, RandomState instance or None, default=None
        Controls the choice of rows.

    Attributes
    ----------
    flipped_indices_ : ndarray of shape (n_poison,)
        Index of the training row that each poison row copies.
    n_candidates_ : int
        Number of training rows that may be added.
    target_range_ : tuple of float
        The smallest and the largest target that the attacker sends.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones; an object array if there
        are non-numeric columns.
    y_poison_ : ndarray of shape (n_poison,)
        Their targets, float64.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        Empty: nothing is optimized.
    filter_ : filter or None
        The fitted filter.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    LabelFlipAttack : The same for classification.
    MinMaxAttack : The worst rows and targets for a regressor, with ``estimator=``.

    References
    ----------
    .. [1] M. Jagielski et al., "Manipulating Machine Learning: Poisoning Attacks and
       Countermeasures for Regression Learning", IEEE S&P 2018, section IV (inverse
       flipping and boundary flipping).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from skpoison.attacks import TargetFlipAttack
    >>> X, y = load_diabetes(return_X_y=True)
    >>> attack = TargetFlipAttack(0.1, random_state=0)
    >>> X_all, y_all = attack.fit_resample(X, y)
    >>> attack.target_range_, X_all.shape
    ((25.0, 346.0), (486, 10))
    >>> bool(Ridge().fit(X_all, y_all).score(X, y) < Ridge().fit(X, y).score(X, y))
    True
    """

    _parameter_constraints: dict = {
        **BaseAttack._parameter_constraints,
        "strategy": [StrOptions({"boundary", "inverse"})],
        "target_range": "no_validation",
        "domain": "no_validation",
    }
    _needs_feasible_set = False

    def __init__(
        self,
        epsilon=0.03,
        strategy="boundary",
        *,
        target_range=None,
        filter=None,
        domain=None,
        random_state=None,
    ):
        super().__init__(epsilon, filter=filter, random_state=random_state)
        self.strategy = strategy
        self.target_range = target_range
        self.domain = domain

    def __sklearn_tags__(self) -> Tags:
        return as_regression_tags(super().__sklearn_tags__())

    @property
    def _needs_numbers(self):
        return self.filter is not None or self.domain is not None

    def _validate(self, X, y):
        return self._validate_targets(X, y)

    def _labels_of(self, codes):
        return codes

    def _like_clean(self, X: RowsLike) -> RowsLike:
        return copies(X, self.flipped_indices_)

    def _poison(self, X, codes, n_poison, rng):
        flipped = self._flipped(codes)
        rows = np.flatnonzero(self._sendable(X, codes, flipped))
        self.n_candidates_ = len(rows)
        if n_poison and not len(rows):
            raise ValueError(
                f"No training row with a flipped target passes filter={self.filter!r} "
                f"and lies in domain={self.domain!r}, so there is none to send."
            )
        chosen = rows[np.resize(rng.permutation(len(rows)), n_poison)]
        self.flipped_indices_ = chosen
        return X[chosen], flipped[chosen], []

    def _flipped(self, y):
        low, high = self.target_range_
        if self.strategy == "boundary":
            return np.where(y - low < high - y, high, low)
        return np.clip(low + high - y, low, high)

    def _sendable(self, X, y, flipped):
        """Return which rows the attacker can send and the filter keeps when flipped."""
        sendable = np.ones(X.shape[0], dtype=bool)
        if self.domain is not None:
            sendable = in_domain(self.domain, X, self._names)
        self.filter_ = None
        if self.filter is None:
            return sendable
        return sendable & self._defend(X, y).keeps(X, flipped)
