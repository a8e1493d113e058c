"""The laws of `regarena check`: what contestants, tasks, architectures, data sets and suites must fulfil.

A law is a function of one entry that yields a sentence for each violation. Its name is the statement that holds if it
yields none. The tests check regarena's own entries by the same laws.
"""
