"""Every listing at four widths, with long, wide and hostile names: lines fit, names are whole, nothing is obeyed."""

import json
import re

import pandas as pd
import pytest
from result_rows import confirmed, one_file, row, timed

import analysis
from analysis.rows.notes import with_notes
from harness.command.cards import say_card
from harness.command.plan_screen import show_plan, sums_of
from harness.command.printing import show_records
from harness.command.remarks import remarks
from harness.command.screens import show_claims, show_comparison, show_importances, show_ranking, show_timing
from harness.terminal.text import cell_length

WIDTHS = (80, 100, 140, 200)
MARKUP, ESCAPE, FORMULA = "[red]x[/nope]", "evil\x1b[2J\x1b[31m", "=cmd|' /C calc'!A0"
NAMES = ("none", "sparse_variational_dropout+weight_decay", "正则化方法", MARKUP, ESCAPE, FORMULA)
SHOWN = tuple(name.replace("\x1b", "\\x1b") for name in NAMES)


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    rows = []
    for place, name in enumerate(NAMES):
        values = [0.8 + place / 100 + seed / 1000 for seed in range(3)]
        rows += confirmed(name, values, "cifar10-zhai") + confirmed(name, values, "cifar10-preact_resnet18-augmented")
        rows += [
            timed(name, 1.0 + place / 7, task="cifar10-zhai", hardware="GPU \x1b[1m | CPU x1", seed=s) for s in (0, 1)
        ]
    rows += [row("tuned", MARKUP, "tune", seed, validation=seed / 20, hp={"drop_rate": seed / 20}, tune_index=seed)
             for seed in range(10)]  # fmt: skip
    rows += [row("cifar10-zhai", "skipped_one", "default", status="skipped", reason=f"It needs {ESCAPE} a site. " * 9)]
    return one_file(tmp_path_factory.mktemp("trials"), rows)


@pytest.fixture
def window(monkeypatch, capsys):
    """Sets the width of a terminal; returns what was printed, without bold letters."""

    def printed(columns, show, *arguments, **more):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))
        show(*arguments, **more)
        return re.sub(r"\x1b\[(1|0)m", "", capsys.readouterr().out)

    return printed


def assert_fits(text, columns):
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if cell_length(line) > columns] == []


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_ranking_fits_and_breaks_no_name_and_no_interval(trials, window, columns):
    text = window(columns, show_ranking, trials)
    assert_fits(text, columns)
    for name in SHOWN:
        ranked = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert len(ranked) == 3, "on two tasks and overall"
        assert sum(bool(re.search(r"\d … \d", line)) for line in ranked) in (0, 2)
    assert "A wider window or --csv shows all." in text or columns > 80
    assert "skipped: It needs evil\\x1b" in " ".join(text.split())


def test_the_rule_that_selected_the_winners_is_said_once_below_the_tables_of_a_run(tmp_path, window):
    rows = [row("digits", name, "confirm", seed, test=0.9, selection="oracle") for name in SHOWN for seed in (0, 1)]
    trials = one_file(tmp_path, rows)

    def show():
        show_timing(trials, known_notes=show_ranking(trials))

    text = " ".join(window(200, show).split())
    assert text.count("looks at the test data") == 1
    assert "oracle, which looks at the test data" in " ".join(window(200, show_timing, trials).split())


def test_where_nothing_was_timed_the_command_says_so_and_a_run_does_not(tmp_path, window):
    trials = one_file(tmp_path, [row("digits", "none", "confirm", seed, test=0.9) for seed in (0, 1)])

    def at_the_end_of_a_run():
        show_timing(trials, known_notes=show_ranking(trials))

    assert window(80, show_timing, trials).strip() == "Nothing was timed here."
    assert "timed" not in window(80, at_the_end_of_a_run)


def test_claims_repeat_no_note_of_the_comparison_above_them(window):
    empty = pd.DataFrame({name: [] for name in ("verdict", "paper", "ours", "our_ratio")})
    noted = with_notes(empty.reindex(columns=[*empty, "experiment", "metric", "scale"]), ["A row is left out."])

    def show():
        show_claims(noted, known_notes=show_comparison(noted))

    assert window(200, show).count("A row is left out.") == 1
    assert window(200, show_claims, noted).count("A row is left out.") == 1


