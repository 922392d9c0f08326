import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError

from phantoms.dicom import CtExport
from phantoms.dicom_modules import Identity
from service.cli.main import main
from service.config import MailSettings, NotifySettings, TlsSettings, WebhookSettings
from service.monitor.errors import NotDelivered
from service.monitor.mail import send_mail
from service.monitor.messages import NotificationMessage, message_of
from service.monitor.notifier import Notifier
from service.monitor.patient_data import patient_ids
from service.monitor.webhook import post
from service.store import Alarm, Notification, NotificationQueue
from tests.service.monitor.conftest import Watched
from tests.support.small_node import SmallNode

NOTICE = Notification(
    id=4,
    event="failed",
    job_id=17,
    rule="hn",
    state="failed",
    text="tps rejected:\r\nBcc: everybody@example.org",
    at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    attempts=0,
)
MESSAGE = message_of([NOTICE], {})


@dataclass
class Mailbox:
    """A real SMTP server's messages, and what it answers."""

    got: list[Envelope] = field(default_factory=list)
    answer: str = "250 OK"
    port: int = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.got.append(envelope)
        return self.answer

    def settings(self, **more: object) -> MailSettings:
        return MailSettings.model_validate(
            {"host": "localhost", "port": self.port, "security": "none", "sender": "node@example.org",
             "recipients": ["physics@example.org", "it@example.org"], **more}
        )  # fmt: skip


@contextmanager
def mail_server(**options: Any) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mailbox.port = probe.getsockname()[1]
    # server_hostname: without it the server looks its own name up, which waits where no name server is
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        server_hostname="localhost",
        ready_timeout=60,
        **options,
    )
    controller.start()
    yield mailbox
    controller.stop()


@dataclass
class Hook:
    """A real web server's requests, and what it answers."""

    status: int = 204
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, dict(self.headers), body))
            self.send_response(hook.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, and beside it its key as key.pem."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"),
         "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def test_an_email_says_job_rule_state_and_reason_and_foreign_text_adds_no_line() -> None:
    with mail_server() as mailbox:
        send_mail(MESSAGE, mailbox.settings(), timeout_s=20)
    (envelope,) = mailbox.got
    assert envelope.rcpt_tos == ["physics@example.org", "it@example.org"]
    mail = message_from_bytes(bytes(envelope.content or b""), policy=default)
    assert mail["Subject"].startswith("Contour Node ")
    assert mail["Subject"].endswith(": job failed")
    assert mail["Bcc"] is None
    lines = mail.get_content().splitlines()
    assert lines[:6] == [
        "event: failed",
        "job: 17",
        "rule: hn",
        "state: failed",
        "at: 2030-01-02T03:04:05+00:00",
        "reason: tps rejected:\\r\\nBcc: everybody@example.org",
    ]


def test_a_login_goes_by_starttls_only(certificate: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2\n")

    def check(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"node", b"hunter2"), handled=False)

    options = {"authenticator": check, "auth_required": True, "require_starttls": True}
    login = {
        "user": "node",
        "password_file": password,
        "security": "starttls",
        "tls": TlsSettings(ca=certificate),
    }
    with mail_server(tls_context=tls_of(certificate), **options) as mailbox:
        send_mail(MESSAGE, mailbox.settings(**login), timeout_s=20)
        assert len(mailbox.got) == 1
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            send_mail(MESSAGE, mailbox.settings(**{**login, "tls": None}), timeout_s=20)
        password.write_text("wrong")
        with pytest.raises(NotDelivered, match="535") as caught:
            send_mail(MESSAGE, mailbox.settings(**login), timeout_s=20)
        assert "wrong" not in str(caught.value)
    with mail_server() as open_server, pytest.raises(NotDelivered, match="STARTTLS"):
        send_mail(MESSAGE, open_server.settings(**login), timeout_s=20)


def test_a_mail_server_that_refuses_or_is_away_is_said() -> None:
    with mail_server() as mailbox:
        mailbox.answer = "452 try later"
        with pytest.raises(NotDelivered, match="452 try later"):
            send_mail(MESSAGE, mailbox.settings(), timeout_s=20)
    with pytest.raises(NotDelivered, match="Connection refused"):
        send_mail(MESSAGE, mailbox.settings(), timeout_s=20)


