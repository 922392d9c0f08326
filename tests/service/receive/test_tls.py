"""The door with TLS, tried with DCMTK's tools and with connections that are told to the byte."""

import socket
import ssl
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from service.config import SettingsRefused, TlsSettings
from service.store import AuditKind
from service.tls import server_context
from tests.service.receive.client import RawPeer, request_pdu
from tests.service.receive.samples import CT, EXPLICIT, SERIES, ct_slice, encoded, part10
from tests.support.certificates import Authority, Identity, needs_openssl

TOOLS = Path("/usr/bin")
pytestmark = [pytest.mark.network, needs_openssl]
needs_dcmtk = pytest.mark.skipif(
    not (TOOLS / "storescu").exists(), reason="DCMTK is not installed: apt-get install dcmtk"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def node_identity(authority) -> Identity:
    return authority.issue("node")


@pytest.fixture(scope="module")
def scanner(authority) -> Identity:
    return authority.issue("scanner")


@pytest.fixture
def start_tls_node(start_node, authority, node_identity):
    def start(*, senders=(), limits=None, profile="bcp195", **receive):
        files = {"certificate": node_identity.certificate, "key": node_identity.key, "ca": authority.ca}
        return start_node(
            tls={**files, "profile": profile}, tls_port=0, senders=senders, **receive, **(limits or {})
        )

    return start


def run(tool, *arguments):
    return subprocess.run(
        [TOOLS / tool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def echo(port, identity, ca, *more):
    return run(
        "echoscu",
        "+tls",
        identity.key,
        identity.certificate,
        "+cf",
        ca,
        "-aec",
        "NODE",
        *more,
        "127.0.0.1",
        port,
    )


def client(ca, identity=None, **versions):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


class TlsPeer(RawPeer):
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def is_let_in(port, context) -> bool:
    """Whether an association comes about; in TLS 1.3 a client learns of its refusal only by the first read."""
    try:
        with TlsPeer(port, context) as peer:
            peer.associate()
            return peer.echo().Status == 0
    except (OSError, AssertionError):
        return False


@needs_dcmtk
def test_dcmtk_sends_a_series_with_both_sides_certified(start_tls_node, scanner, authority, tmp_path):
    node = start_tls_node()
    folder = tmp_path / "ct"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"{number}.dcm").write_bytes(part10(ct_slice(number)))
    answer = run(
        "storescu", "-v", "+tls", scanner.key, scanner.certificate, "+cf", authority.ca, "-aec", "NODE",
        "127.0.0.1", node.tls_port, "+sd", folder,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert (answer.stdout + answer.stderr).count("(Success)") == 3
    assert len(node.files()) == 3
    (event,) = node.audited()
    assert (event.kind, event.instance_count, event.address) == (AuditKind.RECEIVED, 3, "127.0.0.1")


@needs_dcmtk
@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_each_bcp_195_profile_of_dcmtk_finds_common_ground(start_tls_node, scanner, authority, profile):
    node = start_tls_node()
    answer = echo(node.tls_port, scanner, authority.ca, profile)
    assert answer.returncode == 0, answer.stderr


@needs_dcmtk
def test_dcmtk_without_a_certificate_or_with_one_of_strangers_is_not_let_in(
    start_tls_node, scanner, authority, tmp_path
):
    node = start_tls_node()
    stranger = Authority(tmp_path / "strangers", "Strangers CA").issue("scanner")
    anonymous = run("echoscu", "+tla", "+cf", authority.ca, "-aec", "NODE", "127.0.0.1", node.tls_port)
    assert anonymous.returncode != 0
    assert echo(node.tls_port, stranger, authority.ca).returncode != 0
    assert echo(node.tls_port, scanner, authority.ca).returncode == 0
    told = [event.detail for event in node.audited() if event.kind is AuditKind.REFUSED]
    assert any("PEER_DID_NOT_RETURN_A_CERTIFICATE" in detail for detail in told), told
    assert any("its certificate is not accepted" in detail for detail in told)


@needs_dcmtk
def test_dcmtk_does_not_trust_a_node_of_another_authority(start_tls_node, scanner, tmp_path):
    others = Authority(tmp_path / "others", "Other CA")
    assert echo(start_tls_node().tls_port, scanner, others.ca).returncode != 0


def test_an_expired_certificate_is_not_let_in(start_tls_node, authority):
    node = start_tls_node()
    assert not is_let_in(node.tls_port, client(authority.ca, authority.issue("late", days=-1)))
    (event,) = node.audited()
    assert event.detail == "TLS handshake failed: its certificate is not accepted: certificate has expired"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.* is deprecated")
@pytest.mark.parametrize(
    ("profile", "version", "let_in"),
    [
        ("bcp195", ssl.TLSVersion.TLSv1, False),
        ("bcp195", ssl.TLSVersion.TLSv1_1, False),
        ("bcp195", ssl.TLSVersion.TLSv1_2, True),
        ("bcp195", ssl.TLSVersion.TLSv1_3, True),
        ("tls13", ssl.TLSVersion.TLSv1_2, False),
        ("tls13", ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_only_the_versions_of_the_profile_are_spoken(
    start_tls_node, authority, scanner, profile, version, let_in
):
    context = client(authority.ca, scanner)
    context.set_ciphers("ALL:@SECLEVEL=0")  # a peer that would take anything
    context.minimum_version = context.maximum_version = version
    assert is_let_in(start_tls_node(profile=profile).tls_port, context) is let_in


@pytest.mark.parametrize(
    "suite", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-CHACHA20-POLY1305"]
)
def test_suites_without_forward_secrecy_or_outside_the_profile_are_refused(
    start_tls_node, authority, scanner, suite
):
    context = client(authority.ca, scanner, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suite)
    assert not is_let_in(start_tls_node().tls_port, context)


def test_short_keys_are_refused(start_tls_node, authority):
    weak = authority.issue("weak", rsa_bits=1024)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_verify_locations(authority.ca)
    context.load_cert_chain(weak.certificate, weak.key)
    node = start_tls_node()
    assert not is_let_in(node.tls_port, context)
    (event,) = node.audited()
    assert "certificate key too weak" in event.detail.lower() or "KEY_TOO_SMALL" in event.detail


def test_without_mutual_authentication_a_certificate_is_not_needed(start_tls_node, authority):
    node = start_tls_node(require_client_certificate=False)
    assert is_let_in(node.tls_port, client(authority.ca))


def test_a_sender_bound_to_its_certificate_is_nobody_else(start_tls_node, authority, scanner):
    pacs = authority.issue("pacs")
    for name in (scanner.fingerprint(), "DNS:scanner.example.org", "CN:scanner"):
        node = start_tls_node(senders=[{"ae_title": "SCANNER", "certificates": [name]}])
        assert is_let_in(node.tls_port, client(authority.ca, scanner))
        with TlsPeer(node.tls_port, client(authority.ca, pacs)) as peer:
            peer.socket.sendall(request_pdu((CT, [EXPLICIT])))
            kind, pdu = peer.pdu()
            assert (kind, *pdu[7:10]) == (3, 1, 1, 3)  # rejected: calling AE title not recognized
        node.receiver.stop()


def test_a_sender_bound_to_its_certificate_cannot_come_without_tls(start_tls_node, scanner):
    senders = [{"ae_title": "SCANNER", "certificates": [scanner.fingerprint()]}, {"ae_title": "OLD"}]
    node = start_tls_node(senders=senders, also_plaintext=True, limits={"port": 0})
    with RawPeer(node.port) as peer:
        peer.socket.sendall(request_pdu((CT, [EXPLICIT])))
        kind, pdu = peer.pdu()
        assert (kind, *pdu[7:10]) == (3, 1, 1, 3)
    with RawPeer(node.port) as peer:
        peer.associate(calling="OLD")


def test_with_tls_there_is_no_port_without_unless_it_is_asked_for(start_tls_node, authority, scanner):
    node = start_tls_node()
    assert node.port == node.tls_port
    both = start_tls_node(also_plaintext=True)
    assert both.port != both.tls_port
    with RawPeer(both.port) as peer:
        peer.associate()
    assert is_let_in(both.tls_port, client(authority.ca, scanner))


def test_plain_dicom_on_the_port_with_tls_is_ended_and_told(start_tls_node):
    node = start_tls_node()
    with RawPeer(node.tls_port) as peer:
        peer.socket.sendall(request_pdu((CT, [EXPLICIT])))
        with suppress(ConnectionResetError):
            assert peer.pdu()[0] not in (2, 3)
    (event,) = node.audited()
    assert event.detail.startswith("TLS handshake failed")


def test_tls_on_the_port_without_is_told_by_name(node, authority):
    with pytest.raises(OSError, match=r"(?i)wrong.version|record"), TlsPeer(node.port, client(authority.ca)):
        pass
    (event,) = node.audited()
    assert event.detail == "no association: a TLS handshake on the port without TLS"


def test_silent_and_slow_handshakes_harm_nobody(start_tls_node, authority, scanner):
    node = start_tls_node(limits={"network_timeout_s": 1})
    silent = [socket.create_connection(("127.0.0.1", node.tls_port)) for _ in range(40)]
    slow = socket.create_connection(("127.0.0.1", node.tls_port))
    slow.sendall(b"\x16\x03\x01\x02")
    assert is_let_in(node.tls_port, client(authority.ca, scanner))
    slow.settimeout(10)
    began = time.monotonic()
    assert slow.recv(1) == b""
    assert time.monotonic() - began < 8
    for connection in (*silent, slow):
        connection.close()
    assert node.audited() == []


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # `ssl` drops a socket that was reset
def test_who_only_looks_whether_the_port_listens_is_not_told_as_refused(start_tls_node, authority, scanner):
    node = start_tls_node()
    socket.create_connection(("127.0.0.1", node.tls_port)).close()
    with socket.create_connection(("127.0.0.1", node.tls_port)) as abrupt:
        abrupt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection(("127.0.0.1", node.tls_port)) as half:
        half.sendall(b"\x16\x03\x01\x02")
    assert is_let_in(node.tls_port, client(authority.ca, scanner))  # after all that came before
    assert node.audited() == []


def test_stopping_the_node_answers_what_is_in_hand_over_tls(start_tls_node, authority, scanner):
    node = start_tls_node()
    data = encoded(ct_slice(pixels=bytes(500_000)), EXPLICIT)
    with TlsPeer(node.tls_port, client(authority.ca, scanner)) as peer:
        peer.associate()
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1", size=200_000).Status == 0
        node.receiver.stop()
        assert peer.pdu()[0] in (0, 7)
    assert node.files()[0].read_bytes().endswith(data)


def test_a_key_with_a_passphrase_opens_with_its_file_and_not_without(authority, tmp_path):
    identity = authority.issue("locked", passphrase="open sesame")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("open sesame\n")
    files = {"certificate": identity.certificate, "key": identity.key, "ca": authority.ca}
    server_context(TlsSettings.model_validate({**files, "key_passphrase_file": passphrase}))
    with pytest.raises(SettingsRefused, match=r"receive\.tls\.key_passphrase_file"):
        server_context(TlsSettings.model_validate(files))


@pytest.mark.parametrize("wrong", ["certificate", "key", "ca"])
def test_files_that_are_not_what_they_should_be_are_refused_by_name(
    authority, node_identity, tmp_path, wrong
):
    files = {"certificate": node_identity.certificate, "key": node_identity.key, "ca": authority.ca}
    for content in (None, "nothing of the kind"):
        file = tmp_path / f"wrong-{content is None}"
        if content is not None:
            file.write_text(content)
        with pytest.raises(SettingsRefused, match=rf"receive\.tls\.{wrong} = .*wrong-"):
            server_context(TlsSettings.model_validate({**files, wrong: file}))
