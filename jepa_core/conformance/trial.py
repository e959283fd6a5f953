"""A component in one variant, to be tried on batches of one situation."""

from __future__ import annotations

import math
from typing import Any

import attrs
import torch
from torch import nn

from jepa_core.conformance.families import MODULE_FAMILIES, Callee, Family
from jepa_core.conformance.situations import Situation, Tensors
from jepa_core.conformance.subject import Subject
from jepa_core.conformance.violation import NotApplicable
from jepa_core.contracts import ALONE, Crew, Observations, Space
from jepa_core.engine.seeds import seed_generators


@attrs.define(eq=False)
class Trial:
    """Builds the component, draws batches for it and calls it; one seed gives one result."""

    subject: Subject
    situation: Situation
    seed: int = 0
    crew: Crew = ALONE
    """The ranks that share the situation's batch."""
    drawn: Tensors = attrs.field(factory=dict)
    """The last batch, for the report."""

    @property
    def config(self) -> Any:
        return self.subject.config

    @property
    def family(self) -> Family:
        return MODULE_FAMILIES[self.subject.component.family]

    @property
    def space(self) -> Space | None:
        """What observations are of; None for components that take any, or see none."""
        space_class = self.subject.space_class
        return None if space_class is None else space_class.examples()[self.situation.example]

    def observations(self, *leading: int) -> Observations:
        """Observations (…) of the space, drawn anew.

        Raises:
            NotApplicable: the component names no space.
        """
        if self.space is None:
            raise NotApplicable("it names no space that observations could be drawn of")
        drawn = self.space.sample(math.prod(leading), self.situation.real)
        return drawn.map(lambda tensor: tensor.unflatten(0, leading))

    def build(self, *, seed: int | None = None) -> nn.Module:
        """The module, for batches of the situation."""
        seed_generators(self.seed if seed is None else seed)
        module: nn.Module = self.subject.config.build(self.family.facts(self.situation, self.space, self.crew))
        return module

    def inputs(self, module: nn.Module, *, dtype: torch.dtype = torch.float32, step: int = 0) -> Tensors:
        """A batch; what the engine computes with gradient takes one. Each step has another."""
        seed_generators(self.seed + 1 + 1000 * step)
        tensors = self.family.inputs(self.situation, module, self.space)
        self.drawn = {
            name: tensor.to(dtype).requires_grad_(name not in self.family.without_gradient)
            if tensor.is_floating_point() and not self.family.of_observations
            else tensor
            for name, tensor in tensors.items()
        }
        return self.drawn

    def call(self, module: Callee, inputs: Tensors, *, step: int = 0) -> Tensors:
        """What the component makes of a batch."""
        seed_generators(self.seed + 2 + 1000 * step)
        return self.family.call(module, inputs, self.crew)

    def outputs(self, module: nn.Module) -> Tensors:
        """What the module makes of the situation's batch."""
        return self.call(module, self.inputs(module))
