"""``skpoison certify``: bound the damage that any attacker can do past a filter."""

from typing import Annotated

from . import options as opt
from .checks import one_of, shares, within
from .grouped import grouped
from .reading import Reading


@grouped
def certify(
    *,
    data: opt.DataFile = None,
    reading: Reading,
    positive: opt.Positive = None,
    test: Annotated[
        str | None,
        opt.option(opt.DATA, "FILE", "Rows to test on, of the same form as DATA."),
    ] = None,
    test_share: Annotated[
        float,
        opt.option(
            opt.DATA,
            "SHARE",
            "Without --test: share of each class to hold out for testing.",
            callback=within(0, 1, open_high=True),
        ),
    ] = 0.3,
    seed: opt.Seed = 0,
    epsilon: Annotated[
        list[str],
        opt.option(
            opt.DEFENSE,
            "SHARES",
            "Poison rows for each clean one; 0.05,0.1 is both.",
            "--epsilon",
            "-e",
            callback=shares,
        ),
    ] = ["0.01,0.03,0.05,0.1,0.2,0.3"],  # noqa: B006 (typer never changes it)
    threat: opt.Threat,
    defense: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "KIND",
            "What the attacker cannot move: centers and radii of the filter (fixed), "
            "or only radii (moving-centroids: centers come from clean and poison rows "
            "together; suits --tol 0.01).",
            callback=one_of("fixed", "moving-centroids"),
        ),
    ] = "fixed",
    learner: opt.LearnerOptions,
    solver: opt.Solver,
    plot: opt.Plot = None,
    outputs: opt.Outputs,
):
    """Bound the damage that any attacker can do past a filter.

    DATA are clean rows: ones that you trust. From them come the learner's loss and the
    filter, which lets a row through if it lies within a sphere around the center of its
    class, and within a slab across the line between the two centers. The attacker knows
    all that and adds rows of their choice that the filter lets through. Whatever they
    add, the learner's training loss stays below the upper bound. The lower bound says
    how near that is to the best guarantee there can be; the attack columns, what the
    worst attack that was found does.

    Nothing is promised if you compute centers and radii from data that may be poisoned
    already. If only the centers are, --defense moving-centroids bounds what can happen
    as long as all rows that the attacker sends pass the filter.
    """
    reading = reading.for_domain(threat.domain)
    with outputs.session(plot) as session:
        from . import certificate, picture, report
        from .columns import tell_of_columns
        from .files import write_json
        from .sample import read_sample
        from .settings import BoundSettings

        if plot:
            picture.check_matplotlib()
        settings = BoundSettings(
            tuple(epsilon),
            **vars(threat),
            **vars(learner),
            **vars(solver),
            seed=seed,
            defense=defense,
        )
        with session.step(f"Reading {data or 'the digits'}"):
            sample = read_sample(
                data,
                reading,
                positive=positive,
                test=test,
                test_share=test_share,
                seed=seed,
            )
        tell_of_columns(session, sample.data, sample.encoded, threat.domain)
        report.warn_of_percentile(threat.percentile)
        sample.data = None  # The table takes as much memory as the matrices.

        # One more than was asked for: no poison at all.
        with session.count("Bounding", len(epsilon) + 1) as advance:
            found = certificate.certify(sample, settings, advance)

        report.warn_if_short(found.numbers["bounds"], solver.tol)
        report.show_certificate(session, found.numbers)
        report.say_how_few(session, epsilon, len(sample.signs))

        if plot:
            with session.step("Drawing"):
                picture.draw_bounds(plot, outputs.force, found, sample, settings)
            session.say(f"Picture written to {plot}.")
        how = reading.describe(sample.encoded.encoding) | {
            "test": test,
            "test_share": None if test else test_share,
        }
        write_json(outputs, found.numbers | {"reading": how})
