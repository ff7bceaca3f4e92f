"""Which files belong together, and where each result goes: all settled before anything is computed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pac_jax.files import SUFFIXES

__all__ = ["Job", "jobs_for"]

_PREVIEW = "_preview.png"
_SHOWN = 3  # names in a message


class Job(NamedTuple):
    """One map to upsample, or to refine.

    Attributes:
        target: the coarse map, or the class scores.
        guide: the photograph.
        mask: or None.
        output: to be written.
        preview: to be written, or None.
    """

    target: Path
    guide: Path
    mask: Path | None
    output: Path
    preview: Path | None


def jobs_for(
    target: Path,
    guide: Path,
    mask: Path | None,
    output: Path,
    *,
    kind: str,
    result: str | None = None,
    suffix: str | None,
    preview: bool,
) -> list[Job]:
    """Pair files with files, or folders with folders by name.

    Args:
        target: file, or folder of files that `pac_jax.files` reads as this kind.
        guide: file, or folder of images.
        mask: the same, or None.
        output: file; or, for folders, the folder of the results. For a file it may be a folder, too.
        kind: of the targets: 'depth', 'flow', 'labels' or 'scores'.
        result: kind of the results; None for that of the targets.
        suffix: of the results in a folder; their targets' own if None.
        preview: whether to draw each result.

    Raises:
        ValueError: files do not go together, or a result has no format or would replace an input.
        FileNotFoundError: a file or folder is missing.
        PermissionError: the results' folder cannot be written to.
    """
    for path in (target, guide, *([mask] if mask else [])):
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
    if suffix is not None and not suffix.startswith("."):
        suffix = f".{suffix}"
    if target.is_dir():
        jobs = _of_folders(target, guide, mask, output, kind, suffix)
    else:
        jobs = [_of_files(target, guide, mask, output, suffix)]
    if preview:
        jobs = [
            job._replace(preview=job.output.with_name(job.output.stem + _PREVIEW)) for job in jobs
        ]
    _check_outputs(jobs, result or kind)
    return jobs


def _of_files(
    target: Path, guide: Path, mask: Path | None, output: Path, suffix: str | None
) -> Job:
    for path, name in ((guide, "guide"), (mask, "mask")):
        if path is not None and path.is_dir():
            raise ValueError(f"{target} is a file and the {name} {path} a folder; give two files")
    if output.is_dir():
        output = output / (target.stem + (suffix or target.suffix))
    elif suffix is not None and suffix.lower() != output.suffix.lower():
        raise ValueError(f"--suffix is {suffix}, but the output is {output}; leave one of them out")
    elif not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no folder {str(output.parent)!r}")
    return Job(target, guide, mask, output, None)


def _of_folders(
    target: Path, guide: Path, mask: Path | None, output: Path, kind: str, suffix: str | None
) -> list[Job]:
    for path, name in ((guide, "guide"), (mask, "mask")):
        if path is not None and not path.is_dir():
            raise ValueError(f"{target} is a folder and the {name} {path} a file; give two folders")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{target} is a folder and the output {output} a file; give a folder")
    targets = _by_stem(target, SUFFIXES[kind].read, kind)
    guides = _matching(targets, guide, "photograph")
    masks: Mapping[str, Path | None] = (
        _matching(targets, mask, "mask") if mask else dict.fromkeys(targets)
    )
    return [
        Job(path, guides[stem], masks[stem], output / (stem + (suffix or path.suffix)), None)
        for stem, path in targets.items()
    ]


def _by_stem(folder: Path, suffixes: Sequence[str], what: str) -> dict[str, Path]:
    """The folder's files of these suffixes by name without suffix, in order."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(
                    f"{folder} holds {found[path.stem].name} and {path.name}; names without suffix "
                    "need to differ, since they tell what belongs together"
                )
            found[path.stem] = path
    if not found:
        raise ValueError(f"{folder} holds no {what} file; expected {' '.join(suffixes)}")
    return found


def _matching(targets: dict[str, Path], folder: Path, what: str) -> dict[str, Path]:
    found = _by_stem(folder, SUFFIXES["image"].read, what)
    missing = [path.name for stem, path in targets.items() if stem not in found]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        raise ValueError(
            f"{folder} has no {what} for {len(missing)} of {len(targets)} maps: {shown}; the names "
            "need to be the same up to the suffix"
        )
    return found


def _check_outputs(jobs: Sequence[Job], kind: str) -> None:
    inputs = {os.path.realpath(path) for job in jobs for path in job[:3] if path}
    written: set[str] = set()
    for job in jobs:
        if job.output.suffix.lower() not in SUFFIXES[kind].write:
            raise ValueError(
                f"{job.output}: {kind} is not written as {job.output.suffix or 'a file without suffix'}"
                f"; it needs one of {' '.join(SUFFIXES[kind].write)}"
                + ("" if len(jobs) == 1 else " (--suffix)")
            )
        for path in (job.output, job.preview):
            if path is not None and os.path.realpath(path) in inputs:
                raise ValueError(f"{path}: the result would replace an input; give another output")
            if path is not None and str(path) in written:
                raise ValueError(f"{path}: two results would have this name")
            written.add(str(path))
    for folder in {_existing(job.output.parent) for job in jobs}:
        if not os.access(folder, os.W_OK):
            raise PermissionError(
                f"{folder}: this folder cannot be written to; give another output"
            )


def _existing(folder: Path) -> Path:
    """The folder, or the one above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.exists())
