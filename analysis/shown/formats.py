"""Formats of displayed values: numbers are rounded according to their meaning, missing values are a dash."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

Format = Callable[[Any], str]


def is_missing(value: Any) -> bool:
    """Whether a value of a frame is missing: None, NaN, NaT or pandas.NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing(0), is_missing("")
    (True, True, False, False)
    """
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA is neither equal to itself nor not
        return True


def words(value: Any) -> str:
    """Text unchanged, times to the minute, booleans as yes or no; a dash if missing or empty.

    >>> words(None), words("dropout"), words(True)
    ('–', 'dropout', 'yes')
    """
    if is_missing(value) or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)


def count(value: Any) -> str:
    """A count; a dash for zero, so that other counts stand out.

    >>> count(3), count(0), count(12345)
    ('3', '–', '12,345')
    """
    return "–" if is_missing(value) or not value else f"{int(value):,}"


def digits(value: Any) -> str:
    """Four significant digits; whole numbers below 10^9 without decimals.

    >>> digits(0.94), digits(12.0), digits(0.000012345), digits(1e300), digits(float("nan"))
    ('0.9400', '12', '1.234e-05', '1.000e+300', '–')
    """
    if is_missing(value):
        return "–"
    is_whole = math.isfinite(value) and abs(value) < 1e9 and value == int(value)
    return str(int(value)) if is_whole else f"{float(value):#.4g}".rstrip(".")


def milliseconds(value: Any) -> str:
    """Seconds as milliseconds.

    >>> milliseconds(0.01234)
    '12.34'
    """
    return "–" if is_missing(value) else digits(1000 * value)


_DECIMALS = {"fraction": 3, "rating": 4}  # of papers by unit; others have two


def in_unit(value: Any, unit: str, sign: str = "") -> str:
    """A value of a paper's table with as many decimals as papers give in this unit; `sign` "+" shows the sign.

    >>> in_unit(8.6466, "%"), in_unit(0.0028, "fraction"), in_unit(0.106, "rating", "+")
    ('8.65', '0.003', '+0.1060')
    """
    return "–" if is_missing(value) else f"{float(value):{sign}.{_DECIMALS.get(unit, 2)}f}"


def ratio(value: Any) -> str:
    """A ratio of two times: two decimals, since times are not known more precisely.

    >>> ratio(1.0249), ratio(12.0), ratio(float("nan"))
    ('1.02', '12.00', '–')
    """
    return "–" if is_missing(value) else f"{value:.2f}"


def spread(value: Any) -> str:
    """A standard deviation: two significant digits.

    >>> spread(0.007), spread(12.3)
    ('0.0070', '12')
    """
    return "–" if is_missing(value) else f"{float(value):#.2g}".rstrip(".")


def place(value: Any) -> str:
    """A rank or a mean of ranks: at most two decimals.

    >>> place(3.0), place(4.3333)
    ('3', '4.33')
    """
    return "–" if is_missing(value) else f"{float(value):.2f}".rstrip("0").rstrip(".")


def setting(value: Any) -> str:
    """A hyperparameter: at most four significant digits, text unchanged.

    >>> setting(0.9765625), setting(10), setting("rms")
    ('0.9766', '10', 'rms')
    """
    return f"{value:.4g}" if isinstance(value, float) else words(value)


def share(value: Any) -> str:
    """A fraction: three decimals.

    >>> share(0.5), share(1.0)
    ('0.500', '1.000')
    """
    return "–" if is_missing(value) else f"{value:.3f}"


def points(value: Any) -> str:
    """Elo points: whole numbers with their sign.

    >>> points(12.6), points(-0.2), points(0.0)
    ('+13', '-0', '+0')
    """
    return "–" if is_missing(value) else f"{value:+.0f}"


def probability(value: Any) -> str:
    """A p value.

    >>> probability(0.00002), probability(0.0312)
    ('< 0.001', '0.031')
    """
    if is_missing(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def signed(value: Any) -> str:
    """A difference with its sign, two significant digits.

    >>> signed(0.01234), signed(-2.0)
    ('+0.012', '-2')
    """
    return "–" if is_missing(value) else f"{float(value):+.2g}"


def with_p(outcome: object, p_value: object) -> str:
    """An outcome with its p value in brackets; without it if that is missing."""
    return str(outcome) if is_missing(p_value) else f"{outcome} ({probability(p_value)})"
