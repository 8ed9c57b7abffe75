"""The default filter, which needs no setting."""

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state

from skpoison.filters._by_models import BaseJudgingFilter
from skpoison.filters._digits import finer_rows
from skpoison.filters._evidence import find_evidence
from skpoison.filters._far import times_usual
from skpoison.filters._folds import N_FOLDS, own_and_rival
from skpoison.filters._panel import panel_of

HALF = 0.5  # rows with a higher suspicion are rejected
CLEARLY_FAR = 2.0  # times the usual distance


class AutoFilter(BaseJudgingFilter):
    """Find rows that should not be trusted, without being told how many there are.

    Five tests, in this order:

    1. *far*: rows that are much farther from their class than its other rows, or from
       their nearest rows than others are from theirs;
    2. *copies*: more near copies of a row with one label than frequent values and the
       other groups of copies explain (groups up to four times as large as the third
       largest of the others are kept if models fitted without them agree with their
       label);
    3. *digits*: rows most of whose values have all digits of a float, where nearly all
       other rows are rounded, such as 3.0172694 where others have one decimal (dense
       columns only, also scaled ones);
    4. *label*: rows whose label contradicts models fitted without them and their near
       copies, beyond what honest rows do where classes overlap;
    5. *cluster*: compact clusters of one label that models fitted without the whole
       cluster contradict, if they are far from the bulk of their class, isolated from
       all other rows, or as close to rows of another class as rows of that class are.

    Parameters
    ----------
    estimator : classifier or regressor, default=None
        Model that labels are compared with: a classifier with ``predict_proba`` or
        ``decision_function``, or a regressor. It is fitted on X unchanged. None means a
        linear model and extremely randomized trees on encoded rows, as in
        :class:`~skpoison.filters.CrossFitFilter`; X can then be an array, a sparse
        matrix, a table with categories and missing values, or a list of texts, and a
        continuous y is compared with regressors.
    random_state : int, RandomState instance or None, default=None
        Controls folds, clusters and trees, and the order in which :meth:`fit_transform`
        reuses kept rows. An ``estimator`` that is given has a random state of its own.
    n_jobs : int, default=None
        Number of jobs for fitting the models of the folds.

    Attributes
    ----------
    suspicion_ : ndarray of shape (n_samples,)
        Between 0 and 1, comparable between tests; rows above one half are rejected. Not
        a probability.
    reasons_ : ndarray of shape (n_samples,) of object
        Why each training row was rejected, as a text that begins with the name of the
        test; empty for kept rows.
    tests_ : ndarray of shape (n_samples,) of object
        The test that rejected each row ("far", "copies", "digits", "label",
        "cluster"; for regressors "target" in place of the last two); an empty string
        for kept rows.
    suggested_labels_ : ndarray of shape (n_samples,)
        The most probable label of each training row; for regressors the prediction.
    out_of_fold_ : ndarray of shape (n_samples, n_classes) or (n_samples,)
        Class probabilities, or predictions, of models fitted without the row and its
        near copies; NaN for rows without a prediction, such as far ones.
    groups_ : ndarray of shape (n_samples,)
        The group of near copies, or of isolated rows, of each training row.
    contamination_ : ndarray of shape (n_classes,)
        Share of the rows of each class that are rejected.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` without labels and for regressors.
    scores_ : ndarray of shape (n_samples,)
        Minus the suspicion, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    n_features_in_ : int
        Number of features seen during fit. Not set for texts.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if the estimator has neither ``predict_proba`` nor
        ``decision_function``, or X or y is invalid.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes: only the tests that use no labels
        are then applied.

    See Also
    --------
    skpoison.filters.CrossFitFilter : Only the test of labels.
    skpoison.filters.NearCopyFilter : Only the test of copies.

    Notes
    -----
    New rows are scored by their distances and by models fitted on the kept training
    rows; they are not compared with each other, and their digits are not looked at.

    Where there are many rows, some of them, drawn at random, describe the others. Above
    10,000 rows, nearest rows are searched among 2,048, and clusters among 10,000 (rows
    next to rejected ones are then compared with models fitted without these); models
    that score new rows are fitted on four fifths of the rows, as models of folds are.
    Above 20,000 rows, rates of wrong labels are estimated from 20,000 or more. Dense
    arrays of more than 10,000 rows and 1,048,576 values are not copied, but for the
    rows that a model is fitted on: distances of far rows are compared with those of
    10,000 rows of each class, and near copies, if there are more than 60 columns, are
    searched among the nearest rows in 50 principal directions.

    Poison that looks like honest rows of its label is not detected: rows of an
    unlabeled class inside the class whose label they have, flipped labels where classes
    overlap, few rows that are as widely spread as honest ones. If models are sure (at
    .8) of the true class of less than half of the rows, fewer labels are rejected: of
    at most 25 % of the rows, and of at most 4 % if they are sure of less than .35.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skpoison import AutoFilter
    >>> X, y = load_wine(return_X_y=True)
    >>> y[[5, 90]] = 2
    >>> auto = AutoFilter(random_state=0).fit(X, y)
    >>> (~auto.inlier_mask_).nonzero()[0]
    array([ 5, 90])
    >>> auto.tests_[5], auto.suggested_labels_[5]
    ('label', np.int64(0))
    """

    _fits_on_sample = True

    def __init__(self, estimator=None, *, random_state=None, n_jobs=None):
        super().__init__(random_state=random_state)
        self.estimator = estimator
        self.n_jobs = n_jobs

    def _fit_models(self, X, codes, targets, params):
        rng = check_random_state(self.random_state)
        self._encoder, numbers = self._numbers_of(X)
        panel = panel_of(
            self.estimator, X.data, self._encoder, numbers, rng, targets is not None
        )

        def predict(rows, folds):
            return panel.out_of_fold(
                rows, folds, codes, self.classes_, self.n_jobs, **params
            )

        written = self._encoder.read(X.data)
        finer = np.zeros(len(codes)) if written is None else finer_rows(written, rng)
        evidence = find_evidence(numbers, codes, predict, panel.counts, rng, finer)
        self.groups_ = evidence.groups
        self.out_of_fold_ = evidence.probabilities
        self._far = evidence.far._replace(
            beyond=None, spread_out=None, times_alone=None
        )
        suspicions = self._suspicions(evidence, codes)
        if targets is not None:
            units = self._units_out_of_fold(panel, targets, N_FOLDS, params, rng)
            suspicions["target"] = expit(units - self._scale.cut)
        self._explain(suspicions, evidence, numbers, codes, targets, rng)
        self._noise, self._fitted = evidence.noise, None
        if self._noise is not None:
            self._noise = self._noise._replace(true=None)  # new rows have their own
        kept = np.flatnonzero(self.suspicion_ <= HALF)
        del evidence, suspicions  # memory for the models
        if len(kept) and (targets is not None or self._noise is not None):
            self._fit_final(panel, kept, codes, targets, params, rng)
        return -self.suspicion_, HALF - self.suspicion_

    def _suspicions(self, evidence, codes) -> dict:
        """The suspicion of each row by each test; above one half it rejects."""
        said = np.nan_to_num(evidence.probabilities, nan=0.0)
        own, _, other = own_and_rival(said, codes)
        against = other / np.maximum(other + own, 1e-12)
        grouped = HALF + HALF * np.maximum(against, 1e-9)
        return {
            "far": expit(evidence.far.beyond),
            "copies": 1 - 1 / (1 + np.maximum(evidence.copies, 0) / 2.0),
            "digits": evidence.finer,
            "label": of_chance(evidence.chance, evidence.cut),
            "cluster": np.where(evidence.in_group, grouped, 0.0),
        }

    def _explain(self, suspicions, evidence, numbers, codes, targets, rng):
        names = np.array([*suspicions], dtype=object)
        table = np.array([*suspicions.values()])
        self.suspicion_ = table.max(axis=0)
        rejected = self.suspicion_ > HALF
        # The first test that rejects a row is its reason.
        first = (table > HALF).argmax(axis=0)
        self.tests_ = np.where(rejected, names[first], "").astype(object)
        if targets is not None:
            self.suggested_labels_ = self.out_of_fold_
        else:
            said = np.nan_to_num(self.out_of_fold_, nan=-1.0)
            # A rejected label may be the most probable one, but too doubtful to keep.
            by_label = np.flatnonzero(self.tests_ == "label")
            said[by_label, codes[by_label]] = -1.0
            best = np.where(said.max(axis=1) < 0, codes, said.argmax(axis=1))
            self.suggested_labels_ = self.classes_[best]
        # Only this reason states distances.
        is_far = np.any(self.tests_ == "far")
        times = times_usual(numbers, codes, rng) if is_far else None
        self.reasons_ = np.full(len(codes), "", dtype=object)
        for row in np.flatnonzero(rejected):
            self.reasons_[row] = self._sentence(row, evidence, times, codes, targets)

    def _sentence(self, row, evidence, times, codes, targets):
        test = self.tests_[row]
        label = f" of class {self.classes_[codes[row]]}" if self._labelled else ""
        if targets is not None:
            label = ""
        times_alone = evidence.far.times_alone[row]
        if test == "far" and times_alone:
            return (
                f"far: its nearest rows are {times_alone:.1f} times as far away as "
                "is usual"
            )
        if test == "far":
            distance = f"{times[row]:.1f} times the usual distance from the rows{label}"
            if times[row] < CLEARLY_FAR:
                return f"far: out of proportion in some columns, though at {distance}"
            return f"far: {distance}"
        if test == "copies":
            n = evidence.copies[row]
            return f"copies: one of {n} near copies{label}, more than by chance"
        if test == "digits":
            return (
                f"digits: {evidence.finer[row]:.0%} of its values lie between those "
                "that nearly all other rows are rounded to"
            )
        if test == "target":
            return (
                f"target: {targets[row]:g}, but models fitted without it predict "
                f"{self.out_of_fold_[row]:g}"
            )
        said = self.out_of_fold_[row]
        other = self.suggested_labels_[row]
        if test == "cluster":
            return (
                f"cluster: rows{label} that models without them would label differently"
            )
        return (
            f"label: {self.classes_[codes[row]]}, but models fitted without it predict "
            f"{other} with probability {said[self.classes_ == other][0]:.2f}"
        )

    def _score(self, X, codes):
        targets = codes if self._judges_targets else None
        if self._judges_targets:
            codes = np.zeros(X.shape[0], dtype=np.intp)
        numbers = self._encoder.transform(X.data)
        far = expit(self._far.beyond_of(numbers, codes))
        return -np.maximum(far, self._suspicion_of_labels(X, codes, targets))

    def _suspicion_of_labels(self, X, codes, targets):
        if self._fitted is None:
            return np.zeros(X.shape[0])
        if self._judges_targets:
            if targets is None:
                return np.zeros(X.shape[0])
            return expit(self._units_of(X, targets) - self._scale.cut)
        return of_chance(self._chance_of_wrong(X, codes), self._noise.cut)

    def _decide(self, X, codes):
        return HALF + self._score(X, codes)


def of_chance(chance, cut):
    """Suspicion from the probability that a label is wrong: one half at the cut."""
    odds = chance * (1 - cut)
    return odds / (odds + (1 - chance) * cut)
