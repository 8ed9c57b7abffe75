"""Rows as they are written, with other labels."""

import json

from .json_rows import dumped


def with_labels_of(content, donors, data):
    """Return rows as :meth:`taken` returns them, with the labels of others.

    Parameters
    ----------
    content, donors : pyarrow.Table, dict of ndarray or iterable of bytes
        Rows, and as many others whose labels they get.
    data : TableData or ArrayData
        The data that all these rows come from.
    """
    name = data.labels.name
    if isinstance(content, dict):
        return content | {name: donors[name]}
    if hasattr(content, "set_column"):
        place = content.column_names.index(name)
        return content.set_column(place, name, donors.column(name))
    of_line = _json_label if data.origin.format == "jsonl" else _svmlight_label
    pairs = zip(content, donors, strict=True)
    return (of_line(line, donor, name) for line, donor in pairs)


def _json_label(line, donor, name):
    values, label = json.loads(line), json.loads(donor)[name]
    if values[name] == label:
        return line
    return dumped(values | {name: label}).encode()


def _svmlight_label(line, donor, name):
    _, space, rest = line.strip().partition(b" ")
    return donor.split()[0] + space + rest
