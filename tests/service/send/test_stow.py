import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config import Confirm, TlsSettings, WebDestination
from service.scu.outcome import PermanentRefusal, Sent, TransientFailure
from service.scu.readback import InstanceKey
from service.send.stow import is_listed, probe, stow
from service.store import JobState
from tests.support import orthanc as orthanc_support
from tests.support.certificates import needs_openssl
from tests.support.destinations import structure_set
from tests.support.office import eventually, sender, settings

pytestmark = pytest.mark.network
UID = "1.2.3.1"
needs_dicomweb = pytest.mark.skipif(
    orthanc_support.PROGRAM is None or orthanc_support.DICOMWEB is None,
    reason="Orthanc's DICOMweb is not installed: apt-get install orthanc-dicomweb",
)


@dataclass
class Server:
    """An HTTP server on a real socket that answers what it is told to, and remembers what it got."""

    status: int = 200
    answer: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, Message, bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(server: Server, context: ssl.SSLContext | None = None) -> Server:
            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    server.got.append((self.path, self.headers, body))
                    self.send_response(server.status)
                    for name, value in server.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(server.answer)))
                    self.end_headers()
                    self.wfile.write(server.answer)

                def do_GET(self) -> None:
                    self.headers["Content-Length"] = "0"
                    self.do_POST()

                def log_message(self, *_: object) -> None:
                    pass

            listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            if context is not None:
                listener.socket = context.wrap_socket(listener.socket, server_side=True)
            thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(listener.server_close)
            stack.callback(thread.join)
            stack.callback(listener.shutdown)
            server.url = f"{'http' if context is None else 'https'}://127.0.0.1:{listener.server_port}/rs"
            return server

        yield start


@pytest.fixture
def rs(tmp_path: Path) -> Path:
    path = tmp_path / "rs.dcm"
    path.write_bytes(structure_set(UID))
    return path


def plain(server: Server, **changes: object) -> WebDestination:
    return WebDestination.model_validate({"url": server.url, "allow_http": True, **changes})


def answered(sequence: str, tag: str, reason: int, uid: str = UID) -> bytes:
    item = {"00081155": {"vr": "UI", "Value": [uid]}, tag: {"vr": "US", "Value": [reason]}}
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()


def failed_item(*reasons: object) -> bytes:
    """A failed object with no Failure Reason, or one that is no number."""
    item = {"00081155": {"vr": "UI", "Value": [UID]}, "00081197": {"vr": "US", "Value": list(reasons)}}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


