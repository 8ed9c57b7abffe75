"""Loss and gradient filters, against plain loops and finite differences."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import hinge_loss, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skpoison.filters import LossFilter, SeverFilter, _losses
from skpoison.filters._sever import gradients

LOSSES = ["hinge", "log_loss", "squared"]


def flipped(centers=2, n_samples=300, seed=0):
    """Blobs, the first tenth of the rows with wrong labels."""
    X, y = make_blobs(n_samples, 4, centers=centers, cluster_std=4, random_state=seed)
    y[: n_samples // 10] = (y[: n_samples // 10] + 1) % centers
    return X, y


@pytest.mark.parametrize("centers", [2, 4])
def test_losses_are_those_of_scikit_learn(centers):
    X, y = flipped(centers)
    svc = LinearSVC(max_iter=10_000).fit(X, y)
    found = _losses.row_losses(svc, X, y, "hinge")
    np.testing.assert_allclose(found.mean(), hinge_loss(y, svc.decision_function(X)))
    logistic = LogisticRegression().fit(X, y)
    found = _losses.row_losses(logistic, X, y, "log_loss")
    np.testing.assert_allclose(found.mean(), log_loss(y, logistic.predict_proba(X)))
    ridge = RidgeClassifier().fit(X, y)
    targets = 2.0 * (np.arange(centers) == y[:, None]) - 1
    targets = targets[:, 1] if centers == 2 else targets
    squares = (targets - ridge.decision_function(X)) ** 2
    found = _losses.row_losses(ridge, X, y, "squared")
    np.testing.assert_allclose(found.sum(), squares.sum())


def test_the_loss_of_a_probability_of_zero_is_finite():
    X, y = flipped()
    forest = RandomForestClassifier(5, random_state=0)
    fitted = LossFilter(estimator=forest, max_iter=1).fit(X, y)
    assert np.isfinite(fitted.scores_).all()


def plain_trim(X, y, estimator, n_iter):
    """TRIM in two lines a round, with the squared loss of targets 1 and -1."""
    signs = 2 * y - 1
    kept = np.ones(len(y), dtype=bool)
    trimmed = []
    for _ in range(n_iter):
        model = clone(estimator).fit(X[kept], y[kept])
        losses = (signs - model.decision_function(X)) ** 2
        radii = [np.percentile(losses[y == k], 80) for k in (0, 1)]
        kept = losses <= np.take(radii, y)
        trimmed.append(losses[kept].mean())
    return kept, losses, trimmed


@pytest.mark.parametrize("n_iter", [1, 2, 30])
def test_rounds_are_those_of_trim(n_iter):
    X, y = flipped()
    ridge = RidgeClassifier(alpha=1e-6)
    kept, losses, trimmed = plain_trim(X, y, ridge, n_iter)
    trim = LossFilter(80, estimator=ridge, loss="squared", max_iter=n_iter, tol=0)
    if n_iter == 2:
        with pytest.warns(ConvergenceWarning, match="after max_iter=2 fits"):
            trim.fit(X, y)
    else:
        trim.fit(X, y)
    np.testing.assert_array_equal(trim.inlier_mask_, kept)
    np.testing.assert_allclose(-trim.scores_, losses, rtol=1e-8)
    np.testing.assert_allclose(trim.trimmed_losses_, trimmed[: trim.n_iter_])
    assert trim.n_iter_ <= n_iter


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("centers", [2, 3])
def test_each_round_lowers_the_trimmed_loss(centers, seed):
    X, y = flipped(centers, seed=seed)
    ridge = RidgeClassifier(alpha=1e-9)
    trim = LossFilter(75, estimator=ridge, loss="squared", max_iter=100, tol=0)
    history = trim.fit(X, y).trimmed_losses_
    assert len(history) == trim.n_iter_ > 1
    assert np.all(np.diff(history) <= 1e-12 * history[0])


def test_trim_recovers_the_line_that_poison_bends():
    """A regression in disguise: labels by the side of a line, poison in a corner."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(220, 2))
    y = (X[:, 0] > 0).astype(int)
    X[:20], y[:20] = [-0.9, 0.9], 1
    ridge = RidgeClassifier(alpha=1e-6)
    trim = LossFilter(75, estimator=ridge, loss="squared").fit(X, y)
    assert not trim.inlier_mask_[:20].any()
    clean = clone(ridge).fit(X[20:], y[20:])
    bent = clone(ridge).fit(X, y)

    def slope(model):
        return abs(model.coef_.ravel()[1] / model.coef_.ravel()[0])

    assert slope(bent) > 0.2
    assert slope(clean) < 0.05 and slope(trim.estimator_) < 0.1


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        LinearSVC(),
        SVC(kernel="rbf"),
        RandomForestClassifier(20, max_depth=3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_flipped_labels_are_rejected_by_any_classifier(estimator):
    X, y = make_blobs(300, 4, centers=3, cluster_std=1.5, random_state=0)
    y[:30] = (y[:30] + 1) % 3
    for cv in (None, "auto"):
        fitted = LossFilter(
            contamination=0.15, estimator=estimator, cv=cv, random_state=0
        ).fit(X, y)
        assert fitted.inlier_mask_[:30].mean() < 0.1
        assert np.sum(~fitted.inlier_mask_) <= 48
        if cv is None:
            kept = fitted.predict(X, y) == 1
            np.testing.assert_array_equal(kept, fitted.inlier_mask_)


class RoundsByBatch(RidgeClassifier):
    """Sums in another order, as it were, for each number of rows."""

    def decision_function(self, X):
        return super().decision_function(X) * (1 + 5e-16 * (X.shape[0] % 3))


@pytest.mark.parametrize("make", [LossFilter, SeverFilter])
def test_rounding_rejects_no_row_on_its_radius(make):
    X, y = make_blobs([101, 101], 4, cluster_std=4, random_state=0)
    filter_ = make(70, estimator=RoundsByBatch(), loss="squared").fit(X, y)
    assert np.sum(filter_.inlier_mask_) >= 142
    for size in (1, 2, 3):
        for start in range(0, 200, size):
            rows = slice(start, start + size)
            kept = filter_.predict(X[rows], y[rows]) == 1
            np.testing.assert_array_equal(kept, filter_.inlier_mask_[rows])


def test_a_callable_is_a_loss():
    X, y = flipped()

    def distrust(estimator, rows, codes):
        return 1.0 - estimator.predict_proba(rows)[np.arange(len(codes)), codes]

    fitted = LossFilter(70, loss=distrust, max_iter=1).fit(X, y)
    default = LossFilter(70, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(fitted.inlier_mask_, default.inlier_mask_)
    for broken in (lambda *_: np.zeros(3), lambda *_: np.full(len(y), np.nan)):
        with pytest.raises(ValueError, match="one finite number for each row"):
            LossFilter(loss=broken).fit(X, y)


def total_loss(theta, X, code, loss, n_outputs):
    """Loss of one row, for coefficients and intercepts in one vector."""
    weights = theta.reshape(n_outputs, -1)
    decisions = weights[:, :-1] @ X + weights[:, -1]
    if n_outputs == 1:
        margin = (2 * code - 1) * decisions[0]
        return {
            "hinge": max(0.0, 1 - margin),
            "log_loss": np.logaddexp(0, -margin),
            "squared": (1 - margin) ** 2,
        }[loss]
    rivals = np.delete(decisions, code)
    targets = 2.0 * (np.arange(n_outputs) == code) - 1
    return {
        "hinge": max(0.0, 1 - decisions[code] + rivals.max()),
        "log_loss": np.logaddexp.reduce(decisions) - decisions[code],
        "squared": np.sum((decisions - targets) ** 2),
    }[loss]


@pytest.mark.parametrize("centers", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_gradients_are_finite_differences(centers, loss, kind):
    X, y = flipped(centers, 40)
    logistic = LogisticRegression().fit(X, y)
    found = gradients(logistic, kind(X), y, loss)
    theta = np.column_stack([logistic.coef_, logistic.intercept_]).ravel()
    dense = found @ np.eye(len(theta))
    steps = 1e-6 * np.eye(len(theta))
    for i in range(40):
        args = X[i], y[i], loss, len(logistic.coef_)
        expected = [
            (total_loss(theta + step, *args) - total_loss(theta - step, *args)) / 2e-6
            for step in steps
        ]
        np.testing.assert_allclose(dense[i], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("intercept", [True, False])
def test_products_with_gradients_are_those_of_the_matrix(kind, intercept):
    X, y = flipped(3, 40)
    logistic = LogisticRegression(fit_intercept=intercept).fit(X, y)
    found = gradients(logistic, kind(X), y, "log_loss")
    n_parameters = 15 if intercept else 12
    assert found.shape == (40, n_parameters)
    dense = found @ np.eye(n_parameters)
    centered = found.of(np.arange(40), found.mean())
    expected = dense - dense.mean(axis=0)
    rng = np.random.default_rng(0)
    V, U = rng.normal(size=(n_parameters, 2)), rng.normal(size=(40, 2))
    np.testing.assert_allclose(centered @ V, expected @ V, atol=1e-10)
    np.testing.assert_allclose(centered.rmatmat(U), expected.T @ U, atol=1e-10)
    np.testing.assert_allclose(
        np.vstack(list(centered.blocks(7))), expected, atol=1e-10
    )


def plain_sever(X, y, estimator, loss, shares):
    """Sever with the gradients written out, class by class and round by round."""
    left = np.ones(len(y), dtype=bool)
    for share in shares:
        model = clone(estimator).fit(X[left], y[left])
        found = gradients(model, X, y, loss)
        G = found @ np.eye(found.shape[1])
        keep = left.copy()
        for label in np.unique(y):
            of_class = np.flatnonzero(left & (y == label))
            squares = PCA(1, svd_solver="full").fit_transform(G[of_class])[:, 0] ** 2
            rank = share * (np.sum(y == label) - 1)
            percentile = min(100, 100 * rank / (len(of_class) - 1))
            radius = np.percentile(squares, percentile)
            keep[of_class[squares > radius + 1e-9]] = False  # ties stay
        left = keep
    return left


@pytest.mark.parametrize("centers", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_rounds", [1, 3])
def test_rounds_are_those_of_plain_sever(centers, loss, n_rounds):
    X, y = flipped(centers)
    ridge = RidgeClassifier()
    shares = np.linspace(1, 0.7, n_rounds + 1)[1:]
    expected = plain_sever(X, y, ridge, loss, shares)
    sever = SeverFilter(70, estimator=ridge, loss=loss, n_rounds=n_rounds).fit(X, y)
    np.testing.assert_array_equal(sever.inlier_mask_, expected)
    np.testing.assert_array_equal(sever.predict(X, y) == 1, expected)
    assert len(sever.rounds_) == n_rounds


def test_copies_of_one_poison_row_are_rejected_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = (X[:, 0] > 0).astype(int)
    X[:14], y[:14] = [3, 0, 4, 0, 0], 0
    sever = SeverFilter(contamination=0.15).fit(X, y)
    assert not sever.inlier_mask_[:14].any()
    assert np.sum(~sever.inlier_mask_) <= 0.15 * 300 + 2


def test_gradients_of_a_pipeline_are_those_of_its_last_step():
    X, y = flipped(3)
    units = X * [1e-3, 1, 1e3, 1e6]
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    inside = SeverFilter(estimator=scaled, n_rounds=1).fit(units, y)
    outside = SeverFilter(n_rounds=1).fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_array_equal(inside.inlier_mask_, outside.inlier_mask_)


def test_the_intercept_counts_where_there_is_one():
    X, y = flipped()
    without = LogisticRegression(fit_intercept=False)
    sever = SeverFilter(estimator=without, n_rounds=1).fit(X, y)
    assert sever.rounds_[0].directions.shape == (2, 4)
    assert SeverFilter(n_rounds=1).fit(X, y).rounds_[0].directions.shape == (2, 5)


def test_classifiers_that_are_not_linear_are_refused():
    with pytest.raises(TypeError, match=r"needs a linear classifier.*RandomForest"):
        SeverFilter(estimator=RandomForestClassifier(2)).fit(*flipped())
    with pytest.raises(ValueError, match="'loss' parameter"):
        SeverFilter(loss="cubic").fit(*flipped())


class ReturnsNothing(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)


@pytest.mark.parametrize("filter_", [LossFilter, SeverFilter])
def test_fitted_classifiers_are_kept_whatever_their_fit_returns(filter_):
    X, y = make_blobs([30, 30], 2, random_state=0)
    mask = filter_(estimator=LogisticRegression()).fit(X, y).inlier_mask_
    fitted = filter_(estimator=ReturnsNothing()).fit(X, y)
    np.testing.assert_array_equal(fitted.inlier_mask_, mask)
