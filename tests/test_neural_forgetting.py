"""What EPIC's callback makes a network forget, and rows that come back."""

import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from sklearn.base import clone  # noqa: E402
from skorch.callbacks import Callback, Checkpoint, LoadInitState  # noqa: E402
from test_neural_net import (  # noqa: E402
    N_ROWS,
    SeenRows,
    assert_same_weights,
    data,
    epic,
    net_of,
    one_thread,  # noqa: F401
    seen_rows,
)
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402
from torch.utils.data import DataLoader, WeightedRandomSampler  # noqa: E402

from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.inspection import EPICDisplay  # noqa: E402
from skpoison.neural import (  # noqa: E402
    EPICCallback,
    FilteredNetBinaryClassifier,
    FilteredNetClassifier,
    FilteredNetRegressor,
)
from skpoison.neural._forgetting import LEFT, find_head  # noqa: E402
from skpoison.neural._proxies import are_right, gradient_proxies  # noqa: E402
from skpoison.neural._recorded import left_out  # noqa: E402


def forgetting(forget="reset-head", **options):
    return epic(forget=forget, **{"stop_after": 2} | options)


class States(Callback):
    """Parameters and sizes of momentum, before the first batch of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []
        self.is_first = False

    def on_epoch_begin(self, net, **kwargs):
        self.is_first = True

    def on_batch_begin(self, net, training=None, **kwargs):
        if training and self.is_first:
            state = copy.deepcopy(net.module_.state_dict())
            self.seen_.append((state, len(net.optimizer_.state)))
            self.is_first = False


def before_each_epoch(*callbacks, **options):
    X, y = data()
    options = {"optimizer__momentum": 0.9, "train_split": None} | options
    net = net_of(*callbacks, States(), **options).fit(X, y)
    return net, dict(net.callbacks_)["States"].seen_


def names_changed(one, other):
    return {name for name in one if not torch.equal(one[name], other[name])}


# Forgetting


def test_the_head_alone_is_drawn_again_at_the_last_round():
    _, plain = before_each_epoch(epic(stop_after=2))
    net, seen = before_each_epoch(forgetting())
    for epoch in (0, 1):
        assert not names_changed(plain[epoch][0], seen[epoch][0])
        assert seen[epoch][1] == plain[epoch][1]
    head = {"layers.4.weight", "layers.4.bias"}
    assert names_changed(plain[2][0], seen[2][0]) == head
    assert plain[2][1] > 0 and seen[2][1] == 0
    limit = net.module_.layers[4].in_features ** -0.5
    assert seen[2][0]["layers.4.weight"].abs().max() <= limit
    assert plain[2][0]["layers.4.weight"].abs().max() > limit


def test_rewinding_leads_back_to_where_training_began():
    class Frozen(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.layers[0].requires_grad_(False)

    _, plain = before_each_epoch(Frozen(), epic(stop_after=2))
    _, seen = before_each_epoch(Frozen(), forgetting("rewind"))
    for name, value in seen[2][0].items():
        start, then = (plain[epoch][0][name] for epoch in (0, 2))
        left = LEFT if value.is_floating_point() else 1
        torch.testing.assert_close(value, start + left * (then - start))
    changed = names_changed(plain[0][0], seen[2][0])
    assert {"layers.4.weight", "layers.1.running_var"} < changed
    assert not changed & {"layers.0.weight", "layers.0.bias"}
    assert seen[2][1] == 0


@pytest.mark.parametrize("every", [1, 2, 3])
def test_it_happens_once_after_the_last_drop(every):
    _, plain = before_each_epoch(epic(every=every, stop_after=5), max_epochs=8)
    net, seen = before_each_epoch(forgetting(every=every, stop_after=5), max_epochs=8)
    last = 1 + (4 // every) * every
    assert names_changed(plain[last - 1][0], seen[last - 1][0]) == set()
    assert names_changed(plain[last][0], seen[last][0])
    without_momentum = [epoch for epoch, (_, n) in enumerate(seen) if n == 0]
    assert without_momentum == [0, last]
    assert np.flatnonzero(net.history[:, "n_dropped"])[-1] == last


def lazy(normalized=True):
    parts = [nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3)]
    return nn.Sequential(*(parts if normalized else [parts[0], parts[3]]))


@pytest.mark.parametrize("normalized", [True, False])
def test_layers_may_get_their_shape_from_the_first_rows(normalized):
    options = {"module": lazy, "module__normalized": normalized, "lr": 1e-4}
    _, plain = before_each_epoch(forgetting(stop_after=3), **options)
    net, seen = before_each_epoch(forgetting(), **options)
    n_before = len(net.module_) - 1
    head = {f"{n_before}.weight", f"{n_before}.bias"}
    assert not any(names_changed(plain[epoch][0], seen[epoch][0]) for epoch in (0, 1))
    assert names_changed(plain[2][0], seen[2][0]) == head
    _, back = before_each_epoch(forgetting("rewind"), **options)
    assert head < names_changed(plain[2][0], back[2][0])


def test_layers_that_are_trained_later_are_rewound_too():
    class Thaw(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.layers[0].requires_grad_(False)

        def on_epoch_begin(self, net, **kwargs):
            net.module_.layers[0].requires_grad_(len(net.history) > 1)

    _, plain = before_each_epoch(epic(stop_after=2), Thaw())
    _, seen = before_each_epoch(forgetting("rewind"), Thaw())
    name = "layers.0.weight"
    first, second, third = (state[0][name] for state in plain[:3])
    assert torch.equal(first, second) and not torch.equal(second, third)
    torch.testing.assert_close(seen[2][0][name], first + LEFT * (third - first))


@pytest.mark.parametrize("forget", ["reset-head", "rewind"])
def test_averages_over_batches_do_not_remember(forget):
    X, y = data()
    net = net_of(forgetting(forget), train_split=None, max_epochs=3)
    net.initialize()
    net.module_.layers[1].momentum = None
    net.partial_fit(X, y)
    n_batches = -(-net.history[-1, "n_kept"] // net.batch_size)
    assert net.module_.layers[1].num_batches_tracked == n_batches


class Heads(nn.Module):
    """The head is registered first and runs before another layer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.body = nn.Linear(7, 6)
        self.side = nn.Linear(6, 2)

    def forward(self, X):
        hidden = self.body(X)
        output = self.head(hidden)
        return output, self.side(hidden)


