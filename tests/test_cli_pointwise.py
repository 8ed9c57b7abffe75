"""``skpoison certify --pointwise``: what it computes, shows and writes."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from skpoison import PartitionedClassifier, certified_radius
from skpoison._cli.app import app


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["certify", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def numbers_of(*arguments):
    return json.loads(invoke(*arguments, "--pointwise", "--json", "-").stdout)


def write_csv(path, X, y):
    lines = [",".join([*map(repr, row.tolist()), str(c)]) for row, c in zip(X, y)]  # noqa: B905
    header = ",".join([f"x{j}" for j in range(X.shape[1])] + ["target"])
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def files(tmp_path):
    X, y = make_blobs(160, centers=[[-2, 0, 1], [2, 0, 0]], random_state=0)
    X[:, 2] *= 1e4
    names = np.array(["ham", "spam"])[y]
    train = write_csv(tmp_path / "train.csv", X[:120], names[:120])
    test = write_csv(tmp_path / "test.csv", X[120:], names[120:])
    return train, test, X, names


@pytest.mark.parametrize("attack", ["insert-delete", "change", "flip"])
@pytest.mark.parametrize(
    ("base", "estimator"),
    [
        ("naive-bayes", GaussianNB()),
        (
            "logistic",
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        ),
    ],
)
def test_radii_are_those_of_the_classifier_in_python(base, estimator, attack, files):
    train, test, X, y = files
    options = "--base", base, "--attack", attack, "--partitions", 9
    numbers = numbers_of(train, "--test", test, *options)
    model = PartitionedClassifier(
        estimator, 9, hash="rank" if attack == "flip" else "content"
    ).fit(X[:120], y[:120])
    radii = certified_radius(model, X[120:], attack=attack.replace("-", "_"))
    found = numbers["predictions"]
    assert [one["radius"] for one in found] == radii.tolist()
    assert [one["predicted"] for one in found] == model.predict(X[120:]).tolist()
    assert [one["label"] for one in found] == y[120:].tolist()
    assert [one["row"] for one in found] == list(range(1, 41))
    assert numbers["accuracy"] == model.score(X[120:], y[120:])
    assert numbers["median_radius"] > 0


def test_the_curve_has_the_shares_at_and_between_its_points(files, tmp_path):
    train, test, _, _ = files
    path = tmp_path / "votes.svg"
    numbers = numbers_of(train, "--test", test, "--plot", path)
    found = numbers["predictions"]
    for point in numbers["curve"]:
        right = [
            one["label"] == one["predicted"] and one["radius"] >= point["n_rows"]
            for one in found
        ]
        assert point["certified_accuracy"] == np.mean(right)
    assert numbers["curve"][-1]["certified_accuracy"] == 0.0
    assert "Certified accuracy" in path.read_text()


def test_several_classes_and_the_default_number_of_parts(tmp_path):
    X, y = load_iris(return_X_y=True)
    path = write_csv(tmp_path / "iris.csv", X, y)
    numbers = numbers_of(path)
    assert numbers["data"]["labels"] == ["0", "1", "2"]
    assert numbers["settings"]["partitions"] == numbers["data"]["n_train"] // 20
    two = numbers_of(path, "--positive", "1")
    assert two["data"]["labels"] == ["not 1", "1"]
    text = invoke(path, "--pointwise").output
    assert "training rows an attacker may insert or delete" in " ".join(text.split())


def test_words_of_texts_are_counted(tmp_path):
    rows = [f"{w} {w} text{i % 7},{t}" for i in range(60) for w, t in PAIRS]
    path = tmp_path / "mail.csv"
    path.write_text("\n".join(["text,target", *rows]) + "\n")
    numbers = numbers_of(path, "--text-column", "text", "--partitions", 5)
    assert numbers["estimator"] == repr(MultinomialNB())
    assert numbers["reading"]["text_weights"] == "counts"
    assert numbers["accuracy"] == 1.0


PAIRS = [("offer", "spam"), ("meeting", "ham")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--pointwise", "--epsilon", "0.1"], 2, "does not go with --pointwise"),
        (["--pointwise", "--C", "2"], 2, "does not go with --pointwise"),
        (["--partitions", "5"], 2, "needs --pointwise"),
        (["--attack", "flip"], 2, "needs --pointwise"),
        (["--pointwise", "--base", "forest"], 2, "'forest' is none of naive-bayes"),
        (["--pointwise", "--partitions", "0"], 2, "must be at least 1"),
        (["--pointwise", "--test-share", "0"], 1, "certifies predictions of test rows"),
    ],
)
def test_options_that_do_not_go_together(arguments, code, message):
    output = " ".join(invoke(*arguments, code=code).output.replace("│", " ").split())
    assert message in output


def test_nothing_certified_is_said_in_words(tmp_path):
    X, y = make_blobs(60, centers=[[-2, 0], [2, 0]], random_state=0)
    path = write_csv(tmp_path / "rows.csv", X, y)
    text = " ".join(invoke(path, "--pointwise", "--partitions", "1").output.split())
    assert "fewer than half of the test rows" in text
