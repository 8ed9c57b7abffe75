"""``skpoison certify --defense moving-centroids``."""

import json

import pytest
from test_cli_certify import ROW_KEYS, blobs, invoke, write_csv

MOVING = ("--defense", "moving-centroids", "--tol", "0.05", "-e", "0.1,0.2")
MEASURED = {
    "filtered_test_loss",
    "filtered_test_error",
    "reestimated_test_loss",
    "reestimated_test_error",
}


@pytest.fixture
def file(tmp_path):
    return write_csv(tmp_path / "rows.csv", *blobs(200))


def test_numbers_speak_of_moving_centroids(file):
    found = json.loads(invoke(file, *MOVING, "--json", "-").stdout)
    assert found["settings"]["defense"] == "moving-centroids"
    assert found["defense"]["kind"] == "moving-centroids"
    fixed = json.loads(invoke(file, *MOVING[2:], "--json", "-").stdout)
    assert fixed["defense"]["kind"] == "fixed"
    for row, other in zip(found["bounds"], fixed["bounds"], strict=True):
        assert set(row) == ROW_KEYS | MEASURED
        assert set(other) == ROW_KEYS
        assert row["lower_bound"] <= row["upper_bound"]
        assert row["upper_bound"] >= other["lower_bound"]
        assert 0 <= row["reestimated_test_error"] <= 1


def test_text_says_who_is_covered(file):
    as_in_python = [text.replace("moving-", "moving_") for text in MOVING]
    text = " ".join(invoke(file, *as_in_python).stdout.split())
    assert "centroids are estimated from clean and poison rows together" in text
    assert "is for a fixed filter" not in text


def test_the_picture_shows_both_defenses(file, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curve.svg"
    invoke(file, *MOVING, "--plot", picture)
    drawn = picture.read_text()
    assert "moving centroids" in drawn and "everything" in drawn


def test_other_defenses_are_refused(file):
    assert "moving-centroids" in invoke(file, "--defense", "none", code=2).output
