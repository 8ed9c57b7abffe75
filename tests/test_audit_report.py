"""Reports of audits: the page, the JSON, the CSV, and what hostile data cannot do."""

import csv
import importlib
import io
import json
import pickle
import re
import runpy
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from sklearn.datasets import make_blobs

from skpoison import SphereFilter, audit
from skpoison._audit.html import to_html
from skpoison._audit.schema import SCHEMA, schema_of
from skpoison._audit.summary import summary
from skpoison._audit.types import Share
from skpoison.attacks import LabelFlipAttack, MinMaxAttack

pytestmark = pytest.mark.usefixtures("few_trees")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
audit_json = importlib.import_module("audit_json")

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
BROWSER = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
           "--disable-background-networking", "--hide-scrollbars"]  # fmt: skip


def blobs(n_rows=90):
    return make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


def quick(X, y, **changes):
    settings = {
        "percentiles": [70, 90],
        "epsilons": [0.05],
        "filters": {"ball": SphereFilter(90)},
        "attacks": {"flips": LabelFlipAttack(strategy="random"), "m": MinMaxAttack()},
        "moving_seconds": 0,
        "top": 20,
    }
    return audit(X, y, **(settings | changes))


@pytest.fixture(scope="module")
def report():
    X, y = blobs()
    X[7] = 8.0
    return quick(X, y, moving_seconds=60)


@pytest.fixture(scope="module")
def hostile():
    """A report on rows whose every name is an attempt at something."""
    X, y = blobs()
    columns = [NASTY, "=cmd|' /C calc'!A0", "name\u202egnp.exe\x1b[31m" + "x" * 100_000]
    frame = pd.DataFrame(X, columns=columns)
    frame.index = [f"+HYPERLINK({i})" for i in range(90)]
    labels = np.where(y == 0, "</bdi></title><svg onload=alert(3)>", "@SUM(1+1)")
    return quick(frame, labels, filters={NASTY: SphereFilter(90)})


class Page(HTMLParser):
    """Reads a page: its elements, its texts, and the numbers that it marks up."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.numbers = [], [], []
        self._open = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        value = attrs.get("value") if tag == "data" else attrs.get("data-value")
        if value is not None:
            self.numbers.append(json.loads(value))
        if tag not in ("meta", "br", "circle", "line", "polyline"):
            self._open.append((tag, value is not None))

    def handle_endtag(self, tag):
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_data(self, text):
        inside = {tag for tag, _ in self._open}
        marked = any(is_number for _, is_number in self._open)
        if "style" not in inside and not marked:
            self.texts.append(text)


def leaves(value):
    """All numbers and texts of a report."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("which", ["report", "hostile"])
def test_the_json_follows_its_schema(which, request):
    VALIDATOR.validate(request.getfixturevalue(which).to_dict())


@pytest.mark.parametrize(
    ("path", "break_"),
    [
        ("$", lambda c: c.pop("ranking")),
        ("$.schema", lambda c: c.update(schema="skpoison-audit/0")),
        ("$.data", lambda c: c["data"].update(extra=1)),
        ("$.data.n_rows", lambda c: c["data"].update(n_rows="many")),
        ("$.data.kinds.binary", lambda c: c["data"]["kinds"].update(binary=0.5)),
        ("$.data.density", lambda c: c["data"].update(density="none")),
        ("$.data.widest", lambda c: c["data"].update(widest=3)),
        ("$.settings.top", lambda c: c["settings"].update(top=-1)),
        ("$.settings.epsilons[0]", lambda c: c["settings"].update(epsilons=[1.5])),
        ("$.settings.percentiles[0]", lambda c: c["settings"].update(percentiles=[0])),
        (
            "$.ranking[0].worst_error",
            lambda c: c["ranking"][0].update(worst_error=None),
        ),
        (
            "$.assumptions[0].status",
            lambda c: c["assumptions"][0].update(status="perhaps"),
        ),
    ],
)
def test_the_schema_notices_what_is_wrong(report, path, break_):
    content = report.to_dict()
    break_(content)
    assert [error.json_path for error in VALIDATOR.iter_errors(content)] == [path]


