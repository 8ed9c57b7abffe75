"""Which rows were dropped, written into a net's history and read from it.

skorch saves the history beside the parameters, by default too, and the schedule of
rounds counts epochs by it. So a training that resumes from a loaded history resumes
with the rows that were left.
"""

import base64

import numpy as np
from skorch.dataset import get_len, unpack_data
from skorch.utils import is_dataset
from torch.utils.data import default_collate

from skpoison.neural._proxies import target_marks
from skpoison.neural._seeded import streams_restored
from skpoison.neural._subset import SAMPLED_ROWS, DataMark, RowPool

# skorch's loggers leave out what begins so.
KEY = "event_rows"


def record_rows(history, pool, readmitted):
    """Record in the current epoch which rows it was the first without, or with."""
    entry, in_split = {}, np.isin(np.arange(len(pool.labels)), pool.train_rows)
    if pool.recorded is None:
        entry |= {"n_rows": len(in_split), "data": pool.data.hash}
    if not np.array_equal(pool.recorded, in_split):
        entry["train"] = base64.b64encode(np.packbits(in_split)).decode("ascii")
    rows = np.flatnonzero(pool.dropped_at == len(history))
    if len(rows):
        entry |= {"dropped": rows.tolist(), "labels": pool.labels[rows].tolist()}
        if not np.array_equal(pool.marks[rows], pool.labels[rows]):
            entry["marks"] = pool.marks[rows].tolist()
    if len(readmitted):
        entry["readmitted"] = readmitted.tolist()
    pool.recorded = in_split
    history.record(KEY, entry)


def recorded_pool(history):
    """Return the RowPool after the last epoch of a history; None if it has none."""
    pool = None
    for epoch, row in enumerate(history, start=1):
        if KEY not in row:
            if row.get("n_dropped"):
                raise ValueError(
                    f"the history says that {row['n_dropped']} rows were dropped in "
                    f"epoch {epoch}, but not which, so training cannot continue on "
                    "the remaining rows."
                )
            continue
        entry = row[KEY]
        if "data" in entry:
            pool = RowPool(entry["n_rows"], DataMark(entry["data"]))
        if "train" in entry:
            bits = np.frombuffer(base64.b64decode(entry["train"]), dtype=np.uint8)
            pool.recorded = np.unpackbits(bits, count=len(pool.labels)).astype(bool)
            pool.train_rows = np.flatnonzero(pool.recorded)
        dropped = entry.get("dropped", [])
        pool.dropped_at[dropped] = epoch
        pool.labels[dropped] = entry.get("labels", [])
        pool.marks[dropped] = entry.get("marks", pool.labels[dropped])
        pool.dropped_at[entry.get("readmitted", [])] = 0
    return pool


def left_out(net, epoch, n_rows):
    """Return which rows given to fit an epoch was trained without."""
    pool = recorded_pool(list(getattr(net, "history", None) or ())[:epoch])
    if pool is None or len(pool.dropped_at) != n_rows:
        return np.zeros(n_rows, dtype=bool)
    return pool.dropped_at > 0


def check_same_rows(pool, data, X, y):
    """Check that a training resumes with the rows that a loaded history is about."""
    n_dropped = np.count_nonzero(pool.dropped_at)
    if n_dropped and not are_same_rows(pool, data, X, y):
        raise ValueError(
            f"the loaded history says that {n_dropped} of {len(pool.labels)} rows were "
            f"dropped, but the {get_len(X)} rows given now are different, or have "
            "different labels: give the same rows, or start again with all of these "
            "rows by loading parameters without the history (f_history=None)."
        )


def are_same_rows(pool, data, X, y):
    """Whether a training resumes with the rows of a pool.

    Of a Dataset object that is not known, the targets of some dropped rows are read.
    """
    if not pool.data.is_same(data):
        return False
    if pool.data.dataset is not None or y is not None or not is_dataset(X):
        return True
    rows = np.flatnonzero(pool.dropped_at)
    sample = np.linspace(0, len(rows) - 1, SAMPLED_ROWS) if len(rows) else []
    rows = rows[np.unique(np.asarray(sample, dtype=np.intp))]
    with streams_restored():
        targets = [default_collate([unpack_data(X[int(row)])[1]]) for row in rows]
    marks = [int(target_marks(target)[0]) for target in targets]
    return marks == pool.marks[rows].tolist()
