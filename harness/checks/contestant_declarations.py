"""Laws of contestants that need no training: fields, docstring, search space, and what the constructor refuses."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

from harness.checks.entrant import Entrant, probes, settings_in_words
from harness.field_docs import field_docs
from harness.spaces import fault_of_space
from tasks.regularizers.base import Regularizer, Scalar

NO_NUMBERS = (math.nan, math.inf, -math.inf, -1.0, 1e30)  # values that few fields allow


def is_a_frozen_keyword_only_dataclass(entrant: Entrant) -> Iterator[str]:
    """Its fields are then the arguments of its constructor, and nothing changes them."""
    cls = entrant.cls
    if not (issubclass(cls, Regularizer) and dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):
        yield f"{entrant.called} must be a frozen dataclass and a Regularizer."
    elif positional := [field.name for field in dataclasses.fields(cls) if not field.kw_only]:
        yield f"{entrant.called} takes {', '.join(positional)} by position; declare it with kw_only=True."


def has_defaults_of_the_types_that_its_fields_declare(entrant: Entrant) -> Iterator[str]:
    """Each field is a number, text or boolean."""
    for field, kind in entrant.kinds.items():
        default = vars(entrant.cls())[field]
        if type(default) is not (kind if isinstance(kind, type) else str):
            yield f"{entrant.called}.{field} is declared as {kind}, and its default is {default!r}."


def says_what_it_computes_and_where_that_comes_from(entrant: Entrant) -> Iterator[str]:
    """The attributes `formula` and `source`, which its card shows, are not empty."""
    for attribute in ("formula", "source"):
        if not getattr(entrant.cls, attribute).strip():
            yield f"{entrant.called}.{attribute} is empty; its card shows it."


def begins_its_docstring_with_one_sentence(entrant: Entrant) -> Iterator[str]:
    """Lists show this sentence; they read it without importing the module."""
    first = (entrant.cls.__doc__ or "").strip().split("\n")[0]
    if not first.endswith(".") or first.startswith(f"{entrant.called}("):  # what a dataclass without one gets
        yield f"The docstring of {entrant.called} must begin with one line that is a sentence, got {first!r:.100}."


def names_only_its_fields_in_its_space(entrant: Entrant) -> Iterator[str]:
    """Every key of its search space is a field, and every range has a source."""
    if fault := fault_of_space(entrant.space, entrant.cls):
        yield f"The search space of {entrant.name} does not fit: {fault}."


def is_constructed_by_every_corner_of_its_space(entrant: Entrant) -> Iterator[str]:
    """The constructor accepts both corners of the space, and the ends and the middle of each range alone."""
    space = {field: probes(scope) for field, scope in entrant.space.items()}
    candidates: list[dict[str, Scalar]] = [{field: value} for field, values in space.items() for value in values]
    for corner in (0, -1):
        candidates.append({field: values[corner] for field, values in space.items()})
    for values in candidates:
        try:
            kept = vars(entrant.cls(**values))
        except ValueError as error:
            yield f"{entrant.called} refuses {settings_in_words(values)}, which its search space proposes: {error}"
            continue
        if changed := [field for field, value in values.items() if kept[field] != value]:
            yield f"{entrant.called} changes {changed[0]} from what its search space proposes."


def refuses_bad_numbers_by_class_and_field(entrant: Entrant) -> Iterator[str]:
    """It refuses NaN; other extreme numbers it may accept, or refuse by a message that names class and field."""
    for field, kind in entrant.kinds.items():
        if kind is not float:
            continue
        for value in NO_NUMBERS:
            complaint = entrant.complaint(field, value)
            if complaint is None and math.isnan(value):
                yield f"{entrant.called}.{field} takes nan; refuse it with a ValueError in __post_init__."
            if complaint is not None and f"{entrant.called}.{field}" not in complaint:
                yield f"What refuses {field} = {value} must name {entrant.called}.{field}, got {complaint!r:.200}."


def enforces_the_range_behind_each_field(entrant: Entrant) -> Iterator[str]:
    """The comment behind a field, such as `# in [0, 1)` or `# >= 0`, is the range that is allowed."""
    for field, note in field_docs(entrant.cls).items():
        allowed, refused = probes_of_range(note, whole=entrant.kinds[field] is int)
        for value in allowed:
            if complaint := entrant.complaint(field, value):
                yield f"{entrant.called}.{field} refuses {value}, which is within {note!r}: {complaint}"
        for value in refused:
            complaint = entrant.complaint(field, value)
            if complaint is None:
                yield f"{entrant.called}.{field} takes {value}, which is not within {note!r}."
            elif not _is_good_complaint(complaint, f"{entrant.called}.{field}", str(value)):
                yield (
                    f"What refuses {field} = {value} must be one sentence that names {entrant.called}.{field} and ends "
                    f"with 'got {value}.', got {complaint!r:.200}."
                )


def takes_no_fraction_for_a_whole_number_and_no_text_for_a_number(entrant: Entrant) -> Iterator[str]:
    """Values may come from command lines and files, in other types than the field's."""
    others: dict[object, tuple[object, ...]] = {int: (2.5, 2.0, True, "2"), float: ("0.5", None)}
    for field, kind in entrant.kinds.items():
        for value in others.get(kind, ()):
            try:
                complaint = entrant.complaint(field, value)
            except TypeError as error:
                complaint = f"TypeError: {error}"
            owner = f"{entrant.called}.{field}"
            if complaint is None:
                yield f"{owner} takes {value!r}; refuse it with a ValueError in __post_init__."
            elif not (_is_good_complaint(complaint, f"{owner} must be ", repr(value))):
                yield (
                    f"What refuses {field} = {value!r} must read '{owner} must be ..., got {value!r}.', got "
                    f"{complaint!r:.200}."
                )


def probes_of_range(note: str, *, whole: bool) -> tuple[list[float], list[float]]:
    """(allowed values, refused values) of the range at the beginning of a note; both are empty for other notes.

    A symbol may stand before the range, or several, as in "gamma or alpha >= 0".
    Allowed ones are the included ends, then one inside; refused ones are just outside. `whole` gives integers.
    """
    if whole:
        inside, outside = probes_of_range(note, whole=False)
        below = [math.floor(value) for value in outside if value < min(inside)]
        above = [math.ceil(value) for value in outside if max(inside) < value < math.inf]
        return [int(value) for value in inside if value.is_integer()], [*below, *above]
    note = re.sub(r"^\w+ (or \w+ )*(?=>|in [\[(])", "", note)  # the symbols that the formula has for the field
    interval = re.match(r"in ([\[(])(-?[\d.]+), ([\d.]+)([\])])", note)
    if interval:
        low, high = float(interval[2]), float(interval[3])
        ends = [(low, interval[1] == "["), (high, interval[4] == "]")]
        inside = [value for value, included in ends if included] + [(low + high) / 2]
        return inside, [value for value, included in ends if not included] + [low - 0.1, high + 0.1]
    bound = re.match(r"(>=?) (-?[\d.]+(?:e-?\d+)?)", note)
    if bound:
        least = float(bound[2])
        if bound[1] == ">=":
            return [least, least + 1], [least - 0.1, least - 1, math.inf]
        return [least + 1], [least, least - 0.1]
    return [], []


def _is_good_complaint(complaint: str, begin: str, value: str) -> bool:
    return begin in complaint and complaint.endswith(f"got {value}.") and "\n" not in complaint
