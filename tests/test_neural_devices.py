"""Numbers that NumPy lacks, tensors that are elsewhere, and heads in any order."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from skpoison import FilteredClassifier, SphereFilter  # noqa: E402
from skpoison.filters import NeighborsFilter  # noqa: E402
from skpoison.neural import (  # noqa: E402
    BullseyePolytopeAttack,
    EmbeddingFilter,
    EPICCallback,
    FeatureCollisionAttack,
    FilteredNetClassifier,
    GradientMatchingAttack,
    LayerFeatures,
    SleeperAgentAttack,
    Trigger,
    TriggerBackdoorAttack,
    evaluate_backdoor,
    evaluate_targeted,
)
from skpoison.neural._proxies import gradient_proxies  # noqa: E402
from skpoison.neural._seeded import seeded, streams_restored  # noqa: E402

HAS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def data(n_rows=120):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 3
    X = rng.random((n_rows, 8)).astype("float32")
    X[np.arange(n_rows), y] *= 0.3
    return X, y


def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


def net_of(**params):
    epic = EPICCallback(0.3, warmup=1, every=1, min_class_rows=1)
    given = {"lr": 0.3, "batch_size": 32, "max_epochs": 3, "callbacks": [epic]}
    given |= {"verbose": 0, "train_split": None}
    return FilteredNetClassifier(module(), **given | params)


class Elsewhere(torch.Tensor):
    """A tensor that NumPy cannot read, as those on CUDA devices are."""

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def on_device(device):
    if device == "elsewhere":
        return lambda array: torch.from_numpy(array).as_subclass(Elsewhere)
    return lambda array: torch.from_numpy(array).to(device)


DEVICES = pytest.mark.parametrize(
    "device", ["elsewhere", pytest.param("cuda", marks=[pytest.mark.gpu, HAS_CUDA])]
)


# bfloat16


def test_bfloat16_modules_are_trained_and_filtered():
    X, y = data()
    rows = torch.from_numpy(X).bfloat16()
    net = net_of()
    net.module.bfloat16()
    net.fit(rows, y).partial_fit(rows, y)
    assert ((net.dropped_at_ > 0) & (net.dropped_at_ <= 3)).any()
    proxies = net.gradient_proxies(rows, y)
    assert proxies.dtype == np.float32
    exact = module()
    exact.load_state_dict(net.module_.state_dict())
    with torch.no_grad():
        expected = exact(rows.float()).softmax(dim=1).numpy() - np.eye(3)[y]
    np.testing.assert_allclose(proxies, expected, atol=0.02)
    probabilities = net.predict_proba(rows)
    np.testing.assert_allclose(probabilities - np.eye(3)[y], proxies, atol=1e-6)
    assert net.score(rows, y) == np.mean(probabilities.argmax(axis=1) == y)


@pytest.mark.parametrize(
    "attack",
    [
        lambda net, X: GradientMatchingAttack(net, X[0], 1, selection="gradient"),
        lambda net, X: BullseyePolytopeAttack(net, X[0], 1),
        lambda net, X: FeatureCollisionAttack(net, X[0], 1),
    ],
)
@pytest.mark.parametrize("rows_too", [False, True])
def test_attacks_on_bfloat16_modules_are_as_strong(attack, rows_too):
    X, y = data()
    params = {"epsilon": 0.05, "radius": 0.3, "n_steps": 20, "random_state": 0}
    exact = attack(module(), X).set_params(**params).fit(X, y)
    rows = torch.from_numpy(X).bfloat16() if rows_too else X
    short = attack(module().bfloat16(), X).set_params(**params)
    X_poison, _ = short.poison(rows, y)
    lost = 1 - min(short.objective_) / short.objective_[0]
    assert lost > 0.8 * (1 - min(exact.objective_) / exact.objective_[0]) > 0.05
    assert X_poison.dtype == rows.dtype
    assert short.X_poison_.dtype == np.float32
    bases = np.asarray(X[short.base_indices_])
    step = 2**-8 if rows_too else 0
    assert np.abs(short.X_poison_ - bases).max() <= 0.3 + 2 * step + 1e-6


def test_features_of_bfloat16_modules():
    X, y = data()
    short = module().bfloat16()
    found = LayerFeatures(short).embed(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, LayerFeatures(module()).embed(X), atol=0.02)
    EmbeddingFilter(short).fit(torch.from_numpy(X).bfloat16(), y)


# Tensors on another device


@DEVICES
def test_evaluations_take_tensors_from_anywhere(device):
    X, y = data()
    put = on_device(device)
    given = put(X[:90]), put(y[:90]), put(X[90:]), put(y[90:])
    home = "cuda" if device == "cuda" else "cpu"
    extractor = module()[:2].to(home)
    defenses = {
        "sphere": SphereFilter(80),
        "pipeline": FilteredClassifier(NeighborsFilter(), LogisticRegression()),
    }
    attack = BullseyePolytopeAttack(
        extractor, epsilon=0.05, radius=0.3, n_steps=2, random_state=0
    )
    victims = attack, defenses, KNeighborsClassifier(3)
    found = evaluate_targeted(*victims, *given, n_targets=2, random_state=0)
    plain = evaluate_targeted(
        *victims, X[:90], y[:90], X[90:], y[90:], n_targets=2, random_state=0
    )
    for name in ("success", "accuracy", "poison_dropped", "clean_dropped"):
        np.testing.assert_allclose(found[name], plain[name], atol=1e-6)
    backdoor = TriggerBackdoorAttack(trigger=Trigger([1.0] * 2), epsilon=0.1)
    found = evaluate_backdoor(
        backdoor, defenses, KNeighborsClassifier(3), *given, n_trials=1, random_state=0
    )
    assert np.isfinite(found.success).all()


@DEVICES
def test_pictures_take_labels_from_anywhere(device):
    pytest.importorskip("matplotlib").use("agg")
    from skpoison.inspection import EPICDisplay

    X, y = data()
    net, put = net_of().fit(X, y), on_device(device)
    mask = np.arange(len(y)) < 10
    plain = EPICDisplay.from_estimator(net, X, y, poison_mask=mask)
    other = EPICDisplay.from_estimator(net, X, put(y), poison_mask=put(mask))
    np.testing.assert_array_equal(plain.coordinates, other.coordinates)
    np.testing.assert_array_equal(plain.poison_mask, other.poison_mask)
    for display in (plain, other):
        display.figure_.clear()


@pytest.mark.gpu
@HAS_CUDA
def test_scoring_of_labels_on_a_cuda_device():
    X, y = data()
    net = net_of(device="cuda", iterator_valid__collate_fn=on_cuda).initialize()
    proxies, labels = gradient_proxies(net, net.get_dataset(X, y))
    plain = net_of().initialize()
    np.testing.assert_array_equal(labels, y)
    expected, _ = gradient_proxies(plain, plain.get_dataset(X, y))
    np.testing.assert_allclose(proxies.cpu(), expected, atol=1e-6)


@pytest.mark.gpu
@HAS_CUDA
def test_checkpoints_go_from_one_device_to_another(tmp_path):
    X, y = data()
    files = {f"f_{name}": tmp_path / name for name in ("params", "history")}
    first = net_of(device="cuda").fit(X, y)
    first.save_params(**files)
    second = net_of(device="cpu").initialize()
    second.load_params(**files)
    np.testing.assert_array_equal(second.dropped_at_, first.dropped_at_)
    second.partial_fit(X, y)
    assert second.dropped_at_[first.dropped_at_ > 0].all()


@pytest.mark.gpu
@HAS_CUDA
@pytest.mark.parametrize("restored", [lambda: seeded(3), streams_restored])
def test_streams_of_cuda_are_put_back(restored):
    torch.manual_seed(7)
    torch.rand(1, device="cuda")
    expected = torch.rand(3, device="cuda")
    torch.manual_seed(7)
    torch.rand(1, device="cuda")
    with restored():
        torch.rand(5, device="cuda")
    assert torch.equal(torch.rand(3, device="cuda"), expected)


@pytest.mark.gpu
@HAS_CUDA
def test_cuda_may_start_within_a_seed():
    program = (
        "import torch; from skpoison.neural._seeded import seeded\n"
        "torch.manual_seed(7)\n"
        "{}\n"
        "print(torch.rand(3, device='cuda').tolist())"
    )
    inside = "with seeded(3): torch.rand(3, device='cuda')"
    found = [
        subprocess.check_output([sys.executable, "-c", program.format(first)])
        for first in ("pass", inside)
    ]
    assert found[0] == found[1]


@pytest.mark.gpu
@HAS_CUDA
def test_filters_and_triggers_of_networks_on_a_cuda_device():
    X, y = data()
    here, there = module(), module().cuda()
    np.testing.assert_allclose(
        LayerFeatures(there).embed(X), LayerFeatures(here).embed(X), atol=1e-5
    )
    fitted = EmbeddingFilter(there).fit(torch.from_numpy(X).cuda(), y)
    assert fitted.inlier_mask_.any()
    params = {"epsilon": 0.1, "radius": 0.3, "n_steps": 5, "random_state": 0}
    clean = TriggerBackdoorAttack(
        trigger=Trigger([1.0]), intended_label=1, labels="clean", **params
    )
    objectives = [
        clean.set_params(net=net).fit(X, y).objective_ for net in (here, there)
    ]
    np.testing.assert_allclose(*objectives, rtol=1e-3)
    net = net_of(device="cuda", max_epochs=1)
    sleeper = SleeperAgentAttack(net, Trigger([1.0]), 1, 0, n_retrain=1, **params)
    X_poison, _ = sleeper.poison(torch.from_numpy(X).cuda(), y)
    assert X_poison.device.type == "cuda"


def on_cuda(rows):
    return [part.cuda() for part in torch.utils.data.default_collate(rows)]


# What is a Dataset


def test_datasets_are_refused_where_rows_are_changed_or_embedded():
    X, y = data()
    dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    message = r"X must be an array or a tensor of rows, and not a TensorDataset: give"
    with pytest.raises(TypeError, match=message):
        EmbeddingFilter(module()).fit(dataset, y)
    with pytest.raises(TypeError, match=message):
        LayerFeatures(module()).embed(dataset)
    attack = BullseyePolytopeAttack(module(), epsilon=0.05, n_steps=2)
    arguments = {}, KNeighborsClassifier(), dataset, y
    with pytest.raises(TypeError, match=message):
        evaluate_targeted(attack, *arguments, X, y)
    backdoor = TriggerBackdoorAttack(trigger=Trigger([1.0]), epsilon=0.1)
    with pytest.raises(TypeError, match=message):
        evaluate_backdoor(backdoor, *arguments, X, y)
    with pytest.raises(TypeError, match="X_test must be an array"):
        evaluate_targeted(attack, {}, KNeighborsClassifier(), X, y, dataset, y)
    with pytest.raises(TypeError, match="X_test must be an array"):
        evaluate_backdoor(backdoor, {}, KNeighborsClassifier(), X, y, dataset, y)


# The default layer


class HeadFirst(nn.Module):
    """A head that is defined before what feeds it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(6, 3)
        self.spare = nn.Linear(2, 2)
        self.backbone = nn.Sequential(nn.Linear(8, 6), nn.ReLU())

    def forward(self, X):
        return self.head(self.backbone(X))


