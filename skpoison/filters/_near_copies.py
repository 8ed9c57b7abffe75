"""Filter of near copies: groups of rows that are unusually close to each other."""

import math
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import binom
from sklearn.base import clone
from sklearn.utils import Bunch, check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skpoison._as_given import filled_texts, fit_words, is_texts
from skpoison.base import BaseFilter
from skpoison.filters._copies import (
    CopySpace,
    DistinctRows,
    distances_around,
    distinct_rows,
    groups_of,
    largest_within,
)
from skpoison.filters._nearest import members_of

# Smaller groups are never rejected, however rare copies are.
SMALLEST = 5
# The smallest probability that a row with near copies has one more: honest copies are
# more clustered than if rows were copied independently.
LEAST_CHANCE = 0.2
# Probability of a group above the limit if all copies are honest.
LEVEL = 0.05
# Largest spread of an isolated group, relative to its distance from other rows.
ISOLATION = 0.5
# Frequent values, such as zeros, explain a group of so many times the rows expected if
# columns were independent; or, unless next to none are expected, of so many times the
# other rows that have its values in one column, whichever column has fewest.
TIMES_EXPECTED, TIMES_SHARED = 4, 7
NEXT_TO_NONE = 0.005
# Or if so many of the rows with its rarest value have its other values by chance, as
# often as rows with the nearest other values do.
CHANCE = 0.001
NEAREST_VALUES = 50
MOST_STEPS = 60
LOOKED_AT = 200  # rows of a group whose neighborhoods are examined
SAMPLE = 10_000  # rows that frequencies of values are estimated from


