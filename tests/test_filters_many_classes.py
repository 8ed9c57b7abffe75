"""Few classes and many take different ways to the same results."""

import numpy as np
import pytest

from skpoison import SphereFilter
from skpoison._kept import judge_rows
from skpoison.filters._rows import rows_by_class

SIZES = [1, 2, 8, 9, 16, 17, 300, 40_000]


@pytest.fixture
def codes(request):
    """Codes of so many classes, in no order; some rows are of no class."""
    n_classes = request.param
    rng = np.random.default_rng(n_classes)
    drawn = np.append(np.arange(n_classes), rng.integers(-1, n_classes, n_classes + 50))
    return n_classes, rng.permutation(drawn)


@pytest.mark.parametrize("codes", SIZES, indirect=True)
def test_rows_are_found_by_class(codes):
    n_classes, codes = codes
    found = rows_by_class(codes, n_classes)
    assert len(found) == n_classes
    for code in range(min(n_classes, 300)):
        np.testing.assert_array_equal(found[code], np.flatnonzero(codes == code))


@pytest.mark.parametrize("codes", SIZES[:-1], indirect=True)
def test_rows_are_judged_by_class(codes):
    n_classes, codes = codes
    decisions = np.random.default_rng(0).normal(size=len(codes))
    decisions[codes == 0] = -1.0 - np.arange((codes == 0).sum())
    decisions[codes < 0] = -np.inf
    kept, empty, shares = judge_rows(decisions, codes, n_classes)
    assert 0 in empty
    for code in range(n_classes):
        own = codes == code
        best = np.flatnonzero(own)[np.argmax(decisions[own])]
        expected = decisions[own] >= 0
        assert (code in empty) == (not expected.any())
        expected |= np.flatnonzero(own) == best if code in empty else False
        np.testing.assert_array_equal(kept[own], expected)
        assert shares[code] == np.mean(~expected)
    assert not kept[codes < 0].any()


@pytest.mark.parametrize("n_classes", [2, 16, 17, 40])
def test_each_class_has_its_mean_and_its_percentile(n_classes):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(n_classes), 30))
    X = rng.normal(size=(len(y), 3)) + y[:, None]
    sphere = SphereFilter(percentile=70).fit(X, y)
    for code in range(n_classes):
        rows = X[y == code]
        np.testing.assert_allclose(sphere.centroids_[code], rows.mean(axis=0))
        distances = np.linalg.norm(rows - rows.mean(axis=0), axis=1)
        np.testing.assert_allclose(sphere.radii_[code], np.percentile(distances, 70))
