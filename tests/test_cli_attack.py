"""``skpoison attack``: poison rows that pass the filter and do what is said."""

import json

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison._cli.app import app
from skpoison._columns import widest
from skpoison._io import load
from skpoison._io.encode import Encoding


def invoke(command, *arguments, code=0, **settings):
    result = CliRunner().invoke(app, [command, *map(str, arguments)], **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def blobs():
    return make_blobs(150, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


def write_csv(path, X, labels):
    lines = [
        ",".join([*map(repr, row[:2]), str(label), repr(row[2])])
        for row, label in zip(X.tolist(), labels, strict=True)
    ]
    path.write_text("\n".join(["a,b,kind,c", *lines]) + "\n")
    return path


def rows_of(path, **options):
    from skpoison._io.read import Options

    data, encoding = load(path, Options(**options)), Encoding(drop_constant=False)
    return data.encoder(np.arange(len(data)), encoding).transform(
        data, np.arange(len(data))
    ), [data.labels.values[code] for code in data.labels.codes]


def test_rows_are_those_of_the_estimator(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", X, np.array(["ham", "spam"])[y])
    out = tmp_path / "poison.csv"
    result = invoke(
        "attack", path, "--target", "kind", "-e", 0.2, "-o", out, "--json", "-"
    )
    bound = CertifiedBound(epsilon=0.2, random_state=0).fit(X, y)
    attack = bound.attack_
    assert out.read_text().startswith("a,b,kind,c\n")
    poison, labels = rows_of(out, target="kind")
    np.testing.assert_allclose(
        poison, np.repeat(attack.X, attack.n_copies, axis=0), atol=1e-2
    )
    copies = dict(
        zip(np.array(["ham", "spam"])[attack.y], attack.n_copies, strict=True)
    )
    assert {k: labels.count(k) for k in set(labels)} == copies
    numbers = json.loads(result.stdout)
    assert numbers["n_poison"] == len(labels) <= 30
    assert numbers["attack_loss"] <= numbers["upper_bound"]


def test_rows_are_the_worst_for_the_learner_that_is_named(tmp_path):
    X, y = blobs()
    path, to = tmp_path / "clean.csv", tmp_path / "poison.csv"
    write_csv(path, X, y)
    options = ["--target", "kind", "--learner", "logistic", "-e", 0.1, "-o", to]
    options += ["--json", "-"]
    numbers = json.loads(invoke("attack", path, *options).stdout)
    bound = CertifiedBound(epsilon=0.1, estimator=LogisticRegression(), random_state=0)
    assert numbers["upper_bound"] == pytest.approx(
        bound.fit(X, y).upper_bound_, rel=2e-3
    )
    assert numbers["n_poison"] == bound.attack_.n_copies.sum()
    assert numbers["written_loss"] == pytest.approx(bound.attack_loss_, rel=3e-3)
    assert len(to.read_text().splitlines()) == 1 + numbers["n_poison"]


def test_attacks_too_large_to_be_written_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("skpoison._cli.poison.MOST_CELLS", 29)
    path = write_csv(tmp_path / "rows.csv", *blobs())
    out = tmp_path / "poison.csv"
    options = ["--target", "kind", "-e", 0.1, "-o", out]
    result = invoke("attack", path, *options, code=1)
    assert "rows of 3 features, more than can be written" in result.stderr
    assert "--epsilon" in result.stderr and not out.exists()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", ["none", "standard", "maxabs"])
def test_all_poison_rows_pass_the_filter_of_the_clean_rows(tmp_path, scale, seed):
    X, y = blobs()
    X = X * np.exp(np.random.default_rng(seed).normal(size=3)) + seed
    path = write_csv(tmp_path / "rows.csv", X, y)
    out = tmp_path / "poison.csv"
    common = ["--target", "kind", "--scale", scale]
    invoke("attack", path, *common, "-e", 0.3, "-o", out)
    result = invoke(
        "filter", out, *common, "--filter", "both", "--trusted", path, "--json", "-"
    )
    numbers = json.loads(result.stdout)
    assert numbers["n_rows"] > 0
    assert numbers["n_kept"] == numbers["n_rows"]


def test_digits_are_attacked_without_data(tmp_path):
    invoke("attack", "-o", tmp_path / "p.npz", "-e", 0.1)
    with np.load(tmp_path / "p.npz") as poison:
        assert poison["X"].shape[1] == 64
        assert set(poison["y"].tolist()) <= {1, 8}
    invoke("attack", "-o", tmp_path / "p.csv", "-e", 0.1)
    X, labels = rows_of(tmp_path / "p.csv")
    with np.load(tmp_path / "p.npz") as poison:
        np.testing.assert_allclose(X, poison["X"])
        assert labels == poison["y"].tolist()


def test_rest_carries_its_most_frequent_label(tmp_path):
    X, y = blobs()
    labels = np.array(["a", "b"])[y]
    labels[np.flatnonzero(y)[:50]] = "c"
    path = write_csv(tmp_path / "rows.csv", X, labels)
    out = tmp_path / "poison.csv"
    invoke("attack", path, "--target", "kind", "--positive", "a", "-e", 0.3, "-o", out)
    _, found = rows_of(out, target="kind")
    assert "c" in found
    assert set(found) <= {"a", "c"}


def test_sparse_rows_stay_sparse(tmp_path):
    X, y = blobs()
    S = sparse.csr_array(np.where(np.abs(X) < 0.5, 0, X))
    parts = {"data": S.data, "indices": S.indices, "indptr": S.indptr}
    np.savez(tmp_path / "r.npz", shape=S.shape, y=y, **parts)
    invoke("attack", tmp_path / "r.npz", "-o", tmp_path / "p.npz", "-e", 0.2)
    with np.load(tmp_path / "p.npz") as out:
        assert set(out.files) == {"data", "indices", "indptr", "shape", "y"}
        assert out["shape"].tolist() == [len(out["y"]), 3]
        parts = out["data"], out["indices"], out["indptr"]
        poison, labels = sparse.csr_array(parts, shape=out["shape"]), out["y"]
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(S, y)
    assert np.all(both.predict(poison, labels) == 1)


@pytest.mark.parametrize("first", [0, 1])
def test_svmlight_keeps_its_numbering(tmp_path, first):
    X, y = blobs()
    lines = [
        f"{2 * k - 1} " + " ".join(f"{j + first}:{v!r}" for j, v in enumerate(row))
        for row, k in zip(X.tolist(), y, strict=True)
    ]
    (tmp_path / "r.svm").write_text("\n".join(lines))
    invoke("attack", tmp_path / "r.svm", "-o", tmp_path / "p.svm", "-e", 0.2)
    for line in (tmp_path / "p.svm").read_text().splitlines():
        label, *cells = line.split()
        assert label in ("-1", "1")
        assert {int(cell.split(":")[0]) for cell in cells} <= set(
            range(first, first + 3)
        )
    result = invoke(
        "filter",
        "--filter",
        "both",
        tmp_path / "p.svm",
        "--trusted",
        tmp_path / "r.svm",
        "--json",
        "-",
    )
    numbers = json.loads(result.stdout)
    assert numbers["n_kept"] == numbers["n_rows"] > 0


def with_categories(X, y):
    import pyarrow as pa

    rng = np.random.default_rng(0)
    sizes = pa.array(np.array(["S", "M"])[y ^ (X[:, 2] > 1)])
    colours = np.array(["red", "", "blue, =dark"])[np.digitize(X[:, 1], [-0.5, 0.8])]
    return pa.table(
        {
            "a": X[:, 0],
            "colour": pa.array([colour or None for colour in colours]),
            "y": y,
            "shop": pa.array(rng.integers(1, 4, len(X)), pa.int8()),
            "size": sizes.dictionary_encode(),
            "c": X[:, 2],
        }
    )


@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_categories_are_written_as_one_each_and_pass_the_filter(
    tmp_path, suffix, scale
):
    from pyarrow import csv, parquet

    table = with_categories(*blobs())
    path, out = tmp_path / f"rows.{suffix}", tmp_path / f"p.{suffix}"
    (parquet.write_table if suffix == "parquet" else csv.write_csv)(table, path)
    common = ["--categorical", "shop", "--scale", scale]
    numbers = json.loads(
        invoke("attack", path, *common, "-o", out, "-e", 0.2, "--json", "-").stdout
    )
    read = parquet.read_table if suffix == "parquet" else csv.read_csv
    clean, poison = read(path), read(out)
    assert poison.column_names == clean.column_names
    for name in ("colour", "shop", "size"):
        assert poison[name].type == clean[name].type
        assert set(poison[name].to_pylist()) <= set(clean[name].to_pylist())
    assert len(poison) == numbers["n_poison"] > 0
    both = ["--filter", "both", "--trusted", path]
    judged = json.loads(invoke("filter", out, *common, *both, "--json", "-").stdout)
    assert judged["n_kept"] == judged["n_rows"] == len(poison)


def as_they_come(X, y):
    """A table with gaps, counts, amounts, dates, identifiers and a flag."""
    import pandas as pd

    rng = np.random.default_rng(0)
    gaps = rng.random(len(X)) < 0.3
    days = pd.to_timedelta(np.round(20 * X[:, 1]) + 100 * y, unit="D")
    return pd.DataFrame(
        {
            "rownames": np.arange(1, len(X) + 1),
            "a": X[:, 0],
            "visits": rng.poisson(3 + 2 * y),
            "income": np.where(gaps, np.nan, np.round(1000 + 300 * X[:, 2])),
            "price": [f"${v:,.0f}" for v in 5000 + 900 * X[:, 1]],
            "since": (pd.Timestamp("2020-06-01") + days).strftime("%Y-%m-%d"),
            "flag": X[:, 2] > 1,
            "kind": np.array(["S", "M", "L"])[rng.integers(0, 3, len(X))],
            "y": y,
        }
    )


@pytest.mark.parametrize("domain", ["real", "nonnegative"])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_poison_is_written_as_the_file_holds_rows(tmp_path, suffix, domain):
    frame = as_they_come(*blobs())
    path, out = tmp_path / f"rows.{suffix}", tmp_path / f"poison.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    options = ["-e", 0.1, "--domain", domain, "--tol", 0.05, "-o", out]
    result = invoke("attack", path, *options, "--json", "-")
    numbers = json.loads(result.stdout)
    poison, clean = (load(p).table.to_pandas() for p in (out, path))
    assert list(poison) == list(clean) and len(poison) == numbers["n_poison"] > 0
    for name in ("visits", "income"):
        values = poison[name].dropna()
        assert np.array_equal(values, np.rint(values))
        assert domain == "real" or values.min() >= 0
    assert set(poison["kind"]) <= {"S", "M", "L"}
    assert poison["price"].str.fullmatch(r"-?\$[\d,]+").all()
    assert poison["rownames"].tolist() == list(range(151, 151 + len(poison)))
    # What is written passes the filter, and does the harm that is said.
    both = "--filter", "both", "--trusted", path, "--json", "-"
    judged = json.loads(invoke("filter", out, *both).stdout)
    assert judged["n_kept"] == judged["n_rows"]
    assert harm_of(path, out) == pytest.approx(numbers["written_loss"], rel=0.02)
    assert numbers["written_loss"] <= numbers["upper_bound"]


def harm_of(path, out):
    """The training loss of scikit-learn's LinearSVC behind poison, as it is written."""
    data, poison = load(path), load(out)
    rows, added = np.arange(len(data)), np.arange(len(poison))
    first = data.encoder(rows, Encoding())
    kind = "none" if widest(first.transform(data, rows)) is None else "standard"
    encoder = data.encoder(rows, Encoding(kind))
    X = np.vstack([encoder.transform(data, rows), encoder.transform(poison, added)])
    y = np.r_[data.labels.codes, data.labels.matched(poison.labels).codes] * 2 - 1
    model = LinearSVC(loss="hinge", tol=1e-8, max_iter=10**6).fit(X, y)
    losses = np.maximum(0, 1 - y * model.decision_function(X)).sum()
    penalty = (np.sum(model.coef_**2) + np.sum(model.intercept_**2)) / 2
    return (losses + penalty) / len(data)


def test_numbers_below_zero_are_warned_of_where_there_were_none(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", np.maximum(X, 0), y)
    out = tmp_path / "p.csv"
    common = "--target", "kind", "-e", 0.3, "-o", out, "--percentile", 95, "--force"
    warned = invoke("attack", path, *common).stderr
    assert "never negative in the clean rows, but in the poison" in warned
    assert "--domain nonnegative" in warned
    result = invoke("attack", path, *common, "--domain", "nonnegative")
    assert "never negative" not in result.stderr


@pytest.mark.parametrize(
    "options", [(), ("--text-weights", "counts"), ("--domain", "tfidf")]
)
def test_texts_are_written_as_texts(tmp_path, options):
    path, out = tmp_path / "rows.csv", tmp_path / "p.csv"
    rng = np.random.default_rng(0)
    words = np.array("offer money free click meeting paper hello today".split())
    lines = []
    for i in range(80):
        weights = np.r_[[4, 4, 2, 2], [1, 1, 2, 1]][:: 1 - 2 * (i % 2)]
        text = " ".join(rng.choice(words, 7, p=weights / weights.sum()))
        lines.append(f"{text},{'xz'[i % 3 > 0]},{i % 2}")
    path.write_text("\n".join(["text,kind,y", *lines]))
    common = "--text-column", "text", *options
    result = invoke(
        "attack", path, *common, "-o", out, "-e", 0.2, "--tol", 0.05, "--json", "-"
    )
    numbers = json.loads(result.stdout)
    header, *rows = out.read_text().splitlines()
    assert header == "text,kind,y" and len(rows) == numbers["n_poison"] > 0
    for row in rows:
        assert set(row.split(",")[0].split()) <= set(words)
        assert row.split(",")[1] in "xz"
    both = "--filter", "both", "--trusted", path, "--text-column", "text"
    weights = options if "counts" in options else ()
    judged = json.loads(invoke("filter", out, *both, *weights, "--json", "-").stdout)
    assert judged["n_kept"] == judged["n_rows"]
    assert numbers["written_loss"] <= numbers["upper_bound"] * 1.05


def test_too_few_rows_for_any_poison(tmp_path):
    X, y = blobs()
    path = write_csv(tmp_path / "rows.csv", X, y)
    out = tmp_path / "p.csv"
    result = invoke("attack", path, "--target", "kind", "-e", 0.001, "-o", out)
    assert "no rows at all" in result.stdout
    assert out.read_text() == "a,b,kind,c\n"


def test_poison_passes_the_sphere_alone(tmp_path):
    path = write_csv(tmp_path / "rows.csv", *blobs())
    out, plot = tmp_path / "p.csv", tmp_path / "p.svg"
    arguments = ["--target", "kind", "--filter", "sphere", "-e", 0.1]
    invoke("attack", path, *arguments, "-o", out, "--plot", plot)
    assert plot.stat().st_size > 1000
    both = {}
    for kind in ("sphere", "slab"):
        more = ["--target", "kind", "--trusted", path, "--filter", kind, "--json", "-"]
        both[kind] = json.loads(invoke("filter", out, *more).stdout)
    assert both["sphere"]["n_kept"] == both["sphere"]["n_rows"] > 0
    assert both["slab"]["n_kept"] == 0


def test_output_must_be_named(tmp_path):
    assert "--output" in invoke("attack", code=2).stderr
    (tmp_path / "p.csv").write_text("precious")
    result = invoke("attack", "-o", tmp_path / "p.csv", code=1)
    assert "--force" in result.stderr
    assert (tmp_path / "p.csv").read_text() == "precious"


def test_poison_goes_to_standard_output(tmp_path):
    path = write_csv(tmp_path / "rows.csv", *blobs())
    result = invoke("attack", path, "--target", "kind", "-e", 0.1, "-o", "-")
    assert result.stdout.startswith("a,b,kind,c\n")
    assert "All pass the filter" in result.stderr
