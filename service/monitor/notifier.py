"""Send notifications, each recipient in a separate thread; what cannot be sent stays in the table."""

import logging
import threading
from collections.abc import Callable, Iterable

from service.config import NotifySettings
from service.errors import TryAgain
from service.monitor.errors import NotDelivered
from service.monitor.mail import send_mail
from service.monitor.messages import NotificationMessage, message_of
from service.monitor.webhook import post
from service.store import Notification, NotificationQueue
from service.store.monitoring.notification_queue import LONGEST_DELAY_S

log = logging.getLogger(__name__)

MOST_IN_A_MESSAGE = 100
TIMEOUT_S = 20.0
FIRST_DELAY_S = 10.0

FindPatients = Callable[[Iterable[int]], dict[int, str]]


class Notifier:
    """One recipient: takes its notifications from the table and sends them together."""

    def __init__(
        self,
        settings: NotifySettings,
        board: NotificationQueue,
        patients: FindPatients,
        *,
        ready: threading.Event,
        poll_s: float,
    ) -> None:
        """``ready`` is set once the database has its tables."""
        self._settings = settings
        self._board = board
        self._patients = patients
        self._ready = ready
        self._poll_s = poll_s

    def run(self, stop: threading.Event) -> None:
        """Send what is due until ``stop`` is set."""
        while not stop.is_set():
            try:
                if self._ready.is_set():
                    self.send_due()
            except TryAgain as reason:
                log.warning("no notification sent: %s", reason, extra={"recipient": self._settings.name})
            stop.wait(self._poll_s)

    def send_due(self) -> int:
        """Send what is due as one message; return how many notifications were sent."""
        settings = self._settings
        due = self._board.due(settings.name, min_interval_s=settings.min_interval_s, limit=MOST_IN_A_MESSAGE)
        if not due:
            return 0
        about = {"recipient": settings.name, "notifications": len(due)}
        try:
            send(message_of(due, self._patients_of(due)), settings)
        except NotDelivered as reason:
            delay_s = min(FIRST_DELAY_S * 2 ** min(due[0].attempts, 10), LONGEST_DELAY_S)
            self._board.not_sent(due, reason=str(reason), delay_s=delay_s)
            log.warning("notification not sent: %s", reason, extra=about)
            return 0
        self._board.sent(due)
        log.info("told", extra=about)
        return len(due)

    def _patients_of(self, due: Iterable[Notification]) -> dict[int, str]:
        if not self._settings.with_patient:
            return {}
        return self._patients(dict.fromkeys(one.job_id for one in due if one.job_id is not None))


def send(message: NotificationMessage, settings: NotifySettings) -> None:
    """Send a message by the recipient's channel; raises NotDelivered unless it certainly arrived."""
    if settings.mail is not None:
        send_mail(message, settings.mail, timeout_s=TIMEOUT_S)
    if settings.webhook is not None:
        post(message, settings.webhook, timeout_s=TIMEOUT_S)
