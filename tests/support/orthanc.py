"""A real Orthanc as a destination: a process of its own, with its REST API and DICOMweb on free ports."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference.ports import free_port

PROGRAM = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
DICOMWEB = next(iter(sorted(Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so*"))), None)


class Orthanc:
    """Its ports, and what its REST API says."""

    def __init__(self, port: int, http_port: int) -> None:
        self.port = port
        self.http_port = http_port

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: str) -> Any:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data=body.encode()), timeout=120) as answer:
            return json.loads(answer.read())

    def instances(self) -> list[str]:
        """SOP Instance UIDs of what it keeps."""
        return [
            self.get(f"/instances/{one}/simplified-tags")["SOPInstanceUID"] for one in self.get("/instances")
        ]

    def delete_all(self) -> None:
        for patient in self.get("/patients"):
            url = f"http://127.0.0.1:{self.http_port}/patients/{patient}"
            urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()


@contextmanager
def orthanc(folder: Path, modalities: Mapping[str, list[Any]], **changes: object) -> Iterator[Orthanc]:
    """Runs an Orthanc in ``folder``; ``modalities`` are the AE titles that it knows, as its settings have them."""
    assert PROGRAM is not None
    port, http_port = free_port(), free_port()
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": modalities,
        "Plugins": [str(DICOMWEB)] if DICOMWEB else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            found = Orthanc(port, http_port)
            _wait(found, process, folder)
            yield found
        finally:
            process.terminate()
            process.wait(30)


def _wait(server: Orthanc, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "orthanc.log").read_text()[-2000:]
        try:
            server.get("/system")
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("Orthanc did not start")
