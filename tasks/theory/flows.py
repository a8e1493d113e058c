"""Dropout in two-layer ReLU networks: its explicit regularizer, the flows of hidden units, and the complexity bound.

A network maps x to U relu(V x) with `output_weights` U (..., K, d1) and `hidden_weights` V (..., d1, d0), shaped as
those of `torch.nn.Linear`; the rows of `inputs` X (n, d0) are examples. The loss is the mean of ||y - U relu(V x)||^2.
Masks on the hidden units are Ber(1 - p) / (1 - p).

Source: Mianjy, PhD thesis (Johns Hopkins University), section 4.3; Arora, Bartlett, Mianjy and Srebro 2020,
"Dropout: Explicit forms and capacity control".
"""

import math
from typing import Literal

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_alike,
    require_equal_sizes,
    require_finite,
    require_floating,
    require_matrix,
    require_positive_semidefinite,
)
from tasks.theory.matrix_completion import dropout_strength, require_probabilities


def relu_second_moments(hidden_weights: Tensor, inputs: Tensor, symmetrised: bool = False) -> Tensor:
    """Mean squared activation of each hidden unit.

    Formula:
        a_j^2 = (1 / n) sum_i relu(<v_j, x_i>)^2. Symmetrised, each input changes its sign with probability 1/2, and the
        mean over signs is a'_j^2 = (1 / 2n) sum_i <v_j, x_i>^2, so that no signs need be drawn.

    Args:
        hidden_weights: V (..., d1, d0).
        inputs: X (n, d0). The thesis estimates a_j on inputs held out from training.
        symmetrised: whether signs are averaged over.

    Returns:
        a_j^2 (not a_j), shape (..., d1).

    Source:
        Section 4.3, below eq. 4.5, and Corollary 3; checked by enumerating all signs.

    Raises:
        ValueError: if a matrix is not finite or the widths differ.

    Example:
        >>> inputs = torch.tensor([[1.0], [-3.0]], dtype=torch.float64)
        >>> weights = torch.tensor([[2.0]], dtype=torch.float64)
        >>> relu_second_moments(weights, inputs), relu_second_moments(weights, inputs, symmetrised=True)
        (tensor([2.], dtype=torch.float64), tensor([10.], dtype=torch.float64))
    """
    require_matrix("hidden_weights", hidden_weights)
    require_matrix("inputs", inputs)
    require_alike(hidden_weights=hidden_weights, inputs=inputs)
    sizes = (hidden_weights.shape[-1], inputs.shape[-1])
    require_equal_sizes("hidden_weights and inputs must have the same number of columns", sizes)
    before = inputs @ hidden_weights.mT
    if symmetrised:
        return before.square().mean(-2) / 2
    return before.relu().square().mean(-2)


def flows(output_weights: Tensor, second_moments: Tensor) -> Tensor:
    """The flow through each hidden unit, a measure of its contribution to the output.

    Formula:
        psi_j = ||u_j|| a_j, u_j the j-th column of U.

    Args:
        output_weights: U (..., K, d1).
        second_moments: a_j^2, shape (..., d1), of `relu_second_moments`.

    Returns:
        psi >= 0, shape (..., d1).

    Source:
        Section 4.6 for one output (|u_j|); with more, the norm, which makes p / (1 - p) sum_j psi_j^2 the regularizer.

    Raises:
        ValueError: if the weights are not finite, the widths differ, or a second moment is negative.

    Example:
        >>> flows(torch.tensor([[3.0, 0.0], [4.0, 1.0]]), torch.tensor([4.0, 9.0]))
        tensor([10.,  3.])
    """
    require_matrix("output_weights", output_weights)
    _require_nonnegative_vector("second_moments", second_moments)
    sizes = (second_moments.shape[-1], output_weights.shape[-1])
    require_equal_sizes("second_moments must hold one number for each column of output_weights", sizes)
    norms: Tensor = torch.linalg.vector_norm(output_weights, dim=-2)
    return norms * second_moments.sqrt()


