"""The file: a zip archive of uncompressed ``.npy`` arrays, one of which is JSON.

Files may come from strangers. Everything is compared with what it must be before
memory is taken for it; members are numbers only, and nothing in them is run or opened.
"""

import hashlib
import io
import json
import math
import re
import zipfile
from typing import Any, NamedTuple

import numpy as np

FORMAT, VERSION = "skpoison-certificate", 1
HEADER, SEAL = "header", "sha256"
MAX_SIZE, MAX_HEADER = 2**30, 2**20
MOST = 2**1000
LONGEST_HEAD = 1024
# An array's type and shape, as NumPy writes them: text that need not be evaluated.
HEAD = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(<f8|<i8|\|u1)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n",
    re.DOTALL,
)
NUMBER, MAYBE = (int, float), type(None)
# What a header holds: each name with the types that its value may have.
COMMON: dict[str, tuple] = {
    "format": (str,),
    "version": (int,),
    "kind": (str,),
    "packages": (dict,),
    "n_rows": (int,),
    "n_features": (int,),
    "rows_sha256": (str,),
    "columns_sha256": (str, MAYBE),
    "encoding": (dict, MAYBE),
    "classes": (list, MAYBE),
    "learner": (str,),
}
FIELDS: dict[str, dict[str, tuple]] = {
    "loss": {
        **COMMON,
        "target_range": (list, MAYBE),
        "epsilon": NUMBER,
        "n_poison": (int,),
        "loss": (str,),
        "loss_constant": NUMBER,
        "rho": (*NUMBER, MAYBE),
        "penalty": (*NUMBER, MAYBE),
        "intercept_penalty": (*NUMBER, MAYBE),
        "filter": (str,),
        "domain": (str,),
        "claims": (dict,),
    },
    "votes": {
        **COMMON,
        "classes": (list,),
        "attack": (str,),
        "hash": (str,),
        "n_partitions": (int,),
        "n_test": (int,),
        "test_sha256": (str,),
    },
}
CLAIMS = ("clean_loss", "poison_loss", "upper_bound", "lower_bound")
# The arrays, each with its type; letters are lengths that have to agree.
ARRAYS = {
    "loss": {
        "theta": ("<f8", "p"),
        "centers": ("<f8", "kd"),
        "radii": ("<f8", "k2"),
        "directions": ("<f8", "kd"),
        "offsets": ("<f8", "k4"),
        "domain_lower": ("<f8", "r"),
        "domain_upper": ("<f8", "r"),
        "domain_kinds": ("<i8", "r"),
        "tree_features": ("<i8", "t"),
        "tree_limits": ("<f8", "t"),
        "multipliers": ("<f8", "t2"),
        "poison_weights": ("<f8", "k"),
        "row_weights": ("<f8", "n"),
        "row_masses": ("<f8", "n"),
        "poison_data": ("<f8", "e"),
        "poison_indices": ("<i8", "e"),
        "poison_indptr": ("<i8", "q"),
        "poison_labels": ("<f8", "m"),
        "poison_masses": ("<f8", "m"),
        "poison_slopes": ("<f8", "m"),
    },
    "votes": {
        "votes": ("<i8", "sv"),
        "predicted": ("<i8", "s"),
        "radii": ("<i8", "s"),
        "part_sha256": ("|u1", "vh"),
    },
}


class CertificateError(ValueError):
    """A file is no certificate that this version can read, or is damaged."""


def write(file: Any, header: dict, arrays: dict) -> None:
    """Write a certificate to a binary file."""
    text = json.dumps(header, allow_nan=False, sort_keys=True).encode()
    if len(text) > MAX_HEADER:
        raise CertificateError(f"The header has more than {MAX_HEADER} bytes.")
    arrays = {HEADER: np.frombuffer(text, np.uint8), **arrays}
    arrays[SEAL] = np.frombuffer(_seal(arrays), np.uint8)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            array = np.ascontiguousarray(array)
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())


def read(path: Any, max_size: int = MAX_SIZE) -> tuple[dict, dict]:
    """Return header and arrays of a file; an error where it is not as it must be."""
    with open(path, "rb") as file:
        content = file if file.seekable() else io.BytesIO(file.read(max_size + 1))
        size = content.seek(0, io.SEEK_END)
        if size > max_size:
            raise CertificateError(
                f"The file is larger than max_size={max_size} bytes."
            )
        try:
            with zipfile.ZipFile(content) as archive:
                return _content(archive, size)
        except CertificateError:
            raise
        except Exception as error:  # whatever zipfile makes of a stranger's bytes
            message = f"The file is no archive or damaged: {error}"
            raise CertificateError(message) from None


def _content(archive, size):
    """Return header and arrays, which are read once their sizes are known to fit."""
    heads = {entry.filename[:-4]: entry for entry in _entries(archive, size)}
    heads = {name: _head(archive, entry) for name, entry in heads.items()}
    if heads[HEADER].n_bytes > MAX_HEADER:
        raise CertificateError(f"The header has more than {MAX_HEADER} bytes.")
    arrays = {HEADER: _array(archive, HEADER, heads.pop(HEADER))}
    header = _header(arrays[HEADER].tobytes())
    kind = header["kind"]
    if heads.keys() != {SEAL, *ARRAYS[kind]}:
        raise CertificateError(f"The arrays are not those of the kind {kind!r}.")
    _check_shapes(header, heads)
    seal = _array(archive, SEAL, heads.pop(SEAL)).tobytes()
    arrays |= {name: _array(archive, name, head) for name, head in heads.items()}
    if seal != _seal(arrays):
        raise CertificateError("The file is damaged: its members do not fit its seal.")
    del arrays[HEADER]
    return header, arrays