class NearCopyFilter(BaseFilter):
    """Reject groups of near copies that are larger than expected by chance.

    Poison often consists of many copies of few rows, with small changes that hide it
    from a search for duplicates: the strongest attack on a linear classifier adds
    copies of two rows, and poison in documents for retrieval or instruction tuning
    repeats one message. Outlier detectors do not find these copies, because each has
    many near neighbors.

    Two rows are near copies if their distance is at most ``factor`` times the usual
    distance, the median distance of a row to the nearest different row (of all rows, or
    of the distinct ones if that is larger). Rows connected by near copies form a group.
    Groups of more than ``max_size_`` rows are rejected if they are isolated (the
    distances within the group are at most half of those to the rows around it) and
    cannot be explained by frequent values, such as zeros.

    Parameters
    ----------
    factor : float, default=0.25
        Largest distance of near copies, relative to the usual distance.
    metric : {"euclidean", "cosine"}, default="euclidean"
        The metric; "cosine", which normalizes each row, is suitable for embeddings and
        text.
    max_size : int or "auto", default="auto"
        Groups with more rows are rejected. "auto" estimates the group size expected by
        chance from the fraction of rows that copy another one (see the notes); at least
        4.
    transformer : transformer, default=None
        Converts rows to numbers for the computation of distances: a vectorizer for
        text, an encoder for tables. It is cloned and fitted; kept rows are returned
        unchanged. None means ``TfidfVectorizer()`` where X is a list of texts, and that
        rows are numbers otherwise.
    random_state : int, RandomState instance or None, default=None
        Controls the rows sampled to estimate the usual distance, the clusters of the
        search among many rows, and the order in which :meth:`fit_transform` reuses kept
        rows.

    Attributes
    ----------
    groups_ : ndarray of shape (n_samples,)
        The group of each training row, numbered in the order of their first rows. A row
        without near copies is a group of its own.
    copies_ : list of :class:`~sklearn.utils.Bunch`
        The groups that are rejected, the largest first: ``rows`` (ndarray of positions
        among the training rows), ``labels`` (dict from label to number of rows),
        ``spread`` (median distance to the nearest other row of the group),
        ``distance`` (median distance to the nearest row outside the group) and
        ``expected`` (how many rows would lie among the group's if columns were
        independent, estimated from the rows outside).
    max_size_ : int
        Groups of more rows are rejected.
    radius_ : float
        Largest distance of near copies.
    usual_distance_ : float
        The median distance of a row to the nearest row that differs from it, of all
        rows or of the distinct ones, the larger of the two.
    transformer_ : transformer or None
        What made numbers of the rows, fitted, or None.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        Minus the number of rows in the group of each training row, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit; not with a ``transformer`` nor for texts.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if X or y is invalid or contains NaN or infinity.

    See Also
    --------
    NeighborsFilter : Rejects rows that are far from their neighbors.
    skpoison.attacks.MinMaxAttack : Adds copies of few rows.

    Notes
    -----
    Groups do not depend on labels: copies of a row with another label are in the same
    group as the row. Columns with very different scales hide copies, so scale the data
    first.

    For ``max_size="auto"`` the number of near copies of a row is assumed to have at
    most a geometric distribution: the probability of one more copy is q, the share of
    rows that copy an earlier row (at least 0.2). Among G groups of two or more rows,
    fewer than 0.05 groups of more than m rows are then expected if
    ``G q^(m - 1) < 0.05``. If rows have few distinct values, many are equal by chance,
    q is large and little is rejected; if all rows are equal, nothing is.

    Frequent values explain a group of at most 4 times the expected number of rows, or,
    if at least 0.005 rows are expected, of at most 7 times the number of other rows
    that lie in the group's range in one column, the least of all columns: values of
    honest rows are frequent outside the group, too. So does chance, if so many of the
    rows with the rarest value have the others, too, with a probability above 0.001, as
    often as the 50 rows with the nearest other values do. The number expected is that
    of independent columns, whose frequencies are fitted by maximum likelihood to the
    rows outside the group, of which none is in the group's ranges of all columns.

    Up to 4,096 distinct rows are all compared. If there are more, each is compared with
    the rows in the 3 nearest cells of :class:`~sklearn.cluster.MiniBatchKMeans`, of
    1,024 rows on average, as in an inverted file [1]_: time is O(n log n), and memory
    below that of X. Near copies in other cells are missed; a group stays connected as
    long as each copy finds one other. Cells of sparse rows are found in 32 directions
    of a truncated singular value decomposition.

    An attacker who knows this filter can spread the poison rows as widely as clean
    rows. These are not near copies, but filters that use labels can detect them.

    References
    ----------
    .. [1] J. Sivic and A. Zisserman, "Video Google: A Text Retrieval Approach to Object
       Matching in Videos", ICCV 2003 (the inverted file of cells of k-means).
    .. [2] K. Lee et al., "Deduplicating Training Data Makes Language Models Better",
       ACL 2022 (how much of honest corpora is near copies).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import NearCopyFilter
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 5))
    >>> X[90:] = X[0] + rng.normal(scale=0.01, size=(10, 5))
    >>> y = np.r_[np.zeros(90), np.ones(10)]
    >>> copies = NearCopyFilter(random_state=0).fit(X)
    >>> np.flatnonzero(~copies.inlier_mask_)
    array([ 0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99])
    >>> copies.max_size_
    4

    Texts:

    >>> words = np.array(["sun", "rain", "wind", "snow", "fog", "hail", "dew", "ice"])
    >>> texts = [" ".join(words[rng.permutation(8)[:5]]) for _ in range(40)]
    >>> texts += ["buy the cheapest watches here"] * 9
    >>> copies = NearCopyFilter().fit(texts)
    >>> copies.copies_[0].rows
    array([40, 41, 42, 43, 44, 45, 46, 47, 48])
    """

    _fits_on_sample = True
    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "factor": [Interval(Real, 0, 1, closed="both")],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "max_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "transformer": [HasMethods(["fit", "transform"]), None],
    }

    def __init__(
        self,
        factor=0.25,
        *,
        metric="euclidean",
        max_size="auto",
        transformer=None,
        random_state=None,
    ):
        super().__init__(random_state=random_state)
        self.factor = factor
        self.metric = metric
        self.max_size = max_size
        self.transformer = transformer

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.transformer is not None:
            tags.input_tags.string = True
            tags.input_tags.two_d_array = False
            tags.no_validation = True
        return tags

    def _validate_rows(self, X, *, reset):
        if reset:
            self.transformer_ = self._fit_transformer(X)
        if self.transformer_ is None:
            return super()._validate_rows(X, reset=reset)
        numbers = check_array(
            self.transformer_.transform(X if self.transformer else filled_texts(X)),
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            input_name=f"{type(self.transformer_).__name__}'s output",
        )
        return sparse.csr_array(numbers) if sparse.issparse(numbers) else numbers

    def _fit_transformer(self, X):
        if self.transformer is not None:
            return clone(self.transformer).fit(X)
        return fit_words(filled_texts(X)) if is_texts(X) else None

    @property
    def _instead(self):
        return (
            "Pass texts alone as a list of str, and tables with "
            "NearCopyFilter(transformer=make_column_transformer(...)), which makes "
            "numbers of them."
        )

    def _as_container(self, X, ensure_all_finite):
        if self.transformer_ is not None:
            return X
        return super()._as_container(X, ensure_all_finite)

    def _fit(self, X, codes):
        rng = check_random_state(self.random_state)
        self._space = CopySpace.of(X, self.metric, rng)
        rows = self._space.enter(X)
        distinct = DistinctRows(rows, rng)
        found = groups_of(distinct, self.factor, rng)
        self.groups_, self._radius = found.groups, found.radius
        self.radius_ = self._space.leave(found.radius)
        self.usual_distance_ = self._space.leave(found.usual_distance)
        sizes = np.bincount(self.groups_)
        self.max_size_ = (
            largest_by_chance(sizes) if self.max_size == "auto" else self.max_size
        )
        found = implausible_groups(rows, distinct, self.groups_, self.max_size_, rng)
        self.copies_ = [self._described(group, codes) for group in found]
        self._remember(rows, self._judged(sizes))
        return self._of_sizes(self._sizes[self.groups_])

    def _described(self, group, codes) -> Bunch:
        """A rejected group as users see it: with labels, and distances of rows."""
        return Bunch(
            rows=group.rows,
            labels=self._count_labels(codes[group.rows]),
            spread=self._space.leave(group.spread),
            distance=self._space.leave(group.distance),
            expected=group.expected,
        )

    def _count_labels(self, codes) -> dict:
        counts = np.bincount(codes, minlength=len(self.classes_))
        return {
            label: int(count)
            for label, count in zip(self.classes_.tolist(), counts, strict=True)
            if count
        }

    def _judged(self, sizes) -> np.ndarray:
        """Sizes of groups; at most the limit for those that are not rejected."""
        rejected = [self.groups_[group.rows[0]] for group in self.copies_]
        judged = np.minimum(sizes, self.max_size_)
        judged[rejected] = sizes[rejected]
        return judged.astype(np.float64)

    def _remember(self, rows, sizes):
        """Store the distinct rows that have near copies, to score new rows."""
        self._sizes = sizes
        copied = np.flatnonzero(sizes[self.groups_] > 1)
        self._copied, position = distinct_rows(rows[copied])
        self._copied_sizes = np.ones(self._copied.shape[0])
        self._copied_sizes[position] = sizes[self.groups_[copied]]

    def _of_sizes(self, sizes):
        return -sizes, self.max_size_ - sizes

    def _score(self, X, codes):
        rows = self._space.enter(X)
        return -largest_within(rows, self._copied, self._radius, self._copied_sizes)

    def _decide(self, X, codes):
        return self.max_size_ + self._score(X, codes)


