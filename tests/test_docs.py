"""The documentation keeps its word: its Python runs, its reference is complete."""

import importlib
import pkgutil
import re
import sys
import types
from pathlib import Path

import pytest

import skpoison

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))
api_pages = importlib.import_module("api_pages")
inventories = importlib.import_module("inventories")

PAGES = sorted(page.name for page in DOCS.glob("*.md"))


# Named without an underscore, and not for users but through what is listed.
INTERNAL = (
    "skpoison.cli",
    "skpoison.base",
    "skpoison.solvers",
    "skpoison.bounds.moving",
    "skpoison.feasible.discrete",
)


def blocks(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_python_blocks_of_a_page_run_one_after_the_other(page, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib.pyplot")
    if "neural" in page:
        pytest.importorskip("skorch")
    if "pipelines" in page:
        pytest.importorskip("skops")
    if "large" in page:
        pytest.importorskip("dask.dataframe")
    monkeypatch.chdir(tmp_path)  # where a page writes files
    # A module of its own, so that classes of the page can be pickled.
    module = types.ModuleType("page_of_the_documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code in blocks(page):
        exec(compile(code, page, "exec"), vars(module))


def public_modules():
    """Packages and modules without an underscore, wherever they lie."""
    found = pkgutil.walk_packages(skpoison.__path__, "skpoison.")
    names = [module.name for module in found]
    return [name for name in names if not any(p[0] == "_" for p in name.split("."))]


def test_every_public_name_has_a_page_in_the_reference():
    listed = {name for names in api_pages.public_names().values() for name in names}
    assert set(skpoison.__all__) - {"__version__"} <= listed
    for module in public_modules():
        names = set(getattr(importlib.import_module(module), "__all__", ()))
        if module not in INTERNAL:
            assert names <= listed, module
    pages = api_pages.pages()
    for module, names in api_pages.public_names().items():
        for name in names:
            assert f":: {name}\n" in pages[f"{module}.{name}.rst"]
            assert f"   {name} <{module}.{name}>\n" in pages[f"{module}.rst"]
            assert f"   {name}\n" in pages["index.rst"]
        assert f"   {module}\n" in pages["index.rst"]


def test_pages_are_written_once_and_old_ones_removed(tmp_path):
    folder = tmp_path / "api"
    api_pages.write_pages(folder)
    (folder / "skpoison.Gone.rst").write_text("old")
    before = {page: page.stat().st_mtime_ns for page in folder.glob("*.rst")}
    api_pages.write_pages(folder)
    after = {page: page.stat().st_mtime_ns for page in folder.glob("*.rst")}
    del before[folder / "skpoison.Gone.rst"]
    assert after == before


def test_an_example_is_shown_with_what_it_uses():
    pages = api_pages.pages()
    gallery = ".. minigallery:: skpoison.SphereFilter skpoison.filters.SphereFilter\n"
    assert gallery in pages["skpoison.filters.SphereFilter.rst"]
    assert "minigallery" not in pages["skpoison.exceptions.FilterWarning.rst"]


def entries(page):
    """Return the pages of this folder that a page's tables of contents name."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    lines = re.findall(r"```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)```", text, re.DOTALL)
    named = [line.rstrip(">").rpartition("<")[2] for line in "".join(lines).split("\n")]
    patterns = filter(None, named)
    return {path.stem for name in patterns for path in DOCS.glob(f"{name}.md")}


def test_every_page_can_be_reached_from_the_first():
    reached, waiting = {"index"}, ["index"]
    while waiting:
        new = entries(waiting.pop()) - reached
        reached |= new
        waiting += new
    assert {page.removesuffix(".md") for page in PAGES} == reached


def test_navigation_has_at_most_seven_entries():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```\{toctree\}\n:hidden:\n\n(.*?)```", text, re.DOTALL)
    assert 4 <= len(lines.split()) <= 7


def test_names_linked_without_a_network_exist_and_are_read_by_sphinx():
    reader = pytest.importorskip("sphinx.util.inventory").InventoryFile
    for project, (address, page, names) in inventories.PROJECTS.items():
        if project in ("skorch", "torch"):
            pytest.importorskip(project)
        found = reader.loads(inventories.inventory(project, page, names), uri=address)
        items = [name for kind in found.data.values() for name in kind]
        assert sorted(items) == sorted(names)
        assert all(name.startswith(f"{project}.") for name in names)


@pytest.mark.parametrize(
    "example",
    sorted((DOCS.parent / "examples").glob("*.py")),
    ids=lambda path: path.name,
)
def test_examples_begin_with_a_title(example):
    first, second = example.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith('"""')
    assert second == "=" * (len(first) - 3)


@pytest.mark.parametrize(
    "example",
    sorted((DOCS.parent / "examples").glob("*.py")),
    ids=lambda path: path.name,
)
def test_examples_draw_the_picture_that_the_gallery_shows(example):
    text = example.read_text(encoding="utf-8")
    assert "plt.show()" in text or "sphinx_gallery_thumbnail_path" in text
