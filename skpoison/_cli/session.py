"""One run of a command: its consoles, its messages and its exit code."""

import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings

import typer
from rich.console import Console
from rich.progress import Progress

from skpoison._words import one_line

INTERRUPTED = 130
# Wide enough for the tables where no terminal says how wide it is.
PIPE_WIDTH = 100
EXTRAS = {"matplotlib": "plot"}


class Session:
    """Consoles and messages of one command.

    With `quiet`, nothing is said but errors and warnings; with `debug`, errors show
    where they come from; with `results_to_stderr`, standard output is taken.
    """

    def __init__(self, quiet=False, debug=False, results_to_stderr=False):
        self.quiet, self.debug = quiet, debug
        self.console = _console(stderr=results_to_stderr, quiet=quiet)
        self._progress = _console(stderr=True, quiet=quiet)
        self._interrupted = False

    @contextlib.contextmanager
    def step(self, text):
        """Show on a terminal that something is being done."""
        self.go_on()
        if self.quiet or not self._progress.is_terminal:
            yield
            return
        with self._progress.status(one_line(text) + " …"):
            yield

    @contextlib.contextmanager
    def count(self, text, total):
        """Show on a terminal how much is done; yield what to call after each part."""
        hidden = self.quiet or not self._progress.is_terminal
        with Progress(console=self._progress, transient=True, disable=hidden) as bars:
            bar = bars.add_task(one_line(text), total=total)

            def advance():
                bars.advance(bar)
                self.go_on()

            yield advance

    def go_on(self):
        """Stop here if an interrupt has come that somebody else's code has swallowed.

        joblib does so while it writes to a cache.
        """
        if self._interrupted:
            raise KeyboardInterrupt

    def say(self, text):
        """Print a line."""
        self.console.print(one_line(text), markup=False, highlight=False)

    @contextlib.contextmanager
    def guard(self):
        """Turn errors, warnings and interrupts into messages and exit codes."""
        try:
            with _warnings_as_messages(), self._remembering_interrupts():
                yield
                self.go_on()
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever reads has had enough, as head has; Python would complain at exit.
            sys.stdout = open(os.devnull, "w")
            raise typer.Exit(1) from None
        except Exception as error:
            if self.debug:
                traceback.print_exc()
            typer.echo(f"Error: {_message(error)}", err=True)
            raise typer.Exit(1) from None

    @contextlib.contextmanager
    def _remembering_interrupts(self):
        def interrupt(number, frame):
            self._interrupted = True
            raise KeyboardInterrupt

        if threading.current_thread() is not threading.main_thread():
            yield  # Only the main thread can be told of signals.
            return
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _console(stderr, quiet):
    console = Console(stderr=stderr, quiet=quiet)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


@contextlib.contextmanager
def _warnings_as_messages():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            for text in dict.fromkeys(str(warning.message) for warning in caught):
                warn(text)


def warn(text):
    """Print a warning on standard error."""
    typer.echo(f"Warning: {one_line(text)}", err=True)


def _message(error):
    text = one_line(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for these data."
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get(error.name, "cli")
        return f"this needs {error.name}: pip install 'skpoison[{extra}]'"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else text
    if isinstance(error, ValueError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where it comes from)"
