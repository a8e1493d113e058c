"""Where a reported number comes from, as far as it is doubtful: shown beside it in every comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ProvenanceNote:
    """A sentence about the reported values of one experiment, or about those of its rows that `applies` picks."""

    paper: str
    experiment: str
    text: str
    applies: Callable[[Mapping[str, str]], bool] = lambda _row: True


PROVENANCE_NOTES: tuple[ProvenanceNote, ...] = (
    ProvenanceNote(
        paper="localdrop",
        experiment="table1",
        text="Baseline near, but not equal to, the one of Zhai and Wang 2018: run again by the authors.",
        applies=lambda row: not row["method"].startswith("localdrop"),
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table1",
        text="The paper does not say which norms (p, q) of the Rademacher regularizer were used.",
        applies=lambda row: row["method"] == "adaptive_dropout_rc",
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table2",
        text="The paper says that no augmentation was used, but baselines here equal public results with augmentation.",
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table6",
        text="Equal to the digit to plain dropout in table 2 on all three data sets: suspicious.",
        applies=lambda row: row["setting"].endswith("block=1"),
    ),
    ProvenanceNote(
        paper="feature_map_distortion",
        experiment="table1",
        text="Copied from Zhai and Wang 2018 (dropout on dense layers only), not run with the same code.",
        applies=lambda row: row["method"] != "feature_map_distortion",
    ),
    ProvenanceNote(
        paper="feature_map_distortion",
        experiment="table3",
        text="Copied from table 1 of the DropBlock paper (Ghiasi et al. 2018), not run with the same code.",
        applies=lambda row: "feature_map_distortion" not in row["method"],
    ),
)


def provenance_note(row: Mapping[str, str]) -> str:
    """All that is known about the origin of a reported value, empty where nothing is doubtful."""
    return " ".join(
        note.text
        for note in PROVENANCE_NOTES
        if (note.paper, note.experiment) == (row["paper"], row["experiment"]) and note.applies(row)
    )
