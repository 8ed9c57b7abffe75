"""``skpoison trace``: which training rows caused a wrong prediction."""

from typing import Annotated

import typer

from . import options as opt
from .checks import in_range, one_of, positive_number, readable, rows_or_share
from .grouped import grouped
from .reading import Reading

METHODS = ("auto", "gradient", "influence", "knn-shapley", "retrain")
LEARNERS = (
    "logistic",
    "svm",
    "svm-squared",
    "ridge",
    "forest",
    "boosting",
    "neighbors",
)


@grouped
def trace(
    *,
    data: opt.RequiredFile,
    reading: Reading,
    case: Annotated[
        str,
        opt.option(
            opt.DATA,
            "FILE",
            "Rows that are predicted wrong, as in DATA, with the right labels; without "
            "labels, any other is right.",
            common=True,
            callback=readable,
        ),
    ],
    by: Annotated[
        str | None,
        opt.option(
            opt.DATA,
            "NAME",
            "Column that the rows may share (source or time); no feature.",
            common=True,
        ),
    ] = None,
    seed: opt.Seed = 0,
    learner: Annotated[
        str | None,
        opt.option(
            opt.DEFENSE,
            "KIND",
            f"The model that erred: {', '.join(LEARNERS)}. Default: logistic; ridge "
            "for quantities.",
            common=True,
            callback=one_of(*LEARNERS),
        ),
    ] = None,
    C: Annotated[
        float | None,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "C of a linear learner (1); 1 / alpha of ridge.",
            "--C",
            common=True,
            callback=positive_number,
        ),
    ] = None,
    method: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "KIND",
            f"What rows are ranked by: {', '.join(METHODS)}.",
            callback=one_of(*METHODS),
        ),
    ] = "auto",
    max_removed: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "ROWS",
            "Most rows to remove: a number, or a share such as 0.01.",
            common=True,
            callback=rows_or_share,
        ),
    ] = "0.05",
    tolerance: Annotated[
        float | None,
        opt.option(
            opt.DEFENSE,
            "NUMBER",
            "Of quantities: how far off its number in --case a prediction may be. "
            "Default: the usual size of errors.",
            callback=positive_number,
        ),
    ] = None,
    jobs: opt.Jobs = 1,
    top: Annotated[
        int,
        opt.option(
            opt.OUTPUT,
            "NUMBER",
            "Most rows to list and write, beside those that were removed.",
            callback=in_range(0),
        ),
    ] = 20,
    output: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the blamed rows, worst first, with their number (from 1), rank and "
            "contribution.",
            "--output",
            "-o",
            common=True,
        ),
    ] = None,
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    outputs: opt.Outputs,
):
    """Find the training rows that caused a wrong prediction, and prove it.

    DATA are your training rows. They are ranked by how much they are responsible for
    what the learner says of the rows of --case, and a small set of them is removed
    without which the learner, fitted again, is right.

    If no set of up to --max-removed rows is found, the error is not the doing of a few
    rows, and the exit code is 3. Several cases are traced together: one set makes all
    of them right. Cases that are predicted right are left out.

    In every fit, columns are turned into numbers anew: scales, medians and words are
    learned without the removed rows, too. How each column is read stays as it is.

    The plot shows cases, blamed rows and all others in two dimensions, and the largest
    contributions.
    """
    with outputs.session(output, plot) as session:
        import numpy as np

        from . import blamed, picture, tracing
        from .columns import encode, tell_of_columns
        from .files import rows_to, write_json, write_rows

        if plot:
            picture.check_matplotlib()
        with session.step(f"Reading {data}"):
            rows, cases = tracing.read(data, case, by, reading)
        settings = tracing.Settings(
            case, learner, C, method, max_removed, tolerance, by, seed
        )
        blamed_to = rows_to(output, rows, outputs, keep_formulas)
        with session.step("Encoding"):
            encoded = encode(rows, np.arange(len(rows)), reading.encoding)
        tell_of_columns(session, rows, encoded, reading)
        model = tracing.learner(settings, rows.labels, encoded.X)
        problem = tracing.Problem(rows, cases, encoded, model)
        with session.step("Tracing"):
            found = tracing.trace_cases(problem, settings, jobs)

        numbers = tracing.describe(problem, settings, found, top)
        blamed.show(session, numbers)
        if blamed_to:
            content = tracing.written(problem, found, numbers["rows"])
            write_rows(session, blamed_to, content, len(numbers["rows"]))
        if plot:
            with session.step("Drawing"):
                picture.draw_trace(plot, outputs.force, problem, found)
            session.say(f"Plot written to {plot}.")
        reading_done = reading.describe(encoded)
        write_json(outputs, numbers | {"reading": reading_done})
        if not numbers["is_found"]:
            raise typer.Exit(opt.STOP)
