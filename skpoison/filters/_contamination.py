"""Distance filters whose papers speak of the share of rows to reject."""

from numbers import Real

from sklearn.utils._param_validation import Interval

from skpoison.base import BaseFilter
from skpoison.filters._distance import BaseDistanceFilter

DEFAULT_PERCENTILE = 70.0


class BaseContaminationFilter(BaseDistanceFilter):
    """Base class of distance filters that take ``contamination`` too.

    ``percentile = 100 * (1 - contamination)``. Radii cannot be given.

    Parameters
    ----------
    percentile : float, default=None
        Percentage of the rows of each class that are kept, in (0, 100]. By default 70,
        unless ``contamination`` is given.
    contamination : float, default=None
        Share of the rows of each class that are rejected, in (0, 0.5].
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` goes round the kept rows.

    Attributes
    ----------
    radii_ : ndarray of shape (n_classes,)
        The radius of each class.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.

    Raises
    ------
    ValueError
        At fit, if both ``percentile`` and ``contamination`` are given.

    Examples
    --------
    >>> from skpoison.filters._contamination import BaseContaminationFilter
    >>> class FirstFeature(BaseContaminationFilter):
    ...     def _fit_distances(self, X, codes):
    ...         return abs(X[:, 0])
    >>> FirstFeature(contamination=0.5).fit_predict([[1, 9], [-2, 0], [5, 1]])
    array([ 1,  1, -1])
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "percentile": [Interval(Real, 0, 100, closed="right"), None],
        "contamination": [Interval(Real, 0, 0.5, closed="right"), None],
    }

    def __init__(self, percentile=None, *, contamination=None, random_state=None):
        super().__init__(percentile, random_state=random_state)
        self.contamination = contamination

    def _validate_params(self):
        super()._validate_params()
        if self.percentile is not None and self.contamination is not None:
            raise ValueError(
                "percentile and contamination say the same thing "
                "(percentile = 100 * (1 - contamination)); give one of them. Got "
                f"percentile={self.percentile!r} and "
                f"contamination={self.contamination!r}."
            )

    @property
    def _percentile(self):
        if self.contamination is not None:
            return 100.0 * (1.0 - self.contamination)
        return DEFAULT_PERCENTILE if self.percentile is None else self.percentile

    def _given_radii(self):
        return None
