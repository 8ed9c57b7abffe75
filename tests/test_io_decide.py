"""Columns as they come: gaps, numbers in disguise, dates, identifiers, many words."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.compose import make_column_transformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skpoison._io import DataError, load
from skpoison._io.encode import Encoding
from skpoison._io.matrix import Poison
from skpoison._io.output import Output
from skpoison._io.read import Options

N_ROWS = 60
FORMATS = ("csv", "tsv", "jsonl", "parquet")


def written(path, frame):
    """Write a DataFrame in the format that the name says."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    elif path.suffix == ".jsonl":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def table(tmp_path, columns, suffix="csv", **options):
    """Write columns beside a column of numbers and the labels, and read them."""
    n_rows = len(next(iter(columns.values())))
    rest = {"other": np.arange(n_rows) % 7 + 0.5, "y": np.arange(n_rows) % 2}
    frame = pd.DataFrame(dict(columns) | rest)
    return load(written(tmp_path / f"rows.{suffix}", frame), Options(**options))


def encoded(data, rows=None, **encoding):
    encoder = data.encoder(
        np.arange(len(data)) if rows is None else rows, Encoding(**encoding)
    )
    return encoder, dense(encoder.transform(data, np.arange(len(data))))


def dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


def column_of(data, name="a", **encoding):
    columns = data.plan(Encoding(**encoding)).columns
    return next(column for column in columns if column.name == name)


def same_as_numbers(tmp_path, cells, values, **options):
    """Check that cells read as numbers do, and are written as they were."""
    plain = table(tmp_path, {"a": values})
    wanted = encoded(plain)[1]
    data = table(tmp_path, {"a": cells}, **options)
    encoder, found = encoded(data)
    np.testing.assert_array_equal(found, wanted)
    assert column_of(data).read_as == "numbers"
    again = encoder.columns(encoder.unscale(found))["a"]
    return list(again)


# Missing values


def frame_with_gaps():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=N_ROWS),
            "b": rng.integers(0, 5, N_ROWS).astype(float),
            "full": rng.normal(size=N_ROWS),
            "word": rng.choice(["red", "green", "blue"], N_ROWS).astype(object),
        }
    )
    for name in ("a", "b", "word"):
        frame.loc[rng.choice(N_ROWS, 9, replace=False), name] = None
    frame["y"] = np.arange(N_ROWS) % 2
    return frame


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("missing", ["indicator", "impute"])
def test_gaps_are_filled_as_by_scikit_learn(tmp_path, missing, scale, suffix):
    frame = frame_with_gaps()
    data = load(written(tmp_path / f"rows.{suffix}", frame))
    rows = np.arange(5, N_ROWS)  # The others are encoded, and not learned from.
    encoder, found = encoded(data, rows, scale=scale, missing=missing)
    numbers, words = ["a", "b", "full"], ["word"]
    steps = [SimpleImputer(strategy="median")]
    steps += [StandardScaler()] if scale == "standard" else []
    parts = [(make_pipeline(*steps), numbers)]
    if missing == "indicator":
        parts.append((MissingIndicator(), ["a", "b"]))
        fill = SimpleImputer(strategy="constant", fill_value="", missing_values=None)
    else:
        fill = SimpleImputer(strategy="most_frequent", missing_values=None)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts.append((make_pipeline(fill, one_hot), words))
    known = frame.astype({"word": object}).where(frame.notna(), None)
    known[numbers] = frame[numbers].astype(float)
    wanted = make_column_transformer(*parts).fit(known.iloc[rows]).transform(known)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert encoder.indicators == ({"a": 3, "b": 4} if missing == "indicator" else {})


def test_gaps_are_filled_with_what_no_other_row_can_change(tmp_path):
    data = load(written(tmp_path / "rows.csv", frame_with_gaps()))
    for missing in ("indicator", "impute"):
        encoder, X = encoded(data, fills_with_zero=True, missing=missing)
        gaps = data.plan(Encoding(missing=missing)).missing_in(data)
        for j, name in enumerate("ab"):
            assert np.all(X[gaps[name], j] == 0)
        assert np.all(X[gaps["word"], encoder.names.index("word=missing")] == 1)


