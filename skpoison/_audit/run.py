"""The audit, from rows to report."""

from skpoison import __version__

from .assumptions import assumptions
from .cost import within_budget
from .curves import curves
from .errors import traced_errors
from .figures import figures
from .inputs import Inputs, described, read_inputs
from .measure import measure
from .plan import Plan, make_plan
from .pointwise import predictions
from .profile import profile
from .progress import Progress
from .ranking import (
    by_percentile,
    compare,
    lower_errors,
    of_each_class,
    recommend,
)
from .report import AuditReport
from .schema import SCHEMA_NAME
from .summary import summary
from .suspects import suspects
from .suspicion import give_verdict, judge_all, trusted_rows, with_suspects
from .taxa import taxonomies
from .types import Report, Settings

EPSILONS = (0.01, 0.03, 0.1, 0.3)
PERCENTILES = (50, 70, 80, 90, 95, 100)


def audit(
    X,
    y,
    *,
    estimator=None,
    filters=None,
    attacks=None,
    epsilons=EPSILONS,
    percentiles=PERCENTILES,
    reference=0.1,
    transformer="auto",
    positive=None,
    cv=3,
    max_rows=5000,
    top=50,
    moving_seconds=30.0,
    metric="auto",
    costs=None,
    max_cost=0.01,
    class_weight="auto",
    budget=None,
    random_state=0,
    memory=None,
    n_jobs=None,
    verbose=0,
    callback=None,
):
    """Measure what poisoned rows could do to a model, and list rows that look poisoned.

    The rows are profiled and checked against the assumptions of certificates. Certified
    bounds are computed for every percentile of the sphere and slab filter and every
    poison fraction. Attacks, adaptive where they can be, are run on these and other
    defenses under cross-validation; the recommended percentile has the lowest held-out
    loss on all clean rows under the worst adaptive attack. Predictions of the model,
    fitted in parts, are certified. Every filter scores every row, and the most
    suspicious rows are listed with the reasons.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features) or list
        Training rows, assumed to be clean; texts, if `transformer` takes texts.
    y : array-like of shape (n_samples,)
        Class labels, two or more distinct ones.
    estimator : classifier, default=None
        The model. None means ``LinearSVC(loss="hinge")``. Bounds are computed for it if
        they are known for its kind (`LinearSVC`, `LogisticRegression`,
        `RidgeClassifier`, `SGDClassifier`, :class:`~skpoison.NormConstrainedSVC`),
        without its class weights; otherwise for ``LinearSVC(loss="hinge", C=1)``, and
        the report says so.
    filters : dict of str to filter, default=None
        Defenses to measure besides sphere and slab, which also score suspicious rows.
        None means one of each family in :mod:`skpoison.filters` (EPIC excepted), each
        keeping ``100 / (1 + reference)`` percent of every class.
    attacks : dict of str to attack, default=None
        Attacks to run. None means :class:`~skpoison.attacks.MinMaxAttack` and
        :class:`~skpoison.attacks.LabelFlipAttack` with strategies ``"feasible"`` and
        ``"alfa"``; with more than two classes, ``"feasible"`` and ``"random"``. Each
        sends `reference`, whatever its own ``epsilon``.
    epsilons : array-like of float, default=(0.01, 0.03, 0.1, 0.3)
        Poison fractions for the bounds; `reference` is added.
    percentiles : array-like of float, default=(50, 70, 80, 90, 95, 100)
        Percentiles of sphere and slab to bound and to measure.
    reference : float, default=0.1
        Poison fraction with which attacks are run and defenses compared.
    transformer : transformer, {"auto", "standard", "maxabs", "tfidf"} or None, \
            default="auto"
        What turns rows into numbers before anything else, fitted on all rows.
        ``"auto"`` leaves numbers as they are unless one column would dominate all
        distances (its spread is a hundred times the median of the others, or ten times
        with 95 % of the squares), and standardizes them then. For sparse rows only the
        second counts, and columns are divided by their magnitudes. ``"tfidf"`` takes
        texts.
    positive : object, default=None
        With more than two labels, the one that the bounds set against all others. None
        means the most frequent one.
    cv : int or splitter, default=3
        How rows are split to measure attacks; a number means stratified folds, drawn
        with `random_state`.
    max_rows : int or None, default=5000
        Attacks are run on about that many rows, drawn from all classes (a small class
        is kept whole up to 30 rows). So is AutoFilter, if there are more than 20,000
        rows or a million values, or a `budget`. Bounds and distances are always
        computed from all rows.
    top : int, default=50
        How many suspicious rows are listed.
    moving_seconds : float, default=30.0
        Bounds with moving centroids, which are computed from clean and poison rows
        together, take longer; after so many seconds no further one is started, and the
        report says how many are missing. 0 computes none.
    metric : str, default="auto"
        What defenses are compared by, on held-out rows, lower being better:
        ``"error"``; ``"balanced-error"``, the mean over the classes of their error
        rates; ``"recall@0.05"`` (or another share), the positive rows that are not
        among the 5 % with the highest scores; ``"auc"`` and ``"average-precision"``,
        each subtracted from 1; ``"cost"``, what `costs` say. ``"auto"`` is the error,
        or the balanced error where a class has less than half of the rows that it would
        have if all were equally frequent. Positive is `positive`, or the rarer label.
    costs : dict of (label, label) to float, default=None
        What a row of the first label costs that is predicted to have the second one,
        such as ``{("spam", "ham"): 5, ("ham", "spam"): 1}``; others cost nothing.
    max_cost : float, default=0.01
        The most that a recommended defense may raise the metric without an attack.
    class_weight : {"auto", "balanced"} or None, default="auto"
        Weights of the default model's classes. ``"auto"`` is ``"balanced"`` where a
        class is rare, as for `metric`. Bounds are for equal weights of rows.
    budget : float, default=None
        Seconds that the audit may take, about. What does not fit is left out, and the
        report says what.
    random_state : int, default=0
        Seed of everything that is drawn. The same rows and seed give the same report,
        byte for byte, as long as `moving_seconds` is long enough and there is no
        `budget`.
    memory : str or object with the joblib.Memory interface, default=None
        Where finished parts are kept, so that an interrupted audit can resume.
    n_jobs : int, default=None
        Number of parallel jobs, by joblib.
    verbose : int, default=0
        1 reports progress on standard error and, for more than two million values, the
        expected time and memory before it starts.
    callback : callable, default=None
        Called as ``callback(stage, n_done, n_total)``, with a text and two numbers.

    Returns
    -------
    report : AuditReport
        Everything that was found, with ``to_html``, ``to_json`` and
        ``suspicious_to_csv``.

    Raises
    ------
    ValueError
        If rows hold anything but finite numbers, there is only one label, a class has
        fewer rows than there are folds, `reference` is less than one row, or a
        parameter is out of range.
    TypeError
        If filters, attacks or the model are none.

    See Also
    --------
    skpoison.bound_curve : The bounds alone.
    skpoison.evaluation.evaluate_attack : The measurements alone.

    Notes
    -----
    All figures assume that the rows are clean. The user guide describes the parts of
    the report (docs/audit.md) and the keys of its JSON (docs/audit_json.md).

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import audit
    >>> X, y = make_blobs(90, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> report = audit(X, y, epsilons=[0.1], percentiles=[70, 90], filters={})
    >>> report.recommendation["defense"]
    'sphere & slab 70'
    >>> report.verdict["is_likely_poisoned"]
    False
    >>> len(report.suspicious["rows"])
    50
    """
    inputs = read_inputs(X, y, transformer)
    plan = make_plan(
        inputs,
        estimator=estimator,
        filters=filters,
        attacks=attacks,
        epsilons=epsilons,
        percentiles=percentiles,
        reference=reference,
        positive=positive,
        cv=cv,
        random_state=random_state,
        memory=memory,
        n_jobs=n_jobs,
        max_rows=max_rows,
        top=top,
        moving_seconds=moving_seconds,
        metric=metric,
        costs=costs,
        max_cost=max_cost,
        class_weight=class_weight,
        budget=budget,
    )
    return run(inputs, plan, Progress(verbose, callback))


