"""What an audit found, and the files that it is written to."""

import csv
import io
import json
import os
import re
from html import escape

import numpy as np
from sklearn.utils import Bunch

NO_TEMPLATES = "The page of an audit needs jinja2: pip install jinja2"
CSV_COLUMNS = (
    *("rank", "position", "row", "index", "label"),
    *("suspicion", "reason", "suggested_label", "score", "n_beyond"),
)


class AuditReport(Bunch):
    """What :func:`skpoison.audit` found.

    Its parts are attributes and keys; docs/audit_json.md lists them. In a notebook, it
    shows as the page that :meth:`to_html` writes, which needs jinja2.

    Parameters
    ----------
    content : dict
        The parts, as the JSON has them.
    order : ndarray of shape (n_samples,), default=None
        Positions of all rows, the most suspicious first.

    Attributes
    ----------
    summary : list of str
        What was found, in a few sentences.
    recommendation : dict
        The percentile of sphere and slab that does best under attack, and by how much.
    data, assumptions, bounds, no_attack, percentiles, ranking, evaluations, \
    predictions, errors, suspicious, taxonomies, settings, left_out, warnings, \
    figures : dict or list
        Parts of the report.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import audit
    >>> X, y = make_blobs(60, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> report = audit(X, y, percentiles=[80], filters={}, epsilons=[0.1])
    >>> print(report)  # doctest: +ELLIPSIS
    No clear sign of poison. ...
    >>> report.most_suspicious(3).shape
    (3,)
    """

    def __init__(self, content, order=None):
        super().__init__(**_plain(content))
        # Beside the parts, not among them: the JSON lists only the first rows.
        object.__setattr__(self, "_order", order)

    def __reduce__(self):
        return type(self), (dict(self), self._order)

    def __str__(self):
        return "\n".join(self.summary)

    def __repr__(self):
        return f"<AuditReport of {self.data['n_rows']:,} rows: {self.summary[0]}>"

    def _repr_html_(self):
        try:
            page = escape(self._html())
        except ImportError as error:
            sentences = "\n".join([*self.summary, str(error)])
            return f"<pre>{escape(sentences)}</pre>"
        # A frame keeps the page's style from the notebook, and the other way round.
        style = "width:100%;height:48rem;border:0"
        return f'<iframe sandbox srcdoc="{page}" style="{style}"></iframe>'

    def _html(self):
        try:
            from .html import to_html
        except ModuleNotFoundError as error:
            raise ImportError(NO_TEMPLATES) from error
        return to_html(dict(self))

    def most_suspicious(self, n_rows):
        """Return the positions of the most suspicious rows.

        Parameters
        ----------
        n_rows : int
            How many.

        Returns
        -------
        positions : ndarray of shape (n_rows,)
            Positions in the rows that were audited, the most suspicious first.
        """
        return np.array(self._order[:n_rows])

    def to_dict(self):
        """Return the report as JSON has it.

        Returns
        -------
        content : dict
            Dicts, lists, texts, numbers, truth values and None; independent of this
            report.
        """
        return json.loads(self._json())

    def to_json(self, path, *, overwrite=False):
        """Write the report as JSON; docs/audit_json.md describes the keys.

        Parameters
        ----------
        path : str or path
            Where to.
        overwrite : bool, default=False
            Whether a file that exists may be replaced.
        """
        write(path, self._json(), overwrite)

    def _json(self):
        return (
            json.dumps(dict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        )

    def to_html(self, path, *, overwrite=False):
        """Write the report as one page that needs no other file and no network.

        Needs jinja2 (``pip install jinja2``).

        Parameters
        ----------
        path : str or path
            Where to.
        overwrite : bool, default=False
            Whether a file that exists may be replaced.
        """
        write(path, self._html(), overwrite)

    def suspicious_to_csv(self, path, *, overwrite=False):
        """Write the suspicious rows as CSV, a line for each.

        Parameters
        ----------
        path : str or path
            Where to.
        overwrite : bool, default=False
            Whether a file that exists may be replaced.
        """
        write(path, self._csv(), overwrite)

    def _csv(self):
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*CSV_COLUMNS, "reasons", "features"])
        for row in self.suspicious["rows"]:
            cells = [row[name] for name in CSV_COLUMNS]
            reasons = [f"{one['filter']}: {one['text']}" for one in _beyond(row)]
            features = [
                f"{one['feature']} = {one['value']:.6g}" for one in row["features"]
            ]
            cells += ["; ".join(reasons), "; ".join(features)]
            writer.writerow([harmless(cell) for cell in cells])
        return lines.getvalue()


def _beyond(row):
    """Return the reasons for which a row is beyond a limit, or else the first."""
    beyond = [one for one in row["reasons"] if one["beyond"]]
    return beyond or row["reasons"][:1]


def harmless(cell):
    """Put an apostrophe before text that a spreadsheet would run as a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("-3"), harmless(-3.0), harmless(None)
    ("'=1+1", '-3', -3.0, '')
    """
    from skpoison._io.columns import NUMBER
    from skpoison._io.output import FORMULA

    if cell is None:
        return ""
    if not isinstance(cell, str) or re.match(NUMBER, cell):
        return cell
    return "'" + cell if re.match(FORMULA, cell) else cell


def write(path, content, overwrite):
    """Write a text file whole or not at all.

    Parameters
    ----------
    path : str or path
        Where to.
    content : str
        What.
    overwrite : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    FileExistsError
        If there is a file, and it may not be replaced.
    """
    from skpoison._io.write import whole_file

    path = os.fspath(path)
    if not overwrite and os.path.lexists(path) and not os.path.isdir(path):
        raise FileExistsError(f"{path!r} exists already; overwrite=True replaces it.")
    with whole_file(path, overwrite) as file:
        file.write(content.encode("utf-8", "backslashreplace"))


def _plain(value):
    """Turn numpy's numbers into Python's, and what is not finite into None."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
