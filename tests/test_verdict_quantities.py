"""Whether a table of quantities is likely poisoned: targets that stand apart."""

import json

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from skpoison import _signs_of_targets as signs
from skpoison._cli.app import app
from skpoison._verdict import verdict_of_quantities

N_ROWS = 600


def honest(errors=None, seed=0):
    """Rows, targets and what models predict; errors that are off as told."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(N_ROWS, 5))
    predicted = 50 + 10 * values[:, 0] + 5 * values[:, 1]
    errors = rng.normal(size=N_ROWS) if errors is None else errors(rng, predicted)
    tests = np.full(N_ROWS, "", dtype=object)
    return values, predicted + errors, tests, predicted


def moved(found, n_rows, by, seed=1):
    """The same, with some targets moved."""
    values, targets, tests, predicted = found
    rows = np.random.default_rng(seed).choice(N_ROWS, n_rows, replace=False)
    targets = targets.copy()
    targets[rows] += by
    return (values, targets, tests, predicted), rows


ERRORS = {
    "normal": lambda rng, _: rng.normal(size=N_ROWS),
    "heavy": lambda rng, _: rng.standard_t(2, N_ROWS),
    "skewed": lambda rng, _: rng.exponential(size=N_ROWS) * 3,
    "log-normal": lambda rng, _: np.exp(rng.normal(size=N_ROWS)),
    "prices": lambda rng, p: p * np.expm1(0.4 * rng.normal(size=N_ROWS)),
    "wider for large ones": lambda rng, p: np.exp(p / 20) * rng.normal(size=N_ROWS),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("seed", [0, 1])
def test_honest_errors_of_any_shape_are_no_poison(kind, seed):
    found = verdict_of_quantities(*honest(ERRORS[kind], seed))
    assert not found.is_likely and not found.rows.any() and found.share == 0
    assert found.text.startswith("No clear sign of poison.")
    assert found.text.endswith("Poison whose targets are plausible leaves none.")


@pytest.mark.parametrize("kind", ["normal", "skewed"])
@pytest.mark.parametrize(("n_rows", "by"), [(15, 80), (30, -80), (60, 80)])
def test_moved_targets_are_found_and_counted(kind, n_rows, by):
    found, rows = moved(honest(ERRORS[kind]), n_rows, by)
    judged = verdict_of_quantities(*found)
    assert judged.is_likely
    assert judged.rows[rows].mean() > 0.8
    assert judged.rows.sum() < 1.5 * n_rows
    assert 0 < judged.low <= n_rows / N_ROWS <= judged.high
    assert judged.classes == {"all": int(judged.rows.sum())}
    assert "suspect. Evidence:" in judged.text and "all)" not in judged.text


def test_a_few_targets_are_no_attack():
    found, _ = moved(honest(), signs.FEWEST_FAR_OFF - 1, 80)
    assert not verdict_of_quantities(*found).is_likely
    found, _ = moved(honest(), signs.FEWEST_FAR_OFF, 80)
    assert verdict_of_quantities(*found).is_likely


def test_both_ends_at_once_are_found():
    up, first = moved(honest(), 20, 40)
    both, second = moved(up, 20, -40, seed=2)
    found = verdict_of_quantities(*both)
    assert found.rows[np.r_[first, second]].mean() > 0.9


def test_zeros_that_nothing_explains_are_no_poison():
    values, targets, tests, predicted = honest()
    targets[::8] = 0
    assert not verdict_of_quantities(values, targets, tests, predicted).is_likely
    targets[::8] = -3
    assert verdict_of_quantities(values, targets, tests, predicted).is_likely


def test_predictions_beyond_all_targets_are_as_good_as_the_nearest():
    values, targets, tests, predicted = honest()
    floor = float(np.quantile(targets, 0.15))
    targets = np.maximum(targets, floor)
    predicted = np.where(targets == floor, floor - 60, predicted)
    assert not verdict_of_quantities(values, targets, tests, predicted).is_likely


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_a_group_of_its_own_kind_is_named_and_decides_nothing(as_given):
    values, targets, tests, predicted = honest()
    values[:40, 3] = 9.0
    targets[:40] += 80
    found = verdict_of_quantities(as_given(values), targets, tests, predicted)
    assert not found.is_likely
    assert "of rows that differ from all others in the same way" in found.text


def test_rows_that_are_rejected_for_what_they_are_say_nothing_of_targets():
    (values, targets, tests, predicted), rows = moved(honest(), 30, 80)
    tests[rows] = "far"
    assert not verdict_of_quantities(values, targets, tests, predicted).is_likely
    tests[rows] = "copies"
    found = verdict_of_quantities(values, targets, tests, predicted)
    assert [one.name for one in found.evidence if one.is_strong] == ["copies"]
    assert found.rows.sum() == 30


def test_far_rows_count_where_the_filter_rejects_them():
    values, targets, tests, predicted = honest()
    values[:20] = 40 + np.arange(100).reshape(20, 5) / 7
    assert not verdict_of_quantities(values, targets, tests, predicted).is_likely
    tests[:20] = "far"
    found = verdict_of_quantities(values, targets, tests, predicted)
    assert [one.name for one in found.evidence if one.is_strong] == ["far rows"]
    assert "labeled" not in found.text


def test_rows_without_a_prediction_and_tiny_tables_are_not_judged():
    values, targets, tests, predicted = honest()
    predicted[:300] = np.nan
    off = signs.usual_errors(targets, predicted, tests)
    assert not off[:300].any() and np.isfinite(off).all() and off[300:].all()
    few = slice(0, signs.FEWEST_JUDGED - 1)
    assert not signs.usual_errors(targets[few], targets[few] + 9, tests[few]).any()
    alike = np.full(N_ROWS, 7.0)
    assert not verdict_of_quantities(values, alike, tests, alike).is_likely


def test_suspects_that_the_filter_keeps_get_reasons_of_their_own():
    found, rows = moved(honest(), 30, 80)
    judged = verdict_of_quantities(*found)
    more = judged.suspects(np.zeros(N_ROWS, dtype=bool))
    assert set(more.tests[more.rows]) == {"target"}
    assert (more.suspicion[more.rows] > 0.5).all()
    row = rows[0]
    expected = f"target: {found[1][row]:g}, but models fitted without it predict"
    assert more.reasons[row].startswith(expected)


def test_filter_gives_a_verdict_on_quantities(tmp_path):
    (values, targets, _, _), rows = moved(honest(), 30, 80)
    path, out = tmp_path / "rows.csv", tmp_path / "out.json"
    table = np.column_stack([values, targets])
    names = "a,b,c,d,e,price"
    np.savetxt(path, table, fmt="%.3f", delimiter=",", header=names, comments="")
    given = ["filter", str(path), "--target", "price", "--json", str(out)]
    shown = CliRunner().invoke(app, [*given, "--fail-on", "planted>1%"])
    assert shown.exit_code == 3, shown.output
    assert "This table is likely poisoned" in shown.stdout
    written = json.loads(out.read_text())
    assert written["verdict"]["is_likely_poisoned"]
    assert written["verdict"]["classes"][0]["label"] == "all"
    listed = {one["row"] - 1 for one in written["rows"]}
    assert set(rows) <= listed
    assert all(one["suggested_label"] for one in written["rows"])
