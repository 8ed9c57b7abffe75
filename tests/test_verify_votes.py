"""Certificate files of predictions: votes, parts and radii."""

import numpy as np
import pytest
from certificates import content_of, failed, write
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skpoison import CertifiedBound, PartitionedClassifier, certified_radius
from skpoison.pointwise import refit_votes
from skpoison.verify import CertificateError, _file, _rows, _votes, check


@pytest.fixture(scope="module")
def fitted():
    """A classifier of parts, its training rows and test rows."""
    X, y = make_blobs(240, centers=3, random_state=0)
    X, y = np.rint(4.0 * X), np.array(["a", "b", "c"])[y]
    model = PartitionedClassifier(GaussianNB(), 15).fit(X[:200], y[:200])
    return model, X[:200], y[:200], X[200:]


@pytest.fixture(scope="module")
def certificate(fitted, tmp_path_factory):
    model, X, y, X_test = fitted
    path = tmp_path_factory.mktemp("votes") / "votes.npz"
    model.to_certificate(path, X_test, attack="insert_delete")
    return path, X, y, X_test


@pytest.mark.parametrize("hash", ["content", "rank"])
@pytest.mark.parametrize("attack", ["insert_delete", "change", "flip"])
def test_radii_are_verified(fitted, attack, hash, tmp_path):
    model, X, y, X_test = fitted
    if hash == "rank":
        model = PartitionedClassifier(model.estimator, 15, hash="rank").fit(X, y)
    path = tmp_path / "votes.npz"
    if hash == "rank" and attack != "flip":
        with pytest.raises(ValueError, match="certifies attack='flip' only"):
            model.to_certificate(path, X_test, attack=attack)
        return
    model.to_certificate(path, X_test, attack=attack)
    assert check(path, X[::-1], y[::-1], X_test=X_test).verified
    arrays = content_of(path)[1]
    radii = certified_radius(model, X_test, attack=attack)
    assert np.array_equal(arrays["radii"], radii) and radii.max() > 0
    classes = np.array(["a", "b", "c"])
    assert np.array_equal(classes[arrays["predicted"]], model.predict(X_test))


def test_sparse_rows_are_verified_as_dense_ones(certificate, tmp_path):
    _, X, y, X_test = certificate
    model = PartitionedClassifier(KNeighborsClassifier(3), 5)
    model.fit(sparse.csr_array(X), y)
    model.to_certificate(tmp_path / "v.npz", sparse.csr_array(X_test), attack="flip")
    assert check(tmp_path / "v.npz", X, y, X_test=X_test).verified


def test_other_rows_are_noticed(certificate):
    path, X, y, X_test = certificate
    assert failed(check(path, X + 1.0, y, X_test=X_test)) == ["rows"]
    assert failed(check(path, X, y[::-1], X_test=X_test)) == ["rows"]
    assert failed(check(path, X, y, X_test=X_test[::-1])) == ["test rows"]
    unknown = check(path, X, y)
    assert failed(unknown) == ["test rows"] and not unknown.verified


def radii(header, arrays):
    arrays["radii"][3] += 1


def vote(header, arrays):
    wins = arrays["predicted"][:, None]
    arrays["votes"][arrays["votes"] == wins] = -1


def part(header, arrays):
    arrays["part_sha256"][2, 5] ^= 1


def one_part_less(header, arrays):
    header["n_partitions"] -= 1
    arrays["votes"] = arrays["votes"][:, 1:]
    arrays["part_sha256"] = arrays["part_sha256"][1:]


