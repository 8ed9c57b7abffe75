"""Success of targeted attacks, with and without defenses."""

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state

from skpoison.neural._parameters import check_whole
from skpoison.neural._seeded import seeded
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._victims import (
    MEASURES,
    UNDEFENDED,
    Stage,
    as_frame,
    check_attack,
    named,
    normal,
    wilson,
    with_interval,
)

__all__ = ["evaluate_targeted"]


@with_shared_docs
def evaluate_targeted(
    attack,
    defense,
    estimator,
    X,
    y,
    X_test,
    y_test,
    *,
    n_targets=50,
    targets=None,
    intended_labels=None,
    embedding=None,
    only_successful=False,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Measure how often targeted attacks succeed, with and without defenses.

    For each target, the attack crafts poison from the clean rows, and victims are
    trained on the poisoned rows, one without a defense and one with each. The attack
    succeeds if the victim predicts the intended label for the target. All victims of a
    target get the same poison and the same random seed, so that they can be compared
    in pairs.

    Parameters
    ----------
    attack : attack
        A sampler with the parameters ``target`` and ``intended_label``, such as
        :class:`BullseyePolytopeAttack`. It is cloned and set to each target in turn.
    defense : dict of str to defense
        Defenses by name (not ``"none"``, which is the victim without any). Each is

        - a filter, which judges the rows before training;
        - a callback of skorch, such as :class:`EPICCallback`, which is added to those
          of `estimator`;
        - or a classifier, which replaces `estimator`.
    <estimator>
    <X>
    <y>
    X_test : {ndarray, Tensor} of shape (n_test, ...)
        Clean test rows. Targets are among them.
    <y_test>
    n_targets : int, default=50
        Number of targets that are drawn from the test rows that a victim trained
        without poison classifies correctly.
    targets : array-like of shape (n_targets,), default=None
        Positions of the targets in X_test; None draws them.
    intended_labels : array-like of shape (n_targets,), default=None
        The intended label of each target, different from its own. None draws them.
    embedding : callable, default=None
        Frozen feature extractor such as :meth:`LayerFeatures.embed`: takes rows and
        returns features (ndarray), which victims and filters get instead of rows. It is
        called once for clean and test rows, and for the poison of each target.
    only_successful : bool, default=False
        Whether defenses are tried only on targets for which the attack succeeds
        undefended, to save time. Other entries are NaN.
    n_jobs : int, default=None
        Number of targets in parallel, by joblib. Each job holds a copy of all data.
    random_state : int, RandomState instance or None, default=None
        Draws targets and labels, and seeds attacks and victims.
    <verbose>

    Returns
    -------
    results : :class:`~sklearn.utils.Bunch`
        ``target`` and ``intended_label``, of shape (n_targets,); ``defense``, the
        names, ``"none"`` first; ``objective``, the attack's lowest for each target;
        ``clean_accuracy``, of a victim without poison and defense. Of shape
        (n_targets, n_defenses), float64: ``success``, 1 if the intended label is
        predicted for the target, else 0; ``accuracy`` on the other test rows;
        ``poison_dropped`` and ``clean_dropped``, shares of these rows that were not
        trained on; ``seconds``, for training with the defense. ``summary`` is a
        Bunch of arrays of shape (n_defenses,); ``frame`` the same as a DataFrame, or
        None where pandas is not installed. With 95 % intervals (``..._low``,
        ``..._high``), it has ``success`` over the targets that succeed undefended,
        which is a fair comparison of defenses; ``success_all`` over all targets; and
        the means of all others over the targets that succeed undefended.

    Raises
    ------
    ValueError
        If there are no targets, or a name, a position, a label or a length is wrong.
    TypeError
        If the attack lacks these parameters, or a defense is of another type.

    Notes
    -----
    Intervals of success are Wilson's; those of means are plus and minus 1.96 standard
    errors over targets. Rates of success are proportions of *targets*: they hold for
    one training set, and for targets drawn like these.

    Torch's random stream is seeded for each victim, and restored.

    References
    ----------
    .. [1] A. Schwarzschild, M. Goldblum, A. Gupta, J. P. Dickerson and T. Goldstein,
       "Just How Toxic is Data Poisoning? A Unified Benchmark for Backdoor and Data
       Poisoning Attacks", ICML 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison import SphereFilter
    >>> from skpoison.neural import BullseyePolytopeAttack, evaluate_targeted
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> features = torch.nn.Sequential(torch.nn.Linear(64, 200), torch.nn.ReLU())
    >>> results = evaluate_targeted(
    ...     BullseyePolytopeAttack(features, epsilon=0.02, radius=0.5, n_steps=30),
    ...     {"sphere": SphereFilter(80)},
    ...     LogisticRegression(max_iter=300),
    ...     X[:1000], y[:1000], X[1000:], y[1000:],
    ...     n_targets=3,
    ...     embedding=lambda rows: features(torch.as_tensor(rows)).detach().numpy(),
    ...     random_state=0,
    ... )
    >>> results.defense.tolist(), results.success.shape
    (['none', 'sphere'], (3, 2))
    """
    check_attack(attack, ("target", "intended_label"), "evaluate_backdoor")
    defenses = named(defense, estimator)
    rng = check_random_state(random_state)
    stage = TargetedStage(
        attack, defenses, estimator, (X, y, X_test, y_test), embedding
    )
    _check_given(n_targets, targets, intended_labels, stage.labels_test)
    right = stage.find_right(int(rng.randint(2**31)))
    plan = _plan(right, stage.labels_test, rng, n_targets, targets, intended_labels)
    seeds = rng.randint(2**31, size=len(plan))
    rows = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(stage.play)(*pair, int(seed), only_successful)
        for pair, seed in zip(plan, seeds, strict=True)
    )
    return _as_bunch(plan, [UNDEFENDED, *defenses], rows, right.mean())


def _check_given(n_targets, targets, intended, labels):
    """Check targets that are given, before anything is trained."""
    if targets is None:
        check_whole("n_targets", n_targets, 1)
        return
    targets = np.asarray(targets)
    whole = targets.ndim == 1 and (targets.dtype.kind in "iu" or not targets.size)
    if not whole or not ((targets >= 0) & (targets < len(labels))).all():
        raise ValueError(
            f"targets must be positions in X_test, from 0 to {len(labels) - 1}; got "
            f"{targets.tolist()!r}."
        )
    if intended is not None:
        _check_pairs(targets, np.asarray(intended), labels)


def _check_pairs(targets, intended, labels):
    """Check that each target has another label than the one that is intended."""
    if intended.shape != targets.shape or not len(targets):
        raise ValueError(
            f"there must be as many intended_labels as targets, and one at least; got "
            f"{intended.size} and {targets.size}."
        )
    has_it = labels[targets] == intended
    if np.any(has_it):
        raise ValueError(
            "intended_labels must differ from the targets' own; the targets "
            f"{targets[has_it].tolist()} have the labels {intended[has_it].tolist()}."
        )


def _plan(right, labels, rng, n_targets, targets, intended):
    """Return pairs of a target and its intended label."""
    if targets is None:
        candidates = np.flatnonzero(right)
        if n_targets > len(candidates):
            raise ValueError(
                f"n_targets={n_targets!r} must be from 1 to {len(candidates)}, the "
                "test rows that a victim without poison classifies correctly."
            )
        targets = rng.choice(candidates, n_targets, replace=False)
    targets = np.asarray(targets)
    classes = np.unique(labels)
    if intended is None:
        intended = [rng.choice(classes[classes != labels[t]]) for t in targets]
    intended = np.asarray(intended)
    _check_pairs(targets, intended, labels)
    return list(zip(targets.tolist(), intended.tolist(), strict=True))


class TargetedStage(Stage):
    """What all targets share."""

    def find_right(self, seed):
        """Train without poison; return which test rows are classified correctly."""
        with seeded(seed):
            return self.predict(self.clean_victim()) == self.labels_test

    def play(self, target, intended, seed, only_successful):
        """Attack one target, and train all victims on the poison."""
        attack = clone(self.attack).set_params(
            target=self.X_test[target], intended_label=intended, random_state=seed
        )

        def judge(fitted):
            predicted = self.predict(fitted)
            others = np.arange(len(predicted)) != target
            right = predicted == self.labels_test
            return predicted[target] == intended, np.mean(right[others])

        return self.compare(attack, judge, seed, only_successful)


def _as_bunch(plan, names, rows, clean_accuracy):
    targets, intended = zip(*plan, strict=True)
    values = np.array([measured for _, measured in rows], dtype=np.float64)
    results = Bunch(
        target=np.array(targets),
        intended_label=np.array(intended),
        defense=np.array(names),
        objective=np.array([objective for objective, _ in rows]),
        clean_accuracy=float(clean_accuracy),
        **{name: values[..., i] for i, name in enumerate(MEASURES)},
    )
    results.summary = summarize(results)
    results.frame = as_frame(results.summary)
    return results


def summarize(results):
    """Compute rates, means and intervals of the measurements on targets."""
    selected = results.success[:, 0] == 1
    columns = {"defense": results.defense}
    for name, rows in (("success", selected), ("success_all", slice(None))):
        columns |= with_interval(name, results.success[rows].T, wilson)
    for name in MEASURES[1:]:
        columns |= with_interval(name, results[name][selected].T, normal)
    return Bunch(**columns)
