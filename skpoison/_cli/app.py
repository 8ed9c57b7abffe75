"""The program ``skpoison`` and its commands."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from .attack import attack
from .audit import audit
from .certify import certify
from .filter import filter_
from .grouped import grouped
from .help import BareHelp, Command
from .trace import trace
from .verify import verify


class Commands(BareHelp, TyperGroup):
    """The commands; a file in the place of one gets a hint."""

    def resolve_command(self, ctx, args):
        """Find the command that is meant."""
        if args and args[0] not in self.commands and Path(args[0]).is_file():
            raise typer.BadParameter(
                f"{args[0]!r} is a file, not a command. Say what to do with it: "
                f"skpoison certify {args[0]}, for example."
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted):
    if wanted:
        from skpoison import __version__

        typer.echo(f"skpoison {__version__}")
        raise typer.Exit


@app.callback()
@grouped
def skpoison(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
):
    """Find poisoned training rows, and bound the damage they can do to a classifier.

    An attacker who can add rows to your training data can make the classifier worse. A
    filter that rejects unusual rows limits the damage; skpoison computes by how much.
    """


for _command in (certify, verify, filter_, trace, attack, audit):
    app.command(_command.__name__.removesuffix("_"), cls=Command)(_command)
