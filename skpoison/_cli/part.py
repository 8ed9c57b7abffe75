"""What is done with each of many files, in any process."""

import json
import warnings
from typing import NamedTuple

import numpy as np

from skpoison._io.encoding import Encoding
from skpoison._io.output import Output
from skpoison._io.parts import named
from skpoison._io.parts_sample import load_part
from skpoison._io.places import joined, make_folder_of, size_of
from skpoison._io.read import Options
from skpoison._io.write import whole_file
from skpoison._words import label_text, one_line

from .judgement import judge_by
from .review import verdict_column


class Block(NamedTuple):
    """How rows become numbers: as in a sample, or in trusted rows."""

    pattern: object
    options: Options
    encoding: Encoding
    encoder: object
    dtype: np.dtype

    def rows(self, part):
        """Read the rows of a file, without those to be left out, or None."""
        data = load_part(part, self.pattern, self.options)
        if data is None or not len(data):
            return data
        if self.encoding.missing in ("drop-rows", "error"):
            plan = self.encoder.plan
            masks = plan.missing_in(data)
            if masks and self.encoding.missing == "error":
                plan.refuse_missing(data, masks)
            if masks:
                return data.only(~sum(masks.values()).astype(bool))
        return data

    def numbers(self, data):
        """Return the rows as numbers."""
        X = self.encoder.transform(data, np.arange(len(data)))
        return X.astype(self.dtype, copy=False)


class Writing(NamedTuple):
    """Where rows go: a folder or None for each; `records` tell which files are done."""

    kept: str | None
    rejected: str | None
    formulas: bool
    records: str | None = None

    @property
    def folders(self):
        """The folders that are written to."""
        return [folder for folder in (self.kept, self.rejected) if folder is not None]

    def record_of(self, part):
        """Return the name of the file that says that a file is done."""
        return joined(self.records, f"{part.place}.json")


def look(shared, i, part):
    """Let a pass of a filter see the rows of a file."""
    block, filter_ = shared
    with named(part):
        data = block.rows(part)
        if data is None or not len(data):
            return filter_._seen(None, None, i)
        return filter_._seen(block.numbers(data), data.labels.targets, i)


def judge_part(shared, i, part):
    """Judge the rows of a file, write them, and return how many are kept."""
    block, kind, filter_, writing = shared
    with named(part):
        data = block.rows(part)
        found = {"file": part.name, "n_rows": 0, "n_dropped": 0, "warnings": []}
        found |= {"classes": {}, "n_escaped": 0}
        if data is None:
            _write_nothing(writing, part)
        else:
            judged = None
            if len(data):
                judged = _judged(block, kind, filter_, data, i, found)
            found |= _counts(judged, data)
            found["n_escaped"] = _write(writing, part, data, judged)
        if writing.records is not None:
            found["sizes"] = [
                size_of(joined(folder, part.place)) for folder in writing.folders
            ]
            _write_whole(writing.record_of(part), json.dumps(found).encode())
        return found


def _judged(block, kind, filter_, data, i, found):
    kept_anyway = [row for at, row in getattr(filter_, "_kept_anyway", ()) if at == i]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        y = data.labels.targets
        judged = judge_by(kind, filter_, block.numbers(data), y, anyway=kept_anyway)
    found["warnings"] = [one_line(one.message) for one in caught]
    return judged


def _counts(judged, data):
    """Count rows by class and by what rejects them."""
    labels, classes = data.labels, {}
    for code, value in enumerate(labels.values if judged else ()):
        mask = labels.codes == code
        if mask.any():
            classes[label_text(value)] = {
                "n_rows": int(mask.sum()),
                "n_kept": int((mask & judged.kept).sum()),
                "rejected_by": {
                    test: int((mask & beyond).sum())
                    for test, beyond in judged.rejected_by.items()
                },
            }
    return {"n_rows": len(data), "n_dropped": data.n_dropped, "classes": classes}


def _write(writing, part, data, judged):
    """Write the rows of a file; return how many cells got an apostrophe."""
    n_escaped = 0
    for folder, is_kept in ((writing.kept, True), (writing.rejected, False)):
        if folder is None:
            continue
        path = joined(folder, part.place)
        make_folder_of(path)
        output = Output(path, data, force=True, formulas=writing.formulas)
        if is_kept:
            rows, beside = np.flatnonzero(judged.kept) if judged else [], {}
        else:
            rows, beside = _rejected(data, judged)
        output.write(data.taken(np.asarray(rows, dtype=np.intp), beside), None)
        n_escaped += output.n_escaped
    return n_escaped


def _rejected(data, judged):
    """Return the rejected rows, most suspicious first, and columns that say why."""
    rows = judged.rejected if judged else np.empty(0, np.intp)
    if len(rows):
        beside = judged.columns(rows, data.row_numbers)
    else:  # the types of the columns must be those of other files
        beside = {
            "skpoison_row": np.empty(0, np.int64),
            "skpoison_suspicion": np.empty(0),
            "skpoison_reason": np.empty(0, str),
            "skpoison_suggested_label": np.empty(0, str),
        }
    texts = verdict_column(rows)
    return rows, beside | {name: np.array(one, str) for name, one in texts.items()}


def _write_nothing(writing, part):
    """Write empty files in the place of an empty one."""
    for folder in writing.folders:
        _write_whole(joined(folder, part.place), b"")


def _write_whole(path, content):
    make_folder_of(path)
    with whole_file(path, force=True) as file:
        file.write(content)