def co_adaptation(flows: Tensor) -> Tensor:
    """How evenly the hidden units contribute: 1 if all flows are equal, smaller if few dominate.

    Formula:
        phi = ||psi||_1 / (sqrt(d1) ||psi||_2), between 1 / sqrt(d1) (a single non-zero flow) and 1.

    Args:
        flows: psi >= 0, shape (..., d1).

    Returns:
        phi, shape (...); NaN where all flows are zero.

    Source:
        Section 4.6. Despite its name a large value means little co-adaptation.

    Raises:
        ValueError: if there is no flow, or one is negative or not finite.

    Example:
        >>> co_adaptation(torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.0, 0.0]]))
        tensor([1.0000, 0.5000])
    """
    _require_nonnegative_vector("flows", flows)
    shares = flows / flows.amax(-1, keepdim=True)  # avoids under- and overflow of squares
    evenness: Tensor = shares.sum(-1) / (math.sqrt(flows.shape[-1]) * torch.linalg.vector_norm(shares, dim=-1))
    return evenness


def flow_norm(flows: Tensor) -> Tensor:
    """Total flow, on which the complexity of the network depends.

    Formula:
        alpha = sum_j psi_j <= sqrt(d1 R / lambda), R the regularizer with its strength lambda = p / (1 - p).

    Args:
        flows: psi >= 0, shape (..., d1).

    Returns:
        alpha, shape (...).

    Source:
        Eq. 4.5. Corrected: the text before Proposition 2 has the inequality with sqrt(d1 R), which is wrong if R
        includes its strength (eq. 4.4, Proposition 5) and p < 1/2.

    Raises:
        ValueError: if there is no flow, or one is negative or not finite.

    Example:
        >>> flow_norm(torch.tensor([10.0, 3.0]))
        tensor(13.)
    """
    _require_nonnegative_vector("flows", flows)
    return flows.sum(-1)


def relu_regularizer(output_weights: Tensor, hidden_weights: Tensor, inputs: Tensor, drop_rate: float) -> Tensor:
    """What dropout on the hidden units adds to the mean squared error, without sampling.

    Formula:
        R = p / (1 - p) sum_j ||u_j||^2 a_j^2.

    Args:
        output_weights: U (..., K, d1).
        hidden_weights: V (..., d1, d0).
        inputs: X (n, d0).
        drop_rate: p in [0, 1).

    Returns:
        R with its strength, shape (...).

    Source:
        Eq. 4.4 and Proposition 5; checked by enumerating all masks. The thesis uses R without p / (1 - p) in
        eq. 4.2, in the bound on alpha and in Theorem 13.

    Raises:
        ValueError: if a matrix is not finite, shapes do not fit, or p lies outside [0, 1).

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> relu_regularizer(2 * one, one, 3 * one, drop_rate=0.5)  # 1 * 2^2 * 3^2
        tensor(36., dtype=torch.float64)
    """
    strength = dropout_strength(drop_rate)
    flow = flows(output_weights, relu_second_moments(hidden_weights, inputs))
    return strength * flow.square().sum(-1)


