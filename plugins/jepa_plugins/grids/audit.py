"""What is to be said of grids before anything is trained on them: sizes, objects, and grids with nothing in them."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from jepa_core.observations import Observations
from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.connected_components import connected_components

OBJECT_GRIDS = 1024
"""Grids whose objects are counted."""

_ROWS_AT_ONCE = 4096


@attrs.frozen(kw_only=True)
class _Spread:
    """A distribution in three figures."""

    minimum: float
    median: float
    maximum: float

    @staticmethod
    def of(values: Tensor) -> _Spread:
        return _Spread(minimum=float(values.min()), median=float(values.median()), maximum=float(values.max()))

    def text(self) -> str:
        return f"{self.minimum:.0f}–{self.median:.0f}–{self.maximum:.0f}"

    def figures(self, name: str) -> dict[str, float]:
        return {f"{name}.{key}": value for key, value in attrs.asdict(self).items()}


def audited_grids(observations: Observations, object_limit: int | None) -> SpaceAudit:
    """Of grids (S, T+1, H, W); `object_limit` is how many objects of a grid the encoder takes, None for all."""
    grids = observations["grid"]
    empty = _empty(grids)
    sizes = observations["size"].flatten(0, 1).float()
    height, width = _Spread.of(sizes[:, 0]), _Spread.of(sizes[:, 1])
    counts = _object_counts(grids)
    objects = _Spread.of(counts)
    cut = float((counts - object_limit).clamp(min=0).sum() / counts.sum().clamp(min=1)) if object_limit else 0.0
    empty_grids, empty_targets = float(empty.float().mean()), float(empty[:, -1].float().mean())
    lines = [
        (
            "grids",
            f"height {height.text()} · width {width.text()} · objects {objects.text()} (least, median, most)",
        ),
        ("empty", f"{100 * empty_grids:.3g} % of grids, {100 * empty_targets:.3g} % of targets"),
    ]
    if object_limit is not None:
        lines.insert(1, ("objects cut off", f"{100 * cut:.3g} % beyond the encoder's {object_limit}"))
    return SpaceAudit(
        figures={
            **height.figures("height"),
            **width.figures("width"),
            **objects.figures("objects"),
            "objects_cut": cut,
            "empty_grids": empty_grids,
            "empty_targets": empty_targets,
        },
        lines=tuple(lines),
        findings=tuple(_findings(empty_grids, empty_targets, cut, object_limit, objects.maximum)),
    )


def _findings(
    empty_grids: float, empty_targets: float, cut: float, object_limit: int | None, most_objects: float
) -> Iterator[Finding]:
    if empty_targets > 0:
        yield Finding(
            name="empty targets",
            severity="warning" if empty_targets > 0.01 else "info",
            message=f"{100 * empty_targets:.1f} % of the targets have no coloured cell; of all grids it is "
            f"{100 * empty_grids:.1f} %.",
            evidence={"targets": empty_targets, "grids": empty_grids},
            advice="An encoder of objects gives such grids no token: their embeddings are all alike.",
        )
    if cut > 0.01 and object_limit:
        yield Finding(
            name="objects cut off",
            severity="warning" if cut > 0.1 else "info",
            message=f"{100 * cut:.1f} % of the objects are beyond encoder.max_objects = {object_limit}: the encoder "
            "never sees them.",
            evidence={"share": cut, "most_objects": most_objects},
            advice="Raise encoder.max_objects, or use the encoder of cells.",
            set={"encoder": {"max_objects": 2 * object_limit}},
        )


def _empty(grids: Tensor) -> Tensor:
    """(S, T+1) bool: no cell of a colour other than the background."""
    parts = [~((part != 0) & (part < OUTSIDE)).flatten(2).any(-1) for part in grids.split(_ROWS_AT_ONCE)]
    return torch.cat(parts)


def _object_counts(grids: Tensor) -> Tensor:
    """(K,) float: objects of a sample of grids."""
    every = max(1, len(grids) * grids.shape[1] // OBJECT_GRIDS)
    return count_objects(grids.flatten(0, 1)[::every][:OBJECT_GRIDS]).float()


def count_objects(grids: Tensor) -> Tensor:
    """Grids (M, H, W) to (M,): 4-connected components of one colour; background and outside are none."""
    roots = torch.arange(grids.numel(), device=grids.device).view(grids.shape)
    is_object = (grids != 0) & (grids < OUTSIDE)
    return ((connected_components(grids) == roots) & is_object).flatten(1).sum(1)
