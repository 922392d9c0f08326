"""Alarms: conditions that need a person's attention, for as long as they last."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from service.config import NotifyEvent, Settings
from service.monitor.checks import refused_in_words
from service.monitor.node_status import NodeStatus
from service.store import Alarm, LateJob
from service.store.monitoring.queue_statistics import NOT_TAKEN

_EVENTS = {
    "storage": NotifyEvent.DISK,
    "disk": NotifyEvent.DISK,
    "disk reserve": NotifyEvent.DISK,
    "receiver": NotifyEvent.ROLE,
    "model server": NotifyEvent.MODEL_SERVER,
    "constancy": NotifyEvent.CONSTANCY,
    "recovery": NotifyEvent.RECOVERY,
    "clock": NotifyEvent.CLOCK,
    "rules": NotifyEvent.RULES,
}
_AT_ONCE = (NotifyEvent.LATE, NotifyEvent.DELIVERY, NotifyEvent.DAMAGED, NotifyEvent.IMAGES_REFUSED)


def alarms(settings: Settings, view: NodeStatus, late: Iterable[LateJob]) -> Iterator[Alarm]:
    """Yield every alarm condition found by a poll."""
    for check in view.checks:
        event = NotifyEvent.ROLE if check.name.startswith("role ") else _EVENTS.get(check.name)
        if event is not None and not check.ok:
            yield Alarm(subject=check.name, event=event, text=f"{check.name}: {check.reason}")
    for echo in view.echoes:
        if not echo.ok:
            subject = f"peer {echo.name}"
            yield Alarm(subject=subject, event=NotifyEvent.PEER, text=f"{subject}: {echo.reason}")
    yield from _held_up(settings, view)
    for path in () if view.database_status is None else view.database_status.figures.damaged:
        text = f"the stored file {path} is missing or damaged; put it back from a copy and `contour-node verify --all`"
        yield Alarm(subject=f"damaged {path}", event=NotifyEvent.DAMAGED, text=text)
    for images in () if view.database_status is None else view.database_status.figures.refused:
        text = refused_in_words(images)
        subject = f"images of {images.sender} refused: {images.reason}"
        yield Alarm(subject=subject, event=NotifyEvent.IMAGES_REFUSED, text=text)
    for job in late:
        waited_s = (view.at - job.asked_at).total_seconds()
        text = f"job {job.id} is {job.state}, {waited_s:.0f} s after its last slice"
        yield Alarm(
            subject=f"job {job.id} is late", event=NotifyEvent.LATE, text=text, job_id=job.id, rule=job.rule
        )


def _held_up(settings: Settings, view: NodeStatus) -> Iterator[Alarm]:
    if view.database_status is None:
        return
    level = timedelta(seconds=settings.monitor.delivery_alarm_s)
    waiting = [line for line in view.database_status.figures.deliveries if line.state in NOT_TAKEN]
    for name in sorted({line.destination for line in waiting}):
        lines = [line for line in waiting if line.destination == name]
        oldest = min(line.oldest_at for line in lines)
        if view.at - oldest > level:
            count = sum(line.count for line in lines)
            text = (
                f"{name} has not taken {count} deliveries; the oldest waits since {oldest:%Y-%m-%d %H:%M} UTC"
            )
            yield Alarm(subject=f"deliveries to {name}", event=NotifyEvent.DELIVERY, text=text)


@dataclass(kw_only=True)
class AlarmDelay:
    """Passes an alarm on only if it lasts, so that a restart causes none.

    Times are from a monotonic clock, in seconds: setting the clock causes no alarm.
    """

    after_s: float
    _since: dict[str, float] = field(default_factory=dict)
    _began: float | None = None

    def knows_enough(self, now_s: float) -> bool:
        """Tell whether the node has been polled for long enough to say that an alarm has ended or not."""
        self._began = now_s if self._began is None else self._began
        return now_s - self._began >= self.after_s

    def lasting(self, wrong: Iterable[Alarm], now_s: float) -> list[Alarm]:
        """Return the alarms present in every poll for ``after_s``, or that have their own threshold."""
        found = {alarm.subject: alarm for alarm in wrong}
        self._since = {subject: self._since.get(subject, now_s) for subject in found}
        return [
            alarm
            for subject, alarm in found.items()
            if alarm.event in _AT_ONCE or now_s - self._since[subject] >= self.after_s
        ]
