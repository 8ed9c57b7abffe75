"""What commands say: numbers as tables and sentences."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from skpoison._whole_rows import n_poison_rows
from skpoison._words import NONE, lower_text, one_line, percent_text, upper_text

from .options import PUBLISHED, WITHOUT_PERCENTILE
from .session import warn

DIGITS = 4
# Terminals with fewer columns get tables with less between the columns.
ROOMY = 90
# More distinct rows than these are told of by label.
FEW_ROWS = 4


def show_certificate(session, numbers):
    """Print what ``certify`` found out."""
    for text in _introduction(numbers):
        session.say(text)
    session.console.print(_no_attack_table(numbers))
    tight = session.console.width < ROOMY
    session.console.print(_bounds_table(numbers, tight))
    for text in _conclusions(numbers):
        session.say(text)


def _introduction(numbers):
    data, settings = numbers["data"], numbers["settings"]
    rows = f"{data['n_train']:,} clean rows"
    if data["n_test"]:
        rows += f" to train on, {data['n_test']:,} to test on"
    yield (
        f"{data['source']}: {rows}, {data['n_features']:,} features; "
        f"{data['positive']} against {data['negative']}."
    )
    limit = (
        f"rho = {settings['rho']:g}" if settings["rho"] else f"C = {settings['C']:g}"
    )
    kept = ""
    if "defense" in numbers:
        share = percent_text(numbers["defense"]["kept_share"])
        kept = f", and both together {share} of it"
    yield (
        f"The learner is a linear support vector machine ({limit}). The filter lets a "
        f"row through if it lies within the sphere and the slab around the center of "
        f"its class; each encloses {settings['percentile']:g} % of the class{kept}."
    )


def _no_attack_table(numbers):
    headers = ["trained on", "training\nloss", "test\nloss", "test\nerror"]
    table = new_table("Without an attack", headers)
    names = {"all_rows": "all rows", "kept_rows": "rows that the filter lets through"}
    for key, name in names.items():
        row = numbers["no_attack"][key]
        losses = _loss(row["train_loss"]), _loss(row["test_loss"])
        table.add_row(name, *losses, percent_text(row["test_error"]))
    return table


def _bounds_table(numbers, tight):
    table = new_table(
        "With poison rows that the filter lets through",
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
            "attack:\ntest\nerror",
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
            percent_text(row["attack_test_error"]),
        )
    return table


def _conclusions(numbers):
    # What holds for the most rows holds for fewer; the solver's slack may differ.
    worst = max(numbers["bounds"], key=lambda row: row["epsilon"])
    clean = numbers["no_attack"]["all_rows"]
    share = f"{worst['epsilon'] * 100:g} poison rows for every 100 clean ones"
    found = (
        f"The attack that was found brings it from {_loss(clean['train_loss'])} to "
        f"{_loss(worst['attack_loss'])}"
    )
    if clean["test_error"] is not None:
        found += (
            f", and the test error from {percent_text(clean['test_error'])} to "
            f"{percent_text(worst['attack_test_error'])}"
        )
    which = "whatever they are"
    if numbers["settings"]["defense"] == "moving-centroids":
        which = "all of which pass the filter"
    yield (
        f"Guaranteed: with {share}, {which}, the training loss does not "
        f"exceed {upper_text(worst['upper_bound'])}. {found}."
    )
    yield (
        "Losses are mean hinge losses for each clean row (0 is perfect, 1 is no better "
        "than knowing nothing). The clean loss is the clean rows' part of the upper "
        "bound"
        + (
            "; training losses and bounds count the learner's penalty too."
            if numbers["settings"]["C"]
            else "."
        )
    )
    yield _speaks_of(numbers)


def _speaks_of(numbers):
    if numbers["settings"].get("defense") == "moving-centroids":
        return (
            "The guarantee speaks of a filter with these radii, whose centers are "
            "estimated from clean and poison rows together, and of attackers whose "
            "rows all pass it. It says nothing about radii that are measured on "
            "poisoned rows."
        )
    return (
        "The guarantee speaks of a fixed filter: its centers and radii come from these "
        "clean rows. It says nothing about a filter that is fitted on poisoned rows. "
        "It carries over from training to test loss as far as the two agree on clean "
        "data."
    )


def show_counts(session, source, numbers):
    """Print what ``filter`` found out."""
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
            "Centers and radii come from the trusted rows: what skpoison certify says "
            "of all those (--test-share 0) holds for this filter."
        )
        return
    session.say(
        "Centers and radii come from these same rows. If there is poison among them, "
        "it has moved them along, and no guarantee holds; give rows that you trust "
        "with --trusted."
    )


def show_attack(session, numbers):
    """Print what ``attack`` found out."""
    for text in _introduction(numbers):
        session.say(text)
    copies = _copies(numbers["rows"])
    session.say(
        f"The attack: {copies or 'no rows at all'}. All pass the filter. They bring "
        f"the training loss to {_loss(numbers['attack_loss'])}; no attack brings it "
        f"above {upper_text(numbers['upper_bound'])}."
    )


def _copies(rows):
    """Say how many rows of each label are sent; one by one where they are few."""
    told = [(row["label"], 1, row["n_copies"]) for row in rows]
    if len(told) > FEW_ROWS:
        labels = dict.fromkeys(row["label"] for row in rows)
        counts = {
            label: [row["n_copies"] for row in rows if row["label"] == label]
            for label in labels
        }
        told = [(label, len(each), sum(each)) for label, each in counts.items()]
    return " and ".join(
        f"{total:,} {'copy' if total == 1 else 'copies'} of "
        f"{'a row' if n == 1 else f'{n:,} rows'} labelled {label}"
        for label, n, total in told
    )


def warn_of_percentile(percentile):
    """Warn of what looks like a share in the place of a percentage."""
    if percentile <= 1:
        warn(
            f"--percentile is in percent: {percentile:g} lets through {percentile:g} % "
            f"of each class, --percentile {100 * percentile:g} lets through "
            f"{100 * percentile:g} %."
        )


def say_how_few(session, epsilons, n_rows):
    """Say which shares are less than one row."""
    few = [f"{e:g}" for e in epsilons if e > 0 and n_poison_rows(e, n_rows) == 0]
    if few:
        session.say(
            f"Epsilon {', '.join(few)} of {n_rows:,} rows is less than one row: nobody "
            "can add so few."
        )


def warn_if_short(bounds, tol):
    """Warn of bounds that are wider apart than asked for."""
    short = [row["epsilon"] for row in bounds if not row["converged"]]
    if short:
        listed = ", ".join(f"{epsilon:g}" for epsilon in short)
        warn(
            f"for epsilon {listed} the solver stopped before upper and lower bound "
            f"came as close as asked for (--tol {tol:g}). The upper bounds "
            "hold all the same; a larger --max-iter may lower them."
        )


def warn_of_words(domain):
    """Warn that texts were not written as texts."""
    between = ""
    if domain == "real":
        between = "the attack's rows lie between the words of real rows; "
    warn(f"{between}the file has a column for each word.")


def new_table(title, headers, tight=False):
    """Return an empty table, whose first column is of names and others of numbers."""
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
    # With the decimals of the bounds that it stands beside.
    return NONE if value is None else f"{value:.{DIGITS}f}"
