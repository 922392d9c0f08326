from tests.support.destinations import file, free_port, start_destination

__all__ = ["file", "free_port", "start_destination"]
