"""Bounds over the rows of many files, of which few are in memory at once."""

from sklearn.frozen import FrozenEstimator

from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._io.parts import named
from skpoison._words import counted, label_text
from skpoison.bounds._in_blocks import BlockedRows, block_of
from skpoison.bounds._survey import Survey, survey
from skpoison.solvers._block_sums import Look, Seen, Sums, look_at

from .parts import _counting, _in_order


class FileRows(BlockedRows):
    """The rows of many files, as numbers, and their targets.

    Parameters
    ----------
    files : Files
        The files, and what works on them.
    seen : Survey
        What has been seen of the rows.
    kept_by : filter or None
        Only rows that it keeps count.
    """

    def __init__(self, files, seen, kept_by=None):
        super().__init__(seen)
        self.files, self.kept_by = files, kept_by

    @classmethod
    def of(cls, files, kept_by=None):
        """Look at all rows once, or at those that a filter keeps."""
        shared = files.shared(kept_by), len(files.parts), files.seed
        seen = Survey()
        for one in files.each("Looking at the rows", survey_part, shared):
            seen = seen.plus(one)
        if not seen.n_rows:
            raise DataError("The files have no rows.")
        return cls(files, seen, kept_by)

    def fitted(self, filter_):
        """Fit a filter in passes over the files."""
        if isinstance(filter_, FrozenEstimator):
            return filter_
        is_fitted = False
        while not is_fitted:
            current = filter_._current_pass()
            shared = self.files.shared(self.kept_by), filter_
            for seen in self.files.each("Fitting the filter", fit_part, shared):
                current.merge(seen)
            is_fitted = filter_.end_pass()
        return filter_

    def look(self, look):
        """Return what a look finds in all files."""
        shared = self.files.shared(self.kept_by), look, self.seen.labels, self.weights
        seen = Seen(Sums.none(len(look.theta)), [])
        for one in self.files.each("Bounding", look_at_part, shared):
            seen = seen.plus(one)
        return seen

    def kept(self, filter_):
        """Return the rows that a fitted filter keeps."""
        return FileRows.of(self.files, filter_)

    def mean_loss(self, loss, theta):
        """Return the mean loss of parameters."""
        self.weigh([1.0] * len(self.seen.counts))
        return self.look(Look(theta, loss, loss, loss, 0.0, 0.0, 0)).sums.value

    def describe(self, target):
        """Return the part of the report about the training rows."""
        described = {"n_train": self.n_rows, "n_features": self.shape[1]}
        if not target.has_classes:
            smallest, largest = self.seen.ends
            return described | {"smallest": smallest, "largest": largest}
        share = float(self.seen.counts[-1] / self.n_rows)
        return described | {"positive_share": share}


class Files:
    """Files, how their rows become numbers, and what works on them.

    `block` reads rows as a sample of them was read, and `target` is theirs.
    """

    def __init__(self, session, engine, parts, block, target, seed):
        self.session, self.engine, self.parts = session, engine, parts
        self.block, self.target, self.seed = block, target, seed

    def shared(self, kept_by):
        """Return what the workers need to know."""
        return self.block, self.target, kept_by

    def each(self, text, function, shared):
        """Yield what a function returns for each file, in their order."""
        items = list(enumerate(self.parts.files))
        with _counting(self.session, text, len(items)) as advance:
            for found in _in_order(self.engine.each(function, shared, items)):
                yield found
                advance()


def rows_of(shared, part):
    """Return the rows of a file as numbers, and their targets; None: it has none."""
    block, target, kept_by = shared
    data = block.rows(part)
    if data is None or not len(data):
        return None
    X, y = block.numbers(data), _targets(target, data.labels)
    if kept_by is None:
        return X, y
    kept = kept_by.decision_function(X, y if target.has_classes else None) >= 0
    return (X[kept], y[kept]) if kept.any() else None


def _targets(target, labels):
    """Return targets of rows, of which a file need not have each."""
    if not target.has_classes:
        return target.of(labels)
    positive = label_text(target.classes.positive)
    texts = labels.texts
    if target.positive is None:
        known = {positive, label_text(target.classes.negative)}
        if others := sorted(set(texts.tolist()) - known):
            raise DataError(
                f"The target {target.name!r} holds {quoted(others)}, and "
                f"{quoted(sorted(known))} in a sample of the rows. Choose the positive "
                "class with --positive; all others are then negative."
            )
    return 2 * (texts == positive).astype(int) - 1


def survey_part(shared, i, part):
    """Look at the rows of a file for the first time."""
    given, n_parts, seed = shared
    with named(part):
        rows = rows_of(given, part)
        if rows is None:
            return Survey()
        targets = not given[1].has_classes
        options = {"name": "CertifiedBound", "targets": targets, "seed": seed}
        return survey(*rows, i, n_parts, **options)


def fit_part(shared, i, part):
    """Let a pass of a filter see the rows of a file."""
    given, filter_ = shared
    with named(part):
        X, y = rows_of(given, part) or (None, None)
        return filter_._seen(X, y if given[1].has_classes else None, i)


def look_at_part(shared, i, part):
    """Add up what a bound needs of the rows of a file."""
    given, look, labels, weights = shared
    with named(part):
        rows = rows_of(given, part)
        if rows is None:
            return Seen(Sums.none(len(look.theta)), [])
        return look_at(block_of(*rows, labels, weights), look, i)


def say_what_counts(session, drawn):
    """Say that bounds are over all rows, which a sample of them tells how to read."""
    session.say(
        f"Bounds are over all rows of {counted(len(drawn.parts), 'file')}. How columns "
        f"are read and scaled is decided by {drawn.note} (--sample)."
    )
