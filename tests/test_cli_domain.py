"""The command line against attackers who can only send texts."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app

WORDS = "offer money free click meeting paper hello today review code".split()
SHARES = {
    "spam": [4, 4, 4, 4, 1, 1, 2, 2, 1, 1],
    "ham": [1, 1, 1, 1, 4, 4, 2, 2, 4, 4],
}


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("mails") / "mails.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label in rng.choice(["spam", "ham"], 120):
            share = np.array(SHARES[label]) / sum(SHARES[label])
            writer.writerow([" ".join(rng.choice(WORDS, 6, p=share)), label])
    return path


def run(*arguments):
    result = CliRunner().invoke(app, [str(part) for part in arguments])
    return result


def certify(mails, tmp_path, domain, weights):
    found = tmp_path / f"{domain}.json"
    result = run(
        "certify", mails, "--target", "label", "--text-column", "text",
        "--text-weights", weights, "--domain", domain, "--rho", "1", "--tol", "0.05",
        "--epsilon", "0.1", "--json", found, "-q",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return json.loads(found.read_text())


def test_texts_hold_an_attacker_back(mails, tmp_path):
    uppers = {}
    for domain in ("real", "nonnegative", "count"):
        numbers = certify(mails, tmp_path, domain, "counts")
        assert numbers["settings"]["domain"] == domain
        # What the filter costs without an attack stands beside the bound.
        assert {"all_rows", "kept_rows"} == set(numbers["no_attack"])
        (row,) = numbers["bounds"]
        assert row["lower_bound"] <= row["upper_bound"]
        assert row["attack_loss"] <= row["upper_bound"] * 1.05
        uppers[domain] = row["upper_bound"]
    assert uppers["count"] <= 1.05 * uppers["nonnegative"]
    assert uppers["nonnegative"] <= 1.05 * uppers["real"]


def test_weights_of_words_have_a_domain_of_their_own(mails, tmp_path):
    (row,) = certify(mails, tmp_path, "tfidf", "tfidf")["bounds"]
    assert 0 <= row["lower_bound"] <= row["upper_bound"]


def test_poison_of_counts_is_whole(mails, tmp_path):
    path = tmp_path / "poison.csv"
    result = run(
        "attack", mails, "--target", "label", "--text-column", "text",
        "--text-weights", "counts", "--domain", "count", "--rho", "1",
        "--epsilon", "0.1", "--tol", "0.05", "-o", path, "-q",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert list(row) == ["text", "label"]
        assert set(row["text"].split()) <= set(WORDS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--domain", "words"], "'words' is none of real, nonnegative"),
        (["--domain", "count", "--scale", "standard"], "leave --scale out"),
        (["--domain", "count"], "needs --text-weights counts"),
    ],
)
def test_domains_that_do_not_go_with_the_features_are_usage_errors(
    mails, options, message
):
    result = run(
        "certify", mails, "--target", "label", "--text-column", "text", *options
    )
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
