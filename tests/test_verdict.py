"""Whether a table is likely poisoned: kinds of evidence, and the estimated share."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app
from skpoison._signs import _decimals, wilson
from skpoison._verdict import verdict

LABELS = ["ham", "spam"]


def honest(n_rows=400, seed=0):
    """Rows with two decimals, labels that models call right, nothing rejected."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % 2
    values = np.round(rng.normal(size=(n_rows, 6)) + 2 * codes[:, None], 2)
    own = rng.uniform(0.8, 1, n_rows)
    said = np.empty((n_rows, 2))
    said[np.arange(n_rows), codes], said[np.arange(n_rows), 1 - codes] = own, 1 - own
    return values, codes, np.full(n_rows, "", dtype=object), said


def kinds(found, is_strong=True):
    return [one.name for one in found.evidence if one.is_strong == is_strong]


def test_honest_tables_are_not_called_poisoned():
    values, codes, tests, said = honest()
    found = verdict(values, codes, LABELS, tests, said)
    assert not found.is_likely and not found.rows.any() and found.share == 0
    assert found.text.startswith("No clear sign of poison.")
    tests[:3] = "far"
    found = verdict(values, codes, LABELS, tests, said)
    assert not found.is_likely
    assert (
        "Also found, as in many honest tables: AutoFilter rejects 3 rows." in found.text
    )


def test_wrong_labels_that_models_are_sure_of_are_evidence():
    values, codes, tests, said = honest()
    wrong = np.random.default_rng(1).choice(400, 40, replace=False)
    codes = codes.copy()
    codes[wrong] = 1 - codes[wrong]
    tests[wrong] = "label"
    found = verdict(values, codes, LABELS, tests, said)
    assert kinds(found) == ["labels"]
    assert set(np.flatnonzero(found.rows)) == set(wrong)
    assert found.low <= 0.1 <= found.high
    assert "40 labels contradict models" in found.text
    assert sum(found.classes.values()) == 40


def test_contradictions_where_models_are_unsure_are_honest():
    # Classes overlap: half of the rows are near the boundary, a third of them wrong.
    values, codes, tests, said = honest()
    near = np.arange(400) >= 200
    said[near] = [0.5, 0.5]
    said[near, 0] += np.where(np.random.default_rng(0).random(200) < 0.5, 0.1, -0.1)
    said[near, 1] = 1 - said[near, 0]
    against = near & (said.argmax(axis=1) != codes)
    tests[np.flatnonzero(against)[:30]] = "label"
    assert against.sum() > 70
    assert not verdict(values, codes, LABELS, tests, said).is_likely


@pytest.mark.parametrize(
    ("n_copies", "is_strong"),
    [(4, None), (6, False), (7, True), (100, True), (101, False)],
)
def test_copies_are_evidence_from_three_halves_of_a_percent(n_copies, is_strong):
    values, codes, tests, said = honest()
    tests[:n_copies] = "copies"
    found = verdict(values, codes, LABELS, tests, said)
    seen = [one.is_strong for one in found.evidence if one.name == "copies"]
    assert seen == ([] if is_strong is None else [is_strong])
    assert found.is_likely == bool(is_strong)


def test_rows_far_out_in_most_columns_are_evidence_where_they_belong_together():
    values, codes, tests, said = honest()
    values[:12] = np.round(30 + np.arange(72).reshape(12, 6) / 10, 2)
    mixed = verdict(values, codes, LABELS, tests, said)
    assert not mixed.is_likely and "far rows" in kinds(mixed, is_strong=False)
    codes = codes.copy()
    codes[:12] = 1
    found = verdict(values, codes, LABELS, tests, said)
    assert "far rows" in kinds(found)
    assert np.flatnonzero(found.rows).tolist() == list(range(12))
    assert (
        "12 rows lie far out in half of the columns at once, all of them labeled spam"
        in (found.text)
    )
    # One column alone may have a heavy tail.
    values, *_ = honest()
    values[:12, 0] = 500
    assert not verdict(values, codes, LABELS, tests, said).is_likely


def test_rows_with_more_decimals_than_all_others_are_evidence():
    values, codes, tests, said = honest()
    values[:8] = values[:8] * 0.55 + values[8:16] * 0.45
    found = verdict(values, codes, LABELS, tests, said)
    assert kinds(found) == ["digits"]
    assert np.flatnonzero(found.rows).tolist() == list(range(8))
    assert found.low < 0.02 < found.high
    # What fills gaps has one value; measurements have decimals throughout.
    values, *_ = honest()
    values[:40, :3] = values.mean(axis=0)[:3]
    assert not verdict(values, codes, LABELS, tests, said).is_likely
    # Columns that were computed in several ways differ in other rows each.
    values, *_ = honest()
    for column in range(6):
        values[column * 12 : column * 12 + 16, column] *= 1 / 3
    assert not verdict(values, codes, LABELS, tests, said).is_likely
    plain = np.random.default_rng(0).normal(size=(400, 6))
    assert not verdict(plain, codes, LABELS, tests, said).is_likely


def test_what_only_the_verdict_finds_is_suspect_with_a_reason():
    values, codes, tests, said = honest()
    values[:8] = values[:8] * 0.55 + values[8:16] * 0.45
    tests[:2] = "label"
    found = verdict(values, codes, LABELS, tests, said).suspects(tests != "")
    assert np.flatnonzero(found.rows).tolist() == [2, 3, 4, 5, 6, 7]
    assert set(found.tests[found.rows]) == {"digits"}
    assert all(text.startswith("digits: more dec") for text in found.reasons[2:8])
    assert found.suspicion[2] == pytest.approx(0.02 / 0.025)
    assert (
        not verdict(*honest()[:2], LABELS, *honest()[2:]).suspects(tests != "")[0].any()
    )


