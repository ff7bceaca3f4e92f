"""Put the network of a finished run into pac_jax, with its model card.

    python -m experiments.joint_upsampling.package runs/depth_x4 depth_x16 \
        --scores results/depth/scores.json

The scores are those of the benchmark, measured on the very networks. A run for several factors gives a
network for each, all from one file. Where a network's name stands in place of a run's folder, it ships
already: the results of its card are written anew, and nothing else.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.benchmarks.report import describe_machine
from experiments.joint_upsampling.config import CONFIGS, Config
from experiments.joint_upsampling.metrics import CONVENTIONS
from experiments.joint_upsampling.saved_networks import SavedNetwork, from_run
from experiments.joint_upsampling.scores import Score
from experiments.joint_upsampling.scores import read as read_scores
from experiments.joint_upsampling.tables import REFERENCES, markdown, means, per_image
from experiments.training.errors import RunError, one_line_errors
from experiments.training.log import read as read_log
from experiments.training.run_folder import recall
from pac_jax import pretrained
from pac_jax.pretrained.catalogue import manifest

_ARCHITECTURES = {
    "pac_upsampler": "PacUpsampler",
    "pac_net_lite": "PacNet.lite",
    "pac_net": "PacNet",
    "djif": "DJIF",
}
_SUFFIXES = {"pac_upsampler": "", "pac_net_lite": "_lite", "pac_net": "_pac_net", "djif": "_djif"}
_RESULTS = "## Results\n"
_KNOWN_FAILURES = "## Known failures\n"
_FAILURES = {
    "depth": """\
- Where the photograph shows no edge, the result has none either, or one along the nearest texture.
- Printed matter and shadows can leave faint traces in smooth surfaces.
- Measured noise is kept: what the samples say is taken for true (`pac_upsampler`), or for
  nearly so. Smooth a noisy sensor's map beforehand.
- Map and photograph need to lie on each other; an offset of {offset} is too much.
- Details smaller than a low-resolution pixel that the photograph does not show are lost.
- At edges `pac_upsampler` may overshoot within the map's range, and does so far where the protocol is
  not the map's. Without one, `pac_jax.upsample` tells means from single pixels by the map's edges; with
  fewer than 20 of them it takes single pixels for means, which is worse than interpolation.""",
    "flow": """\
- Motion is upsampled, not estimated: what is wrong in the coarse flow is wrong in the fine one.
- The photograph is the first frame; flow of the second frame needs the second photograph.
- Motion blur and edges without contrast leave motion edges where the coarse flow has them.
- Values are not scaled: flow counted in low-resolution pixels needs to be multiplied by the factor.""",
}


def main(arguments: list[str] | None = None) -> None:
    """Package runs from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.joint_upsampling.package", description=__doc__.splitlines()[0]
    )
    parser.add_argument("sources", nargs="+", help="folders of finished runs, or what ships")
    parser.add_argument("--scores", type=Path, required=True, help="scores.json of a benchmark")
    parser.add_argument("--note", default="", help="what else the cards say of the training")
    given = parser.parse_args(arguments)
    console = Console()
    with one_line_errors():
        scores, commit = read_scores(given.scores)
        for source in given.sources:
            if source in pretrained.list():
                paths = [measured_anew(source, scores, commit)]
            else:
                paths = package(Path(source), scores, commit, given.note)
            for path in paths:
                console.print(f"written: {path}", markup=False)


def package(folder: Path, scores: Sequence[Score], commit: str, note: str = "") -> list[Path]:
    """Ship the network of one run, once for every factor.

    Args:
        folder: of the run, after its last update.
        scores: of methods among which one is named as the folder.
        commit: that they were measured at.
        note: a sentence for the card, on the training.

    Returns:
        Paths of the files of weights.

    Raises:
        RunError: the run is not finished, or was not measured.
    """
    config = recall(folder, Config)
    saved = from_run(folder, print)
    if saved.steps != config.steps:
        raise RunError(f"{folder} has {saved.steps} of {config.steps} updates; finish it first")
    own = _beside_the_reference(saved.name, config.task, scores)
    paths = []
    for factor in saved.factors:
        name = f"{config.task}_x{factor}{_SUFFIXES[config.network]}"
        of_factor = [s for s in own if s.factor == factor]
        path = pretrained.ship(
            name,
            saved.build(factor, config.protocol),
            architecture=_ARCHITECTURES[config.network],
            arguments=_arguments(config, factor),
            kind=config.task,
            card=_card(name, config, saved, folder, of_factor, commit, note),
            score=_headline(saved.name, of_factor),
            seed=config.seed,
            default=config.network == "pac_upsampler",
            file=config.task if len(saved.factors) > 1 else None,
        )
        paths.append(path)
    return paths


