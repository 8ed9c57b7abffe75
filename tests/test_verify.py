"""Certificate files: what is written is verified, and what is changed is not."""

import io
import itertools
import json
import math
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.svm import LinearSVC, LinearSVR

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.feasible import Domain
from skpoison.verify import CertificateError, _domain, _file, _proof, _rows, check
from skpoison.verify._losses import loss_of

BOUNDS = ["clean_loss", "poison_loss", "upper_bound", "lower_bound"]
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
]


def blobs(n_rows=120):
    return make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


def written(path, X, y, sample_weight=None, **settings):
    bound = CertifiedBound(**({"epsilon": 0.1} | settings)).fit(X, y, sample_weight)
    bound.to_certificate(path)
    return bound


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file whose claims are not trivial, with the rows that it is about."""
    X, y = blobs()
    path = tmp_path_factory.mktemp("certificate") / "bound.npz"
    bound = CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y)
    bound.to_certificate(path, feature_names=["a", "b", "c"])
    assert bound.poison_loss_ > 0.1
    return path, X, y


def changed(certificate, tmp_path, change):
    """Write the file again with other content and a seal that fits; check it."""
    path, X, y = certificate
    header, arrays = _file.read(path)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(header, arrays)
    with open(tmp_path / "changed.npz", "wb") as file:
        _file.write(file, header, arrays)
    return check(tmp_path / "changed.npz", X, y, feature_names=["a", "b", "c"])


def failed(report):
    return [claim.name for claim in report.claims if claim.holds is not True]


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


@pytest.mark.parametrize("name", BOUNDS)
def test_claims_that_are_stretched_by_a_billionth_fail(certificate, tmp_path, name):
    def stretch(header, arrays):
        header["claims"][name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

    assert failed(changed(certificate, tmp_path, stretch)) == [name]


HEADER_CHANGES = {
    "format": "other",
    "version": 2,
    "kind": "votes",
    "packages": [],
    "n_rows": 119,
    "n_features": 4,
    "rows_sha256": "0" * 64,
    "columns_sha256": "0" * 64,
    "encoding": "none",
    "classes": [1, 0],
    "target_range": [0.0, 1.0],
    "epsilon": 0.11,
    "n_poison": 13,
    "learner": None,
    "loss": "logistic",
    "loss_constant": -1.0,
    "rho": 0.9,
    "penalty": 0.1,
    "intercept_penalty": -0.1,
    "filter": 3,
    "domain": "count",
    "claims": {},
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_change_of_a_field_of_the_header_is_noticed(certificate, tmp_path, name):
    def change(header, arrays):
        header[name] = HEADER_CHANGES[name]

    assert HEADER_CHANGES.keys() == _file.FIELDS["loss"].keys()
    try:
        assert not changed(certificate, tmp_path, change).verified
    except CertificateError:
        assert name not in ("epsilon", "rho", "rows_sha256", "classes", "loss")


def shift(array):
    array[:] += 0.01


def double(array):
    array[:] *= 2


def swap(array):
    array[:] = array[::-1].copy()


ARRAY_CHANGES = {
    "theta": shift,
    "centers": swap,
    "radii": double,
    "directions": double,
    "offsets": double,
    "domain_lower": None,  # empty here: see the changes of a domain
    "domain_upper": None,
    "domain_kinds": None,
    "tree_features": None,
    "tree_limits": None,
    "multipliers": None,
    "poison_weights": double,
    "row_weights": double,
    "row_masses": lambda array: array.__imul__(0.99),
    "poison_data": double,
    "poison_indices": swap,
    "poison_indptr": swap,
    "poison_labels": lambda array: np.subtract(1.0, array, out=array),
    "poison_masses": double,
    "poison_slopes": double,
}


@pytest.mark.parametrize(
    "name", [name for name in ARRAY_CHANGES if ARRAY_CHANGES[name]]
)
def test_a_change_of_an_array_is_noticed(certificate, tmp_path, name):
    def change(header, arrays):
        ARRAY_CHANGES[name](arrays[name])

    assert ARRAY_CHANGES.keys() == _file.ARRAYS["loss"].keys()
    report = changed(certificate, tmp_path, change)
    assert set(failed(report)) & {*BOUNDS, "problem"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "name", [n for n, kind in _file.ARRAYS["loss"].items() if kind[0] == "<f8"]
)
def test_numbers_that_are_none_are_refused(certificate, tmp_path, name, value):
    def change(header, arrays):
        if not arrays[name].size:  # those of a domain
            header["domain"], d = "numbers", header["n_features"]
            for one, (kind, letters) in _file.ARRAYS["loss"].items():
                if letters[0] in "rt":
                    arrays[one] = np.zeros([d, 2][: len(letters)], kind)
        arrays[name].flat[-1] = value

    with pytest.raises(CertificateError, match=f"{name} holds NaN or infinity"):
        changed(certificate, tmp_path, change)


@pytest.mark.parametrize("value", [1e308, -1e308, 1e200, np.finfo(float).max])
@pytest.mark.parametrize("domain", [None, "nonnegative"])
def test_numbers_that_are_too_large_to_compute_with_prove_nothing(
    domain, value, tmp_path
):
    X, y = blobs(40)
    path, kept = tmp_path / "bound.npz", tmp_path / "kept.npz"
    estimator = None if domain else LogisticRegression()
    written(kept, np.abs(X), y, estimator=estimator, domain=domain or "real")
    header, arrays = _file.read(kept)
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.size:
            continue
        with open(path, "wb") as file:
            _file.write(file, header, arrays | {name: np.full_like(array, value)})
        for claim in check(path, np.abs(X), y).claims:
            text = f"{claim.reason} {claim.proven}"
            assert not any(word in text for word in ("nan", " inf", "fsum")), name
            assert claim.proven is None or math.isfinite(claim.proven)
            assert claim.holds or claim.reason


@pytest.mark.parametrize("name", ["header", "poison_data", "row_weights"])
def test_large_members_are_refused_before_they_are_read(certificate, tmp_path, name):
    path, X, y = certificate
    members = members_of(path)
    kind, n = ("u1", 2**22) if name == "header" else ("<f8", 2**19)
    large = io.BytesIO()
    np.lib.format.write_array(large, np.zeros(n, kind), (1, 0))
    members[f"{name}.npy"] = large.getvalue()
    write_members(tmp_path / "large.npz", members)
    assert (tmp_path / "large.npz").stat().st_size > 2**22
    tracemalloc.start()
    try:
        with pytest.raises(CertificateError, match=r"in place of|more than 1048576"):
            check(tmp_path / "large.npz", X, y)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_any_bit_of_a_member_counts(certificate, tmp_path):
    path, X, y = certificate
    content, spots = path.read_bytes(), []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            head = content[entry.header_offset :]
            start = entry.header_offset + 30 + head[26] + 256 * head[27]
            spots += [start, start + entry.file_size - 1, start + entry.file_size // 2]
    for spot in spots:
        for bit in (1, 128):
            broken = bytearray(content)
            broken[spot] ^= bit
            (tmp_path / "broken.npz").write_bytes(broken)
            with pytest.raises(CertificateError):
                check(tmp_path / "broken.npz", X, y)


def test_the_seal_notices_what_the_archive_does_not(certificate, tmp_path):
    path, X, y = certificate
    members = members_of(path)
    for name, content in members.items():
        broken = bytearray(content)
        broken[-1] ^= 1
        write_members(tmp_path / "broken.npz", members | {name: bytes(broken)})
        with pytest.raises(CertificateError):
            check(tmp_path / "broken.npz", X, y)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def header_of(shape, descr="<f8"):
    file = io.BytesIO()
    described = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


HOSTILE_MEMBERS = {
    "object": ("theta.npy", npy(np.array([{}], dtype=object), allow_pickle=True)),
    "huge": ("theta.npy", header_of((2**40,))),
    "overflowing": ("theta.npy", header_of((2**32, 2**32))),
    "negative": ("theta.npy", header_of((-1, -4)) + bytes(32)),
    "text": ("theta.npy", b"no array at all"),
    "nested": ("theta.npy", b"\x93NUMPY\x01\x00\xff\x00" + b"(" * 255),
    "complex": ("theta.npy", npy(np.zeros(4, dtype=complex))),
    "path": ("../../theta.npy", npy(np.zeros(4))),
    "stranger": ("more.npy", npy(np.zeros(4))),
    "header of text": ("header.npy", npy(np.frombuffer(b"{", np.uint8))),
    "header with NaN": ("header.npy", npy(np.frombuffer(b'{"a": NaN}', np.uint8))),
    "header with 1e999": ("header.npy", npy(np.frombuffer(b'{"a": 1e999}', np.uint8))),
    "header twice": ("header.npy", npy(np.frombuffer(b'{"a": 1, "a": 2}', np.uint8))),
    "deep header": ("header.npy", npy(np.frombuffer(b"[" * 99999, np.uint8))),
    "long header": ("header.npy", npy(np.zeros(2**20 + 1, np.uint8))),
}


@pytest.mark.parametrize("kind", HOSTILE_MEMBERS)
def test_hostile_members_are_refused(certificate, tmp_path, kind):
    path, X, y = certificate
    members = members_of(path)
    name, content = HOSTILE_MEMBERS[kind]
    write_members(tmp_path / "hostile.npz", members | {name: content})
    with pytest.raises(CertificateError):
        check(tmp_path / "hostile.npz", X, y)


def test_hostile_archives_are_refused(certificate, tmp_path):
    path, X, y = certificate
    members = members_of(path)
    hostile = tmp_path / "hostile.npz"
    write_members(hostile, members, zipfile.ZIP_DEFLATED)
    with pytest.raises(CertificateError, match="compressed"):
        check(hostile, X, y)
    del members["theta.npy"]
    write_members(hostile, members)
    with pytest.raises(CertificateError, match="once each"):
        check(hostile, X, y)
    with zipfile.ZipFile(hostile, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("radii.npy", members["radii.npy"])
    with pytest.raises(CertificateError, match="once each"):
        check(hostile, X, y)
    for content in (b"", b"PK", b"a,b\n1,2\n", path.read_bytes()[:-30]):
        hostile.write_bytes(content)
        with pytest.raises(CertificateError, match="no archive or damaged"):
            check(hostile, X, y)
    with pytest.raises(CertificateError, match="max_size=1000 bytes"):
        check(path, X, y, max_size=1000)


def too_heavy(header, arrays):
    arrays["row_masses"][arrays["row_masses"].argmax()] = 1.0 + 1e-15


def too_light(header, arrays):
    arrays["row_masses"][arrays["row_masses"].argmin()] = -1e-300


REFUTED = {
    "slopes of its loss": [too_heavy, too_light],
    "out of its range": [
        lambda header, arrays: arrays["poison_slopes"].__iadd__(1e-15),
        lambda header, arrays: arrays["poison_masses"].__imul__(-1.0),
    ],
    "more than epsilon allows": [
        lambda header, arrays: arrays["poison_masses"].__imul__(1.0 + 1e-12),
    ],
    "cannot have": [lambda header, arrays: arrays["poison_labels"].fill(2.0)],
    "outside its set": [
        lambda header, arrays: arrays["radii"][:, 0].__imul__(0.5),
        lambda header, arrays: arrays["offsets"][:, :2].fill(0.0),
    ],
    "are damaged": [
        lambda header, arrays: arrays["poison_indices"].fill(3),
        lambda header, arrays: arrays["poison_indices"].fill(-1),
        lambda header, arrays: arrays["poison_indptr"].__iadd__(1),
    ],
}


@pytest.mark.parametrize("reason", REFUTED)
def test_steps_of_the_lower_bound_that_fail_are_named(certificate, tmp_path, reason):
    for change in REFUTED[reason]:
        *_, lower = changed(certificate, tmp_path, change).claims
        assert lower.name == "lower_bound" and lower.holds is False
        assert reason in lower.reason


def test_parameters_outside_the_ball_pay_for_it(certificate, tmp_path):
    """A smaller ball than that of the parameters, by more than rounding."""

    def change(header, arrays):
        header["rho"] *= 1.0 - 1e-6
        header["claims"]["lower_bound"] = 0.0

    assert failed(changed(certificate, tmp_path, change)) == ["upper_bound"]


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308])
@pytest.mark.parametrize("name", [n for n in ARRAY_CHANGES if ARRAY_CHANGES[n]])
def test_numbers_at_the_ends_of_their_range_prove_nothing(
    certificate, tmp_path, name, value
):
    def change(header, arrays):
        if arrays[name].dtype.kind == "f":
            arrays[name][:] = value
        else:
            arrays[name][:] = 2**62 * np.sign(value).astype(int)
        header["claims"] |= {"upper_bound": 0.01, "lower_bound": 1.0}

    assert not changed(certificate, tmp_path, change).verified


def test_what_is_assumed_says_what_the_claims_are_about(tmp_path):
    X, y = counts()
    path = tmp_path / "b.npz"
    written(path, X, y, domain="nonnegative", C=1.0)
    assumed = " ".join(check(path, X, y).assumed)
    assert "rows of the domain" in assumed and "each with weight 1" in assumed
    assert "hinge loss" in assumed and f"{1.0 / len(y) / 2.0:g} |(w, b)|^2" in assumed
    balanced = LogisticRegression(class_weight="balanced")
    written(path, X, np.append(y[:-1], 0), estimator=balanced)
    assumed = " ".join(check(path, X, np.append(y[:-1], 0)).assumed)
    assert "weighted as in the file" in assumed and "|w|^2" in assumed
    X, y = load_diabetes(return_X_y=True)
    written(path, X, y, estimator=Ridge(fit_intercept=False))
    assumed = " ".join(check(path, X, y).assumed)
    assert "rejects targets outside 25 to 346" in assumed and ", b = 0" in assumed


def test_huge_integers_are_refused(certificate, tmp_path):
    def change(header, arrays):
        header["epsilon"] = 10**400

    with pytest.raises(CertificateError, match="epsilon is too large"):
        changed(certificate, tmp_path, change)


def test_what_no_file_can_prove_is_an_error_that_says_so(tmp_path):
    X, y = blobs()
    path = tmp_path / "b.npz"
    with pytest.raises(ValueError, match="defense='moving_centroids'"):
        written(path, X, y, defense="moving_centroids", tol=0.3)
    with pytest.raises(ValueError, match=r"HuberRegressor\(\)"):
        written(path, X, y + 0.5, estimator=HuberRegressor())
    with pytest.raises(ValueError, match="3 classes"):
        three = np.where(np.arange(len(y)) % 10 == 0, 2, y)
        written(path, X, three, estimator=LogisticRegression(), tol=0.1)
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


def counts():
    X, y = blobs()
    return np.rint(2.0 * np.abs(X)), y


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


@pytest.fixture(scope="module")
def of_counts(tmp_path_factory):
    """A file whose multipliers are those of a tree with several leaves."""
    X, y = counts()
    path = tmp_path_factory.mktemp("certificate") / "counts.npz"
    with pytest.warns(ConvergenceWarning):  # a gap remains, which branching narrows
        bound = CertifiedBound(epsilon=0.1, C=1.0, domain="count").fit(X, y)
    bound.to_certificate(path, feature_names=["a", "b", "c"])
    assert (_file.read(path)[1]["tree_features"] >= 0).sum() > 1
    return path, X, y


def shear(arrays):
    arrays["multipliers"] = arrays["multipliers"][:-1]
    arrays["tree_features"] = arrays["tree_features"][:-1]
    arrays["tree_limits"] = arrays["tree_limits"][:-1]


def lengthen(arrays):
    for name in ("multipliers", "tree_features", "tree_limits"):
        arrays[name] = np.concatenate([arrays[name], arrays[name][-1:]])


DOMAIN_CHANGES = {
    "long": lengthen,
    "less is bounded": lambda arrays: arrays["domain_upper"].__setitem__(0, 0.0),
    "interval": lambda arrays: arrays["domain_kinds"].fill(0),
    "kind": lambda arrays: arrays["domain_kinds"].__setitem__(0, 77),
    "negative kind": lambda arrays: arrays["domain_kinds"].__setitem__(0, -1),
    "group": lambda arrays: arrays["domain_kinds"].__setitem__(0, 3),
    "limit": lambda arrays: arrays["tree_limits"].__iadd__(0.5),
    "multipliers": lambda arrays: arrays["multipliers"].__imul__(2.0),
    "negative multipliers": lambda arrays: arrays["multipliers"].__imul__(-1.0),
    "leaves": lambda arrays: arrays["tree_features"].fill(-1),
    "no leaves": lambda arrays: arrays["tree_features"].fill(0),
    "no such feature": lambda arrays: arrays["tree_features"].fill(9),
    "short": shear,
    "huge lam": lambda arrays: arrays["multipliers"][:, 0].fill(1e308),
    "huge t": lambda arrays: arrays["multipliers"][:, 1].fill(1e308),
    "huge both": lambda arrays: arrays["multipliers"].fill(-1e308),
    "tiny lam": lambda arrays: arrays["multipliers"][:, 0].fill(1e-320),
}


@pytest.mark.parametrize("name", DOMAIN_CHANGES)
def test_a_change_of_domain_or_tree_is_noticed(of_counts, tmp_path, name):
    def change(header, arrays):
        DOMAIN_CHANGES[name](arrays)

    assert changed(of_counts, tmp_path, lambda header, arrays: None).verified
    assert not changed(of_counts, tmp_path, change).verified


@pytest.mark.parametrize("name", ["upper_bound", "lower_bound", "poison_loss"])
def test_stretched_claims_of_restricted_rows_fail(of_counts, tmp_path, name):
    def stretch(header, arrays):
        header["claims"][name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

    assert failed(changed(of_counts, tmp_path, stretch)) == [name]


@pytest.mark.parametrize("domain", ["count", "binary", "mixed", "groups", "tfidf"])
def test_multipliers_bound_every_row_of_a_domain(domain):
    """Against all rows of a small domain, or many, at multipliers of any kind."""
    rng = np.random.default_rng(0)
    grid = np.array(list(itertools.product([0.0, 1.0, 2.0, 3.0], repeat=3)))
    lower, upper, kinds = np.zeros(3), np.full(3, 3.0), np.ones(3, dtype=int)
    if domain == "binary":
        upper[:] = 1.0
    elif domain == "mixed":
        kinds[1], grid[:, 1] = 0, rng.uniform(0.0, 3.0, len(grid))
    elif domain == "groups":
        kinds[:2], upper[:2] = 3, 1.0
    elif domain == "tfidf":
        kinds[:2], upper[:2] = 2, 1.0
        norms = np.maximum(np.linalg.norm(grid[:, :2], axis=1, keepdims=True), 1e-9)
        grid[:, :2] /= norms
    rows = [row for row in grid if _domain.contains(row, lower, upper, kinds)]
    assert len(rows) >= 8
    for _ in range(40):
        center, v, a = rng.normal(1.0, 0.5, 3), rng.normal(size=3), rng.normal(size=3)
        lam, t = rng.uniform(0.0, 1.0), rng.normal()
        arrays = {
            "centers": center[np.newaxis],
            "radii": np.array([[2.0, 2.0]]),
            "directions": v[np.newaxis],
            "offsets": np.array([[-1.0, 1.0, -1.0, 1.0]]),
            "domain_lower": lower,
            "domain_upper": upper,
            "domain_kinds": kinds,
        }
        problem = _proof.Problem({}, arrays, *[None] * 4)
        # A leaf for a block of norm 1, and one where it is 0.
        leaves = iter([(-1.0, 0.0, lam, t)] * 2)
        bound = _proof._support_in_domain(problem, 0, a, leaves)
        z = np.array(rows) - center
        inside = (np.linalg.norm(z, axis=1) <= 2.0) & (np.abs(z @ v) <= 1.0)
        products = np.array(rows)[inside] @ a
        assert products.max(initial=-np.inf) <= bound
        exact = np.array(rows) @ a - t * (z @ v) - lam * np.vecdot(z, z)
        relaxed = exact.max() + lam * 4.0 + abs(t)
        if domain in ("count", "binary", "groups"):  # all rows are there
            near = np.linalg.norm(z, axis=1).max() > 2.0
            assert near or bound == pytest.approx(relaxed, rel=1e-12)


def exactly(numbers):
    return [Fraction(number) for number in np.asarray(numbers, float).tolist()]


def test_error_bounds_hold_in_exact_arithmetic():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30)) * 10.0 ** rng.integers(-8, 8, (40, 30))
    w, a = rng.normal(size=30), rng.normal(size=40)
    rows = _rows.rows_of(X)
    products, sizes = rows.times(w)
    off = _rows.error(rows.counts, sizes, _rows.UNIT)
    for i, product in enumerate(products):
        exact = sum(p * q for p, q in zip(exactly(X[i]), exactly(w), strict=True))
        assert abs(Fraction(product) - exact) <= Fraction(off[i])
    sums, sizes, count = rows.combine(a)
    off = _rows.error(count, sizes, _rows.UNIT)
    for j, total in enumerate(sums):
        exact = sum(p * q for p, q in zip(exactly(X[:, j]), exactly(a), strict=True))
        assert abs(Fraction(total) - exact) <= Fraction(off[j])


def test_the_upper_bound_holds_in_exact_arithmetic(certificate):
    """The clean part of the bound, and the losses of rows of the sets."""
    path, X, y = certificate
    header, arrays = _file.read(path)
    w, b = exactly(arrays["theta"][:-1]), Fraction(float(arrays["theta"][-1]))
    losses = []
    for row, label in zip(X, y, strict=True):
        score = sum(p * q for p, q in zip(exactly(row), w, strict=True)) + b
        losses.append(max(1 - (2 * int(label) - 1) * score, Fraction(0)))
    assert sum(losses) / len(y) <= Fraction(header["claims"]["clean_loss"])
    claimed = Fraction(header["claims"]["poison_loss"])
    rng = np.random.default_rng(0)
    for k, center in enumerate(arrays["centers"]):
        v, (low, high) = arrays["directions"][k], arrays["offsets"][k, :2]
        moves = rng.normal(size=(2000, 3))
        moves *= arrays["radii"][k, 0] / np.linalg.norm(moves, axis=1)[:, np.newaxis]
        moves = moves[(moves @ v >= low) & (moves @ v <= high)]
        scores = (center + moves) @ arrays["theta"][:-1] + arrays["theta"][-1]
        worst = max(1.0 - (2 * k - 1) * scores)
        assert Fraction(worst) <= claimed
        assert len(moves) > 100


def test_the_lower_bound_holds_in_exact_arithmetic(certificate):
    path, X, y = certificate
    header, arrays = _file.read(path)
    order = _rows.digest(_rows.rows_of(X), y)[1]
    masses, rho = exactly(arrays["row_masses"]), Fraction(header["rho"])
    poison_masses = exactly(arrays["poison_masses"])
    codes = [*y[order], *arrays["poison_labels"].astype(int)]
    signs = [2 * int(code) - 1 for code in codes]
    n_poison = len(poison_masses)
    points = arrays["poison_data"].reshape(n_poison, 3)  # none of their entries is 0
    rows = np.column_stack([np.vstack([X[order], points]), np.ones(len(codes))])
    weights = [
        mass * sign for mass, sign in zip(masses + poison_masses, signs, strict=True)
    ]
    z = [
        sum(
            weight * entry
            for weight, entry in zip(weights, exactly(column), strict=True)
        )
        for column in rows.T
    ]
    left = sum(masses) + sum(poison_masses)
    left -= len(y) * Fraction(header["claims"]["lower_bound"])
    assert left >= 0 and left**2 >= rho**2 * sum(entry**2 for entry in z)
    assert all(0 <= mass <= 1 for mass in masses)
    assert sum(poison_masses) <= Fraction(header["epsilon"]) * len(y)


def test_losses_are_at_least_their_tangents():
    margins = np.linspace(-4.0, 4.0, 161)
    names = ["hinge", "squared_hinge", "modified_huber", "logistic", "squared"]
    names += ["squared_error", "epsilon_insensitive", "squared_epsilon_insensitive"]
    for name in [*names, "huber"]:
        loss = loss_of(name, 0.5)
        least, most = np.clip(loss.slopes, -3.0, 3.0)
        for slope in np.linspace(least, most, 41):
            conjugate = loss.conjugate(np.array([slope]))[0][0]
            gap = loss.value(margins) + slope * margins + conjugate
            assert gap.min() >= -1e-12
            assert gap.min() <= 0.02  # and is tangent somewhere
    assert loss_of("other", 0.0) is None


def test_multipliers_of_the_slab_are_nearly_the_best():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, v = rng.normal(size=(2, 4))
        v /= np.linalg.norm(v)
        low, high = np.sort(rng.normal(size=2)) * 0.3
        t = _proof._multiplier(a, v, 1.0, low, high)

        def bound(t):
            return np.linalg.norm(a - t * v) + max(t * low, t * high)  # noqa: B023

        others = [bound(t + step) for step in np.linspace(-3, 3, 601)]
        assert bound(t) <= min(others) + 1e-12
        assert math.isfinite(t)


def test_the_header_is_plain_json(certificate):
    path, *_ = certificate
    with np.load(path, allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
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
    for encoding in ({"a": {1}}, {"a": math.nan}, [1]):
        with pytest.raises(ValueError, match="encoding must be"):
            bound.to_certificate(path, encoding=encoding)
