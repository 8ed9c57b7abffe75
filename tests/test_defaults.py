"""Whatever takes a filter where none is given takes the same one as its like."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.svm import LinearSVC

from skpoison import (
    CertifiedBound,
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    PoisonedClassifier,
)
from skpoison._cli.judgement import build_filter
from skpoison._cli.settings import BoundSettings
from skpoison._defaults import default_cleaner, default_filter
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.inspection._losses import with_percentiles

FITTED = {
    "CertifiedBound": CertifiedBound(),
    "moving centroids": CertifiedBound(defense="moving_centroids", max_iter=2),
    "MinMaxAttack": MinMaxAttack(),
    "KKTAttack": KKTAttack(),
    "GradientAttack": GradientAttack(max_iter=1),
    "LabelFlipAttack": LabelFlipAttack(strategy="feasible"),
}
CLEANERS = {
    "FilteredClassifier": FilteredClassifier(estimator=LinearSVC()),
    "FilteredRegressor": FilteredRegressor(),
    "DropOutliers": DropOutliers(),
}


@pytest.fixture(scope="module")
def data():
    return make_blobs(80, 3, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITTED)
def test_the_default_filter_is_the_same_everywhere(name, data):
    found = clone(FITTED[name]).fit(*data).filter_
    wanted = default_filter().fit(*data)
    assert list(found.named_filters_) == ["sphere", "slab"]
    for member, other in zip(found.filters_, wanted.filters_, strict=True):
        assert type(member) is type(other)
        np.testing.assert_array_equal(member.radii_, other.radii_)


@pytest.mark.parametrize("name", CLEANERS)
def test_what_cleans_data_takes_the_filter_that_needs_nothing_known(name, data):
    found = clone(CLEANERS[name]).fit(*data).filter_
    assert repr(found) == repr(default_cleaner()) == "AutoFilter(random_state=0)"


def test_attacks_are_evaluated_against_a_filter_that_they_know(data):
    inner = PoisonedClassifier(LabelFlipAttack(epsilon=0.05)).fit(*data).estimator_
    assert repr(inner.filter_) == repr(default_filter())


def test_so_is_that_of_displays_and_of_the_command_line():
    wanted = default_filter(80.0)
    (drawn,) = with_percentiles(CertifiedBound(), [80]).values()
    for found in (
        drawn.filter,
        build_filter("both", 80.0),
        BoundSettings(epsilons=(0.1,), percentile=80.0).bound().filter,
    ):
        assert repr(found) == repr(wanted)
        assert [name for name, _ in found.filters] == ["sphere", "slab"]
    assert [repr(build_filter(name, 80.0)) for name, _ in wanted.filters] == [
        repr(one) for _, one in wanted.filters
    ]
