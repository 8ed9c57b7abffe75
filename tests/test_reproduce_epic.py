"""The script for EPIC's experiments, end to end on a few images."""

import importlib
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
Image = pytest.importorskip("PIL.Image")

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("reproduce_epic")


def pixels(n_rows, seed):
    return np.random.default_rng(seed).integers(0, 256, (n_rows, 3072), np.uint8)


@pytest.fixture
def torchvision(monkeypatch):
    """A stand-in for torchvision, whose CIFAR-10 has a few images."""

    class CIFAR10:
        def __init__(self, root, train=True):
            assert root == "data"
            n_rows = 100 if train else 20
            self.data = pixels(n_rows, seed=int(train)).reshape(-1, 32, 32, 3)
            self.targets = [*range(10)] * (n_rows // 10)

    datasets = types.ModuleType("torchvision.datasets")
    datasets.CIFAR10 = CIFAR10
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


def poison_set(folder, rows):
    folder.mkdir(parents=True)
    images = pixels(len(rows) + 1, 99).reshape(-1, 32, 32, 3)
    poisons = [(Image.fromarray(image), 3) for image in images[1:]]
    target = Image.fromarray(images[0]), 5
    for name, content in (
        ("poisons", poisons), ("base_indices", np.array(rows)), ("target", target),
    ):  # fmt: skip
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(content))


def test_images_have_their_channels_first(script, torchvision):
    data = script.cifar10("data")
    assert data.X_train.shape == (100, 3, 32, 32)
    assert data.X_train.dtype == np.float32
    first = pixels(100, seed=1)[0].reshape(32, 32, 3)
    np.testing.assert_allclose(data.X_train[0, 2], first[:, :, 2] / 255, atol=1e-7)
    assert data.X_test.shape == (20, 3, 32, 32)
    assert data.y_test.tolist() == [*range(10)] * 2


def test_the_table_is_printed(script, torchvision, tmp_path, capsys):
    poison_set(tmp_path / "poisons" / "0", [3, 13])
    script.main([
        "--cifar", "data", "--poisons", str(tmp_path / "poisons"),
        "--width", "2", "--epochs", "2", "--fractions", "0.5",
    ])  # fmt: skip
    title, _, undefended, epic = capsys.readouterr().out.splitlines()
    assert title == "eps8-40, poison sets: 1, the released rule"
    without, with_epic = (line.split() for line in (undefended, epic))
    assert without[0] == "0%"
    assert with_epic[0] == "50%"
    assert without[-2] == "0.000"
    assert 0 < float(with_epic[-2]) < 1


def test_settings_are_those_that_are_published(script):
    options = script.options_of(["--cifar", "c", "--poisons", "p", "--width", "4"])
    net = script.victim(options, 0.1).initialize()
    decayed = {id(p) for g in net.optimizer_.param_groups if g["weight_decay"]
               for p in g["params"]}  # fmt: skip
    for name, part in net.module_.named_modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            # The released code goes by names, and calls these shortcut.1.weight.
            assert (id(part.weight) in decayed) == (".around." in name)
            assert id(part.bias) not in decayed
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            assert id(part.weight) in decayed
    # 17 convolutions, 3 on the ways around with their normalization, the last layer.
    assert len(decayed) == 17 + 2 * 3 + 1
    assert script.milestones(40) == [15, 25, 35]
    assert script.milestones(200) == [100, 150]
    epic = net.callbacks[-1]
    assert (epic.warmup, epic.every, epic.stop_after) == (10, 2, 35)
    assert (epic.ground_set, epic.order, epic.similarity) == ("all", "lazy", "exp")
    for setting in script.SETTINGS.values():
        # There, rounds fall on multiples of the frequency; here, on those after warmup.
        assert setting["warmup"] % setting["every"] == 0
    n_parameters = sum(p.numel() for p in script.Victim().parameters())
    assert n_parameters == 11_173_962  # The ResNet-18 of CIFAR-10.


def test_the_network_scales_and_augments_in_training_only(script):
    torch.manual_seed(0)
    module = script.Victim(4).eval()
    images = torch.rand(5, 3, 32, 32)
    assert torch.equal(module(images), module(images))
    scaled = module[1](torch.tensor(script.MEAN).reshape(1, 3, 1, 1))
    assert torch.equal(scaled, torch.zeros(1, 3, 1, 1))
    module[0].train()
    assert not torch.equal(module[0](images), images)


def test_folders_of_sets_are_found_in_order(script, tmp_path):
    for name in ("b", "a"):
        poison_set(tmp_path / name, [1])
    assert script.poison_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert script.poison_folders(tmp_path / "b") == [tmp_path / "b"]


def test_a_folder_without_poison_is_refused(script, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no poisons\.pickle"):
        script.poison_folders(tmp_path)