@pytest.mark.parametrize("columns", WIDTHS)
def test_unequal_budgets_are_named_in_every_window(tmp_path, window, columns):
    rows = []
    for name, number in (("none", 3), ("l1", 3), ("dropout", 9)):
        tune = [row("digits", name, "tune", validation=0.5, tune_index=place, hp={"lr": 0.1 + place})
                for place in range(number)]  # fmt: skip
        rows += [*tune, *confirmed(name, [0.8, 0.9], frozen_from=tune[0]["trial_id"])]
    text = window(columns, show_ranking, one_file(tmp_path, rows))
    assert_fits(text, columns)
    assert "unequal budgets, ranked apart: dropout (9 tune trials)" in " ".join(text.split())
    assert re.search(r"^dropout +\(1\) ", text, re.MULTILINE), "a rank among others is in brackets"
    (of_dropout,) = [line for line in text.splitlines() if line.startswith("dropout ") and "0.8500" in line]
    assert of_dropout.rstrip().endswith("9 tune trials") or columns < 100


@pytest.mark.parametrize("columns", WIDTHS)
def test_times_fit(trials, window, columns):
    text = window(columns, show_timing, trials)
    assert_fits(text, columns)
    for name in SHOWN:
        assert any(line.startswith(f"{name} ") for line in text.splitlines())


def test_importances_fit(trials, window):
    text = window(80, show_importances, trials)
    assert_fits(text, 80)
    assert f"importances of {MARKUP} on tuned (smoke)" in text


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_comparison_fits(tmp_path, window, columns):
    rows = [each for name in ("none", "dropout", "sparse_variational_dropout", "adaptive_dropout_rc", "localdrop")
            for each in confirmed(name, [0.8, 0.81], "cifar10-zhai", scale="paper")]  # fmt: skip
    text = window(columns, show_comparison, analysis.compare_with_papers(one_file(tmp_path, rows), "localdrop"))
    assert_fits(text, columns)
    (ours,) = [line for line in text.splitlines() if line.startswith("sparse_variational_dropout")]
    assert "14.89  19.50" in ours
    assert "13.15 … 25.85" in ours or columns < 140


@pytest.mark.parametrize("columns", WIDTHS)
def test_listings_fit(window, columns):
    records = [{"name": name, "what": f"{name} does what it does, {FORMULA}, " * 4} for name in NAMES]
    text = window(columns, show_records, records)
    assert_fits(text, columns)
    assert all(any(line.startswith(name) for line in text.splitlines()) for name in SHOWN)


CARD = f"""name: what it is

{"A sentence of a docstring " * 4}
whose lines are long. {"Words " * 12}
and short.
* {"an item " * 14}
  {"that goes on " * 4}
* another

fields   name = default   what is allowed
  rate = 0.5         {"in [0, 1], " * 12}"""


@pytest.mark.parametrize("columns", WIDTHS)
def test_cards_fit_and_lose_no_word(window, columns):
    shown = window(columns, say_card, CARD)
    assert_fits(shown, columns)
    assert shown.split() == CARD.split()
    lines = shown.splitlines()
    assert lines[1] == ""
    assert lines[lines.index("fields   name = default   what is allowed") - 1] == ""
    if columns < 120:
        assert "* another" in lines
        (first,) = [place for place, line in enumerate(lines) if line.startswith("  rate")]
        assert lines[first + 1][: len("  rate = 0.5         ")].strip() == ""


def test_a_card_that_fits_is_printed_as_it_is(window):
    text = "name: what\n\nfields    a = 1   in [0, 1]\n  b  c"
    assert window(80, say_card, text) == f"{text}\n"
    long = f"source    {'word ' * 20}end"
    assert [line[:10] for line in window(80, say_card, long).splitlines()] == ["source    ", " " * 10]


def test_json_escapes_what_would_not_be_text(capsys):
    records = [{"name": "x\x7f\x1b\u202e", "what": "y"}]
    show_records(records, as_json=True)
    text = capsys.readouterr().out
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == records


