"""EPIC inside the training of a network, and what could go wrong there."""

import json
import pickle
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import (  # noqa: E402
    Callback,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)
from skorch.dataset import ValidSplit  # noqa: E402
from skorch.helper import predefined_split  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import (  # noqa: E402
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from skpoison.coreset import facility_location  # noqa: E402
from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.neural import EPICCallback, FilteredNetClassifier  # noqa: E402

N_ROWS, N_FEATURES, N_CLASSES = 240, 6, 3
WITHOUT_GUARD = {"max_drop_fraction": 1.0, "min_class_rows": 1}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def data(n_rows=N_ROWS, seed=0):
    """Rows whose first feature is their own number, which no network sees."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, N_CLASSES, n_rows)
    X = rng.normal(size=(n_rows, N_FEATURES)) + 1.2 * np.eye(N_CLASSES, N_FEATURES)[y]
    return np.column_stack([np.arange(n_rows), X]).astype("float32"), y


class Module(nn.Module):
    """Batch normalization and dropout, which have states of their own."""

    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, N_CLASSES),
        )

    def forward(self, X):
        return self.layers(X[:, 1:])


class SeenRows(Callback):
    """Row numbers that each epoch trained on."""

    def on_train_begin(self, net, **kwargs):
        self.epochs_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs_.append([])

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if training:
            self.epochs_[-1] += batch[0][:, 0].long().tolist()


def epic(medoid_fraction=0.2, **options):
    options = {"every": 1, "warmup": 1, **WITHOUT_GUARD} | options
    return EPICCallback(medoid_fraction, **options)


def net_of(*callbacks, cls=FilteredNetClassifier, seed=0, **options):
    torch.manual_seed(seed)
    options = {
        "module": Module,
        "criterion": nn.CrossEntropyLoss,
        "lr": 0.1,
        "batch_size": 32,
        "max_epochs": 4,
        "iterator_train__shuffle": True,
        "verbose": 0,
    } | options
    return cls(callbacks=list(callbacks), **options)


def seen_rows(net):
    return dict(net.callbacks_)["SeenRows"].epochs_


def assert_same_weights(one, other):
    for name, values in one.module_.state_dict().items():
        assert torch.equal(values, other.module_.state_dict()[name]), name


# What is dropped


def test_drops_what_the_definition_says():
    X, y = data()
    net = net_of(max_epochs=2, train_split=None).fit(X, y)
    with torch.no_grad():
        logits = net.module_.eval()(torch.from_numpy(X)).double().numpy()
    proxies = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    proxies -= np.eye(N_CLASSES)[y]
    found = net.gradient_proxies(X, y)
    np.testing.assert_allclose(found, proxies, atol=1e-6)
    medoids = facility_location(found, 0.2, labels=y)
    owner = medoids.indices[medoids.assignment]
    sizes = np.bincount(owner, minlength=len(X))
    expected = np.flatnonzero((owner == np.arange(len(X))) & (sizes == 1))
    again = net_of(epic(warmup=2, every=9), max_epochs=3, train_split=None).fit(X, y)
    assert 0 < len(expected) < len(X) / 4
    np.testing.assert_array_equal(np.flatnonzero(again.dropped_at_), expected)
    np.testing.assert_array_equal(again.dropped_at_[expected], 3)


@pytest.mark.parametrize("train_split", [None, ValidSplit(4, stratified=True)])
def test_epochs_train_on_exactly_the_rows_that_are_left(train_split):
    X, y = data()
    net = net_of(epic(), SeenRows(), train_split=train_split).fit(X, y)
    in_training = np.unique(net.pool_.train_rows)
    for number, rows in enumerate(seen_rows(net), start=1):
        gone = (net.dropped_at_ > 0) & (net.dropped_at_ <= number)
        assert sorted(rows) == in_training[~gone[in_training]].tolist()
    assert sorted(rows) == net.kept_indices_.tolist()
    assert len(rows) < len(in_training)


def test_validation_rows_are_never_filtered():
    X, y = data()
    sizes = []

    class Sizes(Callback):
        def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
            sizes.append(len(dataset_valid))

    net = net_of(epic(), Sizes()).fit(X, y)
    valid = np.setdiff1d(np.arange(len(X)), net.pool_.train_rows)
    assert sizes == [len(valid)] * 4 and len(valid) == N_ROWS / 5
    assert not net.dropped_at_[valid].any()
    assert not np.isin(valid, net.kept_indices_).any()


def test_schedule():
    X, y = data()
    callback = epic(warmup=2, every=3, stop_after=6)
    net = net_of(callback, max_epochs=12).fit(X, y)
    n_dropped = np.array(net.history[:, "n_dropped"])
    assert np.flatnonzero(n_dropped).tolist() == [2, 5]
    assert all((np.array(net.history[:, "selection_seconds"]) > 0) == (n_dropped > 0))


def test_history_adds_up_and_is_plain_python(tmp_path):
    X, y = data()
    net = net_of(epic()).fit(X, y)
    n_train = len(net.pool_.train_rows)
    gone = np.cumsum(net.history[:, "n_dropped"])
    assert net.history[:, "n_kept"] == (n_train - gone).tolist()
    for name, kind in {
        "n_kept": int,
        "n_dropped": int,
        "selection_seconds": float,
    }.items():
        assert {type(value) for value in net.history[:, name]} == {kind}
    net.history.to_file(tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text())[-1]["n_kept"] == len(
        net.kept_indices_
    )


def test_ground_set_all_scores_dropped_rows_and_never_brings_them_back():
    X, y = data()
    counted = []

    class Counting(FilteredNetClassifier):
        def evaluation_step(self, batch, training=False):
            counted.append(len(batch[0]))
            return super().evaluation_step(batch, training)

    options = {"cls": Counting, "train_split": None, "max_epochs": 4}
    net = net_of(epic(ground_set="all"), SeenRows(), **options).fit(X, y)
    assert sum(counted) == 3 * N_ROWS
    kept = [set(rows) for rows in seen_rows(net)]
    assert kept[0] > kept[1] >= kept[2] >= kept[3]
    counted.clear()
    left = net_of(epic(), **options).fit(X, y)
    assert sum(counted) == sum(left.history[:-1, "n_kept"])
    assert (net.dropped_at_ != left.dropped_at_).any()


def test_backends_and_similarities():
    X, y = data(600)
    found = {
        (backend, similarity): net_of(epic(0.4, backend=backend, similarity=similarity))
        .fit(X, y)
        .kept_indices_.tolist()
        for backend in ("auto", "torch")
        for similarity in ("exp", "linear")
    }
    for similarity in ("exp", "linear"):
        assert found["auto", similarity] == found["torch", similarity]
    assert found["auto", "exp"] != found["auto", "linear"]


# Random streams and the state of the network


@pytest.mark.parametrize("workers", [0, 1])
def test_a_callback_that_drops_nothing_changes_no_bit(workers):
    X, y = data()
    options = {"iterator_train__num_workers": workers, "max_epochs": 3}
    plain = net_of(cls=skorch.NeuralNetClassifier, **options).fit(X, y)
    after = torch.rand(3)
    keeps = epic(max_drop_fraction=0.0)
    with pytest.warns(FilterWarning, match="isolated rows"):
        filtered = net_of(keeps, **options).fit(X, y)
    assert torch.equal(after, torch.rand(3))
    assert dict(filtered.callbacks_)["EPICCallback"].spared_
    assert_same_weights(plain, filtered)
    assert plain.history[:, "train_loss"] == filtered.history[:, "train_loss"]
    assert plain.history[:, "valid_loss"] == filtered.history[:, "valid_loss"]


class Augmented(Dataset):
    """Rows with noise from all global generators."""

    def __init__(self, X, y, noise=1.0):
        self.X, self.y, self.noise = X, y, noise

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        drawn = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002
        x = self.X[row].copy()
        x[1:] += self.noise * drawn
        return x, self.y[row]


def without_noise(dataset):
    return Augmented(dataset.X, dataset.y, noise=0.0)


def test_scoring_moves_no_generator_even_where_data_draw_from_them():
    X, y = data()

    def trained(*callbacks, cls=FilteredNetClassifier):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        generator = torch.Generator().manual_seed(0)
        net = net_of(
            *callbacks,
            cls=cls,
            train_split=None,
            iterator_train__generator=generator,
            iterator_valid__generator=generator,
        )
        return net.fit(Augmented(X, y), None)

    plain = trained(cls=skorch.NeuralNetClassifier)
    with pytest.warns(FilterWarning):
        filtered = trained(epic(max_drop_fraction=0.0))
    assert_same_weights(plain, filtered)


def test_augmentation_is_left_out_where_a_plain_dataset_is_given():
    X, y = data()
    seen = []

    class Scoring(FilteredNetClassifier):
        def evaluation_step(self, batch, training=False):
            seen.append(batch[0])
            return super().evaluation_step(batch, training)

    rows = np.arange(0, N_ROWS, 2)
    given = Subset(Augmented(X, y), rows)
    callback = epic(
        scoring_dataset=lambda half: Subset(without_noise(half.dataset), rows)
    )
    net_of(callback, cls=Scoring, train_split=None, max_epochs=2).fit(given, None)
    np.testing.assert_array_equal(torch.cat(seen), X[rows])
    wrong = epic(scoring_dataset=lambda half: half.dataset)
    with pytest.raises(ValueError, match="got 120 and returned 240"):
        net_of(wrong, train_split=None).fit(given, None)


def test_scoring_is_in_evaluation_mode_and_restores_every_flag():
    X, y = data()
    net = net_of(max_epochs=1).fit(X, y)
    frozen = net.module_.layers[1]
    net.module_.train()
    frozen.eval()
    before = {key: value.clone() for key, value in net.module_.state_dict().items()}
    first, second = (net.gradient_proxies(X, y) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert net.module_.training and net.module_.layers[3].training
    assert not frozen.training
    for key, value in net.module_.state_dict().items():
        assert torch.equal(before[key], value), key


# Loaders


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_persistent_workers_train_on_the_right_rows():
    X, y = data()
    workers = {
        "iterator_train__num_workers": 1,
        "iterator_train__persistent_workers": True,
    }
    net = net_of(epic(warmup=2, every=2), SeenRows(), max_epochs=5, **workers).fit(X, y)
    assert sorted(seen_rows(net)[-1]) == net.kept_indices_.tolist()
    assert [len(rows) for rows in seen_rows(net)] == net.history[:, "n_kept"]
    assert len(set(net.history[:, "n_kept"])) == 3


def test_too_few_rows_for_a_batch_are_an_error():
    X, y = data()
    options = {"iterator_train__drop_last": True, "train_split": None}
    with pytest.raises(
        ValueError, match=r"training rows are left, which make no batch"
    ):
        net_of(epic(), batch_size=N_ROWS, **options).fit(X, y)
    net = net_of(epic(), batch_size=-1, max_epochs=3, **options).fit(X, y)
    assert net.history[:, "train_batch_count"] == [1, 1, 1]


def test_no_last_batch_of_one_row_where_batches_are_normalized():
    X, y = data()
    options = {"max_epochs": 2, "train_split": None}
    n_kept = len(net_of(epic(), **options).fit(X, y).kept_indices_)
    net = net_of(epic(), batch_size=n_kept - 1, **options)
    assert len(net.fit(X, y).kept_indices_) % (n_kept - 1) != 1


@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
def test_samplers_made_for_all_rows_are_refused(name):
    X, y = data()
    sampler = WeightedRandomSampler(np.ones(N_ROWS), N_ROWS)
    net = net_of(
        epic(), iterator_train__shuffle=False, **{f"iterator_train__{name}": sampler}
    )
    with pytest.raises(
        ValueError, match=f"iterator_train__{name} is made for all rows"
    ):
        net.fit(X, y)


def test_samplers_made_for_the_rows_that_are_left():
    X, y = data()

    def weighted(dataset, batch_size):
        sampler = WeightedRandomSampler(np.ones(len(dataset)), 3 * len(dataset))
        return DataLoader(dataset, batch_size, sampler=sampler)

    options = {"iterator_train": weighted, "max_epochs": 3}
    net = net_of(epic(), SeenRows(), **options)
    del net.iterator_train__shuffle
    rows = [set(epoch) for epoch in seen_rows(net.fit(X, y))]
    assert rows[-1] <= set(net.kept_indices_) and len(rows[-1]) > 0.8 * len(rows[0])


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle:UserWarning")
@pytest.mark.parametrize(
    ("option", "message"),
    [({"shuffle": True}, "in their order"), ({"drop_last": True}, "must yield each")],
)
def test_scoring_needs_every_row_in_order(option, message):
    X, y = data()
    option = {f"iterator_valid__{name}": value for name, value in option.items()}
    with pytest.raises(ValueError, match=message):
        net_of(epic(), train_split=None, **option).fit(X, y)


# Guards


def rare_kinds(n_rows, seed=0):
    """Classes of twelve kinds of rows, some of them rare."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(4, 12, 20))
    share = 1 / np.arange(1, 13)
    y = rng.integers(0, 4, n_rows)
    kinds = rng.choice(12, n_rows, p=share / share.sum())
    return (centers[y, kinds] + 0.3 * rng.normal(size=(n_rows, 20))).astype(
        "float32"
    ), y


def test_few_rows_are_guarded_from_being_dropped():
    X, y = rare_kinds(1400)
    scores = {}
    for name, guard in {
        "none": {"medoid_fraction": 1e-9},
        "off": WITHOUT_GUARD,
        "on": {},
    }.items():
        options = {"medoid_fraction": 0.3, "every": 1, "warmup": 3} | guard
        net = net_of(
            EPICCallback(**options),
            module=nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4)),
            max_epochs=20,
            train_split=None,
            optimizer__momentum=0.9,
            lr=0.05,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            net.fit(X[:400], y[:400])
        assert (name == "on") == any("min_class_rows" in str(w.message) for w in caught)
        scores[name] = net.score(X[400:], y[400:])
    assert scores["off"] < scores["none"] - 0.08
    assert scores["on"] > scores["none"] - 0.03


