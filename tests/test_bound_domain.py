"""The bound against attackers who can only send some rows."""

import itertools
import warnings

import numpy as np
import pytest
from oracles import labelled_rows, training_loss
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.bounds import _discrete
from skpoison.exceptions import FilterWarning
from skpoison.feasible import Domain, RestrictedSet, SphereSlab
from skpoison.solvers._proximal_bundle import solve_cuts
from skpoison.solvers._working_set import solve

LEARNERS = [{"rho": 1.0}, {"C": 1.0}]


def counts(seed, n_rows=60):
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % 2
    rates = np.where(y[:, np.newaxis] == 1, [2, 1, 0.5, 0.2], [1, 2, 0.2, 0.5])
    return rng.poisson(rates).astype(float), y


def fitted(X, y, domain, *, epsilon=0.2, tol=1e-2, **learner):
    both = SphereFilter(percentile=80) & SlabFilter(percentile=80)
    options = {"epsilon": epsilon, "tol": tol, "random_state": 0, **learner}
    bound = CertifiedBound(both, domain=domain, **options)
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


@pytest.mark.parametrize("domain", ["nonnegative", "count"])
def test_without_poison_the_bound_is_the_loss_of_the_learner(domain):
    X, y = counts(4)
    bound = fitted(X, y, domain, epsilon=0.0, tol=1e-3, rho=1.0)
    svc = NormConstrainedSVC(1.0, tol=1e-4).fit(X, y)
    w, b = svc.coef_[0], svc.intercept_[0]
    loss = training_loss(X, 2.0 * y - 1, w, b, n_clean=60)
    assert bound.upper_bound_ == pytest.approx(loss, rel=2e-3)
    assert bound.attack_.n_copies.sum() == 0


def test_domains_that_make_no_sense_are_refused():
    X, y = counts(3)
    with pytest.raises(ValueError, match=r"domain must be one of .* got 'words'"):
        CertifiedBound(domain="words").fit(X, y)
    same = CertifiedBound(domain="real", rho=1.0).fit(X, y)
    plain = CertifiedBound(rho=1.0).fit(X, y)
    assert same.upper_bound_ == plain.upper_bound_
    boxed = CertifiedBound(domain=Domain(lower=0, upper=3), rho=1.0, tol=1e-2)
    assert (boxed.fit(X, y).attack_.X <= 3).all()


def texts(seed=0, n_rows=300, n_words=800):
    """Word counts with many rare words, as texts have."""
    rng = np.random.default_rng(seed)
    y = rng.choice([-1, 1], n_rows)
    popularity = 1.0 / (3.0 + np.arange(n_words))
    tilt = np.exp(0.5 * rng.normal(size=n_words))
    shares = {-1: popularity, 1: popularity * tilt}
    counts = [rng.multinomial(40, shares[label] / shares[label].sum()) for label in y]
    return sparse.csr_matrix(np.array(counts, dtype=float)), y


@pytest.fixture(scope="module")
def text_bounds():
    X, y = texts()
    domains = ("nonnegative", "count")
    return X, y, {d: fitted(X, y, d, epsilon=0.05, tol=2e-2, rho=3.0) for d in domains}


