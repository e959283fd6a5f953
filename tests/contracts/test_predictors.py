"""What holds for every predictor, beyond what holds for every module."""

from __future__ import annotations

import pytest

from tests.contracts.situations import EMBEDDING_DIM, SITUATIONS, Situation
from tests.contracts.subjects import Subject, subjects


@pytest.mark.parametrize("subject", subjects("predictor"))
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_each_state_has_one_prediction(subject: Subject, situation: Situation) -> None:
    predictor = subject.build(situation)
    predicted = subject.call(predictor, subject.inputs(predictor, situation))["predicted"]
    assert predicted.is_floating_point()
    assert predicted.shape == (situation.batch, EMBEDDING_DIM)
