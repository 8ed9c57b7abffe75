"""``skpoison certify``: what it computes, shows and writes."""

import json
import math
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison._cli.app import app
from skpoison._cli.certificate import reached
from skpoison._cli.targets import target_of
from skpoison._io.labels import Labels

ROW_KEYS = {
    "epsilon",
    "n_allowed",
    "attack_rows",
    "upper_bound",
    "lower_bound",
    "dual_gap",
    "converged",
    "clean_loss",
    "poison_loss",
    "attack_loss",
    "attack_test_loss",
    "attack_test_error",
    "attack_test_mae",
    "is_exact",
    "error_bound",
    "n_iter",
}


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, ["certify", *map(str, arguments)], **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def numbers_of(*arguments, **settings):
    return json.loads(invoke(*arguments, "--json", "-", **settings).stdout)


def blobs(n_rows=120, seed=0):
    X, y = make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=seed)
    return X, y


def write_csv(path, X, y, header="a,b,c,target"):
    lines = [
        ",".join([*map(repr, row.tolist()), str(label)])
        for row, label in zip(X, y, strict=True)
    ]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")
    return path


@pytest.fixture
def csv(tmp_path):
    return write_csv(tmp_path / "rows.csv", *blobs())


def test_without_data_digits_are_certified():
    numbers = numbers_of()
    assert numbers["data"]["n_features"] == 64
    assert (
        numbers["data"]["n_train"] + numbers["data"]["n_test"]
        == np.isin(load_digits().target, (1, 8)).sum()
    )
    uppers = [row["upper_bound"] for row in numbers["bounds"]]
    assert len(uppers) == 6
    assert np.all(np.diff(uppers) > -1e-3 * np.array(uppers[:-1]))
    assert all(row["converged"] for row in numbers["bounds"])


def test_numbers_are_those_of_the_estimators(csv):
    numbers = numbers_of(csv, "--test-share", 0, "-e", 0.1, "--percentile", 80)
    X, y = blobs()
    filter_ = SphereFilter(80.0) & SlabFilter(80.0)
    bound = CertifiedBound(filter_, 0.1, C=1.0, random_state=0).fit(X, y)
    row = numbers["bounds"][0]
    assert set(row) == ROW_KEYS
    for name in ("upper_bound", "lower_bound", "attack_loss"):
        assert row[name] == pytest.approx(getattr(bound, name + "_"), rel=2e-3)
    assert row["attack_rows"] == bound.attack_.n_copies.sum()
    assert row["n_allowed"] == 12
    assert row["attack_test_loss"] is None
    assert numbers["defense"]["n_kept"] == bound.filter_.inlier_mask_.sum()
    assert numbers["defense"]["kind"] == "fixed"


def test_a_score_of_zero_is_the_negative_class_as_for_scikit_learn():
    target = target_of(Labels.of_array("y", np.array([-1, 1])))
    found = target.performance(np.array([0.0, 0, 0, 2]), np.array([1, -1, -1, 1]))
    assert found == {"test_error": 0.25, "test_mae": None}


def test_bounds_have_met_within_the_tolerance_or_near_zero():
    def met(gap, upper):
        return reached(SimpleNamespace(dual_gap_=gap, upper_bound_=upper), 0.01)

    assert met(0.005, 0.5) and not met(0.0051, 0.5)
    assert met(1e-5, 0.0) and not met(1.1e-5, 0.0)


def hinge(svc, X, y):
    signs = np.where(y == svc.classes_[1], 1, -1)
    return np.maximum(1 - signs * svc.decision_function(X), 0).mean()


def test_a_learner_that_is_a_constant_is_not_called_robust(tmp_path):
    X, y = blobs(200)
    rare = np.where(np.arange(200) % 10 == 0, 1, 0)
    noise = np.random.default_rng(0).normal(size=X.shape)
    path = write_csv(tmp_path / "rows.csv", noise, rare)
    options = (path, "-e", 0.03, "--seed", 1)
    shown = " ".join(invoke(*options).stdout.split())
    assert "The learner is useless, attack or no attack" in shown
    assert "no robustness" in shown
    numbers = numbers_of(*options)
    assert numbers["constant_test_error"] == pytest.approx(0.1, abs=0.02)
    balanced = write_csv(tmp_path / "two.csv", X, y)
    assert "useless" not in invoke(balanced, "-e", 0.03).stdout


