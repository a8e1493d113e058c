"""Applying a mask: the quick way on a CPU is the obvious product, in values, gradients and gradients of gradients."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context
from tasks.regularizers.block_feature_map_distortion import BlockDistortion, BlockFeatureMapDistortion
from tasks.regularizers.concrete_dropout import ConcreteDropout, ConcreteMask
from tasks.regularizers.dropblock import BlockMask, DropBlock
from tasks.regularizers.generalized_dropout import FamilyMask, GeneralizedDropout
from tasks.regularizers.parts import masking
from tasks.regularizers.parts.correlated_mask import CorrelatedMask
from tasks.regularizers.parts.masking import apply_mask, dropped_positions, realised_scale
from tasks.runtime.streams import MaskStream
from tasks.sites import Site

SHAPES = {  # of the values, of the mask, of the scale (None: a number)
    "units": ((3, 4), (3, 4), None),
    "maps": ((2, 3, 4, 5), (2, 3, 4, 5), None),
    "one mask for all channels": ((2, 3, 4, 5), (2, 1, 4, 5), None),
    "a scale for every pixel": ((2, 3, 4, 5), (2, 3, 4, 5), (4, 5)),
    "a scale for every unit": ((3, 4), (3, 4), (1, 4)),
    "a scale as a tensor": ((3, 4), (3, 4), ()),
}


def case(name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, float | Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape, mask_shape, scale_shape = SHAPES[name]
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    keep = torch.rand(mask_shape, generator=generator) < 0.6
    if scale_shape is None:
        return x, keep, 1 / 0.7
    return x, keep, 1 + torch.rand(scale_shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_the_product_in_the_precision_of_the_values(name: str, dtype: torch.dtype) -> None:
    x, keep, scale = case(name, dtype)
    y = apply_mask(x, keep, scale)
    assert y.dtype == dtype
    exact = x.double() * keep.double() * scale
    torch.testing.assert_close(y.double(), exact, rtol=2 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", ["units", "maps", "a scale as a tensor"])
def test_factors_and_the_compiled_loop_give_the_same_bits(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, keep, scale = case(name, dtype)
    x.view(-1)[:4] = torch.tensor([math.inf, -math.inf, math.nan, -0.0])
    results = []
    for max_factors, min_compiled in ((math.inf, math.inf), (0, math.inf), (0, 1)):
        monkeypatch.setattr(masking, "MAX_FACTORS", max_factors)
        monkeypatch.setattr(masking, "MIN_COMPILED", min_compiled)
        leaf = x.clone().requires_grad_()
        y = apply_mask(leaf, keep, scale)
        y.backward(torch.arange(x.numel(), dtype=dtype).view(x.shape) / 7)
        results.append([tensor.detach().numpy().tobytes() for tensor in (y, leaf.grad)])
    assert "tasks.regularizers.parts.masking_compiled" in sys.modules
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_large_values_take_another_way_to_the_same_bits(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, keep, scale = case(name, dtype)
    weights, found = torch.randn(x.shape, dtype=dtype, generator=torch.Generator().manual_seed(1)), []
    monkeypatch.setattr(masking, "MAX_FACTORS", 0)
    for largest_kept_bytes in (0, 2**60):
        monkeypatch.setattr(masking, "LARGEST_KEPT_BYTES", largest_kept_bytes)
        values = x.clone().requires_grad_()
        y = apply_mask(values, keep, scale)
        (gradient,) = torch.autograd.grad((y * weights).sum(), values)
        found.append((y.detach(), gradient))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("max_factors", [0, math.inf])
@pytest.mark.parametrize("name", SHAPES)
def test_its_gradients_match_finite_differences_to_second_order(
    name: str, max_factors: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "MAX_FACTORS", max_factors)
    x, keep, scale = case(name, torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: apply_mask(values, keep, scale), x)
    assert torch.autograd.gradgradcheck(lambda values: apply_mask(values, keep, scale).pow(3), x)


@pytest.mark.parametrize("max_factors", [0, math.inf])
@pytest.mark.parametrize("name", ["maps", "a scale for every pixel"])
def test_the_layout_in_memory_is_of_no_account(name: str, max_factors: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "MAX_FACTORS", max_factors)
    x, keep, scale = case(name, torch.float32)
    scattered = x.to(memory_format=torch.channels_last).requires_grad_()
    packed = x.clone().requires_grad_()
    assert not scattered.is_contiguous()
    outputs = [apply_mask(values, keep, scale) for values in (scattered, packed)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    assert torch.equal(scattered.grad, packed.grad)


def test_values_and_mask_are_left_as_they_were() -> None:
    x, keep, scale = case("maps", torch.float32)
    before = x.clone(), keep.clone()
    apply_mask(x, keep, scale).add_(1)
    assert torch.equal(x, before[0])
    assert torch.equal(keep, before[1])


@pytest.mark.parametrize("num_kept", [0, 1, 5, 12])
def test_the_realised_scale_is_the_size_over_the_number_kept_or_1(num_kept: int) -> None:
    keep = (torch.arange(12) < num_kept).view(3, 4)
    assert float(realised_scale(keep)) == (12 / num_kept if num_kept else 1.0)


def test_dropped_positions_are_where_the_mask_is_false() -> None:
    keep = torch.tensor([[True, False, True], [False, True, True]])
    assert dropped_positions(keep).tolist() == [1, 3]
    assert dropped_positions(torch.ones(2, 2, dtype=torch.bool)).tolist() == []


@pytest.mark.parametrize("scale", [1 / 0.9, torch.tensor(1 / 0.9, dtype=torch.float64)], ids=["number", "tensor"])
def test_in_16_bits_the_mean_is_kept_though_the_scale_is_no_such_number(scale: float | Tensor) -> None:
    """1 / 0.9 rounded to bf16 keeps 0.9984 of the mean; products rounded one by one keep all of it."""
    values = (1 + torch.rand(200_000, generator=torch.Generator().manual_seed(0))).bfloat16()
    scaled = apply_mask(values, torch.ones(len(values), dtype=torch.bool), scale)
    assert scaled.dtype == torch.bfloat16
    assert float(scaled.double().mean() / values.double().mean()) == pytest.approx(1 / 0.9, rel=2e-4)


def unit_law(rate: float, width: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of independent masks of a width."""
    return torch.full((width,), 1 - rate), rate * (1 - rate) * torch.eye(width)


