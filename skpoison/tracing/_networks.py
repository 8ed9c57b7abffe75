"""Whether an estimator is a network, which is traced in a way of its own."""

import sys
from typing import Any

from skpoison.tracing._space import last_step


def is_network(estimator: Any) -> bool:
    """Return whether an estimator is a skorch net, or a pipeline that ends in one.

    Nobody has a net who has not imported skorch.
    """
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(last_step(estimator), skorch.NeuralNet)
