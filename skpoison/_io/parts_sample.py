"""Rows of many files: a sample of all of them, and the rows of one file."""

from dataclasses import replace

import numpy as np

from . import csv, parquet
from .columns import is_number, is_text
from .errors import DataError, quoted
from .number_text import is_nothing, mask_of
from .parts import named
from .read import load
from .source import Source
from .table import TableData

# So many files, spread over all, are read for a sample.
MOST_FILES = 100


def check_alike(parts, options):
    """Raise an error if files differ in their columns, or in what these hold."""
    first, columns = None, None
    for part in parts.files:
        found = _columns_of(part, options)
        if found is None:
            continue
        if columns is None:
            first, columns = part.name, found
        _check_names(first, columns, part.name, found)
        for name, (kind, type_) in found.items():
            known, known_type = columns[name]
            if known is None:
                columns[name] = kind, type_
            elif kind not in (None, known):
                raise DataError(
                    f"Column {name!r} holds {type_} in {part.name}, but {known_type} "
                    f"in {first}: all files must have the same types."
                )


def _check_names(first, columns, name, found):
    lacks, more = columns.keys() - found.keys(), found.keys() - columns.keys()
    told = [f"lacks {quoted(sorted(lacks))}"] if lacks else []
    told += [f"has {quoted(sorted(more))} besides"] if more else []
    if told:
        raise DataError(
            f"{name} {' and '.join(told)}: all files must have the columns of {first}."
        )


def _columns_of(part, options):
    """Return what columns hold, by their names: kinds, and types for messages.

    Kinds are None where only the rows tell, which may be none.
    """
    if not part.size:
        return None
    source = Source(part.name, options.format, options.max_size)
    if source.format == "parquet":
        types = parquet.types_of(source)
        return {name: (_kind(one), str(one)) for name, one in types.items()}
    delimiter = csv.delimiter(source, options.decimal_comma)
    names = csv.names_of(source, options.header, delimiter)
    return dict.fromkeys(names, (None, ""))


def _kind(type_):
    """Return what types of equal meaning have in common."""
    import pyarrow.types as types

    if types.is_null(type_):
        return None
    if is_number(type_):
        return "numbers"
    if is_text(type_):
        return "text"
    return "dates" if types.is_date(type_) or types.is_timestamp(type_) else str(type_)


def sample_of(parts, options):
    """Draw rows of all files at random, all alike if there are more than are wanted.

    Parameters
    ----------
    parts : Parts
        The files. If there are very many, some that are spread over all are read.
    options : Options
        What to know about them, and how many rows to draw.

    Returns
    -------
    data : TableData
        The rows.
    note : str
        How they were drawn; empty if these are all rows.
    """
    check_alike(parts, options)
    files = parts.files
    if len(files) > MOST_FILES:
        places = np.linspace(0, len(files) - 1, MOST_FILES).astype(int)
        files = [files[i] for i in places]
    found, n_rows = _drawn(files, options)
    if not found:
        raise DataError(f"The files in {parts.name!r} have no rows.")
    if mixed := _text_in_some(found):
        # A column of words can look like numbers in some of the files.
        options = replace(options, words=(*options.words, *mixed))
        found, n_rows = _drawn(files, options)
    table = _joined(parts, [one.table for one in found])
    data = TableData(found[0].origin, table, options)
    data.source = parts.name
    data.labels = data.labels.of_kind(options.target_kind)
    return data, _note(parts, files, len(data), n_rows)


def _note(parts, files, n_drawn, n_rows):
    if len(files) < len(parts):
        return f"{n_drawn:,} rows of {len(files):,} of {len(parts):,} files"
    return f"{n_drawn:,} of {n_rows:,} rows" if n_drawn < n_rows else ""


