"""An imported full-size nnU-Net and `nnUNetv2_predict` in turn: seconds, memory, differing voxels, and import time.

    python -m bench.nnunet_speed --nnunet PYTHON --out runs/nnunet_speed [--slices 200] [--voxel-mm 3 3 3] [--rounds 2]

PYTHON is an interpreter with nnunetv2 2.8.1 and this project's torch. Each answer comes from a fresh process that reads
the same NIfTI file and ends; both take two threads and no mirrored passes. CPU seconds are of the process and its
children; memory is the most that they held together (proportional set size). The weights are not trained
(`bench/nnunet_folder.py`).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import SimpleITK as sitk
from numpy.typing import NDArray

from phantoms.head_neck import head_neck_grid, make_head_neck

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = """[node]
storage_dir = "{0}/store"
[triton]
url = "127.0.0.1:1"
model_repository = "{0}/models"
"""
THREADS = 2
EVERY_S = 2.0  # measuring a large process is expensive


def main() -> None:
    """Print one line of JSON per answer, and the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nnunet", type=Path, help="an interpreter with nnunetv2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--voxel-mm", nargs=3, default=["3", "3", "3"], help="of the network, z y x")
    parser.add_argument("--patch", nargs=3, default=["128", "128", "128"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--answer", nargs=2, metavar=("VERSION", "PRECISION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        answer(Path(arguments.answer[0]), arguments.answer[1], arguments.out)
        return
    _compare(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out.resolve()
    image, folder = out / "images" / "case_0000.nii", out / "Dataset903_FullSize" / "t__p__3d_fullres"
    _write_image(image, arguments.slices)
    recipe = [str(arguments.nnunet), str(ROOT / "bench" / "nnunet_folder.py"), str(image), str(folder)]
    subprocess.run([*recipe, "--voxel-mm", *arguments.voxel_mm, "--patch", *arguments.patch], check=True)
    imported = _import(out, folder)
    print(json.dumps({"what": "import", **imported}), flush=True)
    version = out / "models" / "full_size" / "1"
    ours = [sys.executable, "-m", "bench.nnunet_speed", "--out", str(out), "--answer", str(version)]
    theirs = [str(arguments.nnunet.with_name("nnUNetv2_predict_from_modelfolder").absolute())]
    theirs += ["-i", str(image.parent), "-o", str(out / "theirs"), "-m", str(folder), "-f", "0"]
    theirs += ["-device", "cpu", "-npp", "1", "-nps", "1"]
    commands = {"nnUNetv2_predict": theirs, **{p: [*ours, p] for p in ("float32", "bfloat16")}}
    rows: list[dict[str, Any]] = []
    for number in range(arguments.rounds):
        order = list(commands) if number % 2 == 0 else list(commands)[::-1]
        for what in order:
            rows.append({"what": what, "round": number, **measured(commands[what])})
            print(json.dumps(rows[-1]), flush=True)
    truth = np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(out / "theirs" / "case.nii"))), np.uint8)
    differ = {p: int((_labels(out, p) != truth).sum()) for p in ("float32", "bfloat16")}
    result = {"slices": arguments.slices, "voxel_mm": arguments.voxel_mm, "import": imported, "rows": rows}
    result |= {"voxels": truth.size, "foreground": int((truth > 0).sum()), "differ": differ}
    (out / "nnunet_speed.json").write_text(json.dumps(result, indent=1))
    print(json.dumps({key: result[key] for key in ("voxels", "foreground", "differ")}))


def answer(version: Path, precision: str, out: Path) -> None:
    """Predict the image with the predictor that serves the version, and write the label map."""
    import torch

    from evaluation.nifti import read_array
    from inference.contract import ModelContract, load_contract
    from inference.server.runtimes.catalogue import load_predictor

    torch.set_num_threads(THREADS)
    document = load_contract(version).model_dump(mode="json")
    document["runtime"]["precision"] = precision
    contract = ModelContract.model_validate(document)
    grid, array = read_array(out / "images" / "case_0000.nii")
    predictor = load_predictor(contract, version, torch.device("cpu"))
    with torch.inference_mode():
        found = predictor.predict(array.astype(np.int16), grid.spacing_zyx_mm)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for index in range(len(contract.labels)):
        labels[(found.planes[index // 8] >> np.uint8(index % 8) & 1) != 0] = index + 1
    np.savez_compressed(out / f"{precision}.npz", labels=labels)


def measured(command: Sequence[str]) -> dict[str, float]:
    """Run a command; return wall and CPU seconds of it and its children, and the most memory that all held together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started, peak = time.monotonic(), 0
    with (Path(os.devnull)).open("w") as nowhere:
        process = psutil.Popen(command, cwd=ROOT, stdout=nowhere)
        while process.poll() is None:
            peak = max(peak, _held(process))
            time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(cpu_s, 1),
        "peak_gib": round(peak / 2**30, 2),
    }


def _held(process: psutil.Process) -> int:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except psutil.NoSuchProcess:  # ended between two measurements
        pass
    return total


def _import(out: Path, folder: Path) -> dict[str, float]:
    (out / "models").mkdir(parents=True, exist_ok=True)
    settings = out / "settings.toml"
    settings.write_text(SETTINGS.format(out))
    node = [sys.executable, "-m", "service"]
    subprocess.run([*node, "migrate", "--settings", str(settings)], cwd=ROOT, check=True)
    words = ["models", "--settings", str(settings), "import", "nnunet", str(folder), "--name", "full_size"]
    words += ["--axes", "LPS", "--body-region", "head_neck", "--licence", "none", "--data", "none"]
    return measured([*node, *words, "--citation", "none"])


def _write_image(image: Path, slices: int) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    grid = head_neck_grid(spacing_zyx_mm=(2.5, 0.9765625, 0.9765625), shape_zyx=(slices, 512, 512))
    written: Any = sitk.GetImageFromArray(make_head_neck(grid=grid).volume.array_zyx)
    written.SetSpacing(grid.spacing_zyx_mm[::-1])
    sitk.WriteImage(written, str(image))


def _labels(out: Path, precision: str) -> NDArray[np.uint8]:
    with np.load(out / f"{precision}.npz") as content:
        labels: NDArray[np.uint8] = content["labels"]
        return labels


if __name__ == "__main__":
    main()
