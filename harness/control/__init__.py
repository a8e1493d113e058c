"""What another terminal can see and ask of a run, by files of the results folder alone: status, stop, retry."""
