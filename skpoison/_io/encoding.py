"""What a person, or a command, says about how columns become numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """How columns become numbers.

    Parameters
    ----------
    scale : {"none", "standard", "maxabs"}
        How columns of numbers are scaled; commands decide what "auto" means for it.
    categorical : tuple of str
        Columns to take as categories whatever they hold; columns of words are
        categories anyway.
    text : tuple of str
        Columns of free text.
    weights : {"tfidf", "counts"}
        How words of free text are weighted.
    missing : {"indicator", "impute", "drop-rows", "error"}
        What becomes of cells without a value: numbers get the median and, with
        "indicator", a column that says so; categories one of their own or, with
        "impute", the most frequent one. "drop-rows" is done before.
    dates : {"features", "drop"}
        Whether dates become numbers or are left out.
    date_order : {"auto", "month-first", "day-first"}
        How dates are read if all of a column could be read in both ways.
    codes : tuple of float or None
        Numbers that say that a value is missing. None means those that are told by
        being nines, far from all other numbers.
    identifiers : tuple of str
        Columns that name the rows, and are no features.
    features : tuple of str
        Columns to take as features although they look like identifiers, or are
        constant.
    drop_constant : bool
        Whether columns that are constant are left out.
    fills_with_zero : bool
        Whether gaps among numbers become 0, which no other rows can change, and not the
        median; and missing categories one of their own.
    """

    scale: str = "none"
    categorical: tuple = ()
    text: tuple = ()
    weights: str = "tfidf"
    missing: str = "indicator"
    dates: str = "features"
    date_order: str = "auto"
    codes: tuple | None = None
    identifiers: tuple = ()
    features: tuple = ()
    drop_constant: bool = True
    fills_with_zero: bool = False

    @property
    def named(self):
        """All columns of which it is said what features they are."""
        return (*self.categorical, *self.text, *self.features)
