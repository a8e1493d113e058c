"""The report: tables as CSV, figures as PNG, and one HTML page with both that opens offline."""

from __future__ import annotations

import base64
import io
import json
import os
import warnings
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import matplotlib
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image  # a dependency of matplotlib

from analysis.figures.canvas import Styles, styles_by_regularizer
from analysis.figures.critical_difference import plot_critical_difference
from analysis.figures.importances import plot_importances
from analysis.figures.learning_curves import curve_means, interactive_curve_means, plot_curve_means
from analysis.figures.ranking import plot_overhead, plot_ranking
from analysis.figures.sweeps import plot_sweep
from analysis.figures.training_costs import plot_score_against_cost, plot_time_to_target
from analysis.page import scripts
from analysis.page import tables as page_tables
from analysis.page.file_names import FileNames
from analysis.page.tables import table_of
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.claims_table import CLAIMED_THEORY_TASKS, THEORY_PAPERS, claims_table
from analysis.papers.comparison import compare_with_papers
from analysis.papers.figures import plot_paper_figures, plot_sweeps_beside_papers
from analysis.papers.reported import TIME_METRIC
from analysis.papers.theory_figures import THEORY_TASKS, plot_theory
from analysis.rows.comparable import RANKED_ROLES
from analysis.rows.current import current_rows_remembered
from analysis.rows.load import load_curves, load_trials
from analysis.rows.notes import notes_of
from analysis.shown import tables as shown
from analysis.shown.column import Column
from analysis.shown.spreadsheet import csv_of_frame
from analysis.tables import campaign
from analysis.tables.importances import importance_table
from analysis.tables.over_tasks import STATISTICS, statistics_of
from analysis.tables.overall import friedman_by_scale, significance_of
from analysis.tables.ranking import ranking_table
from analysis.tables.sweeps import sweeps_of
from analysis.tables.timing import timing_table
from harness.records import OVERALL
from harness.records.duplicates import OnConflict
from harness.records.folders import Folder, Results, open_folder, open_folders

T = TypeVar("T")

PAGE_NAME = "report.html"
MOST_BYTES = 6_000_000  # of the page; interactive figures, which need 5 MB of plotly.js, are left out of larger ones
MOST_IMPORTANCES = 40  # tuned cells; the importances of each take a quarter of a second
MOST_DRAWN = 16  # tasks in each section; a figure takes a third of a second, and the tables have all tasks
_COSTS = {"time-to-target": plot_time_to_target, "score-cost": plot_score_against_cost}  # a section of their own
_DOTS_PER_INCH = 144


def write_report(
    results: Results,
    out: str | os.PathLike[str] | None = None,
    interactive: bool = True,
    on_conflict: OnConflict = "raise",
) -> str:
    """Write `tables/*.csv`, `figures/*.png` and `report.html`, and return the path or URI of the page.

    The page embeds all its figures and scripts and opens offline.

    Args:
        results: a folder, a URI such as `s3://bucket/folder`, or a list of these.
        out: where to write; by default the (first) results folder.
        interactive: whether to add interactive learning curves, if the page is at most 6 MB with them.
        on_conflict: as in `load_trials`.

    Raises:
        FileNotFoundError: and all other errors of `load_trials`.
    """
    trials, curves = load_trials(results, on_conflict=on_conflict), load_curves(results, on_conflict=on_conflict)
    folder = open_folder(out) if out is not None else open_folders(results)[0]
    report = _Report(folder=folder, looks=styles_by_regularizer(trials["regularizer"]))
    with matplotlib.rc_context(), current_rows_remembered():
        matplotlib.rcdefaults()  # a matplotlibrc in the current folder could make matplotlib run LaTeX
        matplotlib.rcParams["axes.titley"] = 1.0  # else matplotlib measures all labels to find a place for the title
        report.put_all(trials, curves)
    page = _render(report.content)
    if interactive and report.interactive:
        library = scripts.plotly_library()
        richer = _render(report.content | {"interactive": report.interactive}, library=library, draw=scripts.DRAW)
        page = richer if len(richer) <= MOST_BYTES else page
    return folder.write(PAGE_NAME, page)


