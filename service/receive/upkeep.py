"""Background tasks of the receiver: record files without a row, mark the store, follow the rules in force."""

import logging
import threading
import time
from functools import partial
from types import TracebackType
from typing import Self

from service.config import Settings
from service.errors import TryAgain
from service.receive.recovery import recover
from service.receive.server import Receiver
from service.rules import RuleBook, opening_sop_classes
from service.store import ClockWatch, FileStore, InstanceRecorder, JobRepository, NodeIdentity

log = logging.getLogger(__name__)

MARK_EVERY_S = 60.0
"""How much an older database may be behind its storage folder without being noticed."""
_AGAIN_AFTER_S = 5.0


class StoreMarks:
    """Marks database and storage folder, and checks the clock, once a minute."""

    def __init__(self, identity: NodeIdentity, clock: ClockWatch) -> None:
        self._identity = identity
        self._clock = clock
        self._due_s = 0.0

    def keep(self) -> None:
        """Do so if a minute has passed; an unavailable database is tried again later."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + MARK_EVERY_S
        try:
            self._identity.mark()
            doubt = self._clock.doubt()
        except TryAgain as reason:
            log.warning("database and storage folder are not marked: %s", reason)
            return
        if doubt:
            log.error("the clock cannot be right: %s", doubt)


class FollowedRules:
    """Lets receiver and recorder follow the active rules: AE titles that are answered, images that open a job."""

    def __init__(self, rules: RuleBook, recorder: InstanceRecorder) -> None:
        self._rules = rules
        self._recorder = recorder
        self._held = rules.current()
        recorder.open_jobs_for(opening_sop_classes(self.settings))

    @property
    def settings(self) -> Settings:
        """The node's settings, with the rules that were active at the last look."""
        return self._held.settings

    def follow(self, receiver: Receiver) -> None:
        """Look which rules are active; while the database is not available, the last ones stay in force."""
        try:
            held = self._rules.current()
        except TryAgain:
            return
        if held is not self._held:
            self._held = held
            receiver.answer_to(held.settings.called_aets)
            self._recorder.open_jobs_for(opening_sop_classes(held.settings))


class RecoveryThread:
    """Records files without a row while the receiver listens; no series is judged until it has finished."""

    def __init__(
        self, files: FileStore, book: JobRepository, recorder: InstanceRecorder, identity: NodeIdentity
    ) -> None:
        self._recover = partial(recover, files, book, recorder)
        self._identity = identity
        self._is_stopping = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recovery")

    def __enter__(self) -> Self:
        self._identity.begin_recovery()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopping.set()
        self._thread.join()

    def raise_fault(self) -> None:
        """Raise the error that ended the recovery prematurely, if there was one."""
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._recover()
                self._identity.end_recovery()
            except TryAgain as reason:  # database or disk unavailable: try again once they are back
                log.warning("files without a row are not recorded yet: %s", reason)
                self._is_stopping.wait(_AGAIN_AFTER_S)
            except Exception as fault:  # noqa: BLE001 - the role ends with it, in the thread that asks
                self._fault = fault
                return
            else:
                return
