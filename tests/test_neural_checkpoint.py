"""Dropped rows stay dropped in whatever a training goes on from."""

import copy
import json
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import (  # noqa: E402
    Checkpoint,
    LoadInitState,
    PrintLog,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit  # noqa: E402
from skorch.helper import SliceDataset  # noqa: E402
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
from torch.utils.data import Dataset, TensorDataset  # noqa: E402

from skpoison.exceptions import FilterWarning  # noqa: E402

OPTIONS = {
    "module": nn.Linear,
    "module__in_features": 7,
    "module__out_features": 3,
    "iterator_train__shuffle": False,
    "optimizer__momentum": 0.9,
    "lr": 0.1,
}


def small_data(n_rows=N_ROWS, seed=0):
    X, y = data(n_rows, seed)
    X[:, 0] /= n_rows
    return X, y


def filtering(*callbacks, **options):
    return net_of(epic(0.4), *callbacks, **OPTIONS | {"max_epochs": 3} | options)


def arrays(X, y):
    return X, y


def rows_alone(X, y):
    return TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), None


def rows_and_labels(X, y):
    return TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), y


def sliced(X, y):
    return SliceDataset(rows_alone(X, y)[0]), y


FORMS = pytest.mark.parametrize("form", [arrays, rows_alone, rows_and_labels, sliced])
SPLITS = {rows_alone: None}


def saved(net, folder):
    files = {f"f_{name}": folder / name for name in ("params", "optimizer", "history")}
    net.save_params(**files)
    return files


