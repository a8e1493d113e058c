import csv
import errno
import html
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from result_rows import confirmed, row, timed, write

import analysis
from analysis.page.pictures import _with_palette
from analysis.shown import tables as shown
from analysis.tables.over_tasks import STATISTICS
from harness.records import CURVE_SCHEMA


class Page(HTMLParser):
    """What a browser would fetch, which elements stay open, and the words that a reader sees."""

    void = ("meta", "img", "br", "link", "input", "hr", "wbr")

    def __init__(self, text):
        super().__init__()
        self.sources, self.open, self.words, self.metas = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag == "meta":
            self.metas.append(dict(attrs))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


EMPTY = ("kind", "left_out", "default_mean", "selection_optimism")  # columns without a value in the campaign below


def campaign(folder):
    """Two contestants and the baseline, equally tuned: one win, one failure, one skipped cell, timing and curves."""
    best = row(regularizer="dropout", role="tune", tune_index=0, validation=0.8, hp={"drop_rate": 0.37}, suite="demo")
    rows = [best, row(regularizer="dropout", role="tune", tune_index=1, hp={"drop_rate": 0.9}, status="diverged",
                      error_type="FloatingPointError", error_message="loss is nan <at step 3>")]  # fmt: skip
    winners = confirmed("dropout", [0.81, 0.83], frozen_from=best["trial_id"], hp={"drop_rate": 0.37})
    slow, fast = {"learning_rate": 0.01}, {"learning_rate": 0.1}
    plain = [
        row(role="tune", tune_index=0, validation=0.4, hp=slow),
        row(role="tune", tune_index=1, validation=0.5, hp=fast),
    ]
    rows += [
        *winners,
        *plain,
        *confirmed("none", [0.5, 0.51], frozen_from=plain[1]["trial_id"], hp=fast),
        *confirmed("broken", [None, None], error_message="ran too long"),
    ]
    rows += [row(regularizer="dropblock", role="default", status="skipped", reason="DropBlock needs a spatial site.")]
    rows += [timed("dropout", 1.25, "cpu-a")]
    write(folder, rows)
    points = [
        {"trial_id": each["trial_id"], "epoch": epoch, "split": "test", "metric": "accuracy", "value": 0.1 * epoch}
        for each in winners for epoch in range(3)
    ]  # fmt: skip
    (folder / "curves").mkdir()
    pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), folder / "curves" / "points.parquet")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = campaign(tmp_path_factory.mktemp("campaign"))
    analysis.write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text())


