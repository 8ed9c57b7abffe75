"""Pieces of the page: escaped text, tables, pictures."""

from html import escape

from ._svg import draw


def text(value):
    """Escape text from the data, and keep its direction of writing to itself."""
    return escape(str(value), quote=True)


def own(value):
    """Mark up a name from the data."""
    return f"<bdi>{text(value)}</bdi>"


def section(anchor, title, *parts):
    """Return a section of the page."""
    return (
        f'<section id="{anchor}">\n<h2>{title}</h2>\n' + "\n".join(parts) + "</section>"
    )


def table(headers, rows, *, n_text=1, best=None, kind="cards"):
    """Return a table; on a phone, a card for each row, or a strip to push sideways.

    Parameters
    ----------
    headers : list of str
        Markup of the headers.
    rows : list of list of str
        Markup of the cells.
    n_text : int, default=1
        How many columns from the left hold text.
    best : int, default=None
        A row to set off.
    kind : {"cards", "strip"}, default="cards"
        What becomes of it on a phone.

    Returns
    -------
    markup : str
        The table.
    """
    kinds = [' class="t"' if j < n_text else "" for j in range(len(headers))]
    head = "".join(f"<th{k}>{h}</th>" for k, h in zip(kinds, headers, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(
            f"<td{k}{_label(h, kind)}><span>{cell}</span></td>"
            for k, h, cell in zip(kinds, headers, row, strict=True)
        )
        lines.append(f"<tr{' class=best' if i == best else ''}>{cells}</tr>")
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _label(header, kind):
    """Name a cell for the card that a row becomes; headers of strips have markup."""
    return f' data-label="{header}"' if kind == "cards" else ""


def pictures(content, *names):
    """Return figures side by side, where there is room."""
    wanted = [
        one for name in names for one in content["figures"] if one["name"] == name
    ]
    drawn = "".join(
        f"<figure><h3>{text(one['title'])}</h3>{draw(one)}"
        f"<figcaption>{text(one['caption'])}</figcaption></figure>"
        for one in wanted
    )
    return f'<div class="figures">{drawn}</div>'


def paragraphs(sentences):
    """Return sentences from the report as a list."""
    return listed(map(text, sentences))


def listed(items):
    """Return markup as a list."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def definitions(facts):
    """Return names and what they stand for."""
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<dl>{items}</dl>"
