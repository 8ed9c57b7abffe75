"""Fitted estimators go through files without pickles, and know their versions."""

import copy
import importlib
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from expected_failures import INSTANCES
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import InconsistentVersionWarning as SklearnWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import HuberRegressor, LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier

import skpoison
from skpoison import (
    AutoFilter,
    CertifiedBound,
    FilteredClassifier,
    PartitionedClassifier,
    SphereFilter,
)
from skpoison._stored import restored, stored
from skpoison._versions import VersionedMixin
from skpoison.attacks import BaseAttack
from skpoison.base import BaseFilter
from skpoison.exceptions import InconsistentVersionWarning
from skpoison.feasible import Domain
from skpoison.filters import NeighborsFilter
from skpoison.persistence import trusted_types
from skpoison.verify import check

io = pytest.importorskip("skops.io")
pytestmark = pytest.mark.usefixtures("few_trees")

TRUSTED, COMPILED = trusted_types(), trusted_types(compiled=True)
METHODS = (
    "predict",
    "transform",
    "decision_function",
    "score_samples",
    "predict_proba",
)
FITTED = ("inlier_mask_", "scores_", "upper_bound_", "coef_", "suspicion_")
# Scikit-learn's trees are in what these are made of.
WITH_TREES = {
    "AutoFilter",
    "CrossFitFilter",
    "NeighborsFilter",
    "FilteredClassifier",
    "FilteredRegressor",
    "DropOutliers",
}


def rows(n_classes=2):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_classes), 30)
    return rng.normal(size=(len(y), 3)) + 3 * y[:, None], y


def saved(fitted):
    """What a file holds, and the types in it that skops asks about."""
    content = io.dumps(fitted)
    return content, set(io.get_untrusted_types(data=content))


def assert_same(first, second, X):
    assert type(first) is type(second)
    for name in FITTED:
        if hasattr(first, name):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in METHODS:
        if hasattr(first, name):
            found = [getattr(one, name)(X) for one in (first, second)]
            found = [one.toarray() if sparse.issparse(one) else one for one in found]
            np.testing.assert_array_equal(*map(np.asarray, found))


@pytest.mark.filterwarnings("ignore:The subspace has all")
@pytest.mark.parametrize("as_table", [False, True], ids=["array", "table"])
@pytest.mark.parametrize("estimator", INSTANCES, ids=lambda one: type(one).__name__)
def test_every_estimator_is_the_same_after_it_was_saved(estimator, as_table):
    X, y = rows()
    if as_table:
        X = pd.DataFrame(X, columns=list("abc"))
    fitted = clone(estimator).fit(X, y)
    content, types = saved(fitted)
    needs_trees = type(estimator).__name__ in WITH_TREES
    assert types <= set(COMPILED if needs_trees else TRUSTED)
    assert (types <= set(TRUSTED)) == (not needs_trees)
    # Warnings are errors here: nothing warns of versions.
    loaded = io.loads(content, trusted=COMPILED if needs_trees else TRUSTED)
    if not isinstance(fitted, BaseAttack):
        assert_same(fitted, loaded, X)


