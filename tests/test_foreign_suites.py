"""scikit-learn's and imbalanced-learn's own suites, run on our classes."""

import io
from contextlib import redirect_stdout

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skpoison import (
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    PoisonedClassifier,
    SphereFilter,
)
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import DefenseSearchCV
from skpoison.filters import LossFilter, TrimFilter

FLIPS = LabelFlipAttack(epsilon=0.2, random_state=0)

pytestmark = pytest.mark.usefixtures("few_trees")


def installed(suite):
    """Import a test module of another package, if its wheel has it; mute its prints."""
    with redirect_stdout(io.StringIO()):
        return pytest.importorskip(suite, exc_type=ImportError)


# ---- scikit-learn: metadata goes where it is requested

PREDICTING = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
ROUTERS = {
    "FilteredClassifier": {
        "metaestimator": FilteredClassifier,
        "estimator": "classifier",
        "estimator_routing_methods": ["fit", *PREDICTING, "score"],
    },
    "FilteredRegressor": {
        "metaestimator": FilteredRegressor,
        "estimator": "regressor",
        "estimator_routing_methods": ["fit", "predict", "score"],
    },
    "LossFilter": {
        "metaestimator": LossFilter,
        "estimator": "classifier",
        "estimator_routing_methods": ["fit"],
    },
    "TrimFilter": {
        "metaestimator": TrimFilter,
        "estimator": "regressor",
        "estimator_routing_methods": ["fit"],
    },
    # Poison has no metadata, so that the fits of these two hand none to estimators.
    "PoisonedClassifier": {
        "metaestimator": PoisonedClassifier,
        "estimator": "classifier",
        "init_args": {"attack": FLIPS},
        "estimator_routing_methods": [*PREDICTING, "score"],
    },
    "DefenseSearchCV": {
        "metaestimator": DefenseSearchCV,
        "estimator": "classifier",
        "init_args": {
            "attack": FLIPS,
            "param_grid": {"alpha": [0.0]},
            "scoring": "accuracy",
            "cv": 2,
        },
        "cv_name": "cv",
        "cv_routing_methods": ["fit"],
        "estimator_routing_methods": [*PREDICTING, "score"],
        # The search fits clones and throws them away.
        "filter_registry": dict.fromkeys([*PREDICTING, "score"], slice(-1, None)),
    },
}


@pytest.fixture(params=ROUTERS)
def router(request):
    suite = installed("sklearn.tests.test_metaestimators_metadata_routing")
    data = {"X": suite.X, "y": suite.y, "estimator_name": "estimator"}
    return suite, data | {"preserves_metadata": "subset"} | ROUTERS[request.param]


@pytest.mark.parametrize(
    "name",
    [
        "test_default_request",
        "test_error_on_missing_requests_for_sub_estimator",
        "test_setting_request_on_sub_estimator_removes_error",
        "test_non_consuming_estimator_works",
        "test_metadata_is_routed_correctly_to_splitter",
        "test_metadata_routed_to_sub_estimator_in_pipeline",
        "test_metadata_routed_to_group_splitter",
    ],
)
def test_metadata_is_routed_as_scikit_learn_tests_it(router, name):
    suite, info = router
    methods = info["estimator_routing_methods"]
    if "missing" in name and "fit" not in methods:
        pytest.skip("the suite fits with metadata, which this fit does not take")
    getattr(suite, name)(info)


# ---- scikit-learn: methods are those of the estimator inside

DELEGATORS = {
    "FilteredClassifier": lambda inner: FilteredClassifier(SphereFilter(), inner),
    "FilteredRegressor": lambda inner: FilteredRegressor(SphereFilter(), inner),
    "PoisonedClassifier": lambda inner: PoisonedClassifier(FLIPS, inner),
    "DefenseSearchCV": lambda inner: DefenseSearchCV(
        FLIPS, inner, {"param": [5]}, scoring=lambda *args: 0.0, cv=2
    ),
}
OF_CLASSIFIERS = ["decision_function", "predict_proba", "predict_log_proba"]


@pytest.mark.parametrize("name", DELEGATORS)
def test_methods_are_delegated_as_scikit_learn_tests_it(name, monkeypatch):
    suite = installed("sklearn.tests.test_metaestimators")
    skipped = ["transform", "inverse_transform"]
    skipped += OF_CLASSIFIERS if name == "FilteredRegressor" else []
    ours = suite.DelegatorData(name, DELEGATORS[name], skip_methods=skipped)
    monkeypatch.setattr(suite, "DELEGATING_METAESTIMATORS", [ours])
    suite.test_metaestimator_delegation()


def test_data_are_validated_inside_as_scikit_learn_tests_it():
    suite = installed("sklearn.tests.test_metaestimators")
    filter_ = make_pipeline(TfidfVectorizer(), SphereFilter())
    for made, inner in (
        (FilteredClassifier, LogisticRegression()),
        (FilteredRegressor, Ridge()),
    ):
        filtered = made(filter_, make_pipeline(TfidfVectorizer(), inner))
        suite.test_meta_estimators_delegate_data_validation(filtered)


# ---- imbalanced-learn: samplers

NO_STRATEGY = "no sampling_strategy: what is dropped or added does not balance classes"
ONE_COLUMN = "labels are one column"
EXPECTED = {
    "check_samplers_fit": NO_STRATEGY,
    "check_samplers_multiclass_ova": ONE_COLUMN,
}
OF_DROPPING = {"check_samplers_one_label": "rows of one class can be dropped too"}


def sampler_checks():
    """Pairs of a sampler and one of imbalanced-learn's checks."""
    try:
        from imblearn.utils.estimator_checks import estimator_checks_generator
    except ImportError:
        return []
    samplers = (
        (DropOutliers(SphereFilter(80)), EXPECTED | OF_DROPPING),
        (FLIPS, EXPECTED),
    )
    return [
        case
        for sampler, expected in samplers
        for case in estimator_checks_generator(
            sampler, expected_failed_checks=expected, mark="xfail"
        )
    ]


# Labels in a column of their own are taken with scikit-learn's warning.
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize(("sampler", "check"), sampler_checks())
def test_imbalanced_learn_checks(sampler, check):
    check(sampler)


@pytest.mark.parametrize(
    "attack", [GradientAttack(0.1, max_iter=3), KKTAttack(0.1), MinMaxAttack(0.1)]
)
@pytest.mark.parametrize(
    "name",
    [
        "check_target_type",
        "check_samplers_one_label",
        "check_sampler_get_feature_names_out",
        "check_sampler_get_feature_names_out_pandas",
    ],
)
def test_imbalanced_learn_checks_of_two_classes(attack, name):
    checks = pytest.importorskip("imblearn.utils.estimator_checks")
    getattr(checks, name)(type(attack).__name__, attack)


def test_imbalanced_learn_knows_samplers_by_their_tags():
    base = pytest.importorskip("imblearn.base")
    for sampler in (DropOutliers(), FLIPS, MinMaxAttack()):
        assert base.is_sampler(sampler)
        assert get_tags(sampler).input_tags.dataframe
