"""What holds for every attack: counts, containers, filters, errors."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.feasible import Domain
from skpoison.filters import NeighborsFilter

SVC = NormConstrainedSVC(rho=1.5)
ATTACKS = [
    LabelFlipAttack(random_state=0),
    LabelFlipAttack(strategy="feasible", random_state=0),
    LabelFlipAttack(strategy="alfa", estimator=SVC, random_state=0),
    MinMaxAttack(rho=1.5, random_state=0),
    GradientAttack(estimator=SVC, max_iter=10, random_state=0),
    KKTAttack(estimator=SVC, random_state=0),
]
BLIND = ATTACKS[0]
SENDS_FEWER = (KKTAttack, MinMaxAttack)  # where more would do no more harm


def name_of(attack):
    return type(attack).__name__ + (getattr(attack, "strategy", ""))


each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
each_that_looks = pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a is not BLIND], ids=name_of
)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([110, 90], centers=[[-1, 0, 0], [1, 0, 0]], random_state=0)
    return X, np.array(["ham", "spam"])[y]


@each_attack
@pytest.mark.parametrize(("epsilon", "n_poison"), [(0.0, 0), (0.029, 5), (0.145, 29)])
def test_whole_rows_are_sent(attack, epsilon, n_poison, data):
    attack = clone(attack).set_params(epsilon=epsilon)
    X_poison, y_poison = attack.poison(*data)
    if isinstance(attack, SENDS_FEWER):
        assert len(X_poison) <= n_poison
        n_poison = len(X_poison)
    assert X_poison.shape == (n_poison, 3) and y_poison.shape == (n_poison,)
    assert set(y_poison) <= {"ham", "spam"}
    assert attack.poison_mask_.sum() == n_poison


@each_attack
def test_poison_comes_after_the_clean_rows(attack, data):
    X, y = data
    attack = clone(attack).set_params(epsilon=0.1)
    X_all, y_all = attack.fit_resample(X, y)
    mask = attack.poison_mask_
    np.testing.assert_array_equal(X_all[~mask], X)
    np.testing.assert_array_equal(y_all[~mask], y)
    np.testing.assert_array_equal(X_all[mask], attack.X_poison_)
    np.testing.assert_array_equal(y_all[mask], attack.y_poison_)
    assert not mask[: len(y)].any()


@each_that_looks
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_row_passes_the_filter_in_the_precision_of_the_data(attack, dtype, data):
    X, y = data
    both = SphereFilter(80) & SlabFilter(90)
    attack = clone(attack).set_params(epsilon=0.2, filter=both)
    X_poison, y_poison = attack.poison(X.astype(dtype), y)
    assert X_poison.dtype == dtype
    by_hand = both.fit(X.astype(dtype), y)
    assert (by_hand.predict(X_poison, y_poison) == 1).all()


@each_attack
def test_sparse_rows_give_the_same_poison(attack, data):
    X, y = data
    attack = clone(attack).set_params(epsilon=0.1)
    expected, labels = attack.poison(X, y)
    found, y_poison = attack.poison(sparse.csr_matrix(X), y)
    assert sparse.issparse(found) and found.format == "csr"
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-4)
    np.testing.assert_array_equal(y_poison, labels)
    n_all = 200 + len(labels)
    assert attack.fit_resample(sparse.csr_matrix(X), y)[0].shape == (n_all, 3)


@each_attack
def test_tables_stay_tables(attack, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abc"), index=np.arange(1000, 1200))
    labels = pd.Series(y, index=frame.index, name="kind")
    attack = clone(attack).set_params(epsilon=0.1)
    X_all, y_all = attack.fit_resample(frame, labels)
    assert list(X_all.columns) == list("abc") and y_all.name == "kind"
    assert list(X_all.index) == list(y_all.index)
    assert list(X_all.index) == list(range(1000, 1200 + len(attack.y_poison_)))
    pd.testing.assert_frame_equal(X_all[:200], frame)
    np.testing.assert_array_equal(X_all[200:], attack.X_poison_)


def test_rows_with_names_get_companions_with_names(data):
    frame = pd.DataFrame(data[0], index=[f"row {i}" for i in range(200)])
    X_poison, _ = LabelFlipAttack(0.01, random_state=0).poison(frame, data[1])
    assert list(X_poison.index) == ["poison-0", "poison-1"]


@each_attack
def test_poison_depends_on_the_random_state_alone(attack, data):
    attack = clone(attack).set_params(epsilon=0.1)
    first, second = attack.poison(*data), clone(attack).poison(*data)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@each_that_looks
def test_a_fitted_filter_is_used_as_it_is(attack, data):
    X, y = data
    elsewhere = SphereFilter().fit(X[::2] + np.array([0, 0.4, 0]), y[::2])
    attack = clone(attack).set_params(epsilon=0.1, filter=elsewhere)
    assert attack.fit(X, y).filter_ is elsewhere
    copied = clone(attack).fit(X, y).filter_
    np.testing.assert_allclose(copied.centroids_, SphereFilter().fit(X, y).centroids_)
    frozen = clone(attack.set_params(filter=FrozenEstimator(elsewhere))).fit(X, y)
    np.testing.assert_array_equal(frozen.filter_.centroids_, elsewhere.centroids_)
    assert (elsewhere.predict(frozen.X_poison_, frozen.y_poison_) == 1).all()


@each_that_looks
def test_the_given_filter_is_not_touched(attack, data):
    sphere = SphereFilter()
    attack = clone(attack).set_params(filter=sphere, epsilon=0.1).fit(*data)
    assert attack.filter is sphere and not hasattr(sphere, "classes_")


@each_attack
@pytest.mark.parametrize("epsilon", [-0.1, 1.5])
def test_impossible_shares_are_refused(attack, epsilon, data):
    with pytest.raises(ValueError, match="epsilon"):
        clone(attack).set_params(epsilon=epsilon).fit(*data)


@each_attack
def test_one_class_is_refused(attack, data):
    with pytest.raises(ValueError, match="one class, 'ham'"):
        clone(attack).fit(data[0], np.full(200, "ham"))


@pytest.mark.parametrize("attack", ATTACKS[2:], ids=name_of)
def test_binary_attacks_refuse_three_classes(attack):
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        clone(attack).fit(*load_iris(return_X_y=True))


@each_attack
def test_nan_is_refused(attack, data):
    X = data[0].copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        clone(attack).fit(X, data[1])


@each_attack
def test_lengths_must_agree(attack, data):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(attack).fit(data[0], data[1][:-1])


@pytest.mark.parametrize("attack", ATTACKS[3:], ids=name_of)
def test_attacks_that_need_a_feasible_set_say_so(attack, data):
    message = "requires a filter with a feasible_set method"
    with pytest.raises(ValueError, match=message):
        clone(attack).set_params(filter=NeighborsFilter()).fit(*data)
    with pytest.raises(ValueError, match="leaves the attacker unbounded"):
        clone(attack).set_params(filter=SlabFilter()).fit(*data)


@each_that_looks
def test_a_filter_of_other_labels_is_refused(attack, data):
    X, y = data
    attack = clone(attack)
    attack.filter = SphereFilter().fit(X, np.where(y == "ham", "a", "b"))
    with pytest.raises(ValueError, match="was fitted on the labels"):
        attack.fit(X, y)


def test_an_unfitted_frozen_filter_is_an_error(data):
    attack = MinMaxAttack(filter=FrozenEstimator(SphereFilter()))
    with pytest.raises(NotFittedError):
        attack.fit(*data)


FACING = [
    LabelFlipAttack(0.1, "feasible", filter=SphereFilter(95)),
    MinMaxAttack(0.1, filter=SphereFilter(95), rho=1.0),
    GradientAttack(0.1, filter=SphereFilter(95), max_iter=3),
    KKTAttack(0.1, filter=SphereFilter(95)),
    CertifiedBound(SphereFilter(95), 0.1, rho=1.0),
]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(200, centers=[[-1, 0], [1, 0]], random_state=0)


@pytest.mark.parametrize("attack", FACING, ids=lambda a: type(a).__name__)
def test_filters_know_the_names_of_features(attack, blobs):
    X, y = blobs
    table = pd.DataFrame(X, columns=["a", "b"])
    assert clone(attack).fit(table, y).filter_.predict(table, y).any()
    known = FrozenEstimator(SphereFilter(95).fit(table, y))
    clone(attack).set_params(filter=known).fit(table, y)  # no warning of names


@pytest.mark.parametrize("attack", FACING, ids=lambda a: type(a).__name__)
def test_filters_of_other_rows_are_refused(attack, blobs):
    X, y = blobs
    wide = FrozenEstimator(SphereFilter(95).fit(np.hstack([X, X]), y))
    with pytest.raises(ValueError, match="fitted on rows with 4 features; X has 2"):
        clone(attack).set_params(filter=wide).fit(X, y)
    other = FrozenEstimator(SphereFilter(95).fit(X, y + 3))
    with pytest.raises(ValueError, match=r"on the labels \[3, 4\]; y has \[0, 1\]"):
        clone(attack).set_params(filter=other).fit(X, y)


def test_columns_of_truth_values_and_sparse_columns(blobs):
    X, y = blobs
    table = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0})
    both, _ = LabelFlipAttack(0.1, random_state=0).fit_resample(table, y)
    assert list(both.dtypes) == [np.float64, bool]
    assert list(table.dtypes) == [np.float64, bool]
    thin = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(np.maximum(X, 0)))
    both, _ = LabelFlipAttack(0.1, random_state=0).fit_resample(thin, y)
    assert all(isinstance(kind, pd.SparseDtype) for kind in both.dtypes)
    assert len(both) == 220


@pytest.mark.parametrize(
    "attack",
    [
        LabelFlipAttack(0.1, filter=SphereFilter(95)),
        MinMaxAttack(0.1, filter=SphereFilter(95), rho=1.0, tol=0.1),
        GradientAttack(0.1, filter=SphereFilter(95), max_iter=3),
        KKTAttack(0.1, filter=SphereFilter(95), decoys=[[-1.0, 0.0, 0.0]]),
    ],
    ids=lambda a: type(a).__name__,
)
@pytest.mark.parametrize("as_sparse", [False, True])
def test_domains_may_name_columns(attack, as_sparse, blobs):
    X, y = blobs
    X = np.column_stack([np.clip(X[:, 0], -1.5, 1.5), np.round(abs(X[:, 1]))])
    table = pd.DataFrame(X, columns=["a", "b"])
    if as_sparse:
        table = table.astype(pd.SparseDtype(float, 0.0))
    domain = Domain({"b": "count"}, lower={"a": -1.5}, upper={"a": 1.5})
    poison, _ = clone(attack).set_params(domain=domain).poison(table, y)
    rows = np.asarray(poison, dtype=float)
    assert len(rows) and (abs(rows[:, 0]) <= 1.5 + 1e-9).all()
    np.testing.assert_allclose(rows[:, 1], np.round(rows[:, 1]), atol=1e-9)
    assert (rows[:, 1] >= 0).all()
