"""Write the tables of docs/benchmark_detection.md from a run of bench_detection.py.

    python benchmarks/bench_detection.py --half report --save run.csv
    python benchmarks/bench_detection.py --rounded --detectors AutoFilter --save r.csv
    python benchmarks/detection_page.py run.csv [more.csv ...]

Of several files, which may be pieces of a run, later figures replace earlier ones.
"""

import sys
from pathlib import Path

import pandas as pd

PAGE = Path(__file__).parents[1] / "docs" / "benchmark_detection.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
NOTHING = "nothing"


def main(paths):
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = "\n".join(tables(read(paths)))
    PAGE.write_text(before + BEGIN + figures + "\n" + END + after, encoding="utf-8")


def read(paths):
    """The figures of all runs, in the order in which things first come."""
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    keys = ["measure", "data", "plant", "seed", "detector"]
    table = table.drop_duplicates(keys, keep="last")
    for name in ("detector", "plant", "data"):
        table[name] = pd.Categorical(table[name], table[name].unique())
    return table


def tables(table):
    """Yield headings and tables, as lines of Markdown."""
    found, rounded, errors, times = (
        table[table.measure == name] for name in ("found", "rounded", "error", "time")
    )
    yield from tables_of_found(found)
    for name, figures in rounded.groupby("detector", observed=True):
        heading = f"F1 of {name}, planted rows rounded as the other rows are:"
        yield from markdown(heading, mean(figures, "plant", index="data"), short)
        same = found[(found.detector == name) & found.data.isin(figures.data)]
        same = same[same.plant.isin(figures.plant)]
        heading = f"F1 of {name}, the same rows as they were computed:"
        yield from markdown(heading, mean(same, "plant", index="data"), short)
    if len(errors):
        yield from tables_of_errors(errors)
    if len(times):
        heading = "Seconds of `AutoFilter(estimator).fit` per second of "
        heading += "`cross_val_predict` of the same estimator:"
        yield from markdown(heading, mean(times, "data"))


def tables_of_found(table):
    planted, clean = (
        table[(table.plant == NOTHING) == which] for which in (False, True)
    )
    of_plant = mean(planted, "plant")
    of_plant["mean"] = of_plant.mean(axis=1)
    yield from markdown("F1 by plant, mean over the data sets:", of_plant, short)
    of_data = mean(planted, "data")
    yield from markdown("F1 by data set, mean over the plants:", of_data, short)
    shares = 100 * mean(clean, "data")
    shares["median"] = shares.median(axis=1)
    yield from markdown("Percent of rows flagged where nothing is planted:", shares)
    seconds = mean(table, "data", "seconds")
    yield from markdown("Processor seconds, mean:", seconds)


def tables_of_errors(table):
    planted, clean = (
        table[(table.plant == NOTHING) == which] for which in (False, True)
    )
    of_plant = 100 * mean(planted, "plant")
    of_plant["mean"] = of_plant.mean(axis=1)
    yield from markdown("Test error in percent by plant:", of_plant)
    of_data = 100 * mean(clean, "data")
    of_data["mean"] = of_data.mean(axis=1)
    yield from markdown("Test error in percent where nothing is planted:", of_data)


def mean(table, column, values="score", index="detector"):
    # Draws of a data set first, of which there are more where it is small.
    keys = ["detector", "data", "plant"]
    draws = table.groupby(keys, observed=True, as_index=False)[values].mean()
    wide = draws.pivot_table(index=index, columns=column, values=values, observed=True)
    return wide.set_axis(wide.columns.astype(str), axis=1)


def short(value):
    return f"{value:.2f}".removeprefix("0")


def markdown(heading, table, text="{:.1f}".format):
    yield f"\n{heading}\n"
    yield f"| | {' | '.join(table.columns)} |"
    yield "|---" * (len(table.columns) + 1) + "|"
    for name, row in table.iterrows():
        yield f"| {name} | {' | '.join(map(text, row))} |"


if __name__ == "__main__":
    main(sys.argv[1:])
