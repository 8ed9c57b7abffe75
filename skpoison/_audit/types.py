"""What the JSON of a report holds: one declaration for its types and its schema.

Texts in ``Annotated`` describe a key in the schema and in the documentation.
"""

from typing import Annotated, Literal, NamedTuple, TypedDict


class Within(NamedTuple):
    """Limits of a number, as keywords of JSON Schema."""

    minimum: float | None = None
    maximum: float | None = None
    exclusiveMinimum: float | None = None


Count = Annotated[int, Within(0)]
Place = Annotated[int, Within(1)]
Size = Annotated[float, Within(0)]
Share = Annotated[float, Within(0, 1)]
Percent = Annotated[float, Within(exclusiveMinimum=0, maximum=100)]
Defense = Literal["fixed", "moving_centroids"]

CleanError = Annotated[Share | None, "held-out error with it, without an attack"]
CleanLoss = Annotated[Size | None, "held-out loss with it, without an attack"]
CostError = Annotated[float | None, "that error minus the one without a defense"]
CostLoss = Annotated[float | None, "that loss minus the one without a defense"]
CleanValue = Annotated[float | None, "the metric with it, without an attack"]
CostValue = Annotated[float | None, "that minus the metric without a defense"]
Kind = Annotated[Defense, "fixed, or moving_centroids: estimated again with the poison"]


class Settings(TypedDict):
    """What was asked for."""

    estimator: Annotated[str, "the model"]
    epsilons: Annotated[list[Share], "poison fractions for the bounds, ascending"]
    percentiles: Annotated[list[Percent], "percentiles of sphere and slab, ascending"]
    reference: Annotated[Share, "poison fraction by which defenses are compared"]
    filters: Annotated[dict[str, str], "the other defenses by name"]
    attacks: Annotated[dict[str, str], "the attacks by name"]
    moving_seconds: Annotated[Size, "time for starting bounds with moving centroids"]
    budget: Annotated[Size | None, "seconds that the audit might take"]
    n_folds: Annotated[Place, "folds of the cross-validation"]
    n_attacked_rows: Annotated[Count, "rows that attacks were run on"]
    random_state: Annotated[Count, "the seed"]
    top: Annotated[Count, "how many suspicious rows were asked for"]


class Planted(TypedDict):
    """A class's rows that strong evidence speaks against."""

    label: Annotated[str, "the class"]
    n_rows: Annotated[Count, "its rows that strong evidence speaks against"]


class EvidenceKind(TypedDict):
    """One kind of evidence that a table is poisoned."""

    name: Annotated[str, "the kind"]
    is_strong: Annotated[bool, "whether it is beyond what honest tables show"]
    n_rows: Annotated[Count, "rows that it speaks against"]
    text: Annotated[str, "what was seen"]


class VerdictPart(TypedDict):
    """Whether the table is likely poisoned."""

    is_likely_poisoned: Annotated[bool, "whether any evidence is strong"]
    text: Annotated[str, "the verdict in words"]
    n_rows: Annotated[Count, "rows that strong evidence speaks against"]
    share: Annotated[Share, "estimated share of bad rows"]
    share_low: Annotated[Share, "lower end of its 95 % interval"]
    share_high: Annotated[Share, "upper end of its 95 % interval"]
    classes: Annotated[list[Planted], "how many of each class"]
    evidence: Annotated[list[EvidenceKind], "what was seen"]


class Class(TypedDict):
    """A class."""

    label: Annotated[str, "its label"]
    n_rows: Annotated[Place, "its rows"]
    share: Annotated[Share, "their share of all rows"]


class Widest(TypedDict):
    """A column that dominates distances; null if there is none."""

    name: Annotated[str, "its name"]
    times_median: Annotated[Size, "its spread over the others' median"]
    share: Annotated[Share, "its share of the sum of variances"]


class Repeated(TypedDict):
    """The row that occurs most often; null if none occurs twice."""

    position: Annotated[Count, "where it occurs first, counted from 0"]
    row: Annotated[Place, "the same, counted from 1"]
    label: Annotated[str, "its label"]
    n_copies: Annotated[Place, "how often it occurs"]


class ReadColumn(TypedDict):
    """How a column of a file was read."""

    name: Annotated[str, "its name"]
    read_as: Annotated[
        Literal["numbers", "categories", "dates", "text", "left out"], "as what"
    ]
    missing: Annotated[Count, "cells without a value"]
    unreadable: Annotated[Count, "those of them that hold something else"]
    note: Annotated[str | None, "what was decided"]
    option: Annotated[str | None, "how to have it otherwise"]
    doubt: Annotated[str | None, "why it may be meant otherwise"]


