"""The main job once, on embedded defaults: the real node between a simulated scanner and TPS."""

from service.demo.story import run_demo

__all__ = ["run_demo"]
