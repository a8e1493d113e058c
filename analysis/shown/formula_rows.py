"""Rows of a formula's factors and signs as MathML: fractions, spaces, and the pieces between which a line may end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

OPERATORS = {
    "<-": "←", "->": "→", "<=": "≤", ">=": "≥", "!=": "≠", "..": "…", "...": "…", "-": "−", "*": "⋅",
    "+": "+", "=": "=", "<": "<", ">": ">", "~": "∼", ":": ":", "o": "∘", "(x)": "⊗", "in": "∈",
}  # fmt: skip
_BETWEEN_FACTORS, _BETWEEN_WORDS = "0.17em", "0.33em"


@dataclass(frozen=True)
class Factor:
    """What can be multiplied, divided, and have an index.

    Attributes:
        markup: MathML.
        bare: the same without round or curly brackets around it.
        is_words: whether it is a name of several letters, or prose.
        prose: its text, if it is several words.
        denominators: if it is a fraction.
    """

    markup: Element
    bare: Element
    is_words: bool = False
    prose: str = ""
    denominators: tuple[Element, ...] = ()


@dataclass(frozen=True)
class Sign:
    """An operator, a slash or a space."""

    text: str


Item = Factor | Sign
SPACE, SLASH, _PLUS, _MINUS = map(Sign, (" ", "/", "+", "-"))


def element(tag: str, *children: Element, text: str = "", **attributes: str) -> Element:
    """An element with either children or text."""
    made = Element(tag, attributes)
    made.text = text or None
    made.extend(children)
    return made


def plain(markup: Element, is_words: bool = False, prose: str = "") -> Factor:
    """A factor without brackets around it that is no fraction."""
    return Factor(markup, markup, is_words, prose)


def pieces_of(row: Sequence[Item]) -> list[Sequence[Item]]:
    """The row in one or more pieces: prose is a piece of its own, and a new one begins at each sum and difference."""
    pieces: list[list[Item]] = [[]]
    earlier: Item | None = None  # that is no space
    for item in row:
        is_next_term = item in (_PLUS, _MINUS) and isinstance(earlier, Factor)
        if is_next_term or any(isinstance(each, Factor) and each.prose for each in (item, earlier)):
            pieces.append([])
        pieces[-1].append(item)
        if item != SPACE:
            earlier = item
    return [each for each in map(_without_outer_spaces, pieces) if each] or [[]]


def markup_of(items: Sequence[Item], continues: bool = False) -> list[Element]:
    """A row of factors and signs, with its fractions, and with a thin space where the plain text has one.

    Args:
        items: the row.
        continues: whether other pieces of the row stand before it.
    """
    row = with_fractions(_without_outer_spaces(items))
    found: list[Element] = []
    earlier: Item | None = None  # that is no space
    for place, item in enumerate(row):
        if item == SPACE:
            around = [each for each in (row[place - 1], row[place + 1]) if isinstance(each, Factor)]
            if len(around) == 2:
                width = _BETWEEN_WORDS if any(each.is_words for each in around) else _BETWEEN_FACTORS
                found.append(element("mspace", width=width))
            continue
        found.append(item.markup if isinstance(item, Factor) else sign_of(item.text, earlier, continues))
        earlier = item
    return found


def sign_of(text: str, earlier: Item | None, continues: bool) -> Element:
    """An operator, as browsers space it between factors, or before one where no factor stands before it."""
    if earlier is None and continues:
        attributes = {"form": "infix", "lspace": "0"}
    elif text in ("+", "-") and not isinstance(earlier, Factor):
        attributes = {"form": "prefix"}
    else:
        attributes = {}
    return element("mo", text=OPERATORS.get(text, text), **attributes)


def with_fractions(items: Sequence[Item]) -> list[Item]:
    """Each slash and the factors around it as a fraction; a / b / c has the denominator b c.

    Raises:
        ValueError: if a factor is missing.
    """
    found: list[Item] = []
    numerator: Factor | None = None  # of a slash whose denominator is to come
    for item in items:
        if item == SLASH:
            while found and found[-1] == SPACE:
                found.pop()
            if numerator is not None or not found or not isinstance(found[-1], Factor):
                raise ValueError("'/' has nothing to divide.")
            numerator = found[-1]
        elif numerator is None:
            found.append(item)
        elif isinstance(item, Factor):
            found[-1], numerator = _divided(numerator, item), None
        elif item != SPACE:
            break
    if numerator is not None:
        raise ValueError("'/' has nothing to divide by.")
    return found


def _divided(factor: Factor, by: Factor) -> Factor:
    if not factor.denominators:
        above, below = factor.bare, [by.bare]
    else:  # a fraction, with its first denominator in brackets again
        above = factor.markup[0]
        below = [factor.denominators[0]]
        for each in (*factor.denominators[1:], by.markup):
            below += [element("mspace", width=_BETWEEN_FACTORS), each]
    fraction = element("mfrac", element("mrow", above), element("mrow", *below))
    return Factor(fraction, fraction, denominators=(*factor.denominators, by.markup))


def _without_outer_spaces(items: Sequence[Item]) -> Sequence[Item]:
    start, end = 0, len(items)
    while start < end and items[start] == SPACE:
        start += 1
    while end > start and items[end - 1] == SPACE:
        end -= 1
    return items[start:end]
