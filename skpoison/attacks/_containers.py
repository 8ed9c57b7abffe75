"""Poison in the container that the clean rows came in."""

import numpy as np
from scipy import sparse


def like_rows(rows, X):
    """Return poison rows as a DataFrame where the clean rows are one.

    Parameters
    ----------
    rows : {ndarray, CSR matrix} of shape (n_poison, n_features)
        Poison rows.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Clean rows.

    Returns
    -------
    rows : {ndarray, CSR matrix, DataFrame} of shape (n_poison, n_features)
        The same rows.
    """
    if not hasattr(X, "iloc"):
        return rows
    import pandas as pd

    index = next_labels(X.index, rows.shape[0])
    if sparse.issparse(rows):
        return pd.DataFrame.sparse.from_spmatrix(rows, index, X.columns)
    return pd.DataFrame(rows, columns=X.columns, index=index)


def like_targets(targets, y):
    """Return poison labels as a Series where the clean labels are one.

    Parameters
    ----------
    targets : ndarray of shape (n_poison,)
        Labels of poison rows.
    y : {array-like, Series} of shape (n_samples,)
        Clean labels.

    Returns
    -------
    targets : {ndarray, Series} of shape (n_poison,)
        The same labels.
    """
    if not hasattr(y, "iloc") or y.ndim != 1:
        return targets
    import pandas as pd

    index = next_labels(y.index, len(targets))
    return pd.Series(targets, index=index, name=y.name, dtype=y.dtype)


def next_labels(index, n):
    """Continue the index of a table: no label of a poison row is a clean row's.

    Parameters
    ----------
    index : Index
        The clean rows' labels.
    n : int
        Number of poison rows.

    Returns
    -------
    labels : list
        Whole numbers after the largest one where labels are whole numbers; otherwise
        ``poison-0``, ``poison-1`` and so on.
    """
    if index.dtype.kind in "iu":
        first = int(index.max()) + 1
        return list(range(first, first + n))
    return [f"poison-{i}" for i in range(n)]


def stack(first, second):
    """Return the rows (or labels) of two containers in one.

    Parameters
    ----------
    first : {array-like, sparse matrix, DataFrame, Series}
        Clean part, which says what the result is.
    second : {ndarray, CSR matrix, DataFrame, Series}
        Poison part.

    Returns
    -------
    both : {ndarray, CSR matrix, DataFrame, Series}
        One after the other.
    """
    if hasattr(first, "iloc") and hasattr(second, "iloc"):
        import pandas as pd

        if not len(second):  # it would change the types of the other's columns
            return first.copy()
        return pd.concat([_without_truth(first), second])
    if sparse.issparse(first):
        return sparse.vstack([first, second], format="csr")
    return np.concatenate([np.asarray(first), second])


def _without_truth(table):
    """Return a table with numbers where truth values were, which do not mix."""
    if table.ndim == 1:
        return table
    truths = [kind.kind == "b" for kind in table.dtypes]
    kinds = dict.fromkeys(table.columns[truths], np.float64)
    return table.astype(kinds) if kinds else table
