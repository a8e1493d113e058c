"""Sections of the page as plain values, without the files of a report."""

from functools import cached_property

from result_rows import confirmed, row, write

from analysis.page.files import Files
from analysis.page.sections.answer import answer
from analysis.page.sections.campaign import campaign
from analysis.page.sections.contestants import contestants
from analysis.page.source import Source
from analysis.page.tables import MOST_ROWS
from analysis.rows.load import load_curves, load_trials
from analysis.tables.over_tasks import STATISTICS, statistics_of
from harness.records.folders import open_folder


class Quick(Source):
    """Without the statistics that draw bootstrap samples."""

    @cached_property
    def statistics(self):
        chosen = {name: STATISTICS[name] for name in ("pairs", "ranks", "score-cost")}
        return dict(statistics_of(self.trials, chosen, self.curves, self.scores))


def source_of(folder, rows):
    write(folder, rows)
    return Quick(trials=load_trials(folder), curves=load_curves(folder))


def sentences_by_contestant(folder, rows):
    section = contestants(source_of(folder, rows), Files(folder=open_folder(folder), looks={}))
    return {each["name"]: " ".join(each["sentences"]) for each in section["contestants"]}


def test_the_verdicts_name_the_scale_only_if_there_are_several(tmp_path):
    rows = [each for scale in ("paper", "smoke") for each in confirmed("none", [0.5, 0.6], scale=scale)]
    for name, some in (("both", rows), ("one", rows[:2])):
        folder = tmp_path / name
        section = answer(source_of(folder, some), Files(folder=open_folder(folder), looks={}))
        expected = ["digits (smoke)", "digits (paper)"] if name == "both" else ["digits"]
        assert sorted(each["task"] for each in section["verdicts"]) == sorted(expected)


def test_pairs_that_differ_are_gathered_by_the_better_one(tmp_path):
    """On 20 tasks in the same order, Nemenyi's critical difference of 4 is 1.05: only neighbours are not separated."""
    values = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    tasks = [f"t{number}" for number in range(20)]
    rows = [each for task in tasks for name, value in values.items() for each in confirmed(name, [value], task)]
    (scale,) = answer(source_of(tmp_path, rows), Files(folder=open_folder(tmp_path), looks={}))["overall"]
    assert scale["num_pairs"] == 3
    assert scale["differences"] == ["a before c, d", "b before d"]


def test_who_is_alone_in_another_budget_is_not_called_best_on_the_task(tmp_path):
    rows = [
        *confirmed("none", [0.7, 0.71], epochs_planned=3),
        *confirmed("a", [0.71, 0.72], epochs_planned=3),
        *confirmed("apart", [0.1, 0.12], epochs_planned=9),
    ]
    said = sentences_by_contestant(tmp_path, rows)
    assert "Best on digits." in said["a"]
    assert "Best" not in said["apart"] + said["none"]


def test_on_a_task_on_which_all_seeds_of_all_failed_nobody_is_called_best(tmp_path):
    rows = [*confirmed("none", [None, None]), *confirmed("none", [0.5, 0.6], "other")]
    assert "Best on other." in sentences_by_contestant(tmp_path, rows)["none"]


def test_equal_means_share_the_first_place(tmp_path):
    rows = [each for name in ("none", "a") for each in confirmed(name, [0.5, 0.6])]
    said = sentences_by_contestant(tmp_path, rows)
    assert all("Shares the best mean on digits." in each and "Best" not in each for each in said.values())


def test_sentences_of_a_page_with_several_scales_say_at_which(tmp_path):
    worse, better = [0.5, 0.51, 0.52], [0.8, 0.82, 0.81]
    rows = [
        *confirmed("none", worse, scale="smoke"),
        *confirmed("a", better, scale="smoke"),
        *confirmed("none", better, scale="paper"),
        *confirmed("a", worse, scale="paper"),
    ]
    said = sentences_by_contestant(tmp_path, rows)
    assert "Best on digits (smoke). Significantly better than none on digits (smoke)." in said["a"]
    assert "Significantly worse than none on digits (paper)." in said["a"]
    assert "At scale paper, its runs are more often worse than those of none." in said["a"]
    assert "At scale smoke, its runs are more often better than those of none." in said["a"]
    assert "Best on digits (paper)." in said["none"]


def test_the_table_of_a_contestant_tells_the_scales_apart_if_there_are_several(tmp_path):
    rows = [each for scale in ("paper", "smoke") for each in confirmed("none", [0.5, 0.6], scale=scale)]
    for name, some in (("both", rows), ("one", rows[:2])):
        folder = tmp_path / name
        section = contestants(source_of(folder, some), Files(folder=open_folder(folder), looks={}))
        headings = [column.name for column in section["contestants"][0]["table"].columns]
        assert ("scale" in headings) == (name == "both")


def test_failures_of_ranked_trials_stand_before_those_of_tune_trials(tmp_path):
    tuned = [row(regularizer="a", role="tune", tune_index=i, status="diverged", hp={"lr": i}) for i in range(MOST_ROWS)]
    rows = [*tuned, *confirmed("z", [0.5, None]), *confirmed("z", [None], role="default")]
    source = source_of(tmp_path, rows)
    table = campaign(source, Files(folder=open_folder(tmp_path), looks={}))["failed"]
    role, index = ([column.name for column in table.columns].index(name) for name in ("role", "tune_index"))
    assert [each[role] for each in table.rows[:3]] == ["confirm", "default", "tune"]
    assert [each[index] for each in table.rows[1:4]] == ["–", "0", "1"], "rows of one cell are told apart"
