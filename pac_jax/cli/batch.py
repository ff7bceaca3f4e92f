"""Runs a command's jobs: one alone, or a folder of them with progress."""

import sys
from collections.abc import Callable, Iterable

from PIL import Image

from pac_jax.cli.clock import Clock, peak_megabytes
from pac_jax.cli.interruption import noted_interruptions
from pac_jax.cli.main import explained
from pac_jax.cli.pairs import Job

__all__ = ["run_jobs", "told"]


def run_jobs(jobs: list[Job], one: Callable[[Job], None], doing: str, clock: Clock) -> int:
    """Do all jobs; of several, one that fails is told in one line and does not stop the others.

    Args:
        jobs: what to do; all results in one folder, which is made if missing.
        one: does a job.
        doing: for the progress bar.
        clock: of the whole run.

    Returns:
        The exit code.
    """
    Image.MAX_IMAGE_PIXELS = (
        None  # what Pillow asks of uploads: these are the user's own, of any size
    )
    output = jobs[0].output.parent
    output.mkdir(parents=True, exist_ok=True)
    if len(jobs) == 1:
        one(jobs[0])
        return 0
    failed = 0
    with noted_interruptions() as check:
        for job in _with_progress(jobs, doing):
            try:
                one(job)
            except Exception as error:
                check()
                line = explained(error)
                if line is None:
                    raise
                failed += 1
                where = "" if line.startswith(f"{job.target}: ") else f"{job.target}: "
                print(f"pac-jax: {where}{line}", file=sys.stderr)
            check()
    print(f"{output}: {len(jobs) - failed} of {len(jobs)} maps in {clock.elapsed():.1f} s")
    return 2 if failed else 0


def told(
    job: Job, before: tuple[int, ...], after: tuple[int, ...], seconds: float, compiling: float
) -> str:
    """The line of `--verbose` about one job.

    Args:
        job: that is done.
        before: shape of the target, its size first.
        after: shape of the result, likewise.
        seconds: of the job, those of compiling included.
        compiling: seconds with programs.
    """
    peak = peak_megabytes()
    return (
        f"{job.output}: {' x '.join(map(str, before[:2]))} to {' x '.join(map(str, after[:2]))}, "
        f"{seconds - compiling:.2f} s, and {compiling:.2f} s for compiled programs"
        + (f"; at most {peak:.0f} MB of memory" if peak else "")
    )


def _with_progress(jobs: list[Job], doing: str) -> Iterable[Job]:
    """The jobs, with a bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(jobs, doing, console=console, disable=not console.is_terminal)
