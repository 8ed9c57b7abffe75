"""Columns that decide alone, or that name the rows: one rule for all commands."""

import json
import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from typer.testing import CliRunner

from skpoison import audit
from skpoison._cli.app import app
from skpoison._cli.settings import domain_of
from skpoison._columns import (
    FEWEST_UNIQUE,
    LOOK_AT,
    numbered,
    scale_for,
    whole_and_unique,
    widest,
)
from skpoison._io import load
from skpoison._io.encode import Encoding

N_ROWS = 90
QUICK = {
    "certify": ["-e", "0.1"],
    "filter": ["--filter", "both"],
    "attack": ["-e", "0.1", "-o"],
    "audit": ["-e", "0.1", "--percentiles", "70", "--moving-seconds", "0"],
}


def invoke(command, path, *arguments, **settings):
    options = list(QUICK[command])
    if command == "attack":
        options.append(str(path.parent / "poison.npz"))
        if path.suffix == ".csv":
            options[-1] = str(path.parent / "poison.csv")
        options.append("--force")
    arguments = [command, str(path), *options, *map(str, arguments)]
    result = CliRunner().invoke(app, arguments, **settings)
    assert result.exit_code == 0, result.output
    return result


def said(result):
    """What a command said, in one line, whatever its width."""
    return " ".join(result.output.split())


def blobs(n_columns=2, seed=0):
    centers = np.zeros((2, n_columns))
    centers[:, 0] = -1, 1
    return make_blobs(N_ROWS, centers=centers, random_state=seed)


