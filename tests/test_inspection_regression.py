"""The display of bounds of a regressor."""

import numpy as np
import pytest
from oracles import rows_with_targets
from sklearn.linear_model import HuberRegressor, Ridge

from skpoison import CertifiedBound, SphereFilter, bound_curve
from skpoison.inspection import BoundDisplay

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    ("estimator", "name"),
    [(Ridge(), "Half the squared error"), (HuberRegressor(), "Huber loss with its")],
    ids=str,
)
def test_bounds_of_regressors_are_plotted(estimator, name):
    X, y = rows_with_targets(0)
    bound = CertifiedBound(estimator=estimator)
    display = BoundDisplay.from_estimator(
        bound, X, y, epsilons=[0.05, 0.2], percentiles=[80, 90], X_test=X, y_test=y
    )
    assert display.loss_name.startswith(name)
    assert len(display.filtered_loss) == 2
    clean = display.unfiltered_loss
    assert all(loss >= clean * (1 - 1e-3) for loss in display.filtered_loss)


def test_test_losses_of_a_regressor_are_those_of_its_poisoned_learner():
    X, y = rows_with_targets(0)
    bound = CertifiedBound(SphereFilter(80), estimator=Ridge())
    curve = bound_curve(bound, X, y, [0.1, 0.2])
    display = BoundDisplay.from_curve(curve, X_test=X, y_test=y)
    fitted = curve.estimators[1]
    errors = X @ fitted.poisoned_coef_ + fitted.poisoned_intercept_ - y
    assert display.test_loss[1] == pytest.approx(np.mean(errors**2) / 2)
