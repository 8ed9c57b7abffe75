"""The commands, step by step."""

import json

import typer

from skpoison._io._write import check_free, whole_file

from ._sample import read_sample
from ._session import warn


def run_certify(session, data, *, read, settings, json_file, force):
    """Read, certify, show and write.

    Parameters
    ----------
    session : Session
        Where to show.
    data : str or None
        The file of clean rows.
    read : dict
        Arguments of :func:`read_sample`.
    settings : Settings
        What to certify.
    json_file : str or None
        Where to write the numbers.
    force : bool
        Whether an existing file may be replaced.
    """
    check_free(json_file, force)
    with session.step(f"Reading {data or 'the digits'}"):
        sample = read_sample(data, **read)
    n_bounds = len(settings.epsilons)
    with session.step(f"Bounding the damage for {n_bounds} values of epsilon"):
        from ._certify import certify

        numbers, _ = certify(sample, settings)
    _warn_if_short(numbers, settings)
    from ._report import show_certificate

    show_certificate(session, numbers)
    write_json(numbers, json_file, force)


def _warn_if_short(numbers, settings):
    short = [row["epsilon"] for row in numbers["bounds"] if not row["converged"]]
    if short:
        listed = ", ".join(f"{epsilon:g}" for epsilon in short)
        warn(
            f"for epsilon {listed} the solver stopped before upper and lower bound "
            f"came as close as asked for (--tol {settings.tol:g}). The upper bounds "
            "hold all the same; a larger --max-iter may lower them."
        )


def write_json(numbers, path, force):
    """Write numbers as JSON to a file, or to standard output for ``-``."""
    if path is None:
        return
    text = json.dumps(numbers, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if path == "-":
        typer.echo(text, nl=False)
        return
    with whole_file(path, force) as file:
        file.write(text.encode())
