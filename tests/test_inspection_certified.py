"""The picture of certified accuracy shows what was computed."""

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB

from skpoison import PartitionedClassifier, certified_radius
from skpoison.inspection import CertifiedAccuracyDisplay

matplotlib.use("Agg")

RADII, Y_TRUE, Y_PRED = np.array([3, 0, 3, 7]), [0, 0, 1, 1], [0, 0, 0, 1]


def test_steps_fall_behind_each_radius():
    display = CertifiedAccuracyDisplay.from_predictions(RADII, Y_TRUE, Y_PRED)
    np.testing.assert_array_equal(display.n_rows, [0, 1, 4, 8])
    np.testing.assert_array_equal(display.certified_accuracy, [0.75, 0.5, 0.25, 0])
    (line,) = display.lines_
    assert line.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(line.get_xydata()[:, 1], [0.75, 0.5, 0.25, 0])
    assert display.ax_.get_legend() is None


def test_balanced_shares_are_named_so():
    display = CertifiedAccuracyDisplay.from_predictions(
        RADII, [0, 0, 0, 1], Y_PRED, balanced=True, attack="flip"
    )
    np.testing.assert_allclose(display.certified_accuracy, [1, 5 / 6, 1 / 2, 0])
    assert display.ax_.get_ylabel() == "Balanced certified accuracy"
    assert display.ax_.get_xlabel() == "Training labels flipped"


def test_several_estimators_have_a_line_each():
    X, y = make_blobs(90, centers=2, random_state=0)
    models = {
        f"{n} parts": PartitionedClassifier(GaussianNB(), n).fit(X[:60], y[:60])
        for n in (3, 9)
    }
    display = CertifiedAccuracyDisplay.from_estimator(
        models, X[60:], y[60:], attack="change", curve_kwargs={"linestyle": ":"}
    )
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        *models
    ]
    for model, points, line in zip(
        models.values(), display.n_rows, display.lines_, strict=True
    ):
        radii = certified_radius(model, X[60:], attack="change")
        assert points[-1] == radii.max() + 1
        assert line.get_linestyle() == ":"


def test_regressors_on_signs_are_drawn_too():
    X, y = make_blobs(60, centers=2, random_state=0)
    signs = 2 * y - 1
    model = Ridge().fit(X[:40], signs[:40])
    display = CertifiedAccuracyDisplay.from_estimator(
        model, X[40:], signs[40:], attack="flip", X_train=X[:40], y_train=signs[:40]
    )
    right = np.sign(model.predict(X[40:])) == signs[40:]
    assert display.certified_accuracy[0] == right.mean()


def test_other_numbers_of_predictions_than_radii_are_refused():
    with pytest.raises(ValueError, match="y_pred must have an entry for each of the 2"):
        CertifiedAccuracyDisplay.from_predictions([RADII, RADII], Y_TRUE, [Y_PRED])
