"""What the rows are like."""

from collections import Counter

import numpy as np
from scipy import sparse

from skpoison._columns import numbered, widest
from skpoison._words import name_text

from .inputs import Inputs
from .types import Class, Data

# Columns named at most, where many are alike.
NAMED = 8


def profile(inputs: Inputs, positive: int) -> Data:
    """Describe rows, labels and columns, given the position of the positive label."""
    X, (n_rows, n_features) = inputs.X, inputs.X.shape
    is_sparse = sparse.issparse(X)
    return {
        "source": inputs.source,
        "n_rows": n_rows,
        "n_features": n_features,
        "is_sparse": is_sparse,
        "density": X.nnz / (n_rows * n_features) if is_sparse else None,
        "dtype": str(X.dtype),
        "n_bytes": n_bytes(X),
        "transformed": inputs.transformed,
        "columns": list(inputs.columns),
        "classes": _classes(inputs),
        "positive": inputs.labels[positive],
        "negative": _others(inputs.labels, positive),
        **_columns(inputs),
        **_repeats(inputs),
    }


def n_stored(X):
    """Return how many values a matrix stores."""
    return X.nnz if sparse.issparse(X) else X.size


def n_bytes(X):
    """Return how much memory a matrix takes."""
    if sparse.issparse(X):
        return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
    return int(X.nbytes)


def _classes(inputs) -> list[Class]:
    counts = np.bincount(inputs.codes).tolist()
    return [
        {"label": label, "n_rows": count, "share": count / len(inputs.codes)}
        for label, count in zip(inputs.labels, counts, strict=True)
    ]


def _others(labels, positive):
    if len(labels) > 2:
        return f"not {labels[positive]}"
    return labels[1 - positive]


def _columns(inputs):
    """Say which columns are constant, binary, counts, names of rows, or decide all."""
    X, names = inputs.given, inputs.names
    low, high = _extremes(X)
    kinds = Counter(_kinds(X, low, high).tolist())
    far = widest(X)
    numbering, unique = numbered(X)
    constant = np.flatnonzero(low == high)
    return {
        "n_constant": len(constant),
        "constant": [name_text(names[j]) for j in constant[:NAMED]],
        "kinds": {kind: kinds.get(kind, 0) for kind in KINDS},
        "widest": None
        if far is None
        else {
            "name": name_text(names[far[0]]),
            "times_median": far[1],
            "share": far[2],
        },
        "row_numbers": [name_text(names[j]) for j in numbering[:NAMED]],
        "unique_numbers": [name_text(names[j]) for j in unique[:NAMED]],
    }


KINDS = ("constant", "binary", "count", "nonnegative", "real")


def _extremes(X):
    low, high = X.min(axis=0), X.max(axis=0)
    if sparse.issparse(X):
        low, high = low.toarray().ravel(), high.toarray().ravel()
    return low, high


def _kinds(X, low, high):
    whole = _whole(X)
    kinds = np.full(len(low), "real", dtype=object)
    kinds[low >= 0] = "nonnegative"
    kinds[(low >= 0) & whole] = "count"
    kinds[(low == 0) & (high == 1) & whole] = "binary"
    kinds[low == high] = "constant"
    return kinds


def _whole(X):
    """Tell which columns hold whole numbers only."""
    if not sparse.issparse(X):
        return np.array(
            [np.all(X[:, j] == np.rint(X[:, j])) for j in range(X.shape[1])]
        )
    broken = X.indices[X.data != np.rint(X.data)]
    return np.bincount(broken, minlength=X.shape[1]) == 0


def _repeats(inputs):
    """Count rows that occur more than once, and rows under several labels."""
    keys = row_keys(inputs.X)
    groups = Counter(zip(keys, inputs.codes.tolist(), strict=True))
    largest, n_copies = groups.most_common(1)[0]
    labels_of = Counter(key for key, _ in groups)
    torn = {key for key, n_labels in labels_of.items() if n_labels > 1}
    found = {
        "n_repeated": sum(count - 1 for count in groups.values()),
        "n_contradicting": sum(key in torn for key in keys),
        "most_repeated": None,
    }
    if n_copies > 1:
        position = next(
            i
            for i, key in enumerate(zip(keys, inputs.codes.tolist(), strict=True))
            if key == largest
        )
        found["most_repeated"] = {
            "position": position,
            "row": position + 1,
            "label": inputs.labels[largest[1]],
            "n_copies": n_copies,
        }
    return found


def row_keys(X) -> list[int]:
    """Return a hash of 64 bits for each row, equal where rows are equal."""
    if not sparse.issparse(X):
        # Adding zero turns -0.0 into 0.0, which is the same number in other bits.
        return [hash((row + 0.0).tobytes()) for row in X]
    X = X if X.has_sorted_indices else X.sorted_indices()
    keys = []
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        values, columns = X.data[start:stop], X.indices[start:stop]
        filled = values != 0
        keys.append(hash((values[filled].tobytes(), columns[filled].tobytes())))
    return keys
