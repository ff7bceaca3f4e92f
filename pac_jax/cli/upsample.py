"""`pac-jax upsample`: files or folders in, files out."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pac_jax import files
from pac_jax.cli.cache import keep_programs
from pac_jax.cli.clock import Clock, peak_megabytes
from pac_jax.cli.main import explained
from pac_jax.cli.pairs import Job, jobs_for
from pac_jax.cli.pictures import Colours, panels, save

_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "depth": files.read_depth,
    "flow": files.read_flow,
    "labels": files.read_labels,
}


def run(options: argparse.Namespace) -> int:
    """Upsample all pairs; a pair that fails is told in one line and does not stop the others."""
    clock = Clock()
    if options.kind != "depth" and (options.scale != 1 or options.zeros_are_measured):
        raise ValueError(
            f"--scale and --zeros-are-measured are for depth; --kind is {options.kind}"
        )
    jobs = jobs_for(
        Path(options.target),
        Path(options.guide),
        Path(options.mask) if options.mask else None,
        Path(options.output),
        kind=options.kind,
        suffix=options.suffix,
        preview=options.preview,
    )
    if options.model:
        from pac_jax import pretrained

        pretrained.describe(options.model)  # a wrong name shall not be told once for every file
    if not options.no_cache:
        keep_programs()
    clock.listen()
    if options.verbose:
        print(f"start-up: {clock.elapsed():.2f} s")
    if len(jobs) == 1:
        _one(jobs[0], options, clock)
        return 0
    Path(options.output).mkdir(parents=True, exist_ok=True)
    failed = 0
    for job in _with_progress(jobs):
        try:
            _one(job, options, clock)
        except Exception as error:
            line = explained(error)
            if line is None:
                raise
            failed += 1
            print(f"pac-jax: {job.target}: {line}", file=sys.stderr)
    print(f"{options.output}: {len(jobs) - failed} of {len(jobs)} maps in {clock.elapsed():.1f} s")
    return 2 if failed else 0


def _one(job: Job, options: argparse.Namespace, clock: Clock) -> None:
    """Upsample one pair and write the result."""
    begin, compiled = clock.elapsed(), clock.compiling()
    import pac_jax

    target, guide = _READERS[options.kind](job.target), files.read_image(job.guide)
    result = pac_jax.upsample(
        target,
        guide,
        options.factor,
        kind=options.kind,
        mask=_mask(job, options, target),
        model=options.model,
        protocol=options.protocol,
        tile=options.tile,
        keep_holes=options.keep_holes,
    )
    result = np.asarray(result)
    if options.kind == "depth":
        files.write_depth(job.output, result, scale=options.scale)
    else:
        {"flow": files.write_flow, "labels": files.write_labels}[options.kind](job.output, result)
    if job.preview:
        _draw(job.preview, target, guide, result, options.kind)
    if options.verbose:
        seconds, compiling = clock.elapsed() - begin, clock.compiling() - compiled
        print(
            f"{job.output}: {' x '.join(map(str, target.shape[:2]))} to "
            f"{' x '.join(map(str, result.shape[:2]))}, {seconds - compiling:.2f} s, and "
            f"{compiling:.2f} s for compiled programs"
            + (f"; at most {peak:.0f} MB of memory" if (peak := peak_megabytes()) else "")
        )


def _mask(job: Job, options: argparse.Namespace, target: np.ndarray) -> np.ndarray | None:
    if job.mask is None:
        return np.ones(target.shape[:2], bool) if options.zeros_are_measured else None
    mask: np.ndarray = np.any(files.read_image(job.mask) != 0, axis=-1)
    if options.kind == "depth" and not options.zeros_are_measured and mask.shape == target.shape:
        mask &= target != 0  # a mask of a file takes pixels away and gives none
    return mask


def _draw(path: Path, target: np.ndarray, guide: np.ndarray, result: np.ndarray, kind: str) -> None:
    colours = Colours(result, kind)
    photograph = (255 * guide).round().astype(np.uint8)
    height, width = target.shape[:2]
    images = [
        ("photograph", photograph),
        (f"given: {height} x {width}", colours(target)),
        (f"result: {result.shape[0]} x {result.shape[1]}", colours(result)),
    ]
    save(panels(images), path)


def _with_progress(jobs: list[Job]) -> Iterable[Job]:
    """The jobs, with a bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(jobs, "upsampling", console=console, disable=not console.is_terminal)
