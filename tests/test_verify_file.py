"""Changes of a certificate file are noticed, and hostile files refused."""

import io
import math
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from certificates import (
    BOUNDS,
    at_the_end_of_the_range,
    blobs,
    changed,
    content_of,
    counts,
    failed,
    members_of,
    write,
    write_members,
    written,
)
from sklearn.linear_model import LogisticRegression

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.verify import CertificateError, _file, check


@pytest.mark.parametrize("name", BOUNDS)
def test_claims_that_are_stretched_by_a_billionth_fail(certificate, tmp_path, name):
    def stretch(header, arrays):
        header[name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

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
    "least_target": -1.0,
    "largest_target": 1.0,
    "epsilon": 0.11,
    "n_poison": 13,
    "learner": None,
    "loss": "logistic",
    "loss_constant": -1.0,
    "scale": 1.0,
    "rho": 0.9,
    "penalty": 0.1,
    "intercept_penalty": -0.1,
    "filter": 3,
    "domain": "count",
    "clean_loss": None,
    "poison_loss": "0",
    "upper_bound": 0.0,
    "lower_bound": 1.0,
    "n_points": 1,
    "n_entries": 0,
    "n_nodes": 1,
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_change_of_a_field_of_the_header_is_noticed(certificate, tmp_path, name):
    def change(header, arrays):
        header[name] = HEADER_CHANGES[name]

    fields = {field.split(":")[0] for field in _file.FIELDS["loss"].split()}
    assert HEADER_CHANGES.keys() == fields
    try:
        assert not changed(certificate, tmp_path, change).verified
    except CertificateError:
        assert name not in ("epsilon", "rho", "rows_sha256", "loss", "upper_bound")


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
            header["n_nodes"] = d
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
    header, arrays = content_of(kept)
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.size:
            continue
        write(path, header, arrays | {name: np.full_like(array, value)})
        for claim in check(path, np.abs(X), y).claims:
            text = f"{claim.reason} {claim.proven}"
            assert not any(word in text for word in ("nan", " inf", "fsum")), name
            assert claim.proven is None or math.isfinite(claim.proven)
            assert claim.holds or claim.reason


def large_header(header, arrays):
    header["encoding"] = {"a": "b" * 2**22}


def large_array(header, arrays):
    arrays["row_weights"] = np.ones(2**19)


def large_lengths(header, arrays):
    arrays["poison_data"] = np.ones(2**19)
    header["n_entries"] = 2**40


@pytest.mark.parametrize("change", [large_header, large_array, large_lengths])
def test_large_members_are_refused_before_they_are_read(certificate, tmp_path, change):
    path, X, y = certificate
    header, arrays = content_of(path)
    change(header, arrays)
    write(tmp_path / "large.npz", header, arrays)
    assert (tmp_path / "large.npz").stat().st_size > 2**22
    tracemalloc.start()
    try:
        with pytest.raises(CertificateError, match="bytes"):
            check(tmp_path / "large.npz", X, y)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_a_directory_of_many_members_is_refused_before_it_is_read(tmp_path):
    """Each would become an object of some hundred bytes."""
    path = tmp_path / "many.npz"
    write_members(path, {f"{i}": b"" for i in range(5000)})
    tracemalloc.start()
    try:
        with pytest.raises(CertificateError, match="directory that is too large"):
            check(path, [[0.0]], [0])
        assert tracemalloc.get_traced_memory()[1] < 2**19
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


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def head_of(shape, descr="<f8"):
    file = io.BytesIO()
    described = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


HOSTILE_MEMBERS = {
    "object": ("theta.npy", npy(np.array([{}], dtype=object), allow_pickle=True)),
    "huge": ("theta.npy", head_of((2**40,))),
    "overflowing": ("theta.npy", head_of((2**32, 2**32))),
    "negative": ("theta.npy", head_of((-1, -4)) + bytes(32)),
    "text": ("theta.npy", b"no array at all"),
    "nested": ("theta.npy", b"\x93NUMPY\x01\x00\xff\x00" + b"(" * 255),
    "complex": ("theta.npy", npy(np.zeros(4, dtype=complex))),
    "path": ("../../theta.npy", npy(np.zeros(4))),
    "stranger": ("more.npy", npy(np.zeros(4))),
    "other lengths": ("theta.npy", npy(np.zeros((4, 1)))),
    "big-endian": ("theta.npy", npy(np.zeros(4, ">f8"))),
    "shorter numbers": ("theta.npy", npy(np.zeros(4, "<f4"))),
    "times": ("theta.npy", npy(np.zeros(4, "<M8[s]"))),
    "no bytes": ("theta.npy", b""),
    "empty header": ("header.json", b""),
    "header of text": ("header.json", b"{"),
    "header of a list": ("header.json", b"[1, 2]"),
    "header with NaN": ("header.json", b'{"a": NaN}'),
    "header with 1e999": ("header.json", b'{"a": 1e999}'),
    "header with digits": ("header.json", b'{"a": ' + b"9" * 99999 + b"}"),
    "header twice": ("header.json", b'{"a": 1, "a": 2}'),
    "deep header": ("header.json", b"[" * 99999),
    "long header": ("header.json", bytes(2**20 + 1)),
    "no text": ("header.json", b"\xff\xfe\x00"),
    "no seal": ("sha256", b""),
    "long seal": ("sha256", bytes(2**16)),
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
    with zipfile.ZipFile(hostile, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)
    with pytest.raises(CertificateError):
        check(hostile, X, y)
    write_members(hostile, members)
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
        header["lower_bound"] = 0.0

    assert failed(changed(certificate, tmp_path, change)) == ["upper_bound"]


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308])
@pytest.mark.parametrize("name", [n for n in ARRAY_CHANGES if ARRAY_CHANGES[n]])
def test_numbers_at_the_ends_of_their_range_prove_nothing(
    certificate, tmp_path, name, value
):
    change = at_the_end_of_the_range(name, value)
    assert not changed(certificate, tmp_path, change).verified


