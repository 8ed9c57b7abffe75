"""The bound over the attacker's share of rows, as a picture."""

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
PENALISED = "Hinge loss (of bounds: + penalty)"
OF_ATTACK = ("attack_loss", "test_loss")
OF_CLEAN_ROWS = ("clean_loss", "filtered_loss", "unfiltered_loss")


class BoundDisplay:
    """Upper and lower bound on the damage of poison, over the attacker's share.

    It is recommended to use :meth:`from_estimator` or :meth:`from_curve`. All
    parameters are stored as attributes. Several curves (percentiles, defenses) go into
    one picture: then every array is a list of arrays, one for each curve.

    Parameters
    ----------
    epsilon : ndarray of shape (n_epsilons,) or list of ndarrays
        Poison rows divided by clean rows, in any order.
    upper_bound, lower_bound : ndarray of shape (n_epsilons,) or list of ndarrays
        The certified bounds.
    attack_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Training loss of the learner that was trained on the candidate attack too.
    clean_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Mean hinge loss of the clean rows at the certified parameters: their part of
        the upper bound.
    test_loss : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        Mean hinge loss, on test rows, of the learner that the attack poisoned.
    filtered_loss : float or list of float, default=None
        Mean hinge loss, on all clean rows, of the learner trained on the clean rows
        that the filter keeps: what the filter costs where nobody attacks. Where several
        learners have the least loss on the kept rows, it is that of the one found.
    unfiltered_loss : float, default=None
        The same for the learner trained on all clean rows, without filter.
    name : str or list of str, default=None
        What to call the curves. Several curves need a list.
    loss_name : str, default="Hinge loss"
        What the losses are, for the vertical axis.

    Attributes
    ----------
    lines_ : list of dict
        For each curve, the lines by quantity: ``"upper_bound"``, ``"attack_loss"``,
        ``"test_loss"``, ``"clean_loss"`` and ``"filtered_loss"``, as far as drawn.
    bands_ : list of matplotlib PolyCollection
        The band between the bounds, for each curve.
    unfiltered_line_ : matplotlib Line2D or None
        The loss without filter and without attack.
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that contains it.

    Raises
    ------
    ImportError
        By :meth:`plot` and the constructors, if matplotlib is not installed.

    See Also
    --------
    skpoison.bound_curve : Computes what is drawn.
    FilterDisplay : What a filter lets through.

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
        """Compute bounds, and draw them.

        Parameters
        ----------
        estimator : CertifiedBound
            The bound; cloned, its `epsilon` is replaced.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels, of two kinds.
        epsilons : array-like of shape (n_epsilons,)
            Shares of poison, between 0 and 1.
        percentiles : array-like of shape (n_curves,), default=None
            Draw a curve for each of these percentiles, given to every part of the
            filter that has one. None means the filter as it is.
        X_test : {array-like, sparse matrix} of shape (n_test, n_features), default=None
            Test rows, on which the poisoned learner's hinge loss is measured.
        y_test : array-like of shape (n_test,), default=None
            Their labels.
        name : str or list of str, default=None
            What to call the curves. None means the percentiles.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : BoundDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the filter has no percentile to set, or if the data or shares are no
            good for :func:`skpoison.bound_curve`.
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
        """Draw bounds that have been computed.

        Parameters
        ----------
        curve : Bunch or dict of str to Bunch
            What :func:`skpoison.bound_curve` returned; or several of these by name.
        X_test : {array-like, sparse matrix} of shape (n_test, n_features), default=None
            Test rows, on which the poisoned learner's hinge loss is measured.
        y_test : array-like of shape (n_test,), default=None
            Their labels.
        name : str or list of str, default=None
            What to call the curves. None means the names in `curve`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : BoundDisplay
            The display, drawn.
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
        penalised = any(curve["estimators"][0].rho is None for curve in found)
        return cls(
            **columns,
            name=None if names == [None] else names,
            loss_name=PENALISED if penalised else "Hinge loss",
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
        """Draw the bounds.

        With one curve, colours tell the quantities apart; with several, they tell the
        curves apart. Line styles and markers do the same without colours.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        name : str or list of str, default=None
            What to call the curves. None means `name` of the display.
        curve_kwargs : dict or list of dict, default=None
            Passed to matplotlib's `plot` for every line; or one for each curve.
        band_kwargs : dict, default=None
            Passed to matplotlib's `fill_between` for the bands between the bounds.
        plot_attack : bool, default=True
            Whether to draw what the attack does: training loss and test loss.
        plot_clean : bool, default=True
            Whether to draw what clean rows cost: their part of the bound, the filter's
            cost and the loss without filter, as far as known.

        Returns
        -------
        display : BoundDisplay
            The display.

        Raises
        ------
        ValueError
            If arrays, names or styles are not equally many.
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
