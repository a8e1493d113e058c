"""What `regarena compare` prints: each table of a paper under its name, then each claim with its evidence."""

import re

import pandas as pd
import pytest
from result_rows import confirmed, one_file, row, timed

import analysis
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.sources import SOURCES
from analysis.papers.tasks import hold_out_note
from harness.command.remarks import split_sentences
from harness.command.screens import show_claims, show_comparison, show_importances, show_ranking

NO_CURVES = pd.DataFrame([], columns=["trial_id", "epoch", "split", "metric", "value"])


def printed(folder, rows, capsys, monkeypatch, columns=100):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    trials = one_file(folder, rows)
    show_comparison(analysis.compare_with_papers(trials, "localdrop"))
    show_claims(analysis.claims_table(trials, NO_CURVES, "localdrop"))
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)  # without bold letters


@pytest.mark.parametrize("columns", [100, 160])
def test_values_stand_in_their_table_and_fit_the_terminal(tmp_path, capsys, monkeypatch, columns):
    rows = confirmed("none", [0.815, 0.825], "cifar10-zhai", scale="paper")
    values = [0.848, 0.852, 0.85, 0.849, 0.851]  # s of the errors is 0.158, and t of 4 degrees of freedom 2.776
    rows += confirmed("sparse_variational_dropout", values, "cifar10-zhai", scale="paper")
    text = printed(tmp_path, rows, capsys, monkeypatch, columns)
    lines = text.splitlines()
    assert "localdrop, table1 (paper scale): test error, %" in lines
    (ours,) = [line for line in lines if line.startswith("sparse_variational_dropout")]
    assert ours.split() == [
        "sparse_variational_dropout",
        "cifar10-zhai",
        "14.89",
        "15.00",
        "14.80",
        "…",
        "15.20",
        *(["5"] if columns > 100 else []),  # in a narrow window the number of seeds goes first
        "+0.11",
        "agrees",
    ]
    # two values one point apart: s is 0.707, t of one degree of freedom 12.71, and of one further value sqrt(1 + 1/2)
    assert "none: Any value within 11.0 points of ours would agree." in text
    assert "Baseline close to, but not equal to, that of Zhai and Wang 2018: rerun by the authors." in text