def test_gaps_that_only_other_rows_have_are_filled_too(tmp_path):
    values = np.arange(N_ROWS) * 1.5
    data = table(tmp_path, {"a": values})
    values[7] = np.nan
    (tmp_path / "other").mkdir()
    other = table(tmp_path / "other", {"a": values})
    encoder = data.encoder(np.arange(N_ROWS), Encoding())
    found = encoder.transform(other, np.arange(N_ROWS))
    assert found.shape == (N_ROWS, 2)
    assert found[7, 0] == np.median(np.arange(N_ROWS) * 1.5)


def test_rows_with_gaps_are_left_out_and_keep_their_numbers(tmp_path):
    frame = frame_with_gaps()
    data = load(written(tmp_path / "rows.csv", frame))
    plan = data.plan(Encoding())
    masks = plan.missing_in(data)
    assert set(masks) == {"a", "b", "word"}
    whole = data.only(~np.any(list(masks.values()), axis=0), relabel=True)
    known = frame.dropna()
    np.testing.assert_array_equal(whole.row_numbers, known.index.to_numpy() + 1)
    assert whole.labels.texts.tolist() == known["y"].astype(str).tolist()
    taken = whole.taken(np.array([0, 5]), {})
    assert taken["word"].to_pylist() == known["word"].iloc[[0, 5]].tolist()
    assert not whole.plan(Encoding()).missing_in(whole)


# Numbers in disguise


@pytest.mark.parametrize(
    ("write", "text"),
    [
        ("${:,.2f}", "$1,234.50"),
        ("{:,.2f} €", "1,234.50 €"),
        ("{:.2f}%", "1234.50%"),
        ("{:.2f} %", "1234.50 %"),
        ("USD {:,.2f}", "USD 1,234.50"),
        ("  {:,.2f}", "  1,234.50"),
    ],
)
def test_numbers_in_disguise_read_as_numbers(tmp_path, write, text):
    values = np.r_[1234.5, -(np.arange(1, 60) ** 2) / 4, 2_000_000.25]
    cells = [write.format(value) for value in values]
    assert cells[0] == text
    again = same_as_numbers(tmp_path, cells, values)
    first = text.replace(".50", ".5").strip()
    last = first.replace("1,234.5", "2,000,000.25").replace("1234.5", "2000000.25")
    assert [again[0], again[-1]] == [first, last]


def test_negative_numbers_may_stand_in_parentheses(tmp_path):
    values = np.r_[1234.5, -(np.arange(1, 60) ** 2) / 4]
    cells = [f"(${-v:,.2f})" if v < 0 else f"${v:,.2f}" for v in values]
    again = same_as_numbers(tmp_path, cells, values)
    assert again[:2] == ["$1,234.5", "($0.25)"]


def test_decimal_commas_with_units(tmp_path):
    values = np.r_[1234.5, -(np.arange(1, 60) ** 2) / 4]
    text = "\n".join(
        f"€ {v:,.2f};{i % 7},5;{i % 2}".translate(str.maketrans(",.", ".,"))
        for i, v in enumerate(values)
    )
    # The second cell was translated with the first one.
    path = tmp_path / "rows.csv"
    path.write_text("a;other;y\n" + text.replace(".5;", ",5;") + "\n")
    data = load(path, Options(decimal_comma=True))
    encoder, X = encoded(data)
    np.testing.assert_array_equal(X[:, 0], values)
    assert encoder.columns(X)["a"][:2] == ["€ 1.234,5", "-€ 0,25"]
    with pytest.raises(DataError, match="say --decimal-comma"):
        load(path).plan(Encoding())


@pytest.mark.parametrize(
    "cells",
    [
        ["$5", "€5", "£5", "¥5"],  # different units are different things
        ["1,23,4", "2,34,5", "3,45,6"],
        ["A1", "B2", "C3"],
        ["10.1.2.3", "10.1.2.4"],
        ["12:30", "13:45"],
        ["555-1234", "555-4321"],
    ],
)
def test_other_words_are_no_numbers(tmp_path, cells):
    data = table(tmp_path, {"a": [cells[i % len(cells)] for i in range(N_ROWS)]})
    assert column_of(data).read_as != "numbers"


