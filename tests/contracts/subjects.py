"""What is tested: every installed component, small, in every variant that its settings of few choices offer.

Sizes are found by the names of fields, not of components, so that one that is installed tomorrow is tested too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import torch
from torch import nn

from jepa_core.registry import Component, installed
from jepa_core.settings import setting_of
from tests.contracts.families import MODULE_FAMILIES, Callee, Family
from tests.contracts.situations import USUAL, Situation, Tensors

SMALL: dict[str, Any] = {
    "dim": 16,
    "layers": 1,
    "heads": 2,
    "patch": 3,
    "max_objects": 4,
    "codes": 8,
    "queue": 12,
    "slices": 8,
    "points": 5,
    "num_sequences": 60,
    "side": 8,
    "train_windows": 2,
}
"""Field → value, for every component with a field of that name and kind."""


@attrs.frozen
class Subject:
    """One component in one variant."""

    component: Component
    config: Any
    variant: str = ""

    @property
    def label(self) -> str:
        """Such as "aggregator-attention_pool-queries=all"."""
        return "-".join(filter(None, (self.component.family, self.component.name, self.variant)))

    @property
    def family(self) -> Family:
        return MODULE_FAMILIES[self.component.family]

    def build(self, situation: Situation = USUAL, *, seed: int = 0) -> nn.Module:
        """The module, for batches of the situation."""
        torch.manual_seed(seed)
        module = self.config.build(self.family.facts(situation))
        assert isinstance(module, nn.Module)
        return module

    def inputs(self, module: nn.Module, situation: Situation = USUAL, *, dtype: torch.dtype = torch.float32) -> Tensors:
        """A batch; what the engine computes with gradient takes one."""
        torch.manual_seed(1)
        tensors = self.family.inputs(situation, module)
        return {
            name: tensor.to(dtype).requires_grad_(name not in self.family.without_gradient)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in tensors.items()
        }

    def call(self, module: Callee, inputs: Tensors, *, seed: int = 2) -> Tensors:
        """What the component makes of a batch, its draws fixed by the seed."""
        torch.manual_seed(seed)
        return self.family.call(module, inputs)


def small_config(config_class: type) -> Any:
    """The component's defaults, but small.

    Raises:
        TypeError: a field has no default, and its name is not in the table.
    """
    sizes = {
        field.name: SMALL[field.name]
        for field in attrs.fields(config_class)
        if field.name in SMALL and (field.default is attrs.NOTHING or type(field.default) is type(SMALL[field.name]))
    }
    try:
        return config_class(**sizes)
    except ValueError:
        return config_class()


def variants(config: Any) -> Iterator[tuple[str, Any]]:
    """The configuration, and it with one setting of few choices changed: "" and "queries=all", with each."""
    yield "", config
    for field in attrs.fields(type(config)):
        now = getattr(config, field.name)
        choices = (False, True) if isinstance(now, bool) else setting_of(field).choices
        for choice in choices:
            if choice != now:
                yield f"{field.name}={choice}", attrs.evolve(config, **{field.name: choice})


def subjects(*families: str, offering: type | None = None) -> list[Any]:
    """Parameters for pytest: every subject of the families; a component that cannot be tried is skipped.

    With `offering`, a protocol of `contracts`, only those whose module keeps to it.
    """
    parameters: list[Any] = []
    for component in installed().components.values():
        if component.family not in families:
            continue
        try:
            config = small_config(component.config_class)
        except TypeError as error:
            reason = pytest.mark.skip(reason=f"{component.name} of {component.origin} has no usable defaults: {error}")
            parameters.append(pytest.param(None, id=f"{component.family}-{component.name}", marks=reason))
            continue
        found = [Subject(component, changed, variant) for variant, changed in variants(config)]
        parameters.extend(pytest.param(subject, id=subject.label) for subject in found if _offers(subject, offering))
    return parameters


def _offers(subject: Subject, protocol: type | None) -> bool:
    """Whether the module keeps to the protocol; one that cannot be built is for the tests to report."""
    if protocol is None:
        return True
    try:
        return isinstance(subject.build(), protocol)
    except Exception:
        return True
