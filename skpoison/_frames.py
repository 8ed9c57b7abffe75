"""Which library's table something is, without importing any."""


def is_pandas(data):
    """Say whether something is a DataFrame or Series of pandas."""
    return hasattr(data, "iloc")


def is_polars(data):
    """Say whether something is a DataFrame or Series of polars."""
    is_there = type(data).__module__.partition(".")[0] == "polars"
    return is_there and hasattr(data, "to_numpy")


def is_frame(data):
    """Say whether something is a DataFrame of pandas or polars, no Series."""
    return (is_pandas(data) or is_polars(data)) and hasattr(data, "columns")
