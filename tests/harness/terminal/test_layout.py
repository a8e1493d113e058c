"""Tables fit their window: names stay whole, the lightest columns go first, and what is too narrow becomes records."""

from __future__ import annotations

import random

import pytest

from harness.terminal.layout import ALWAYS, GAP, PlainHeading, lay_out
from harness.terminal.text import cell_length, wrapped

WIDTHS = (80, 100, 140, 200)
LETTERS = "abcdefghij_-.0123456789éß中文字é日本語"


def generated(seed: int) -> tuple[list[PlainHeading], list[list[str]]]:
    """Ten columns with headings of several words and weights of their own; the first two name the row."""
    rng = random.Random(seed)

    def word(longest: int) -> str:
        return "".join(rng.choices(LETTERS, k=rng.randint(1, longest)))

    columns = [
        PlainHeading(
            heading=" ".join(word(9) for _ in range(rng.randint(1, 3))),
            numeric=rng.random() < 0.5,
            weight=ALWAYS if place < 2 else rng.randint(0, 9),
        )
        for place in range(10)
    ]
    longest = (16, 14, *(rng.randint(1, 30) for _ in range(8)))
    return columns, [[word(most) for most in longest] for _ in range(rng.randint(1, 12))]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", range(20))
def test_a_table_fits_its_window_and_breaks_no_cell(width, seed):
    columns, rows = generated(seed)
    layout = lay_out(columns, rows, width)
    assert max(map(cell_length, layout.lines)) <= width
    shown = [place for place, column in enumerate(columns) if column.heading not in layout.omitted]
    assert {0, 1} <= set(shown)
    for row, line in zip(rows, layout.lines[layout.num_heading :], strict=True):
        assert line.split() == [row[place] for place in shown]


@pytest.mark.parametrize("seed", range(20))
def test_a_column_goes_if_and_only_if_it_has_no_room_beside_those_of_more_weight(seed):
    columns, rows = generated(seed)
    layout = lay_out(columns, rows, 80)
    assert lay_out(columns, rows, None).omitted == ()

    def needed(places):
        widths = [
            max(in_two_lines(columns[place].heading), *(cell_length(row[place]) for row in rows)) for place in places
        ]
        return sum(widths) + len(GAP) * (len(widths) - 1)

    heavier: list[int] = []
    for place in sorted(range(10), key=lambda place: (-columns[place].weight, place)):
        fits = columns[place].weight == ALWAYS or needed([*heavier, place]) <= 80
        assert fits == (columns[place].heading not in layout.omitted)
        heavier += [place] if fits else []


def in_two_lines(heading):
    """The least width, found by trying."""
    return next(width for width in range(100) if len(list(wrapped(heading, width))) <= 2
                and max(map(cell_length, wrapped(heading, width))) <= width)  # fmt: skip


def test_numbers_stand_on_the_right_and_headings_break_between_words_where_room_is_short():
    columns = [PlainHeading(heading="name"), PlainHeading(heading="against none (p)", numeric=True)]
    rows = [["dropout", "0.1"], ["none", "12.25"]]
    assert lay_out(columns, rows, 80).lines == (
        "name     against none (p)",
        "dropout               0.1",
        "none                12.25",
    )
    assert lay_out(columns, rows, 18).lines == (
        "          against",
        "name     none (p)",
        "dropout       0.1",
        "none        12.25",
    )


def test_rows_become_records_where_even_their_names_have_no_room():
    columns = [PlainHeading(heading="regularizer"), PlainHeading(heading="task")]
    rows = [["sparse_variational_dropout", "cifar10-preact_resnet18-augmented"], ["none", "digits"]]
    layout = lay_out(columns, rows, 40)
    assert layout.lines == (
        "regularizer  sparse_variational_dropout",
        "task",
        "  cifar10-preact_resnet18-augmented",
        "",
        "regularizer  none",
        "task         digits",
    )


def test_columns_in_which_nothing_stands_take_no_room():
    columns = [PlainHeading(heading="name"), PlainHeading(heading="failed", weight=5)]
    assert lay_out(columns, [["a", "–"], ["b", ""]], 80).lines == ("name", "a", "b")


def test_wide_characters_count_as_two_cells():
    columns = [PlainHeading(heading="n"), PlainHeading(heading="v")]
    _, first, second = lay_out(columns, [["中文", "1"], ["ab", "2"]], 80).lines
    assert (first, second) == ("中文  1", "ab    2")