class Joined(nn.Module):
    """Two layers, or the weights of one that does not run, make the output."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.body, self.first, self.second = (nn.Linear(7, n) for n in (7, 3, 3))

    def forward(self, X):
        hidden = self.body(X).relu()
        if self.how == "weights":
            return nn.functional.linear(hidden, self.first.weight)
        one = self.first(hidden)
        if self.how == "auxiliary":
            self.kept = self.second(hidden)
            return 1.0 * one
        two = self.second(X if self.how == "skip" else hidden)
        return one + two if self.how == "skip" else one * two.sigmoid()


class Tied(nn.Module):
    """Input and output share a matrix, as in models of language."""

    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.head = (nn.Linear(7, 7) for _ in range(3))
        self.head.weight = self.embedding.weight

    def forward(self, X):
        return self.head(self.body(self.embedding(X)).relu())


class Custom(nn.Module):
    """A layer that cannot draw its parameters again."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(7, 3))

    def forward(self, X):
        return X @ self.weight


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.Linear(7, 3), ""),
        (nn.Sequential(nn.Linear(7, 4), nn.Linear(4, 3), nn.BatchNorm1d(3)), "1"),
        (nn.Sequential(nn.Linear(7, 3), nn.Unflatten(1, (3, 1)), nn.Flatten()), "0"),
        (Heads(), "head"),
        (
            nn.Sequential(
                nn.Unflatten(1, (7, 1)),
                nn.Conv1d(7, 3, 1),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
            ),
            "1",
        ),
    ],
)
def test_the_head_is_the_layer_that_makes_the_output(module, name):
    X, y = data()
    net = net_of(module=module).initialize()
    state = torch.get_rng_state()
    found = find_head(net, None, net.get_dataset(X, y))
    assert found is net.module_.get_submodule(name)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(layer._forward_hooks for layer in net.module_.modules())


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled_modules_have_a_head():
    X, y = data()
    plain = net_of(forgetting()).fit(X, y)
    net = net_of(forgetting(), compile=True, compile__backend="eager").fit(X, y)
    np.testing.assert_array_equal(net.dropped_at_, plain.dropped_at_)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (Custom(), {}, "the module has none. forget='rewind'"),
        (nn.Sequential(nn.Linear(7, 7), Custom()), {}, r"one of \['0'\]"),
        (nn.Linear(7, 3), {"head": "last"}, r"head='last' must be .* one of \[''\]"),
        (
            nn.Sequential(nn.Linear(7, 7), nn.ReLU(), nn.Linear(7, 3)),
            {"head": "1"},
            r"one of \['0', '2'\]",
        ),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(7, 3, bias=False)),
            {"head": ""},
            "leaves its parameters, or some of them, as they are",
        ),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(7, 3)),
            {"head": ""},
            "parametrized or pruned",
        ),
        (
            prune.l1_unstructured(nn.Linear(7, 3), "weight", 0.2),
            {"head": ""},
            "parametrized or pruned",
        ),
        (
            nn.utils.parametrizations.orthogonal(nn.Linear(7, 3)),
            {"head": ""},
            "parametrized or pruned",
        ),
        (nn.Linear(7, 3).requires_grad_(False), {"head": ""}, "that is frozen"),
        (Joined("weights"), {}, "on first.weight not only through the Linear"),
        (Joined("auxiliary"), {}, r"one of \['body', 'first', 'second'\]"),
        (Joined("skip"), {}, "on body.weight, first.weight not only"),
        (Joined("gate"), {}, "on body.weight, first.weight not only"),
        (Tied(), {}, "would draw embedding.weight again too"),
        (Tied(), {"head": "head"}, "would draw embedding.weight again too"),
    ],
)
def test_heads_that_cannot_be_reset_are_refused(module, options, message):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        net_of(forgetting(**options), module=module).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forget": "all"}, "'forget' parameter .* must be a str among"),
        ({"forget": "rewind", "stop_after": None}, "give stop_after"),
        ({"forget": "rewind", "readmit_after": 0}, "'readmit_after' parameter"),
        ({"readmit_after": 2}, "readmit_after=2 counts epochs from"),
        ({"proxies": "test"}, "'proxies' parameter"),
        ({"proxies": "training", "warmup": 0}, "warmup must be 1 or more; got"),
        ({"proxies": "training", "ground_set": "all"}, "must be 'remaining'"),
        ({"proxies": "training", "scoring_dataset": len}, "must be None, since"),
    ],
)
def test_wrong_parameters_are_refused_before_training(options, message):
    net = net_of(epic(**options))
    with pytest.raises(ValueError, match=message):
        net.fit(*data())
    assert not net.history