class CopyGroup(NamedTuple):
    """A group of near copies, and what says that it is none by chance."""

    rows: np.ndarray  # positions
    spread: float  # median distance to the nearest other row of the group
    distance: float  # and to the nearest row outside
    expected: float  # how many rows would lie here if columns were independent


def implausible_groups(
    rows, distinct: DistinctRows, groups: np.ndarray, max_size: int, rng
) -> list[CopyGroup]:
    """The groups that are larger than expected by chance, in decreasing size.

    ``rows`` are in their space, as the groups were found.
    """
    sizes = np.bincount(groups)
    large = np.flatnonzero(sizes > max_size)
    large = large[np.argsort(-sizes[large], kind="stable")]
    some = SomeRows.of(rows, rng)
    out = []
    for members in members_of(groups, large):
        looked_at = rng.permutation(members)[:LOOKED_AT]
        spread, distance = distances_around(distinct, members, looked_at)
        if spread > ISOLATION * distance:
            continue
        counts = cell_counts(rows, members, some)
        if not counts.explain(len(members)):
            out.append(CopyGroup(members, spread, distance, counts.expected))
    return out


def largest_by_chance(sizes: np.ndarray) -> int:
    """The largest size of a group of near copies expected by chance.

    The number of copies of a row is at most geometric, and the share of rows that copy
    an earlier one is the probability of one more.
    """
    n_rows, n_groups = sizes.sum(), np.count_nonzero(sizes > 1)
    if not n_groups:
        return SMALLEST - 1
    chance = max(LEAST_CHANCE, 1 - len(sizes) / n_rows)
    copies = math.log(LEVEL / n_groups) / math.log(chance)
    return max(SMALLEST - 1, math.floor(copies) + 1)


