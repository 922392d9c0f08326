"""TLS by BCP 195 (RFC 9325) and PS3.15 B.12: the contexts for both directions, and the names in a certificate."""

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.config import Peer, Settings, SettingsRefused, TlsProfile, TlsSettings, WebDestination

# RFC 9325 4.2: forward secrecy and authenticated encryption only; level 2 refuses RSA keys below 2048 bits and SHA-1.
_TLS12_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2"
)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate that a peer proved to own, with its names in the form that the settings use."""

    names: frozenset[str]
    """sha256:<fingerprint>, DNS:<name> for each name in it, CN:<common name>."""
    fingerprint: str


def server_context(
    settings: TlsSettings, *, of: str = "receive.tls", require_client_certificate: bool = False
) -> ssl.SSLContext:
    """Return the context of a listener; with ``ca``, it asks for a client certificate.

    Args:
        settings: the block of the listener.
        of: the block's place in the settings, for the message of a refusal.
        require_client_certificate: whether to refuse clients that have none.

    Raises:
        SettingsRefused: a file is missing or is not what it should be; the message names the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, settings.profile)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0  # every association proves its certificate again
    _load_key(context, of, settings)
    if settings.ca is not None:
        _load_ca(context, of, settings.ca)
        context.verify_mode = ssl.CERT_REQUIRED if require_client_certificate else ssl.CERT_OPTIONAL
    return context


def client_context(settings: TlsSettings, *, of: str) -> ssl.SSLContext:
    """Return the context of a connection to a peer; pass the peer's host as server_hostname.

    Args:
        settings: the TLS section of the peer.
        of: the section's place in the settings, for the message of a refusal.

    Raises:
        SettingsRefused: a file is missing or is not what it should be; the message names the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, settings.profile)
    context.check_hostname = settings.check_host
    if settings.ca is None:
        context.load_default_certs()
    else:
        _load_ca(context, of, settings.ca)
    _load_key(context, of, settings)
    return context


def web_context(settings: TlsSettings | None, *, of: str) -> ssl.SSLContext:
    """Return the context of a connection to a web or mail server, which must be closed properly.

    Otherwise, a truncated answer could pass for a complete one.
    """
    if settings is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
    context = client_context(settings, of=of)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def check_certificates(settings: Settings) -> None:
    """Read every file in the TLS settings; raise SettingsRefused if one is missing or not what it should be."""
    if settings.receive.tls is not None:
        server_context(settings.receive.tls)
    for name, peer in settings.peers.items():
        if isinstance(peer, Peer | WebDestination) and peer.tls is not None:
            client_context(peer.tls, of=f"peers.{name}.tls")
    syslog = settings.audit.syslog
    if syslog is not None and syslog.tls is not None:
        client_context(syslog.tls, of="audit.syslog.tls")


def certificate_of(connection: ssl.SSLSocket) -> Certificate | None:
    """Return who the peer proved to be in the handshake, or None if it presented no certificate."""
    der = connection.getpeercert(binary_form=True)
    told = connection.getpeercert()
    if der is None or not told:
        return None
    fingerprint = hashlib.sha256(der).hexdigest()
    return Certificate(
        names=frozenset({f"sha256:{fingerprint}", *_names(dict(told))}), fingerprint=fingerprint
    )


def _names(told: dict[str, object]) -> Iterator[str]:
    alternatives = told.get("subjectAltName")
    for kind, name in alternatives if isinstance(alternatives, tuple) else ():
        if kind == "DNS":
            yield f"DNS:{name}"
    subject = told.get("subject")
    for part in subject if isinstance(subject, tuple) else ():
        yield from (f"CN:{value}" for kind, value in part if kind == "commonName")


def _harden(context: ssl.SSLContext, profile: TlsProfile) -> None:
    tls13_only = profile is TlsProfile.TLS13
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls13_only else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # DICOM ends its associations itself: nothing can be cut off unnoticed by a peer that closes without a TLS alert.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF


def _load_key(context: ssl.SSLContext, of: str, settings: TlsSettings) -> None:
    certificate, key, passphrase_file = settings.certificate, settings.key, settings.key_passphrase_file
    if certificate is None or key is None:
        return
    try:
        # Without a passphrase an empty one is tried: OpenSSL would otherwise ask on the terminal and wait.
        passphrase = (
            "" if passphrase_file is None else passphrase_file.read_text(encoding="utf-8").strip("\r\n")
        )
        context.load_cert_chain(certificate, key, password=passphrase)
    except (OSError, ValueError) as error:
        raise SettingsRefused(
            f"{of}.certificate = {certificate}, {of}.key = {key}: {_why(error)}; allowed: PEM files that belong "
            f"together, with the passphrase of an encrypted key in {of}.key_passphrase_file"
        ) from None


def _load_ca(context: ssl.SSLContext, of: str, ca: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise SettingsRefused(f"{of}.ca = {ca}: {_why(error)}; allowed: a PEM file of certificates") from None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or 'not PEM'})"
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "not text"
