"""The instances that scikit-learn's checks run on, and the checks expected to fail.

Each failure stands here with its reason; one that no longer fails is an error.
"""

from skpoison import (
    CertifiedBound,
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    FilterIntersection,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
)

INSTANCES = [
    SphereFilter(),
    SlabFilter(),
    FilterIntersection([("sphere", SphereFilter()), ("slab", SlabFilter())]),
    FilteredClassifier(),
    FilteredRegressor(),
    DropOutliers(),
    CertifiedBound(),
    NormConstrainedSVC(),
]

_REPLACES = "fit_transform replaces rejected training rows; transform leaves new rows"
_REPLACING = {
    "check_transformer_general": _REPLACES,
    "check_transformer_data_not_an_array": _REPLACES,
}
_NO_DIRECTION = "without labels a slab has no direction: every row is kept"

EXPECTED_FAILURES = {
    SphereFilter: _REPLACING,
    SlabFilter: {
        **_REPLACING,
        "check_outliers_train": _NO_DIRECTION,
        "check_outliers_fit_predict": _NO_DIRECTION,
    },
    FilterIntersection: _REPLACING,
}


def expected_failures(estimator):
    """Return the checks that an instance is expected to fail, with the reasons."""
    return EXPECTED_FAILURES.get(type(estimator), {})
