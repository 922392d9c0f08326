from tests.support.destinations import free_port

__all__ = ["free_port"]