class Data(TypedDict):
    """The rows."""

    source: Annotated[str | None, "where they come from"]
    n_rows: Annotated[Place, "number of rows"]
    n_features: Annotated[Place, "number of features, after encoding"]
    is_sparse: Annotated[bool, "whether they are sparse"]
    density: Annotated[Share | None, "share of non-zeros, if sparse"]
    dtype: Annotated[str, "type of the numbers"]
    n_bytes: Annotated[Count, "memory that they take"]
    transformed: Annotated[str, "what was done to the columns first"]
    columns: Annotated[list[ReadColumn], "columns of the file that was read, if any"]
    classes: Annotated[list[Class], "the classes, in the order of their labels"]
    positive: Annotated[str, "the bounds' positive class"]
    negative: Annotated[str, "their negative class: the other, or all others"]
    n_constant: Annotated[Count, "columns that do not vary"]
    constant: Annotated[list[str], "some of their names"]
    kinds: Annotated[dict[str, Count], "columns that are constant, binary, …"]
    widest: Widest | None
    row_numbers: Annotated[list[str], "columns that number the rows"]
    unique_numbers: Annotated[list[str], "others with a new whole number in every row"]
    n_repeated: Annotated[Count, "rows that repeat an earlier one with the same label"]
    n_contradicting: Annotated[Count, "rows that are equal to one with another label"]
    most_repeated: Repeated | None


class Assumption(TypedDict):
    """An assumption behind the certificate."""

    name: Annotated[str, "the assumption"]
    status: Annotated[
        Literal["holds", "watch", "violated", "not tested"], "what the data say"
    ]
    text: Annotated[str, "why"]
    numbers: Annotated[dict[str, float], "the numbers behind it"]


class DefenseKind(TypedDict):
    """A kind of defense."""

    defense: Kind
    computed: Annotated[bool, "whether there are bounds for it"]
    reason: Annotated[str | None, "why some or all are missing"]


class Point(TypedDict):
    """The bound for one poison fraction."""

    epsilon: Annotated[Share, "poison rows per clean row"]
    n_allowed: Annotated[Count, "most rows that an attacker may add"]
    attack_rows: Annotated[Count, "rows of the attack that was found"]
    upper_bound: Annotated[Size, "no attack raises the training loss above"]
    lower_bound: Annotated[float, "no tighter bound of this kind exists below"]
    dual_gap: Annotated[float, "upper minus lower bound: what a tighter one could gain"]
    clean_loss: Annotated[Size, "clean rows' part of the upper bound"]
    poison_loss: Annotated[Size, "largest loss of a row that passes the filter"]
    attack_loss: Annotated[Size, "training loss that the attack causes"]
    converged: Annotated[bool, "whether the gap is within the tolerance"]


class Curve(TypedDict):
    """The bounds for one percentile."""

    defense: Kind
    percentile: Annotated[Percent, "of sphere and slab"]
    kept_share: Annotated[Share, "share of all rows that the filter keeps"]
    points: Annotated[list[Point], "ascending poison fractions"]


class Bounds(TypedDict):
    """The certified bounds."""

    learner: Annotated[dict[str, float], "parameter of their learner: C, rho or alpha"]
    learner_name: Annotated[str, "what kind of learner it is"]
    loss: Annotated[str, "what its losses are"]
    applies_to_estimator: Annotated[bool, "whether that is the model itself"]
    no_attack_loss: Annotated[Size, "its training loss without an attack"]
    defenses: Annotated[list[DefenseKind], "kinds of defense, with bounds or without"]
    curves: Annotated[list[Curve], "a curve for each percentile and kind of defense"]


class Interval(TypedDict):
    """A value, and where it would lie for most other held-out rows."""

    value: Annotated[float, "the value"]
    low: Annotated[float, "end of the interval that holds 95 % of resampled rows"]
    high: Annotated[float, "its other end"]


class Recall(TypedDict):
    """A class's share of rows that are predicted right."""

    label: Annotated[str, "the class"]
    base_rate: Annotated[Share, "its share of all rows"]
    recall: Annotated[Share | None, "held out, without an attack and a defense"]
    recall_attacked: Annotated[Share | None, "the same under the worst attack"]
    recall_defended: Annotated[
        Share | None, "with the recommended defense under its worst attack"
    ]