# Rows that come back


def readmitting(**options):
    return forgetting(**{"readmit_after": 1} | options)


def ends_early(n_epochs, last_round, readmit_after):
    """What warns, if anything does, of a training of so many epochs."""
    if n_epochs <= last_round:
        return pytest.warns(FilterWarning, match="has not forgotten anything")
    if n_epochs <= last_round + readmit_after:
        return pytest.warns(FilterWarning, match="no row that was dropped has come")
    return nullcontext()


def test_rows_that_are_classified_as_labeled_come_back():
    X, y = data()
    options = {"train_split": None, "max_epochs": 3}
    with ends_early(3, last_round=2, readmit_after=1):
        before = net_of(readmitting(), **options).fit(X, y)
    gone = np.flatnonzero(before.dropped_at_)
    right = gone[before.predict(X[gone]) == y[gone]]
    assert 0 < len(right) < len(gone)
    net = net_of(readmitting(), SeenRows(), **options | {"max_epochs": 4}).fit(X, y)
    assert net.history[:, "n_readmitted"] == [0, 0, 0, len(right)]
    assert net.history[-1, "n_kept"] == N_ROWS - len(gone) + len(right)
    assert sorted(seen_rows(net)[-1]) == net.kept_indices_.tolist()
    np.testing.assert_array_equal(
        np.flatnonzero(net.dropped_at_), np.setdiff1d(gone, right)
    )
    out = left_out(net, 3, N_ROWS)
    np.testing.assert_array_equal(np.flatnonzero(out), gone)
    display = EPICDisplay.from_estimator(
        net, poison_mask=np.isin(np.arange(N_ROWS), gone)
    )
    assert display.n_poison_kept[[0, 2, 3]].tolist() == [len(gone), 0, len(right)]
    display.figure_.clear()


