"""Audit messages to a collector: RFC 5424 frames over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426)."""

import fcntl
import os
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from datetime import UTC, datetime

from service.config import SyslogSettings, SyslogTransport
from service.errors import TryAgain
from service.tls import client_context

PRIORITY = 10 * 8 + 5  # PS3.15 A.6: facility security and authorization; severity notice
MESSAGE_ID = "DICOM+RFC3881"
ANSWER_TIMEOUT_S = 10.0  # a repository that takes longer counts as unavailable: entries wait in the table
LONGEST_DATAGRAM_BYTES = 65_507


class NotForwarded(TryAgain):
    """The collector did not take the messages; some of them may have arrived."""


def syslog_message(xml: bytes, at: datetime) -> bytes:
    """Return the RFC 5424 message: header, no structured data, and the XML as UTF-8 behind a byte order mark."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = socket.gethostname() or "-"
    head = f"<{PRIORITY}>1 {time} {host} contour-node {os.getpid()} {MESSAGE_ID} - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + xml


def send(settings: SyslogSettings, messages: Sequence[bytes]) -> None:
    """Send the messages in order; return when the collector has them, as far as the transport can tell.

    Syslog does not acknowledge. Over TLS and TCP a connection is opened for the messages and shut down cleanly after
    them: if the collector closes too, it has read them; if not, at least its kernel has them.

    Raises:
        NotForwarded: send them again; a collector may then see one twice.
        SettingsRefused: a file of the TLS settings is unusable.
    """
    try:
        if settings.transport is SyslogTransport.UDP:
            _send_datagrams(settings, messages)
        else:
            _send_stream(settings, messages)
    except ssl.SSLCertVerificationError as error:
        raise NotForwarded(
            f"{_where(settings)}: its certificate is not accepted: {error.verify_message}"
        ) from error
    except OSError as error:
        raise NotForwarded(f"{_where(settings)}: {error.strerror or error}") from error


def _send_datagrams(settings: SyslogSettings, messages: Sequence[bytes]) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.connect(address)
        for message in messages:
            connection.send(message[:LONGEST_DATAGRAM_BYTES])


def _send_stream(settings: SyslogSettings, messages: Sequence[bytes]) -> None:
    with socket.create_connection((settings.host, settings.port), ANSWER_TIMEOUT_S) as plain:
        if settings.tls is None:
            _send_all(plain, messages)
            plain.shutdown(socket.SHUT_WR)
            _wait_for_the_end(plain)
            return
        context = client_context(settings.tls, of="audit.syslog.tls")
        with context.wrap_socket(plain, server_hostname=settings.host) as secured:
            _send_all(secured, messages)
            _wait_for_the_end(secured)


def _send_all(connection: socket.socket, messages: Sequence[bytes]) -> None:
    for message in messages:
        connection.sendall(b"%d " % len(message) + message)


def _wait_for_the_end(connection: socket.socket) -> None:
    """Raise OSError if the collector disconnected, or did not accept the messages in time."""
    try:
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap()  # sends close_notify and waits for the collector's; a late alert shows here
        while connection.recv(4096):
            pass
    except TimeoutError:
        if _unsent_bytes(connection):
            raise


def _unsent_bytes(connection: socket.socket) -> int:
    """Return the number of bytes that the collector's kernel has not acknowledged (SIOCOUTQ)."""
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])


def _where(settings: SyslogSettings) -> str:
    return f"audit record repository {settings.host}:{settings.port} ({settings.transport})"
