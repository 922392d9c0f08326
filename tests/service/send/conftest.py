from tests.support.destinations import file, free_port, start_destination
from tests.support.office import office

__all__ = ["file", "free_port", "office", "start_destination"]
