"""The page about the command line: its commands print what it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app

pytest.importorskip("matplotlib")
PAGE = Path(__file__).parent.parent / "docs" / "command_line.md"


def steps():
    """Commands and what they print, in their order."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    parts = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [part.split("\n", 1) for part in parts]


def comparable(text):
    """Leave out how numbers end and how lines break: processors differ in that."""
    text = re.sub(r"(\d+\.\d)\d+(e-\d+)?", r"\1", text)
    return " ".join(text.replace("─", "").split())


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a line in a folder; pipes in a shell whose commands are this Python's."""
    folder = tmp_path
    monkeypatch.chdir(folder)
    for name, module in (("python", ""), ("skpoison", "-m skpoison ")):
        script = folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        script.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    settings = {"cwd": folder, "env": os.environ | {"PATH": path}, "text": True}

    def run(line):
        if line.startswith("skpoison "):
            return CliRunner().invoke(app, shlex.split(line)[1:]).output
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(line, shell=True, timeout=120, **both, **settings).stdout

    return run


def test_commands_of_the_page_print_what_it_says(shell):
    found = steps()
    assert len(found) == 28
    for line, wanted in found:
        assert comparable(shell(line)) == comparable(wanted), line
