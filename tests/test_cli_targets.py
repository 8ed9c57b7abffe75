"""``certify`` and ``attack`` for several classes, and for targets that are numbers."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import mean_absolute_error
from sklearn.svm import LinearSVC, LinearSVR
from typer.testing import CliRunner

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison._cli.app import app

IN_CLASSES = {
    "svm": (LinearSVC(loss="hinge", C=0.5), "gives 3)"),
    "svm-squared": (LinearSVC(C=0.5), "added over the learners of all classes"),
    "logistic": (LogisticRegression(C=0.5), "a multinomial logistic regression"),
    "ridge": (RidgeClassifier(2.0), "gives 1.5)"),
}
SQUARED = {"loss": "squared_epsilon_insensitive"}
IN_NUMBERS = {
    "svm": (
        LinearSVR(C=0.5),
        "Losses are absolute errors per clean row (0 is perfect)",
    ),
    "svm-squared": (LinearSVR(C=0.5, **SQUARED), "Losses are squared errors"),
    "ridge": (Ridge(2.0), "The learner is a ridge regression (C = 0.5)"),
}


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def numbers_of(*arguments):
    return json.loads(invoke(*arguments, "--json", "-").stdout)


def told(*arguments):
    return " ".join(invoke(*arguments).stdout.split())


def flowers():
    X, y = load_iris(return_X_y=True)
    return X[::2], np.array(["setosa", "versicolor", "virginica"])[y[::2]]


def sizes(n_rows=90):
    X, y = make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)
    return X, np.round(X @ [3.0, -1.0, 0.5] + 4.0 * y, 2)


def write_csv(path, X, y):
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame.assign(y=y).to_csv(path, index=False)
    return path


@pytest.fixture
def classes(tmp_path):
    return write_csv(tmp_path / "classes.csv", *flowers())


@pytest.fixture
def quantities(tmp_path):
    return write_csv(tmp_path / "quantities.csv", *sizes())


def bound_of(estimator, X, y, **options):
    return CertifiedBound(estimator=estimator, random_state=0, **options).fit(X, y)


@pytest.mark.parametrize("name", IN_CLASSES)
def test_several_classes_are_bounded_and_told_of(classes, name):
    estimator, says = IN_CLASSES[name]
    options = "certify", classes, "--learner", name, "--C", 0.5, "-e", 0.1
    found = numbers_of(*options, "--test-share", 0)
    bound = bound_of(estimator, *flowers(), epsilon=0.1)
    (row,) = found["bounds"]
    assert row["upper_bound"] == pytest.approx(bound.upper_bound_, rel=5e-3)
    assert row["error_bound"] == pytest.approx(bound.error_bound_, rel=5e-3)
    assert row["is_exact"] == bound.is_exact_
    assert row["attack_loss"] <= row["upper_bound"]
    assert found["data"]["labels"] == ["setosa", "versicolor", "virginica"]
    assert np.sum(found["data"]["shares"]) == pytest.approx(1)
    assert found["settings"]["task"] == found["data"]["task"] == "multiclass"
    text = told(*options)
    assert says in text and "3 classes, 'setosa', 'versicolor' and 'virginica'" in text


@pytest.mark.parametrize("name", IN_NUMBERS)
def test_numbers_are_bounded_and_told_of(quantities, name):
    estimator, says = IN_NUMBERS[name]
    options = "certify", quantities, "--learner", name, "--C", 0.5, "-e", 0.1
    found = numbers_of(*options, "--test-share", 0)
    X, y = sizes()
    (row,) = found["bounds"]
    assert row["upper_bound"] == pytest.approx(
        bound_of(estimator, X, y, epsilon=0.1).upper_bound_, rel=3e-3
    )
    assert row["error_bound"] is None
    assert found["data"]["smallest"] == y.min()
    assert found["settings"]["filter"] == "sphere"
    text = told(*options)
    assert says in text and "misclassifies" not in text
    assert "Rows with targets below" in text and "sphere around the mean" in text


def test_errors_on_test_rows_are_those_of_the_learner(tmp_path):
    (X, y), (labelled, labels) = sizes(), flowers()
    parts = [(X[:60], y[:60]), (X[60:], y[60:])]
    train, test = (
        write_csv(tmp_path / f"{i}.csv", *part) for i, part in enumerate(parts)
    )
    options = "certify", train, "--test", test, "--learner", "ridge", "-e", 0.1
    found = numbers_of(*options, "--tol", 1e-7)
    ridge = Ridge(1.0).fit(*parts[0])
    row = found["no_attack"]["all_rows"]
    mae = mean_absolute_error(y[60:], ridge.predict(X[60:]))
    assert row["test_mae"] == pytest.approx(mae, rel=1e-3)
    halves = np.mean((y[60:] - ridge.predict(X[60:])) ** 2) / 2
    assert row["test_loss"] == pytest.approx(halves, rel=1e-3)
    assert row["test_error"] is None and found["constant_test_error"] is None
    constant = mean_absolute_error(y[60:], np.full(30, np.median(y[60:])))
    assert found["constant_test_mae"] == pytest.approx(constant)

    parts = [(labelled[::2], labels[::2]), (labelled[1::2], labels[1::2])]
    train, test = (
        write_csv(tmp_path / f"c{i}.csv", *part) for i, part in enumerate(parts)
    )
    options = "certify", train, "--test", test, "--learner", "logistic", "-e", 0.1
    row = numbers_of(*options, "--tol", 1e-5)["no_attack"]["all_rows"]
    model = LogisticRegression(tol=1e-9, max_iter=5000).fit(*parts[0])
    chances = model.predict_proba(labelled[1::2])
    own = chances[
        np.arange(len(chances)), np.unique(labels[1::2], return_inverse=True)[1]
    ]
    assert row["test_error"] == pytest.approx(1 - model.score(*parts[1]), abs=0.03)
    assert row["test_loss"] == pytest.approx(-np.log(own).mean(), rel=0.02)


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        (
            "quantities",
            ["--learner", "logistic"],
            "is for classes, and 'y' holds numbers",
        ),
        ("quantities", ["--rho", "1"], "--rho is for two classes"),
        ("classes", ["--rho", "1"], "--positive makes two of them"),
        ("classes", ["--domain", "count"], "holds 3 classes"),
        ("classes", ["--defense", "moving-centroids"], "--defense moving-centroids is"),
        ("classes", ["--target-range", "0,1"], "also 'setosa'"),
        (
            "quantities",
            ["--target-range", "0,1", "--positive", "4"],
            "--positive for classes",
        ),
    ],
)
def test_what_is_for_two_classes_is_said(request, which, options, message):
    path = request.getfixturevalue(which)
    result = invoke("certify", path, "-e", 0.1, *options, code=1)
    assert message in " ".join(result.stderr.split())


def test_a_range_makes_numbers_of_few_values_and_widens_what_passes(tmp_path):
    X, y = flowers()
    path = write_csv(tmp_path / "rows.csv", X, np.unique(y, return_inverse=True)[1])
    options = "certify", path, "--learner", "ridge", "--test-share", 0, "-e", 0.1
    assert numbers_of(*options)["settings"]["task"] == "multiclass"
    found = numbers_of(*options, "--target-range", "-1,9")
    assert found["settings"]["task"] == "regression"
    assert found["settings"]["target_range"] == [-1.0, 9.0]
    wanted = bound_of(
        Ridge(),
        X,
        np.unique(y, return_inverse=True)[1],
        epsilon=0.1,
        target_range=(-1, 9),
    )
    assert found["bounds"][0]["upper_bound"] == pytest.approx(
        wanted.upper_bound_, rel=3e-3
    )


@pytest.mark.parametrize("text", ["0", "0,x", "1,0", "0,inf"])
def test_ranges_that_are_none_are_usage_errors(quantities, text):
    result = invoke("certify", quantities, "--target-range", text, code=2)
    assert "--target-range" in result.stderr


def test_test_rows_can_have_other_numbers_but_no_words(tmp_path, quantities):
    X, y = sizes()
    path = write_csv(tmp_path / "test.csv", X[:9], y[:9] + 0.123)
    found = numbers_of("certify", quantities, "--test", path, "-e", 0.1)
    assert found["data"]["n_test"] == 9
    words = write_csv(tmp_path / "words.csv", X[:2], ["low", "high"])
    result = invoke("certify", quantities, "--test", words, "-e", 0.1, code=1)
    assert "holds numbers, but also 'high' and 'low'" in result.stderr


def test_attack_of_several_classes_is_written_and_does_what_is_said(tmp_path, classes):
    out = tmp_path / "poison.csv"
    options = "attack", classes, "--learner", "logistic", "-e", 0.2, "-o", out
    found = numbers_of(*options)
    poison, clean = pd.read_csv(out), pd.read_csv(classes)
    assert 0 < len(poison) == found["n_poison"] <= 15
    X, y = flowers()
    both = (SphereFilter() & SlabFilter()).fit(X, y)
    assert np.all(both.predict(poison.iloc[:, :-1].to_numpy(), poison["y"]) == 1)
    every = pd.concat([clean, poison])
    rows, labels = every.iloc[:, :-1].to_numpy(), every["y"].to_numpy()
    model = LogisticRegression(tol=1e-10, max_iter=5000).fit(rows, labels)
    codes = np.searchsorted(model.classes_, labels)
    losses = -np.log(model.predict_proba(rows)[np.arange(len(rows)), codes])
    objective = (losses.sum() + 0.5 * np.sum(model.coef_**2)) / len(clean)
    assert found["written_loss"] == pytest.approx(objective, rel=3e-3)
    assert objective <= found["upper_bound"]
    assert objective >= found["lower_bound"] - 0.02


@pytest.mark.parametrize("are_whole", [False, True])
def test_attack_on_numbers_is_written_and_does_what_is_said(tmp_path, are_whole):
    X, y = sizes()
    y = np.rint(10 * y).astype(int) if are_whole else y
    path, out = write_csv(tmp_path / "rows.csv", X, y), tmp_path / "poison.csv"
    options = "attack", path, "--learner", "ridge", "-e", 0.2, "-o", out
    found = numbers_of(*options)
    poison = pd.read_csv(out)
    assert set(poison["y"]) <= {y.min(), y.max()}
    assert poison["y"].dtype == (int if are_whole else float)
    rows = poison.iloc[:, :-1].to_numpy()
    assert np.all(SphereFilter().fit(X).predict(rows) == 1)
    every, targets = np.vstack([X, rows]), np.append(y, poison["y"])
    model = Ridge().fit(every, targets)
    halves = 0.5 * np.sum((targets - model.predict(every)) ** 2)
    objective = (halves + 0.5 * np.sum(model.coef_**2)) / len(X)
    assert found["written_loss"] == pytest.approx(objective, rel=3e-3)
    assert objective <= found["upper_bound"]
    wide = numbers_of(*options, "--force", "--target-range", f"{y.min() - 50},400")
    assert wide["upper_bound"] > found["upper_bound"]
    assert set(pd.read_csv(out)["y"]) <= {y.min() - 50, 400}


@pytest.mark.parametrize("learner", ["svm", "ridge"])
@pytest.mark.parametrize("target", ["two", "three", "number"])
def test_categories_and_gaps_are_attacked_as_mixtures_and_written_whole(
    tmp_path, learner, target
):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2 if target == "two" else 3, 120)
    frame = pd.DataFrame({"a": rng.normal(size=120) + codes})
    frame["kind"] = np.array(["S", "M", "L"])[(codes + (rng.random(120) < 0.3)) % 3]
    frame["gap"] = np.where(rng.random(120) < 0.2, np.nan, rng.normal(size=120))
    frame["y"] = codes + (frame["a"].round(3) if target == "number" else 0)
    path, out = tmp_path / "rows.csv", tmp_path / "poison.csv"
    frame.to_csv(path, index=False)
    options = "attack", path, "--learner", learner, "-e", 0.1, "-o", out
    found = numbers_of(*options, "--tol", 0.02)
    poison = pd.read_csv(out)
    assert 0 < len(poison) == found["n_poison"] <= 12
    assert set(poison["kind"]) <= {"S", "M", "L"}
    assert found["written_loss"] <= found["upper_bound"]
    if target != "number":
        both = "--filter", "both", "--trusted", path
        judged = numbers_of("filter", out, *both)
        assert judged["n_kept"] == judged["n_rows"]


@pytest.mark.parametrize("which", ["classes", "quantities"])
def test_pictures_are_drawn(request, tmp_path, which):
    pytest.importorskip("matplotlib")
    path = request.getfixturevalue(which)
    for command, more in (("certify", ()), ("attack", ("-o", tmp_path / "p.csv"))):
        plot = tmp_path / f"{command}.svg"
        options = "--learner", "ridge", "-e", 0.1, "--plot", plot
        printed = invoke(command, path, *options, *more).stdout
        assert f"Plot written to {plot}" in " ".join(printed.split())
        assert plot.stat().st_size > 5000


def test_a_learner_of_large_targets_that_the_penalty_holds_back_gets_advice(tmp_path):
    X, y = sizes()
    path = write_csv(tmp_path / "rows.csv", X, 1e4 * y)
    options = "certify", path, "-e", 0.1
    shown = told(*options)
    assert "The learner is useless" in shown
    assert "try a larger --C, or --learner ridge." in shown
    for better in (("--C", 1e4), ("--learner", "ridge")):
        assert "useless" not in told(*options, *better)
