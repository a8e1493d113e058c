"""From a suite and budgets to cells and to the trials that each of them needs. Pure: runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.cells import Cell, cell_code_hash, shared_code_hash, usable_cells
from harness.errors import BadInput
from harness.records import SCALES, Role, Scale, TrialSpec
from harness.results.trial_summary import Proposals
from harness.search.budget import SearchBudget
from harness.search.halving import BRACKET
from harness.search.seeding import MAX_CAMPAIGN_SEED, SEEDS_PER_ROLE, study_seed, trial_seed
from harness.search.selection import BEST_VALIDATION, SelectionRule, num_validation, rule_named
from harness.search.studies import CellStudy
from harness.unknown_names import unknown_name
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.runtime.switches import Switches
from tasks.suites import Suite

MAX_SPLITS = 1_000
MAX_TUNE_TRIALS = 100_000  # of a cell; the study holds each in memory
MAX_TUNE_EPOCHS = 10_000_000  # of a cell


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The number of trials of each cell, and how they are drawn.

    Raises:
        BadInput: for a number outside its range, or numbers that do not go with halving or with each other.
    """

    scale: Scale
    tune_trials: int  # of each cell
    tune_epochs: int = 0  # of all tune trials of a cell together, in place of a number of trials; see SearchBudget
    seeds: int  # default trials of each cell, and confirm trials of its winner
    timing_repeats: int  # timing trials of each cell that is timed
    seed: int = 0  # of the campaign
    tune_width: int = 1  # of the studies; see CellStudy
    splits: int = 1  # ways of holding out validation data; every seed runs on each
    default_seeds: int | None = None  # default trials of each cell, if fewer than `seeds`
    halving: bool = False  # whether tune trials with worse values stop early

    @classmethod
    def of(cls, suite: Suite, scale: str | None = None, halving: bool = False, **asked: int | None) -> Budget:
        """The budget of a suite; with halving its own numbers are raised to whole brackets.

        Args:
            suite: the suite.
            scale: in place of the suite's own.
            halving: whether tune trials stop early, if the suite does not say so itself.
            asked: fields that replace the suite's numbers; None replaces nothing.
        """
        scale, halving = scale or suite.scale, halving or suite.halving
        tune_trials, tune_epochs = suite.tune_trials_for(scale), suite.tune_epochs_for(scale)
        tune_width = suite.tune_width
        if halving:
            tune_trials, tune_width = math.ceil(tune_trials / BRACKET) * BRACKET, max(tune_width, BRACKET)
        fields: dict[str, Any] = {
            "tune_trials": tune_trials if asked.get("tune_epochs") is None else 0,
            "tune_epochs": tune_epochs if asked.get("tune_trials") is None else 0,
            "tune_width": tune_width,
            "seeds": suite.seeds_for(scale),
            "default_seeds": suite.default_seeds,
            "timing_repeats": suite.timing_repeats_for(scale),
        }
        fields |= {name: number for name, number in asked.items() if number is not None}
        return cls(scale=scale, halving=halving, **fields)  # type: ignore[arg-type]  # __post_init__ checks the scale

    def __post_init__(self) -> None:
        """Check each number."""
        if self.scale not in SCALES:
            raise BadInput(f"--scale must be one of {', '.join(SCALES)}, got {self.scale!r}.")
        for name, value, least in (
            ("--tune-trials", self.tune_trials, 0),
            ("--tune-epochs", self.tune_epochs, 0),
            ("--tune-width", self.tune_width, 1),
            ("--seeds", self.seeds, 0),
            ("--splits", self.splits, 1),
            ("--seed", self.seed, 0),
            ("The suite's default_seeds", self.default_seeds or 0, 0),
        ):
            if value < least:
                raise BadInput(f"{name} must be at least {least}, got {value}.")
        for name, value, most in (
            ("--tune-trials", self.tune_trials, MAX_TUNE_TRIALS),
            ("--tune-epochs", self.tune_epochs, MAX_TUNE_EPOCHS),
            ("--tune-width", self.tune_width, MAX_TUNE_TRIALS),
            ("--seeds", self.seeds, SEEDS_PER_ROLE),
            ("--splits", self.splits, MAX_SPLITS),
            ("--seed", self.seed, MAX_CAMPAIGN_SEED),
        ):
            if value > most:
                raise BadInput(f"{name} must be at most {most}, got {value}.")
        if self.tune_trials and self.tune_epochs:
            raise BadInput(
                f"A search has a number of trials or of epochs, not both: got {self.tune_trials} tune trials and "
                f"{self.tune_epochs} tune epochs."
            )
        if self.halving and self.tune_trials % BRACKET:
            lower = self.tune_trials // BRACKET * BRACKET
            raise BadInput(
                f"With halving (--halving, or of the suite) trials are compared in brackets of {BRACKET}: "
                f"--tune-trials must be a multiple of it, such as {lower or BRACKET} or "
                f"{lower + BRACKET if lower else 2 * BRACKET}, got {self.tune_trials}."
            )
        if self.halving and self.tune_width < BRACKET:
            raise BadInput(
                f"With halving (--halving, or of the suite) a bracket of {BRACKET} trials is compared at once: "
                f"--tune-width must be at least {BRACKET}, got {self.tune_width}."
            )

    @property
    def is_tuned(self) -> bool:
        """Whether cells have tune trials."""
        return bool(self.tune_trials or self.tune_epochs)

    @property
    def num_default_seeds(self) -> int:
        """Default trials of each cell, at each point of its grid."""
        return self.seeds if self.default_seeds is None else min(self.default_seeds, self.seeds)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The cells of a campaign and the budget of each."""

    suite: str
    campaign_id: str
    budget: Budget
    cells: tuple[Cell, ...]
    selection: SelectionRule = field(default=BEST_VALIDATION)
    left_out: tuple[str, ...] = ()  # a sentence for each entry of another package that cannot be used
    switches: Mapping[str, str | bool] = field(
        default_factory=dict
    )  # those that were asked for, by the fields of `Switches`

    @property
    def running_cells(self) -> tuple[Cell, ...]:
        """The cells that are not skipped."""
        return tuple(cell for cell in self.cells if cell.skip_reason is None)

    def switches_of(self, cell: Cell) -> Switches:
        """The switches of a cell's trials: those of its protocol, unless the campaign asks for others."""
        return replace(cell.task.switches(cell.scale), **self.switches)  # type: ignore[arg-type]  # checked there

    def spec(
        self,
        cell: Cell,
        role: Role,
        seed_index: int,
        overrides: Mapping[str, object] | None = None,
        **fields: Any,
    ) -> TrialSpec:
        """One trial of a cell; without overrides at the paper's hyperparameters. `fields` are those of `TrialSpec`."""
        return TrialSpec(
            task=cell.task_name,
            regularizer=cell.regularizer,
            hyperparameters=cell.contestant.resolve(cell.task, cell.scale, overrides),  # type: ignore[arg-type]  # it checks them
            seed=trial_seed(self.budget.seed, role, seed_index),
            role=role,
            scale=cell.scale,
            code_hash=cell_code_hash(cell.task_name, cell.regularizer, cell.definition),
            shared_code_hash=shared_code_hash(cell.task_name, cell.definition),
            definition=cell.definition,
            selection=self.selection.name if role == "tune" and self.selection.sees_test else BEST_VALIDATION.name,
            switches=self._switches_in_rows(cell),
            campaign_id=self.campaign_id,
            suite=self.suite,
            **fields,
        )

    def _switches_in_rows(self, cell: Cell) -> str:
        """The switches as rows hold them: empty for those of the protocol."""
        if not self.switches:
            return ""
        switches = self.switches_of(cell)
        return "" if switches == cell.task.switches(cell.scale) else switches.text or switches.precision

    def default_specs(self, cell: Cell) -> list[TrialSpec]:
        """A default trial for each seed, split and point of the cell's grid (without one: the paper's values)."""
        seeds = range(self.budget.num_default_seeds)
        specs = [
            self.spec(cell, "default", index, point, split=split)
            for index in seeds
            for point in cell.points
            for split in self.splits_of(cell)
        ]
        return list({spec.trial_id: spec for spec in specs}.values())  # points coincide where the task pins their field

    def confirm_specs(self, cell: Cell, winner: TrialSpec) -> list[TrialSpec]:
        """A confirm trial with the winner's hyperparameters for each fresh seed and split."""
        frozen = replace(
            winner,
            role="confirm",
            selection=self.selection.name,
            tune_index=None,
            tune_epochs=None,
            proposal_digest="",
            halving="",
            frozen_from=winner.trial_id,
        )
        seeds = [trial_seed(self.budget.seed, "confirm", index) for index in range(self.budget.seeds)]
        return [replace(frozen, seed=seed, split=split) for seed in seeds for split in self.splits_of(cell)]

    def splits_of(self, cell: Cell) -> range:
        """The numbers of the splits that a cell runs on; only 0 where its task holds out no validation data."""
        return range(self.budget.splits if cell.task.validation_fraction(cell.scale) else 1)

    def timing_specs(self, cells: Iterable[Cell] | None = None) -> list[TrialSpec]:
        """The timing trials of these cells, or of all, ordered so that the repeats of one are far apart in time."""
        timed = [cell for cell in (self.running_cells if cells is None else cells) if cell.is_timed]
        return [self.spec(cell, "timing", repeat) for repeat in range(self.budget.timing_repeats) for cell in timed]

    def study(self, cell: Cell, known: Proposals | None = None) -> CellStudy:
        """A new study of the cell, without any outcomes; for `known` see `CellStudy`."""
        return CellStudy(
            cell.space,
            cell.contestant.resolve(cell.task, cell.scale),
            cell.task.higher_is_better,
            study_seed(self.budget.seed, cell.task_name, cell.regularizer),
            self.budget.tune_width,
            known,
        )

    def search_budget(self, cell: Cell) -> SearchBudget:
        """The budget of the cell's study, none of it used."""
        return SearchBudget(
            num_trials=self.budget.tune_trials,
            num_epochs=self.budget.tune_epochs,
            training_epochs=cell.task.epochs(cell.scale),
            halving=self.budget.halving,
        )

    def num_trials(self, cell: Cell) -> int:
        """Number of trials that the cell needs if none fails; with a budget in epochs, if none ends early."""
        tuned = self.search_budget(cell).num_trials(0) + self.num_confirm(cell)
        return len(self.default_specs(cell)) + tuned + (self.budget.timing_repeats if cell.is_timed else 0)

    def num_confirm(self, cell: Cell) -> int:
        """Number of confirm trials of a cell: one for each seed and split if it is tuned."""
        return self.budget.seeds * len(self.splits_of(cell)) if self.budget.is_tuned else 0


