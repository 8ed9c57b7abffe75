"""What is said of how columns were read."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from skpoison._words import name_text, one_line

from .session import warn

SHOWN = 3


def show_columns(session, plan, everything=False):
    """Print a table of the columns of which something was decided, or of all."""
    groups = {}
    for one in plan.columns:
        if everything or one.note or one.doubt:
            key = one.read_as, _why(one), _general(one)
            groups.setdefault(key, []).append(one)
    if groups:
        session.console.print(_table(groups))
    for note in plan.notes:
        session.say(note)
    _warn_of_doubts([one.name for one in plan.columns if one.doubt])


def _why(one):
    """What was decided of a column, and why it may be meant otherwise."""
    doubt = f"doubtful: {one.doubt}" if one.doubt else ""
    return "; ".join(part for part in (one.note, doubt) if part)


def _warn_of_doubts(names):
    """Name columns that may be meant otherwise; even where little is printed."""
    if not names:
        return
    shown = ", ".join(repr(name_text(name, 40)) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    what = "column" if len(names) == 1 else "columns"
    warn(
        f"{what} {shown}{more} may be meant otherwise than read; the table "
        '"How columns were read" says how to change that.'
    )


def _general(one):
    """Return an option with NAME in the place of the column's."""
    import shlex

    return one.option.replace(shlex.quote(one.name), "NAME")


def _table(groups):
    table = Table(
        title="How columns were read",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for header in ("column", "read as", "why", "otherwise"):
        table.add_column(header, overflow="fold")
    for (read_as, note, option), group in groups.items():
        option = group[0].option if len(group) == 1 else option
        cells = [_names(group), read_as, one_line(note), one_line(option)]
        table.add_row(*map(Text, cells))
    return table


def _names(group):
    names = [name_text(one.name, 40) for one in group[:SHOWN]]
    more = len(group) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def say_what_is_missing(session, encoded, bounds):
    """Say how many cells hold no value, and what they became."""
    if encoded.n_dropped:
        rows = (
            "1 row is" if encoded.n_dropped == 1 else f"{encoded.n_dropped:,} rows are"
        )
        session.say(
            f"{rows} left out, because a value is missing (--missing drop-rows)."
        )
    lacking = encoded.plan.with_missing
    if not lacking:
        return
    total = sum(one.missing for one in lacking)
    order = sorted(lacking, key=lambda one: -one.missing)
    listed = ", ".join(f"{name_text(o.name, 40)} {o.missing:,}" for o in order[:SHOWN])
    more = len(order) - SHOWN
    listed += f" and {more:,} more columns" if more > 0 else ""
    cells = "1 cell holds" if total == 1 else f"{total:,} cells hold"
    session.say(
        f"{cells} no value ({listed}): {_filled(encoded, lacking)}.{_of(bounds)}"
    )


def say_missing_elsewhere(session, source, masks):
    """Say how many cells of other rows hold no value, given masks by column."""
    total = sum(int(mask.sum()) for mask in masks.values())
    if total:
        cells = "1 cell holds" if total == 1 else f"{total:,} cells hold"
        columns = "1 column" if len(masks) == 1 else f"{len(masks):,} columns"
        session.say(
            f"{source}: {cells} no value, in {columns}; filled in the same way."
        )


def _filled(encoded, lacking):
    """Say what became of missing cells of each kind."""
    kinds = {"categories" if o.read_as == "categories" else "numbers" for o in lacking}
    encoding = encoded.encoding
    adds = encoding.missing == "indicator"
    own = adds or encoding.fills_with_zero
    texts = {
        "numbers": "numbers become "
        + ("0" if encoding.fills_with_zero else "the median of their column")
        + (", with a feature that says where" if adds else ""),
        "categories": "words become "
        + ("the category 'missing'" if own else "the most frequent category"),
    }
    said = "; ".join(text for kind, text in texts.items() if kind in kinds)
    return f"{said} (--missing)"


def _of(bounds):
    return " Bounds are over rows encoded like that." if bounds else ""
