"""Published poison sets, read safely."""

from skpoison._lazy import lazy_names

_HOMES = {"load_published_poisons": "_published"}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
