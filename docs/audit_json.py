"""Writes ``audit_json.md``, which lists the keys of an audit's JSON.

``python docs/audit_json.py`` after a change of ``skpoison/_audit/types.py``.
"""

from pathlib import Path

from skpoison._audit.schema import SCHEMA, SCHEMA_NAME

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = f"""# The JSON of an audit

What `report.to_dict()` returns, and `report.to_json(path)` and `skpoison audit --json`
write: version `{SCHEMA_NAME}`. Every number of the HTML report is in it, those of the
pictures too (`figures`). `[]` stands for the entries of a list. Every key is always
there; where there is nothing to say, its value is `null`.

[](audit.md) says how these figures come about.
"""
TABLE = "| key | type | what it holds |\n|---|---|---|\n"


def keys(schema=SCHEMA, path=""):
    """Yield the path, type and description of every key, as they are nested."""
    for name, part in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        yield here, kind(part), sentence(part["description"])
        inner = part["items"] if part.get("type") == "array" else part
        if "properties" in inner:
            yield from keys(inner, here + ("[]" if inner is not part else ""))


def sentence(text):
    """Return a description as a part of a table has it."""
    return text[0].lower() + text[1:].rstrip(".")


def kind(part):
    """Return the type of a value, with what it must be or which limits it has."""
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    first, *null = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return " or ".join([first + limits(part), *null])


def limits(part):
    """Return the limits of a number in words."""
    low, high = part.get("minimum"), part.get("maximum")
    if "exclusiveMinimum" in part:
        return f" above {part['exclusiveMinimum']} to {high}"
    if low is None:
        return ""
    return f" from {low}" + (f" to {high}" if high is not None else "")


def page():
    """Return the page: what concerns the whole report first, then part after part."""
    simple, parts = [], []
    for name, part in SCHEMA["properties"].items():
        inner = part.get("items", part)
        (parts if "properties" in inner else simple).append(name)
    rows = {name: [] for name in [*simple, *parts]}
    for key, type_, text in keys():
        rows[key.partition(".")[0].removesuffix("[]")].append((key, type_, text))
    sections = [table(rows[name][0] for name in simple)]
    for name in parts:
        (_, type_, text), *inner = rows[name]
        title = f"## `{name}`\n\n{text[0].upper()}{text[1:]} ({type_}).\n\n"
        sections.append(title + table(inner))
    return "\n".join([INTRODUCTION, *sections])


def table(rows):
    """Return a table of keys."""
    return TABLE + "".join(
        f"| `{key}` | {type_} | {text} |\n" for key, type_, text in rows
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
