"""The reported numbers of Mianjy's thesis on the theory of dropout."""

from __future__ import annotations

from analysis.papers.source import ProvenanceNote, Source
from analysis.papers.thesis import adversarial, co_adaptation, completion

_CHAPTERS = (completion, co_adaptation, adversarial)

SOURCE = Source(
    paper="dropout_theory",
    folder="thesis",
    counterpart=lambda row: next(filter(None, (chapter.counterpart(row) for chapter in _CHAPTERS)), None),
    notes=(
        ProvenanceNote(
            experiment="table4-1",
            text="The thesis does not say how MovieLens-10M was split, whether ratings were centred, or whether the "
            "loss is a mean.",
        ),
        ProvenanceNote(
            experiment="table4-1",
            text="The best iterate is chosen on the test ratings themselves, in the thesis as here.",
            applies=lambda row: row["method"] == "early_stopping",
        ),
        ProvenanceNote(
            experiment="fig4-2-text",
            text="The thesis names neither optimizer nor widths: ours are Adam and, for this value, the widest "
            "network of figure 4-2.",
        ),
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
