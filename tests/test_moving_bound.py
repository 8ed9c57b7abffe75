"""The bound on moving centroids as users meet it."""

import numpy as np
import pytest
from oracles import labelled_rows
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skpoison import (
    CertifiedBound,
    FilterIntersection,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.exceptions import FilterWarning
from skpoison.feasible import Domain
from skpoison.filters import NeighborsFilter

BOTH = SphereFilter(percentile=70) & SlabFilter(percentile=70)
FILTERS = {"both": BOTH, "sphere": SphereFilter(percentile=80)}


def moving(filter_=BOTH, epsilon=0.2, **options):
    options = {"tol": 0.02, "random_state": 0, **options}
    if "C" not in options:
        options.setdefault("rho", 1.0)
    return CertifiedBound(filter_, epsilon, defense="moving_centroids", **options)


def stacked(X, y, attack):
    rows = np.repeat(attack.X, attack.n_copies, axis=0)
    return np.vstack([X, rows]), np.append(y, np.repeat(attack.y, attack.n_copies))


@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 0.5}], ids=str)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("seed", range(2))
def test_bounds_attack_and_filter_agree(seed, name, learner):
    X, y = labelled_rows(seed, gap=0.4, n_rows=60, n_features=8)
    bound = moving(FILTERS[name], **learner).fit(X, y)
    assert 0 <= bound.lower_bound_ <= bound.upper_bound_
    assert bound.dual_gap_ <= 0.02 * bound.upper_bound_
    total = bound.clean_loss_ + 0.2 * bound.poison_loss_
    theta = np.append(bound.coef_, bound.intercept_)
    if "C" in learner:
        total += theta @ theta / (2 * 0.5 * 60)
    else:
        assert np.linalg.norm(theta) <= 1.0 + 1e-9
    assert bound.upper_bound_ == pytest.approx(total)
    attack = bound.attack_
    assert attack.n_copies.sum() == 12
    floor = bound.lower_bound_ - attack.rounding_slack
    assert floor - 1e-9 <= bound.attack_loss_ <= bound.upper_bound_ + 1e-9
    assert attack.filtered_loss <= bound.attack_loss_ + 0.02
    # The filter that a user runs keeps every poison row.
    rows, labels = stacked(X, y, attack)
    fitted = clone(bound.filter_).fit(rows, labels)
    np.testing.assert_array_equal(fitted.inlier_mask_[:60], attack.clean_kept)
    assert fitted.inlier_mask_[60:].all()
    assert not np.allclose(
        fitted.filters_[0].centroids_ if name == "both" else fitted.centroids_,
        bound.filter_.filters_[0].centroids_
        if name == "both"
        else bound.filter_.centroids_,
    )


def attacks_by_chance(X, y, bound, n_tries, rng):
    """Attacks with all rows inside of the moved filter, refined by gradient."""
    n_poison = int(np.floor(bound.epsilon * len(X) + 1e-9))
    for trial in range(n_tries):
        labels = rng.choice([[0, 1], [0, 0], [1, 1]][trial % 3], size=n_poison)
        direction = rng.normal(size=X.shape[1])
        rows = 3.0 * rng.normal(size=(n_poison, X.shape[1])) * rng.uniform(0, 1)
        rows += [X[y == label].mean(axis=0) + 4.0 * direction for label in labels]
        for _ in range(4):
            rows = pulled_in(X, y, rows, labels, bound.filter_)
            if rows is None:
                break
            svc = NormConstrainedSVC(bound.rho, tol=1e-3, random_state=0)
            svc.fit(np.vstack([X, rows]), np.append(y, labels))
            yield svc.loss_ * (len(X) + n_poison) / len(X)
            sides = (2 * labels - 1)[:, np.newaxis]
            norm = np.linalg.norm(svc.coef_) or 1.0
            rows = rows - 2.0 * rng.uniform() * sides * svc.coef_ / norm


def pulled_in(X, y, rows, labels, filter_):
    """Move rows towards their moved centroids until the filter keeps all of them."""
    for _ in range(200):
        fitted = clone(filter_).fit(np.vstack([X, rows]), np.append(y, labels))
        out = ~fitted.inlier_mask_[len(X) :]
        if not out.any():
            return rows
        centroids = fitted.filters_[0].centroids_[labels]
        rows = np.where(out[:, np.newaxis], 0.9 * rows + 0.1 * centroids, rows)
    return None


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.parametrize("seed", range(3))
def test_no_attack_exceeds_the_bound(seed):
    rng = np.random.default_rng(seed)
    X, y = labelled_rows(seed, gap=0.4, n_rows=60, n_features=8)
    bound = moving(epsilon=0.3).fit(X, y)
    losses = list(attacks_by_chance(X, y, bound, 8, rng))
    assert len(losses) > 12
    assert max(losses) <= bound.upper_bound_
    # The attacks are no straw men.
    assert max(losses) > NormConstrainedSVC(1.0).fit(X, y).loss_


@pytest.mark.parametrize("seed", range(2))
def test_moving_centroids_cost_more_than_fixed_ones(seed):
    X, y = labelled_rows(seed, gap=0.4, n_rows=60, n_features=8)
    fixed = CertifiedBound(BOTH, 0.2, rho=1.0).fit(X, y)
    assert moving().fit(X, y).upper_bound_ >= fixed.lower_bound_


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_few_features_are_bounded_too(n_features):
    X, y = labelled_rows(0, n_rows=50, n_features=n_features)
    bound = moving().fit(X, y)
    assert bound.lower_bound_ <= bound.attack_loss_ + bound.attack_.rounding_slack
    assert bound.attack_loss_ <= bound.upper_bound_
    assert bound.dual_gap_ <= 0.02 * bound.upper_bound_
    rows, labels = stacked(X, y, bound.attack_)
    assert clone(bound.filter_).fit(rows, labels).inlier_mask_[50:].all()


