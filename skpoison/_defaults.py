"""The filter that stands in where none is given."""

PERCENTILE = 70.0


def default_filter(percentile=PERCENTILE):
    """Return sphere and slab at a percentile.

    Whatever takes ``filter=None`` for sphere and slab (estimators, bounds, attacks,
    displays, the audit, the command line) takes this one, so that its parameters have
    the same names everywhere.

    Parameters
    ----------
    percentile : float, default=70.0
        Percentage of the rows of each class that each of the two encloses.

    Returns
    -------
    filter : FilterIntersection
        Not fitted; its members are called ``sphere`` and ``slab``.

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
