"""Certificate files: what is written is verified, and what is changed is not."""

import ast
import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from certificates import (
    BOUNDS,
    blobs,
    content_of,
    counts,
    failed,
    write,
    written,
)
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.svm import LinearSVC, LinearSVR

from skpoison import CertifiedBound, SlabFilter, SphereFilter, verify
from skpoison.feasible import Domain
from skpoison.verify import check

CLASSIFIERS = [
    LinearSVC(loss="hinge"),
    LinearSVC(),
    LinearSVC(intercept_scaling=2.0),
    LogisticRegression(C=0.1),
    LogisticRegression(class_weight="balanced"),
    LogisticRegression(fit_intercept=False),
    RidgeClassifier(),
    SGDClassifier(loss="modified_huber", alpha=0.01),
]
REGRESSORS = [
    Ridge(alpha=0.1),
    Ridge(alpha=0.1, fit_intercept=False),
    LinearSVR(epsilon=5.0),
    LinearSVR(epsilon=5.0, loss="squared_epsilon_insensitive"),
    SGDRegressor(loss="huber", alpha=0.01),
    HuberRegressor(alpha=0.01),
    HuberRegressor(epsilon=2.0, fit_intercept=False),
]


ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        first, _, rest = name.partition(".")
        if first in ("scipy", "sklearn"):
            raise ImportError(name)
        if first == "skpoison" and rest.split(".")[0] not in ("", "_lazy", "verify"):
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
import numpy as np
from skpoison.verify import check
path, rows = sys.argv[1:]
rows = np.load(rows)
report = check(path, rows[:, :-1], rows[:, -1], feature_names=["a", "b", "c"])
print(report.verified)
"""


def test_a_file_is_checked_without_the_rest_of_the_package(certificate, tmp_path):
    path, X, y = certificate
    np.save(tmp_path / "rows.npy", np.column_stack([X, y]))
    command = [sys.executable, "-c", ALONE, path, tmp_path / "rows.npy"]
    assert subprocess.check_output(command, text=True).strip() == "True"


def lines_of_code(path):
    """Lines that are neither blank nor comments nor docstrings."""
    source = path.read_text(encoding="utf-8")
    texts = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                texts |= set(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(source.splitlines(), 1)
    kept = [line.strip() for i, line in lines if i not in texts]
    return sum(bool(line) and not line.startswith("#") for line in kept)


def test_the_package_is_as_long_as_it_says():
    said = dict(re.findall(r"`(_\w+)`\s+\((\d+)", verify.__doc__))
    folder = Path(verify.__file__).parent
    files = {path.stem: path for path in folder.glob("_*.py")}
    del files["__init__"]
    assert said.keys() == files.keys()
    for name, path in files.items():
        assert lines_of_code(path) == pytest.approx(int(said[name]), rel=0.05), name


@pytest.mark.parametrize(
    ("options", "own"),
    [
        ({"rho": 1.0}, set()),
        ({"C": 1.0, "domain": "nonnegative"}, {"_domain"}),
        ({"rho": 1.0, "defense": "moving_centroids", "tol": 0.1}, {"_moving"}),
    ],
)
def test_only_what_a_certificate_claims_is_imported(options, own, tmp_path):
    X, y = blobs()
    X = np.abs(X)
    written(tmp_path / "b.npz", X, y, **options)
    np.save(tmp_path / "rows.npy", np.column_stack([X, y]))
    code = ALONE + "print(*[name for name in sys.modules if 'verify._' in name])"
    command = [sys.executable, "-c", code, tmp_path / "b.npz", tmp_path / "rows.npy"]
    verified, names = subprocess.check_output(command, text=True).splitlines()
    assert verified == "True"
    found = {name.rpartition(".")[2] for name in names.split()}
    assert found & {"_domain", "_classes", "_moving", "_votes"} == own


@pytest.mark.parametrize("settings", [{"rho": 1.0}, {"C": 0.1}])
@pytest.mark.parametrize("filter", [None, SphereFilter(), "slab"])
def test_bounds_of_the_hinge_loss_are_verified(settings, filter, tmp_path):
    X, y = blobs()
    if filter == "slab":
        filter = SphereFilter(percentile=90) & SlabFilter(percentile=40)
    bound = written(tmp_path / "b.npz", X, y, filter=filter, **settings)
    report = check(tmp_path / "b.npz", X, y)
    assert report.verified
    claims = {claim.name: claim for claim in report.claims}
    assert [*claims][-4:] == BOUNDS
    for name in BOUNDS:
        fitted = getattr(bound, f"{name}_")
        assert claims[name].claimed == pytest.approx(fitted, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=repr)
def test_bounds_of_classifiers_are_verified(estimator, tmp_path):
    X, y = blobs()
    bound = written(tmp_path / "b.npz", X, y, estimator=estimator)
    report = check(tmp_path / "b.npz", X, y)
    assert report.verified
    claims = {claim.name: claim.claimed for claim in report.claims}
    assert claims["upper_bound"] == pytest.approx(bound.upper_bound_, rel=1e-9)
    assert claims["lower_bound"] == pytest.approx(bound.lower_bound_, rel=1e-8)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
def test_bounds_of_regressors_are_verified(estimator, tmp_path):
    X, y = load_diabetes(return_X_y=True)
    bound = written(tmp_path / "b.npz", X, y, estimator=estimator)
    report = check(tmp_path / "b.npz", X, y)
    assert report.verified
    claims = {claim.name: claim.claimed for claim in report.claims}
    assert claims["upper_bound"] == pytest.approx(bound.upper_bound_, rel=1e-9)
    assert claims["lower_bound"] == pytest.approx(bound.lower_bound_, rel=1e-8)
    assert failed(check(tmp_path / "b.npz", X, y + 1e-9)) == ["rows"]


@pytest.fixture(scope="module")
def huber(tmp_path_factory):
    X, y = load_diabetes(return_X_y=True)
    path = tmp_path_factory.mktemp("certificate") / "huber.npz"
    written(path, X[:80], y[:80], estimator=HuberRegressor(alpha=0.01))
    return path, X[:80], y[:80]


@pytest.mark.parametrize("times", [0.9, 1.1, -1.0, 0.0, 1e300, 1e-300])
def test_another_scale_of_a_loss_that_learns_it_proves_less(huber, tmp_path, times):
    path, X, y = huber
    header, arrays = content_of(path)
    write(tmp_path / "h.npz", header | {"scale": times * header["scale"]}, arrays)
    report = check(tmp_path / "h.npz", X, y)
    assert set(failed(report)) & {"upper_bound", "problem"}
    write(tmp_path / "h.npz", header | {"scale": None}, arrays)
    assert failed(check(tmp_path / "h.npz", X, y)) == ["problem"]


def test_slopes_too_large_for_a_learned_scale_prove_nothing(huber, tmp_path):
    """Each is within its range, but the scale could be as small as one likes."""
    path, X, y = huber
    header, arrays = content_of(path)
    limit = 2.0 * header["loss_constant"]
    steep = {"row_masses": np.clip(1.01 * arrays["row_masses"], -limit, limit)}
    write(tmp_path / "h.npz", header, arrays | steep)
    *_, claim = check(tmp_path / "h.npz", X, y).claims
    assert claim.holds is False and "scale that is learned" in claim.reason


@pytest.mark.parametrize("epsilon", [0.0, 0.001, 1.0])
@pytest.mark.parametrize("estimator", [None, LogisticRegression()], ids=repr)
def test_no_poison_and_as_much_as_there_are_rows(estimator, epsilon, tmp_path):
    X, y = blobs()
    written(tmp_path / "b.npz", X, y, estimator=estimator, epsilon=epsilon)
    assert check(tmp_path / "b.npz", X, y).verified


@pytest.mark.parametrize("settings", [{"rho": 1.0}, {"estimator": LinearSVC()}])
def test_rows_far_from_the_origin_are_verified(settings, tmp_path):
    X, y = blobs()
    written(tmp_path / "b.npz", X + 1e4, y, **settings)
    assert check(tmp_path / "b.npz", X + 1e4, y).verified


def test_a_class_whose_poison_weighs_nothing_needs_none(tmp_path):
    X, y = blobs()
    written(tmp_path / "b.npz", X, y, estimator=LinearSVC(class_weight={0: 0, 1: 1}))
    assert check(tmp_path / "b.npz", X, y).verified


def test_weights_of_rows_are_part_of_the_proof(tmp_path):
    X, y = blobs()
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(y))
    weights[:9] = 0.0
    options = {"estimator": LogisticRegression(), "max_weight": 2.0}
    written(tmp_path / "b.npz", X, y, weights, **options)
    assert check(tmp_path / "b.npz", X[::-1], y[::-1]).verified


@pytest.mark.parametrize("form", [np.float32, sparse.csr_array, pd.DataFrame])
def test_rows_in_other_forms_are_verified(form, tmp_path):
    X, y = blobs()
    X[X < 0.0] = 0.0
    X = X.astype(np.float32) if form is np.float32 else form(X)
    written(tmp_path / "b.npz", X, np.where(y, "spam", "ham"))
    assert check(tmp_path / "b.npz", X, np.where(y, "spam", "ham")).verified


def test_rows_may_come_in_any_order_and_sparse_or_not(certificate):
    path, X, y = certificate
    order = np.random.default_rng(0).permutation(len(y))
    names = {"feature_names": ["a", "b", "c"]}
    assert check(path, X[order], y[order], **names).verified
    assert check(path, sparse.csr_matrix(X[order]), y[order], **names).verified


def test_other_rows_labels_and_columns_are_noticed(certificate):
    path, X, y = certificate
    names = ["a", "b", "c"]
    moved, swapped = X.copy(), y.copy()
    moved[7, 1] = np.nextafter(moved[7, 1], 9.0)
    swapped[[0, np.flatnonzero(y != y[0])[0]]] = y[[np.flatnonzero(y != y[0])[0], 0]]
    for rows, labels in (
        (moved, y),
        (X, swapped),
        (X, 1 - y),
        (X, y + 1),
        (X, y.astype(bool)),
        (X[1:], y[1:]),
        (X[:, ::-1], y),
        (X[:, :2], y),
        (np.full_like(X, np.nan), y),
        (np.vstack([X, X[:1]]), np.append(y, y[0])),
    ):
        assert failed(check(path, rows, labels, feature_names=names)) == ["rows"]
    others = check(path, X, y, feature_names=["a", "c", "b"])
    assert failed(others) == ["columns"] and not others.verified
    unnamed = check(path, X, y)
    assert not unnamed.verified and unnamed.claims[0].holds is None
    assert "were not given" in unnamed.claims[0].reason


def said_of(path, X, y):
    report = check(path, X, y)
    assert report.verified
    return " ".join(report.assumed)


def test_what_is_assumed_says_what_the_claims_are_about(tmp_path):
    X, y = counts()
    path = tmp_path / "b.npz"
    bound = written(path, X, y, domain="nonnegative", C=1.0)
    assumed = said_of(path, X, y)
    assert "3 features between 0 and inf, 0 of them whole" in assumed
    assert "120 of the 120 rows are in it" in assumed and "weight 1" in assumed
    assert f"{bound.filter_.inlier_mask_.sum()} of the 120 rows pass" in assumed
    assert "slabs lie across the line between the centers" in assumed
    assert "hinge loss" in assumed and f"{1.0 / len(y) / 2.0:g} |(w, b)|^2" in assumed
    balanced = LogisticRegression(class_weight="balanced")
    few = np.append(y[:-1], 0)
    written(path, X, few, estimator=balanced)
    weights = len(few) / 2.0 / np.bincount(few)
    assumed = said_of(path, X, few)
    assert f"poison rows with {weights[0]:g}, {weights[1]:g} (by class)" in assumed
    assert f"weighted with {weights.min():g} to {weights.max():g}" in assumed
    assert "|w|^2" in assumed
    X, y = load_diabetes(return_X_y=True)
    bound = written(path, X, y, estimator=Ridge(fit_intercept=False))
    assumed = said_of(path, X, y)
    assert "rejects targets outside 25 to 346" in assumed and ", b = 0" in assumed
    assert f"{bound.filter_.inlier_mask_.sum()} of the 442 rows pass" in assumed
    written(path, X, y, estimator=LinearSVR(epsilon=5.0))
    assert "epsilon insensitive (epsilon 5) loss" in said_of(path, X, y)
    written(path, X, y, estimator=HuberRegressor())
    assert "(epsilon 1.35 and a scale that is learned)" in said_of(path, X, y)


@pytest.mark.filterwarnings("ignore:The solver stopped", "ignore:Only .* clean rows")
@pytest.mark.parametrize("domain", ["count", "tfidf", Domain(groups=[[0, 2]])])
def test_the_domain_is_said_with_the_rows_that_are_in_it(domain, tmp_path):
    X, y = rows_of_domain(domain)
    written(tmp_path / "b.npz", X, y, domain=domain, rho=1.0, tol=0.1)
    assumed = said_of(tmp_path / "b.npz", X, y)
    assert "120 of the 120 rows are in it" in assumed
    kinds = {"count": "3 of them whole", "tfidf": "3 that have norm 1 together"}
    assert kinds.get(str(domain), "1 one-hot groups") in assumed


def forged(path, tmp_path, X, y, change):
    """What a file says that proves another bound than its names tell."""
    header, arrays = content_of(path)
    change(header, arrays)
    header |= {"poison_loss": 1e9, "upper_bound": 1e9, "clean_loss": 1e9}
    header["lower_bound"] = 0.0
    write(tmp_path / "forged.npz", header, arrays)
    return said_of(tmp_path / "forged.npz", X, y)


def test_a_file_with_other_sets_weights_or_losses_says_so(tmp_path):
    X, y = blobs()
    path = tmp_path / "b.npz"
    written(path, X, y, estimator=LogisticRegression())

    def direction(header, arrays):
        arrays["directions"][:] = [0.0, 1.0, 0.0]

    assert "slabs do NOT lie across" in forged(path, tmp_path, X, y, direction)

    def steep(header, arrays):
        arrays["directions"] *= 1e6

    assert "slabs do NOT lie across" in forged(path, tmp_path, X, y, steep)

    def small(header, arrays):
        arrays["radii"][:] = 1e-6

    assert " 0 of the 120 rows pass" in forged(path, tmp_path, X, y, small)

    def light(header, arrays):
        arrays["poison_weights"][:] = 1e-12

    assert "poison rows with 1e-12, 1e-12" in forged(path, tmp_path, X, y, light)

    def nothing(header, arrays):
        arrays["row_weights"][:] = 0.0
        arrays["row_masses"][:] = 0.0

    assert "weighted with 0 to 0" in forged(path, tmp_path, X, y, nothing)
    X, y = load_diabetes(return_X_y=True)
    written(path, X, y, estimator=LinearSVR(epsilon=5.0))

    def constant(header, arrays):
        header["loss_constant"] = 1e6

    assert "(epsilon 1e+06)" in forged(path, tmp_path, X, y, constant)

    def narrow(header, arrays):
        header["least_target"] = header["largest_target"] = 152.0

    assert "outside 152 to 152" in forged(path, tmp_path, X, y, narrow)


def test_the_sets_of_a_file_are_compared_with_a_filter(certificate, tmp_path):
    X, y = blobs()
    path = tmp_path / "b.npz"
    bound = written(path, X, y)
    others = {
        "radius": SphereFilter(percentile=90) & SlabFilter(percentile=70),
        "offsets": SphereFilter(percentile=70) & SlabFilter(percentile=90),
        "direction": SphereFilter(percentile=50),
    }
    [same] = [c for c in check(path, X, y, filter=bound.filter_).claims[2:3]]
    assert same.name == "filter" and same.holds
    narrower = (SphereFilter(percentile=60) & SlabFilter(percentile=50)).fit(X, y)
    assert check(path, X, y, filter=narrower).verified
    for reason, other in others.items():
        report = check(path, X, y, filter=other.fit(X, y))
        assert failed(report) == ["filter"] and not report.verified
        assert reason in report.claims[2].reason
    strange = SphereFilter().fit(X, np.where(y, "a", "b"))
    assert "does not know" in check(path, X, y, filter=strange).claims[2].reason
    with pytest.raises(ValueError, match="filter must have a feasible_set"):
        check(path, X, y, filter=3)
    report = check(path, X, y, filter=bound.filter_.fit(X + 1.0, y))
    assert failed(report) == ["filter"] and "center" in report.claims[2].reason


def test_what_no_file_can_prove_is_an_error_that_says_so(tmp_path):
    X, y = blobs()
    path = tmp_path / "b.npz"
    three, positive = np.where(np.arange(len(y)) % 10 == 0, 2, y), np.abs(X)
    options = {"estimator": LogisticRegression(), "tol": 0.1}
    with pytest.raises(ValueError, match="domain='nonnegative' and 3 classes"):
        written(path, positive, three, domain="nonnegative", **options)
    assert not path.exists()


def test_a_bound_that_was_saved_needs_its_rows_again(tmp_path):
    X, y = blobs()
    bound = pickle.loads(pickle.dumps(CertifiedBound(rho=1.0).fit(X, y)))
    with pytest.raises(ValueError, match="pass the X and y"):
        bound.to_certificate(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="both X and y"):
        bound.to_certificate(tmp_path / "b.npz", X)
    with pytest.raises(ValueError, match="rows of the shape"):
        bound.to_certificate(tmp_path / "b.npz", X[1:], y[1:])
    with pytest.raises(ValueError, match="do not give the bounds that were fitted"):
        bound.to_certificate(tmp_path / "b.npz", X[::-1] + 1.0, y)
    assert not list(tmp_path.iterdir())
    bound.to_certificate(tmp_path / "b.npz", X, y)
    assert check(tmp_path / "b.npz", X, y).verified


def test_a_file_that_is_there_can_be_kept(certificate, tmp_path):
    X, y = blobs()
    (tmp_path / "b.npz").write_text("mine")
    bound = CertifiedBound(rho=1.0).fit(X, y)
    with pytest.raises(ValueError, match="exists already"):
        bound.to_certificate(tmp_path / "b.npz", overwrite=False)
    assert (tmp_path / "b.npz").read_text() == "mine"


DOMAINS = [
    "nonnegative",
    Domain(lower=-3.0, upper=[3.0, 2.0, 1.0]),
    "count",
    Domain("count", upper=3),
    Domain(["count", "real", "nonnegative"]),
    Domain(groups=[[0, 2]], upper=[1, 5, 1]),
    "binary",
    "tfidf",
]


def rows_of_domain(domain):
    X, y = counts()
    if domain == "tfidf":
        X += 0.1
        return X / np.linalg.norm(X, axis=1, keepdims=True), y
    if domain == "binary":
        return np.minimum(X, 1.0), y
    if isinstance(domain, Domain) and domain.groups:
        X[:, 0] = X[:, 0] > X[:, 2]
        X[:, 2] = 1.0 - X[:, 0]
    return X, y


@pytest.mark.filterwarnings("ignore:The solver stopped", "ignore:Only .* clean rows")
@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_bounds_of_restricted_rows_are_verified(domain, tmp_path):
    X, y = rows_of_domain(domain)
    bound = written(tmp_path / "b.npz", X, y, domain=domain, rho=1.0, tol=0.05)
    report = check(tmp_path / "b.npz", X[::-1], y[::-1])
    assert report.verified
    claims = {claim.name: claim.claimed for claim in report.claims}
    assert claims["upper_bound"] == pytest.approx(bound.upper_bound_, rel=1e-8)
    assert claims["lower_bound"] == pytest.approx(bound.lower_bound_, rel=1e-8)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RidgeClassifier()])
def test_other_losses_of_restricted_rows_are_verified(estimator, tmp_path):
    X, y = counts()
    written(tmp_path / "b.npz", X, y, domain="nonnegative", estimator=estimator)
    assert check(tmp_path / "b.npz", X, y).verified


def test_the_header_is_plain_json(certificate):
    path, *_ = certificate
    with np.load(path, allow_pickle=False) as archive:
        header = json.loads(archive["header.json"])
        assert archive["theta"].shape == (4,)
    assert header["learner"] == "NormConstrainedSVC(rho=1.0)"
    assert header["packages"].keys() >= {"skpoison", "numpy", "python"}
    assert header["classes"] == [0, 1] and header["n_poison"] == 12


@pytest.mark.parametrize(
    "X, y, message",
    [
        (np.zeros((4, 3)), [0, 1, 0], r"y must have the shape \(4,\).*got \(3,\)"),
        ("abc", [0, 1], "X must hold rows of numbers"),
        (np.zeros((2, 3)), [[0], [1]], r"y must have the shape \(2,\)"),
    ],
)
def test_rows_that_are_none_are_named(certificate, X, y, message):
    with pytest.raises(ValueError, match=message):
        check(certificate[0], X, y)


def test_arguments_of_to_certificate_are_named(tmp_path):
    path = tmp_path / "bound.npz"
    bound = written(path, *blobs(40))
    with pytest.raises(ValueError, match="overwrite=True replaces it"):
        bound.to_certificate(path, overwrite=False)
    with pytest.raises(ValueError, match=r"feature_names must have 3 names.*got 2"):
        bound.to_certificate(path, feature_names=["a", "b"])
    deep = {"a": [[[[[[[1]]]]]]]}
    for encoding in ({"a": {1}}, {"a": math.nan}, [1], deep, {"a": "\ud800"}):
        with pytest.raises(ValueError, match="encoding must be"):
            bound.to_certificate(path, encoding=encoding)
