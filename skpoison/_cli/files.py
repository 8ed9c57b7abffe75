"""Files that commands write."""

import json

import typer

from skpoison._io import DataError
from skpoison._io.write import check_free, whole_file
from skpoison._words import counted

from .session import warn


def check_paths(paths, force):
    """Raise an error if files cannot be written, or not all of them."""
    for path in paths:
        check_free(path, force)
        if paths.count(path) > 1:
            raise DataError(f"Two outputs cannot go to the same place, {path!r}.")


def write_text(path, text, force):
    """Write text to a file, or to standard output for ``-``."""
    if path == "-":
        typer.echo(text, nl=False)
        return
    with whole_file(path, force) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(outputs, numbers):
    """Write numbers to the file of ``--json``, if it is given."""
    if outputs.json is not None:
        text = json.dumps(numbers, indent=2, allow_nan=False, ensure_ascii=False)
        write_text(outputs.json, text + "\n", outputs.force)


def rows_to(path, data, outputs, keep_formulas):
    """Return the output for rows of some data; None without a path."""
    if path is None:
        return None
    # Imported here, since paths are checked before numpy is loaded.
    from skpoison._io.output import Output

    return Output(path, data, force=outputs.force, formulas=keep_formulas)


def write_rows(session, output, content, n_rows):
    """Write rows, and print how many."""
    output.write(content, typer.get_binary_stream("stdout"))
    if output.path != "-":
        session.say(f"{counted(n_rows, 'row')} written to {output.path}.")
    if output.n_escaped:
        warn_of_escaped(output.n_escaped)


def warn_of_escaped(n_escaped):
    """Say that cells got an apostrophe in front."""
    warn(
        f"{counted(n_escaped, 'cell')} that a spreadsheet would run as a formula got "
        "an apostrophe in front; --keep-formulas leaves such text unchanged."
    )
