"""The allowed values of each field of a regularizer: the options of its type, and the comment on its line of source.

A field's range is written once, where a reader of the code needs it: `drop_rate: float = 0.5  # in [0, 1)`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import tokenize
from io import StringIO
from typing import Any, Literal, get_args, get_origin, get_type_hints


def field_docs(cls: type) -> dict[str, str]:
    """Field -> its options and the comment on its line, for all fields of a dataclass; "" where there is neither.

    Example:
        >>> from tasks.regularizers.dropconnect import DropConnect
        >>> field_docs(DropConnect)
        {'drop_rate': 'in [0, 1)', 'per_sample': 'True | False'}
    """
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            comments.update(_comments(base))
    kinds = get_type_hints(cls)
    notes = {}
    for field in dataclasses.fields(cls):
        parts = (_choices(kinds[field.name]), comments.get(field.name, ""))
        notes[field.name] = "; ".join(part for part in parts if part)
    return notes


def _choices(kind: Any) -> str:
    if kind is bool:
        return "True | False"
    return " | ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""


def _comments(cls: type) -> dict[str, str]:
    """The comment behind each annotated assignment in the body of `cls`; none where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except OSError:
        return {}
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    return {
        node.target.id: by_line[node.end_lineno]
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno in by_line
    }
