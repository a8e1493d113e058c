"""The report: tables as CSV, figures as PNG, and one HTML page that opens offline."""

from __future__ import annotations

import os
from typing import Any

import matplotlib
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.figures.canvas import styles_by_regularizer
from analysis.page import scripts
from analysis.page.charts import looks_of
from analysis.page.files import Files
from analysis.page.sections.answer import answer
from analysis.page.sections.campaign import campaign
from analysis.page.sections.comparisons import comparisons
from analysis.page.sections.contestants import contestants
from analysis.page.sections.costs import costs
from analysis.page.sections.curves import curves
from analysis.page.sections.leaderboard import leaderboard
from analysis.page.sections.papers import papers
from analysis.page.sections.tuning import importances, sweeps
from analysis.page.source import Describe, Source
from analysis.page.tables import MOST_ROWS, pieces
from analysis.rows.current import current_rows_remembered
from analysis.rows.load import load_curves, load_trials
from analysis.shown import markup
from harness.records.duplicates import OnConflict
from harness.records.folders import Results, open_folder, open_folders

PAGE_NAME = "report.html"
SECTIONS = (
    answer, leaderboard, comparisons, costs, curves, contestants, sweeps, importances, papers, campaign,
)  # fmt: skip


def write_report(
    results: Results,
    out: str | os.PathLike[str] | None = None,
    on_conflict: OnConflict = "raise",
    describe: Describe | None = None,
) -> str:
    """Write `tables/*.csv`, `figures/*.png` and `report.html`, and return the path or URI of the page.

    The page holds all its figures and scripts and opens offline. It begins with the verdicts; its tables can be sorted,
    filtered and downloaded, and its charts drawn for each task.

    Args:
        results: a folder, a URI such as `s3://bucket/folder`, or a list of these.
        out: where to write; by default the (first) results folder.
        on_conflict: as in `load_trials`.
        describe: a function that returns what the page says of a contestant, given its name: a mapping with any of the
            keys "summary", "formula", "source" and "kind" (what it acts on); None for an unknown name.

    Raises:
        FileNotFoundError: and all other errors of `load_trials`.
    """
    trials, points = load_trials(results, on_conflict=on_conflict), load_curves(results, on_conflict=on_conflict)
    folder = open_folder(out) if out is not None else open_folders(results)[0]
    source = Source(trials=trials, curves=points, describe=describe or (lambda name: None))
    files = Files(folder=folder, looks=styles_by_regularizer(trials["regularizer"]))
    content = _header(source)
    with matplotlib.rc_context(), current_rows_remembered():
        matplotlib.rcdefaults()  # a matplotlibrc in the current folder could make matplotlib run LaTeX
        matplotlib.rcParams["axes.titley"] = 1.0  # else matplotlib measures all labels to find a place for the title
        for section in SECTIONS:
            content |= section(source, files)
    content |= {"looks": looks_of(files.looks), "file_notes": files.notes}
    return folder.write(PAGE_NAME, _render(content))


def _header(source: Source) -> dict[str, Any]:
    trials = source.trials

    def listed(column: str) -> str:
        return ", ".join(sorted({str(each) for each in trials[column].dropna()} - {""}))

    return {
        "suites": listed("suite") or "campaign",
        "scales": listed("scale"),
        "finished": _span(trials["finished_at"].min(), trials["finished_at"].max()),
        "num_trials": int(trials["status"].ne("skipped").sum()),
        "num_tasks": trials["task"].nunique(),
        "num_regularizers": trials["regularizer"].nunique(),
        "most_rows": MOST_ROWS,
        "markup_rules": markup.RULES,
    }


def _span(first: pd.Timestamp, last: pd.Timestamp) -> str:
    """When the trials finished, in words; "" if it is not known."""
    if pd.isna(last):
        return ""
    start, end = (each.strftime("%Y-%m-%d %H:%M") for each in (first, last))
    return f"at {end} UTC" if start == end else f"between {start} and {end} UTC"


def _render(content: dict[str, Any]) -> bytes:
    """Render the page; all text is escaped except the scripts, which are constants with digests in the policy."""
    loader = PackageLoader("analysis.page", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pieces"] = pieces
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    texts = scripts.texts()
    page = environment.get_template("report.html.j2").render(
        **content, scripts=[scripts.as_markup(text) for text in texts], policy=scripts.policy(texts)
    )
    return page.encode()
