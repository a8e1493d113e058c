"""One Optuna study per cell, whose proposals depend only on its seed, its width and the outcomes of its trials.

At every start the study is rebuilt from the stored rows; no state of Optuna is stored. A row holds a digest of all that
its proposal depends on, so that a stored proposal need not be computed again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from harness.records import Scalar
from harness.results.trial_summary import Proposals, TrialSummary
from search_spaces.space import Choice, Integer, Range, Real, Space

NUM_RANDOM_TRIALS = 5  # before TPE starts; fixed, so that a larger budget begins with the trials of a smaller one
ROUNDING = 1e-9  # relative difference of values that two processors computed from the same draws; others differ by more
# Statuses that count as the worst value, so that the search avoids them; other failures are not due to the values.
_TOLD_AS_WORST = ("diverged", "timeout", "out_of_memory")

optuna.logging.set_verbosity(optuna.logging.WARNING)


class CellStudy:
    """Proposes hyperparameters for one cell, several at a time.

    A study has a width w. Proposal k is made after the sampler was told the outcomes of proposals 0 ... k - w, in this
    order; later ones count as running, even if they have ended. (A running trial counts as a bad one, so that others
    are proposed: Optuna's constant liar.) So the proposals depend only on seed, width and outcomes, not on the order in
    which trials end, and a replay gives the same ones. As long as the sampler knows fewer than `NUM_RANDOM_TRIALS`
    outcomes it draws at random, so these proposals are made without waiting.

    Args:
        space: what is tuned.
        defaults: the paper's values, which are proposed first if they are within the space.
        higher_is_better: direction of the validation value.
        seed: of the sampler.
        width: w, how many proposals can run at once; at least 1.
        known: proposals by their digests; those in it need not be computed, and new ones are added to it. A computed
            proposal that differs from one of them by rounding alone is taken from there: the last digits of logarithms
            depend on the processor, and the trial would be another one.

    Raises:
        ValueError: if the width is below 1.
    """

    def __init__(
        self,
        space: Space,
        defaults: Mapping[str, Scalar],
        higher_is_better: bool,
        seed: int,
        width: int = 1,
        known: Proposals | None = None,
    ) -> None:
        if width < 1:
            raise ValueError(f"The width of a study must be at least 1, got {width}.")
        self._width, self._known = width, Proposals() if known is None else known
        self._search = _Search(space, defaults, higher_is_better, seed, with_liar=width > 1)
        self._digest = hashlib.sha256(self._search.text.encode())
        self._num_asked = 0
        self._num_used = 0  # outcomes that the last proposal depends on
        self._outcomes: dict[int, TrialSummary] = {}  # by place in the order of asking

    @property
    def digest(self) -> str:
        """20 hexadecimal digits, a hash of all that the last proposal depends on."""
        return self._digest.hexdigest()[:20]

    def ask(self) -> dict[str, Scalar] | None:
        """The next proposal; None while it depends on an outcome that is not known yet."""
        new = range(self._num_used, self._num_needed(self._num_asked))
        if any(place not in self._outcomes for place in new):
            return None
        for place in new:
            told = self._outcomes[place]
            self._digest.update(f"\n{told.status} {told.rung} {told.validation_value!r}".encode())
        self._digest.update(b"\nasked")
        self._num_used += len(new)
        self._num_asked += 1
        proposal = self._search.of_type(self._known.get(self.digest, {}))
        if proposal is None:
            made = self._made()
            proposal = self._known[self.digest] = self._search.alike(made, self._known) or made
        return proposal

    def tell(self, place: int, finished: TrialSummary) -> None:
        """Note the outcome of proposal number `place`; outcomes may come in any order.

        Raises:
            ValueError: if there is no such proposal.
        """
        if not 0 <= place < self._num_asked:
            raise ValueError(f"Proposals 0 to {self._num_asked - 1} were made, got an outcome of proposal {place}.")
        self._outcomes[place] = finished

    def _num_needed(self, place: int) -> int:
        """Number of outcomes, the first ones, that proposal number `place` depends on."""
        num = place - self._width + 1
        return num if num >= NUM_RANDOM_TRIALS else 0  # with fewer, the sampler ignores outcomes and draws at random

    def _made(self) -> dict[str, Scalar]:
        """Compute the last proposal, and those before it that were known without the search."""
        proposal: dict[str, Scalar] = {}
        for place in range(self._search.num_asked, self._num_asked):
            for earlier in range(self._search.num_told, self._num_needed(place)):
                self._search.tell(self._outcomes[earlier])
            proposal = self._search.ask()
        return proposal


class _Search:
    """Optuna's study of a cell, created at the first `ask`; outcomes are told in the order of proposals."""

    def __init__(
        self, space: Space, defaults: Mapping[str, Scalar], higher_is_better: bool, seed: int, with_liar: bool
    ) -> None:
        self._space, self._higher_is_better = space, higher_is_better
        self._seed, self._with_liar = seed, with_liar
        first = {name: value for name, value in defaults.items() if name in space}
        self._first = first if all(_holds(space[name], value) for name, value in first.items()) else None
        self._asked: list[optuna.Trial] = []
        self.num_told = 0
        self._values: list[float] = []

    @property
    def num_asked(self) -> int:
        """Number of proposals that were computed."""
        return len(self._asked)

    @property
    def text(self) -> str:
        """All that its proposals depend on, without the outcomes, as text."""
        settings = NUM_RANDOM_TRIALS, self._seed, self._with_liar, self._higher_is_better, self._first
        return f"{optuna.__version__} {settings} {self._distributions}"

    def of_type(self, stored: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """A stored proposal in the types of this space's ranges; None if it does not fit the space."""
        if not all(name in stored and _holds(allowed, stored[name]) for name, allowed in self._space.items()):
            return None
        return {name: _of_type(allowed, stored[name]) for name, allowed in self._space.items()}

    def alike(self, made: Mapping[str, Scalar], known: Proposals) -> dict[str, Scalar] | None:
        """A stored proposal that differs from `made` by rounding alone, in the types of the space."""
        name = next((name for name, allowed in self._space.items() if isinstance(allowed, Real)), None)
        if name is None:
            return None  # nothing is rounded
        stored = map(self.of_type, known.near(name, float(made[name]), ROUNDING))
        return next((each for each in stored if each and all(_is_close(each[key], made[key]) for key in made)), None)

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: distribution(allowed) for name, allowed in self._space.items()}

    @cached_property
    def _study(self) -> optuna.Study:
        # Every argument is pinned: Optuna changes its defaults between releases, which would change the proposals.
        sampler = optuna.samplers.TPESampler(
            seed=self._seed,
            n_startup_trials=NUM_RANDOM_TRIALS,
            n_ei_candidates=24,
            multivariate=True,
            constant_liar=self._with_liar,
        )
        study = _quietly_created(sampler, "maximize" if self._higher_is_better else "minimize")
        if self._first is not None:
            study.enqueue_trial(self._first)
        return study

    def ask(self) -> dict[str, Scalar]:
        self._asked.append(self._study.ask(self._distributions))
        return dict(self._asked[-1].params)

    def tell(self, finished: TrialSummary) -> None:
        trial = self._asked[self.num_told]
        self.num_told += 1
        if finished.status == "pruned" and finished.validation_value is not None:
            trial.report(finished.validation_value, step=finished.rung or 0)
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        value = finished.validation_value if finished.has_result else None
        if value is None and finished.status in _TOLD_AS_WORST and self._values:
            value = min(self._values) if self._higher_is_better else max(self._values)
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._values.append(value)
            self._study.tell(trial, value)


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
    if not isinstance(value, int | float) or not allowed.low <= value <= allowed.high:
        return False
    return isinstance(allowed, Real) or value == int(value)


def _is_close(stored: Scalar, made: Scalar) -> bool:
    if isinstance(stored, float) and isinstance(made, float):
        return math.isclose(stored, made, rel_tol=ROUNDING)
    return stored == made


def _of_type(allowed: Range, value: Scalar) -> Scalar:
    """A stored value in the type that the search proposes: a file may hold 2 as 2.0."""
    if isinstance(allowed, Choice):
        return next(option for option in allowed.options if option == value)
    return int(value) if isinstance(allowed, Integer) else float(value)


def _quietly_created(sampler: optuna.samplers.BaseSampler, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    _silence_experimental_warning()
    return optuna.create_study(sampler=sampler, direction=direction)


@lru_cache(maxsize=1)
def _silence_experimental_warning() -> None:
    """Silence the warning that multivariate TPE is experimental, which some releases print once per cell."""
    import warnings

    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