OTHERS = {
    "counts": (CertifiedBound(domain="count"), lambda X, y: (np.abs(X).round(), y)),
    "moving": (CertifiedBound(defense="moving_centroids", tol=0.5), None),
    "domain": (
        CertifiedBound(domain=Domain("count", lower=0, upper=20)),
        lambda X, y: (np.abs(X).round(), y),
    ),
    "ball": (CertifiedBound(rho=1.0, filter=SphereFilter(70)), None),
    "huber": (CertifiedBound(estimator=HuberRegressor()), lambda X, y: (X, X.sum(1))),
    "epsilon": (CertifiedBound(estimator=LinearSVR()), lambda X, y: (X, X.sum(1))),
    "squared epsilon": (
        CertifiedBound(estimator=LinearSVR(loss="squared_epsilon_insensitive")),
        lambda X, y: (X, X.sum(1)),
    ),
    "modified huber": (
        CertifiedBound(estimator=SGDClassifier(loss="modified_huber")),
        None,
    ),
    "several logistic": (
        CertifiedBound(estimator=LogisticRegression(), tol=0.1),
        lambda *_: rows(3),
    ),
    "neighbors": (NeighborsFilter(criterion="labels"), None),
    "words and numbers": (
        AutoFilter(random_state=0),
        lambda X, y: (
            pd.DataFrame(X, columns=list("abc")).assign(word=["u", "v"] * 30),
            y,
        ),
    ),
    "quantities": (AutoFilter(random_state=0), lambda X, y: (X, X.sum(1))),
    "logistic": (CertifiedBound(estimator=LogisticRegression()), None),
    "three classes": (
        CertifiedBound(estimator=LinearSVC(multi_class="crammer_singer")),
        lambda *_: rows(3),
    ),
    "sparse": (CertifiedBound(), lambda X, y: (sparse.csr_array(np.abs(X)), y)),
    "words": (
        PartitionedClassifier(
            make_pipeline(TfidfVectorizer(), LogisticRegression()), n_partitions=3
        ),
        lambda X, y: ([f"word{a} x{a % 7} y{a % 5}" for a in range(len(y))], y),
    ),
    "votes": (
        PartitionedClassifier(
            make_pipeline(StandardScaler(), LogisticRegression()),
            n_partitions=3,
            spread=2,
            aggregation="run_off",
        ),
        None,
    ),
    "sparse parts": (
        PartitionedClassifier(LogisticRegression(), n_partitions=3),
        lambda X, y: (sparse.csr_array(X), y),
    ),
    "taxicab": (SphereFilter(norm="l1"), None),
}
# These hold sparse rows, or trees.
OPAQUE = (
    *("sparse", "sparse parts", "counts", "domain"),
    *("neighbors", "words and numbers", "quantities"),
)


@pytest.mark.filterwarnings("ignore:The solver stopped")
@pytest.mark.parametrize("name", OTHERS)
def test_settings_bring_no_further_types(name):
    estimator, change = OTHERS[name]
    X, y = rows()
    if change is not None:
        X, y = change(X, y)
    fitted = clone(estimator).fit(X, y)
    content, types = saved(fitted)
    assert (types <= set(TRUSTED)) == (name not in OPAQUE)
    assert types <= set(COMPILED)
    assert_same(fitted, io.loads(content, trusted=COMPILED), X)


def test_parts_can_be_updated_after_they_were_saved():
    X, y = rows()
    model = PartitionedClassifier(LogisticRegression(), n_partitions=3)
    fitted = model.fit(X[::2], y[::2])
    loaded = io.loads(io.dumps(fitted), trusted=TRUSTED)
    assert_same(fitted.update(X[1::2], y[1::2]), loaded.update(X[1::2], y[1::2]), X)


def frame():
    """A table with columns of many types, some cells of which are missing."""
    texts = ["a", "", "ü\0", None] * 5
    return pd.DataFrame(
        {
            "ints": np.arange(20, dtype=np.int16),
            "floats": np.where(np.arange(20) % 3, np.pi, np.nan),
            "truth": np.arange(20) % 2 == 0,
            "str": pd.array(texts, dtype="str"),
            "string": pd.array(texts, dtype="string"),
            "objects": np.array(texts, dtype=object),
            "gaps": np.array(["a", np.nan, None, "b"] * 5, dtype=object),
            "words": pd.Categorical(texts, categories=["z", "a", "", "ü\0"]),
            "sizes": pd.Categorical([1, 2] * 10, categories=[2, 1, 3], ordered=True),
            "nullable": pd.array([1, None] * 10, dtype="Int8"),
            "maybe": pd.array([True, None] * 10, dtype="boolean"),
            "dates": pd.to_datetime(["2024-05-31", None] * 10),
            7: np.arange(20) / 7,
        },
        index=[f"i{i}" for i in range(20)],
    )


