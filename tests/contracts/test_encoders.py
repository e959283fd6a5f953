"""What holds for every encoder, beyond what holds for every module."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.contracts.module_state import assert_equal
from tests.contracts.situations import SITUATIONS, Situation
from tests.contracts.subjects import Subject, subjects

every_encoder = pytest.mark.parametrize("subject", subjects("encoder"))


@every_encoder
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_tokens_have_the_shape_it_announces_and_are_zeros_where_masked(subject: Subject, situation: Situation) -> None:
    encoder = subject.build(situation)
    outputs = subject.call(encoder, subject.inputs(encoder, situation))
    assert outputs["mask"].dtype == torch.bool
    assert outputs["mask"].shape == (situation.batch, encoder.num_tokens)
    assert outputs["values"].is_floating_point()
    assert outputs["values"].shape == (situation.batch, encoder.num_tokens, encoder.embedding_dim)
    assert not outputs["values"][~outputs["mask"]].any()


@every_encoder
def test_grids_of_the_usual_kind_have_tokens(subject: Subject) -> None:
    encoder = subject.build()
    assert subject.call(encoder, subject.inputs(encoder))["mask"].any(-1).all()


@every_encoder
def test_a_copy_encodes_alike_as_the_target_network_is_one(subject: Subject) -> None:
    encoder = subject.build()
    inputs = subject.inputs(encoder)
    assert_equal(subject.call(copy.deepcopy(encoder), inputs), subject.call(encoder, inputs))
