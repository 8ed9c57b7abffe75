"""Lower bounds: no parameters give less, wherever the solver stops."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.bounds._projected import inside
from skpoison.exceptions import FilterWarning
from skpoison.feasible import Domain, RestrictedSet

LEARNERS = {
    "hinge": {"C": 0.1},
    "ball": {"rho": 2.0},
    "squared hinge": {"estimator": LinearSVC()},
    "logistic": {"estimator": LogisticRegression(C=10.0)},
    "ridge": {"estimator": RidgeClassifier()},
    "numbers": {"estimator": Ridge()},
}
STEPS = 1, 5, 40, None


def domains(X):
    lower, upper = X.min(axis=0), X.max(axis=0)
    return {
        "real": None,
        "nonnegative": "nonnegative",
        "box": Domain(lower=lower, upper=upper),
        "half": Domain(lower=np.median(X, axis=0)),
        "tight": Domain(
            lower=np.quantile(X, 0.1, axis=0), upper=np.quantile(X, 0.9, axis=0)
        ),
    }


def problem(seed, n_classes=2):
    rng = np.random.default_rng(seed)
    n_rows, n_features = rng.integers(30, 60), rng.integers(3, 9)
    X = np.abs(rng.normal(size=(n_rows, n_features))) * 10.0 ** rng.uniform(-1, 1)
    scores = X @ rng.normal(size=n_features)
    scores += rng.normal(size=n_rows) * scores.std()
    return X, np.argsort(np.argsort(scores)) * n_classes // n_rows, scores


def stopped_at(max_iter, X, y, tol=1e-6, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FilterWarning)
        bound = CertifiedBound(max_iter=max_iter, tol=tol, random_state=0, **options)
        return bound.fit(X, y)


def check_bounds(X, y, steps=STEPS, **options):
    found = [stopped_at(max_iter, X, y, **options) for max_iter in steps]
    least = min(bound.upper_bound_ for bound in found)
    for bound in found:
        assert bound.lower_bound_ <= least * (1 + 1e-12)
        values = [entry["lower_bound"] for entry in bound.history_]
        assert max(values) <= least * (1 + 1e-9)  # without the margins for rounding
    return found


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("domain", domains(np.zeros((1, 1))))
def test_no_lower_bound_is_above_an_upper_one(name, domain):
    learner = LEARNERS[name]
    is_numbers = name == "numbers"
    X, y, scores = problem(list(LEARNERS).index(name))
    filter_ = SphereFilter(80) if is_numbers else SphereFilter(80) & SlabFilter(80)
    options = {"filter": filter_, "epsilon": 0.1, "domain": domains(X)[domain]}
    check_bounds(X, scores if is_numbers else y, **options, **learner)


@pytest.mark.parametrize("multi_class", ["ovr", "crammer_singer"])
def test_none_of_several_classes_is_either(multi_class):
    X, y, _ = problem(3, n_classes=3)
    svc = LinearSVC(C=0.1, multi_class=multi_class)
    check_bounds(X, y, estimator=svc, tol=0.01, steps=(1, 20, None))


@pytest.mark.parametrize("percentile", [90.0, 100.0])
def test_strict_tolerances_are_reached_on_boxes(percentile):
    # Multipliers of 1e11 once left projections outside their sets, round after round.
    rng = np.random.default_rng(101)
    X = rng.random((60, 20))
    y = (X @ rng.normal(size=20) + rng.normal(size=60) > 0).astype(int)
    options = {"domain": Domain(lower=np.median(X, axis=0)), "C": 0.01}
    filter_ = SphereFilter(percentile) & SlabFilter(percentile)
    bound = check_bounds(X, y, filter=filter_, epsilon=0.01, **options)[-1]
    assert bound.converged_ and bound.n_iter_ < 200
    assert bound.dual_gap_ <= 2e-6 * bound.upper_bound_


def test_points_are_moved_within_bounds_however_small_these_are():
    # The bounds have a tolerance of 1e-9, which is as large as the features.
    base = SphereFilter(100).fit(1e-9 * np.eye(3), [0, 0, 0]).feasible_set()[0]
    rows = RestrictedSet(base, Domain(lower=0.0, upper=2e-10))
    outside = np.array([5e-10, 1e-10, -3e-10])
    assert rows.contains([outside])[0]
    moved = inside(rows, outside)
    np.testing.assert_allclose(moved, [2e-10, 1e-10, 0.0], rtol=1e-9, atol=0)
    assert np.all((moved >= 0.0) & (moved <= 2e-10))
