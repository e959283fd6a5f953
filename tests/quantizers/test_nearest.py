from __future__ import annotations

import pytest
import torch

from jepa_plugins.quantizers import nearest


def test_codes_are_those_of_the_smallest_distance() -> None:
    torch.manual_seed(0)
    tokens, codebook = torch.randn(2, 50, 3), torch.randn(2, 7, 3)
    expected = torch.cdist(tokens, codebook).argmin(-1)
    assert torch.equal(nearest.nearest_codes(tokens, codebook), expected)


def test_taking_tokens_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tokens, codebook = torch.randn(2, 50, 3), torch.randn(2, 7, 3)
    at_once = nearest.nearest_codes(tokens, codebook)
    monkeypatch.setattr(nearest, "MAX_SCORES", 2 * 7 * 8)
    assert torch.equal(nearest.nearest_codes(tokens, codebook), at_once)


def test_of_equally_near_codes_the_first_is_taken() -> None:
    codebook = torch.ones(1, 3, 2)
    assert nearest.nearest_codes(torch.zeros(1, 4, 2), codebook).tolist() == [[0, 0, 0, 0]]


def test_weights_and_tokens_are_added_up_for_each_code_of_each_group() -> None:
    torch.manual_seed(0)
    codes, weights = torch.randint(4, (2, 30)), torch.rand(30)
    tokens = torch.randn(2, 30, 3) * weights[:, None]
    counts, sums = nearest.code_sums(tokens, codes, weights, 5)
    one_hot = torch.nn.functional.one_hot(codes, 5).float()
    torch.testing.assert_close(counts, torch.einsum("m,gmk->gk", weights, one_hot))
    torch.testing.assert_close(sums, torch.einsum("gmd,gmk->gkd", tokens, one_hot))
    assert not counts[:, 4].any()
    assert not sums[:, 4].any()
