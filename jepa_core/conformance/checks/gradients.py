"""Outputs and gradients are finite, and the gradient reaches every parameter."""

from __future__ import annotations

from jepa_core.conformance.comparison import require_finite
from jepa_core.conformance.module_state import differentiate, gradients_of
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require


def finite(trial: Trial) -> None:
    """No NaN and no infinity, whatever the batch."""
    module = trial.build()
    inputs = trial.inputs(module)
    outputs = trial.call(module, inputs)
    require_finite(outputs, "the result is not finite")
    differentiate(outputs)
    require_finite(gradients_of(module, inputs), "the gradient is not finite")


def kept(trial: Trial) -> None:
    """What a trained module gives hangs on it, whatever the batch: zeros that nothing made would stop the step."""
    module = trial.build()
    outputs = trial.call(module, trial.inputs(module))
    trained = any(parameter.requires_grad for parameter in module.parameters())
    require(
        not trained or any(output.requires_grad for output in outputs.values()),
        f"the result has no gradient, and {type(module).__name__} has parameters to train",
    )


def reached(trial: Trial) -> None:
    """Every parameter has a gradient, and so has some input."""
    module = trial.build()
    inputs = trial.inputs(module)
    differentiate(trial.call(module, inputs))
    for name, parameter in module.named_parameters():
        reaches = parameter.grad is not None and bool(parameter.grad.any())
        require(reaches or not parameter.requires_grad, f"no gradient reaches the parameter {name}")
    differentiable = [tensor for tensor in inputs.values() if tensor.requires_grad]
    reaches = any(tensor.grad is not None and bool(tensor.grad.any()) for tensor in differentiable)
    require(reaches or not differentiable, "no gradient reaches any input: whatever stands before it learns nothing")