def _drawn(files, options):
    """Return rows of the files that have some, and how many rows all have."""
    rng = np.random.default_rng(0)
    options = replace(options, may_be_empty=True)
    found, lots, share, n_rows = [], [], 1.0, 0
    for part in files:
        with named(part):
            data = load(part.name, options) if part.size else ()
        n_rows += len(data)
        lot = rng.random(len(data))
        if not (lot < share).any():
            continue
        found.append(data.of_table(data.table.take(np.flatnonzero(lot < share))))
        lots.append(lot[lot < share])
        if sum(map(len, lots)) > options.sample:
            share = _smaller(lots, options.sample)
            for i, lot in enumerate(lots):
                found[i].table = found[i].table.take(np.flatnonzero(lot < share))
                lots[i] = lot[lot < share]
    kept = [data for data in found if len(data)]
    return kept, n_rows


def _smaller(lots, n_rows):
    """Return the share that leaves so many rows."""
    return float(np.partition(np.concatenate(lots), n_rows)[n_rows])


def _text_in_some(found):
    """Return columns that are text in some tables, and something else in others."""
    import pyarrow.types as types

    mixed = []
    for name in found[0].table.column_names:
        held = [one for one in found if not types.is_null(one.table.column(name).type)]
        texts = [one for one in held if is_text(one.table.column(name).type)]
        if not texts or len(texts) == len(held):
            continue
        others = next(one for one in held if one not in texts)
        for one in texts:
            _check_may_be_numbers(name, one, others)
        mixed.append(name)
    return mixed


def _check_may_be_numbers(name, data, others):
    """Refuse words in one file where another one has none.

    Numbers can be written with words, as units are, but not without a digit.
    """
    import pyarrow.compute as pc

    cells = data.table.column(name).cast("string").combine_chunks()
    is_word = ~mask_of(pc.match_substring_regex(cells, r"\d"))
    is_word &= ~mask_of(is_nothing(cells))
    if not is_word.any():
        return
    row = int(is_word.argmax())
    raise DataError(
        f"Column {name!r} holds words such as {cells[row].as_py()[:40]!r} in "
        f"{data.source}, but {others.table.column(name).type} in {others.source}: "
        f"all files must have the same types (the first word is in {data.where(row)})."
    )


def _joined(parts, tables):
    import pyarrow as pa

    plain = [_without_dictionaries(table) for table in tables]
    if any(one.schema.types != tables[0].schema.types for one in tables):
        tables = plain
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).removesuffix(".")
        raise DataError(
            f"The files in {parts.name!r} differ in their types: {reason}."
        ) from error


def _without_dictionaries(table):
    """Return a table whose columns hold their values, not places in a dictionary."""
    import pyarrow as pa

    fields = [
        field.with_type(field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def pattern_of(data):
    """Return what other files need to know of a sample, without its rows."""
    found = data.of_table(data.table.slice(0, 0))
    found.labels = data.labels.take(slice(0, 0))
    return found


def load_part(part, pattern, options):
    """Read the rows of one of many files, with the labels coded as in a sample.

    Parameters
    ----------
    part : Part
        The file.
    pattern : TableData
        What :func:`pattern_of` returned.
    options : Options
        What to know about the files.

    Returns
    -------
    data : TableData or None
        The rows, which can be none; None if the file is empty.
    """
    if not part.size:
        return None
    words = (*options.words, *pattern.words)
    target = pattern.labels.name
    options = replace(options, target=target, words=words, may_be_empty=True)
    data = load(part.name, options)
    _check_holds_numbers(data, pattern)
    data.labels = pattern.labels.matched(data.labels, new_labels=True)
    return data


def _check_holds_numbers(data, pattern):
    """Refuse words in columns that hold numbers in the sample, if that is a table."""
    if not len(data) or not isinstance(pattern, TableData):
        return
    types = {field.name: field.type for field in data.table.schema}
    for field in pattern.table.schema:
        if is_number(field.type) and is_text(types.get(field.name, field.type)):
            _check_may_be_numbers(field.name, data, pattern)
