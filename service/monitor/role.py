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
from service.monitor.web_server import WebServer
from service.store import Database, FileStore, JobRepository, NotificationQueue
from service.tls import server_context

log = logging.getLogger(__name__)


def run_monitor(parts: MonitorParts, stop: threading.Event) -> None:
    """Monitor the node until ``stop`` is set; it also starts, and reports, while the database is unavailable.

    Raises:
        SettingsRefused: a file that the settings name cannot be used.
        OSError: the port is in use.
    """
    settings, database = parts.settings, parts.database
    token, tls = check_files(settings)
    logging.getLogger("pynetdicom").setLevel(
        logging.CRITICAL
    )  # an unreachable peer is reported once, by its check
    monitor = Monitor(parts)
    pages = StatusPages(settings=settings, last_view=lambda: monitor.view, clock=database.clock, token=token)
    runs = [
        parts.echoes.run,
        *(notifier.run for notifier in _notifiers(settings, database, monitor.prepared)),
    ]
    threads = [threading.Thread(target=run, args=(stop,), name=f"monitor-{n}") for n, run in enumerate(runs)]
    with WebServer(pages, settings.monitor.host, settings.monitor.port, tls=tls) as web:
        log.info("monitoring", extra={"host": settings.monitor.host, "port": web.port})
        for thread in threads:
            thread.start()
        try:
            monitor.run(stop)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def check_files(settings: Settings) -> tuple[str | None, ssl.SSLContext | None]:
    """Read every file that the section `monitor` names; return the token and the TLS context of the pages."""
    monitor = settings.monitor
    mail_files = [one.mail.password_file for one in monitor.notify if one.mail is not None]
    hooks = [one.webhook for one in monitor.notify if one.webhook is not None]
    hook_files = [file for hook in hooks for file in (hook.headers_file, hook.secret_file)]
    try:
        for file in (*mail_files, *hook_files):
            if file is not None:
                read_secret(file)
        token = None if monitor.token_file is None else read_secret(monitor.token_file)
    except SecretMissing as reason:
        raise SettingsRefused(f"monitor: {reason}") from reason
    return token, None if monitor.tls is None else server_context(monitor.tls, of="monitor.tls")


def _notifiers(settings: Settings, database: Database, ready: threading.Event) -> list[Notifier]:
    def find_patients(jobs: Iterable[int]) -> dict[int, str]:
        return patient_ids(JobRepository(database), FileStore(settings.node.storage_dir), jobs)

    board, poll_s = NotificationQueue(database), settings.advanced.monitor_poll_s
    return [
        Notifier(one, board, find_patients, ready=ready, poll_s=poll_s) for one in settings.monitor.notify
    ]