def test_slips_among_numbers_are_missing_and_said(tmp_path):
    cells = [f"${i},000" for i in range(1, N_ROWS)] + ["call us"]
    data = table(tmp_path, {"a": cells})
    column = column_of(data)
    assert (column.missing, column.wrong) == (1, 1)
    assert column.note.endswith("1 cell is taken as missing: 'call us'")
    X = encoded(data)[1]
    assert X[-1].tolist() == [1000.0 * np.median(np.arange(1, N_ROWS)), 3.5, 1]


# Dates


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "format", [None, "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%b %d, %Y"]
)
def test_dates_become_days_and_weekdays(tmp_path, format, suffix):
    times = pd.Series(pd.date_range("2019-12-20", periods=N_ROWS, freq="D"))
    cells = times if format is None else times.dt.strftime(format)
    data = table(tmp_path, {"a": cells}, suffix)
    encoder, X = encoded(data)
    assert encoder.names == ["a:days", "a:weekday", "other"]
    days = (times - pd.Timestamp("1970-01-01")).dt.days
    np.testing.assert_array_equal(X[:, 0], days)
    np.testing.assert_array_equal(X[:, 1], times.dt.day_of_week)


@pytest.mark.parametrize("suffix", FORMATS)
def test_times_become_hours_where_they_vary(tmp_path, suffix):
    times = pd.Series(pd.date_range("2020-01-01T06:00", periods=N_ROWS, freq="5h"))
    texts = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype(object)
    texts[3] = None
    encoder, X = encoded(table(tmp_path, {"a": texts}, suffix))
    assert encoder.names[:3] == ["a:days", "a:weekday", "a:hour"]
    assert encoder.names[-1] == "a=missing"  # once, not for each of the three
    known = np.delete(np.arange(N_ROWS), 3)
    np.testing.assert_allclose(X[known, 2], times.dt.hour[known])
    assert X[3, -1] == 1 and X[:, -1].sum() == 1
    left = table(tmp_path, {"a": texts}, suffix)
    assert column_of(left, dates="drop").read_as == "left out"


# Identifiers, and what looks like them


def test_identifiers_are_told_from_quantities(tmp_path):
    rng = np.random.default_rng(0)
    n_rows = 500
    columns = {
        "rownames": rng.permutation(n_rows),
        "customer": rng.choice(10**7, n_rows, replace=False),
        "order_id": np.r_[rng.choice(10**4, n_rows - 5, replace=False), [1] * 5],
        "uuid": [f"{v:016x}" for v in rng.choice(10**9, n_rows, replace=False)],
        "income": np.unique(rng.lognormal(14, 1, 2 * n_rows).astype(int))[:n_rows],
        "height": rng.normal(170, 10, n_rows),
        "measured": rng.random(n_rows) * 1e6,
        "cents": rng.choice(10**6, n_rows, replace=False) / 100,
        "age": rng.integers(18, 90, n_rows),
        "humidity": rng.integers(0, 101, n_rows),
    }
    data = table(tmp_path, columns)
    read_as = {one.name: one.read_as for one in data.plan(Encoding()).columns}
    names = ["rownames", "customer", "order_id", "uuid"]
    assert {n for n, kind in read_as.items() if kind == "left out"} == set(names)
    # Where a person says so, they are features; and others are none.
    said = Encoding(features=("customer",), identifiers=("age",))
    read_as = {one.name: one.read_as for one in data.plan(said).columns}
    assert read_as["customer"] == "numbers" and read_as["age"] == "left out"


def test_words_that_hardly_repeat_are_no_categories(tmp_path):
    # Of 400 customers some come back; of 130 cities, 20 are frequent.
    customers = [f"c{(i * 7919) % 100003:06}" for i in range(400)]
    customers[:40] = customers[40:80]
    cities = [f"town{i % 20}" if i < 240 else f"village{i % 110}" for i in range(400)]
    columns = {"customer": customers, "city": cities}
    data = table(tmp_path, columns)
    customer = column_of(data, "customer")
    assert customer.read_as == "left out"
    assert "none of which occurs 5 times" in customer.note
    city = column_of(data, "city")
    assert city.frequent == {f"town{i}" for i in range(20)}
    assert "the 20 that occur 5 times or more, and one for all others" in city.note
    kept = column_of(data, "customer", features=("customer",))
    assert len(kept.frequent) == 100


