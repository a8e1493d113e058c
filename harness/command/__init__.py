"""Parts of the command line that `harness.cli` uses: options, cards, tables on a terminal, exit codes."""
