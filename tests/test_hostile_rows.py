"""Rows as careless people and attackers send them."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression

from skpoison import (
    AutoFilter,
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    SphereFilter,
)
from skpoison._as_given import AsNumbers
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    CrossFitFilter,
    MahalanobisFilter,
    NearCopyFilter,
    NeighborsFilter,
    SlabFilter,
    TrimFilter,
)

pytestmark = pytest.mark.usefixtures("few_trees")

N = 40
Y = np.arange(N) % 2
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N) + 4 * Y
DAYS = pd.date_range("2024-01-01", periods=N, tz="Europe/Berlin")
HOURS = [datetime.timedelta(hours=i) for i in range(N)]


def table(cells):
    return pd.DataFrame({"number": NUMBERS, "odd": cells})


@pytest.mark.parametrize(
    "cells",
    [
        [[1, 2]] * N,
        [{"a": 1}] * N,
        [(1, 2)] * N,
        [b"a", b"b"] * (N // 2),
        [10**400] * N,
        [1 + 2j] * N,
        [object()] * N,
    ],
    ids=["lists", "dicts", "tuples", "bytes", "huge", "complex", "objects"],
)
def test_columns_of_what_is_no_number_are_named(cells):
    with pytest.raises(ValueError, match=r"column 'odd' of X holds what is no number"):
        AsNumbers().fit(table(pd.Series(cells, dtype=object)))


@pytest.mark.parametrize("make", [SphereFilter, NearCopyFilter, SlabFilter])
@pytest.mark.parametrize(
    "cells",
    [[[1, 2]] * N, DAYS, HOURS, [10**400] * N, ["a"] * N],
    ids=["lists", "days", "hours", "huge", "texts"],
)
def test_filters_of_numbers_name_the_column_and_themselves(make, cells):
    cells = pd.Series(cells, dtype=object if cells[0] == 10**400 else None)
    message = rf"(?s){make.__name__} requires numeric rows.*{make.__name__}\("
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        make().fit(table(cells), Y)
    if cells[0] != 10**400:  # what looks like a number to pandas
        assert "in the columns ['odd']" in str(caught.value)


def test_new_rows_are_refused_in_the_same_words():
    sphere = SphereFilter().fit(table(NUMBERS), Y)
    with pytest.raises(ValueError, match=r"requires numeric rows.*\['odd'\]"):
        sphere.predict(table(["a"] * N), Y)


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (pd.Series(DAYS), (np.arange(N) * 86400) + 1704063600),
        (pd.Series(DAYS.tz_localize(None)), (np.arange(N) * 86400) + 1704067200),
        (pd.Series(DAYS.date), (np.arange(N) * 86400) + 1704067200),
        (pd.period_range("2024-01-01", periods=N), np.arange(N) * 86400 + 1704067200),
        (pd.to_timedelta(HOURS), np.arange(N) * 3600),
        (pd.Series(HOURS, dtype=object), np.arange(N) * 3600),
        (
            [datetime.time(i % 24, 30) for i in range(N)],
            np.arange(N) % 24 * 3600 + 1800,
        ),
        ([Decimal(i) / 2 for i in range(N)], np.arange(N) / 2),
    ],
    ids=["zone", "days", "dates", "periods", "spans", "objects", "times", "decimals"],
)
def test_dates_and_times_are_seconds(cells, seconds):
    encoder = AsNumbers().fit(table(cells))
    found = encoder.table_.read(table(cells))[0][:, 1]
    np.testing.assert_allclose(found, seconds)
    if not isinstance(cells[0], pd.Period):
        few = {"number": NUMBERS[:5], "odd": pd.Series(cells).to_list()[:5]}
        found = encoder.table_.read(pl.DataFrame(few))[0][:, 1]
        np.testing.assert_allclose(found, seconds[:5])


def test_missing_dates_are_missing():
    times = pd.Series(DAYS.tz_localize(None)).mask(Y == 1)
    for cells in (times, times.astype(object), times - times[0]):
        numbers = AsNumbers().fit(table(cells)).table_.read(table(cells))[0]
        assert np.array_equal(np.isnan(numbers[:, 1]), Y == 1)


def test_infinity_is_named_by_its_column():
    with pytest.raises(ValueError, match="infinity, in the column 'odd'"):
        AsNumbers().fit(table(np.r_[np.inf, NUMBERS[1:]]))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        AutoFilter().fit(np.r_[np.inf, NUMBERS[1:]][:, None], Y)


def test_columns_of_the_same_name_are_named():
    twice = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["a", "b", "a"])
    for filter_ in (AutoFilter(), SphereFilter()):
        with pytest.raises(ValueError, match="several columns called 'a'"):
            filter_.fit(twice, Y)


def test_new_tables_are_read_as_the_first_one():
    """A column of words may hold none in the few rows that are asked about."""
    words = pd.Series(np.where(Y, "x", "z"), dtype=object)
    encoder = AsNumbers().fit(table(words))
    given = encoder.transform(table(words))
    assert given.shape == (N, 3)
    missing = encoder.transform(table([None] * N))
    assert missing.shape == given.shape and not missing[:, 1:].any()
    new = encoder.transform(table(["never seen"] * N))
    assert new.shape == given.shape and not new[:, 1:].any()
    as_polars = pl.DataFrame({"number": NUMBERS, "odd": words.to_list()})
    assert np.array_equal(encoder.transform(as_polars), given)
    with pytest.raises(ValueError, match="'odd' of X holds numbers and texts"):
        encoder.transform(table(["x", 1] * (N // 2)))
    with pytest.raises(ValueError, match="'number' of X holds what is no number"):
        encoder.transform(pd.DataFrame({"number": ["x"], "odd": ["x"]}))


def test_whole_categories_are_the_same_with_and_without_missing_ones():
    codes = pd.Series(pd.Categorical(Y))
    encoder = AsNumbers().fit(table(codes))
    new = encoder.transform(table(codes.mask(np.arange(N) == 0)))
    assert np.array_equal(new[1:], encoder.transform(table(codes))[1:])


def test_a_column_without_values_says_nothing_of_new_rows_either():
    for missing in ([None] * N, [np.nan] * N, pd.array([None] * N, dtype="Int64")):
        encoder = AsNumbers().fit(table(missing))
        rows = encoder.transform(table(np.full(N, 1e9)))
        assert np.array_equal(rows, encoder.transform(table(missing)))
    array = np.column_stack([NUMBERS, np.full(N, np.nan)])
    encoder = AsNumbers().fit(array)
    new = encoder.transform(np.column_stack([NUMBERS, np.full(N, 1e9)]))
    assert np.array_equal(new, encoder.transform(array))
    with pytest.raises(ValueError, match="no columns to compare rows by: they hold no"):
        AsNumbers().fit(table([None] * N)[["odd"]])


def test_texts_that_differ_from_row_to_row_are_no_categories():
    names = table([f"name {i}" for i in range(N)])
    with pytest.warns(FilterWarning, match=r"without the columns \['odd'\]") as caught:
        CrossFitFilter(random_state=0).fit(names, Y)
    assert len(caught) == 1
    with pytest.raises(ValueError, match=r"'odd' holds texts.*Pass the texts alone"):
        AutoFilter().fit(names[["odd"]], Y)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_texts_are_empty(missing):
    texts = ["one two", "two three", missing]
    expected = AsNumbers().fit_transform(["one two", "two three", ""])
    forms = (texts, np.array(texts, object), pd.Series(texts), tuple(texts))
    for form in forms:
        assert np.array_equal(AsNumbers().fit_transform(form), expected)
    # Where texts were fitted on, rows without any are texts too.
    assert not AsNumbers().fit(texts).transform([missing])[:, :0].any()


def test_texts_without_words_and_rows_that_are_no_texts():
    for texts in (["", ""], ["a", "b c"]):
        with pytest.raises(ValueError, match="No text in X has a word of two letters"):
            AutoFilter().fit(texts, [0, 1])
    encoder = AsNumbers().fit(["some words", "other words"])
    with pytest.raises(
        ValueError, match=r"must hold texts.*as it did at fit; got ndarray"
    ):
        encoder.transform(np.zeros((2, 3)))


def test_few_words_are_judged_as_their_matrix_is():
    """Columns that are few have their own spreads, whoever counts the words."""
    texts = ["win cash now", "meet for lunch", "win prize now", "lunch and coffee"]
    encoder = AsNumbers().fit(texts)
    matrix = encoder.texts_.transform(texts)
    assert np.array_equal(encoder.transform(texts), AsNumbers().fit_transform(matrix))


@pytest.mark.parametrize("size", [1e-308, 1e-160, 1e160, 1e307])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("columns", [3, 300])
def test_the_size_of_numbers_does_not_matter(size, storage, columns):
    X = np.where(RNG.random((N, columns)) < 0.3, RNG.random((N, columns)), 0)
    plain = AsNumbers().fit_transform(storage(X))
    sized = AsNumbers().fit_transform(storage(X * size))
    assert sparse.issparse(sized) == (columns == 300 and storage is sparse.csr_array)
    if sparse.issparse(plain):
        plain, sized = plain.toarray(), sized.toarray()
    np.testing.assert_allclose(sized, plain, rtol=1e-6, atol=1e-6)


def test_opposite_ends_of_the_range_are_finite():
    largest = np.finfo(np.float64).max
    X = np.where(Y, largest, -largest)[:, None] * np.ones(2)
    assert np.abs(AsNumbers().fit_transform(X)).max() < 2
    encoder = AsNumbers().fit(np.c_[NUMBERS, NUMBERS])
    far = encoder.transform([[largest, -largest]])
    assert 10 < far[0, 0] < 1000 and -1000 < far[0, 1] < -10
    X[0, 0] = np.nan
    assert np.isfinite(AsNumbers().fit_transform(X)).all()


def test_lists_of_words_go_to_an_estimator_that_takes_them():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    words = [["win", "cash"] if label else ["see", "you", "soon"] for label in Y]
    words[0] = ["win", "cash"]
    bayes = make_pipeline(CountVectorizer(analyzer=list), MultinomialNB())
    found = CrossFitFilter(bayes, near_copies=None, random_state=0).fit(words, Y)
    assert np.flatnonzero(~found.inlier_mask_).tolist() == [0]


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ({"a": 1}, "X must hold rows.*dict"),
        ({1, 2}, "X must hold rows.*set"),
        ("abc", "X must hold rows.*str"),
        (None, "X must hold rows.*NoneType"),
        (np.array(3.0), "X must hold rows"),
        ([], "X must hold rows: 0 sample"),
        (pl.LazyFrame({"a": [1.0]}), "LazyFrame: call its collect"),
        ([{"a": 1}] * N, "requires numeric rows"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "make", [AutoFilter, SphereFilter, FilteredClassifier, DropOutliers, TrimFilter]
)
def test_what_holds_no_rows(make, X, match):
    with pytest.raises((ValueError, TypeError), match=match):
        make().fit(X, Y)


@pytest.mark.parametrize("X", [np.array([["a", 1.0]] * N, dtype=object), ["a", 3] * 20])
def test_texts_in_arrays_are_told_where_they_belong(X):
    with pytest.raises(ValueError, match="Pass a table as a DataFrame"):
        AutoFilter().fit(X, Y)


@pytest.mark.parametrize("columns", [5, 1500])
@pytest.mark.parametrize(
    "make", [SphereFilter, NearCopyFilter, NeighborsFilter, MahalanobisFilter]
)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_filters_of_numbers_take_the_whole_range(make, storage, columns):
    """Without a word, that is: warnings are errors here."""
    largest = np.finfo(np.float64).max
    rows = np.where(RNG.random((N, columns)) < 0.1, RNG.random((N, columns)), 0)
    for X in (np.zeros((N, columns)), rows, rows * 1e-308, rows * largest / columns):
        found = make().fit(storage(X), Y)
        assert np.isfinite(found.scores_).all()


def test_distances_beyond_the_range_are_infinite():
    X = np.where(RNG.random((N, 900)) < 0.05, RNG.random((N, 900)), 0) * 1.7e308
    found = NearCopyFilter().fit(sparse.csr_array(X))
    assert found.usual_distance_ == np.inf and found.inlier_mask_.all()


@pytest.mark.parametrize("n_rows", [40, 400])
def test_few_distinct_rows_are_no_copies(n_rows):
    label = np.arange(n_rows) % 2
    two = pd.DataFrame({"a": np.where(label, "x", "z"), "b": ["q"] * n_rows})
    assert AutoFilter(random_state=0).fit(two, label).inlier_mask_.all()


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("columns", [2, 300])
def test_equal_rows_are_kept_without_a_word(storage, columns):
    for X in (np.zeros((N, columns)), np.ones((N, columns))):
        assert AutoFilter(random_state=0).fit(storage(X), Y).inlier_mask_.all()
        targets = CrossFitFilter(LinearRegression()).fit(storage(X), NUMBERS)
        assert targets.inlier_mask_.all()


def mixed_table():
    given = table(np.where(Y, "x", "z")).assign(day=DAYS)
    given.loc[3, "number"] = np.nan
    return given


def short_texts():
    words = ["one", "two", "three", "four"]
    return [
        f"{'cash' if y else 'lunch'} {RNG.choice(words)} {i % 7}0"
        for i, y in enumerate(Y)
    ]


@pytest.mark.parametrize("X", [mixed_table(), short_texts(), pd.Series(short_texts())])
@pytest.mark.parametrize("make", [FilteredClassifier, FilteredRegressor])
def test_default_estimators_take_what_the_default_filter_takes(make, X):
    y = Y if make is FilteredClassifier else NUMBERS
    model = make().fit(X, y, sample_weight=np.ones(N))
    assert model.score(X, y) > 0.9
    assert model.predict(X[:3]).shape == (3,)
    unweighted = make().fit(X, y)
    np.testing.assert_allclose(unweighted.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        make().fit(X, y, sample_weight=np.zeros(N))


def test_default_estimators_stay_plain_on_numbers():
    assert isinstance(
        FilteredClassifier().fit(table(NUMBERS), Y).estimator_, LogisticRegression
    )


def test_near_copies_of_texts_need_no_vectorizer():
    texts = short_texts() + ["buy the cheapest watches here"] * 9
    found = NearCopyFilter(random_state=0).fit(texts)
    assert np.flatnonzero(~found.inlier_mask_).tolist() == list(range(N, N + 9))
    assert found.predict(
        ["buy the cheapest watches here", "no such text"]
    ).tolist() == [-1, 1]
    kept, _, numbers = found.fit_filter(texts, None, np.arange(N + 9))
    assert kept == texts[:N] and numbers.tolist() == list(range(N))
    with pytest.raises(ValueError, match="must hold texts"):
        found.predict(np.zeros((2, 3)))


def test_an_estimator_that_refuses_the_rows_is_named():
    for make in (AutoFilter, CrossFitFilter):
        with pytest.raises(ValueError, match="could not convert") as caught:
            make(LogisticRegression()).fit(mixed_table(), Y)
        assert (
            "LogisticRegression() gets parts of X as they came"
            in caught.value.__notes__[0]
        )


class SaysNothing(LogisticRegression):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def test_an_estimator_that_says_nan_is_named():
    X = NUMBERS[:, None]
    for make in (AutoFilter, CrossFitFilter):
        with pytest.raises(
            ValueError, match=r"SaysNothing\(\) must give a finite prob"
        ):
            make(SaysNothing()).fit(X, Y)
    with pytest.raises(ValueError, match=r"LinearRegression\(\) predicts NaN or infin"):
        with np.errstate(all="ignore"):
            CrossFitFilter(LinearRegression()).fit(X * 1e-320, NUMBERS)


@pytest.mark.parametrize("far", [1e4, 1e100, 1.7e308])
@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoFilter(random_state=0),
        lambda: CrossFitFilter(random_state=0),
        lambda: CrossFitFilter(LinearRegression(), random_state=0),
        lambda: TrimFilter(random_state=0),
    ],
    ids=["auto", "cross-fit", "linear", "trim"],
)
def test_targets_as_large_as_numbers_get_are_rejected_alone(make, far):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=200)
    y[[3, 10]] = far, -far / 3
    rejected = np.flatnonzero(~make().fit(X, y).inlier_mask_)
    assert {3, 10} <= set(rejected.tolist()) and len(rejected) <= 4


def test_targets_that_are_all_too_large_are_said():
    with pytest.raises(ValueError, match=r"y holds targets as large as .*rescale y"):
        AutoFilter().fit(NUMBERS[:, None], NUMBERS * 1e200)


@pytest.mark.parametrize("far", [1e3, 1e12, 1e300])
@pytest.mark.parametrize(
    ("storage", "columns"), [(np.asarray, 4), (sparse.csr_array, 300)]
)
@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter])
def test_one_enormous_row_does_not_stop_the_others_from_being_judged(
    make, storage, columns, far
):
    rng = np.random.default_rng(3)
    y = np.arange(200) % 2
    rows = np.zeros((200, columns))
    rows[:, :4] = rng.random((200, 4)) + 2.5 * np.c_[y, y, 1 - y, 1 - y]
    wrong = [7, 50, 93, 120]
    y[wrong] = 1 - y[wrong]
    rows = np.r_[rows, np.full((1, columns), far)]
    found = make(random_state=0).fit(storage(rows), np.r_[y, 1])
    rejected = set(np.flatnonzero(~found.inlier_mask_[:200]).tolist())
    assert len(rejected) <= 8
    if make is AutoFilter:
        assert set(wrong) <= rejected and found.tests_[200] == "far"
    else:  # its models see the row
        assert len(rejected.intersection(wrong)) >= 2