def test_identifiers_may_repeat_in_some_rows(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.choice(10**7, 300, replace=False)
    columns = {
        "customer": np.r_[numbers, numbers[:3]],
        "place": np.r_[np.arange(300), [0, 1, 2]],
        "code": [f"K{i}" for i in np.r_[numbers, numbers[:3]]],
        "often": np.r_[numbers, numbers[:3]] // 4000,
        "words": [f"K{i // 4000}" for i in np.r_[numbers, numbers[:3]]],
        "income": np.r_[rng.lognormal(14, 1, 300).astype(int), [5] * 3],
    }
    plan = table(tmp_path, columns).plan(Encoding())
    notes = {one.name: one.note for one in plan.columns if one.read_as == "left out"}
    assert set(notes) == {"customer", "place", "code", "words"}
    assert "none of which occurs 5 times" in notes["words"]
    assert notes["customer"] == "holds hardly a whole number twice: an identifier"
    assert notes["code"] == "holds hardly a word twice: an identifier"


def test_addresses_are_left_out(tmp_path):
    cells = [f"10.{i % 7}.{i // 3}.{i}" for i in range(N_ROWS)]
    column = column_of(table(tmp_path, {"a": cells}))
    assert column.note == "holds 60 IP addresses"
    few = table(tmp_path, {"a": [cells[i % 9] for i in range(N_ROWS)]})
    assert column_of(few).read_as == "categories"


def test_columns_without_information_are_left_out_or_pointed_out(tmp_path):
    n_rows = 1000
    columns = {
        "same": [7] * n_rows,
        "word": ["x"] * n_rows,
        "nothing": [None] * n_rows,
        "rare": [1] * 3 + [0] * (n_rows - 3),
        "rare word": ["a"] * 3 + ["b"] * (n_rows - 3),
    }
    data = table(tmp_path, columns)
    plan = data.plan(Encoding())
    assert [one.note for one in plan.columns[:3]] == [
        "is 7 in every row",
        "is 'x' in every row",
        "holds nothing",
    ]
    assert plan.notes == (
        "'rare' and 'rare word' hold one value in at least 99.5 % of the rows.",
    )
    kept = data.plan(Encoding(drop_constant=False))
    assert [one.read_as for one in kept.columns[:3]] == [
        "numbers",
        "categories",
        "left out",
    ]


def test_all_columns_that_cannot_be_read_are_named_at_once(tmp_path):
    columns = {
        "list": [[1], [2]] * 5,
        "bytes": [b"a", b"b"] * 5,
        "fine": [1, 2] * 5,
        "my map": [{"x": 1}, {"x": 2}] * 5,
    }
    data = table(tmp_path, columns, "parquet")
    with pytest.raises(DataError) as caught:
        data.plan(Encoding())
    message = str(caught.value)
    assert message.startswith("3 columns cannot be read. Column 'list' holds")
    wanted = "--drop list --drop bytes --drop 'my map' leaves all of them out."
    assert message.endswith(wanted)
    assert "'fine'" not in message and "\n" not in message


# Rows out, and in again


def mixed():
    rng = np.random.default_rng(1)
    n_rows = 150
    return {
        "id": np.arange(1, n_rows + 1),
        "a": rng.normal(size=n_rows),
        "gap": np.where(rng.random(n_rows) < 0.2, np.nan, rng.integers(0, 9, n_rows)),
        "price": [f"${v:,}" for v in rng.integers(10**3, 10**6, n_rows)],
        "when": pd.date_range("2020-01-01", periods=n_rows, freq="13h").astype(str),
        "word": rng.choice(["red", "green", None], n_rows),
        "code": [f"k{i % 120}" for i in range(n_rows)],
        "same": ["x"] * n_rows,
        "flag": rng.random(n_rows) < 0.5,
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_encoded_rows_can_be_written_and_read_again(tmp_path, suffix):
    data = table(tmp_path, mixed(), suffix)
    encoder, X = encoded(data, scale="standard")
    assert encoder.plan.columns[0].read_as == "left out"
    labels = [data.labels.values[code] for code in data.labels.codes]
    given = encoder.unscale(X)
    rows = Poison(given, labels, encoder.columns(given))
    path = tmp_path / f"poison.{suffix}"
    Output(str(path), data).write(data.poison(rows), None)
    again = load(path)
    assert again.table.column_names == data.table.column_names
    found = encoder.transform(again, np.arange(len(again)))
    # Of the rare words, all are written as one of them.
    np.testing.assert_allclose(dense(found), X, rtol=1e-9, atol=1e-9)
    assert again.labels.texts.tolist() == data.labels.texts.tolist()
    found = dense(encoder.written(data, given))
    np.testing.assert_allclose(found, X, rtol=1e-9, atol=1e-9)
    # Together with the clean rows, columns are read as in these.
    both = pa.concat_tables([data.table, again.table], promote_options="permissive")
    kinds = [one.read_as for one in data.of_table(both).plan(Encoding()).columns]
    assert kinds == [one.read_as for one in data.plan(Encoding()).columns]


def test_rows_between_rows_become_rows(tmp_path):
    data = table(tmp_path, mixed())
    encoder, X = encoded(data)
    between = (encoder.unscale(X)[:-1] + encoder.unscale(X)[1:]) / 2
    written_rows = dense(encoder.written(data, between))
    again = dense(encoder.written(data, encoder.unscale(written_rows)))
    np.testing.assert_allclose(again, written_rows, atol=1e-9)
    names = encoder.names
    for group in encoder.groups:
        assert set(written_rows[:, group].sum(axis=1)) == {1.0}
    for name in ("price", "flag", "when:days", "when:weekday"):
        values = written_rows[:, names.index(name)]
        np.testing.assert_array_equal(values, np.rint(values))


# What may be meant otherwise


def doubts(tmp_path, cells, **encoding):
    column = column_of(table(tmp_path, {"a": cells}), **encoding)
    assert column.describe()["doubt"] == (column.doubt or None)
    return column


def test_amounts_of_several_currencies_are_read_with_a_doubt(tmp_path):
    cells = [f"{'$€$'[i % 3]}{i + 1:,}.50" for i in range(N_ROWS)]
    data = table(tmp_path, {"a": cells})
    column = column_of(data)
    assert column.read_as == "numbers" and column.missing == 0
    assert "several currencies ($ 66.7 %, € 33.3 %)" in column.doubt
    assert column.option == "--categorical a"
    np.testing.assert_array_equal(column.read(data)["a"], np.arange(N_ROWS) + 1.5)
    one = doubts(tmp_path, [f"${i + 1}.50" for i in range(N_ROWS)])
    assert one.read_as == "numbers" and not one.doubt


def test_dollars_of_several_countries_are_told_apart(tmp_path):
    cells = [f"{'US$' if i % 2 else '$'}{i}.5" for i in range(N_ROWS)]
    assert "$ 50.0 %" in doubts(tmp_path, cells).doubt.replace("US$ 50.0 %", "", 1)


def test_shares_beside_percents_become_percents(tmp_path):
    cells = [f"{i} %" if i % 2 else f".{i:02d}" for i in range(1, N_ROWS + 1)]
    data = table(tmp_path, {"a": cells})
    column = column_of(data)
    np.testing.assert_allclose(column.read(data)["a"], np.arange(1, N_ROWS + 1))
    text = "30 cells have no % sign, where others have: .02 is read as 2 %"
    assert column.doubt == text
    cells = [f"{i} %" if i % 2 else f"{i}" for i in range(N_ROWS)]
    data = table(tmp_path, {"a": cells})
    np.testing.assert_array_equal(column_of(data).read(data)["a"], np.arange(N_ROWS))
    assert "0 is read as 0 %" in column_of(data).doubt
    assert not doubts(tmp_path, [f"{i} %" for i in range(N_ROWS)]).doubt


@pytest.mark.parametrize("cells", [["01234", "90210"], ["01234", "90210", "n/a"]])
def test_digits_that_begin_with_zeros_look_like_codes(tmp_path, cells):
    column = doubts(tmp_path, [cells[i % len(cells)] for i in range(N_ROWS)])
    assert column.read_as == "numbers"
    assert "cells such as 01234 begin with zeros" in column.doubt
    assert column.option == "--categorical a"
    hours = [f"{i % 24:02d}" for i in range(N_ROWS)]
    assert not doubts(tmp_path, hours).doubt


def test_postal_codes_of_one_width_look_like_codes(tmp_path):
    codes = np.arange(N_ROWS) % 9 * 7919 + 10115
    data = table(tmp_path, {"home_zip": codes})
    assert "as many digits" in column_of(data, "home_zip").doubt
    assert not doubts(tmp_path, codes).doubt


@pytest.mark.parametrize("suffix", FORMATS)
def test_nines_far_from_all_other_numbers_are_missing(tmp_path, suffix):
    values = np.arange(N_ROWS) % 40 + 20
    values[[3, 30, 44]] = -999
    data = table(tmp_path, {"a": values}, suffix)
    column = column_of(data)
    assert column.missing == 3 and column.option == "--na none"
    assert "-999 in 3 cells" in column.doubt
    found = column.read(data)["a"]
    np.testing.assert_array_equal(np.isnan(found), values == -999)
    kept = column_of(data, codes=())
    assert not kept.doubt and kept.missing == 0
    np.testing.assert_array_equal(kept.read(data)["a"], values)
    asked = column_of(data, codes=(20.0,))
    np.testing.assert_array_equal(np.isnan(asked.read(data)["a"]), values == 20)
    assert asked.note and not asked.doubt


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N_ROWS) * 20 - 999,  # one of many
        np.where(np.arange(N_ROWS) % 9, np.arange(N_ROWS) * 10, 999),  # a price
        np.where(np.arange(N_ROWS) % 9, np.arange(N_ROWS) - 50, -99),  # a temperature
    ],
)
def test_nines_among_other_numbers_are_numbers(tmp_path, values):
    column = doubts(tmp_path, values)
    assert column.missing == 0 and not column.doubt


