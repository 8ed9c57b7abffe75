"""Binary nets, regressors and nets of the user's own whose rows can be dropped."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import EpochScoring  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from skpoison.coreset import facility_location  # noqa: E402
from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.neural import (  # noqa: E402
    EPICCallback,
    FilteredNetBinaryClassifier,
    FilteredNetClassifier,
    FilteredNetMixin,
    FilteredNetRegressor,
)

N_ROWS = 200
UNGUARDED = {"max_drop_fraction": 1.0, "min_class_rows": 1}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


class PlainOwnNet(skorch.NeuralNet):
    """A net of the user's own: several outputs, and a loss that skorch lacks."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        weighted = y_pred[0] * torch.tensor([1.0, 2.0])
        return super().get_loss(weighted, y_true, *args, **kwargs)


class OwnNet(FilteredNetMixin, PlainOwnNet):
    pass


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 2)

    def forward(self, X):
        out = self.linear(X)
        return out, out.square()


# What each net is made with, and the net of skorch that it extends.
KINDS = {
    "binary": (
        FilteredNetBinaryClassifier,
        skorch.NeuralNetBinaryClassifier,
        {"module": nn.Linear, "module__in_features": 5, "module__out_features": 1},
    ),
    "regressor": (
        FilteredNetRegressor,
        skorch.NeuralNetRegressor,
        {"module": nn.Linear, "module__in_features": 5, "module__out_features": 2},
    ),
    "own": (
        OwnNet,
        PlainOwnNet,
        {"module": TwoOutputs, "criterion": nn.SmoothL1Loss},
    ),
}
KIND = pytest.mark.parametrize("kind", KINDS)


def data(kind, n_rows=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5)).astype("float32")
    noise = rng.normal(size=(n_rows, 2))
    y = X[:, :2] - X[:, 1:3] + 0.5 * noise
    return X, (y[:, 0] > 0).astype(int) if kind == "binary" else y.astype("float32")


def epic(medoid_fraction=0.3, **options):
    options = {"every": 1, "warmup": 1, **UNGUARDED} | options
    return EPICCallback(medoid_fraction, **options)


def net_of(kind, *callbacks, cls=None, **options):
    torch.manual_seed(0)
    own, _, made_with = KINDS[kind]
    options = {"lr": 0.1, "batch_size": 32, "max_epochs": 3, "verbose": 0} | options
    return (cls or own)(callbacks=list(callbacks), **made_with | options)


def assert_same_weights(one, other):
    for name, values in one.module_.state_dict().items():
        assert torch.equal(values, other.module_.state_dict()[name]), name


def isolated(proxies, classes=None):
    medoids = facility_location(proxies, 0.3, labels=classes)
    owner = medoids.indices[medoids.assignment]
    sizes = np.bincount(owner, minlength=len(proxies))
    return np.flatnonzero((owner == np.arange(len(proxies))) & (sizes == 1))


# Gradients


def test_binary_rows_are_judged_as_by_two_logits():
    X, y = data("binary")
    net = net_of("binary").fit(X, y)
    two = FilteredNetClassifier(nn.Linear(5, 2), verbose=0).initialize()
    with torch.no_grad():
        two.module_.weight[0] = two.module_.bias[0] = 0.0
        two.module_.weight[1] = net.module_.weight[0]
        two.module_.bias[1] = net.module_.bias[0]
    found = net.gradient_proxies(X, y)
    assert found.shape == (N_ROWS, 2)
    np.testing.assert_allclose(found, two.gradient_proxies(X, y), atol=1e-6)
    np.testing.assert_allclose(found, net.predict_proba(X) - np.eye(2)[y], atol=1e-6)


