"""Under autocast: finite, of the right dtypes, and near full precision."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.conformance.comparison import detached, require_finite
from jepa_core.conformance.module_state import differentiate, gradients_of
from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require

_RELATIVE, _ABSOLUTE = 0.05, 0.02


def bf16(trial: Trial) -> None:
    """Under bfloat16 autocast."""
    _under(trial, torch.bfloat16)


def fp16(trial: Trial) -> None:
    """Under float16 autocast."""
    _under(trial, torch.float16)


def _under(trial: Trial, low: torch.dtype) -> None:
    module = trial.build().eval()
    expected = detached(trial.outputs(module))
    for dtype in (torch.float32, low):
        module.zero_grad()
        inputs = trial.inputs(module, dtype=dtype)
        with torch.autocast("cpu", low):
            outputs = trial.call(module, inputs)
        given = f"given {_name(dtype)} under {_name(low)} autocast"
        _require_dtypes(trial, outputs, dtype, given)
        differentiate(outputs)
        require_finite(outputs, f"{given} the result is not finite")
        require_finite(gradients_of(module, inputs), f"{given} the gradient is not finite")
        if trial.family.is_continuous:
            for name, reference in expected.items():
                _require_near(name, outputs[name], reference, given)


def _require_dtypes(trial: Trial, outputs: Tensors, dtype: torch.dtype, given: str) -> None:
    for name in trial.family.of_input_dtype:
        found = outputs[name].dtype
        require(found == dtype, f"{given} {name} is {_name(found)}, not of the inputs' dtype")
    for name, output in outputs.items():
        if name.startswith(trial.family.float32) and output.is_floating_point():
            require(output.dtype == torch.float32, f"{given} {name} is {_name(output.dtype)}, not float32")


def _require_near(name: str, output: Tensor, reference: Tensor, given: str) -> None:
    reference = reference.detach().float()
    error = float((output.detach().float() - reference).norm())
    allowed = _RELATIVE * float(reference.norm()) + _ABSOLUTE
    require(error <= allowed, f"{given} {name} is {error:.3g} away from full precision, more than {allowed:.3g}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
