"""Plot of the bound over the poison fraction."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skpoison._column_types import RowsLike
from skpoison.bounds import CertifiedBound, bound_curve

from ._lines import (
    QUANTITIES,
    draw_band,
    draw_curve,
    draw_legend,
)
from ._losses import (
    attack_test_losses,
    by_name,
    check_test_rows,
    filtered_loss,
    loss_name,
    with_percentiles,
)
from ._style import (
    GREY,
    Curves,
    axes_for,
    check_lengths,
    sorted_curve,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EPSILONS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
COLUMNS = ("epsilon", "upper_bound", "lower_bound", "attack_loss", "clean_loss")
OF_ATTACK = ("attack_loss", "test_loss")
OF_CLEAN_ROWS = ("clean_loss", "filtered_loss", "unfiltered_loss")


class BoundDisplay:
    """Plot of certified upper and lower bounds over the poison fraction.

    It is recommended to use :meth:`from_estimator` or :meth:`from_curve` to create a
    :class:`BoundDisplay`. All parameters are stored as attributes. To plot several
    curves (percentiles, defenses), pass lists of arrays, one array for each curve.

    Parameters
    ----------
    epsilon : ndarray of shape (n_epsilons,) or list of ndarrays
        Poison rows divided by clean rows, in any order.
    upper_bound, lower_bound : ndarray of shape (n_epsilons,) or list of ndarrays
        The certified bounds.
    attack_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Training loss of the learner trained on the clean rows and the candidate attack.
    clean_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Mean loss of the clean rows at the certified parameters: their part of
        the upper bound.
    test_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Mean loss on test rows of the learner trained on the clean rows and the
        candidate attack.
    filtered_loss : float or list of float, default=None
        Mean loss on all clean rows of the learner trained on the clean rows that
        the filter keeps: the cost of the filter without an attack. If several learners
        minimize the loss on the kept rows, that of the one found.
    unfiltered_loss : float, default=None
        The same for the learner trained on all clean rows, without a filter.
    name : str or list of str, default=None
        Names of the curves; a list if there are several.
    loss_name : str, default="Hinge loss"
        Label of the vertical axis.

    Attributes
    ----------
    lines_ : list of dict
        For each curve, the lines by quantity: ``"upper_bound"``, ``"attack_loss"``,
        ``"test_loss"``, ``"clean_loss"`` and ``"filtered_loss"``, if plotted.
    bands_ : list of matplotlib PolyCollection
        The band between the bounds, for each curve.
    unfiltered_line_ : matplotlib Line2D or None
        Line of the loss without filter and without attack.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains it.

    Raises
    ------
    ImportError
        By :meth:`plot` and the constructors, if matplotlib is not installed.

    See Also
    --------
    skpoison.bound_curve : Computes the bounds.
    FilterDisplay : Plots the rows that a filter keeps and rejects.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, figure 2.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import CertifiedBound
    >>> from skpoison.inspection import BoundDisplay
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> bound = CertifiedBound(rho=1.0)
    >>> display = BoundDisplay.from_estimator(bound, X, y, percentiles=[50, 90])
    >>> display.name
    ['percentile 50', 'percentile 90']
    >>> display.ax_.get_ylabel()
    'Hinge loss'
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        epsilon: Curves,
        upper_bound: Curves,
        lower_bound: Curves,
        attack_loss: Curves | None = None,
        clean_loss: Curves | None = None,
        test_loss: Curves | None = None,
        filtered_loss: float | list[float] | None = None,
        unfiltered_loss: float | None = None,
        name: str | list[str] | None = None,
        loss_name: str = "Hinge loss",
    ):
        self.epsilon = epsilon
        self.upper_bound = upper_bound
        self.lower_bound = lower_bound
        self.attack_loss = attack_loss
        self.clean_loss = clean_loss
        self.test_loss = test_loss
        self.filtered_loss = filtered_loss
        self.unfiltered_loss = unfiltered_loss
        self.name = name
        self.loss_name = loss_name

    @classmethod
    def from_estimator(
        cls,
        estimator: CertifiedBound,
        X: RowsLike,
        y: ArrayLike,
        *,
        epsilons: ArrayLike = EPSILONS,
        percentiles: ArrayLike | None = None,
        X_test: RowsLike | None = None,
        y_test: ArrayLike | None = None,
        name: str | list[str] | None = None,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Compute and plot bounds.

        Parameters
        ----------
        estimator : CertifiedBound
            The bound. It is cloned, and its `epsilon` is ignored.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels, of at least two classes.
        epsilons : array-like of shape (n_epsilons,)
            Poison rows divided by clean rows, between 0 and 1.
        percentiles : array-like of shape (n_curves,), default=None
            Plot a curve for each of these percentiles, set in every part of the filter
            that has one. None leaves the filter unchanged.
        X_test : {array-like, sparse matrix} of shape (n_test, n_features), default=None
            Test rows, on which the poisoned learner's loss is measured.
        y_test : array-like of shape (n_test,), default=None
            Their labels.
        name : str or list of str, default=None
            Names of the curves. None means the percentiles.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : BoundDisplay
            The display, with the plot drawn.

        Raises
        ------
        ValueError
            If the filter has no percentile to set, or if the data or `epsilons` are
            invalid for :func:`skpoison.bound_curve`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_test_rows(X_test, y_test)
        curves = {
            label: bound_curve(bound, X, y, epsilons)
            for label, bound in with_percentiles(estimator, percentiles).items()
        }
        display = cls._of_curves(curves, X_test, y_test)
        fitted = [curve["estimators"][0] for curve in curves.values()]
        display.filtered_loss = unwrap([filtered_loss(b, X, y) for b in fitted])
        display.unfiltered_loss = fitted[0].train_learner(X, y).clean_loss_
        return display.plot(ax, name=name, **plot_kwargs)

    @classmethod
    def from_curve(
        cls,
        curve: Mapping,
        *,
        X_test: RowsLike | None = None,
        y_test: ArrayLike | None = None,
        name: str | list[str] | None = None,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot computed bounds.

        Parameters
        ----------
        curve : Bunch or dict of str to Bunch
            Result of :func:`skpoison.bound_curve`, or a dict from names to results.
        X_test : {array-like, sparse matrix} of shape (n_test, n_features), default=None
            Test rows, on which the poisoned learner's loss is measured.
        y_test : array-like of shape (n_test,), default=None
            Their labels.
        name : str or list of str, default=None
            Names of the curves. None means the names in `curve`.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : BoundDisplay
            The display, with the plot drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_curve")
        check_test_rows(X_test, y_test)
        display = cls._of_curves(by_name(curve), X_test, y_test)
        return display.plot(ax, name=name, **plot_kwargs)

    @classmethod
    def _of_curves(cls, curves, X_test, y_test):
        found, names = list(curves.values()), list(curves)
        columns = {name: unwrap([c[name] for c in found]) for name in COLUMNS}
        if X_test is not None:
            losses = [attack_test_losses(c, X_test, y_test) for c in found]
            columns["test_loss"] = unwrap(losses)
        bounds = [curve["estimators"][0] for curve in found]
        return cls(
            **columns,
            name=None if names == [None] else names,
            loss_name=loss_name(bounds),
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        name: str | list[str] | None = None,
        curve_kwargs: dict[str, Any] | list[dict[str, Any]] | None = None,
        band_kwargs: dict[str, Any] | None = None,
        plot_attack: bool = True,
        plot_clean: bool = True,
    ) -> Self:
        """Plot the bounds.

        With one curve, colors distinguish the quantities; with several, they
        distinguish the curves. Line styles and markers do so without colors.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        name : str or list of str, default=None
            Names of the curves. None means `name` of the display.
        curve_kwargs : dict or list of dict, default=None
            Passed to matplotlib's `plot` for every line; a list has one dict for each
            curve.
        band_kwargs : dict, default=None
            Passed to matplotlib's `fill_between` for the bands between the bounds.
        plot_attack : bool, default=True
            Whether to plot the training and test loss under the attack.
        plot_clean : bool, default=True
            Whether to plot the losses without an attack: the clean rows' part of the
            bound, the cost of the filter and the loss without a filter, if known.

        Returns
        -------
        display : BoundDisplay
            The display.

        Raises
        ------
        ValueError
            If arrays, names or styles have different lengths.
        """
        hidden = (() if plot_attack else OF_ATTACK) + (
            () if plot_clean else OF_CLEAN_ROWS
        )
        curves, names, styles = self._checked(name, curve_kwargs, hidden)
        ax = axes_for(self, ax)
        self.lines_ = [
            draw_curve(ax, curve, position, len(curves), style)
            for position, (curve, style) in enumerate(zip(curves, styles, strict=True))
        ]
        self.bands_ = [
            draw_band(ax, curve, lines["upper_bound"], band_kwargs)
            for curve, lines in zip(curves, self.lines_, strict=True)
        ]
        self.unfiltered_line_ = None
        if self.unfiltered_loss is not None and "unfiltered_loss" not in hidden:
            self.unfiltered_line_ = ax.axhline(
                self.unfiltered_loss, color=GREY, linewidth=0.8, zorder=1
            )
        ax.set(xlabel="Poison rows per clean row, ε", ylabel=self.loss_name)
        draw_legend(ax, self.lines_, names, self.unfiltered_line_)
        return self

    def _checked(self, name, curve_kwargs, hidden):
        """Return each curve as a dict of sorted arrays, with names and styles."""
        names = ("epsilon", "lower_bound", *QUANTITIES)
        given = {key: getattr(self, key) for key in names if key not in hidden}
        columns = {
            key: wrap(value) for key, value in given.items() if value is not None
        }
        n_curves = len(columns["epsilon"])
        name = self.name if name is None else name
        labels = None if name is None else wrap(name)
        styles = wrap(curve_kwargs or {})
        if len(styles) == 1:
            styles = styles * n_curves
        check_lengths(n_curves, {**columns, "name": labels, "curve_kwargs": styles})
        rows = zip(*columns.values(), strict=True)
        curves = [
            sorted_curve(dict(zip(columns, row, strict=True)), ("filtered_loss",))
            for row in rows
        ]
        return curves, labels, styles
