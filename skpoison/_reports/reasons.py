"""Why filters reject rows: names, explanations, and which attacks leave such rows."""

from collections.abc import Mapping
from typing import NamedTuple

from skpoison._words import counted

from .frameworks import (
    AVAILABILITY,
    BACKDOOR,
    CLEAN_LABEL_TARGETED,
    TARGETED,
    WHOLE_TABLE,
    TaxonReport,
    by_taxon,
)

# What an attack may do to many rows, or to few.
BOTH = tuple(dict.fromkeys((*AVAILABILITY, *TARGETED)))


class Reason(NamedTuple):
    """A reason for which rows are rejected.

    `text` says in half a sentence what was seen, `why` why it matters, `action` what to
    do about such a row; `taxa` are the identifiers of attacks that leave such rows.
    """

    name: str
    text: str
    why: str
    action: str
    taxa: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was seen, as a sentence."""
        return self.text[0].upper() + self.text[1:] + "."


_LOOK = "Compare the row with its source. If it is wrong, drop it."
_LABEL = (
    "Check the label by hand. If it is wrong, correct it (skpoison suggests a label) "
    "or drop the row; if it is right, keep the row."
)
_COPIES = "Find out where the copies come from, and keep one of them at most."
_FAR_MATTERS = (
    "A few rows far from all others move means, scales and the weights of linear "
    "models by as much as many honest rows."
)
_LABEL_MATTERS = (
    "Wrong labels are the cheapest poison: the rows themselves are honest, and only "
    "their labels were changed."
)


def _distance(name, text):
    return Reason(name, text, _FAR_MATTERS, _LOOK, AVAILABILITY)


REASONS = {
    "far": _distance(
        "FarFromItsClass",
        "much farther from its class, or from any other row, than is usual",
    ),
    "copies": Reason(
        "TooManyCopies",
        "more near copies of a row than expected by chance",
        "Poison is often one row sent many times, because a model weighs a row by how "
        "often it occurs.",
        _COPIES,
        BOTH,
    ),
    "label": Reason(
        "ContradictedLabel",
        "the label contradicts models fitted without the row",
        _LABEL_MATTERS,
        _LABEL,
        BOTH,
    ),
    "cluster": Reason(
        "ContradictedCluster",
        "a cluster whose label contradicts models fitted without it",
        "Rows that resemble one another and share a label that models without them "
        "would not give them are what a backdoor, or an attack on a group of rows, "
        "leaves.",
        "Look at several rows of the cluster together: what they have in common may be "
        "the trigger of a backdoor.",
        tuple(dict.fromkeys((*BACKDOOR, *TARGETED))),
    ),
    "unknown": Reason(
        "UnknownLabel",
        "a label that no trusted row has",
        "A model learns a class from these rows alone, so nothing can vouch for them.",
        "Correct the label, or add trusted rows of this class.",
        WHOLE_TABLE,
    ),
    "target": Reason(
        "ContradictedTarget",
        "the target is far from what models fitted without the row predict",
        "Regression follows the rows with the largest errors, so few wrong targets "
        "move all predictions.",
        "Check the target by hand. If it is wrong, correct it or drop the row.",
        AVAILABILITY,
    ),
    "digits": Reason(
        "MoreDigitsThanOthers",
        "more decimals than nearly all other rows, as computed rows have",
        "Rows that were mixed of others, moved or disturbed by a program have decimals "
        "that recorded rows have not.",
        "Compare the row with its source. If it was computed, drop it.",
        BOTH,
    ),
    "others": Reason(
        "UnlikeOtherRows",
        "far, or labeled otherwise, by what a sample of the rows says",
        "The row was not among those that the filter was fitted to, and does not fit "
        "them.",
        _LOOK,
        BOTH,
    ),
    "review": Reason(
        "DroppedInReview",
        "dropped by a person who reviewed it",
        "A person decided that the row is bad.",
        "Drop the row.",
        WHOLE_TABLE,
    ),
    "sphere": _distance(
        "OutsideTheSphere", "too far from the centroid of its class (sphere)"
    ),
    "slab": _distance(
        "OutsideTheSlab",
        "too far from the centroid of its class along the line between the centroids "
        "(slab)",
    ),
    "mahalanobis": _distance(
        "LargeMahalanobisDistance", "a large Mahalanobis distance to its class"
    ),
    "subspace": _distance(
        "FarFromTheSubspace", "far from the principal subspace of its class"
    ),
    "neighbors": _distance(
        "FarFromItsNeighbors", "far from the nearest rows of its class"
    ),
    "neighbor-labels": Reason(
        "ContradictedByNeighbors",
        "its nearest neighbors have other labels",
        _LABEL_MATTERS,
        _LABEL,
        BOTH,
    ),
    "loss": Reason(
        "LargeLoss",
        "a large loss under a model that is fitted without such rows",
        "Rows with the largest losses pull a model most.",
        _LABEL,
        AVAILABILITY,
    ),
    "spectral": Reason(
        "LargeProjection",
        "a large projection on the main direction of its class",
        "Rows with the trigger of a backdoor lie together in the features of a "
        "network, and stretch their class in one direction.",
        _LOOK,
        BACKDOOR,
    ),
    "sever": Reason(
        "OutlyingGradient",
        "a gradient that stands out among those of its class",
        "Rows whose gradients stand out move a model in one direction together.",
        _LOOK,
        AVAILABILITY,
    ),
    "cross-fit": Reason(
        "ImprobableLabel",
        "the label is improbable by models fitted without the row",
        _LABEL_MATTERS,
        _LABEL,
        BOTH,
    ),
    "near-copies": Reason(
        "GroupOfNearCopies",
        "in a group of near copies that is larger than chance allows",
        "Poison is often one row sent many times, because a model weighs a row by how "
        "often it occurs.",
        _COPIES,
        BOTH,
    ),
    "activation-clustering": Reason(
        "SmallClusterOfActivations",
        "in the smaller of two clusters of its class",
        "Rows with the trigger of a backdoor lie together in the features of a "
        "network.",
        _LOOK,
        BACKDOOR,
    ),
    "epic": Reason(
        "IsolatedGradient",
        "a gradient that stands alone in its class",
        "Poison that is made for one prediction has gradients like no other row's, "
        "though its labels are right.",
        _LOOK,
        CLEAN_LABEL_TARGETED,
    ),
}
# The tests of AutoFilter, in the order in which they are applied, for labels and for
# targets that are quantities; "unknown" is for rows compared with trusted ones.
OF_LABELS = ("far", "copies", "digits", "label", "cluster")
OF_QUANTITIES = ("far", "copies", "digits", "target")
OF_AUTO = (*OF_LABELS, "unknown", "target")
# Of the table as a whole.
VERDICT = Reason(
    "LikelyPoisonedTable",
    "the table is likely poisoned",
    "More rows are suspicious than honest tables have: far rows, copies, labels or "
    "targets that contradict models, or values with more digits than all others.",
    "Do not train on the table before its rows have been reviewed; find out where it "
    "comes from.",
    tuple(dict.fromkeys((*WHOLE_TABLE, *AVAILABILITY))),
)
VERDICT_ID = "poisoned-table"


def taxa_of_reasons(
    n_rows: Mapping[str, int],
    tried: Mapping[str, tuple[str, ...]] | None = None,
    is_likely_poisoned: bool | None = None,
) -> list[TaxonReport]:
    """List what was tried and found by entries of taxonomies.

    Parameters
    ----------
    n_rows : dict of str to int
        How many rows were rejected for each reason that was looked for.
    tried : dict of str to tuple of str, default=None
        What else was tried, and the identifiers of what it belongs to.
    is_likely_poisoned : bool, default=None
        The verdict on the table; None if there is none.

    Examples
    --------
    >>> first, *_ = taxa_of_reasons({"cluster": 12, "far": 0})
    >>> first["id"], first["tried"], first["found"]
    ('AML.T0018', ['test of rows: cluster'], ['cluster: 12 rows'])
    """
    looked_for = {f"test of rows: {name}": REASONS[name].taxa for name in n_rows}
    found = {
        f"{name}: {counted(n, 'row')}": REASONS[name].taxa
        for name, n in n_rows.items()
        if n
    }
    if is_likely_poisoned is not None:
        looked_for["verdict on the table"] = VERDICT.taxa
    if is_likely_poisoned:
        found[VERDICT.text] = VERDICT.taxa
    return by_taxon({**looked_for, **(tried or {})}, found)