def test_no_batch_of_one_row_comes_from_rows_that_come_back():
    X, y = data()
    options = {"train_split": None}
    n_kept = len(net_of(readmitting(), **options).fit(X, y).kept_indices_)
    # Rows before they come back make whole batches, and one row more afterwards.
    net = net_of(readmitting(), batch_size=n_kept - 1, **options)
    assert len(net.fit(X, y).kept_indices_) % (n_kept - 1) != 1


def test_ties_and_both_kinds_of_classifiers_are_told_rightly():
    X, y = data()
    net = net_of(max_epochs=2).fit(X, y)
    proxies, labels, _ = gradient_proxies(net, net.get_dataset(X, y))
    np.testing.assert_array_equal(are_right(proxies, labels), net.predict(X) == y)


def test_only_classifiers_readmit():
    X, y = data()
    net = net_of(readmitting(), cls=FilteredNetRegressor, module=nn.Linear(7, 1))
    net.set_params(criterion=nn.MSELoss, train_split=None)
    with pytest.raises(TypeError, match="readmit_after needs a net that classifies"):
        net.fit(X, y[:, None].astype("float32"))


def test_it_goes_on_in_parts_and_from_files(tmp_path):
    X, y = data()
    options = {"train_split": None, "iterator_train__shuffle": False}
    options |= {"module": nn.Linear, "optimizer__momentum": 0.9}
    options |= {"module__in_features": 7, "module__out_features": 3}
    X[:, 0] /= N_ROWS
    whole = net_of(readmitting(forget="rewind"), max_epochs=6, **options).fit(X, y)
    parts = net_of(readmitting(forget="rewind"), max_epochs=1, **options)
    for epoch in range(6):
        with ends_early(epoch + 1, last_round=2, readmit_after=1):
            parts.partial_fit(X, y)
        parts = pickle.loads(pickle.dumps(parts))
    for n_epochs in (3, 6):
        kept = Checkpoint(monitor=None, dirname=str(tmp_path))
        again = net_of(
            readmitting(forget="rewind"),
            kept,
            LoadInitState(kept),
            max_epochs=3,
            **options,
        )
        with ends_early(n_epochs, last_round=2, readmit_after=1):
            again.fit(X, y)
    for net in (parts, again):
        np.testing.assert_array_equal(net.dropped_at_, whole.dropped_at_)
        assert net.history[:, "n_kept"] == whole.history[:, "n_kept"]
        assert_same_weights(net, whole)
    assert sum(whole.history[:, "n_readmitted"])


def test_copies_of_a_fitted_callback_have_its_parameters_alone():
    X, y = data()
    options = {"forget": "rewind", "proxies": "training", "head": "layers.4"}
    net = net_of(readmitting(**options)).fit(X, y)
    fitted = dict(net.callbacks_)["EPICCallback"]
    assert set(fitted.get_params()) == set(EPICCallback().get_params())
    again = clone(net)
    torch.manual_seed(0)
    again.fit(X, y)
    net.set_params(callbacks__EPICCallback__forget=None)
    net.set_params(callbacks__EPICCallback__readmit_after=None)
    net.fit(X, y)
    assert sum(again.history[:, "n_readmitted"])
    assert "n_readmitted" not in net.history[-1]