def test_the_schema_is_made_of_the_types():
    class Inner(TypedDict):
        """An inner part."""

        share: Annotated[Share | None, "a share"]
        names: Annotated[dict[str, list[str]], "names"]

    class Outer(TypedDict):
        """An outer part."""

        inner: Inner | None
        is_so: bool
        kind: Annotated[Literal["a", "b"], "the kind"]

    schema = schema_of(Outer)
    assert schema["required"] == ["inner", "is_so", "kind"]
    assert schema["properties"]["is_so"] == {"type": "boolean"}
    assert schema["properties"]["kind"] == {
        "enum": ["a", "b"],
        "description": "the kind",
    }
    inner = schema["properties"]["inner"]
    assert inner["type"] == ["object", "null"]
    assert inner["description"] == "An inner part."
    assert inner["properties"]["share"] == {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "a share",
    }
    names = {"type": "array", "items": {"type": "string"}}
    assert inner["properties"]["names"]["additionalProperties"] == names


def test_every_key_is_described():
    keys = list(audit_json.keys())
    assert len(keys) > 100
    assert all(len(described) > 2 for *_, described in keys)


def test_every_number_of_the_page_is_in_the_json(report):
    content = report.to_dict()
    known = [one for one in leaves(content) if isinstance(one, (int, float))]
    known = {float(one) for one in known if not isinstance(one, bool)}
    numbers = Page(report._html()).numbers
    assert len(numbers) > 150
    assert {float(one) for one in numbers} <= known


def test_other_digits_of_the_page_are_in_texts_of_the_json(report):
    known = "\n".join(one for one in leaves(report.to_dict()) if isinstance(one, str))
    with_digits = filter(re.compile(r"\d").search, Page(report._html()).texts)
    strange = [text for text in with_digits if text.strip(" :,") not in known]
    assert strange == []


def test_attacks_of_public_taxonomies_stand_beside_what_was_tried(report):
    found = {one["id"]: one for one in report.taxonomies}
    assert "attack: flips" in found["AML.T0020"]["tried"]
    assert "certified bounds on the training loss" in found["NISTAML.013"]["tried"]
    assert found["NISTAML.024"]["tried"][-1] == "certified predictions"
    assert found["NISTAML.012"]["tried"] == found["NISTAML.012"]["found"] == []
    n_far = sum(one["rejected_by"]["far"] for one in report.suspicious["classes"])
    assert n_far and any(
        one.startswith(f"far: {n_far} row") for one in found["ML02:2023"]["found"]
    )
    texts = Page(report._html()).texts
    assert {text for text in texts if text in found} == {*found}


def test_terms_are_explained_where_they_first_appear(report):
    for term, explained in {
        "slab": "along the line between the class means",
        "moving centroids": "which are computed from clean and poison rows together",
    }.items():
        assert explained in next(one for one in report.summary if term in one)
    html = report._html()
    assert "Moving centroids are class means computed from" in html
    assert "Adaptive attacks are made knowing the defense" in html
    gaps = [p["dual_gap"] for c in report.bounds["curves"] for p in c["points"]]
    found = re.search(r'The gap, .*? is at most <data value="(.*?)">', html)
    assert float(found[1]) == max(gaps)


def test_without_a_recommendation_nothing_is_said_of_one(report):
    random = {"flips": LabelFlipAttack(strategy="random")}
    other = quick(*blobs(), attacks=random)
    found = other.recommendation
    assert (found["certified_percentile"], found["defense"]) == (None, "no defense")
    assert found["percentile"] is None
    for one, is_said in ((report, True), (other, False)):
        html = one._html()
        assert ("highlighted row" in html) == is_said
        assert ("vertical line" in html) == is_said
        assert ('class="mark"' in html) == is_said
        assert (html.count("<li><b>") == 5) == is_said


