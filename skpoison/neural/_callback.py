"""EPIC during the training of a network."""

import time
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import (
    StrOptions,
    validate_parameter_constraints,
)
from skorch.callbacks import Callback, PrintLog
from skorch.dataset import unpack_data
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Subset

from skpoison._warn import warn
from skpoison._whole_rows import round_down
from skpoison.coreset import isolated_medoids
from skpoison.exceptions import FilterWarning
from skpoison.neural._batch_log import BatchLog, TrainingProxies
from skpoison.neural._forgetting import (
    check_head,
    find_head,
    kept_state,
    restart_averages,
    restart_optimizers,
    rewind,
    shape_lazy,
)
from skpoison.neural._net import FilteredNetMixin, modules_of
from skpoison.neural._nets import FilteredNetBinaryClassifier, FilteredNetClassifier
from skpoison.neural._parameters import Number, at_least
from skpoison.neural._proxies import are_right, gradient_proxies
from skpoison.neural._recorded import KEY, record_rows
from skpoison.neural._selection import select_medoids

__all__ = ["EPICCallback"]

# Similarities are multiples of 2**-24, of which exp(-17) is less than one.
UNLIKE = 17
# Attributes that hold the rows and layers of a training that is under way.
OWN = ("_subset_", "_head_")


class EPICCallback(Callback):
    """Drop rows whose gradients are unlike those of the other rows of their class.

    EPIC [1]_ for a net with :class:`FilteredNetMixin`, such as
    :class:`FilteredNetClassifier`: a defense against *targeted* poison with clean
    labels, which only works if its gradients differ from those of the rows around it.
    At the start of an epoch in which a round is due, each row that is left gets a
    gradient proxy, in one pass in evaluation mode: for classifiers, the predicted
    probabilities minus the one-hot label; in general, the gradient of its loss with
    respect to the output. In each class, greedy facility location picks medoids among
    the proxies, and every row is assigned to its nearest medoid. A medoid to which no
    other row is assigned is isolated, and is dropped for good (but see
    ``readmit_after``). Validation rows are never dropped.

    Parameters
    ----------
    medoid_fraction : float, default=0.1
        Medoids picked in each class, as a fraction of its rows that are left; the paper
        has 0.1 to 0.3. The more medoids, the more rows are dropped.
    every : int, default=2
        Epochs from one round to the next.
    warmup : int, default=5
        Epochs before the first round. Gradients of an untrained network tell little.
    stop_after : int, default=None
        There are no more rounds after this many epochs. With
        ``stop_after=warmup`` there is one round. None never stops.
    similarity : {"exp", "linear"}, default="exp"
        Similarity of gradients at a distance; see
        :func:`skpoison.coreset.facility_location`.
    ground_set : {"remaining", "all"}, default="remaining"
        Among which rows medoids are picked: those that are left, as the paper writes;
        or all training rows, as the released code does, where rows that have been
        dropped can still be medoids and neighbors, and stay dropped.
    max_drop_fraction : float, default=0.5
        No class loses more than this fraction of its training rows, all rounds
        together.
    min_class_rows : int, default=100
        No class is left with fewer training rows than this: among few rows, most rows
        of a rare kind are isolated. Classes that have fewer lose none.
    order : {"canonical", "lazy"}, default="canonical"
        Which of equal candidates becomes a medoid; see
        :func:`skpoison.coreset.facility_location`.
    scoring_dataset : callable, default=None
        Where the training data come with random augmentation: a function that is given
        the user's Dataset and returns a Dataset of the same rows in the same order
        without it. None scores rows as they are trained on.
    backend : {"auto", "numpy", "numba", "torch"}, default="auto"
        What computes medoids, with identical results. ``"auto"`` is torch for a net on
        a CUDA device, and otherwise what
        :func:`skpoison.coreset.facility_location` finds best on the CPU.
    partitions : int, "auto" or None, default="auto"
        Into how many parts each class is divided, so that time and memory do not grow
        with the square of its rows; "auto" divides classes of more than 16,384 rows.
        None selects exactly; see :func:`skpoison.coreset.facility_location`. The
        backend ``"torch"`` always selects exactly.
    forget : {"reset-head", "rewind"}, default=None
        What happens to the parameters at the last round, after its rows have been
        dropped, so that the network unlearns what dropped rows have taught it; needs
        ``stop_after``, with epochs left to learn again. ``"reset-head"`` draws those of
        the last layer again, as when it was made; ``"rewind"`` moves all, and the
        statistics of batch normalization, 70 % of the way back to what they were when
        training began. Both clear what the optimizer remembers, such as momentum. None
        leaves parameters as they are, as published.
    head : str, default=None
        For ``forget="reset-head"``, the name in ``module.named_modules()`` of the layer
        that is drawn again (the empty name is the module itself). It needs a method
        ``reset_parameters``, as torch's own layers have, that sets all its parameters,
        which no other layer may share. None finds the layer with a weight matrix
        through which alone the output depends on all others; if there is none, ``head``
        is needed.
    readmit_after : int, default=None
        With ``forget``, for classifiers: so many epochs after it, the network scores
        the rows that had been dropped, and those that it classifies as labeled are
        trained on again. They teach little that it has not learned again from others,
        while clean rows that were dropped cost accuracy. None readmits none.
    proxies : {"scoring", "training"}, default="scoring"
        Where gradients come from: a pass over the rows in evaluation mode when a round
        is due; or the training in the epoch before it, as batches go by, which costs no
        pass, but is up to an epoch old, in training mode, and under augmentation.

    Attributes
    ----------
    spared_ : dict of int to int
        Isolated rows of each class that were kept since training began, because of
        ``max_drop_fraction`` or ``min_class_rows``.

    Raises
    ------
    ValueError
        When training begins, if a parameter is out of range or needs another one, a
        sampler is given as an instance, made for all rows, the last layer cannot be
        found or reset, or a file does not hold what training began with; at a round, if
        the module does not return logits, or training has diverged; with
        ``proxies="training"``, if a loader does not tell which rows are in a batch.
    TypeError
        When training begins, if the net has no :class:`FilteredNetMixin`, or rows are
        to be readmitted by a net that is no classifier.

    Warns
    -----
    FilterWarning
        When training goes on with parameters that were loaded without a history, so
        that nothing says which rows had been dropped. When training ends, if isolated
        rows were kept; see ``spared_``; or if it ends before the net has forgotten, or
        before rows have come back. At a round, if the module returns probabilities in
        place of logits, or gradients lie too far apart for ``similarity="exp"``.

    See Also
    --------
    FilteredNetClassifier, FilteredNetBinaryClassifier, FilteredNetRegressor : Nets
        that tell which rows were kept.
    FilteredNetMixin : Makes such a net of any other.
    skpoison.EPICFilter : The same for scikit-learn's classifiers.
    skpoison.inspection.EPICDisplay : Draws what was dropped, and why.

    Notes
    -----
    Every epoch has in the history ``n_kept``, rows that it trains on; ``n_dropped``,
    rows dropped when it began; ``selection_seconds``, how long that took, with the
    pass over the rows; and ``event_rows``, a dict that says which rows were dropped,
    and of which data they are, for a training that goes on from a file.

    With ``readmit_after``, epochs also have ``n_readmitted`` in the history. Rows that
    come back count as never dropped in ``dropped_at_`` and ``kept_indices_``.

    With ``proxies="training"``, rows that the epoch before a round did not train on,
    such as those left out by ``drop_last``, are not compared in that round. Recorded
    gradients are not in files of parameters: the first round after a training has been
    loaded from these takes a pass.

    The schedule counts epochs since the net was initialized, so that
    ``partial_fit`` continues where training had stopped.

    Without classes, as in regression, all rows are compared with each other, and
    ``max_drop_fraction`` and ``min_class_rows`` hold for all of them together. EPIC was
    published for classifiers; no experiments with other losses are known to us. As
    gradients are then in units of the targets, scale these to a standard deviation of
    about 1, or take ``similarity="linear"``, which does not depend on units.

    Where a class may not lose all of its isolated rows, those that were picked as
    medoids first are dropped. A network that normalizes batches cannot train on a batch
    of one row: if the rows that are left would end in one, one row fewer is dropped.

    The released code departs from the paper, and this departs from it, in these points:
    its distances lack the bias of the last layer (here they have it); its budgets are
    rounded up and trimmed at random (here to nearest); it stops at the last step of the
    learning rate (here only at ``stop_after``); it has no guard against dropping too
    much; and if selection fails it takes a random subset (here that is an error).

    References
    ----------
    .. [1] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import EPICCallback, FilteredNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Linear(64, 10),
    ...     lr=0.5,
    ...     max_epochs=6,
    ...     callbacks=[EPICCallback(medoid_fraction=0.2, warmup=3)],
    ...     verbose=0,
    ... ).fit((X / 16).astype("float32"), y)
    >>> n_kept = net.history[:, "n_kept"]
    >>> n_kept[2] > n_kept[3] == n_kept[4] > n_kept[5]
    True
    """

    _parameter_constraints: dict = {
        "medoid_fraction": [Number(Real, 0, 1, closed="right")],
        "every": [at_least(1)],
        "warmup": [at_least(0)],
        "stop_after": [at_least(0), None],
        "similarity": [StrOptions({"exp", "linear"})],
        "ground_set": [StrOptions({"remaining", "all"})],
        "max_drop_fraction": [Number(Real, 0, 1, closed="both")],
        "min_class_rows": [at_least(1)],
        "order": [StrOptions({"canonical", "lazy"})],
        "scoring_dataset": [callable, None],
        "backend": [StrOptions({"auto", "numpy", "numba", "torch"})],
        "partitions": [at_least(1), StrOptions({"auto"}), None],
        "forget": [StrOptions({"reset-head", "rewind"}), None],
        "head": [str, None],
        "readmit_after": [at_least(1), None],
        "proxies": [StrOptions({"scoring", "training"})],
    }

    _recorded_ = _subset_ = _head_ = _start_ = None

    def __init__(
        self,
        medoid_fraction=0.1,
        *,
        every=2,
        warmup=5,
        stop_after=None,
        similarity="exp",
        ground_set="remaining",
        max_drop_fraction=0.5,
        min_class_rows=100,
        order="canonical",
        scoring_dataset=None,
        backend="auto",
        partitions="auto",
        forget=None,
        head=None,
        readmit_after=None,
        proxies="scoring",
    ):
        self.medoid_fraction = medoid_fraction
        self.every = every
        self.warmup = warmup
        self.stop_after = stop_after
        self.similarity = similarity
        self.ground_set = ground_set
        self.max_drop_fraction = max_drop_fraction
        self.min_class_rows = min_class_rows
        self.order = order
        self.scoring_dataset = scoring_dataset
        self.backend = backend
        self.partitions = partitions
        self.forget = forget
        self.head = head
        self.readmit_after = readmit_after
        self.proxies = proxies

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Check parameters and net, before any work is done."""
        if not isinstance(net, FilteredNetMixin):
            raise TypeError(
                f"{type(self).__name__} works in nets with FilteredNetMixin, such as "
                f"FilteredNetClassifier, and not in a {type(net).__name__}."
            )
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(), type(self).__name__
        )
        self._check_schedule()
        self._check_readmission(net)
        self._check_proxies()
        if self.forget == "reset-head":
            check_head(net, self.head)
        fixed = {"sampler", "batch_sampler"} & set(net.get_params_for("iterator_train"))
        if fixed:
            raise ValueError(
                f"iterator_train__{fixed.pop()} is made for all rows, of which some "
                "will be dropped: let iterator_train be a function that makes a loader "
                "with its sampler for the dataset that it is given."
            )
        for _, callback in net.callbacks_:
            if isinstance(callback, PrintLog):
                # Lists of rows are for files, and not to be printed.
                callback.keys_ignored_.add(KEY)
        self.spared_ = {}
        self._head_ = self._subset_ = None

    def _check_schedule(self):
        if self.stop_after is not None and self.stop_after < self.warmup:
            raise ValueError(
                f"stop_after={self.stop_after} must not be less than "
                f"warmup={self.warmup}: nothing would ever be dropped."
            )
        if self.forget is not None and self.stop_after is None:
            raise ValueError(
                f"forget={self.forget!r} happens at the last round: give stop_after, "
                "the last epoch that may have one, such as half of all epochs. It is "
                "None."
            )

    def _check_readmission(self, net):
        if self.readmit_after is None:
            return
        if self.forget is None:
            raise ValueError(
                f"readmit_after={self.readmit_after} counts epochs from the one in "
                "which the network forgets: give forget as well, which is None."
            )
        if not isinstance(net, FilteredNetClassifier | FilteredNetBinaryClassifier):
            raise TypeError(
                "readmit_after needs a net that classifies rows, a "
                "FilteredNetClassifier or FilteredNetBinaryClassifier; got "
                f"{type(net).__name__}."
            )

    def _check_proxies(self):
        if self.proxies == "scoring":
            return
        wrong = {
            f"warmup={self.warmup}": (self.warmup < 1, "1 or more"),
            f"ground_set={self.ground_set!r}": (
                not self._only_remaining,
                "'remaining', since dropped rows are not trained on",
            ),
            f"scoring_dataset={self.scoring_dataset!r}": (
                self.scoring_dataset is not None,
                "None, since rows are not scored",
            ),
        }
        for given, (is_wrong, allowed) in wrong.items():
            if is_wrong:
                raise ValueError(
                    f"with proxies='training', {given.split('=')[0]} must be {allowed};"
                    f" got {given}."
                )

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Drop isolated rows if a round is due, and record what happened."""
        if net.lacks_history_:
            net.lacks_history_ = False
            warn(
                "parameters were loaded without a history, which records what was "
                "dropped: no row counts as dropped, and epochs are counted from zero. "
                "To continue a training, load its f_history as well.",
                FilterWarning,
            )
        n_epochs = len(net.history) - 1
        self._prepare(net, dataset_train, n_epochs)
        begin = time.perf_counter()
        is_round = self._is_round(n_epochs)
        n_dropped = self._drop(net, dataset_train) if is_round else 0
        seconds = time.perf_counter() - begin if is_round else 0.0
        if self.forget is not None and n_epochs == self._last_round():
            self._forget(net)
        readmitted = self._readmit(net, dataset_train, n_epochs)
        self._begin_recording(n_epochs, dataset_train.pool)
        net.history.record("n_kept", len(dataset_train))
        net.history.record("n_dropped", n_dropped)
        net.history.record("selection_seconds", seconds)
        if self.readmit_after is not None:
            net.history.record("n_readmitted", len(readmitted))
        record_rows(net.history, dataset_train.pool, readmitted)

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        """Take gradients from the training, where a round will need them."""
        if not training or self._subset_ is None:
            return
        _, y = unpack_data(batch)
        places = self._subset_.log.next_rows(len(net.row_classes(y)))
        if self._recorded_ is not None:
            rows = self._subset_.rows[self._subset_.indices[places]]
            self._recorded_.add(net, rows, y_pred, y)

    def _prepare(self, net, subset, n_epochs):
        """Keep what later epochs need, before any row is trained on."""
        if self.forget is not None and n_epochs == 0:
            shape_lazy(net, self._plain(subset))
        if self.forget == "rewind" and n_epochs <= self._last_round():
            self._keep_start(net, n_epochs)
        if self.forget == "reset-head" and self._head_ is None:
            self._head_ = find_head(net, self.head, self._plain(subset))
        if self.proxies == "training":
            self._subset_ = subset
            if subset.log is None:
                subset.log = BatchLog()

    def _keep_start(self, net, n_epochs):
        if n_epochs == 0:
            self._start_ = kept_state(net)
        elif self._start_ is None:
            raise ValueError(
                "forget='rewind' needs the parameters that training began with, which "
                f"are not known after {n_epochs} epochs: files of parameters hold only "
                "the last ones. Continue with a pickle of the net, or take "
                "forget='reset-head'."
            )

    def _begin_recording(self, n_epochs, pool):
        """Record the gradients of this epoch if a round is due after it."""
        is_due = self.proxies == "training" and self._is_round(n_epochs + 1)
        self._recorded_ = TrainingProxies(pool) if is_due else None

    def _forget(self, net):
        """Unlearn what dropped rows have taught."""
        if self.forget == "reset-head":
            self._head_.reset_parameters()
        else:
            rewind(net, self._start_)
        self._start_ = None
        restart_averages(net)
        restart_optimizers(net)

    def _readmit(self, net, subset, n_epochs):
        """Return rows that are trained on again, since they are classified rightly."""
        after = self.readmit_after
        if after is None or n_epochs != self._last_round() + after:
            return subset.rows[:0]
        rows = subset.rows[subset.pool.dropped_at[subset.rows] > 0]
        if not len(rows):
            return rows
        proxies, labels, _ = gradient_proxies(net, Subset(self._plain(subset), rows))
        rows = rows[are_right(proxies, labels)]
        if len(rows) and _ends_in_one_row(net, len(subset) + len(rows)):
            rows = rows[:-1]
        subset.readmit(rows)
        return rows

    def __getstate__(self):
        # The rows themselves are not pickled with a net; what was on a GPU can be
        # loaded where there is none.
        state = {name: value for name, value in vars(self).items() if name not in OWN}
        if self._start_ is not None:
            start = {name: tensor.cpu() for name, tensor in self._start_.items()}
            state |= {"_start_": start}
        return state

    def _warn_of_what_is_due(self, n_epochs):
        """Warn of a training that ends before the net has forgotten and learned."""
        if self.forget is None:
            return
        at = self._last_round()
        if n_epochs <= at:
            warn(
                f"training has ended after {n_epochs} epochs, and "
                f"forget={self.forget!r} is due at the beginning of epoch {at + 1}, at "
                "the last round: the net has not forgotten anything.",
                FilterWarning,
            )
        elif self.readmit_after is not None and n_epochs <= at + self.readmit_after:
            due = at + self.readmit_after + 1
            warn(
                f"training has ended after {n_epochs} epochs, and readmit_after="
                f"{self.readmit_after} is due at the beginning of epoch {due}: no row "
                "that was dropped has come back.",
                FilterWarning,
            )

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Warn of isolated rows that had to be kept, and of what is yet to come."""
        self._head_ = self._subset_ = None
        self._warn_of_what_is_due(len(net.history))
        if self.spared_:
            warn(
                f"{type(self).__name__} kept {sum(self.spared_.values())} isolated "
                f"rows, of the classes {sorted(self.spared_)}: no class may lose more "
                f"than max_drop_fraction={self.max_drop_fraction} of its rows, or be "
                f"left with fewer than min_class_rows={self.min_class_rows}.",
                FilterWarning,
            )

    def _is_round(self, n_epochs):
        """Whether a round is due after so many epochs."""
        if self.stop_after is not None and n_epochs > self.stop_after:
            return False
        return n_epochs >= self.warmup and (n_epochs - self.warmup) % self.every == 0

    def _last_round(self):
        """Epochs before the last round; None if rounds never stop."""
        if self.stop_after is None:
            return None
        n_later = (self.stop_after - self.warmup) // self.every
        return self.warmup + n_later * self.every

    def _gradients(self, net, subset):
        """Return rows, with their gradients, classes and target marks."""
        rows = subset.rows[subset.indices if self._only_remaining else slice(None)]
        recorded, self._recorded_ = self._recorded_, None
        if recorded is None or recorded.pool is not subset.pool:
            return rows, *gradient_proxies(net, Subset(self._plain(subset), rows))
        rows = rows[recorded.seen[rows]]
        return rows, *recorded.of(net, rows)

    def _drop(self, net, subset):
        rows, proxies, labels, marks = self._gradients(net, subset)
        subset.pool.labels[rows], subset.pool.marks[rows] = labels, marks
        self._check_scale(proxies)
        medoids = select_medoids(
            proxies,
            labels,
            self.medoid_fraction,
            self.similarity,
            self.order,
            self.backend,
            self.partitions,
        )
        alone = isolated_medoids(medoids)
        alone = alone[subset.pool.dropped_at[rows[alone]] == 0]
        drop = alone[self._may_be_dropped(subset.pool, labels, alone)]
        if len(drop) and _ends_in_one_row(net, len(subset) - len(drop)):
            drop = drop[:-1]
        subset.drop(rows[drop], len(net.history))
        return len(drop)

    def _check_scale(self, proxies):
        """Warn of gradients that are too far apart for the exponential similarity."""
        if self.similarity != "exp":
            return
        limit = UNLIKE * proxies.shape[1]
        spread = (proxies.amax(dim=0) - proxies.amin(dim=0)).max().item()
        if spread > limit:
            warn(
                f"gradients differ by up to {spread:.3g}, and similarity='exp' treats "
                f"all that differ by more than {limit:.3g} as equally dissimilar: "
                "scale the targets to a standard deviation of 1, or use "
                "similarity='linear'.",
                FilterWarning,
            )

    @property
    def _only_remaining(self):
        return self.ground_set == "remaining"

    def _plain(self, subset):
        """Return the user's rows, without augmentation."""
        if self.scoring_dataset is None:
            return subset.base
        plain = self.scoring_dataset(subset.base)
        if len(plain) != len(subset.base):
            raise ValueError(
                f"scoring_dataset must return as many rows as it gets: it got "
                f"{len(subset.base)} and returned {len(plain)}."
            )
        return plain

    def _may_be_dropped(self, pool, labels, alone):
        """Choose isolated rows such that no class loses too many of its rows."""
        classes, codes = np.unique(labels, return_inverse=True)
        total, dropped = pool.counts(classes)
        allowed = round_down(self.max_drop_fraction * total)
        allowed = np.minimum(allowed, total - self.min_class_rows) - dropped
        place = _place_in_class(codes[alone])
        chosen = place < allowed[codes[alone]]
        for code in codes[alone[~chosen]]:
            label = int(classes[code])
            self.spared_[label] = self.spared_.get(label, 0) + 1
        return chosen


def _ends_in_one_row(net, n_rows):
    """Whether the last batch of a net with batch normalization would have one row."""
    options = net.get_params_for("iterator_train")
    batch_size = options.get("batch_size", net.batch_size)
    if options.get("drop_last") or batch_size < 2 or n_rows % batch_size != 1:
        return False
    parts = modules_of(net).modules()
    return any(isinstance(part, _BatchNorm) for part in parts)


def _place_in_class(codes):
    """Return the position of each entry among those of its code, which are adjacent."""
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else []
    starts = np.zeros(len(codes), dtype=np.intp)
    starts[first] = first
    return np.arange(len(codes)) - np.maximum.accumulate(starts)
