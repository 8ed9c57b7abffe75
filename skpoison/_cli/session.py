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
# Wide enough for the tables if the output is not a terminal.
PIPE_WIDTH = 100


class Session:
    """Consoles and messages of one command.

    With `quiet`, only errors and warnings are printed; with `debug`, errors come with a
    traceback; with `results_to_stderr`, standard output is used for data.
    """

    def __init__(self, quiet=False, debug=False, results_to_stderr=False):
        self.quiet, self.debug = quiet, debug
        self.console = _console(stderr=results_to_stderr, quiet=quiet)
        self._progress = _console(stderr=True, quiet=quiet)
        self._interrupted = False

    @property
    def shows_bars(self):
        """Whether a terminal shows how far something is."""
        return not self.quiet and self._progress.is_terminal

    @contextlib.contextmanager
    def step(self, text):
        """Show on a terminal what is being done."""
        self.go_on()
        if not self.shows_bars:
            yield
            return
        with self._progress.status(one_line(text) + " …"):
            yield

    @contextlib.contextmanager
    def count(self, text, total):
        """Show progress on a terminal; yield a function to call after each part."""
        console, hidden = self._progress, not self.shows_bars
        with Progress(console=console, transient=True, disable=hidden) as bars:
            bar = bars.add_task(one_line(text), total=total)

            def advance():
                bars.advance(bar)
                self.go_on()

            yield advance

    def go_on(self):
        """Stop here after an interrupt that other code has suppressed.

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
            # The reader has stopped, as head does; Python would complain at exit.
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
            yield  # Only the main thread receives signals.
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
        return f"this needs {error.name}: pip install {error.name}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else text
    if isinstance(error, ValueError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where it comes from)"
