"""The reported numbers of Tang et al. 2020, and the tasks that repeat them."""

from __future__ import annotations

from analysis.papers.source import ProvenanceNote, Source

SOURCE = Source(
    paper="feature_map_distortion",
    folder="distortion",
    networks={"ZhaiCNN": "zhai-tang", "ResNet-56": "resnet56", "ResNet-50": "resnet50-tang"},
    says_held_out=frozenset({"ZhaiCNN"}),
    notes=(
        ProvenanceNote(
            experiment="table1",
            text="Copied from Zhai and Wang 2018 (dropout on dense layers only), not run with the same code.",
            applies=lambda row: row["method"] != "feature_map_distortion",
        ),
        ProvenanceNote(
            experiment="table2",
            text="The released code (p = 0.09, step length 5 in its own units) reports the best test accuracy over "
            "epochs.",
            applies=lambda row: row["method"] == "block_feature_map_distortion",
        ),
        ProvenanceNote(
            experiment="table3",
            text="The released code has other settings: p = 0.07, block size 7, step length 1, 540 epochs.",
            applies=lambda row: row["method"] == "block_feature_map_distortion",
        ),
        ProvenanceNote(
            experiment="table3",
            text="Copied from table 1 of the DropBlock paper (Ghiasi et al. 2018), not run with the same code.",
            applies=lambda row: "feature_map_distortion" not in row["method"],
        ),
    ),
    released_settings={("table3", "block_feature_map_distortion"): "block=7;p=0.07;gamma=1;mode=official"},
)