def test_cost_of_the_filter_is_that_of_linear_svc(tmp_path):
    X, y = blobs(400)
    train = write_csv(tmp_path / "train.csv", X[:300], y[:300])
    test = write_csv(tmp_path / "test.csv", X[300:], y[300:])
    numbers = numbers_of(train, "--test", test, "-e", 0.1, "--tol", 1e-6)["no_attack"]
    kept = (SphereFilter(70) & SlabFilter(70)).fit(X[:300], y[:300]).inlier_mask_
    for key, rows in (
        ("all_rows", np.arange(300)),
        ("kept_rows", np.flatnonzero(kept)),
    ):
        svc = LinearSVC(loss="hinge", tol=1e-10, max_iter=10**6, random_state=0)
        svc.fit(X[rows], y[rows])
        assert numbers[key]["test_loss"] == pytest.approx(
            hinge(svc, X[300:], y[300:]), abs=2e-3
        )
        assert numbers[key]["test_error"] == pytest.approx(
            1 - svc.score(X[300:], y[300:]), abs=0.011
        )


@pytest.mark.parametrize("epsilon", [0.06, 0.2])
def test_attack_columns_are_those_of_the_retrained_learner(tmp_path, epsilon):
    X, y = blobs(400)
    n_train = 40  # so few that whole rows make the learner another one
    rest = X[n_train:], y[n_train:]
    train = write_csv(tmp_path / "train.csv", X[:n_train], y[:n_train])
    test = write_csv(tmp_path / "test.csv", *rest)
    row = numbers_of(train, "--test", test, "-e", epsilon, "--tol", 1e-7)["bounds"][0]
    bound = CertifiedBound(epsilon=epsilon, tol=1e-7, random_state=0)
    attack = bound.fit(X[:n_train], y[:n_train]).attack_
    svc = LinearSVC(loss="hinge", tol=1e-9, max_iter=10**7, random_state=0).fit(
        np.vstack([X[:n_train], np.repeat(attack.X, attack.n_copies, axis=0)]),
        np.concatenate([y[:n_train], np.repeat(attack.y, attack.n_copies)]),
    )
    assert row["attack_test_loss"] == pytest.approx(hinge(svc, *rest), rel=1e-3)
    assert row["attack_test_error"] == pytest.approx(1 - svc.score(*rest), abs=0.006)
    if epsilon == 0.06:
        assert abs(hinge(bound, *rest) - hinge(svc, *rest)) > 10 * 1e-3 * hinge(
            svc, *rest
        )


def cells_of_bounds(output):
    """Cells of the second table, as they are shown."""
    lines = output.split("With poison rows")[1].split("Guaranteed")[0].splitlines()
    return [line.split() for line in lines if line.strip()[:1].isdigit()]


def test_table_shows_the_numbers_of_the_json(csv, tmp_path):
    result = invoke(csv, "-e", 0.05, "-e", 0.2, "--json", tmp_path / "out.json")
    numbers = json.loads((tmp_path / "out.json").read_text())
    shown = cells_of_bounds(result.stdout)
    assert len(shown) == 2
    for cells, row in zip(shown, numbers["bounds"], strict=True):
        assert float(cells[0]) == row["epsilon"]
        assert int(cells[1]) == row["n_allowed"]
        assert int(cells[6]) == row["attack_rows"] <= row["n_allowed"]
        assert float(cells[2]) == math.ceil(row["upper_bound"] * 1e4) / 1e4
        assert float(cells[3]) == math.floor(row["lower_bound"] * 1e4) / 1e4
        assert float(cells[5]) == pytest.approx(row["clean_loss"], abs=5.1e-5)
        assert float(cells[7]) == pytest.approx(row["attack_loss"], abs=5.1e-5)
        assert float(cells[8]) == pytest.approx(row["attack_test_loss"], abs=5.1e-5)
        assert float(cells[9]) == pytest.approx(
            100 * row["attack_test_error"], abs=0.051
        )