def test_no_class_loses_more_than_its_share_or_falls_below_the_floor():
    rng = np.random.default_rng(0)
    X, _ = data(600)
    y = rng.choice(3, 600, p=[0.75, 0.2, 0.05])
    counts = np.bincount(y)
    callback = EPICCallback(
        0.5, every=1, warmup=0, max_drop_fraction=0.25, min_class_rows=100
    )
    with pytest.warns(FilterWarning, match=r"max_drop_fraction=0.25") as caught:
        net = net_of(callback, max_epochs=8, train_split=None).fit(X, y)
    dropped = np.bincount(y[net.dropped_at_ > 0], minlength=3)
    assert dropped.tolist() == [counts[0] // 4, max(0, counts[1] - 100), 0]
    assert f"of the classes {[0, 1, 2]}" in str(caught[0].message)


def test_budgets_are_in_proportion_to_classes():
    X, _ = data(600)
    y = np.repeat([0, 1, 2], [400, 150, 50])
    shares = []

    class Shares(Callback):
        def on_epoch_end(self, net, **kwargs):
            shares.append(np.bincount(y[net.kept_indices_]) / np.bincount(y))

    # All rows are medoids, and distinct: all are isolated, in every class.
    callback = epic(1.0, max_drop_fraction=0.5)
    with pytest.warns(FilterWarning):
        net_of(callback, Shares(), max_epochs=2, train_split=None).fit(X, y)
    np.testing.assert_allclose(shares[-1], 0.5, atol=0.02)


# Going on, copying, searching


def test_partial_fit_continues_schedule_and_drops():
    X, y = data()
    whole = net_of(epic(every=2), SeenRows(), max_epochs=6).fit(X, y)
    parts = net_of(epic(every=2), SeenRows(), max_epochs=2)
    for _ in range(3):
        parts.partial_fit(X, y)
    assert parts.history[:, "n_kept"] == whole.history[:, "n_kept"]
    np.testing.assert_array_equal(parts.dropped_at_, whole.dropped_at_)
    assert_same_weights(parts, whole)
    assert len(parts.fit(X, y).history) == 2
    assert set(np.unique(parts.dropped_at_)) <= {0, 2}


def test_partial_fit_of_other_rows_begins_with_all_of_them():
    X, y = data()
    net = net_of(epic(stop_after=1), SeenRows(), max_epochs=2).fit(X, y)
    assert net.dropped_at_.any()
    kept = net.kept_indices_
    net.partial_fit(X.copy(), y.copy())
    np.testing.assert_array_equal(net.kept_indices_, kept)
    other, _ = data(seed=1)
    net.partial_fit(other, y)
    assert not net.dropped_at_.any()
    net.partial_fit(X[:100], y[:100])
    assert len(net.dropped_at_) == 100


def test_datasets_go_on_as_the_same_object_only():
    X, y = data()
    dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    options = {"max_epochs": 2, "train_split": None}
    net = net_of(epic(stop_after=1), **options).fit(dataset, None)
    kept = net.kept_indices_
    assert len(kept) < N_ROWS
    net.partial_fit(dataset, None)
    np.testing.assert_array_equal(net.kept_indices_, kept)
    other = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.warns(FilterWarning, match="another Dataset object"):
        net.partial_fit(other, None)
    assert len(net.kept_indices_) == N_ROWS


def test_warm_start_goes_on():
    X, y = data()
    net = net_of(epic(stop_after=1), max_epochs=2, warm_start=True).fit(X, y)
    kept = net.kept_indices_
    net.fit(X, y)
    assert len(net.history) == 4
    np.testing.assert_array_equal(net.kept_indices_, kept)


def test_another_random_split_leaves_dropped_rows_out():
    X, y = data()
    split = ValidSplit(0.25, stratified=True)
    np.random.seed(0)  # noqa: NPY002
    net = net_of(epic(stop_after=1), SeenRows(), max_epochs=2, train_split=split)
    gone = np.flatnonzero(net.fit(X, y).dropped_at_)
    first = set(net.pool_.train_rows)
    net.partial_fit(X, y)
    assert set(net.pool_.train_rows) != first
    assert not np.isin(seen_rows(net)[-1], gone).any()


def test_pickling_keeps_everything_and_goes_on():
    X, y = data()
    net = net_of(epic(), max_epochs=3).fit(X, y)
    other = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(other.kept_indices_, net.kept_indices_)
    np.testing.assert_array_equal(other.dropped_at_, net.dropped_at_)
    for one in (net, other):
        torch.manual_seed(1)
        one.partial_fit(X, y)
    np.testing.assert_array_equal(other.dropped_at_, net.dropped_at_)
    assert_same_weights(net, other)


def test_cloning_keeps_parameters_and_forgets_rows():
    X, y = data()
    callback = epic(0.25, stop_after=5, similarity="linear")
    net = net_of(("epic", callback), callbacks__epic__every=3).fit(X, y)
    other = clone(net)
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = other.kept_indices_
    first, second = clone(net), other
    for one in (first, second):
        torch.manual_seed(0)
        one.fit(X, y)
    params = dict(first.callbacks_)["epic"].get_params()
    expected = {"medoid_fraction": 0.25, "stop_after": 5, "similarity": "linear"}
    assert expected.items() <= params.items() and params["every"] == 3
    np.testing.assert_array_equal(first.dropped_at_, second.dropped_at_)


def test_grid_search_over_the_callback():
    X, y = data()
    search = GridSearchCV(
        net_of(epic(), train_split=None, max_epochs=3),
        {"callbacks__EPICCallback__medoid_fraction": [0.05, 0.4]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    best = search.best_estimator_
    wanted = search.best_params_["callbacks__EPICCallback__medoid_fraction"]
    assert dict(best.callbacks_)["EPICCallback"].medoid_fraction == wanted
    assert 0 < len(best.kept_indices_) < N_ROWS
    others = [
        clone(best).set_params(callbacks__EPICCallback__medoid_fraction=f).fit(X, y)
        for f in (0.05, 0.4)
    ]
    assert len(others[0].kept_indices_) > len(others[1].kept_indices_)


def test_parameters_set_on_a_fitted_net_forget_no_rows():
    X, y = data()
    net = net_of(epic(), max_epochs=2).fit(X, y)
    kept = net.kept_indices_
    net.set_params(callbacks__EPICCallback__stop_after=1)
    net.partial_fit(X, y)
    np.testing.assert_array_equal(net.kept_indices_, kept)


# Beside the rest of skorch and torch


def test_learning_rate_schedules_and_early_stopping_work():
    X, y = data()
    steps = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
    net = net_of(epic(), ("lr", steps), max_epochs=6).fit(X, y)
    rates = [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    np.testing.assert_allclose(net.history[:, "event_lr"], rates)
    stop = EarlyStopping(patience=2, threshold=10.0, threshold_mode="abs")
    net = net_of(epic(), stop, max_epochs=20, callbacks__EarlyStopping__sink=str)
    assert len(net.fit(X, y).history) == 3


def test_scores_on_training_rows_see_the_rows_that_are_left():
    X, y = data()
    sizes = []

    def size(net, X, y=None):
        sizes.append(len(y))
        return 0.0

    scoring = EpochScoring(size, on_train=True, name="size", use_caching=False)
    net = net_of(epic(), scoring).fit(X, y)
    assert sizes == net.history[:, "n_kept"]


def test_mixed_precision():
    class Mixed(FilteredNetClassifier):
        def infer(self, x, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().infer(x, **fit_params)

    X, y = data()
    net = net_of(epic(), cls=Mixed, train_split=None).fit(X, y)
    assert net.module_(torch.from_numpy(X)).dtype == torch.float32
    assert net.infer(torch.from_numpy(X)).dtype == torch.bfloat16
    proxies = net.gradient_proxies(X, y)
    assert proxies.dtype == np.float32
    # In bfloat16, rows of three numbers would add up to zero within 1e-2 only.
    np.testing.assert_allclose(proxies.sum(axis=1), 0, atol=1e-6)
    assert len(net.kept_indices_) < len(net.pool_.train_rows)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled_modules():
    X, y = data()
    plain = net_of(epic()).fit(X, y)
    compiled = net_of(epic(), compile=True, compile__backend="eager").fit(X, y)
    np.testing.assert_array_equal(compiled.dropped_at_, plain.dropped_at_)
    assert hasattr(compiled.module_, "_orig_mod")


def test_double_precision():
    X, y = data()
    net = net_of(epic(), module=Module().double()).fit(X.astype(np.float64), y)
    assert net.gradient_proxies(X.astype(np.float64), y).dtype == np.float32


class Pair(nn.Module):
    """Takes a list of two arrays."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Bilinear(N_FEATURES, N_FEATURES, N_CLASSES)

    def forward(self, X):
        return self.inner(*X)


class Columns(nn.Module):
    """Takes the columns of a data frame, by name."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(N_FEATURES, N_CLASSES)

    def forward(self, **columns):
        return self.inner(torch.cat(list(columns.values()), dim=1))


def inputs_of(kind, X):
    if kind == "images":
        module = nn.Sequential(
            nn.Conv2d(1, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        return X[:, 1:].reshape(-1, 1, 2, 3), module
    if kind == "frame":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame(X[:, 1:], columns=list("abcdef")), Columns
    return {
        "sparse": (sparse.csr_matrix(X), Module),
        "dict": ({"X": X}, Module),
        "list": ([X[:, 1:], X[:, 1:]], Pair),
        "tensor": (torch.from_numpy(X), Module),
    }[kind]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writ:UserWarning")
@pytest.mark.parametrize(
    "kind", ["images", "sparse", "dict", "frame", "list", "tensor"]
)
def test_any_input_that_skorch_takes(kind):
    X, y = data()
    inputs, module = inputs_of(kind, X)
    net = net_of(epic(0.5), module=module, max_epochs=3)
    net.fit(inputs, y).partial_fit(inputs, y)
    assert 0 < len(net.kept_indices_) < len(net.pool_.train_rows)
    # The same data again, whatever they are: what was dropped before stays so.
    assert ((net.dropped_at_ > 0) & (net.dropped_at_ <= 3)).any()


def test_a_split_given_beforehand_and_a_subset_of_the_user():
    X, y = data()
    dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    rows = np.arange(40, 200)
    valid = Subset(dataset, np.arange(40))
    net = net_of(epic(), SeenRows(), train_split=predefined_split(valid))
    net.fit(Subset(dataset, rows), None)
    assert len(net.dropped_at_) == 160
    np.testing.assert_array_equal(sorted(seen_rows(net)[-1]), rows[net.kept_indices_])


# Refusals


def test_plain_skorch_nets_are_refused():
    X, y = data()
    with pytest.raises(
        TypeError, match="FilteredNetClassifier, and not in a NeuralNet"
    ):
        net_of(epic(), cls=skorch.NeuralNetClassifier).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"medoid_fraction": 0.0}, "medoid_fraction"),
        ({"every": 0}, "every"),
        ({"stop_after": 0}, "stop_after=0 must not be less than warmup=1"),
        ({"ground_set": "rest"}, "ground_set"),
        ({"min_class_rows": 0}, "min_class_rows"),
    ],
)
def test_wrong_parameters_are_refused_before_training(options, message):
    net = net_of(epic(**options))
    with pytest.raises(ValueError, match=message):
        net.fit(*data())
    assert not net.history


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(7, 1)), "two classes or more"),
        (
            nn.Sequential(nn.Linear(7, 3), nn.Unflatten(1, (3, 1))),
            "two classes or more",
        ),
    ],
)
def test_outputs_that_are_no_logits_are_refused(module, message):
    X, y = data()
    net = net_of(module=module).initialize()
    with pytest.raises(ValueError, match=message):
        net.gradient_proxies(X, y)


