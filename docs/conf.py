"""How the documentation is built: ``sphinx-build -W docs docs/_build``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from api_pages import write_pages  # noqa: E402
from inventories import mapping, write_inventories  # noqa: E402

import skpoison  # noqa: E402

project = "skpoison"
author = "The skpoison developers"
copyright = f"2026, {author}"
release = version = skpoison.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "literal_links",
]
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "sg_execution_times.rst", "gallery/*.ipynb"]
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_typehints = "none"  # numpydoc's sections say types, with shapes
autosummary_generate = False
numpydoc_show_class_members = False
html_theme = "pydata_sphinx_theme"
html_title = "skpoison"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_prev_next": False,
    "show_toc_level": 2,
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
intersphinx_mapping = mapping(HERE / "_build" / "inventories")
intersphinx_timeout = 5
sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__",
    "download_all_examples": False,
    "abort_on_example_error": True,
    "capture_repr": (),
    "show_signature": False,
    "min_reported_time": 1e9,
    "plot_gallery": "True",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skpoison",),
}


def skip_foreign_members(app, what, name, thing, skip, options):
    """Leave what scikit-learn and skorch bring along to their own documentation."""
    home = getattr(thing, "__module__", None) or "skpoison"
    return skip or not home.startswith("skpoison")


def setup(app):
    """Write the reference and the inventories before anything is read."""
    write_inventories(HERE / "_build" / "inventories")
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "api"))
    app.connect("autodoc-skip-member", skip_foreign_members)
