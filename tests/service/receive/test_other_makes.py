"""Senders of other makes as they are installed.

Dcm4che, CTN, odil and PixelMed send a series (DCMTK: test_dcmtk.py).
"""

import os
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.service.receive.samples import SERIES, ct_slice, part10

pytestmark = pytest.mark.network

JARS = ("pixelmed", "commons-codec", "slf4j-api", "vecmath")
CLASS_PATH = ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS)
DCM4CHE = Path(os.environ.get("DCM4CHE_HOME", "/opt/dcm4che"), "bin/storescu")
COUNT = 5


def test_dcm4che_sends_a_folder(node, tmp_path):
    needs(DCM4CHE, "unpack dcm4che there, or name its folder in DCM4CHE_HOME")
    run(DCM4CHE, "-b", "DCM4CHE", "-c", f"NODE@127.0.0.1:{node.port}", *series(tmp_path))
    assert_kept(node)


def test_ctn_sends_a_series(node, tmp_path):
    tool = needs(Path("/usr/bin/send_image"), "apt-get install ctn")
    run(tool, "-q", "-r", "-a", "CTN", "-c", "NODE", "127.0.0.1", node.port, *series(tmp_path))
    assert_kept(node)


def test_odil_sends_a_series(node, tmp_path):
    tool = needs(Path("/usr/bin/odil"), "apt-get install odil")
    run(tool, "store", "127.0.0.1", node.port, "ODIL", "NODE", *series(tmp_path))
    assert_kept(node)


def test_pixelmed_sends_a_series_with_one_image_an_association(node, tmp_path):
    needs(Path("/usr/share/java/pixelmed.jar"), "apt-get install libpixelmed-java")
    for file in series(tmp_path):
        program = "com.pixelmed.network.StorageSOPClassSCU"
        run("java", "-cp", CLASS_PATH, program, "127.0.0.1", node.port, "NODE", "PIXELMED", file, "0")
    assert_kept(node)


def needs(tool: Path, otherwise: str) -> Path:
    if not tool.exists():
        pytest.skip(
            f"{tool} is absent: {otherwise}" if tool is DCM4CHE else f"{tool} is not installed: {otherwise}"
        )
    return tool


def run(*line: object) -> None:
    ended = subprocess.run(
        [str(word) for word in line], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def series(folder: Path) -> list[Path]:
    files = [folder / f"{number}.dcm" for number in range(1, COUNT + 1)]
    for number, file in enumerate(files, 1):
        file.write_bytes(part10(ct_slice(number)))
    return files


def assert_kept(node) -> None:
    kept = sorted((dcmread(path) for path in node.files()), key=lambda image: image.InstanceNumber)
    assert [image.SOPInstanceUID for image in kept] == [
        f"{SERIES}.{number}" for number in range(1, COUNT + 1)
    ]
    assert {image.PixelData for image in kept} == {ct_slice().PixelData}
    assert [job.slice_count for job in node.job_rows()] == [COUNT]
