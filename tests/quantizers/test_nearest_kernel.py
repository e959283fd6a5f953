"""The kernel of nearest codes against distances in float64: on a GPU, or on the CPU through Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_plugins.quantizers.nearest import fused_nearest_codes, nearest_codes, tabled_nearest_codes
from tests.triton_kernels import DEVICE, IS_ON_GPU, needs_triton

cases = pytest.mark.parametrize(
    ("groups", "tokens", "codes", "dim"), [(1, 150, 200, 64), (2, 33, 7, 17), (3, 130, 129, 5), (1, 20, 40, 300)]
)


def drawn(groups: int, tokens: int, codes: int, dim: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(groups, tokens, dim, device=DEVICE), torch.randn(groups, codes, dim, device=DEVICE)


def require_nearest(chosen_GM: Tensor, tokens_GMd: Tensor, codebook_GKd: Tensor, slack: float = 0.0) -> None:
    """No code is nearer than those chosen by more than 1e-5 of the squared distance, and `slack`."""
    distances_GMK = torch.cdist(tokens_GMd.double(), codebook_GKd.double()).square()
    chosen = distances_GMK.gather(2, chosen_GM[..., None])[..., 0]
    assert (chosen <= distances_GMK.amin(2) * (1 + 1e-5) + slack).all()


@needs_triton
@cases
def test_codes_are_those_of_the_smallest_distance(groups: int, tokens: int, codes: int, dim: int) -> None:
    given, codebook = drawn(groups, tokens, codes, dim)
    require_nearest(fused_nearest_codes(given, codebook), given, codebook)


@needs_triton
def test_tokens_may_be_slices_of_an_embedding_and_of_fewer_bits() -> None:
    given, codebook = drawn(1, 50, 20, 12)
    tokens_GMd, codebook_GKd = given[0].view(50, 3, 4).transpose(0, 1), codebook[0].view(20, 3, 4).transpose(0, 1)
    require_nearest(fused_nearest_codes(tokens_GMd, codebook_GKd), tokens_GMd, codebook_GKd)
    half = given.bfloat16()
    require_nearest(fused_nearest_codes(half, codebook), half, codebook)


@needs_triton
def test_a_common_offset_costs_no_precision() -> None:
    given, codebook = drawn(1, 100, 60, 32)
    # Distances near 0.1, of vectors of length 600, which a product in float32 knows to 0.04.
    given, codebook = 100 + given / 100, 100 + codebook / 100
    require_nearest(fused_nearest_codes(given, codebook), given, codebook)


@needs_triton
def test_of_codes_too_close_for_the_first_look_the_nearer_is_found() -> None:
    _, codebook = drawn(1, 1, 65, 32)
    # Twins, a hundredth apart, and tokens almost half way between them: scores differ by 5e-6 of |c|².
    twins = torch.stack((codebook, codebook * 1.01), 2).flatten(1, 2)
    towards = torch.where(torch.arange(65, device=DEVICE) % 2 == 0, 1.0045, 1.0055)[:, None]
    given = codebook * towards
    expected = torch.cdist(given.double(), twins.double()).argmin(-1)
    assert expected.unique().numel() == 65
    assert (expected % 2).unique().numel() == 2
    assert torch.equal(fused_nearest_codes(given, twins), expected)


@needs_triton
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e12])
def test_tokens_may_be_much_larger_or_smaller_than_codes(scale: float) -> None:
    given, codebook = drawn(1, 40, 30, 16)
    given *= scale * torch.logspace(-4, 4, 40, device=DEVICE)[:, None]
    # What float32 tells apart, of products of this length.
    slack = 2.0**-20 * float(given.norm(dim=-1).max() * codebook.norm(dim=-1).max()) if scale >= 1 else 0.0
    require_nearest(fused_nearest_codes(given, codebook), given, codebook, slack)


@needs_triton
def test_of_equally_near_codes_the_first_is_taken() -> None:
    around = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [2.0, 2.0]]], device=DEVICE)
    assert fused_nearest_codes(around, torch.ones(1, 300, 2, device=DEVICE)).tolist() == [[0, 0, 0, 0]]
    # Of eighths, with a mean of zero, so that no sum is rounded, in whichever order it is taken.
    given, codebook = ((drawing * 8).round() / 8 for drawing in drawn(1, 60, 25, 8))
    codebook = torch.cat([codebook, -codebook], dim=1)
    once = fused_nearest_codes(given, codebook)
    assert torch.equal(fused_nearest_codes(given, codebook.repeat(1, 6, 1)), once)


@needs_triton
def test_what_is_not_finite_gets_some_code_and_leaves_the_others_alone() -> None:
    given, codebook = drawn(1, 60, 50, 8)
    expected = fused_nearest_codes(given, codebook)
    given[0, 3], given[0, 5, 1] = torch.nan, torch.inf
    chosen = fused_nearest_codes(given, codebook)
    assert chosen.amin() >= 0
    assert chosen.amax() < 50
    assert torch.equal(fused_nearest_codes(given, codebook * torch.nan), torch.zeros_like(chosen))
    others = [row for row in range(60) if row not in {3, 5}]
    assert torch.equal(chosen[:, others], expected[:, others])


@needs_triton
def test_how_the_work_is_cut_changes_nothing() -> None:
    from jepa_plugins.quantizers.nearest_kernels import Blocks, fused_nearest

    given, codebook = drawn(2, 70, 90, 100)
    looped = Blocks(scan_tokens=32, scan_codes=64, scan_warps=4, scan_stages=2, refine_tokens=16, refine_codes=32)
    held = Blocks(
        scan_tokens=64, scan_codes=16, scan_warps=4, scan_stages=2, scan_dims=128, refine_codes=64, holds_tokens=True
    )
    expected = tabled_nearest_codes(given, codebook)
    assert torch.equal(fused_nearest(given, codebook, looped), expected)
    assert torch.equal(fused_nearest(given, codebook, held), expected)


@needs_triton
def test_torch_compile_may_take_the_operator_for_one() -> None:
    given, codebook = drawn(1, 20, 10, 8)
    torch.library.opcheck(fused_nearest_codes.overload, (given, codebook))


def test_the_device_decides_who_is_asked() -> None:
    given, codebook = drawn(2, 50, 30, 8)
    expected = tabled_nearest_codes(given.cpu(), codebook.cpu())
    assert torch.equal(nearest_codes(given.cpu(), codebook.cpu()), expected)
    assert torch.equal(nearest_codes(given.double(), codebook.double()).cpu(), expected)
    if IS_ON_GPU:
        assert torch.equal(nearest_codes(given, codebook).cpu(), expected)
