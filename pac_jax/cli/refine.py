"""`pac-jax refine`: class scores and photographs in, label maps out."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from pac_jax import files
from pac_jax.cli.batch import run_jobs, told
from pac_jax.cli.cache import keep_programs
from pac_jax.cli.clock import Clock
from pac_jax.cli.pairs import Job, jobs_for
from pac_jax.cli.pictures import overlay, panels, save


def run(options: argparse.Namespace) -> int:
    """Refine all pairs; a pair that fails is told in one line and does not stop the others."""
    clock = Clock()
    if options.void_label is not None and not options.mask:
        raise ValueError("--void-label is the label of pixels that --mask leaves out; give both")
    suffix = options.suffix
    if suffix is None and (Path(options.scores).is_dir() or Path(options.output).is_dir()):
        suffix = ".png"
    jobs = jobs_for(
        Path(options.scores),
        Path(options.image),
        Path(options.mask) if options.mask else None,
        Path(options.output),
        kind="scores",
        result="labels",
        suffix=suffix,
        preview=options.preview,
    )
    if not options.no_cache:
        keep_programs()
    clock.listen()
    if options.verbose:
        print(f"start-up: {clock.elapsed():.2f} s")
    one = partial(_one, options=options, clock=clock)
    return run_jobs(jobs, one, "refining", clock)


def _one(job: Job, options: argparse.Namespace, clock: Clock) -> None:
    """Refine one pair and write the result."""
    begin, compiled = clock.elapsed(), clock.compiling()
    import pac_jax

    scores, image = files.read_scores(job.target), files.read_image(job.guide)
    if scores.ndim != 3:
        raise ValueError(
            f"{job.target} has shape {scores.shape}; the command needs one image a file, "
            "(h, w, classes)"
        )
    mask = None if job.mask is None else np.any(files.read_image(job.mask) != 0, axis=-1)
    refined = partial(
        pac_jax.refine,
        scores,
        image,
        probabilities=True if options.probabilities else False if options.logits else None,
        alignment=options.alignment,
        mask=mask,
        void_label=options.void_label,
        steps=options.steps,
    )
    labels = np.asarray(refined(strength=options.strength))
    files.write_labels(job.output, labels, files.voc_palette())
    if job.preview:
        _draw(job.preview, image, np.asarray(refined(strength=0.0)), labels)
    if options.verbose:
        seconds, compiling = clock.elapsed() - begin, clock.compiling() - compiled
        print(told(job, scores.shape, labels.shape, seconds, compiling))


def _draw(path: Path, image: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    photograph = (255 * image).round().astype(np.uint8)
    images = [
        ("photograph", photograph),
        ("by the scores alone", overlay(photograph, before)),
        ("refined", overlay(photograph, after)),
    ]
    save(panels(images), path)
