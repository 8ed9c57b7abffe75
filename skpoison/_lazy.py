"""Names of a package that load on first use; imports nothing that costs time itself."""

import importlib
from collections.abc import Callable
from typing import Any


def lazy_names(
    package: str, homes: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package's ``__init__``.

    `homes` says, for each public name, which module of the package it lives in.
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
