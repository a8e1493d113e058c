"""From rows to tables: rankings, timings, importances, sensitivities, and their statistics."""
