"""``skpoison verify`` and the certificates that ``certify`` writes."""

import json

import numpy as np
import pandas as pd
import pytest
from certificates import content_of, write
from sklearn.datasets import load_breast_cancer
from typer.testing import CliRunner

from skpoison import CertifiedBound
from skpoison._cli.app import app


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    frame = load_breast_cancer(as_frame=True).frame.iloc[:150, -4:]
    frame.to_csv(folder / "rows.csv", index=False)
    options = ["-e", "0.1", "--certificate", folder / "bound.npz"]
    result = invoke("certify", folder / "rows.csv", *options)
    assert "Certificate written to" in result.output
    return folder


def test_what_certify_writes_is_verified(folder):
    result = invoke("verify", folder / "bound.npz", folder / "rows.csv")
    assert "Verified: all claims hold" in result.output
    assert "columns      holds" in result.output
    text = " ".join(result.output.split())
    assert "a bound for 105 rows of 3 features, at most 10 poison rows" in text
    assert "minimizes the mean hinge loss of the rows, each with weight 1" in text
    assert "not checked: learner \"LinearSVC(loss='hinge', C=1.0)\"" in text
    assert "covers 105 of 150 rows" in text


@pytest.mark.parametrize("labels", [[0, 1], [-1, 1], ["ham", "spam"], [False, True]])
def test_what_python_code_writes_is_verified(folder, tmp_path, labels):
    frame = pd.read_csv(folder / "rows.csv")
    frame["target"] = np.array(labels)[frame["target"]]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    bound = CertifiedBound(epsilon=0.05).fit(frame.iloc[:, :-1], frame["target"])
    bound.to_certificate(tmp_path / "bound.npz")
    result = invoke("verify", tmp_path / "bound.npz", tmp_path / "rows.csv")
    assert "Verified: all claims hold" in result.output
    assert "a bound for 150 rows" in " ".join(result.output.split())
    frame["target"] = frame["target"].to_numpy()[::-1]
    frame.to_csv(tmp_path / "other.csv", index=False)
    invoke("verify", tmp_path / "bound.npz", tmp_path / "other.csv", code=3)


def test_certify_says_which_rows_a_certificate_covers(folder, tmp_path):
    rows, more = folder / "rows.csv", ["-e", 0.1, "--C", 0.01, "--certificate"]
    result = invoke("certify", rows, *more, tmp_path / "held.npz")
    assert "covers 105 of 150 rows" in " ".join(result.output.split())
    result = invoke("certify", rows, *more, tmp_path / "all.npz", "--test-share", 0)
    assert "covers" not in result.output


def test_names_that_the_file_says_cannot_pass_for_results(folder, tmp_path):
    header, arrays = content_of(folder / "bound.npz")
    header["learner"] = "LinearSVC()\nVerified: all claims hold\x1b[31m"
    write(tmp_path / "named.npz", header, arrays)
    output = invoke("verify", tmp_path / "named.npz", folder / "rows.csv").output
    heading, said = output.split("Only said by the file, not checked:")
    assert "LinearSVC" not in heading and "\x1b" not in output
    assert '"LinearSVC()\\nVerified' in said


def test_claims_that_fail_are_named_even_if_quiet(folder):
    rows = folder / "bound.npz", folder / "rows.csv"
    result = invoke("verify", *rows, "--test-share", 0, "--quiet", code=3)
    assert result.stdout == ""
    assert "is not verified: rows (" in result.stderr


@pytest.fixture
def three(tmp_path):
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(60, 2)) + 2.0 * np.eye(3)[np.arange(60) % 3, :2])
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(target=list("xyz") * 20)
    frame.to_csv(tmp_path / "three.csv", index=False)
    return tmp_path / "three.csv"


def test_several_classes(three, tmp_path):
    options = "-e", 0.1, "--certificate", tmp_path / "three.npz", "--tol", 0.05
    for learner in ("svm-squared", "logistic"):
        invoke("certify", three, *options, "--learner", learner, "--force")
        result = invoke("verify", tmp_path / "three.npz", three)
        assert "Verified: all claims hold" in result.output


def test_several_classes_of_a_domain_are_refused_before_any_work(three, monkeypatch):
    from skpoison._cli import certificate

    monkeypatch.setattr(certificate, "certify", None)
    options = "-e", 0.1, "--certificate", three.parent / "three.npz"
    result = invoke("certify", three, *options, "--domain", "nonnegative", code=1)
    assert "is for --domain real, not nonnegative" in " ".join(result.output.split())


@pytest.mark.parametrize("learner", ["svm-squared", "logistic", "ridge"])
def test_other_learners_and_all_rows(folder, tmp_path, learner):
    options = "--test-share", 0, "--positive", 1
    more = "-e", 0.1, "--learner", learner, "--certificate", tmp_path / "b.npz"
    invoke("certify", folder / "rows.csv", *options, *more)
    invoke("verify", tmp_path / "b.npz", folder / "rows.csv", *options)


