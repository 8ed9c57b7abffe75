"""What filters and audits found, as a CycloneDX bill of materials."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from skpoison import __version__
from skpoison._io.errors import DataError
from skpoison._words import counted, epsilon_text, label_text, name_text, upper_text

from .frameworks import TaxonReport
from .places import uri_of

MISSING = (
    "CycloneDX needs the library cyclonedx-python-lib: pip install cyclonedx-python-lib"
)
VERSION = (1, 6)
DATA, MODEL = "training-data", "model"
MOST_LABELS = 20


def check_library() -> None:
    """Raise an error if the library is missing, before anything is computed."""
    try:
        import cyclonedx.output  # noqa: F401
    except ModuleNotFoundError as error:
        raise DataError(MISSING) from error


def cyclonedx(
    data: Any,
    properties: Mapping[str, object],
    trusted: Any = None,
    card: Mapping[str, Any] | None = None,
) -> str:
    """Return a bill of materials as JSON.

    Parameters
    ----------
    data : TableData or ArrayData
        The rows that were read: a component with the file's hashes.
    properties : dict of str to object
        What was found, which the component's properties hold.
    trusted : TableData or ArrayData, default=None
        Trusted rows that they were compared with: another component.
    card : dict, default=None
        The card of a model that was trained on them: a further component.

    Returns
    -------
    text : str
        The JSON, as of version 1.6 of the format.
    """
    check_library()
    from cyclonedx.model import HashAlgorithm
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    tables = {DATA: data} | ({} if trusted is None else {"trusted-data": trusted})
    algorithms = {
        "sha256": HashAlgorithm.SHA_256,
        "sha512": HashAlgorithm.SHA_512,
    }
    bom = Bom()
    tool = ComponentType.APPLICATION
    bom.metadata.tools.components.add(
        Component(type=tool, name="skpoison", version=__version__)
    )
    components = [
        _table_component(name, table, algorithms, properties if name == DATA else {})
        for name, table in tables.items()
    ]
    bom.components.update(components)
    if card is not None:
        name = card["modelParameters"]["modelArchitecture"].partition("(")[0]
        kind = ComponentType.MACHINE_LEARNING_MODEL
        model = Component(type=kind, name=name, bom_ref=MODEL)
        bom.components.add(model)
        bom.register_dependency(model, components)
    version = SchemaVersion(VERSION)
    written = make_outputter(bom, OutputFormat.JSON, version).output_as_string()
    return _completed(json.loads(written), tables, card)


def _table_component(reference, table, algorithms, properties):
    from cyclonedx.model import HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    source = table.origin
    hashes, _ = source.hashes(*algorithms) if source else ({}, 0)
    return Component(
        type=ComponentType.DATA,
        bom_ref=reference,
        name=_name_of(table),
        hashes=[
            HashType(alg=algorithms[name], content=value)
            for name, value in hashes.items()
        ],
        properties=[
            Property(name=f"skpoison:{name}", value=_text(value))
            for name, value in properties.items()
        ],
    )


def _completed(bom, tables, card):
    """Add what the library has no classes for, though the format has it."""
    for component in bom["components"]:
        table = tables.get(component["bom-ref"])
        if table is not None:
            component["data"] = [_dataset(component["name"], table)]
        elif card is not None:
            component["modelCard"] = card
    return json.dumps(bom, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _name_of(table):
    return uri_of(table.source) if table.origin else name_text(table.source)


def _dataset(name, table):
    n_rows = counted(len(table), "row")
    labels = [name_text(label_text(value)) for value in table.labels.values]
    shown = ", ".join(labels[:MOST_LABELS])
    if len(labels) > MOST_LABELS:
        shown += f" and {len(labels) - MOST_LABELS:,} more"
    target = name_text(table.labels.name)
    what = "targets" if table.labels.is_quantity else "labels"
    described = f"{n_rows}; {what} in {target!r}"
    if not table.labels.is_quantity:
        described += f": {shown}"
    return {"type": "dataset", "name": name, "description": described}


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def taxa_properties(taxonomies: Sequence[TaxonReport]) -> dict[str, str]:
    """Return what was found, by the identifiers of public taxonomies."""
    return {
        f"taxonomy:{one['id']}": "; ".join(one["found"])
        for one in taxonomies
        if one["found"]
    }


def card_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card of the model that an audit was about."""
    found, settings = report["recommendation"], report["settings"]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "classification",
            "modelArchitecture": settings["estimator"],
            "datasets": [{"ref": DATA}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _metrics(report)},
        "considerations": {
            "technicalLimitations": [
                f"{one['name']}: {one['status']}. {one['text']}"
                for one in report["assumptions"]
                if one["status"] in ("watch", "violated")
            ],
            "performanceTradeoffs": [found["rule"]],
            "ethicalConsiderations": [
                {
                    "name": "Data poisoning (AML.T0020, ML02:2023)",
                    "mitigationStrategy": f"Recommended defense: {found['defense']}. "
                    + " ".join(report["summary"]),
                }
            ],
        },
    }


def _metrics(report):
    found = report["recommendation"]
    share = epsilon_text(found["epsilon"])
    defense = found["defense"] or "none"
    slices = {
        "undefended_clean": "held-out rows, no attack, no defense",
        "undefended_worst": f"held-out rows, worst attack of {share}, no defense",
        "clean": f"held-out rows, no attack, defense: {defense}",
        "worst": f"held-out rows, worst attack of {share}, defense: {defense}",
    }
    metrics = [
        {
            "type": found["metric_shown"],
            "value": json.dumps(found[key]["value"]),
            "slice": where,
            "confidenceInterval": {
                "lowerBound": json.dumps(found[key]["low"]),
                "upperBound": json.dumps(found[key]["high"]),
            },
        }
        for key, where in slices.items()
        if found[key] is not None
    ]
    if not report["bounds"]["applies_to_estimator"]:
        return metrics  # the bounds are for another learner
    return metrics + [
        {
            "type": "certified upper bound on the training loss",
            "value": upper_text(point["upper_bound"]),
            "slice": f"any attack of {epsilon_text(point['epsilon'])}, sphere and slab "
            f"at percentile {curve['percentile']:g}, {curve['defense']}",
        }
        for curve in report["bounds"]["curves"]
        for point in curve["points"]
    ]
