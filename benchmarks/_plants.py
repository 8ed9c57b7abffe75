"""Data sets for the detection benchmark, and the rows that are planted in them.

Everything here is halved: what the filters were tuned on, and what they are reported
on. No data set and no seed is in both halves.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_wine,
    make_classification,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize

from skpoison.attacks import GradientAttack, MinMaxAttack
from skpoison.feasible import Domain

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))
MOST_ROWS = 3000


@dataclass
class DataSet:
    """Rows and labels, and the numbers in which an attacker computes."""

    name: str
    X: object  # ndarray, CSR or DataFrame: what a filter is given
    y: np.ndarray
    foreign: object = None  # rows of a class that is not in y
    noisy: bool = False  # honest labels contradict the features
    unit: float = 1.0  # of which recorded values are multiples, or have few decimals
    numbers: np.ndarray = field(init=False)  # the rows as comparable numbers

    @property
    def is_sparse(self):
        """Whether the rows are a sparse matrix."""
        return sparse.issparse(self.X)

    @property
    def is_table(self):
        """Whether the rows are a DataFrame."""
        return isinstance(self.X, pd.DataFrame)

    def __post_init__(self):
        if sparse.issparse(self.X):
            self.numbers = self.X
        elif self.is_table:
            self._fit_encoder()
        else:
            self.scaler = StandardScaler().fit(self.X)
            self.numbers = self.scaler.transform(self.X)

    def _fit_encoder(self):
        words = list(self.X.select_dtypes(exclude="number"))
        numeric = [name for name in self.X if name not in words]
        self.columns = make_column_transformer(
            (
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                numeric,
            ),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ).fit(self.X)
        self.numeric, self.words = numeric, words
        self.numbers = self.columns.transform(self.X)

    def rows(self, numbers):
        """Turn numbers into rows as the filter is given them."""
        if sparse.issparse(self.X):
            return sparse.csr_matrix(np.maximum(numbers, 0))
        if not self.is_table:
            varied = self.scaler.var_ > 0  # nobody touches a pixel that is always black
            return self.scaler.inverse_transform(np.where(varied, numbers, 0))
        scale, one_hot = (part for _, part, _ in self.columns.transformers_[:2])
        cut = len(self.numeric)
        table = pd.DataFrame(
            scale[-1].inverse_transform(numbers[:, :cut]), columns=self.numeric
        )
        at = cut
        for name, known in zip(self.words, one_hot.categories_, strict=True):
            block = numbers[:, at : at + len(known)]
            table[name] = known[block.argmax(axis=1)]
            at += len(known)
        return table[list(self.X)]

    def recorded(self, rows):
        """Round rows as the others are: to the decimals of most values of a column."""
        if self.is_sparse:
            return rows
        if not self.is_table:
            columns = zip(rows.T, self.X.T, strict=True)
            return np.column_stack([rounded_as(*pair, self.unit) for pair in columns])
        rounded = {name: rounded_as(rows[name], self.X[name]) for name in self.numeric}
        return rows.assign(**rounded)


def rounded_as(values, known, unit=1.0):
    values, known = np.asarray(values) / unit, np.asarray(known) / unit
    known = known[~np.isnan(known)]
    for decimals in range(7):
        if np.mean(np.isclose(known, np.round(known, decimals), 1e-9, 1e-9)) >= 0.9:
            return np.round(values, decimals) * unit
    return values * unit


def stack(X, rows):
    if sparse.issparse(X):
        return sparse.vstack([X, rows], format="csr")
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, rows], ignore_index=True)
    return np.concatenate([X, rows])


# --- data sets ------------------------------------------------------------------------


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return DataSet("cancer", X, y)


def wine():
    X, y = load_wine(return_X_y=True)
    return DataSet("wine", X, y)


def digits_1_8():
    X, y = load_digits(return_X_y=True)
    pair = np.isin(y, [1, 8])
    return DataSet("digits 1-8", X[pair], y[pair], foreign=X[y == 3])


def digits():
    X, y = load_digits(return_X_y=True)
    return DataSet("digits", X, y)


def mnist_1_7():
    data = np.load(DATA / "mnist.npz")
    X, y = data["X_train"], data["y_train"]
    pair = np.flatnonzero(np.isin(y, [1, 7]))[:MOST_ROWS]
    return DataSet(
        "mnist 1-7",
        X[pair].reshape(len(pair), -1) / 255.0,
        y[pair],
        foreign=X[y == 4][:400].reshape(400, -1) / 255.0,
        unit=1 / 255,
    )


def mnist():
    data = np.load(DATA / "mnist.npz")
    X, y = data["X_train"][-MOST_ROWS:], data["y_train"][-MOST_ROWS:]
    return DataSet("mnist", X.reshape(len(X), -1) / 255.0, y, unit=1 / 255)


def spam_text(part="train"):
    data = np.load(DATA / "spam_assassin_bow.npz")
    keys = (f"{part}_data", f"{part}_indices", f"{part}_indptr")
    X = sparse.csr_matrix(tuple(data[k] for k in keys), shape=data[f"{part}_shape"])
    y, rng = data[f"y_{part}"], np.random.default_rng(0)
    some = rng.permutation(len(y))[:MOST_ROWS]
    X, y = X[some].astype(float), y[some]
    there = X.getnnz(axis=1) > 0
    X = TfidfTransformer(sublinear_tf=True).fit_transform(X[there])
    return DataSet(f"spam text ({part})", X, y[there])


def spam_text_test():
    return spam_text("test")


def spam_table():
    table = pd.read_csv(DATA / "tables/spam7.csv")
    some = np.random.default_rng(0).permutation(len(table))[:MOST_ROWS]
    X = table.drop(columns="yesno").to_numpy(float)
    return DataSet("spam table", X[some], table["yesno"].to_numpy(object)[some])


def credit():
    table = pd.read_csv(DATA / "tables/credit.csv", index_col=0)
    table = table[table["Status"].notna()].sample(MOST_ROWS, random_state=0)
    X = table.drop(columns="Status").reset_index(drop=True)
    words = X.select_dtypes(exclude="number")
    X = X[words.notna().all(axis=1)]  # a missing category is not a category to decode
    y = table["Status"].to_numpy(object)[X.index]
    return DataSet("credit", X.reset_index(drop=True), y, noisy=True)


def email():
    table = pd.read_csv(DATA / "tables/email.tsv", sep="\t", index_col=0)
    table = table.drop(columns=["time"]).sample(MOST_ROWS, random_state=0)
    X = table.drop(columns="spam").reset_index(drop=True)
    return DataSet("email", X, table["spam"].to_numpy())


def overlap_choose():
    return _overlap("overlap A", 2000, 12, 5, 0.02, 0.7, 21)


def overlap_report():
    return _overlap("overlap B", 2500, 20, 8, 0.02, 0.6, 22)


def _overlap(name, n, d, informative, flip_y, class_sep, seed):
    X, y = make_classification(
        n, d, n_informative=informative, n_redundant=2, flip_y=flip_y,
        class_sep=class_sep, n_clusters_per_class=2, random_state=seed,
    )  # fmt: skip
    return DataSet(name, X, y, noisy=True)


def blobs_choose():
    return _blobs("blobs A", 3, 6, 1.6, 31)


def blobs_report():
    return _blobs("blobs B", 4, 10, 1.4, 32)


def _blobs(name, n_classes, d, gap, seed):
    """Classes that overlap where they meet: nobody could label those rows better."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(n_classes, d)) * gap / np.sqrt(2)
    y = rng.integers(n_classes, size=1500)
    X = centers[y] + rng.normal(size=(1500, d)) * rng.gamma(4, 0.25, size=(1500, 1))
    return DataSet(name, X, y, noisy=True)


