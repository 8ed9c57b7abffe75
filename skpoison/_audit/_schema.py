"""What the JSON of a report holds, as a JSON Schema."""

SCHEMA_NAME = "skpoison-audit/1"

NUMBER, COUNT, TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string"}
FLAG = {"type": "boolean"}
MAYBE_NUMBER = {"type": ["number", "null"]}
MAYBE_TEXT = {"type": ["string", "null"]}


def _about(kind, description):
    return kind | {"description": description}


def _object(description, **properties):
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _maybe(kind):
    return kind | {"type": [kind["type"], "null"]}


def _list(items, description):
    return {"type": "array", "items": items, "description": description}


def _map(values, description):
    return {
        "type": "object",
        "additionalProperties": values,
        "description": description,
    }


SETTINGS = _object(
    "What was asked for.",
    estimator=_about(TEXT, "the model"),
    epsilons=_list(NUMBER, "shares of poison for the bounds, rising"),
    percentiles=_list(NUMBER, "percentiles of sphere and slab, rising"),
    reference=_about(NUMBER, "share of poison by which defenses are compared"),
    filters=_map(TEXT, "the other defenses by name"),
    attacks=_map(TEXT, "the attacks by name"),
    moving_seconds=_about(
        NUMBER, "time after which no bound on moving centroids is begun"
    ),
    n_folds=_about(COUNT, "folds of the cross-validation"),
    n_attacked_rows=_about(COUNT, "rows that attacks were run on"),
    random_state=_about(COUNT, "the seed"),
    top=_about(COUNT, "how many suspicious rows were asked for"),
)

DATA = _object(
    "The rows.",
    source=_about(MAYBE_TEXT, "where they come from"),
    n_rows=_about(COUNT, "number of rows"),
    n_features=_about(COUNT, "number of columns, as numbers"),
    is_sparse=_about(FLAG, "whether they are sparse"),
    density=_about(MAYBE_NUMBER, "share of non-zeros, if sparse"),
    dtype=_about(TEXT, "type of the numbers"),
    n_bytes=_about(COUNT, "memory that they take"),
    transformed=_about(TEXT, "what was done to the columns first"),
    classes=_list(
        _object(
            "A class.",
            label=_about(TEXT, "its label"),
            n_rows=_about(COUNT, "its rows"),
            share=_about(NUMBER, "their share"),
        ),
        "the classes, in the order of their labels",
    ),
    positive=_about(TEXT, "the label that stands against the others in the bounds"),
    negative=_about(TEXT, "the others"),
    n_constant=_about(COUNT, "columns that do not vary"),
    constant=_list(TEXT, "some of their names"),
    kinds=_map(COUNT, "how many columns are constant, binary, count, …"),
    widest=_maybe(
        _object(
            "A column that decides distances nearly alone; null if there is none.",
            name=_about(TEXT, "its name"),
            times_median=_about(NUMBER, "its spread over the others' median"),
            share=_about(NUMBER, "its share of the sum of squared spreads"),
        )
    ),
    row_numbers=_list(TEXT, "columns that number the rows"),
    unique_numbers=_list(TEXT, "other columns with another whole number in every row"),
    n_repeated=_about(COUNT, "rows that repeat an earlier one with the same label"),
    n_contradicting=_about(COUNT, "rows that are equal to one with another label"),
    most_repeated=_maybe(
        _object(
            "The row that occurs most often; null if none occurs twice.",
            position=_about(COUNT, "where it occurs first, from zero"),
            row=_about(COUNT, "the same from one"),
            label=_about(TEXT, "its label"),
            n_copies=_about(COUNT, "how often it occurs"),
        )
    ),
)

ASSUMPTION = _object(
    "An assumption behind the certificate.",
    name=_about(TEXT, "the assumption"),
    status={
        "enum": ["holds", "watch", "violated", "not tested"],
        "description": "what the data say",
    },
    text=_about(TEXT, "why"),
    numbers=_map(NUMBER, "the numbers behind it"),
)

BOUNDS = _object(
    "The certified bounds.",
    learner=_map(NUMBER, "C or rho of the learner that they speak of"),
    speaks_of_estimator=_about(FLAG, "whether that is the model itself"),
    no_attack_loss=_about(NUMBER, "its training loss without an attack"),
    defenses=_list(
        _object(
            "A kind of defense.",
            defense=_about(TEXT, "fixed or moving_centroids"),
            computed=_about(FLAG, "whether there are bounds for it"),
            reason=_about(MAYBE_TEXT, "why some or all are missing"),
        ),
        "which kinds of defense there are bounds for",
    ),
    curves=_list(
        _object(
            "The bounds for one percentile.",
            defense=_about(TEXT, "fixed or moving_centroids"),
            percentile=_about(NUMBER, "of sphere and slab"),
            kept_share=_about(NUMBER, "share of all rows that the filter keeps"),
            points=_list(
                _object(
                    "The bound for one share of poison.",
                    epsilon=_about(NUMBER, "poison rows per clean row"),
                    n_allowed=_about(COUNT, "most rows that an attacker may add"),
                    attack_rows=_about(COUNT, "rows of the attack that was found"),
                    upper_bound=_about(NUMBER, "no attack raises training loss above"),
                    lower_bound=_about(NUMBER, "no bound of this kind could be lower"),
                    dual_gap=_about(NUMBER, "upper minus lower bound"),
                    clean_loss=_about(NUMBER, "clean rows' part of the upper bound"),
                    poison_loss=_about(NUMBER, "largest loss of a row that passes"),
                    attack_loss=_about(NUMBER, "training loss that the attack causes"),
                    converged=_about(FLAG, "whether the gap is as small as wanted"),
                ),
                "rising shares of poison",
            ),
        ),
        "a curve for each percentile and kind of defense",
    ),
)

