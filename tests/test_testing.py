"""The public checks pass what keeps the contract, and catch what does not."""

import numpy as np
import pytest
from sklearn.base import clone

from skpoison import EPICFilter, SlabFilter, SphereFilter
from skpoison.attacks import BaseAttack, LabelFlipAttack, MinMaxAttack
from skpoison.base import BaseFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    MahalanobisFilter,
    NearCopyFilter,
    NeighborsFilter,
    SpectralFilter,
    SubspaceFilter,
)
from skpoison.testing import check_attack, check_filter


@pytest.mark.filterwarnings("ignore:The subspace has all")
@pytest.mark.parametrize(
    "filter_",
    [
        SphereFilter(),
        SphereFilter(90) & SlabFilter(90),
        SphereFilter(50) | SlabFilter(50),
        MahalanobisFilter(),
        SubspaceFilter(),
        SubspaceFilter(n_components=1),
        NearCopyFilter(),
        NeighborsFilter(),
        SpectralFilter(),
        EPICFilter(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_filters_keep_the_contract(filter_):
    check_filter(filter_)


@pytest.mark.parametrize("attack", [LabelFlipAttack(), MinMaxAttack()])
def test_attacks_keep_the_contract(attack):
    check_attack(attack)


class Small(BaseFilter):
    """Keeps rows near the origin."""

    def _fit(self, X, codes):
        decisions = self._decide(X, codes)
        return decisions, decisions

    def _decide(self, X, codes):
        return 5.0 - np.asarray(abs(X).sum(axis=1)).ravel()

    _score = _decide


class WritesIntoRows(Small):
    def _fit(self, X, codes):
        decisions = super()._fit(X, codes)
        X *= 2
        return decisions


class Upside(Small):
    def _score(self, X, codes):
        return -self._decide(X, codes)


class ForgetsLabels(Small):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.inlier_mask_ &= np.asarray(y) == np.asarray(y)[0]
        return self


class Moody(Small):
    def _fit(self, X, codes):
        decisions = np.random.default_rng().normal(size=len(codes))
        return decisions, decisions


class OtherRows(Small):
    def fit_filter(self, X, y=None, *arrays):
        kept = super().fit_filter(X, y, *arrays)
        return kept[0][::-1], *kept[1:]


class LeavesRejected(Small):
    def fit_transform(self, X, y=None):
        self.fit(X, y)
        return X


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WritesIntoRows, "write into X"),
        (Upside, "higher score"),
        (ForgetsLabels, "No row of class"),
        (Moody, "fit_predict"),
        (OtherRows, "cut X, y and everything else"),
        (LeavesRejected, "replace by kept rows"),
    ],
)
def test_broken_filters_are_caught(broken, message):
    check_filter(Small())
    with pytest.raises(AssertionError, match=message):
        check_filter(broken())


class Repeat(BaseAttack):
    """Sends the first row again, under the other label."""

    def _poison(self, X, codes, n_poison, rng):
        rows = np.zeros(n_poison, dtype=int)
        return X[rows], 1 - codes[rows], []


class TooMany(Repeat):
    def _poison(self, X, codes, n_poison, rng):
        return super()._poison(X, codes, n_poison + 1, rng)


class MoodyAttack(Repeat):
    def _poison(self, X, codes, n_poison, rng):
        rows = np.random.default_rng().integers(0, X.shape[0], n_poison)
        return X[rows], 1 - codes[rows], []


class KeepsToItself(Repeat):
    def fit_resample(self, X, y):
        X_poison, y_poison = self.poison(X, y)
        return X_poison, y_poison


class ForgetsTypes(Repeat):
    def fit_resample(self, X, y):
        if not hasattr(X, "iloc"):
            return super().fit_resample(X, y)
        together, y = super().fit_resample(X, y)
        return together.astype(np.float64), y


class ForgetsWholeNumbers(Repeat):
    def fit_resample(self, X, y):
        together, y = super().fit_resample(X, y)
        if hasattr(X, "iloc"):
            together = together.astype({"column 0": np.float64})
        return together, y


class NamesRowsAnew(Repeat):
    def poison(self, X, y):
        rows, labels = super().poison(X, y)
        if hasattr(X, "iloc"):
            rows.index = labels.index = X.index[: len(rows)]
        return rows, labels


class IgnoresItsFilter(MinMaxAttack):
    def _poison(self, X, codes, n_poison, rng):
        X_poison, codes, objective = super()._poison(X, codes, n_poison, rng)
        return X_poison + 100.0, codes, objective


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (TooMany, "at most floor"),
        (MoodyAttack, "the same every time"),
        (KeepsToItself, "begin with the clean rows"),
        (ForgetsTypes, "types of columns as they were"),
        (ForgetsWholeNumbers, "keep columns of whole numbers"),
        (NamesRowsAnew, "that no clean row has"),
        (IgnoresItsFilter, "pass the filter"),
    ],
)
def test_broken_attacks_are_caught(broken, message):
    check_attack(Repeat())
    with pytest.raises(AssertionError, match=message):
        check_attack(broken())


def test_what_is_checked_stays_as_it_is():
    filter_ = clone(EPICFilter(random_state=5))
    check_filter(filter_)
    assert filter_.random_state == 5
    assert not hasattr(filter_, "inlier_mask_")


def test_rows_of_the_subspace_are_all_kept():
    X = np.random.default_rng(0).normal(size=(50, 3))
    filter_ = SubspaceFilter(n_components=3, percentile=50)
    with pytest.warns(FilterWarning, match="has all 3 dimensions"):
        filter_.fit(X)
    assert filter_.inlier_mask_.all()