class SecondHead(HeadFirst):
    """A second head, which runs last, and is returned second."""

    def __init__(self):
        super().__init__()
        self.auxiliary = nn.Linear(8, 3)

    def forward(self, X):
        logits = self.head(self.backbone(X))
        auxiliary = self.auxiliary(X)
        return logits, auxiliary


class Softened(HeadFirst):
    def forward(self, X):
        return self.head(self.backbone(X)).softmax(dim=1)


@pytest.mark.parametrize("kind", [HeadFirst, SecondHead, Softened])
def test_the_default_layer_is_the_one_that_makes_the_output(kind):
    X, _ = data()
    net = kind()
    with torch.no_grad():
        expected = net.backbone(torch.from_numpy(X)).numpy()
    np.testing.assert_array_equal(LayerFeatures(net).embed(X), expected)
    named = LayerFeatures(net, "backbone").embed(X)
    np.testing.assert_array_equal(named, expected)


def test_layers_that_do_not_run_are_named():
    X, _ = data()
    with pytest.raises(ValueError, match="does not run its layer 'spare'"):
        LayerFeatures(HeadFirst(), "spare").embed(X)
    idle = nn.Module()
    idle.layer = nn.Linear(8, 3)
    idle.forward = lambda rows: rows @ idle.layer.weight.T
    with pytest.raises(ValueError, match=r"runs none of its torch.nn.Linear"):
        LayerFeatures(idle).embed(X)
