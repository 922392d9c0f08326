"""TLS below pynetdicom, which does not report why a handshake failed and leaves its sockets open."""

import ssl
from typing import Any

from typing_extensions import override

from service.config import Peer
from service.tls import client_context


class _TellingSocket(ssl.SSLSocket):
    """A TLS connection that records why it failed and can be closed by its owner."""

    opened: "list[_TellingSocket]"
    failure: ssl.SSLError | None = None

    @override
    def connect(self, addr: Any) -> None:
        self.opened.append(self)
        try:
            super().connect(addr)
        except ssl.SSLError as error:
            self.failure = error
            raise


class Security:
    """TLS for one association with a peer.

    Its files are read for each association, so a renewed certificate is used at once.
    """

    def __init__(self, peer: Peer) -> None:
        """Raise SettingsRefused if a file of the peer's TLS settings is unusable."""
        self._opened: list[_TellingSocket] = []
        self.arguments: tuple[ssl.SSLContext, str] | None = None
        """The value for pynetdicom's tls_args; None if the peer's settings have no TLS."""
        if peer.tls is not None:
            context = client_context(peer.tls, of=f"tls of {peer.ae_title}")
            context.sslsocket_class = type("Connection", (_TellingSocket,), {"opened": self._opened})
            self.arguments = (context, peer.host)

    def problem(self) -> str:
        """Why the handshake failed, in words; empty if it did not."""
        for connection in self._opened:
            error = connection.failure
            if isinstance(error, ssl.SSLCertVerificationError):
                return f"its certificate is not accepted: {error.verify_message}"
            if error is not None:
                return f"TLS handshake failed: {error.reason or type(error).__name__}"
        return ""

    def close(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            connection.close()
