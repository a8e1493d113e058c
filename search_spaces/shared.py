"""Settings that every regularizer tunes, and the baseline too: otherwise tuning alone would favour regularizers."""

from __future__ import annotations

from search_spaces.space import Real, Space

LEARNING_RATE = "learning_rate"


def shared_space(default_learning_rate: float) -> Space:
    """The shared settings of a task whose protocol trains at `default_learning_rate`.

    Example:
        >>> print(shared_space(0.1)["learning_rate"])
        0.02 to 0.5, log
    """
    return {
        LEARNING_RATE: Real(
            low=default_learning_rate / 5,
            high=default_learning_rate * 5,
            log=True,
            source="regarena: 0.2 to 5 times the protocol's learning rate",
        )
    }
