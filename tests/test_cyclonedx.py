"""CycloneDX: tables and models as components, valid by the library's own validator."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from skpoison._cli.app import app
from skpoison._io import load
from skpoison._io.matrix import digits

pytest.importorskip("cyclonedx")
validation = pytest.importorskip("cyclonedx.validation.json")

from cyclonedx.schema import SchemaVersion  # noqa: E402

from skpoison._reports.cyclonedx import VERSION, _metrics, cyclonedx  # noqa: E402


def components(text):
    """The components by their names in the file, which must be valid."""
    pytest.importorskip("jsonschema")
    validator = validation.JsonStrictValidator(SchemaVersion(VERSION))
    assert validator.validate_str(text) is None
    return {one["bom-ref"]: one for one in json.loads(text)["components"]}


def properties(component):
    return {one["name"]: one["value"] for one in component["properties"]}


@pytest.fixture
def csv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    frame = pd.DataFrame(rng.normal(size=(60, 2)) + 4 * y[:, None], columns=["a", "b"])
    frame = frame.assign(label=np.where(y, "spam", "<b>ham</b>"))
    frame.to_csv("rows.csv", index=False)
    frame[:40].to_csv("trusted.csv", index=False)
    return Path("rows.csv")


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["filter", *map(str, arguments), "-q"])
    assert result.exit_code == code, result.output
    return result


def test_a_table_is_a_component_with_hashes_and_what_was_found(csv):
    options = ("--filter", "sphere", "--percentile", "98", "--trusted", "trusted.csv")
    run(csv, *options, "--cyclonedx", "bom.json", "--json", "found.json")
    found = components(Path("bom.json").read_text())
    assert {*found} == {"training-data", "trusted-data"}
    for reference, path in (("training-data", csv), ("trusted-data", "trusted.csv")):
        content = Path(path).read_bytes()
        assert {one["alg"]: one["content"] for one in found[reference]["hashes"]} == {
            "SHA-256": hashlib.sha256(content).hexdigest(),
            "SHA-512": hashlib.sha512(content).hexdigest(),
        }
    data, numbers = found["training-data"], json.loads(Path("found.json").read_text())
    assert (data["type"], data["name"]) == ("data", "rows.csv")
    [described] = data["data"]
    assert described["description"] == "60 rows; labels in 'label': <b>ham</b>, spam"
    assert "properties" not in found["trusted-data"]
    told = properties(data)
    n_rejected = numbers["n_rows"] - numbers["n_kept"]
    assert n_rejected > 0
    assert told["skpoison:rows"] == "60"
    assert told["skpoison:rows:suspicious"] == f"{n_rejected}"
    assert told["skpoison:taxonomy:AML.T0020"] == f"sphere: {n_rejected} rows"
    assert "skpoison:taxonomy:NISTAML.023" not in told


def test_an_audit_describes_the_model_too(audit_files):
    text = (audit_files / "a.cdx.json").read_text(encoding="utf-8")
    found = components(text)
    report = json.loads((audit_files / "a.json").read_text(encoding="utf-8"))
    model = found["model"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "LinearSVC")
    card = model["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": "training-data"}]
    [first, *_, bound] = card["quantitativeAnalysis"]["performanceMetrics"]
    clean = report["recommendation"]["undefended_clean"]
    assert float(first["value"]) == clean["value"]
    assert float(first["confidenceInterval"]["upperBound"]) == clean["high"]
    curve = report["bounds"]["curves"][-1]
    # A bound is rounded to its safe side.
    upper = curve["points"][-1]["upper_bound"]
    assert 0 <= float(bound["value"]) - upper <= 1e-4
    told = properties(found["training-data"])
    suspicious = report["suspicious"]
    assert told["skpoison:rows:suspicious"] == f"{suspicious['n_rejected']}"
    poisoned = report["verdict"]["is_likely_poisoned"]
    assert told["skpoison:likely-poisoned"] == ("true" if poisoned else "false")
    needs = {
        one["ref"]: one.get("dependsOn") for one in json.loads(text)["dependencies"]
    }
    assert needs["model"] == ["training-data"]


def test_bounds_of_another_learner_are_not_in_the_card_of_the_model(audit_files):
    report = json.loads((audit_files / "a.json").read_text(encoding="utf-8"))
    kinds = {one["type"] for one in _metrics(report)}
    assert "certified upper bound on the training loss" in kinds
    report["bounds"]["applies_to_estimator"] = False
    kinds = {one["type"] for one in _metrics(report)}
    assert kinds and not any("certified" in kind for kind in kinds)


def test_rows_that_are_in_no_file_have_no_hashes():
    found = components(cyclonedx(digits(), {}))["training-data"]
    assert "hashes" not in found and "digits" in found["name"]


def test_many_labels_are_not_all_named(tmp_path):
    path = tmp_path / "rows.csv"
    frame = pd.DataFrame(
        {"a": range(90), "label": [f"l{i % 30:02}" for i in range(90)]}
    )
    frame.to_csv(path, index=False)
    [described] = components(cyclonedx(load(path), {}))["training-data"]["data"]
    assert described["description"].endswith("l19 and 10 more")


def test_without_the_library_it_is_said_at_once_what_to_install(csv, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclonedx.output", None)
    result = run(csv, "--cyclonedx", "bom.json", "-o", "kept.csv", code=1)
    assert "pip install cyclonedx-python-lib" in result.stderr
    assert not Path("bom.json").exists() and not Path("kept.csv").exists()
