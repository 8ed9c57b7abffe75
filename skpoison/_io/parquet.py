"""Parquet files, through pyarrow."""

import contextlib
import io

from .errors import DataError
from .places import is_url


def read_parquet(source):
    """Read a Parquet file into a table.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    table : pyarrow.Table
        Its cells, without the row index that pandas may have put there.
    """
    with _opened(source) as content:
        _check_size(source, content.metadata)
        table = content.read()
        table.validate(full=True)
    return table.drop_columns(list(filter(_is_index, table.column_names)))


def types_of(source):
    """Return the types of the columns of a Parquet file, by their names."""
    with _opened(source) as content:
        fields = content.schema_arrow
    return {field.name: field.type for field in fields if not _is_index(field.name)}


def _is_index(name):
    return name.startswith("__index_level_")


@contextlib.contextmanager
def _opened(source):
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with _seekable(source) as file, parquet.ParquetFile(file) as content:
            yield content
    except (pa.ArrowException, OSError) as error:
        reason = str(error).removesuffix(".")
        raise DataError(f"{source.label} cannot be read: {reason}.") from error


def _seekable(source):
    import pyarrow as pa

    if source.path:
        return pa.OSFile(source.path)
    if is_url(source.name) and source.compression is None:
        return source.open()
    with source.open() as file:
        return io.BytesIO(file.read())


def _check_size(source, metadata):
    """Look at what the file says of itself before memory is taken for it."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    stored = sum(group.total_byte_size for group in groups)
    # Runs of equal values take next to nothing in the file, but eight bytes each here.
    spread = metadata.num_rows * metadata.num_columns * 8
    if max(stored, spread) > source.limit:
        raise DataError(
            f"{source.label} unpacks to {max(stored, spread) / 1e9:.3g} GB; raise "
            "--max-size if this is intended."
        )
