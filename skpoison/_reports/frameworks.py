"""Public taxonomies of attacks, and which of their entries an attack belongs to."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypedDict


class Taxon(NamedTuple):
    """An entry of a taxonomy: a technique, an attack or a risk."""

    id: str
    name: str
    url: str
    text: str


class Framework(NamedTuple):
    """A taxonomy, with those of its entries that concern training data."""

    name: str
    version: str
    organization: str
    url: str
    taxa: tuple[Taxon, ...]


ATLAS_URL = "https://atlas.mitre.org"
NIST_URL = "https://csrc.nist.gov/pubs/ai/100/2/e2025/final"
OWASP_ML_URL = "https://owasp.org/www-project-machine-learning-security-top-10/"
OWASP_LLM_URL = "https://genai.owasp.org/llmrisk/llm042025-data-and-model-poisoning/"


def _technique(id, name, text):
    return Taxon(id, name, f"{ATLAS_URL}/techniques/{id}", text)


def _attack(id, name, text):
    return Taxon(id, name, NIST_URL, text)


FRAMEWORKS = (
    Framework(
        "MITRE ATLAS",
        "5.6.0",
        "MITRE",
        ATLAS_URL,
        (
            _technique(
                "AML.T0018",
                "Manipulate AI Model",
                "A model is changed for good, for example by training it on poisoned "
                "rows.",
            ),
            _technique(
                "AML.T0019",
                "Publish Poisoned Datasets",
                "A poisoned data set is published where victims will find it.",
            ),
            _technique(
                "AML.T0020",
                "Poison Training Data",
                "Rows or labels of the training data are added or changed.",
            ),
            _technique(
                "AML.T0059",
                "Erode Dataset Integrity",
                "Parts of a data set are spoiled, so that it is less useful and less "
                "trusted.",
            ),
        ),
    ),
    Framework(
        "NIST AI 100-2",
        "E2025",
        "NIST",
        NIST_URL,
        (
            _attack(
                "NISTAML.012",
                "Clean-label Poisoning",
                "Rows are poisoned whose labels are right.",
            ),
            _attack(
                "NISTAML.013",
                "Data Poisoning",
                "Availability: a model is made worse for all rows.",
            ),
            _attack(
                "NISTAML.021",
                "Clean-label Backdoor",
                "A backdoor is planted by rows whose labels are right.",
            ),
            _attack(
                "NISTAML.023",
                "Backdoor Poisoning",
                "A model is made to predict what the attacker wants for rows that hold "
                "a trigger.",
            ),
            _attack(
                "NISTAML.024",
                "Targeted Poisoning",
                "The predictions for a few rows of the attacker's choice are changed.",
            ),
        ),
    ),
    Framework(
        "OWASP Machine Learning Security Top Ten",
        "2023",
        "OWASP",
        OWASP_ML_URL,
        (
            Taxon(
                "ML02:2023",
                "Data Poisoning Attack",
                OWASP_ML_URL + "docs/ML02_2023-Data_Poisoning_Attack",
                "Training data are changed so that a model behaves as it should not.",
            ),
        ),
    ),
    Framework(
        "OWASP Top 10 for LLM Applications",
        "2025",
        "OWASP",
        OWASP_LLM_URL,
        (
            Taxon(
                "LLM04:2025",
                "Data and Model Poisoning",
                OWASP_LLM_URL,
                "Data for training, fine-tuning or retrieval are changed to plant "
                "weaknesses, backdoors or biases.",
            ),
        ),
    ),
)
TAXA = {taxon.id: taxon for framework in FRAMEWORKS for taxon in framework.taxa}

# Whatever the attack, poisoned rows are these.
ALWAYS = ("AML.T0020", "ML02:2023", "LLM04:2025")
AVAILABILITY = (*ALWAYS, "AML.T0059", "NISTAML.013")
TARGETED = (*ALWAYS, "AML.T0018", "NISTAML.024")
# Poison whose labels are right is aimed at few rows, or plants a backdoor.
CLEAN_LABEL_TARGETED = (*TARGETED, "NISTAML.012")
BACKDOOR = (*ALWAYS, "AML.T0018", "NISTAML.021", "NISTAML.023")
# Of a table as a whole, which may have come from elsewhere.
WHOLE_TABLE = (*ALWAYS, "AML.T0019", "AML.T0059")


class TaxonReport(TypedDict):
    """What was tried and found that belongs to an entry of a taxonomy."""

    framework: str
    version: str
    id: str
    name: str
    url: str
    tried: list[str]
    found: list[str]


def by_taxon(
    tried: Mapping[str, Iterable[str]], found: Mapping[str, Iterable[str]]
) -> list[TaxonReport]:
    """Sort what was tried and what was found by the entries of the taxonomies.

    Both map a text to the entries it belongs to; every entry is listed, so that what
    nothing was tried for shows, too.

    Examples
    --------
    >>> rows = by_taxon({"attack: flips": AVAILABILITY}, {"far: 3 rows": AVAILABILITY})
    >>> [row["id"] for row in rows if row["found"]]
    ['AML.T0020', 'AML.T0059', 'NISTAML.013', 'ML02:2023', 'LLM04:2025']
    """
    return [
        {
            "framework": framework.name,
            "version": framework.version,
            "id": taxon.id,
            "name": taxon.name,
            "url": taxon.url,
            "tried": [text for text, ids in tried.items() if taxon.id in ids],
            "found": [text for text, ids in found.items() if taxon.id in ids],
        }
        for framework in FRAMEWORKS
        for taxon in framework.taxa
    ]
