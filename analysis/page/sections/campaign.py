"""The campaign: winners, failures, skipped cells, trials by role and status, versions and machines."""

from __future__ import annotations

from typing import Any

from analysis.page import tables as page_tables
from analysis.page.files import Files
from analysis.page.source import Source
from analysis.page.tables import table_of, with_scale
from analysis.shown import tables as shown
from analysis.tables import campaign as made


def campaign(source: Source, files: Files) -> dict[str, Any]:
    """The tables."""
    trials = source.trials
    frozen, failed = made.frozen_winners(trials), made.failures(trials)
    skipped, origin = made.skipped_cells(trials), made.provenance(trials)
    for name, frame in (("frozen", frozen), ("failed", failed), ("skipped", skipped), ("origin", origin)):
        files.table(name, frame)
    return {
        "counts": page_tables.counts(made.status_counts(trials)),
        "failed": page_tables.failed(failed),
        "num_failures": len(failed),
        "skipped": table_of(skipped, with_scale(shown.SKIPPED, skipped["scale"])),
        "origin": page_tables.origin(origin),
    }
