"""Durations in words: "45 s", "3 h 20 min", "22 days"."""

from __future__ import annotations

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 365.25 * 86_400.0


def in_words(seconds: float) -> str:
    """A duration in one or two units, rounded as suits an estimate.

    >>> [in_words(each) for each in (0.2, 45, 100, 12_000, 50 * 3600, 22.4 * 86_400, 5.3e5 * 3600)]
    ['under 1 s', '45 s', '2 min', '3 h 20 min', '2 days', '22 days', '60 years']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < 90:
        return f"{minutes} min"
    if seconds < 10 * HOUR:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.0f} h"
    if seconds < 2 * YEAR:
        return f"{seconds / DAY:,.0f} days"
    return f"{seconds / YEAR:,.0f} years"


def estimated(seconds: float) -> str:
    """An estimated duration.

    >>> [estimated(each) for each in (0.2, 45)]
    ['under 1 s', 'about 45 s']
    """
    return in_words(seconds) if seconds < 1 else f"about {in_words(seconds)}"
