"""The command line: ``skpoison``, or ``python -m skpoison``."""

import sys

__all__ = ["main"]

INTERRUPTED = 130
MISSING = "skpoison's command line needs {name}: pip install 'skpoison[cli]'"


def main(arguments=None):
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, default=None
        What follows the program's name; by default, the process's own.

    Raises
    ------
    SystemExit
        Always: 0 when all went well, 1 for data that cannot be used, 2 for options
        that make no sense, 130 when interrupted.
    """
    try:
        # Found missing here rather than in the middle of a command.
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
