"""What commands print: numbers as tables and sentences."""

from math import floor

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from skpoison._io.errors import quoted
from skpoison._whole_rows import n_poison_rows
from skpoison._words import (
    NONE,
    counted,
    decimals_of,
    label_text,
    lower_text,
    one_line,
    percent_text,
    upper_percent,
    upper_text,
)

from .kinds import PUBLISHED, WITHOUT_PERCENTILE
from .learners import LEARNERS
from .session import warn

# Narrower terminals get tables with less space between columns.
ROOMY = 90
# By what share of the loss rows have to differ from others to speak of it.
WORTH_SAYING = 0.01
# More distinct rows are summed up by label.
FEW_ROWS = 4
# Of the error of a constant prediction.
USELESS = 0.98
AUDIT = " skpoison audit weights the classes and shows the recall of each."
# Of absolute errors beside a squared norm.
LARGER_C = (
    " The penalty of this learner weighs more the larger the targets are: try a larger "
    "--C, or --learner ridge."
)


def show_certificate(session, numbers):
    """Print the results of ``certify``."""
    for text in _introduction(numbers):
        session.say(text)
    session.console.print(_no_attack_table(numbers))
    tight = session.console.width < ROOMY
    session.console.print(_bounds_table(numbers, tight))
    for text in _conclusions(numbers):
        session.say(text)


def _introduction(numbers):
    data, settings = numbers["data"], numbers["settings"]
    rows = counted(data["n_train"], "clean row")
    if data["n_test"]:
        rows += f" to train on, {data['n_test']:,} to test on"
    yield (
        f"{data['source']}: {rows}, {counted(data['n_features'], 'feature')}; "
        f"{_classes(data)}."
    )
    limit = (
        f"rho = {settings['rho']:g}" if settings["rho"] else f"C = {settings['C']:g}"
    )
    learner = _learner(settings)
    kept = ""
    where, each = "the sphere", "it"
    center, all_rows = "the centroid of their class", "the class"
    if settings["task"] == "regression":
        center, all_rows = "the mean of all rows", "all rows"
    if settings["filter"] == "both":
        where, each = "the sphere and the slab", "each"
        if "defense" in numbers:
            share = percent_text(numbers["defense"]["kept_share"])
            kept = f", and both together {share}"
    yield (
        f"The learner is {learner.text} ({limit}). The filter keeps "
        f"rows inside {where} around {center}; {each} contains "
        f"{settings['percentile']:g} % of {all_rows}{kept}{_range(data, settings)}."
    )


def _learner(settings):
    return LEARNERS[settings["task"]][settings["learner"]]


def _classes(data):
    """Say what the target holds."""
    if data["task"] == "regression":
        low, high = data["smallest"], data["largest"]
        return f"targets from {low:g} to {high:g}"
    if data["task"] == "multiclass":
        names = quoted(data["labels"])
        return f"{len(data['labels'])} classes, {names}"
    return f"{data['positive']} against {data['negative']}"


def _range(data, settings):
    """Say which targets pass, if they are numbers."""
    if settings["task"] != "regression":
        return ""
    low, high = settings["target_range"] or (data["smallest"], data["largest"])
    return f". Rows with targets below {low:g} or above {high:g} are rejected"


def _no_attack_table(numbers):
    error = _error_name(numbers)
    headers = ["trained on", "training\nloss", "test\nloss", f"test\n{error}"]
    table = new_table("Without an attack", headers)
    names = {"all_rows": "all rows", "kept_rows": "rows that the filter keeps"}
    for key, name in names.items():
        row = numbers["no_attack"][key]
        losses = _loss(row["train_loss"]), _loss(row["test_loss"])
        table.add_row(name, *losses, _error(row, "test"))
    return table


def _error_name(numbers):
    """Return how tables call what is wrong about predictions of test rows."""
    return "MAE" if numbers["settings"]["task"] == "regression" else "error"


def _error(row, which):
    """Write the share of wrong predictions, or the mean absolute error."""
    if row[f"{which}_mae"] is not None:
        return _loss(row[f"{which}_mae"])
    return percent_text(row[f"{which}_error"])


def _bounds_table(numbers, tight):
    table = new_table(
        "With poison rows that pass the filter",
        [
            "epsilon",
            "poison\nrows\nallowed",
            "upper\nbound",
            "lower\nbound",
            "gap",
            "clean\nloss",
            "attack:\nrows",
            "attack:\ntraining\nloss",
            "attack:\ntest\nloss",
            f"attack:\ntest\n{_error_name(numbers)}",
        ],
        tight,
    )
    for row in numbers["bounds"]:
        table.add_row(
            f"{row['epsilon']:g}",
            f"{row['n_allowed']:,}",
            upper_text(row["upper_bound"]),
            lower_text(row["lower_bound"]),
            f"{row['dual_gap']:.1e}",
            _loss(row["clean_loss"]),
            f"{row['attack_rows']:,}",
            _loss(row["attack_loss"]),
            _loss(row["attack_test_loss"]),
            _error(row, "attack_test"),
        )
    return table


