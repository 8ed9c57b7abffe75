"""The e-mail that an attacker would send
======================================

Print the worst poison as words.

Emails are converted to word counts, a filter rejects unusual ones, and CertifiedBound
bounds the damage by emails that pass it, using the fact that word counts are integers.
Its attack is printed as words. Run it as ``python examples/poison_words.py`` for
synthetic emails, or with ``SKPOISON_DATA=folder`` for the SpamAssassin corpus.
"""

import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline

from skpoison import CertifiedBound, SlabFilter, SphereFilter

WORDS = {
    "ham": "meeting report code review thanks monday project patch release list",
    "spam": "free money offer click winner credit prize guarantee cheap deal",
    "both": "hello today time people please send mail work new day week home",
}


def made_up_mails(n_mails=300, seed=0):
    """Return mails and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["ham", "spam"], n_mails)
    words = {kind: text.split() for kind, text in WORDS.items()}
    other = {"ham": "spam", "spam": "ham"}
    mails = [
        np.concatenate(
            [
                rng.choice(words[label], 4),
                rng.choice(words["both"], 6),
                rng.choice(words[other[label]], 2),
            ]
        )
        for label in labels
    ]
    return [" ".join(mail) for mail in mails], labels


def as_mail(counts, words):
    """Write a row of counts as text, its most frequent words first."""
    counts = np.asarray(counts).ravel().astype(int)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return " ".join(" ".join([words[i]] * counts[i]) for i in order)


def show(bound, words, n_mails=2):
    """Print the bound and the attack."""
    attack = bound.attack_
    print(f"no attack raises the training loss above {bound.upper_bound_:.3f};")
    print(f"this one raises it to {bound.attack_loss_:.3f}:")
    for label in bound.classes_:
        chosen = np.flatnonzero(attack.y == label)
        print(f"\n{attack.n_copies[chosen].sum()} mails labeled {label}, such as")
        for i in chosen[:n_mails]:
            row = attack.X[[i]]
            row = row.toarray() if sparse.issparse(row) else row
            print(f"  {as_mail(row, words)[:200]}")


def draw(bound, words, n_words=12):
    """Plot the most frequent words of the attack for each label."""
    attack = bound.attack_
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    figure.suptitle("Words of the attacker's mails")
    for ax, label in zip(axes, bound.classes_, strict=True):
        chosen = np.flatnonzero(attack.y == label)
        copies = attack.n_copies[chosen]
        counts = np.asarray(copies @ attack.X[chosen]).ravel() / max(copies.sum(), 1)
        top = np.argsort(-counts, kind="stable")[:n_words][::-1]
        ax.barh(np.asarray(words)[top], counts[top])
        ax.set(title=f"labeled {label}", xlabel="mean count in a mail")


def spam_assassin(folder):
    """Return word counts, labels and words of the corpus."""
    data = np.load(Path(folder) / "spam_assassin_bow.npz", allow_pickle=False)
    parts = (data["train_data"], data["train_indices"], data["train_indptr"])
    X = sparse.csr_matrix(parts, shape=data["train_shape"], dtype=np.float64)
    return X, np.where(data["y_train"] > 0, "spam", "ham"), data["vocabulary"]


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # the bound is still valid
    both = SphereFilter(percentile=70) & SlabFilter(percentile=70)
    bound = CertifiedBound(both, 0.05, domain="count", rho=6**0.5, tol=0.05)
    folder = os.environ.get("SKPOISON_DATA")
    if folder:
        X, y, words = spam_assassin(folder)
        bound.fit(X, y)
    else:
        mails, labels = made_up_mails()
        pipeline = make_pipeline(CountVectorizer(), bound).fit(mails, labels)
        bound, words = pipeline[-1], pipeline[0].get_feature_names_out()
    show(bound, words)
    draw(bound, words)
    plt.show()


if __name__ == "__main__":
    main()
