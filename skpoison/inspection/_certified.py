"""Plot of the share of predictions that are correct and certified."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._plotting import _validate_style_kwargs

from skpoison._column_types import RowsLike

from ._style import (
    COLORS,
    SMALL,
    Curves,
    axes_for,
    check_lengths,
    style_of,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOVES = {
    "insert_delete": "Training rows inserted or deleted",
    "change": "Training rows changed",
    "flip": "Training labels flipped",
}


class CertifiedAccuracyDisplay:
    """Share of correct and certified predictions by number of poisoned rows.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All
    parameters are stored as attributes. With several estimators, every array is a list
    of arrays, one for each.

    Parameters
    ----------
    n_rows : ndarray of shape (n_points,) or list of ndarrays
        Numbers of training rows that the attacker can poison.
    certified_accuracy : ndarray of shape (n_points,) or list of ndarrays
        Share of the rows whose predictions are correct and cannot be changed.
    name : str or list of str, default=None
        Names of the estimators for the legend; a list for several.
    attack : {"insert_delete", "change", "flip"}, default=None
        What the attacker does, for the label of the horizontal axis.
    balanced : bool, default=False
        Whether the shares are means over the classes, for the label of the vertical
        axis.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The line of each estimator.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    skpoison.certified_radius : Computes the radii.
    RobustnessDisplay : Plots the effect of actual attacks.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skpoison import PartitionedClassifier
    >>> from skpoison.inspection import CertifiedAccuracyDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {
    ...     f"{n} parts": PartitionedClassifier(GaussianNB(), n).fit(X[::2], y[::2])
    ...     for n in (3, 10)
    ... }
    >>> display = CertifiedAccuracyDisplay.from_estimator(
    ...     models, X[1::2], y[1::2], attack="insert_delete"
    ... )
    >>> [float(shares[0].round(2)) for shares in display.certified_accuracy]
    [0.96, 0.89]
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        n_rows: Curves,
        certified_accuracy: Curves,
        name: str | list[str] | None = None,
        attack: str | None = None,
        balanced: bool = False,
    ):
        self.n_rows = n_rows
        self.certified_accuracy = certified_accuracy
        self.name = name
        self.attack = attack
        self.balanced = balanced

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator | dict[str, BaseEstimator],
        X: RowsLike,
        y: ArrayLike,
        *,
        attack: str,
        X_train: RowsLike | None = None,
        y_train: ArrayLike | None = None,
        filter: BaseEstimator | None = None,
        balanced: bool = False,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Compute certified radii, and plot the shares.

        Parameters
        ----------
        estimator : estimator or dict of str to estimator
            A fitted estimator, or several with their names.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Test rows.
        y : array-like of shape (n_samples,)
            Their labels.
        attack, X_train, y_train, filter : object
            As for :func:`skpoison.certified_radius`.
        balanced : bool, default=False
            Whether to average the shares of the classes.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CertifiedAccuracyDisplay
            The display object, with its plot.
        """
        from skpoison.pointwise import certified_radius

        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        named = estimator if isinstance(estimator, dict) else {None: estimator}
        rows = {"X_train": X_train, "y_train": y_train, "filter": filter}
        radii = [
            certified_radius(one, X, attack=attack, **rows) for one in named.values()
        ]
        predictions = [_labels(one, X) for one in named.values()]
        names = None if named is not estimator else unwrap(list(named))
        return cls.from_predictions(
            unwrap(radii),
            y,
            unwrap(predictions),
            name=names,
            attack=attack,
            balanced=balanced,
            ax=ax,
            **plot_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        radii: Curves,
        y_true: ArrayLike,
        y_pred: Curves,
        *,
        name: str | list[str] | None = None,
        attack: str | None = None,
        balanced: bool = False,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot the shares from precomputed radii.

        Parameters
        ----------
        radii : array-like of shape (n_samples,) or list of ndarrays
            Certified radii; a list of arrays for several estimators.
        y_true : array-like of shape (n_samples,)
            True labels.
        y_pred : array-like of shape (n_samples,) or list of ndarrays
            Predictions of the estimators.
        name : str or list of str, default=None
            Names of the estimators for the legend.
        attack : {"insert_delete", "change", "flip"}, default=None
            What the attacker does.
        balanced : bool, default=False
            Whether to average the shares of the classes.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CertifiedAccuracyDisplay
            The display object, with its plot.
        """
        from skpoison.pointwise import certified_accuracy

        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        several = isinstance(radii, list) and np.ndim(radii[0]) == 1
        each: Any = radii if several else [radii]
        predictions: Any = y_pred if several else [y_pred]
        check_lengths(len(each), {"y_pred": predictions})
        # Shares decrease after each radius that occurs, and nowhere else.
        points = [np.unique([0, *np.add(found, 1)]) for found in each]
        shares = [
            certified_accuracy(found, y_true, predicted, at, balanced=balanced)
            for found, predicted, at in zip(each, predictions, points, strict=True)
        ]
        return cls(
            n_rows=unwrap(points),
            certified_accuracy=unwrap(shares),
            name=name,
            attack=attack,
            balanced=balanced,
        ).plot(ax, **plot_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        name: str | list[str] | None = None,
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        name : str or list of str, default=None
            Names of the estimators, instead of those of the display.
        curve_kwargs : dict, default=None
            Passed to ``Axes.plot`` for all lines.

        Returns
        -------
        display : CertifiedAccuracyDisplay
            This display object.
        """
        points, shares = wrap(self.n_rows), wrap(self.certified_accuracy)
        name = self.name if name is None else name
        names = [None] * len(points) if name is None else wrap(name)
        check_lengths(len(points), {"certified_accuracy": shares, "name": names})
        ax = axes_for(self, ax)
        self.lines_ = []
        for i, curve in enumerate(zip(points, shares, names, strict=True)):
            look = {"color": style_of(i, COLORS), "linewidth": 1.5}
            look = _validate_style_kwargs(
                {**look, "drawstyle": "steps-post", "label": curve[2]},
                curve_kwargs or {},
            )
            (line,) = ax.plot(*curve[:2], **look)
            self.lines_.append(line)
        kind = "Balanced certified" if self.balanced else "Certified"
        ax.set(
            xlabel=MOVES.get(self.attack or "", "Poisoned training rows"),
            ylabel=f"{kind} accuracy",
            ylim=(0.0, 1.02),
        )
        ax.set_xlim(left=0.0)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=SMALL, frameon=False)
        return self


def _labels(estimator, X):
    """Predict labels; of a regressor the sign, -1 or 1."""
    predictions = np.asarray(estimator.predict(X))
    if is_classifier(estimator):
        return predictions
    return np.where(np.ravel(predictions) > 0, 1, -1)
