"""Labelled data from a source, whatever its format."""

from dataclasses import dataclass, replace

from . import ahead
from .errors import DataError
from .source import Source


@dataclass(frozen=True)
class Options:
    """What a person says about the files.

    Parameters
    ----------
    format : str, default=None
        The format, where neither name nor content tell it.
    target : str, default=None
        The column (or array) of labels.
    header : bool, default=True
        Whether delimited text begins with the columns' names.
    decimal_comma : bool, default=False
        Whether its numbers are written as ``3,14``.
    drop : tuple of str, default=()
        Columns to leave out.
    drop_if_there : bool, default=False
        Whether the file may lack some of those columns.
    aside : tuple of str, default=()
        Columns that are no features, if the file has them.
    words : tuple of str, default=()
        Columns of delimited text to keep as they are written.
    max_size : float, default=4.0
        Gigabytes that compressed data may unpack to.
    unlabeled : bool, default=False
        Whether the file may lack the target, so that its rows have no labels.
    may_be_empty : bool, default=False
        Whether a table may have no rows.
    target_kind : {"auto", "classes", "quantity"}, default="auto"
        What the target holds; told from its values by default.
    sample : int, default=100_000
        Rows to draw of tables in many files.
    """

    format: str | None = None
    target: str | None = None
    header: bool = True
    decimal_comma: bool = False
    drop: tuple = ()
    drop_if_there: bool = False
    aside: tuple = ()
    words: tuple = ()
    max_size: float = 4.0
    unlabeled: bool = False
    may_be_empty: bool = False
    target_kind: str = "auto"
    sample: int = 100_000


def load(name, options=None):
    """Read labeled data.

    Parameters
    ----------
    name : str
        A path, or ``-`` for standard input.
    options : Options, default=None
        What to know about the file.

    Returns
    -------
    data : TableData, JsonData, ArrayData or SvmlightData
        Rows, labels, and how to turn the rows into numbers.

    Raises
    ------
    DataError
        If the file is missing, cannot be parsed, or does not hold labeled rows; or if
        columns without names are to be left out.
    """
    options = options or Options()
    data = ahead.take(name, options)
    if data is None:
        data = _loaded(name, options)
    if data.labels is not None:
        data.labels = data.labels.of_kind(options.target_kind)
    return data


def loading(name, options):
    """Return a context in which a large file is read while other work is done.

    :func:`load` waits for it then. Nothing is read ahead of other sources.
    """
    return ahead.begun(name, options, _loaded)


def _loaded(name, options):
    source = Source(name, options.format, options.max_size)
    if options.drop and source.format in ("npz", "svmlight"):
        raise DataError(f"{source.label} has no named columns: --drop is for tables.")
    if source.format == "npz":
        from .npz import load_npz

        return load_npz(source, options)
    if source.format == "svmlight":
        from .svmlight import SvmlightData

        return SvmlightData(source)
    if source.format == "jsonl":
        from .jsonl import JsonData

        return JsonData(source, options)
    from .table import TableData, read_table

    return TableData(source, read_table(source, options), options)


def load_test(name, data, options, new_labels=False):
    """Read test data that belong to training data.

    Parameters
    ----------
    name : str
        A path.
    data : TableData or ArrayData
        The training data.
    options : Options
        What is known about the training data's file.
    new_labels : bool, default=False
        Whether test rows may have labels that no training row has.

    Returns
    -------
    test : TableData or ArrayData
        The test data, their labels coded like those of `data`; new ones come last.
    """
    words = (*options.words, *getattr(data, "words", ()))
    options = replace(options, format=None, target=data.labels.name, words=words)
    # Poison rows that were written lack what was left out when they were made.
    options = replace(options, drop_if_there=True)
    test = load(name, options)
    if type(test) is not type(data):
        raise DataError(
            f"{test.source} and {data.source} hold different kinds of data; give both "
            "in the same format."
        )
    if hasattr(test, "follow"):
        test.follow(data)
    if test.labels is not None:
        whose = f"The rows of {test.source}"
        test.labels = data.labels.matched(test.labels, new_labels, whose)
    return test
