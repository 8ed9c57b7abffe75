"""What ties the commands to what they run."""

import contextlib
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup


class _BareHelp:
    """Shows ``--help`` like other switches, without ``<bool>`` behind it."""

    def get_help_option(self, ctx):
        """Return the option that shows the help."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


class Command(_BareHelp, TyperCommand):
    """One command."""


class Commands(_BareHelp, TyperGroup):
    """The commands; a file in the place of one gets a hint."""

    def resolve_command(self, ctx, args):
        """Find the command that is meant."""
        if args and args[0] not in self.commands and Path(args[0]).is_file():
            raise typer.BadParameter(
                f"{args[0]!r} is a file, not a command. Say what to do with it: "
                f"skpoison certify {args[0]}, for example."
            )
        return super().resolve_command(ctx, args)


@contextlib.contextmanager
def open_session(quiet, debug, *outputs):
    """Open the session of a command, given where its outputs go."""
    from ._session import Session

    session = Session(quiet, debug, results_to_stderr="-" in outputs)
    with session.guard():
        yield session


def reading(
    format, target, no_header, decimal_comma, drop, max_size,
    categorical, text, scale, weights,
):  # fmt: skip
    """Return how to read files and how to turn columns into numbers."""
    from skpoison._io._encode import Encoding
    from skpoison._io._load import Options

    categorical, text = tuple(categorical or ()), tuple(text or ())
    options = Options(
        format=format,
        target=target,
        header=not no_header,
        decimal_comma=decimal_comma,
        drop=tuple(drop or ()),
        words=categorical + text,
        max_size=max_size,
    )
    return options, Encoding(scale, categorical, text, weights)
