"""The verb that shows the node at work."""

import argparse

from service.demo import run_demo
from service.logs import start_log


def demo(arguments: argparse.Namespace) -> int:
    """Run the main job once, on embedded defaults."""
    start_log("demo", "WARNING")
    return run_demo(arguments.ct, arguments.out)
