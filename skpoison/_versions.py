"""Fitted estimators remember which versions they were fitted with."""

import warnings
from typing import Any

import sklearn

from skpoison.exceptions import InconsistentVersionWarning

OWN = "_skpoison_version"
OF_SKLEARN = "_sklearn_version"
UNKNOWN = "unknown"


class VersionedMixin:
    """Warns when an estimator is loaded in other versions than it was saved in.

    It is for pickle, joblib, copies and skops alike. It must come before
    `BaseEstimator`, which does this for scikit-learn's own estimators only.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**state, OWN: _version(), OF_SKLEARN: sklearn.__version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        for package, key, current in (
            ("skpoison", OWN, _version()),
            ("scikit-learn", OF_SKLEARN, sklearn.__version__),
        ):
            saved = state.pop(key, UNKNOWN)
            if saved != current:
                name = type(self).__name__
                warnings.warn(
                    InconsistentVersionWarning(
                        estimator_name=name,
                        package=package,
                        current_version=current,
                        original_version=saved,
                    ),
                    stacklevel=2,
                )
        super().__setstate__(state)  # type: ignore[misc]


def _version():
    from skpoison import __version__

    return __version__
