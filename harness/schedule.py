"""Which trials run next, over all cells; each cell's study is replayed over the stored trials. Runs nothing.

Trials are given out in packs. A pack is usually one trial; where the task can train several at once, it holds trials
that differ only in their seed. A pack is not part of a trial's identity: each trial has its own id and row, with the
same values as if it ran alone, up to rounding. If anything goes wrong in a pack of several, it leaves no row, and its
trials run again one by one, so that a failure is recorded only for the trial that caused it.
"""

from __future__ import annotations

import heapq
import math
from collections import ChainMap, Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from harness.cells import Cell
from harness.contestants import Contestant
from harness.execution import Execution
from harness.plan import Plan
from harness.records import Pack, TrialSpec
from harness.results.trial_summary import Proposals, TrialSummary
from harness.search.halving import NAME as HALVING
from harness.search.halving import standing
from harness.search.selection import num_validation
from harness.times.limits import known_limit
from tasks.lookup import task_of
from tasks.runtime.switches import Switches


class CellProgress:
    """The state of one cell: its study, replayed from stored trials, and the trials that are ready to run.

    A trial is either a default trial (ready at once), a proposal of the study (ready when the outcomes that it depends
    on are known, see `CellStudy`), or a confirm trial (ready when tuning has ended and a winner is frozen). With
    halving a proposal is ready once for each part of its training, see `harness.search.halving`.

    Args:
        plan: the campaign's plan.
        cell: one of its cells.
        stored: trials that ended, by trial_id; other cells' may be among them.
        out: ids of trials that workers have now; these are not given out again.
        proposals: stored proposals by their digests, see `CellStudy`.
    """

    def __init__(
        self,
        plan: Plan,
        cell: Cell,
        stored: Mapping[str, TrialSummary],
        out: Collection[str] = (),
        proposals: Proposals | None = None,
    ) -> None:
        self.cell = cell
        self._plan, self._out = plan, set(out)
        self._stored = ChainMap[str, TrialSummary]({}, stored)  # type: ignore[arg-type]  # it only writes to the first
        self._seconds, self._num_timed = 0.0, 0
        self.longest_seconds = 0.0  # of a trial that ended with a result, as if it had trained to the last epoch
        self._budget = plan.search_budget(cell)
        self._rungs = self._budget.rungs
        self._num_without_search = plan.num_trials(cell) - self._budget.num_trials(0)
        self._waiting = self._left(plan.default_specs(cell))
        self._study = plan.study(cell, proposals)
        self._single_trials: list[TrialSpec] = []  # of packs that failed
        self._proposals: list[TrialSpec] = []  # in the order of asking; one may be proposed twice
        self._places: dict[str, list[int]] = {}  # of each proposal among them, by trial_id
        self._brackets: list[list[TrialSpec]] = []  # of different proposals
        self._bracket_of: dict[str, int] = {}
        self._given: dict[str, int] = {}  # trial_id -> the last rung for which the proposal was made ready
        self._over: set[str] = set()  # proposals whose outcome is final
        self.stopped: list[str] = []  # ids of those that ended at a rung; their checkpoints are to be removed
        self._ready: deque[TrialSpec] = deque()  # proposals that no worker has yet
        self._num_tuned = 0
        self._propose()

    @property
    def has_proposal(self) -> bool:
        """Whether `next_tune` has a trial."""
        return bool(self._ready)

    @property
    def has_other(self) -> bool:
        """Whether `next_other` has a trial."""
        return bool(self._single_trials or self._waiting)

    @property
    def tune_seconds_left(self) -> float:
        """Estimated seconds of the tune trials that are left, one after the other."""
        return self.num_tune_left * self.seconds_per_trial

    @property
    def seconds_per_trial(self) -> float:
        """Mean over the trials that ended; infinite before the first one, so that cells without times go first."""
        return self._seconds / self._num_timed if self._num_timed else math.inf

    def next_tune(self) -> Pack:
        """A proposal of the study, in a pack of its own, since other trials may wait for its end."""
        return (self._ready.popleft(),)

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
        """Make the trials of a pack that left no rows ready again, one by one."""
        self._single_trials += pack

    def record(self, spec: TrialSpec, finished: TrialSummary) -> None:
        """Note that one of this cell's trials ended."""
        self._out.discard(spec.trial_id)  # with halving it may go on
        self._stored[spec.trial_id] = finished
        self._count_seconds(finished)
        if spec.trial_id in self._bracket_of:
            self._decide(self._bracket_of[spec.trial_id])
            self._propose()

    @property
    def has_tuned(self) -> bool:
        """Whether the outcomes of all tune trials of the budget are known."""
        return not self.num_tune_left

    @property
    def num_tune_left(self) -> int:
        """Proposals whose outcome is not known; with a budget in epochs, if these trials run all of theirs."""
        return self._budget.num_trials(len(self._proposals)) - self._num_tuned

    def winner(self) -> TrialSpec | None:
        """The tune trial that the selection rule picks; None before tuning has ended, or if no trial succeeded."""
        if not self.has_tuned:
            return None
        tuned = [(spec, self._stored[spec.trial_id]) for spec in self._proposals]
        successes = [(spec, done) for spec, done in tuned if done.has_result]
        if not successes:
            return None
        task = self.cell.task
        return self._plan.selection.choose(successes, task.higher_is_better, num_validation(task, self.cell.scale))

    @property
    def num_trials(self) -> int:
        """Number of trials that the cell needs, timing trials included; before the end of tuning, if none fails.

        A proposal that is made twice is one trial, and without a winner there are no confirm trials.
        """
        num_made, num_different = len(self._proposals), len(self._places)
        number = self._num_without_search + self._budget.num_trials(num_made) - (num_made - num_different)
        return number - (self._plan.num_confirm(self.cell) if self.has_tuned and self.winner() is None else 0)

    def needed_ids(self) -> dict[str, TrialSpec]:
        """All trials of this cell that are known so far, by trial_id; later proposals and their winner are not."""
        specs = (*self._plan.default_specs(self.cell), *reversed(self._proposals), *self._confirm_specs())
        return {spec.trial_id: spec for spec in specs}

    def _propose(self) -> None:
        """Make all proposals that can be made now; once the outcomes of all of them are known, add confirm trials."""
        while self._budget.has_room(len(self._proposals)) and (asked := self._study.ask()) is not None:
            place = len(self._proposals)
            spec = self._plan.spec(
                self.cell,
                "tune",
                0,
                asked,
                tune_index=place,
                tune_width=self._plan.budget.tune_width,
                tune_epochs=self._plan.budget.tune_epochs or None,
                proposal_digest=self._study.digest,
                halving=HALVING if self._rungs else "",
            )
            self._proposals.append(spec)
            self._places.setdefault(spec.trial_id, []).append(place)
            self._join_bracket(spec, place // self._budget.bracket_size)
        if self.has_tuned:
            self._waiting += self._left(self._confirm_specs())

    def _join_bracket(self, spec: TrialSpec, bracket: int) -> None:
        while len(self._brackets) <= bracket:
            self._brackets.append([])
        if spec.trial_id in self._over:
            self._tell(self._places[spec.trial_id][-1], self._stored[spec.trial_id])
        elif spec.trial_id not in self._bracket_of:
            self._brackets[bracket].append(spec)
            self._bracket_of[spec.trial_id] = bracket
            if spec.trial_id in self._stored:
                self._count_seconds(self._stored[spec.trial_id])
        self._decide(bracket)

    def _decide(self, bracket: int) -> None:
        """Make those trials of a bracket ready that continue, and tell the study the outcomes that are final."""
        specs = self._brackets[bracket]
        outcomes = [self._stored.get(spec.trial_id) for spec in specs]
        if len(self._proposals) < (bracket + 1) * self._budget.bracket_size:
            outcomes.append(None)  # proposals that are not made yet have not reached a rung
        num_spared = 0 if bracket else self._budget.num_spared
        now = standing(outcomes, len(self._rungs), self.cell.task.higher_is_better, num_spared)
        for place, rung in now.going.items():
            if place < len(specs):
                self._make_ready(specs[place], rung)
        for place in sorted(now.over):
            spec, finished = specs[place], outcomes[place]
            if spec.trial_id not in self._over and finished is not None:
                self._over.add(spec.trial_id)
                self.stopped += [spec.trial_id] * (finished.status == "pruned")
                for each in self._places[spec.trial_id]:
                    self._tell(each, finished)

    def _make_ready(self, spec: TrialSpec, rung: int) -> None:
        if self._given.get(spec.trial_id, -1) >= rung:
            return
        self._given[spec.trial_id] = rung
        if spec.trial_id in self._out:
            return
        if self._rungs:
            spec = replace(spec, rung=rung, until_epoch=self._rungs[rung] if rung < len(self._rungs) else None)
        if rung:
            self._ready.appendleft(spec)  # ahead of new proposals: its bracket is waiting for it
        else:
            self._ready.append(spec)

    def _count_seconds(self, finished: TrialSummary) -> None:
        self._seconds, self._num_timed = self._seconds + finished.seconds, self._num_timed + 1
        if finished.has_result or finished.status == "pruned":
            rung = finished.rung
            part = 1.0
            if rung is not None and rung < len(self._rungs):
                part = self._rungs[rung] / self.cell.task.epochs(self.cell.scale)
            self.longest_seconds = max(self.longest_seconds, finished.seconds / part)

    def _left(self, specs: Sequence[TrialSpec]) -> list[TrialSpec]:
        """The trials that are neither stored nor with a worker; the seconds of the stored ones are counted."""
        for spec in specs:
            if spec.trial_id in self._stored:
                self._count_seconds(self._stored[spec.trial_id])
        return [spec for spec in specs if spec.trial_id not in self._stored and spec.trial_id not in self._out]

    def _tell(self, place: int, finished: TrialSummary) -> None:
        self._study.tell(place, finished)
        self._budget.note(place, finished)
        self._num_tuned += 1

    def _confirm_specs(self) -> list[TrialSpec]:
        winner = self.winner()
        return [] if winner is None else self._plan.confirm_specs(self.cell, winner)


class Schedule:
    """Which trial runs next, over all cells: tune trials first, since other trials wait for them, then the rest.

    Among searches the one with the most time left goes first, among other trials the longest one, so that few slots are
    idle at the end. Times are means over the cell's own trials; cells in which none has ended yet go first, in turn.

    Args:
        plan: the campaign's plan.
        stored: trials that ended, by trial_id.
        out: ids of trials that workers have now; these are not given out again.
        proposals: stored proposals by their digests, see `CellStudy`.
    """

    def __init__(
        self,
        plan: Plan,
        stored: Mapping[str, TrialSummary],
        out: Collection[str] = (),
        proposals: Proposals | None = None,
    ) -> None:
        self.plan = plan
        stored, out = dict(stored), frozenset(out)
        self._proposals = Proposals() if proposals is None else proposals
        self.cells = [CellProgress(plan, cell, stored, out, self._proposals) for cell in plan.running_cells]
        self._by_cell = {(p.cell.task_name, p.cell.regularizer): p for p in self.cells}
        self._by_task: dict[str, list[CellProgress]] = {}
        for each in self.cells:
            self._by_task.setdefault(each.cell.task_name, []).append(each)
        self._served = [0] * len(self.cells)  # of each cell, the value of `_num_served` when it last got a trial
        self._num_served = 0
        self._searching = _Ready(lambda cell: cell.has_proposal, lambda cell: cell.tune_seconds_left)
        self._others = _Ready(lambda cell: cell.has_other, lambda cell: cell.seconds_per_trial)
        self._positions = {(p.cell.task_name, p.cell.regularizer): at for at, p in enumerate(self.cells)}
        self._stopped: list[str] = []
        for position in range(len(self.cells)):
            self._note(position)

    def next(self) -> Pack | None:
        """The next trials to start, in one process; None if nothing is ready now."""
        for ready, give in ((self._searching, CellProgress.next_tune), (self._others, CellProgress.next_other)):
            position = ready.first()
            if position is not None:
                pack = give(self.cells[position])
                self._num_served += 1
                self._served[position] = self._num_served
                self._note(position)
                return pack
        return None

    def _note(self, position: int) -> None:
        """Update the queues after a cell's ready trials or its times have changed."""
        cell = self.cells[position]
        for ready in (self._searching, self._others):
            ready.note(position, cell, self._served[position])
        self._stopped += cell.stopped
        cell.stopped.clear()

    def record(self, spec: TrialSpec, finished: TrialSummary) -> None:
        """Note that a trial that `next` gave out has ended."""
        self._by_cell[spec.cell].record(spec, finished)
        self._note(self._positions[spec.cell])

    def num_trials(self, cell: tuple[str, str]) -> int:
        """Number of trials that a cell needs, as far as it is known now."""
        return self._by_cell[cell].num_trials

    def limited(self, execution: Execution, pack: Pack) -> Execution:
        """The settings for a pack. If the user set no time limit, it follows from known times (`times.limits`)."""
        if execution.trial_seconds is not None or not execution.known_limit:
            return execution
        cell = self._by_cell[pack[0].cell]
        of_task = max(each.longest_seconds for each in self._by_task[cell.cell.task_name])
        return replace(execution, trial_seconds=known_limit(cell.longest_seconds, of_task))

    def take_stopped(self) -> list[str]:
        """Ids of the trials that ended at a rung of halving since the last call; they will not go on."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def split(self, pack: Pack) -> None:
        """Have `next` give out the trials of a pack that left no rows again, one by one."""
        self._by_cell[pack[0].cell].split(pack)
        self._note(self._positions[pack[0].cell])

    def known_trials(self) -> dict[str, TrialSpec]:
        """Every trial of the plan that is known so far; later proposals and the confirmation of winners are not."""
        known = {trial_id: spec for cell in self.cells for trial_id, spec in cell.needed_ids().items()}
        return known | {spec.trial_id: spec for spec in self.plan.timing_specs()}

    def failed(self, stored: Mapping[str, TrialSummary]) -> dict[str, TrialSummary]:
        """Those of the stored trials that failed and belong to this plan: left out of `stored`, they run again.

        Others in the results folder (of cells that are left out, older code, another scale) would not.
        """
        known = self.known_trials()
        return {trial_id: done for trial_id, done in stored.items() if done.is_failure and trial_id in known}

    def again(self, stored: Mapping[str, TrialSummary], out: Collection[str] = ()) -> Schedule:
        """A new schedule of the same plan, replayed over the trials that are stored now.

        Trials in `out` are still with workers and are not given out again; record their ends in the new schedule.
        """
        return Schedule(self.plan, stored, out, self._proposals)


class _Ready:
    """A queue of the cells that have a trial of one kind ready; the first has the highest priority.

    Ties go to the cell that was served longest ago, then to the first one in the plan. The queue is a heap: `note` adds
    a new entry for a cell, and outdated entries are dropped when they reach the top.
    """

    def __init__(self, has: Callable[[CellProgress], bool], priority: Callable[[CellProgress], float]) -> None:
        self._has, self._priority = has, priority
        self._heap: list[tuple[float, int, int, int]] = []  # -priority, when it was served, position, version
        self._versions: Counter[int] = Counter()  # of the newest entry of each cell, by position

    def note(self, position: int, cell: CellProgress, served: int) -> None:
        """Replace the entry of the cell at this position."""
        self._versions[position] += 1
        if self._has(cell):
            heapq.heappush(self._heap, (-self._priority(cell), served, position, self._versions[position]))

    def first(self) -> int | None:
        """The position of the first cell; None if no cell has a trial ready."""
        while self._heap:
            *_, position, version = self._heap[0]
            if version == self._versions[position]:
                return position
            heapq.heappop(self._heap)
        return None


def next_pack(waiting: Sequence[TrialSpec]) -> Pack:
    """The first waiting trial, and those that can be trained together with it in one process, in their order."""
    first = waiting[0]
    alike = [spec for spec in waiting if spec is first or replace(spec, seed=first.seed) == first]
    switches = (
        Switches.of(first.switches) if first.switches else task_of(first.task, first.definition).switches(first.scale)
    )
    if len(alike) == 1 or switches.text:  # several seeds are trained at once only without switches
        return (first,)
    try:
        regularizers = Contestant(first.regularizer).build(first.hyperparameters)
        together = task_of(first.task, first.definition).seeds_together(regularizers, Switches.of(first.switches))
    except Exception:  # the trial itself will fail in the same way, and its row says why
        together = 1
    return tuple(alike[:together])
