"""The filters of ``--filter``, by what can be done with them."""

import typer

from .checks import one_of

# Those with the published percentile.
PUBLISHED = ("both", "sphere", "slab")
# Those that bounds exist for.
WITH_BOUND = ("both", "sphere")
WITH_PERCENTILE = (
    "mahalanobis",
    "subspace",
    "neighbors",
    "neighbor-labels",
    "loss",
    "spectral",
    "sever",
)
# Those that are fitted in passes over many files.
IN_PASSES = (*PUBLISHED, "mahalanobis", "subspace", "spectral")
# Those that score only the rows that they are fitted on.
TRAINING_ROWS_ONLY = ("epic",)
WITHOUT_PERCENTILE = (
    "auto",
    "cross-fit",
    "near-copies",
    "activation-clustering",
    *TRAINING_ROWS_ONLY,
)
# Those that compare the rows that they judge with one another.
WITH_ALL_ROWS = ("auto", "cross-fit", *TRAINING_ROWS_ONLY)
FILTERS = ("auto", *PUBLISHED, *WITH_PERCENTILE, *WITHOUT_PERCENTILE[1:])


def beside_sphere_and_slab(kinds):
    """Check filters that an audit is to compare with sphere and slab."""
    names = [one_of(*FILTERS)(kind) for kind in kinds or ()]
    for name in names:
        if name in PUBLISHED:
            raise typer.BadParameter(
                f"sphere and slab are always compared, so {name} cannot be added; "
                "--percentiles sets what they keep."
            )
    return names


def with_bound(kind):
    """Check that a filter is one that bounds exist for."""
    name = one_of(*FILTERS)(kind)
    if name in WITH_BOUND:
        return name
    known = " or ".join(WITH_BOUND)
    if name == "slab":
        raise typer.BadParameter(
            f"rows of any length pass slab, so no bound exists; use {known}."
        )
    raise typer.BadParameter(
        f"no bound exists for {name}, only for {known}. skpoison filter --filter "
        f"{name} runs it."
    )
