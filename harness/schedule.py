"""Which trials run next: each cell's study replayed over what is stored, and all cells multiplexed. Runs nothing.

Trials are given out in packs: mostly one trial, or several that differ in their seed alone, where the task says so. A
pack is a way to run trials, no part of what they are: each has its own id and row, with the values that it has alone,
up to rounding. A pack of several in which anything goes wrong leaves no row; its trials then run one by one, so that
each row tells of its own trial alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.cells import Cell
from harness.contestants import Contestant
from harness.plan import Plan
from harness.records import Pack, TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.search.seeding import trial_seed
from tasks.experiments import TASKS
from tasks.runtime.switches import Switches


class CellProgress:
    """Where one cell stands: its study replayed from stored trials, and the trials that are ready to run.

    A trial is either a default trial (ready at once), the study's next proposal (ready when the last one is told), or
    a confirm trial (ready when tuning has ended and a winner is frozen).
    """

    def __init__(self, plan: Plan, cell: Cell, stored: Mapping[str, TrialSummary]) -> None:
        self.cell = cell
        self._plan, self._stored = plan, dict(stored)
        self._waiting = [spec for spec in plan.default_specs(cell) if spec.trial_id not in stored]
        self._study = plan.study(cell)
        self._single_trials: list[TrialSpec] = []  # of packs that failed
        self._tuned: list[tuple[TrialSpec, TrialSummary]] = []
        self._proposal: TrialSpec | None = None
        self._proposal_is_out = False
        self._advance()

    def next_tune(self) -> Pack | None:
        """The study's next trial, if it is ready; alone, since the one behind it waits for its end."""
        if self._proposal is None or self._proposal_is_out:
            return None
        self._proposal_is_out = True
        return (self._proposal,)

    def next_other(self) -> Pack | None:
        """A default or confirm trial, if one is ready, with those that may run in one process with it."""
        if self._single_trials:
            return (self._single_trials.pop(0),)
        if not self._waiting:
            return None
        pack = next_pack(self._waiting)
        self._waiting = [spec for spec in self._waiting if spec not in pack]
        return pack

    def split(self, pack: Pack) -> None:
        """A pack of this cell left no rows: its trials are to run again, alone."""
        self._single_trials += pack

    def record(self, spec: TrialSpec, finished: TrialSummary) -> None:
        """One of this cell's trials ended."""
        self._stored[spec.trial_id] = finished
        if self._proposal is not None and spec.trial_id == self._proposal.trial_id:
            self._advance()

    @property
    def has_tuned(self) -> bool:
        """Whether the study's budget is spent."""
        return len(self._tuned) >= self._plan.budget.tune_trials

    @property
    def num_tuned(self) -> int:
        """Tune trials that the study has been told."""
        return len(self._tuned)

    def winner(self) -> TrialSpec | None:
        """The tune trial that the selection rule picks; None before tuning has ended, or if no trial succeeded."""
        if not self.has_tuned:
            return None
        successes = [(spec, done) for spec, done in self._tuned if done.has_result]
        return self._plan.selection.choose(successes, self.cell.task.higher_is_better) if successes else None

    def needed_ids(self) -> dict[str, TrialSpec]:
        """Every trial that is known to be part of this cell by now."""
        specs = [*self._plan.default_specs(self.cell), *(spec for spec, _ in self._tuned)]
        specs += [self._proposal] if self._proposal else []
        return {spec.trial_id: spec for spec in (*specs, *self._confirm_specs())}

    def _advance(self) -> None:
        """Replay the study over stored trials up to the first that must run; after the last, freeze the winner."""
        while not self.has_tuned:
            spec = self._proposal or self._propose()
            finished = self._stored.get(spec.trial_id)
            if finished is None:
                self._proposal, self._proposal_is_out = spec, False
                return
            self._study.tell(finished)
            self._tuned.append((spec, finished))
            self._proposal = None
        self._waiting += [spec for spec in self._confirm_specs() if spec.trial_id not in self._stored]

    def _propose(self) -> TrialSpec:
        spec = self._plan.spec(self.cell, "tune", 0, self._study.ask())
        return replace(spec, tune_index=len(self._tuned))

    def _confirm_specs(self) -> list[TrialSpec]:
        winner = self.winner()
        if winner is None:
            return []
        specs = []
        for index in range(self._plan.budget.seeds):
            seed = trial_seed(self._plan.budget.seed, "confirm", index)
            specs.append(replace(winner, role="confirm", seed=seed, tune_index=None, frozen_from=winner.trial_id))
        return specs


class Schedule:
    """Which trial runs next, over all cells: tuning first, since its trials wait for each other, then the rest."""

    def __init__(self, plan: Plan, stored: Mapping[str, TrialSummary]) -> None:
        self.plan = plan
        self.cells = [CellProgress(plan, cell, stored) for cell in plan.running_cells]
        self._by_cell = {(p.cell.task_name, p.cell.regularizer): p for p in self.cells}
        self._turn = 0

    def next(self) -> Pack | None:
        """The next trials to start, in one process; None if nothing is ready now."""
        for kind in (CellProgress.next_tune, CellProgress.next_other):
            for offset in range(len(self.cells)):
                position = (self._turn + offset) % len(self.cells)
                pack = kind(self.cells[position])
                if pack is not None:
                    self._turn = position + 1
                    return pack
        return None

    def record(self, spec: TrialSpec, finished: TrialSummary) -> None:
        """A trial that `next` gave out has ended."""
        self._by_cell[spec.cell].record(spec, finished)

    def split(self, pack: Pack) -> None:
        """A pack that `next` gave out left no rows: `next` will give out its trials one by one."""
        self._by_cell[pack[0].cell].split(pack)

    def again(self, stored: Mapping[str, TrialSummary]) -> Schedule:
        """The same plan, replayed over the trials that are stored now."""
        return Schedule(self.plan, stored)


def next_pack(waiting: Sequence[TrialSpec]) -> Pack:
    """The first trial that waits, and with it those that may run in one process with it, in their order."""
    first = waiting[0]
    alike = [spec for spec in waiting if replace(spec, seed=first.seed) == first]
    switches = Switches.of(first.switches) if first.switches else TASKS[first.task].switches(first.scale)
    if len(alike) == 1 or switches.text:  # several seeds are trained at once only without switches
        return (first,)
    try:
        regularizers = Contestant(first.regularizer).build(first.hyperparameters)
        together = TASKS[first.task].seeds_together(regularizers, Switches.of(first.switches))
    except Exception:  # the trial itself will fail in the same way, and its row says why
        together = 1
    return tuple(alike[:together])