@FORMS
def test_a_saved_training_goes_on_as_if_nothing_had_happened(form, tmp_path):
    options = {"train_split": SPLITS.get(form, ValidSplit(4, stratified=True))}
    whole = filtering(max_epochs=6, **options).fit(*form(*small_data()))
    first = filtering(**options).fit(*form(*small_data()))
    assert 0 < len(first.kept_indices_) < len(first.pool_.train_rows)
    files = saved(first, tmp_path)
    second = filtering(**options).initialize()
    second.load_params(**files)
    for name in ("kept_indices_", "dropped_at_"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    second.partial_fit(*form(*small_data()))
    np.testing.assert_array_equal(second.dropped_at_, whole.dropped_at_)
    assert second.history[:, "n_kept"] == whole.history[:, "n_kept"]
    assert_same_weights(second, whole)


@pytest.mark.parametrize("cls", [Checkpoint, TrainEndCheckpoint])
def test_checkpoints_of_skorch_go_on_by_default(cls, tmp_path):
    X, y = small_data()
    options = {"dirname": str(tmp_path)}
    if cls is Checkpoint:
        options["monitor"] = None
    whole = filtering(max_epochs=6).fit(X, y)
    for _ in range(2):
        checkpoint = cls(**options)
        net = filtering(checkpoint, LoadInitState(checkpoint)).fit(X, y)
    np.testing.assert_array_equal(net.dropped_at_, whole.dropped_at_)
    assert_same_weights(net, whole)


@FORMS
def test_other_data_are_an_error(form, tmp_path):
    X, y = small_data()
    options = {"train_split": None}
    files = saved(filtering(**options).fit(*form(X, y)), tmp_path)
    other_rows = small_data(seed=1)[0], y
    fewer = X[:100], y[:100]
    wrong = [(X, (y + 1) % 3), fewer] + [other_rows] * (form is arrays)
    for others in wrong:
        net = filtering(**options).initialize()
        net.load_params(**files)
        with pytest.raises(ValueError, match=r"rows given now are different, or have"):
            net.partial_fit(*form(*others))
    del files["f_history"]
    net = filtering(**options).initialize()
    net.load_params(**files)
    with pytest.warns(FilterWarning, match="no row counts as dropped") as caught:
        given = form(*others)
        net.partial_fit(*given).partial_fit(*given)
    assert len(caught) == 1


def test_the_best_checkpoint_is_loaded_with_the_rows_of_its_time(tmp_path):
    X, y = small_data()
    checkpoint = Checkpoint(
        monitor=lambda net: len(net.history) == 2,
        load_best=True,
        dirname=str(tmp_path),
    )
    net = filtering(checkpoint, max_epochs=4).fit(X, y)
    earlier = filtering(max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(net.dropped_at_, earlier.dropped_at_)
    np.testing.assert_array_equal(net.kept_indices_, earlier.kept_indices_)
    net.set_params(callbacks__Checkpoint=None, max_epochs=2)
    net.initialize_callbacks()
    whole = filtering(max_epochs=4).fit(X, y)
    np.testing.assert_array_equal(net.partial_fit(X, y).dropped_at_, whole.dropped_at_)


def test_weights_of_the_best_epoch_alone_leave_the_rows_as_they_are(tmp_path):
    X, y = small_data()
    checkpoint = Checkpoint(
        monitor=lambda net: len(net.history) == 2,
        f_history=None,
        load_best=True,
        dirname=str(tmp_path),
    )
    net = filtering(checkpoint, max_epochs=4).fit(X, y)
    plain = filtering(max_epochs=4).fit(X, y)
    np.testing.assert_array_equal(net.dropped_at_, plain.dropped_at_)
    net.partial_fit(X, y)


def test_a_history_that_does_not_say_which_rows_is_an_error(tmp_path):
    X, y = small_data()
    files = saved(filtering().fit(X, y), tmp_path)
    history = json.loads(files["f_history"].read_text())
    for row in history:
        del row["event_rows"]
    files["f_history"].write_text(json.dumps(history))
    net = filtering().initialize()
    with pytest.raises(ValueError, match="dropped in epoch 2, but not which"):
        net.load_params(**files)


def test_histories_of_nets_that_drop_nothing_load_as_ever(tmp_path):
    X, y = small_data()
    plain = net_of(**OPTIONS).fit(X, y)
    assert "event_rows" not in plain.history[-1]
    files = saved(plain, tmp_path)
    net = filtering().initialize()
    net.load_params(**files)
    assert net.partial_fit(X, y).dropped_at_.any()


def test_a_history_of_several_data_speaks_of_the_last(tmp_path):
    X, y = small_data()
    other = small_data(200, seed=1)
    net = filtering().fit(X, y).partial_fit(*other)
    files = saved(net, tmp_path)
    again = filtering().initialize()
    again.load_params(**files)
    np.testing.assert_array_equal(again.dropped_at_, net.dropped_at_)
    with pytest.raises(ValueError, match="240 rows given now are different"):
        again.partial_fit(X, y)


def test_another_split_is_written_down(tmp_path):
    X, y = data()
    np.random.seed(0)  # noqa: NPY002
    net = net_of(epic(), train_split=ValidSplit(0.25, stratified=True)).fit(X, y)
    net.partial_fit(X, y)
    files = saved(net, tmp_path)
    again = net_of(epic(), SeenRows(), train_split=None).initialize()
    again.load_params(**files)
    np.testing.assert_array_equal(again.kept_indices_, net.kept_indices_)
    again.partial_fit(X, y)
    gone = np.flatnonzero(net.dropped_at_)
    assert len(gone) and not np.isin(seen_rows(again)[0], gone).any()


def pickled(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_go_on_with_a_dataset_they_have_not_seen(copied):
    options = {"train_split": None}
    first = filtering(**options).fit(*rows_alone(*small_data()))
    other = copied(first)
    other.partial_fit(*rows_alone(*small_data()))
    whole = filtering(max_epochs=6, **options).fit(*small_data())
    np.testing.assert_array_equal(other.dropped_at_, whole.dropped_at_)


class Drawing(Dataset):
    """Draws a random number for each row that is read."""

    def __init__(self, X, y):
        self.X, self.y, self.n_read = X, y, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        self.n_read += 1
        torch.rand(())
        return self.X[row], self.y[row]


def test_looking_at_labels_reads_few_rows_and_moves_no_random_stream():
    X, y = small_data()
    options = {"train_split": None, "max_epochs": 2}
    net = pickled(filtering(**options).fit(Drawing(X, y), None))
    net.set_params(max_epochs=0)
    dataset = Drawing(X, y)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    net.partial_fit(dataset, None)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 < dataset.n_read <= 64


def test_what_is_written_is_not_printed():
    X, y = small_data()
    lines = []
    net = filtering(PrintLog(sink=lines.append), verbose=1, max_epochs=2)
    net.set_params(callbacks__print_log__sink=lines.append)
    net.fit(X, y)
    assert len(lines) >= 8
    assert not any("dropped'" in line or "rows  " in line for line in lines)
