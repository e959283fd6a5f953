"""Training data on the device, on the host with a copy one batch ahead, and through PyTorch's own DataLoader.

Frames of pixels in float32, a step of the encoder `vit`. "waits" is what a step takes beyond one with data on the
device.

    python benchmarks/host_data.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.batches import BatchStream
from jepa_core.facts import EncoderFacts
from jepa_plugins.images.encoders.vit import VitConfig
from jepa_plugins.images.space import ImageSpace

SIDE, PLACES, CHANNELS = 64, 4, 3
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sequences and steps")
    quick = parser.parse_args().quick
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    num_sequences, batch, steps = (512, 32, 5) if quick else (8192, 128, 60)
    pixels = torch.rand(num_sequences, PLACES, CHANNELS, SIDE, SIDE)
    sequences = Sequences(observations=Observations({"pixels": pixels}), tasks=torch.arange(num_sequences))
    space = ImageSpace(channels=CHANNELS, height=SIDE, width=SIDE)
    torch.manual_seed(0)
    dim, layers = (64, 1) if quick else (384, 6)
    encoder = VitConfig(dim=dim, layers=layers, heads=dim // 64, patch=8).build(EncoderFacts(space=space)).to(device)
    optimizer = torch.optim.AdamW(encoder.parameters())

    def step(given: Tensor) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            values = encoder(Observations({"pixels": given.flatten(0, 1)})).values
        values.float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    loader = DataLoader(
        TensorDataset(pixels),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=0 if quick else 4,
        pin_memory=device.type == "cuda",
        persistent_workers=not quick,
        prefetch_factor=None if quick else 4,
    )
    sources: dict[str, Callable[[], Iterator[Tensor]]] = {
        "on the device": lambda: _of_stream(BatchStream(sequences, batch, 0, device, place="device")),
        "on the host, one ahead": lambda: _of_stream(BatchStream(sequences, batch, 0, device, place="host")),
        "DataLoader, pinned": lambda: _of_loader(loader, device),
    }
    opened = {name: source() for name, source in sources.items()}
    times: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(ROUNDS):
        for name, batches in opened.items():
            times[name].append(_seconds(batches, step, steps, device) / steps)
    gib = pixels.numel() * 4 / 2**30
    print(f"{num_sequences:,} sequences of {PLACES} frames, {gib:.2f} GiB · batch {batch} · {device} · {ROUNDS} rounds")
    best = statistics.median(times["on the device"])
    print(f"{'':26}{'step':>10}{'waits':>9}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:26}{1e3 * median:>7.2f} ms{100 * (median / best - 1):>+7.1f} %")


def _of_stream(stream: BatchStream) -> Iterator[Tensor]:
    index = 0
    while True:
        yield stream.draw(index)["pixels"]
        index += 1


def _of_loader(loader: DataLoader[tuple[Tensor, ...]], device: torch.device) -> Iterator[Tensor]:
    while True:
        for (pixels,) in loader:
            yield pixels.to(device, non_blocking=True)


def _seconds(batches: Iterator[Tensor], step: Callable[[Tensor], None], steps: int, device: torch.device) -> float:
    for _ in range(3):
        step(next(batches))
    _finish(device)
    started = time.perf_counter()
    for _ in range(steps):
        step(next(batches))
    _finish(device)
    return time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
