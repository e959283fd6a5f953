"""The transformer block against an explicit formula and torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from jepa_plugins.transformer import MultiHeadAttention, TransformerBlock, check_heads


def random_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    allowed = torch.rand(2, 5, 7) < 0.5
    allowed[..., 0] = True
    return torch.randn(2, 5, 8), torch.randn(2, 7, 8), allowed


def test_attention_equals_torchs_multi_head_attention() -> None:
    queries, memory, allowed = random_case()
    ours = MultiHeadAttention(8, heads=2, dropout=0.0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.queries.weight, ours.keys_values.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.queries.bias, ours.keys_values.bias]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())

    expected, expected_weights = theirs(queries, memory, memory, attn_mask=~allowed.repeat_interleave(2, 0))

    torch.testing.assert_close(ours(queries, memory, allowed), expected)
    torch.testing.assert_close(ours.weights(queries, memory, allowed), expected_weights)


def test_a_key_that_is_not_allowed_has_no_influence_and_no_weight() -> None:
    queries, memory, allowed = random_case()
    allowed[..., 3] = False
    block = TransformerBlock(8, heads=2, dropout=0.0, mlp_ratio=2.0)
    changed = memory.clone()
    changed[:, 3] = 100.0

    assert torch.equal(block(queries, memory, allowed), block(queries, changed, allowed))
    assert torch.equal(block.weights(queries, memory, allowed)[..., 3], torch.zeros(2, 5))


def test_self_attention_is_attention_with_an_equal_memory() -> None:
    stream = torch.randn(2, 5, 8)
    allowed = torch.ones(2, 5, 5, dtype=torch.bool)
    block = TransformerBlock(8, heads=2, dropout=0.0, mlp_ratio=2.0)

    torch.testing.assert_close(block(stream, stream, allowed), block(stream, stream.clone(), allowed))


def test_a_block_with_a_small_initial_step_starts_near_its_input() -> None:
    stream = torch.randn(2, 5, 8)
    allowed = torch.ones(2, 5, 5, dtype=torch.bool)
    block = TransformerBlock(8, heads=2, dropout=0.0, mlp_ratio=2.0, initial_step=0.01)

    assert 0 < (block(stream, stream, allowed) - stream).norm() < 0.02 * stream.norm()


def test_heads_that_do_not_divide_the_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heads must divide dim 10 \(got 4\)"):
        check_heads(10, 4)