class CellCounts(NamedTuple):
    """How frequent a group's values are in the other rows."""

    expected: float  # rows in the group's cell if columns were independent
    shared: float  # other rows in the range of one column, the least of all columns
    chance: (
        float  # that rows in the range of one column are in that of all, the largest
    )

    def explain(self, n: int) -> bool:
        """Whether frequent values explain that there are n rows."""
        if n <= TIMES_EXPECTED * self.expected or self.chance > CHANCE:
            return True
        return self.expected > NEXT_TO_NONE and n <= TIMES_SHARED * self.shared


class SomeRows(NamedTuple):
    """Rows that frequencies are estimated from."""

    positions: np.ndarray  # sorted
    rows: np.ndarray | sparse.csr_array

    @classmethod
    def of(cls, rows, rng) -> "SomeRows":
        """Draw some of many rows."""
        n = rows.shape[0]
        if n <= SAMPLE:
            return cls(np.arange(n), rows[np.arange(n)])
        positions = np.sort(rng.choice(n, SAMPLE, replace=False))
        return cls(positions, rows[positions])

    def without(self, members: np.ndarray):
        """The rows that are no members."""
        inside = np.isin(self.positions, members)
        return self.rows[~inside] if inside.any() else self.rows


def cell_counts(rows, members: np.ndarray, some: SomeRows) -> CellCounts:
    """Compare a group's range of values in every column with those of some rows.

    The frequencies of independent columns are those that explain best the rows outside
    the cell; how many are inside follows from them. The rows that are inside are not
    counted: they may be planted.
    """
    low, high = _extreme_values(rows[members])
    sample = some.without(members)
    n = sample.shape[0]
    if not n:
        return CellCounts(np.inf, np.inf, 1.0)
    misses, of_rows = _count_misses(sample, low, high)
    hits = n - misses
    times = (rows.shape[0] - len(members)) / n
    expected = _expected_inside(hits, n, len(members) / times)
    rarest = hits.argmin()
    values, ends = _column(sample, rarest), (low[rarest], high[rarest])
    rate = _rate_beside(values, ends, of_rows)
    drawn = len(members) + round(times * hits[rarest])
    chance = float(binom.sf(len(members) - 1, drawn, rate))
    return CellCounts(times * expected, times * hits[rarest], chance)


def _count_misses(others, low, high):
    """How many rows miss the range of each column, and how many columns each row."""
    if not sparse.issparse(others):
        misses = (others < low) | (others > high)
        return misses.sum(axis=0), misses.sum(axis=1)
    others = sparse.csc_array(others)
    others.eliminate_zeros()
    of_columns = np.diff(others.indptr)
    of_rows = np.bincount(others.indices, minlength=others.shape[0])
    given = np.flatnonzero((low != 0) | (high != 0))
    some = others[:, given].toarray()
    misses = (some < low[given]) | (some > high[given])
    of_columns[given] = misses.sum(axis=0)
    return of_columns, of_rows + misses.sum(axis=1) - np.count_nonzero(some, axis=1)


def _column(rows, j):
    column = rows[:, [j]]
    return (column.toarray() if sparse.issparse(column) else column).ravel()


def _rate_beside(values, ends, of_rows):
    """The share of rows with the nearest values outside a range that miss no other."""
    gaps = np.maximum(ends[0] - values, values - ends[1])
    beside = np.flatnonzero(gaps > 0)
    if len(beside) > NEAREST_VALUES:
        nearest = np.partition(gaps[beside], NEAREST_VALUES - 1)[NEAREST_VALUES - 1]
        beside = beside[gaps[beside] <= nearest]
    return (np.sum(of_rows[beside] == 1) + 0.5) / (len(beside) + 1)


def _expected_inside(hits, n, enough):
    """Expectation maximization, where the number of rows in the cell is missing.

    One row more is outside in all columns; stops where more than enough are inside.
    """
    inside = 0.0
    for _ in range(MOST_STEPS):
        with np.errstate(divide="ignore"):
            logs = np.log((hits + inside) / (n + 1 + inside)).sum()
        chance = np.exp(logs)
        previous, inside = inside, (n + 1) * chance / max(1 - chance, 1e-12)
        if inside >= enough or inside - previous <= 1e-3 * inside:
            break
    return inside


def _extreme_values(rows) -> tuple:
    low, high = rows.min(axis=0), rows.max(axis=0)
    if sparse.issparse(rows):
        low, high = low.toarray().ravel(), high.toarray().ravel()
    return low, high
