"""Detectors of bad rows that can be installed, each a function of numbers and labels.

Each returns the mask of the rows that it flags by its own default threshold. They get
rows as comparable numbers (standardized, one-hot, missing values filled in); nobody is
told how many rows are planted.
"""

import warnings

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skpoison import SlabFilter, SphereFilter


def out_of_fold(estimator, Z, y):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(estimator, Z, y, cv=folds, method="predict_proba")


def cleanlab(estimator):
    """Use find_label_issues of cleanlab (pip install cleanlab), as by default."""
    from cleanlab.filter import find_label_issues

    def detect(Z, y):
        return find_label_issues(y, out_of_fold(estimator, Z, y))

    return detect


def knn_shapley(Z, y, k=5):
    """Exact KNN-Shapley values (Jia et al. 2019), each row valued by all others."""
    n = len(y)
    values = np.zeros(n)
    shares = np.minimum(k, np.arange(1, n - 1)) / (k * np.arange(1, n - 1))
    for block in np.array_split(np.arange(n), max(n // 500, 1)):
        distances = pairwise_distances(Z[block], Z)
        distances[np.arange(len(block)), block] = np.inf
        order = np.argsort(distances, axis=1, kind="stable")[:, : n - 1]
        right = (y[order] == y[block][:, None]).astype(float)
        steps = (right[:, :-1] - right[:, 1:]) * shares
        last = right[:, -1:] * min(k, n - 1) / (k * (n - 1))
        found = np.cumsum(np.hstack([last, steps[:, ::-1]]), axis=1)[:, ::-1]
        np.add.at(values, order, found)
    return values < 0


def per_class(make):
    """Fit a PyOD detector to the rows of each class; flag what it calls outliers."""

    def detect(Z, y):
        Z = few_columns(Z)
        flagged = np.zeros(len(y), dtype=bool)
        for label in np.unique(y):
            rows = np.flatnonzero(y == label)
            flagged[rows] = make().fit(Z[rows]).labels_ == 1
        return flagged

    return detect


def lof(Z, y):
    from pyod.models.lof import LOF

    return per_class(LOF)(Z, y)


def iforest(Z, y):
    from pyod.models.iforest import IForest

    return per_class(lambda: IForest(random_state=0))(Z, y)


def isolation_forest(Z, y):
    return IsolationForest(random_state=0).fit_predict(few_columns(Z)) == -1


def sphere_and_slab(Z, y):
    both = SphereFilter(percentile=70) & SlabFilter(percentile=70)
    return both.fit_predict(Z, y) == -1


def few_columns(Z):
    """Texts in 50 dimensions: PyOD takes no sparse rows."""
    if sparse.issparse(Z):
        return TruncatedSVD(50, random_state=0).fit_transform(Z)
    return Z


DETECTORS = {
    "cleanlab LR": lambda Z, y: cleanlab(LogisticRegression(max_iter=1000))(Z, y),
    "cleanlab RF": lambda Z, y: cleanlab(RandomForestClassifier(random_state=0))(Z, y),
    "KNN-Shapley": knn_shapley,
    "LOF": lof,
    "IForest": iforest,
    "sk IForest": isolation_forest,
    "sphere & slab": sphere_and_slab,
}


def flagged_by(name, Z, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DETECTORS[name](Z, y)
