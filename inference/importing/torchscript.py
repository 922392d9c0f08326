"""TorchScript files with a specification: the archive is checked, then served by torch's own interpreter.

Options: ``spec`` (a TOML file, `inference.importing.spec`). TorchScript contains code in its own language, which
cannot reach Python; but its archive contains pickles, and an operator that is not torch's could do anything.
"""

import pickletools
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath

import torch

from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, Options
from inference.importing.sources import SourceFiles
from inference.importing.spec import draft_of, read_spec
from inference.importing.tensors import expect_honest_sizes
from inference.server.bundle.script import load_script

FILE = "network.ts"
_HARMLESS = re.compile(
    r"__torch__\.[A-Za-z0-9_.]+|torch\._utils\._rebuild_tensor(_v2)?|torch\.jit\._pickle\.[a-z_]+|collections\.OrderedDict|"
    r"torch\.(Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage|torch\.device|torch\.Size|"
    r"torch\._utils\._rebuild_parameter|torch\.(float32|float64|float16|int64|int32|bool)"
)
_FOREIGN_OPERATOR = re.compile(r"\bops\.(?!aten\b|prim\b|quantized\b)([A-Za-z_][A-Za-z0-9_]*)\.")
_WHOLE_FILES = (".pkl", ".py", ".debug_pkl", ".json")
_LONGEST_TEXT = 64 * 2**20


def read_torchscript(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Import a TorchScript file; for one window it must give the answer that the specification describes."""
    spec = read_spec(options)
    (name, file), *others = source.files.items()
    if others:
        raise ImportRefused(f"{source.name}: expected one TorchScript file, found {1 + len(others)} files")
    expect_plain_script(file, name)
    try:
        with torch.inference_mode():
            network = load_script(file, torch.device("cpu"))
            answer = network(torch.zeros((1, 1, *spec.sample)))
    except RuntimeError as error:
        raise ImportRefused(
            f"{name}: does not run on {spec.sample} voxels: {str(error).splitlines()[-1][:200]}"
        ) from error
    shape = tuple(answer.shape) if isinstance(answer, torch.Tensor) else None
    shutil.copyfile(file, out / FILE)
    return draft_of(spec, form="torchscript", file=FILE, answered=shape, name=name, maker="TorchScript")


def expect_plain_script(file: Path, name: str) -> None:
    """Refuse an archive with entries outside its folder, pickles that name more than tensors, or foreign operators."""
    if not zipfile.is_zipfile(file):
        raise ImportRefused(
            f"{name}: not a TorchScript archive; a pickled module (torch.save of a model) is never loaded"
        )
    expect_honest_sizes(file, name)
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        roots = {PurePosixPath(entry.filename).parts[0] for entry in entries}
        paths = [PurePosixPath(entry.filename) for entry in entries]
        if len(roots) != 1 or any(path.is_absolute() or ".." in path.parts for path in paths):
            raise ImportRefused(f"{name}: entries lead out of the archive's folder")
        if not any(path.parts[1:] == ("constants.pkl",) for path in paths):
            raise ImportRefused(f"{name}: a checkpoint, not TorchScript (it has no constants.pkl)")
        for entry, path in zip(entries, paths, strict=True):
            if path.suffix not in _WHOLE_FILES:
                continue
            if entry.file_size > _LONGEST_TEXT:
                raise ImportRefused(f"{name}: {path.name} has {entry.file_size} bytes, too many for code")
            _expect_harmless(archive.read(entry), path, name)


def _expect_harmless(content: bytes, path: PurePosixPath, name: str) -> None:
    if path.suffix == ".pkl":
        for named in _globals(content, f"{name}: {path.name}"):
            if not _HARMLESS.fullmatch(named):
                raise ImportRefused(
                    f"{name}: {path.name} names {named[:120]!r}, which is not a tensor: refused, nothing was loaded"
                )
    if path.suffix == ".py":
        foreign = _FOREIGN_OPERATOR.search(content.decode("utf-8", "replace"))
        if foreign:
            raise ImportRefused(
                f"{name}: {path.name} calls operators of {foreign[1]!r}, which torch itself does not have: export the model without them"
            )


def _globals(content: bytes, where: str) -> list[str]:
    """Return every name that a pickle would import, without unpickling it."""
    found: list[str] = []
    texts: list[str] = []
    try:
        for operation, argument, _ in pickletools.genops(content):
            if operation.name == "GLOBAL":
                found.append(str(argument).replace(" ", "."))
            elif operation.name == "STACK_GLOBAL":
                found.append(".".join(texts[-2:]))
            elif operation.name in ("INST", "EXT1", "EXT2", "EXT4"):
                found.append(f"{operation.name} {argument}")
            elif isinstance(argument, str):
                texts.append(argument)
    except (ValueError, IndexError) as error:
        raise ImportRefused(f"{where}: not a readable pickle: {error}") from error
    return found