def test_labels_that_are_no_class_numbers_are_refused():
    X, y = data()
    net = net_of(max_epochs=1).fit(X, y)
    for labels, message in [
        (y + 1, "from 1 to 3"),
        (y - 1, "from -1 to"),
        (y.astype(np.float32), "whole numbers"),
        (np.eye(3)[y], "whole numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            net.gradient_proxies(X, labels)


def test_diverged_training_is_an_error():
    X, y = data()
    X[200, 2] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        net_of(epic()).fit(X, y)


def test_probabilities_where_the_criterion_wants_them():
    X, y = data()
    module = nn.Sequential(nn.Linear(7, 3), nn.Softmax(dim=1))
    net = net_of(module=module, criterion=nn.NLLLoss).initialize()
    expected = net.predict_proba(X) - np.eye(3)[y]
    np.testing.assert_allclose(net.gradient_proxies(X, y), expected, atol=1e-6)
    net = net_of(module=nn.Linear(7, 3), criterion=nn.NLLLoss).initialize()
    with pytest.raises(ValueError, match="add up to one"):
        net.gradient_proxies(X, y)
    net = net_of(
        module=nn.Linear(7, 3), predict_nonlinearity=torch.sigmoid
    ).initialize()
    with pytest.raises(ValueError, match="add up to one"):
        net.gradient_proxies(X, y)


def test_datasets_without_length_are_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from zip(*data(), strict=True)

    net = net_of(epic(), iterator_train__shuffle=False)
    with pytest.raises(TypeError, match="IterableDataset"):
        net.fit(Stream(), None)


def test_rows_are_unknown_before_fitting():
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = net_of().kept_indices_
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = net_of().initialize().dropped_at_


# Loading and documentation


def test_torch_loads_on_first_use_only():
    program = "import sys, skpoison.neural; print('torch' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True).strip() == "False"


def test_only_public_names_are_listed():
    import skpoison.neural

    names = [name for name in dir(skpoison.neural) if not name.startswith("__")]
    assert names == sorted(skpoison.neural.__all__)


def test_missing_torch_is_explained(monkeypatch):
    import skpoison.neural

    monkeypatch.setattr(skpoison.neural, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="torch and skorch: pip install torch skorch"):
        _ = skpoison.neural.EPICCallback
    with pytest.raises(AttributeError, match="no attribute 'rubbish'"):
        _ = skpoison.neural.rubbish


def test_parameters_and_attributes_are_documented():
    import inspect

    sections = ClassDoc(EPICCallback)
    documented = {parameter.name for parameter in sections["Parameters"]}
    assert documented == set(inspect.signature(EPICCallback).parameters)
    X, y = data()
    fitted = net_of(epic()).fit(X, y)
    for parameter in ClassDoc(FilteredNetClassifier)["Attributes"]:
        assert hasattr(fitted, parameter.name)
    for parameter in sections["Attributes"]:
        assert hasattr(dict(fitted.callbacks_)["EPICCallback"], parameter.name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_cuda_device():
    X, y = data(2000)
    options = {"device": "cuda", "max_epochs": 3}
    plain = net_of(cls=skorch.NeuralNetClassifier, **options).fit(X, y)
    after = torch.rand(3, device="cuda")
    with pytest.warns(FilterWarning):
        filtered = net_of(epic(max_drop_fraction=0.0), **options).fit(X, y)
    assert torch.equal(after, torch.rand(3, device="cuda"))
    assert_same_weights(plain, filtered)
    found = [net_of(epic(backend=b), **options).fit(X, y) for b in ("auto", "numpy")]
    np.testing.assert_array_equal(found[0].dropped_at_, found[1].dropped_at_)