@pytest.mark.parametrize("domain", ["nonnegative", "count", "tfidf"])
def test_rows_of_restricted_values(domain, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.poisson(0.5 + 1.5 * y[:, None] * [1, 0, 1, 0], (60, 4)) + 0.0
    X[:, 3] += 1 - y
    if domain == "tfidf":
        X = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1.0)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(target=y)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    more = "-e", 0.1, "--domain", domain, "--certificate", tmp_path / "b.npz"
    invoke("certify", tmp_path / "rows.csv", *more, "--tol", 0.05)
    invoke("verify", tmp_path / "b.npz", tmp_path / "rows.csv")


def test_targets_that_are_numbers(folder, tmp_path):
    target = "--target", "worst symmetry"
    more = "-e", 0.1, "--learner", "ridge", "--certificate", tmp_path / "b.npz"
    invoke("certify", folder / "rows.csv", *target, *more)
    result = invoke("verify", tmp_path / "b.npz", folder / "rows.csv", *target)
    assert "Ridge(" in result.output


@pytest.mark.parametrize("attack", ["insert-delete", "flip"])
def test_certified_predictions(folder, tmp_path, attack):
    rows, votes = folder / "rows.csv", tmp_path / "votes.npz"
    options = "--attack", attack, "--partitions", 5, "--certificate", votes
    result = invoke("certify", rows, "--pointwise", *options)
    assert "Certificate written to" in result.output
    result = invoke("verify", votes, rows)
    assert "5 parts and 45 test rows" in result.output
    assert "radii        holds" in result.output
    text = " ".join(result.output.split())
    assert "Verified, given the votes in the file" in text
    result = invoke("verify", votes, rows, "--refit", "--json", tmp_path / "v.json")
    assert "votes        holds" in result.output
    assert "Verified: all claims hold" in result.output
    assert json.loads((tmp_path / "v.json").read_text())["assumes_votes"] is False
    result = invoke("verify", votes, rows, "--seed", 1, code=3)
    assert "seed=0 (now 1)" in result.output


def test_certified_predictions_of_other_test_rows(folder, tmp_path):
    rows, votes, test = folder / "rows.csv", tmp_path / "votes.npz", tmp_path / "t.csv"
    pd.read_csv(rows).iloc[::3].to_csv(test, index=False)
    options = "--pointwise", "--partitions", 5, "--certificate", votes
    invoke("certify", rows, *options, "--test", test)
    invoke("verify", votes, rows, "--test", test)
    invoke("verify", votes, rows, "--test", rows, code=3)


@pytest.mark.parametrize("scale", ["none", "standard", "maxabs"])
def test_rows_may_come_in_any_order_where_none_are_held_out(folder, tmp_path, scale):
    options = "--test-share", 0, "--scale", scale
    more = "-e", 0.1, "--C", 0.01, "--certificate", tmp_path / "b.npz"
    invoke("certify", folder / "rows.csv", *options, *more)
    rows = pd.read_csv(folder / "rows.csv")
    for seed in range(3):
        mixed = rows.sample(frac=1.0, random_state=seed)
        mixed.to_csv(tmp_path / "mixed.csv", index=False)
        invoke("verify", tmp_path / "b.npz", tmp_path / "mixed.csv", *options)


def test_rows_in_another_order_are_held_out_otherwise(folder, tmp_path):
    rows = pd.read_csv(folder / "rows.csv").sort_values("worst symmetry")
    rows.to_csv(tmp_path / "sorted.csv", index=False)
    paths = folder / "bound.npz", tmp_path / "sorted.csv"
    result = invoke("verify", *paths, code=3)
    assert "only with --test-share 0 or --test" in " ".join(result.output.split())
    same = invoke("verify", folder / "bound.npz", folder / "rows.csv")
    assert "another order" not in same.output


@pytest.mark.parametrize(
    "options, hint",
    [
        (["--seed", 1], "seed=0 (now 1)"),
        (["--test-share", 0], "test_share=0.3 (now 0.0)"),
        (["--scale", "standard"], 'scale="none" (now "standard")'),
        (["--drop", "worst symmetry"], 'drop=[] (now ["worst symmetry"])'),
    ],
)
def test_other_ways_of_reading_are_named(folder, options, hint):
    rows = folder / "bound.npz", folder / "rows.csv"
    result = invoke("verify", *rows, *options, code=3)
    assert "Not verified." in result.output
    assert hint in result.output


