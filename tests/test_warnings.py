"""Where warnings point."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.filters import LossFilter

X, y = make_blobs(60, centers=[[-1, 0], [1, 0]], random_state=0)


@pytest.mark.parametrize(
    "act",
    [
        lambda: SlabFilter().fit(X),
        lambda: (SphereFilter() & SlabFilter()).fit_predict(X),
        lambda: LossFilter().fit_filter(X, np.zeros(60)),
        lambda: CertifiedBound(epsilon=0.1, max_iter=1, tol=1e-9).fit(X, y),
        lambda: GridSearchCV(SlabFilter(), {"percentile": [70]}, scoring=zero).fit(X),
    ],
    ids=["fit", "fit_predict", "fit_filter", "bound", "search"],
)
def test_warnings_point_at_the_line_that_called(act):
    with pytest.warns(UserWarning) as caught:
        act()
    assert {warning.filename for warning in caught} == {__file__}


def zero(*args):
    return 0.0