def write(path, X, y, names="abcdef"):
    header = ",".join([*names[: X.shape[1]], "y"])
    lines = [
        ",".join([*map(str, row), str(k)]) for row, k in zip(X.tolist(), y, strict=True)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def uneven(tmp_path):
    """Two columns, one of which holds 99.75 % of the squares."""
    X, y = blobs()
    return write(tmp_path / "rows.csv", X / X.std(axis=0) * [1, 20], y)


@pytest.fixture
def brief(monkeypatch):
    """The audit's defenses and attacks are tested elsewhere."""
    monkeypatch.setattr("skpoison._audit.plan.default_filters", lambda *args: {})


def scale_of(command, numbers):
    if command == "audit":
        return numbers["data"]["transformed"]
    return numbers["reading"]["scale"]


COMMANDS = pytest.mark.parametrize("command", QUICK)


@COMMANDS
def test_one_rule_for_a_column_that_decides_alone(command, uneven, brief):
    auto = invoke(command, uneven, "--json", "-")
    numbers = json.loads(auto.stdout)
    assert scale_of(command, numbers) == "standard"
    line = (
        r"Column 'b' has \d\d times the median standard deviation of the others and "
        r"99\.\d % of the squared distances, so numeric columns are standardized"
    )
    assert re.search(line, said(auto))
    assert "standardized (--scale none" in said(auto)
    same = json.loads(
        invoke(command, uneven, "--scale", "standard", "--json", "-").stdout
    )
    assert numbers == same
    left = invoke(command, uneven, "--scale", "none", "--json", "-")
    assert scale_of(command, json.loads(left.stdout)) == "none"
    assert "Warning: column 'b' has" in left.stderr
    assert "--scale standard makes columns comparable" in left.stderr


@COMMANDS
def test_columns_of_like_spread_stay_as_they_are(command, tmp_path, brief):
    X, y = blobs()
    path = write(tmp_path / "rows.csv", X * [1, 4], y)
    result = invoke(command, path, "--json", "-")
    assert scale_of(command, json.loads(result.stdout)) == "none"
    assert "column 'b'" not in result.output.lower()


def test_scales_come_from_trusted_rows(uneven, tmp_path):
    X, y = blobs(seed=1)
    path = write(tmp_path / "judged.csv", X * [1e5, 1], y)
    result = invoke("filter", path, "--trusted", uneven)
    assert "Column 'b' has" in said(result) and "'a'" not in said(result)


def test_poison_of_scaled_columns_passes_the_same_filter(uneven, tmp_path):
    assert "Column 'b'" in said(invoke("attack", uneven))
    poison = tmp_path / "poison.csv"
    both = "--filter", "both"
    result = invoke("filter", poison, *both, "--trusted", uneven, "--json", "-")
    numbers = json.loads(result.stdout)
    assert numbers["n_kept"] == numbers["n_rows"] > 0


@pytest.mark.parametrize("scale", ["auto", "standard", "maxabs"])
def test_what_is_not_negative_stays_so_in_every_scale(tmp_path, scale):
    X, y = blobs()
    path = write(tmp_path / "rows.csv", np.abs(X * [3, 900]), y)
    options = "--scale", scale, "-e", "0.2", "--json", "-"
    found = {}
    for domain in ("real", "nonnegative"):
        result = invoke("certify", path, "--domain", domain, *options)
        numbers = json.loads(result.stdout)
        wanted = "standard" if scale == "auto" else scale
        assert numbers["reading"]["scale"] == wanted
        found[domain] = numbers
    # The same defense and learner, against an attacker who can do less.
    losses = [found[d]["no_attack"]["all_rows"]["train_loss"] for d in found]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    upper = {domain: one["bounds"][0]["upper_bound"] for domain, one in found.items()}
    assert upper["nonnegative"] <= 1.001 * upper["real"]
    # What they send passes the filter that they know.
    invoke("attack", path, "--domain", "nonnegative", "--scale", scale, "-e", "0.2")
    poison = tmp_path / "poison.csv"
    assert "-" not in poison.read_text()
    trusted = "--trusted", path, "--scale", scale, "--json", "-"
    judged = json.loads(invoke("filter", poison, *trusted).stdout)
    assert judged["n_kept"] == judged["n_rows"] > 0


def test_zero_is_where_scaled_rows_that_are_not_negative_end(tmp_path):
    X, y = blobs()
    X = np.abs(X)
    X[0, 0] = X[1, 1] = 0
    data = load(write(tmp_path / "rows.csv", X, y))
    rows = np.arange(N_ROWS)
    for scale in ("standard", "maxabs"):
        encoder = data.encoder(rows, Encoding(scale))
        lower = domain_of("nonnegative", encoder).lower
        scaler = {"standard": StandardScaler, "maxabs": MaxAbsScaler}[scale]().fit(X)
        # Its sums depend on the order of the rows, in the last bit; ours do not.
        np.testing.assert_allclose(lower, scaler.transform(0 * X[:1])[0], rtol=1e-14)
        np.testing.assert_array_equal(lower, encoder.transform(data, rows).min(axis=0))
    assert domain_of("nonnegative", data.encoder(rows, Encoding())) == "nonnegative"


def test_counts_are_not_scaled(tmp_path):
    X, y = blobs()
    path = write(tmp_path / "rows.csv", np.rint(np.abs(X * [3, 900])), y)
    options = "--domain", "count", "--tol", "0.1"
    result = invoke("certify", path, *options, "--json", "-")
    assert json.loads(result.stdout)["reading"]["scale"] == "none"
    wanted = "dominates the distances of the filter. --domain count leaves"
    assert wanted in result.stderr


def test_a_column_beside_texts_is_brought_to_one(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array(["pills", "noon", "cheap", "lunch", "now"])
    lines = [
        f"{' '.join(rng.choice(words, 3))},{1000 * rng.random():.2f},{i % 2}"
        for i in range(60)
    ]
    path = tmp_path / "mail.csv"
    path.write_text("\n".join(["text,amount,y", *lines]))
    result = invoke("certify", path, "--text-column", "text", "--json", "-")
    assert json.loads(result.stdout)["reading"]["scale"] == "maxabs"
    assert "divided by their largest magnitude" in said(result)


@pytest.mark.parametrize("command", ["certify", "filter", "attack"])
def test_sparse_rows_follow_the_rule_too(command, tmp_path):
    X, y = blobs(4)
    S = sparse.csr_array(np.where(np.abs(X) < 0.5, 0, X) * [1, 1, 1, 1000])
    sparse.save_npz(tmp_path / "s.npz", S)
    with np.load(tmp_path / "s.npz") as parts:
        np.savez(tmp_path / "rows.npz", y=y, **parts)
    result = invoke(command, tmp_path / "rows.npz", "--json", "-")
    assert json.loads(result.stdout)["reading"]["scale"] == "maxabs"
    assert "Column '4' has" in said(result)


def test_audits_of_arrays_follow_the_rule_too(brief):
    X, y = blobs(4)
    S = sparse.csr_array(X * [1, 1, 1, 1000])
    settings = {"epsilons": [0.1], "percentiles": [90], "moving_seconds": 0}
    assert audit(S, y, **settings).data["transformed"] == "maxabs"
    assert audit(S.toarray(), y, **settings).data["transformed"] == "standard"


def test_spreads_of_sparse_and_dense_rows_agree():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((50, 4)) < 0.5, 0, rng.normal(5, 1, (50, 4)))
    X[:, 2] *= 300
    column, ratio, share = widest(X)
    spreads = X.std(axis=0)
    assert column == 2
    assert ratio == pytest.approx(spreads[2] / np.median(np.delete(spreads, 2)))
    assert share == pytest.approx(spreads[2] ** 2 / (spreads**2).sum())
    assert widest(sparse.csr_array(X)) == pytest.approx((column, ratio, share))
    S = sparse.csr_array(X)
    halves = np.repeat(S.data / 2, 2), np.repeat(S.indices, 2), 2 * S.indptr
    assert widest(sparse.csr_array(halves, X.shape)) == pytest.approx(widest(X))


def test_limits_of_the_rule():
    column = np.array([-1.0, 1.0] * 10)

    def decides(*spreads):
        return widest(np.outer(column, spreads)) is not None

    # Ten times as far as the median, with 95 % of the squares.
    assert decides(1, 10) and not decides(1, 9.99)
    assert decides(1, 1, 1, 1, 1, 10.68) and not decides(1, 1, 1, 1, 1, 1, 10.67)
    # A hundred times as far, whatever its share; of sparse rows that is not enough.
    many = [1.0] * 3 + [99.0, 100.0]
    assert decides(*many) and not decides(*many[:-1], 99.9)
    assert widest(sparse.csr_array(np.outer(column, many))) is None
    # Nothing decides alone that is alone, or beside constants only.
    assert not decides(5) and not decides(5, 0) and decides(500, 1, 0, 0, 0)
    assert not decides(0, 0)


def test_columns_whose_first_rows_are_alike_are_seen():
    X = np.random.default_rng(0).normal(size=(2 * LOOK_AT + 1, 2))
    X[:, 1] = np.where(np.arange(len(X)) <= LOOK_AT, 0, 1e3 * X[:, 1])
    assert widest(X)[0] == 1


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_squares_of_huge_numbers_do_not_overflow(make):
    X = np.random.default_rng(0).normal(size=(20, 3)) * [1, 1e200, 1]
    assert widest(make(X))[0] == 1
    assert widest(make(X))[2] == 1.0
    assert scale_for(make(X)) != "none"
    assert widest(make(X))[1] > 1e199
    alike = np.random.default_rng(0).normal(size=(20, 3)) * 1e200
    assert widest(make(alike)) is None


NAMES = {
    "unique": "a whole number of its own in every row: an identifier",
    "words": "a word of its own in every row: an identifier",
    "numbering": "counts the rows: an identifier",
}


def names_of_rows(kind):
    """Names that rows have in tables, as cells."""
    rng = np.random.default_rng(0)
    customers = rng.choice(10**6, N_ROWS, replace=False)
    return {
        "customer numbers": customers,
        "floats": customers.astype(float),
        "beyond 64 bits": [f"{10**22 + 10**12 * k}" for k in customers.tolist()],
        "beyond 2^53": 2**62 + np.sort(customers),
        "UUIDs": [f"{k:08x}-aaaa" for k in customers],
        "shuffled": rng.permutation(N_ROWS) + 10**6,
    }[kind]


def columns_read(command, result):
    """What the JSON says of the columns, by name."""
    numbers = json.loads(result.stdout)
    part = numbers["data"] if command == "audit" else numbers["reading"]
    return {column["name"]: column for column in part["columns"]}


@COMMANDS
@pytest.mark.parametrize(
    ("kind", "what"), [("customer numbers", "unique"), ("UUIDs", "words")]
)
def test_columns_that_name_the_rows_are_left_out(command, kind, what, tmp_path, brief):
    X, y = blobs()
    table = np.column_stack([np.array(names_of_rows(kind), dtype=object), X])
    path = write(tmp_path / "rows.csv", table, y, names=["my id", "b", "c"])
    result = invoke(command, path, "--json", "-")
    assert "How columns were read" in result.stderr and "my id" in result.stderr
    column = columns_read(command, result)["my id"]
    assert column["read_as"] == "left out" and NAMES[what] in column["note"]
    assert column["option"].startswith("--feature 'my id'")
    dropped = invoke(command, path, "--drop", "my id", "--json", "-")
    assert "my id" not in dropped.stderr
    # It is as if the column were not there.
    same = json.loads(result.stdout), json.loads(dropped.stdout)
    for numbers in same:
        (numbers["data"] if command == "audit" else numbers["reading"]).clear()
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("floats", "unique"),
        ("beyond 64 bits", "unique"),
        ("beyond 2^53", "unique"),
        ("shuffled", "numbering"),
    ],
)
def test_names_of_rows_are_told_in_every_type(kind, what, tmp_path):
    X, y = blobs()
    table = np.column_stack([np.array(names_of_rows(kind), dtype=object), X])
    path = write(tmp_path / "rows.csv", table, y)
    column = columns_read("filter", invoke("filter", path, "--json", "-"))["a"]
    assert NAMES[what] in column["note"]
    options = ["--feature", "a", "--scale", "standard", "--json", "-"]
    column = columns_read("filter", invoke("filter", path, *options))["a"]
    assert column["read_as"] == "numbers"


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_columns_of_archives_that_name_the_rows_are_pointed_out(make, tmp_path):
    X, y = blobs(3)
    X[:, 1] = names_of_rows("customer numbers")
    X = make(X)
    path = tmp_path / "rows.npz"
    parts = {"X": X}
    if sparse.issparse(X):
        parts = {k: getattr(X, k) for k in ("data", "indices", "indptr", "shape")}
    np.savez(path, y=y, **parts)
    result = invoke("filter", path)
    assert "column '2' holds another whole number in every row" in result.stderr
    assert "--drop" not in result.stderr


