"""The role monitor: polls the node, serves its pages and sends notifications, until it is stopped."""

import logging
import ssl
import threading
from collections.abc import Iterable

from service.config import Settings, SettingsRefused, read_secret
from service.config.secrets import SecretMissing
from service.monitor.monitor import Monitor, MonitorParts
from service.monitor.notifier import Notifier
from service.monitor.pages import StatusPages
from service.monitor.patient_data import patient_ids
from service.monitor.web_server import WebServer, server_tls
from service.store import Database, FileStore, JobRepository, NotificationQueue

log = logging.getLogger(__name__)


def run_monitor(parts: MonitorParts, stop: threading.Event) -> None:
    """Monitor the node until ``stop`` is set. It starts, and says what is wrong, also where the database is away.

    Raises:
        SettingsRefused: a file that the settings name cannot be used.
        OSError: somebody else has the port.
    """
    settings, database = parts.settings, parts.database
    token, tls = check_files(settings)
    logging.getLogger("pynetdicom").setLevel(
        logging.CRITICAL
    )  # that a peer is away is said once, by its check
    monitor = Monitor(parts)
    pages = StatusPages(settings=settings, last_view=lambda: monitor.view, clock=database.clock, token=token)
    runs = [
        parts.echoes.run,
        *(notifier.run for notifier in _notifiers(settings, database, monitor.prepared)),
    ]
    threads = [threading.Thread(target=run, args=(stop,), name=f"monitor-{n}") for n, run in enumerate(runs)]
    with WebServer(pages, settings.watch.host, settings.watch.port, tls=tls) as web:
        log.info("monitoring", extra={"host": settings.watch.host, "port": web.port})
        for thread in threads:
            thread.start()
        try:
            monitor.run(stop)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def check_files(settings: Settings) -> tuple[str | None, ssl.SSLContext | None]:
    """Read every file that the section `watch` names, and give the token and the TLS of the pages."""
    watch = settings.watch
    mail_files = [one.mail.password_file for one in watch.notify if one.mail is not None]
    hooks = [one.webhook for one in watch.notify if one.webhook is not None]
    hook_files = [file for hook in hooks for file in (hook.headers_file, hook.secret_file)]
    try:
        for file in (*mail_files, *hook_files):
            if file is not None:
                read_secret(file)
        token = None if watch.token_file is None else read_secret(watch.token_file)
    except SecretMissing as reason:
        raise SettingsRefused(f"watch: {reason}") from reason
    if watch.tls_certificate is None or watch.tls_key is None:
        return token, None
    try:
        return token, server_tls(str(watch.tls_certificate), str(watch.tls_key))
    except OSError as error:
        raise SettingsRefused(f"watch.tls_certificate and watch.tls_key cannot be used: {error}") from error


def _notifiers(settings: Settings, database: Database, ready: threading.Event) -> list[Notifier]:
    def find_patients(jobs: Iterable[int]) -> dict[int, str]:
        return patient_ids(JobRepository(database), FileStore(settings.node.storage_dir), jobs)

    board, poll_s = NotificationQueue(database), settings.watch.poll_s
    return [Notifier(one, board, find_patients, ready=ready, poll_s=poll_s) for one in settings.watch.notify]
