"""Certificate files of several classes: what proves them, and changes of them."""

from fractions import Fraction

import numpy as np
import pytest
from certificates import (
    BOUNDS,
    at_the_end_of_the_range,
    changed,
    content_of,
    failed,
    write,
)
from scipy.special import logsumexp
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, SphereFilter
from skpoison.verify import CertificateError, _classes, _file, _proof, _rows, check

ESTIMATORS = [
    LogisticRegression(C=0.5),
    LogisticRegression(class_weight="balanced"),
    LogisticRegression(fit_intercept=False),
    LinearSVC(),
    LinearSVC(loss="hinge"),
    LinearSVC(multi_class="crammer_singer"),
    RidgeClassifier(),
    SGDClassifier(loss="modified_huber", alpha=0.01),
    SGDClassifier(loss="log_loss", alpha=0.01),
]


def rows(n_rows=60):
    centers = [[-1, 0, 1], [1, 0, 0], [0, 2, 0]]
    return make_blobs(n_rows, centers=centers, random_state=0)


def fitted(X, y, estimator, **options):
    options = {"epsilon": 0.1, "tol": 0.02} | options
    return CertifiedBound(estimator=estimator, **options).fit(X, y)


@pytest.fixture(scope="module", params=[0, 3], ids=["joint", "one against the rest"])
def certificate(tmp_path_factory, request):
    X, y = rows()
    path = tmp_path_factory.mktemp("certificate") / "classes.npz"
    bound = fitted(X, y, ESTIMATORS[request.param])
    bound.to_certificate(path, feature_names=["a", "b", "c"])
    assert content_of(path)[0]["n_nodes"] > 3
    return path, X, y


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_bounds_of_several_classes_are_verified(estimator, tmp_path):
    X, y = rows()
    bound = fitted(X, y, estimator)
    bound.to_certificate(tmp_path / "c.npz")
    report = check(tmp_path / "c.npz", X[::-1], y[::-1])
    assert report.verified, report.claims
    claims = {claim.name: claim.claimed for claim in report.claims}
    assert claims["clean_loss"] == pytest.approx(bound.clean_loss_, rel=1e-9)
    assert claims["lower_bound"] == pytest.approx(bound.lower_bound_, rel=1e-6)
    upper = claims["upper_bound"]
    assert bound.lower_bound_ <= upper <= bound.upper_bound_ * (1 + 1e-9)
    assert "loss of the rows" in report.objective
    assert failed(check(tmp_path / "c.npz", X, np.roll(y, 1))) == ["rows"]


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"filter": SphereFilter()}])
def test_bounds_without_poison_or_a_slab_are_verified(options, tmp_path):
    X, y = rows()
    fitted(X, y, LogisticRegression(), **options).to_certificate(tmp_path / "c.npz")
    assert check(tmp_path / "c.npz", X, y).verified


def test_weights_of_rows_are_part_of_the_proof(tmp_path):
    X, y = rows()
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(y))
    weights[:9] = 0.0
    bound = CertifiedBound(
        epsilon=0.1, estimator=LogisticRegression(), max_weight=2.0, tol=0.02
    )
    bound.fit(X, y, sample_weight=weights).to_certificate(tmp_path / "c.npz")
    assert check(tmp_path / "c.npz", X[::-1], y[::-1]).verified


LOSSES = ["multinomial", "crammer_singer", "one_vs_rest_hinge"]
LOSSES += ["one_vs_rest_logistic", "one_vs_rest_squared", "one_vs_rest_squared_hinge"]


def values(name, scores, k):
    """The losses of rows of a class, from their scores, as textbooks have them."""
    if name == "multinomial":
        return logsumexp(scores, axis=1) - scores[:, k]
    if name == "crammer_singer":
        short = 1.0 + scores - scores[:, [k]]
        short[:, k] = 0.0
        return short.max(axis=1)
    margins = np.where(np.arange(scores.shape[1]) == k, scores, -scores)
    by = {
        "hinge": np.maximum(1.0 - margins, 0.0),
        "logistic": np.logaddexp(0.0, -margins),
        "squared_hinge": np.maximum(1.0 - margins, 0.0) ** 2,
        "squared": 0.5 * (1.0 - margins) ** 2,
    }
    return by[name.removeprefix("one_vs_rest_")].sum(axis=1)


