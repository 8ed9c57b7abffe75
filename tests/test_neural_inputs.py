"""Labels, rows and networks that nets take, and those of which they say why not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skorch.dataset import ValidSplit  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.neural import (  # noqa: E402
    EPICCallback,
    FilteredNetClassifier,
    GradientMatchingAttack,
    evaluate_targeted,
)
from skpoison.neural._seeded import seeded, streams_restored  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def data(n_rows=120):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 3
    X = rng.random((n_rows, 7)).astype("float32")
    X[np.arange(n_rows), y] *= 0.3
    return X, y


def net_of(module=None, train_split=None, **params):
    torch.manual_seed(0)
    module = nn.Linear(7, 3) if module is None else module
    epic = EPICCallback(0.3, warmup=1, every=1, min_class_rows=1)
    given = {"lr": 0.3, "batch_size": 32, "max_epochs": 3, "callbacks": [epic]}
    return FilteredNetClassifier(
        module, train_split=train_split, verbose=0, **given | params
    )


@pytest.mark.parametrize(
    "kind",
    [
        lambda y: y.astype(np.int32),
        lambda y: y.astype(np.uint64),
        lambda y: y.astype(object),
        lambda y: pd.Series(y.astype(np.int16), index=np.arange(len(y)) + 5),
        lambda y: torch.tensor(y).int(),
    ],
    ids=["int32", "uint64", "object", "Series", "tensor"],
)
@pytest.mark.parametrize("stratified", [False, True])
def test_whole_numbers_of_any_type_are_labels(kind, stratified):
    X, y = data()
    split = ValidSplit(4, stratified=stratified)
    plain, other = (net_of(train_split=split).fit(X, labels) for labels in (y, kind(y)))
    assert (plain.dropped_at_ > 0).any()
    np.testing.assert_array_equal(plain.dropped_at_, other.dropped_at_)
    np.testing.assert_array_equal(plain.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (lambda y: y.astype(str), "whole numbers from 0; got"),
        (lambda y: y.astype(str).astype(object), "whole numbers from 0; got"),
        (lambda y: pd.Series(y.astype(str)).astype("category"), "from 0; got"),
        (lambda y: y.astype(np.float64), "whole numbers, one for each row"),
        (lambda y: y + 1, "must be from 0 to 2, .* they are from 1 to 3"),
        (lambda y: y - 1, "they are from -1 to 1"),
    ],
    ids=["text", "objects", "category", "floats", "above", "below"],
)
def test_other_labels_are_refused(kind, message):
    X, y = data()
    with pytest.raises(ValueError, match=rf"{message}.*LabelEncoder"):
        net_of().fit(X, kind(y))


def test_rows_of_another_precision_are_explained():
    X, y = data()
    for kind in ("float64", "uint8"):
        with pytest.raises(TypeError, match=rf"rows are torch.{kind}.*torch.float32"):
            net_of().fit(X.astype(kind), y)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        net_of().fit(X[:, 1:], y)


class Broken(nn.Module):
    """Fails for a reason that has nothing to do with precision."""

    def __init__(self, error):
        super().__init__()
        self.layer, self.error = nn.Linear(7, 3), error

    def forward(self, X):
        raise self.error


@pytest.mark.parametrize("kind", ["uint8", "float64", "int64", "float32"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("The size of tensor a (8) must match the size of tensor b (9)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR, along with no point"),
    ],
)
def test_other_errors_of_a_module_stay_what_they_are(error, kind):
    X, y = data()
    with pytest.raises(type(error)) as caught:
        net_of(Broken(error)).fit(X.astype(kind), y)
    assert caught.value is error


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64", "float16"])
@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(7, 3),
        nn.Sequential(nn.Unflatten(1, (7, 1)), nn.Conv1d(7, 3, 1), nn.Flatten()),
        nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 3)),
        nn.Sequential(nn.LayerNorm(7), nn.Linear(7, 3)),
        nn.Sequential(nn.PReLU(), nn.Linear(7, 3)),
    ],
    ids=["linear", "convolution", "batches", "layers", "prelu"],
)
def test_errors_of_every_module_about_precision_are_explained(module, kind):
    X, y = data()
    with pytest.raises(TypeError, match=rf"rows are torch.{kind}, and parameters"):
        net_of(module).fit(X.astype(kind), y)


def test_a_seed_is_put_back_even_where_cuda_has_not_started(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with seeded(5):
        assert torch.initial_seed() == seeds[-1] == 5
    assert torch.equal(torch.get_rng_state(), before)
    # What CUDA would draw from, had nothing been seeded in between.
    assert seeds == [11, 5, 11]
    with streams_restored():
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeds == [11, 5, 11]


def test_tables_with_numbers_for_names_are_refused():
    X, y = data()
    with pytest.raises(TypeError, match=r"give X.to_numpy\(\)"):
        net_of().fit(pd.DataFrame(X), y)


def test_a_stratified_split_of_a_dataset_needs_labels():
    X, y = data()
    dataset = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    net = net_of(train_split=ValidSplit(4, stratified=True))
    with pytest.raises(ValueError, match="give y beside the Dataset"):
        net.fit(dataset, None)
    net.fit(dataset, y)
    net.set_params(train_split=ValidSplit(4)).fit(dataset, None)


def test_probabilities_where_logits_are_wanted_are_noticed():
    X, y = data()
    module = nn.Sequential(nn.Linear(7, 3), nn.Softmax(dim=1))
    with pytest.warns(FilterWarning, match="returns probabilities") as seen:
        net_of(module, max_epochs=2).fit(X, y)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    net_of(module, criterion=nn.NLLLoss).fit(X, y)


def test_an_attack_whose_net_was_forgotten_says_so():
    X, y = data()
    net = net_of(callbacks=None).fit(X, y)
    one = GradientMatchingAttack(net, epsilon=0.1, n_steps=1)
    arguments = {}, net, X, y, X, y
    with pytest.raises(TypeError, match=r"resets .* net.module_, or FrozenEstimator"):
        evaluate_targeted(one, *arguments, n_targets=1)
    one.set_params(net=FrozenEstimator(net))
    evaluate_targeted(one, *arguments, n_targets=1)
