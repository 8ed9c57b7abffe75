"""polars tables go in, and come out where tables come out."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skpoison import (
    CertifiedBound,
    DropOutliers,
    FilteredClassifier,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
    audit,
)
from skpoison._audit.inputs import read_inputs
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.feasible import Domain

pl = pytest.importorskip("polars")
testing = pytest.importorskip("polars.testing")
FLIPS = LabelFlipAttack(0.1, random_state=0)
MOVING = [
    MinMaxAttack(0.1, rho=1.5, tol=0.05, random_state=0),
    GradientAttack(0.1, max_iter=3, random_state=0),
    KKTAttack(0.1, decoys=[[-1.0, 0.3, 0.2]], random_state=0),
]


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([110, 90], centers=[[-1, 0], [1, 0]], random_state=0)
    table = pl.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(np.float32)})
    return table, pl.Series("kind", np.array(["ham", "spam"])[y].tolist())


@pytest.mark.parametrize("attack", MOVING, ids=lambda a: type(a).__name__)
def test_poison_is_a_table_with_the_same_columns(attack, data):
    X, y = data
    both, labels = attack.fit_resample(X, y)
    testing.assert_frame_equal(both[:200], X)
    testing.assert_series_equal(labels[:200], y)
    assert both.schema == X.schema and len(both) == len(labels) > 200
    poison, y_poison = attack.poison(X, y)
    testing.assert_frame_equal(poison, both[200:])
    assert (attack.filter_.predict(poison, y_poison) == 1).all()


def test_flips_copy_columns_of_all_kinds(data):
    X, y = data
    row = pl.int_range(pl.len())
    X = X.with_columns(
        byte=(row % 5).cast(pl.Int8),
        id=row + 2**53,
        truth=row % 2 == 0,
        word=pl.when(row % 3 == 0).then(pl.lit("x")).otherwise(pl.lit("y")),
        day=pl.date(2020, 1, 1) + pl.duration(days=row),
    ).with_columns(category=pl.col("word").cast(pl.Categorical))
    both, _ = FLIPS.fit_resample(X, y)
    testing.assert_frame_equal(both[:200], X)
    testing.assert_frame_equal(both[200:], X[FLIPS.flipped_indices_])
    with pytest.raises(
        ValueError, match="non-numeric values in the columns of X 'word'"
    ):
        MOVING[0].fit(X, y)


def test_columns_of_whole_numbers_need_a_domain(data):
    X, y = data
    X = X.with_columns(pl.col("b").abs().round().cast(pl.Int16))
    with pytest.raises(ValueError, match=r"'b' \(Int16\)"):
        MOVING[0].fit(X, y)
    attack = MinMaxAttack(0.1, rho=1.5, tol=0.05, domain=Domain({"b": "count"}))
    both, _ = attack.fit_resample(X, y)
    assert both.schema == X.schema
    np.testing.assert_array_equal(both[200:].to_numpy(), attack.X_poison_)


def test_labels_keep_their_type(data):
    X, y = data
    for kind in (pl.Categorical, pl.Enum(["spam", "ham"])):
        _, labels = FLIPS.fit_resample(X, y.cast(kind))
        assert labels.dtype == kind and list(labels[:200]) == list(y)
    with pytest.warns(UserWarning, match="column-vector"):
        _, labels = FLIPS.fit_resample(X, y.to_frame())
    testing.assert_frame_equal(labels[:200], y.to_frame())
    assert list(labels["kind"][200:]) == list(FLIPS.y_poison_)


def test_filters_return_tables(data):
    X, y = data
    sphere = SphereFilter(80)
    kept, labels = sphere.fit_filter(X, y)
    rows = np.flatnonzero(sphere.inlier_mask_)
    testing.assert_frame_equal(kept, X[rows])
    testing.assert_series_equal(labels, y[rows])
    replaced = sphere.fit_transform(X, y)
    assert replaced.schema == X.schema and len(replaced) == len(X)
    testing.assert_frame_equal(replaced[rows], kept)
    testing.assert_frame_equal(sphere.transform(X), X)
    kept, labels = DropOutliers(SphereFilter(80)).fit_resample(X, y)
    testing.assert_frame_equal(kept, X[rows])
    testing.assert_series_equal(labels, y[rows])


def test_estimators_learn_names_and_predict_what_they_do_of_arrays(data):
    X, y = data
    array, labels = X.to_numpy(), y.to_numpy()
    for model in (
        FilteredClassifier(SphereFilter(80), LogisticRegression()),
        PoisonedClassifier(FLIPS, LogisticRegression()),
        CertifiedBound(epsilon=0.1, rho=1.0),
    ):
        found = model.fit(X, y).predict(X)
        assert list(model.feature_names_in_) == ["a", "b"]
        np.testing.assert_array_equal(found, model.fit(array, labels).predict(array))


def test_audits_read_tables(data):
    X, y = data
    options = {
        "percentiles": [70],
        "epsilons": [0.05],
        "filters": {},
        "attacks": {"flips": LabelFlipAttack(strategy="random")},
        "moving_seconds": 0,
    }
    found, expected = (audit(*pair, **options) for pair in (data, to_pandas(X, y)))
    assert found.bounds == expected.bounds
    assert read_inputs(*data).names == ["a", "b"]
    with pytest.raises(ValueError, match="columns that hold no numbers: 'word'"):
        audit(X.with_columns(word=pl.lit("x")), y)


def to_pandas(X, y):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X.to_dict(as_series=False)), y.to_numpy()


def test_audits_read_texts_of_a_column():
    words = pl.Series("mail", ["cheap pills now", "see you at noon", "pills, cheap"])
    for texts in (words, words.to_frame()):
        inputs = read_inputs(texts, ["spam", "ham", "spam"], "tfidf")
        assert inputs.X.shape[0] == 3 and "pills" in inputs.names


def test_pictures_need_no_names(data):
    pytest.importorskip("matplotlib")
    from skpoison.inspection import FilterDisplay

    X, y = data
    both = (SphereFilter(80) & SlabFilter(80)).fit(X, y)
    display = FilterDisplay.from_estimator(both, X, y)
    kept = both.predict(X, y) == 1
    assert display.kept.sum() == kept.sum()
    display.figure_.clear()
