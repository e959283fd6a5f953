"""How a function becomes an operator of torch's."""

from __future__ import annotations

import subprocess
import sys

_A_STEP = """
import sys
import torch
from jepa_plugins.triton_use import operator

@operator("doubled_of_a_test")
def doubled(values: torch.Tensor, factor: float) -> torch.Tensor:
    return values * factor

@doubled.register_fake
def _(values: torch.Tensor, factor: float) -> torch.Tensor:
    return torch.empty_like(values)

def keep(ctx, inputs, output):
    ctx.factor = inputs[1]

doubled.register_autograd(lambda ctx, grad: (ctx.factor * grad, None), setup_context=keep)
values = torch.arange(3.0, requires_grad=True)
doubled(values, 2.0).sum().backward()
assert values.grad.tolist() == [2.0, 2.0, 2.0]
"""


def test_an_operator_and_its_gradient_are_called_without_loading_the_compiler() -> None:
    check = _A_STEP + "assert 'torch._dynamo' not in sys.modules, 'loaded'"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_an_operator_is_sound_and_is_compiled_whole() -> None:
    check = _A_STEP + (
        "torch.library.opcheck(doubled.overload, (values, 2.0))\n"
        "whole = torch.compile(lambda v: doubled(v + 1, 3.0), backend='aot_eager', fullgraph=True)\n"
        "assert whole(values).tolist() == [3.0, 6.0, 9.0]\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
