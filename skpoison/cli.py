"""The command line: ``skpoison``, or ``python -m skpoison``."""

import sys

__all__ = ["main"]

INTERRUPTED = 130
MISSING = "skpoison's command line needs {name}: pip install typer rich"


def main(arguments=None):
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, default=None
        What follows the program's name; by default, the process's own.

    Raises
    ------
    SystemExit
        Always: 0 on success, 1 if the data cannot be used, 2 for invalid options, 130
        if interrupted.
    """
    try:
        # Imported here, so that it is missed before a command has started.
        import rich  # noqa: F401

        from skpoison._cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(MISSING.format(name=error.name))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    app(args=arguments, prog_name="skpoison")
