"""Standardized columns that do not depend on the order of the rows."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from skpoison._io.standard import fit_standard


def fitted(X, size=7):
    def blocks():
        return (X[start : start + size] for start in range(0, len(X), size))

    return fit_standard(blocks)


def columns(n_rows=101):
    rng = np.random.default_rng(0)
    X = rng.lognormal(sigma=4.0, size=(n_rows, 6)) * 10.0 ** np.arange(-6, 6, 2)
    X[:, 1] = 0.1  # constant
    X[:, 2] += 1e6
    X[:, 3] = 0.0
    return X


def test_as_scikit_learn_does():
    ours, theirs = fitted(columns()), StandardScaler().fit(columns())
    for name in ("mean_", "var_", "scale_"):
        found, wanted = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-30)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_any_order_of_rows_gives_the_same_bits(kind):
    X = columns().astype(kind)
    first, naive = fitted(X), StandardScaler().fit(X)
    differs = False
    for seed in range(20):
        other = np.random.default_rng(seed).permutation(X)
        again = fitted(other, size=10)
        np.testing.assert_array_equal(first.mean_, again.mean_)
        np.testing.assert_array_equal(first.scale_, again.scale_)
        differs |= not np.array_equal(naive.scale_, StandardScaler().fit(other).scale_)
    assert differs  # so that the test can fail


def test_numbers_whose_squares_overflow_or_vanish():
    X = np.array([[1e300, 1e-300], [-1e300, 3e-300]])
    scaled = fitted(X).transform(X.copy())
    np.testing.assert_allclose(scaled, [[1.0, -1.0], [-1.0, 1.0]])
