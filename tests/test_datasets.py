"""Reading pickles of arrays and images: honest ones, and ones that mean harm."""

import io
import pickle

import numpy as np
import pytest

from skpoison.datasets._pickles import load_plain


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Pickles that mean harm.

MARK = []


def harm(*_):
    MARK.append("harmed")


class Reduces:
    def __init__(self, *made_by):
        self.made_by = made_by

    def __reduce__(self):
        return self.made_by


def by_hand(text):
    return text.encode("latin1")


HARMFUL = {
    "a function": pickle.dumps(Reduces(harm, ())),
    "os.system": pickle.dumps(Reduces(__import__("os").system, ("true",))),
    "eval": pickle.dumps(Reduces(eval, ("1 + 1",))),
    "nested": pickle.dumps({"data": [np.arange(3), (Reduces(harm, ()),)]}),
    "as a key": pickle.dumps({Reduces(eval, ("1",)): 1}),
    "getattr": pickle.dumps(Reduces(getattr, (Reduces(harm, ()), "real"))),
    "a dotted name": by_hand("\x80\x04\x8c\x05numpy\x8c\x0cf2py.os.name\x93."),
    "a module": by_hand("cos\nenviron\n."),
    "a class alone": by_hand("cPIL.Image\nImage\n."),
    "a function alone": by_hand("cnumpy\ndtype\n."),
    "state of a function": by_hand(
        "cnumpy.core.multiarray\n_reconstruct\n}(S'_function'\ncnumpy\nload\nsb."
    ),
    "numpy's own tools": by_hand("cnumpy.testing._private.utils\nrunstring\n."),
    "numpy.load": by_hand("cnumpy\nload\n(S'x'\ntR."),
    "an array of objects": pickle.dumps(np.array([harm, 1], dtype=object)),
    "a structure": pickle.dumps(np.zeros(2, dtype="i4,f8")),
    "an array too large": by_hand("cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I9"
        "99999999\ntcnumpy\ndtype\n(S'f8'\ntRI00\nS''\ntb."),
    "a codec": by_hand("c_codecs\nencode\n(S'ab'\nS'zip'\ntR."),
    "a persistent id": by_hand("Pid\n."),
    "a loop": by_hand("(lp0\ng0\na."),
    "a deep pile": by_hand("(l" * 5000 + "a" * 4999 + "."),
    "a number of classes": by_hand("\x82\x01."),
    "empty": b"",
    "junk": pixels(300).tobytes(),
    "cut off": pickle.dumps(pixels(4, 4))[:-40],
    "a long line": by_hand("I" + "9" * 6000 + "\n."),
}  # fmt: skip


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_pickles_are_refused_and_nothing_happens(kind):
    MARK.clear()
    with pytest.raises(ValueError, match=r"^file is refused"):
        load_plain(io.BytesIO(HARMFUL[kind]), "file")
    assert MARK == []


def test_the_harm_is_real_without_the_guard():
    MARK.clear()
    pickle.loads(HARMFUL["a function"])
    assert MARK == ["harmed"]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array(2.5, dtype=np.float16),
        np.zeros((0, 3)),
        np.array([1 + 2j]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_come_through(protocol, array):
    data = {"a": [array, (array.T, "text")], b"b": np.float32(0.5), 3: None}
    found = load_plain(io.BytesIO(pickle.dumps(data, protocol)), "file")
    np.testing.assert_array_equal(found["a"][0], array)
    assert found["a"][0].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["a"][1][0], array.T)
    assert found["a"][1][1] == "text"
    assert found[b"b"] == 0.5
    assert found[3] is None


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_images_come_through(protocol, shape):
    Image = pytest.importorskip("PIL.Image")
    array = pixels(*shape)
    data = pickle.dumps([(Image.fromarray(array), 3)], protocol)
    ((found, label),) = load_plain(io.BytesIO(data), "file")
    np.testing.assert_array_equal(found, array)
    assert label == 3


def test_files_of_python_2_are_read():
    """Protocol 2, numpy's old names, and bytes as texts of one byte each."""
    today = pickle.dumps({"data": pixels(2, 3), "labels": [6, 3]}, protocol=2)
    text = today.replace(b"numpy._core", b"numpy.core")
    assert text != today
    found = load_plain(io.BytesIO(text), "file")
    np.testing.assert_array_equal(found["data"], pixels(2, 3))
    assert found["labels"] == [6, 3]
