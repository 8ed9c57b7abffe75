"""Descriptions of parameters and attributes that several names have in common."""

import re
from textwrap import indent

PARAMETERS = """
feature_extractor : torch.nn.Module or list of these, default=None
    Computes the features that the victim's head will see. Several extractors are
    attacked together. :class:`LayerFeatures` takes a layer out of a network. Required
    by :meth:`fit`.
target : {array-like, Tensor} of shape (...), default=None
    The row that the victim should misclassify, with the shape of one row of X. Required
    by :meth:`fit`.
trigger : callable, default=None
    Puts the trigger on rows: takes a Tensor, which it may change, and returns one of
    the same shape. See :class:`Trigger`. Required by :meth:`fit`.
intended_label : label, default=None
    The class that the victim should predict instead, one of the labels. Poison is made
    from rows of this class and keeps their label. Required by :meth:`fit`.
epsilon : float, default=0.01
    Number of poison rows divided by the number of clean rows, between 0 and 1;
    ``floor(epsilon * n)`` rows are changed into poison.
radius : float, default=0.1
    Largest distance of a poison row from the row that it is made from. For images,
    the literature uses 8/255 and 16/255.
norm : {"linf", "l2"}, default="linf"
    The distance that ``radius`` limits: the largest change of any value, or the
    Euclidean length of the change.
value_range : tuple of (low, high), default=(0.0, 1.0)
    Range of the values of clean rows, in which poison stays. Each bound is a number, or
    an array that broadcasts to a row, such as one of shape (n_channels, 1, 1).
adaptive : float, default=0.0
    Weight of a penalty (see Notes) that pulls poison rows together, against
    :class:`EPICCallback`, which drops rows whose gradients are isolated; at most 1e6,
    beyond which rounding leaves nothing of the objective. With 0, the attack is as
    published.
n_restarts : int, default=1
    Number of starts: the first from the rows themselves, the others from random rows
    around them. The rows with the lowest objective are kept.
augment : callable, default=None
    Augmentation that poison passes through before the network sees it, such as
    :class:`RandomCropFlip`, for victims who augment. It takes and returns rows as
    Tensors and must be differentiable. It may draw torch's random numbers.
replace : bool, default=False
    Whether poison takes the place of the rows that it is made from, as in the
    experiments of most papers, in what :meth:`fit_resample` returns. By default these
    rows stay, and poison comes after all clean rows.
batch_size : int, default=256
    Number of rows that pass through the network at once, which bounds memory. The
    objective does not depend on it.
random_state : int, RandomState instance or None, default=None
    Draws the rows that poison is made from, and everything else that is random.
"""

ATTRIBUTES = """
base_indices_ : ndarray of shape (n_poison,)
    The row of X that each poison row is made from, in ascending order.
X_poison_ : ndarray of shape (n_poison, ...)
    The poison rows, in the precision of X.
y_poison_ : ndarray of shape (n_poison,)
    Their labels: ``intended_label``.
poison_mask_ : ndarray
    True for the poison rows in what :meth:`fit_resample` returns.
classes_ : ndarray of shape (n_classes,)
    The labels, sorted.
"""

NETS = """
kept_indices_ : ndarray of shape (n_kept,)
    Sorted indices of the rows given to ``fit`` that are in the training split and have
    not been dropped.
dropped_at_ : ndarray of shape (n_rows,)
    For each row given to ``fit``, the epoch from which on it was left out, counted from
    1; 0 for rows that are kept or readmitted, or in the validation split.
history_ : skorch.history.History
    What happened in each epoch.
"""

EVALUATIONS = """
estimator : classifier
    The victim: a :class:`FilteredNetClassifier`, or any classifier that takes the rows.
    It is cloned.
X : {ndarray, Tensor} of shape (n_samples, ...)
    Clean training rows.
y : {ndarray, Tensor} of shape (n_samples,)
    Their labels.
y_test : {ndarray, Tensor} of shape (n_test,)
    Their labels.
verbose : int, default=0
    Verbosity of joblib, which shows progress.
"""

ALL = PARAMETERS + ATTRIBUTES + NETS + EVALUATIONS
ENTRY = re.compile(r"^(\w+) : .*\n(?: .*\n)+", re.MULTILINE)
TEXTS = {match[1]: match[0] for match in ENTRY.finditer(ALL)}


def with_shared_docs(named):
    """Replace each line ``<name>`` in a docstring by the entry of that name."""

    def entry(match):
        return indent(TEXTS[match[2]], match[1])

    text = named.__doc__
    if text:  # which "python -OO" leaves out
        named.__doc__ = re.sub(r"^( *)<(\w+)>\n", entry, text, flags=re.MULTILINE)
    return named