def test_quantities_and_texts_are_no_names(tmp_path):
    X, y = blobs()
    amounts = np.r_[[7], np.arange(N_ROWS - 1) ** 2]
    texts = [f"word{i} and" for i in range(N_ROWS)]
    table = np.column_stack([X.astype(object), amounts, texts])
    path = write(tmp_path / "rows.csv", table, y)
    options = ["--text-column", "d", "--scale", "standard", "--json", "-"]
    columns = columns_read("filter", invoke("filter", path, *options))
    read_as = [columns[name]["read_as"] for name in "abcd"]
    assert read_as == ["numbers", "numbers", "numbers", "text"]
    # They are pointed out all the same.
    assert columns["c"]["note"].startswith("holds another whole number in every row")
    assert columns["c"]["option"] == "--id c"
    named = columns_read("filter", invoke("filter", path, *options, "--id", "c"))
    assert named["c"]["read_as"] == "left out"
    table[0, 2] = table[1, 2]
    path = write(tmp_path / "rows.csv", table, y)
    columns = columns_read("filter", invoke("filter", path, *options))
    assert columns["c"]["note"] is None


def test_the_audit_tells_names_of_rows():
    X, y = blobs(4)
    X[:, 1] = names_of_rows("customer numbers")
    X[:, 2] = np.arange(N_ROWS)[::-1]
    settings = {"epsilons": [0.1], "percentiles": [90], "moving_seconds": 0}
    report = audit(X, y, filters={}, **settings)
    assert report.data["unique_numbers"] == ["x1"]
    assert report.data["row_numbers"] == ["x2"]
    assert "Column x1 has a different whole number in every row" in str(report)


def test_few_rows_are_unique_by_chance():
    values = np.arange(0, 150, 3)
    assert len(values) == FEWEST_UNIQUE
    assert whole_and_unique(values) == "unique"
    assert whole_and_unique(values[1:]) is None
    assert whole_and_unique(values + 0.5) is None
    assert whole_and_unique(np.array([3, 1, 2])) == "numbering"
    assert whole_and_unique(np.array([3, 1, 3])) is None
    assert whole_and_unique(np.array([3, 1])) is None
    assert numbered(np.array([[0.0, 3], [1, 1], [1, 2]])) == ([1], [])
    assert numbered(sparse.csr_array([[0.0, 0], [1, 1], [1, 2]])) == ([1], [])