def test_rows_that_are_allowed_are_told_from_those_of_the_attack(tmp_path):
    # Classes so far apart that the worst attack needs no more than a few rows.
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", X + 4 * (2 * y[:, None] - 1), y)
    out = tmp_path / "out.json"
    result = invoke(path, "-e", "0.1,1", "--test-share", 0, "--json", out)
    few, many = json.loads(out.read_text())["bounds"]
    assert (few["n_allowed"], many["n_allowed"]) == (12, 120)
    assert few["attack_rows"] <= 12 and many["attack_rows"] < 120
    said = " ".join(result.stdout.split())
    assert "at most 100 poison rows per 100 clean rows" in said
    assert [cells[1] for cells in cells_of_bounds(result.stdout)] == ["12", "120"]


@pytest.mark.parametrize("width", ["80", "200"])
def test_table_is_whole_on_a_narrow_terminal(csv, width):
    # Colours make it a terminal for rich, whose width counts.
    terminal = {"COLUMNS": width, "FORCE_COLOR": "1", "TERM": "xterm"}
    result = invoke(csv, env=terminal)
    assert "\x1b" in result.stdout and "…" not in result.stdout
    assert len(cells_of_bounds(result.stdout)) == 6


def test_same_seed_same_numbers_other_seed_other_test_rows(csv):
    first, again = numbers_of(csv, "--seed", 1), numbers_of(csv, "--seed", 1)
    assert first == again
    other = numbers_of(csv, "--seed", 2)
    assert other["no_attack"] != first["no_attack"]


def test_rho_is_the_learner_in_the_ball(csv):
    numbers = numbers_of(csv, "--rho", 0.5, "--test-share", 0, "-e", 0.1)
    bound = CertifiedBound(epsilon=0.1, rho=0.5, random_state=0).fit(*blobs())
    assert numbers["settings"]["C"] is None
    assert numbers["bounds"][0]["upper_bound"] == pytest.approx(
        bound.upper_bound_, rel=2e-3
    )