def test_containers_and_precisions_agree():
    X, y = labelled_rows(1, gap=0.4, n_rows=60, n_features=8)
    dense = moving().fit(X, y)
    for other in (sparse.csr_matrix(X), X.astype(np.float32)):
        bound = moving().fit(other, np.where(y, "spam", "ham"))
        assert bound.upper_bound_ == pytest.approx(dense.upper_bound_, rel=0.02)
        assert bound.attack_.X.dtype == other.dtype
        assert sparse.issparse(bound.attack_.X) == sparse.issparse(other)
        assert set(bound.attack_.y) <= {"spam", "ham"}


def test_without_poison_it_is_the_clean_loss():
    X, y = labelled_rows(2, gap=0.4, n_rows=60, n_features=8)
    svc = NormConstrainedSVC(1.0).fit(X, y)
    bound = moving(epsilon=0.0).fit(X, y)
    assert bound.upper_bound_ == pytest.approx(svc.loss_, rel=0.02)
    assert len(bound.attack_.X) == 0
    less_than_a_row = moving(epsilon=0.01).fit(X, y)
    assert less_than_a_row.attack_.n_copies.sum() == 0


def test_radii_may_be_given_or_frozen():
    X, y = labelled_rows(3, gap=0.4, n_rows=60, n_features=8)
    measured = moving().fit(X, y)
    sphere, slab = measured.filter_.filters_
    given = SphereFilter(radii=sphere.radii_) & SlabFilter(radii=slab.radii_)
    frozen = FrozenEstimator(clone(BOTH).fit(X, y))
    nested = FilterIntersection([("inner", BOTH), ("outer", SphereFilter(99))])
    for filter_ in (given, frozen, nested):
        bound = moving(filter_).fit(X, y)
        assert bound.upper_bound_ == measured.upper_bound_
    with pytest.raises(ValueError, match="; the centroids of SphereFilter"):
        moving(SphereFilter(centroids=sphere.centroids_)).fit(X, y)


def test_curve_grows_and_holds_every_bound():
    X, y = labelled_rows(4, gap=0.4, n_rows=60, n_features=8)
    curve = bound_curve(moving(), X, y, [0.05, 0.3, 0.1])
    assert curve.upper_bound[0] <= curve.upper_bound[2] <= curve.upper_bound[1]
    assert np.all(curve.dual_gap <= 0.02 * curve.upper_bound)
    alone = moving(epsilon=0.1).fit(X, y)
    assert curve.upper_bound[2] == pytest.approx(alone.upper_bound_, rel=0.02)


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
def test_rejected_rows_are_covered_in_a_bounded_domain():
    X, y = make_blobs(80, 6, centers=2, cluster_std=0.2, random_state=0)
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    survivors = moving(epsilon=0.2).fit(X, y)
    box = Domain(lower=0.0, upper=1.0)
    everyone = moving(epsilon=0.2, domain=box).fit(X, y)
    assert everyone.upper_bound_ > survivors.upper_bound_
    # Rows in a corner, rejected, drag a centroid along for rows that pass.
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = (rng.uniform(size=(16, 6)) < rng.uniform()).astype(float)
        labels = rng.integers(0, 2, 16)
        data = np.vstack([X, rows]), np.append(y, labels)
        mask = clone(everyone.filter_).fit(*data).inlier_mask_
        svc = NormConstrainedSVC(1.0).fit(data[0][mask], data[1][mask])
        assert svc.loss_ * mask.sum() / 80 <= everyone.upper_bound_
    # Rows without a limit from above may be sent anywhere: those that pass count.
    half = moving(epsilon=0.2, domain="nonnegative").fit(X, y)
    assert half.upper_bound_ == survivors.upper_bound_


def test_stopping_early_warns_and_leaves_a_bound():
    X, y = labelled_rows(5, gap=0.4, n_rows=60, n_features=8)
    with pytest.warns(ConvergenceWarning, match="upper bound is still valid"):
        early = moving(max_iter=1, tol=1e-3).fit(X, y)
    assert early.upper_bound_ >= moving().fit(X, y).lower_bound_
    assert early.n_iter_ == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"filter_": SlabFilter()}, "leaves the attacker unbounded"),
        ({"filter_": NeighborsFilter()}, "requires a filter with a feasible set"),
        (
            {"filter_": SphereFilter(norm="l1")},
            "requires a filter with a feasible set.*got",
        ),
    ],
)
def test_what_it_cannot_speak_of_is_an_error(options, message):
    X, y = labelled_rows(0, n_rows=40, n_features=3)
    with pytest.raises(ValueError, match=message):
        moving(**options).fit(X, y)
    with pytest.raises(ValueError, match="defense"):
        CertifiedBound(defense="none").fit(X, y)


def test_a_domain_without_effect_is_warned_of():
    rng = np.random.default_rng(0)
    X, y = rng.poisson(1.0, (60, 8)) + 0.0, np.arange(60) % 2
    bound = CertifiedBound(
        epsilon=0.1, rho=1.0, domain="count", tol=0.1, defense="moving_centroids"
    )
    with pytest.warns(FilterWarning, match="no effect with defense='moving_centroids'"):
        bound.fit(X, y)