def test_binary_probabilities_where_the_criterion_wants_them():
    X, y = data("binary")
    module = nn.Sequential(nn.Linear(5, 1), nn.Sigmoid())
    net = FilteredNetBinaryClassifier(module, criterion=nn.BCELoss).initialize()
    expected = net.predict_proba(X) - np.eye(2)[y]
    np.testing.assert_allclose(net.gradient_proxies(X, y), expected, atol=1e-6)
    net = FilteredNetBinaryClassifier(module, criterion=nn.MSELoss).initialize()
    with pytest.raises(ValueError, match=r"must have the shape \(n_rows, 2\)"):
        net.gradient_proxies(X, y)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_of_a_regressor_are_those_of_each_row_s_loss(reduction):
    X, y = data("regressor")
    net = net_of("regressor", criterion__reduction=reduction, batch_size=64)
    net.initialize()
    residuals = net.predict(X) - y
    expected = residuals if reduction == "mean" else 2 * residuals
    np.testing.assert_allclose(net.gradient_proxies(X, y), expected, atol=1e-5)


def test_gradients_of_any_loss_are_those_of_each_row_alone():
    X, y = data("own")
    net = net_of("own").initialize()
    outputs, targets = torch.from_numpy(net.predict(X)), torch.from_numpy(y)
    expected = []
    for output, target in zip(outputs, targets, strict=True):
        output = output[None].requires_grad_()
        net.get_loss((output, output), target[None]).backward()
        expected.append(output.grad[0].numpy())
    np.testing.assert_allclose(net.gradient_proxies(X, y), expected, atol=1e-6)


def test_whole_numbers_are_classes_in_nets_of_the_user_s_own():
    class Own(FilteredNetMixin, skorch.NeuralNet):
        pass

    X, _ = data("own")
    y = (X[:, 0] > 0) + (X[:, 1] > 0)
    y = y.astype(np.int64)
    torch.manual_seed(0)
    options = {"lr": 0.1, "max_epochs": 4, "train_split": None, "verbose": 0}
    options["callbacks"] = [epic()]
    own = Own(nn.Linear(5, 3), criterion=nn.CrossEntropyLoss, **options)
    torch.manual_seed(0)
    classifier = FilteredNetClassifier(nn.Linear(5, 3), **options)
    own.fit(X, y)
    classifier.fit(X, y)
    assert own.dropped_at_.any()
    np.testing.assert_array_equal(own.dropped_at_, classifier.dropped_at_)


def test_a_regressor_has_one_class_even_of_whole_numbers():
    net = FilteredNetRegressor(nn.Linear(5, 1))
    assert net.row_classes(np.arange(3)).tolist() == [0, 0, 0]


def test_a_net_may_say_what_its_classes_are():
    class Grouped(FilteredNetRegressor):
        def row_classes(self, y_true):
            return (torch.as_tensor(y_true)[:, 0] > 0).long()

    X, y = data("regressor")
    before = net_of("regressor", max_epochs=1, train_split=None).fit(X, y)
    expected = isolated(before.gradient_proxies(X, y), (y[:, 0] > 0).astype(int))
    net = net_of("regressor", epic(), cls=Grouped, max_epochs=2, train_split=None)
    found = np.flatnonzero(net.fit(X, y).dropped_at_)
    np.testing.assert_array_equal(found, expected)


def test_outputs_that_are_no_tensors_need_a_method_of_the_net():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 2)

        def forward(self, X):
            return {"out": self.linear(X)}

    class Own(FilteredNetMixin, skorch.NeuralNet):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return super().get_loss(y_pred["out"], y_true, *args, **kwargs)

    class WithGradients(Own):
        def row_gradients(self, y_pred, y_true):
            return y_pred["out"] - y_true

    X, y = data("own")
    with pytest.raises(TypeError, match=r"got dict.*override Own.row_gradients"):
        Own(Named, criterion=nn.MSELoss).initialize().gradient_proxies(X, y)
    net = WithGradients(Named, criterion=nn.MSELoss).initialize()
    assert net.gradient_proxies(X, y).shape == y.shape


# Dropping


