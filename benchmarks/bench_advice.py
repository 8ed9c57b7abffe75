"""Whether an audit gives the right advice: the verdict, and the recommended defense.

    SKPOISON_DATA=folder python benchmarks/bench_advice.py [--rows N] [--only NAME ...]

Tables are those of the data folder (clean, and with planted rows that are known), and
some of scikit-learn, clean and with plants of our own. The former were looked at when
the limits of the verdict were chosen, the latter were not.

A line for each table: whether rows were planted, the verdict and its estimated share of
bad rows, the recommended defense, its worst metric on held-out rows that are truly
clean, the lowest one of all acceptable defenses there, what it costs there without an
attack, contradictions between the parts of the report, and seconds of processor time.
"""

import argparse
import os
import re
import time
import warnings
from html import unescape
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    make_classification,
)

from skpoison._audit import run as stages
from skpoison._audit.collecting import mean_value
from skpoison._audit.inputs import read_inputs
from skpoison._audit.measure import measure
from skpoison._audit.metrics import Answers
from skpoison._audit.plan import make_plan
from skpoison._audit.progress import Progress
from skpoison._audit.ranking import compare

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data")) / "tables"
TARGETS = {"credit.csv": "Status", "email.tsv": "spam", "wine.csv": "target"}
POINT = 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1500, help="that are attacked")
    parser.add_argument("--only", nargs="*", help="parts of names of tables")
    options = parser.parse_args()
    rows = []
    for name, load in tables().items():
        if options.only and not any(part in name for part in options.only):
            continue
        rows.append({"table": name} | advice(*load(), options.rows))
        print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    found = pd.DataFrame(rows)
    print(f"\n{found.to_string(index=False)}\n")
    print(
        f"verdict right: {found.right.mean():.0%} of {len(found)}; within a point of "
        f"the best: {found.near.mean():.0%}; cost of at most a point on clean tables: "
        f"{found[~found.planted].cheap.mean():.0%}; contradictions: "
        f"{found.contradictions.sum()}"
    )


def tables():
    """Tables by name: functions that return rows, labels and a mask of planted rows."""
    found = {}
    for path in sorted(DATA.glob("*.[ct]sv")):
        if ".planted" not in path.name:
            found[path.name] = lambda path=path: from_file(path)
    for name, load in {
        "cancer": lambda: load_breast_cancer(return_X_y=True),
        "digits": lambda: load_digits(return_X_y=True),
        "iris": lambda: load_iris(return_X_y=True),
        "overlap": lambda: make_classification(
            1200, 8, n_informative=5, flip_y=0.02, class_sep=0.9, random_state=5
        ),
    }.items():
        for plant in (nothing, flips, far, copies):
            label = f"{name} {plant.__name__}"
            found[label] = lambda load=load, plant=plant: plant(
                *load(), np.random.default_rng(7)
            )
    return found


def from_file(path):
    table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    target = TARGETS.get(path.name, "yesno")
    planted = np.zeros(len(table), dtype=bool)
    if (listed := path.with_suffix(".planted.csv")).exists():
        planted[pd.read_csv(listed)["row"].to_numpy()] = True
    known = table[target].notna().to_numpy()
    table, planted = table[known], planted[known]
    y = table[target].astype(str).to_numpy(dtype=object)
    X = table.drop(columns=[c for c in (target, "rownames", "time") if c in table])
    X = pd.get_dummies(X, dummy_na=False).astype(float)
    return X.fillna(X.median()).to_numpy(), y, planted


def nothing(X, y, rng):
    return X, y, np.zeros(len(y), dtype=bool)


