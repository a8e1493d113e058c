"""Status, stop and retry of a run from another terminal, through files in the results folder."""
