"""The README keeps its word: its Python runs, its commands are the documented ones."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.filterwarnings("error")
def test_python_blocks_run_one_after_the_other(capsys):
    namespace = {}
    pytest.importorskip("matplotlib").use("Agg")
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), namespace)
    assert namespace["bound"].upper_bound_ >= namespace["bound"].attack_loss_
    printed = capsys.readouterr().out
    # What the text says of the trace.
    assert "Without these 7 rows" in printed
    assert "the model predicts 1 instead of 8, and contradicts all of them" in printed


def test_the_first_shell_blocks_are_one_line_each():
    first, second = blocks("bash")[:2]
    assert "skpoison" in first
    assert "pytest" in second
    assert first.count("\n") == second.count("\n") == 1


def test_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README.read_text())
    assert len(pictures) >= 2
    for picture in pictures:
        assert (README.parent / picture).stat().st_size < 200_000
