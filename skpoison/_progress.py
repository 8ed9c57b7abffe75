"""Callbacks of estimators, told of what solvers do."""


def progress_monitor(estimator, context):
    """Return what tells an estimator's callbacks of a solver's checks, if it has any.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    context : CallbackContext
        Its task, of which every check becomes a subtask.

    Returns
    -------
    monitor : callable or None
        Takes an entry of the solver's history and hands it on as metadata.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None

    def monitor(entry):
        check = context.subcontext(task_name="check")
        check.call_on_fit_task_begin(estimator=estimator)
        check.call_on_fit_task_end(estimator=estimator, metadata=entry)

    return monitor
