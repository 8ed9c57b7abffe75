"""Poison for a spam filter
========================

Poison a text classifier and defend it, with sparse rows and two kinds of pipeline.

Synthetic messages in two styles, as word counts and as TF-IDF. With scikit-learn,
attack and defense wrap the classifier; with imbalanced-learn (if installed), they are
steps of the pipeline. Run it as ``python examples/poison_text.py``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skpoison import (
    DropOutliers,
    FilteredClassifier,
    NormConstrainedSVC,
    PoisonedClassifier,
    SphereFilter,
)
from skpoison.attacks import MinMaxAttack

RHO = 3.0


def messages(n_messages=400, n_words=300, seed=0):
    """Draw messages whose words are more or less frequent in one class."""
    rng = np.random.default_rng(seed)
    words = np.array([f"word{i}" for i in range(n_words)])
    popularity = 1.0 / (5.0 + np.arange(n_words))
    tilted = popularity * np.exp(0.8 * rng.normal(size=n_words))
    shares = [popularity / popularity.sum(), tilted / tilted.sum()]
    labels = rng.integers(0, 2, n_messages)
    texts = [" ".join(rng.choice(words, 30, p=shares[label])) for label in labels]
    return texts, np.array(["ham", "spam"])[labels]


def draw(accuracies):
    """Draw the accuracy with each vectorizer, without and with an attack."""
    _, ax = plt.subplots(figsize=(5, 3), layout="constrained")
    for i, kind in enumerate(["no attack", "10 % poison"]):
        heights = [pair[i] for pair in accuracies.values()]
        ax.bar(np.arange(len(heights)) + 0.35 * i, heights, 0.35, label=kind)
    ax.set_xticks(np.arange(len(accuracies)) + 0.175, accuracies)
    ax.set(ylabel="accuracy of the defended classifier", ylim=(0.5, 1.0))
    ax.legend()


def main():
    texts, labels = messages()
    svc = NormConstrainedSVC(rho=RHO, random_state=0)
    attack = MinMaxAttack(
        0.1, filter=SphereFilter(percentile=70), rho=RHO, random_state=0
    )
    robust = FilteredClassifier(SphereFilter(percentile=70), svc)
    accuracies = {}
    for vectorizer in (CountVectorizer(), TfidfVectorizer()):
        clean = make_pipeline(vectorizer, robust)
        attacked = make_pipeline(vectorizer, PoisonedClassifier(attack, robust))
        name = type(vectorizer).__name__
        accuracies[name] = [
            cross_val_score(model, texts, labels).mean() for model in (clean, attacked)
        ]
        print("{}: accuracy {:.3f}, attacked {:.3f}".format(name, *accuracies[name]))
    draw(accuracies)

    name = "poisonedclassifier__estimator__filter__percentile"
    search = GridSearchCV(attacked, {name: [50, 70, 90]}, cv=3).fit(texts, labels)
    print(
        "best percentile against an attacker who knows it:", search.best_params_[name]
    )

    try:
        from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
    except ImportError:
        return
    steps = make_imblearn_pipeline(
        TfidfVectorizer(), attack, DropOutliers(SphereFilter(percentile=70)), svc
    )
    scores = cross_val_score(steps, texts, labels)
    print("the same as steps of a pipeline: accuracy", scores.mean().round(3))


if __name__ == "__main__":
    main()
    plt.show()
