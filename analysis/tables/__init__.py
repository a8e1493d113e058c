"""Tables made from rows: rankings, timings, importances, sensitivities, and statistics over tasks."""