def independent_filter(X, y, percentile):
    """Sphere and slab of each class, written out."""
    X = X.toarray()
    means = {label: X[y == label].mean(axis=0) for label in (-1, 1)}
    axis = means[1] - means[-1]
    axis /= np.linalg.norm(axis)

    def limits(label):
        away = X[y == label] - means[label]
        sphere = np.percentile(np.linalg.norm(away, axis=1), percentile)
        return sphere, np.percentile(np.abs(away @ axis), percentile)

    def passes(row, label):
        sphere, slab = limits(label)
        away = row - means[label]
        inside = np.linalg.norm(away) <= sphere + 1e-9
        return inside and abs(away @ axis) <= slab + 1e-9

    return passes


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("kind", ["one-hot", "nonnegative"])
def test_a_domain_never_has_a_larger_bound_than_any_numbers(kind, learner):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        y = np.arange(50) % 2
        X = np.hstack([np.eye(2)[y], rng.normal(y[:, np.newaxis], 1.0, (50, 2))])
        domain = Domain(groups=[[0, 1]])
        if kind == "nonnegative":
            X, domain = np.abs(X[:, 2:]), "nonnegative"
        real, narrow = (fitted(X, y, d, **learner) for d in (None, domain))
        assert narrow.upper_bound_ <= real.upper_bound_
        assert narrow.lower_bound_ <= narrow.upper_bound_
        assert narrow.attack_loss_ <= narrow.upper_bound_
        scores = (2 * y - 1) * narrow.decision_function(X)
        assert narrow.clean_loss_ == pytest.approx(np.maximum(1 - scores, 0).mean())
        least = min(entry["upper_bound"] for entry in narrow.history_)
        assert narrow.upper_bound_ == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("domain", ["nonnegative", "count"])
def test_the_bounds_on_texts_meet(text_bounds, domain):
    bound = text_bounds[2][domain]
    assert 0.0 <= bound.dual_gap_ <= 2e-2 * bound.upper_bound_
    assert bound.lower_bound_ - bound.attack_.rounding_slack <= bound.attack_loss_
    assert bound.attack_loss_ <= bound.upper_bound_


def test_dense_and_sparse_texts_have_the_same_bounds(text_bounds):
    X, y, bounds = text_bounds
    dense = fitted(X.toarray(), y, "count", epsilon=0.05, tol=2e-2, rho=3.0)
    assert isinstance(dense.attack_.X, np.ndarray)
    assert dense.lower_bound_ <= bounds["count"].upper_bound_
    assert bounds["count"].lower_bound_ <= dense.upper_bound_
    assert (dense.filter_.predict(dense.attack_.X, dense.attack_.y) == 1).all()


def test_word_counts_hold_an_attacker_back(text_bounds):
    bounds = text_bounds[2]
    assert bounds["count"].upper_bound_ < 0.95 * bounds["nonnegative"].upper_bound_


def test_each_poison_text_is_whole_and_passes_an_independent_filter(text_bounds):
    X, y, bounds = text_bounds
    attack = bounds["count"].attack_
    passes = independent_filter(X, y, percentile=80)
    rows = attack.X.toarray()
    np.testing.assert_array_equal(rows, np.round(rows))
    assert (rows >= 0).all()
    assert all(passes(*pair) for pair in zip(rows, attack.y, strict=True))
    assert attack.n_copies.sum() == 15


