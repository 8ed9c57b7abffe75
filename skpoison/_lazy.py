"""Names of a package that load on first use."""

import importlib


def lazy_names(package, homes):
    """Return ``__getattr__`` and ``__dir__`` for a package's ``__init__``.

    Parameters
    ----------
    package : str
        The package's name.
    homes : dict of str to str
        For each public name, the module of the package that it lives in.

    Returns
    -------
    getattr, dir : callable
        What the package defines as ``__getattr__`` and ``__dir__``.
    """

    def __getattr__(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    def __dir__():
        # What the package itself imports is none of its names.
        own = vars(importlib.import_module(package))
        return sorted({*(name for name in own if name.startswith("__")), *homes})

    return __getattr__, __dir__
