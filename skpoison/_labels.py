"""Class labels: checks, codes, and parameters that hold one value for each class."""

from numbers import Number

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skpoison._tables import is_missing

# Kinds of label by the kind of array; np.str_ and the like come as their own.
_KINDS = {"b": "bool", "i": "number", "u": "number", "f": "number", "c": "number"}
_KINDS |= {"U": "str", "S": "bytes"}

FOR_TARGETS = (
    "For regression, fit the filter without y, as FilteredRegressor does, or use "
    "TrimFilter."
)


def check_labels(
    y: ArrayLike, *, several_kinds: bool = False, for_targets: str = FOR_TARGETS
) -> np.ndarray:
    """Return y as a one-dimensional array of class labels, or say why it is none.

    With `several_kinds`, y may hold text beside numbers, say; missing values then count
    as labels, too. The error for targets ends in `for_targets`.
    """
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "biuSU":
        return y  # labels for certain; looking at each costs more than a filter does
    has_several = y.dtype.kind == "O" and len(label_kinds(y)) > 1
    if has_several and several_kinds:
        return y
    if y.dtype.kind == "O":
        _check_none_missing(y)
    assert_all_finite(y, input_name="y")
    if has_several:
        raise several_kinds_of(y)
    try:
        with np.errstate(invalid="ignore"):  # integers of 64 bits hold not all numbers
            check_classification_targets(y)
    except ValueError as error:
        raise ValueError(
            f"y must contain class labels. {error} {for_targets}"
        ) from error
    return y


def _check_none_missing(y):
    if any(is_missing(label) for label in y.tolist()):
        raise ValueError(
            "y must contain class labels; some are missing (None or NaN): leave these "
            "rows out, or give them a label."
        )


