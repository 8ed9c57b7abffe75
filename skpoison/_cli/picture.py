"""Plots of the results of commands, drawn without a display."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from skpoison._io import DataError
from skpoison._io.write import whole_file
from skpoison._words import counted, one_line
from skpoison.inspection._losses import scores_of

SIZES = {"curve": (6.4, 4.0), "plane": (6.0, 5.4), "pair": (8.6, 4.0)}
DPI = 150
# Without the time of day, so that the same numbers give the same file.
METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
SETTINGS = {"svg.hashsalt": "skpoison"}
LONGEST, LONGEST_PATH = 40, 64
N_BARS = 15


def check_matplotlib():
    """Raise an error if matplotlib is missing."""
    import matplotlib  # noqa: F401


@contextlib.contextmanager
def picture(path, force, shape, title):
    """Yield axes for a curve or a plane, or a pair of axes, then write the figure."""
    import matplotlib
    from matplotlib.figure import Figure

    # A figure without a window, which needs no display.
    figure = Figure(figsize=SIZES[shape], layout="constrained")
    axes = figure.subplots(1, 2 if shape == "pair" else 1)
    yield axes
    ax = np.ravel(axes)[0]
    legend = ax.get_legend()
    _tidy(legend)
    if shape in ("plane", "pair"):  # The legend is already above the axes.
        legend.set_title(one_line(title), prop={"size": "small"})
        legend.get_title().set_parse_math(False)
    else:
        ax.set_title(one_line(title), fontsize="small", parse_math=False)
    kind = Path(path).suffix.lower().removeprefix(".")
    drawn = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        # Tight, since the layout leaves too little space beside axes of equal scales.
        figure.savefig(
            drawn, format=kind, dpi=DPI, metadata=METADATA[kind], bbox_inches="tight"
        )
    with whole_file(path, force) as file:
        file.write(drawn.getbuffer())


def _tidy(legend):
    """Show labels literally, without formulas, shortened and on one line."""
    for text in legend.get_texts():
        text.set_parse_math(False)
        label = one_line(text.get_text())
        name, comma, group = label.rpartition(", ")
        if len(name) > LONGEST:
            label = name[: LONGEST - 1] + "…" + comma + group
        text.set_text(label)


def draw_bounds(path, force, certificate, sample, settings):
    """Draw the bounds over the shares of poison."""
    from skpoison.inspection import BoundDisplay

    curve, test = certificate.curve, (sample.X_test, sample.y_test)
    if settings.is_moving:
        curve = {"fixed": certificate.fixed, "moving centroids": curve}
    title = f"{_end(sample.source)}: {settings.describe()}"
    with picture(path, force, "curve", title) as ax:
        display = BoundDisplay.from_curve(
            curve, X_test=test[0], y_test=test[1], ax=_scratch()
        )
        if not settings.is_moving:
            display.filtered_loss = certificate.filtered_loss
        display.unfiltered_loss = certificate.unfiltered_loss
        display.plot(ax)
        if settings.is_moving and sample.X_test is not None:
            _draw_reestimated(display, certificate.numbers["bounds"])


def _draw_reestimated(display, rows):
    """Draw what the attack does where everything is re-estimated."""
    points = sorted((row["epsilon"], row["reestimated_test_loss"]) for row in rows)
    style = {"color": "black", "linestyle": ":", "marker": "x", "markersize": 4}
    display.ax_.plot(*zip(*points, strict=True), **style)
    # Beside the line, as the legend above it is full.
    display.ax_.annotate(
        "test loss, everything\nre-estimated",
        points[-1],
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        fontsize="x-small",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )


def draw_predictions(path, force, numbers):
    """Draw the certified accuracy over the number of poisoned rows."""
    from skpoison.inspection import CertifiedAccuracyDisplay

    curve, settings = numbers["curve"], numbers["settings"]
    keys = {"accuracy": "certified_accuracy", "balanced": "balanced_certified_accuracy"}
    title = (
        f"{_end(numbers['data']['source'])}: "
        f"{counted(settings['partitions'], 'part')}, {settings['base']}"
    )
    with picture(path, force, "curve", title) as ax:
        CertifiedAccuracyDisplay(
            n_rows=[[one["n_rows"] for one in curve]] * len(keys),
            certified_accuracy=[[one[key] for one in curve] for key in keys.values()],
            name=list(keys),
            attack=settings["attack"],
        ).plot(ax)


def draw_attack(path, force, bound, sample, settings):
    """Draw clean rows and the attack in the plane through the centers.

    With several classes, these are the two that most poison rows are labeled as.
    Numbers have no classes: they are drawn over what the poisoned learner predicts.
    """
    attack = bound.attack_
    title = (
        f"{_end(sample.source)}: {counted(attack.n_copies.sum(), 'poison row')}, "
        f"copies of {len(attack.n_copies)}; {settings.describe()}"
    )
    X, y = _stacked(sample.X, attack.X), np.append(sample.y, attack.y)
    poison = np.arange(len(y)) >= len(sample.y)
    if not sample.target.has_classes:
        predicted = scores_of(X, bound.poisoned_coef_, bound.poisoned_intercept_)
        _draw_numbers(path, force, predicted, y, poison, title)
        return
    names, codes = sample.target.names, None
    if sample.target.task == "multiclass":
        codes = _most_attacked(attack, sample.y)
        names = [names[code] for code in codes]
    _draw(
        path, force, bound.filter_, X, y, title, codes=codes, names=names, poison=poison
    )


def _most_attacked(attack, y):
    """Return the two classes with most poison rows, then with most clean rows."""
    n_rows = np.bincount(y)
    n_copies = np.bincount(attack.y, attack.n_copies, minlength=len(n_rows))
    return np.sort(np.lexsort((-n_rows, -n_copies))[:2]).tolist()


def _draw_numbers(path, force, predicted, y, poison, title):
    """Draw targets over predictions."""
    with picture(path, force, "curve", title) as ax:
        parts = {"clean rows": ~poison, "poison rows": poison}
        for (name, rows), marker in zip(parts.items(), "ox", strict=True):
            ax.scatter(predicted[rows], y[rows], s=14, marker=marker, label=name)
        ax.set(xlabel="prediction of the learner trained on all rows", ylabel="target")
        ax.legend()


def _stacked(X, points):
    if sparse.issparse(X):
        return sparse.vstack([sparse.csr_array(X), points], format="csr")
    return np.vstack([X, points])


def draw_filter(path, force, rows, X, judgement, percentile, names):
    """Draw the rows of two labels as they were judged."""
    title = f"{_end(rows.source)}: percentile {percentile:g}"
    y = rows.labels.texts
    _draw(path, force, judgement.filter, X, y, title, codes=names, names=names)


def draw_rejected(path, force, rows, X, found, kind):
    """Plot all rows in two dimensions, the rejected ones by reason."""
    from skpoison.inspection import SuspicionDisplay

    title = f"{_end(rows.source)}: {kind}"
    tests = found.tests if kind == "auto" else None
    with picture(path, force, "curve", title) as ax:
        SuspicionDisplay._of_rows(X, rows.labels.texts, found.kept, tests).plot(ax)


def draw_trace(path, force, problem, found):
    """Plot cases, the rows that are blamed for them, and the others."""
    from matplotlib.figure import Figure

    from skpoison.inspection import TraceDisplay

    rows, encoder = problem.rows, problem.encoded.encoder
    X_target = encoder.transform(problem.cases, found.wrong)
    traced = replace(found.trace, X_target=X_target)
    y = None if rows.labels.is_quantity else rows.labels.texts
    scratch = Figure().subplots(1, 2)
    display = TraceDisplay.from_trace(traced, problem.encoded.X, y, ax=scratch)
    display.contributions = found.contributions[display.names]
    display.names = rows.row_numbers[display.names]
    with picture(path, force, "pair", _end(rows.source)) as axes:
        display.plot(axes, n_bars=N_BARS)


def _draw(path, force, filter_, X, y, title, *, codes=None, names, poison=None):
    """Draw rows of two of the filter's classes, which are called by other names."""
    from skpoison.inspection import FilterDisplay

    with picture(path, force, "plane", title) as ax:
        display = FilterDisplay.from_estimator(
            filter_, X, y, classes=codes, poison_mask=poison, ax=_scratch()
        )
        display.classes = names
        display.plot(ax)


def labels_to_draw(session, rows, known):
    """Choose the two labels that have most rows, of those that a filter knows."""
    labels = rows.labels.of_first(len(known.labels.values))
    drawn = _two_largest(labels)
    if len(labels.values) > 2:
        session.say(
            f"The plot shows the two most frequent of {len(labels.values)} labels: "
            f"{drawn[0]} and {drawn[1]}."
        )
    return drawn


def _two_largest(labels):
    counts = np.bincount(labels.codes, minlength=len(labels.values))
    if np.count_nonzero(counts) < 2:
        raise DataError(
            "A plot needs rows of two labels. Leave --plot out, or check the target "
            "column."
        )
    texts = labels.value_texts
    return [texts[code] for code in sorted(np.argsort(-counts, kind="stable")[:2])]


def _end(source):
    """Return a path for a title, shortened to its end."""
    return source if len(source) <= LONGEST_PATH else "…" + source[1 - LONGEST_PATH :]


def _scratch():
    """Return axes to discard, since a changed display is drawn again."""
    from matplotlib.figure import Figure

    return Figure().subplots()
