"""A receiver in a process of its own, to be killed or starved.

Prints its port, ends on SIGTERM or when stdin closes.
"""

import argparse
import resource
import signal
import sys
import threading
from pathlib import Path

from service.audit import AuditWriter
from service.config import ReceiveSettings, Settings
from service.receive.server import Receiver
from service.store import AuditLog, Database, FileStore, InstanceRecorder, upgrade


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--largest-file-bytes", type=int)
    options = parser.parse_args()
    url = f"sqlite:///{options.root}/node.sqlite"
    upgrade(url)
    if options.largest_file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.largest_file_bytes, resource.RLIM_INFINITY))
    receive = ReceiveSettings(host="127.0.0.1", port=0, ae_title="NODE")
    database = Database(url)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with (
        InstanceRecorder(database) as recorder,
        AuditWriter(AuditLog(database), role="receive") as trail,
        Receiver(Settings(receive=receive), FileStore(options.root / "store"), recorder, trail) as receiver,
    ):
        sys.stdout.write(f"{receiver.port}\n")
        sys.stdout.flush()
        stop.wait()
    database.close()


if __name__ == "__main__":
    main()
