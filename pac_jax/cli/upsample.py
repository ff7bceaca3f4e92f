"""`pac-jax upsample`: files or folders in, files out."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pac_jax import files
from pac_jax.cli.batch import run_jobs, told
from pac_jax.cli.cache import keep_programs
from pac_jax.cli.clock import Clock
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
    import pac_jax.upsampling  # noqa: F401  what takes long to import belongs to the start

    if options.verbose:
        print(f"start-up: {clock.elapsed():.2f} s")
    one = partial(_one, options=options, clock=clock)
    return run_jobs(jobs, one, "upsampling", clock)


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
        if job.output.suffix.lower() == ".png":
            result = _without_new_holes(result, options)
        files.write_depth(job.output, result, scale=options.scale)
    else:
        write = files.write_flow if options.kind == "flow" else files.write_labels
        write(job.output, result)
    if job.preview:
        _draw(job.preview, target, guide, result, options.kind)
    if options.verbose:
        seconds, compiling = clock.elapsed() - begin, clock.compiling() - compiled
        print(told(job, target.shape, result.shape, seconds, compiling))


def _mask(job: Job, options: argparse.Namespace, target: np.ndarray) -> np.ndarray | None:
    if job.mask is None:
        return np.ones(target.shape[:2], bool) if options.zeros_are_measured else None
    mask: np.ndarray = np.any(files.read_image(job.mask) != 0, axis=-1)
    if options.kind == "depth" and not options.zeros_are_measured and mask.shape == target.shape:
        mask &= target != 0  # a mask of a file takes pixels away and gives none
    return mask


def _without_new_holes(result: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """The result, with values that a PNG would round to 0, which means a hole, at the smallest other.

    A map that does not fit into a PNG at all is the user's mistake, which writing refuses.
    """
    smallest, largest = (options.scale * f(result, initial=0) for f in (np.nanmin, np.nanmax))
    if options.zeros_are_measured or smallest < 0 or largest < 1:
        return result
    return np.maximum(result, 1 / options.scale)


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