def test_labels_are_wrong_where_as_many_are_rejected_as_contradict_sure_models():
    values, codes, tests, said = honest()
    wrong = np.random.default_rng(1).choice(400, 40, replace=False)
    codes = codes.copy()
    codes[wrong] = 1 - codes[wrong]
    tests[wrong[:10]] = "label"
    assert not verdict(values, codes, LABELS, tests, said).is_likely
    tests[wrong[:25]] = "label"
    assert verdict(values, codes, LABELS, tests, said).is_likely


@pytest.mark.parametrize(("n_wrong", "is_strong"), [(50, True), (120, False)])
def test_a_large_part_of_one_class_that_looks_like_another_is_honest(
    n_wrong, is_strong
):
    values, codes, tests, said = honest()
    wrong = np.flatnonzero(codes == 1)[:n_wrong]
    said[wrong] = said[wrong, ::-1]
    tests[wrong] = "label"
    found = verdict(values, codes, LABELS, tests, said)
    assert found.is_likely == is_strong
    if is_strong:
        share = n_wrong / 400
        assert found.low < share < found.high
        assert found.share == pytest.approx(share, rel=0.2)


def test_rows_that_something_else_explains_contradict_no_models():
    values, codes, tests, said = honest()
    codes = codes.copy()
    values[:30] = values[:30] * 0.55 + 0.123456
    codes[:30] = 1 - codes[:30]
    tests[:30] = "label"
    assert kinds(verdict(values, codes, LABELS, tests, said)) == ["digits"]


def test_weak_evidence_alone_says_nothing():
    values, codes, tests, said = honest()
    values[1:40:2] = values[0:40:2]
    found = verdict(values, codes, LABELS, tests, said)
    found = found.with_lower_errors(["slab", "sphere"])
    assert not found.is_likely
    assert "40 rows are equal to a row with another label" in found.text
    assert "slab, sphere lower the error although nobody attacks" in found.text


def test_sparse_rows_and_no_models_are_judged_by_less():
    from scipy import sparse

    values, codes, tests, said = honest()
    tests[:20] = "copies"
    thin = sparse.csr_array(values)
    assert verdict(thin, codes, LABELS, tests, None).is_likely
    unjudged = np.full_like(said, np.nan)
    assert kinds(verdict(thin, codes, LABELS, tests, unjudged)) == ["copies"]


def test_decimals_and_intervals_are_exact():
    assert _decimals(np.array([0.1 + 0.2, 1e6, 0.125, np.pi])).tolist() == [1, 0, 3, 7]
    low, high = wilson(0, 50)
    assert low == 0 and high == pytest.approx(0.0713, abs=1e-3)
    assert wilson(0, 0) == (0, 1)


def test_what_json_has_of_it_is_plain():
    values, codes, tests, said = honest()
    tests[:20] = "copies"
    content = verdict(values, codes, LABELS, tests, said).as_dict()
    assert json.loads(json.dumps(content)) == content
    assert (content["is_likely_poisoned"], content["n_rows"]) == (True, 20)


def test_filter_prints_the_verdict_and_writes_it(tmp_path):
    values, codes, *_ = honest(160)
    values[:8] = values[:8] * 0.55 + values[8:16] * 0.45
    values[:, 0] *= 1000  # columns are scaled, decimals are those of the file
    lines = [
        ",".join([*map(repr, row), LABELS[code]])
        for row, code in zip(values.tolist(), codes, strict=True)
    ]
    path, out = tmp_path / "rows.csv", tmp_path / "out.json"
    path.write_text("\n".join(["a,b,c,d,e,f,label", *lines]) + "\n")
    result = CliRunner().invoke(app, ["filter", str(path), "--json", str(out)])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "8 rows are suspect" in shown
    written = json.loads(out.read_text())["verdict"]
    assert written["text"] in shown and written["is_likely_poisoned"]
    plain = ["filter", str(path), "--filter", "sphere", "--json", str(out), "--force"]
    assert CliRunner().invoke(app, plain).exit_code == 0
    assert json.loads(out.read_text())["verdict"] is None


def test_shares_are_those_of_the_table_where_rare_classes_are_drawn_more_often():
    codes = np.repeat([0, 1], [1960, 40])
    said = np.full((2000, 2), np.nan)
    said[:200] = [0.95, 0.05]
    said[1960:] = [0.05, 0.95]
    said[1960:1970] = [0.99, 0.01]
    tests = np.full(2000, "", dtype=object)
    tests[1960:1970] = "label"
    values = np.random.default_rng(0).normal(size=(2000, 3)).round(2)
    found = verdict(values, codes, ["n", "y"], tests, said)
    assert found.is_likely and found.classes == {"n": 0, "y": 10}
    assert found.low < 10 / 2000 < found.high
    assert found.share == pytest.approx(10 / 2000, rel=0.1)


def test_wrong_labels_in_a_sample_of_the_rows_are_as_many_as_in_all():
    values, codes, tests, said = honest(4000)
    wrong = np.random.default_rng(1).choice(200, 16, replace=False)
    codes = codes.copy()
    codes[wrong] = 1 - codes[wrong]
    tests[wrong] = "label"
    said[200:] = np.nan
    found = verdict(values, codes, LABELS, tests, said)
    assert kinds(found) == ["labels"]
    assert found.low <= 0.08 <= found.high
    assert found.share == pytest.approx(0.08, rel=0.1)
