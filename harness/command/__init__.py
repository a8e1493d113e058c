"""The command line around the main path: options, cards, tables on a terminal, exit codes."""