def _beside_a_constant(numbers):
    """Say if the learner is useless without an attack: its error can hardly rise."""
    row, is_number = numbers["no_attack"]["all_rows"], _error_name(numbers) == "MAE"
    which = "test_mae" if is_number else "test_error"
    error, constant = row[which], numbers[f"constant_{which}"]
    if error is None or error < USELESS * constant:
        return
    settings, advice = numbers["settings"], ""
    write, noun = percent_text, "the more frequent label"
    if settings["task"] == "multiclass":
        noun = "the most frequent label"
    if settings["task"] == "binary":
        advice = AUDIT
    elif is_number and settings["learner"] == "svm":
        advice = LARGER_C
    if is_number:
        write, noun = _loss, "the median target"
    named = "mean absolute error (MAE)" if is_number else "error"
    yield (
        f"The learner is useless, attack or no attack: its test {named} is "
        f"{write(error)}, and always predicting {noun} has {write(constant)}. That an "
        f"attack hardly raises it is no robustness.{advice}"
    )


def _conclusions(numbers):
    # The bound for the most rows holds for fewer; the solver's slack may differ.
    worst = max(numbers["bounds"], key=lambda row: row["epsilon"])
    clean, settings = numbers["no_attack"]["all_rows"], numbers["settings"]
    share = counted(worst["epsilon"] * 100, "poison row") + " per 100 clean rows"
    found = (
        f"The attack found raises it from {_loss(clean['train_loss'])} to "
        f"{_loss(worst['attack_loss'])}"
    )
    if _is_measured(clean):
        name = "mean absolute error" if _error_name(numbers) == "MAE" else "error"
        found += (
            f", and the test {name} goes from {_error(clean, 'test')} to "
            f"{_error(worst, 'attack_test')}"
        )
    which = ""
    if settings["defense"] == "moving-centroids":
        which = ", all of which pass the filter,"
    yield (
        f"Guaranteed: no attack with at most {share}{which} raises the training loss "
        f"above {upper_text(worst['upper_bound'])}. {found}."
    )
    yield from _beyond_the_attack(worst, settings)
    yield from _most_errors(worst, numbers["data"]["n_train"])
    yield from _beside_a_constant(numbers)
    yield from _units(numbers)
    yield _scope(numbers)


def _is_measured(row):
    return row["test_error"] is not None or row["test_mae"] is not None


def _beyond_the_attack(worst, settings):
    """Say what is open between the attack and the bound, if several classes are."""
    if settings["task"] != "multiclass" or worst["is_exact"]:
        return
    yield (
        f"Whether an attack can do more is open: the worst raises the training loss to "
        f"something between {_loss(worst['attack_loss'])} and "
        f"{upper_text(worst['upper_bound'])}. With several classes, the bound need not "
        "be the tightest."
    )


def _most_errors(worst, n_rows):
    """Say how many clean rows can be wrong, where that is a guarantee."""
    if worst["error_bound"] is None or worst["error_bound"] >= 1:
        return
    n_wrong = floor(worst["error_bound"] * n_rows)
    yield (
        f"Of the {n_rows:,} clean rows, those that it is trained on, it then "
        f"misclassifies at most {n_wrong:,} ({upper_percent(worst['error_bound'])})."
    )


def _units(numbers):
    """Say what losses are, and what they hold."""
    settings, data = numbers["settings"], numbers["data"]
    learner = _learner(settings)
    zero = "0 is perfect"
    if learner.at_zero is not None:
        value = learner.at_zero(len(data.get("labels", (0, 1))))
        zero += f", a constant score of 0 gives {value:.2g}"
    added = ", added over the learners of all classes" if learner.is_sum else ""
    yield (
        f"Losses are {learner.losses} per clean row{added} ({zero}). The clean loss is "
        "the part of the upper bound from clean rows"
        + (
            "; training losses and bounds include the learner's penalty."
            if settings["C"]
            else "."
        )
    )


def _scope(numbers):
    if numbers["settings"].get("defense") == "moving-centroids":
        return (
            "The guarantee is for a filter with these radii whose centroids are "
            "estimated from clean and poison rows together, and for attackers whose "
            "rows all pass it. It does not hold for radii estimated from poisoned rows."
        )
    return (
        "The guarantee is for a fixed filter, whose centroids and radii come from "
        "these clean rows. It does not hold for a filter fitted on poisoned rows. It "
        "bounds training loss, and is a guide to test loss only if training and test "
        "loss are close on clean data."
    )