@pytest.mark.parametrize("domain", ["count", "tfidf"])
def test_a_curve_of_restricted_bounds_grows(domain):
    X, y = texts(1, 120, 200)
    if domain == "tfidf":
        X = normalize(X)
    bound = CertifiedBound(domain=domain, rho=2.0, tol=2e-2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        curve = bound_curve(bound, X, y, [0.05, 0.1, 0.2])
    assert (np.diff(curve.upper_bound) > -1e-3).all()
    assert (curve.lower_bound <= curve.upper_bound).all()
    for fit in curve.estimators:
        rows = fit.attack_.X
        assert (fit.filter_.predict(rows, fit.attack_.y) == 1).all()
        if domain == "tfidf":
            norms = np.sqrt(rows.multiply(rows).sum(axis=1))
            np.testing.assert_allclose(norms, np.rint(norms), atol=1e-9)
            assert norms.max() <= 1 + 1e-9
            assert rows.min() >= 0


def test_a_text_without_known_words_is_among_the_attackers_rows():
    """Separable texts, radii that let the row of zeros pass: its loss is what is left.

    Rows of norm 1 that pass lie at their class's word, where the loss can be zero; the
    row of zeros has the loss 1 - y b, whatever the weights.
    """
    X, y = np.repeat(np.eye(2), 20, axis=0), np.repeat([0, 1], 20)
    filter_ = SphereFilter(radii=[0.6, 0.6], centroids=[[0.6, 0.0], [0.0, 0.6]])
    bound = CertifiedBound(filter_, 0.25, domain="tfidf", rho=50.0, tol=1e-3)
    bound.fit(X, y)
    assert bound.upper_bound_ == pytest.approx(0.25, rel=1e-2)
    assert not bound.attack_.X.any()
    assert bound.attack_loss_ == pytest.approx(0.25, rel=1e-2)
    assert (bound.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()


def test_mixed_features_have_a_bound():
    X, y = counts(5, 80)
    X = np.hstack([X, np.random.default_rng(5).normal(y[:, None], 1.0, (80, 2))])
    domain = Domain(["count"] * 4 + ["real"] * 2, lower={5: -3.0})
    bound = fitted(X, y, domain, tol=5e-2, rho=1.0)
    assert bound.dual_gap_ <= 0.1 * bound.upper_bound_
    rows = bound.attack_.X
    np.testing.assert_array_equal(rows[:, :4], np.round(rows[:, :4]))
    assert (rows[:, 5] >= -3.0).all()
    assert (bound.filter_.predict(rows, bound.attack_.y) == 1).all()


def test_one_hot_groups_have_a_bound():
    rng = np.random.default_rng(6)
    y = np.arange(90) % 2
    colors = np.eye(3)[np.minimum(rng.integers(0, 3, 90) + y, 2)]
    X = np.hstack([colors, rng.poisson(1.0 + y[:, None], (90, 2))]).astype(float)
    domain = Domain(["count"] * 5, groups=[[0, 1, 2]])
    bound = fitted(X, y, domain, tol=5e-2, rho=1.0)
    np.testing.assert_array_equal(bound.attack_.X[:, :3].sum(axis=1), 1.0)
    assert bound.lower_bound_ <= bound.upper_bound_


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("as_rows", [np.asarray, sparse.csr_matrix])
def test_rows_of_few_values_on_the_radius_are_among_the_attackers(as_rows, dtype):
    """Percentiles of few-valued rows are the distance of many of them, to the bit."""
    rows = np.eye(5, dtype=dtype)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y = np.arange(40) % 2
        X = as_rows(rows[np.where(rng.random(40) < 0.5, rng.integers(0, 5, 40), y)])
        domain = Domain(groups=[list(range(5))])
        bound = fitted(X, y, domain, rho=1.0)
        w, b = bound.coef_[0], bound.intercept_[0]
        losses = [
            1 - sign * (row @ w + b)
            for sign, label in ((-1, 0), (1, 1))
            for row in rows[bound.filter_.predict(as_rows(rows), [label] * 5) == 1]
        ]
        assert max(losses) <= bound.poison_loss_
        attack = bound.attack_
        assert np.all(bound.filter_.predict(attack.X, attack.y) == 1)


def test_a_pipeline_on_raw_strings():
    rng = np.random.default_rng(0)
    words = np.array(["offer", "money", "meeting", "paper", "hello", "today"])
    shares = {"spam": [4, 4, 1, 1, 2, 2], "ham": [1, 1, 4, 4, 2, 2]}
    labels = rng.choice(["ham", "spam"], 100)
    drawn = [rng.choice(words, 8, p=np.array(shares[label]) / 14) for label in labels]
    mails = [" ".join(mail) for mail in drawn]
    bound = CertifiedBound(epsilon=0.1, domain="count", rho=1.0, tol=5e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline = make_pipeline(CountVectorizer(), bound).fit(mails, labels)
    attack = pipeline[-1].attack_
    sent = pipeline[0].inverse_transform(attack.X)
    assert all(set(mail) <= set(words) for mail in sent)
    assert pipeline.score(mails, labels) > 0.8


def test_a_domain_that_most_clean_rows_are_not_in_is_warned_of():
    rng = np.random.default_rng(0)
    X, y = rng.poisson(1.0, (80, 6)) + 0.0, np.arange(80) % 2
    bound = CertifiedBound(epsilon=0.1, rho=1.0, domain="binary", tol=0.1)
    with pytest.warns(
        FilterWarning, match=r"Only \d+% of the clean rows are in domain="
    ):
        bound.fit(X, y)
    bound.set_params(domain="count").fit(X, y)  # no warning


def test_rows_that_the_filter_rejects_for_rounding_are_replaced():
    rng = np.random.default_rng(2)
    y = np.where(rng.random(40) < 0.5, -1, 1)
    X = (rng.random((40, 24)) < 0.3 + 0.3 * (y[:, np.newaxis] > 0)).astype(float)
    # Many binary rows are as far out as the row whose distance is the radius.
    bound = CertifiedBound(epsilon=0.1, domain="binary", C=1.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        bound.set_params(tol=0.01).fit(X, y)
    assert bound.dual_gap_ < 0.15 * bound.upper_bound_
    assert bound.lower_bound_ - bound.attack_.rounding_slack <= bound.attack_loss_


@pytest.mark.parametrize("seed", range(60))
def test_rows_beside_whole_features_keep_their_norm(seed):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    center, radius = rng.uniform(0.3, 0.8, 3), rng.uniform(0.5, 0.9)
    base = SphereSlab(center, radius, direction, -0.15, 0.15)
    domain = Domain({0: "tfidf", 1: "tfidf", 2: "binary"})
    try:
        rows = RestrictedSet(base, domain)
    except ValueError:
        return  # it has no rows
    found = rows.project(rng.normal(size=(20, 3)))
    assert domain.contains(found).all() and rows.contains(found).all()


@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 1.0}])
def test_rows_that_no_parameters_tell_apart(learner):
    X, y = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0), np.tile([0, 1], 10)
    bound = CertifiedBound(SphereFilter(percentile=100), 0.1, domain="tfidf", **learner)
    bound.fit(X, y)
    assert bound.lower_bound_ <= bound.upper_bound_ <= 1.1 + 1e-9