def test_the_file_goes_out_byte_for_byte_as_the_one_part(start_server, rs):
    server = start_server(Server())
    assert stow(plain(server), rs, timeout_s=5) == Sent()
    ((path, headers, body),) = server.got
    assert path == "/rs/studies"
    assert headers.get_content_type() == "multipart/related"
    assert headers.get_param("type") == "application/dicom"
    boundary = str(headers.get_param("boundary")).encode()
    before, part, after = body.split(b"--" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    head, _, content = part.partition(b"\r\n\r\n")
    assert head == b"\r\nContent-Type: application/dicom"
    assert content == rs.read_bytes() + b"\r\n"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "words"),
    [
        (200, b"", Sent, ""),
        (202, b"", Sent, "HTTP 202 without a reason"),
        (409, failed_item(), TransientFailure, "0x0110"),
        (409, failed_item("unknown"), TransientFailure, "0x0110"),
        (409, failed_item(-1), TransientFailure, "0x0110"),
        (202, answered("00081199", "00081196", 0xB000), Sent, "coercion"),
        (202, answered("00081198", "00081197", 0xA700), TransientFailure, "out of resources"),
        (200, answered("00081198", "00081197", 0xA700, uid="9.9"), Sent, ""),
        (409, answered("00081198", "00081197", 0x0110), TransientFailure, "processing failure"),
        (409, answered("00081198", "00081197", 0xA900), PermanentRefusal, "does not match"),
        (409, answered("00081198", "00081197", 0xC122), PermanentRefusal, "cannot understand"),
        (409, answered("00081198", "00081197", 45070), Sent, "had it already"),
        (409, answered("00081198", "00081197", 45071), TransientFailure, "another request"),
        (409, b"<html>", PermanentRefusal, "gave no reason"),
        (409, b"[]", PermanentRefusal, "gave no reason"),
        (409, b'"no"', PermanentRefusal, "gave no reason"),
        (409, b'{"00081198": {"Value": ["no item"]}}', PermanentRefusal, "gave no reason"),
        (409, b"[" + answered("00081198", "00081197", 0xA900) + b"]", PermanentRefusal, "does not match"),
        (409, answered("00081198", "00081197", 0x0111), Sent, "had it already"),
        (409, answered("00081198", "00081197", 0xB000), PermanentRefusal, "among the failed objects"),
        (200, answered("00081199", "00081196", 0xA700), Sent, "0xA700 warning"),
        (400, answered("00081198", "00081197", 0xA700), PermanentRefusal, "HTTP 400"),
        (204, b"", Sent, ""),
        (399, b"", PermanentRefusal, "redirects are not followed"),
        *(
            (status, b"", TransientFailure, f"HTTP {status}")
            for status in (408, 423, 425, 429, 502, 504, 509)
        ),
        (302, b"", PermanentRefusal, "redirects are not followed"),
        (400, b"", PermanentRefusal, "HTTP 400"),
        (401, b"", TransientFailure, "HTTP 401"),
        (403, b"", PermanentRefusal, "HTTP 403"),
        (415, b"", PermanentRefusal, "HTTP 415"),
        (500, b"", TransientFailure, "HTTP 500"),
        (501, b"", PermanentRefusal, "HTTP 501"),
        (503, b"", TransientFailure, "HTTP 503"),
        (507, b"", TransientFailure, "HTTP 507"),
    ],
)
def test_what_an_answer_means(start_server, rs, status, answer, kind, words):
    server = start_server(Server(status=status, answer=answer))
    outcome = stow(plain(server), rs, timeout_s=5)
    assert isinstance(outcome, kind)
    assert words in (outcome.note if isinstance(outcome, Sent) else outcome.reason)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120),
        ("0", 0),
        ("86401", 86400),
        ("999999999", 86400),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Tue, 31 Dec 2199 23:59:59 GMT", 86400),
    ],
)
def test_the_server_s_wish_to_be_left_alone_is_kept(start_server, rs, header, wait_s):
    server = start_server(Server(status=503, headers={"Retry-After": header}))
    outcome = stow(plain(server), rs, timeout_s=5)
    assert isinstance(outcome, TransientFailure)
    assert outcome.retry_after_s == wait_s


def test_credentials_come_from_their_files_each_time(start_server, rs, tmp_path):
    server = start_server(Server())
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("first\n")
    password.write_text("secret\n")
    destination = plain(server, token_file=token)
    stow(destination, rs, timeout_s=5)
    token.write_text("second\n")
    stow(destination, rs, timeout_s=5)
    stow(plain(server, user="node", password_file=password), rs, timeout_s=5)
    basic = f"Basic {base64.b64encode(b'node:secret').decode()}"
    assert [h["Authorization"] for _, h, _ in server.got] == ["Bearer first", "Bearer second", basic]
    token.unlink()
    outcome = stow(destination, rs, timeout_s=5)
    assert isinstance(outcome, TransientFailure)
    assert "credentials" in outcome.reason
    assert len(server.got) == 3


def test_nobody_there_is_tried_again(rs, free_port):
    destination = WebDestination(url=f"http://127.0.0.1:{free_port}", allow_http=True)
    outcome = stow(destination, rs, timeout_s=5)
    assert isinstance(outcome, TransientFailure)
    assert outcome.is_unreachable


@needs_openssl
def test_tls_is_verified_and_the_client_s_certificate_shown(start_server, rs, tmp_path):
    ca, ca_key = _certificate(tmp_path, "ca", None)
    ours = _certificate(tmp_path, "node", (ca, ca_key))
    theirs = _certificate(tmp_path, "server", (ca, ca_key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*theirs)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = start_server(Server(), context)
    known = {"url": server.url, "tls": {"ca": ca, "certificate": ours[0], "key": ours[1]}}
    assert stow(WebDestination.model_validate(known), rs, timeout_s=5) == Sent()
    stranger = stow(WebDestination(url=server.url), rs, timeout_s=5)
    assert isinstance(stranger, TransientFailure)
    assert "certificate of 127.0.0.1" in stranger.reason
    nameless = stow(WebDestination(url=server.url, tls=TlsSettings(ca=ca)), rs, timeout_s=5)
    assert isinstance(nameless, TransientFailure)
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "http://pacs/rs"}, "allow_http"),
        ({"url": "https://user:word@pacs/rs"}, "url"),
        ({"url": "https://pacs/rs", "user": "node"}, "give both or none"),
        ({"url": "https://pacs/rs", "confirm": "commitment"}, "none, query"),
        ({"url": "https://pacs/rs", "tls": {"key": "k.pem"}}, "certificate and key belong together"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong, words):
    with pytest.raises(ValidationError, match=words):
        WebDestination.model_validate(wrong)


