"""Tracing predictions of networks: found rows, verified by training without them."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skpoison import trace
from skpoison.tracing._goal import label_goal

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
neural = pytest.importorskip("skpoison.neural")
alignments = pytest.importorskip("skpoison.neural._alignment")
tracing = pytest.importorskip("skpoison.neural._trace")
seeded = pytest.importorskip("skpoison.neural._seeded").seeded
EPICCallback, FilteredNetClassifier = neural.EPICCallback, neural.FilteredNetClassifier
Checkpoints, alignment = alignments.Checkpoints, alignments.alignment
NeuralNetClassifier = skorch.NeuralNetClassifier


N_PLANTED = 8


class Perceptron(torch.nn.Sequential):
    """One hidden layer."""

    def __init__(self, n_in=4, n_out=3):
        super().__init__(
            torch.nn.Flatten(),
            torch.nn.Linear(n_in, 12),
            torch.nn.ReLU(),
            torch.nn.Linear(12, n_out),
        )


def net_of(kind=FilteredNetClassifier, **changes):
    settings = {
        "lr": 0.6,
        "max_epochs": 12,
        "batch_size": 40,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    if kind is NeuralNetClassifier:
        settings["criterion"] = torch.nn.CrossEntropyLoss
    return kind(Perceptron, **(settings | changes))


def planted():
    """Three groups of rows, and rows around one target of the first, labeled 2."""
    rng = np.random.default_rng(0)
    y = np.arange(72) % 3
    X = 0.4 * rng.normal(size=(72, 4)) + 2.0 * np.eye(3, 4)[y]
    target = np.array([[1.6, 0.0, 0.0, 2.0]])
    near = target + 0.1 * rng.normal(size=(N_PLANTED, 4))
    X, y = np.vstack([X, near]), np.append(y, np.full(N_PLANTED, 2))
    mask = np.arange(len(y)) >= len(y) - N_PLANTED
    return X.astype("float32"), y, target.astype("float32"), mask


@pytest.mark.parametrize("kind", [FilteredNetClassifier, NeuralNetClassifier])
def test_rows_near_the_target_are_removed_and_a_net_without_them_is_right(kind):
    X, y, target, mask = planted()
    net = net_of(kind)
    found = trace(net, X, y, target, [0], max_removed=0.2, random_state=0)
    assert mask[found.ranking_[:N_PLANTED]].mean() >= 0.75
    first = found.ranking_[: len(found.removal_set_)]
    np.testing.assert_array_equal(first, found.removal_set_)
    assert mask[found.removal_set_].mean() >= 0.8
    assert found.prediction_ == [2] and found.removed_prediction_ == [0]
    # Trained anew from other seeds, too, a net without these rows is right.
    rest = np.delete(np.arange(len(y)), found.removal_set_)
    with seeded(77):
        assert clone(net).fit(X[rest], y[rest]).predict(target) == [0]
    assert {one.column for one in found.shared_} >= {"label"}
    assert found.method_ == "gradient" and set(found.scores_) == {"gradient"}


def test_a_removal_set_may_be_a_whole_class():
    X, y, target, mask = planted()
    y = np.where((y == 2) & ~mask, 1, y)
    found = trace(net_of(), X, y, target, [0], max_removed=0.2, random_state=0)
    assert mask[found.removal_set_].mean() >= 0.8


def test_a_net_may_have_outputs_for_labels_that_no_row_bears():
    X, y, target, mask = planted()
    net = net_of(module__n_out=5)
    found = trace(net, X, 2 * y, target, [0], max_removed=0.2, random_state=0)
    assert mask[found.removal_set_].mean() >= 0.8


def test_a_fitted_net_images_tensors_and_pipelines():
    X, y, target, mask = planted()
    images, image = X.reshape(-1, 2, 2), target.reshape(1, 2, 2)
    with seeded(0):
        net = net_of(max_epochs=12).fit(images, y)
    tensors = map(torch.as_tensor, (images, y, image))
    found = trace(net, *tensors, max_removed=0.2, method="knn_shapley", random_state=0)
    assert mask[found.removal_set_].mean() >= 0.8 and found.y_target is None
    pipe = make_pipeline(StandardScaler(), net_of(max_epochs=12))
    found = trace(pipe, X, y, target, [0], max_removed=0.2, random_state=0)
    assert mask[found.removal_set_].mean() >= 0.8


def test_alignment_is_the_inner_product_of_centered_features_over_checkpoints():
    X, y, target, _ = planted()
    with seeded(0):
        net = net_of(callbacks=[Checkpoints()]).fit(X, y)
    states = dict(net.callbacks_)["Checkpoints"].states_
    assert sorted(states) == [2, 5, 7, 10, 12]
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}
    total = np.zeros((len(y), 1))
    for state in states.values():
        weights = {name.partition(".")[2]: value for name, value in state.items()}
        hidden = [
            np.maximum(
                rows @ weights["1.weight"].numpy().T + weights["1.bias"].numpy(), 0
            )
            for rows in (X, target)
        ]
        rows, of_target = (part - hidden[0].mean(axis=0) for part in hidden)
        total += rows @ of_target.T / np.mean(np.sum(rows**2, axis=1))
    found = alignment(net, states, X, target)
    np.testing.assert_allclose(found, total / 5, rtol=1e-4, atol=1e-5)
    # The net is as it was.
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_features_are_what_the_last_linear_layer_is_given():
    X, y, target, _ = planted()
    with seeded(0):
        net = net_of(max_epochs=1).fit(X, y)
    state = torch.random.get_rng_state()
    features = alignments.last_features(net, target)
    wanted = net.module_[2](net.module_[1](torch.as_tensor(target)))
    torch.testing.assert_close(features, wanted.detach())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_rows_that_the_net_dropped_did_nothing():
    X, y, target, _ = planted()
    epic = EPICCallback(0.3, warmup=1, every=1, min_class_rows=5, max_drop_fraction=1.0)
    with seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are spared
        net = net_of(callbacks=[epic, Checkpoints()]).fit(X, y)
    early = (net.dropped_at_ > 0) & (net.dropped_at_ <= 2)
    assert early.any()
    states = dict(net.callbacks_)["Checkpoints"].states_
    found = alignment(net, states, X, target)
    np.testing.assert_array_equal(found[early], 0.0)
    assert (found[net.dropped_at_ == 0] != 0.0).all()


def test_few_rows_are_not_enough_and_errors_by_chance_are_named():
    X, y, target, _ = planted()
    found = trace(net_of(), X, y, target, [0], max_removed=1, random_state=0)
    assert found.removal_set_ is None and "No set of up to 1 row" in found.reason_
    with seeded(0):
        net = net_of().fit(X, y)
    y_clean = np.where(np.arange(len(y)) < len(y) - N_PLANTED, y, 0)
    with pytest.raises(ValueError, match="none of 5 nets that were trained on X and y"):
        trace(net, X, y_clean, target, [0], random_state=0)


def test_where_random_rows_do_the_same_nothing_is_proved(monkeypatch):
    X, y, target, _ = planted()
    monkeypatch.setattr(tracing.NetVerifier, "works", lambda self, rows: len(rows) > 3)
    found = trace(net_of(max_epochs=2), X, y, target, random_state=0)
    assert found.removal_set_ is None and "drawn at random" in found.reason_


def test_as_many_rows_of_the_same_labels_are_drawn():
    labels = np.repeat([0, 1, 2], [50, 50, 4])
    rng = np.random.RandomState(0)
    evidence = SimpleNamespace(
        training=SimpleNamespace(labels=labels), random_state=rng
    )
    rows = np.array([0, 1, 2, 60, 61])
    drawn = tracing._as_many(rows, evidence)
    assert np.bincount(labels[drawn]).tolist() == [3, 2]
    assert not np.isin(drawn, rows).any()
    rare = np.array([100, 101, 102])
    assert len(np.unique(tracing._as_many(rare, evidence))) == 3


def test_regressors():
    X, y, target, mask = planted()
    numbers = (y / 2 - 0.5).astype("float32")[:, None]
    net = net_of(skorch.NeuralNetRegressor, module__n_out=1, lr=0.1, max_epochs=20)
    limits = [[-1.0, 0.0]]
    found = trace(net, X, numbers, target, limits, max_removed=0.2, random_state=0)
    assert found.removed_prediction_[0] <= 0.0 < found.prediction_[0]
    assert mask[found.ranking_[:N_PLANTED]].mean() >= 0.75


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "influence"}, ValueError, "method must be one of .* for nets"),
        ({"sample_weight": np.ones(80)}, ValueError, "not supported by nets"),
        ({"y_target": [2]}, ValueError, "predicted right already"),
        ({"y_target": [9]}, ValueError, "labels that estimator"),
        ({"max_removed": 1000}, ValueError, "max_removed must be"),
    ],
)
def test_bad_input_is_named(change, error, message):
    X, y, target, _ = planted()
    given = {"y_target": [0], "random_state": 0} | change
    with pytest.raises(error, match=message):
        trace(net_of(max_epochs=6), X, y, target, **given)


def test_a_module_that_keeps_what_it_learned_is_refused():
    X, y, target, _ = planted()
    net = FilteredNetClassifier(Perceptron(), max_epochs=1, verbose=0).fit(X, y)
    with pytest.raises(ValueError, match="keeps what it has learned"):
        trace(net, X, y, target, [0])


def test_a_dataset_is_refused():
    X, y, target, _ = planted()
    rows = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    with pytest.raises(TypeError, match="X must be an array or a tensor of rows"):
        trace(net_of(), rows, y, target, [0])


class ByChance:
    """Trainings of nets that are right from some seeds only."""

    seed = 0

    def __init__(self, right):
        self.right, self.seen = right, []

    def fit_if_possible(self, rows):
        return self.fit(rows)

    def fit(self, rows):
        self.seen.append(self.seed)
        found = np.array([0 if self.seed in self.right else 2])
        return SimpleNamespace(predict=lambda X: found)


@pytest.mark.parametrize(
    ("right", "works", "is_confirmed"),
    [
        ([1, 2, 3, 4], True, True),
        ([1, 2, 3], True, False),
        ([1, 3, 4], False, False),
        ([2, 3, 4], False, False),
    ],
)
def test_a_removal_must_work_from_all_seeds(right, works, is_confirmed):
    goal = label_goal(np.arange(3), [2], [0])
    before = tracing.Before(None, None, goal, [1, 2], [3, 4])
    training = ByChance(right)
    verifier = tracing.NetVerifier(training, None, before)
    rows = np.arange(3)
    assert verifier.works(rows) == works and verifier.works(rows) == works
    assert set(training.seen) <= {1, 2} and training.seed == 1
    assert verifier.is_confirmed(rows) == is_confirmed
    assert len(training.seen) == len(set(training.seen))


def test_sets_grow_until_further_seeds_confirm_them():
    order = np.array([4, 2, 7, 1, 0, 3, 5, 6])
    verifier = SimpleNamespace(is_confirmed=lambda rows: {2, 7, 1} <= set(rows))
    found = tracing._confirmed(np.array([7]), order, verifier, 6)
    assert found.tolist() == [4, 2, 7, 1]
    assert tracing._confirmed(np.array([7]), order, verifier, 3) is None


def test_without_a_set_a_net_is_trained_without_sources():
    X, y, target, mask = planted()
    source = np.where(mask, "crawl", np.array(["mail", "web"])[np.arange(len(y)) % 2])
    found = trace(
        net_of(),
        X,
        y,
        target,
        [0],
        by={"source": source},
        max_removed=1,
        random_state=0,
    )
    assert found.removal_set_ is None
    found = trace(
        net_of(),
        X,
        y,
        target,
        [0],
        by={"source": source},
        max_removed=N_PLANTED,
        random_state=0,
    )
    crawl = found.groups_[0]
    told = crawl.column, crawl.value, crawl.n_rows, crawl.n_right
    assert told == ("source", "crawl", N_PLANTED, 1)
    assert "8 rows with source crawl, the prediction is right" in found.summary()
