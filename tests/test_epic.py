"""EPICFilter: what it drops, when, and how it behaves around estimators."""

import warnings

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from scipy import sparse
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skpoison import DropOutliers, EPICFilter, FilteredClassifier
from skpoison.coreset import facility_location, gradient_facility_location
from skpoison.coreset._outer import outer_squares
from skpoison.exceptions import FilterWarning
from skpoison.filters._epic import _isolated, _residuals


@pytest.fixture(scope="module")
def problem():
    return make_classification(
        400, 8, n_informative=5, n_classes=3, class_sep=1.5, random_state=0
    )


@pytest.fixture(scope="module")
def texts():
    """Sparse rows like TF-IDF, 20 classes with words of their own."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 30)
    counts = rng.poisson(0.02, size=(600, 2000)).astype(float)
    own = y[:, None] * 100 + rng.integers(0, 100, size=(600, 15))
    np.add.at(counts, (np.arange(600)[:, None], own), 1)
    X = sparse.csr_array(counts)
    return X / np.sqrt(X.multiply(X).sum(axis=1))[:, None], y


def epic(**options):
    return EPICFilter(**{"medoid_fraction": 0.2, "random_state": 0, **options})


def test_one_round_drops_the_medoids_that_stand_alone(problem):
    X, y = problem
    filter_ = epic(n_rounds=1, warmup=3).fit(X, y)
    model = SGDClassifier(loss="log_loss")
    model.set_params(random_state=filter_.estimator_.random_state)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    proxies = model.predict_proba(X) - np.eye(3)[y]
    medoids = facility_location(proxies.astype(np.float32), 0.2, labels=y)
    itself = medoids.indices[medoids.assignment] == np.arange(len(y))
    alone = itself & (medoids.cluster_sizes[medoids.assignment] == 1)
    assert alone.any()
    assert filter_.inlier_mask_.tolist() == (~alone).tolist()


@pytest.mark.parametrize("gradient", ["logits", "parameters"])
@pytest.mark.parametrize(
    "estimator",
    [
        SGDClassifier(loss="log_loss", fit_intercept=False),
        LogisticRegression(max_iter=5),
        MultinomialNB(),
    ],
)
def test_estimators_that_learn_alike_drop_alike(estimator, gradient):
    X, y = load_digits(return_X_y=True)
    dense = epic(estimator=estimator, gradient=gradient).fit(X[:600], y[:600])
    stored = dense.dropped_at_
    dense.fit(sparse.csr_array(X[:600]), y[:600])
    np.testing.assert_array_equal(dense.dropped_at_, stored)
    assert stored.any()


def test_history_tells_what_happened(problem):
    X, y = problem
    filter_ = epic(n_rounds=3).fit(X, y)
    left = np.bincount(y)
    for round_, entry in enumerate(filter_.history_, start=1):
        dropped = np.bincount(y[filter_.dropped_at_ == round_], minlength=3)
        assert entry.n_rows.tolist() == left.tolist()
        assert entry.n_medoids.tolist() == np.floor(0.2 * left + 0.5).tolist()
        assert entry.n_dropped.tolist() == dropped.tolist()
        assert entry.n_isolated.tolist() == dropped.tolist()
        left = left - dropped
    assert np.bincount(y[filter_.inlier_mask_]).tolist() == left.tolist()


def test_scores_rank_rows_by_when_they_are_dropped(problem):
    X, y = problem
    filter_ = epic(n_rounds=3).fit(X, y)
    scores, dropped_at = filter_.scores_, filter_.dropped_at_
    assert ((scores >= 0) == filter_.inlier_mask_).all()
    assert (filter_.inlier_mask_ == (dropped_at == 0)).all()
    for round_ in (1, 2, 3):
        of_round = scores[dropped_at == round_]
        assert np.all((of_round >= round_ - 4) & (of_round < round_ - 3))
    assert scores.max() < 1


def test_training_continues_on_what_is_left(problem):
    X, y = problem
    seen = []

    class Recorder(SGDClassifier):
        def partial_fit(self, X, y, classes=None):
            seen.append(len(y))
            return super().partial_fit(X, y, classes=classes)

    filter_ = epic(estimator=Recorder(loss="log_loss"), n_rounds=3, warmup=4, every=2)
    filter_.fit(X, y)
    rows = [entry.n_rows.sum() for entry in filter_.history_]
    assert seen == [rows[0]] * 4 + [rows[1]] * 2 + [rows[2]] * 2
    assert rows[0] > rows[1] > rows[2]


def test_an_isolated_row_among_crowds_is_dropped():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-3, 0.1, (50, 1)), rng.normal(3, 0.1, (50, 1))])
    y = np.repeat([0, 1], 50)
    X[7] = 3.0  # of class 0, where class 1 is
    filter_ = epic(medoid_fraction=0.04, n_rounds=1).fit(X, y)
    assert filter_.dropped_at_[7] == 1
    assert filter_.scores_[7] == filter_.scores_[y == 0].min()


@pytest.mark.parametrize(
    "estimator",
    [
        SGDClassifier(loss="hinge"),
        LogisticRegression(max_iter=3),
        MultinomialNB(),
        FilteredClassifier(estimator=LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_with_partial_fit_or_warm_start(problem, estimator):
    X, y = problem
    filter_ = epic(estimator=estimator, n_rounds=2)
    if isinstance(estimator, FilteredClassifier):
        with pytest.raises(TypeError, match="must support training by epochs"):
            filter_.fit(X - X.min(), y)
        return
    filter_.fit(X - X.min(), y)
    assert 0 < (~filter_.inlier_mask_).sum() < len(y) / 2


@pytest.mark.parametrize(
    "estimator", [KNeighborsClassifier(), RandomForestClassifier()], ids=repr
)
def test_estimators_that_make_no_steps_are_refused(problem, estimator):
    with pytest.raises(TypeError, match="must support training by epochs"):
        epic(estimator=estimator).fit(*problem)


def test_gradients_of_parameters_need_a_linear_estimator(problem):
    X, y = problem
    with pytest.raises(TypeError, match="got GaussianNB"):
        epic(estimator=GaussianNB(), gradient="parameters").fit(X, y)


def test_probabilities_of_decision_values():
    X = np.array([[-1.0], [1.0], [2.0]])
    y = np.array([0, 1, 1])
    binary = LinearSVC().fit(X, y)
    values = binary.decision_function(X)
    expected = 1 / (1 + np.exp(-values)) - y
    residuals = _residuals(binary, X, y)
    np.testing.assert_allclose(residuals, np.column_stack([-expected, expected]))
    several = LinearSVC().fit(X, [0, 1, 2])
    values = np.exp(several.decision_function(X))
    expected = values / values.sum(axis=1, keepdims=True) - np.eye(3)
    np.testing.assert_allclose(_residuals(several, X, np.arange(3)), expected)


def test_parameter_gradients_are_outer_products(problem):
    X, y = problem
    rng = np.random.default_rng(0)
    residuals = rng.normal(size=(len(y), 3))
    with_one = np.column_stack([X, np.ones(len(X))])
    outer = np.einsum("ij,ik->ijk", residuals, with_one).reshape(len(X), -1)
    expected = ((outer[:50, None] - outer[100:160]) ** 2).sum(axis=2)
    for rows in (X, sparse.csr_array(X)):
        squares = outer_squares(residuals, rows)(slice(0, 50), slice(100, 160))
        np.testing.assert_allclose(squares, expected, rtol=1e-10)


@pytest.mark.parametrize("similarity", ["exp", "linear"])
def test_medoids_of_outer_products_are_those_of_their_matrix(problem, similarity):
    X = problem[0][:120]
    residuals = np.random.default_rng(0).normal(size=(120, 3))
    with_one = np.column_stack([X, np.ones(len(X))])
    outer = np.einsum("ij,ik->ijk", residuals, with_one).reshape(len(X), -1)
    found = gradient_facility_location(residuals, X, 30, similarity=similarity)
    scale = outer.shape[1] / 3 if similarity == "exp" else 1  # distances over classes
    medoids = facility_location(scale * outer, 30, similarity=similarity)
    assert found.indices.tolist() == medoids.indices.tolist()
    np.testing.assert_allclose(found.gains, medoids.gains, rtol=1e-5)


def test_duplicates_of_outer_products_are_at_no_distance():
    rng = np.random.default_rng(0)
    X, residuals = 1e4 * rng.random((40, 50)), rng.normal(size=(40, 3))
    X[20:], residuals[20:] = X[:20], residuals[:20]
    squares = outer_squares(residuals, X)(slice(0, 20), slice(20, 40))
    assert np.all(np.diag(squares) == 0)


def test_parameter_gradients_drop_other_rows(problem):
    X, y = problem
    logits = epic().fit_predict(X, y)
    parameters = epic(gradient="parameters").fit_predict(X, y)
    assert (parameters == -1).any()
    assert (logits != parameters).any()


@pytest.mark.parametrize("gradient", ["logits", "parameters"])
def test_sparse_rows_give_the_same_and_stay_sparse(texts, gradient, monkeypatch):
    X, y = texts
    options = {"gradient": gradient, "n_rounds": 2, "estimator": MultinomialNB()}
    dense = epic(**options).fit(X.toarray(), y)

    def refuse(self, *args, **options):
        assert self.shape[1] != X.shape[1], "made dense"
        return to_array(self, *args, **options)

    to_array = sparse.csr_array.toarray
    monkeypatch.setattr(sparse.csr_array, "toarray", refuse)
    filter_ = epic(**options).fit(X, y)
    assert (filter_.dropped_at_ == dense.dropped_at_).all()
    assert 0 < (~filter_.inlier_mask_).sum() < len(y) / 2


def test_no_class_loses_more_than_it_may(problem):
    X, y = problem
    with pytest.warns(FilterWarning, match=r"isolated rows.*max_drop_fraction=0.05"):
        filter_ = epic(max_drop_fraction=0.05, n_rounds=4).fit(X, y)
    lost = np.bincount(y[~filter_.inlier_mask_], minlength=3)
    assert lost.tolist() == np.floor(0.05 * np.bincount(y)).tolist()
    unlimited = epic(max_drop_fraction=1.0, n_rounds=1).fit(X, y)
    first = filter_.dropped_at_ == 1
    assert np.all(unlimited.dropped_at_[first] == 1)
    for label in range(3):  # the worst ones go
        rows = y == label
        spared = rows & ~first & (unlimited.dropped_at_ == 1)
        assert unlimited.scores_[rows & first].max() < unlimited.scores_[spared].min()


def test_nothing_may_be_dropped(problem):
    with pytest.warns(FilterWarning, match="isolated rows"):
        assert epic(max_drop_fraction=0).fit(*problem).inlier_mask_.all()


def test_a_class_of_one_row_stays():
    X = np.concatenate([np.random.default_rng(0).normal(size=(40, 2)), [[9.0, 9.0]]])
    y = np.array([0] * 20 + [1] * 20 + [2])
    with pytest.warns(FilterWarning, match=r"classes \[2\]"):
        filter_ = epic(max_drop_fraction=1.0, n_rounds=1).fit(X, y)
    assert filter_.inlier_mask_[-1]


def test_a_medoid_of_one_other_row_is_not_alone():
    class Medoids:
        indices = np.array([0, 1])
        cluster_sizes = np.array([2, 1])
        assignment = np.array([0, 0, 1])  # medoid 1 goes to 0, row 2 goes to medoid 1

    drop, n_isolated = _isolated(Medoids, np.zeros(3, dtype=int), np.array([2]))
    assert drop.tolist() == []
    assert n_isolated.tolist() == [0]


@pytest.mark.parametrize("y", [None, np.ones(12)])
def test_without_two_classes_everything_stays(y):
    X = np.random.default_rng(0).normal(size=(12, 2))
    with pytest.warns(FilterWarning, match="at least two classes; it keeps every row"):
        filter_ = EPICFilter().fit(X, y)
    assert filter_.inlier_mask_.all()
    assert filter_.history_ == []
    assert filter_.estimator_ is None


def test_new_rows_have_no_scores(problem):
    X, y = problem
    filter_ = epic().fit(X, y)
    for method in ("predict", "decision_function", "score_samples"):
        with pytest.raises(AttributeError, match=method) as caught:
            getattr(filter_, method)
        assert "cannot score new rows. Use fit_predict" in str(caught.value.__cause__)


def test_seeds_decide(problem):
    X, y = problem
    first = epic(random_state=3).fit(X, y)
    assert (first.scores_ == epic(random_state=3).fit(X, y).scores_).all()
    assert (first.scores_ != epic(random_state=4).fit(X, y).scores_).any()
    own = epic(estimator=SGDClassifier(loss="log_loss", random_state=7))
    own.set_params(random_state=None).fit(X, y)
    assert own.estimator_.random_state == 7


def test_labels_may_be_strings(problem):
    X, y = problem
    names = np.array(["ham", "jam", "spam"])[y]
    filter_ = epic().fit(X, names)
    assert (filter_.inlier_mask_ == epic().fit(X, y).inlier_mask_).all()
    assert filter_.estimator_.classes_.tolist() == ["ham", "jam", "spam"]


def test_in_a_plain_pipeline_it_replaces(problem):
    X, y = problem
    model = make_pipeline(StandardScaler(), epic(), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.7
    filter_ = epic()
    replaced = filter_.fit_transform(X, y)
    assert (replaced[filter_.inlier_mask_] == X[filter_.inlier_mask_]).all()
    assert (replaced[~filter_.inlier_mask_] != X[~filter_.inlier_mask_]).any()


def test_in_filtered_classifier_and_as_a_sampler(problem):
    X, y = problem
    filtered = FilteredClassifier(epic(), LogisticRegression()).fit(X, y)
    sampled = make_sampling_pipeline(DropOutliers(epic()), LogisticRegression())
    sampled.fit(X, y)
    kept = epic().fit(X, y).inlier_mask_
    plain = LogisticRegression().fit(X[kept], y[kept])
    np.testing.assert_array_equal(filtered.estimator_.coef_, plain.coef_)
    np.testing.assert_array_equal(sampled[-1].coef_, plain.coef_)


def test_under_grid_search_on_text(texts):
    X, y = texts
    model = FilteredClassifier(epic(n_rounds=1), SGDClassifier(random_state=0))
    grid = {
        "filter__medoid_fraction": [0.1, 0.3],
        "filter__estimator": [SGDClassifier(loss="log_loss"), MultinomialNB()],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize(
    "options",
    [
        {"medoid_fraction": 0.0},
        {"medoid_fraction": 1.5},
        {"n_rounds": 0},
        {"every": -1},
        {"warmup": 0},
        {"gradient": "inputs"},
        {"similarity": "cosine"},
        {"order": "random"},
        {"max_drop_fraction": 1.1},
        {"backend": "torch"},
    ],
)
def test_bad_parameters_are_named(problem, options):
    with pytest.raises(ValueError, match=f"The '{next(iter(options))}' parameter"):
        EPICFilter(**options).fit(*problem)