def test_the_page_fetches_nothing_and_forbids_to(page):
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    policy = next(meta["content"] for meta in page.metas if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_the_page_is_well_formed_small_enough_and_made_for_a_phone(folder, page):
    assert page.open == []
    assert (folder / "report.html").stat().st_size < 1_500_000
    assert any(meta.get("name") == "viewport" and "width=device-width" in meta["content"] for meta in page.metas)


@pytest.mark.parametrize(
    "words",
    [
        "demo",
        "smoke",
        "0.8200",
        "broken *",
        "ran too long",
        "loss is nan <at step 3>",
        "DropBlock needs a spatial site.",
        "drop_rate = 0.37",
        "1.250",
        "cpu-a",
        "On digits, dropout has the best mean accuracy, 0.8200",
        "With 1 task and",
        "; finished at 2026-01-01 00:00 UTC.",
        "The dashed line and the band are the baseline's mean and interval.",
        "No cell of this campaign occurs in the papers' tables.",
    ],
)
def test_the_page_shows(page, words):
    assert words in "".join(page.words)


@pytest.mark.parametrize(
    "column",
    [each for each in shown.LEADERBOARD if each.legend and each.name not in EMPTY],
    ids=lambda each: each.name,
)
def test_what_a_column_means_is_its_tool_tip_and_stands_among_the_explanations(folder, column):
    text = html.unescape((folder / "report.html").read_text()).replace("<wbr>", "")
    assert f' title="{column.legend}">{column.heading}</th>' in text
    assert f"<dt>{column.heading}</dt><dd>{column.legend}</dd>" in text


def test_every_link_on_the_page_leads_to_a_place_on_it(folder, page):
    text = (folder / "report.html").read_text()
    assert all(f'id="{source[1:]}"' in text for source in page.sources if source.startswith("#"))


def test_tables_and_figures_lie_beside_the_page(folder):
    with (folder / "tables" / "ranking.csv").open() as file:
        ranked = {line["regularizer"]: line["rank"] for line in csv.DictReader(file) if line["task"] == "digits"}
    assert ranked == {"dropout": "1.0", "none": "2.0", "broken": "3.0", "dropblock": ""}
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {
        "curves-digits-smoke.png",
        "overhead-digits-smoke.png",
        "ranking-digits-smoke.png",
        "score-cost-digits-smoke.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "figures").iterdir())


@pytest.mark.slow
def test_the_report_of_several_folders_lies_in_the_first_or_where_it_is_told_to(tmp_path):
    first, second = write(tmp_path / "a", confirmed("none", [0.5])), write(tmp_path / "b", confirmed("dropout", [0.6]))
    assert analysis.write_report([first, second]) == str(first / "report.html")
    assert not (second / "report.html").exists()
    assert "dropout" in (first / "report.html").read_text()
    assert analysis.write_report([first, second], out=tmp_path / "c") == str(tmp_path / "c" / "report.html")


@pytest.mark.slow
def test_a_page_without_the_baseline_does_not_explain_its_line(tmp_path):
    rows = [*confirmed("a", [0.5, 0.6]), *confirmed("b", [0.6, 0.7])]
    assert "The dashed line" not in Path(analysis.write_report(write(tmp_path, rows))).read_text()


@pytest.mark.slow
def test_a_campaign_that_has_only_begun_has_a_report_too(tmp_path):
    write(tmp_path, [row(role="tune", tune_index=0, status="failed", error_message="no")])
    words = "".join(Page(Path(analysis.write_report(tmp_path)).read_text()).words)
    assert "No trial can be ranked yet" in words


@pytest.mark.slow
def test_the_page_says_why_there_is_no_test_over_tasks_where_all_contestants_are_tied(tmp_path):
    rows = [each for name in ("none", "a", "b") for task in "xyz" for each in confirmed(name, [0.5], task)]
    words = "".join(Page(Path(analysis.write_report(write(tmp_path, rows))).read_text()).words)
    assert "All contestants are tied on all tasks" in words


@pytest.mark.slow
def test_cells_of_the_papers_are_shown_beside_them_and_labelled_with_the_scale(tmp_path):
    rows = confirmed("none", [0.8, 0.81], "cifar10-zhai", dataset="cifar10", architecture="zhai_cnn")
    page = Path(analysis.write_report(write(tmp_path, rows))).read_text()
    assert "<td>not comparable</td><td>scale smoke</td>" in page
    assert (tmp_path / "tables" / "comparison.csv").exists()


@pytest.mark.slow
def test_the_page_says_which_figures_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.page.files.MOST_DRAWN", 2)
    rows = [each for task in ("a", "b", "c") for each in confirmed("none", [0.5], task)]
    page = Path(analysis.write_report(write(tmp_path, rows))).read_text()
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"ranking-a-smoke.png", "ranking-b-smoke.png"}
    assert "figures/ranking-*.png are of the first 2 tasks; analysis.plot_ranking draws the other 1." in page
    assert all(f"<td>{task}</td>" in page for task in "abc"), "the tables are there for all"


def test_a_report_on_a_full_disk_leaves_nothing_unfinished(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(tmp_path, confirmed("none", [0.5]))
    before = set(tmp_path.rglob("*"))
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        analysis.write_report(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path not in before] == []


@pytest.mark.slow
def test_a_second_report_replaces_the_first_and_leaves_nothing_unfinished(tmp_path):
    write(tmp_path, confirmed("none", [0.5]))
    pages = [Path(analysis.write_report(tmp_path)).read_text() for _ in range(2)]
    assert pages[0] == pages[1]
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.slow
def test_a_task_of_the_theory_that_ran_is_not_said_to_be_missing(tmp_path):
    """One contestant of one task is too few for any claim."""
    rows = [row("structured-fig2", "none", "default", 0, 0.5, metric="excess_objective", higher=False)]
    words = "".join(Page(Path(analysis.write_report(write(tmp_path, rows))).read_text()).words)
    assert "No task of the theory was run" not in words
    assert "Tasks of the theory that were run: structured-fig2." in " ".join(words.split())


@pytest.mark.slow
def test_the_page_says_that_copies_contradict_each_other(tmp_path):
    one, other = write(tmp_path / "a", confirmed("none", [0.5])), write(tmp_path / "b", confirmed("none", [0.6]))
    with pytest.raises(analysis.ConflictingResultsError):
        analysis.write_report([one, other])
    words = "".join(Page(Path(analysis.write_report([one, other], on_conflict="last")).read_text()).words)
    assert "1 trial(s) have rows with different values; the last row counts." in words


@pytest.mark.slow
def test_statistics_over_tasks_stand_on_the_page_with_their_sources(tmp_path):
    rows = [
        each
        for task in ("t1", "t2", "t3")
        for place, name in enumerate(("none", "dropout", "broken"))
        for each in confirmed(name, [0.5 + place / 10, None if name == "broken" else 0.6], task)
    ]
    path = Path(analysis.write_report(write(tmp_path, rows)))
    words = " ".join("".join(Page(path.read_text()).words).split())
    short = {name: each for name, each in STATISTICS.items() if not each.is_long}
    titles = [each.title for each in short.values()]
    assert [title for title in titles if title.lower() not in words.lower()] == []
    assert all(STATISTICS[name].source in words for name in ("ranks", "strengths", "pairs", "bayes", "iqm", "profiles"))
    assert (tmp_path / "figures" / "critical-difference-smoke.png").exists()
    assert "0.7000 (-0.35)" in words, "the mean of the survivors and what the failures did to it"
    assert {"pairs.csv", "ranks.csv", "profiles.csv"} <= {each.name for each in (tmp_path / "tables").iterdir()}


@pytest.mark.parametrize("num_colours", [3, 256, 400])
def test_a_figure_keeps_its_commonest_colours_and_others_take_the_nearest(num_colours):
    """Colour c occurs num_colours - c times, so that the first 256 are the commonest."""
    rng = np.random.default_rng(0)
    packed = rng.choice(1 << 24, num_colours, replace=False)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)
    drawn = np.repeat(np.arange(num_colours), np.arange(num_colours, 0, -1))
    pixels = np.concatenate([colours[drawn], np.full((len(drawn), 1), 255, np.uint8)], axis=1)[None]
    kept = colours[:256].astype(int)
    nearest = [kept[np.square(kept - colour).sum(axis=1).argmin()] for colour in colours]
    shown = np.asarray(_with_palette(pixels).convert("RGB"))[0]
    assert (shown == np.array(nearest)[drawn]).all()
