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
    *(
        ProvenanceNote(
            paper="localdrop",
            experiment=experiment,
            text="The paper speaks of images of 32 x 32 pixels; errors like these are reached at 224 x 224 only.",
            applies=lambda row: row["dataset"] == "ILSVRC-2012",
        )
        for experiment in ("table2", "table6", "table7")
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table4",
        text="At the printed threshold h = 0 would wipe out the dense layers: the one used was probably smaller.",
        applies=lambda row: "h=0;" in row["setting"],
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table4",
        text="One number in every row: with h = 2048 the second stage is off, whatever m is.",
        applies=lambda row: "h=2048;" in row["setting"],
    ),
    ProvenanceNote(
        paper="localdrop",
        experiment="table6",
        text="The paper says that no augmentation was used, which its baselines in table 2 speak against.",
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
        experiment="table2",
        text="The released code (p = 0.09, step length 5 in its own units) reports the best test accuracy over epochs.",
        applies=lambda row: row["method"] == "block_feature_map_distortion",
    ),
    ProvenanceNote(
        paper="feature_map_distortion",
        experiment="table3",
        text="The released code has other settings: p = 0.07, block size 7, step length 1, 540 epochs.",
        applies=lambda row: row["method"] == "block_feature_map_distortion",
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
