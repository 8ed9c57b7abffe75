"""Pages about the command line: their commands print what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parent.parent


def text_of(page):
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def steps(page):
    """Commands and what they print, in their order."""
    text = text_of(page)
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


@pytest.mark.parametrize(
    ("page", "n_steps"), [("command_line.md", 39), ("pipelines.md", 3)]
)
def test_commands_of_a_page_print_what_it_says(shell, page, n_steps):
    if page == "pipelines.md":
        pytest.importorskip("sarif")
    found = steps(page)
    assert len(found) == n_steps
    for line, wanted in found:
        assert comparable(shell(line)) == comparable(wanted), line


def yaml_of(page, name):
    """A block of YAML whose first line names the file that it is."""
    yaml = pytest.importorskip("yaml")
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", text_of(page), flags=re.DOTALL)
    # Also true of YAML 1.1, in which "on" is a truth value.
    return yaml.safe_load(dict(blocks)[name])


def write_batches():
    """A trusted table and a batch of honest rows that follow it."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = np.round(rng.normal(size=(200, 3)) + 6 * y[:, None], 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(target=y)
    frame[:120].to_csv("base.csv", index=False)
    frame[120:].to_csv("new.csv", index=False)
    return frame[120:]


def test_the_workflow_passes_honest_rows_and_stops_poison(shell):
    pytest.importorskip("sarif")
    workflow = yaml_of("pipelines.md", ".github/workflows/training-data.yml")
    steps = workflow["jobs"]["poison"]["steps"]
    [line] = [one["run"] for one in steps if one.get("run", "").startswith("skpoison")]
    upload = steps[-1]
    assert upload["if"] == "success() || failure()"
    written = Path(upload["with"]["sarif_file"])
    new = write_batches()
    assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 0
    assert '"results": []' in written.read_text()
    written.unlink()
    new.assign(target=1 - new.target).iloc[:8].to_csv("new.csv", index=False)
    assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 3
    assert '"startLine": 2' in written.read_text()


def test_the_hook_is_one_of_pre_commit_and_runs_with_the_arguments_of_the_page(shell):
    client = pytest.importorskip("pre_commit.clientlib")
    [hook] = client.load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))
    [repo] = yaml_of("pipelines.md", ".pre-commit-config.yaml")["repos"]
    [used] = repo["hooks"]
    assert used["id"] == hook["id"] and not hook["pass_filenames"]
    assert re.search(used["files"], used["args"][0])
    assert all(re.search(hook["files"], name) for name in ("a.csv", "b/c.jsonl.gz"))
    new = write_batches()
    Path("data").mkdir()
    Path("base.csv").rename("data/base.csv")
    arguments = [*shlex.split(hook["entry"])[1:], *used["args"]]
    for flipped, code in ((0, 0), (8, 3)):
        changed = new.target.where(np.arange(len(new)) >= flipped, 1 - new.target)
        new.assign(target=changed).to_csv("data/train.csv", index=False)
        assert CliRunner().invoke(app, arguments).exit_code == code
