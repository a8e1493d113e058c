"""Claims of the theory stay open where trials diverged, left no curves, or were read for something else."""

from __future__ import annotations

import pandas as pd
import pytest
from judged import judged
from result_rows import row, write
from theory_results import ends, load, over_epochs, trial

import analysis
from analysis.papers.claims.claim import NOT_RUN
from analysis.papers.structured import claims as structured_dropout
from analysis.papers.thesis import claims as dropout_theory
from analysis.papers.thesis.adversarial_claims import ADVERSARIAL_CLAIMS
from analysis.papers.thesis.calculated_claims import CALCULATED_CLAIMS
from analysis.papers.thesis.co_adaptation_claims import CO_ADAPTATION_CLAIMS
from analysis.papers.thesis.completion_claims import COMPLETION_CLAIMS
from analysis.papers.thesis.wide_network_claims import WIDE_NETWORK_CLAIMS
from harness.command.screens import show_claims

CLAIMS = (*structured_dropout.CLAIMS, *dropout_theory.CLAIMS)
FIG1, FIG2_1 = ("structured-fig1",), ("thesis-fig2-1",)
FIG2_3 = ("thesis-fig2-3-width-20", "thesis-fig2-3-width-80")
CONVERGED = {"metric": "objective", "minimum": 1.0, "regularizer": "dropblock_sample"}


def diverged(task, regularizer, rate, seed=0, scale="paper", status="diverged"):
    return row(task, regularizer, "default", seed, status=status, scale=scale, hp={"drop_rate": rate, "lr": 0.1})


def with_lost(folder, trials, lost) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and curves, for trials with curves and trials without."""
    load(folder, trials)
    for path in (write(folder / "lost", lost) / "trials").iterdir():
        path.rename(folder / "trials" / f"lost-{path.name}")
    return analysis.load_trials(folder), analysis.load_curves(folder)


def test_a_setting_that_diverged_leaves_a_claim_about_the_sweep_open(tmp_path):
    trials = ends(FIG1, 1.0, rate=0.1, **CONVERGED) + ends(FIG1, 1.0, **CONVERGED)
    found = with_lost(tmp_path, trials, [diverged("structured-fig1", "dropblock_sample", 0.9, seed) for seed in (0, 1)])
    claim = judged(*found, "Theorem 7 and Corollary 8, figure 1 bottom")
    assert claim["verdict"] == "not comparable: 2 trials without readings (2 diverged)"
    assert claim["measured"].endswith(", including all of dropblock_sample at drop rate 0.9 on structured-fig1")
    assert claim["num_trials"] == 2
    assert (
        judged(*found, "Theorem 5", "structured_dropout")["verdict"] == "holds"
    )  # it speaks of iterates, and those read are above the bound


def test_what_diverged_does_not_save_a_claim_that_fails(tmp_path):
    trials = ends(FIG1, 2.0, **CONVERGED)
    found = with_lost(tmp_path, trials, [diverged("structured-fig1", "dropblock_sample", 0.9)])
    assert judged(*found, "Theorem 7 and Corollary 8, figure 1 bottom")["verdict"] == "does not hold"


def test_one_diverged_seed_of_many_is_counted_and_no_more_but_where_every_start_is_meant(tmp_path):
    for place, (tasks, claim, verdict) in enumerate(
        [
            (FIG2_3, "Theorem 6, figure 2-3 left", "holds"),
            (FIG2_1, "Figure 2-1, caption", "not comparable: 1 trial without readings (1 diverged)"),
        ]
    ):
        trials = ends(tasks, 0.0, 0.0, metric="excess_objective")
        rows = with_lost(tmp_path / str(place), trials, [diverged(tasks[0], "dropout", 0.5, seed=2)])
        found = judged(*rows, claim)
        assert found["verdict"] == verdict
        assert found["measured"].endswith("; 1 trial without readings (1 diverged)")


def test_a_scale_at_which_everything_diverged_is_not_replaced_by_a_shorter_one(tmp_path):
    short = trial("thesis-fig3-3", "dropout", 0.3, over_epochs(equalization_gap=[9.0, 0.1]), scale="short")
    found = with_lost(tmp_path, [short], [diverged("thesis-fig3-3", "dropout", 0.3)])
    for claim in ("Figure 3-3, monotone", "Theorem 10 and Corollary 1"):
        row_of_claim = judged(*found, claim)
        assert row_of_claim["verdict"].startswith("not comparable: 1 trial without readings (1 diverged)")
        assert (row_of_claim["scale"], row_of_claim["num_trials"]) == ("paper", 0)


def test_trials_without_curves_leave_every_claim_open(tmp_path):
    trials, curves = load(tmp_path, ends(FIG1, 1.0, **CONVERGED))
    for empty in (curves.iloc[:0], curves[curves["split"] == "train"]):
        found = judged(trials, empty, "Theorem 4", "structured_dropout")
        assert found["verdict"].startswith("not comparable: 1 trial without readings (1 completed)")


def test_a_claim_names_the_readings_that_the_rows_lack(tmp_path):
    found = with_lost(tmp_path, ends(FIG1, 1.0, **CONVERGED), [])
    lacking = "dropblock_deviation, dropblock_objective, sampling_error"
    verdict = f"not comparable: the rows lack what it needs ({lacking})"
    assert judged(*found, "Lemma 1, figure 1 top")["verdict"] == verdict
    assert judged(*found, "Theorem 7 and Corollary 8, figure 1 bottom")["verdict"] == "holds"


@pytest.mark.slow
def test_no_claim_of_the_theory_breaks_on_rows_that_lack_everything(tmp_path):
    subjects = {(task, name) for claim in CLAIMS for task in claim.tasks
                for name in ("dropout", "dropconnect", "dropblock", "dropblock_sample")}  # fmt: skip
    readings = [{"of_no_claim": 2.0}, {"of_no_claim": 1.0}]  # something changed in training
    made = [trial(task, name, 0.5, readings) for task, name in sorted(subjects)]
    found = analysis.claims_table(*load(tmp_path, made))
    of_metrics = (ADVERSARIAL_CLAIMS, CALCULATED_CLAIMS, CO_ADAPTATION_CLAIMS, COMPLETION_CLAIMS, WIDE_NETWORK_CLAIMS)
    later = {claim.name for claims in of_metrics for claim in claims}  # these also read metrics of rows
    theory = found[found["paper"].isin(["structured_dropout", "dropout_theory"])].set_index("claim")
    of_rows = theory.index.isin(later)
    lacks = theory["verdict"].str.startswith("not comparable: the rows lack what it needs (")
    assert lacks[~of_rows].all()
    assert (lacks | (theory["verdict"] == NOT_RUN))[of_rows].all()


@pytest.mark.slow
def test_on_a_terminal_claims_without_readings_are_told_from_those_that_were_not_run(tmp_path, capsys):
    short = trial("thesis-fig3-3", "dropout", 0.3, over_epochs(equalization_gap=[9.0, 0.1]), scale="short")
    table = analysis.claims_table(*with_lost(tmp_path, [short], [diverged("thesis-fig3-3", "dropout", 0.3)]))
    show_claims(table)
    shown = capsys.readouterr().out
    of_task = [claim for claim in CLAIMS if claim.tasks == ("thesis-fig3-3",)]
    assert shown.count("1 trial without readings (1 diverged). Measured") == len(of_task) > 0
    assert f"{len(table) - len(of_task)} claim(s) have no trial here" in shown
