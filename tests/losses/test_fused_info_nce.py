"""The fused loss against its formula in float64: on a GPU, or on the CPU through Triton's interpreter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Statistics
from jepa_core.facts import LossFacts
from jepa_plugins.losses import info_nce
from jepa_plugins.losses.fused_info_nce import fused_info_nce, is_fusable
from jepa_plugins.losses.info_nce import InfoNce, InfoNceConfig
from tests.losses.forwards import PROJECTION, random_forward
from tests.triton_kernels import DEVICE, IS_ON_GPU, needs_triton


def near_targets(batch: int, queue: int, dim: int, similarity: float = 0.6) -> tuple[Tensor, Tensor, Tensor]:
    """Contexts (B, P), targets (B, P) and queue (Q, P); contexts resemble their targets."""
    drawn = F.normalize(torch.randn(batch + queue, dim, device=DEVICE), dim=-1)
    noise = F.normalize(torch.randn(batch, dim, device=DEVICE), dim=-1)
    contexts = F.normalize(similarity * drawn[:batch] + (1 - similarity) * noise, dim=-1)
    return contexts, drawn[:batch], drawn[batch:]


def formula(
    z_context: Tensor, z_target: Tensor, queue: Tensor, temperature: Tensor, duplicate_similarity: float | None = None
) -> Tensor:
    """Scalar; all of the queue counts."""
    candidates = torch.cat([z_target, queue])
    logits = z_context @ candidates.T / temperature
    if duplicate_similarity is not None:
        is_own = torch.eye(*logits.shape, dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill((z_target @ candidates.T >= duplicate_similarity) & ~is_own, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z_target), device=logits.device))


def fused(
    z_context: Tensor, z_target: Tensor, queue: Tensor, temperature: Tensor, num_filled: int | None = None,
    *, lowest: float | None = None, duplicate_similarity: float | None = None,
) -> Tensor:  # fmt: skip
    filled = torch.tensor(len(queue) if num_filled is None else num_filled, device=DEVICE)
    lowest = temperature.item() if lowest is None else lowest
    return fused_info_nce(
        z_context, z_target, queue, filled, temperature,
        lowest_temperature=lowest, duplicate_similarity=duplicate_similarity,
    )  # fmt: skip


def with_gradients(value: Tensor, *leaves: Tensor) -> list[Tensor]:
    """The loss, then its gradients, in float64."""
    return [part.detach().double() for part in (value, *torch.autograd.grad(value, leaves))]


def require_near(ours: list[Tensor], exact: list[Tensor]) -> None:
    """Loss within 1e-4, gradients within 1e-3 of their length."""
    assert (ours[0] - exact[0]).abs() < 1e-4
    for mine, theirs in zip(ours[1:], exact[1:], strict=True):
        assert (mine - theirs).norm() <= 1e-3 * theirs.norm() + 1e-12


@needs_triton
@pytest.mark.parametrize("similarity", [0.0, 0.6])
@pytest.mark.parametrize(
    ("batch", "queue", "dim", "temperature"),
    [(40, 100, 17, 0.07), (150, 0, 32, 0.05), (1, 3, 1, 0.2), (130, 260, 64, 0.01), (7, 64, 200, 0.02)],
)
def test_it_is_the_formula(batch: int, queue: int, dim: int, temperature: float, similarity: float) -> None:
    torch.manual_seed(batch)
    z_context, z_target, negatives = near_targets(batch, queue, dim, similarity)
    divisor = torch.tensor(temperature, device=DEVICE)
    ours, exact = (
        (z_context.to(dtype).requires_grad_(), divisor.to(dtype).requires_grad_())
        for dtype in (torch.float32, torch.float64)
    )
    require_near(
        with_gradients(fused(ours[0], z_target, negatives, ours[1]), *ours),
        with_gradients(formula(exact[0], z_target.double(), negatives.double(), exact[1]), *exact),
    )


@needs_triton
def test_float16_alone_is_enough_for_many_rows_and_a_mild_temperature() -> None:
    torch.manual_seed(0)
    z_context, z_target, negatives = near_targets(512, 128, 128, 0.3)
    temperature = torch.tensor(0.05, device=DEVICE)
    z_context.requires_grad_()
    exact = z_context.detach().double().requires_grad_()
    expected = with_gradients(formula(exact, z_target.double(), negatives.double(), temperature.double()), exact)
    coarse = with_gradients(fused(z_context, z_target, negatives, temperature), z_context)
    fine = with_gradients(fused(z_context, z_target, negatives, temperature, lowest=0.01), z_context)
    require_near(coarse, expected)
    require_near(fine, expected)
    assert (fine[1] - expected[1]).norm() < (coarse[1] - expected[1]).norm()


@needs_triton
@pytest.mark.parametrize("num_filled", [0, 1, 64, 70])
def test_empty_slots_do_not_count_whatever_they_hold(num_filled: int) -> None:
    torch.manual_seed(0)
    z_context, z_target, negatives = near_targets(9, 70, 16)
    temperature = torch.tensor(0.1, device=DEVICE)
    expected = formula(z_context, z_target, negatives[:num_filled], temperature)
    negatives[num_filled:] = torch.nan
    torch.testing.assert_close(fused(z_context, z_target, negatives, temperature, num_filled), expected)


@needs_triton
def test_duplicates_do_not_count_where_asked() -> None:
    torch.manual_seed(0)
    z_context, z_target, negatives = near_targets(30, 50, 24)
    z_target[20:] = z_target[:10]
    negatives[5] = z_target[3]
    temperature = torch.tensor(0.1, device=DEVICE).requires_grad_()
    z_context.requires_grad_()
    leaves = z_context, temperature
    for threshold in (0.5, 0.999):
        require_near(
            with_gradients(fused(z_context, z_target, negatives, temperature, duplicate_similarity=threshold), *leaves),
            with_gradients(formula(z_context, z_target, negatives, temperature, threshold), *leaves),
        )


@needs_triton
def test_a_lone_target_costs_nothing_and_moves_nothing() -> None:
    z_context, z_target, none = near_targets(1, 0, 8)
    z_context.requires_grad_()
    value = fused(z_context, z_target, none, torch.tensor(0.1, device=DEVICE))
    (gradient,) = torch.autograd.grad(value, z_context)
    assert value == 0
    assert not gradient.any()


@needs_triton
def test_logits_that_grow_from_block_to_block_stay_finite() -> None:
    """The exponent taken out has to follow: 1 / 0.01 is beyond what exp takes in float32."""
    direction = F.normalize(torch.ones(1, 32, device=DEVICE), dim=-1)
    rising = torch.linspace(-1, 1, 600, device=DEVICE)[:, None] * direction
    temperature = torch.tensor(0.01, device=DEVICE)
    value = fused(direction, -direction, rising, temperature)
    expected = formula(direction.double(), -direction.double(), rising.double(), temperature.double())
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-4)


@needs_triton
def test_equal_inputs_give_equal_bits() -> None:
    torch.manual_seed(0)
    z_context, z_target, negatives = near_targets(140, 300, 32)
    z_context.requires_grad_()
    temperature = torch.tensor(0.05, device=DEVICE)
    first, second = (with_gradients(fused(z_context, z_target, negatives, temperature), z_context) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@needs_triton
def test_it_is_a_sound_operator() -> None:
    """Its fake, its schema and its gradient under compilation are what it does."""
    z_context, z_target, negatives = near_targets(5, 6, 8)
    leaves = z_context.requires_grad_(), torch.tensor(0.1, device=DEVICE).requires_grad_()
    torch.library.opcheck(
        torch.ops.jepa.fused_info_nce.default,
        (leaves[0], z_target, negatives, torch.tensor(6, device=DEVICE), leaves[1], 2, None),
    )


@needs_triton
@pytest.mark.parametrize("num_others", [0, 8, 24])
@pytest.mark.parametrize("fields", [{}, {"queue": 12}, {"queue": 20, "duplicate_similarity": 0.9}])
def test_the_loss_is_the_same_fused_and_not(
    fields: dict[str, Any], num_others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    others = F.normalize(torch.randn(num_others, PROJECTION), dim=-1).to(DEVICE)
    # One that another rank has, too.
    others[:1] = F.normalize(random_forward().z_target[:1], dim=-1)
    results = []
    for is_fused in (False, True):
        monkeypatch.setattr(info_nce, "is_fusable", lambda _, answer=is_fused: answer)
        loss, forward = filled_loss(**fields), random_forward()
        z_context = forward.z_context.detach().to(DEVICE).requires_grad_()
        value = loss._among_candidates(
            F.normalize(z_context, dim=-1), F.normalize(forward.z_target, dim=-1).to(DEVICE), others, loss.temperature()
        )
        results.append(with_gradients(value, z_context, loss.log_temperature))
    plain, ours = results
    require_near(ours, plain)


def filled_loss(**fields: Any) -> InfoNce:
    facts = LossFacts(embedding_dim=4, projection_dim=PROJECTION, context_length=3, num_tokens=5, batch_size=8)
    loss = InfoNceConfig(**fields).build(facts).to(DEVICE)
    torch.manual_seed(2)
    rows = F.normalize(torch.randn(15, PROJECTION), dim=-1).to(DEVICE)
    loss.after_step(Statistics(rows={"z_target": rows}))
    return loss


def test_on_the_cpu_and_for_wide_projections_it_is_not_asked() -> None:
    assert not is_fusable(torch.zeros(4, 8))
    if IS_ON_GPU:
        assert is_fusable(torch.zeros(4, 256, device=DEVICE))
        assert not is_fusable(torch.zeros(4, 257, device=DEVICE))


@needs_triton
@pytest.mark.parametrize("spread", [0.1, 0.01, 1e-3])
@pytest.mark.parametrize("lowest", [0.05, 0.01])
def test_gradients_are_right_where_embeddings_are_alike(spread: float, lowest: float) -> None:
    """Near a collapse, which is where a loss must not be noise: as good as float32 is, within a small factor."""
    torch.manual_seed(1)
    base, temperature = torch.randn(1, 256, device=DEVICE), torch.tensor(0.05, device=DEVICE)
    drawn = F.normalize(base + spread * torch.randn(3, 512, 256, device=DEVICE), dim=-1)
    found = []
    for dtype in (torch.float64, torch.float32):
        context, target, negatives = (part.to(dtype) for part in drawn)
        leaves = context.clone().requires_grad_(), temperature.to(dtype).requires_grad_()
        found.append(with_gradients(formula(leaves[0], target, negatives[:64], leaves[1]), *leaves))
    exact, plain = found
    leaves = drawn[0].clone().requires_grad_(), temperature.clone().requires_grad_()
    ours = with_gradients(fused(leaves[0], drawn[1], drawn[2][:64], leaves[1], lowest=lowest), *leaves)
    for mine, theirs, right in zip(ours, plain, exact, strict=True):
        assert (mine - right).norm() <= 5e-3 * right.norm() + 4 * (theirs - right).norm() + 1e-6
