"""The bound against attackers who can only send some rows."""

import itertools
import warnings

import numpy as np
import pytest
from oracles import labelled_rows, training_loss
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.bounds._cuts import solve_cuts
from skpoison.bounds._solver import solve
from skpoison.feasible import Domain

LEARNERS = [{"rho": 1.0}, {"C": 1.0}]


def counts(seed, n_rows=60):
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % 2
    rates = np.where(y[:, np.newaxis] == 1, [2, 1, 0.5, 0.2], [1, 2, 0.2, 0.5])
    return rng.poisson(rates).astype(float), y


def fitted(X, y, domain, *, tol=1e-2, **learner):
    both = SphereFilter(percentile=80) & SlabFilter(percentile=80)
    bound = CertifiedBound(both, 0.2, domain=domain, tol=tol, random_state=0, **learner)
    with warnings.catch_warnings():
        # Where counts are few, the oracle's own gap keeps the bounds apart.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return bound.fit(X, y)


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_cutting_planes_find_what_newton_finds(learner):
    X, y = labelled_rows(3, n_rows=80)
    bound = CertifiedBound(epsilon=0.2, **learner).fit(X, y)
    problem = bound._problem(X, y)
    rng = np.random.RandomState(0)
    exact = solve(problem, tol=1e-6, max_iter=1000, rng=rng)
    found = solve_cuts(problem, tol=1e-2, max_iter=500)
    assert found.converged
    assert found.lower <= exact.upper + 1e-9
    assert found.upper >= exact.lower - 1e-9
    assert found.upper <= exact.upper * 1.01


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_a_narrower_domain_never_gives_a_larger_bound(learner):
    X, y = counts(0)
    real, nonnegative, whole = (
        fitted(X, y, domain, **learner) for domain in (None, "nonnegative", "count")
    )
    assert nonnegative.upper_bound_ <= real.upper_bound_ * 1.01
    assert whole.upper_bound_ <= 1.05 * nonnegative.upper_bound_
    assert whole.lower_bound_ <= nonnegative.upper_bound_


@pytest.mark.parametrize("domain", ["nonnegative", "count"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_the_attack_is_in_the_domain_and_passes_the_filter(domain, container):
    X, y = counts(1)
    bound = fitted(container(X), y, domain, rho=1.0)
    attack = bound.attack_
    rows = attack.X.toarray() if sparse.issparse(attack.X) else attack.X
    assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
    assert 0 < attack.n_copies.sum() <= 12
    assert (rows >= 0).all()
    if domain == "count":
        np.testing.assert_array_equal(rows, np.round(rows))
    else:
        assert len(rows) <= 2
    floor = bound.lower_bound_ - attack.rounding_slack
    assert floor - 1e-9 <= bound.attack_loss_ <= bound.upper_bound_ + 1e-9


def test_no_attack_of_whole_counts_exceeds_the_bound():
    X, y = counts(2)
    bound = fitted(X, y, "count", rho=1.0)
    every = np.array(list(itertools.product(range(7), repeat=4)), dtype=float)
    rng = np.random.default_rng(0)
    for label in (0, 1):
        allowed = every[bound.filter_.predict(every, np.full(len(every), label)) == 1]
        sign = 2.0 * label - 1.0
        losses = 1 - sign * (allowed @ bound.coef_[0] + bound.intercept_[0])
        assert losses.max() <= bound.poison_loss_ + 1e-9
        for worst in (allowed[np.argsort(losses)[-12:]], rng.choice(allowed, 12)):
            rows = np.vstack([X, worst])
            labels = np.append(y, np.full(12, label))
            svc = NormConstrainedSVC(1.0, tol=1e-5).fit(rows, labels)
            loss = training_loss(
                rows, 2.0 * labels - 1, svc.coef_[0], svc.intercept_[0], n_clean=60
            )
            assert loss <= bound.upper_bound_ * (1 + 1e-4)


def test_domains_that_make_no_sense_are_refused():
    X, y = counts(3)
    with pytest.raises(ValueError, match="domain='words' is unknown"):
        CertifiedBound(domain="words").fit(X, y)
    with pytest.raises(ValueError, match="solver='rda' knows real rows only"):
        CertifiedBound(domain="count", solver="rda").fit(X, y)
    same = CertifiedBound(domain="real", rho=1.0).fit(X, y)
    plain = CertifiedBound(rho=1.0).fit(X, y)
    assert same.upper_bound_ == plain.upper_bound_
    boxed = CertifiedBound(domain=Domain(lower=0, upper=3), rho=1.0, tol=1e-2)
    assert (boxed.fit(X, y).attack_.X <= 3).all()
