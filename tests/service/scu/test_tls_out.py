"""The node as a TLS client, against DCMTK's storescp and pynetdicom's SCP."""

import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE, evt

from service.config import Peer
from service.scu.client import Scu
from service.scu.outcome import Sent, TransientFailure
from tests.support.certificates import Authority, needs_openssl
from tests.support.destinations import EXPLICIT, IMPLICIT, RTSTRUCT, VERIFICATION

pytestmark = [pytest.mark.network, needs_openssl]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def identities(authority: Authority) -> dict[str, dict[str, Path]]:
    found = {name: authority.issue(name) for name in ("tps", "node")}
    return {name: {"certificate": i.certificate, "key": i.key} for name, i in found.items()}


@contextmanager
def tls_destination(authority: Authority, own: dict[str, Path], *, mutual: bool) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own["certificate"], own["key"])
    if mutual:
        context.load_verify_locations(authority.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    entity = AE("TPS")
    entity.add_supported_context(VERIFICATION)
    entity.add_supported_context(RTSTRUCT, [EXPLICIT, IMPLICIT])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)]
    )
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def peer(port: int, **tls: object) -> Peer:
    return Peer.model_validate({"ae_title": "TPS", "host": "127.0.0.1", "port": port, "tls": tls})


@pytest.fixture
def scu() -> Scu:
    return Scu(calling_aet="NODE", timeout_s=10)


def test_with_both_certificates_an_object_goes_out(scu, file, authority, identities) -> None:
    with tls_destination(authority, identities["tps"], mutual=True) as port:
        known = peer(port, ca=authority.ca, **identities["node"])
        assert scu.echo(known) == Sent()
        assert scu.store(file, known) == Sent()


def test_a_destination_of_another_authority_gets_nothing(scu, authority, identities, tmp_path) -> None:
    strangers = Authority(tmp_path / "strangers", "Strangers CA")
    with tls_destination(authority, identities["tps"], mutual=False) as port:
        outcome = scu.echo(peer(port, ca=strangers.ca))
    assert isinstance(outcome, TransientFailure)
    assert "over TLS: its certificate is not accepted: unable to get local issuer" in outcome.reason


def test_the_certificate_must_name_the_host_unless_that_is_switched_off(scu, authority, identities) -> None:
    with tls_destination(authority, identities["tps"], mutual=False) as port:
        elsewhere = {"ae_title": "TPS", "host": "localhost", "port": port}
        strict = Peer.model_validate({**elsewhere, "tls": {"ca": authority.ca}})
        outcome = scu.echo(strict)
        assert isinstance(outcome, TransientFailure)
        assert "Hostname mismatch" in outcome.reason
        lax = Peer.model_validate({**elsewhere, "tls": {"ca": authority.ca, "check_host": False}})
        assert scu.echo(lax) == Sent()


def test_a_destination_without_tls_is_told_by_name(scu, authority, start_destination: Callable) -> None:
    outcome = scu.echo(peer(start_destination().peer.port, ca=authority.ca))
    assert isinstance(outcome, TransientFailure)
    assert "over TLS" in outcome.reason


def test_a_certificate_file_that_is_gone_is_told_and_tried_again(scu, free_port, tmp_path) -> None:
    outcome = scu.echo(peer(free_port, ca=tmp_path / "gone.pem"))
    assert isinstance(outcome, TransientFailure)
    assert "gone.pem" in outcome.reason


@pytest.mark.skipif(not Path("/usr/bin/storescp").exists(), reason="DCMTK is not installed")
def test_dcmtks_storescp_takes_an_object_from_the_node(
    scu, file, authority, identities, free_port, tmp_path
) -> None:
    folder = tmp_path / "got"
    folder.mkdir()
    own = identities["tps"]
    process = subprocess.Popen(
        ["/usr/bin/storescp", "+tls", own["key"], own["certificate"], "+cf", authority.ca, "-od", folder, str(free_port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        known = peer(free_port, ca=authority.ca, **identities["node"])
        deadline = time.monotonic() + 20
        while scu.echo(known) != Sent() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert scu.store(file, known) == Sent()
        assert len(list(folder.iterdir())) == 1
    finally:
        process.terminate()
        process.wait(10)