def random_tree(rng, depth=0):
    """Nodes in preorder that cut random numbers at random places."""
    if depth == 4 or rng.random() < 0.3:
        return [(-1, 0.0, rng.normal(size=4))]
    here = [(int(rng.integers(3)), float(rng.normal()), np.zeros(4))]
    return here + random_tree(rng, depth + 1) + random_tree(rng, depth + 1)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_any_tree_and_slopes_bound_the_loss_of_every_row(name, seed):
    rng = np.random.default_rng(seed)
    n_classes, d = 4, 3
    theta = rng.normal(size=(n_classes, d + 1))
    v = rng.normal(size=(n_classes, d))
    arrays = {
        "theta": theta,
        "centers": rng.normal(size=(n_classes, d)),
        "radii": np.full((n_classes, 2), 1.5),
        "directions": v / np.linalg.norm(v, axis=1, keepdims=True),
        "offsets": np.tile([-0.4, 0.6, -0.4, 0.6], (n_classes, 1)),
        "poison_weights": np.ones(n_classes),
    }
    loss = _classes.loss_of(name, 0.0)
    problem = _proof.Problem({"loss": name}, arrays, *[None] * 3, loss)
    for k in range(n_classes):
        nodes = iter(random_tree(rng))
        bound = _classes._worst(problem, k, nodes)
        z = rng.normal(size=(20_000, d))
        z *= (
            1.5
            * rng.uniform(0.5, 1.0, (len(z), 1))
            / np.linalg.norm(z, axis=1, keepdims=True)
        )
        along = z @ arrays["directions"][k]
        z = z[(along >= -0.4) & (along <= 0.6)]
        scores = (arrays["centers"][k] + z) @ theta[:, :-1].T + theta[:, -1]
        losses = values(name, scores, k)
        assert len(losses) > 1000 and losses.max() <= bound
        if name == "crammer_singer":
            assert bound == pytest.approx(losses.max(), rel=0.1, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_functions_of_numbers_are_bounded_in_exact_arithmetic(seed):
    """Of a set of one row, whose scores are huge and nearly the same."""
    rng = np.random.default_rng(seed)
    theta = 1e9 + rng.normal(size=(4, 4))
    arrays = {
        "centers": rng.normal(size=(4, 3)),
        "radii": np.zeros((4, 2)),
        "directions": np.zeros((4, 3)),
        "offsets": np.zeros((4, 4)),
    }
    problem = _proof.Problem({}, arrays, *[None] * 4)
    numbers = np.delete(np.eye(4) - np.eye(4)[1], 1, axis=0)
    g = rng.normal(size=(50, 3)) * 10.0 ** rng.integers(0, 8, (50, 1))
    g[:, 2] = -g[:, 0] - g[:, 1]  # so that the own class's factor cancels
    w, b = theta[:, :-1], theta[:, -1]
    bounds = _classes._bounds_of_numbers(problem, 1, g, numbers, w, b)
    row = [Fraction(x) for x in arrays["centers"][1].tolist()] + [Fraction(1)]
    scores = [
        sum(Fraction(p) * x for p, x in zip(one, row, strict=True))
        for one in theta.tolist()
    ]
    others = [scores[k] - scores[1] for k in (0, 2, 3)]
    for slopes, bound in zip(g.tolist(), bounds.tolist(), strict=True):
        exact = sum(Fraction(p) * x for p, x in zip(slopes, others, strict=True))
        assert exact <= Fraction(bound)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_at_least_their_tangents(name):
    """With the slopes that are allowed, and their conjugates, for any scores."""
    rng = np.random.default_rng(0)
    loss, n, n_classes = _classes.loss_of(name, 0.0), 40, 4
    problem = _proof.Problem({"loss": name}, {}, *[None] * 3, loss)
    codes, weights = rng.integers(n_classes, size=n), rng.integers(1, 4, n) + 0.0
    own = np.eye(n_classes)[codes]
    if name.startswith("one"):
        slopes = -(2.0 * own - 1.0) * rng.integers(0, 65, (n, n_classes)) / 64.0
    else:
        shares = rng.multinomial(64, np.full(n_classes, 0.25), n) / 64.0
        slopes = shares - own
    masses = weights[:, None] * slopes
    conjugates, _ = _classes._conjugates(problem, masses, weights, codes)
    for _ in range(50):
        scores = 2.0 * rng.normal(size=(n, n_classes))
        losses = [values(name, scores[[i]], codes[i])[0] for i in range(n)]
        tangents = np.vecdot(masses, scores) - conjugates
        assert (weights * losses - tangents).min() >= -1e-12
    for wrong in (masses + 1e-12, 2.0 * masses, -masses):
        if "squared" not in name:
            with pytest.raises(_proof.Refuted, match="slopes of its loss"):
                _classes._conjugates(problem, wrong, weights, codes)


def test_a_row_without_weight_has_no_mass():
    problem = _proof.Problem(
        {"loss": "multinomial"}, {}, *[None] * 3, _classes.loss_of("multinomial", 0.0)
    )
    with pytest.raises(_proof.Refuted, match="without weight"):
        masses = np.array([[1.0, -1.0]])
        _classes._conjugates(problem, masses, np.zeros(1), np.array([1]))


@pytest.mark.parametrize("name", BOUNDS)
def test_stretched_claims_fail(certificate, tmp_path, name):
    def stretch(header, arrays):
        header[name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

    assert failed(changed(certificate, tmp_path, stretch)) == [name]


HEADER_CHANGES = {
    "kind": "loss",
    "classes": [1, 0, 2],
    "least_target": -1.0,
    "epsilon": 0.11,
    "n_poison": 7,
    "loss": "one_vs_rest_huber",
    "rho": 0.9,
    "penalty": None,
    "intercept_penalty": 0.5,
    "domain": "count",
    "n_points": 4,
    "n_entries": 0,
    "n_nodes": 1,
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_change_of_the_header_is_noticed(certificate, tmp_path, name):
    def change(header, arrays):
        header[name] = HEADER_CHANGES[name]

    try:
        assert not changed(certificate, tmp_path, change).verified
    except CertificateError:
        assert name in ("kind", "n_points", "n_entries", "n_nodes")


def scaled(factor):
    return lambda array: array.__imul__(factor)


def turned(array):
    array[:] = array[::-1].copy()


ARRAY_CHANGES = {
    "theta": [scaled(1.01), turned],
    "row_weights": [scaled(2.0)],
    "row_masses": [scaled(0.99), scaled(1.01), turned, lambda a: a.__iadd__(1e-6)],
    "poison_weights": [scaled(2.0)],
    "poison_data": [scaled(2.0)],
    "poison_indices": [turned, lambda array: array.fill(7)],
    "poison_indptr": [lambda array: array.__iadd__(1), scaled(-1)],
    "poison_labels": [lambda array: array.fill(3.0), lambda array: array.fill(0.5)],
    "poison_masses": [scaled(1.01), scaled(0.99), scaled(-1.0)],
    "poison_shares": [scaled(1.01), scaled(0.5), scaled(-1.0)],
    "centers": [turned],
    "radii": [scaled(2.0), scaled(-1.0)],
    "directions": [scaled(2.0)],
    "offsets": [scaled(2.0), scaled(-1.0)],
    "tree_features": [lambda array: array.fill(-1), lambda array: array.fill(5)],
    "tree_limits": [lambda array: array.fill(-9e9), lambda array: array.fill(9e9)],
    "tree_slopes": [scaled(1.1), scaled(0.0), scaled(-1.0), scaled(1e300)],
}


@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_a_change_of_an_array_is_noticed(certificate, tmp_path, name):
    assert ARRAY_CHANGES.keys() == _file.ARRAYS["classes"].keys()
    for change in ARRAY_CHANGES[name]:
        report = changed(certificate, tmp_path, lambda h, a: change(a[name]))  # noqa: B023
        assert set(failed(report)) & {*BOUNDS, "problem"}


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308, 1e154])
@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_numbers_at_the_ends_of_their_range_prove_nothing(
    certificate, tmp_path, name, value
):
    change = at_the_end_of_the_range(name, value)
    assert not changed(certificate, tmp_path, change).verified


@pytest.mark.parametrize("n", [-1, 2])
def test_boxes_that_are_no_tree_prove_nothing(certificate, tmp_path, n):
    def change(header, arrays):
        for name in ("tree_features", "tree_limits", "tree_slopes"):
            array = arrays[name]
            more = np.concatenate([array, array[-2:]])
            arrays[name] = array[:n] if n < 0 else more
        header["n_nodes"] = len(arrays["tree_features"])

    assert "upper_bound" in failed(changed(certificate, tmp_path, change))


def test_overflow_of_a_joint_loss_is_no_bound(tmp_path):
    """Where scores overflow, their differences are no numbers, and no loss of 0."""
    X, y = rows()
    path = tmp_path / "c.npz"
    bound = fitted(X, y, LinearSVC(multi_class="crammer_singer"))
    bound.to_certificate(path)
    header, arrays = content_of(path)
    for value in (1e308, np.finfo(float).max, 1e200):
        write(path, header, arrays | {"theta": np.full_like(arrays["theta"], value)})
        report = check(path, X, y)
        assert "upper_bound" in failed(report)
        assert all(np.isfinite(c.proven) for c in report.claims if c.proven is not None)


def test_the_lower_bound_holds_in_exact_arithmetic(certificate):
    """No parameters have a smaller objective, with the attack of the file."""
    from scipy.optimize import minimize

    path, X, y = certificate
    header, arrays = content_of(path)
    points = arrays["poison_data"].reshape(-1, 3)
    assert len(points) == header["n_points"]
    codes, shares = arrays["poison_labels"].astype(int), arrays["poison_shares"]
    rows = np.vstack([X, points])
    labels, weights = np.append(y, codes), np.append(np.ones(len(y)), shares)

    def objective(flat):
        theta = flat.reshape(3, 4)
        scores = rows @ theta[:, :-1].T + theta[:, -1]
        losses = [
            values(header["loss"], scores[[i]], label)[0]
            for i, label in enumerate(labels)
        ]
        free = 0.5 * header["penalty"] * np.sum(theta[:, :-1] ** 2)
        free += 0.5 * header["intercept_penalty"] * np.sum(theta[:, -1] ** 2)
        return weights @ losses / len(y) + free

    found = minimize(objective, arrays["theta"].ravel(), options={"maxiter": 30})
    assert header["lower_bound"] <= found.fun <= header["upper_bound"] * 1.01


def test_rows_are_hashed_by_the_position_of_their_class(certificate):
    path, X, y = certificate
    header, _ = content_of(path)
    assert _rows.digest(_rows.rows_of(X), y)[0] == header["rows_sha256"]
