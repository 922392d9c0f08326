"""Certificates of a made-up hospital, by the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A certificate and its key."""

    certificate: Path
    key: Path

    def fingerprint(self) -> str:
        told = _openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256")
        return "sha256:" + told.strip().partition("=")[2]


@dataclass(frozen=True)
class Authority:
    """A certification authority that keeps everything in one folder."""

    folder: Path
    name: str = "Hospital CA"

    @property
    def ca(self) -> Path:
        file = self.folder / "ca.pem"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                "-subj", f"/CN={self.name}", "-days", "30", "-keyout", self.folder / "ca.key", "-out", file,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            )  # fmt: skip
        return file

    def issue(self, name: str, *, days: int = 30, passphrase: str = "", rsa_bits: int = 2048) -> Identity:
        """A certificate for 127.0.0.1 and a DNS name; with a negative number of days one that has expired."""
        ca, stem = self.ca, self.folder / name
        key, request, certificate = (stem.with_suffix(s) for s in (".key", ".csr", ".pem"))
        protection = ("-passout", f"pass:{passphrase}") if passphrase else ("-noenc",)
        _openssl(
            "req", "-new", "-newkey", f"rsa:{rsa_bits}", *protection, "-subj", f"/CN={name}",
            "-keyout", key, "-out", request,
        )  # fmt: skip
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName=DNS:{name}.example.org,IP:127.0.0.1\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
            "-days", days, "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return Identity(certificate=certificate, key=key)


def _openssl(*arguments: object) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
