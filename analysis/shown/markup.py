"""Text for LaTeX and Markdown: what these formats would interpret is escaped, control characters are written out.

The rules are data, because the page makes the same files in a browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from analysis.shown.spreadsheet import FORMULA_STARTS

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{each: f"\\{each}" for each in "&%$#_"},
    "–": "--",
    "…": r"\dots{}",
}
_TRANSLATION = str.maketrans(_LATEX)
_MINUS = r"(?<![^\s(])-(?=\d)"  # of a number; in text LaTeX shows it as a hyphen
_MARKUP = r"[\\`*\[\]<>|]"  # of Markdown
_MARKDOWN = re.compile(rf"{_MARKUP}|(?<![^\W_])_|_(?![^\W_])")  # "_" within a word is no markup

RULES: Mapping[str, Any] = {
    "latex": _LATEX,
    "minus": _MINUS,
    "markdown": rf"{_MARKUP}|(?<![\p{{L}}\p{{N}}])_|_(?![\p{{L}}\p{{N}}])",  # of JavaScript, with the flag u
    "formulas": list(FORMULA_STARTS),
}
"""The rules for the page: replacements of characters, expressions of minus signs and of what is escaped, starts of
formulas."""


def visible(text: str) -> str:
    """The text in one line, with control characters written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def latex(text: str) -> str:
    r"""The text as LaTeX shows it.

    >>> latex("drop_rate 5 %")
    'drop\\_rate 5 \\%'
    >>> latex("cifar-10: -0.5")
    'cifar-10: $-$0.5'
    """
    return re.sub(_MINUS, "$-$", visible(text).translate(_TRANSLATION))


def markdown(text: str) -> str:
    r"""The text as Markdown shows it.

    >>> markdown("drop_rate *")
    'drop_rate \\*'
    """
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", visible(text)).strip()
