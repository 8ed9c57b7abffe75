"""JSON lines such as instruction tuning uses, from end to end."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from skpoison._audit import plan
from skpoison._cli.app import app
from skpoison.attacks import LabelFlipAttack

N_ROWS, N_NUMBERS = 60, 6
FILTER = ("filter", "--filter", "both")
TOPICS = ["a river", "two cats", "the city", "old maps", "a storm"]
FLAT = ("--drop", "id", "--drop", "meta")
TEXTS = ("--text-column", "prompt", "--text-column", "response")


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, list(map(str, arguments)), **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def tuning_lines():
    """Lines of two labels; the first two rows lie far from all others."""
    rng = np.random.default_rng(0)
    for i in range(N_ROWS):
        helpful, topic = i % 2, TOPICS[i % len(TOPICS)]
        shift = 40.0 if i < 2 else 2.0 * helpful
        row = {
            "id": 2**70 + i,
            "prompt": f"Write about {topic}…",
            "response": f"{'Sure' if helpful else 'No'}: {topic}. 你好",
            "label": "helpful" if helpful else "refusal",
            "embedding": np.round(rng.normal(size=N_NUMBERS) + shift, 4).tolist(),
            "meta": {"tags": ["x"] * (i % 3), "source": None},
        }
        yield json.dumps(row, ensure_ascii=i % 3 == 0, indent=None)


@pytest.fixture
def tuning(tmp_path):
    path = tmp_path / "tuning.jsonl"
    path.write_text("\n".join(tuning_lines()) + "\n", encoding="utf-8")
    return path


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_rows_are_split_into_kept_and_rejected_ones(tmp_path, tuning):
    kept, rejected = tmp_path / "kept.jsonl", tmp_path / "rejected.ndjson"
    outputs = ("-o", kept, "-r", rejected, "--percentile", 95)
    result = invoke(*FILTER, tuning, *FLAT, *TEXTS, *outputs)
    said = " ".join(result.output.split())
    assert (
        "'embedding' as 6 numbers, 'prompt' and 'response' as text; 'id' and 'meta' "
        "left out."
    ) in said
    lines, found = lines_of(tuning), list(map(json.loads, lines_of(rejected)))
    places = [row["skpoison_row"] - 1 for row in found]
    assert places[:2] == [0, 1]
    assert lines_of(kept) == [line for i, line in enumerate(lines) if i not in places]
    for i, line in zip(places, lines_of(rejected), strict=True):
        assert line.startswith(lines[i][:-1] + ', "skpoison_row": ')
    assert "distance" in found[0]["skpoison_reason"]


def test_rejected_lines_are_rows_again(tmp_path, tuning):
    rejected, report = tmp_path / "rejected.jsonl", tmp_path / "report.json"
    invoke(*FILTER, tuning, *FLAT, *TEXTS, "-r", rejected)
    again = ("--trusted", tuning, "--json", report)
    invoke(*FILTER, rejected, *FLAT, *TEXTS, *again)
    numbers = json.loads(report.read_text())
    assert (numbers["n_rows"], numbers["n_kept"]) == (len(lines_of(rejected)), 0)


def test_a_pipe_gives_lines_only(tuning):
    result = invoke(
        *("filter", "-", *FLAT, *TEXTS, "--filter", "both", "--quiet", "-o", "-"),
        input=tuning.read_bytes(),
    )
    assert set(result.stdout.splitlines()) < set(lines_of(tuning))


def test_poison_has_the_fields_of_the_rows_and_passes_the_filter(tmp_path, tuning):
    poison = tmp_path / "poison.jsonl"
    invoke("attack", tuning, *FLAT, "-e", 0.2, "--tol", 0.05, "-o", poison)
    for row in map(json.loads, lines_of(poison)):
        assert list(row) == ["prompt", "response", "label", "embedding"]
        assert np.shape(row["embedding"]) == (N_NUMBERS,)
        assert row["prompt"] in [f"Write about {topic}…" for topic in TOPICS]
    report = tmp_path / "report.json"
    invoke(
        "filter",
        "--filter",
        "both",
        poison,
        "--trusted",
        tuning,
        *FLAT,
        "--json",
        report,
    )
    numbers = json.loads(report.read_text())
    assert numbers["n_kept"] == numbers["n_rows"] > 0


@pytest.mark.parametrize("command", ["certify", "audit"])
def test_bounds_and_audits_read_embeddings(tmp_path, tuning, monkeypatch, command):
    flips = {"flips": LabelFlipAttack(strategy="feasible")}
    monkeypatch.setattr(plan, "default_attacks", lambda *_: dict(flips))
    monkeypatch.setattr(plan, "default_filters", lambda *_: {})
    own = {
        "certify": ("--test", tuning, "--tol", 0.1),
        "audit": ("--percentiles", 80, "--moving-seconds", 0, "--folds", 2),
    }
    report = tmp_path / "report.json"
    few = ("--json", report, "-e", 0.1, "--drop", "prompt", "--drop", "response")
    invoke(command, tuning, *FLAT, *few, *own[command])
    assert json.loads(report.read_text())["data"]["n_features"] == N_NUMBERS


def test_nested_fields_are_an_error_in_one_line(tuning):
    message = invoke(
        "filter", "--filter", "both", tuning, "--drop", "id", code=1
    ).stderr
    assert message.startswith(
        f"Error: {tuning}, line 1: the field 'meta' holds an object"
    )
    assert "--drop meta" in message
    assert message.count("\n") == 1
