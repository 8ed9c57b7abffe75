"""Filters on the features that a network computes."""

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import validate_data

from skpoison._column_types import is_frame
from skpoison._delegated import takes
from skpoison._fitted import is_fitted
from skpoison._inner import WeightedFitMixin
from skpoison.base import BaseFilter
from skpoison.filters import SpectralFilter
from skpoison.neural._features import LayerFeatures
from skpoison.neural._parameters import at_least
from skpoison.neural._rows import check_no_dataset, without_tensor

__all__ = ["EmbeddingFilter"]


class EmbeddingFilter(WeightedFitMixin, BaseFilter):
    """Filter on the features that a layer of a network computes of rows.

    Many defenses judge the embedding of rows in a network instead of the rows:
    spectral signatures (:class:`~skpoison.filters.SpectralFilter`), activation
    clustering (:class:`~skpoison.filters.ActivationClusteringFilter`), deep k-NN
    (:class:`~skpoison.filters.NeighborsFilter` with ``criterion="plurality"``). This
    applies any filter to an embedding. Rows may be images, or anything else that the
    network takes.

    Parameters
    ----------
    net : skorch net or torch.nn.Module, default=None
        The network. A module, and a net that is fitted, are used as they are; a net
        that is not fitted is cloned and fitted on the rows that the filter is fitted
        on, poison included. Cloning a filter, as meta-estimators and searches do,
        resets a fitted net: wrap the net in :class:`~sklearn.frozen.FrozenEstimator`
        to keep it.
    layer : str, default=None
        The layer whose output is the embedding, by its name in
        ``module.named_modules()``. None takes the input of the linear layer that
        computes the module's output; see :class:`LayerFeatures`.
    filter : filter, default=None
        Judges the embedding. None means ``SpectralFilter()``.
    batch_size : int, default=512
        Number of rows that pass through the network at once.
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` cycles through the kept rows.

    Attributes
    ----------
    net_ : skorch net or torch.nn.Module
        The network.
    filter_ : filter
        The fitted filter.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    offset_ : float or ndarray of shape (n_classes,)
        Difference of scores and decisions, if ``filter_`` has it.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows, those of ``filter_``.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        ``X.shape[1]``: features of a row, or channels of an image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    TypeError
        At fit, if ``net`` is neither a net nor a module.

    See Also
    --------
    LayerFeatures : Computes the embedding.
    EPICCallback : Judges gradients during the training of a network.

    Notes
    -----
    New rows can be scored if ``filter`` can score new rows.

    References
    ----------
    .. [1] B. Tran, J. Li and A. Madry, "Spectral Signatures in Backdoor Attacks",
       NeurIPS 2018.
    .. [2] B. Chen et al., "Detecting Backdoor Attacks on Deep Neural Networks by
       Activation Clustering", SafeAI at AAAI 2019.
    .. [3] N. Peri et al., "Deep k-NN Defense against Clean-Label Data Poisoning
       Attacks", ECCV Workshops 2020.

    Examples
    --------
    Deep k-NN: a row is kept if no other label is more frequent among its neighbors.

    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.filters import NeighborsFilter
    >>> from skpoison.neural import EmbeddingFilter
    >>> X, y = load_digits(return_X_y=True)
    >>> y[:5] = 9 - y[:5]
    >>> X = (X / 16).astype("float32").reshape(-1, 1, 8, 8)
    >>> seed = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(),
    ...     torch.nn.Linear(32, 10),
    ... )
    >>> neighbors = NeighborsFilter(
    ...     criterion="plurality", n_neighbors=10, radii=[0] * 10
    ... )
    >>> deep_knn = EmbeddingFilter(net, filter=neighbors).fit(X, y)
    >>> deep_knn.inlier_mask_[:5]
    array([False, False, False, False, False])
    >>> bool(deep_knn.inlier_mask_.mean() > 0.9)
    True
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "net": [HasMethods(["fit", "predict"]), torch.nn.Module],
        "layer": [str, None],
        "filter": [BaseFilter, None],
        "batch_size": [at_least(1)],
    }

    # Requests are those of the filter inside.
    __metadata_request__fit = {"sample_weight": UNUSED}

    def __init__(
        self, net=None, layer=None, filter=None, *, batch_size=512, random_state=None
    ):
        super().__init__(random_state=random_state)
        self.net = net
        self.layer = layer
        self.filter = filter
        self.batch_size = batch_size

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _transductive(self):
        return self._new_filter()._transductive

    @property
    def offset_(self):
        """Difference of scores and decisions, if the filter has it."""
        return self.filter_.offset_

    def _new_filter(self):
        return SpectralFilter() if self.filter is None else clone(self.filter)

    def _knows(self, classes):
        filter_ = self._new_filter()
        knows = filter_._knows if isinstance(filter_, BaseFilter) else super()._knows
        return knows(classes)

    @property
    def _is_strict(self):
        return getattr(self._new_filter(), "_is_strict", False)

    def _validate_rows(self, X, *, reset):
        check_no_dataset(X, "X")
        # What is of another type takes the first of these, which networks take.
        return validate_data(
            self,
            without_tensor(X),
            reset=reset,
            dtype=[np.float32, np.float64],
            allow_nd=True,
        )

    def _as_container(self, X, ensure_all_finite):
        valid = validate_data(
            self,
            X,
            reset=False,
            dtype="numeric",
            allow_nd=True,
            ensure_all_finite=ensure_all_finite,
        )
        return X if is_frame(X) else valid

    def _takes_weights(self):
        return self.filter is not None and takes(self.filter, "sample_weight")

    def _received(self, fit_params, X):
        given = {name: one for name, one in fit_params.items() if one is not None}
        if get_config()["enable_metadata_routing"]:
            given = dict(process_routing(self, "fit", **given).filter.fit)
        self._new_filter()._received(given, X)  # bad ones are errors at once
        return given

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which metadata goes where.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Everything goes to the filter, as it requests it, and nothing to the net.
        """
        fits = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(
            filter=self._new_filter(), method_mapping=fits
        )

    def _fit(self, X, codes, **params):
        labels = self._labels(codes)
        self.net_ = self._fitted_net(X, labels)
        self.filter_ = self._new_filter().fit(self._embed(X), labels, **params)
        kept = self.filter_.inlier_mask_
        return self.filter_.scores_, np.where(kept, 0.0, -1.0)

    def _fitted_net(self, X, labels):
        if isinstance(self.net, torch.nn.Module):
            return self.net
        return self.net if is_fitted(self.net) else clone(self.net).fit(X, labels)

    def _embed(self, X):
        return LayerFeatures(self.net_, self.layer).embed(X, self.batch_size)

    def _score(self, X, codes):
        return self.filter_.score_samples(self._embed(X), self._labels(codes))

    def _decide(self, X, codes):
        return self.filter_.decision_function(self._embed(X), self._labels(codes))

    def _labels(self, codes):
        return self.classes_[codes] if self._labelled else None
