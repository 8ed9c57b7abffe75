"""``skpoison audit``: what poison could do to a model, and which rows look like it."""

from typing import Annotated

from . import kinds
from . import options as opt
from .checks import (
    check_costs,
    costs_of_text,
    in_range,
    metric_name,
    one_of,
    percents,
    shares,
    within,
)
from .grouped import grouped
from .machine import Machine
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
            "Poison rows per clean row in the bounds, such as 0.01,0.1.",
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
            "Poison rows per clean row in the attacks.",
            common=True,
            callback=within(0, 1, open_low=True),
        ),
    ] = 0.1,
    percentiles: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "PERCENTS",
            "Percentages of each class that sphere and slab keep, such as 70,90.",
            callback=percents,
        ),
    ] = "50,70,80,90,95,100",
    filters: Annotated[
        list[str] | None,
        opt.option(
            opt.DEFENSE,
            "KIND",
            "Filter to compare with sphere and slab, named as in skpoison filter; can "
            f"be repeated. Default: auto, {', '.join(kinds.WITH_PERCENTILE)}.",
            "--filter",
            callback=kinds.beside_sphere_and_slab,
        ),
    ] = None,
    learner: opt.NamedLearner,
    class_weight: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "KIND",
            "Class weights of the learner: balanced, none, or auto: balanced if a "
            "class is rare.",
            callback=one_of("auto", "balanced", "none"),
        ),
    ] = "auto",
    metric: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "METRIC",
            "error, balanced-error, recall@0.05 (of the 5 % highest scores), auc, "
            "average-precision, cost, or auto: by the classes' sizes.",
            common=True,
            callback=metric_name,
        ),
    ] = "auto",
    cost: Annotated[
        str | None,
        opt.option(
            opt.DEFENSE,
            "COSTS",
            "Costs of wrong predictions for --metric cost, each as true label, "
            "predicted label and cost: spam:ham=5,ham:spam=1.",
            callback=costs_of_text,
        ),
    ] = None,
    max_cost: Annotated[
        float,
        opt.option(
            opt.DEFENSE,
            "POINTS",
            "Largest cost of a recommended defense without an attack, in hundredths of "
            "the metric.",
            callback=in_range(0),
        ),
    ] = 1.0,
    folds: Annotated[
        int,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "Number of folds of the cross-validation.",
            callback=in_range(2),
        ),
    ] = 3,
    max_rows: Annotated[
        int,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "Run attacks on a stratified sample of about so many rows. Bounds and "
            "suspicious rows come from all rows.",
            callback=in_range(10),
        ),
    ] = 5000,
    moving_seconds: Annotated[
        float,
        opt.option(
            opt.DEFENSE,
            "SECONDS",
            "Start no further bound on moving centroids after this time.",
            callback=in_range(0),
        ),
    ] = 30.0,
    budget: Annotated[
        float | None,
        opt.option(
            opt.OUTPUT,
            "SECONDS",
            "Approximate time limit; the report lists what was left out.",
            common=True,
            callback=in_range(1),
        ),
    ] = None,
    top: Annotated[
        int,
        opt.option(
            opt.OUTPUT,
            "NUMBER",
            "Number of suspicious rows to list.",
            callback=in_range(0),
        ),
    ] = 50,
    jobs: opt.Jobs = 1,
    cache: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FOLDER",
            "Store finished parts, so that an interrupted audit can be resumed. Use "
            "only a folder that nobody else can write to.",
        ),
    ] = None,
    html: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT, "FILE", "Write the report as one HTML page.", common=True
        ),
    ] = None,
    suspicious: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the suspicious rows as CSV, with reasons.",
            common=True,
        ),
    ] = None,
    machine: Machine,
    outputs: opt.Outputs,
):
    """Report what poison could do to a model, and which rows look like poison.

    DATA are your training rows, with two labels or more. The audit checks the
    assumptions of the bounds, bounds the damage of any attacker, compares defenses
    under attacks by cross-validation, and lists the most suspicious rows with reasons.

    It begins with a verdict: whether the table is likely poisoned, how many rows of
    which class, and by which evidence.

    The recommended defense has the lowest error (or --metric) on held-out rows under
    its worst attack, of those that cost no more than --max-cost without one. It is not
    the one with the smallest bound, which would always be the strictest, whatever it
    costs.

    docs/audit_json.md describes the keys of the JSON; verdict, recommendation, ranking,
    bounds and suspicious are the main ones.
    """
    check_costs(metric, cost)
    paths = html, suspicious, *machine.paths
    with outputs.session(*paths) as session, reading.ahead(data):
        from skpoison._audit.plan import make_plan

        from . import auditing, limits
        from .columns import tell_of_columns
        from .files import write_text
        from .sample import refuse_many

        machine.check()
        limits.check_quantities(machine.fail_on, limits.OF_AUDIT, "skpoison audit")
        if machine.needs_rows:
            refuse_many(data, "--sarif and --cyclonedx")
        with session.step(f"Reading {data or 'the digits'}"):
            rows, encoded = auditing.read_encoded(data, reading)
        limits.check_labels(machine.fail_on, limits.labels_of(rows.labels))
        tell_of_columns(session, rows, encoded, reading, "real")
        inputs = auditing.as_inputs(rows, encoded)
        if not machine.needs_rows:
            rows = None  # Tables take as much memory as matrices.
        del encoded

        plan = make_plan(
            inputs,
            estimator=auditing.estimator(learner, class_weight, inputs),
            filters=auditing.filters(filters, reference) if filters else None,
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
            metric=metric,
            costs=cost,
            max_cost=max_cost / 100,
            budget=budget,
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
        checked = machine.report_audit(session, outputs, rows, report)
        if not any(path for path, _ in written):
            session.say("--html FILE writes the whole report, for a browser.")
        machine.stop(checked)
