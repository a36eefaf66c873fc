"""Which optional libraries a command needs, and what to say when one is not installed.

The base install is light: everything after the scores works without a network or a picture library. What
else there is comes in extras of the package, named as in pyproject.toml.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from abaw_submit.errors import UserError

# distribution -> the module it is imported by; a test holds them together with pyproject.toml
_SAME_NAME = ("numpy", "scipy", "pandas", "h5py", "click", "msgspec", "filelock", "tqdm")
BASE = {name: name for name in _SAME_NAME} | {"scikit-learn": "sklearn"}
EXTRAS: dict[str, dict[str, str]] = {
    "faces": {"opencv-python-headless": "cv2", "av": "av", "joblib": "joblib"},
    "train": {
        "torch": "torch",
        "torchvision": "torchvision",
        "torchaudio": "torchaudio",
        "timm": "timm",
        "transformers": "transformers",
        "safetensors": "safetensors",
        "accelerate": "accelerate",
        "vl-convert-python": "vl_convert",
    },
    "report": {
        "jinja2": "jinja2",
        "vl-convert-python": "vl_convert",
        "ffmpeg-python": "ffmpeg",
        "imageio-ffmpeg": "imageio_ffmpeg",
    },
    "run": {"snakemake": "snakemake"},
    "cluster": {
        "snakemake": "snakemake",
        "snakemake-executor-plugin-slurm": "snakemake_executor_plugin_slurm",
    },
}


def installed(module: str) -> bool:
    """Whether a top-level module could be imported; it is not imported to find out."""
    return find_spec(module) is not None


def missing(extra: str) -> list[str]:
    """The distributions of an extra that are not installed."""
    return [name for name, module in EXTRAS[extra].items() if not installed(module)]


def bringing(module: str) -> tuple[str, str] | None:
    """The distribution that has a module, and the first extra with it; None if no extra has it.

    >>> bringing("cv2"), bringing("torch.nn"), bringing("json")
    (('opencv-python-headless', 'faces'), ('torch', 'train'), None)
    """
    top = module.partition(".")[0]
    for extra, distributions in EXTRAS.items():
        for name, own in distributions.items():
            if own == top:
                return name, extra
    return None


def missing_error(what: str, names: Iterable[str], extras: Iterable[str]) -> UserError:
    """The error for someone who has to install an extra first.

    >>> print(missing_error("`crop`", ["opencv-python-headless", "av"], ["faces"]))
    `crop` needs opencv-python-headless, av: not installed.
    Install what brings it, in the clone: python -m pip install ".[faces]"
    """
    return UserError(
        f"{what} needs {', '.join(dict.fromkeys(names))}: not installed.\n"
        f'Install what brings it, in the clone: python -m pip install ".[{",".join(extras)}]"'
    )


def require(what: str, extras: Iterable[str]) -> None:
    """Refuse to start work whose libraries are not there.

    Args:
        what: who needs them, such as "`crop`".
        extras: names of `EXTRAS`.

    Raises:
        UserError: a library is missing; says which extra brings it.
    """
    lacking = {extra: names for extra in extras if (names := missing(extra))}
    if lacking:
        raise missing_error(what, [name for names in lacking.values() for name in names], lacking)
