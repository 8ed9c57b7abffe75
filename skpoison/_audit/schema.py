"""The JSON Schema of a report, made from its types."""

import types
import typing
from typing import Annotated, Any, Literal

from .types import Report

KINDS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type.

    Parameters
    ----------
    kind : type
        A type of JSON, a TypedDict, a Literal, a list, a dict from str, any of these or
        None; with Annotated, texts are descriptions and `Within` limits.

    Returns
    -------
    schema : dict
        The schema.

    Examples
    --------
    >>> schema_of(Annotated[list[float] | None, "its rows"])["type"]
    ['array', 'null']
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        schema = schema_of(inner[0])
        for extra in inner[1:]:
            if isinstance(extra, str):
                schema["description"] = extra
            else:
                schema |= {k: v for k, v in extra._asdict().items() if v is not None}
        return schema
    if origin in (typing.Union, types.UnionType):
        schema = schema_of(inner[0])
        return schema | {"type": [schema["type"], "null"]}
    if origin is Literal:
        return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    return _object(kind) if typing.is_typeddict(kind) else {"type": KINDS[kind]}


def _object(kind):
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        "description": kind.__doc__,
        "properties": {key: schema_of(hint) for key, hint in hints.items()},
        "required": list(hints),
        "additionalProperties": False,
    }


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Report of an audit",
    **schema_of(Report),
}
SCHEMA_NAME = SCHEMA["properties"]["schema"]["const"]