@KIND
def test_isolated_rows_are_dropped(kind):
    X, y = data(kind)
    options = {"train_split": None}
    before = net_of(kind, max_epochs=1, **options).fit(X, y)
    classes = y if kind == "binary" else None
    expected = isolated(before.gradient_proxies(X, y), classes)
    net = net_of(kind, epic(every=9), max_epochs=2, **options).fit(X, y)
    assert 0 < len(expected) < N_ROWS / 2
    np.testing.assert_array_equal(np.flatnonzero(net.dropped_at_), expected)
    kept = np.setdiff1d(np.arange(N_ROWS), expected)
    np.testing.assert_array_equal(net.kept_indices_, kept)
    assert net.history[:, "n_kept"] == [N_ROWS, len(kept)]


@KIND
def test_without_drops_it_trains_as_skorch_bit_for_bit(kind):
    X, y = data(kind)
    shuffled = {"iterator_train__shuffle": True}
    net = net_of(kind, epic(max_drop_fraction=0.0), **shuffled)
    with pytest.warns(FilterWarning, match="max_drop_fraction=0"):
        net.fit(X, y)
    target = y.astype("float32")
    other = net_of(kind, cls=KINDS[kind][1], **shuffled).fit(X, target)
    assert_same_weights(net, other)
    np.testing.assert_array_equal(net.predict(X), other.predict(X))


@KIND
def test_guards_hold_in_each_class(kind):
    X, y = data(kind)
    net = net_of(kind, epic(min_class_rows=60, max_drop_fraction=0.05), max_epochs=5)
    with pytest.warns(FilterWarning, match="max_drop_fraction=0.05"):
        net.fit(X, y)
    rows = net.pool_.train_rows
    classes = y[rows] if kind == "binary" else np.zeros(len(rows), int)
    lost = np.bincount(classes, weights=net.dropped_at_[rows] > 0)
    np.testing.assert_array_equal(lost, np.floor(0.05 * np.bincount(classes)))


def test_gradients_too_far_apart_for_the_exponential_are_noticed():
    X, y = data("regressor")
    with pytest.warns(FilterWarning, match="similarity='linear'"):
        net_of("regressor", epic()).fit(X, 1000 * y)
    net = net_of("regressor", epic(similarity="linear")).fit(X, 1000 * y)
    assert net.dropped_at_.any()


def test_labels_of_a_binary_net_are_zero_and_one():
    X, y = data("binary")
    for labels in (y.astype(bool), y.astype("float64"), torch.from_numpy(y), y):
        net = net_of("binary", epic()).fit(X, labels)
        assert net.dropped_at_.any()
    for labels, found in ((y + 1, r"\[2.*\]"), (y - 0.5, "0.5"), (y.astype(str), "'")):
        with pytest.raises(ValueError, match=rf"labels must be .*{found}"):
            net_of("binary").fit(X, labels)


# Life of an estimator


@KIND
def test_training_goes_on_with_the_rows_that_are_left(kind):
    X, y = data(kind)
    whole = net_of(kind, epic(), max_epochs=4).fit(X, y)
    net = net_of(kind, epic(), max_epochs=2).fit(X, y)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        copied.partial_fit(X, y)
        np.testing.assert_array_equal(copied.dropped_at_, whole.dropped_at_)
        assert_same_weights(copied, whole)
    assert (whole.dropped_at_ > 2).any()


@KIND
@pytest.mark.parametrize("as_dataset", [False, True])
def test_training_goes_on_from_files_with_the_same_rows_only(
    kind, as_dataset, tmp_path
):
    X, y = data(kind)
    y = y.astype("float32")

    def given(X, y):
        if not as_dataset:
            return X, y
        return TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), None

    options = {"train_split": None}
    whole = net_of(kind, epic(), max_epochs=4, **options).fit(*given(X, y))
    net = net_of(kind, epic(), max_epochs=2, **options).fit(*given(X, y))
    files = {f"f_{n}": tmp_path / n for n in ("params", "optimizer", "history")}
    net.save_params(**files)
    again = net_of(kind, epic(), max_epochs=2, **options).initialize()
    again.load_params(**files)
    np.testing.assert_array_equal(again.dropped_at_, net.dropped_at_)
    with pytest.raises(ValueError, match="rows given now are different"):
        again.partial_fit(*given(X, 1 - y))
    again.partial_fit(*given(X, y))
    np.testing.assert_array_equal(again.dropped_at_, whole.dropped_at_)