def test_tables_are_stored_as_arrays_and_read_as_they_were():
    table = frame()
    found = io.loads(io.dumps(stored(table)), trusted=TRUSTED)
    read = restored(found)
    pd.testing.assert_frame_equal(read, table.reset_index(drop=True))
    assert read["gaps"].map(type).tolist() == table["gaps"].map(type).tolist()


def test_tables_of_polars_are_stored_too():
    pl = pytest.importorskip("polars")
    words, levels = ["b", None, "a", ""], pl.Enum(["a", "b", ""])
    table = pl.DataFrame(
        {
            "ints": pl.Series([1, None, 3, 4], dtype=pl.UInt8),
            "floats": pl.Series([1.5, float("nan"), None, 2], dtype=pl.Float32),
            "truth": [True, None, False, True],
            "words": words,
            "categories": pl.Series(words, dtype=pl.Categorical),
            "levels": pl.Series(words, dtype=levels),
        }
    )
    read = restored(io.loads(io.dumps(stored(table)), trusted=TRUSTED))
    assert read.schema == table.schema and read.equals(table)
    found = stored(table)
    columns = [found.columns[0]._replace(kind="read_csv"), *found.columns[1:]]
    with pytest.raises(ValueError, match=r"no type of columns 'read_csv'"):
        restored(found._replace(columns=columns))


