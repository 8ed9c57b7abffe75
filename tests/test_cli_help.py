"""Help in two lengths: a screen of what most people need, and everything."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from skpoison._cli.app import app

COMMANDS = get_command(app).commands
sys.path.append(str(Path(__file__).parent.parent / "docs"))
command_line_options = importlib.import_module("command_line_options")


def help_of(command, option="--help", columns=100):
    settings = {"env": {"COLUMNS": str(columns)}}
    result = CliRunner().invoke(app, [*command.split(), option], **settings)
    assert result.exit_code == 0, result.output
    return result.stdout


def named(text):
    """The options that a help has an explanation of."""
    return set(re.findall(r"^│ \*? *(--[\w-]+)", text, flags=re.MULTILINE))


def names(command, hidden):
    params = [p for p in COMMANDS[command].params if p.param_type_name == "option"]
    return {param.opts[0] for param in params if hidden or not param.hidden}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_on_a_screen(command):
    assert help_of(command).count("\n") <= 50
    assert help_of(command, columns=80).count("\n") <= 52


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_some_options_and_says_how_to_see_the_others(command):
    text = help_of(command)
    assert named(text) == names(command, hidden=False) | {"--help"}
    assert {"--target", "--json", "--force"} < named(text)
    assert "--debug" not in text
    assert text.rstrip().splitlines()[-1].strip() == "--help-all explains every option."


@pytest.mark.parametrize("command", COMMANDS)
def test_all_options_are_explained_on_request(command):
    text = help_of(command, "--help-all")
    assert named(text) == names(command, hidden=True) | {"--help"}
    # Asking for them once does not change what --help shows after that.
    assert "--debug" not in help_of(command)
    paragraphs = COMMANDS[command].help.split("\n\n")
    words = " ".join(text.split())
    assert all(" ".join(paragraph.split()) in words for paragraph in paragraphs)
    assert " ".join(paragraphs[-1].split()) not in " ".join(help_of(command).split())


@pytest.mark.parametrize("option", ["--help", "--help-all"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_the_same_order_everywhere(command, option):
    panels = re.findall(r"─ ([A-Z][a-z ]+) ─", help_of(command, option))
    wanted = ["Arguments", "Options", "Data", "Defense and learner", "Output"]
    if command == "verify":  # whose file says what was defended
        wanted.remove("Defense and learner")
    assert panels == wanted


@pytest.mark.parametrize("option", ["--help", "--help-all"])
@pytest.mark.parametrize("command", COMMANDS)
def test_switches_are_shown_without_values(command, option):
    text = help_of(command, option)
    assert re.search(r"--help +-h +Show this message", text)
    assert "bool" not in text.lower()


def test_shells_complete_all_options():
    command = COMMANDS["certify"]
    with command.make_context("certify", [], resilient_parsing=True) as context:
        found = {item.value for item in command.shell_complete(context, "--")}
    assert found >= names("certify", hidden=True)


def test_errors_name_options_that_help_does_not_show():
    result = CliRunner().invoke(app, ["certify", "--max-itre", "3"])
    assert result.exit_code == 2 and "--max-iter" in result.stderr
    result = CliRunner().invoke(app, ["certify", "--tol", "-1"])
    assert result.exit_code == 2 and "'--tol'" in result.stderr


def test_the_page_explains_all_options():
    page = command_line_options
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.page(text), "run python docs/command_line_options.py"
    listed = set(re.findall(r"^\| `(--[\w-]+)", text, flags=re.MULTILINE))
    assert listed == set().union(*(names(command, hidden=True) for command in COMMANDS))
