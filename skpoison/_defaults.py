"""The filters that stand in where none is given."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skpoison.filters import AutoFilter, FilterIntersection, SphereFilter

# The published setting: Steinhardt, Koh and Liang (2017) keep 70 % of each class.
PERCENTILE = 70.0


def default_filter(percentile: float = PERCENTILE) -> "FilterIntersection":
    """Return sphere and slab at a percentile, under the names ``sphere``, ``slab``.

    Whatever takes ``filter=None`` for sphere and slab (bounds, attacks, their displays,
    the audit, the command line) takes this one, so that its parameters have the same
    names everywhere. Estimators that clean data take :func:`default_cleaner`.

    Examples
    --------
    >>> from skpoison._defaults import default_filter
    >>> sorted(default_filter().get_params(deep=False))
    ['filters', 'random_state']
    >>> default_filter(90).get_params()["slab__percentile"]
    90
    """
    # Not before it is needed: the command line starts without the filters.
    from skpoison.filters import FilterIntersection, SlabFilter, SphereFilter

    return FilterIntersection(
        [("sphere", SphereFilter(percentile)), ("slab", SlabFilter(percentile))]
    )


def default_sphere(percentile: float = PERCENTILE) -> "SphereFilter":
    """Return the filter that stands in where there are no classes: a slab needs two.

    Examples
    --------
    >>> from skpoison._defaults import default_sphere
    >>> default_sphere()
    SphereFilter(percentile=70.0)
    """
    from skpoison.filters import SphereFilter

    return SphereFilter(percentile)


def default_cleaner() -> "AutoFilter":
    """Return the filter that cleans data about which nothing is known.

    Its seed is fixed: whoever gets it without asking cannot seed it, and expects the
    same rows from the same data.

    Examples
    --------
    >>> from skpoison._defaults import default_cleaner
    >>> default_cleaner()
    AutoFilter(random_state=0)
    """
    from skpoison.filters import AutoFilter

    return AutoFilter(random_state=0)
