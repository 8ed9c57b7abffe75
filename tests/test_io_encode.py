"""Encoders: what they learn can be saved, and is what scikit-learn would learn."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skpoison._io import load
from skpoison._io.decide_numbers import range_of
from skpoison._io.encode import Encoding


def table(path, content):
    path.write_text(content)
    return load(path)


def test_the_encoder_can_be_saved_and_used_on_other_files(tmp_path):
    lines = "".join(f"{i % 7},k{i % 3},new word{i % 5},{i % 2}\n" for i in range(40))
    data = table(tmp_path / "rows.csv", "a,c,t,y\n" + lines)
    encoding = Encoding("standard", text=("t",))
    encoder = data.encoder(np.arange(30), encoding)
    stored = pickle.dumps(encoder)
    assert len(stored) < 10_000
    again = pickle.loads(stored)
    other = table(tmp_path / "other.csv", "y,t,c,a\n1,word3 word1,k2,5\n0,new,k9,-1\n")
    wanted = encoder.transform(other, np.arange(2)).toarray()
    found = again.transform(other, np.arange(2)).toarray()
    np.testing.assert_array_equal(found, wanted)
    assert again.names == encoder.names and again.groups == encoder.groups == [
        [1, 2, 3]
    ]
    # Without skpoison, its transformer is one of scikit-learn's.
    frame = pd.read_csv(tmp_path / "other.csv")
    transformer = pickle.loads(pickle.dumps(encoder.transformer))
    np.testing.assert_array_equal(transformer.transform(frame).toarray(), wanted)
    assert wanted[1, 1:4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("scale", ["standard", "maxabs"])
def test_scales_are_those_of_scikit_learn_whatever_the_blocks(
    tmp_path, scale, monkeypatch
):
    monkeypatch.setattr("skpoison._io.encode.BLOCK_ROWS", 7)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2)) * [1, 1e4] + [5, 0]
    columns = dict(zip("ab", X.T, strict=True)) | {"y": np.arange(40) % 2}
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    np.savez(tmp_path / "rows.npz", X=X, y=np.arange(40) % 2)
    scaler = {"standard": StandardScaler, "maxabs": MaxAbsScaler}[scale]()
    rows = np.arange(3, 36)
    for name in ("rows.parquet", "rows.npz"):
        data = load(tmp_path / name)
        encoder = data.encoder(rows, Encoding(scale))
        found = encoder.transform(data, np.arange(40))
        wanted = scaler.fit(X[rows]).transform(X)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
        np.testing.assert_allclose(encoder.rescale(X), found, rtol=0, atol=1e-14)
        np.testing.assert_allclose(encoder.unscale(found), X, rtol=1e-13)
        assert encoder.unscale(found[:0]).shape == (0, 2)
        plain = data.encoder(rows, Encoding()).transform(data, np.arange(40))
        np.testing.assert_array_equal(plain, X)  # Nothing has changed the data.


def test_half_floats_become_single_ones(tmp_path):
    columns = {"a": np.array([0.5, 2], np.float16), "y": [0, 1]}
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    read = data.encoder(np.arange(2), Encoding()).transform(data, np.arange(2))
    assert read.dtype == np.float32 and read.ravel().tolist() == [0.5, 2]


@pytest.mark.parametrize("weights", ["counts", "tfidf"])
def test_texts_are_written_from_the_weights_of_their_words(tmp_path, weights):
    rng = np.random.default_rng(0)
    words = np.array("offer money free click meeting paper hello today".split())
    # Each has one word that comes up once, so that proportions say how often others do.
    texts = [" ".join([*rng.choice(words, 9), f"word{i}"]) for i in range(40)]
    lines = "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts))
    data = table(tmp_path / "rows.csv", "t,y\n" + lines)
    encoder = data.encoder(np.arange(40), Encoding(text=("t",), weights=weights))
    X = encoder.unscale(encoder.transform(data, np.arange(40)))
    again = encoder.columns(X)["t"]
    assert [sorted(text.split()) for text in again] == [
        sorted(t.split()) for t in texts
    ]
    np.testing.assert_allclose(encoder.written(data, X).toarray(), X, atol=1e-12)
    assert encoder.columns(np.zeros_like(X[:1]))["t"] == [""]
    assert len(encoder.columns(rng.random(X.shape))["t"][0].split()) < 1000


@pytest.mark.parametrize("dtypes", [("float", "float"), ("double", "float")])
def test_plain_numbers_are_those_of_the_transformer(tmp_path, dtypes):
    rng = np.random.default_rng(0)
    columns = {
        name: pa.array(rng.normal(size=9000), pa.type_for_alias(kind))
        for name, kind in zip(("a", "b"), dtypes, strict=True)
    }
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({**columns, "label": rng.integers(0, 2, 9000)}), path)
    data = load(str(path))
    rows = np.sort(rng.permutation(9000)[:7000])
    encoder = data.encoder(rows, Encoding(scale="none"))
    frame = pd.DataFrame({name: values.to_numpy() for name, values in columns.items()})
    expected = encoder.transformer.transform(frame.iloc[rows])
    found = encoder.transform(data, rows)
    assert found.dtype == np.asarray(expected).dtype
    assert np.array_equal(found, expected)


def test_codes_that_only_other_rows_have_are_filled_as_well(tmp_path):
    cells = [i % 7 for i in range(35)] + [-999] * 5
    lines = "".join(f"{cell},{i % 3}.5,{i % 2}\n" for i, cell in enumerate(cells))
    data = table(tmp_path / "rows.csv", "a,b,y\n" + lines)
    encoder = data.encoder(np.arange(28), Encoding("none", codes=(-999.0,)))
    X = encoder.transform(data, np.arange(28, 40))
    np.testing.assert_array_equal(X[:, 0], [0, 1, 2, 3, 4, 5, 6, 3, 3, 3, 3, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_range_of_numbers_is_that_of_the_finite_ones(dtype):
    ranges = {
        (2.0, -1.0, 5.0): (-1.0, 5.0),
        (2.0, np.nan, 5.0): (2.0, 5.0),
        (2.0, np.inf, 5.0): (2.0, 5.0),
        (3.0, 3.0): (3.0, 3.0),
        (np.nan, np.nan): (None, None),
        (): (None, None),
    }
    for values, ends in ranges.items():
        column = pa.chunked_array([pa.array(np.array(values, dtype))])
        assert range_of(column) == ends
    largest = np.finfo(dtype).max
    column = pa.chunked_array([pa.array(np.array([-largest, largest], dtype))])
    assert range_of(column) == (-largest, largest)
