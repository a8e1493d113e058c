"""Formulas that are typeset have the value of the plain text, and its signs in their order."""

from __future__ import annotations

import re
from fractions import Fraction
from xml.etree.ElementTree import Element, tostring

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from analysis.shown.formulas import typeset
from tasks.regularizers import REGULARIZERS

VALUES = {"a": Fraction(7, 3), "W": Fraction(-5, 2), "alpha": Fraction(11, 13), "drop_rate": Fraction(17, 19)}
SIGNS = {"−": "-", "⋅": "*", "∗": "*", "←": "<-", "→": "->", "≤": "<=", "≥": ">=", "≠": "!=", "∼": "~", "∈": "in",
         "∘": "o", "⊗": "x", "′": "'", "∑": "sum", "∏": "prod", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta",
         "ε": "eps", "θ": "theta", "λ": "lam", "ρ": "rho", "σ": "sigma", "…": ".."}  # fmt: skip
TAGS = {"span", "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "msub", "msup", "msubsup",
        "munder", "mover", "munderover"}  # fmt: skip
FORMULAS = {name: REGULARIZERS[name].formula for name in REGULARIZERS.own}


def root(value: Fraction) -> Fraction:
    """Any function in the place of the square root: exact, and different from its argument."""
    return value**3 + 1


def of_row(elements: list[Element]) -> Fraction:
    """The value of a row of MathML: sums of products of what stands side by side."""
    total, product, sign = Fraction(0), None, 1
    for element in elements:
        if element.tag == "mo" and element.text in ("+", "−"):
            total += 0 if product is None else sign * product
            product, sign = None, 1 if element.text == "+" else -1
        elif element.tag != "mspace" and not (element.tag == "mo" and element.text in ("(", ")", "⋅")):
            product = (1 if product is None else product) * of_element(element)
    assert product is not None
    return total + sign * product


def of_element(element: Element) -> Fraction:
    children = list(element)
    match element.tag:
        case "mn":
            return Fraction(element.text)
        case "mi":
            return VALUES["alpha" if element.text == "α" else element.text]
        case "mfrac":
            return of_element(children[0]) / of_element(children[1])
        case "msup":
            return Fraction(of_element(children[0]) ** of_element(children[1]))
        case "msqrt":
            return root(of_row(children))
        case "mrow":
            return of_row(children)
    raise AssertionError(element.tag)


Expression = st.SearchStrategy[tuple[str, str]]  # in the plain text of formulas, and in Python


def joined(plain: str, code: str, *parts: Expression) -> Expression:
    return st.tuples(*parts).map(
        lambda some: (plain.format(*(each for each, _ in some)), code.format(*(each for _, each in some)))
    )


def expressions() -> Expression:
    names = st.sampled_from([*VALUES, "2", "0.5"]).map(
        lambda name: (name, f"Fraction('{name}')" if name[0].isdigit() else name)
    )

    def larger(some: Expression) -> Expression:
        factors = names | joined("({})", "({})", some)
        return st.one_of(
            joined("{} + {}", "{} + {}", some, some),
            joined("{} - {}", "{} - {}", some, factors),
            joined("{} {}", "{} * {}", factors, factors),
            joined("{} / {} / {}", "{} / {} / {}", factors, factors, factors),
            joined("{}/{} {}", "{} / {} * {}", factors, factors, factors),
            joined("{}^2", "{} ** 2", factors),
            joined("sqrt({})", "root({})", some),
            joined("sqrt {}", "root({})", names),
        )

    return st.recursive(names, larger, max_leaves=8)


@given(expressions())
@example(("a / W / alpha", "a / W / alpha"))
@example(("-a + a^2 / (1 - drop_rate) W", "-a + a ** 2 / (1 - drop_rate) * W"))
@example(("sqrt(a)^2 - sqrt a / 2", "root(a) ** 2 - root(a) / 2"))
def test_a_typeset_formula_has_the_value_of_its_plain_text(expression: tuple[str, str]) -> None:
    plain, code = expression
    try:
        expected = eval(code, {**VALUES, "root": root, "Fraction": Fraction})
    except ZeroDivisionError:
        assume(False)
    pieces = [child for element in typeset(plain) for child in element]
    assert of_row(pieces) == expected


def letters_of(text: str) -> str:
    """What a reader reads: without spaces, brackets, and the signs that become places on the page."""
    return re.sub(r"[\s()\[\]{}|‖⌈⌉_^/]|sqrt|ceil", "", text)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_contestants_formula_is_typeset_with_all_its_signs_in_their_order(name: str) -> None:
    shown = "".join(typeset(FORMULAS[name]).itertext())
    assert letters_of("".join(SIGNS.get(sign, sign) for sign in shown)) == letters_of(FORMULAS[name])


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        ("W_l", "<msub><mi>W</mi><mrow><mi>l</mi></mrow></msub>"),
        ("h_ij^2", "<msubsup><mi>h</mi><mrow><mi>i</mi><mi>j</mi></mrow><mrow><mn>2</mn></mrow></msubsup>"),
        ("x'", "<msup><mi>x</mi><mrow><mo>′</mo></mrow></msup>"),
        ("e^-x", '<msup><mi>e</mi><mrow><mo form="prefix">−</mo><mi>x</mi></mrow></msup>'),
        ("sum_i u", "<munder><mo>∑</mo><mrow><mi>i</mi></mrow></munder><mi>u</mi>"),
        ("W o Z", "<mi>W</mi><mo>∘</mo><mi>Z</mi>"),
        ("w (x) v", "<mi>w</mi><mo>⊗</mo><mi>v</mi>"),
        ("a <- b", "<mi>a</mi><mo>←</mo><mi>b</mi>"),
        ("drop_rate < 1", "<mi>drop_rate</mi><mo>&lt;</mo><mn>1</mn>"),
    ],
)  # fmt: skip
def test_signs_indices_and_names(formula: str, inside: str) -> None:
    (math,) = typeset(formula)
    assert math.attrib == {"displaystyle": "true"}
    assert "".join(tostring(each, "unicode") for each in math if each.tag != "mspace") == inside


def test_a_norm_and_a_half_open_interval_have_their_bars_and_brackets() -> None:
    assert "".join(typeset("||u - v||_2, t in [0, 1)").itertext()) == "‖u−v‖2, t∈[0,1)"


def test_prose_is_text_and_lines_may_end_at_commas_and_sums() -> None:
    tree = typeset("stop when v is best; mean loss + lam w - b, w = 0")
    assert [element.tag for element in tree] == ["math"] * 4
    assert ["".join(element.itertext()) for element in tree] == ["v", "+λw", "−b,", "w=0"]
    assert [tree.text, *(element.tail for element in tree)] == ["stop when ", " is best; mean loss ", " ", " ", None]


@pytest.mark.parametrize(
    "formula", ["(a", "a)", "||a", "|a", "[a}", "a /", "/ a", "a / / b", "a_", "^2", "sqrt", "(" * 999]
)
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|no bracket|nothing|within each other|Nothing"):
        typeset(formula)


@given(st.text(st.sampled_from("ab_^/()[]{}|'+-<>&\"; ,~*.1εsqrt"), max_size=40))
@example("sqrt " * 999)
def test_any_other_text_is_typeset_or_refused(text: str) -> None:
    try:
        whole = typeset(text)
    except ValueError:
        return
    assert {each.tag for each in whole.iter()} <= TAGS
