"""Small recipes on odd data, drawn so that every installed component and every oddity comes up, in many pairs.

Components are those of the registry, in the variants and at the lowest settings that their own descriptions allow: a
new one is drawn the moment it is registered.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.conformance.subject import SMALL, small_config, subjects_of
from jepa_core.contracts import AsksForEncoderViews, OffersViews, Space, spaces_of
from jepa_core.errors import JepaError
from jepa_core.facts import AugmentationFacts, EncoderFacts, LossFacts, frames
from jepa_core.registry import Component, Registry
from jepa_core.settings import setting_of
from tests.odd_data.files import ODD_FILES, Data
from tests.odd_data.odd_sequences import LABELLED, OBSERVED, TASKED, known_spaces

Table = dict[str, Any]

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "as usual": {},
    "a batch of one": {"train.batch_size": 1},
    "accumulates more than there is": {"train.accumulate": 50},
    "accumulates over epochs": {"train.accumulate": 3, "train.epochs": 3},
    "one epoch": {"train.epochs": 1},
    "long warm-up": {"schedule.warmup_steps": 10_000},
    "short schedule": {"schedule.total_steps": 1, "schedule.floor": 0.0},
    "hardly ever validates": {"diagnostics.validate_every_epochs": 1e9},
    "validates all the time": {"diagnostics.validate_every_epochs": 1e-9},
    "diagnoses every step": {"diagnostics.every_steps": 1, "diagnostics.log_every_steps": 1},
    "a sample of two": {"diagnostics.sample": 2, "diagnostics.every_steps": 1},
    "bfloat16": {"train.precision": "bf16"},
    "skips": {"train.non_finite": "skip"},
    "deterministic": {"train.deterministic": True},
    "clips to nothing": {"train.clip_norm": 1e-30},
    "target at once": {"target.ema_decay": 0.0, "target.ema_decay_end": 0.0},
    "target never": {"target.ema_decay": 0.999999, "target.ema_decay_end": 1.0},
    "two dimensions": {"projector.dim": 2, "projector.layers": 3, "projector.hidden_dim": 1},
    "dead projector": {"projector.dim": 2, "projector.final_relu": True},
    "saves every step": {"checkpoint.every_steps": 1, "checkpoint.keep": 2},
    "huge steps": {"optimizer.lr": 1e4},
    "on the host": {"data.place": "host"},
}
"""Of the engine's own tables, by name."""

AMOUNTS = ((1, 1), (2, 1), (1, 2), (2, 2), (6, 4), (5, 1), (1, 5), (7, 24))
"""Training and validation sequences."""

TRAIN = {"epochs": 2, "seed": 3}
"""Of `train`, where the case says nothing else."""


@attrs.frozen(kw_only=True)
class Case:
    """A recipe, and what writes its data."""

    number: int
    table: Table
    """Without `data` where a file is to be written."""
    file: str = ""
    """Of `ODD_FILES`, of the space."""
    space: str
    what: str
    """What is odd, and the components, in words."""

    def data(self, folder: Path) -> Data:
        """The table `data`, its files written."""
        there: Data = self.table.get("data", {})
        return {**ODD_FILES[self.space][self.file](folder), **there} if self.file else there

    def with_parts(self, **parts: Table) -> Case:
        """With other tables, all else being usual."""
        usual: Table = {
            "train": {**TRAIN, "batch_size": 2},
            "projector": {"dim": 8},
            "aggregator": {"kind": "mean"},
            "predictor": {"kind": "mlp"},
            "losses": {"info_nce": {}},
        }
        what = ", ".join(f"{name} {table['kind']}" for name, table in parts.items())
        return attrs.evolve(self, table={"name": "odd", **usual, **parts}, file="", what=what)


def cases(registry: Registry, num: int, seed: int) -> Iterator[Case]:
    """So many, the same for one seed and one registry."""
    drawing = Drawing(registry, seed)
    for number in range(num):
        yield drawing.case(number)


