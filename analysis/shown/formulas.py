"""Formulas in plain text, as contestants declare them, typeset as MathML, which browsers show without a script."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from xml.etree.ElementTree import Element

from analysis.shown.formula_rows import (
    OPERATORS,
    SLASH,
    SPACE,
    Factor,
    Item,
    Sign,
    element,
    markup_of,
    pieces_of,
    plain,
    sign_of,
    with_fractions,
)

_MOST_LEVELS = 40  # of brackets and roots within each other

_TOKEN = re.compile(
    r"\s+|<-|->|<=|>=|!=|\.{2,3}|\|\||\d+(?:\.\d+)?(?:e[+-]?\d+)?"
    r"|[^\W\d_]{2,}(?:_[^\W\d_]{3,})+|[^\W\d_]+|.",  # drop_rate is one name, W_l and max_j have an index
    re.DOTALL,
)
_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "epsilon": "ε", "eta": "η", "theta": "θ",
    "kappa": "κ", "lam": "λ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω",
}  # fmt: skip
_LARGE = {"sum": "∑", "prod": "∏"}
_LIMITS = {*_LARGE, "max", "min", "argmax", "argmin", "sup", "inf"}  # whose index stands below
_SEPARATORS = (",", ";")
_CLOSED_BY = {"(": {")", "]"}, "[": {"]", ")"}, "{": {"}"}, "|": {"|"}, "||": {"||"}}  # [a, b) is half-open
_BARS = {"||": "‖"}


def typeset(formula: str) -> Element:
    """The formula as an element of HTML: a `<span>` of `<math>` and prose, so that long formulas break into lines.

    The plain text is the one of `regarena show`: products are juxtaposed; `a / b` divides the factor before the slash
    by the factor behind it; `_` and `^` take the next letter, number or bracket; `drop_rate` is one name, `W_l` has an
    index; `<-`, `~`, `o`, `(x)`, `sqrt`, `sum`, `prod`, `ceil` and the names of Greek letters become signs. All else
    stays as it is.

    Raises:
        ValueError: if a bracket or bar is not closed, is closed twice, or stands where a factor is missing.
    """
    return _Parser(_TOKEN.findall(formula.strip())).formula()


class _Parser:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens, self._place, self._level = tokens, 0, 0

    def formula(self) -> Element:
        """The whole formula; the spaces between its pieces are where a line may end."""
        whole = element("span")
        whole.set("class", "formula")
        while self._place < len(self._tokens):
            pieces = pieces_of(with_fractions(self._row(_SEPARATORS)))
            ended_by = self._next() if self._ahead() else ""
            for place, piece in enumerate(pieces, 1):
                _append(whole, piece, ended_by if place == len(pieces) else "", continues=place > 1)
        return whole

    def _next(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1]

    def _ahead(self, distance: int = 0) -> str:
        """The token at this distance from the next; "" outside of the formula."""
        place = self._place + distance
        return self._tokens[place] if 0 <= place < len(self._tokens) else ""

    def _row(self, ended_by: Collection[str]) -> list[Item]:
        """Factors and signs up to one of these tokens, which is not consumed, or to the end."""
        items: list[Item] = []
        while (token := self._ahead()) and token not in ended_by:
            items.append(self._item())
        return items

    def _item(self) -> Item:
        token = self._ahead()
        if token.isspace():
            self._next()
            return SPACE
        if "".join(self._ahead(place) for place in range(-1, 4)) == " (x) ":
            self._place += 3
            return Sign("(x)")
        if token == "/":
            self._next()
            return SLASH
        if token in ")]}":
            raise ValueError(f"{token!r} closes no bracket.")
        if self._is_sign(token):
            return Sign(self._next())
        return self._factor()

    def _is_sign(self, token: str) -> bool:
        if token == "o":
            return self._ahead(-1).isspace() and self._ahead(1).isspace()
        if token == "in":
            return self._ahead(1).isspace() and self._ahead(2) in ("(", "[", "{")
        return token in OPERATORS or token in _SEPARATORS

    def _factor(self) -> Factor:
        """An atom with its indices, powers, primes and arguments."""
        token = self._ahead()
        factor = self._with_scripts(self._atom(), has_limits=token in _LIMITS)
        while self._ahead() in ("(", "["):  # without a space: an argument or an index
            inner = self._with_scripts(self._group(), has_limits=False)
            factor = plain(element("mrow", factor.markup, inner.markup))
        return factor

    def _atom(self) -> Factor:
        self._level += 1
        if self._level > _MOST_LEVELS:
            raise ValueError(f"More than {_MOST_LEVELS} brackets and roots stand within each other.")
        atom = self._group() if self._ahead() in _CLOSED_BY else self._named(self._next())
        self._level -= 1
        return atom

    def _named(self, token: str) -> Factor:
        """A name, number, prose or sign, the token of which was consumed."""
        if token == "sqrt":
            return self._root()
        if token == "ceil" and self._ahead() == "(":
            return plain(element("mrow", element("mo", text="⌈"), self._group().bare, element("mo", text="⌉")))
        if token in _LARGE:
            return plain(element("mo", text=_LARGE[token]))
        if token in _LETTERS:
            return plain(element("mi", text=_LETTERS[token]))
        if token[0].isdigit():
            return plain(element("mn", text=token))
        if token in ("_", "^"):
            raise ValueError(f"{token!r} has nothing before it.")
        if not token[0].isalpha():
            return plain(element("mo", text=token))
        if len(token) > 1 and self._is_word(token, 0):
            return self._words(token)
        return plain(element("mi", text=token))

    def _root(self) -> Factor:
        while self._ahead().isspace():
            self._next()
        radicand = self._atom() if self._ahead() in _CLOSED_BY else self._item() if self._ahead() else None
        if not isinstance(radicand, Factor):
            raise ValueError("sqrt has nothing to take the root of.")
        return plain(element("msqrt", radicand.bare))

    def _is_word(self, token: str, following: int) -> bool:
        """Whether a name is prose, or a name that stands alone, by what follows it at this distance."""
        return (
            len(token) > 1
            and token[0].isalpha()
            and token not in _LETTERS
            and token not in _LIMITS
            and token != "sqrt"
            and self._ahead(following) not in ("(", "[", "_", "^", "'")
            and not (token == "in" and self._ahead(following + 1) in ("(", "[", "{"))
        )

    def _words(self, first: str) -> Factor:
        words = [first]
        while self._ahead().isspace() and self._is_word(self._ahead(1), 2):
            self._next()
            words.append(self._next())
        text = " ".join(words)
        if len(words) == 1:
            return plain(element("mi", text=text), is_words=True)
        return plain(element("mtext", text=text), is_words=True, prose=text)

    def _group(self) -> Factor:
        """What stands between brackets or bars, with them."""
        opening = self._next()
        row = self._row(_CLOSED_BY[opening])
        if not self._ahead():
            raise ValueError(f"{opening!r} is not closed.")
        closing = self._next()
        inner = element("mrow", *markup_of(row))
        left, right = (
            element("mo", text=_BARS.get(sign, sign), form=form)
            for form, sign in (("prefix", opening), ("postfix", closing))
        )
        whole = element("mrow", left, inner, right)
        return Factor(whole, inner if (opening, closing) in (("(", ")"), ("{", "}")) else whole)

    def _with_scripts(self, base: Factor, has_limits: bool) -> Factor:
        below: list[Element] = []
        above: list[Element] = []
        while (token := self._ahead()) in ("_", "^", "'"):
            self._next()
            if token == "'":
                above.append(element("mo", text="′"))
            else:
                (below if token == "_" else above).extend(self._script())
        if not below and not above:
            return base
        kind = (
            ("under" if below else "") + ("over" if above else "")
            if has_limits
            else (("sub" if below else "") + ("sup" if above else ""))
        )
        scripts = [element("mrow", *each) for each in (below, above) if each]
        return plain(element(f"m{kind}", base.markup, *scripts))

    def _script(self) -> Sequence[Element]:
        token = self._ahead()
        if not token or token.isspace():
            raise ValueError("Nothing follows '_' or '^'.")
        if token == "*":
            self._next()
            return [element("mo", text="∗")]
        if token in ("+", "-"):
            self._next()
            return [sign_of(token, None, continues=False), self._atom().markup]
        if token.isalpha() and len(token) == 2 and token not in _LETTERS:  # two indices, as in h_ij
            self._next()
            return [element("mi", text=letter) for letter in token]
        return [self._atom().bare]


def _append(whole: Element, piece: Sequence[Item], separator: str, continues: bool) -> None:
    """A piece with the separator behind it, and a space between it and the earlier ones."""
    prose = next((each.prose for each in piece if isinstance(each, Factor)), "")
    text = " " if len(whole) or whole.text else ""
    if prose:
        text += prose + separator
    if len(whole):
        whole[-1].tail = (whole[-1].tail or "") + text
    else:
        whole.text = (whole.text or "") + text
    if not prose:
        signs = [element("mo", text=separator)] if separator else []
        whole.append(element("math", *markup_of(piece, continues), *signs, displaystyle="true"))
