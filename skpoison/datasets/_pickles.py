"""Safe reading of pickle files that hold plain values, arrays and images."""

import math
import pickle

import numpy as np

# What numbers of an array may be; structures and objects may not.
KINDS = "biufc"


class PlainUnpickler(pickle.Unpickler):
    """Unpickler that makes plain values, arrays and images, and calls nothing else.

    No function or class of another package is ever handed to the pickle: what stands
    for one is an object of this module, made for one file, and arrays are made of bytes
    here, not by what numpy offers to pickles. ``more`` maps (module, name) to further
    functions that the pickle may call.
    """

    def __init__(self, file, more=None):
        # Strings of Python 2, which are bytes or text, are decoded one to one.
        super().__init__(file, encoding="latin1")
        self._allowed = _plain() | {
            place: Call(function) for place, function in (more or {}).items()
        }

    def find_class(self, module, name):
        """Return what stands for a name in the pickle; refuse unknown names."""
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._allowed[module, name]


def load_plain(file, name, more=None):
    """Read a binary pickle file of plain values, arrays and images.

    Images become uint8 arrays of shape (height, width) or (height, width, 3). Anything
    else in the file is a ValueError that calls the file ``name``.
    """
    try:
        return _finished(PlainUnpickler(file, more).load())
    except ImportError:
        raise  # a package that is missing here says nothing about the file
    except Exception as error:
        # Pickles that are broken, or mean harm, raise errors of any kind.
        raise ValueError(
            f"{name} is refused: it is no pickle of arrays, tensors and images "
            f"({type(error).__name__}: {error})."
        ) from error


class Call:
    """A function that a pickle may call, and can find nothing else in."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        """Call the function."""
        return self._function(*args)


class Record:
    """What a pickle says of an object, until it is known what it is."""

    __slots__ = ("made_with", "state")

    def __init__(self, *made_with):
        self.made_with, self.state = made_with, None

    def __setstate__(self, state):
        self.state = state


class DtypeRecord(Record):
    """The type of the numbers of an array."""

    __slots__ = ()

    def finish(self):
        """Return the dtype."""
        dtype = np.dtype(str(self.made_with[0]))
        if dtype.kind not in KINDS:
            raise ValueError(f"arrays of {dtype} are not numbers")
        order = "=" if self.state is None else self.state[1]
        return dtype.newbyteorder(order if order in ("<", ">") else "=")


class ArrayRecord(Record):
    """An array; its state is version, shape, dtype, order and bytes."""

    __slots__ = ()

    def finish(self):
        """Return the array."""
        _, shape, dtype, is_fortran, data = self.state
        return array_of(data, dtype, shape, "F" if is_fortran else "C")


class ImageRecord(Record):
    """An image of Pillow; its state is info, mode, size, palette and bytes."""

    __slots__ = ()

    def finish(self):
        """Return the image as an array."""
        _, mode, (width, height), _, data = self.state[:5]
        shapes = {"L": (height, width), "RGB": (height, width, 3)}
        if mode not in shapes:
            raise ValueError(f"images of mode {mode!r} are not gray or RGB")
        return array_of(data, np.dtype(np.uint8), shapes[mode], "C")


def array_of(data, dtype, shape, order):
    """Make an array of bytes (or of a text of Python 2) in native byte order."""
    dtype = dtype.finish() if isinstance(dtype, DtypeRecord) else dtype
    data = data.encode("latin1") if isinstance(data, str) else bytes(data)
    array = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
    if math.prod(shape) != len(array) or min(shape, default=0) < 0:
        raise ValueError(f"an array of the shape {shape} has {len(array)} values")
    array = array.reshape(tuple(shape), order=order)
    return array.astype(dtype.newbyteorder("="))


def _plain():
    """Return what stands for the names that pickles of arrays ask for."""
    allowed = {
        ("_codecs", "encode"): Call(_as_bytes),
        ("__builtin__", "bytes"): Call(_no_bytes),
        ("collections", "OrderedDict"): Call(dict),
        ("numpy", "dtype"): Call(DtypeRecord),
        ("numpy", "ndarray"): "numpy.ndarray",
        ("PIL.Image", "Image"): ImageRecord,
    }
    for home in ("numpy.core", "numpy._core"):
        allowed[f"{home}.multiarray", "_reconstruct"] = Call(ArrayRecord)
        allowed[f"{home}.multiarray", "scalar"] = Call(_scalar)
        allowed[f"{home}.numeric", "_frombuffer"] = Call(array_of)
    return allowed


def _as_bytes(text, encoding):
    if encoding != "latin1":
        raise ValueError(f"texts are encoded as latin1, not {encoding!r}")
    return text.encode("latin1")


def _no_bytes():
    # Old protocols write no bytes at all as a call.
    return b""


def _scalar(dtype, data):
    return array_of(data, dtype, (1,), "C")[0]


def _finished(data):
    """Return data with arrays and images in place of what the pickle says of them."""
    if isinstance(data, Record):
        return data.finish()
    if isinstance(data, dict):
        return {_finished(key): _finished(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finished(part) for part in data]
    if isinstance(data, tuple):
        return tuple(_finished(part) for part in data)
    if isinstance(data, Call | type):
        raise ValueError("it holds a function or class in place of data")
    return data