def run(inputs: Inputs, plan: Plan, progress: Progress) -> AuditReport:
    """Do what was planned."""
    plan = within_budget(inputs, plan, progress, progress.is_wanted)
    data = profile(inputs, plan.positive)
    progress.begin("Suspecting rows", 1)
    suspected = judge_all(inputs, plan)
    progress.advance()
    judged = give_verdict(inputs, suspected)
    trusted = trusted_rows(inputs, suspected, judged, plan.folds)
    plan = plan._replace(trusted=trusted)
    suspected = with_suspects(suspected, judged)
    attacked = measure(inputs, plan, progress)
    compared = compare(plan, attacked.found)
    listed = suspects(inputs, plan, suspected, progress)
    bounded = curves(inputs, plan, progress, compared.found.certified_percentile)
    certified = predictions(inputs, plan, progress)
    traced = traced_errors(inputs, plan, progress)
    stages = attacked, compared, listed, bounded, certified, traced
    measured, bounds = attacked.found, bounded.found
    suspicious, order = listed.found
    rows = by_percentile(plan, compared.found, bounds)
    decision = recommend(plan, measured, compared.found, rows)
    content: Report = {
        "schema": SCHEMA_NAME,
        "skpoison": __version__,
        "settings": _settings(plan),
        "verdict": judged.with_lower_errors(lower_errors(compared.found)).as_dict(),
        "data": data,
        "assumptions": assumptions(
            inputs, plan, data, bounds, measured.clean, rows, decision
        ),
        "bounds": bounds,
        "no_attack": measured.clean,
        "percentiles": rows,
        "recommendation": decision,
        "classes": of_each_class(data, compared.found.rows, decision),
        "ranking": compared.found.rows,
        "evaluations": measured.evaluations,
        "predictions": certified.found,
        "errors": traced.found,
        "suspicious": suspicious,
        "taxonomies": taxonomies(
            plan.attacks, bounds, certified.found, suspicious, judged.is_likely
        ),
        "left_out": [
            *plan.left_out,
            *(one for stage in stages for one in stage.left_out),
        ],
        "warnings": sorted({text for stage in stages for text in stage.warnings}),
    }
    content["summary"] = summary(content)
    content["figures"] = figures(content)
    return AuditReport(content, order)


def _settings(plan: Plan) -> Settings:
    return {
        "estimator": described(plan.estimator),
        "epsilons": plan.epsilons,
        "percentiles": plan.percentiles,
        "reference": plan.reference,
        "filters": {k: described(f) for k, f in plan.filters.items()},
        "attacks": {k: described(a) for k, a in plan.attacks.items()},
        "moving_seconds": plan.moving_seconds,
        "budget": plan.clock.budget,
        "n_folds": len(plan.folds),
        "n_attacked_rows": len({int(i) for fold in plan.folds for i in fold[1]}),
        "random_state": plan.seed,
        "top": plan.top,
    }
