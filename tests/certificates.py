"""Certificate files for tests: written, changed, and written again."""

import json
import zipfile

import numpy as np
from sklearn.datasets import make_blobs

from skpoison import CertifiedBound
from skpoison.verify import _file, check

BOUNDS = ["clean_loss", "poison_loss", "upper_bound", "lower_bound"]


def blobs(n_rows=120):
    """Rows of two classes that overlap."""
    return make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


def counts():
    """The same in whole numbers."""
    X, y = blobs()
    return np.rint(2.0 * np.abs(X)), y


def written(path, X, y, sample_weight=None, **settings):
    """Fit a bound and write its file."""
    bound = CertifiedBound(**({"epsilon": 0.1} | settings)).fit(X, y, sample_weight)
    bound.to_certificate(path)
    return bound


def content_of(path):
    """Return header and arrays that can be changed."""
    header, arrays = _file.read(path)
    return header, {name: array.copy() for name, array in arrays.items()}


def write(path, header, arrays, text=None):
    """Write whatever header and arrays there are, with a seal that fits."""
    text = json.dumps(header).encode() if text is None else text
    members = {"header.json": text}
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        head = _file.head(array.dtype.str, array.shape)
        members[f"{name}.npy"] = head + array.tobytes()
    write_members(path, members | {"sha256": _file.seal(members)})


def changed(certificate, tmp_path, change):
    """Write a file again with other content and a seal that fits; check it."""
    path, X, y = certificate
    header, arrays = content_of(path)
    change(header, arrays)
    write(tmp_path / "changed.npz", header, arrays)
    return check(tmp_path / "changed.npz", X, y, feature_names=["a", "b", "c"])


def at_the_end_of_the_range(name, value):
    """Return a change that fills an array, and claims bounds that are too good."""

    def change(header, arrays):
        if arrays[name].dtype.kind == "f":
            arrays[name][:] = value
        else:
            arrays[name][:] = 2**62 * np.sign(value).astype(int)
        header |= {"upper_bound": 0.01, "lower_bound": 1.0}

    return change


def failed(report):
    """Return the names of the claims that do not hold."""
    return [claim.name for claim in report.claims if claim.holds is not True]


def members_of(path):
    """Return the bytes of each member of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    """Write members as they are."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
