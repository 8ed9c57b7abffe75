"""What holds for every public estimator."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from expected_failures import INSTANCES, expected_failures
from numpydoc.docscrape import ClassDoc
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import skpoison

pytestmark = pytest.mark.usefixtures("few_trees")

each_estimator = pytest.mark.parametrize(
    "estimator", INSTANCES, ids=lambda estimator: type(estimator).__name__
)


# Checks fit without labels, or with one class, where a slab warns.
@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@parametrize_with_checks(
    INSTANCES, expected_failed_checks=expected_failures, xfail_strict=True
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_every_public_estimator_is_checked():
    public = (
        getattr(home, name)
        for home in (
            skpoison,
            skpoison.attacks,
            skpoison.evaluation,
            skpoison.filters,
            skpoison.pointwise,
        )
        for name in home.__all__
    )
    estimators = {
        thing
        for thing in public
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
    } - {skpoison.attacks.BaseAttack}
    assert estimators == {type(instance) for instance in INSTANCES}


@pytest.fixture
def labelled_frame():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = rng.normal(size=(60, 3)) + 3 * y[:, None]
    return pd.DataFrame(X, columns=["a", "b", "c"]), y


def documented(estimator):
    sections = ClassDoc(type(estimator))
    return {
        section: {parameter.name for parameter in sections[section]}
        for section in ("Parameters", "Attributes")
    }


@pytest.mark.filterwarnings("ignore:The subspace has all")
@each_estimator
def test_documented_attributes_are_the_fitted_ones(estimator, labelled_frame):
    fitted = clone(estimator).fit(*labelled_frame)
    names = documented(estimator)["Attributes"]
    found = {name for name in vars(fitted) if name[0] != "_" and name[-1] == "_"}
    assert found <= names
    missing = {name for name in names if not hasattr(fitted, name)}
    has_targets = get_tags(fitted).regressor_tags is not None
    assert missing == ({"classes_"} & set(names) if has_targets else set())


@each_estimator
def test_documented_parameters_are_the_constructor_s(estimator):
    signature = inspect.signature(type(estimator))
    assert documented(estimator)["Parameters"] == set(signature.parameters)


@pytest.mark.filterwarnings("ignore:The subspace has all")
@each_estimator
def test_fitting_again_or_pickling_changes_nothing(estimator, labelled_frame):
    first = clone(estimator).fit(*labelled_frame)
    for other in (clone(first).fit(*labelled_frame), pickle.loads(pickle.dumps(first))):
        for name in ("inlier_mask_", "scores_", "coef_"):
            if hasattr(first, name):
                np.testing.assert_array_equal(
                    getattr(first, name), getattr(other, name)
                )


@each_estimator
def test_unknown_parameters_are_refused(estimator):
    with pytest.raises(ValueError, match="Invalid parameter 'rubbish'"):
        clone(estimator).set_params(rubbish=1)
