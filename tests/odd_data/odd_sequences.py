"""A dataset of odd sequences of any space that an installed encoder takes, as a local plugin file.

Shapes: S sequences of T + 1 observations.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal, cast, get_args

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space, spaces_of
from jepa_core.facts import DatasetFacts, Role
from jepa_core.hookspecs import hookimpl
from jepa_core.metrics import Metric
from jepa_core.registry import installed
from jepa_core.settings import setting
from jepa_core.spaces import Fill

JEPA_CONTRACT = 2

Observed = Literal[
    "usual", "nothing", "full", "smallest", "smallest and empty", "all equal", "equal sequences", "equal places",
    "one target", "target in context", "empty targets",
]  # fmt: skip
Labelled = Literal[
    "none", "one class", "single members", "two classes", "gaps", "one number", "numbers", "huge numbers"
]
Tasked = Literal["each its own", "one", "uneven", "gaps", "many unused"]
OBSERVED, LABELLED, TASKED = (get_args(each) for each in (Observed, Labelled, Tasked))


def known_spaces() -> dict[str, type[Space]]:
    """By kind, those that installed encoders take."""
    encoders = installed().family("encoder").values()
    return {space.kind: space for encoder in encoders for space in spaces_of(encoder.config_class)}


@attrs.frozen(kw_only=True)
class OddSequencesConfig:
    """Few sequences, with something odd about them."""

    kind: ClassVar[str] = "odd_sequences"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    of: str = setting("kind of the space", default="grid")
    observed: Observed = setting("what is odd about observations", default="usual", choices=OBSERVED)
    labelled: Labelled = setting("what is odd about labels", default="none", choices=LABELLED)
    tasked: Tasked = setting("what is odd about tasks", default="each its own", choices=TASKED)
    train: int = setting("training sequences", default=6, at_least=0)
    validation: int = setting("validation sequences", default=4, at_least=0)
    context_length: int = setting("context observations", default=2, at_least=0)
    has_pairs: bool = setting("whether places are inputs and outputs in turn, not frames", default=False)

    @property
    def space(self) -> type[Space]:
        return known_spaces()[self.of]

    def build(self, facts: DatasetFacts) -> SequenceDataset:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            space = self.space.examples()[1 if self.observed.startswith("smallest") else 0]
            train, validation = (self._observed(space, num) for num in (self.train, self.validation))
        tasks = self._tasks(self.train), self._tasks(self.validation)
        first = max(tasks[0].tolist(), default=-1) + 1
        sides = [
            Sequences(observations=observations, tasks=numbers, labels=self._labels(len(numbers)))
            for observations, numbers in ((train, tasks[0]), (validation, tasks[1] + first))
        ]
        most = max([*tasks[0].tolist(), *(tasks[1] + first).tolist()], default=-1) + 1
        return SequenceDataset(
            space=space,
            train=sides[0],
            validation=sides[1],
            task_names=tuple(f"task {number}" for number in range(most)),
            description="odd sequences",
            roles=self._roles(),
            fingerprint=hashlib.sha256(repr(self).encode()).hexdigest(),
        )

    def _observed(self, space: Space, num: int) -> Observations:
        """(S, T+1, …)."""
        fills = {"nothing": "none", "smallest and empty": "none", "full": "all"}
        fill = cast(Fill, fills.get(self.observed, "some"))
        places = self.context_length + 1
        drawn = space.sample(num * places + 1, fill)[1:].map(lambda tensor: tensor.unflatten(0, (num, places)))
        if self.observed == "all equal":
            one = space.sample(1, "some")
            return one.map(lambda tensor: tensor[None].expand(num, places, *tensor.shape[1:]).clone())
        if self.observed == "equal sequences":
            one = space.sample(places, "some")
            return one.map(lambda tensor: tensor[None].expand(num, *tensor.shape).clone())
        if self.observed == "equal places":
            return drawn.map(lambda tensor: tensor[:, :1].expand_as(tensor).clone())
        if self.observed in ("one target", "empty targets"):
            target = space.sample(2, "none" if self.observed == "empty targets" else "some")[1:]
            return Observations({name: _with_last(drawn[name], one) for name, one in target.tensors.items()})
        if self.observed == "target in context":
            return drawn.map(lambda tensor: torch.cat([tensor[:, :-1], tensor[:, -2:-1]], 1))
        return drawn

    def _roles(self) -> tuple[Role, ...]:
        pairs: tuple[Role, ...] = ("input", "output") * (self.context_length + 1)
        return pairs[-self.context_length - 1 :] if self.has_pairs else ()

    def _tasks(self, num: int) -> Tensor:
        """(S,) int64."""
        numbers = torch.arange(num)
        return {
            "each its own": numbers,
            "one": torch.zeros_like(numbers),
            "uneven": (numbers - num // 2).clamp(min=0),
            "gaps": numbers * 7 + 3,
            "many unused": numbers + 1000,
        }[self.tasked]

    def _labels(self, num: int) -> dict[str, Tensor]:
        numbers = torch.arange(num)
        return {
            "none": {},
            "one class": {"class": torch.zeros_like(numbers)},
            "single members": {"Is left?": numbers},
            "two classes": {"a": numbers % 2, "b": numbers // 2},
            "gaps": {"null": (numbers % 2) * (2**62)},
            "one number": {"1": torch.full((num,), 0.1)},
            "numbers": {"x": numbers.double().sin(), "y": numbers.float() % 2},
            "huge numbers": {"x": (numbers.double() - 2) * 1e307, "tiny": numbers.double() * 5e-324},
        }[self.labelled]


def _with_last(drawn: Tensor, last: Tensor) -> Tensor:
    drawn = drawn.clone()
    drawn[:, -1] = last[0]
    return drawn


@hookimpl
def jepa_datasets() -> list[type]:
    return [OddSequencesConfig]
