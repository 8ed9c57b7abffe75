"""The file: a zip archive of a JSON header and arrays of numbers, none compressed.

Files may come from strangers. The header says how long the arrays are, so that each
must be of a known number of bytes, which are compared before any is read: no more
memory is taken than the file has bytes. Nothing in a file is run, and no name in it is
opened.
"""

import hashlib
import io
import json
import math
import zipfile
from typing import Any

import numpy as np

FORMAT, VERSION = "skpoison-certificate", 1
HEADER, SEAL = "header.json", "sha256"
MAX_SIZE, MAX_HEADER, MAX_DIRECTORY = 2**30, 2**20, 2**16
# Poison rows and nodes of trees, each of which takes time; and JSON inside JSON.
MOST, DEEPEST = 4 * 10**5, 8
# The fields of a header with their types, ? standing for null.
TYPES = {"s": str, "i": int, "f": float, "o": dict, "l": list, "?": type(None)}
COMMON = (
    "format:s version:i kind:s packages:o n_rows:i n_features:i rows_sha256:s "
    "columns_sha256:s? encoding:o? learner:s "
)
OF_LOSSES = COMMON + (
    "classes:l? least_target:f largest_target:f epsilon:f n_poison:i loss:s "
    "loss_constant:f scale:f? rho:f? penalty:f? intercept_penalty:f? filter:s domain:s "
    "clean_loss:f poison_loss:f upper_bound:f lower_bound:f n_points:i n_entries:i "
    "n_nodes:i"
)
FIELDS = {
    "loss": OF_LOSSES,
    "moving": OF_LOSSES,
    "classes": OF_LOSSES,
    "votes": COMMON + "classes:l attack:s hash:s n_partitions:i n_test:i test_sha256:s",
}


def _table(text):
    """Return the type of each array, <f8 if none is named, and its shape in letters."""
    found = {}
    for one in text.split():
        name, letters, *kind = one.split(":")
        found[name] = (kind[0] if kind else "<f8", letters)
    return found


# The arrays; `_shapes` has the lengths that letters stand for.
POISON = (
    "poison_weights:k poison_data:e poison_indices:e:<i8 poison_indptr:q:<i8 "
    "poison_labels:m "
)
OF_MARGINS = POISON + (
    "theta:p row_weights:n row_masses:n poison_masses:m poison_slopes:m "
)
OF_SETS = "centers:kd radii:k2 directions:kd offsets:k4 "
ARRAYS = {
    "loss": _table(
        f"{OF_MARGINS} {OF_SETS} domain_lower:r domain_upper:r domain_kinds:r:<i8 "
        "tree_features:t:<i8 tree_limits:t multipliers:t2"
    ),
    "moving": _table(
        f"{OF_MARGINS} radii:4 widths:4 splits:a4 cell_groups:t:<i8 cell_limits:t "
        "cell_duals:lz"
    ),
    "classes": _table(
        f"{POISON} {OF_SETS} theta:kp row_weights:n row_masses:nk poison_masses:mk "
        "poison_shares:m tree_features:t:<i8 tree_limits:t tree_slopes:tk"
    ),
    "votes": _table("votes:sv:<i8 predicted:s:<i8 radii:s:<i8 part_sha256:vh:|u1"),
}


class CertificateError(ValueError):
    """A file is no certificate that this version can read, or is damaged."""


def _require(condition, message):
    if not condition:
        raise CertificateError(message)


def read(path: Any, max_size: int = MAX_SIZE) -> tuple[dict, dict]:
    """Return header and arrays of a file; an error where it is not as it must be."""
    with open(path, "rb") as file:
        content = file if file.seekable() else io.BytesIO(file.read(max_size + 1))
        size = content.seek(0, io.SEEK_END)
        _require(
            size <= max_size, f"The file is larger than max_size={max_size} bytes."
        )
        try:
            _check_directory(content, size)
            with zipfile.ZipFile(content) as archive:
                return _content(archive, size)
        except CertificateError:
            raise
        except Exception as error:  # whatever zipfile makes of a stranger's bytes
            message = f"The file is no archive or damaged: {error!r:.200}"
            raise CertificateError(message) from None


def _check_directory(content, size):
    """Refuse directories of many entries, each of which zipfile makes an object of."""
    content.seek(max(size - 42, 0))
    end = content.read(42).rjust(42)
    _require(end[20:24] == b"PK\x05\x06", "The file is no archive or damaged.")
    length = int.from_bytes(end[32:36], "little")
    is_small = length <= MAX_DIRECTORY and end[:4] != b"PK\x06\x07"
    _require(is_small, "The file has a directory that is too large for its arrays.")


