"""What holds for every component that is a module, whichever its family."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.contracts.families import MODULE_FAMILIES
from tests.contracts.host_sync import NoHostSync
from tests.contracts.module_state import assert_equal, detached, foreign_randomness_untouched, state_of
from tests.contracts.situations import SITUATIONS, Situation, Tensors
from tests.contracts.subjects import Subject, subjects

every_module = pytest.mark.parametrize("subject", subjects(*MODULE_FAMILIES))
GARBAGE = 100.0


def weighed_sum(outputs: Tensors) -> Tensor:
    """A scalar in which every element with a gradient counts, each with a weight of its own."""
    generator = torch.Generator().manual_seed(0)
    parts = [
        (output.float() * torch.randn(output.shape, generator=generator)).sum()
        for output in outputs.values()
        if output.requires_grad
    ]
    return torch.stack(parts).sum()


def gradients_of(inputs: Tensors) -> Tensors:
    return {name: tensor.grad for name, tensor in inputs.items() if tensor.grad is not None}


def assert_finite(tensors: Tensors) -> None:
    """Rows of statistics may hold anything: they are between a component and itself."""
    for name, tensor in tensors.items():
        assert name.startswith("rows.") or tensor.isfinite().all(), f"{name} is not finite"


@every_module
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_outputs_and_gradients_are_finite_whatever_the_batch(subject: Subject, situation: Situation) -> None:
    module = subject.build(situation)
    inputs = subject.inputs(module, situation)
    outputs = subject.call(module, inputs)
    assert_finite(outputs)
    if any(output.requires_grad for output in outputs.values()):
        weighed_sum(outputs).backward()
    assert_finite(gradients_of(inputs))
    assert_finite(gradients_of(dict(module.named_parameters())))


@every_module
def test_the_gradient_reaches_every_parameter_and_some_input(subject: Subject) -> None:
    module = subject.build()
    inputs = subject.inputs(module)
    weighed_sum(subject.call(module, inputs)).backward()
    unreached = [
        name for name, parameter in module.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert not unreached
    differentiable = [tensor for tensor in inputs.values() if tensor.requires_grad]
    assert not differentiable or any(gradient.any() for gradient in gradients_of(inputs).values())


@every_module
@pytest.mark.parametrize("training", [True, False])
def test_forward_changes_neither_its_state_nor_its_inputs(subject: Subject, training: bool) -> None:
    module = subject.build().train(training)
    inputs = subject.inputs(module)
    state, given = state_of(module), {name: tensor.detach().clone() for name, tensor in inputs.items()}
    subject.call(module, inputs)
    assert_equal(state_of(module), state)
    assert_equal(inputs, given)


@every_module
def test_one_seed_gives_one_module_and_one_result_and_draws_from_torch_alone(subject: Subject) -> None:
    with foreign_randomness_untouched():
        module, same = subject.build(), subject.build()
        assert_equal(state_of(module), state_of(same))
        assert_equal(subject.call(module, subject.inputs(module)), subject.call(same, subject.inputs(same)))


@every_module
def test_a_module_that_loads_the_state_of_another_does_what_that_does(subject: Subject) -> None:
    module, other = subject.build(seed=0), subject.build(seed=7)
    inputs = subject.inputs(module)
    other.load_state_dict(module.state_dict())
    assert_equal(subject.call(other, inputs), subject.call(module, inputs))


@every_module
def test_a_row_of_a_batch_is_treated_as_on_its_own(subject: Subject) -> None:
    module = subject.build().eval()
    inputs = subject.inputs(module)
    whole = subject.call(module, inputs)
    alone = subject.call(module, {name: tensor[1:2] for name, tensor in inputs.items()})
    for name in subject.family.by_row:
        torch.testing.assert_close(alone[name], whole[name][1:2])


@every_module
def test_what_stands_in_masked_slots_has_no_influence(subject: Subject) -> None:
    module = subject.build()
    inputs = subject.inputs(module)
    soiled = {
        name: torch.where(inputs[subject.family.masks[name]][..., None], tensor, GARBAGE)
        if name in subject.family.masks
        else tensor
        for name, tensor in inputs.items()
    }
    assert_equal(subject.call(module, soiled), subject.call(module, inputs))


@every_module
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_under_bf16_autocast_it_is_finite_and_near_full_precision(subject: Subject, dtype: torch.dtype) -> None:
    module = subject.build().eval()
    expected = subject.call(module, subject.inputs(module))
    inputs = subject.inputs(module, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = subject.call(module, inputs)
    if any(output.requires_grad for output in outputs.values()):
        weighed_sum(outputs).backward()
    assert_finite(outputs)
    assert_finite(gradients_of(inputs))
    assert_finite(gradients_of(dict(module.named_parameters())))
    if subject.family.is_continuous:
        for name in expected:
            error = (outputs[name].float() - expected[name].float()).norm()
            assert error <= 0.05 * expected[name].float().norm() + 0.02, name


@every_module
def test_it_compiles_as_one_graph_to_the_same_result_and_gradient(subject: Subject) -> None:
    torch._dynamo.reset()
    module = subject.build().eval()
    results = []
    for callee in (module, torch.compile(module, fullgraph=True, backend="aot_eager")):
        inputs = subject.inputs(module)
        module.zero_grad()
        outputs = subject.call(callee, inputs)
        if any(output.requires_grad for output in outputs.values()):
            weighed_sum(outputs).backward()
        gradients = gradients_of(inputs) | gradients_of(dict(module.named_parameters()))
        results.append((detached(outputs), gradients))
    eager, compiled = results
    torch.testing.assert_close(compiled, eager)


@every_module
@pytest.mark.parametrize("training", [True, False])
def test_forward_never_lets_the_host_wait_for_the_device(subject: Subject, training: bool) -> None:
    module = subject.build().train(training)
    inputs = subject.inputs(module)
    torch.manual_seed(2)
    with NoHostSync():
        subject.family.call(module, inputs)
