"""Writes the table of all options at the end of ``command_line.md``.

``python docs/command_line_options.py`` after a change of an option of ``skpoison``.
"""

import re
from pathlib import Path

from typer.main import get_command

from skpoison._cli.app import app

PAGE = Path(__file__).with_name("command_line.md")
HEADING = "## All options\n"
INTRODUCTION = """
`skpoison COMMAND --help` shows the options that most people need, `--help-all` these:

| option | of | what it does |
|---|---|---|
"""


def options():
    """Yield the names, commands and explanation of every option; equal ones once."""
    commands = get_command(app).commands
    found = {}
    for command, made in commands.items():
        for param in made.params:
            if param.param_type_name == "option":
                key = tuple(param.opts), param.metavar, explanation(param)
                found.setdefault(key, []).append(command)
    for (names, metavar, text), of in sorted(found.items(), key=lambda one: one[0][0]):
        yield names, metavar, "all" if len(of) == len(commands) else ", ".join(of), text


def explanation(param):
    """Return what an option does, with its default."""
    text, default = param.help, param.default
    if isinstance(default, list):
        default = ",".join(default)
    if default is not None and default is not False:
        text += f" Default: {default}."
    return re.sub(r"(?<!\S)--[\w-]+", r"`\g<0>`", text)


def section():
    """Return the part of the page about options."""
    rows = (
        f"| {name_of(names, metavar)} | {of} | {text} |\n"
        for names, metavar, of, text in options()
    )
    return HEADING + INTRODUCTION + "".join(rows)


def name_of(names, metavar):
    """Return how an option is written."""
    first, *others = names
    written = [f"`{first} {metavar}`" if metavar else f"`{first}`"]
    return ", ".join(written + [f"`{name}`" for name in others])


def page(text):
    """Return the text of the page with the section as its last."""
    return text.partition(HEADING)[0] + section()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
