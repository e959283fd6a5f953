"""The seed's codebook against a plain loop, and where the target's tokens meet it."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Statistics
from jepa_core.facts import QuantizerFacts
from jepa_plugins.seed.ema_vq import SeedEmaVq, SeedEmaVqConfig

DIM, CODES = 3, 6


def build(**settings: float) -> SeedEmaVq:
    torch.manual_seed(0)
    fields: dict[str, float] = {"codes": CODES, "refresh_every": 2, **settings}
    return SeedEmaVqConfig(**fields).build(QuantizerFacts(embedding_dim=DIM))  # type: ignore[arg-type]  # whole numbers among them


def batch(seed: int, *, empty: int = 2) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[:, 5 - empty :] = False
    return torch.randn(4, 5, DIM) * mask[..., None], mask


def nearest(tokens: Tensor, codebook: Tensor) -> list[int]:
    return [int(((codebook - token) ** 2).sum(-1).argmin()) for token in tokens]


def test_codes_start_within_one_over_their_number_and_unused() -> None:
    quantizer = build()
    assert quantizer.codebook.abs().max() <= 1 / CODES
    assert quantizer.codebook.std() > 0.4 / CODES
    assert not quantizer.ema_counts.any()
    torch.testing.assert_close(quantizer.ema_sums, quantizer.codebook)


def test_a_step_equals_a_plain_loop_over_all_slots_the_empty_ones_as_zeros() -> None:
    quantizer = build(decay=0.6, refresh_every=100)
    values, mask = batch(1)
    counts, sums = quantizer.ema_counts.clone(), quantizer.ema_sums.clone()
    seen_counts, seen_sums = torch.zeros(CODES), torch.zeros(CODES, DIM)
    for token, code in zip(values.flatten(0, 1), nearest(values.flatten(0, 1), quantizer.codebook), strict=True):
        seen_counts[code] += 1
        seen_sums[code] += token
    assert seen_counts.sum() == 20
    counts, sums = 0.6 * counts + 0.4 * seen_counts, 0.6 * sums + 0.4 * seen_sums
    smoothed = (counts + 1e-5) / (counts.sum() + CODES * 1e-5) * counts.sum()
    quantizer.after_step(quantizer(values, mask, collect=True).statistics)
    torch.testing.assert_close(quantizer.codebook, sums / smoothed[:, None])
    unused = seen_counts == 0
    assert unused.any()
    assert quantizer.codebook[unused].abs().max() > 100, "a code that is not used is divided by next to nothing"


def test_a_refresh_puts_the_tokens_of_the_largest_error_on_all_codes_below_the_share_in_order() -> None:
    quantizer = build(decay=0.5, refresh_below=0.2)
    for seed in (1, 2):
        values, mask = batch(seed, empty=0)
        errors = [
            float(((token - quantizer.codebook[code]) ** 2).sum())
            for token, code in zip(values.flatten(0, 1), nearest(values.flatten(0, 1), quantizer.codebook), strict=True)
        ]
        statistics = quantizer(values, mask, collect=True).statistics
        before = quantizer.ema_counts.lerp(statistics.sums["counts"], 0.5)
        quantizer.after_step(statistics)
    worst = sorted(range(20), key=lambda token: -errors[token])
    due = [code for code in range(CODES) if before[code] <= 0.2 * before.sum()]
    assert 1 < len(due) < CODES
    for place, code in enumerate(due):
        token = values.flatten(0, 1)[worst[place]]
        torch.testing.assert_close(quantizer.codebook[code], token)
        torch.testing.assert_close(quantizer.ema_counts[code], before.mean())
        torch.testing.assert_close(quantizer.ema_sums[code], token * before.mean())
    kept = [code for code in range(CODES) if code not in due]
    torch.testing.assert_close(quantizer.ema_counts[kept], before[kept])


def test_a_gentle_refresh_replaces_the_least_used_alone() -> None:
    quantizer = build(refresh_every=1, refresh_below=1.0, refresh_at_most=2)
    values, mask = batch(1, empty=0)
    statistics = quantizer(values, mask, collect=True).statistics
    before = quantizer.ema_counts.lerp(statistics.sums["counts"], 1 - quantizer.config.decay)
    quantizer.after_step(statistics)
    changed = quantizer.ema_counts != before
    assert changed.sum() == 2
    assert before[changed].max() <= before[~changed].min()


def test_a_refresh_over_micro_batches_takes_the_largest_errors_of_all() -> None:
    at_once, in_parts = build(refresh_every=1, refresh_below=1.0), build(refresh_every=1, refresh_below=1.0)
    values, mask = batch(4, empty=0)
    at_once.after_step(at_once(values, mask, collect=True).statistics)
    parts = [in_parts(values[rows], mask[rows], collect=True).statistics for rows in (slice(1), slice(1, 4))]
    in_parts.after_step(Statistics.merge(parts))
    torch.testing.assert_close(in_parts.codebook, at_once.codebook)


def test_tokens_of_a_target_that_lags_keep_their_codes_while_all_tokens_drift() -> None:
    quantizer = build(decay=0.5, refresh_every=1000)
    clusters = 3 * torch.eye(DIM)
    quantizer.codebook[:DIM] = clusters
    drift, lagging = torch.zeros(DIM), torch.zeros(DIM)
    mask = torch.ones(4, DIM, dtype=torch.bool)
    for _ in range(400):
        drift += torch.tensor([0.05, 0.0, 0.0])
        lagging = torch.lerp(lagging, drift, 0.01)
        tokens = (clusters + drift).expand(4, -1, -1)
        quantizer.after_step(quantizer(tokens, mask, collect=True).statistics)
    assert (drift - lagging).norm() > 4, "the target is farther from the codes than codes from each other"
    target = (clusters + lagging).expand(4, -1, -1)
    online = quantizer(tokens, mask, collect=False)
    assert quantizer(target, mask, collect=False).codes[0].unique().numel() < DIM
    met = quantizer.of_target(target, mask)
    assert torch.equal(met.codes, online.codes)  # type: ignore[arg-type]  # it has codes
    torch.testing.assert_close(met.values, target, atol=0.2, rtol=0)
    assert not met.statistics.sums


def test_recent_use_counts_codes_of_the_last_fifty_steps() -> None:
    quantizer = build(decay=0.5, refresh_every=1000)
    quantizer.codebook[:] = 10 * torch.eye(CODES)[:, :DIM] - torch.arange(CODES)[:, None]
    assert quantizer(*batch(1), collect=False).figures["vq.recent_usage"] == 0
    token, mask = quantizer.codebook[0].clone().expand(1, 1, -1), torch.ones(1, 1, dtype=torch.bool)
    quantizer.after_step(quantizer(token, mask, collect=True).statistics)
    assert quantizer(token, mask, collect=False).figures["vq.recent_usage"] == 1 / CODES
    quantizer.num_steps += 50
    assert quantizer(token, mask, collect=False).figures["vq.recent_usage"] == 0


def test_no_commitment_reaches_the_objective_unless_asked() -> None:
    values, mask = batch(1)
    assert build()(values, mask, collect=False).loss == 0
    quantizer = build(commitment=0.15)
    codes = quantizer.codebook[nearest(values[mask], quantizer.codebook)]
    expected = 0.15 * (values[mask] - codes).square().mean()
    torch.testing.assert_close(quantizer(values, mask, collect=False).loss, expected)