def show_counts(session, source, numbers):
    """Print the results of ``filter``."""
    names = list(numbers["classes"][0]["rejected_by"])
    headers = ["label", "rows", "kept", "rejected"]
    headers += [f"beyond\n{name}" for name in names]
    table = new_table(one_line(source), headers)
    for row in numbers["classes"]:
        counts = [row["n_rows"], row["n_kept"], row["n_rejected"]]
        counts += [row["rejected_by"][name] for name in names]
        table.add_row(Text(one_line(row["label"])), *(f"{n:,}" for n in counts))
    session.console.print(table)
    kept = numbers["n_kept"] / numbers["n_rows"]
    settings = numbers["settings"]
    has_percentile = settings["filter"] not in WITHOUT_PERCENTILE
    hint = "; a larger --percentile keeps more" if kept < 1 and has_percentile else ""
    session.say(f"{percent_text(kept)} of the rows are kept{hint}.")
    if numbers["settings"]["filter"] not in PUBLISHED:
        return
    if numbers["settings"]["trusted"]:
        session.say(
            "Centroids and radii come from the trusted rows: the bounds of skpoison "
            "certify for all these rows (--test-share 0) hold for this filter."
        )
        return
    session.say(
        "Centroids and radii are estimated from these same rows, so poison among them "
        "can shift both, and no guarantee holds. Fit the filter on rows that you trust "
        "with --trusted FILE."
    )


def show_attack(session, numbers):
    """Print the results of ``attack``."""
    for text in _introduction(numbers):
        session.say(text)
    copies = _copies(numbers["rows"], numbers["settings"]["task"])
    session.say(
        f"The attack: {copies or 'no rows at all'}. All pass the filter. It raises the "
        f"training loss to {_loss(numbers['written_loss'])}; no attack raises it above "
        f"{upper_text(numbers['upper_bound'])}."
    )
    lost = numbers["attack_loss"] - numbers["written_loss"]
    if lost >= WORTH_SAYING * numbers["attack_loss"]:
        session.say(
            "The rows are written as the file's columns hold values: whole numbers, "
            "dates, categories, words of texts. The same attack without that raises "
            f"the loss to {_loss(numbers['attack_loss'])}."
        )
    _warn_of_negative(numbers)


def _warn_of_negative(numbers):
    """Warn of numbers below 0 where clean rows have none, such as counts."""
    names = numbers["negative"]
    if not names or numbers["settings"]["domain"] != "real":
        return
    are = "is" if len(names) == 1 else "are"
    warn(
        f"{quoted(names)} {are} never negative in the clean rows, but in the poison; "
        "--domain nonnegative holds the attacker to 0 or more."
    )


def _copies(rows, task):
    """Count the rows of each label; list them one by one if there are few."""
    called, write = "labeled", label_text
    if task == "regression":
        called, write = "with the target", "{:g}".format
    told = [(row["label"], 1, row["n_copies"]) for row in rows]
    if len(told) > FEW_ROWS:
        labels = dict.fromkeys(row["label"] for row in rows)
        counts = {
            label: [row["n_copies"] for row in rows if row["label"] == label]
            for label in labels
        }
        told = [(label, len(each), sum(each)) for label, each in counts.items()]
    parts = [
        f"{counted(total, 'copy', 'copies')} of "
        f"{'a row' if n == 1 else f'{n:,} rows'} {called} {write(label)}"
        for label, n, total in told
    ]
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]] if parts[1:] else parts)


def warn_of_percentile(percentile):
    """Warn if a percentage looks like a share."""
    if percentile <= 1:
        warn(
            f"--percentile is in percent: {percentile:g} keeps {percentile:g} % of "
            f"each class, --percentile {100 * percentile:g} keeps "
            f"{100 * percentile:g} %."
        )


def say_how_few(session, epsilons, n_rows):
    """Print which shares are less than one row."""
    few = [f"{e:g}" for e in epsilons if e > 0 and n_poison_rows(e, n_rows) == 0]
    if few:
        session.say(
            f"Epsilon {', '.join(few)} of {counted(n_rows, 'row')} is less than one "
            "row, so no poison is allowed."
        )


def warn_if_short(bounds, settings):
    """Warn of bounds whose gap exceeds the tolerance."""
    short = [row["epsilon"] for row in bounds if not row["converged"]]
    if not short:
        return
    more = "a larger --max-iter may lower them."
    if settings.task == "multiclass":
        more = "with several classes, a gap can remain that no step closes."
    warn(
        f"for epsilon {', '.join(f'{epsilon:g}' for epsilon in short)} the solver "
        "stopped before the gap between upper and lower bound reached the tolerance "
        f"(--tol {settings.tol:g}). The upper bounds are valid nevertheless; {more}"
    )


def new_table(title, headers, tight=False):
    """Return an empty table with a first column for names and others for numbers."""
    table = Table(
        title=Text(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 0 if tight else 1),
        pad_edge=False,
        collapse_padding=True,
    )
    for i, header in enumerate(headers):
        table.add_column(header, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _loss(value):
    # With as many decimals as the bounds beside it.
    return NONE if value is None else f"{value:.{decimals_of(value)}f}"
