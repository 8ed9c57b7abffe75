"""Base class of attacks that maximize the loss on given rows."""

import numpy as np
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _get_feature_names, check_X_y, column_or_1d

from skpoison._fitted import check_names
from skpoison._labels import encode_labels
from skpoison._learners import learner_of
from skpoison.attacks._base import BaseAttack
from skpoison.solvers._signed_design import Rows


class BaseAimedAttack(BaseAttack):
    """Base class of attacks on a known learner that maximize the loss on given rows.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1.
    filter : filter with ``feasible_set``, default=None
        The defense that the attacker faces.
    estimator : estimator, default=None
        The learner attacked.
    targets : tuple of (X, y), default=None
        Rows and their true labels on which the attacker wants a large loss. None means
        the clean rows, which represent other rows of the same distribution.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add. None means all rows that pass the
        filter.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of the attack.

    Examples
    --------
    >>> from skpoison.attacks import GradientAttack
    >>> issubclass(GradientAttack, BaseAimedAttack)
    True
    """

    _parameter_constraints: dict = {
        **BaseAttack._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "targets": [tuple, None],
        "domain": "no_validation",
    }

    _moves_rows = True

    def __init__(
        self,
        epsilon=0.03,
        *,
        filter=None,
        estimator=None,
        targets=None,
        domain=None,
        random_state=None,
    ):
        super().__init__(epsilon, filter=filter, random_state=random_state)
        self.estimator = estimator
        self.targets = targets
        self.domain = domain

    def _check(self):
        self._learner()
        if self.targets is not None and len(self.targets) != 2:
            raise ValueError(
                f"targets must be a tuple (X, y); got {len(self.targets)} elements."
            )

    def _learner(self):
        return learner_of(self.estimator, type(self).__name__)

    def _target_rows(self, clean):
        """Return the signed rows that the attack aims at."""
        if self.targets is None:
            return clean
        X, y = check_X_y(
            *self.targets, accept_sparse="csr", dtype=[np.float64, np.float32]
        )
        if X.shape[1] != clean.dim - 1:
            raise ValueError(
                f"The rows in targets have {X.shape[1]} features; the clean rows have "
                f"{clean.dim - 1}."
            )
        names = _get_feature_names(self.targets[0])
        check_names("The attack", self._names, names, "targets")
        codes = encode_labels(column_or_1d(y), self.classes_, "targets", "the attack")
        return Rows(X, 2.0 * codes - 1.0)
