"""ONNX files with a specification, served by onnxruntime; options: ``spec`` (a TOML file, `inference.importing.spec`).

The file is passed as bytes: it cannot refer to data outside itself, and operators that onnxruntime does not have
are refused.
"""

import shutil
from pathlib import Path

import numpy as np

from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, Options
from inference.importing.sources import SourceFiles
from inference.importing.spec import draft_of, read_spec

FILE = "network.onnx"
_ELSEWHERE = (
    "its weights lie in another file beside it, as torch's exporter writes them: export it again with "
    "torch.onnx.export(..., external_data=False), or join them with onnx.save(onnx.load(FILE), WHOLE)"
)


def read_onnx(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Import an ONNX file; for one window it must give the answer that the specification describes."""
    spec = read_spec(options)
    (name, file), *others = source.files.items()
    if others:
        raise ImportRefused(f"{source.name}: expected one ONNX file, found {1 + len(others)} files")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportRefused(
            "importing ONNX needs onnxruntime, not installed here: pip install 'contour-node[training]'"
        ) from error
    try:
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ImportRefused(
                f"{name}: {len(inputs)} inputs and {len(outputs)} outputs, expected one of each"
            )
        (answer,) = session.run(None, {inputs[0].name: np.zeros((1, 1, *spec.sample), np.float32)})
    except ImportRefused:
        raise
    except Exception as error:
        if "external data" in str(error).lower():
            raise ImportRefused(f"{name}: {_ELSEWHERE}") from error
        raise ImportRefused(
            f"{name}: onnxruntime cannot run it: {str(error).splitlines()[0][:200]}"
        ) from error
    shutil.copyfile(file, out / FILE)
    return draft_of(spec, form="onnx", file=FILE, answered=answer.shape, name=name, maker="ONNX")
