"""A page over a small node: its own database and files, real requests, and people who may do different things."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.application import Actor, ActorKind, ActorRole, invite_person, set_password
from service.monitor.node_status import NodeStatus
from service.store import JobLists
from service.web.app import build_app
from service.web.live import LiveJobs
from service.web.parts import WebParts
from service.web.passwords import hash_password
from service.web.role import WebServerThread
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker
from tests.support.small_node import SmallNode, model, settings

PASSWORD = "a long and quiet sentence"
ADMIN = Actor(kind=ActorKind.PERSON, name="root", role=ActorRole.ADMIN, entry="cli")
HASH = hash_password(PASSWORD, "nobody")


@dataclass
class Page:
    node: SmallNode
    parts: WebParts

    def person(self, name: str, role: ActorRole, *, sees_patients: bool = True) -> TestClient:
        """A browser in which somebody of this role has signed in."""
        secret = invite_person(self.parts.database, ADMIN, name, role, sees_patients=sees_patients)
        set_password(self.parts.database, secret, HASH)
        browser = self.browser()
        answer = browser.post("/sign-in", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser

    def browser(self, host: str = "localhost", address: str = "testclient") -> TestClient:
        """A browser at an address in which nobody has signed in."""
        return TestClient(
            build_app(self.parts),
            base_url=f"http://{host}",
            client=(address, 50000),
            follow_redirects=False,
            raise_server_exceptions=False,
        )


def nothing_seen() -> NodeStatus:
    return NodeStatus(at=datetime.now(UTC), checks=(), database_status=None, disk=None, echoes=())


@pytest.fixture
def page(small_node: SmallNode) -> Page:
    return make_page(small_node)


def make_page(small_node: SmallNode, **changes: object) -> Page:
    live = LiveJobs(JobLists(small_node.database), poll_s=0.05)
    parts = WebParts(
        settings=settings(**changes),
        database=small_node.database,
        content=small_node.content,
        models={"hn_oar": model()},
        live=live,
        look_at_node=nothing_seen,
    )
    return Page(node=small_node, parts=parts)


@pytest.fixture
def bring(small_node: SmallNode) -> Callable[..., int]:
    """Send a series, let the assembler look at it, and give the job's number."""

    def brought(**how: Any) -> int:
        small_node.receive(**how)
        small_node.clock.tick(20)
        small_node.assembler().poll_once()
        return small_node.job().id

    return brought


@pytest.fixture
def contoured(small_node: SmallNode, bring: Callable[..., int]) -> int:
    """The number of a job whose structure set is written."""
    number = bring()
    assert worker(small_node, Server(brainstem_and_larynx)).work_one()
    return number


@pytest.fixture
def served(small_node: SmallNode) -> Iterator[tuple[Page, str]]:
    """A page on a port of its own."""
    page = make_page(small_node, web={"port": 0})
    server = WebServerThread(page.parts)
    page.parts.live.start()
    server.start()
    yield page, f"http://127.0.0.1:{server.port}"
    page.parts.live.stop()
    server.stop()
