"""A folder of PNG and JPEG files as sequences: the frames of recordings, or crops of each image.

`frames = "files"`: the files of one folder, in the order of their names with numbers counted ("2" before "10"), are
the frames of a recording, and sequences are windows over it. A recording is a task; a single one is split in time.
`frames = "crops"`: each image is a task and gives one sequence, of T random crops and one more as the target, in the
manner of multi-crop training (Caron et al., arXiv 2006.09882).

Files and folders whose names begin with a dot, symbolic links to folders, and links to files elsewhere are left out.

Shapes: S sequences of T + 1 frames, C channels, H × W pixels.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs
import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.errors import DataError, PluginError
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.plain_files import obstacle, open_plain
from jepa_core.settings import setting
from jepa_core.spaces import shape_text
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_plugins.arrays.windows import Cut, stretches
from jepa_plugins.data_path import data_path, reason, require_there
from jepa_plugins.images.space import ImageSpace

if TYPE_CHECKING:
    from PIL.Image import Image

_ENDINGS = frozenset({".png", ".jpg", ".jpeg"})

_Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of the image's sides."""

_WHOLE: _Box = (0.0, 0.0, 1.0, 1.0)


@attrs.frozen(kw_only=True)
class ImageFolderConfig:
    """A folder of PNG or JPEG files: frames of recordings, or crops of still images."""

    kind: ClassVar[str] = "images"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = ImageSpace

    path: str = setting("folder of images, in subfolders or not")
    frames: Literal["files", "crops"] = setting(
        "files: the files of a subfolder are the frames of a recording; crops: an image gives one sequence of its "
        "crops, with its subfolder as label",
        default="files",
        choices=("files", "crops"),
    )
    channels: int = setting("1 for grey, 3 for red, green and blue", default=3, choices=(1, 3))
    height: int = setting("rows that every image is resized to", default=32, at_least=1, unit="pixels")
    width: int = setting("columns that every image is resized to", default=32, at_least=1, unit="pixels")
    context_length: int = setting("context images", default=3, at_least=1)
    stride: int = setting("frames from the start of a window to that of the next, of files", default=1, at_least=1)
    smallest_crop: float = setting(
        "sides of the smallest crop, as a share of the image's", default=0.5, above=0, at_most=1
    )
    seed: int = setting("decides crops and the split; the run's seed does not", default=0, at_least=0)
    validation_share: float = setting(
        "share of recordings, or of images, that validate; of a single recording the last part",
        default=0.1,
        above=0,
        below=1,
    )

    @classmethod
    def example(cls, folder: Path) -> ImageFolderConfig:
        """Of two recordings of six drawn frames, written into a folder.

        Raises:
            PluginError: Pillow is not installed.
        """
        _require_pillow()
        from PIL import Image

        drawn = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 9, 3), dtype=np.uint8)
        for number, frames in enumerate(drawn):
            (folder / f"recording {number}").mkdir(exist_ok=True)
            for time, pixels in enumerate(frames):
                Image.fromarray(pixels).save(folder / f"recording {number}" / f"{time}.png")
        return cls(path=str(folder), height=8, width=9, context_length=2, validation_share=0.5)

    def num_bytes(self) -> int:
        """Of all sequences, float32; of a single recording, whose end is split off, of each frame once."""
        num_places, context = self.context_length + 1, self.context_length
        frames = Counter(file.parent for file in _files_in(data_path(self.path)))
        num_images = frames.total()
        if self.frames == "crops":
            num_images *= num_places
        elif len(frames) > 1:
            num_images = num_places * sum(len(range(0, num - context, self.stride)) for num in frames.values())
        return 4 * num_images * self.channels * self.height * self.width

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """
        Raises:
            DataError: there is no such folder, no image in it, an unreadable one, or a recording that is too short.
            PluginError: Pillow is not installed.
        """
        _require_pillow()
        root = data_path(self.path)
        images, num_links = _found_images(root)
        sizes: set[tuple[int, int]] = set()
        split = self._crops if self.frames == "crops" else self._windows
        sequences = split(root, images, sizes)
        train, validation = sequences.split(TaskSplit(share=self.validation_share, seed=self.seed))
        what = "image" if self.frames == "crops" else "recording"
        lead = "symbolic link leads out of {} and was" if num_links == 1 else "symbolic links lead out of {} and were"
        notes: tuple[str, ...] = (f"{num_links:,} {lead.format(root)} left out",) if num_links else ()
        if self.frames == "files":
            notes += (*self._resized(sizes), *sequences.notes)
        return SequenceDataset(
            space=ImageSpace(channels=self.channels, height=self.height, width=self.width),
            train=train,
            validation=validation,
            task_names=sequences.task_names,
            description=f"{sequences.num_read:,} {what}{'' if sequences.num_read == 1 else 's'}, {sequences.summary()}",
            fingerprint=fingerprint(train, validation),
            notes=notes,
        )

    def _resized(self, sizes: set[tuple[int, int]]) -> tuple[str, ...]:
        """That images are not as they are in their files; `sizes` are their heights and widths."""
        if sizes == {(self.height, self.width)}:
            return ()
        told = [f"{height} × {width}" for height, width in sorted(sizes)]
        found = f"{len(told)} sizes from {told[0]} to {told[-1]}" if len(told) > 1 else told[0]
        return (
            f"images of {found} pixels (height × width) are resized to {self.height} × {self.width}; data.height and "
            "data.width say otherwise",
        )

    def _windows(self, root: Path, images: list[Path], sizes: set[tuple[int, int]]) -> _Sequences:
        """Windows over the files of each folder."""
        num_places = self.context_length + 1
        recordings = {folder: list(files) for folder, files in groupby(images, key=lambda image: image.parent)}
        if len(recordings) == 1:
            return self._single(root, images, sizes)
        for folder, files in recordings.items():
            if len(files) < num_places:
                raise DataError(
                    f"{root / folder} holds {len(files)} image{'' if len(files) == 1 else 's'}, and a sequence needs "
                    f"{num_places}: {self.context_length} of context and the target. Add frames, take the folder out, "
                    "or lower data.context_length; for still images there is data.frames = 'crops'."
                )
        pixels = _in_threads(lambda image: self._read(root / image, [_WHOLE], sizes), images)
        windows, tasks, first = [], [], 0
        for task, files in enumerate(recordings.values()):
            starts = range(first, first + len(files) - self.context_length, self.stride)
            windows += [pixels[start : start + num_places, 0] for start in starts]
            tasks += [task] * len(starts)
            first += len(files)
        # A recording's own folder is no label: no other recording would share it.
        kinds = [folder.parts[0] if len(folder.parts) > 1 else "" for folder in recordings]
        return _Sequences.of(torch.stack(windows), tasks, [str(folder) for folder in recordings], kinds)

    def _single(self, root: Path, images: list[Path], sizes: set[tuple[int, int]]) -> _Sequences:
        """Windows over the one recording that there is: its last part validates, and none shares a frame with that."""
        cut = Cut(num_places=self.context_length + 1, length=1, is_windowed=False, stride=self.stride)
        if cut.shortage(len(images), to_split=True):
            raise DataError(
                f"{root} holds one recording, of {len(images)} image{'' if len(images) == 1 else 's'}: its last part "
                f"would validate, and each part needs {cut.span}, {self.context_length} of context and the target. Add "
                "frames, put those of other recordings into folders of their own, or lower data.context_length; for "
                "still images there is data.frames = 'crops'."
            )
        pixels = _in_threads(lambda image: self._read(root / image, [_WHOLE], sizes), images)
        windows = cut.windows(pixels.movedim(1, 0))[0]
        end, first = cut.split_in_time(len(windows), self.validation_share)
        trained, judged = (
            stretches(end, 1 - self.validation_share),
            stretches(len(windows) - first, self.validation_share),
        )
        num_trained, num_judged = int(trained[-1]) + 1, int(judged[-1]) + 1
        names = [f"training stretch {number}" for number in range(num_trained)]
        names += [f"validation stretch {number}" for number in range(num_judged)]
        sequences = _Sequences.of(
            torch.cat([windows[:end], windows[first:]]),
            [*trained.tolist(), *(judged + num_trained).tolist()],
            names,
            [],
        )
        start = f"frame {first * self.stride + 1:,} of {len(images):,}"
        told = f"a single recording is split in time: from {start} on it validates"
        return attrs.evolve(sequences, num_read=1, num_trained=end, notes=(told,))

    def _crops(self, root: Path, images: list[Path], sizes: set[tuple[int, int]]) -> _Sequences:
        """A sequence of crops of each image."""
        pixels = _in_threads(lambda image: self._read(root / image, self._boxes(image), sizes), images)
        kinds = [image.parts[0] if len(image.parts) > 1 else "" for image in images]
        return _Sequences.of(pixels, list(range(len(images))), [str(image) for image in images], kinds)

    def _boxes(self, image: Path) -> list[_Box]:
        """What is cut from an image, by the seed and its path: other images in the folder change nothing."""
        draw = random.Random(f"{self.seed} {image.as_posix()}")
        boxes = []
        for _ in range(self.context_length + 1):
            side = draw.uniform(self.smallest_crop, 1.0)
            left, top = draw.uniform(0, 1 - side), draw.uniform(0, 1 - side)
            boxes.append((left, top, left + side, top + side))
        return boxes

    def _read(self, file: Path, boxes: list[_Box], sizes: set[tuple[int, int]]) -> Tensor:
        """A file's parts (len(boxes), C, H, W) uint8; the file's own height and width join `sizes`."""
        import PIL.Image

        try:
            with open_plain(file, follow_links=True) as plain, PIL.Image.open(plain) as opened:
                image = _upright(opened).convert("L" if self.channels == 1 else "RGB")
        except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
            why = "it is none that Pillow knows" if isinstance(error, PIL.UnidentifiedImageError) else reason(error)
            raise DataError(f"{file} cannot be read as an image: {why}. Repair it or take it out.") from error
        sizes.add((image.height, image.width))
        parts = [
            np.asarray(image.resize((self.width, self.height), PIL.Image.Resampling.BILINEAR, box=_scaled(box, image)))
            for box in boxes
        ]
        return torch.from_numpy(np.stack(parts).reshape(len(parts), self.height, self.width, -1)).movedim(3, 1)


