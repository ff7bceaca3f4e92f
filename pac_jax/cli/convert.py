"""`pac-jax convert`: checkpoints of the original's PyTorch code to files of this package."""

import argparse
from typing import Any


def run(options: argparse.Namespace) -> int:
    """Read the checkpoint, build the network that its arrays tell, write it."""
    from pac_jax import convert, pretrained

    arrays = convert.load_checkpoint(options.checkpoint)
    model: Any
    arguments: dict[str, Any]
    if any(name.removeprefix("backbone.") == "score_fr.weight" for name in arrays):
        raise ValueError(
            f"{options.checkpoint} is a segmentation network, which upsamples nothing; in Python, "
            "pac_jax.convert.fcn_from_torch(path, name) loads it, with the original's name of it, "
            "such as 'fcn8s_crfi5p4d5641p4d5161'"
        )
    if any(name.startswith("branch_joint.") for name in arrays):
        if options.factor is None:
            raise ValueError(
                f"{options.checkpoint} is a DJIF, whose arrays do not tell the factor; give --factor"
            )
        architecture, model = "DJIF", convert.djif_from_torch(arrays, options.factor)
        arguments = {"factor": model.factor, "guide_features": model.guide_features}
    else:
        architecture, model = "PacNet", convert.pac_net_from_torch(arrays)
        if options.factor not in (None, model.factor):
            raise ValueError(
                f"--factor is {options.factor}, but {options.checkpoint} is a network of factor "
                f"{model.factor}; leave it out"
            )
        arguments = _arguments_of(model)
    pretrained.write(
        options.output, model, architecture=architecture, arguments=arguments, kind=options.kind
    )
    parameters = pretrained.describe(options.output).parameters
    what = f"{architecture} x{model.factor} for {options.kind}"
    print(f"{options.output}: {what}, {parameters:,} parameters")
    return 0


def _arguments_of(model: Any) -> dict[str, Any]:
    """The features that a PacNet was built with."""

    def features(branch: Any) -> list[int]:
        return [conv.out_features for conv in branch.convs]

    *guide_branch, groups = features(model.guide_branch)
    return {
        "factor": model.factor,
        "guide_features": model.guide_features,
        "target_branch": features(model.target_branch),
        "guide_branch": guide_branch,
        "group_features": groups // len(model.stages),
        "stages": [stage.out_features for stage in model.stages],
        "final_branch": features(model.final_branch)[:-1],
    }
