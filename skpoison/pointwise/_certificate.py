"""Certificate files of predictions by the votes of parts."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skpoison._certificate_header import check_free, common_header, in_words, write
from skpoison._io.write import whole_file
from skpoison.verify import _votes
from skpoison.verify._rows import digest, digests_of_contents, rows_of

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike

    from skpoison._column_types import RowsLike

ATTACKS = tuple(_votes.TOUCHED)


class VotesCertificateMixin:
    """The method of a classifier of parts that writes its votes to a file."""

    def to_certificate(
        self,
        path: "str | os.PathLike",
        X_test: "RowsLike",
        *,
        attack: Literal["insert_delete", "change", "flip"],
        feature_names: "ArrayLike | None" = None,
        encoding: dict | None = None,
        overwrite: bool = True,
    ) -> None:
        """Write a file with which others can check certified predictions.

        :func:`skpoison.verify.check` and ``skpoison verify`` read it. It holds the
        votes of all parts for the test rows, the radii, and hashes of the training
        rows, of each part's rows and of the test rows, but no rows.

        Parameters
        ----------
        path : str or path-like
            Where to write. The file appears whole or not at all.
        X_test : {array-like, sparse matrix} of shape (n_test, n_features)
            Rows whose predictions are certified.
        attack : {"insert_delete", "change", "flip"}
            What the radii count, as in :func:`certified_radius`.
        feature_names : array-like of shape (n_features,), default=None
            The names of the columns; by default those that X had.
        encoding : dict, default=None
            How the columns became numbers, for the reader; must be valid JSON.
        overwrite : bool, default=True
            Whether an existing file is replaced.

        Raises
        ------
        ValueError
            If `attack` is unknown or not covered, for ``spread`` above 1 and
            ``aggregation="run_off"``, for rows that are not numbers, if `encoding` is
            no JSON, if there are more or fewer `feature_names` than columns, or if the
            file exists already and `overwrite` is False.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skpoison import PartitionedClassifier
        >>> from skpoison.verify import check
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = PartitionedClassifier(GaussianNB(), 25).fit(X[:400], y[:400])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "votes.npz")
        ...     model.to_certificate(path, X[400:], attack="flip")
        ...     check(path, X[:400], y[:400], X_test=X[400:]).verified
        True
        """
        check_is_fitted(self)
        check_free(path, overwrite)
        header, arrays = _content(self, X_test, attack, feature_names, encoding)
        with whole_file(path, overwrite) as file:
            write(file, header, arrays)


def _content(model, X_test, attack, feature_names, encoding):
    """Return the header and the arrays of a file."""
    if attack not in ATTACKS:
        raise ValueError(f"attack must be one of {list(ATTACKS)}; got {attack!r}.")
    if model.spread != 1 or model.aggregation != "vote":
        raise ValueError(
            "No certificate file can hold these votes yet: known are spread=1 and "
            f"aggregation='vote'; got spread={model.spread!r}, "
            f"aggregation={model.aggregation!r}."
        )
    rows, test = _as_numbers(model._X, "X"), _as_numbers(X_test, "X_test")
    _check_digests(model, rows)
    labels = np.searchsorted(model.classes_, model._y).astype(np.float64)
    radii = model._certified_radius(X_test, attack)
    votes = model._votes(X_test)[1].astype(np.int64)
    sha256, _, hashes = digest(rows, labels)
    names = getattr(model, "feature_names_in_", None)
    header = common_header(
        "votes",
        rows,
        sha256,
        names=names if feature_names is None else feature_names,
        encoding=encoding,
        classes=model.classes_.tolist(),
        learner=in_words(model.estimator),
    )
    n_parts = int(model.n_partitions)
    header |= {
        "attack": attack,
        "hash": model.hash,
        "n_partitions": n_parts,
        "n_test": len(votes),
        "test_sha256": _votes.digest_in_order(test),
    }
    parts = _votes.parts_of(rows, model.hash, n_parts)
    return header, {
        "votes": votes,
        "predicted": _votes.winners_and_leads(votes, len(model.classes_))[0],
        "radii": radii.astype(np.int64),
        "part_sha256": _votes.hashes_of_parts(parts, hashes, n_parts),
    }


def _as_numbers(X, name):
    try:
        return rows_of(X)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Certificate files are for rows of numbers; {name} has others: {error}"
        ) from None


def _check_digests(model, rows):
    """Raise an error unless the verifier hashes rows as the model does."""
    digests = np.frombuffer(b"".join(digests_of_contents(rows)), dtype=">u8")
    if not np.array_equal(digests.reshape(-1, 4), model._digests):
        raise ValueError(
            "Certificate files are for rows of finite numbers (whole ones up to 2**53) "
            "and no tables of other columns."
        )
