"""Loading what fits: by name, shape and dtype; buffers of a part together, data-dependent starts as a whole."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_core.engine.fitting_state import StartedAnew, load_fitting, parameters_anew
from jepa_core.engine.optimizer import GatedAdam
from jepa_core.recipes.tables import Optimizer


class Memory(nn.Module):
    """A weight, and two buffers that belong together."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("queue", torch.zeros(size))
        self.register_buffer("filled", torch.zeros(()))


class Codebook(Memory):
    """The same, started from data."""

    def initialise(self, sample: Tensor) -> None: ...


def model(**parts: nn.Module) -> nn.Module:
    whole = nn.Module()
    for name, part in parts.items():
        whole.add_module(name, part)
    return whole


def filled(module: nn.Module) -> dict[str, Tensor]:
    """A state full of ones."""
    return {key: torch.ones_like(value) for key, value in module.state_dict().items()}


def ones_in(module: nn.Module) -> set[str]:
    return {key for key, value in module.state_dict().items() if bool((value == 1).all())}


def test_everything_is_loaded_where_everything_fits() -> None:
    own = model(a=nn.Linear(2, 3), b=Memory(4))
    assert load_fitting(own, filled(own)) == ()
    assert ones_in(own) == set(own.state_dict())


def test_a_parameter_of_another_shape_starts_anew_alone() -> None:
    own, other = model(a=nn.Linear(2, 3)), model(a=nn.Linear(4, 3))
    (anew,) = load_fitting(own, filled(other))
    assert anew == StartedAnew(part="a", tensors=("weight",), reason="other shape", unused=0)
    assert anew.describe() == "1 tensor of a starts anew: other shape"
    assert ones_in(own) == {"a.bias"}


def test_another_dtype_does_not_fit() -> None:
    own = model(a=nn.Linear(2, 3))
    state = {key: value.double() for key, value in filled(own).items()}
    (anew,) = load_fitting(own, state)
    assert anew.tensors == ("weight", "bias")


def test_the_buffers_of_a_part_start_anew_together_and_its_parameters_stay() -> None:
    own = model(b=Memory(4))
    (anew,) = load_fitting(own, filled(model(b=Memory(5))))
    assert set(anew.tensors) == {"queue", "filled"}
    assert ones_in(own) == {"b.weight"}
    assert anew.describe() == "2 tensors of b start anew: other shape"


def test_a_part_that_is_initialised_from_data_starts_anew_as_a_whole() -> None:
    own = model(quantizer=Codebook(4))
    (anew,) = load_fitting(own, filled(model(quantizer=Codebook(5))))
    assert set(anew.tensors) == {"weight", "queue", "filled"}
    assert ones_in(own) == set()
    assert parameters_anew([anew]) == {"quantizer.weight", "quantizer.queue", "quantizer.filled"}


def test_parts_that_come_and_go_are_told() -> None:
    own, other = model(new=nn.Linear(2, 2), kept=nn.Linear(2, 2)), model(kept=nn.Linear(2, 2), old=nn.Linear(2, 2))
    told = [anew.describe() for anew in load_fitting(own, filled(other))]
    assert told == [
        "2 tensors of new start anew: not in the checkpoint",
        "old has no use for 2 tensors of the checkpoint",
    ]


def test_moments_are_kept_for_parameters_that_fit_and_dropped_for_those_that_start_anew() -> None:
    parameters = {"a": nn.Parameter(torch.ones(2)), "b": nn.Parameter(torch.ones(2)), "c": nn.Parameter(torch.ones(3))}
    adam = GatedAdam(Optimizer(), parameters)
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    adam.step(0.1, torch.tensor(True))
    state = adam.state()
    others = {"a": nn.Parameter(torch.ones(2)), "b": nn.Parameter(torch.ones(2)), "c": nn.Parameter(torch.ones(4))}
    child = GatedAdam(Optimizer(), others)
    child.restore_fitting({**state, "gone": state["a"]})
    assert {name: int(moments["step"]) for name, moments in child.state().items()} == {"a": 1, "b": 1, "c": 0}
    child.forget({"b", "not a parameter"})
    assert {name: int(moments["step"]) for name, moments in child.state().items()} == {"a": 1, "b": 0, "c": 0}
    assert child.state()["a"]["exp_avg"].equal(state["a"]["exp_avg"])
    assert not child.state()["b"]["exp_avg"].any()