@KIND
def test_clones_have_the_parameters_and_no_rows(kind):
    X, y = data(kind)
    net = net_of(kind, epic(0.4, every=2)).fit(X, y)
    other = clone(net)
    assert other.pool_ is None
    params, others = net.get_params(), other.initialize().get_params()
    assert params.keys() == others.keys()
    assert others["callbacks__EPICCallback__medoid_fraction"] == 0.4
    assert is_classifier(net) == (kind == "binary")
    assert is_regressor(net) == (kind == "regressor")


@KIND
def test_grid_search_over_the_callback(kind):
    X, y = data(kind)
    grid = {"callbacks__EPICCallback__medoid_fraction": [0.2, 0.5]}
    scoring = None if kind != "own" else negative_error
    search = GridSearchCV(net_of(kind, epic()), grid, cv=2, scoring=scoring)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.dropped_at_.any() and len(best.dropped_at_) == N_ROWS


def negative_error(net, X, y):
    return -np.mean((net.predict(X) - y) ** 2)


@KIND
def test_other_callbacks_see_the_rows_that_are_left(kind):
    class Count:
        rows = ()

        def __call__(self, net, dataset, y=None):
            Count.rows += (len(dataset),)
            return 0.0

    scored = EpochScoring(Count(), on_train=True, name="rows", use_caching=False)
    net = net_of(kind, epic(), scored).fit(*data(kind))
    assert list(Count.rows) == net.history[:, "n_kept"]
    assert len(set(Count.rows)) > 1


@pytest.mark.parametrize("kind", ["binary", "regressor", "own"])
def test_pictures_of_these_nets(kind):
    pytest.importorskip("matplotlib.pyplot")
    from skpoison.inspection import EPICDisplay

    X, y = data(kind)
    net = net_of(kind, epic()).fit(X, y)
    display = EPICDisplay.from_estimator(net, X, y)
    rows = net.pool_.train_rows
    if kind == "binary":
        rows = rows[y[rows] == display.label]
    else:
        assert display.label == 0
    assert len(display.coordinates) == len(rows)
    gone = net.dropped_at_[rows] > 0
    np.testing.assert_array_equal(display.groups == "dropped", gone)
    assert gone.any()


def test_the_callback_is_found_by_its_type():
    pytest.importorskip("matplotlib")
    from skpoison.inspection import EPICDisplay

    class Looks(skorch.callbacks.Callback):
        medoid_fraction = 0.3

    X, y = data("binary")
    net = net_of("binary", Looks()).fit(X, y)
    with pytest.raises(TypeError, match="without an EPICCallback"):
        EPICDisplay.from_estimator(net)

    class Mine(EPICCallback):
        pass

    net = net_of("binary", Looks(), Mine(**epic().get_params())).fit(X, y)
    assert len(EPICDisplay.from_estimator(net, X, y).axes_) == 2


def test_attributes_are_documented():
    from numpydoc.docscrape import ClassDoc

    for kind in ("binary", "regressor"):
        net = net_of(kind, epic()).fit(*data(kind))
        for attribute in ClassDoc(type(net))["Attributes"]:
            assert hasattr(net, attribute.name)


@KIND
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_cuda_device(kind):
    X, y = data(kind)
    net = net_of(kind, epic(), device="cuda").fit(X, y)
    assert net.dropped_at_.any()
    on_cpu = net_of(kind).initialize()
    on_cpu.module_.load_state_dict(net.module_.state_dict())
    expected = on_cpu.gradient_proxies(X, y)
    np.testing.assert_allclose(net.gradient_proxies(X, y), expected, atol=1e-4)
