"""The options about files: how they are read, how columns become numbers."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from .checks import one_of, positive_number
from .options import DATA, option, switch

FORMATS = ("csv", "tsv", "jsonl", "parquet", "npz", "svmlight")
SCALES = ("auto", "none", "standard", "maxabs")
# What words of a text must weigh for the domain to be theirs.
WEIGHTS_OF_DOMAIN = {"count": "counts", "binary": "counts", "tfidf": "tfidf"}


@dataclass
class Reading:
    """How files are read, and how their columns become numbers."""

    target: Annotated[
        str | None,
        option(
            DATA,
            "NAME",
            "Column (in NPZ files, array) of labels, if it is not called target, "
            "label, class or y.",
        ),
    ] = None
    format: Annotated[
        str | None,
        option(
            DATA,
            "FORMAT",
            "csv, tsv, jsonl, parquet, npz or svmlight, if the name does not say.",
            callback=one_of(*FORMATS),
        ),
    ] = None
    no_header: Annotated[
        bool,
        switch(
            DATA,
            "The first line holds data; the columns are then called 1, 2, 3, …",
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
            "Column to leave out; may be given several times.",
        ),
    ] = None
    scale: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "standard (mean 0, standard deviation 1), maxabs (into -1 to 1), none, or "
            "auto: standard (maxabs for sparse rows) where one column would decide all "
            "distances nearly alone.",
            callback=one_of(*SCALES),
        ),
    ] = "auto"
    categorical: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column of numbers to take as categories, as columns of words are; may be "
            "given several times.",
        ),
    ] = None
    text_column: Annotated[
        list[str] | None,
        option(
            DATA,
            "NAME",
            "Column of free text, whose words become features; may be given several "
            "times.",
        ),
    ] = None
    text_weights: Annotated[
        str,
        option(
            DATA,
            "KIND",
            "counts of words, or tfidf: weighted by rarity.",
            callback=one_of("tfidf", "counts"),
        ),
    ] = "tfidf"
    max_size: Annotated[
        float,
        option(
            DATA,
            "GB",
            "How much packed or piped data may be read.",
            callback=positive_number,
        ),
    ] = 4.0

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
        )

    @property
    def encoding(self):
        """How columns become numbers."""
        from skpoison._io.encode import Encoding

        categorical, text = tuple(self.categorical or ()), tuple(self.text_column or ())
        return Encoding(self.scale, categorical, text, self.text_weights)

    def for_domain(self, domain):
        """Return this without a scale where a domain speaks of features as they are."""
        if domain == "real":
            return self
        if self.scale not in ("auto", "none"):
            raise typer.BadParameter(
                f"{domain} speaks of features that are not scaled; leave --scale out.",
                param_hint="'--domain'",
            )
        wanted = WEIGHTS_OF_DOMAIN.get(domain)
        if self.text_column and wanted not in (None, self.text_weights):
            raise typer.BadParameter(
                f"{domain} goes with --text-weights {wanted}.", param_hint="'--domain'"
            )
        return replace(self, scale="none")

    def describe(self, encoding):
        """Return what the JSON says of it, given the scale that was chosen."""
        return {
            "format": self.format,
            "target": self.target,
            "header": not self.no_header,
            "decimal_comma": self.decimal_comma,
            "drop": list(self.drop or ()),
            "scale": encoding.scale,
            "categorical": list(encoding.categorical),
            "text_columns": list(encoding.text),
            "text_weights": encoding.weights if encoding.text else None,
        }
