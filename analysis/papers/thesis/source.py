"""The reported numbers of Mianjy's thesis on the theory of dropout."""

from __future__ import annotations

from analysis.papers.source import ProvenanceNote, Source
from analysis.papers.thesis.adversarial import counterpart

SOURCE = Source(
    paper="dropout_theory",
    folder="thesis",
    counterpart=counterpart,
    notes=(
        ProvenanceNote(
            experiment="table6-1",
            text="The thesis gives neither the number of attack steps nor whether steps are raw, their scale and the "
            "box: ours are read so that the row of the standard model comes out.",
        ),
        ProvenanceNote(
            experiment="table6-2",
            text="The thesis does not say at which radius the networks were attacked in the evaluation: ours is 8/255.",
            applies=lambda row: row["metric"] == "robust_accuracy",
        ),
    ),
)
