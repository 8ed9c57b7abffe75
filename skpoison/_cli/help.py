"""Help in two lengths: what most people need, and everything."""

from copy import copy

import typer
from typer.core import TyperCommand

MORE = "--help-all explains every option."


class BareHelp:
    """Shows ``--help`` like other switches, without ``<bool>`` behind it."""

    def get_help_option(self, ctx):
        """Return the option that shows the help."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


class Command(BareHelp, TyperCommand):
    """One command: hidden options, and what follows two paragraphs, need --help-all."""

    def format_help(self, ctx, formatter):
        """Show what most people need."""
        short = copy(self)
        short.help = "\n\n".join((self.help or "").split("\n\n")[:2])
        short.epilog = MORE
        TyperCommand.format_help(short, ctx, formatter)

    def show_everything(self, ctx):
        """Show all options and paragraphs."""
        TyperCommand.format_help(self._unhidden(), ctx, ctx.make_formatter())

    def shell_complete(self, ctx, incomplete):
        """Complete the names of all options."""
        return TyperCommand.shell_complete(self._unhidden(), ctx, incomplete)

    def _unhidden(self):
        full = copy(self)
        full.params = [copy(param) for param in self.params]
        for param in full.params:
            param.hidden = False
        return full


def show_everything(ctx: typer.Context, wanted: bool):
    """Show all options of a command, if that is wanted, and stop."""
    if wanted and not ctx.resilient_parsing:
        ctx.command.show_everything(ctx)
        raise typer.Exit