def test_nines_far_below_numbers_of_both_signs_are_missing(tmp_path):
    values = np.where(np.arange(N_ROWS) % 9, np.arange(N_ROWS) - 30.0, -9999)
    column = doubts(tmp_path, values)
    assert column.missing == 7 and "-9999 in 7 cells" in column.doubt


@pytest.mark.parametrize("code", [-999, 9999])
def test_nines_that_are_frequent_are_doubtful(tmp_path, code):
    rest = np.linspace(-900, 9000, 500).round(1)
    data = table(tmp_path, {"a": np.r_[rest, [code] * 30]})
    column = column_of(data)
    assert column.missing == 0 and f"{code} in 30 cells, more than 10" in column.doubt
    assert column.option == f"--na {code}"
    assert column_of(data, codes=(float(code),)).missing == 30
    few = doubts(tmp_path, np.r_[rest, [code] * 8])
    assert not few.doubt and few.missing == 0


def test_dates_that_could_be_read_both_ways_are_doubtful(tmp_path):
    cells = [f"0{i % 9 + 1}/0{i % 7 + 1}/2024" for i in range(N_ROWS)]
    data = table(tmp_path, {"a": cells})
    column = column_of(data)
    assert column.option == "--date-order day-first"
    assert "08/01/2024 is read as 2024-08-01" in column.doubt
    first = column_of(data, date_order="day-first")
    assert not first.doubt and first.style.format == "%d/%m/%Y"
    months = column_of(data, date_order="month-first")
    assert not months.doubt and months.style == column.style


def test_dates_that_can_be_read_in_one_way_are_not_doubtful(tmp_path):
    cells = [f"{i % 28 + 1}/0{i % 7 + 1}/2024" for i in range(N_ROWS)]
    for order in ("auto", "month-first"):
        column = doubts(tmp_path, cells, date_order=order)
        assert not column.doubt and column.style.format == "%d/%m/%Y"
    same = [f"0{i % 9 + 1}/0{i % 9 + 1}/2024" for i in range(N_ROWS)]
    assert not doubts(tmp_path, same).doubt