@needs_dicomweb
def test_orthanc_takes_it_by_stow_and_lists_it_by_qido(office, tmp_path):
    with orthanc_support.orthanc(tmp_path / "orthanc", {}) as archive:
        url = f"http://127.0.0.1:{archive.http_port}/dicom-web"
        web = WebDestination(url=url, allow_http=True, confirm=Confirm.QUERY, confirm_s=5)
        jobs = [office.delivering(number, "web") for number in (1, 2)]
        with sender(office, settings({"web": web}, timeout_s=20)):
            eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs), within_s=60)
        assert sorted(archive.instances()) == ["1.2.3.1.9", "1.2.3.2.9"]
        assert probe(web, timeout_s=20) == Sent()
        elsewhere = WebDestination(url=f"{url}-not", allow_http=True)
        assert isinstance(probe(elsewhere, timeout_s=20), PermanentRefusal)
    assert "confirmed: web: it finds the object" in office.told(jobs[0])


def _certificate(folder: Path, name: str, authority: tuple[Path, Path] | None) -> tuple[Path, Path]:
    """A certificate of one day and its key by openssl, for 127.0.0.1; signed by the authority or by itself."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        f"/CN={name}",
    ]
    command += ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"]
    if authority is not None:
        command += ["-CA", str(authority[0]), "-CAkey", str(authority[1])]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(
    ("status", "kind"), [(200, Sent), (204, Sent), (404, PermanentRefusal), (401, TransientFailure)]
)
def test_a_probe_asks_for_one_study(start_server, status, kind):
    server = start_server(Server(status=status, answer=b"" if status == 204 else b"[]"))
    assert isinstance(probe(plain(server), timeout_s=5), kind)
    ((path, _, _),) = server.got
    assert path == "/rs/studies?limit=1"


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (200, b"[{}]", True),
        (200, b"[]", False),
        (204, b"", False),
        (404, b"", False),
        (200, b"<html>", TransientFailure(reason="the server's answer to the search is not JSON")),
        (403, b"", PermanentRefusal(reason="HTTP 403 Forbidden")),
        (503, b"", TransientFailure(reason="HTTP 503 Service Unavailable")),
    ],
)
def test_a_search_finds_the_object_or_not_or_could_not_be_made(start_server, status, answer, expected):
    server = start_server(Server(status=status, answer=answer))
    place = InstanceKey(study_uid="1.2", series_uid="1.2.3", sop_instance_uid="1.2.3.4")
    assert is_listed(plain(server), place, timeout_s=5) == expected
    ((path, _, _),) = server.got
    assert path == "/rs/studies/1.2/series/1.2.3/instances?SOPInstanceUID=1.2.3.4"


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "\x00"])
def test_a_token_that_is_no_line_of_text_is_not_sent(start_server, rs, tmp_path, content):
    server, token = start_server(Server()), tmp_path / "token"
    token.write_text(content)
    outcome = stow(plain(server, token_file=token), rs, timeout_s=5)
    assert isinstance(outcome, TransientFailure)
    assert "does not hold one line of text" in outcome.reason
    assert server.got == []


def test_a_file_that_is_away_is_tried_again_and_one_that_is_no_object_is_not(start_server, tmp_path):
    server, none = start_server(Server()), tmp_path / "none.dcm"
    away = stow(plain(server), none, timeout_s=5)
    assert away == TransientFailure(reason="the object's file cannot be read: No such file or directory")
    none.write_bytes(b"no object")
    refused = stow(plain(server), none, timeout_s=5)
    assert isinstance(refused, PermanentRefusal)
    assert "none.dcm is not a Part 10 file" in refused.reason
    assert server.got == []
