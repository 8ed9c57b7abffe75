"""``skpoison audit``: what poison could do to a model, and which rows look like it."""

from typing import Annotated

from . import options as opt
from .checks import in_range, percents, shares, within
from .grouped import grouped
from .reading import Reading


@grouped
def audit(
    *,
    data: opt.DataFile = None,
    reading: Reading,
    positive: opt.Positive = None,
    seed: opt.Seed = 0,
    epsilon: Annotated[
        list[str],
        opt.option(
            opt.DEFENSE,
            "SHARES",
            "Shares of poison to bound the damage for: 0.01,0.1, say.",
            "--epsilon",
            "-e",
            callback=shares,
        ),
    ] = ["0.01,0.03,0.1,0.3"],  # noqa: B006 (typer never changes it)
    reference: Annotated[
        float,
        opt.option(
            opt.DEFENSE,
            "SHARE",
            "Share of poison to attack with and to compare defenses by.",
            callback=within(0, 1, open_low=True),
        ),
    ] = 0.1,
    percentiles: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "PERCENTS",
            "How much of each class sphere and slab let through: 70,90, say.",
            callback=percents,
        ),
    ] = "50,70,80,90,95,100",
    learner: opt.LearnerOptions,
    folds: Annotated[
        int,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "Parts that rows are split into, to train and to test in turn.",
            callback=in_range(2),
        ),
    ] = 3,
    max_rows: Annotated[
        int,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "About how many rows to run attacks on, drawn from all classes. Bounds and "
            "suspicious rows come from all rows.",
            callback=in_range(10),
        ),
    ] = 5000,
    moving_seconds: Annotated[
        float,
        opt.option(
            opt.DEFENSE,
            "SECONDS",
            "After that long, no further bound on moving centroids is begun.",
            callback=in_range(0),
        ),
    ] = 30.0,
    top: Annotated[
        int,
        opt.option(
            opt.OUTPUT,
            "NUMBER",
            "How many suspicious rows to list.",
            callback=in_range(0),
        ),
    ] = 50,
    jobs: Annotated[
        int,
        opt.option(
            opt.OUTPUT,
            "NUMBER",
            "How many parts to work on at once; -1 is one for each processor.",
        ),
    ] = 1,
    cache: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FOLDER",
            "Keep finished parts there, so that an interrupted audit goes on where it "
            "stopped. Only use a folder that nobody else can write to.",
        ),
    ] = None,
    html: Annotated[
        str | None,
        opt.option(opt.OUTPUT, "FILE", "Write the report as one page for a browser."),
    ] = None,
    suspicious: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the suspicious rows as CSV: numbers, scores and reasons.",
        ),
    ] = None,
    outputs: opt.Outputs,
):
    """Find out what poison could do to a model, and which rows look like it.

    DATA are the rows that you train on, with two labels or more. They are held against
    what certificates assume; the damage that any attacker could do is bounded; attacks
    are run against many defenses, by cross-validation; and the rows that stand out are
    listed with the reasons.

    The recommended percentile has the least loss on held-out clean rows under the worst
    attack that knows it. It is not the one with the smallest bound, which would always
    be the strictest, whatever it costs.

    The JSON has the keys that docs/audit.md describes; recommendation, ranking,
    bounds and suspicious are the main ones.
    """
    with outputs.session(html, suspicious) as session:
        from skpoison._audit.plan import make_plan

        from . import auditing
        from .columns import tell_of_columns
        from .files import write_text

        with session.step(f"Reading {data or 'the digits'}"):
            rows, encoded = auditing.read_encoded(data, reading)
        tell_of_columns(session, rows, encoded)
        inputs = auditing.as_inputs(rows, encoded)
        del rows, encoded  # Tables take as much memory as matrices.

        plan = make_plan(
            inputs,
            estimator=auditing.estimator(learner),
            filters=None,
            attacks=None,
            epsilons=epsilon,
            percentiles=percentiles,
            reference=reference,
            positive=positive,
            cv=folds,
            random_state=seed,
            memory=cache,
            n_jobs=jobs,
            max_rows=max_rows,
            top=top,
            moving_seconds=moving_seconds,
        )
        report = auditing.run_shown(session, inputs, plan)

        auditing.show(session, report)
        written = (
            (html, report._html),
            (outputs.json, report._json),
            (suspicious, report._csv),
        )
        for path, text in written:
            if path is not None:
                write_text(path, text(), outputs.force)
                if path != "-":
                    session.say(f"Written to {path}.")
        if not any(path for path, _ in written):
            session.say("--html FILE writes the whole report, for a browser.")