def make_plan(
    suite_name: str,
    suite: Suite,
    budget: Budget,
    campaign_id: str,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    switches: Mapping[str, str | bool] | None = None,
    select: str = BEST_VALIDATION.name,
) -> Plan:
    """The cells of `suite`, narrowed or widened by `only` and narrowed by `skip` (names of tasks or regularizers).

    With tasks and regularizers in `only`, each of these regularizers competes on each of these tasks. With either
    alone, those of the suite keep its cells; a regularizer that the suite lacks competes on all its tasks, and a task
    that it lacks gets all its regularizers. Entries of other packages that cannot be used are left out;
    `Plan.left_out` names them.

    Raises:
        BadInput: for an unknown name; if `only`, `skip` or the budget leave nothing to run; or if the switches or the
            selection rule do not fit a task.
        BrokenEntryError: if an entry of another package cannot be used and is named in `only`, or nothing else is left.
    """
    pairs = _selected(suite, only, skip)
    if not pairs:
        raise BadInput(
            f"Nothing is left of the suite {suite_name} with --only {','.join(only)!r} and --skip {','.join(skip)!r}."
        )
    cells, left_out = usable_cells(suite, pairs, budget.scale, only)
    plan = Plan(
        suite=suite_name,
        campaign_id=campaign_id,
        budget=budget,
        cells=tuple(cells),
        left_out=tuple(left_out),
        switches=switches or {},
        selection=rule_named(select),
    )
    try:
        for cell in plan.cells:
            plan.switches_of(cell)
        for cell in plan.running_cells:
            cell.task.on_split(plan.splits_of(cell)[-1])
        for cell in plan.running_cells if budget.is_tuned else ():
            _check_tune_epochs(plan, cell)
            plan.selection.check(cell.task_name, cell.task.metric, num_validation(cell.task, cell.scale))
    except ValueError as error:
        raise BadInput(str(error)) from error
    if plan.running_cells and not any(plan.num_trials(cell) for cell in plan.running_cells):
        raise BadInput(
            f"Nothing is left to run of the suite {suite_name} with --seeds {budget.seeds} and --tune-trials "
            f"{budget.tune_trials}; give one of them a number above 0."
        )
    return plan


