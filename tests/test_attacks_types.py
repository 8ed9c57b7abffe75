"""Clean rows stay what they were, and poison is written as they are."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.ensemble import HistGradientBoostingClassifier

from skpoison import NormConstrainedSVC, PoisonedClassifier, SlabFilter, SphereFilter
from skpoison.attacks import (
    BaseAttack,
    GradientAttack,
    KKTAttack,
    LabelFlipAttack,
    MinMaxAttack,
)
from skpoison.feasible import Domain

SVC = NormConstrainedSVC(rho=1.5)
DECOY = [[-1.0, 0.3, 0.2, 0.1]]
FLIPS = LabelFlipAttack(0.1, random_state=0)
MOVING = [
    MinMaxAttack(0.1, rho=1.5, tol=0.05, random_state=0),
    GradientAttack(0.1, estimator=SVC, max_iter=3, random_state=0),
    KKTAttack(0.1, estimator=SVC, decoys=DECOY, random_state=0),
]
each_moving = pytest.mark.parametrize("attack", MOVING, ids=lambda a: type(a).__name__)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([110, 90], centers=[[-1, 0, 0], [1, 0, 0]], random_state=0)
    return X, y


def table_of_all_kinds(X):
    numbers = np.arange(len(X))
    return pd.DataFrame(
        {
            "double": X[:, 0],
            "single": X[:, 1].astype(np.float32),
            "half": X[:, 2].astype(np.float16),
            "byte": (numbers % 5).astype(np.int8),
            "truth": X[:, 2] > 0,
            "id": numbers + 2**53,
            "nullable": pd.array(numbers % 7, dtype="Int64"),
            "maybe": pd.array(X[:, 0] > 0, dtype="boolean"),
            "arrow": pd.array(numbers, dtype="int32[pyarrow]"),
            "sparse": pd.arrays.SparseArray(numbers % 2),
            "category": pd.Categorical(numbers % 4, categories=[3, 0, 2, 1]),
            "object": (numbers % 3).astype(object),
        },
        index=[f"row {i}" for i in numbers],
    )


def with_words(table):
    words = np.array(["red", "blue"])[np.arange(len(table)) % 2]
    days = pd.Timestamp("2020-02-29") + pd.to_timedelta(np.arange(len(table)), "D")
    return table.assign(
        word=words, colour=pd.Categorical(words, ordered=True), day=days.to_numpy()
    )


@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns found")
@pytest.mark.parametrize("strategy", ["random", "feasible", "alfa"])
def test_flips_are_copies_in_all_columns(strategy, data):
    X, y = data
    table = table_of_all_kinds(X).drop(columns="id")
    if strategy == "random":
        table = with_words(table_of_all_kinds(X))
    attack = clone(FLIPS).set_params(strategy=strategy, filter=SphereFilter(95))
    both, _ = attack.fit_resample(table, y)
    pd.testing.assert_frame_equal(both[:200], table, check_exact=True)
    copied = table.iloc[attack.flipped_indices_]
    pd.testing.assert_frame_equal(
        both[200:].reset_index(drop=True), copied.reset_index(drop=True)
    )
    assert len(both) == 220 and both.index.is_unique


def test_a_flip_does_not_take_a_column_from_the_learner():
    table = pd.DataFrame({"k": pd.Categorical([0, 1, 2, 3] * 100)})
    y = np.array([0, 1, 0, 1] * 100)
    trees = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=1, max_leaf_nodes=2
    )
    flipped = PoisonedClassifier(LabelFlipAttack(1 / 400, random_state=0), trees)
    assert flipped.fit(table, y).score(table, y) == 1.0


@pytest.mark.parametrize("strategy", ["feasible", "alfa"])
@pytest.mark.parametrize("column", ["word", "colour", "day"])
def test_columns_without_numbers_are_named(strategy, column, data):
    table = with_words(table_of_all_kinds(data[0]))[["double", column]]
    attack = clone(FLIPS).set_params(strategy=strategy)
    with pytest.raises(ValueError, match=f"non-numeric values in .*'{column}'.*Encode"):
        attack.fit(table, data[1])
    with pytest.raises(ValueError, match=f"non-numeric values in .*'{column}'"):
        clone(FLIPS).set_params(domain="real").fit(table, data[1])


@each_moving
def test_columns_of_floats_keep_their_precision_and_rows_pass_as_written(attack, data):
    X, y = data
    table = pd.DataFrame(X, columns=["a", "b", "c"], index=pd.RangeIndex(5, 205))
    table = table.astype({"b": np.float32, "c": "Float32"})
    attack = clone(attack).set_params(filter=SphereFilter(80) & SlabFilter(90))
    both, y_all = attack.fit_resample(table, y)
    pd.testing.assert_frame_equal(both[:200], table, check_exact=True)
    assert list(both.index) == list(range(5, 205 + len(attack.y_poison_)))
    written = both[200:].to_numpy(dtype=np.float64)
    np.testing.assert_array_equal(written, attack.X_poison_)
    assert len(written)
    assert (attack.filter_.predict(both[200:], y_all[200:]) == 1).all()


@each_moving
@pytest.mark.parametrize(
    "kind", ["int16", "bool", "Int64", "boolean", "uint8[pyarrow]"]
)
def test_columns_that_hold_no_fractions_are_refused_at_once(attack, kind, data):
    X, y = data
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["b"] = (table["b"] > 0).astype(kind)
    with pytest.raises(ValueError, match=r"'b' \(.*domain=Domain\({'b': 'count'}\)"):
        attack.fit(table, y)


@each_moving
def test_categories_are_not_moved(attack, data):
    X, y = data
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["b"] = pd.Categorical(X[:, 1] > 0).rename_categories([0, 1])
    with pytest.raises(
        ValueError, match=r"not possible for categories: .*'b' .*groups"
    ):
        attack.fit(table, y)
    with pytest.raises(ValueError, match=r"non-numeric values in .*'b' \(category"):
        attack.fit(table.assign(b=table["b"].cat.rename_categories(["x", "y"])), y)


@each_moving
@pytest.mark.parametrize("kind", ["int16", "Int8", "uint8"])
def test_whole_numbers_of_a_domain_are_written_as_such(attack, kind, data):
    X, y = data
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["b"] = np.round(abs(X[:, 1])).astype(int)
    table["c"] = X[:, 2] > 0
    table = table.astype({"b": kind})
    domain = Domain({"b": "count", "c": "binary"})
    attack = clone(attack).set_params(domain=domain, filter=SphereFilter(95))
    both, _ = attack.fit_resample(table, y)
    pd.testing.assert_frame_equal(both[:200], table)
    assert list(both.dtypes) == list(table.dtypes) and len(both) > 200
    np.testing.assert_array_equal(both[200:].to_numpy(float), attack.X_poison_)


def test_one_hot_columns_stay_one_category(data):
    X, y = data
    dummies = pd.get_dummies(pd.cut(X[:, 1], 3, labels=["low", "mid", "high"]))
    table = pd.DataFrame({"a": X[:, 0]}).join(dummies)
    attack = clone(MOVING[0]).set_params(domain=Domain(groups=[list(dummies)]))
    both, _ = attack.fit_resample(table, y)
    pd.testing.assert_frame_equal(both[:200], table)
    assert len(both) > 200 and (both[list(dummies)].sum(axis=1) == 1).all()


class Sends(BaseAttack):
    """Sends one number in all columns."""

    def __init__(self, epsilon=0.03, value=1.0):
        self.epsilon, self.value = epsilon, value
        self.filter = self.random_state = None

    def _poison(self, X, codes, n_poison, rng):
        return np.full((n_poison, X.shape[1]), self.value), codes[:n_poison], []


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("int8", 300.0),
        ("int64", 2.0**63),
        ("uint8", -1.0),
        ("bool", 2.0),
        ("Int16", 0.5),
        ("boolean", 0.5),
        ("Sparse[int64]", 0.25),
        ("int32[pyarrow]", 1e12),
        (pd.CategoricalDtype([1, 0, 3]), 2.0),
    ],
)
def test_values_that_a_type_cannot_hold_are_refused(kind, bad, data):
    table = pd.DataFrame({"k": np.arange(200) % 2}).astype(kind)
    both, _ = Sends().fit_resample(table, data[1])
    pd.testing.assert_frame_equal(both[:200], table)
    assert list(both.dtypes) == list(table.dtypes)
    assert (both["k"][200:].astype(float) == 1.0).all()
    with pytest.raises(ValueError, match=r"in the column 'k', which its type"):
        Sends(value=bad).fit_resample(table, data[1])


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool", "float32", "float16"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_arrays_keep_their_type_where_it_holds_the_poison(kind, container, data):
    if kind == "float16" and container is not np.asarray:
        pytest.skip("SciPy has no such matrices")
    X = container((abs(data[0]) > 1).astype(kind))
    both, _ = FLIPS.fit_resample(X, data[1])
    assert both.dtype == kind and both.shape == (220, 3)
    assert isinstance(both, sparse.sparray) == isinstance(X, sparse.sparray)
    both, _ = Sends(value=3.0).fit_resample(X, data[1])
    assert both.dtype == (np.float64 if kind == "bool" else kind)
    both, _ = Sends(value=0.75).fit_resample(X, data[1])
    assert both.dtype == (kind if "float" in kind else np.float64)
    clean = both[:200]
    np.testing.assert_array_equal(
        clean.toarray() if sparse.issparse(clean) else clean,
        X.toarray() if sparse.issparse(X) else X,
    )


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_identifiers_in_arrays_do_not_change(container, data):
    ids = container(np.column_stack([np.arange(200), 2**53 + 1 + np.arange(200)]))
    both, _ = FLIPS.fit_resample(ids, data[1])
    assert both.dtype == np.int64 and (both[:200] != ids).sum() == 0
    with pytest.raises(
        ValueError, match="float64 cannot represent these values exactly"
    ):
        Sends(value=0.5).fit_resample(ids, data[1])


INDEXES = {
    "range": pd.RangeIndex(0, 400, 2, name="row"),
    "small": pd.Index(np.arange(200) % 100, dtype=np.int8, name="byte"),
    "largest": pd.Index([2**63 - 1, *range(199)]),
    "unsigned": pd.Index([2**64 - 1, *range(1, 200)], dtype=np.uint64),
    "negative": pd.Index(np.arange(-300, -100)),
    "nullable": pd.Index(np.arange(200), dtype="Int32"),
    "floats": pd.Index(np.arange(200) + 0.5),
    "huge floats": pd.Index([np.inf, 1e300, *range(198)], dtype=np.float64),
    "strings": pd.Index([f"poison-{i}" for i in range(200)], name="who"),
    "days": pd.date_range("2020", periods=200, tz="Europe/Paris", name="day"),
    "times": pd.DatetimeIndex(pd.date_range("2020", periods=200)[::-1], freq=None),
    "spans": pd.timedelta_range("1 day", periods=200),
    "months": pd.period_range("2020-01", periods=200, freq="M"),
    "levels": pd.MultiIndex.from_product(
        [["a", "b"], pd.date_range("2020", periods=100)], names=["site", "day"]
    ),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_two_attacks_in_a_row_give_no_label_twice(index, data):
    X, y = data
    table, labels = pd.DataFrame(X, index=index), pd.Series(y, index=index)
    once = FLIPS.fit_resample(table, labels)
    both, y_all = FLIPS.fit_resample(*once)
    assert both.index.equals(y_all.index) and len(both) == 242
    assert both.index[:200].equals(index) and both.index.names == index.names
    new = both.index[200:]
    assert new.is_unique and not new.isin(index).any()
    if isinstance(index, pd.MultiIndex):
        assert list(both.index.dtypes) == list(index.dtypes)
    elif not (index.dtype.kind == "i" and index.dtype.itemsize == 1):
        assert both.index.dtype == index.dtype


def test_an_index_of_anything_else_gets_names(data):
    index = pd.Index([(0, 1), "a", 3.5, None, *range(196)], tupleize_cols=False)
    both, _ = FLIPS.fit_resample(pd.DataFrame(data[0], index=index), data[1])
    assert list(both.index[:3]) == [(0, 1), "a", 3.5]
    assert both.index[200] == "poison-0"


def test_lists_stay_lists(data):
    X, y = data
    rows, labels = X.tolist(), [["ham", "spam"][k] for k in y]
    both, y_all = FLIPS.fit_resample(rows, labels)
    assert both[:200] == rows and y_all[:200] == labels and len(both) == 220
    assert both[200:] == [rows[i] for i in FLIPS.flipped_indices_]
    both[200][0] = 100.0
    assert all(row[0] != 100.0 for row in rows)
    both, y_all = MOVING[0].fit_resample(rows, labels)
    assert both[:200] == rows and y_all[:200] == labels
    assert {type(cell) for row in both for cell in row} == {float}
    assert {type(label) for label in y_all} == {str}
    both, _ = MOVING[0].fit_resample(list(X), labels)
    assert {type(row) for row in both} == {np.ndarray}


def test_a_column_of_labels_stays_a_column(data):
    X, y = data
    index = pd.Index(np.arange(7, 207))
    column = pd.DataFrame(
        {"kind": pd.Categorical(np.array(["b", "a"])[y])}, index=index
    )
    with pytest.warns(UserWarning, match="column-vector"):
        _, both = FLIPS.fit_resample(pd.DataFrame(X, index=index), column)
    pd.testing.assert_frame_equal(both[:200], column)
    assert list(both["kind"][200:]) == list(FLIPS.y_poison_)
    assert list(both.index) == list(range(7, 227))
    with pytest.warns(UserWarning, match="column-vector"):
        _, flat = FLIPS.fit_resample(X, y[:, np.newaxis])
    assert flat.shape == (220,)
    with pytest.warns(UserWarning, match="column-vector"):
        poisoned = PoisonedClassifier(FLIPS, SVC).fit(X, pd.DataFrame({"kind": y}))
    np.testing.assert_array_equal(
        poisoned.predict(X), PoisonedClassifier(FLIPS, SVC).fit(X, y).predict(X)
    )
