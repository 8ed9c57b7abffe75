"""The command line: ``skpoison``, or ``python -m skpoison``."""

import atexit
import gc
import os
import sys

__all__ = ["main", "run"]

INTERRUPTED = 130
# New objects; every collection takes as long as there are objects.
COLLECT_AFTER = 100_000
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


def run():
    """Run the command line as a process of its own, as the installed script does.

    The process ends once all handlers of ``atexit`` have run and all output is
    written. Libraries are not torn down: Arrow's threads may want the interpreter
    after it is gone, and then abort the process whose work is done, or never end
    (https://github.com/apache/arrow/issues/34314 and 50482).

    Raises
    ------
    SystemExit
        Always, as :func:`main` does.
    """
    # Imports make many objects and hardly any garbage, which is looked for less often.
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    status = [1]
    atexit.register(_leave, status)  # The first to be registered is the last to run.
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status[0] = end.code or 0
        raise


def _leave(status):
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return  # Python says what became of the output.
    os._exit(status[0])
