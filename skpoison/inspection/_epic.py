"""Plot of the rows that EPIC drops during training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skpoison._words import label_text
from skpoison.coreset import facility_location, isolated_medoids

from ._style import BLACK, BLUE, GREY, SKY, SMALL, VERMILION, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skpoison.neural import FilteredNetClassifier

# What a row is, in the order of drawing, and how it looks.
LOOKS = {
    "dropped": {"marker": "x", "s": 12, "color": GREY, "linewidth": 0.6, "alpha": 0.6},
    "kept": {"marker": "o", "s": 8, "color": SKY, "linewidth": 0},
    "medoid": {"marker": "o", "s": 22, "color": BLUE, "linewidth": 0},
    "isolated medoid": {
        "marker": "o",
        "s": 34,
        "facecolor": "white",
        "edgecolor": VERMILION,
        "linewidth": 1.4,
    },
}
POISON_LOOK = {"marker": "*", "s": 55, "edgecolor": BLACK, "linewidth": 0.6}


class EPICDisplay:
    """Plot of the rows that EPIC keeps in each epoch, and of their gradients.

    The first plot shows the fraction of training rows that are kept in each epoch, and
    that of the poison rows if known. The second, if rows are given, shows the gradient
    proxies of one class in the plane of largest variance, with the medoids that the
    next round would select; isolated medoids, which it would drop, are marked.

    It is recommended to use :meth:`from_estimator` to create an :class:`EPICDisplay`.
    All parameters are stored as attributes.

    Parameters
    ----------
    n_kept : ndarray of shape (n_epochs,)
        Number of training rows in each epoch.
    n_train : int
        Number of training rows before any was dropped.
    n_poison_kept : ndarray of shape (n_epochs,), default=None
        Number of poison rows in each epoch.
    n_poison : int, default=None
        Number of poison rows before any row was dropped.
    coordinates : ndarray of shape (n_rows, 2), default=None
        Gradient proxies of training rows of one class, in a plane.
    groups : ndarray of shape (n_rows,), default=None
        Group of each of these rows: ``"dropped"``, ``"kept"``, ``"medoid"`` or
        ``"isolated medoid"``.
    poison_mask : ndarray of shape (n_rows,), dtype=bool, default=None
        Which of these rows are known to be poison.
    label : object, default=None
        Their class.

    Attributes
    ----------
    lines_ : dict
        Matplotlib lines over the epochs: ``"kept"``, and ``"poison kept"`` if known.
    rows_ : dict
        The plotted rows, a PathCollection for each nonempty group, and for
        ``"poison"``.
    axes_ : list of matplotlib Axes
        The axes of the plots.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Raises
    ------
    ImportError
        By :meth:`plot` and :meth:`from_estimator`, if matplotlib is not installed.

    See Also
    --------
    skpoison.neural.EPICCallback : Drops the rows.
    FilterDisplay : Plots the rows that sphere and slab filters keep.

    References
    ----------
    .. [1] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, figure 2.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.inspection import EPICDisplay
    >>> from skpoison.neural import EPICCallback, FilteredNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Linear(64, 10),
    ...     lr=0.5,
    ...     callbacks=[EPICCallback(0.2, warmup=3)],
    ...     verbose=0,
    ... ).fit(X, y)
    >>> display = EPICDisplay.from_estimator(net, X, y, label=8)
    >>> len(display.n_kept), len(display.axes_)
    (10, 2)
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        n_kept: np.ndarray,
        n_train: int,
        n_poison_kept: np.ndarray | None = None,
        n_poison: int | None = None,
        coordinates: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        poison_mask: ArrayLike | None = None,
        label: object = None,
    ):
        self.n_kept = n_kept
        self.n_train = n_train
        self.n_poison_kept = n_poison_kept
        self.n_poison = n_poison
        self.coordinates = coordinates
        self.groups = groups
        self.poison_mask = poison_mask
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        net: "FilteredNetClassifier",
        X: Any = None,
        y: ArrayLike | None = None,
        *,
        poison_mask: ArrayLike | None = None,
        label: object = None,
        ax: "Axes | Sequence[Axes] | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot the rows that were dropped while a net was trained.

        Parameters
        ----------
        net : net with FilteredNetMixin
            Such as a :class:`~skpoison.neural.FilteredNetClassifier`; fitted, with an
            :class:`~skpoison.neural.EPICCallback`.
        X : object, default=None
            The rows that it was fitted on. Without them, gradients are not plotted.
        y : array-like of shape (n_samples, ...), default=None
            Their labels, or other targets.
        poison_mask : array-like of shape (n_samples,), dtype=bool, default=None
            Which of these rows are known to be poison.
        label : int, default=None
            The class whose gradients are plotted. None means the one with the largest
            fraction of dropped rows. For regressors, all rows are class 0.
        ax : matplotlib Axes or sequence of two, default=None
            Axes to plot on, two if rows are given. By default, a new figure is
            created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : EPICDisplay
            The display, with the plot drawn.

        Raises
        ------
        TypeError
            If the net has no EPICCallback.
        ValueError
            If arrays do not have an entry for each row that the net was fitted on, or a
            class has no training rows.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(net)
        columns = _over_epochs(net, poison_mask)
        if X is not None:
            columns |= _gradients(net, X, y, poison_mask, label)
        return cls(**columns).plot(ax, **plot_kwargs)

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | None" = None,
        *,
        line_kwargs: dict[str, Any] | None = None,
        row_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the rows over the epochs, and the gradients.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two, default=None
            Axes to plot on, two if gradients are known. By default, a new figure is
            created.
        line_kwargs : dict, default=None
            Passed to matplotlib's `plot` for the lines over the epochs.
        row_kwargs : dict, default=None
            Passed to matplotlib's `scatter` for rows that are neither medoids nor
            poison rows.

        Returns
        -------
        display : EPICDisplay
            The display.

        Raises
        ------
        ValueError
            If the number of axes differs from that of the plots.
        """
        self.axes_ = _axes_for(ax, 1 if self.coordinates is None else 2)
        self.figure_ = self.axes_[0].figure
        self._plot_epochs(self.axes_[0], line_kwargs or {})
        self.rows_: dict = {}
        if self.coordinates is not None:
            self._plot_gradients(self.axes_[1], row_kwargs or {})
        return self

    def _plot_epochs(self, ax, kwargs):
        shares: dict[str, tuple] = {"kept": (self.n_kept, self.n_train, BLUE, "-")}
        if self.n_poison_kept is not None:
            shares["poison kept"] = self.n_poison_kept, self.n_poison, VERMILION, "--"
        epochs = np.arange(1, len(self.n_kept) + 1)
        self.lines_ = {}
        for name, (kept, total, color, style) in shares.items():
            look = {"color": color, "linestyle": style, "drawstyle": "steps-mid"}
            noun = "poison rows" if name.startswith("poison") else "training rows"
            (self.lines_[name],) = ax.plot(
                epochs,
                np.asarray(kept) / max(1, total),
                label=f"{kept[-1]} of {total} {noun}",
                **look | kwargs,
            )
        ax.set(xlabel="Epoch", ylabel="Fraction kept", ylim=(-0.03, 1.03))
        ax.legend(fontsize=SMALL, frameon=False)

    def _plot_gradients(self, ax, kwargs):
        coordinates, groups = np.asarray(self.coordinates), np.asarray(self.groups)
        masks = {name: groups == name for name in LOOKS}
        for name, mask in masks.items():
            if mask.any():
                look = LOOKS[name] | ({} if "medoid" in name else kwargs)
                self.rows_[name] = ax.scatter(*coordinates[mask].T, label=name, **look)
        if self.poison_mask is not None and np.any(self.poison_mask):
            poison = np.asarray(self.poison_mask)
            face = np.where(groups[poison] == "dropped", "white", YELLOW)
            self.rows_["poison"] = ax.scatter(
                *coordinates[poison].T,
                facecolor=face,
                label="poison (white: dropped)",
                **POISON_LOOK,
            )
        ax.set(
            xlabel="First principal component",
            ylabel="Second principal component",
            title=f"class {label_text(self.label)}",
        )
        ax.legend(fontsize=SMALL, frameon=False)


def _axes_for(ax, n_pictures):
    check_matplotlib_support("EPICDisplay.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        size = (4.8 * n_pictures, 3.6)
        _, ax = plt.subplots(1, n_pictures, figsize=size, layout="constrained")
    axes = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(axes) != n_pictures:
        raise ValueError(f"ax must be {n_pictures} Axes; it is {len(axes)}.")
    return axes


def _callback_of(net):
    # A net has imported torch already; otherwise it is not needed.
    from skpoison.neural import EPICCallback

    for _, callback in net.callbacks_:
        if isinstance(callback, EPICCallback):
            return callback
    raise TypeError(f"{type(net).__name__} was trained without an EPICCallback.")


def _over_epochs(net, poison_mask):
    _callback_of(net)
    n_kept = np.array(net.history[:, "n_kept"])
    rows = _train_rows(net)
    columns = {"n_kept": n_kept, "n_train": len(rows)}
    if poison_mask is None:
        return columns
    poison = rows[_check_mask(poison_mask, net)[rows]]
    from skpoison.neural._recorded import left_out

    n_rows, epochs = len(net.dropped_at_), range(1, len(n_kept) + 1)
    left = np.array([np.sum(~left_out(net, e, n_rows)[poison]) for e in epochs])
    return columns | {"n_poison_kept": left, "n_poison": len(poison)}


def _train_rows(net):
    """Rows that the net was trained on, dropped ones included."""
    return np.union1d(net.kept_indices_, np.flatnonzero(net.dropped_at_))


def _on_cpu(values):
    """Return a tensor as it is on the CPU, and all else as it is."""
    return values.detach().cpu() if hasattr(values, "cpu") else values


def _check_mask(poison_mask, net):
    mask = column_or_1d(_on_cpu(poison_mask))
    if mask.dtype != bool or len(mask) != len(net.dropped_at_):
        raise ValueError(
            "poison_mask must hold a boolean for each of the "
            f"{len(net.dropped_at_)} rows that the net was fitted to; it holds "
            f"{len(mask)} of {mask.dtype}."
        )
    return mask


def _gradients(net, X, y, poison_mask, label):
    if len(y) != len(net.dropped_at_):
        raise ValueError(
            f"X and y must be the {len(net.dropped_at_)} rows that the net was fitted "
            f"to; y has {len(y)}."
        )
    rows = _train_rows(net)
    classes = np.asarray(net.row_classes(np.asarray(_on_cpu(y))))
    if label is None:
        label = _most_dropped(classes[rows], net.dropped_at_[rows])
    rows = rows[classes[rows] == label]
    kept = net.dropped_at_[rows] == 0
    if not kept.any():
        raise ValueError(f"No training row has the label {label!r}.")
    proxies = net.gradient_proxies(X, y)[rows]
    if proxies.shape[1] == 1:
        proxies = np.pad(proxies, ((0, 0), (0, 1)))  # on a line in the plane
    plane = PCA(2, svd_solver="full").fit(proxies[kept])
    poison = None if poison_mask is None else _check_mask(poison_mask, net)[rows]
    return {
        "coordinates": plane.transform(proxies),
        "groups": _groups(proxies, kept, _callback_of(net)),
        "poison_mask": poison,
        "label": label,
    }


def _most_dropped(y, dropped_at):
    labels, codes = np.unique(y, return_inverse=True)
    share = np.bincount(codes, weights=dropped_at > 0) / np.bincount(codes)
    return labels[np.argmax(share)]


def _groups(proxies, kept, callback):
    """Return the group of each row, with the medoids of the next round."""
    groups = np.where(kept, "kept", "dropped").astype(object)
    places = np.flatnonzero(kept)
    medoids = facility_location(
        proxies[places],
        float(callback.medoid_fraction),
        similarity=callback.similarity,
        order=callback.order,
        partitions=callback.partitions,
    )
    groups[places[medoids.indices]] = "medoid"
    groups[places[isolated_medoids(medoids)]] = "isolated medoid"
    return groups