CONTEXT = Context(
    seed=0, device=torch.device("cpu"), name="", num_train_samples=1, num_epochs=1, num_steps=1, learning_rate=0.1
)
MASKS: dict[str, Callable[[MaskStream], nn.Module]] = {
    "dropblock": lambda stream: BlockMask(DropBlock(drop_rate=0.1, block_size=2, scaling="expected"), stream),
    "block_feature_map_distortion": lambda stream: BlockDistortion(
        BlockFeatureMapDistortion(distortion_rate=0.1, block_size=2, step_size=0, scaling="expected"),
        Site("conv"),
        stream,
    ),
    "generalized_dropout": lambda stream: FamilyMask(GeneralizedDropout(mean=0.9, deviation=0.3), stream),
    "generalized_dropout, gaussian": lambda stream: FamilyMask(GeneralizedDropout(values="gaussian"), stream),
    "concrete_dropout": lambda stream: ConcreteMask(ConcreteDropout(initial_drop_rate=0.1), CONTEXT, stream),
    "any covariance": lambda stream: CorrelatedMask(*unit_law(0.1, 16), stream, values="binary"),
    "any covariance, gaussian": lambda stream: CorrelatedMask(*unit_law(0.1, 16), stream, values="gaussian"),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", MASKS)
def test_in_16_bits_a_mask_is_the_product_in_32_bits_rounded_once(name: str, dtype: torch.dtype) -> None:
    """A scale rounded to 16 bits would be off by half a unit more, the same way at every step."""
    x = 1 + torch.rand(64, 16, generator=torch.Generator().manual_seed(0))
    x = (x.view(8, 8, 4, 4) if "block" in name else x).to(dtype)
    exact, rounded = (
        MASKS[name](MaskStream(0, "mask", torch.device("cpu"))).train()(values) for values in (x.float(), x)
    )
    assert rounded.dtype == dtype
    assert exact.count_nonzero() > 100
    torch.testing.assert_close(rounded.float(), exact, rtol=torch.finfo(dtype).eps / 2 * 1.01, atol=1e-7)