def _content(archive, size):
    """Return header and arrays; each is read once its size is known to be right."""
    entries = archive.infolist()
    stored = all(one.compress_type == zipfile.ZIP_STORED for one in entries)
    # Members that share their bytes, or that unpack, could fill the memory.
    stored &= sum(one.file_size for one in entries) <= size
    _require(stored, "The members of the file must not be compressed.")
    text = _read(archive, HEADER, most=MAX_HEADER)
    header = _header(text)
    shapes, members = _shapes(header), {HEADER: text}
    wanted = sorted([HEADER, SEAL, *(f"{name}.npy" for name in shapes)])
    found = sorted(one.filename for one in entries)
    _require(found == wanted, f"The file must hold {', '.join(wanted)} once each.")
    heads = {name: head(*shape) for name, shape in shapes.items()}
    for name, (kind, shape) in shapes.items():
        n_bytes = len(heads[name]) + math.prod(shape) * np.dtype(kind).itemsize
        _require(
            archive.getinfo(f"{name}.npy").file_size == n_bytes,
            f"{name} must be an array of the shape {shape}, {n_bytes} bytes.",
        )
    arrays = {}
    for name, (kind, shape) in shapes.items():
        members[f"{name}.npy"] = content = _read(archive, f"{name}.npy")
        start = len(heads[name])
        _require(content[:start] == heads[name], f"{name} is no array of {kind}.")
        arrays[name] = np.frombuffer(content, kind, offset=start).reshape(shape)
        _require(np.isfinite(arrays[name]).all(), f"{name} holds NaN or infinity.")
    is_whole = _read(archive, SEAL, most=64) == seal(members)
    _require(is_whole, "The file is damaged: its members do not fit its seal.")
    return header, arrays


def _read(archive, name, most=math.inf):
    size = archive.getinfo(name).file_size
    _require(size <= most, f"{name} has more than {most} bytes.")
    content = archive.read(name)
    _require(len(content) == size, f"{name} is cut off.")
    return content


def seal(members: dict[str, bytes]) -> bytes:
    """Return a hash of all members: of their own hashes, in the order of names."""
    hashes = [hashlib.sha256(members[name]).digest() for name in sorted(members)]
    return hashlib.sha256(b"".join(hashes)).hexdigest().encode()


def head(kind: str, shape: tuple[int, ...]) -> bytes:
    """Return the 128 bytes that begin an array's member."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00\x76\x00" + text.ljust(117).encode() + b"\n"


def _header(text):
    """Return the header, of which each field has its type."""

    def number(digits):
        value = float(digits)
        _require(math.isfinite(value), f"The header holds {digits:.20}, no number.")
        return value

    def whole(digits):
        _require(
            len(digits) <= 20, f"The header holds {digits:.20}…, which is too large."
        )
        return int(digits)

    def once(pairs):
        _require(len(dict(pairs)) == len(pairs), "The header has a name twice.")
        return dict(pairs)

    header = json.loads(
        text,
        parse_float=number,
        parse_int=whole,
        parse_constant=number,
        object_pairs_hook=once,
    )
    is_ours = isinstance(header, dict) and header.get("format") == FORMAT
    _require(is_ours, f"The header does not say format={FORMAT!r}.")
    _require(
        header.get("version") is not True and header.get("version") == VERSION,
        f"The file has version {header.get('version')!r:.20} of the format; this "
        f"verifier knows version {VERSION}.",
    )
    kind = header.get("kind")
    _require(kind in [*FIELDS], f"The header must have a kind of {[*FIELDS]}.")
    fields = dict(one.split(":") for one in FIELDS[kind].split())
    is_right = header.keys() == fields.keys()
    _require(is_right, f"The header must have the fields {', '.join(fields)}.")
    for name, letters in fields.items():
        value = header[name]
        if letters[0] == "f" and type(value) is int:
            header[name] = value = float(value)
        is_right = type(value) in [TYPES[letter] for letter in letters]
        is_right &= type(value) is not int or value >= 0
        _require(is_right, f"{name} is {value!r:.50} in the header.")
    few = all(header.get(name, 0) <= MOST for name in ("n_points", "n_nodes"))
    _require(few, f"The file has more than {MOST} poison rows or nodes of trees.")
    _require(is_plain(header), "The header is nested too deeply, or holds no text.")
    kinds = {type(label) for label in header["classes"] or ()}
    _require(kinds <= {str, bool, int, float}, "The header has classes of other types.")
    return header


def is_plain(value: Any, depth: int = DEEPEST) -> bool:
    """Tell whether JSON is not too deep to be shown, and all of its text is text."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    parts = parts if isinstance(parts, list) else []
    return depth > 0 and all(is_plain(part, depth - 1) for part in parts)


def _shapes(header):
    """Return the type and shape that each array must have."""
    n, d = header["n_rows"], header["n_features"]
    lengths = {"n": n, "d": d, "p": d + 1, "2": 2, "4": 4, "h": 32}
    if header["kind"] == "votes":
        lengths |= {"s": header["n_test"], "v": header["n_partitions"]}
    else:
        lengths["k"] = 1 if header["classes"] is None else len(header["classes"])
        lengths["r"] = 0 if header["domain"] == "real" else d
        lengths |= {"m": header["n_points"], "q": header["n_points"] + 1}
        lengths |= {"e": header["n_entries"], "t": header["n_nodes"]}
        # Of moving centroids: attacks of four rows, leaves, and their multipliers.
        lengths |= {"a": header["n_points"] // 4, "z": 113}
        lengths["l"] = (header["n_nodes"] + 1) // 2
    return {
        name: (kind, tuple(lengths[letter] for letter in letters))
        for name, (kind, letters) in ARRAYS[header["kind"]].items()
    }