@pytest.mark.parametrize("n_features", [4, 30])
def test_few_features_of_unit_norm_need_few_rounds(n_features, monkeypatch):
    monkeypatch.setattr(_discrete, "_spread", None)  # rows around hulls: not needed
    rng = np.random.default_rng(1)
    y = np.arange(80) % 2
    X = rng.random((80, n_features)) * (1.0 + y[:, np.newaxis] * rng.random(n_features))
    bound = fitted(normalize(X), y, "tfidf", tol=2e-3, C=1.0)
    assert bound.dual_gap_ <= 2e-3 * bound.upper_bound_
    assert bound.filter_.predict(bound.attack_.X, bound.attack_.y).min() == 1


@pytest.mark.parametrize("as_rows", [np.asarray, sparse.csr_matrix])
def test_attacks_use_all_of_their_rows_in_single_precision(as_rows):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = rng.random((100, 30)) * (rng.random((100, 30)) < 0.4 + 0.2 * y[:, np.newaxis])
    X = normalize(X)
    double, single = (
        fitted(as_rows(X.astype(dtype)), y, "tfidf", tol=1e-3, C=1.0)
        for dtype in (np.float64, np.float32)
    )
    assert single.attack_.X.dtype == np.float32
    assert single.attack_.n_copies.sum() == double.attack_.n_copies.sum() == 20
    assert single.attack_loss_ == pytest.approx(double.attack_loss_, rel=1e-2)
    assert np.all(single.filter_.predict(single.attack_.X, single.attack_.y) == 1)
    regions = single.filter_.feasible_set()
    assert regions.contains(single.attack_.X, single.attack_.y, 1e-7).all()
    rows = sparse.csr_array(single.attack_.X, dtype=np.float64)
    norms = sparse.linalg.norm(rows, axis=1)
    assert norms == pytest.approx(np.ones(len(norms)), abs=1e-6)
