"""Data that read their rows on demand, and what plain skorch does with them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from scipy import sparse  # noqa: E402
from skorch.dataset import Dataset as SkorchDataset  # noqa: E402
from skorch.dataset import ValidSplit  # noqa: E402
from skorch.helper import SliceDataset, predefined_split  # noqa: E402
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
from torch.utils.data import (  # noqa: E402
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.neural import FilteredNetClassifier  # noqa: E402
from skpoison.neural._subset import RowsOf  # noqa: E402


class Rows(Dataset):
    """Counts what is read, and cannot be pickled."""

    def __init__(self, X, y):
        self.X, self.targets, self.reads = X, y, []
        self.names = ("zero", "one", "two")
        self.unpicklable = lambda: None

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        self.reads.append(int(row))
        return self.X[row], self.targets[row]

    def double(self, value):
        return 2 * value


def test_slices_of_a_dataset_are_not_read_to_be_known_again():
    X, y = data()
    rows = Rows(X, y)
    net = net_of(epic(), max_epochs=2, train_split=None, batch_size=64)
    net.fit(SliceDataset(rows), y)
    # Two epochs, one round of scoring: every row three times, less what was dropped.
    assert len(rows.reads) == sum(net.history[:, "n_kept"]) + N_ROWS
    gone = net.dropped_at_ > 0
    assert gone.any()
    net.partial_fit(SliceDataset(rows), y)
    assert net.dropped_at_[gone].all()


def test_slices_give_what_their_rows_give():
    X, y = data()
    whole = net_of(epic()).fit(X, y)
    parts = net_of(epic()).fit(SliceDataset(Rows(X, y)), y)
    np.testing.assert_array_equal(whole.dropped_at_, parts.dropped_at_)
    assert_same_weights(whole, parts)
    half = SliceDataset(Rows(X, y))[np.arange(0, N_ROWS, 2)]
    first = net_of(epic()).fit(half, y[::2])
    other_half = SliceDataset(half.dataset)[np.arange(1, N_ROWS, 2)]
    assert first.dropped_at_.any()
    first.set_params(callbacks__EPICCallback__stop_after=1)
    with pytest.warns(FilterWarning, match="another Dataset object"):
        first.partial_fit(other_half, y[::2])
    assert not first.dropped_at_.any()


def balanced(dataset, batch_size):
    """Reads labels of the Dataset, as samplers against imbalance do."""
    counts = np.bincount(dataset.targets)
    weights = 1 / counts[dataset.targets]
    assert len(weights) == len(dataset)
    assert dataset.double(dataset.names.index("two")) == 4
    sampler = WeightedRandomSampler(weights, len(dataset))
    return DataLoader(dataset, batch_size, sampler=sampler)


def balanced_split(split, batch_size):
    """The same, of the Subset that a split for validation makes."""
    labels = np.asarray(split.dataset.targets)[split.indices]
    sampler = WeightedRandomSampler(1 / np.bincount(labels)[labels], len(labels))
    assert not hasattr(split, "targets")
    return DataLoader(split, batch_size, sampler=sampler)


@pytest.mark.parametrize(
    ("loader", "split"),
    [
        (balanced, None),
        (balanced, "predefined"),
        (balanced_split, ValidSplit(4)),
    ],
)
def test_loaders_read_attributes_of_the_dataset(loader, split):
    X, y = data()
    if split == "predefined":
        split = predefined_split(Rows(X, y))
    options = {"iterator_train": loader, "train_split": split, "max_epochs": 3}
    options["classes"] = [0, 1, 2]

    def fitted(*callbacks, cls=FilteredNetClassifier):
        net = net_of(*callbacks, cls=cls, **options)
        del net.iterator_train__shuffle
        return net.fit(Rows(X, y), None)

    assert_same_weights(fitted(), fitted(cls=skorch.NeuralNetClassifier))
    net = fitted(epic(), SeenRows())
    assert net.history[-1, "n_kept"] < net.history[0, "n_kept"]
    assert set(seen_rows(net)[-1]) <= set(net.kept_indices_)


def test_loaders_get_the_split_itself_until_rows_are_dropped():
    X, y = data()
    dataset, given = Rows(X, y), []

    def loader(rows, **options):
        given.append(rows)
        return DataLoader(rows, **options)

    options = {"iterator_train": loader, "train_split": None, "max_epochs": 5}
    net = net_of(epic(warmup=2, stop_after=3, every=1), **options).fit(dataset, None)
    n_rounds = np.count_nonzero(net.history[:, "n_dropped"])
    assert given[0] is dataset
    assert len(given) == 1 + n_rounds == 3
    given.clear()
    with pytest.warns(match="isolated rows"):
        net_of(epic(max_drop_fraction=0.0), **options).fit(dataset, None)
    assert given == [dataset]


def test_what_has_an_entry_for_each_row_is_cut():
    X, y = data()
    kept = np.array([3, 5, 8])
    dataset = Rows(X, y)
    dataset.listed = y.tolist()
    dataset.matrix = sparse.csr_matrix(X)
    cut = RowsOf(dataset, kept)
    np.testing.assert_array_equal(cut.X, X[kept])
    assert cut.listed == y[kept].tolist() and cut.matrix.shape[0] == 3
    assert cut.names is dataset.names
    tensors = RowsOf(TensorDataset(torch.from_numpy(X), torch.tensor(y)), kept).tensors
    assert [len(part) for part in tensors] == [3, 3]
    with pytest.raises(AttributeError, match="absent"):
        _ = cut.absent
    same = RowsOf(SkorchDataset(X, y), kept)
    np.testing.assert_array_equal(same.y, [same[i][1] for i in range(3)])


class Named(FilteredNetClassifier):
    """Calls its module and its criterion by other names."""

    def initialize_module(self):
        self.network_ = self.module()
        return self

    def initialize_criterion(self):
        self.loss_ = self.criterion()
        return self

    def infer(self, x, **fit_params):
        return self.network_(x)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return self.loss_(y_pred, y_true)


def test_modules_and_criteria_of_other_names():
    X, y = data()
    named, plain = net_of(epic(), cls=Named).fit(X, y), net_of(epic()).fit(X, y)
    assert not hasattr(named, "criterion_") and not hasattr(named, "module_")
    assert plain.dropped_at_.any()
    np.testing.assert_array_equal(named.dropped_at_, plain.dropped_at_)

    class Two(Named):
        def initialize_criterion(self):
            self.loss_, self.other_ = self.criterion(), nn.NLLLoss()
            return self

    with pytest.raises(ValueError, match=r"'loss', 'other'.*give predict_non"):
        net_of(epic(), cls=Two).fit(X, y)
    softmax = {"predict_nonlinearity": lambda logits: logits.softmax(dim=1)}
    two = net_of(epic(), cls=Two, **softmax).fit(X, y)
    np.testing.assert_array_equal(two.dropped_at_, plain.dropped_at_)


def test_labels_of_several_lengths_reach_the_loss():
    X, _ = data(12)
    y = np.empty(12, dtype=object)
    y[:] = [np.ones(1 + i % 3, dtype="float32") for i in range(12)]
    seen = []

    def loss(y_pred, y_true, **kwargs):
        seen.append(y_true.shape[1])
        return y_pred.mean()

    options = {"batch_size": 1, "max_epochs": 1, "iterator_train__shuffle": False}
    net = net_of(module=nn.Linear(7, 3), train_split=None, **options)
    net.get_loss, net.check_data = loss, lambda *args: None
    net.fit(X, y)
    assert seen == [len(labels) for labels in y]


def test_a_subset_of_the_user_stays_one():
    X, y = data()
    given = []

    def loader(rows, **options):
        given.append((type(rows), rows.dataset))
        return DataLoader(rows, **options)

    dataset = Rows(X, y)
    options = {"iterator_train": loader, "train_split": None}
    net_of(epic(), **options).fit(Subset(dataset, np.arange(200)), None)
    assert len(given) > 1 and set(given) == {(Subset, dataset)}