def cell(task, regularizer, hours):
    counts = {"trials": 30, "done": 0, "failed": 0, "missing": 30, "unused": 0}
    seconds = None if hours is None else hours * 120
    return {"task": task, "architecture": task.split("-")[1], "regularizer": regularizer, "scale": "paper", **counts,
            "seconds_per_trial": seconds, "hours": hours, "estimated_from": "rows", "why": "30 tune"}  # fmt: skip


def plan_of(num_tasks, num_regularizers, hours=1000.0):
    return pd.DataFrame([
        cell(f"cifar{task}-preact_resnet{task % 9}-augmented", f"regularizer_{number}", hours)
        for task in range(num_tasks) for number in range(num_regularizers)
    ])  # fmt: skip


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("by_cell", [False, True], ids=["sums", "cells"])
def test_a_plan_of_840_cells_fits(window, columns, by_cell):
    text = window(columns, show_plan, plan_of(24, 35), 5, False, False, "plan of leaderboard", by_cell=by_cell)
    assert_fits(text, columns)
    lines = text.splitlines()
    assert "e+" not in text
    if by_cell:
        assert sum("42 days" in line for line in lines) == 840
    else:
        assert len(lines) < 60
        (total,) = [line for line in lines if line.startswith("all 24 tasks")]
        assert total.split()[3:] == ["840", "25,200", "25,200", "96", "years"]


def test_more_than_thirty_tasks_are_summed_up_by_their_architectures():
    sums = sums_of(plan_of(40, 2).to_dict("records"))
    assert [each["name"] for each in sums[:2]] == ["preact_resnet0", "preact_resnet1"]
    assert len(sums) == 9 + 1
    assert (sums[-1]["cells"], sums[-1]["hours"]) == (80, 80_000.0)
    assert sum(each["trials"] for each in sums[:-1]) == sums[-1]["trials"] == 2400


def test_a_sum_says_what_is_not_known(window):
    frame = pd.DataFrame([cell("a-x", "one", 2.0), cell("a-x", "two", None), cell("b-x", "one", None)])
    lines = window(100, show_plan, frame, 5, False, False, "plan").splitlines()
    assert [line.split()[0] + line[-9:] for line in lines[3:6]] == ["a-x    > 2 h", "b-x  unknown", "all    > 2 h"]


def test_few_reasons_why_cells_are_skipped_stand_below_the_sums_and_many_with_the_cells(window):
    def skipped(number):
        return {**cell("a-x", f"r{number}", 0.0), "trials": 0, "missing": 0, "why": f"It lacks {number} sites."}

    def text(num_skipped, **more):
        frame = pd.DataFrame([cell("a-x", "one", 2.0), cell("a-x", "two", 2.0), *map(skipped, range(num_skipped))])
        return window(100, show_plan, frame, 5, False, False, "plan", **more)

    assert "Skipped: r1: It lacks 1 sites." in text(2)
    assert "Skipped: " not in text(9)
    assert "and why 9 are skipped" in text(9)
    assert "Skipped: r8: It lacks 8 sites." in text(9, by_cell=True)


def test_programs_get_every_cell_and_column(capsys):
    show_plan(plan_of(2, 2), 5, True, False, "plan")
    records = json.loads(capsys.readouterr().out)
    assert [record["hours"] for record in records] == [1000.0] * 4


def test_a_csv_on_standard_output_holds_no_formula_and_no_escape_sequence(trials, capsys):
    show_ranking(trials, as_csv=True)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert f",'{FORMULA}," in text
    assert not re.search(r"(^|,)=", text)


def test_a_json_on_standard_output_holds_no_escape_sequence_and_is_exact(trials, capsys):
    show_ranking(trials, as_json=True)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert set(NAMES) <= {record["regularizer"] for record in json.loads(text)}


def test_a_remark_names_its_rows_by_what_tells_them_from_the_others():
    rows = [{"name": name, "task": task, "note": ["A." if name == "a" else "B."]} for name in "ab" for task in "xy"]
    assert remarks(rows, lambda record: record["note"], ("name", "task")) == ["a: A.", "b: B."]
    assert remarks(rows, lambda record: ["All."], ("name", "task")) == ["All."]
    long = remarks(rows[:1], lambda record: ["word " * 1000], ("name",))
    assert len(long[0]) < 600
