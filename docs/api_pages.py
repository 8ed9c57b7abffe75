"""The pages of the API reference, one for each public name.

They are written from the packages' own lists of public names, so that none is missing.
"""

import importlib
import inspect

# Every public module, with what its page begins with.
MODULES = {
    "skpoison.filters": "Filters: which rows should not be trusted",
    "skpoison.meta": "Filters and attacks around estimators",
    "skpoison.bounds": "Certified bounds",
    "skpoison.feasible": "Rows that an attacker can send past a filter",
    "skpoison.attacks": "Attacks on classical models",
    "skpoison.losses": "Losses of margins",
    "skpoison.evaluation": "Measuring attacks and defenses",
    "skpoison.coreset": "Medoids",
    "skpoison.neural": "Networks",
    "skpoison.datasets": "Published poison sets",
    "skpoison.inspection": "Pictures",
    "skpoison.testing": "Checks for filters and attacks of your own",
    "skpoison.exceptions": "Warnings",
}


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
    written = {"index.rst": _index()}
    for module, names in public_names().items():
        for name in names:
            written[f"{module}.{name}.rst"] = _page(module, name)
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


def _index():
    lines = [_title("API reference", "="), ""]
    for module, names in public_names().items():
        title = MODULES.get(module, "The audit")
        lines += [_title(title, "-"), "", f".. currentmodule:: {module}", ""]
        lines += [".. autosummary::", ""]
        lines += [f"   {name}" for name in names]
        lines += ["", ".. toctree::", "   :hidden:", ""]
        lines += [f"   {module}.{name}" for name in names] + [""]
    return "\n".join(lines)


def _page(module, name):
    thing = getattr(importlib.import_module(module), name)
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    lines = [_title(name, "="), "", f".. currentmodule:: {module}", ""]
    return "\n".join([*lines, f".. {kind}:: {name}", ""])


def _title(text, line):
    return f"{text}\n{line * len(text)}"