class NoAttack(TypedDict):
    """The model without attack and defense, as means over the folds."""

    train_loss: Annotated[Size, "loss on training rows"]
    train_error: Annotated[Share, "share of errors on training rows"]
    test_loss: Annotated[Size, "loss on held-out rows"]
    test_error: Annotated[Share, "share of errors on held-out rows"]
    majority_error: Annotated[Share, "the same if the most frequent label is predicted"]
    test_loss_se: Annotated[Size | None, "standard error of the loss over the folds"]


Status = Annotated[
    Literal[
        "recommended",
        "equal within noise",
        "worse",
        "too costly",
        "no better than a constant",
        "not judged",
    ],
    "what the rule says of it",
]


class Percentile(TypedDict):
    """A percentile of sphere and slab, at the reference poison fraction."""

    percentile: Annotated[Percent, "the percentile"]
    kept_share: Annotated[Share, "share of all rows that it keeps"]
    status: Status
    clean: CleanValue
    cost: CostValue
    worst: Annotated[float | None, "the metric under its worst attack"]
    worst_attack: Annotated[str | None, "that attack"]
    clean_error: CleanError
    clean_loss: CleanLoss
    cost_loss: CostLoss
    worst_error: Annotated[Share | None, "the largest error under an attack"]
    worst_loss: Annotated[Size | None, "the largest held-out loss under an attack"]
    worst_loss_se: Annotated[Size | None, "standard error of that over the folds"]
    upper_bound: Annotated[Size, "certified bound on the training loss, fixed defense"]
    upper_bound_moving: Annotated[Size | None, "the bound with moving centroids"]


class NotJudged(TypedDict):
    """A defense that no attack could be made against."""

    defense: Annotated[str, "the defense"]
    reason: Annotated[str, "why not"]


class Recommendation(TypedDict):
    """What was decided: which defense, what it costs and what it saves."""

    rule: Annotated[str, "how it was chosen"]
    metric: Annotated[str, "the metric; lower is better"]
    metric_shown: Annotated[str, "what it is called"]
    metric_reason: Annotated[str, "why this one"]
    max_cost: Annotated[Size, "the most that a defense may cost without an attack"]
    epsilon: Annotated[Share, "poison fraction"]
    defense: Annotated[str | None, "the defense; null if none could be judged"]
    percentile: Annotated[Percent | None, "its percentile; null if it has none"]
    certified_percentile: Annotated[
        Percent | None,
        "the same rule among percentiles of sphere and slab, which have certificates; "
        "or null",
    ]
    clean: Annotated[Interval | None, "the metric with it, without an attack"]
    worst: Annotated[Interval | None, "the metric with it, under its worst attack"]
    worst_attack: Annotated[str | None, "that attack"]
    cost: Annotated[Interval | None, "what it costs: the metric without an attack"]
    saves: Annotated[Interval | None, "what it saves under the worst attack"]
    undefended_clean: Annotated[Interval, "the metric without attack and defense"]
    undefended_worst: Annotated[Interval, "under the worst attack, without a defense"]
    constant: Annotated[Size, "the metric of the best constant prediction"]
    model_is_useless: Annotated[
        bool, "whether the model is no better than a constant, beyond noise"
    ]
    is_useless_under_attack: Annotated[
        bool | None, "whether the recommended defense is no better than that"
    ]
    is_better_than_undefended: Annotated[
        bool | None, "whether it saves something, beyond noise"
    ]
    equal_within_noise: Annotated[list[str], "defenses that may do as well"]
    noise_text: Annotated[
        str | None, "what of the recommendation is within noise, as the page says it"
    ]
    too_costly: Annotated[list[str], "defenses that cost too much"]
    no_better_than_a_constant: Annotated[list[str], "defenses of useless models"]
    not_judged: Annotated[list[NotJudged], "defenses that could not be judged"]
    n_held_out: Annotated[Count, "held-out rows that all this was measured on"]
    n_taken_out: Annotated[Count, "suspicious ones that were left out"]
    by_certificate_alone: Annotated[Percent, "what the smallest bound would choose"]


class Ranked(TypedDict):
    """A defense, or none."""

    rank: Annotated[Place, "by the metric under the worst attack"]
    rank_by_clean: Annotated[Place, "by the metric without an attack"]
    defense: Annotated[str, "its name"]
    status: Status
    worst: Annotated[float, "the largest value of the metric under an attack"]
    worst_attack: Annotated[str, "that attack"]
    worst_recalls: Annotated[list[float | None], "recall of each class under it"]
    clean: CleanValue
    clean_recalls: Annotated[
        list[float | None], "recall of each class without an attack"
    ]
    cost: CostValue
    worst_error: Annotated[Share, "largest held-out error under an attack"]
    worst_loss: Annotated[Size, "largest held-out loss under an attack"]
    worst_loss_attack: Annotated[str, "that attack"]
    worst_loss_se: Annotated[Size | None, "standard error of that over the folds"]
    clean_error: CleanError
    clean_loss: CleanLoss
    cost_error: CostError
    cost_loss: CostLoss
    n_attacks: Annotated[Count, "attacks that could be made"]
    n_adaptive: Annotated[Count, "how many of them were adaptive"]


