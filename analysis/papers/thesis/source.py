"""The reported numbers of Mianjy's thesis on the theory of dropout."""

from __future__ import annotations

from analysis.papers.source import Source

SOURCE = Source(paper="dropout_theory", folder="thesis")