def check_targets(X: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return the targets of regression for the rows of X as float64."""
    y = column_or_1d(y, warn=True)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    return y


def check_two_classes(name: str, classes: np.ndarray, *, or_more: bool = False) -> None:
    """Refuse a single class, and more than two unless these are welcome."""
    if len(classes) < 2:
        raise ValueError(
            f"{name} requires rows of two classes; y contains one class, "
            f"{classes.tolist()[0]!r}."
        )
    if len(classes) > 2 and not or_more:
        raise ValueError(  # the first sentence is what scikit-learn's checks look for
            f"Only binary classification is supported. {name} got {len(classes)} "
            "classes. Compare one of them with the rest (y == label), or select two."
        )


def label_key(label: object) -> tuple[str, object]:
    """Return what makes a label the same as another one: its kind and its value.

    Python and numpy take True for 1 and False for 0; as labels they are different.

    Examples
    --------
    >>> from skpoison._labels import label_key
    >>> label_key(1) == label_key(1.0), label_key(1) == label_key(True)
    (True, False)
    """
    value = label.item() if isinstance(label, np.generic) else label
    return _kind_of(value), value


def _kind_of(value):
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, Number) else type(value).__name__


def find_labels(y: ArrayLike, classes: ArrayLike) -> np.ndarray:
    """Find labels among the sorted classes: their positions, -1 for unknown labels.

    Labels of another kind are unknown.

    Examples
    --------
    >>> from skpoison._labels import find_labels
    >>> find_labels([1, 7, 0], [0, 1])
    array([ 1, -1,  0])
    >>> find_labels([True, False], [0, 1])
    array([-1, -1])
    """
    y, classes = np.asarray(y), np.asarray(classes)
    if "O" in (y.dtype.kind, classes.dtype.kind):
        places = {label_key(label): i for i, label in enumerate(classes.tolist())}
        found = [places.get(label_key(label), -1) for label in y.tolist()]
        return np.array(found, dtype=np.intp)
    if label_kinds(y) != label_kinds(classes):
        return np.full(len(y), -1, dtype=np.intp)
    if _are_consecutive(classes) and np.can_cast(y.dtype, np.intp):
        codes = np.subtract(y, int(classes[0]), dtype=np.intp)
        if codes.size and not 0 <= codes.min() <= codes.max() < len(classes):
            codes[(codes < 0) | (codes >= len(classes))] = -1
        return codes
    codes = np.searchsorted(classes, y)
    # searchsorted gives a place to unknown labels too, the end included.
    codes[classes.take(codes, mode="clip") != y] = -1
    return codes


def _are_consecutive(classes):
    is_whole = classes.dtype.kind == "i" and len(classes) > 0
    return is_whole and int(classes[-1]) - int(classes[0]) == len(classes) - 1


def label_kinds(y: np.ndarray) -> set[str]:
    """Return the kinds of label that there are; several only where y holds objects."""
    if y.dtype.kind == "O":
        # Labels of one type are of one kind: one of each tells, however many rows.
        one_of_each = {type(label): label for label in y.tolist()}
        return {label_key(label)[0] for label in one_of_each.values()}
    return {_KINDS.get(y.dtype.kind, y.dtype.kind)}


def several_kinds_of(y: np.ndarray) -> ValueError:
    """Return the error of labels of several kinds, with an example of each kind."""
    examples = {label_key(label)[0]: label for label in y.tolist()}
    return ValueError(
        "y must contain class labels of one kind, all numbers or all strings; got "
        + ", ".join(f"{label!r} ({kind})" for kind, label in sorted(examples.items()))
        + "."
    )


def distinct_labels(y: np.ndarray) -> np.ndarray:
    """Return the distinct labels, sorted; those of several kinds by kind."""
    if y.dtype.kind == "i" and len(y):
        low, high = int(y.min()), int(y.max())
        if high - low < len(y):  # counting takes less time than sorting or hashing
            places = np.subtract(y, low, dtype=np.intp) if low else y
            counts = np.bincount(places)
            return (np.flatnonzero(counts) + low).astype(y.dtype)
    if y.dtype.kind != "O" or len(label_kinds(y)) == 1:
        return np.unique(y)
    keys = {label_key(label) for label in y.tolist()}
    distinct = np.empty(len(keys), dtype=object)
    distinct[:] = [value for _, value in sorted(keys, key=str)]
    return distinct


def all_labels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the distinct labels of both, sorted."""
    return distinct_labels(np.concatenate(alike(first, second)))


def alike(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of two kinds as objects, which have a kind each."""
    if label_kinds(labels) != label_kinds(others):
        return labels.astype(object), others.astype(object)
    return labels, others


def of_one_kind(labels: np.ndarray) -> np.ndarray:
    """Return labels that came beside other kinds as an array of their own kind."""
    if len(label_kinds(labels)) > 1:
        _check_none_missing(labels)
        raise several_kinds_of(labels)
    return check_labels(np.array(labels.tolist()))


def narrowed(y: ArrayLike, kept: ArrayLike) -> ArrayLike:
    """Return the labels of kept rows, of one kind where others are gone.

    A column of numbers with one word in it holds objects, which estimators do not take
    for classes.
    """
    given = np.asarray(y)
    if given.dtype.kind != "O" or given.ndim != 1 or len(label_kinds(given)) < 2:
        return kept
    return of_one_kind(np.asarray(kept))


def shown_labels(labels: np.ndarray, most: int = 5) -> str:
    """Return labels as errors show them, each once and not too many.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison._labels import shown_labels
    >>> shown_labels(np.array([3, 3, 1])), shown_labels(np.arange(9))
    ('[1, 3]', '[0, 1, 2, 3, 4] and 4 more')
    """
    labels = labels.tolist()
    try:
        distinct = sorted(set(labels))
    except TypeError:  # labels of several kinds have no order
        distinct = sorted({label_key(label) for label in labels}, key=str)
        distinct = [value for _, value in distinct]
    rest = len(distinct) - most
    return f"{distinct[:most]}" + (f" and {rest} more" if rest > 0 else "")


def encode_labels(
    y: np.ndarray, classes: np.ndarray, what: str = "y", whose: str = "the filter"
) -> np.ndarray:
    """Find labels among the sorted classes, where all of them must be.

    Errors call the labels `what`, and who knows the classes `whose`.
    """
    codes = find_labels(y, classes)
    if np.any(codes < 0):
        raise ValueError(
            f"{what} holds labels that {whose} was not fitted on: "
            f"{shown_labels(y[codes < 0])}. It was fitted on {classes.tolist()}"
            f"{kinds_hint(y, classes)}."
        )
    return codes


def kinds_hint(y: np.ndarray, classes: np.ndarray) -> str:
    """Return a reminder for the end of an error where labels have no kind in common."""
    kinds, known = label_kinds(y), label_kinds(classes)
    if kinds & known:
        return ""
    return (
        f"; these are another kind of label ({', '.join(sorted(known))}, not "
        f"{', '.join(sorted(kinds))})"
    )


def has_entries(values: dict, classes: np.ndarray) -> np.ndarray:
    """Return the mask of the classes that a dict from labels has entries for."""
    known = {label_key(label) for label in values}
    return np.array([label_key(one) in known for one in classes.tolist()], dtype=bool)


def no_entry(name: str, values: dict, missing: np.ndarray) -> ValueError:
    """Return the error of labels that a dict, called so in errors, has no entry for."""
    return ValueError(
        f"{name} has no entry for the labels {shown_labels(missing)}; it has entries "
        f"for {list(values)}."
    )


def per_class(
    name: str,
    values: ArrayLike | dict,
    classes: np.ndarray,
    shape: tuple[int, ...] = (),
) -> np.ndarray:
    """Return a value of a given shape for each class, in float64.

    Values are an array in the order of the sorted classes, or a dict from label to
    value, which may know more labels.
    """
    if hasattr(values, "iloc"):
        raise ValueError(
            f"{name} must be an array in the order of the sorted labels, or a dict "
            f"from label to entry; got a pandas {type(values).__name__}, whose index "
            "is ambiguous. Pass its to_numpy() or a dict."
        )
    if isinstance(values, dict):
        there = has_entries(values, classes)
        if not there.all():
            raise no_entry(name, values, classes[~there])
        entries = {label_key(label): value for label, value in values.items()}
        values = [entries[label_key(label)] for label in classes.tolist()]
    try:
        values = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must have {'numbers' if shape else 'one number'} for each label; "
            f"got {values!r}."
        ) from error
    wanted = (len(classes), *shape)
    if values.shape != wanted:
        raise ValueError(
            f"{name} must have shape {wanted}, one entry for each of the labels "
            f"{classes.tolist()}; got {values.shape}. To give entries for certain "
            "labels, use a dict from label to entry."
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must not contain NaN or infinity.")
    return values
