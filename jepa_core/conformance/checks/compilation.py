"""`torch.compile` makes one graph of a component, with the same result."""

from __future__ import annotations

import re

import torch

from jepa_core.conformance.comparison import detached, require_close
from jepa_core.conformance.families import Callee
from jepa_core.conformance.module_state import differentiate, gradients_of
from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import Violation


def compiled(trial: Trial) -> None:
    """One graph, the same result and gradient; without code generation, so that no compiler has to be there."""
    torch._dynamo.reset()
    module = trial.build().eval()

    def results(callee: Callee) -> Tensors:
        inputs = trial.inputs(module)
        module.zero_grad()
        outputs = trial.call(callee, inputs)
        differentiate(outputs)
        gradients = {name: gradient.clone() for name, gradient in gradients_of(module, inputs).items()}
        return detached(outputs) | gradients

    eager = results(module)
    try:
        in_one_graph = results(torch.compile(module, fullgraph=True, backend="aot_eager"))
    except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.Unsupported) as error:
        raise Violation(f"it does not compile to one graph: {_in_words(error)}") from error
    require_close(in_one_graph, eager, "compiled")


def _in_words(error: Exception) -> str:
    """The first line, and the place in the component's source."""
    text = str(error).strip()
    places = re.findall(r'File "([^"]+)", line (\d+)', text)
    place = f" ({places[-1][0]}:{places[-1][1]})" if places else ""
    return text.partition("\n")[0] + place