def test_fractions_and_errors_of_ratings_have_the_digits_of_their_papers(tmp_path, capsys):
    more = {"role": "default", "metric": "rmse", "higher": False, "scale": "paper"}
    rows = confirmed("none", [0.80414, 0.80422], "thesis-table4-1-10m-width-30", **more)
    errors = {"robust_error/fgsm": 0.2344, "robust_error/pgd_l2": 0.00284}
    rows += confirmed("none", [0.001, 0.001], "thesis-table6-1", **(more | {"metric": "clean_error"}), metrics=errors)
    show_comparison(analysis.compare_with_papers(one_file(tmp_path, rows), "dropout_theory"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (ratings,) = [line for line in lines if line[:2] == ["none", "thesis-table4-1-10m-width-30"]]
    assert ratings[2:4] == ["0.8041", "0.8042"]
    assert "+0.0001" in ratings
    of_setting = {line[2]: line[3:5] for line in lines if line[:1] == ["train=Standard"]}
    assert of_setting["attack=FGSM;nu=0.1(linf)"] == ["0.236", "0.234"]
    assert of_setting["attack=PGD-2;nu=2(l2)"] == ["0.003", "0.003"]


def test_what_is_doubtful_about_a_value_says_of_which(tmp_path, capsys, monkeypatch):
    shared = {"task": "cifar10-zhai", "scale": "paper", "validation_fraction": 0.1}
    rows = [each for name in ("none", "dropout", "adaptive_dropout_rc", "localdrop")
            for each in confirmed(name, [0.8, 0.81], **shared)]  # fmt: skip
    lines = printed(tmp_path, rows, capsys, monkeypatch, columns=160).splitlines()
    assert (
        "  all but localdrop: Baseline close to, but not equal to, that of Zhai and Wang 2018: rerun by the authors."
    ) in lines
    assert (
        "  adaptive_dropout_rc: The paper does not say which norms (p, q) of the Rademacher regularizer were used."
    ) in lines
    assert (
        "  Ours trained on 90 % of the training images and held out 10 % for validation (the paper does not say)."
    ) in lines


def test_how_much_was_held_out_is_read_from_the_rows():
    known, unknown = pd.Series([0.2, 0.2, None]), pd.Series([None, None], dtype=float)
    assert hold_out_note("feature_map_distortion", "ZhaiCNN", known) == (
        "Ours trained on 80 % of the training images and held out 20 % for validation (as in the paper)."
    )
    assert "10 % or 20 % for validation (the paper does not say)" in hold_out_note(
        "localdrop", "ZhaiCNN", pd.Series([0.2, 0.1])
    )
    assert hold_out_note("feature_map_distortion", "ZhaiCNN", unknown).startswith("The rows do not say how many")


def test_each_provenance_note_is_one_sentence():
    assert all(split_sentences(note.text) == [note.text] for source in SOURCES for note in source.notes)


def test_a_folder_of_timing_trials_says_where_they_are_shown(tmp_path, capsys):
    show_ranking(one_file(tmp_path, [timed("dropout", 1.1)]))
    assert capsys.readouterr().out.strip() == "Only timing trials here; see `regarena timing`."


def test_what_is_comparable_nowhere_says_so_once(tmp_path, capsys, monkeypatch):
    rows = [each for name in ("none", "dropout") for each in confirmed(name, [0.5, 0.6], "cifar10-zhai")]
    text = printed(tmp_path, rows, capsys, monkeypatch)
    assert "localdrop, table1 (smoke scale): test error, %; not comparable: scale smoke" in text.splitlines()
    assert text.count("not comparable") == 1
    assert "difference" not in text


def test_times_stand_as_ratios_beside_those_of_the_paper(tmp_path, capsys, monkeypatch):
    rows = [timed(name, ratio, task="cifar10-zhai", scale="paper", seed=seed)
            for name, ratio in (("dropout", 1.1), ("localdrop", 1.25)) for seed in (0, 1)]  # fmt: skip
    text = printed(tmp_path, rows, capsys, monkeypatch)
    (ours,) = [line for line in text.splitlines() if line.startswith("localdrop  ")]
    assert ours.split() == ["localdrop", "cifar10-zhai", "1.300", "1.250", "2", "cpu-a"]
    assert "holds           Table 5, CIFAR-10, over none: LocalDrop takes about 1.30 times as long as none." in text


def test_a_claim_says_its_verdict_its_reason_and_what_was_measured(tmp_path, capsys, monkeypatch):
    rows = [each for name, values in (("none", [0.5, 0.51]), ("localdrop", [0.59, 0.62]))
            for each in confirmed(name, values, "cifar10-zhai", scale="paper")]  # fmt: skip
    # Differences of 9 and 11 points: t is 10 with 1 degree of freedom, and p = 1 - 2 atan(10) / pi.
    words = " ".join(printed(tmp_path, rows, capsys, monkeypatch).split())
    assert (
        "not comparable Table 1, CIFAR-10: LocalDrop has the lowest error of the 10 methods. "
        "No value of weight_decay, early_stopping, dropout and 5 more. "
        "Measured: localdrop +10.00 points against none (p = 0.063) (4 trials, paper scale)" in words
    )


def test_names_in_the_reason_of_a_claim_keep_their_letters(tmp_path, capsys):
    rows = [
        row("thesis-table4-1-width-70", "dropout" if rate else "none", "default", seed, 0.9 + rate, 0.5, metric="rmse",
            higher=False, scale="paper", hp={"drop_rate": rate} if rate else {})
        for rate in (0.0, 0.1, 0.2, 0.3, 0.4) for seed in (0, 1, 2)
    ]  # fmt: skip
    show_claims(analysis.claims_table(one_file(tmp_path, rows), NO_CURVES, "dropout_theory"))
    assert "Measured on MovieLens-100K, not on the thesis's MovieLens-10M." in " ".join(capsys.readouterr().out.split())


def test_values_whose_trials_failed_are_told_apart_from_those_without_trials(tmp_path, capsys):
    rows = confirmed("none", [0.8, 0.81], "cifar10-zhai") + confirmed("dropout", [None], "cifar10-zhai")
    frame = analysis.compare_with_papers(one_file(tmp_path, rows), "localdrop")
    show_comparison(frame)
    text = " ".join(capsys.readouterr().out.split())
    without = (frame["verdict"] == "not comparable: diverged").sum()
    assert without > 0
    assert f"{without} reported values have trials here, but no value (diverged: {without})" in text
    assert f"{(frame['verdict'] == NOT_RUN).sum()} reported values have no trial here" in text


def test_nothing_tuned_is_said(tmp_path, capsys):
    show_importances(one_file(tmp_path, confirmed("none", [0.5])))
    assert "Nothing was tuned or swept here." in capsys.readouterr().out