CHANGES = {
    "radii": (radii, "radii"),
    "votes": (vote, "radii"),
    "part": (part, "parts"),
    "fewer parts": (one_part_less, "parts"),
    "predicted": (lambda h, a: a["predicted"].__iadd__(1), "predictions"),
    "stranger": (lambda h, a: a["votes"].__setitem__((0, 0), 3), "problem"),
    "abstaining": (lambda h, a: a["votes"].__setitem__((0, 0), -2), "problem"),
    "attack": (lambda h, a: h.update(attack="change"), "radii"),
    "no attack": (lambda h, a: h.update(attack="none"), "problem"),
    "hash": (lambda h, a: h.update(hash="rank"), "problem"),
    "no hash": (lambda h, a: h.update(hash="none"), "problem"),
    "classes": (lambda h, a: h.update(classes=["b", "a", "c"]), "rows"),
    "test hash": (lambda h, a: h.update(test_sha256=""), "test rows"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_with_a_seal_that_fits_are_noticed(certificate, tmp_path, name):
    path, X, y, X_test = certificate
    header, arrays = content_of(path)
    change, claim = CHANGES[name]
    change(header, arrays)
    write(tmp_path / "changed.npz", header, arrays)
    assert claim in failed(check(tmp_path / "changed.npz", X, y, X_test=X_test))


@pytest.mark.parametrize(
    "field, value", [("n_test", 3), ("kind", "loss"), ("kind", 1), ("kind", [])]
)
def test_headers_that_do_not_fit_are_refused(certificate, tmp_path, field, value):
    path, X, y, _ = certificate
    header, arrays = content_of(path)
    header[field] = value
    write(tmp_path / "changed.npz", header, arrays)
    with pytest.raises(CertificateError):
        check(tmp_path / "changed.npz", X, y)


def test_what_no_file_can_hold_is_an_error_that_says_so(fitted, tmp_path):
    model, X, y, X_test = fitted
    path = tmp_path / "v.npz"
    with pytest.raises(ValueError, match="attack must be one of"):
        model.to_certificate(path, X_test, attack="other")
    for options in ({"spread": 2}, {"aggregation": "run_off"}):
        other = PartitionedClassifier(GaussianNB(), 5, **options).fit(X, y)
        with pytest.raises(ValueError, match="spread=1 and aggregation='vote'"):
            other.to_certificate(path, X_test, attack="flip")
    large = PartitionedClassifier(GaussianNB(), 2).fit(
        [[2**60 + 1], [0]] * 3, [0, 1] * 3
    )
    with pytest.raises(ValueError, match=r"whole ones up to 2\*\*53"):
        large.to_certificate(path, [[0]], attack="flip")
    assert not path.exists()


def test_invented_votes_are_assumed_and_the_report_says_so(certificate, tmp_path):
    path, X, y, X_test = certificate
    header, arrays = content_of(path)
    votes = np.zeros_like(arrays["votes"])
    radii = np.full_like(arrays["radii"], votes.shape[1] // 2)
    arrays |= {"votes": votes, "predicted": votes[:, 0], "radii": radii}
    write(tmp_path / "invented.npz", header, arrays)
    report = check(tmp_path / "invented.npz", X, y, X_test=X_test)
    assert report.verified and report.assumes_votes
    assert "votes as the file says" in report.assumed[0]


def test_votes_are_compared_with_those_of_models_that_are_fitted_again(certificate):
    path, X, y, X_test = certificate
    report = refit_votes(path, GaussianNB(), X[::-1], y[::-1], X_test)
    assert report.verified and not report.assumes_votes
    assert [claim.name for claim in report.claims][-1] == "votes"
    assert not any("votes as the file says" in text for text in report.assumed)
    other = refit_votes(path, KNeighborsClassifier(3), X, y, X_test)
    assert failed(other) == ["votes"] and other.assumes_votes
    assert "the learner is another one" in other.claims[-1].reason
    moved = refit_votes(path, GaussianNB(), X + 1.0, y, X_test)
    assert failed(moved) == ["rows", "votes"]
    assert moved.claims[-1].holds is None


def test_one_invented_vote_is_found(certificate, tmp_path):
    path, X, y, X_test = certificate
    header, arrays = content_of(path)
    row = int(np.argmax(arrays["radii"]))
    rival = np.flatnonzero(arrays["votes"][row] != arrays["predicted"][row])
    place = rival[0] if len(rival) else 0
    arrays["votes"][row, place] = arrays["predicted"][row] if len(rival) else -1
    arrays["radii"][:] = 0
    write(tmp_path / "invented.npz", header, arrays)
    assert check(tmp_path / "invented.npz", X, y, X_test=X_test).verified
    report = refit_votes(tmp_path / "invented.npz", GaussianNB(), X, y, X_test)
    assert failed(report) == ["votes"]
    assert report.claims[-1].reason.startswith("1 of 600 votes")


def test_classes_in_another_order_vote_the_same(certificate, tmp_path):
    """The rows' hash is of positions, which such a file has to follow."""
    path, X, y, X_test = certificate
    header, arrays = content_of(path)
    order = [2, 0, 1]
    header["classes"] = [header["classes"][k] for k in order]
    to = np.argsort(order)
    votes = np.where(arrays["votes"] < 0, -1, to[arrays["votes"]])
    labels = np.array([header["classes"].index(label) for label in y])
    arrays["votes"] = votes
    rows = _rows.rows_of(X)
    header["rows_sha256"], _, hashes = _rows.digest(rows, labels)
    parts = _votes.parts_of(rows, "content", 15)
    arrays["part_sha256"] = _votes.hashes_of_parts(parts, hashes, 15)
    arrays["predicted"], leads = _votes.winners_and_leads(votes, 3)
    arrays["radii"] = leads // 2
    write(tmp_path / "turned.npz", header, arrays)
    report = refit_votes(tmp_path / "turned.npz", GaussianNB(), X, y, X_test)
    assert report.verified


def test_bounds_have_no_votes_to_fit_again(tmp_path):
    X, y = make_blobs(60, centers=2, random_state=0)
    CertifiedBound(rho=1.0).fit(X, y).to_certificate(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="must be a certificate of predictions"):
        refit_votes(tmp_path / "b.npz", GaussianNB(), X, y, X)


HEADER_CHANGES = {
    "format": "other",
    "version": 2,
    "kind": "moving",
    "packages": [],
    "n_rows": 199,
    "n_features": 3,
    "rows_sha256": "0" * 64,
    "columns_sha256": "0" * 64,
    "encoding": "none",
    "classes": None,
    "learner": None,
    "attack": "change",
    "hash": "rank",
    "n_partitions": 14,
    "n_test": 39,
    "test_sha256": "0" * 64,
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_change_of_a_field_of_the_header_is_noticed(certificate, tmp_path, name):
    path, X, y, X_test = certificate
    fields = {field.split(":")[0] for field in _file.FIELDS["votes"].split()}
    assert HEADER_CHANGES.keys() == fields
    header, arrays = content_of(path)
    write(tmp_path / "changed.npz", header | {name: HEADER_CHANGES[name]}, arrays)
    try:
        assert not check(tmp_path / "changed.npz", X, y, X_test=X_test).verified
    except CertificateError:
        assert name not in ("rows_sha256", "attack", "hash", "test_sha256")
