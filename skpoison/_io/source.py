"""Where data come from: a path or standard input, compressed or not, in some format."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

from .errors import DataError
from .places import check_exists, is_url, open_url

FORMATS = ("csv", "tsv", "jsonl", "parquet", "npz", "svmlight")
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
MAGIC |= {b"\x28\xb5\x2f\xfd": "zstd"}
BINARY = {b"PK\x03\x04": "npz", b"PK\x05\x06": "npz", b"PAR1": "parquet"}
HEAD = 1 << 16
GIGABYTE = 10**9
# An object, or the array that some files have around their objects.
JSON_LINE = re.compile(rb'\{\s*("|\}|$)|\[\s*(\{|\[|$)')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SVMLIGHT_LINE = re.compile(rb"[-+.\w]+(,[-+.\w]+)*(\s+(qid|\d+):\S+)+\s*(#.*)?$")
UNPACKING = (EOFError, lzma.LZMAError, gzip.BadGzipFile)


class Source:
    """A path, a URL or standard input, that can be opened more than once.

    Parameters
    ----------
    name : str
        The path, or the URL that fsspec knows; ``-`` is standard input.
    format : str, default=None
        One of ``FORMATS``; by default told from the name, or else from the content.
    max_size : float, default=4.0
        Gigabytes that compressed data may unpack to, and that may come through a pipe.

    Attributes
    ----------
    compression : str or None
        How the data are compressed, told from their first bytes.
    format : str
        One of ``FORMATS``.
    """

    def __init__(self, name, format=None, max_size=4.0):
        self.name = str(name)
        self.limit = int(max_size * GIGABYTE)
        self._stamp = None
        self._spooled = self._spool()
        with self._open_raw() as file:
            self.compression = _compression(file.read(8))
        self.head = self._read_head()
        self.format = format or self._guess_format()
        self._check_content()

    @property
    def label(self):
        """What messages call the source."""
        return "standard input" if self.name == "-" else self.name

    @property
    def path(self):
        """The path of an uncompressed local file; None for anything else."""
        plain = self._spooled is None and self.compression is None
        plain = plain and not is_url(self.name)
        if not plain:
            return None
        self._check_unchanged(os.stat(self.name))
        return self.name

    def open(self):
        """Open the unpacked data as a binary file."""
        file = self._open_raw()
        if self.compression is None:
            return file
        return io.BufferedReader(_Unpacked(file, self), HEAD)

    def hashes(self, *names):
        """Return hashes of the stored bytes by name, and the number of these bytes."""
        found, size = {name: hashlib.new(name) for name in names}, 0
        with self._open_raw() as file:
            while part := file.read(HEAD):
                size += len(part)
                for one in found.values():
                    one.update(part)
        return {name: one.hexdigest() for name, one in found.items()}, size

    def _open_raw(self):
        if self._spooled is not None:
            return io.BytesIO(self._spooled)
        if is_url(self.name):
            return open_url(self.name)
        file = open(self.name, "rb")
        try:
            self._check_unchanged(os.fstat(file.fileno()))
        except DataError:
            file.close()
            raise
        return file

    def _check_unchanged(self, found):
        """Refuse a file that is another one than at first: rows go by their places."""
        stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        self._stamp = self._stamp or stamp
        if stamp != self._stamp:
            raise DataError(
                f"{self.label} was changed while it was being read; run the command "
                "again."
            )

    def _spool(self):
        """Return what can be read only once; None for a file on disk."""
        if self.name == "-":
            return self._read_pipe(sys.stdin.buffer)
        if is_url(self.name):
            return None
        check_exists(self.name)
        path = Path(self.name)
        if path.is_dir():
            raise DataError(f"{self.name!r} is a folder, not a file.")
        if path.is_file():
            return None
        with open(path, "rb") as pipe:
            return self._read_pipe(pipe)

    def _read_pipe(self, pipe):
        content = pipe.read(self.limit + 1)
        if len(content) > self.limit:
            raise DataError(
                f"{self.label} holds more than {self.limit / GIGABYTE:g} GB; raise "
                "--max-size if this is intended."
            )
        return content

    def _read_head(self):
        with self.open() as file:
            head = file.read(HEAD)
        if not head:
            raise DataError(f"{self.label} is empty.")
        return head

    def _guess_format(self):
        named = format_of_name(self.name)
        return named or _binary_format(self.head) or _text_format(self.head)

    def _check_content(self):
        found = _binary_format(self.head)
        if self.format in ("npz", "parquet"):
            if found != self.format:
                raise DataError(
                    f"{self.label} is not {self.format.upper()}: its content does not "
                    "begin as it should."
                )
        elif found:
            raise DataError(
                f"{self.label} is not {self.format.upper()} but looks like "
                f"{found.upper()}; say so with --format {found}."
            )
        elif b"\0" in self.head:
            raise DataError(
                f"{self.label} is not text: it holds zero bytes. (Text in UTF-16 does; "
                "save it as UTF-8.)"
            )


def format_of_name(name):
    """Return the format that a name tells by its suffixes, or None.

    Examples
    --------
    >>> format_of_name("rows.csv.gz"), format_of_name("README")
    ('csv', None)
    """
    suffixes = [s.lower() for s in Path(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


class _Unpacked(io.RawIOBase):
    """Unpacked data, up to a limit; errors of unpacking become errors of the data."""

    def __init__(self, packed, source):
        self._packed, self._source, self._left = packed, source, source.limit
        self._file = _unpack(packed, source.compression)

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            chunk = self._file.read(len(buffer))
        except (*UNPACKING, OSError) as error:
            raise DataError(
                f"{self._source.label} cannot be unpacked: {error}."
            ) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(
                f"{self._source.label} unpacks to more than "
                f"{self._source.limit / GIGABYTE:g} GB; raise --max-size if this is "
                "intended."
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self):
        self._file.close()
        self._packed.close()  # GzipFile and others leave what they read from open.
        super().close()


def _unpack(file, compression):
    if compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    if compression == "bz2":
        return bz2.BZ2File(file)
    if compression == "xz":
        return lzma.LZMAFile(file)
    import pyarrow as pa

    return pa.CompressedInputStream(file, "zstd")


def _compression(head):
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def _binary_format(head):
    return next((kind for magic, kind in BINARY.items() if head.startswith(magic)), "")


def _text_format(head):
    lines = [line.strip() for line in head.removeprefix(BYTE_ORDER_MARK).split(b"\n")]
    if JSON_LINE.match(next(filter(None, lines), b"")):
        return "jsonl"
    first = next((s for s in lines if s and not s.startswith(b"#")), b"")
    if SVMLIGHT_LINE.match(first):
        return "svmlight"
    return "tsv" if first.count(b"\t") > first.count(b",") else "csv"


def lines_at(lines, rows):
    """Yield the lines of some rows, in the order asked for.

    Where that is the order of the file, no line is held in memory.
    """
    wanted = set(rows)
    found = ((row, line) for row, line in enumerate(lines) if row in wanted)
    if all(a < b for a, b in pairwise(rows)):
        yield from (line for _, line in found)
        return
    held = dict(found)
    yield from (held[row] for row in rows)
