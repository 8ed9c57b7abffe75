"""Networks whose fast kernels have no second derivative, or none at all."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from torch import nn  # noqa: E402
from torch.nn.functional import (  # noqa: E402
    cross_entropy,
    scaled_dot_product_attention,
)

from skpoison.neural import (  # noqa: E402
    BullseyePolytopeAttack,
    FilteredNetClassifier,
    GradientMatchingAttack,
    SleeperAgentAttack,
    Trigger,
)
from skpoison.neural._gradients import LossGradients  # noqa: E402

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
        ],
    ),
]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def data(n_rows=60):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 3
    X = rng.random((n_rows, 8)).astype("float32")
    X[np.arange(n_rows), y] *= 0.3
    return X, y


class Tokens(nn.Module):
    """Rows as four tokens, something that mixes them, and logits of their mean."""

    def __init__(self, kind="attention"):
        super().__init__()
        torch.manual_seed(0)
        self.up, self.out = nn.Linear(2, 8), nn.Linear(8, 3)
        self.mix = MIXERS[kind]()

    def forward(self, X):
        return self.out(self.mix(self.up(X.unflatten(1, (4, 2)))).mean(1))


class Attention(nn.Module):
    """Torch's attention, or the same by hand."""

    def __init__(self, by_hand=False):
        super().__init__()
        self.by_hand = by_hand

    def forward(self, h):
        if self.by_hand:
            return torch.softmax(h @ h.mT / h.shape[-1] ** 0.5, dim=-1) @ h
        return scaled_dot_product_attention(h, h, h)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, h):
        return self.heads(h, h, h, need_weights=False)[0]


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(8, 8, batch_first=True)

    def forward(self, h):
        return self.layer(h)[0]


MIXERS = {
    "attention": Attention,
    "by hand": lambda: Attention(by_hand=True),
    "heads": Heads,
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2
    ),
    "LSTM": lambda: Recurrent(nn.LSTM),
    "GRU": lambda: Recurrent(nn.GRU),
    "RNN": lambda: Recurrent(nn.RNN),
}
KINDS = pytest.mark.parametrize("kind", [k for k in MIXERS if k != "by hand"])


def matching(net, **params):
    given = {"epsilon": 0.1, "radius": 0.3, "n_steps": 3, "random_state": 0}
    return GradientMatchingAttack(net, data()[0][0], 1, **given | params)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("selection", ["random", "gradient"])
@KINDS
def test_gradients_are_matched_through_any_kernel(kind, selection, device):
    X, y = data()
    net = Tokens(kind).to(device)
    attack = matching(net, selection=selection, n_steps=20).fit(X, y)
    assert min(attack.objective_) < 0.9 * attack.objective_[0]
    assert torch.backends.cudnn.enabled
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("selection", ["random", "gradient"])
def test_attention_is_attacked_as_if_written_by_hand(selection):
    X, y = data()
    fused, by_hand = (
        matching(Tokens(kind), selection=selection).fit(X, y)
        for kind in ("attention", "by hand")
    )
    np.testing.assert_array_equal(fused.base_indices_, by_hand.base_indices_)
    np.testing.assert_allclose(fused.objective_, by_hand.objective_, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@KINDS
def test_lengths_of_gradients_of_rows_one_by_one(kind):
    X, y = data(9)
    rows, codes = torch.from_numpy(X), torch.from_numpy(y)
    net = Tokens(kind).eval()
    expected = []
    for row, code in zip(rows, codes, strict=True):
        loss = cross_entropy(net(row[None]), code[None])
        gradient = torch.autograd.grad(loss, list(net.parameters()))
        expected.append(sum(part.square().sum() for part in gradient).sqrt().item())
    found = LossGradients(net, 3, 4).row_norms(rows, codes)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["attention", "GRU"])
def test_hidden_triggers_and_attention(kind):
    X, y = data()
    net = FilteredNetClassifier(
        Tokens, module__kind=kind, max_epochs=1, train_split=None, verbose=0
    )
    attack = SleeperAgentAttack(
        net, Trigger([1.0]), 1, 0, epsilon=0.1, n_steps=4, n_retrain=1, random_state=0
    )
    assert np.isfinite(attack.fit(X, y).objective_).all()


class Spy(nn.Module):
    """Notes whether cuDNN may be used when it runs."""

    def __init__(self, *layers):
        super().__init__()
        self.layers, self.seen = nn.ModuleList(layers), []

    def forward(self, X):
        self.seen.append(torch.backends.cudnn.enabled)
        return X[:, :3] * sum(p.sum() for p in self.parameters())


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRUCell, nn.Linear])
def test_cudnn_is_off_for_recurrent_layers_only(layer):
    X, y = data()
    for attack, net in [
        (matching, Spy(layer(8, 3))),
        (
            lambda net: BullseyePolytopeAttack(
                net, X[0], 1, epsilon=0.1, n_steps=2, batch_size=2, random_state=0
            ),
            Spy(layer(8, 3)),
        ),
    ]:
        attack(net).fit(X, y)
        gradients_wanted = net.seen[1:]
        assert set(gradients_wanted) == {layer is nn.Linear}
        assert torch.backends.cudnn.enabled


def test_room_for_gradients_grows_with_the_memory_of_a_device(monkeypatch):
    gradients = LossGradients(nn.Linear(2**12, 2**12), 2**12, 256)
    assert gradients._chunk() == 1
    gradients.home = torch.device("cuda"), torch.float32
    free = 2**34
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2**36))
    n_parameters = sum(p.numel() for p in gradients.parameters.values())
    assert gradients._chunk() == free // 4 // (4 * n_parameters)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    assert gradients._chunk() == 256
