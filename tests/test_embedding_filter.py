"""Filters on embeddings: the same as the filter on features computed by hand."""

import pickle

import numpy as np
import pytest
import sklearn
from numpydoc.docscrape import ClassDoc
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import has_fit_parameter

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from torch import nn  # noqa: E402

from skpoison import EPICFilter, FilteredClassifier, SphereFilter  # noqa: E402
from skpoison.filters import (  # noqa: E402
    ActivationClusteringFilter,
    LossFilter,
    NeighborsFilter,
    SpectralFilter,
)
from skpoison.neural import EmbeddingFilter, FilteredNetClassifier  # noqa: E402

PEERS = [
    SpectralFilter(80),
    ActivationClusteringFilter(max_fraction=0.5, random_state=0),
    NeighborsFilter(criterion="labels", n_neighbors=9, radii=[0.5, 0.5]),
]
each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda p: type(p).__name__)


class Same(nn.Module):
    """A layer that returns what it is given."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, X):
        return X * self.scale


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    X = rng.random((80, 1, 5, 5)).astype("float32")
    X[y == 1, :, :2] += 0.5
    return X, y


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)
    ).eval()


def by_hand(module, X):
    with torch.no_grad():
        return module[:3](torch.tensor(X)).numpy()


@each_peer
def test_judges_the_features_that_go_into_the_head(peer, images, module):
    X, y = images
    found = EmbeddingFilter(module, filter=peer).fit(X, y)
    F = by_hand(module, X)
    plain = clone(peer).fit(F, y)
    np.testing.assert_array_equal(found.inlier_mask_, plain.inlier_mask_)
    assert not found.inlier_mask_.all()
    for method in ("score_samples", "decision_function", "predict"):
        expected = getattr(plain, method)
        for labels in (y, None):
            np.testing.assert_allclose(
                getattr(found, method)(X, labels), expected(F, labels), rtol=1e-5
            )


def test_any_layer_may_be_taken(images, module):
    X, y = images
    found = EmbeddingFilter(module, "0", SpectralFilter()).fit(X, y)
    with torch.no_grad():
        F = module[0](torch.tensor(X)).flatten(1).numpy()
    np.testing.assert_allclose(found.scores_, SpectralFilter().fit(F, y).scores_)
    assert not np.allclose(found.scores_, EmbeddingFilter(module).fit(X, y).scores_)


def net(module, **params):
    return FilteredNetClassifier(module, max_epochs=2, lr=0.1, verbose=0, **params)


def test_a_net_that_is_not_fitted_is_fitted_on_the_rows(images, module):
    X, y = images
    template = net(module)
    found = EmbeddingFilter(template, filter=SpectralFilter()).fit(X, y)
    with pytest.raises(NotFittedError):
        template.predict(X)
    assert len(found.net_.history) == 2
    F = by_hand(found.net_.module_.eval(), X)
    expected = SpectralFilter().fit(F, y).scores_
    np.testing.assert_allclose(found.scores_, expected, rtol=1e-5)


def test_a_net_that_is_fitted_is_used_as_it_is_and_kept_by_freezing(images, module):
    X, y = images
    fitted = net(module).fit(X, y)
    for kept in (fitted, FrozenEstimator(fitted)):
        assert EmbeddingFilter(kept).fit(X, y).net_ is kept
    frozen = EmbeddingFilter(FrozenEstimator(fitted))
    assert clone(frozen).fit(X, y).net_.module_ is fitted.module_


def test_images_go_through_meta_estimators(images, module):
    X, y = images
    model = FilteredClassifier(
        EmbeddingFilter(module, filter=SpectralFilter(80)), net(module)
    )
    model.fit(X, y)
    kept = model.inlier_mask_
    assert 0.7 < kept.mean() < 0.9
    assert model.predict(X).shape == (80,)
    found = EmbeddingFilter(module, filter=SpectralFilter(80), random_state=0)
    replaced = found.fit_transform(X, y)
    np.testing.assert_array_equal(replaced[kept], X[kept])
    sources = {row.tobytes() for row in X[kept]}
    assert all(row.tobytes() in sources for row in replaced[~kept])
    rows, labels = found.fit_filter(X, y)
    np.testing.assert_array_equal(rows, X[kept])
    np.testing.assert_array_equal(labels, y[kept])
    np.testing.assert_array_equal(found.transform(X), X)


def test_filters_of_training_rows_only_say_so(images, module):
    X, y = images
    found = EmbeddingFilter(module, filter=EPICFilter(random_state=0)).fit(X, y)
    assert not hasattr(found, "predict")
    assert hasattr(EmbeddingFilter(module), "predict")
    F = by_hand(module, X)
    expected = EPICFilter(random_state=0).fit(F, y).inlier_mask_
    np.testing.assert_array_equal(found.inlier_mask_, expected)


def test_scikit_learn_s_checks_pass_but_for_those_of_replacing_filters():
    replaces = "fit_transform replaces rejected training rows"
    results = check_estimator(
        EmbeddingFilter(Same(), "", SphereFilter(70)),
        expected_failed_checks={
            "check_transformer_general": replaces,
            "check_transformer_data_not_an_array": replaces,
            "check_estimators_overwrite_params": "hooks change a module's hash",
        },
        on_skip=None,
        on_fail=None,
    )
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    assert failed == []


def test_memory_that_cannot_be_written_to_is_taken(images, module):
    X, y = images
    X.flags.writeable = False
    assert EmbeddingFilter(module).fit(X, y).scores_.shape == (80,)


@each_peer
def test_pickles_and_clones(peer, images, module):
    X, y = images
    found = EmbeddingFilter(module, filter=peer).fit(X, y)
    for other in (pickle.loads(pickle.dumps(found)), clone(found).fit(X, y)):
        np.testing.assert_array_equal(found.scores_, other.scores_)


def test_documented_parameters_and_attributes_are_there(images, module):
    found = EmbeddingFilter(module).fit(*images)
    documented = ClassDoc(EmbeddingFilter)
    names = {parameter.name for parameter in documented["Parameters"]}
    assert names == set(found.get_params(deep=False))
    attributes = {parameter.name for parameter in documented["Attributes"]}
    fitted = {name for name in vars(found) if name[0] != "_" and name[-1] == "_"}
    assert fitted == attributes - {"feature_names_in_", "offset_"}
    np.testing.assert_array_equal(found.offset_, found.filter_.offset_)


def test_bad_input_is_refused(images, module):
    X, y = images
    with pytest.raises(ValueError, match="'net' parameter"):
        EmbeddingFilter().fit(X, y)
    with pytest.raises(ValueError, match="'filter' parameter"):
        EmbeddingFilter(module, filter="spectral").fit(X, y)
    with pytest.raises(ValueError, match="no layer 'top'"):
        EmbeddingFilter(module, "top").fit(X, y)
    X[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        EmbeddingFilter(module).fit(X, y)


def test_weights_are_for_the_filter_of_the_embedding():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.arange(60) % 2
    weights = np.where(X[:, 0] > 0, 30.0, 1.0)
    net = nn.Sequential(Same(), nn.Linear(4, 2, dtype=torch.float64))
    loss = LossFilter(contamination=0.3)
    embedding = EmbeddingFilter(net, filter=loss)
    assert has_fit_parameter(embedding, "sample_weight")
    alone = loss.fit(X, y, sample_weight=weights)
    embedding.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(embedding.scores_, alone.scores_)
    assert not np.allclose(embedding.fit(X, y).scores_, alone.scores_)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = EmbeddingFilter(net, filter=loss.set_fit_request(sample_weight=True))
        final = LogisticRegression().set_fit_request(sample_weight=True)
        model = FilteredClassifier(asked, final).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.inlier_mask_, alone.inlier_mask_)
    with pytest.raises(TypeError, match="SpectralFilter takes no sample_weight"):
        EmbeddingFilter(net).fit(X, y, sample_weight=weights)
