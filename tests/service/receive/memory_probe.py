"""The role receive in a process that tells, for each line on its stdin, what Python holds; ends when stdin closes."""

import gc
import json
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

from service.config import load_settings
from service.logs import start_log
from service.wiring import receive


def main() -> None:
    settings = load_settings(Path(sys.argv[1]), {})
    start_log("receive", settings.node.log_level)
    stop = threading.Event()
    threading.Thread(target=tell, args=(stop,)).start()
    tracemalloc.start()
    receive()(settings, stop)


def tell(stop: threading.Event) -> None:
    for _ in sys.stdin:
        for _ in range(3):
            gc.collect()
        kinds = [f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()]
        held = {
            "bytes": tracemalloc.get_traced_memory()[0],
            "threads": threading.active_count(),
            "own": Counter(kind for kind in kinds if kind.startswith("service.")),
        }
        sys.stdout.write(json.dumps(held) + "\n")
        sys.stdout.flush()
    stop.set()


if __name__ == "__main__":
    main()
