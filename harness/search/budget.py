"""How many proposals a search makes: a given number, or as many as a number of epochs holds."""

from __future__ import annotations

from collections import Counter

from harness.results.trial_summary import TrialSummary
from harness.search.halving import BRACKET, NUM_SPARED, bracket_epochs, rung_epochs


class SearchBudget:
    """The budget of one search, and how much of it is used.

    Proposals are made in brackets: of `BRACKET` trials with halving, of a single one without. With a budget of epochs,
    a bracket begins if the epochs of all brackets before it, and the most that it can take itself, fit into the budget;
    the first one that does not fit ends the search. So no search takes more than its budget, and none leaves as much as
    another bracket needs. A bracket counts with the most that it can take until all of its trials are over. A proposal
    may therefore wait for trials to end, but how many proposals are made depends on the outcomes only, not on when
    trials end or how many run at once, and a larger budget begins with the proposals of a smaller one.

    A trial counts with the epochs that it ran, at least one. A trial that failed or diverged counts as if it had
    trained as far as it was meant to, to its rung or the last epoch: how far it came is not stored, and a contestant
    whose trials all fail must not be given ever more of them. A proposal that was made twice counts twice.

    Args:
        num_trials: number of proposals; ignored with `num_epochs`.
        num_epochs: epochs of all trials together; 0: the search makes `num_trials` proposals.
        training_epochs: epochs of a trial that trains to the end; at least 1 with `num_epochs`.
        halving: whether trials may stop at rungs (`harness.search.halving`).

    Attributes:
        rungs: epochs after which trials are compared; empty without halving.
        bracket_size: number of proposals of a bracket.
        num_spared: number of proposals of the first bracket, the first ones, that no rung stops.
        least_epochs: the most epochs that the first bracket can take; a smaller budget holds no proposal.
    """

    def __init__(self, *, num_trials: int, num_epochs: int, training_epochs: int, halving: bool) -> None:
        self._num_trials, self._num_epochs, self._training_epochs = num_trials, num_epochs, training_epochs
        self.rungs = rung_epochs(training_epochs) if halving else ()
        self.bracket_size = BRACKET if self.rungs else 1
        self.num_spared = NUM_SPARED if self.rungs else 0  # of the first bracket
        self._bracket_epochs = self.least_epochs = training_epochs
        if self.rungs:
            self._bracket_epochs = bracket_epochs(training_epochs)
            self.least_epochs = bracket_epochs(training_epochs, self.num_spared)
        self._used: Counter[int] = Counter()  # epochs of the trials that are over, by bracket
        self._num_over: Counter[int] = Counter()
        self._num_brackets_over, self._used_by_these = 0, 0

    def note(self, place: int, finished: TrialSummary) -> None:
        """Note the final outcome of proposal number `place`, once."""
        bracket = place // self.bracket_size
        self._used[bracket] += self._epochs_of(finished)
        self._num_over[bracket] += 1
        if self._num_over[bracket] == self.bracket_size:
            self._num_brackets_over += 1
            self._used_by_these += min(self._used[bracket], self._most_epochs(bracket))

    def has_room(self, place: int) -> bool:
        """Whether proposal number `place`, the next one, is certain to be within the budget, by the outcomes so far."""
        return self.num_trials(place) > place

    def num_trials(self, num_proposals: int) -> int:
        """Number of proposals in all, after the first `num_proposals`, if those that are not over run all epochs."""
        if not self._num_epochs:
            return max(self._num_trials, num_proposals)
        num_begun = -(-num_proposals // self.bracket_size)
        left = self._num_epochs - self._used_by_these
        left -= (num_begun - self._num_brackets_over) * self._bracket_epochs
        if self._num_over[0] < self.bracket_size:
            left -= self.least_epochs - self._bracket_epochs
        return self.bracket_size * (num_begun + max(0, left // self._bracket_epochs))

    @property
    def most_trials(self) -> int:
        """The largest number of proposals that any outcomes allow: if all trials end in their first epoch."""
        if not self._num_epochs:
            return self._num_trials
        if self._num_epochs < self.least_epochs:
            return 0
        return self.bracket_size * ((self._num_epochs - self._bracket_epochs) // self.bracket_size + 1)

    def _most_epochs(self, bracket: int) -> int:
        return self._bracket_epochs if bracket else self.least_epochs

    def _epochs_of(self, finished: TrialSummary) -> int:
        if finished.epochs_run is not None:
            return max(1, finished.epochs_run)
        rung = finished.rung
        return self._training_epochs if rung is None or rung >= len(self.rungs) else self.rungs[rung]
