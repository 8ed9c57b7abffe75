"""Success of backdoors, with and without defenses."""

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state
from skorch.utils import multi_indexing

from skpoison.neural._parameters import check_whole
from skpoison.neural._rows import as_tensor
from skpoison.neural._seeded import seeded
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._trigger import check_trigger, put_trigger
from skpoison.neural._victims import (
    MEASURES,
    UNDEFENDED,
    Stage,
    as_frame,
    check_attack,
    named,
    normal,
    predicted,
    with_interval,
)

__all__ = ["evaluate_backdoor"]


@with_shared_docs
def evaluate_backdoor(
    attack,
    defense,
    estimator,
    X,
    y,
    X_test,
    y_test,
    *,
    n_trials=20,
    source_labels=None,
    intended_labels=None,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Measure the success of backdoor triggers, with and without defenses.

    In each trial, the attack crafts poison from the clean rows, and victims are trained
    on the poisoned rows, one without a defense and one with each. Its success is the
    share of test rows of the source class that are classified as the intended class
    once they show the trigger. All victims of a trial get the same poison and the same
    random seed, so that they can be compared in pairs.

    Parameters
    ----------
    attack : attack
        A sampler with the parameters ``trigger``, ``source_label`` and
        ``intended_label``: :class:`TriggerBackdoorAttack` or
        :class:`SleeperAgentAttack`. It is cloned and set to each pair of labels.
    defense : dict of str to defense
        Defenses by name (not ``"none"``, which is the victim without any): filters,
        callbacks of skorch or classifiers, as for :func:`evaluate_targeted`.
    <estimator>
    <X>
    <y>
    X_test : {ndarray, Tensor} of shape (n_test, ...)
        Clean test rows, floating point numbers.
    <y_test>
    n_trials : int, default=20
        Number of pairs of labels that are drawn.
    source_labels : array-like of shape (n_trials,), default=None
        The sources, together with `intended_labels`; None draws them.
    intended_labels : array-like of shape (n_trials,), default=None
        The intended label of each source.
    n_jobs : int, default=None
        Number of trials in parallel, by joblib. Each job holds a copy of all data.
    random_state : int, RandomState instance or None, default=None
        Draws pairs of labels, and seeds attacks and victims.
    <verbose>

    Returns
    -------
    results : :class:`~sklearn.utils.Bunch`
        ``source_label`` and ``intended_label``, of shape (n_trials,); ``defense``, the
        names, ``"none"`` first; ``objective``, the attack's lowest in each trial, or
        NaN; ``clean_accuracy`` of a victim without poison and defense, and
        ``clean_success``, of shape (n_trials,), the share of rows with the trigger that
        it classifies as the intended class. Of shape (n_trials, n_defenses), float64:
        ``success``; ``accuracy`` on the test rows without the trigger;
        ``poison_dropped`` and ``clean_dropped``, shares of these rows that were not
        trained on; ``seconds``, for training with the defense. ``summary`` is a Bunch
        of arrays of shape (n_defenses,), with the means of all these and their 95 %
        intervals (``..._low``, ``..._high``); ``frame`` the same as a DataFrame, or
        None where pandas is not installed.

    Raises
    ------
    ValueError
        If there are no trials, or the trigger, a name, a label or a length is wrong.
    TypeError
        If the attack lacks these parameters, a defense is of another type, or test rows
        are not floating point numbers.

    See Also
    --------
    evaluate_targeted : The same for attacks on single rows.

    Notes
    -----
    Intervals are plus and minus 1.96 standard errors over trials.

    Torch's random stream is seeded for each victim, and restored.

    References
    ----------
    .. [1] H. Souri, L. Fowl, R. Chellappa, M. Goldblum and T. Goldstein, "Sleeper
       Agent: Scalable Hidden Trigger Backdoors for Neural Networks Trained from
       Scratch", NeurIPS 2022, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skpoison.filters import NeighborsFilter
    >>> from skpoison.neural import Trigger, TriggerBackdoorAttack, evaluate_backdoor
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> results = evaluate_backdoor(
    ...     TriggerBackdoorAttack(Trigger([1.0] * 8), epsilon=0.02),
    ...     {"neighbors": NeighborsFilter()},
    ...     KNeighborsClassifier(1),
    ...     X[:1000], y[:1000], X[1000:], y[1000:],
    ...     n_trials=2,
    ...     random_state=0,
    ... )
    >>> results.defense.tolist(), results.success.shape
    (['none', 'neighbors'], (2, 2))
    >>> bool(results.success[:, 0].mean() > results.clean_success.mean())
    True
    """
    check_attack(
        attack, ("trigger", "source_label", "intended_label"), "evaluate_targeted"
    )
    check_trigger(attack.trigger, as_tensor(X_test, "X_test"))
    defenses = named(defense, estimator)
    rng = check_random_state(random_state)
    stage = BackdoorStage(attack, defenses, estimator, (X, y, X_test, y_test), None)
    pairs = _pairs(stage.labels_test, rng, n_trials, source_labels, intended_labels)
    clean = stage.judge_clean(pairs, int(rng.randint(2**31)))
    seeds = rng.randint(2**31, size=len(pairs))
    rows = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(stage.play)(*pair, int(seed))
        for pair, seed in zip(pairs, seeds, strict=True)
    )
    return _as_bunch(pairs, [UNDEFENDED, *defenses], rows, clean)


def _pairs(labels, rng, n_trials, sources, intended):
    """Return pairs of a source and an intended label."""
    classes = np.unique(labels)
    if (sources is None) != (intended is None):
        raise ValueError("give both source_labels and intended_labels, or neither.")
    if sources is None:
        check_whole("n_trials", n_trials, 1)
        draws = [rng.choice(classes, 2, replace=False) for _ in range(n_trials)]
        return [tuple(pair.tolist()) for pair in draws]
    sources, intended = np.asarray(sources), np.asarray(intended)
    fits = sources.shape == intended.shape == (sources.size,) and sources.size
    if not fits or (sources == intended).any() or not np.isin(sources, classes).all():
        raise ValueError(
            "there must be as many intended_labels as source_labels, one at least, and "
            f"each source another label of y_test; got {sources.tolist()} and "
            f"{intended.tolist()}."
        )
    return list(zip(sources.tolist(), intended.tolist(), strict=True))


class BackdoorStage(Stage):
    """What all pairs of labels share."""

    def judge_clean(self, pairs, seed):
        """Train without poison; return each trigger's success, and accuracy."""
        with seeded(seed):
            fitted = self.clean_victim()
            return [self.judge(fitted, *pair) for pair in pairs]

    def play(self, source, intended, seed):
        """Attack one class, and train all victims on the poison."""
        attack = clone(self.attack).set_params(
            source_label=source, intended_label=intended, random_state=seed
        )
        return self.compare(
            attack, lambda fitted: self.judge(fitted, source, intended), seed, False
        )

    def judge(self, fitted, source, intended):
        """Measure success with the trigger and accuracy without."""
        places = np.flatnonzero(self.labels_test == source)
        source_rows = multi_indexing(self.X_test, places)
        triggered = put_trigger(self.attack.trigger, source_rows)
        return (
            np.mean(predicted(fitted, triggered) == intended),
            np.mean(self.predict(fitted) == self.labels_test),
        )


def _as_bunch(pairs, names, rows, clean):
    sources, intended = zip(*pairs, strict=True)
    values = np.array([measured for _, measured in rows], dtype=np.float64)
    clean_success, clean_accuracy = zip(*clean, strict=True)
    results = Bunch(
        source_label=np.array(sources),
        intended_label=np.array(intended),
        defense=np.array(names),
        objective=np.array([objective for objective, _ in rows]),
        clean_accuracy=float(clean_accuracy[0]),
        clean_success=np.array(clean_success),
        **{name: values[..., i] for i, name in enumerate(MEASURES)},
    )
    columns = {"defense": results.defense}
    for name in MEASURES:
        columns |= with_interval(name, results[name].T, normal)
    results.summary = Bunch(**columns)
    results.frame = as_frame(results.summary)
    return results
