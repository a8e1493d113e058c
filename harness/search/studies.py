"""One Optuna study per cell, asked and told in a fixed order: a pure function of its seed and its trials' values.

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
    """Proposes hyperparameters for one cell, one at a time.

    Args:
        space: what is tuned.
        defaults: the paper's values; the first trial, where they lie in the space.
        higher_is_better: direction of the validation value.
        seed: of the sampler.
    """

    def __init__(self, space: Space, defaults: Mapping[str, Scalar], higher_is_better: bool, seed: int) -> None:
        self._higher_is_better = higher_is_better
        self._distributions = {name: distribution(allowed) for name, allowed in space.items()}
        # Every argument is pinned: Optuna changes its defaults between releases, which would change the proposals.
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=NUM_RANDOM_TRIALS, n_ei_candidates=24, multivariate=True, constant_liar=False
        )
        self._study = _quietly_created(sampler, "maximize" if higher_is_better else "minimize")
        first = {name: value for name, value in defaults.items() if name in self._distributions}
        if all(_holds(space[name], value) for name, value in first.items()):
            self._study.enqueue_trial(first)
        self._asked: optuna.Trial | None = None
        self._values: list[float] = []

    def ask(self) -> dict[str, Scalar]:
        """The next proposal; the last one must have been told."""
        assert self._asked is None, "a study is strictly ordered: tell the last trial first"
        self._asked = self._study.ask(self._distributions)
        return dict(self._asked.params)

    def tell(self, finished: TrialSummary) -> None:
        """What came of the last proposal."""
        assert self._asked is not None
        value = finished.validation_value if finished.has_result else None
        if value is None and finished.status in _TOLD_AS_WORST and self._values:
            value = min(self._values) if self._higher_is_better else max(self._values)
        if value is None:
            self._study.tell(self._asked, state=TrialState.FAIL)
        else:
            self._values.append(value)
            self._study.tell(self._asked, value)
        self._asked = None


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