CHOOSE = {
    "wine": wine,
    "digits": digits,
    "mnist_1_7": mnist_1_7,
    "spam_text_test": spam_text_test,
    "email": email,
    "overlap_choose": overlap_choose,
    "blobs_choose": blobs_choose,
}
REPORT = {
    "cancer": cancer,
    "digits_1_8": digits_1_8,
    "mnist": mnist,
    "spam_text": spam_text,
    "spam_table": spam_table,
    "credit": credit,
    "overlap_report": overlap_report,
    "blobs_report": blobs_report,
}


# --- plants: each returns what is added, or the rows whose labels are changed ---------


def _other_label(labels, y, rng):
    classes = np.unique(y)
    moved = rng.integers(1, len(classes), size=len(labels))
    return classes[(np.searchsorted(classes, labels) + moved) % len(classes)]


def _flip(data, rows, rng, label=None):
    y = data.y.copy()
    y[rows] = _other_label(y[rows], y, rng) if label is None else label
    mask = np.zeros(len(y), dtype=bool)
    mask[rows] = True
    return data.X, y, mask


def _add(data, rows, labels):
    """Send rows (as a filter is given them) with labels."""
    n = rows.shape[0]
    labels = np.broadcast_to(np.asarray(labels, dtype=data.y.dtype), n)
    mask = np.r_[np.zeros(len(data.y), dtype=bool), np.ones(n, dtype=bool)]
    return stack(data.X, rows), np.concatenate([data.y, labels]), mask