def path_norm_regularizer(
    output_weights: Tensor,
    hidden_weights: Tensor,
    drop_rate: float,
    variant: Literal["derived", "printed"] = "derived",
) -> Tensor:
    """Expected regularizer of dropout for symmetric and isotropic inputs: the squared path norm.

    Formula:
        derived: R = (lambda / 2) sum_j ||u_j||^2 ||v_j||^2, lambda = p / (1 - p), if P(x) = P(-x) and E xx' = I.
        printed: the same without lambda.

    Args:
        output_weights: U (..., K, d1).
        hidden_weights: V (..., d1, d0).
        drop_rate: p in [0, 1).
        variant: "derived", or "printed" for the formula of the main text.

    Returns:
        R, shape (...).

    Source:
        Proposition 6 (eq. 4.8). Corrected: section 4.3 prints it without lambda, and the proof's second last line
        without 1/2; checked by a symmetric distribution with few points and by enumerating masks.

    Raises:
        ValueError: if a matrix is not finite, the widths differ, p lies outside [0, 1), or the variant is unknown.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> [float(path_norm_regularizer(2 * one, one, 0.75, variant=v)) for v in ("derived", "printed")]
        [6.0, 2.0]
    """
    if variant not in ("derived", "printed"):
        raise ValueError(f"variant must be 'derived' or 'printed', got {variant!r}.")
    strength = dropout_strength(drop_rate)
    require_matrix("output_weights", output_weights)
    require_matrix("hidden_weights", hidden_weights)
    require_alike(output_weights=output_weights, hidden_weights=hidden_weights)
    sizes = (output_weights.shape[-1], hidden_weights.shape[-2])
    require_equal_sizes("output_weights must have one column for each row of hidden_weights", sizes)
    paths = (output_weights.square().sum(-2) * hidden_weights.square().sum(-1)).sum(-1)
    return paths / 2 if variant == "printed" else strength / 2 * paths


def mahalanobis_norm(inputs: Tensor, second_moment: Tensor | None = None) -> Tensor:
    """Norm of the data relative to its second moment (Mahalanobis norm).

    Formula:
        ||X||_{C+} = sqrt(sum_i x_i' C+ x_i), C+ the pseudo-inverse of C = E xx'. With C estimated on the same inputs it
        is sqrt(n rank X).

    Args:
        inputs: X (..., n, d0).
        second_moment: C (..., d0, d0), of the inputs' distribution or of other inputs; None estimates it on X.

    Returns:
        The norm, shape (...).

    Source:
        Theorem 12.

    Raises:
        ValueError: if the inputs are not finite, or C is not positive semidefinite or of another size.

    Example:
        >>> inputs = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
        >>> float(mahalanobis_norm(inputs, torch.eye(2, dtype=torch.float64)))
        5.0
    """
    require_matrix("inputs", inputs)
    if second_moment is None:
        return _root_of_count_times_rank(inputs)
    require_positive_semidefinite("second_moment", second_moment)
    sizes = (second_moment.shape[-1], inputs.shape[-1])
    require_equal_sizes("second_moment must have one row for each column of inputs", sizes)
    inverse = torch.linalg.pinv(second_moment, hermitian=True)
    norm: Tensor = ((inputs @ inverse) * inputs).sum((-2, -1)).sqrt()
    return norm


def rademacher_bound(
    flow_norm: float | Tensor, inputs: Tensor, retentivity: float, second_moment: Tensor | None = None
) -> Tensor:
    """Upper bound on the Rademacher complexity of all ReLU networks whose total flow is limited.

    Formula:
        R_S(F_alpha) <= 2 alpha ||X||_{C+} / (n sqrt(beta)), F_alpha all networks with one output and
        sum_j |u_j| a_j <= alpha, of any width.

    Args:
        flow_norm: alpha >= 0, with a_j under the inputs' distribution, shape (...).
        inputs: X (n, d0).
        retentivity: beta in (0, 1/2] of the distribution; 1/2 if it is symmetric, as for symmetrised data.
        second_moment: C of the distribution (d0, d0); None estimates it on X.

    Returns:
        The bound, shape (...).

    Source:
        Theorem 12; checked by enumerating all signs. Corollary 2 has the same term, but prints sqrt(beta n) for
        n sqrt(beta), with which the bound would not decrease with n.

    Raises:
        ValueError: as `mahalanobis_norm`, if alpha is negative or not finite, or beta lies outside (0, 1/2].

    Example:
        >>> inputs = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=torch.float64)
        >>> float(rademacher_bound(3.0, inputs, 0.25))  # 2 * 3 * sqrt(4) / (4 * 1/2)
        6.0
    """
    if not 0 < retentivity <= 0.5:
        raise ValueError(f"retentivity must lie in (0, 1/2], got {retentivity}.")
    alpha = torch.as_tensor(flow_norm, dtype=inputs.dtype, device=inputs.device)
    _require_nonnegative_vector("flow_norm", alpha.reshape(-1))
    return 2 * alpha * mahalanobis_norm(inputs, second_moment) / (inputs.shape[-2] * math.sqrt(retentivity))