NO_ATTACK = _object(
    "The model without attack and defense, as means over the folds.",
    train_loss=_about(NUMBER, "loss on training rows"),
    train_error=_about(NUMBER, "share of errors on training rows"),
    test_loss=_about(NUMBER, "loss on held-out rows"),
    test_error=_about(NUMBER, "share of errors on held-out rows"),
    majority_error=_about(NUMBER, "the same if the most frequent label is always said"),
    test_loss_se=_about(MAYBE_NUMBER, "standard error of the loss over the folds"),
)

COSTS = {
    "clean_error": _about(MAYBE_NUMBER, "held-out error with it, without an attack"),
    "clean_loss": _about(MAYBE_NUMBER, "held-out loss with it, without an attack"),
    "cost_error": _about(MAYBE_NUMBER, "that error minus the one without a defense"),
    "cost_loss": _about(MAYBE_NUMBER, "that loss minus the one without a defense"),
}

PERCENTILE = _object(
    "A percentile of sphere and slab, at the reference share of poison.",
    percentile=_about(NUMBER, "the percentile"),
    kept_share=_about(NUMBER, "share of all rows that it keeps"),
    **COSTS,
    upper_bound=_about(NUMBER, "certified limit of the training loss, fixed defense"),
    worst_loss=_about(MAYBE_NUMBER, "held-out loss, worst attack that knows it"),
    worst_loss_se=_about(MAYBE_NUMBER, "standard error of that over the folds"),
    worst_loss_attack=_about(MAYBE_TEXT, "that attack"),
    worst_error=_about(MAYBE_NUMBER, "largest held-out error under such attacks"),
    upper_bound_moving=_about(MAYBE_NUMBER, "the limit where centroids move"),
)

RECOMMENDATION = _object(
    "The percentile that does best under attack.",
    criterion=_about(TEXT, "how it was chosen"),
    epsilon=_about(NUMBER, "share of poison"),
    percentile=_about(MAYBE_NUMBER, "the percentile; null if none could be judged"),
    worst_loss=_about(MAYBE_NUMBER, "its held-out loss under the worst attack"),
    also_good=_list(NUMBER, "percentiles within one standard error of it"),
    not_judged=_list(
        _object(
            "A percentile that no attack could be made against.",
            percentile=_about(NUMBER, "the percentile"),
            reason=_about(TEXT, "why not"),
        ),
        "percentiles that could not be judged",
    ),
    undefended_loss=_about(NUMBER, "held-out loss without a defense, same attacks"),
    better_than_undefended=_about(
        {"type": ["boolean", "null"]}, "whether it is less than that"
    ),
    by_certificate_alone=_about(NUMBER, "what the smallest bound would choose"),
    best_ranked=_about(TEXT, "the defense with the least worst error"),
)

RANKED = _object(
    "A defense, or none.",
    rank=_about(COUNT, "by worst error"),
    rank_by_clean_error=_about(COUNT, "by error without an attack"),
    defense=_about(TEXT, "its name"),
    worst_error=_about(NUMBER, "largest held-out error under an attack"),
    worst_error_attack=_about(TEXT, "that attack"),
    worst_loss=_about(NUMBER, "largest held-out loss under an attack"),
    worst_loss_attack=_about(TEXT, "that attack"),
    worst_loss_se=_about(MAYBE_NUMBER, "standard error of that over the folds"),
    **COSTS,
    n_attacks=_about(COUNT, "attacks that could be made"),
    n_adaptive=_about(COUNT, "attacks among them that know the defense"),
)

EVALUATION = _object(
    "An attack behind a defense, as means over the folds.",
    defense=_about(TEXT, "the defense"),
    attack=_about(TEXT, "the attack"),
    made_against=_about(TEXT, "the defense that the attack was made to pass"),
    adaptive=_about(FLAG, "whether it knows the defense, or passes it for certain"),
    epsilon=_about(NUMBER, "share of poison"),
    possible=_about(FLAG, "whether it could be made"),
    reason=_about(MAYBE_TEXT, "why not"),
    n_poison=_about(MAYBE_NUMBER, "rows that were sent"),
    error_poisoned=_about(MAYBE_NUMBER, "held-out error without the defense"),
    loss_poisoned=_about(MAYBE_NUMBER, "held-out loss without the defense"),
    error_filtered_poisoned=_about(MAYBE_NUMBER, "held-out error with the defense"),
    loss_filtered_poisoned=_about(MAYBE_NUMBER, "held-out loss with the defense"),
    loss_filtered_poisoned_se=_about(MAYBE_NUMBER, "standard error over the folds"),
    poison_rejected=_about(MAYBE_NUMBER, "share of the poison that is rejected"),
    clean_rejected=_about(MAYBE_NUMBER, "share of clean rows that are rejected"),
)