def test_a_webhook_gets_signed_json(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("very secret\n")
    (tmp_path / "headers").write_text("Authorization: Bearer abc\nX-Site: 7\n")
    with web_server(tls_of(certificate)) as hook:
        settings = WebhookSettings(
            url=f"https://localhost:{hook.port}/in?room=1",
            secret_file=tmp_path / "key",
            headers_file=tmp_path / "headers",
            tls=TlsSettings(ca=certificate),
        )
        post(MESSAGE, settings, timeout_s=20)
    ((path, headers, body),) = hook.got
    assert (path, headers["Authorization"], headers["X-Site"]) == ("/in?room=1", "Bearer abc", "7")
    signed = headers["X-Contour-Node-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"very secret", signed, hashlib.sha256).hexdigest()
    assert headers["X-Contour-Node-Signature"] == f"sha256={expected}"
    (notification,) = json.loads(body)["notifications"]
    assert (notification["id"], notification["job"], notification["state"]) == (4, 17, "failed")
    assert set(notification) == {"id", "event", "job", "rule", "state", "at", "reason"}


@pytest.mark.parametrize("status", [301, 307, 400, 500])
def test_only_a_2xx_counts_as_told_and_no_redirect_is_followed(status: int) -> None:
    with web_server() as hook:
        hook.status = status
        with pytest.raises(NotDelivered, match=f"status {status}"):
            post(MESSAGE, WebhookSettings(url=f"http://127.0.0.1:{hook.port}/"), timeout_s=20)


def test_a_key_that_is_gone_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    with web_server() as hook:
        settings = WebhookSettings(url=f"http://127.0.0.1:{hook.port}/", secret_file=tmp_path / "gone")
        with pytest.raises(NotDelivered, match="gone cannot be read"):
            post(MESSAGE, settings, timeout_s=20)
    assert hook.got == []


def test_a_server_that_is_down_loses_nothing_and_everything_comes_in_one_message(watched: Watched) -> None:
    board = NotificationQueue(watched.node.database)
    alarms = [Alarm(subject=f"disk {n}", event="disk", text=f"disk {n}") for n in range(3)]
    board.note_alarms(alarms, {"physics": {"disk"}})
    with web_server() as hook:
        notifier = teller_of(board, f"http://127.0.0.1:{hook.port}/")
        hook.status = 503
        assert notifier.send_due() == 0
        assert board.unsent() == {"physics": 3}
        watched.clock.tick(9)
        hook.status = 204
        assert notifier.send_due() == 0  # it waits before it tries again
        watched.clock.tick(2)
        assert notifier.send_due() == 3
        assert notifier.send_due() == 0
    assert board.unsent() == {}
    assert [len(json.loads(body)["notifications"]) for _, _, body in hook.got] == [3, 3]


def test_a_server_that_is_away_for_days_is_asked_ever_more_rarely_but_for_ever(watched: Watched) -> None:
    board = NotificationQueue(watched.node.database)
    board.note_alarms([Alarm(subject="disk", event="disk", text="disk")], {"physics": {"disk"}})
    notifier = teller_of(board, "http://127.0.0.1:9/")
    for _ in range(50):
        notifier.send_due()
        watched.clock.tick(900)
    (notification,) = board.due("physics", min_interval_s=0, limit=9)
    assert notification.attempts == 50


def test_the_patient_is_named_only_where_the_settings_ask_for_it(
    small_node: SmallNode, certificate: Path
) -> None:
    small_node.receive(CtExport(identity=Identity(patient_id="P-4711")))
    job_id = small_node.job().id
    notifications = NotificationQueue(small_node.database)
    alarm = Alarm(subject="late", event="late", text="late", job_id=job_id, rule="hn")
    asked: list[object] = []

    def find(jobs: Any) -> dict[int, str]:
        asked.append(list(jobs))
        return patient_ids(small_node.book, small_node.files, jobs)

    with web_server(tls_of(certificate)) as hook:
        for with_patient in (False, True):
            notifications.note_alarms([alarm], {"physics": {"late"}})
            url = f"https://localhost:{hook.port}/"
            teller_of(notifications, url, find, with_patient=with_patient, ca_file=certificate).send_due()
            notifications.note_alarms([], {})
    without, with_it = (body for _, _, body in hook.got)
    assert b"P-4711" not in without
    assert json.loads(with_it)["notifications"][0]["patient_id"] == "P-4711"
    assert asked == [[job_id]]


def test_a_patient_goes_no_open_way() -> None:
    with pytest.raises(ValidationError, match="with_patient needs an encrypted connection"):
        NotifySettings(name="x", with_patient=True, webhook=WebhookSettings(url="http://h/"))


def test_a_login_goes_no_open_way() -> None:
    with pytest.raises(ValidationError, match="would be sent unencrypted"):
        Mailbox(port=25).settings(user="a", password_file="b")


def test_the_words_of_many_notices_are_told_once_in_the_subject() -> None:
    message = NotificationMessage(node="n", notifications=(NOTICE, NOTICE), patients={})
    assert message.subject == "Contour Node n: 2 notifications: job failed"


def test_notify_test_tells_a_recipient_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_server() as hook:
        file = tmp_path / "node.toml"
        file.write_text(f"""
[[monitor.notify]]
name = "physics"
[monitor.notify.webhook]
url = "http://127.0.0.1:{hook.port}/"
""")
        assert main(["notify-test", "physics", "--settings", str(file)]) == 0
        hook.status = 500
        assert main(["notify-test", "physics", "--settings", str(file)]) == 1
        assert "answered with status 500" in capsys.readouterr().err
        assert main(["notify-test", "nobody", "--settings", str(file)]) == 1
        assert "there are: physics" in capsys.readouterr().err
    assert json.loads(hook.got[0][2])["notifications"][0]["event"] == "test"


def teller_of(
    board: NotificationQueue,
    url: str,
    find: Callable[[Any], dict[int, str]] = lambda _: {},
    *,
    with_patient: bool = False,
    ca_file: Path | None = None,
) -> Notifier:
    settings = NotifySettings(
        name="physics",
        min_interval_s=0,
        with_patient=with_patient,
        webhook=WebhookSettings(url=url, tls=None if ca_file is None else TlsSettings(ca=ca_file)),
    )
    return Notifier(settings, board, find, ready=threading.Event(), poll_s=1)
