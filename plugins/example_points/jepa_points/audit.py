"""What is to be said of point sets before anything is trained on them: extent, points that are missing, empty sets."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.observations import Observations
from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding
from jepa_points.edits import size_of

_USUAL_SIZES = (0.01, 100.0)
"""Root mean square distance from the middle that an encoder of freshly drawn weights can read."""


def audited_points(sequences: Observations) -> SpaceAudit:
    """Of sequences (S, T+1, N, …)."""
    points, mask = sequences["points"], sequences["mask"]
    counts = mask.sum(-1)
    size = float(size_of(sequences).median())
    figures = {
        "points.minimum": float(points.min()),
        "points.maximum": float(points.max()),
        "size": size,
        "missing": float((~mask).float().mean()),
        "points.least": float(counts.min()),
        "points.most": float(counts.max()),
        "empty": float((counts == 0).float().mean()),
        "empty.targets": float((counts[:, -1] == 0).float().mean()),
    }
    return SpaceAudit(
        figures=figures,
        lines=(
            (
                "points",
                f"{int(counts.min())} · {int(counts.median())} · {int(counts.max())} of {mask.shape[-1]} "
                "(least, median, most)",
            ),
            ("missing", f"{100 * figures['missing']:.3g} % of points"),
            ("coordinates", f"{figures['points.minimum']:.4g} … {figures['points.maximum']:.4g}"),
            ("size", f"{size:.4g} from the middle (root mean square, median over sequences)"),
        ),
        findings=tuple(_findings(figures)),
    )


def _findings(figures: dict[str, float]) -> Iterator[Finding]:
    if figures["empty"] > 0:
        yield Finding(
            name="empty sets",
            severity="warning",
            message=f"{100 * figures['empty']:.3g} % of the sets have no point; of the targets it is "
            f"{100 * figures['empty.targets']:.3g} %.",
            evidence={"sets": figures["empty"], "targets": figures["empty.targets"]},
            advice="Leave such frames out: nothing can be read off them, and as targets they are one candidate.",
        )
    least, most = _USUAL_SIZES
    if not least <= figures["size"] <= most:
        yield Finding(
            name="size of sets",
            severity="warning",
            message=f"Points lie {figures['size']:.3g} from the middle of their set.",
            evidence={"size": figures["size"], "least": least, "most": most},
            advice="Divide all coordinates by one number, so that sets are about 1 in size.",
        )