def _check_tune_epochs(plan: Plan, cell: Cell) -> None:
    search, asked = plan.search_budget(cell), plan.budget.tune_epochs
    if not asked:
        return
    if not search.least_epochs:
        raise BadInput(
            f"--tune-epochs needs tasks that train in epochs, and {cell.task_name} does not; leave it out with --skip, "
            "or use --tune-trials."
        )
    if asked < search.least_epochs:
        what = f"a bracket of {BRACKET} trials" if search.rungs else "a trial"
        raise BadInput(
            f"--tune-epochs must be at least {search.least_epochs}, which {what} of the task {cell.task_name} takes "
            f"at scale {cell.scale}, got {asked}."
        )


def _selected(suite: Suite, only: Sequence[str], skip: Sequence[str]) -> list[tuple[str, str]]:
    cells = suite.cells()
    tasks, names = list(dict.fromkeys(t for t, _ in cells)), list(dict.fromkeys(n for _, n in cells))
    known = {*TASKS, *suite.definitions}
    for name in only:
        if name not in known and any(part not in REGULARIZERS for part in name.split("+")):
            raise BadInput(unknown_name("task or regularizer", name, [*known, *REGULARIZERS]))
    unknown = [name for name in skip if name not in tasks and name not in names]
    if unknown:
        raise BadInput(unknown_name("task or regularizer of this suite", unknown[0], [*tasks, *names]))
    if only:
        only = list(dict.fromkeys(only))
        only_tasks = [name for name in only if name in known]
        only_names = [name for name in only if name not in known]
        crossed = [(task, name) for task in only_tasks or tasks for name in only_names or names]
        if not (only_tasks and only_names):  # the suite says which of its contestants compete on which of its tasks
            own = set(cells)
            crossed = [pair for pair in crossed if pair in own or pair[0] not in tasks or pair[1] not in names]
        cells = crossed
    return [(task, name) for task, name in cells if task not in skip and name not in skip]
