"""Callbacks of estimators, told of what solvers do."""

from collections.abc import Callable

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext


def progress_monitor(
    estimator: BaseEstimator, context: CallbackContext
) -> Callable[[dict], None] | None:
    """Return a callback that reports a solver's checks, or None if nobody listens.

    Each check becomes a subtask of `context`; its entry of the history is the metadata.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None

    def monitor(entry):
        check = context.subcontext(task_name="check")
        check.call_on_fit_task_begin(estimator=estimator)
        check.call_on_fit_task_end(estimator=estimator, metadata=entry)

    return monitor