LEARNERS = {
    "svm-squared": (LinearSVC(C=0.5), "squared hinge losses per clean row", "gives 1)"),
    "logistic": (LogisticRegression(C=0.5), "Losses are logistic losses", "0.69)"),
    "ridge": (RidgeClassifier(2.0), "Losses are halves of squared losses", "0.5)"),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_other_learners_are_bounded_and_told_of(csv, name):
    estimator, *says = LEARNERS[name]
    options = ["--learner", name, "--C", 0.5, "-e", 0.1]
    numbers = numbers_of(csv, *options, "--test-share", 0)
    bound = CertifiedBound(epsilon=0.1, estimator=estimator, random_state=0)
    assert numbers["settings"]["learner"] == name
    assert numbers["bounds"][0]["upper_bound"] == pytest.approx(
        bound.fit(*blobs()).upper_bound_, rel=2e-3
    )
    told = " ".join(invoke(csv, *options).stdout.split())
    assert all(part in told for part in says)
    assert "support vector" not in told or name == "svm-squared"


def test_test_losses_are_the_learner_s_own(csv):
    found = numbers_of(csv, "--learner", "ridge", "-e", 0.1)
    hinge = numbers_of(csv, "-e", 0.1)
    losses = [each["no_attack"]["all_rows"]["test_loss"] for each in (found, hinge)]
    assert 0.0 < losses[0] < 0.5
    assert losses[0] != pytest.approx(losses[1], rel=0.01)


@pytest.mark.parametrize(
    "options",
    [
        ["--rho", "1"],
        ["--domain", "count"],
        ["--defense", "moving-centroids"],
    ],
    ids=lambda options: options[0],
)
def test_what_other_learners_have_no_bounds_for_is_a_usage_error(csv, options):
    result = invoke(csv, "--learner", "logistic", *options, code=2)
    told = " ".join(result.stderr.replace("│", " ").split())
    assert "--learner svm only, not logistic" in told


def test_string_labels_and_positive_label(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "words.csv", X, np.array(["spam", "ham"])[y])
    numbers = numbers_of(path, "--positive", "ham")
    assert numbers["data"]["positive"] == "ham"
    assert numbers["data"]["negative"] == "spam"


def test_one_label_against_the_rest(tmp_path):
    X, y = make_blobs(90, centers=3, n_features=3, random_state=0)
    path = write_csv(tmp_path / "three.csv", X, y)
    numbers = numbers_of(path, "--positive", "2", "--test-share", 0, "-e", 0.1)
    bound = CertifiedBound(epsilon=0.1, random_state=0).fit(X, y == 2)
    assert numbers["data"]["negative"] == "not 2"
    assert numbers["bounds"][0]["upper_bound"] == pytest.approx(
        bound.upper_bound_, rel=2e-3
    )


def test_npz_with_its_own_test_rows(tmp_path):
    X, y = blobs(200)
    names = {
        "X_train": X[:150],
        "y_train": y[:150],
        "X_test": X[150:],
        "y_test": y[150:],
    }
    np.savez(tmp_path / "rows.npz", **names)
    numbers = numbers_of(tmp_path / "rows.npz")
    assert (numbers["data"]["n_train"], numbers["data"]["n_test"]) == (150, 50)


def test_unconverged_bounds_are_said_to_be(csv):
    result = invoke(csv, "-e", 0.1, "--max-iter", 1, "--tol", 1e-9, "--json", "-")
    row = json.loads(result.stdout)["bounds"][0]
    assert not row["converged"]
    assert row["upper_bound"] >= row["lower_bound"]
    assert "Warning: for epsilon 0.1 the solver stopped" in result.stderr


def test_columns_that_decide_alone_are_pointed_out(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", X * [1, 1000, 1], y)
    warning, options = "Warning: column 'b' has", ["-e", 0.1, "--scale", "none"]
    assert warning in invoke(path, *options).stderr
    assert warning in invoke(path, *options, "--quiet").stderr
    assert invoke(path, "-e", 0.1, "--scale", "standard").stderr == ""
    assert invoke(path, "-e", 0.1).stderr == ""


def test_scaled_numbers_are_those_of_scaled_rows(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", X * [1, 1000, 1] + [0, 5, 0], y)
    options = ["--scale", "standard", "--test-share", 0, "-e", 0.1]
    bound = CertifiedBound(epsilon=0.1, random_state=0)
    bound.fit(StandardScaler().fit_transform(X), y)
    row = numbers_of(path, *options)["bounds"][0]
    assert row["upper_bound"] == pytest.approx(bound.upper_bound_, rel=2e-3)


def test_quiet_prints_nothing(csv, tmp_path):
    result = invoke(csv, "--quiet", "--json", tmp_path / "out.json")
    assert result.output == ""
    assert (tmp_path / "out.json").exists()


def test_json_on_standard_output_leaves_the_table_to_standard_error(csv):
    result = invoke(csv, "--json", "-")
    json.loads(result.stdout)
    assert "Guaranteed" in result.stderr


def test_existing_json_file_is_replaced_by_force_only(csv, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("precious")
    result = invoke(csv, "--json", out, code=1)
    assert result.stderr.startswith("Error: ") and "--force" in result.stderr
    assert out.read_text() == "precious"
    invoke(csv, "--json", out, "--force")
    assert json.loads(out.read_text())["command"] == "certify"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--C", "1", "--rho", "1"], "not both"),
        (["--C", "0"], "above 0"),
        (["--rho", "-1"], "above 0"),
        (["--rho", "inf"], "above 0"),
        (["--epsilon", "-0.1"], "[0, 1]"),
        (["--epsilon", "1.5"], "[0, 1]"),
        (["--epsilon", "nan"], "[0, 1]"),
        (["--percentile", "0"], "(0, 100]"),
        (["--percentile", "101"], "(0, 100]"),
        (["--test-share", "1"], "[0, 1)"),
        (["--tol", "0"], "above 0"),
        (["--max-iter", "0"], "--max-iter"),
        (["--seed", "-1"], "--seed"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options, message):
    result = invoke(*options, code=2, env={"COLUMNS": "200"})
    assert message in result.stderr
    assert result.stdout == ""


def fail(*arguments):
    result = invoke(*arguments, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_classes_and_columns_that_cannot_be_certified(tmp_path):
    X, y = blobs(30)
    path = tmp_path / "rows.csv"
    assert "one class only ('1')" in fail(write_csv(path, X, np.ones(30, int)))
    many = write_csv(path, np.repeat(X, 6, axis=0), [f"w{i % 60}" for i in range(180)])
    assert "60 classes" in fail(many) and "--positive" in fail(many)
    assert "no label '7'" in fail(many, "--positive", "7")
    y[:] = 0
    y[4] = 1
    refused = invoke(write_csv(path, X, y), code=1)
    assert "Error: One class has a single row" in refused.stderr


def test_identical_centroids_are_an_error_that_says_so(tmp_path):
    X = np.tile(np.eye(3), (4, 1))
    path = write_csv(tmp_path / "rows.csv", X, np.repeat([0, 1], 6))
    assert "direction" in fail(path, "--test-share", 0)


def test_constant_columns_and_zero_radii_are_fine(tmp_path):
    X = np.column_stack([np.repeat([-1.0, 1.0], 10), np.ones(20), np.ones(20)])
    path = write_csv(tmp_path / "rows.csv", X, np.repeat([0, 1], 10))
    row = numbers_of(path, "-e", 0.2)["bounds"][0]
    assert row["lower_bound"] <= row["upper_bound"] < 1.2


def test_interrupt_is_one_clean_line(csv, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skpoison._cli.certificate.bound_curve", interrupted)
    result = invoke(csv, code=130)
    assert result.stderr == "Interrupted.\n"


def test_debug_shows_where_an_error_comes_from(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.touch()
    result = CliRunner().invoke(app, ["certify", str(empty), "--debug"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert f"Error: {empty} is empty." in result.stderr


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, **settings
    )


def test_module_runs_in_a_pipe_without_progress_or_colour(csv):
    done = run("-m", "skpoison", "certify", str(csv), "-e", "0.1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Guaranteed" in done.stdout
    assert "\x1b" not in done.stdout


AT_THE_END = """
import atexit, ctypes, sys
abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p)
ctypes.CDLL(None).__cxa_atexit(abort, None, None)  # What libraries tear down.
import skpoison.cli
def late(*args):
    atexit.register(sys.stdout.write, "handler\\n")
    sys.exit(*args)
skpoison.cli.main = lambda: {}
skpoison.cli.run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="registers handlers of glibc")
@pytest.mark.parametrize(
    ("arguments", "code"), [("", 0), ("None", 0), ("4", 4), ("'words'", 1)]
)
def test_process_ends_before_libraries_are_torn_down(arguments, code):
    done = run("-c", AT_THE_END.format(f"late({arguments})"))
    assert (done.returncode, done.stdout) == (code, "handler\n")
    assert done.stderr == ("words\n" if "words" in arguments else "")


@pytest.mark.skipif(sys.platform != "linux", reason="registers handlers of glibc")
def test_error_that_nobody_expected_ends_with_its_traceback():
    done = run("-c", AT_THE_END.format("1 / 0"))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from skpoison.cli import main\n"
        "for command in ('certify', 'filter', 'attack', 'audit'):\n"
        "    for wanted in ('--help', '--help-all'):\n"
        "        try:\n"
        "            main([command, wanted])\n"
        "        except SystemExit as stop:\n"
        "            assert stop.code == 0, stop.code\n"
        "heavy = {'numpy', 'sklearn', 'pandas', 'pyarrow', 'cvxpy', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_said_in_one_line(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from skpoison.cli import main; main(['--help'])"
    )
    done = run("-c", code)
    assert done.returncode == 1
    assert "pip install typer rich" in done.stderr
    assert done.stderr.count("\n") == 1


def test_interrupt_from_outside_ends_with_130(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-m", "skpoison", "certify", str(pipe)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell is born deaf to interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with pipe.open("wb"):  # opens once the child reads, and keeps it waiting
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, "", "Interrupted.\n")


def test_progress_is_shown_on_a_terminal_only(csv, monkeypatch):
    def on_terminal(arguments):
        monkeypatch.setenv("FORCE_COLOR", "1")
        return invoke(csv, "-e", 0.1, *arguments).stderr

    assert "Reading" not in invoke(csv, "-e", 0.1).stderr
    shown = on_terminal([])
    assert "Reading" in shown
    assert "Bounding" in shown
    assert "100%" in shown
    assert on_terminal(["--quiet"]) == ""


@pytest.mark.parametrize(
    ("epsilon", "low", "high"), [(0.01, 0.04965, 0.04966), (0.1, 0.06283, 0.06289)]
)
def test_mnist_gives_the_published_bound(data_folder, tmp_path, epsilon, low, high):
    with np.load(data_folder / "mnist_17.npz") as mnist:
        X, y = mnist["X_train"] / 255.0, mnist["y_train"]
        X_test, y_test = mnist["X_test"] / 255.0, mnist["y_test"]
    np.savez(tmp_path / "m.npz", X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    options = ["--rho", 0.8**0.5, "-e", epsilon, "--tol", 1e-4]
    numbers = numbers_of(tmp_path / "m.npz", *options)
    assert numbers["data"]["n_train"] == 13_007
    assert numbers["data"]["n_test"] == 2_163
    row = numbers["bounds"][0]
    # An interval that holds the same best bound as the published one meets it.
    assert row["lower_bound"] <= high
    assert row["upper_bound"] >= low
    assert row["dual_gap"] <= 1e-4 * row["upper_bound"]


def test_json_says_how_the_file_was_read(csv):
    found = numbers_of(csv, "--scale", "standard", "--test-share", 0.2, "-e", 0.1)
    columns = found["reading"].pop("columns")
    assert [column["read_as"] for column in columns] == ["numbers"] * len(columns)
    assert found["reading"] | {"target": None} == {
        "format": None,
        "target": None,
        "target_kind": "auto",
        "header": True,
        "decimal_comma": False,
        "drop": [],
        "scale": "standard",
        "missing": "indicator",
        "dates": "features",
        "n_dropped_rows": 0,
        "categorical": [],
        "text_columns": [],
        "text_weights": None,
        "test": None,
        "test_share": 0.2,
    }


@pytest.mark.parametrize("defense", ["fixed", "moving-centroids"])
def test_the_sphere_alone_can_be_certified(csv, defense):
    options = ["--filter", "sphere", "--percentile", 90, "-e", 0.1, "--tol", 0.05]
    options += ["--defense", defense, "--test-share", 0]
    numbers = numbers_of(csv, *options)
    bound = CertifiedBound(
        SphereFilter(90.0),
        0.1,
        C=1.0,
        tol=0.05,
        defense=defense.replace("-", "_"),
        random_state=0,
    ).fit(*blobs())
    (row,) = numbers["bounds"]
    assert row["upper_bound"] == pytest.approx(bound.upper_bound_)
    assert numbers["settings"]["filter"] == "sphere"
    assert numbers["defense"]["filters"] == ["sphere"]
    assert numbers["defense"]["slab_half_widths"] is None
    # The slab leaves the attacker less room.
    both = numbers_of(csv, *options, "--filter", "both")["bounds"][0]
    assert both["lower_bound"] < row["upper_bound"]


def test_the_sphere_alone_is_described(csv):
    text = " ".join(invoke(csv, "--filter", "sphere", "-e", 0.1).stdout.split())
    assert "rows inside the sphere around the centroid of their class; it" in text
    assert "slab" not in text


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("slab", "rows of any length pass slab"),
        ("cross-fit", "no bound exists for cross-fit, only for both or sphere"),
        ("nonsense", "'nonsense' is none of auto, both"),
    ],
)
def test_filters_without_a_bound_are_named(csv, kind, message):
    result = invoke(csv, "--filter", kind, code=2, env={"COLUMNS": "300"})
    assert message in result.stderr