def test_shown_numbers_are_the_exact_ones_rounded(report):
    row = report.percentiles[0]
    html = report._html()
    error = row["clean_error"]
    assert f'<data value="{json.dumps(error)}">{100 * error:.1f} %</data>' in html
    shown = re.search(
        f'<data value="{re.escape(json.dumps(row["upper_bound"]))}">([^<]*)', html
    )
    assert 0 <= float(shown[1]) - row["upper_bound"] < 1e-4  # never below the bound


def test_the_page_needs_nothing_else_and_runs_nothing(report):
    html = report._html()
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    for _, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("href", "#").startswith("#")
        assert "src" not in attrs
    assert not re.search(r"url\(|@import", html)
    policies = [a["content"] for t, a in page.elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    targets = {attrs["href"][1:] for tag, attrs in page.elements if tag == "a"}
    assert targets <= {attrs.get("id") for _, attrs in page.elements}


def test_names_from_the_data_stay_text(hostile):
    html = hostile._html()
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img"}
    assert not any(n.startswith("on") for _, attrs in page.elements for n in attrs)
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;svg onload=alert(3)&gt;" in html
    # Neither escapes for terminals nor changes of direction, nor endless cells.
    for text in (html, hostile._csv(), str(hostile), hostile._json()):
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", text)
    assert "x" * 200 not in hostile._json()


def test_cells_of_the_csv_are_no_formulas(hostile):
    rows = list(csv.reader(io.StringIO(hostile._csv())))
    assert len(rows) == 21
    assert {row[3][:2] for row in rows[1:]} == {"'+"}
    for row in rows[1:]:
        assert not any(re.match(r"[=+@]", cell) for cell in row)


def test_the_csv_lists_what_the_report_lists(report):
    rows = list(csv.DictReader(io.StringIO(report._csv())))
    assert len(rows) == report.suspicious["n_listed"] == 20
    for written, row in zip(rows, report.suspicious["rows"], strict=True):
        assert int(written["position"]) == row["position"]
        assert float(written["score"]) == row["score"]
        assert written["index"] == ""
    assert int(rows[0]["position"]) == 7
    assert "ball: distance to the mean of class" in rows[0]["reasons"]


def test_nothing_is_written_over_unless_told(report, tmp_path):
    for write in (report.to_html, report.to_json, report.suspicious_to_csv):
        path = tmp_path / write.__name__
        write(path)
        first = path.read_bytes()
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            write(path)
        assert path.read_text() == "mine"
        write(str(path), overwrite=True)
        assert path.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 3
    assert json.loads((tmp_path / "to_json").read_text()) == report.to_dict()
    with pytest.raises(ValueError, match="There is no folder"):
        report.to_html(tmp_path / "none" / "page.html")


def test_no_half_file_is_left(report, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skpoison._io.write._move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report.to_html(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(report):
    (frame,) = Page(report._repr_html_()).elements
    assert frame[0] == "iframe"
    assert "sandbox" in frame[1]
    assert frame[1]["srcdoc"] == report._html()


def test_reports_can_be_pickled(report):
    again = pickle.loads(pickle.dumps(report))
    assert again.to_dict() == report.to_dict()
    assert list(again.most_suspicious(3)) == list(report.most_suspicious(3))
    assert "AuditReport of 90 rows" in repr(again)


def test_figures_show_what_the_tables_say(report):
    figures = {figure["name"]: figure for figure in report.figures}
    curve = report.bounds["curves"][0]
    line = figures["bounds"]["series"][0]
    assert line["y"] == [point["upper_bound"] for point in curve["points"]]
    assert any("moving" in one["name"] for one in figures["bounds"]["series"])
    attacked = figures["percentiles"]["series"][0]
    assert attacked["y"] == [row["worst"] for row in report.percentiles]
    for figure in report.figures:
        axis = figure["x"] if figure["kind"] == "ranges" else figure["y"]
        values = [
            v for s in figure["series"] for v in s["x" if axis is figure["x"] else "y"]
        ]
        assert axis["ticks"][0] <= min(values) <= max(values) <= axis["ticks"][-1]


def screenshot(html, folder, width, height, scheme=1):
    """What a browser shows of a page, and where it is not the background."""
    image = pytest.importorskip("matplotlib.image")
    written, picture = folder / "page.html", folder / "page.png"
    written.write_text(html, encoding="utf-8")
    look = [
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={width},{height}",
        f"--screenshot={picture}",
        f"--user-data-dir={folder / 'profile'}",
        written.as_uri(),
    ]
    subprocess.run([*BROWSER, *look], check=True, capture_output=True, timeout=120)
    seen = image.imread(picture)[..., :3]
    assert seen.shape[1] == width
    return seen, np.abs(seen - seen[0, 0]).max(axis=2) > 0.3


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(("width", "scheme"), [(390, 1), (390, 0), (1200, 1)])
def test_a_browser_shows_the_page(report, tmp_path, width, scheme):
    seen, ink = screenshot(report._html(), tmp_path, width, 3000, scheme)
    background = seen[0, 0].mean()
    assert background > 0.9 if scheme else background < 0.2
    assert 0.005 < ink.mean() < 0.5
    # A margin on the right stays free: nothing is wider than the screen.
    assert not ink[:, -8:].any()
    # The lines of a figure have colours.
    assert (np.ptp(seen, axis=2) > 0.3).sum() > 100


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_widest_table_does_not_widen_the_page_on_a_phone(report, tmp_path):
    # The page with one of its sections only.
    before, *sections, _ = re.split("(?=<section)|(?=</body>)", report._html())
    (widest,) = [one for one in sections if 'id="evaluations"' in one]
    html = before.split("<header>")[0] + widest
    assert not screenshot(html, tmp_path, 390, 600)[1][:, -8:].any()
    spilt = html.replace("overflow-x: auto", "overflow-x: visible")
    assert screenshot(spilt, tmp_path, 390, 600)[1][:, -8:].any()


def with_bounds(value, bound):
    """The same content with another number for every upper bound."""
    if isinstance(value, list):
        return [with_bounds(one, bound) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: bound if key.startswith("upper_bound") else with_bounds(one, bound)
        for key, one in value.items()
    }


def test_printed_bounds_are_rounded_up(report):
    content = with_bounds(report.to_dict(), 0.12341)
    found = re.findall(r'value="0.12341">(.*?)<', to_html(content))
    assert len(found) > 5 and set(found) == {"0.1235"}
    sentences = " ".join(summary(content))
    assert "does not exceed 0.1235" in sentences
    assert "nor 0.1235 with moving centroids" in sentences


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_runs_nothing_from_the_data(hostile, tmp_path):
    written = tmp_path / "page.html"
    hostile.to_html(written)
    run = [*BROWSER, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    seen = subprocess.run([*run, written.as_uri()], check=True, capture_output=True,
                          timeout=120, text=True).stdout  # fmt: skip
    assert "&lt;script&gt;alert(1)" in seen
    assert "<script" not in seen and "<img" not in seen


def test_the_documentation_lists_every_key():
    written = audit_json.PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^(?:\||##) `(.*?)`", written, re.MULTILINE)
    assert sorted(listed) == sorted(key for key, *_ in audit_json.keys())
    assert written == audit_json.page(), "run python docs/audit_json.py"


def test_the_example_finds_flipped_rows(tmp_path, capsys, monkeypatch):
    flips = {"flips": LabelFlipAttack(strategy="random")}
    monkeypatch.setattr("skpoison._audit.plan.default_attacks", lambda *_: flips)
    written = tmp_path / "report.html"
    places = runpy.run_path(ROOT / "examples" / "audit_data.py")["main"](written)
    assert len(places) == 5
    assert places.max() <= 25  # of 356
    assert written.stat().st_size > 10_000
    assert "ranks of the flipped rows" in capsys.readouterr().out


def test_without_templates_it_is_said_what_to_install(report, monkeypatch):
    monkeypatch.delitem(sys.modules, "skpoison._audit.html", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match="pip install jinja2"):
        report._html()
    shown = Page(report._repr_html_())
    assert [tag for tag, _ in shown.elements] == ["pre"]
    assert "pip install jinja2" in shown.texts[0]
    assert json.loads(report._json())["schema"] == "skpoison-audit/3"
