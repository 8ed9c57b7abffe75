"""EPIC inside the training of networks, and attacks on networks.

Needs PyTorch and skorch, ``pip install "skpoison[neural]"``, which load on first use of
one of the names below.
"""

import importlib
from importlib.util import find_spec

_HOMES = {
    "BullseyePolytopeAttack": "_polytopes",
    "ConvexPolytopeAttack": "_polytopes",
    "EPICCallback": "_callback",
    "EmbeddingFilter": "_embedding",
    "FeatureCollisionAttack": "_feature_collision",
    "FilteredNetClassifier": "_net",
    "JPEGCompressor": "_jpeg",
    "LayerFeatures": "_features",
    "GradientMatchingAttack": "_gradient_matching",
    "RandomCropFlip": "_augment",
    "RelearningClassifier": "_relearning",
    "SleeperAgentAttack": "_sleeper_agent",
    "Trigger": "_trigger",
    "TriggerBackdoorAttack": "_backdoor",
    "evaluate_backdoor": "_evaluate_backdoor",
    "evaluate_targeted": "_evaluate",
    "load_published_poisons": "_published",
}
_NEEDED = ("torch", "skorch")

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"skpoison.neural.{name} needs {' and '.join(missing)}: "
            'pip install "skpoison[neural]".'
        )
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted({*globals(), *_HOMES})