def test_columns_that_differ_are_named(folder, tmp_path):
    rows, other = pd.read_csv(folder / "rows.csv"), tmp_path / "other.csv"
    rows[rows.columns[::-1]].to_csv(other, index=False)
    options = folder / "bound.npz", other, "--target", "target"
    text = " ".join(invoke("verify", *options, code=3).output.split())
    wanted = ", ".join(repr(name) for name in rows.columns[:2])
    assert f"Only the order of the columns differs; the certificate's is {wanted}" in (
        text
    )
    rows.rename(columns={rows.columns[0]: "renamed"}).to_csv(other, index=False)
    text = " ".join(invoke("verify", *options, code=3).output.split())
    assert "no columns 'renamed', and 1 column of its own is not in the file" in text
    rows.drop(columns=rows.columns[0]).to_csv(other, index=False)
    text = " ".join(invoke("verify", *options, code=3).output.split())
    assert "no columns but these, and 1 column of its own is not" in text


def test_another_positive_label_turns_the_signs(folder):
    rows = folder / "bound.npz", folder / "rows.csv"
    result = invoke("verify", *rows, "--positive", 0, code=3)
    assert "positive=null" in result.output
    assert "rows     FAILS" in result.output


def test_one_changed_cell_fails(folder, tmp_path):
    rows = pd.read_csv(folder / "rows.csv")
    rows.iloc[3, 1] += 1e-6
    rows.to_csv(tmp_path / "changed.csv", index=False)
    paths = folder / "bound.npz", tmp_path / "changed.csv"
    assert "FAILS" in invoke("verify", *paths, code=3).output


def test_claims_in_json_and_their_failure(folder, tmp_path):
    header, arrays = content_of(folder / "bound.npz")
    header["upper_bound"] *= 1.0 - 1e-9
    header["learner"] = "\x1b[31mred\n"
    write(tmp_path / "stretched.npz", header, arrays)
    paths = tmp_path / "stretched.npz", folder / "rows.csv"
    result = invoke("verify", *paths, "--json", tmp_path / "v.json", code=3)
    assert "\x1b[31m" not in result.output
    numbers = json.loads((tmp_path / "v.json").read_text())
    assert numbers["verified"] is False
    holds = {claim["name"]: claim["holds"] for claim in numbers["claims"]}
    assert [name for name, held in holds.items() if not held] == ["upper_bound"]
    assert numbers["certificate"]["n_rows"] == 105


def test_several_shares_of_poison_are_refused_at_once(folder):
    rows, path = folder / "rows.csv", folder / "none.npz"
    result = invoke("certify", rows, "--certificate", path, code=2)
    text = " ".join(result.output.replace("│", "").split())
    assert "give one --epsilon, not 6" in text
    assert not path.exists()


def test_moving_centroids(folder, tmp_path):
    options = "-e", 0.02, "--defense", "moving-centroids", "--tol", 0.1
    path = tmp_path / "moving.npz"
    invoke("certify", folder / "rows.csv", *options, "--certificate", path)
    text = " ".join(invoke("verify", path, folder / "rows.csv").output.split())
    assert "Verified: all claims hold" in text
    assert "computes the centroids of the classes from all rows that it gets" in text


def test_a_file_that_is_there_is_kept_without_force(folder):
    before = (folder / "bound.npz").read_bytes()
    options = "-e", 0.2, "--certificate", folder / "bound.npz"
    result = invoke("certify", folder / "rows.csv", *options, code=1)
    assert "exists already" in result.output
    assert (folder / "bound.npz").read_bytes() == before


def test_other_files_are_no_certificates(folder):
    rows = folder / "rows.csv"
    assert "no archive" in invoke("verify", rows, rows, code=1).output
    missing = invoke("verify", folder / "none.npz", rows, code=1)
    assert "There is no file" in missing.output
    assert "is a folder" in invoke("verify", folder, rows, code=1).output


def test_votes_of_other_learners_are_found_by_fitting_again(folder, tmp_path):
    rows, votes = folder / "rows.csv", tmp_path / "votes.npz"
    options = "--partitions", 5, "--base", "svm", "--scale", "standard"
    invoke("certify", rows, "--pointwise", *options, "--certificate", votes)
    scaled = "--scale", "standard"
    assert (
        "votes        holds" in invoke("verify", votes, rows, *scaled, "--refit").output
    )
    header, arrays = content_of(votes)
    header["encoding"]["base"] = "tree"
    write(tmp_path / "other.npz", header, arrays)
    paths = tmp_path / "other.npz", rows
    result = invoke("verify", *paths, *scaled, "--refit", code=3)
    assert "votes: " in result.output and "are others" in result.output
    header["encoding"]["base"] = ["tree"]
    write(tmp_path / "other.npz", header, arrays)
    text = invoke("verify", *paths, *scaled, "--refit", code=1).output
    assert "names none of its learners" in " ".join(text.split())
    text = invoke("verify", folder / "bound.npz", rows, "--refit", code=1).output
    assert "--refit is for predictions" in " ".join(text.split())