SUSPICIOUS = _object(
    "Rows that stand out.",
    n_rows=_about(COUNT, "rows that were judged"),
    n_listed=_about(COUNT, "rows that are listed"),
    filters=_list(
        _object(
            "A filter that judged.",
            filter=_about(TEXT, "its name"),
            percentile=_about(MAYBE_NUMBER, "share of a class within its threshold"),
            measures=_about(TEXT, "what its distance is, and to what"),
            n_beyond=_about(COUNT, "rows beyond its threshold"),
        ),
        "the filters",
    ),
    rows=_list(
        _object(
            "A suspicious row.",
            rank=_about(COUNT, "from the most suspicious"),
            position=_about(COUNT, "where it is, from zero"),
            row=_about(COUNT, "the same from one, as rows of a file are counted"),
            index=_about(MAYBE_TEXT, "its label in the index, if there is one"),
            label=_about(TEXT, "its label"),
            score=_about(NUMBER, "mean of -log(rank / n) over the filters"),
            n_beyond=_about(COUNT, "filters whose threshold it is beyond"),
            reasons=_list(
                _object(
                    "What one filter says.",
                    filter=_about(TEXT, "the filter"),
                    rank=_about(NUMBER, "from the most suspicious; ties share one"),
                    distance=_about(NUMBER, "what was measured"),
                    threshold=_about(MAYBE_NUMBER, "what it is compared with"),
                    beyond=_about(FLAG, "whether it is beyond"),
                    text=_about(TEXT, "the same in words"),
                ),
                "by filter, the most suspicious first",
            ),
            features=_list(
                _object(
                    "A feature that is far from the mean of the class.",
                    feature=_about(TEXT, "its name"),
                    value=_about(NUMBER, "its value in the row"),
                    class_mean=_about(NUMBER, "its mean in the class"),
                    share=_about(NUMBER, "its share of the squared distance"),
                ),
                "where the row differs most from its class",
            ),
        ),
        "the most suspicious rows",
    ),
)

AXIS = _object(
    "An axis.",
    label=_about(TEXT, "its title"),
    ticks=_list(NUMBER, "where it has ticks"),
    log=_about(FLAG, "whether it is logarithmic"),
)

FIGURE = _object(
    "What a picture of the page shows.",
    name=_about(TEXT, "its name"),
    kind={"enum": ["lines", "ranges"], "description": "what it looks like"},
    title=_about(TEXT, "its title"),
    caption=_about(TEXT, "its caption"),
    x=AXIS,
    y=AXIS,
    series=_list(
        _object(
            "A line, or the two ends of a range.",
            name=_about(TEXT, "its name"),
            role=_about(TEXT, "what it stands for"),
            x=_list(NUMBER, "positions"),
            y=_list(NUMBER, "heights"),
        ),
        "what is drawn",
    ),
    mark=_about(MAYBE_NUMBER, "where a vertical line stands"),
)

LEFT_OUT = _object(
    "Something that was not done.",
    what=_about(TEXT, "what"),
    reason=_about(TEXT, "why"),
)

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Report of an audit",
    **_object(
        "What an audit found.",
        schema={"const": SCHEMA_NAME, "description": "name and version of this schema"},
        skpoison=_about(TEXT, "version of the package"),
        settings=SETTINGS,
        data=DATA,
        assumptions=_list(ASSUMPTION, "what the certificate assumes"),
        bounds=BOUNDS,
        no_attack=NO_ATTACK,
        percentiles=_list(PERCENTILE, "percentiles of sphere and slab side by side"),
        recommendation=RECOMMENDATION,
        ranking=_list(RANKED, "defenses, the least worst error first"),
        evaluations=_list(EVALUATION, "every attack behind every defense"),
        suspicious=SUSPICIOUS,
        left_out=_list(LEFT_OUT, "what was not done"),
        warnings=_list(TEXT, "warnings of filters, attacks and solvers"),
        summary=_list(TEXT, "what was found, in sentences"),
        figures=_list(FIGURE, "everything that the page's pictures show"),
    ),
}


def described_keys(schema=None, path=""):
    """List all keys with what they hold.

    Parameters
    ----------
    schema : dict, default=None
        A part of the schema; None is all of it.
    path : str, default=""
        Where that part is.

    Yields
    ------
    key : tuple of (str, str, str)
        Path, type and description.
    """
    for name, part in (SCHEMA if schema is None else schema)["properties"].items():
        here = f"{path}.{name}" if path else name
        yield here, _kind(part), part["description"].rstrip(".")
        inner = part["items"] if part.get("type") == "array" else part
        if "properties" in inner:
            yield from described_keys(inner, here + ("[]" if inner is not part else ""))


def _kind(part):
    if "enum" in part:
        return " or ".join(part["enum"])
    if "const" in part:
        return part["const"]
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return " or ".join(kinds)
