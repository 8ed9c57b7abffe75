"""How many rows it takes to change each prediction: ``certify --pointwise``."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skpoison import PartitionedClassifier, __version__, certified_radius
from skpoison._io import DataError
from skpoison._words import counted, percent_text
from skpoison.pointwise import certified_accuracy
from skpoison.pointwise._shown import parts_for, round_numbers

from .columns import encode
from .report import new_table
from .sample import hold_out, read_data, read_test, warn_of_labels

MOVES = {
    "insert_delete": ("rows inserted or\ndeleted", "insert or delete", "row"),
    "change": ("rows\nreplaced", "replace", "row"),
    "flip": ("labels\nchanged", "change", "label"),
}


class Votes(NamedTuple):
    """Encoded training and test rows, with the positions of their labels."""

    source: str
    names: list
    encoded: object
    y: np.ndarray
    X_test: object
    y_test: np.ndarray
    places: np.ndarray  # of the test rows in their file

    @property
    def X(self):
        """The training rows."""
        return self.encoded.X


@dataclass(frozen=True)
class VoteSettings:
    """Which classifier votes in how many parts, and what the attacker does."""

    attack: str
    base: str
    partitions: int | None
    scale: str

    def classifier(self, X):
        """Return the unfitted classifier; whatever is fitted is fitted in the parts."""
        n_parts = self.partitions or parts_for(X.shape[0])
        hash = "rank" if self.attack == "flip" else "content"
        return PartitionedClassifier(self._estimator(X), n_parts, hash=hash)

    def _estimator(self, X):
        linear = {"svm": LinearSVC(), "logistic": LogisticRegression(max_iter=1000)}
        scale = self.scale
        if scale == "auto":
            kind = "maxabs" if sparse.issparse(X) else "standard"
            scale = kind if self.base in linear else "none"
        base = linear.get(self.base)
        if self.base == "tree":
            base = DecisionTreeClassifier()
        if base is None:
            base = _naive_bayes(X, scale)
        scalers = {"none": [], "maxabs": [MaxAbsScaler()], "standard": []}
        if scale == "standard":
            scalers["standard"] = [StandardScaler(with_mean=not sparse.issparse(X))]
        return make_pipeline(*scalers[scale], base) if scalers[scale] else base


def _naive_bayes(X, scale):
    if not sparse.issparse(X):
        return GaussianNB()
    if X.min() < 0 or scale == "standard":
        raise DataError(
            "--base naive-bayes takes sparse rows without negative values, unscaled or "
            "with --scale maxabs; take --base svm."
        )
    return MultinomialNB()


def read_votes(name, reading, *, positive, test, test_share, seed):
    """Read rows of any number of classes; encode them without fitted scales."""
    options = reading.options
    # What is read from one row must not depend on others, which may be poison.
    encoding = replace(
        reading.encoding, scale="none", weights="counts", fills_with_zero=True
    )
    data = read_data(name, options, encoding)
    data.labels.check_classes()
    data.labels.refuse_quantities()
    warn_of_labels(data.labels)
    held = read_test(test, data, options, encoding)
    train, held, rows = hold_out(data, held, data.labels.codes, test_share, seed)
    if not len(rows):
        raise DataError(
            "--pointwise certifies predictions of test rows; give --test FILE, or a "
            "--test-share above 0."
        )
    encoded = encode(data, train, encoding)
    names, y, y_test = _labels(data, held, positive)
    X_test = encoded.encoder.transform(held, rows)
    votes = Votes(data.source, names, encoded, y[train], X_test, y_test[rows], rows)
    return data, votes


def _labels(data, held, positive):
    if positive is not None:
        classes = data.labels.binary(positive)
        signs = classes.signs, held.labels.binary(positive).signs
        return list(classes.names), *((each > 0).astype(int) for each in signs)
    matched = data.labels.matched(held.labels)
    return data.labels.value_texts, data.labels.codes, matched.codes


def certify(votes, settings):
    """Fit, certify each test row; return the numbers with the radii, and the model."""
    model = settings.classifier(votes.X).fit(votes.X, votes.y)
    radii = certified_radius(model, votes.X_test, attack=settings.attack)
    predicted = model.predict(votes.X_test)
    curve = _curve(radii, votes.y_test, predicted)
    is_right = predicted == votes.y_test
    names = votes.names
    numbers = {
        "skpoison": __version__,
        "command": "certify",
        "data": {
            "source": votes.source,
            "n_train": len(votes.y),
            "n_test": len(votes.y_test),
            "n_features": int(votes.X.shape[1]),
            "labels": names,
        },
        "settings": {
            "pointwise": True,
            "attack": settings.attack,
            "base": settings.base,
            "scale": settings.scale,
            "partitions": model.n_partitions,
        },
        "estimator": " ".join(repr(model.estimator).split()),
        "n_abstaining": sum(one is None for one in model.estimators_),
        "accuracy": curve[0]["certified_accuracy"],
        "median_radius": float(np.median(np.where(is_right, radii, 0))),
        "curve": curve,
        "predictions": [
            {
                "row": int(place) + 1,
                "label": names[true],
                "predicted": names[found],
                "radius": int(radius),
            }
            for place, true, found, radius in zip(
                votes.places, votes.y_test, predicted, radii, strict=True
            )
        ],
    }
    return numbers, model


def _curve(radii, y_true, y_pred):
    """Return the shares at 0 and behind each radius, where they fall."""
    at = np.unique([0, *(radii + 1)])
    plain, fair = (
        certified_accuracy(radii, y_true, y_pred, at, balanced=balanced)
        for balanced in (False, True)
    )
    return [
        {
            "n_rows": int(n_rows),
            "certified_accuracy": float(share),
            "balanced_certified_accuracy": float(balanced),
        }
        for n_rows, share, balanced in zip(at, plain, fair, strict=True)
    ]


def share_at(numbers, n_rows, key="certified_accuracy"):
    """Return the share that is right and certified against so many rows."""
    passed = [one for one in numbers["curve"] if one["n_rows"] <= n_rows]
    return passed[-1][key]


def show(session, numbers):
    """Print what was found."""
    data, settings = numbers["data"], numbers["settings"]
    labels = ", ".join(data["labels"][:5])
    more = len(data["labels"]) - 5
    session.say(
        f"{data['source']}: {counted(data['n_train'], 'training row')}, "
        f"{counted(data['n_test'], 'test row')}, "
        f"{counted(data['n_features'], 'feature')}; labels {labels}"
        + (f" and {more} more." if more > 0 else ".")
    )
    session.say(
        f"The classifier is a vote of {counted(settings['partitions'], 'model')} "
        f"({numbers['estimator']}), each fitted on a part of the training rows, about "
        f"{data['n_train'] / settings['partitions']:.0f} rows."
    )
    session.console.print(_table(numbers))
    session.say(_guarantee(numbers))
    session.say(
        "The guarantee is for this voting classifier, refitted on the poisoned rows. "
        "Columns, categories and words of texts are taken as fixed, and the set of "
        "labels, too. With more parts radii are larger, and models less accurate."
    )


def _table(numbers):
    header = MOVES[numbers["settings"]["attack"]][0]
    table = new_table(
        "Test rows whose prediction is right and cannot be changed",
        [header, "certified\naccuracy", "balanced"],
    )
    for n_rows in round_numbers(numbers["curve"][-1]["n_rows"] - 1):
        keys = "certified_accuracy", "balanced_certified_accuracy"
        shares = (percent_text(share_at(numbers, n_rows, key)) for key in keys)
        table.add_row(f"{n_rows:,}", *shares)
    return table


def _guarantee(numbers):
    _, verb, what = MOVES[numbers["settings"]["attack"]]
    if numbers["median_radius"] < 1:
        return (
            f"Guaranteed for fewer than half of the test rows: an attacker who can "
            f"{verb} one {what} could change the other predictions, or they are wrong "
            "anyway."
        )
    most = counted(int(numbers["median_radius"]), f"training {what}")
    return (
        f"Guaranteed: half of the test rows are predicted correctly, whatever {most} "
        f"an attacker may {verb}."
    )
