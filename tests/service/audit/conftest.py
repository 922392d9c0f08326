import pytest

from service.store import AuditLog, Database


@pytest.fixture
def audit_log(database: Database) -> AuditLog:
    return AuditLog(database)