def _entries(archive, size):
    wanted = [
        sorted(f"{name}.npy" for name in (HEADER, SEAL, *names))
        for names in ARRAYS.values()
    ]
    entries = archive.infolist()
    if sorted(entry.filename for entry in entries) not in wanted:
        raise CertificateError(f"The file must hold {wanted[0]} once each.")
    plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    # Members that share their bytes, or that unpack, could fill the memory.
    if not plain or sum(entry.file_size for entry in entries) > size:
        raise CertificateError("The members of the file must not be compressed.")
    return entries


class Head(NamedTuple):
    """The type and shape of an array, and where its numbers begin."""

    kind: str
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """How many bytes they take."""
        return self.size * np.dtype(self.kind).itemsize


def _head(archive, entry):
    """Return type and shape of a member, compared with its size."""
    name = entry.filename[:-4]
    with archive.open(entry) as member:
        found = HEAD.match(member.read(LONGEST_HEAD))
    if found is None or int.from_bytes(found[1], "little") != found.end() - 10:
        raise CertificateError(f"{name} is no array of numbers.")
    shape = tuple(int(size) for size in found.groups()[2:] if size is not None)
    head = Head(found[2].decode(), shape, found.end())
    fits = head.start + head.n_bytes == entry.file_size
    if not fits or (name in (HEADER, SEAL) and head.kind != "|u1"):
        raise CertificateError(f"{name} must be a whole array, of bytes in the header.")
    return head


def _array(archive, name, head):
    """Return a member as an array of numbers."""
    content = archive.read(f"{name}.npy")
    array = np.frombuffer(content, head.kind, offset=head.start).reshape(head.shape)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CertificateError(f"{name} holds NaN or infinity.")
    return array


def _header(text):
    def refuse(value):
        raise CertificateError(f"The header holds {value}, which is no number.")

    def once(pairs):
        if len(dict(pairs)) < len(pairs):
            raise CertificateError("The header has a name twice.")
        return dict(pairs)

    def finite(digits):
        return float(digits) if math.isfinite(float(digits)) else refuse(digits)

    options = {"parse_float": finite, "object_pairs_hook": once}
    try:
        header = json.loads(text, parse_constant=refuse, **options)
    except (ValueError, RecursionError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"The header is no JSON: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CertificateError(f"The header does not say format={FORMAT!r}.")
    if header.get("version") != VERSION:
        raise CertificateError(
            f"The file has version {header.get('version')!r} of the format; this "
            f"verifier knows version {VERSION}."
        )
    _check_fields(header)
    return header


def _check_fields(header):
    fields = FIELDS.get(str(header.get("kind")), COMMON)
    if header.keys() != fields.keys() or fields is COMMON:
        raise CertificateError(f"The header must have the fields {sorted(fields)}.")
    for name, kinds in fields.items():
        header[name] = _checked(name, header[name], kinds)
    for label in header["classes"] or ():
        _checked("classes", label, (str, bool, *NUMBER))
    if header["kind"] == "loss":
        _check_loss(header)


def _check_loss(header):
    claims, ends = header["claims"], header["target_range"] or ()
    if claims.keys() != set(CLAIMS):
        raise CertificateError(f"claims must be {', '.join(CLAIMS)}.")
    for name, value in claims.items():
        claims[name] = _checked(name, value, NUMBER)
    for place, value in enumerate(ends):
        ends[place] = _checked("target_range", value, NUMBER)
    pairs = [header["classes"], header["target_range"]]
    if any(pair is not None and len(pair) != 2 for pair in pairs):
        raise CertificateError("classes and target_range must be pairs.")


def _checked(name, value, kinds):
    if type(value) not in kinds:
        raise CertificateError(f"{name} is {value!r:.50} in the header.")
    if float not in kinds or not isinstance(value, int | float):
        return value
    if abs(value) > MOST:
        raise CertificateError(f"{name} is too large in the header.")
    return value if bool in kinds else float(value)


def _check_shapes(header, heads):
    if heads[SEAL].shape != (32,):
        raise CertificateError(f"{SEAL} must have 32 bytes.")
    lengths = {"n": header["n_rows"], "d": header["n_features"], "2": 2, "4": 4}
    if header["kind"] == "votes":
        lengths |= {"s": header["n_test"], "v": header["n_partitions"], "h": 32}
    else:
        lengths["k"] = 1 if header["classes"] is None else 2
        lengths["p"] = lengths["d"] + 1
        lengths["m"] = heads["poison_masses"].size
        lengths["q"] = lengths["m"] + 1
        lengths["e"] = heads["poison_data"].size
        lengths["r"] = 0 if header["domain"] == "real" else lengths["d"]
        lengths["t"] = heads["tree_limits"].size
    for name, (kind, letters) in ARRAYS[header["kind"]].items():
        wanted = kind, tuple(lengths[letter] for letter in letters)
        found = heads[name].kind, heads[name].shape
        if found != wanted:
            raise CertificateError(f"{name} has {found} in place of {wanted}.")


def _seal(arrays):
    seal = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        seal.update(f"{name} {array.dtype.str} {array.shape};".encode())
        seal.update(np.ascontiguousarray(array).data)
    return seal.digest()
