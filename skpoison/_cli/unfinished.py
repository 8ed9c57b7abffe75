"""Runs over many files that can be interrupted, and go on where they stopped.

Beside the files that are written there is a folder with what the run is about, the
fitted filter, and a record of each file that is done. It is removed at the end.
"""

import hashlib
import io
import json
import re

import numpy as np

from skpoison import __version__
from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._io.places import (
    files_in,
    joined,
    read_place,
    real_place,
    remove_folder,
    remove_place,
)

from .part import _write_whole

STORE = "_skpoison"
# What :func:`skpoison._io.write.whole_file` calls a file that is being written.
HALF_WRITTEN = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
RUN, FILTER, DONE = "run.json", "filter.npz", "done"
# Stands for None, which files without pickles do not have.
NOTHING = np.zeros((0, 0), dtype=bool)


class Run:
    """One run over many files: what it is about, and which files are done.

    `identity` is all that decides on what is written.
    """

    def __init__(self, folders, parts, identity):
        self._folders, self._parts = folders, parts
        told = [__version__, identity, [part[1:] for part in parts.files]]
        text = json.dumps(told, sort_keys=True, default=str)
        self._hash = hashlib.sha256(text.encode()).hexdigest()
        self.store = joined(folders[0], STORE) if folders else None
        self._found = {}

    @property
    def records(self):
        """The folder of the records; None where nothing is written."""
        return self.store and joined(self.store, DONE)

    def begin(self, force):
        """Look at what is there, and refuse to mix it with other files.

        Return the records of files that are done, by their places.
        """
        if self.store is None:
            return {}
        self._check_apart()
        written = [self._whole_files(folder) for folder in self._folders]
        said = read_place(joined(self.store, RUN))
        same = said is not None and _load(said).get("run") == self._hash
        # A run that has failed before it found anything is in nobody's way.
        is_unfinished = said is not None and {*files_in(self.store)} != {RUN}
        self._check_files(written, force, same, is_unfinished)
        if same:
            return self._done(written)
        remove_folder(self.store)
        _write_whole(joined(self.store, RUN), json.dumps({"run": self._hash}).encode())
        return {}

    def _check_apart(self):
        """Refuse folders among the files that are read, or around them."""
        if len(set(map(real_place, self._folders))) < len(self._folders):
            raise DataError(
                f"Two outputs cannot go to the same folder, {self._folders[0]!r}."
            )
        read = {real_place(part.name) for part in self._parts.files}
        for folder in self._folders:
            own = f"{real_place(folder)}/"
            beneath = own.startswith(f"{real_place(self._parts.name)}/")
            if beneath or any(file.startswith(own) for file in read):
                raise DataError(
                    f"{folder!r} cannot be written to, as {self._parts.name!r} is read "
                    "there: name a folder beside it."
                )

    def _whole_files(self, folder):
        """Return the sizes of files in a folder, but for those half written."""
        found = files_in(folder).items()
        return {at: size for at, size in found if not self._is_half_written(at)}

    def _is_half_written(self, place):
        """Tell whether a process has died while it wrote a file under this name."""
        folder, _, name = place.rpartition("/")
        found = HALF_WRITTEN.fullmatch(name)
        own = found and (f"{folder}/{found[1]}" if folder else found[1])
        return own in {part.place for part in self._parts.files}

    def _check_files(self, written, force, same, is_unfinished):
        ours = {part.place for part in self._parts.files}
        for folder, files in zip(self._folders, written, strict=True):
            files = {file for file in files if not file.startswith(f"{STORE}/")}
            if strangers := sorted(files - ours):
                raise DataError(
                    f"{folder!r} holds files that would not be replaced: "
                    f"{quoted(strangers)}. Name another folder, or empty it."
                )
            if (files or is_unfinished) and not (same or force):
                what = "holds an unfinished run with other options or files"
                what = what if is_unfinished else "exists already and holds files"
                raise DataError(f"{folder!r} {what}; --force replaces it.")

    def _done(self, written):
        """Return the records of the files that are there as they were written."""
        records = {}
        stored = files_in(self.records)
        for part in self._parts.files:
            if f"{part.place}.json" not in stored:
                continue
            record = _load(read_place(joined(self.records, f"{part.place}.json")))
            sizes = [files.get(part.place) for files in written]
            if record.get("sizes") == sizes:
                records[part.place] = record
        return records

    def stored_filter(self, filter_):
        """Fit a filter as a former run has; return whether one has."""
        content = self.store and read_place(joined(self.store, FILTER))
        if not content:
            return False
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        _restore(filter_, 0, found)
        if hasattr(filter_, "filters"):
            filter_._clone_members()
            for at, leaf in enumerate(filter_.filters_, start=1):
                _restore(leaf, at, found)
        return True

    def store_filter(self, filter_):
        """Store a fitted filter, so that it need not be fitted again."""
        if self.store is None:
            return
        leaves = [filter_, *getattr(filter_, "filters_", ())]
        arrays = {
            f"{at}/{name}": NOTHING if value is None else np.asarray(value)
            for at, leaf in enumerate(leaves)
            for name, value in vars(leaf).items()
            if name not in leaf.get_params(deep=False)
            and name not in ("filters_", "named_filters_")
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        _write_whole(joined(self.store, FILTER), buffer.getvalue())

    def end(self):
        """Remove what was stored: all files are done."""
        if self.store is None:
            return
        for folder in self._folders:
            for place in filter(self._is_half_written, files_in(folder)):
                remove_place(joined(folder, place))
        remove_folder(self.store)


def _restore(filter_, at, arrays):
    """Set the attributes that were stored of a filter."""
    for name, value in arrays.items():
        place, attribute = name.split("/")
        if int(place) == at:
            is_list = attribute == "_kept_anyway" or not value.ndim
            is_none = value.shape == NOTHING.shape and value.dtype == NOTHING.dtype
            value = value.tolist() if is_list else value
            setattr(filter_, attribute, None if is_none else value)


def _load(content):
    try:
        return dict(json.loads(content))
    except ValueError:
        return {}
