"""Send a message as JSON by HTTP POST, signed if there is a key."""

import hashlib
import hmac
import http.client
import json
import time
from urllib.parse import SplitResult, urlsplit

from service.config import SecretMissing, SettingsRefused, WebhookSettings, read_secret
from service.monitor.errors import NotDelivered
from service.monitor.messages import NotificationMessage
from service.tls import web_context

TIMESTAMP, SIGNATURE = "X-Contour-Node-Timestamp", "X-Contour-Node-Signature"


def post(message: NotificationMessage, settings: WebhookSettings, *, timeout_s: float) -> None:
    """Return once the server answered 2xx; otherwise raise NotDelivered. Redirects are not followed."""
    body = json.dumps(message.fields()).encode()
    target = urlsplit(settings.url)
    try:
        headers = _headers(settings, body)
        connection = _connection(target, settings, timeout_s)
        try:
            path = target.path or "/"
            connection.request("POST", f"{path}?{target.query}" if target.query else path, body, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException, SecretMissing, SettingsRefused) as error:
        raise NotDelivered(f"web server {target.hostname}: {str(error) or type(error).__name__}") from error
    if not 200 <= status < 300:
        raise NotDelivered(f"web server {target.hostname} answered with status {status}")


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body sent at a time: HMAC-SHA256 over timestamp, a dot, and the body, as hex."""
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _headers(settings: WebhookSettings, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    headers = {"Content-Type": "application/json", "User-Agent": "contour-node", TIMESTAMP: timestamp}
    if settings.secret_file is not None:
        headers[SIGNATURE] = f"sha256={signature(read_secret(settings.secret_file), timestamp, body)}"
    if settings.headers_file is not None:
        for line in read_secret(settings.headers_file).splitlines():
            name, colon, value = line.partition(":")
            if not colon:
                raise SecretMissing(f"the file {settings.headers_file} has a line that is not 'Name: value'")
            headers[name.strip()] = value.strip()
    return headers


def _connection(
    target: SplitResult, settings: WebhookSettings, timeout_s: float
) -> http.client.HTTPConnection:
    host = target.hostname or ""
    if target.scheme == "http":
        return http.client.HTTPConnection(host, target.port, timeout=timeout_s)
    trust = web_context(settings.tls, of="webhook.tls")
    return http.client.HTTPSConnection(host, target.port, timeout=timeout_s, context=trust)
