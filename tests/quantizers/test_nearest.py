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
