"""The pages of the API reference: one for each module, and one for each public name.

They are written from the packages' own lists of public names, so that none is missing.
"""

import importlib
import inspect
import re
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"

# Every public module, with what its page begins with.
MODULES = {
    "skpoison.filters": "Filters: which rows should not be trusted",
    "skpoison.meta": "Filters and attacks around estimators",
    "skpoison.bounds": "Certified bounds",
    "skpoison.verify": "Checking certificate files",
    "skpoison.pointwise": "Guarantees for single predictions",
    "skpoison.feasible": "Rows that an attacker can send past a filter",
    "skpoison.attacks": "Attacks on classical models",
    "skpoison.losses": "Losses of margins",
    "skpoison.evaluation": "Measuring attacks and defenses",
    "skpoison.coreset": "Medoids",
    "skpoison.neural": "Networks",
    "skpoison.datasets": "Published poison sets",
    "skpoison.inspection": "Plots",
    "skpoison.tracing": "Which rows caused this",
    "skpoison.testing": "Checks for filters and attacks of your own",
    "skpoison.persistence": "Saving fitted estimators",
    "skpoison.exceptions": "Warnings",
}
TOP = "The audit"  # of skpoison itself


def public_names():
    """Public names, each under the module that it is documented in.

    Returns
    -------
    names : dict of str to list of str
        Names of every module in ``MODULES``, and of ``skpoison`` itself those that
        are nowhere else.
    """
    names = {
        module: sorted(importlib.import_module(module).__all__) for module in MODULES
    }
    elsewhere = {name for listed in names.values() for name in listed}
    top = importlib.import_module("skpoison").__all__
    own = sorted(set(top) - elsewhere - {"__version__"})
    return {"skpoison": own, **names} if own else names


def pages():
    """Pages as reStructuredText.

    Returns
    -------
    pages : dict of str to str
        The text of each page, by the name of its file.
    """
    listed = public_names()
    examples = [path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")]
    written = {"index.rst": _index(listed)}
    for module, names in listed.items():
        written[f"{module}.rst"] = _module_page(module, names)
        for name in names:
            used = any(re.search(rf"\b{name}\(", text) for text in examples)
            written[f"{module}.{name}.rst"] = _page(module, name, used)
    return written


def write_pages(folder):
    """Write the pages that are new or changed.

    Parameters
    ----------
    folder : Path
        Where to.
    """
    folder.mkdir(exist_ok=True)
    texts = pages()
    for old in folder.glob("*.rst"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _index(listed):
    lines = [_title("API reference", "="), ""]
    lines += ["Every public class and function, by the module it is imported from."]
    for module, names in listed.items():
        lines += ["", _title(f":doc:`{module}`", "-"), "", MODULES.get(module, TOP)]
        lines += _table(module, names)
    lines += ["", ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {module}" for module in listed), ""])


def _module_page(module, names):
    lines = [_title(module, "="), "", f".. module:: {module}", ""]
    lines += [MODULES.get(module, TOP), *_table(module, names)]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {name} <{module}.{name}>" for name in names), ""])


def _table(module, names):
    rows = [f"   {name}" for name in names]
    return ["", f".. currentmodule:: {module}", "", ".. autosummary::", "", *rows]


def _page(module, name, used):
    thing = getattr(importlib.import_module(module), name)
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    lines = [_title(name, "="), "", f".. currentmodule:: {module}", ""]
    lines += [f".. {kind}:: {name}", ""]
    if used:
        lines += [f".. minigallery:: skpoison.{name} {module}.{name}"]
        lines += [f"   :add-heading: Examples using {name}", "   :heading-level: -", ""]
    return "\n".join(lines)


def _title(text, line):
    return f"{text}\n{line * len(text)}"