class Drawing:
    """Draws cases, each value the one that came up least, alone and beside those of the same case."""

    def __init__(self, registry: Registry, seed: int) -> None:
        self.registry = registry
        self._draw = random.Random(seed)
        self._drawn: Counter[frozenset[tuple[str, str]]] = Counter()
        self._chosen: dict[str, str] = {}

    def case(self, number: int) -> Case:
        """The next one."""
        self._chosen = {}
        encoder = self._component("encoder", list(self.registry.family("encoder").values()))
        kind = self._choose("space", [space.kind for space in spaces_of(encoder.config_class)])
        space = known_spaces()[kind]
        table: Table = {"name": f"odd-{number}", "train": dict(TRAIN), "projector": {"dim": 8, "layers": 1}}
        file = self._add_data(table, kind, space)
        table |= {"diagnostics": {"sample": 8}, "encoder": self._table(encoder)}
        for family in ("quantizer", "aggregator", "predictor"):
            table[family] = self._table(self._component(family, fitting(self.registry, family, space)))
        self._add_augmentations(table, space)
        self._add_losses(table, space, encoder)
        for key, value in SETTINGS[self._choose("settings", list(SETTINGS))].items():
            of, _, name = key.partition(".")
            table.setdefault(of, {})[name] = value
        what = ", ".join(f"{axis} {value}" for axis, value in self._chosen.items())
        return Case(number=number, table=table, file=file, space=kind, what=what)

    def _choose(self, axis: str, values: Sequence[str]) -> str:
        def often(value: str) -> float:
            own = (axis, value)
            beside = sum(self._drawn[frozenset({own, other})] for other in self._chosen.items())
            return 2 * self._drawn[frozenset({own})] + beside

        value = min(values, key=lambda value: (often(value), self._draw.random()))
        self._drawn[frozenset({(axis, value)})] += 1
        self._drawn.update(frozenset({(axis, value), other}) for other in self._chosen.items())
        self._chosen[axis] = value
        return value

    def _component(self, axis: str, components: Sequence[Component]) -> Component:
        name = self._choose(axis, [component.name for component in components])
        return next(component for component in components if component.name == name)

    def _add_data(self, table: Table, kind: str, space: type[Space]) -> str:
        """Few sequences or the least that a generator gives; or the name of a file to be written."""
        table["train"]["batch_size"] = 1
        generators = [
            component
            for component in generators_of(self.registry)
            if getattr(component.config_class, "space", None) is space
        ]
        sources = ["sequences", *(["file"] if kind in ODD_FILES else []), *(["generator"] if generators else [])]
        match self._choose("source", sources):
            case "file":
                return self._choose(f"file of {kind}", list(ODD_FILES[kind]))
            case "generator":
                generator = self._component("generator", generators)
                table["train"]["batch_size"] = 4
                lowest = lowest_of(small_config(generator.config_class))
                table["data"] = {"kind": generator.name, **given(lowest), "validation_share": 0.5}
            case _:
                train, validation = map(int, self._choose("amount", [f"{a} {b}" for a, b in AMOUNTS]).split())
                table["data"] = {
                    "kind": "odd_sequences",
                    "of": kind,
                    "train": train,
                    "validation": validation,
                    "observed": self._choose("observed", OBSERVED),
                    "labelled": self._choose("labelled", LABELLED),
                    "tasked": self._choose("tasked", TASKED),
                    "context_length": int(self._choose("context", ["1", "2", "3", "5"])),
                    "has_pairs": self._choose("places", ["frames", "pairs"]) == "pairs",
                }
                table["train"]["batch_size"] = self._draw.randint(1, train)
        return ""

    def _add_augmentations(self, table: Table, space: type[Space]) -> None:
        """None to two, sometimes switched off, so that they serve the views of losses alone."""
        has_pairs = table.get("data", {}).get("has_pairs", False) or self._chosen["source"] == "file"
        there = [c for c in fitting(self.registry, "augmentation", space) if has_pairs or takes_frames(c, space)]
        is_enabled = self._draw.random() < 0.8
        for number in range(min(self._draw.randint(0, 2), len(there))):
            component = self._component(f"augmentation {number}", there)
            table.setdefault("augmentation", {})[component.name] = {**self._table(component), "enabled": is_enabled}

    def _add_losses(self, table: Table, space: type[Space], encoder: Component) -> None:
        """One or two."""
        augmentations = table.get("augmentation", {})
        for number in range(self._draw.randint(1, 2)):
            loss = self._component(f"loss {number}", usable_losses(self.registry, space, encoder, bool(augmentations)))
            views = {"augmentations": list(augmentations)} if looks_at_augmented(loss) else {}
            table.setdefault("losses", {})[loss.name] = {**self._table(loss), "weight": 0.5, **views}

    def _table(self, component: Component) -> Table:
        """A component's table: small, in one of its variants, or at its lowest settings."""
        configs = [subject.config for subject in subjects_of(component)]
        config = self._draw.choice([configs[0], self._draw.choice(configs), lowest_of(configs[0])])
        return {"kind": component.name, **given(config)}


