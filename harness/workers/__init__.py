"""The processes and machines that trials run on: child processes, clusters, signals, temporary folders."""