def measured_anew(name: str, scores: Sequence[Score], commit: str) -> Path:
    """Replace the results in the card of a network that ships.

    Args:
        name: one of `pac_jax.pretrained.list()`.
        scores: of methods among which one has this name.
        commit: that they were measured at.

    Returns:
        Path of the file of weights, which stays as it is.

    Raises:
        RunError: the network was not measured, or shares its file with others.
    """
    described = pretrained.describe(name)
    if manifest()["networks"][name]["file"] != f"{name}.safetensors":
        raise RunError(f"{name} shares its file with others; package its run again")
    own = _beside_the_reference(name, described.kind, scores)
    before, _, rest = pretrained.card(name).partition(_RESULTS)
    after = rest[rest.index(_KNOWN_FAILURES) :]
    return pretrained.ship(
        name,
        pretrained.load(name),
        architecture=described.architecture,
        arguments=described.arguments,
        kind=described.kind,
        card=f"{before}{_results(own, commit)}{after}",
        score=_headline(name, own),
        seed=described.seed,
        default=described.default,
    )


def _beside_the_reference(name: str, kind: str, scores: Sequence[Score]) -> list[Score]:
    """Those of a method, at its factors, and of what it is compared with."""
    factors = {s.factor for s in scores if s.method == name}
    if not factors:
        raise RunError(f"the scores have no method {name}; run the benchmark on it")
    return [s for s in scores if s.method in (name, REFERENCES[kind]) and s.factor in factors]


def _arguments(config: Config, factor: int) -> dict[str, Any]:
    if config.network == "djif":
        return {"factor": factor}
    if config.network != "pac_upsampler":
        return {"factor": factor, "normalize": config.normalize}
    return {
        "factor": factor,
        "protocol": config.protocol,
        "target_features": config.target_features,
        "deep_features": config.deep_features,
        "dilations": list(config.dilations),
        "views": config.views,
        "back_projection": config.back_projection,
    }


def _headline(name: str, scores: Sequence[Score]) -> str:
    """The main number in a few words: on the first set, under the first protocol."""
    kind, protocol, data = scores[0].kind, scores[0].protocol, scores[0].data
    first, reference = CONVENTIONS[kind][0], REFERENCES[kind]
    chosen = [s for s in scores if s.protocol == protocol and s.convention == first.name]
    table = means(chosen)
    (factor,) = {s.factor for s in chosen}
    return (
        f"{first.metric} {table[name, data, factor]:.3f} on {data} ({protocol}; "
        f"{reference} {table[reference, data, factor]:.3f})"
    )


def _card(
    name: str,
    config: Config,
    saved: SavedNetwork,
    folder: Path,
    scores: Sequence[Score],
    commit: str,
    note: str,
) -> str:
    minutes = training_seconds(folder, config) / 60
    shared = "" if len(saved.factors) == 1 else f" One set of parameters serves {saved.factors}."
    form = (
        ""
        if config.network != "pac_net_lite"
        else (
            " Affinities are normalised, which the published network's are not."
            if config.normalize
            else " As published."
        )
    )
    crops = "1 crop" if config.batch_size == 1 else f"{config.batch_size} crops"
    return f"""\
# {name}

{_ARCHITECTURES[config.network]} for {config.task}, {saved.parameters:,} parameters.{shared}{form}

## Training

Command: `{_command(folder, config)}`, {config.steps} updates of
{crops} of {config.crop} x {config.crop} pixels, seed {config.seed}, protocols
{", ".join(config.protocols)}.{_beginning(config)}{f" {note}" if note else ""}
It took {minutes:.0f} minutes on {_machine()}, shared with other work.

Data: {config.scenes} scenes generated by `experiments/scenes` and nothing else. Their textures are
procedural or photographs in the public domain or under CC0.

{_results(scores, commit)}{_KNOWN_FAILURES}
{_FAILURES[config.task].format(offset=_too_large(config))}

## License

Apache License 2.0, as all of pac_jax.
"""


def _results(scores: Sequence[Score], commit: str) -> str:
    return f"""\
{_RESULTS}
Real images, none of which was trained on. Those of depth were looked at while the network was
designed, so they are development figures.

{markdown(scores, commit)}
{per_image(scores)}
"""


def _command(folder: Path, config: Config) -> str:
    """What trains the run: the configuration it is named after, and what it has of its own."""
    base = CONFIGS.get(folder.name)
    if base is None:
        raise RunError(
            f"{folder} is named after no configuration; call it one of {', '.join(CONFIGS)}"
        )
    words = ["python -m experiments.joint_upsampling", f"--config {folder.name}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != getattr(base, field.name):
            words += [f"--{field.name.replace('_', '-')}", _as_typed(value)]
    return " ".join(words)


def _as_typed(value: object) -> str:
    """A field's value as the command line takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _too_large(config: Config) -> str:
    """The offset between map and photograph that the network was not trained for."""
    if not config.misaligned:
        return "a pixel of the photograph"
    return f"more than {config.largest_shift} pixels of the photograph"


def _beginning(config: Config) -> str:
    if not config.start_from:
        return ""
    if config.start_from in CONFIGS:
        return f" It begins with what `--config {config.start_from}` has learned."
    return f" It begins with the network in `{config.start_from}`."


def _machine() -> str:
    machine = describe_machine()
    return f"{machine['device']} ({machine['cpu']}, {machine['cores']} cores, JAX {machine['jax']})"


def training_seconds(folder: Path, config: Config) -> float:
    """Time of all updates, as the log has their rates; without compiling and validation."""
    seconds, before = 0.0, 0
    for row in read_log(folder / "log.csv"):
        seconds += (row.step - before) * config.batch_size / row.images_per_second
        before = row.step
    return seconds


if __name__ == "__main__":
    main()