def fitting(registry: Registry, family: str, space: type[Space]) -> list[Component]:
    """Components of a family that take a space."""
    return [c for c in registry.family(family).values() if space in (spaces_of(c.config_class) or (space,))]


@functools.cache
def takes_frames(augmentation: Component, space: type[Space]) -> bool:
    """Whether it can do without inputs and outputs."""
    try:
        small_config(augmentation.config_class).build(AugmentationFacts(space=space.examples()[0], roles=frames(3)))
    except JepaError:
        return False
    return True


def generators_of(registry: Registry) -> list[Component]:
    """Datasets that need no file, and of which a few sequences can be had."""
    there = registry.family("dataset").values()
    return [c for c in there if not hasattr(c.config_class, "example") and _makes_few(c.config_class)]


def _makes_few(config_class: type[Any]) -> bool:
    return any(name.startswith("num_") for name in attrs.fields_dict(config_class))


def looks_at_augmented(loss: Component) -> bool:
    """Whether it looks at views through augmentations of the recipe."""
    return hasattr(small_config(loss.config_class), "augmentations")


def usable_losses(
    registry: Registry, space: type[Space], encoder: Component, has_augmentations: bool
) -> list[Component]:
    """Those that a recipe with these parts takes."""
    offered = _views_offered(encoder, space)
    return [
        loss
        for loss in fitting(registry, "loss", space)
        if _views_asked(loss) <= offered and (has_augmentations or not looks_at_augmented(loss))
    ]


@functools.cache
def _views_offered(encoder: Component, space: type[Space]) -> frozenset[str]:
    module = small_config(encoder.config_class).build(EncoderFacts(space=space.examples()[0]))
    return frozenset(module.reading_views()) if isinstance(module, OffersViews) else frozenset()


@functools.cache
def _views_asked(loss: Component) -> frozenset[str]:
    facts = LossFacts(
        embedding_dim=SMALL["dim"], projection_dim=8, context_length=2, num_tokens=4, batch_size=2,
        augmentations={"unchanged": lambda batch: batch},
    )  # fmt: skip
    module = small_config(loss.config_class).build(facts)
    return frozenset(module.encoder_views()) if isinstance(module, AsksForEncoderViews) else frozenset()


def given(config: Any) -> Table:
    """Its fields as a recipe gives them."""
    values = {field.name: getattr(config, field.name) for field in attrs.fields(type(config))}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v is not None}


def lowest_of(config: Any) -> Any:
    """With every number as low as its range allows beside the others."""
    for field in attrs.fields(type(config)):
        bound, now = setting_of(field).at_least, getattr(config, field.name)
        if bound is None or isinstance(now, bool) or not isinstance(now, int | float):
            continue
        try:
            config = attrs.evolve(config, **{field.name: type(now)(bound)})
        except (ValueError, JepaError):
            continue
    return config