def flips(X, y, rng):
    planted = np.zeros(len(y), dtype=bool)
    planted[rng.choice(len(y), len(y) // 10, replace=False)] = True
    classes = np.unique(y)
    moved = (np.searchsorted(classes, y) + rng.integers(1, len(classes), len(y))) % len(
        classes
    )
    return X, np.where(planted, classes[moved], y), planted


def far(X, y, rng):
    n = max(len(y) // 25, 5)
    spans = np.ptp(X, axis=0)
    rows = X.max(axis=0) + spans * rng.uniform(0.2, 2, (n, X.shape[1]))
    return added(X, y, rows, np.full(n, y[0]))


def copies(X, y, rng):
    n = max(len(y) // 25, 5)
    row = rng.integers(len(y))
    other = y[y != y[row]][0]
    return added(X, y, np.repeat(X[[row]], n, axis=0), np.full(n, other))


def added(X, y, rows, labels):
    planted = np.r_[np.zeros(len(y), dtype=bool), np.ones(len(rows), dtype=bool)]
    order = np.random.default_rng(0).permutation(len(planted))
    return np.vstack([X, rows])[order], np.r_[y, labels][order], planted[order]


def advice(X, y, planted, max_rows):
    """Audit a table, and hold the advice against what is known of it."""
    begun = time.process_time()
    inputs = read_inputs(X, y)
    plan = make_plan(
        inputs, estimator=None, filters=None, attacks=None, epsilons=[0.1],
        percentiles=[50, 70, 80, 90, 95, 100], reference=0.1, positive=None, cv=3,
        random_state=0, memory=None, n_jobs=1, max_rows=max_rows, top=20,
        moving_seconds=0,
    )  # fmt: skip
    kept = {}

    def measure_all(inputs, plan, progress):
        """Measure on all held-out rows, and report those that the audit trusts."""
        everything = plan._replace(trusted=np.ones_like(plan.trusted))
        outcome = measure(inputs, everything, progress)
        kept["measured"], kept["plan"] = outcome.found, plan
        return outcome._replace(found=of_rows(outcome.found, plan, plan.trusted))

    stages.measure = measure_all
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = stages.run(inputs, plan, Progress())
    seconds = time.process_time() - begun
    truth = of_rows(kept["measured"], kept["plan"], ~planted)
    known = compare(kept["plan"], truth).found
    return judged(report, known, planted, kept["plan"]) | {"seconds": round(seconds)}


def of_rows(measured, plan, mask):
    """What was measured, on some of the held-out rows."""

    def cut(answers):
        return {
            key: [
                Answers(*(part[mask[test]] for part in one))
                for one, (_, test) in zip(folds, plan.folds, strict=True)
            ]
            for key, folds in answers.items()
        }

    answers = cut(measured.answers)
    evaluations = [
        one
        | {
            "value": mean_value(
                plan.metric, answers[one["defense"], one["attack"], one["made_against"]]
            )
        }
        if one["possible"]
        else one
        for one in measured.evaluations
    ]
    return measured._replace(
        answers=answers, poisoned=cut(measured.poisoned), evaluations=evaluations
    )


def judged(report, known, planted, plan):
    found, verdict = report.recommendation, report.verdict
    by_name, open_ = known.candidates, known.candidates["no defense"]
    acceptable = [
        one
        for name, one in by_name.items()
        if known.choice.statuses[name] in ("recommended", "equal within noise", "worse")
    ]
    best = min((one.worst for one in acceptable), default=np.nan)
    own = by_name.get(found["defense"], open_)
    cost = own.clean - open_.clean
    return {
        "planted": bool(planted.any()),
        "likely": verdict["is_likely_poisoned"],
        "right": verdict["is_likely_poisoned"] == bool(planted.any()),
        "share": f"{100 * planted.mean():.1f}",
        "estimated": f"{100 * verdict['share']:.1f}",
        "metric": found["metric"],
        "defense": found["defense"],
        "worst": round(own.worst, 4),
        "best": round(best, 4),
        "near": bool(own.worst <= best + POINT or found["defense"] is None),
        "clean": round(open_.clean, 4),
        "cost": round(cost, 4),
        "cheap": bool(cost <= POINT + 1e-9),
        "contradictions": contradictions(report),
    }


def contradictions(report):
    """Count parts of a report that name another defense than its JSON does."""
    found = report.recommendation
    html = report._html()
    named = set()
    named.update(
        re.findall(r"<b><bdi>([^<]*)</bdi></b><span>recommended defense", html)
    )
    table = html[html.index('id="ranking"') :].split("</table>")[0]
    named.update(re.findall(r"<tr class=best>\s*<td[^>]*><span><bdi>([^<]*)", table))
    named.update(re.findall(r"Recommended: (.*?)\. ", " ".join(report.summary)))
    named.update(r["defense"] for r in report.ranking if r["status"] == "recommended")
    (chart,) = [one for one in report.figures if one["name"] == "ranking"]
    named.update(one["name"] for one in chart["series"] if one["role"] == "main")
    named = {unescape(name) for name in named} or {None}
    (lines,) = [one for one in report.figures if one["name"] == "percentiles"]
    return len(named - {found["defense"]}) + (
        lines["mark"] != found["certified_percentile"]
    )


if __name__ == "__main__":
    main()
