"""Text for a terminal: control characters made visible, widths in cells of the screen, lines broken between words.

Names, messages and reasons may come from rows and plug-ins of other people. `visible` is the only function that escapes
them, and `say` the only one that prints (`tell` by it): nothing else in the package `harness` calls `print`.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

_HIDDEN = frozenset(
    ("Cc", "Cf", "Cs", "Zl", "Zp")
)  # Unicode's control, format and separator characters, lone surrogates


def visible(text: object, keep: str = "") -> str:
    r"""The text with every control character escaped, so that a terminal shows it and does not execute it.

    Among them are escape sequences, carriage returns, and characters that change the direction of writing. Markup stays
    as it is, since nothing here interprets it. `keep` holds characters that are not escaped, such as a newline.

    >>> visible("dropout\x1b[2J"), visible("[red]x[/nope]"), visible("two\nlines"), visible("two\nlines", keep="\n")
    ('dropout\\x1b[2J', '[red]x[/nope]', 'two\\nlines', 'two\nlines')
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(each) if _is_hidden(each) and each not in keep else each for each in text)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def say(text: object = "", stream: TextIO | None = None, bold: bool = False, flush: bool = False) -> None:
    """Print a line, or several, to `stream` (default: stdout), with control characters escaped.

    Characters that the stream's encoding lacks are escaped as well. `bold` has an effect on a terminal only.
    """
    stream = stream or sys.stdout
    if stream is None:  # closed by whoever started the command
        return
    shown = encodable(visible(text, keep="\n\t"), stream)
    if bold and is_terminal(stream) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        shown = f"\x1b[1m{shown}\x1b[0m"
    print(shown, file=stream, flush=flush)


def tell(text: object, stream: TextIO | None = None, following: str = "", flush: bool = False) -> None:
    """Print sentences as `say` does; on a terminal broken between words, so that it breaks no name.

    `following` is the beginning of every line but the first.
    """
    stream = stream or sys.stdout
    columns = shutil.get_terminal_size().columns if is_terminal(stream) else None
    for line in visible(text, keep="\n\t").split("\n"):
        broken = [line] if columns is None or cell_length(line) <= columns else wrapped(line, columns, "", following)
        for part in broken:
            say(part, stream, flush=flush)


def encodable(text: str, stream: TextIO) -> str:
    """The text with characters that the stream's encoding lacks escaped; dashes and ellipses become ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = text.replace("–", "-").replace("…", "...")
        return plain.encode(encoding, "backslashreplace").decode(encoding)
    return text


def window_columns(stream: TextIO | None = None) -> int | None:
    """Width in columns of the terminal that shows the stream; otherwise `COLUMNS` if it is set, else None: no limit."""
    if is_terminal(stream or sys.stdout):
        return shutil.get_terminal_size().columns
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else None


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal."""
    return stream is not None and stream.isatty()


def cell_length(text: str) -> int:
    """How many cells of a terminal the text takes: wide characters (Chinese, say) take two, combining ones none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, cells: int, right: bool = False) -> str:
    """The text padded with spaces to so many cells; `right` aligns it to the right."""
    space = " " * (cells - cell_length(text))
    return space + text if right else text + space


def wrapped(text: str, columns: int | None, first: str = "", following: str = "") -> Iterator[str]:
    """The text broken between words into lines of at most so many cells; `columns` None is one line.

    The first line begins with `first`, the others with `following`. A word that is longer than a line is not broken, so
    that names can be copied.

    >>> list(wrapped("drops units at random", 16, first="dropout  ", following="         "))
    ['dropout  drops', '         units', '         at', '         random']
    """
    if columns is None:
        yield f"{first}{text}".rstrip()
        return
    line, num_words = first, 0
    for word in text.split():
        is_full = cell_length(line) + bool(num_words) + cell_length(word) > columns
        if is_full and (num_words or (line.strip() and cell_length(following) < cell_length(first))):
            yield line.rstrip()
            line, num_words, first = following, 0, following
        line += f" {word}" if num_words else word
        num_words += 1
    yield line.rstrip()
