from __future__ import annotations

import torch

from jepa_core.facts import QuantizerFacts
from jepa_plugins.quantizers.none import NoneConfig


def test_real_tokens_pass_through_unchanged_and_free_of_charge() -> None:
    values, mask = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    result = NoneConfig().build(QuantizerFacts(embedding_dim=4))(values, mask, collect=True)
    assert torch.equal(result.values, values)
    assert result.codes is None
    assert result.loss == 0
