"""Hooks of mkdocs: reference pages made from the product itself, and formulas that browsers show without a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Any
from xml.etree.ElementTree import Element, tostring

import typer
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from analysis.shown.formulas import typeset
from harness.cli import app
from harness.command.cards import card, facts
from harness.command.registries import TABLES
from harness.records.columns import CURVE_TABLE, TRIAL_TABLE
from harness.terminal.text import visible

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">(?P<open>\\[(\[])(?P<formula>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
_ESCAPED = re.compile(r"([|<>*_`\[\]])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages (a hook of mkdocs)."""
    pages: Mapping[str, Callable[[], Iterator[str]]] = {
        "commands": _commands,
        "columns": _columns,
        **{table: lambda table=table: _cards(table) for table in TABLES},
    }
    for name, lines in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines()) + "\n"))
    return files


def on_page_content(html: str, **_: object) -> str:
    """Turn formulas into MathML (a hook of mkdocs)."""
    return _FORMULA.sub(lambda found: _mathml(unescape(found["formula"]), found["open"] == r"\["), html)


def _mathml(formula: str, is_display: bool) -> str:
    return str(convert(formula.strip(), display="block" if is_display else "inline"))


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", "Each command explains itself with `--help`.")
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield from (
            "",
            f"## {name}",
            "",
            (command.help or "").strip(),
            "",
            "| argument or option | meaning |",
            "|---|---|",
        )
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            is_option = parameter.param_type_name == "option"
            shown = ", ".join(parameter.opts) if is_option else (parameter.metavar or str(parameter.name).upper())
            yield f"| `{shown}` | {_text(getattr(parameter, 'help', '') or '')} |"


def _columns() -> Iterator[str]:
    yield from ("# Columns", "", "Any value may be missing, which means that it does not apply or is not known.")
    for heading, columns in (("trials/*.parquet", TRIAL_TABLE), ("curves/*.parquet", CURVE_TABLE)):
        yield from ("", f"## {heading}", "", "| column | type | unit | meaning |", "|---|---|---|---|")
        for column in columns:
            yield f"| `{column.name}` | {_text(str(column.type))} | {_text(column.unit)} | {_text(column.meaning)} |"


def _cards(table: str) -> Iterator[str]:
    entries = TABLES[table]
    yield from (f"# {_TITLES[table]}", "", f"`regarena show NAME` prints these cards. There are {len(list(entries))}.")
    for name in entries:
        yield from ("", f"## {name}", "")
        formula = (facts(name) or {}).get("formula") if table == "regularizers" else None
        if formula:
            yield from (f'<div class="card-formula">{_html(typeset(formula))}</div>', "")
        yield from ("```text", visible(card(name), keep="\n"), "```")


def _html(element: Element) -> str:
    return tostring(element, "unicode", method="html")


_TITLES = {
    "regularizers": "Contestants",
    "tasks": "Tasks",
    "suites": "Suites",
    "architectures": "Architectures",
    "datasets": "Data sets",
}


def _text(words: str) -> str:
    return _ESCAPED.sub(r"\\\1", " ".join(str(words).split()))
