"""The main job once, on embedded defaults: a scanner and a TPS played round the real node."""

from service.demo.story import run_demo

__all__ = ["run_demo"]
