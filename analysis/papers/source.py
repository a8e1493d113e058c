"""Metadata of the numbers that a paper reports: which of our tasks repeat them, and what is doubtful about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ProvenanceNote:
    """A sentence about the reported values of one experiment, or about the rows of it that `applies` selects."""

    experiment: str
    text: str
    applies: Callable[[Mapping[str, str]], bool] = lambda _row: True


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """Our counterpart of a reported value whose row uses other names for the contestant or the metric than we do.

    Args:
        task: our task.
        regularizer: our contestant.
        setting: its hyperparameters, in the notation of reported settings; empty if it has only one setting.
        metric: our metric, without the prefix of its column.
        convert: converts our value to the paper's unit.
        stand_ins: other tasks that are shown with it but not compared, each with the reason.
    """

    task: str
    regularizer: str
    setting: str
    metric: str
    convert: Callable[[float], float] = float
    stand_ins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The reported numbers of one paper, from `reported.csv` in its folder.

    Two papers may train one network by different protocols, so a reported value belongs only to the task that repeats
    the protocol of its own paper. If the numbers of a paper suggest another protocol than its text, there is a task for
    each.

    Args:
        paper: its name in the column `paper`.
        folder: the package below `analysis.papers` that holds `reported.csv`.
        networks: from the paper's name of a network to the part of our task's name that follows the data set.
        also_augmented: networks that are repeated with augmentation as well, on CIFAR.
        says_held_out: networks for which the paper says which share of the training images it holds out.
        notes: what is doubtful about reported values.
        released_settings: from (experiment, method) to the setting of the released code, if it differs from that of the
            text and a suite runs both.
        counterpart: finds the counterpart of a row that uses other names than ours; None if there is none.
    """

    paper: str
    folder: str
    networks: Mapping[str, str] = field(default_factory=dict)
    also_augmented: frozenset[str] = frozenset()
    says_held_out: frozenset[str] = frozenset()
    notes: tuple[ProvenanceNote, ...] = ()
    released_settings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    counterpart: Callable[[Mapping[str, str]], Counterpart | None] = lambda _row: None

    def note_on(self, row: Mapping[str, str]) -> str:
        """The notes on a reported value as one text, empty if there are none."""
        return " ".join(n.text for n in self.notes if n.experiment == row["experiment"] and n.applies(row))
