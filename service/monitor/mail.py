"""A message as an e-mail."""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from service.config import MailSecurity, MailSettings, SecretMissing, SettingsRefused, read_secret
from service.monitor.errors import NotDelivered
from service.monitor.messages import NotificationMessage
from service.tls import web_context


def send_mail(message: NotificationMessage, settings: MailSettings, *, timeout_s: float) -> None:
    """Return once the mail server has accepted the message for every recipient; otherwise raise NotDelivered."""
    try:
        with _connected(settings, timeout_s) as server:
            if settings.user is not None and settings.password_file is not None:
                server.login(settings.user, read_secret(settings.password_file))
            refused = server.send_message(_mail(message, settings), settings.sender, settings.recipients)
    except (OSError, smtplib.SMTPException, SecretMissing, SettingsRefused) as error:
        where = f"mail server {settings.host}:{settings.port}"
        raise NotDelivered(f"{where}: {_said(error)}") from error
    if refused:
        raise NotDelivered(f"the mail server accepted the message, but not for {', '.join(sorted(refused))}")


def _connected(settings: MailSettings, timeout_s: float) -> smtplib.SMTP:
    trust = web_context(settings.tls, of="mail.tls")
    if settings.security is MailSecurity.TLS:
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_s, context=trust)
    server = smtplib.SMTP(settings.host, settings.port, timeout=timeout_s)
    if settings.security is MailSecurity.STARTTLS:
        try:
            server.starttls(context=trust)
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
    return server


def _mail(message: NotificationMessage, settings: MailSettings) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain="contour-node.invalid")
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(message.text())
    return mail


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode('ascii', 'replace') if isinstance(said, bytes) else said}"
    return str(error) or type(error).__name__
