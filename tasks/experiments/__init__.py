"""What is run: one folder per paper or collection, each with its protocols, tasks and suites."""
