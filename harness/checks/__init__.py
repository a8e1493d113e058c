"""What `regarena check` measures: the laws that contestants, tasks, networks, data sets and suites must keep.

A law is a function of what is checked that yields a sentence for each way in which it is broken; its name is what holds
where it yields none. The tests hold regarena's own entries to the same laws.
"""
