"""Combine several notifications into one message with job, rule, state and reason.

A patient is named only if the recipient's settings ask for it.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.store import Notification
from service.text import shown

WORDS = {
    "failed": "job failed",
    "refused": "job refused",
    "delivery": "delivery failing",
    "late": "alarm level exceeded",
    "disk": "disk",
    "role": "a part of the node is down",
    "peer": "peer does not answer",
    "model-server": "model server does not answer",
    "damaged": "stored file damaged",
    "recovery": "database and storage folder do not match",
    "clock": "clock cannot be right",
    "test": "test",
}
LONGEST_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class NotificationMessage:
    """One message to one recipient."""

    node: str
    notifications: tuple[Notification, ...]
    patients: Mapping[int, str]  # Patient ID by job; empty unless the recipient's settings ask for it

    @property
    def subject(self) -> str:
        """Return the subject line: how many notifications, and of what kinds."""
        kinds = ", ".join(dict.fromkeys(WORDS.get(one.event, one.event) for one in self.notifications))
        count = "" if len(self.notifications) == 1 else f"{len(self.notifications)} notifications: "
        return shown(f"Contour Node {self.node}: {count}{kinds}")

    def text(self) -> str:
        """Return the message as text."""
        blocks = [
            "\n".join(f"{name}: {shown(value)}" for name, value in self._lines(one))
            for one in self.notifications
        ]
        end = "For details: `contour-node show JOB` and `contour-node events JOB`."
        return "\n\n".join([*blocks, end]) + "\n"

    def fields(self) -> dict[str, object]:
        """Return the message as JSON fields."""
        return {
            "node": self.node,
            "subject": self.subject,
            "notifications": [{"id": one.id, **dict(self._lines(one))} for one in self.notifications],
        }

    def _lines(self, one: Notification) -> Sequence[tuple[str, object]]:
        lines: list[tuple[str, object]] = [
            ("event", one.event),
            ("at", one.at.isoformat(timespec="seconds")),
            ("reason", _on_one_line(one.text)),
        ]
        if one.job_id is not None:
            lines[1:1] = [("job", one.job_id), ("rule", one.rule), ("state", one.state)]
            if one.job_id in self.patients:
                lines.append(("patient_id", _on_one_line(self.patients[one.job_id])))
        return lines


def message_of(notifications: Sequence[Notification], patients: Mapping[int, str]) -> NotificationMessage:
    """Return the message for these notifications, sent from this machine."""
    return NotificationMessage(
        node=socket.gethostname(), notifications=tuple(notifications), patients=patients
    )


def _on_one_line(text: str) -> str:
    line = shown(text)
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
