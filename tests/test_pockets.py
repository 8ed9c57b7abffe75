import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skpoison import AutoFilter
from skpoison.filters import _islands, _pockets
from skpoison.filters._pockets import (
    RIDGE,
    _Linear,
    _with_constant,
    nearest_alike,
    pockets,
)


def two_classes(n=600, seed=0, columns=4):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    points = rng.normal(size=(n, columns))
    points[:, 0] += np.where(codes, 2.0, -2.0)
    return points, codes


def with_pocket(n_changed, seed=0, n=600):
    points, codes = two_classes(n, seed)
    distances = np.linalg.norm(points - [-2.0, 1.0, 0.0, 0.0], axis=1)
    own = np.flatnonzero(codes == 0)
    changed = own[np.argsort(distances[own])[:n_changed]]
    codes[changed] = 1
    return points, codes, changed


@pytest.mark.parametrize(("n_without", "least"), [(1, 0.85), (20, 0.4)])
def test_odds_without_rows_approach_those_of_a_regression_without_them(
    n_without, least
):
    points, codes, changed = with_pocket(20)
    without = changed[:n_without]
    rows = _with_constant(points)
    kept = np.setdiff1d(np.arange(len(codes)), without)
    linear = _Linear.of(rows, codes == 1)
    (found,) = linear.without(without[None], [n_without])
    model = LogisticRegression(C=1 / RIDGE, tol=1e-8)
    exact = model.fit(rows[kept, :-1], codes[kept]).decision_function(
        rows[without, :-1]
    )
    before = linear.odds[without]
    share = (before - found[0]) / (before - exact)
    assert least < share.min() and share.max() < 1.1


@pytest.mark.parametrize("n_changed", [8, 18])
def test_a_pocket_is_found_whatever_its_size(n_changed):
    points, codes, changed = with_pocket(n_changed)
    doubtful = np.zeros(len(codes), dtype=bool)
    doubtful[changed[::2]] = True
    doubtful[::10] = True
    found = pockets(points, codes, doubtful, np.random.RandomState(0))
    for kind in found:
        assert np.isin(changed, kind[0]).mean() > 0.8
    assert np.isin(found.dense[0], changed).mean() > 0.75
    assert len(found.large[0]) < 2.1 * n_changed


def test_pockets_are_disjoint_and_of_one_label():
    points, codes, _ = with_pocket(18)
    rng = np.random.RandomState(1)
    codes[rng.permutation(600)[:120]] = 1
    found = pockets(points, codes, np.ones(600, dtype=bool), rng)
    for kind in found:
        rows = np.concatenate(kind)
        assert len(np.unique(rows)) == len(rows)
        assert all(len(np.unique(codes[each])) == 1 for each in kind)


def test_nothing_is_found_where_no_row_is_doubtful_or_rows_are_few():
    points, codes, _ = with_pocket(18)
    rng = np.random.RandomState(0)
    assert pockets(points, codes, np.zeros(600, dtype=bool), rng) == ([], [])
    few = np.ones(12, dtype=bool)
    assert pockets(points[:12], codes[:12], few, rng) == ([], [])


def test_of_many_rows_some_are_looked_at_and_the_others_go_with_them(monkeypatch):
    points, codes, changed = with_pocket(40, n=1500)
    doubtful = np.isin(np.arange(1500), changed)
    monkeypatch.setattr(_pockets, "EXACT", 700)
    found = pockets(points, codes, doubtful, np.random.RandomState(0))
    assert np.isin(changed, found.large[0]).mean() > 0.8
    assert np.isin(found.large[0], changed).mean() > 0.6


def test_nearest_rows_are_of_the_same_label():
    points, codes = two_classes(60)
    found = nearest_alike(points[:40], codes[:40], points[40:], codes[40:])
    for row, nearest in zip(range(40, 60), found, strict=True):
        own = np.flatnonzero(codes[:40] == codes[row])
        distances = np.linalg.norm(points[own] - points[row], axis=1)
        assert nearest == own[distances.argmin()]


def test_a_pocket_is_rejected_in_several_random_states():
    points, codes, changed = with_pocket(15, seed=3, n=500)
    for state in range(4):
        flagged = AutoFilter(random_state=state).fit_predict(points, codes) == -1
        assert flagged[changed].mean() > 0.8
        assert np.mean(np.delete(flagged, changed)) < 0.02


def test_rows_rejected_before_count_as_rows_of_an_island():
    points, codes, changed = with_pocket(8, n=600)
    said = np.full((1, 600, 2), 0.05)
    truth = codes.copy()
    truth[changed] = 0
    said[0, np.arange(600), truth] = 0.95
    left = np.setdiff1d(np.arange(600), changed[5:])

    def found(rejected):
        where = _islands.clusters_against(
            points[left], codes[left], np.zeros(len(left)),
            lambda folds: said[:, left], 600, np.random.RandomState(0), None, rejected,
        )  # fmt: skip
        return set(left[where])

    assert not found(None)
    assert found((points[changed[5:]], codes[changed[5:]])) == set(changed[:5])
