"""What is to be known of the numbers that one paper reports: which tasks of ours repeat them, and what is doubtful."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ProvenanceNote:
    """A sentence about the reported values of one experiment, or about those of its rows that `applies` picks."""

    experiment: str
    text: str
    applies: Callable[[Mapping[str, str]], bool] = lambda _row: True


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """What of ours repeats a reported value whose row names neither our contestant nor our metric.

    Args:
        task: our task.
        regularizer: our contestant.
        setting: its hyperparameters, as a reported setting is written; empty for its only setting.
        metric: our metric, without the prefix of its column.
        convert: how ours reads in the paper's unit.
        stand_ins: tasks that are shown beside it as well, each with the reason why it cannot be compared.
    """

    task: str
    regularizer: str
    setting: str
    metric: str
    convert: Callable[[float], float] = float
    stand_ins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The reported numbers of one paper, which stand in `reported.csv` of its folder.

    Two papers may train one network by different protocols, so a reported value belongs to the task that repeats its
    own paper's protocol, and to no other. Where a paper says one protocol and its numbers look like another, both are
    tasks.

    Args:
        paper: its name in the column `paper`.
        folder: the package below `analysis.papers` that holds `reported.csv`.
        networks: the network as the paper calls it -> our task's name after that of the data set.
        also_augmented: networks that are repeated with augmentation as well, on CIFAR.
        says_held_out: networks for which the paper says which share of the training images it holds out.
        notes: what is doubtful about reported values.
        released_settings: (experiment, method) -> setting of the released code, where it is not that of the text and a
            suite runs both.
        counterpart: finds what repeats a row whose words are not ours; None where there is nothing.
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
        """All that is known about the origin of a reported value, empty where nothing is doubtful."""
        return " ".join(n.text for n in self.notes if n.experiment == row["experiment"] and n.applies(row))
