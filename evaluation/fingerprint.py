"""What made the contours (model, node, libraries and machine) as texts that differ where any of it differs."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("imaging", "inference", "service")
LIBRARIES = ("numpy", "scipy", "pydicom", "highdicom", "tritonclient")
_SERVER_LIBRARIES = ("torch", "numpy", "nvidia_triton", "tritonserver", "safetensors")


def node_fingerprint() -> dict[str, str]:
    """Return the node's version, its source's checksum, its libraries and the machine, by name."""
    return {
        "node version": version("contour-node"),
        "node source SHA-256": _digest(_sources()),
        "python": platform.python_version(),
        **{f"library {name}": _version(name) for name in LIBRARIES},
        "operating system": platform.platform(),
        "processor": _processor(),
        "graphics": ", ".join(_graphics()) or "none",
    }


def model_fingerprint(version_folder: Path, environment: Path | None = None) -> dict[str, str]:
    """Return the checksum of a model version's files, and the libraries in its server's environment, by name."""
    files = (
        path
        for path in sorted(version_folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    )
    found = {"model files SHA-256": _digest((str(p.relative_to(version_folder)), p) for p in files)}
    for package in sorted((environment or Path("/absent")).glob("lib/python*/site-packages/*.dist-info")):
        name, _, number = package.name.removesuffix(".dist-info").partition("-")
        if name in _SERVER_LIBRARIES:
            found[f"model server's {name}"] = number
    return found


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what has changed, one line each."""
    return [
        f"{name}: was {before.get(name, 'absent')}, is {now.get(name, 'absent')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sources() -> Iterable[tuple[str, Path]]:
    for room in ROOMS:
        spec = find_spec(room)
        for place in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(place).rglob("*.py")):
                yield f"{room}/{path.relative_to(place)}", path


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    """Return the processor's model and the checksum of its features: other instructions round differently."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    fields = [line.partition(":")[::2] for line in info.read_text().splitlines() if ":" in line]
    values = {key.strip(): value.strip() for key, value in reversed(fields)}
    flags = " ".join(sorted(values.get("flags", values.get("Features", "")).split()))
    return f"{values.get('model name', platform.machine())}, features {hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def _graphics() -> list[str]:
    """Return the NVIDIA cards that the driver reports."""
    found = []
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = dict(line.partition(":")[::2] for line in card.read_text().splitlines())
        found.append(lines.get("Model", "").strip())
    driver = Path("/proc/driver/nvidia/version")
    return [*found, driver.read_text().splitlines()[0]] if found and driver.is_file() else found
