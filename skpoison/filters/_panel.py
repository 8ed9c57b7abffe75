"""The models that labels and targets are compared with, by default and as given.

By default a linear model and trees: their errors differ, and their weights are
estimated from the labels.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _check_method_params, _num_samples

from skpoison._as_given import AsNumbers
from skpoison._delegated import for_last_step
from skpoison.filters._folds import class_probabilities, out_of_fold
from skpoison.filters._many_rows import EncodedRows, rows_of
from skpoison.filters._trees import quick

N_TREES = 100
DIRECTIONS = 50  # singular directions of sparse rows, for trees
# Targets to fit on lie within so many interquartile ranges of the median.
REACH = 10.0
LARGEST_TARGET = 1e140  # squares of larger ones cannot be summed
# Dense columns have about unit scale; sparse rows have many small values.
C_DENSE, C_SPARSE = 0.1, 10.0
COUNTS = {"linear": 1000, "trees": 100, "given": 200}


class PanelMember(NamedTuple):
    """A model, and the number of observations that its probabilities are worth."""

    estimator: object
    counts: int
    takes_few: bool = False  # whether it is given the reduced columns


class Panel:
    """Models that predict the same rows, which are encoded once."""

    def __init__(self, learners, encoder, rows, reducer=None):
        self.learners = learners
        self.encoder = encoder
        self.reducer = reducer  # reduces the number of columns
        self.rows = rows  # as passed to the models
        with np.errstate(invalid="ignore", divide="ignore"):  # rows may be the same
            self.few = rows if reducer is None else reducer.fit_transform(rows)
        self.counts = np.array([learner.counts for learner in learners])

    def out_of_fold(self, rows, folds, codes, classes, n_jobs=None, **fit_params):
        """Probabilities of shape (n_models, n_rows, n_classes) for some rows."""
        rows = np.asarray(rows)
        cut = _check_method_params(self.rows, fit_params, indices=rows)
        asked = self._asked_in_folds(cut)
        with self._named():
            said = [
                out_of_fold(
                    estimator,
                    given,
                    codes[rows],
                    folds,
                    len(classes),
                    n_jobs=n_jobs,
                    labels=classes[codes[rows]],
                    rows=rows,
                    **params,
                )
                for estimator, given, params in asked
            ]
        return np.stack(said)

    @contextmanager
    def _named(self):
        """Say in errors of an estimator that is given how it comes by its rows."""
        try:
            yield
        except (TypeError, ValueError) as error:
            if self.encoder is None:
                error.add_note(
                    f"{self.learners[0].estimator!r} gets parts of X as they came: "
                    "pass a pipeline that encodes X, or leave the estimator out."
                )
            raise

    def _as_asked(self, learner, params):
        """An estimator, its rows, and its fit parameters by the names that it takes."""
        estimator = clone(learner.estimator)
        # A pipeline that is given names its parameters itself.
        if self.encoder is not None or not isinstance(estimator, Pipeline):
            params = for_last_step(estimator, params)
        return estimator, self._rows_for(learner), params

    def _asked_in_folds(self, params):
        """The same of all learners, which are fitted often and not kept."""
        asked = [self._as_asked(learner, params) for learner in self.learners]
        if self.encoder is None:  # an estimator that is given is fitted as it is
            return asked
        return [(quick(estimator), *rest) for estimator, *rest in asked]

    def _rows_for(self, learner):
        return self.few if learner.takes_few else self.rows

    def targets_out_of_fold(self, folds, targets, kept, n_jobs=None, **fit_params):
        """The mean prediction of the models for all rows, of shape (n_rows,).

        The models of each fold are fitted on the kept rows of the other folds.
        """
        if len(np.unique(folds)) < 2:  # all rows are near copies
            return np.full(len(targets), np.median(targets))
        splits = [
            (np.flatnonzero((folds != fold) & kept), np.flatnonzero(folds == fold))
            for fold in np.unique(folds)
        ]
        asked = self._asked_in_folds(fit_params)
        with self._named():
            predicted = [
                cross_val_predict(
                    estimator,
                    given,
                    within_reach(targets),
                    cv=splits,
                    n_jobs=n_jobs,
                    params=params,
                )
                for estimator, given, params in asked
            ]
        return self._mean(predicted)

    def _mean(self, predicted):
        return mean_prediction([one.estimator for one in self.learners], predicted)

    def fit(self, rows, targets, **fit_params):
        """Fit all models on some rows; return them, to predict new rows."""
        cut = _check_method_params(self.rows, fit_params, indices=rows)
        asked = [self._as_asked(learner, cut) for learner in self.learners]
        with self._named():
            models = [
                model.fit(rows_of(given, rows), targets, **params)
                for model, given, params in asked
            ]
        takes_few = [learner.takes_few for learner in self.learners]
        return Fitted(models, takes_few, self.encoder, self.reducer)


class Fitted(NamedTuple):
    """Models fitted on the kept rows."""

    models: list
    takes_few: list
    encoder: AsNumbers | None
    reducer: TruncatedSVD | None

    def enter(self, X):
        """Rows as passed to each model."""
        rows = X if self.encoder is None else self.encoder.transform(X)
        few = rows if self.reducer is None else self.reducer.transform(rows)
        return [few if takes_few else rows for takes_few in self.takes_few]

    def probabilities(self, X, codes_of_models, n_classes):
        """Probabilities of shape (n_models, n_rows, n_classes); absent classes: 0."""
        views = self.enter(X)
        out = np.zeros((len(self.models), _num_samples(X), n_classes))
        for model, rows, said in zip(self.models, views, out, strict=True):
            said[:, codes_of_models] = class_probabilities(
                model, rows, len(codes_of_models)
            )
        return out

    def targets(self, X):
        """The mean prediction of the models."""
        pairs = zip(self.models, self.enter(X), strict=True)
        return mean_prediction(
            self.models, [model.predict(rows) for model, rows in pairs]
        )


def mean_prediction(models, predicted):
    """The mean of what regressors predict."""
    predicted = [np.asarray(one, dtype=np.float64).ravel() for one in predicted]
    for model, one in zip(models, predicted, strict=True):
        check_predictions(model, one)
    return np.mean(predicted, axis=0)


def check_predictions(model, predicted: np.ndarray) -> None:
    """Name a regressor that predicts no numbers."""
    wrong = ~np.isfinite(predicted)
    if wrong.any():
        raise ValueError(
            f"{model!r} predicts NaN or infinity for {np.sum(wrong)} rows: rescale X "
            "or y."
        )


def within_reach(targets: np.ndarray) -> np.ndarray:
    """Targets to fit on: those far beyond the bulk are as near as they can be.

    One that is large enough would decide alone what models predict for other rows.
    """
    low, middle, high = np.quantile(targets / 4, [0.25, 0.5, 0.75])  # sums are finite
    if max(-low, high) > LARGEST_TARGET:
        raise ValueError(
            f"y holds targets as large as {4 * max(-low, high):.2g}, whose squares "
            f"overflow: rescale y to less than {LARGEST_TARGET:g}."
        )
    reach = REACH * (high - low)
    ends = (middle - reach, middle + reach) if reach > 0 else (-np.inf, np.inf)
    return np.clip(targets, *np.clip(ends, -LARGEST_TARGET, LARGEST_TARGET) * 4)


def panel_of(estimator, X, encoder, numbers, rng, regression=False) -> Panel:
    """The models for these rows: the given one, or our own on encoded rows."""
    if estimator is not None:
        return Panel([PanelMember(estimator, COUNTS["given"])], None, X)
    if regression and isinstance(numbers, EncodedRows):
        numbers = numbers[:]  # cross_val_predict takes arrays
    seed = int(rng.randint(2**31 - 1))
    is_sparse = sparse.issparse(numbers)
    reducer = None
    if is_sparse and numbers.shape[1] > DIRECTIONS:
        reducer = TruncatedSVD(DIRECTIONS, random_state=seed)
    linear = (
        Ridge(alpha=1.0)
        if regression
        else LogisticRegression(C=C_SPARSE if is_sparse else C_DENSE, max_iter=1000)
    )
    learners = [
        PanelMember(linear, COUNTS["linear"]),
        PanelMember(_trees(regression, seed), COUNTS["trees"], takes_few=True),
    ]
    return Panel(learners, encoder, numbers, reducer)


def _trees(regression, seed):
    if regression:
        return ExtraTreesRegressor(N_TREES, min_samples_leaf=2, random_state=seed)
    return ExtraTreesClassifier(N_TREES, min_samples_leaf=2, random_state=seed)