@attrs.frozen(eq=False, kw_only=True)
class _Sequences:
    pixels: Tensor
    """(S, T+1, C, H, W) float32 between 0 and 1."""
    tasks: Tensor
    """(S,) int64."""
    task_names: tuple[str, ...]
    labels: dict[str, Tensor]
    num_read: int
    """Recordings or images."""
    num_trained: int | None = None
    """Where the first so many train, and the rest validates, whatever share of tasks would."""
    notes: tuple[str, ...] = ()

    def split(self, by_task: TaskSplit) -> tuple[Sequences, Sequences]:
        """What trains, and what validates."""
        observations = Observations({"pixels": self.pixels})
        if self.num_trained is None:
            return by_task.apply(observations, tasks=self.tasks, labels=self.labels)
        sequences = Sequences(observations=observations, tasks=self.tasks, labels=self.labels)
        trains = torch.arange(len(self.tasks)) < self.num_trained
        return sequences.rows(trains), sequences.rows(~trains)

    def summary(self) -> str:
        """What the files were read as."""
        num_sequences, num_places, *shape = self.pixels.shape
        classes = f", {len(self.labels['class'].unique()):,} classes" if self.labels else ""
        return f"{num_sequences:,} sequences of {num_places} images of {shape_text(shape)} pixels{classes}"

    @classmethod
    def of(cls, pixels: Tensor, tasks: list[int], names: list[str], kinds: list[str]) -> _Sequences:
        """Of bytes; `kinds` are the classes of the tasks, empty where they have none."""
        classes = sorted(set(kinds))
        of_tasks = torch.tensor([classes.index(kind) for kind in kinds])
        return cls(
            pixels=pixels.float() / 255,
            tasks=torch.tensor(tasks),
            task_names=tuple(names),
            num_read=len(names),
            labels={"class": of_tasks[torch.tensor(tasks)]} if len(classes) > 1 else {},
        )


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401  # whether it is there is asked before thousands of files are listed
    except ImportError as error:
        install = "pip install 'jepa-core[images]'"
        raise PluginError(f"the package Pillow is needed to read images ({error}).\nInstall it: {install}") from error


