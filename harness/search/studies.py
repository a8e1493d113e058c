"""One Optuna study per cell, asked and told in a fixed order: a function of seed, width and its trials' values alone.

The study's knowledge is rebuilt from the stored rows at every start; nothing of Optuna's own state is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from harness.records import Scalar
from harness.results.trial_summary import TrialSummary
from search_spaces.space import Choice, Integer, Range, Real, Space

NUM_RANDOM_TRIALS = 5  # before TPE starts to model; fixed, so that a larger budget repeats the smaller one's trials
_TOLD_AS_WORST = ("diverged", "timeout", "out_of_memory")  # the search should avoid them; other failures teach nothing

optuna.logging.set_verbosity(optuna.logging.WARNING)


class CellStudy:
    """Proposes hyperparameters for one cell, several at a time.

    A study has a width w: proposal k is made when the outcomes of proposals 0 ... k - w are told to the sampler, in the
    order of asking. Those between count as running (constant liar: as bad ones, so that others are proposed). Outcomes
    that arrive earlier are held back until their turn. So the proposals are a function of seed, width and outcomes,
    whatever ends first and however often the study is replayed. Until `NUM_RANDOM_TRIALS` outcomes can have been told,
    proposals depend on no outcome, and are made at once.

    Args:
        space: what is tuned.
        defaults: the paper's values; the first trial, where they lie in the space.
        higher_is_better: direction of the validation value.
        seed: of the sampler.
        width: most proposals whose outcomes are unknown when one is made from outcomes, itself included; at least 1.
    """

    def __init__(
        self, space: Space, defaults: Mapping[str, Scalar], higher_is_better: bool, seed: int, width: int = 1
    ) -> None:
        if width < 1:
            raise ValueError(f"The width of a study must be at least 1, got {width}.")
        self._higher_is_better, self._width = higher_is_better, width
        self._distributions = {name: distribution(allowed) for name, allowed in space.items()}
        # Every argument is pinned: Optuna changes its defaults between releases, which would change the proposals.
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=NUM_RANDOM_TRIALS,
            n_ei_candidates=24,
            multivariate=True,
            constant_liar=width > 1,
        )
        self._study = _quietly_created(sampler, "maximize" if higher_is_better else "minimize")
        first = {name: value for name, value in defaults.items() if name in self._distributions}
        if all(_holds(space[name], value) for name, value in first.items()):
            self._study.enqueue_trial(first)
        self._asked: list[optuna.Trial] = []
        self._outcomes: dict[int, TrialSummary] = {}  # by place in the order of asking
        self._num_told = 0
        self._values: list[float] = []

    def ask(self) -> dict[str, Scalar] | None:
        """The next proposal; None while it depends on an outcome that is not known."""
        place = len(self._asked)
        num_needed = place - self._width + 1
        if num_needed >= NUM_RANDOM_TRIALS:  # with fewer the sampler draws at random, whatever they are
            if any(earlier not in self._outcomes for earlier in range(self._num_told, num_needed)):
                return None
            for earlier in range(self._num_told, num_needed):
                self._tell_sampler(earlier)
            self._num_told = num_needed
        self._asked.append(self._study.ask(self._distributions))
        return dict(self._asked[-1].params)

    def tell(self, place: int, finished: TrialSummary) -> None:
        """What came of a proposal, named by its place in the order of asking; in any order."""
        if not 0 <= place < len(self._asked):
            raise ValueError(f"Proposals 0 to {len(self._asked) - 1} were made, got an outcome of proposal {place}.")
        self._outcomes[place] = finished

    def _tell_sampler(self, place: int) -> None:
        finished = self._outcomes[place]
        if finished.status == "pruned" and finished.validation_value is not None:
            self._asked[place].report(finished.validation_value, step=finished.rung or 0)
            self._study.tell(self._asked[place], state=TrialState.PRUNED)
            return
        value = finished.validation_value if finished.has_result else None
        if value is None and finished.status in _TOLD_AS_WORST and self._values:
            value = min(self._values) if self._higher_is_better else max(self._values)
        if value is None:
            self._study.tell(self._asked[place], state=TrialState.FAIL)
        else:
            self._values.append(value)
            self._study.tell(self._asked[place], value)


def distribution(allowed: Range) -> BaseDistribution:
    """Optuna's distribution for one of our ranges."""
    match allowed:
        case Real():
            return FloatDistribution(allowed.low, allowed.high, log=allowed.log)
        case Integer():
            return IntDistribution(allowed.low, allowed.high, log=allowed.log)
        case Choice():
            return CategoricalDistribution(allowed.options)


def _holds(allowed: Range, value: Scalar) -> bool:
    """Whether a value lies in a range."""
    if isinstance(allowed, Choice):
        return value in allowed.options
    return isinstance(value, int | float) and allowed.low <= value <= allowed.high


def _quietly_created(sampler: optuna.samplers.BaseSampler, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    _silence_experimental_warning()
    return optuna.create_study(sampler=sampler, direction=direction)


@lru_cache(maxsize=1)
def _silence_experimental_warning() -> None:
    """Silence the warning that multivariate TPE is experimental, which some releases print once per cell."""
    import warnings

    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