def test_files_do_not_hold_what_training_began_with(tmp_path):
    X, y = data()
    with pytest.warns(match="after 1 epochs, .* due at the beginning of epoch 3"):
        first = net_of(forgetting("rewind"), max_epochs=1).fit(X, y)
    files = {f"f_{name}": tmp_path / name for name in ("params", "history")}
    first.save_params(**files)
    again = net_of(forgetting("rewind")).initialize()
    again.load_params(**files)
    with pytest.raises(ValueError, match="which are not known after 1 epochs"):
        again.partial_fit(X, y)


# Gradients from training


class Plain(nn.Module):
    """Without batch normalization and dropout, training mode changes nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, X):
        return self.layer(X[:, 1:])


def test_gradients_from_training_are_those_of_a_pass_if_parameters_stand_still():
    X, y = data()
    options = {"module": Plain, "lr": 1e-12, "max_epochs": 4}
    found = {
        kind: net_of(epic(0.5, proxies=kind), SeenRows(), **options).fit(X, y)
        for kind in ("scoring", "training")
    }
    at = found["scoring"].dropped_at_
    assert at.any()
    np.testing.assert_array_equal(found["training"].dropped_at_, at)
    assert (
        sorted(seen_rows(found["training"])[-1])
        == np.unique(found["training"].kept_indices_).tolist()
    )


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"iterator_train__num_workers": 1},
        {"iterator_train__num_workers": 1, "iterator_train__persistent_workers": True},
        {"iterator_train__drop_last": True},
        {"iterator_train__shuffle": False},
    ],
    ids=["workers", "persistent", "drop_last", "in order"],
)
def test_gradients_from_training_take_no_pass_and_change_no_bit(options):
    X, y = data()
    options |= {"module": Plain, "max_epochs": 3, "train_split": None}
    plain = net_of(cls=skorch.NeuralNetClassifier, **options).fit(X, y)
    keeps = epic(proxies="training", max_drop_fraction=0.0)
    with pytest.MonkeyPatch.context() as patch, pytest.warns(match="isolated rows"):
        patch.setattr("skpoison.neural._callback.gradient_proxies", None)
        net = net_of(keeps, **options).fit(X, y)
    assert_same_weights(plain, net)


def test_gradients_belong_to_their_rows_when_rows_have_gone():
    X, y = data()
    added = []

    class Watched(Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            recorded = dict(net.callbacks_)["EPICCallback"]._recorded_
            if training and recorded is not None:
                rows = batch[0][:, 0].long().numpy()
                np.testing.assert_array_equal(recorded.waiting[-1][0], rows)
                np.testing.assert_array_equal(recorded.waiting[-1][2], y[rows])
                assert recorded.seen[rows].all()
                added.append(len(rows))

    net = net_of(epic(proxies="training"), Watched(), max_epochs=5).fit(X, y)
    assert sum(added) == sum(net.history[:, "n_kept"])
    assert sum(np.array(net.history[:, "n_dropped"]) > 0) >= 3


class AtOnce(FilteredNetClassifier):
    """A net whose gradients are its own, so they are computed batch by batch."""

    def row_gradients(self, y_pred, y_true):
        return super().row_gradients(y_pred, y_true)


class BinaryAtOnce(FilteredNetBinaryClassifier):
    """The same with one output."""

    def row_gradients(self, y_pred, y_true):
        return super().row_gradients(y_pred, y_true)


class Single(Plain):
    """The logit of one class."""

    def forward(self, X):
        return super().forward(X)[:, 0]


@pytest.mark.parametrize(
    ("cls", "at_once", "module"),
    [
        (FilteredNetClassifier, AtOnce, Plain),
        (FilteredNetBinaryClassifier, BinaryAtOnce, Single),
    ],
)
@pytest.mark.parametrize("replacement", [False, True])
def test_gradients_are_the_same_batch_by_batch(cls, at_once, module, replacement):
    X, y = data()
    y = np.minimum(y, 1) if module is Single else y

    def drawn(dataset, batch_size):
        sampler = WeightedRandomSampler(
            np.ones(len(dataset)), len(dataset), replacement
        )
        return DataLoader(dataset, batch_size, sampler=sampler)

    found = []
    for kind in (cls, at_once):
        net = net_of(epic(0.5, proxies="training"), cls=kind, module=module)
        net.set_params(iterator_train=drawn)
        if module is Single:
            net.set_params(criterion=nn.BCEWithLogitsLoss)
        del net.iterator_train__shuffle
        found.append(net.fit(X, y))
    assert found[0].dropped_at_.any()
    np.testing.assert_array_equal(found[0].dropped_at_, found[1].dropped_at_)
    assert_same_weights(*found)


def test_rows_that_were_not_trained_on_are_not_judged():
    X, y = data()

    def few(dataset, batch_size):
        sampler = WeightedRandomSampler(np.ones(len(dataset)), len(dataset) // 2)
        return DataLoader(dataset, batch_size, sampler=sampler)

    net = net_of(
        epic(1.0, proxies="training"), SeenRows(), iterator_train=few, max_epochs=2
    )
    del net.iterator_train__shuffle
    with pytest.warns(match="isolated rows"):
        net.fit(X, y)
    gone = np.flatnonzero(net.dropped_at_)
    assert set(gone) <= set(seen_rows(net)[0]) and len(gone)


def without_a_row(batch):
    return torch.utils.data.default_collate(batch[1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterator_train__collate_fn": without_a_row}, "a batch of 31 rows was made"),
        ({"iterator_train": lambda rows, **_: [rows]}, "it made a list"),
        (
            {"iterator_train__in_order": False, "iterator_train__num_workers": 1},
            "in_order=False",
        ),
    ],
)
def test_loaders_whose_rows_are_unknown_are_refused(options, message):
    X, y = data()
    net = net_of(epic(proxies="training"), train_split=None, **options)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)


def test_gradients_from_training_go_on_in_parts_and_pickled():
    X, y = data()
    options = {"train_split": None, "max_epochs": 6}
    whole = net_of(epic(proxies="training", every=2), **options).fit(X, y)
    parts = net_of(epic(proxies="training", every=2), **options | {"max_epochs": 3})
    parts.fit(X, y)
    state = torch.get_rng_state()
    copied = pickle.loads(pickle.dumps(parts))
    for net in (parts, copied):
        torch.set_rng_state(state)
        net.partial_fit(X, y)
        np.testing.assert_array_equal(net.dropped_at_, whole.dropped_at_)
        assert_same_weights(net, whole)


def test_diverged_training_is_an_error_there_too():
    X, y = data()
    X[200, 2] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        net_of(epic(proxies="training")).fit(X, y)


def test_after_loading_a_file_the_first_round_takes_a_pass(tmp_path, monkeypatch):
    X, y = data()
    first = net_of(epic(proxies="training", every=2), max_epochs=3).fit(X, y)
    files = {f"f_{name}": tmp_path / name for name in ("params", "history")}
    first.save_params(**files)
    again = net_of(epic(proxies="training", every=2)).initialize()
    again.load_params(**files)
    passes = []

    def watched(net, dataset):
        passes.append(len(net.history))
        return gradient_proxies(net, dataset)

    monkeypatch.setattr("skpoison.neural._callback.gradient_proxies", watched)
    again.partial_fit(X, y)
    assert passes == [4]
    assert again.history[3, "n_dropped"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("forget", ["reset-head", "rewind"])
def test_on_a_cuda_device(forget):
    X, y = data(2000)
    options = {"forget": forget, "proxies": "training", "stop_after": 3, "every": 2}
    net = net_of(readmitting(**options), device="cuda", max_epochs=6).fit(X, y)
    assert sum(net.history[:, "n_readmitted"]) and net.dropped_at_.any()
    early = net_of(readmitting(**options), device="cuda", max_epochs=1)
    with pytest.warns(match="not forgotten"):
        early.fit(X, y)
    held = pickle.loads(pickle.dumps(dict(early.callbacks_)["EPICCallback"]))
    assert held._recorded_.gradients.device.type == "cpu"
    early.set_params(max_epochs=5).partial_fit(X, y)
    assert sum(early.history[:, "n_readmitted"])
