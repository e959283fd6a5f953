"""The networks: built alike from one seed, and a target that follows the online one and nothing else."""

from __future__ import annotations

import copy
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import nn

from jepa_core.contracts import Embeddings
from jepa_core.engine.building import built
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.network import Parts, build_parts, masked_mean
from jepa_core.errors import DeviceError, PluginError
from jepa_core.metrics import Metric
from jepa_core.registry import chosen_plugins
from jepa_plugins.grids.space import GridSpace
from tests.engine.training import CPU, RecipeMaker
from tests.plugins.distributions import COMPONENT

YES, NO = torch.tensor(True), torch.tensor(False)


@pytest.fixture
def parts(tiny_recipe: RecipeMaker) -> Parts:
    return build_parts(tiny_recipe(), DataShape(context_length=3, space=GridSpace(side=8)), CPU)


def fill_online(parts: Parts, value: float) -> None:
    for parameter in parts.online.parameters():
        nn.init.constant_(parameter, value)


def test_one_seed_builds_one_network_whatever_was_drawn_before(tiny_recipe: RecipeMaker) -> None:
    built = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        parts = build_parts(tiny_recipe(), DataShape(context_length=3, space=GridSpace(side=8)), CPU)
        built.append({"online": parts.online.state_dict(), "losses": parts.losses.state_dict()})
    assert same_tree(*built)


def test_the_target_starts_as_a_copy_of_encoder_and_projector_alone(parts: Parts) -> None:
    online, target = parts.online.state_dict(), parts.target.state_dict()
    assert {name.partition(".")[0] for name in target} == {"encoder", "projector"}
    assert same_tree(target, {name: online[name] for name in target})
    assert not any(parameter.requires_grad for parameter in parts.target.parameters())


def test_the_target_stays_in_evaluation_mode(parts: Parts) -> None:
    parts.target.train()
    assert not any(module.training for module in parts.target.modules())


def test_following_moves_the_target_by_one_less_the_decay(parts: Parts) -> None:
    start = copy.deepcopy(parts.target.state_dict())
    fill_online(parts, 2.0)
    parts.target.follow(parts.online, 0.75, YES)
    for name, value in parts.target.state_dict().items():
        torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * torch.full_like(value, 2.0), msg=name)


@pytest.mark.parametrize("value", [2.0, math.nan, math.inf])
def test_a_refused_step_leaves_the_target_as_it_was_whatever_the_online_weights(parts: Parts, value: float) -> None:
    start = copy.deepcopy(parts.target.state_dict())
    fill_online(parts, value)
    parts.target.follow(parts.online, 0.75, NO)
    assert same_tree(parts.target.state_dict(), start)


@pytest.mark.parametrize(("accept", "expected"), [(YES, 5.0), (NO, 0.0)])
def test_buffers_of_the_encoder_are_copied_when_the_step_is_accepted(
    tiny_recipe: RecipeMaker, accept: torch.Tensor, expected: float
) -> None:
    parts = build_parts(tiny_recipe(), DataShape(context_length=3, space=GridSpace(side=8)), CPU)
    for network in (parts.online, parts.target):
        network.encoder.register_buffer("running_mean", torch.zeros(2))
    parts.online.encoder.get_buffer("running_mean").fill_(5.0)
    parts.target.follow(parts.online, 0.99, accept)
    assert parts.target.encoder.get_buffer("running_mean").tolist() == [expected] * 2


def test_a_mean_over_tokens_counts_real_ones_only_and_is_zero_without_any() -> None:
    values = torch.tensor([[[1.0], [3.0], [9.0]], [[4.0], [4.0], [4.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(Embeddings(values, mask)).tolist() == [[2.0], [0.0]]


@attrs.frozen(kw_only=True)
class FailingConfig:
    """Cannot be built, or builds what is no module."""

    kind: ClassVar[str] = "failing"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    raises: bool = True

    def build(self, _facts: object) -> object:
        if self.raises:
            raise ZeroDivisionError("no reason")
        return "a module"


@pytest.mark.parametrize(("raises", "told"), [(True, "ZeroDivisionError: no reason"), (False, "built a str")])
def test_a_component_that_fails_to_build_is_named_with_its_origin(raises: bool, told: str) -> None:
    with pytest.raises(PluginError, match=rf"'failing' \(tests\.engine\.test_network\.FailingConfig\).*{told}"):
        built(FailingConfig(raises=raises), object())


@attrs.frozen(kw_only=True)
class GivenConfig:
    """Takes no five heads, and memory by the rest."""

    kind: ClassVar[str] = "given"
    metrics: ClassVar[tuple[Any, ...]] = ()
    heads: int = 3
    width: int = 8
    taps: tuple[int, ...] = attrs.field(factory=tuple)

    def build(self, _facts: object) -> nn.Module:
        if self.heads == 5:
            raise ValueError("five is too many")
        return nn.Linear(self.width, self.width)


def test_settings_that_are_not_the_defaults_are_named_where_a_component_fails_to_build() -> None:
    with pytest.raises(PluginError) as caught:
        built(GivenConfig(heads=5), None)
    message = str(caught.value)
    assert "It may not take its settings: heads = 5 (3 by default). Try it without. Check it" in message
    with pytest.raises(PluginError) as plain:
        built(FailingConfig(raises=True), None)
    assert "It may not take" not in str(plain.value)


@pytest.mark.parametrize("width", [1 << 22, 1 << 31])
def test_memory_that_settings_ask_for_is_laid_to_them_and_to_no_author(width: int) -> None:
    with pytest.raises(DeviceError) as caught:
        built(GivenConfig(width=width), None)
    message = str(caught.value)
    assert message.startswith("There is not enough memory for the component 'given' (")
    assert f"Its settings ask for that: width = {width} (8 by default). Make them smaller" in message
    assert "author" not in message


def test_memory_that_the_projector_asks_for_is_no_fault_of_the_program(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("projector.dim=100000000000")
    with pytest.raises(
        DeviceError, match=r"memory for the projector: .*\nIts settings ask for that: .*dim = 100000000000"
    ):
        build_parts(recipe, DataShape(context_length=3, space=GridSpace(side=8)), CPU)


def test_a_component_of_the_users_own_file_is_theirs_to_correct(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        COMPONENT.format(kind="own").replace("        import torch\n", "        raise ValueError('not yet')\n")
    )
    component = chosen_plugins([file], []).get("aggregator", "own")
    assert component is not None
    with pytest.raises(PluginError) as caught:
        built(component.config_class(), None)
    assert re.search(rf"Correct {file}:\d+; jepa plugins check {file} tries it alone", str(caught.value))
    assert "author" not in str(caught.value)


@attrs.frozen(kw_only=True)
class LeavesConfig:
    """Ends the program when it is built."""

    kind: ClassVar[str] = "leaves"
    metrics: ClassVar[tuple[Any, ...]] = ()
    error: BaseException

    def build(self, facts: Any) -> nn.Module:
        raise self.error


def test_a_component_that_exits_is_refused_by_name_and_a_signal_passes() -> None:
    with pytest.raises(PluginError, match=r"'leaves' .* could not be built: SystemExit: 0 \(test_network\.py:\d+\)\."):
        built(LeavesConfig(error=SystemExit(0)), None)
    with pytest.raises(StoppedBeforeTraining):
        built(LeavesConfig(error=StoppedBeforeTraining(130)), None)