@dataclass
class _Report:
    """The folder of the report, and the content of its page collected so far."""

    folder: Folder
    looks: Styles
    content: dict[str, Any] = field(default_factory=dict)
    interactive: list[Any] = field(default_factory=list)  # plotly figures as data
    names: FileNames = field(default_factory=FileNames)

    def put_all(self, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
        """Compute all sections, in the order of the page."""
        self.content |= _header(trials)
        self.content["counts"] = page_tables.counts(campaign.status_counts(trials))
        self._put_ranking(trials)
        self._put_over_tasks(trials)
        self._put_timing(trials)
        self._put_costs(trials, curves)
        self._put_curves(trials, curves)
        self._put_campaign(trials)
        self._put_sweeps(trials)
        self._put_importances(trials)
        self._put_papers(trials, curves)

    def _put_ranking(self, trials: pd.DataFrame) -> None:
        table = ranking_table(trials)
        self._csv("ranking", table)
        significance = significance_of(table)
        self._csv("significance", significance)
        tasks = table[table["task"] != OVERALL].groupby(["scale", "task"], sort=False)
        self.content["tasks"] = [self._task(str(scale), str(task), rows) for (scale, task), rows in tasks]
        self.content["ranking_figures"] = self._first(
            "plot_ranking",
            (((task, scale), ("ranking", task, scale), rows) for (scale, task), rows in tasks),
            lambda rows: plot_ranking(rows, self.looks),
        )
        overall = table[table["task"] == OVERALL]
        self.content["overall"] = [
            {**row, "table": table_of(overall[overall["scale"] == row["scale"]], shown.OVERALL)}
            for row in significance.to_dict("records")
        ]
        tuned = table[table["selection_optimism"].notna()]
        self.content["optimism"] = [
            {"scale": scale, "table": page_tables.optimism(rows)} for scale, rows in tuned.groupby("scale", sort=False)
        ]
        self.content["critical_differences"] = [
            {"name": scale, "figure": self._png(("critical-difference", scale), plot_critical_difference(each))}
            for scale, each in friedman_by_scale(table).items()
            if each.critical_difference > 0
        ]
        self.content["notes"] = notes_of(table)
        self.content["overall_notes"] = [note for note in notes_of(significance) if note not in notes_of(table)]

    def _put_over_tasks(self, trials: pd.DataFrame) -> None:
        self.content["over_tasks"] = sections = []
        for name, table in statistics_of(trials, [name for name in STATISTICS if name not in _COSTS]):
            statistic = STATISTICS[name]
            if len(table):
                self._csv(name, table)
            sections += [
                {
                    "title": f"{statistic.title}, scale {scale}" if scale else statistic.title,
                    "source": statistic.source,
                    "table": table_of(rows.head(page_tables.MOST_ROWS), statistic.columns),
                    "num_more": max(0, len(rows) - page_tables.MOST_ROWS),
                    "file": f"tables/{name}.csv",
                }
                for scale, rows in statistic.views(table)
                if not statistic.is_long
            ]

    def _task(self, scale: str, task: str, rows: pd.DataFrame) -> dict[str, Any]:
        higher = bool(rows["higher_is_better"].iloc[0])
        return {
            "task": task,
            "scale": scale,
            "metric": str(rows["metric"].iloc[0]).replace("_", " "),
            "direction": "higher is better" if higher else "lower is better",
            "table": table_of(rows, shown.RANKING),
        }

    def _put_timing(self, trials: pd.DataFrame) -> None:
        table = timing_table(trials)
        self._csv("timing", table)
        self.content["timing"] = table_of(table, shown.TIMING)
        panels = table.groupby(["scale", "task", "hardware_key"], sort=False)
        self.content["overhead"] = self._first(
            "plot_overhead",
            (((t, s), ("overhead", t, s, place), rows) for place, ((s, t, _), rows) in enumerate(panels)),
            lambda rows: plot_overhead(rows, self.looks),
        )

    def _put_costs(self, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
        """Time to a target and score against cost: long tables, and figures of the first tasks."""
        self.content["costs"] = []
        for name, table in statistics_of(trials, _COSTS, curves):
            statistic = STATISTICS[name]
            if len(table):
                self._csv(name, table)
            drawn = table[table["cost"].notna()] if name == "score-cost" else table
            panels = drawn.groupby(["scale", "task"], sort=False)
            plot = _COSTS[name]
            figures = self._first(
                plot.__name__,
                (((task, scale), (name, task, scale), rows) for (scale, task), rows in panels),
                partial(plot, looks=self.looks),
            )
            self.content["costs"].append(
                {
                    "title": statistic.title,
                    "source": statistic.source,
                    "legend": _legend(statistic.columns),
                    "absent": statistic.absent,
                    "table": table_of(table.head(page_tables.MOST_ROWS), statistic.columns),
                    "num_more": max(0, len(table) - page_tables.MOST_ROWS),
                    "file": f"tables/{name}.csv",
                    "figures": figures,
                }
            )

    def _put_curves(self, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
        subject = trials.loc[trials["role"].isin(RANKED_ROLES), ["trial_id", "scale", "task"]].drop_duplicates()
        of_subject = {
            (str(task), str(scale)): curve_means(trials, points[list(curves.columns)], str(task), str(scale))
            for (scale, task), points in curves.merge(subject, on="trial_id").groupby(["scale", "task"], sort=True)
        }
        drawn = {key: points for key, points in of_subject.items() if len(points)}
        self.content["curves"] = self._first(
            "plot_learning_curves",
            ((key, ("curves", *key), (key[0], points)) for key, points in drawn.items()),
            lambda of_task: plot_curve_means(of_task[1], of_task[0], self.looks),
        )
        for (task, _), points in list(drawn.items())[:MOST_DRAWN]:
            self.interactive.append(json.loads(interactive_curve_means(points, task, self.looks).to_json()))

    def _put_campaign(self, trials: pd.DataFrame) -> None:
        frozen, failed = campaign.frozen_winners(trials), campaign.failures(trials)
        skipped, origin = campaign.skipped_cells(trials), campaign.provenance(trials)
        self.content |= {
            "frozen": table_of(frozen, shown.FROZEN),
            "failed": page_tables.failed(failed),
            "skipped": table_of(skipped, shown.SKIPPED),
            "origin": page_tables.origin(origin),
        }
        for name, frame in (("frozen", frozen), ("failed", failed), ("skipped", skipped), ("origin", origin)):
            self._csv(name, frame)
        self.content["num_failures"] = len(failed)

    def _put_sweeps(self, trials: pd.DataFrame) -> None:
        self.content["sweeps"] = []
        for sweep in sweeps_of(trials):
            if sweep.task in THEORY_TASKS:
                continue  # drawn as the figures of its paper
            name = ("sweep", sweep.task, sweep.regularizer, sweep.scale)
            self._csv(self.names.of(*name), sweep.table)
            title = f"{sweep.regularizer} on {sweep.task}, scale {sweep.scale}"
            table = page_tables.sweep(sweep.table, sweep.names, sweep.higher_is_better)
            figure = self._png(name, plot_sweep(sweep))
            self.content["sweeps"].append({"name": title, "table": table, "figure": figure, "label": sweep.label})

    def _put_importances(self, trials: pd.DataFrame) -> None:
        tuned = trials[trials["role"] == "tune"].groupby(["scale", "task", "regularizer"]).ngroups
        self.content["importances"], self.content["importance_notes"] = [], []
        if tuned > MOST_IMPORTANCES:
            self.content["importance_notes"] = [
                f"{tuned} cells were tuned, too many for this page; `regarena importance` lists their importances."
            ]
            return
        table = importance_table(trials)
        self.content["importance_notes"] = notes_of(table)
        if len(table):
            self._csv("importances", table)
        for (scale, task), rows in table.groupby(["scale", "task"], sort=False):
            source = self._png(("importances", task, scale), plot_importances(rows))
            self.content["importances"].append({"name": f"{task}, scale {scale}", "figure": source})

    def _put_papers(self, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
        comparison, claims = compare_with_papers(trials), claims_table(trials, curves)
        run, judged = comparison[comparison["verdict"] != NOT_RUN], claims[claims["verdict"] != NOT_RUN]
        for name, table, measured in (("comparison", comparison, run), ("claims", claims, judged)):
            if len(measured):
                self._csv(name, table)
        self.content["comparison"] = table_of(run[run["metric"] != TIME_METRIC], shown.COMPARISON)
        self.content["times"] = table_of(run[run["metric"] == TIME_METRIC], shown.TIMES)
        proven = judged["paper"].isin(THEORY_PAPERS)
        self.content["paper_claims"] = table_of(judged[~proven], shown.CLAIMS)
        self.content["claims"] = table_of(judged[proven], shown.CLAIMS)
        drawn = [*plot_sweeps_beside_papers(comparison), *plot_paper_figures(trials, curves, self.looks)]
        self.content["paper_figures"] = self._figures(drawn)
        self.content["theory"] = self._figures(plot_theory(trials, curves))
        ran = set(trials.loc[trials["status"] != "skipped", "task"])
        self.content["theory_tasks"] = ", ".join(sorted(ran & {*THEORY_TASKS, *CLAIMED_THEORY_TASKS}))

    def _figures(self, drawn: list[tuple[str, str, Figure]]) -> list[dict[str, str]]:
        return [{"name": title, "figure": self._png((name,), figure)} for name, title, figure in drawn]

    def _first(
        self,
        function: str,
        panels: Iterable[tuple[tuple[Hashable, Hashable], tuple[Hashable, ...], T]],
        plot: Callable[[T], Figure],
    ) -> dict[str, Any]:
        """The figures of the first `MOST_DRAWN` tasks, and a note on the others.

        Args:
            function: the name of the function of `analysis` that draws any of them.
            panels: (task, scale), the parts of the file name, and what `plot` draws.
            plot: draws one of them.
        """
        listed = list(panels)
        drawn = [
            {"name": f"{task}, {scale}", "figure": self._png(name, plot(what))}
            for (task, scale), name, what in listed[:MOST_DRAWN]
        ]
        more = len(listed) - len(drawn)
        note = f"The page has the figures of the first {MOST_DRAWN} tasks; analysis.{function} draws the other {more}."
        return {"drawn": drawn, "note": note if more else ""}

    def _csv(self, name: str, frame: pd.DataFrame) -> None:
        self.folder.write(f"tables/{name}.csv", csv_of_frame(frame).encode())

    def _png(self, name: tuple[Hashable, ...], figure: Figure) -> str:
        """Store a figure under a name made of these parts, and return it as a data URI for an <img>."""
        content = _small_png(figure)
        self.folder.write(f"figures/{self.names.of(*map(str, name))}.png", content)
        return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _small_png(figure: Figure) -> bytes:
    """The figure as PNG with 256 colours, which is a third of the size and enough for line drawings.

    `savefig` would draw twice: once for the layout, and once more for the file.
    """
    small, canvas = io.BytesIO(), cast("Any", FigureCanvasAgg(figure))  # its methods have no types
    figure.set_dpi(_DOTS_PER_INCH)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # names too long for the figure
        try:
            canvas.draw()
        except (ValueError, RecursionError):  # a name from a row parsed as a formula, such as "$_{"
            for text in figure.findobj(Text):
                text.set_parse_math(False)
            canvas.draw()
    _with_palette(np.asarray(canvas.buffer_rgba())).save(small, format="png")
    return small.getvalue()


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """An image of the 256 commonest colours, which replace the others; Pillow's `quantize` takes five times as long.

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue, and an opaque alpha.
    """
    height, width, _ = pixels.shape
    counts = Image.fromarray(pixels).getcolors(height * width) or []
    colours = np.array([colour for _, colour in sorted(counts, reverse=True)], dtype=np.uint8)
    palette = colours[:256].astype(int)
    nearest = [np.square(palette - colour).sum(axis=1).argmin() for colour in colours]
    places = np.zeros(1 << 24, dtype=np.uint8)
    places[_packed(colours)] = nearest
    image = Image.fromarray(places[_packed(pixels)])
    image.putpalette(palette[:, :3].astype(np.uint8).tobytes())
    return image


def _packed(colours: np.ndarray) -> np.ndarray:
    """Colours of shape (..., 4), uint8, as integers below 2^24; alpha is left out."""
    packed: np.ndarray = np.ascontiguousarray(colours).view("<u4")[..., 0] & 0xFFFFFF
    return packed


def _header(trials: pd.DataFrame) -> dict[str, Any]:
    def listed(column: str) -> str:
        return ", ".join(sorted({str(each) for each in trials[column].dropna()} - {""}))

    return {
        "suites": listed("suite") or "campaign",
        "scales": listed("scale"),
        "first": trials["finished_at"].min(),
        "last": trials["finished_at"].max(),
        "num_trials": len(trials),
        "num_tasks": trials["task"].nunique(),
        "num_regularizers": trials["regularizer"].nunique(),
        "legends": {
            "ranking": _legend(shown.RANKING),
            "overall": _legend(shown.OVERALL),
            "timing": _legend(shown.TIMING),
        },
        "most_rows": page_tables.MOST_ROWS,
        "interactive": [],
    }


def _legend(columns: tuple[Column, ...]) -> dict[str, str]:
    """The meanings of the columns by their headings."""
    return {column.heading: column.legend for column in columns if column.legend}


def _render(content: dict[str, Any], **own_scripts: str) -> bytes:
    """Render the page; all text is escaped except the scripts, which are constants with digests in the policy."""
    loader = PackageLoader("analysis.page", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    markup = {name: scripts.as_markup(script) for name, script in own_scripts.items()}
    policy = scripts.policy(list(own_scripts.values()))
    return environment.get_template("report.html.j2").render(**content, scripts=markup, policy=policy).encode()
