"""DCMTK's own tools as senders. pynetdicom installs scripts of the same names: these are called by their full path."""

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.service.receive.samples import SERIES, ct_slice, part10

TOOLS = Path("/usr/bin")
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        not (TOOLS / "storescu").exists(), reason="DCMTK is not installed: apt-get install dcmtk"
    ),
]


def run(tool, *arguments):
    return subprocess.run(
        [TOOLS / tool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def series(folder, count=3):
    folder.mkdir()
    for number in range(1, count + 1):
        (folder / f"{number}.dcm").write_bytes(part10(ct_slice(number)))
    return folder


def test_echoscu_gets_its_answer(node):
    assert run("echoscu", "-aec", "NODE", "127.0.0.1", node.port).returncode == 0


def test_echoscu_with_another_title_is_rejected(node):
    answer = run("echoscu", "-aec", "OTHER", "127.0.0.1", node.port)
    assert answer.returncode != 0
    assert "Called AE Title Not Recognized" in answer.stderr


@pytest.mark.parametrize("option", ["-xe", "-xb", "-xi", "-xd"])
def test_storescu_sends_a_folder(node, tmp_path, option):
    folder = series(tmp_path / "ct")
    answer = run("storescu", "-v", option, "-aec", "NODE", "127.0.0.1", node.port, "+sd", folder)
    assert answer.returncode == 0, answer.stderr
    assert (answer.stdout + answer.stderr).count("(Success)") == 3
    assert len(node.files()) == 3
    kept = sorted((dcmread(path) for path in node.files()), key=lambda ds: ds.InstanceNumber)
    assert [ds.SOPInstanceUID for ds in kept] == [f"{SERIES}.{number}" for number in (1, 2, 3)]
    assert all(ds.pixel_array.sum() == dcmread(folder / "1.dcm").pixel_array.sum() for ds in kept)
    assert [job.slice_count for job in node.job_rows()] == [3]


@pytest.mark.parametrize(
    ("encoder", "option", "syntax"),
    [
        ("dcmcrle", "-xr", "1.2.840.10008.1.2.5"),
        ("dcmcjpls", "-xt", "1.2.840.10008.1.2.4.80"),
        ("dcmcjpeg", "-xs", "1.2.840.10008.1.2.4.70"),
    ],
)
def test_compressed_images_are_kept_compressed(node, tmp_path, encoder, option, syntax):
    plain = tmp_path / "plain.dcm"
    plain.write_bytes(part10(ct_slice()))
    packed = tmp_path / "packed.dcm"
    assert run(encoder, plain, packed).returncode == 0
    answer = run("storescu", option, "-aec", "NODE", "127.0.0.1", node.port, packed)
    assert answer.returncode == 0, answer.stderr
    (path,) = node.files()
    kept = dcmread(path)
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert kept.PixelData == dcmread(packed).PixelData
    assert (kept.pixel_array == dcmread(plain).pixel_array).all()


def test_one_image_an_association(node, tmp_path):
    folder = series(tmp_path / "ct", count=5)
    for file in sorted(folder.iterdir()):
        assert run("storescu", "-aec", "NODE", "127.0.0.1", node.port, file).returncode == 0
    assert [job.slice_count for job in node.job_rows()] == [5]