def flips(share):
    def plant(data, rng):
        n = max(round(share * len(data.y)), 1)
        return _flip(data, rng.choice(len(data.y), n, replace=False), rng)

    return plant


def one_way(data, rng, share=0.15):
    source, label = rng.choice(np.unique(data.y), 2, replace=False)
    rows = np.flatnonzero(data.y == source)
    n = max(round(share * len(rows)), 1)
    return _flip(data, rng.choice(rows, n, replace=False), rng, label)


def around_target(data, rng, share=0.03):
    target = rng.integers(len(data.y))
    own = np.flatnonzero(data.y == data.y[target])
    n = max(min(round(share * len(data.y)), len(own) // 7), 1)
    search = NearestNeighbors(n_neighbors=n).fit(data.numbers[own])
    near = search.kneighbors(data.numbers[[target]], return_distance=False)[0]
    return _flip(data, own[near], rng, _other_label(data.y[[target]], data.y, rng)[0])


def far(data, rng, share=0.05):
    n = max(round(share * len(data.y)), 2)
    if sparse.issparse(data.X):
        return _add(data, _far_text(data.X, n, rng), rng.choice(np.unique(data.y), n))
    Z = data.numbers
    center = Z.mean(axis=0)
    reach = np.percentile(np.linalg.norm(Z - center, axis=1), 95)
    away = rng.normal(size=(n, Z.shape[1]))
    away *= rng.uniform(2, 5, (n, 1)) * reach / np.linalg.norm(away, axis=1)[:, None]
    return _add(data, data.rows(center + away), rng.choice(np.unique(data.y), n))


def _far_text(X, n, rng):
    """Few words again and again: two to five times as long as any other row."""
    rows = np.zeros((n, X.shape[1]))
    reach = np.sqrt(X.multiply(X).sum(axis=1)).max()
    for row in rows:
        words = rng.choice(X.shape[1], 20, replace=False)
        row[words] = rng.uniform(0.2, 1, 20)
        row *= rng.uniform(2, 5) * reach / np.linalg.norm(row)
    return sparse.csr_matrix(rows)


def _against_two(data, attack, rng, share):
    """Send what an attack on two of the classes sends."""
    classes = np.unique(data.y)
    pair = np.sort(rng.choice(len(classes), 2, replace=False))
    rows = np.flatnonzero(np.isin(data.y, classes[pair]))
    epsilon = min(share * len(data.y) / len(rows), 1)
    labels = np.searchsorted(classes, data.y[rows])
    domain = Domain("nonnegative") if sparse.issparse(data.X) else None
    attack.set_params(
        epsilon=epsilon, domain=domain, random_state=int(rng.integers(2**31))
    )
    Z, y = attack.poison(data.numbers[rows], labels)
    Z = Z.toarray() if sparse.issparse(Z) else Z
    n = max(round(share * len(data.y)), 2)  # attacks may be content with fewer
    return np.resize(Z, (n, Z.shape[1])), np.resize(classes[y], n)


def min_max(data, rng):
    Z, labels = _against_two(data, MinMaxAttack(), rng, 0.05)
    return _add(data, data.rows(Z), labels)


def min_max_spread(data, rng):
    """Rows as far from each other as honest rows are from their nearest neighbor."""
    Z, labels = _against_two(data, MinMaxAttack(), rng, 0.05)
    noise = rng.normal(size=Z.shape)
    if sparse.issparse(data.X):
        noise *= rng.random(Z.shape) < 60 / Z.shape[1]
    noise /= np.linalg.norm(noise, axis=1)[:, None]
    return _add(data, data.rows(Z + noise * usual_distance(data) / np.sqrt(2)), labels)


def usual_distance(data):
    found = NearestNeighbors(n_neighbors=1).fit(data.numbers).kneighbors()[0][:, 0]
    return np.median(found[found > 0])


def near_copies(data, rng, share=0.03):
    row = rng.integers(len(data.y))
    n = max(round(share * len(data.y)), 3)
    Z = data.numbers[[row]]
    Z = np.repeat(Z.toarray() if sparse.issparse(Z) else Z, n, axis=0)
    noise = rng.normal(size=Z.shape) * (Z != 0 if sparse.issparse(data.X) else 1)
    noise /= np.linalg.norm(noise, axis=1)[:, None]
    Z += noise * 0.05 * usual_distance(data)
    return _add(data, data.rows(Z), _other_label(data.y[[row]], data.y, rng)[0])


def gradient(data, rng):
    attack = GradientAttack(max_iter=10 if sparse.issparse(data.X) else 25)
    Z, labels = _against_two(data, attack, rng, 0.05)
    return _add(data, data.rows(Z), labels)


def third_class(data, rng, share=0.05):
    """Rows of a class that there is not; without one, rows of shuffled columns."""
    classes = np.unique(data.y)
    n = max(round(share * len(data.y)), 2)
    if data.foreign is not None:
        rows = data.foreign[rng.choice(len(data.foreign), n)]
        return _add(data, rows, rng.choice(classes))
    if len(classes) > 2:
        foreign, label = rng.choice(classes, 2, replace=False)
        home = data.y != foreign
        away = np.flatnonzero(~home)
        away = rng.choice(away, min(n, len(away)), replace=False)
        rest = DataSet(data.name, data.X[home], data.y[home])
        return _add(rest, data.X[away], label)
    return _add(data, _shuffled(data.X, n, rng), rng.choice(classes))


def _shuffled(X, n, rng):
    if sparse.issparse(X):
        columns = np.asarray((X > 0).mean(axis=0)).ravel()
        picked = sparse.csr_matrix(rng.random((n, X.shape[1])) < columns, dtype=float)
        return normalize(picked)
    picked = [rng.choice(X.shape[0], n) for _ in range(X.shape[1])]
    if isinstance(X, pd.DataFrame):
        parts = [
            X[c].iloc[p].reset_index(drop=True) for c, p in zip(X, picked, strict=True)
        ]
        return pd.concat(parts, axis=1)
    return np.column_stack([X[p, j] for j, p in enumerate(picked)])


def nothing(data, rng):
    return data.X, data.y, np.zeros(len(data.y), dtype=bool)


PLANTS = {
    "flips 2%": flips(0.02),
    "flips 10%": flips(0.10),
    "flips 20%": flips(0.20),
    "one way": one_way,
    "target": around_target,
    "far": far,
    "min-max": min_max,
    "spread": min_max_spread,
    "near copies": near_copies,
    "gradient": gradient,
    "third": third_class,
    "nothing": nothing,
}


def plant_seed(plant, seed):
    """The seed of one plant, which does not depend on the others that are drawn."""
    return [seed, sorted(PLANTS).index(plant)]


def planted(data, plant, seed, *, rounded=False):
    """Return rows, labels and the mask of planted rows, in random order."""
    rng = np.random.default_rng(plant_seed(plant, seed))
    X, y, mask = PLANTS[plant](data, rng)
    n_own = len(data.y)
    if rounded and len(y) > n_own:
        added = X.iloc[n_own:] if data.is_table else X[n_own:]
        X = stack(data.X, data.recorded(added))
    order = rng.permutation(len(y))
    X = X.iloc[order].reset_index(drop=True) if hasattr(X, "iloc") else X[order]
    return X, y[order], mask[order]