@pytest.mark.parametrize(
    "rows",
    [
        np.eye(2),
        ["a", "b"],
        pd.DataFrame({("a", 1): [1, 2]}),
        pd.DataFrame({"a": [1, "b"]}, dtype=object),
        pd.DataFrame({"a": pd.period_range("2024", periods=2)}),
        pd.DataFrame(index=[1, 2]),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_what_cannot_be_stored_stays_what_it_is(rows):
    assert stored(rows) is rows and restored(rows) is rows


def test_parts_of_a_table_can_be_updated_after_they_were_saved():
    X, y = rows()
    table = pd.DataFrame(X, columns=list("abc")).assign(d=np.where(y, "x", "y"))
    encoder = make_column_transformer((OneHotEncoder(), ["d"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression())
    fitted = PartitionedClassifier(model, n_partitions=3).fit(table[::2], y[::2])
    more = table[1::2], y[1::2]
    for loaded in (
        io.loads(io.dumps(fitted), trusted=TRUSTED),
        pickle.loads(pickle.dumps(fitted)),
    ):
        assert_same(copy.deepcopy(fitted).update(*more), loaded.update(*more), table)


def test_types_are_classes_of_ours_and_few_of_scikit_learn():
    assert sorted(set(TRUSTED)) == TRUSTED
    foreign = [name for name in COMPILED if not name.startswith("skpoison.")]
    names = {name.rpartition(".")[2] for name in foreign}
    matrices = {"csr_array", "csr_matrix"}
    assert names == {"Bunch", "Tree", "KDTree", "EuclideanDistance64", *matrices}
    assert set(foreign) & set(TRUSTED) == {"sklearn.utils._bunch.Bunch"}
    for name in COMPILED:
        home, _, own = name.rpartition(".")
        found = getattr(importlib.import_module(home), own)
        assert isinstance(found, type)
        assert found.__module__ == home or not home.startswith("skpoison.")


@pytest.mark.parametrize("name", TRUSTED)
def test_trusted_types_hold_data_and_do_nothing_else(name):
    if not name.startswith("skpoison."):
        return
    home, _, own = name.rpartition(".")
    kind = getattr(importlib.import_module(home), own)
    # Parameters and arrays: no method of theirs runs while a file is loaded but these.
    loading = {"__setstate__", "__reduce__", "__reduce_ex__", "__del__", "__new__"}
    ours = {
        method
        for base in kind.__mro__
        if base.__module__.startswith("skpoison")
        for method in loading & set(vars(base))
        if not issubclass(kind, tuple)
    }
    assert ours <= {"__setstate__"}
    assert not ours or issubclass(kind, VersionedMixin)


def test_what_is_not_trusted_is_not_loaded():
    X, y = rows()
    tree = FilteredClassifier(SphereFilter(), DecisionTreeClassifier()).fit(X, y)
    with pytest.raises(TypeError, match=r"sklearn\.tree\._tree\.Tree"):
        io.loads(io.dumps(tree), trusted=TRUSTED)
    content = io.dumps(SphereFilter(norm=Foreign()))
    with pytest.raises(TypeError, match=r"test_persistence\.Foreign"):
        io.loads(content, trusted=COMPILED)


class Foreign:
    """A type that nobody has heard of."""

    def __init__(self):
        self.a = 1


def fitted_sphere():
    return SphereFilter().fit(rows()[0])


@pytest.mark.parametrize("way", ["skops", "pickle", "copy"])
def test_another_version_is_warned_of(way, monkeypatch):
    sphere = fitted_sphere()
    if way == "skops":
        content = io.dumps(sphere)
        load = lambda: io.loads(content, trusted=TRUSTED)  # noqa: E731
    elif way == "pickle":
        content = pickle.dumps(sphere)
        load = lambda: pickle.loads(content)  # noqa: E731
    else:
        state = sphere.__getstate__()
        load = lambda: copy.copy(sphere).__setstate__(state)  # noqa: E731
    load()
    monkeypatch.setattr(skpoison, "__version__", "9.9")
    with pytest.warns(InconsistentVersionWarning, match="in 9.9") as caught:
        load()
    [warning] = [one.message for one in caught]
    assert warning.estimator_name == "SphereFilter"
    assert (warning.package, warning.current_version) == ("skpoison", "9.9")
    assert isinstance(warning, SklearnWarning)


def test_another_version_of_scikit_learn_is_warned_of_too():
    state = fitted_sphere().__getstate__()
    for version in ("1.0", None):
        changed = {**state, "_sklearn_version": version}
        if version is None:
            del changed["_sklearn_version"]
        wanted = f"scikit-learn {version or 'unknown'}"
        with pytest.warns(InconsistentVersionWarning, match=wanted):
            SphereFilter().__setstate__(changed)


def test_versions_are_no_attributes_of_what_was_loaded():
    sphere = pickle.loads(pickle.dumps(fitted_sphere()))
    assert not [name for name in vars(sphere) if name.endswith("version")]
    assert vars(clone(sphere)) == vars(SphereFilter())


@pytest.mark.parametrize("estimator", INSTANCES, ids=lambda one: type(one).__name__)
def test_every_estimator_keeps_its_versions(estimator):
    state = clone(estimator).__getstate__()
    assert state["_skpoison_version"] == skpoison.__version__
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(estimator).__setstate__({**state, "_skpoison_version": "0.0"})
    assert [type(one.message) for one in caught] == [InconsistentVersionWarning]
    assert isinstance(AutoFilter(), BaseFilter)


@pytest.mark.parametrize(
    ("n_classes", "options"),
    [
        (2, {"rho": 1.0}),
        (2, {"rho": 1.0, "defense": "moving_centroids", "tol": 0.1}),
        (3, {"estimator": LogisticRegression(), "tol": 0.1}),
    ],
    ids=["fixed", "moving", "classes"],
)
def test_a_bound_that_was_saved_has_what_its_certificate_takes(
    n_classes, options, tmp_path
):
    X, y = rows(n_classes)
    content, types = saved(CertifiedBound(epsilon=0.1, **options).fit(X, y))
    assert types <= set(TRUSTED)
    loaded = io.loads(content, trusted=TRUSTED)
    loaded.to_certificate(tmp_path / "bound.npz", X, y)
    assert check(tmp_path / "bound.npz", X, y).verified