def retentivity(points: Tensor, probabilities: Tensor) -> Tensor:
    """Least fraction of the second moment that a ReLU keeps, over all directions; exact for points in a plane.

    Formula:
        beta = min over v with E <v, x>^2 > 0 of E relu(<v, x>)^2 / E <v, x>^2 <= 1/2. In the plane and with E xx' = I,
        the numerator is a quadratic form between neighbouring directions that are orthogonal to a point, so the minimum
        is at one of these directions or at a stationary point of such a form.

    Args:
        points: (n, d0), which span a line or a plane through the origin.
        probabilities: of the points, shape (n,).

    Returns:
        beta, a scalar: 1/2 for a symmetric distribution, 0 if all points lie in one half-plane and not all on its
        border.

    Source:
        Assumption 1 (under which a distribution is beta-retentive for any smaller beta too); checked by a fine grid of
        directions.

    Raises:
        ValueError: if the points are not finite, all zero or span more than a plane, or the probabilities are not a
            distribution.

    Example:
        >>> points = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
        >>> round(float(retentivity(points, torch.tensor([0.5, 0.5]).double())), 6)  # 1 / (1 + 4)
        0.2
    """
    require_matrix("points", points)
    require_equal_sizes("points must be a matrix of 2 dimensions", (points.dim(), 2))
    require_probabilities("probabilities", probabilities, len(points))
    white = _whitened(points, probabilities)
    if white.shape[1] == 1:
        directions = white.new_tensor([[1.0], [-1.0]])
    else:
        angles = _candidate_angles(white, probabilities)
        directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    return ((directions @ white.T).relu().square() @ probabilities).min()


def _whitened(points: Tensor, probabilities: Tensor) -> Tensor:
    """The points in coordinates of their span in which E xx' = I, shape (n, 1) or (n, 2)."""
    _, values, right = torch.linalg.svd(probabilities.sqrt()[:, None] * points, full_matrices=False)
    rounding = max(points.shape) * torch.finfo(points.dtype).eps * float(values[0])
    rank = int((values > rounding).sum())
    if rank not in (1, 2):
        raise ValueError(f"points must span a line or a plane, got {rank} dimensions.")
    white: Tensor = points @ right[:rank].T / values[:rank]
    return white


def _candidate_angles(white: Tensor, probabilities: Tensor) -> Tensor:
    """Angles that include the minimiser: those orthogonal to a point, and stationary points of the quadratic forms."""
    angles = torch.atan2(white[:, 1], white[:, 0])
    borders = torch.cat([angles + math.pi / 2, angles - math.pi / 2]).remainder(2 * math.pi).sort().values
    middles = borders + torch.diff(borders, append=borders[:1] + 2 * math.pi) / 2
    active = (torch.stack([middles.cos(), middles.sin()], dim=1) @ white.T > 0).to(white.dtype) * probabilities
    mixed = active @ (white[:, 0] * white[:, 1])
    difference = active @ (white[:, 0].square() - white[:, 1].square())
    stationary = (torch.atan2(2 * mixed, difference) + math.pi) / 2
    return torch.cat([borders, stationary, stationary + math.pi])


def _root_of_count_times_rank(inputs: Tensor) -> Tensor:
    ranks = torch.linalg.matrix_rank(inputs.detach())
    norm: Tensor = (inputs.shape[-2] * ranks.to(inputs.dtype)).sqrt()
    return norm


def _require_nonnegative_vector(name: str, value: Tensor) -> None:
    if value.dim() < 1 or value.numel() == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(value.shape)}.")
    require_floating(name, value)
    require_finite(name, value)
    smallest = float(value.detach().min())
    if smallest < 0:
        raise ValueError(f"{name} must not be negative, got {smallest}.")
