"""Fits to the same rows, one after another."""

from typing import NamedTuple

import numpy as np


class Former(NamedTuple):
    """What a fit leaves to another one, to the same rows.

    Parameters
    ----------
    estimator : CertifiedBound
        What was fitted.
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        The rows, validated.
    codes : ndarray of shape (n_samples,)
        Positions of their labels in ``classes_``.
    found : Solution
        Where the solver ended.
    """

    estimator: object
    X: object
    codes: np.ndarray
    found: object

    def hand_on(self, estimator):
        """Tell another estimator about rows and filter; return rows and codes."""
        for name in ("n_features_in_", "feature_names_in_", "classes_", "filter_"):
            if hasattr(self.estimator, name):
                setattr(estimator, name, getattr(self.estimator, name))
        return self.X, self.codes
