"""``skpoison verify``: check a certificate file against the rows that it is about."""

from typing import Annotated

import typer

from . import options as opt
from .checks import within
from .grouped import grouped
from .reading import Reading


@grouped
def verify(
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="CERTIFICATE", help="The file that certify --certificate wrote."
        ),
    ],
    data: opt.RequiredFile,
    reading: Reading,
    positive: opt.Positive = None,
    test_share: Annotated[
        float,
        opt.option(
            opt.DATA,
            "SHARE",
            "Share of each class that certify held out as test rows; 0 if it was given "
            "--test.",
            callback=within(0, 1, open_high=True),
        ),
    ] = 0.3,
    seed: opt.Seed = 0,
    outputs: opt.Outputs,
):
    """Check a certificate file against the rows that it is about.

    Every claim is computed again from the file and the rows, without the solvers, and
    rounded outwards. The exit code is 0 only if all claims hold.

    DATA must be the clean rows that were certified, in any order, and be read with the
    same options: columns become numbers as they did then, which a hash in the file
    tells. The file may come from a stranger.
    """
    with outputs.session() as session:
        from . import verified
        from .files import write_json
        from .sample import read_sample

        header = verified.header_of(file)
        reading = reading.for_domain(verified.domain_of(header))
        with session.step(f"Reading {data}"):
            split = {"positive": positive, "test_share": test_share, "seed": seed}
            as_numbers = header["target_range"] is not None
            sample = read_sample(data, reading, as_numbers=as_numbers, **split)
        with session.step("Checking"):
            report = verified.check_file(file, sample)
        verified.show(session, file, report)
        how = verified.encoding_of(sample, reading, **split)
        if not report.verified:
            verified.warn_of_encoding(header["encoding"], how)
        write_json(outputs, verified.numbers_of(report))
        if not report.verified:
            raise typer.Exit(1)
