"""The factor model of matrix completion, with a site at its hidden units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tasks.sites import Site


class FactorModel(nn.Module):
    """(r, c) -> sum_i site(U_r o V_c)_i: the entry at row r and column c of UV', with a hidden site at its d units.

    Entries of U and V are drawn from N(0, 2 / d).

    Args:
        num_rows, num_columns: a and b, rows of U and V.
        width: d.
        generator: of the initial weights; None: tensors without values, on torch's `meta` device.

    Attributes:
        row_factors, column_factors: embeddings with the weights U (a, d) and V (b, d).
        row_probabilities, column_probabilities: float64 (a,) and (b,), frequencies of rows and columns among the
            training entries, set by `observe`; uniform before.

    Source:
        Mianjy's thesis, section 4.2; initial weights of section 4.6 (He et al. 2015).
    """

    row_probabilities: Tensor
    column_probabilities: Tensor

    def __init__(self, num_rows: int, num_columns: int, width: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.row_factors, self.column_factors = (
            nn.Embedding(size, width, _weight=_initial(size, width, generator)) for size in (num_rows, num_columns)
        )
        self.site = Site("hidden")
        for name, size in (("row", num_rows), ("column", num_columns)):
            uniform = torch.full((size,), 1 / size, dtype=torch.float64)
            self.register_buffer(f"{name}_probabilities", uniform, persistent=False)

    def forward(self, places_B2: Tensor) -> Tensor:
        """Entries (B, 1) at rows and columns (B, 2) int64."""
        rows, columns = places_B2.unbind(1)
        hidden: Tensor = self.site(self.row_factors(rows) * self.column_factors(columns))
        return hidden.sum(1, keepdim=True)

    @torch.no_grad()
    def observe(self, places_N2: Tensor) -> None:
        """Set the probabilities to the frequencies in these observed entries (N, 2)."""
        for probabilities, observed in zip(
            (self.row_probabilities, self.column_probabilities), places_N2.unbind(1), strict=True
        ):
            probabilities.copy_(torch.bincount(observed, minlength=len(probabilities)).double() / len(places_N2))

    def factors(self) -> tuple[Tensor, Tensor]:
        """U (a, d) and V (b, d), differentiable."""
        return self.row_factors.weight, self.column_factors.weight

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """The probabilities (a,) of rows and (b,) of columns."""
        return self.row_probabilities, self.column_probabilities


def _initial(size: int, width: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return torch.empty(size, width, device="meta")
    return math.sqrt(2 / width) * torch.randn(size, width, generator=generator)
