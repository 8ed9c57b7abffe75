"""Certificate files of predictions: votes, parts and radii."""

import numpy as np
import pytest
from certificates import content_of, failed, write
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skpoison import PartitionedClassifier, certified_radius
from skpoison.verify import CertificateError, check


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
