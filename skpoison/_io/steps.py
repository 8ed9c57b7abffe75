"""Transformers of scikit-learn, each fitted in the way that takes least memory."""

import numpy as np
from sklearn.frozen import FrozenEstimator

from .errors import DataError
from .standard import fit_standard

# Words that an attack writes, where only their proportions matter; and a share of the
# weight of a word that is left out.
LONGEST_TEXT, NEGLIGIBLE = 300, 1e-6
# Transformers see so many rows at once: whole columns need several times the memory.
BLOCK_ROWS = 1 << 15


def fit_scaler(kind, blocks):
    """Return what scales columns, in place where it can, fitted block by block.

    `blocks` gives them anew each time it is called.
    """
    from sklearn.preprocessing import MaxAbsScaler

    if kind == "standard":
        return FrozenEstimator(fit_standard(blocks))
    scaler = MaxAbsScaler(copy=False)
    for block in blocks():
        scaler.partial_fit(block)
    return FrozenEstimator(scaler)


def changed(scaler, X, change):
    """Return rows that a scaler has changed, or no rows."""
    # Scalers refuse to look at no rows, which is what an attack can have.
    return getattr(scaler, change)(X) if X.shape[0] else X


def median(values):
    """Return the median of the numbers of a column, without its gaps; 0 without any."""
    if not np.isnan(values).any():
        return np.median(values)
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return imputer.fit(values[:, None]).statistics_[0]


def fit_fill(medians):
    """Return what fills the gaps in columns of numbers."""
    import pandas as pd
    from sklearn.impute import SimpleImputer

    # A row of medians has these medians: whole columns are too large to be joined.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    fitted = imputer.fit(pd.DataFrame([medians]))
    return FrozenEstimator(fitted.set_output(transform="pandas"))


def fit_indicator(names):
    """Return what says in which columns of numbers there are gaps."""
    import pandas as pd
    from sklearn.impute import MissingIndicator

    gaps = pd.DataFrame(np.full((1, len(names)), np.nan), columns=names)
    return FrozenEstimator(MissingIndicator(features="all").fit(gaps))


def in_turn(*fitted):
    """Return fitted transformers that are applied in turn."""
    from sklearn.pipeline import make_pipeline

    return FrozenEstimator(make_pipeline(*fitted))


def fit_categories(frame, fill):
    """Return what makes a column of each category, and the part that knows them.

    With `fill`, missing categories are the most frequent one.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    imputer = None
    if fill and (frame == "").any(axis=None):
        imputer = SimpleImputer(missing_values="", strategy="most_frequent")
        imputer.set_output(transform="pandas")
        frame = imputer.fit_transform(frame)
    one_hot = OneHotEncoder(handle_unknown="ignore", feature_name_combiner=_equals)
    one_hot = FrozenEstimator(one_hot.fit(frame))
    return one_hot, in_turn(imputer, one_hot) if imputer else one_hot


def _equals(column, category):
    return f"{column}={category or 'missing'}"


def texts_of(vectorizer, X):
    """Return texts in which words weigh about as much as in rows of words.

    Words come up as often as rows of counts say; or, where weights are relative, in
    proportion to them, the least of them once if texts do not get long by that.
    """
    words = vectorizer.get_feature_names_out()
    weights = np.maximum(X, 0.0)
    idf = getattr(vectorizer, "idf_", None)
    counts = weights if idf is None else _in_proportion(weights / idf)
    return [" ".join(np.repeat(words, row)) for row in np.rint(counts).astype(int)]


def _in_proportion(weights):
    top = weights.max(axis=1, keepdims=True, initial=0.0)
    weights = np.where(weights > NEGLIGIBLE * top, weights, 0.0)
    total = np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    least = np.where(weights > 0, weights, np.inf).min(axis=1, keepdims=True)
    return weights / np.maximum(least, total / LONGEST_TEXT)


def fit_words(weights, name, texts, limit=None):
    """Return what makes a column of each word, or of the most frequent ones."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    kinds = {"tfidf": TfidfVectorizer, "counts": CountVectorizer}
    vectorizer = kinds[weights](dtype=np.float64, max_features=limit)
    try:
        vectorizer.fit(texts)
    except ValueError as error:
        raise DataError(f"Column {name!r} cannot be taken as text: {error}.") from error
    return FrozenEstimator(vectorizer)
