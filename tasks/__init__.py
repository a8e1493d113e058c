"""The subject of the benchmark: what is measured. It uses torch; nothing here imports Ray, Optuna, Arrow or pandas.

Package `__init__` files hold tables and prose, never behaviour: importing them must not import torch, and the
code version of a trial leaves them out, so that a new line in a table does not make old trials stale.

Legend of shape letters at the end of tensor names: B batch, C channels, H height, W width, D features of a dense
layer or hidden units, O output units, K classes, L number of sites or layers.
"""
