"""The instances that scikit-learn's checks run on, and the checks expected to fail.

Each failure stands here with its reason; one that no longer fails is an error. Filters
reject a share of the rows: most rows of the checks are honest, and are all kept with
``percentile="auto"``, which some checks take for a filter that does nothing.
"""

from sklearn.linear_model import LogisticRegression, Ridge

from skpoison import (
    AutoFilter,
    CertifiedBound,
    DropOutliers,
    EPICFilter,
    FilteredClassifier,
    FilteredRegressor,
    FilterIntersection,
    NormConstrainedSVC,
    PartitionedClassifier,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
)
from skpoison.attacks import (
    GradientAttack,
    KKTAttack,
    LabelFlipAttack,
    MinMaxAttack,
    TargetFlipAttack,
)
from skpoison.evaluation import DefenseSearchCV
from skpoison.filters import (
    ActivationClusteringFilter,
    CrossFitFilter,
    FilterUnion,
    LossFilter,
    MahalanobisFilter,
    NearCopyFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
    TrimFilter,
)
from skpoison.meta import PoisonedRegressor
from skpoison.pointwise import TwoMeansClassifier

INSTANCES = [
    SphereFilter(70),
    SlabFilter(70),
    FilterIntersection([("sphere", SphereFilter(70)), ("slab", SlabFilter(70))]),
    FilterUnion([("sphere", SphereFilter(70)), ("slab", SlabFilter(70))]),
    ActivationClusteringFilter(max_fraction=0.5, random_state=0),
    AutoFilter(random_state=0),
    CrossFitFilter(random_state=0),
    EPICFilter(random_state=0),
    LossFilter(70),
    MahalanobisFilter(70),
    NearCopyFilter(),
    NeighborsFilter(70),
    SeverFilter(70),
    SpectralFilter(contamination=0.3),
    SubspaceFilter(70),
    TrimFilter(70, random_state=0),
    FilteredClassifier(),
    FilteredRegressor(),
    DropOutliers(),
    CertifiedBound(),
    CertifiedBound(estimator=Ridge()),
    NormConstrainedSVC(),
    PartitionedClassifier(LogisticRegression(), n_partitions=5),
    TwoMeansClassifier(),
    GradientAttack(max_iter=5),
    KKTAttack(),
    LabelFlipAttack(epsilon=0.2),
    MinMaxAttack(),
    MinMaxAttack(estimator=Ridge()),
    TargetFlipAttack(epsilon=0.2),
    PoisonedClassifier(LabelFlipAttack(epsilon=0.2, random_state=0)),
    PoisonedRegressor(TargetFlipAttack(epsilon=0.02, random_state=0)),
    DefenseSearchCV(
        LabelFlipAttack(epsilon=0.2, random_state=0),
        FilteredClassifier(SphereFilter()),
        {"filter__percentile": [70, 100]},
        cv=2,
        error_score="raise",
    ),
]

_REPLACES = "fit_transform replaces rejected training rows; transform leaves new rows"
_REPLACING = {
    "check_transformer_general": _REPLACES,
    "check_transformer_data_not_an_array": _REPLACES,
}
_NO_DIRECTION = "without labels a slab has no direction: every row is kept"
_NO_CLASSIFIER = "without labels there is no classifier to fit: every row is kept"
_NO_REGRESSOR = "without targets there is no regressor to fit: every row is kept"
_NO_COPIES = "the check plants rows far away, not copies: every row is kept"
_ALL_IN_THE_SUBSPACE = "the subspace of few features is all there is: every row is kept"

_NOTHING_IS_FAR = "the check plants nothing out of all proportion: every row is kept"
_COPIES_ARE_GROUPED = "a row twice is a group of near copies, a weight of 2 is not"

_UNWEIGHTED = "the filter judges each row once, whatever its weight"
_EACH_ROW_ONCE = {
    "check_sample_weight_equivalence_on_dense_data": _UNWEIGHTED,
    "check_sample_weight_equivalence_on_sparse_data": _UNWEIGHTED,
}


def _keeping_all(reason):
    return {
        **_REPLACING,
        "check_outliers_train": reason,
        "check_outliers_fit_predict": reason,
    }


def _weighing(reason):
    return {
        "check_outliers_train": reason,
        "check_outliers_fit_predict": reason,
        "check_sample_weight_equivalence_on_dense_data": _COPIES_ARE_GROUPED,
        "check_sample_weight_equivalence_on_sparse_data": _COPIES_ARE_GROUPED,
    }


EXPECTED_FAILURES = {
    AutoFilter: _weighing(_NOTHING_IS_FAR),
    CrossFitFilter: _weighing(_NO_CLASSIFIER),
    SphereFilter: _REPLACING,
    SlabFilter: _keeping_all(_NO_DIRECTION),
    FilterIntersection: _REPLACING,
    FilterUnion: _keeping_all(_NO_DIRECTION),
    ActivationClusteringFilter: _REPLACING,
    EPICFilter: {"check_outliers_fit_predict": _NO_CLASSIFIER},
    LossFilter: _keeping_all(_NO_CLASSIFIER) | _EACH_ROW_ONCE,
    MahalanobisFilter: _REPLACING,
    NearCopyFilter: {
        "check_outliers_train": _NO_COPIES,
        "check_outliers_fit_predict": _NO_COPIES,
    },
    NeighborsFilter: _REPLACING,
    SeverFilter: _keeping_all(_NO_CLASSIFIER) | _EACH_ROW_ONCE,
    SpectralFilter: _REPLACING,
    SubspaceFilter: _keeping_all(_ALL_IN_THE_SUBSPACE),
    TrimFilter: _keeping_all(_NO_REGRESSOR) | _EACH_ROW_ONCE,
    CertifiedBound: _EACH_ROW_ONCE,
    FilteredClassifier: _EACH_ROW_ONCE,
    FilteredRegressor: _EACH_ROW_ONCE,
}


def expected_failures(estimator):
    """Return the checks that an instance is expected to fail, with the reasons."""
    return EXPECTED_FAILURES.get(type(estimator), {})