def _found_images(root: Path) -> tuple[list[Path], int]:
    """Paths of images in a folder and its subfolders, relative to it, those of one folder beside each other and in the
    order of their names; and how many links lead out of it."""
    require_there(root, "folder")
    if not root.is_dir():
        raise DataError(
            f"{root} is no folder. Set data.path to a folder of images; for arrays in a file there is data.kind = "
            '"arrays".'
        )
    inside = root.resolve()
    images, num_links = [], 0
    for file in _files_in(root):
        if file.is_symlink() and not file.resolve().is_relative_to(inside):
            num_links += 1
        elif file.is_file():
            images.append(file.relative_to(root))
        else:
            raise DataError(f"{file} cannot be read as an image: it is {obstacle(file)}. Repair it or take it out.")
    if not images:
        raise DataError(f"{root} holds no image: files ending in {', '.join(sorted(_ENDINGS))} are looked for.")
    return sorted(images, key=lambda image: (_counted(str(image.parent)), _counted(image.name))), num_links


def _files_in(root: Path) -> Iterator[Path]:
    """Files that end as images do, without what is hidden."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if file.suffix.lower() in _ENDINGS and not name.startswith("."):
                yield file


def _counted(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """A key that puts "frame2" before "frame10"; the name itself tells "01" from "1"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(part)) if part[0] in "0123456789" else (1, part) for part in parts), name


def _in_threads(read: Callable[[Path], Tensor], images: list[Path]) -> Tensor:
    """What is read of all images, in their order. Pillow decodes and resizes without holding Python's lock."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        return torch.stack(list(threads.map(read, images)))


def _upright(image: Image) -> Image:
    """Turned as its camera was held; see-through parts black; 16 bits as 8, which Pillow would clip."""
    import PIL.Image
    import PIL.ImageOps

    image = PIL.ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return PIL.Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if "transparency" in image.info or "A" in image.getbands():
        image = image.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image


def _scaled(box: _Box, image: Image) -> _Box:
    """A box in pixels; rounding shall not lead over the edge."""
    left, top, right, bottom = box
    return (
        left * image.width,
        top * image.height,
        min(right * image.width, image.width),
        min(bottom * image.height, image.height),
    )
