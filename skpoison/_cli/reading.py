"""The options about files: how they are read, how columns become numbers."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from .checks import in_range, missing_codes, one_of, positive_number
from .options import DATA, option, switch

FORMATS = ("csv", "tsv", "jsonl", "parquet", "npz", "svmlight")
SCALES = ("auto", "none", "standard", "maxabs")
KINDS = ("auto", "classes", "quantity")
GAPS = ("indicator", "impute", "drop-rows", "error")
# The weights of words that give rows of each domain.
WEIGHTS_OF_DOMAIN = {"count": "counts", "binary": "counts", "tfidf": "tfidf"}


@dataclass
class Reading:
    """How files are read, and how their columns become numbers."""

    target: Annotated[
        str | None,
        option(
            DATA,
            "NAME",
            "Label column (NPZ: array), if not target, label, class or y.",
            common=True,
        ),
    ] = None
    target_kind: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "What the target holds: classes, quantity (numbers to predict), or auto: "
            "told from its values.",
            callback=one_of(*KINDS),
        ),
    ] = "auto"
    format: Annotated[
        str | None,
        option(
            DATA,
            "FORMAT",
            "csv, tsv, jsonl, parquet, npz or svmlight, if the file name does not say.",
            callback=one_of(*FORMATS),
        ),
    ] = None
    no_header: Annotated[
        bool,
        switch(
            DATA,
            "The first line holds data; columns are called 1, 2, 3, …",
            "--no-header",
        ),
    ] = False
    decimal_comma: Annotated[
        bool,
        switch(
            DATA,
            "Numbers are written as 3,14; cells end with semicolons or tabs.",
            "--decimal-comma",
        ),
    ] = False
    drop: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column to leave out; can be repeated.",
            common=True,
        ),
    ] = None
    scale: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "standard (mean 0, standard deviation 1), maxabs (largest magnitude 1), "
            "none, or auto: standard (maxabs for sparse rows) if one column dominates "
            "all distances, otherwise none.",
            callback=one_of(*SCALES),
        ),
    ] = "auto"
    categorical: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column of numbers to treat as categories, as columns of words are; can be "
            "repeated.",
        ),
    ] = None
    text_column: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Free-text column, whose words become features; can be repeated.",
            common=True,
        ),
    ] = None
    missing: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "Empty cells: indicator (fill and mark), impute, drop-rows or error.",
            callback=one_of(*GAPS),
        ),
    ] = "indicator"
    dates: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "Columns of dates: features (days since 1970, weekday, hour) or drop.",
            callback=one_of("features", "drop"),
        ),
    ] = "features"
    date_order: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "How 01/02/2024 is read if all dates of a column could be read both ways: "
            "month-first, day-first, or auto: month first with slashes, day first with "
            "dashes.",
            callback=one_of("auto", "month-first", "day-first"),
        ),
    ] = "auto"
    na: Annotated[
        list[str] | None,
        option(
            DATA,
            "NUMBER",
            "Number that stands for a missing value, such as -999; can be repeated; "
            "none: no number does. Default: nines that lie far from all other numbers.",
            "--na",
            callback=missing_codes,
        ),
    ] = None
    id: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column that identifies rows: no feature, but written with them; can be "
            "repeated.",
            "--id",
        ),
    ] = None
    feature: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column to use as a feature although it looks like an identifier or is "
            "constant; can be repeated.",
            "--feature",
        ),
    ] = None
    show_columns: Annotated[
        bool,
        switch(
            DATA,
            "Print how all columns were read, not only those where there was a choice.",
            "--show-columns",
        ),
    ] = False
    text_weights: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "Weights of the words of a text: counts or tfidf.",
            callback=one_of("tfidf", "counts"),
        ),
    ] = "tfidf"
    max_size: Annotated[
        float,
        option(
            DATA,
            "GB",
            "Most compressed or piped data to read, in gigabytes.",
            callback=positive_number,
        ),
    ] = 4.0

    sample: Annotated[
        int,
        option(
            DATA,
            "ROWS",
            "Folders and globs: rows to draw at random. filter and certify decide by "
            "them how columns are read and scaled; audit uses only these.",
            "--sample",
            callback=in_range(10),
        ),
    ] = 100_000

    @property
    def options(self):
        """How files are read."""
        from skpoison._io.read import Options

        encoding = self.encoding
        return Options(
            format=self.format,
            target=self.target,
            header=not self.no_header,
            decimal_comma=self.decimal_comma,
            drop=tuple(self.drop or ()),
            words=encoding.categorical + encoding.text,
            max_size=self.max_size,
            target_kind=self.target_kind,
            sample=self.sample,
        )

    def options_with(self, **changes):
        """Return how files are read but for some changes."""
        return replace(self.options, **changes)

    def ahead(self, data, **changes):
        """Return a context in which a large file is read while the rest is imported."""
        from skpoison._io.read import loading

        return loading(data, self.options_with(**changes))

    @property
    def encoding(self):
        """How columns become numbers."""
        from skpoison._io.encoding import Encoding

        return Encoding(
            scale=self.scale,
            categorical=tuple(self.categorical or ()),
            text=tuple(self.text_column or ()),
            weights=self.text_weights,
            missing=self.missing,
            dates=self.dates,
            date_order=self.date_order,
            codes=None if self.na is None else tuple(self.na),
            identifiers=tuple(self.id or ()),
            features=tuple(self.feature or ()),
        )

    def for_domain(self, domain):
        """Return this with a scale under which a domain remains what it is."""
        if domain in ("real", "nonnegative"):
            return self  # Scaled columns have lower limits in place of zero.
        if self.scale not in ("auto", "none"):
            raise typer.BadParameter(
                f"{domain} describes unscaled features; leave --scale out.",
                param_hint="'--domain'",
            )
        wanted = WEIGHTS_OF_DOMAIN.get(domain)
        if self.text_column and wanted not in (None, self.text_weights):
            raise typer.BadParameter(
                f"{domain} needs --text-weights {wanted}.", param_hint="'--domain'"
            )
        return replace(self, scale="none")

    def describe(self, encoded):
        """Return what goes into the JSON, given what was encoded."""
        encoding = encoded.encoding
        return {
            "format": self.format,
            "target": self.target,
            "target_kind": self.target_kind,
            "header": not self.no_header,
            "decimal_comma": self.decimal_comma,
            "drop": list(self.drop or ()),
            "scale": encoding.scale,
            "categorical": list(encoding.categorical),
            "text_columns": list(encoding.text),
            "text_weights": encoding.weights if encoding.text else None,
            "missing": encoding.missing,
            "dates": encoding.dates,
            "n_dropped_rows": encoded.n_dropped,
            "columns": encoded.columns,
        }
