"""The script for the day on which there is a GPU, tried without one."""

import importlib
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

RUN = subprocess.run
SCRIPTS = ("bench_neural_scratch", "bench_neural_overhead", "bench_epic_forgetting")
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_check.py"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("gpu_check")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_so(script, capfd):
    assert script.main([]) == 3
    out, err = capfd.readouterr()
    assert err.startswith("no CUDA device: nothing was checked")
    assert not out


def in_this_process(command, **options):
    """Run a script where torch is loaded already, in place of ``subprocess.run``."""
    if command[1] == "-m":
        return RUN(command, **options)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        patch.setattr(sys, "argv", command[1:])
        runpy.run_path(command[1], run_name="__main__")
    return subprocess.CompletedProcess(command, 0)


@pytest.mark.slow
def test_all_parts_run_in_small(script, data_folder, monkeypatch, capfd):
    monkeypatch.setattr(script.subprocess, "run", in_this_process)
    code = script.main(["--device", "cpu", "--tiny", "--data", str(data_folder)])
    out, err = capfd.readouterr()
    assert code == 0, out + err
    assert out.count(": passed, ") == 5
    for word in (
        "SKIPPED",
        "EPIC every 2 epochs adds",
        "as many at random",
        "a round adds",
    ):
        assert word in out


def test_parts_that_fail_or_are_stopped_are_told(script, monkeypatch, capfd):
    commands = {
        "tests": [sys.executable, "-c", "print('fine')"],
        "overhead": [sys.executable, "-c", "raise SystemExit(4)"],
        "matching": [sys.executable, "-c", "import time; time.sleep(60)"],
        "forgetting": [sys.executable, "-c", "print('fine')"],
        "large": [sys.executable, "-c", "print('fine')"],
    }
    assert list(commands) == list(script.parts_of(script.options_of([])))
    assert tuple(commands) == script.PARTS
    monkeypatch.setattr(script, "parts_of", lambda options: commands)
    assert script.main(["--device", "cpu", "--seconds", "2"]) == 1
    told = capfd.readouterr().out
    assert "overhead: failed with 4" in told
    assert "matching: stopped, for the time was up" in told
    assert told.endswith(
        "passed: tests, forgetting, large\nfailed: overhead, matching\n"
    )
    assert script.main(["--device", "cpu", "--parts", "tests"]) == 0


@pytest.mark.parametrize("arguments", [[], ["--device", "cpu", "--tiny"]])
def test_parts_are_asked_for_what_they_know(script, arguments):
    commands = script.parts_of(script.options_of(arguments))
    scratch, overhead, forgetting = map(importlib.import_module, SCRIPTS)
    asked = forgetting.options_of(commands["forgetting"][2:])
    assert "cost" in asked.parts and asked.device == ("cpu" if arguments else "cuda")
    asked = scratch.options_of(commands["matching"][2:])
    assert (asked.attack, asked.device) == ("gradient", "cpu" if arguments else "cuda")
    sizes = []
    for name, part in (("overhead", "all"), ("large", "selection")):
        asked = overhead.options_of(commands[name][2:])
        assert asked.part == part
        sizes += asked.sizes
    assert set(sizes) == set(overhead.SMALL if arguments else overhead.SIZES)
