"""Medoids among gradient proxies, on the device where these are."""

from skpoison.coreset import facility_location


def select_medoids(proxies, labels, medoid_fraction, similarity, order, backend):
    """Pick medoids within each class.

    Parameters
    ----------
    proxies : Tensor of shape (n_rows, n_classes)
        Gradient proxies, float32.
    labels : ndarray of shape (n_rows,)
        The class of each row.
    medoid_fraction : float
        Medoids of each class, as a fraction of its rows.
    similarity : {"exp", "linear"}
        See :func:`skpoison.coreset.facility_location`.
    order : {"canonical", "lazy"}
        See :func:`skpoison.coreset.facility_location`.
    backend : {"auto", "numpy", "numba"}
        What computes.

    Returns
    -------
    medoids : :class:`~sklearn.utils.Bunch`
        As from :func:`skpoison.coreset.facility_location`, arrays of numpy.
    """
    return facility_location(
        proxies.cpu().numpy(),
        float(medoid_fraction),
        labels=labels,
        similarity=similarity,
        order=order,
        backend=backend,
    )