class Evaluation(TypedDict):
    """An attack on a defense, as means over the folds."""

    defense: Annotated[str, "the defense"]
    attack: Annotated[str, "the attack"]
    made_against: Annotated[str, "the defense that the attack was made to pass"]
    adaptive: Annotated[bool, "whether it knows the defense, or passes it for certain"]
    epsilon: Annotated[Share, "poison fraction"]
    possible: Annotated[bool, "whether it could be made"]
    reason: Annotated[str | None, "why not"]
    n_poison: Annotated[Size | None, "poison rows"]
    value: Annotated[float | None, "the metric with the defense"]
    recalls: Annotated[list[float | None] | None, "recall of each class with it"]
    error_poisoned: Annotated[Share | None, "held-out error without the defense"]
    loss_poisoned: Annotated[Size | None, "held-out loss without the defense"]
    error_filtered_poisoned: Annotated[Share | None, "held-out error with the defense"]
    loss_filtered_poisoned: Annotated[Size | None, "held-out loss with the defense"]
    loss_filtered_poisoned_se: Annotated[Size | None, "standard error over the folds"]
    poison_rejected: Annotated[Share | None, "share of the poison that is rejected"]
    clean_rejected: Annotated[Share | None, "share of clean rows that are rejected"]


class Judge(TypedDict):
    """A filter that judged."""

    filter: Annotated[str, "its name"]
    percentile: Annotated[Percent | None, "share of a class within its threshold"]
    measures: Annotated[str, "what its distance is, and to what"]
    n_beyond: Annotated[Count, "rows beyond its threshold"]


class CertifiedShare(TypedDict):
    """Held-out rows that are right whatever so many rows an attacker poisons."""

    n_rows: Annotated[Count, "rows inserted or deleted"]
    certified_accuracy: Annotated[Share, "share of the held-out rows"]
    balanced_certified_accuracy: Annotated[Share, "mean of the classes' shares"]


class Predictions(TypedDict):
    """How many rows it takes to change predictions of the model, fitted in parts."""

    n_parts: Annotated[Place, "parts, each with a model that has one vote"]
    n_train: Annotated[Place, "training rows: those of the first fold"]
    n_test: Annotated[Place, "its held-out rows"]
    accuracy: Annotated[Share | None, "share of them that is predicted correctly"]
    median_radius: Annotated[Size | None, "rows that half of them withstand"]
    curve: Annotated[list[CertifiedShare], "shares for some numbers of rows"]
    reason: Annotated[str | None, "why they are not computed; null if they are"]


class TracedError(TypedDict):
    """An error on a held-out row, and training rows without which it is none."""

    row: Annotated[Place, "the number of the row"]
    label: Annotated[str, "its label"]
    predicted: Annotated[str, "what the model predicts"]
    n_removed: Annotated[
        Count | None, "rows of the smallest set found; null if there is none"
    ]
    removed: Annotated[list[Place], "their numbers, the most responsible first"]
    p_value: Annotated[
        Share | None, "share of the model's other errors that look the same"
    ]


class Errors(TypedDict):
    """Whether few training rows are behind the worst errors on held-out rows."""

    n_train: Annotated[Place, "training rows: those of the first fold"]
    n_test: Annotated[Place, "its held-out rows"]
    n_wrong: Annotated[Count | None, "held-out rows that are predicted wrong"]
    max_removed: Annotated[Place, "the most training rows in a set: 1 % of them"]
    worst: Annotated[list[TracedError], "the errors that the model is surest of"]
    reason: Annotated[str | None, "why not all of these are traced; null if they are"]


class Reason(TypedDict):
    """What one filter found."""

    filter: Annotated[str, "the filter"]
    rank: Annotated[float, Within(1), "from the most suspicious; ties share one"]
    distance: Annotated[float, "what was measured"]
    threshold: Annotated[float | None, "what it is compared with"]
    beyond: Annotated[bool, "whether it is beyond"]
    text: Annotated[str, "the same in words"]


class Feature(TypedDict):
    """A feature that is far from the mean of the class."""

    feature: Annotated[str, "its name"]
    value: Annotated[float, "its value in the row"]
    class_mean: Annotated[float, "its mean in the class"]
    share: Annotated[Share, "its share of the squared distance"]


