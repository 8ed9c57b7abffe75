"""Published poison sets, honest and harmful ones."""

import io
import os
import pickle
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from skpoison.datasets import load_published_poisons  # noqa: E402


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def write(folder, **changed):
    """A set of three poison rows, as benchmarks publish them."""
    files = {
        "poisons": [(Image.fromarray(image(seed)), 4) for seed in range(3)],
        "base_indices": np.array([30, 10, 20]),
        "target": (Image.fromarray(image(9)), 7),
    }
    for name, content in (files | changed).items():
        if not isinstance(content, bytes):
            content = pickle.dumps(content)
        (folder / f"{name}.pickle").write_bytes(content)
    return folder


def first(array):
    return array.transpose(2, 0, 1) / 255


def test_a_set_is_read_as_arrays(tmp_path):
    data = load_published_poisons(write(tmp_path))
    expected = np.stack([first(image(seed)) for seed in range(3)])
    np.testing.assert_allclose(data.X_poison, expected, atol=1e-7)
    assert data.X_poison.dtype == np.float32
    assert data.y_poison.tolist() == [4, 4, 4]
    assert data.base_indices.tolist() == [30, 10, 20]
    np.testing.assert_allclose(data.target, first(image(9)), atol=1e-7)
    assert (data.target_label, data.intended_label) == (7, 4)
    assert data.patch is None


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_may_be_tensors(tmp_path, protocol, dtype):
    tensors = [torch.tensor(first(image(seed)), dtype=dtype) for seed in range(3)]
    # A view of a larger storage, with strides of its own.
    tensors[0] = torch.stack([tensors[0], tensors[1]], dim=-1)[..., 0]
    poisons = pickle.dumps([(tensor, 4) for tensor in tensors], protocol)
    bases = pickle.dumps([30, 10, 20], protocol)
    data = load_published_poisons(
        write(tmp_path, poisons=poisons, base_indices=bases, target=(image(9), 7))
    )
    plain = load_published_poisons(write(tmp_path))
    np.testing.assert_allclose(data.X_poison, plain.X_poison, atol=1e-7)
    np.testing.assert_array_equal(data.base_indices, plain.base_indices)
    np.testing.assert_allclose(data.target, plain.target)


def test_labels_and_rows_may_be_tensors(tmp_path):
    data = load_published_poisons(
        write(
            tmp_path,
            poisons=[(Image.fromarray(image()), torch.tensor(4))],
            base_indices=torch.tensor([5]),
        )
    )
    assert data.y_poison.tolist() == [4]
    assert data.base_indices.tolist() == [5]


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_patch_is_put_on_the_target(tmp_path, kind):
    patch = np.random.default_rng(1).random((3, 2, 3)).astype("float32")
    target = (Image.fromarray(image(9)), 7, kind(patch), [4, 1])
    data = load_published_poisons(write(tmp_path, target=target))
    expected = first(image(9))
    expected[:, 1:3, 4:7] = patch
    np.testing.assert_allclose(data.target, expected, atol=1e-7)
    np.testing.assert_array_equal(data.patch, patch)
    assert data.patch_position == (1, 4)


class Reduces:
    def __init__(self, *made_by):
        self.made_by = made_by

    def __reduce__(self):
        return self.made_by


def storage_of(thing):
    """Torch's own bytes, with something else in them."""
    file = io.BytesIO()
    torch.save(thing, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize("name", ["poisons", "base_indices", "target"])
@pytest.mark.parametrize("within", [False, True])
def test_harmful_files_are_refused_and_nothing_happens(tmp_path, name, within):
    mark = tmp_path / "harmed"
    harm = Reduces(os.system, (f"touch {mark}",))
    if within:
        # Hidden in what torch itself would unpickle.
        harm = Reduces(torch.storage._load_from_bytes, (storage_of(harm),))
    harm = pickle.dumps([(harm, 4)])
    with pytest.raises(ValueError, match=rf"{name}.pickle is refused"):
        load_published_poisons(write(tmp_path, **{name: harm}))
    assert not mark.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pickle.loads(harm)
    assert mark.exists()


def rebuilt(offset, shape, strides):
    """A tensor that claims another place in its storage of six numbers."""
    storage = torch.arange(6.0).untyped_storage()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = torch.storage.TypedStorage(
            wrap_storage=storage, dtype=torch.float32, _internal=True
        )
    made = (storage, offset, shape, strides, False, {})
    return pickle.dumps(Reduces(torch._utils._rebuild_tensor_v2, made))


@pytest.mark.parametrize(
    "place",
    [
        (4, (3,), (1,)),
        (0, (7,), (0,)),
        (-1, (2,), (1,)),
        (0, (2,), (6,)),
        (0, (-1,), (1,)),
    ],
)
def test_tensors_that_reach_beyond_their_numbers_are_refused(tmp_path, place):
    with pytest.raises(ValueError, match="is refused"):
        load_published_poisons(write(tmp_path, base_indices=rebuilt(*place)))


@pytest.mark.parametrize(
    "changed",
    [
        {"base_indices": np.array([1, 2])},
        {"base_indices": np.array([0.5, 1.5, 2.5])},
        {"base_indices": np.array([30, -1, 20])},
        {"base_indices": "none"},
        {"poisons": []},
        {"poisons": 3},
        {"poisons": [(Image.fromarray(image()), "cat")] * 3},
        {"poisons": [(np.zeros((3, 8, 8), dtype=np.int64), 4)] * 3},
        {"poisons": [(torch.full((3, 8, 8), 2.0), 4)] * 3},
        {"poisons": [(torch.full((3, 8, 8), np.nan), 4)] * 3},
        {"target": (torch.full((3, 8, 8), np.nan), 7)},
        {"target": (Image.fromarray(image()), 7, np.full((3, 2, 2), np.nan), (1, 1))},
        {"target": (Image.fromarray(image()[:5]), 7)},
        {"target": [Image.fromarray(image())]},
        {"target": (Image.fromarray(image()), 7, np.ones((3, 5, 5)), (6, 6))},
        {"target": b"junk"},
        {"target": pickle.dumps((image(), 7))[:-20]},
    ],
)
def test_what_is_no_poison_set_is_refused(tmp_path, changed):
    with pytest.raises(ValueError, match=r"is no poison set|is refused"):
        load_published_poisons(write(tmp_path, **changed))


def test_empty_sets_are_called_so(tmp_path):
    with pytest.raises(ValueError, match="it holds no poison rows"):
        load_published_poisons(write(tmp_path, poisons=[], base_indices=np.array([])))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"poisons.pickle"):
        load_published_poisons(tmp_path)


def test_torch_is_needed_for_tensors_only(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert len(load_published_poisons(tmp_path).X_poison) == 3
    monkeypatch.undo()
    write(tmp_path, base_indices=torch.tensor([30, 10, 20]))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"needs PyTorch: pip install torch"):
        load_published_poisons(tmp_path)
