"""LocalDrop without masks."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "lam": Real(low=1e-4, high=1.0, log=True, source="0.01 to 1 in Lu et al. 2021, table 3, and lower"),
    "m": Integer(low=1, high=30, log=True, in_epochs=True, source="1, 10, 20, 30 in Lu et al. 2021, table 4"),
    "h_dense_fraction": Real(
        low=0.1, high=1.0, source="0.1 to 1 of 2048 in Lu et al. 2021, table 4, but for its 0, which empties layers"
    ),
    "h_conv": Integer(low=1, high=3, source="1 to 3 of 3x3 kernels in Lu et al. 2021, section 5.3"),
}
