"""What the commands say of labels that may be meant otherwise."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app
from skpoison._io.errors import DataError
from skpoison._io.label_doubts import doubts_about, is_one_slip
from skpoison._io.labels import Labels


def labels_of(**counts):
    values = sorted(counts)
    codes = np.repeat(np.arange(len(values)), [counts[value] for value in values])
    return Labels("kind", values, codes)


def table(path, labels, seed=0):
    rng = np.random.default_rng(seed)
    cells = [f"{a:.4f},{b:.4f}" for a, b in rng.normal(size=(len(labels), 2))]
    lines = [f"{cell},{label}" for cell, label in zip(cells, labels, strict=True)]
    path.write_text("\n".join(["a,b,label", *lines]) + "\n")
    return path


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(
    ("word", "other", "is_slip"),
    [
        ("spma", "spam", True),
        ("spa", "spam", False),
        ("spam", "spams", True),
        ("spom", "spam", True),
        ("spam", "ham", False),
        ("psma", "spam", False),
        ("item1", "item2", False),
        ("item1", "item12", False),
        ("male", "female", False),
        ("", "a", False),
    ],
)
def test_one_slip_of_the_pen(word, other, is_slip):
    assert is_one_slip(word, other) is is_slip
    assert is_one_slip(other, word) is is_slip


def test_spellings_of_one_label_are_named_with_the_most_frequent():
    (text,) = doubts_about(labels_of(spam=100, **{" Spam": 60, "SPAM": 1}, ham=80))
    assert text.startswith(
        "' Spam' (60 rows) and 'SPAM' (1 row) may be 'spam' (100 rows) in another"
    )
    (text,) = doubts_about(labels_of(spam=100, sapm=2, ham=80))
    assert text.startswith("'sapm' (2 rows) may be 'spam' (100 rows)")


def test_frequent_classes_may_have_similar_names():
    assert doubts_about(labels_of(positive=100, positives=30)) == []
    assert doubts_about(labels_of(**{"class 1": 100, "class 2": 2})) == []


def test_a_single_row_of_a_class_is_named():
    (text,) = doubts_about(labels_of(ham=50, spam=50, virus=1))
    assert text.startswith("The label 'virus' has a single row")
    many = doubts_about(labels_of(ham=50, **{f"{c}{c}{c}": 1 for c in "abcdefg"}))
    assert "'eee' and 2 more has" in many[0]


@pytest.mark.parametrize(
    ("values", "is_doubtful"),
    [
        (list(range(10)), False),
        (list(range(20, 40)), True),
        ([0.0, 0.5, 1.0], True),
        ([0.0, 1.0, 2.0], False),
        ([-0.5, 0.5], False),
        ([f"{i}a" for i in range(20)], False),
    ],
)
def test_numbers_that_may_be_a_quantity_are_doubtful(values, is_doubtful):
    labels = Labels("y", values, np.tile(np.arange(len(values)), 30))
    assert bool(doubts_about(labels)) is is_doubtful
    for kind in ("classes", "quantity"):
        if kind == "classes" or not isinstance(values[0], str):
            assert doubts_about(labels.of_kind(kind)) == []


def test_the_kind_of_a_target_can_be_said(tmp_path):
    ages = table(tmp_path / "ages.csv", 20 + np.arange(300) % 15)
    shown = invoke("filter", ages, "--json", "-")
    assert "15 different numbers, which are taken for classes" in shown.stderr
    assert len(json.loads(shown.stdout)["classes"]) == 15
    told = invoke("filter", ages, "--target-kind", "quantity", "--json", "-")
    assert [one["label"] for one in json.loads(told.stdout)["classes"]] == ["all"]
    assert json.loads(told.stdout)["reading"]["target_kind"] == "quantity"
    verdict = json.loads(told.stdout)["verdict"]
    assert verdict["text"].endswith("Poison whose targets are plausible leaves none.")
    quiet = invoke("filter", ages, "--target-kind", "classes", "--json", "-")
    assert "taken for" not in quiet.stderr


def test_a_quantity_can_be_taken_for_classes(tmp_path):
    path = table(tmp_path / "halves.csv", np.arange(220) % 22 / 2)
    refused = invoke("filter", path, "--filter", "both", code=1)
    assert "--target-kind classes" in " ".join(refused.stderr.split())
    invoke("filter", path, "--filter", "both", "--target-kind", "classes")


def test_words_are_no_quantity(tmp_path):
    path = table(tmp_path / "words.csv", ["ham", "spam"] * 30)
    refused = invoke("filter", path, "--target-kind", "quantity", code=1)
    assert "is no quantity (--target-kind): it holds 'ham' and 'spam'" in refused.stderr
    with pytest.raises(DataError, match="no quantity"):
        labels_of(ham=1, spam=1).of_kind("quantity")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("unknown", "it holds 'unknown', first in row 8."),
        ("inf", "is inf in row 8: quantities are finite numbers."),
        ("-inf", "is -inf in row 8: quantities are finite numbers."),
    ],
)
def test_targets_that_are_no_quantities_are_named_with_their_row(tmp_path, cell, says):
    prices = [f"{100 + i / 7:.3f}" for i in range(60)]
    prices[7] = cell
    path = table(tmp_path / "prices.csv", prices)
    refused = invoke("filter", path, "--target-kind", "quantity", code=1)
    assert says in " ".join(refused.stderr.split())


def test_commands_name_doubtful_labels(tmp_path):
    path = table(tmp_path / "slips.csv", ["ham", "spam"] * 40 + ["spma"])
    shown = invoke("filter", path)
    assert "'spma' (1 row) may be 'spam' (40 rows)" in " ".join(shown.stderr.split())
    sphere = "--filter", "sphere", "--epsilon", "0.1", "--test-share", "0"
    shown = invoke("certify", path, "--positive", "ham", *sphere)
    assert "'spma' (1 row) may be 'spam' (40 rows)" in " ".join(shown.stderr.split())
    refused = invoke("audit", path, code=1)
    said = " ".join(refused.stderr.split())
    assert "'spma' (1 row) may be 'spam' (40 rows)" in said
    assert "The class 'spma' has 1 row, fewer than the 3 folds" in said


def test_traces_name_doubtful_labels(tmp_path):
    path = table(tmp_path / "slips.csv", ["ham", "spam"] * 40 + ["spma"])
    case = table(tmp_path / "case.csv", ["spma"])
    given = "trace", path, "--case", case, "--max-removed", "1", "--method", "gradient"
    shown = invoke(*given, code=3)  # no single row is to blame
    assert "'spma' (1 row) may be 'spam' (40 rows)" in " ".join(shown.stderr.split())


def test_traces_name_numbers_that_may_be_a_quantity(tmp_path):
    path = table(tmp_path / "ages.csv", 20 + np.arange(300) % 15)
    case = table(tmp_path / "case.csv", [31])
    given = "trace", path, "--case", case, "--max-removed", "1", "--method", "gradient"
    shown = " ".join(invoke(*given, code=3).stderr.split())
    assert "15 different numbers, which are taken for classes" in shown
    told = invoke(*given, "--target-kind", "quantity", "--tolerance", "0.1", code=3)
    assert "taken for classes" not in " ".join(told.stderr.split())