class BadShare(TypedDict):
    """How many rows of a class are rejected."""

    label: Annotated[str, "the class"]
    n_rows: Annotated[Count, "its rows"]
    n_rejected: Annotated[Count | None, "rows of it that are rejected"]
    rejected_by: Annotated[dict[str, Count], "how many for which reason"]
    share: Annotated[Share | None, "share of its rows that are rejected"]


class SuspiciousRow(TypedDict):
    """A suspicious row."""

    rank: Annotated[Place, "from the most suspicious"]
    position: Annotated[Count, "where it is, counted from 0"]
    row: Annotated[Place, "the same, counted from 1 as rows of a file are"]
    index: Annotated[str | None, "its label in the index, if there is one"]
    label: Annotated[str, "its label"]
    suspicion: Annotated[Share | None, "above one half if it is rejected"]
    test: Annotated[str | None, "what it is rejected for"]
    reason: Annotated[str | None, "the same in words"]
    suggested_label: Annotated[str | None, "the most probable label"]
    score: Annotated[Size, "mean of -log(rank / n) over the filters"]
    n_beyond: Annotated[Count, "filters whose threshold it is beyond"]
    reasons: Annotated[list[Reason], "by filter, the most suspicious first"]
    features: Annotated[list[Feature], "where the row differs most from its class"]


class Suspicious(TypedDict):
    """Rows that stand out."""

    n_rows: Annotated[Count, "rows that were judged"]
    n_rejected: Annotated[Count | None, "rows that AutoFilter or the verdict rejects"]
    classes: Annotated[list[BadShare], "how many rows of each class are rejected"]
    n_listed: Annotated[Count, "rows that are listed"]
    filters: Annotated[list[Judge], "the filters"]
    rows: Annotated[list[SuspiciousRow], "rejected rows, then those farthest out"]


class TaxonPart(TypedDict):
    """An attack or risk by its identifier in a public taxonomy."""

    framework: Annotated[str, "the taxonomy"]
    version: Annotated[str, "its version"]
    id: Annotated[str, "the identifier"]
    name: Annotated[str, "what it is called there"]
    url: Annotated[str, "where it is described"]
    tried: Annotated[list[str], "what the audit tried or looked for that belongs to it"]
    found: Annotated[list[str], "what it found that such an attack leaves"]


class LeftOut(TypedDict):
    """Something that was not done."""

    what: Annotated[str, "what"]
    reason: Annotated[str, "why"]


class Axis(TypedDict):
    """An axis."""

    label: Annotated[str, "its title"]
    ticks: Annotated[list[float], "where it has ticks"]
    log: Annotated[bool, "whether it is logarithmic"]


class Series(TypedDict):
    """A line, or the two ends of a range."""

    name: Annotated[str, "its name"]
    role: Annotated[str, "what it stands for"]
    x: Annotated[list[float], "horizontal positions"]
    y: Annotated[list[float], "heights"]


class Figure(TypedDict):
    """What a picture of the page shows."""

    name: Annotated[str, "its name"]
    kind: Annotated[Literal["lines", "ranges"], "what it looks like"]
    title: Annotated[str, "its title"]
    caption: Annotated[str, "its caption"]
    x: Axis
    y: Axis
    series: Annotated[list[Series], "what is drawn"]
    mark: Annotated[float | None, "where a vertical line stands"]


class Report(TypedDict):
    """What an audit found."""

    schema: Annotated[Literal["skpoison-audit/3"], "name and version of this schema"]
    skpoison: Annotated[str, "version of the package"]
    settings: Settings
    verdict: VerdictPart
    data: Data
    assumptions: Annotated[list[Assumption], "what the certificate assumes"]
    bounds: Bounds
    no_attack: NoAttack
    percentiles: Annotated[list[Percentile], "percentiles of sphere and slab, compared"]
    recommendation: Recommendation
    classes: Annotated[list[Recall], "what becomes of each class"]
    ranking: Annotated[list[Ranked], "defenses, the lowest worst metric first"]
    evaluations: Annotated[list[Evaluation], "every attack on every defense"]
    predictions: Predictions
    errors: Errors
    suspicious: Suspicious
    taxonomies: Annotated[list[TaxonPart], "the same by public taxonomies of attacks"]
    left_out: Annotated[list[LeftOut], "what was not done"]
    warnings: Annotated[list[str], "warnings of filters, attacks and solvers"]
    summary: Annotated[list[str], "what was found, in sentences"]
    figures: Annotated[list[Figure], "everything that the page's pictures show"]
