"""What holds for every quantizer, beyond what holds for every module."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import NeedsInitialisation
from tests.contracts.module_state import assert_equal, state_of
from tests.contracts.situations import EMBEDDING_DIM, SITUATIONS, Situation
from tests.contracts.subjects import Subject, subjects

every_quantizer = pytest.mark.parametrize("subject", subjects("quantizer"))
every_data_dependent = pytest.mark.parametrize("subject", subjects("quantizer", offering=NeedsInitialisation))


@every_quantizer
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_values_keep_their_shape_and_are_zeros_where_masked(subject: Subject, situation: Situation) -> None:
    quantizer = subject.build(situation)
    inputs = subject.inputs(quantizer, situation)
    outputs = subject.call(quantizer, inputs)
    assert outputs["values"].shape == inputs["values"].shape
    assert not outputs["values"][~inputs["mask"]].any()
    assert outputs["loss"].shape == ()


@every_quantizer
def test_codes_are_numbered_through_and_minus_one_where_masked(subject: Subject) -> None:
    quantizer = subject.build()
    inputs = subject.inputs(quantizer)
    codes, mask = subject.call(quantizer, inputs).get("codes"), inputs["mask"]
    assert isinstance(quantizer.num_codes, int)
    assert (codes is None) == (quantizer.num_codes == 0)
    if codes is not None:
        assert codes.dtype == torch.int64
        assert codes.shape[: mask.dim()] == mask.shape
        assert (codes[~mask] == -1).all()
        assert ((codes[mask] >= 0) & (codes[mask] < quantizer.num_codes)).all()


@every_quantizer
def test_target_tokens_without_time_are_quantized_as_the_same_tokens_with_it(subject: Subject) -> None:
    quantizer = subject.build()
    inputs = subject.inputs(quantizer)
    flat = {name: tensor[:, 0] for name, tensor in inputs.items()}
    whole, part = subject.call(quantizer, inputs), subject.call(quantizer, flat)
    torch.testing.assert_close(part["values"], whole["values"][:, 0])


@every_quantizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_under_autocast_values_keep_their_dtype_and_the_rest_is_float32(subject: Subject, dtype: torch.dtype) -> None:
    quantizer = subject.build()
    inputs = subject.inputs(quantizer, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = subject.call(quantizer, inputs)
    assert outputs["values"].dtype == dtype
    rest = {name: tensor for name, tensor in outputs.items() if name != "values" and tensor.is_floating_point()}
    assert {name for name, tensor in rest.items() if tensor.dtype != torch.float32} == set()


@every_quantizer
def test_statistics_come_only_when_asked_for(subject: Subject) -> None:
    quantizer = subject.build()
    inputs = subject.inputs(quantizer)
    statistics = quantizer(inputs["values"], inputs["mask"], collect=False).statistics
    assert not statistics.sums
    assert not statistics.rows


@every_data_dependent
def test_a_start_from_data_is_decided_by_the_seed_and_keeps_the_state_loadable(subject: Subject) -> None:
    started = []
    for _ in range(2):
        quantizer = subject.build()
        assert isinstance(quantizer, NeedsInitialisation)
        before = state_of(quantizer)
        torch.manual_seed(4)
        quantizer.initialise(torch.randn(300, EMBEDDING_DIM))
        started.append(state_of(quantizer))
        assert any(not torch.equal(before[name], after) for name, after in started[-1].items())
        for name, after in started[-1].items():
            assert (after.shape, after.dtype) == (before[name].shape, before[name].dtype)
            assert after.isfinite().all()
    assert_equal(*started)


@every_data_dependent
def test_it_can_start_from_fewer_tokens_than_it_has_codes(subject: Subject) -> None:
    quantizer = subject.build()
    assert isinstance(quantizer, NeedsInitialisation)
    quantizer.initialise(torch.randn(2, EMBEDDING_DIM))
    assert all(tensor.isfinite().all() for tensor in state_of(quantizer).values())
