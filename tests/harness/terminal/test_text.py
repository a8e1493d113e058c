"""Text of other people is harmless on a terminal, and lines break between words only."""

from __future__ import annotations

import io
import os
import sys
import unicodedata

import pseudo_terminal
import pytest

from harness.terminal.durations import in_words
from harness.terminal.text import cell_length, say, tell, visible, wrapped

HOSTILE = "x\x1b[2J\x1b]0;title\x07\r\b\x7f\x9b31m\u202egnp\u2028\x00y"


def test_no_control_character_reaches_a_terminal():
    every = "".join(map(chr, [*range(0x3000), *range(0xD800, 0xD810), *range(0xE0000, 0xE0080)]))
    shown = visible(HOSTILE + every)
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert shown.startswith(r"x\x1b[2J\x1b]0;title\x07\r\x08\x7f\x9b31m\u202egnp\u2028\x00y")


@pytest.mark.parametrize("text", ["dropout", "[red]x[/nope]", "größe", "中文", ":smile: [link=x]", "a b"])
def test_what_can_be_read_stays_as_it_is(text):
    assert visible(text) == text


def test_what_is_said_keeps_lines_and_gives_up_the_rest():
    stream = io.StringIO()
    say("one\ntwo\x1b[2J", stream)
    assert stream.getvalue() == "one\ntwo\\x1b[2J\n"


def test_an_encoding_that_lacks_characters_gets_them_by_their_number():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    say("a – b … 中", stream)
    stream.flush()
    assert raw.getvalue() == b"a - b ... \\u4e2d\n"


def test_a_stream_that_is_closed_is_no_error(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    say("nobody reads this")


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_on_a_terminal_a_sentence_breaks_no_name(columns, tmp_path):
    folder = "results-of-a-campaign-with-a-long-name"
    command = [sys.executable, "-m", "harness.cli", "status", folder]
    terminal = pseudo_terminal.start(command, tmp_path, os.environ, columns)
    assert terminal.finish() == 2
    lines = terminal.text.splitlines()
    assert all(cell_length(line) <= columns or len(line.split()) == 1 for line in lines)
    assert " ".join(lines).count(folder) == 2
    assert len(lines) > 1


def test_through_a_pipe_a_sentence_is_one_line():
    stream = io.StringIO()
    tell("word " * 100 + "end", stream)
    assert stream.getvalue() == "word " * 100 + "end\n"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_wrapped_lines_fit_and_hold_every_word_once(width):
    text = "Regularizers 中文字 that are skipped on a task are excluded_from_this_table_altogether, and named."
    lines = list(wrapped(text, width, first="note  ", following="      "))
    assert " ".join(" ".join(lines).split()) == f"note {text}"
    assert all(cell_length(line) <= width or len(line.split()) == 1 for line in lines)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12_000, "3 h 20 min"),
        (22 * 86_400, "22 days"),
        (3600, "60 min"),
        (7200, "2 h"),
        (1.9e9, "60 years"),
        (89, "89 s"),
    ],
)
def test_durations_are_read_at_a_glance(seconds, words):
    assert in_words(seconds) == words
