"""What `pac_jax` exports, with which signatures, and that all of it is documented."""

import inspect
import pkgutil
import subprocess
import sys
import types

import pytest

import pac_jax

# Everything that may be imported from the package by name besides `__all__`.
SUBMODULES = {
    "cli",
    "convert",
    "crf",
    "files",
    "filters",
    "functional",
    "inputs",
    "models",
    "nn",
    "pretrained",
    "refinement",
    "upsampling",
}
# What the module is made of, and not for others.
MACHINERY = {"Any", "TYPE_CHECKING", "import_module"}

CONV = (
    "strides=1, padding='SAME', kernel_dilation=1, feature_group_count=1, affinity=Gaussian(), "
    "normalize=False, mask=None, precision=None, preferred_element_type=None, implementation=None"
)
POOL = (
    "weights=None, strides=1, padding='VALID', kernel_dilation=1, affinity=Gaussian(), "
    "channel_wise=False, normalize=False, mask=None, precision=None, implementation=None"
)


def given(options: str) -> str:
    """The options of an operator that is given its affinity."""
    return options.replace("affinity=Gaussian(), ", "")


SIGNATURES = {
    "pac_conv": f"inputs, guide, kernel, bias=None, *, {CONV}",
    "pac_conv_transpose": f"inputs, guide, kernel, bias=None, *, {CONV}",
    "pac_pool": f"inputs, guide, window_shape, *, {POOL}",
    "pac_conv_with_affinity": f"inputs, affinity, kernel, bias=None, *, {given(CONV)}",
    "pac_conv_transpose_with_affinity": f"inputs, affinity, kernel, bias=None, *, {given(CONV)}",
    "pac_pool_with_affinity": f"inputs, affinity, window_shape, *, {given(POOL)}",
    "pac_affinity": (
        "guide, window_shape, *, strides=1, padding='SAME', kernel_dilation=1, "
        # channel_wise is what pac_pool_with_affinity's needs.
        "affinity=Gaussian(), channel_wise=False, normalize=False, mask=None, implementation=None"
    ),
    "propagate_mask": (
        "mask, window_shape, *, strides=1, padding='SAME', kernel_dilation=1, transposed=False"
    ),
    "upsample": (
        "target_low, guide, factor=None, *, kind='depth', mask=None, model=None, protocol=None, "
        "tile=None, keep_holes=False"
    ),
    "refine": (
        "scores, image, *, probabilities=None, alignment='centers', mask=None, void_label=None, "
        "steps=5, strength=1.0, return_probabilities=False"
    ),
    "hot_swap": (
        "model, select, *, guide, scale=0.0001, learn_scale=False, affinity=Gaussian(), "
        "normalize=False, implementation=None"
    ),
    "explain_implementation": "operator, *arguments, **options",
    "Gaussian": "smoothing=None",
    "Inverse": "alpha, exponent, asymmetric=False, smoothing=None",
}


def public_names() -> set[str]:
    names = {*dir(pac_jax), *vars(pac_jax)}
    return {name for name in names if not name.startswith("_")} - MACHINERY


def functions():
    """Every public function of the package and of its public modules."""
    modules = [
        pac_jax,
        *(getattr(pac_jax, name) for name in sorted(SUBMODULES & set(pac_jax.__all__))),
    ]
    for module in modules:
        for name in getattr(module, "__all__", ()):
            if inspect.isfunction(getattr(module, name)):
                yield pytest.param(getattr(module, name), id=name)


def test_all_is_exactly_what_is_exposed():
    assert len(set(pac_jax.__all__)) == len(pac_jax.__all__)
    assert public_names() - SUBMODULES == set(pac_jax.__all__) - SUBMODULES
    modules = {
        name for name in public_names() if isinstance(getattr(pac_jax, name), types.ModuleType)
    }
    assert modules <= SUBMODULES
    completed = {name for name in dir(pac_jax) if not name.startswith("__")}
    assert completed == set(pac_jax.__all__)  # machinery would stand among them
    found = {module.name for module in pkgutil.iter_modules(pac_jax.__path__)}
    assert {name for name in found if not name.startswith("_")} <= SUBMODULES


def test_importing_the_package_imports_no_jax():
    """Reading files and `pac-jax --help` do not wait for it; any other name does."""
    for name, imports in (("files.read_depth", False), ("pac_conv", True), ("nn.PacConv", True)):
        code = f"import sys, pac_jax; pac_jax.{name}; assert ('jax' in sys.modules) is {imports}"
        subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'pac_jax' has no attribute 'pack_conv'"):
        _ = pac_jax.pack_conv


def test_every_operator_is_public():
    assert set(SIGNATURES) | {"Affinity"} == set(pac_jax.__all__) - SUBMODULES


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    """Names, order, defaults, and what is keyword-only."""
    signature = inspect.signature(getattr(pac_jax, name))
    bare = signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    # A dataclass shows what it holds.
    assert str(bare).replace("Gaussian(smoothing=None)", "Gaussian()") == f"({SIGNATURES[name]})"


@pytest.mark.parametrize("function", list(functions()))
def test_every_function_is_documented(function):
    text = inspect.getdoc(function)
    hints = function.__annotations__
    arguments = inspect.signature(function).parameters
    sections = ["Args:"] * bool(arguments) + ["Example:"]
    if hints["return"] is not None:
        sections.append("Returns:")
    if function.__name__ in SIGNATURES:  # others may have nothing to refuse
        sections.append("Raises:")
    assert [section for section in sections if section not in text] == []
    assert ">>> " in text
    for name in arguments:
        assert f"{name}: " in text.split("Args:")[1].split("Returns:")[0], name
    assert set(hints) == {*arguments, "return"}


@pytest.mark.parametrize("name", ["Affinity", "Gaussian", "Inverse"])
def test_every_class_has_an_example(name):
    text = inspect.getdoc(getattr(pac_jax, name))
    assert "Example:" in text
    assert ">>> " in text
