"""EPIC inside the training of networks, and attacks on networks.

Needs PyTorch and skorch, ``pip install torch skorch``, which are imported on first use
of one of the names below.
"""

from importlib.util import find_spec

from skpoison._lazy import lazy_names

_HOMES = {
    "BullseyePolytopeAttack": "_polytopes",
    "ConvexPolytopeAttack": "_polytopes",
    "EPICCallback": "_callback",
    "EmbeddingFilter": "_embedding",
    "FeatureCollisionAttack": "_feature_collision",
    "FilteredNetBinaryClassifier": "_nets",
    "FilteredNetClassifier": "_nets",
    "FilteredNetMixin": "_net",
    "FilteredNetRegressor": "_nets",
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
}
_NEEDED = ("torch", "skorch")

__all__ = [*_HOMES]


_load, __dir__ = lazy_names(__name__, _HOMES)


def __getattr__(name):
    if name in _HOMES:
        _check_needed(name)
    return _load(name)


def _check_needed(name):
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"skpoison.neural.{name} needs {' and '.join(missing)}: pip install "
            f"{' '.join(missing)}."
        )
