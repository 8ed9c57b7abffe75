"""Dataclasses of options: a command takes one where Typer wants many parameters."""

import functools
import inspect
from dataclasses import fields, is_dataclass


def grouped(command):
    """Let a Typer command take dataclasses: each of their fields is an option.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class LearnerOptions:
    ...     C: float = 1.0
    >>> @grouped
    ... def fit(data: str, learner: LearnerOptions):
    ...     return data, learner
    >>> inspect.signature(fit)
    <Signature (*, data: str, C: float = 1.0)>
    >>> fit(data="rows.csv", C=2.0)
    ('rows.csv', LearnerOptions(C=2.0))
    """
    groups, flat = {}, []
    for parameter in inspect.signature(command).parameters.values():
        if is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation
            flat += inspect.signature(parameter.annotation).parameters.values()
        else:
            flat.append(parameter)

    @functools.wraps(command)
    def with_options(**options):
        for name, group in groups.items():
            own = {field.name: options.pop(field.name) for field in fields(group)}
            options[name] = group(**own)
        return command(**options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    flat = [parameter.replace(kind=keyword) for parameter in flat]
    with_options.__signature__ = inspect.Signature(flat)
    with_options.__annotations__ = {one.name: one.annotation for one in flat}
    # Each paragraph in one line, which is broken where the terminal ends.
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    with_options.__doc__ = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    return with_options