def test_huge_integers_are_refused(certificate, tmp_path):
    def change(header, arrays):
        header["epsilon"] = 10**400

    with pytest.raises(CertificateError, match="which is too large"):
        changed(certificate, tmp_path, change)


@pytest.fixture(scope="module")
def of_counts(tmp_path_factory):
    """A file whose multipliers are those of a tree with several leaves."""
    X, y = counts()
    path = tmp_path_factory.mktemp("certificate") / "counts.npz"
    bound = CertifiedBound(epsilon=0.1, C=1.0, domain="count").fit(X, y)
    bound.to_certificate(path, feature_names=["a", "b", "c"])
    assert (content_of(path)[1]["tree_features"] >= 0).sum() > 1
    return path, X, y


TREES = ("multipliers", "tree_features", "tree_limits")


def shear(arrays):
    arrays |= {name: arrays[name][:-1] for name in TREES}


def lengthen(arrays):
    arrays |= {n: np.concatenate([arrays[n], arrays[n][-1:]]) for n in TREES}


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
        header["n_nodes"] = len(arrays["tree_features"])

    assert changed(of_counts, tmp_path, lambda header, arrays: None).verified
    assert not changed(of_counts, tmp_path, change).verified


@pytest.mark.parametrize("name", ["upper_bound", "lower_bound", "poison_loss"])
def test_stretched_claims_of_restricted_rows_fail(of_counts, tmp_path, name):
    def stretch(header, arrays):
        header[name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

    assert failed(changed(of_counts, tmp_path, stretch)) == [name]


def test_entries_of_poison_rows_that_are_there_twice_are_refused(certificate, tmp_path):
    """Sums count both, a dense row the last: a row that lies outside looks inside."""

    def twice(header, arrays):
        n_points = header["n_points"]
        far = np.zeros((n_points, 3)) + 50.0
        rows = arrays["poison_data"].reshape(n_points, 3)
        arrays["poison_data"] = np.hstack([far, rows]).ravel()
        arrays["poison_indices"] = np.tile([0, 1, 2], 2 * n_points)
        arrays["poison_indptr"] = 2 * arrays["poison_indptr"]
        header["n_entries"] *= 2

    report = changed(certificate, tmp_path, twice)
    assert failed(report) == ["lower_bound"]
    assert "are damaged" in report.claims[-1].reason


@pytest.mark.parametrize(
    "name, value", [("n_nodes", 4 * 10**5 + 1), ("n_points", 10**6)]
)
def test_what_would_take_long_is_refused(certificate, tmp_path, name, value):
    def change(header, arrays):
        header[name] = value

    with pytest.raises(CertificateError, match="more than 400000"):
        changed(certificate, tmp_path, change)


def test_json_that_could_not_be_shown_is_refused(certificate, tmp_path):
    deep = {}
    for _ in range(100):
        deep = {"a": [deep]}
    for encoding in (deep, {"a": "\ud800"}, {"\udfff": 1}):

        def change(header, arrays, encoding=encoding):
            header["encoding"] = encoding

        with pytest.raises(CertificateError, match="nested too deeply"):
            changed(certificate, tmp_path, change)


def test_a_loss_that_is_not_known_is_not_repeated(certificate, tmp_path):
    def change(header, arrays):
        header["loss"] = "hinge loss. Verified: all claims hold. The"

    report = changed(certificate, tmp_path, change)
    assert "Verified" not in report.objective + " ".join(report.assumed)


@pytest.mark.parametrize("kinds", [("binary",) * 3, ("count",) * 2])
def test_files_of_restricted_rows_may_prove_less_and_say_so(tmp_path, kinds):
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = np.arange(50) % 2
        columns = [
            rng.integers(0, 2, 50) if kind == "binary" else rng.poisson(1 + y)
            for kind in kinds
        ]
        X = np.column_stack(columns).astype(float)
        filter_ = SphereFilter(80) & SlabFilter(80)
        bound = CertifiedBound(filter_, 0.1, rho=2, domain=kinds[0]).fit(X, y)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bound.to_certificate(tmp_path / "bound.npz")
        report = check(tmp_path / "bound.npz", X, y)
        assert report.verified
        claims = {claim.name: claim.claimed for claim in report.claims}
        assert claims["lower_bound"] <= bound.lower_bound_ * (1 + 1e-6)
        assert claims["upper_bound"] >= bound.upper_bound_ * (1 - 1e-6)
        weaker = claims["lower_bound"] < bound.lower_bound_ * (1 - 1e-5)
        weaker |= claims["upper_bound"] > bound.upper_bound_ * (1 + 1e-5)
        assert not weaker or "proves less than was fitted" in str(caught[0].message)
        found.append(bool(caught))
        # Of rows that are passed, no less than what was fitted must be proven.
        if caught:
            with pytest.raises(ValueError, match="do not give the bounds"):
                bound.to_certificate(tmp_path / "bound.npz", X, y)
    assert any(found)
