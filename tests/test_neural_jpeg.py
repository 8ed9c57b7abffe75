"""JPEG compression as a transformer."""

import io

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
Image = pytest.importorskip("PIL.Image")

from skpoison.neural import JPEGCompressor  # noqa: E402


def images(n_channels=3, seed=0):
    X = np.random.default_rng(seed).random((4, n_channels, 12, 10))
    return X.astype("float32")


def by_hand(image, quality):
    """What Pillow makes of an image with its channels last."""
    pixels = np.rint(255 * image).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape) / 255


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 75])
def test_images_are_those_of_pillow(n_channels, quality):
    X = images(n_channels)
    found = JPEGCompressor(quality).fit_transform(X)
    for image, compressed in zip(X, found, strict=True):
        expected = by_hand(image.transpose(1, 2, 0), quality)
        np.testing.assert_allclose(compressed.transpose(1, 2, 0), expected, atol=1e-6)
    assert found.dtype == X.dtype
    assert np.abs(found - X).max() > 0.05


def test_layouts_are_the_same_images():
    X = images()
    first = JPEGCompressor().fit_transform(X)
    last = JPEGCompressor(channels="last").fit_transform(X.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(last.transpose(0, 3, 1, 2), first)
    flat = JPEGCompressor(image_shape=(3, 12, 10)).fit_transform(X.reshape(4, -1))
    np.testing.assert_array_equal(flat.reshape(X.shape), first)
    gray = images(1)
    plain = JPEGCompressor(image_shape=(12, 10)).fit_transform(gray.reshape(4, -1))
    np.testing.assert_array_equal(
        plain.reshape(gray.shape), JPEGCompressor().fit_transform(gray)
    )
    bare = JPEGCompressor().fit_transform(gray[:, 0])
    np.testing.assert_array_equal(bare, plain.reshape(bare.shape))


def test_other_ranges_are_scaled():
    X = images().astype(np.float64)
    plain = JPEGCompressor().fit_transform(X)
    wide = JPEGCompressor(value_range=(-3, 7)).fit_transform(10 * X - 3)
    np.testing.assert_allclose((wide + 3) / 10, plain, atol=1e-12)
    assert wide.dtype == np.float64


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("float64", "float64"), ("float32",) * 2, ("float16", "float32")],
)
def test_tensors_are_the_same_as_arrays(kind, wanted):
    X = images().astype(kind)
    array, tensor = (JPEGCompressor().fit_transform(x) for x in (X, torch.tensor(X)))
    assert array.dtype == tensor.dtype == wanted
    np.testing.assert_array_equal(array, tensor)


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor, np.ndarray.tolist])
def test_whole_numbers_become_single_precision(convert):
    X = np.rint(255 * images()).astype(np.uint8)
    found = JPEGCompressor(value_range=(0, 255)).fit_transform(convert(X))
    assert found.dtype == np.float32
    plain = JPEGCompressor().fit_transform(X / np.float32(255))
    np.testing.assert_allclose(found / 255, plain, atol=1e-6)


def test_perturbations_are_taken_away():
    smooth = np.full((1, 1, 16, 16), 0.5)
    checks = 0.02 * (-1) ** np.add.outer(np.arange(16), np.arange(16))
    compressed = JPEGCompressor(10).fit_transform(smooth + checks)
    assert np.abs(compressed - smooth).max() < 0.005


def test_there_is_nothing_to_fit():
    X = images()
    one = JPEGCompressor()
    before = X.copy()
    np.testing.assert_array_equal(one.transform(X), one.fit(X).transform(X))
    np.testing.assert_array_equal(X, before)
    assert one.n_features_in_ == 3
    np.testing.assert_array_equal(one.transform(X[:1]), one.transform(X)[:1])
    assert clone(one).get_params() == one.get_params()


def test_it_stands_in_pipelines():
    X = np.repeat(images(1), 5, axis=0).reshape(20, -1)
    y = np.repeat([0, 1, 2, 3], 5)
    jpeg = JPEGCompressor(image_shape=(12, 10))
    assert make_pipeline(jpeg, KNeighborsClassifier(1)).fit(X, y).score(X, y) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"quality": 0}, "quality"),
        ({"quality": 100}, "quality"),
        ({"channels": "last"}, "one channel or three"),
        ({"channels": "middle"}, "channels"),
        ({"image_shape": (3, 12, 11)}, "396 values"),
        ({"image_shape": (12,)}, "one channel or three"),
        ({"value_range": (0, 0.5)}, "within value_range"),
        ({"value_range": (1, 0)}, "low < high"),
    ],
)
def test_what_is_no_image_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        JPEGCompressor(**params).fit_transform(images())


def test_odd_rows_are_refused():
    with pytest.raises(ValueError, match="one channel or three"):
        JPEGCompressor().fit(np.zeros((4, 9)))
    with pytest.raises(ValueError, match="NaN"):
        JPEGCompressor().fit(np.full((1, 3, 4, 4), np.nan))
    fitted = JPEGCompressor().fit(images())
    with pytest.raises(ValueError, match="expecting 3 features"):
        fitted.transform(images(1))
