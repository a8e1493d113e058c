"""The reported numbers of Lu et al. 2021 (arXiv:2103.00719), and the tasks that repeat them."""

from __future__ import annotations

from analysis.papers.source import ProvenanceNote, Source

SOURCE = Source(
    paper="localdrop",
    folder="localdrop",
    networks={
        "ZhaiCNN": "zhai",
        "ResNet-50": "resnet50",
        "DenseNet": "densenet121",
        "PreActResNet": "preact_resnet18",
        "DPN-92": "dpn92",
    },
    # Its text says that no augmentation was used, and its baselines equal public results that have it.
    also_augmented=frozenset({"ResNet-50", "DenseNet", "PreActResNet", "DPN-92"}),
    notes=(
        ProvenanceNote(
            experiment="table1",
            text="Baseline close to, but not equal to, that of Zhai and Wang 2018: rerun by the authors.",
            applies=lambda row: not row["method"].startswith("localdrop"),
        ),
        ProvenanceNote(
            experiment="table1",
            text="The paper does not say which norms (p, q) of the Rademacher regularizer were used.",
            applies=lambda row: row["method"] == "adaptive_dropout_rc",
        ),
        ProvenanceNote(
            experiment="table2",
            text="The paper says that no augmentation was used, but baselines here equal public results with "
            "augmentation.",
        ),
        *(
            ProvenanceNote(
                experiment=experiment,
                text="The paper speaks of images of 32 x 32 pixels; errors like these are reached at 224 x 224 only.",
                applies=lambda row: row["dataset"] == "ILSVRC-2012",
            )
            for experiment in ("table2", "table6", "table7")
        ),
        ProvenanceNote(
            experiment="table4",
            text="With the printed threshold, h = 0 would set dense layers to zero; the one used was probably smaller.",
            applies=lambda row: "h=0;" in row["setting"],
        ),
        ProvenanceNote(
            experiment="table4",
            text="The same number in every row: with h = 2048 the second stage is off, for any m.",
            applies=lambda row: "h=2048;" in row["setting"],
        ),
        ProvenanceNote(
            experiment="table6",
            text="The paper says that no augmentation was used, which its baselines in table 2 contradict.",
        ),
        ProvenanceNote(
            experiment="table6",
            text="Equal in all digits to plain dropout in table 2 on all three data sets, which is suspicious.",
            applies=lambda row: row["setting"].endswith("block=1"),
        ),
    ),
)

WIDTH_TASKS: dict[str, int] = {  # figure 1a: units of each dense layer of the first model
    "cifar10-zhai-width-200": 200,
    "cifar10-zhai-width-400": 400,
    "cifar10-zhai-width-800": 800,
    "cifar10-zhai-width-1600": 1600,
    "cifar10-zhai": 2048,
}
