"""axe-core over every page, light and dark, and at 200 % zoom: no serious violation, and nothing to scroll sideways.

The rules of axe are those of npm's axe-core, which `make web-packages` fetches; without it these tests are skipped.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from service.application import ActorRole, TokenScope, create_token
from service.config.rules_text import rules_text
from tests.service.web.conftest import ADMIN, Page
from tests.service.web.test_browser import browser, signed_in, write_rules  # noqa: F401 - a fixture
from tests.service.work.test_worker import Server, brainstem_and_larynx, nonsense, worker
from tests.support.small_node import settings

AXE = Path(__file__).resolve().parents[3] / "web/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.network,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: make peers"),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make web-packages"),
]
PAGES = (
    "/",
    "/?q=nobody",
    "/jobs/1",
    "/jobs/2",
    "/jobs/1/viewer",
    "/destinations",
    "/models",
    "/rules",
    "/rules/history",
    "/node",
    "/audit",
    "/people",
    "/tokens",
    "/nowhere",
)
SERIOUS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`)"""
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"


def long_names(image: Dataset) -> None:
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = "Wolfeschlegelsteinhausenbergerdorff^Maximiliane Josephine"
    image.PatientID = "0123456789" * 4
    image.SeriesDescription = "Hals_Thorax_Abdomen_mit_Kontrastmittel_portalvenoes_2mm_B30f"


def furnish(page: Page) -> None:
    """One job that is contoured, one that failed, with long names; a token."""
    page.node.receive(change=long_names)
    page.node.receive(calling="OTHER", change=long_names)
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    assert worker(page.node, Server(brainstem_and_larynx)).work_one()
    assert worker(page.node, Server(nonsense), settings(work={"max_attempts": 1})).work_one()
    scopes = [
        scope for scope in TokenScope if scope is not TokenScope.DICOMWEB_STORE
    ]  # whose name is an AE title
    create_token(page.parts.database, ADMIN, "a-program-with-quite-a-long-name", scopes, days=30)


def test_every_page_is_free_of_serious_violations(
    browser: Any,  # noqa: F811
    served: tuple[Page, str],
) -> None:
    page, address = served
    furnish(page)
    tab = signed_in(browser, page, address, ActorRole.ADMIN, bypass_csp=True)
    found: dict[str, object] = {}
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        for path in PAGES:
            tab.goto(address + path)
            tab.evaluate(AXE.read_text(encoding="utf-8"))
            if violations := tab.evaluate(SERIOUS):
                found[f"{path} {scheme}"] = violations
    tab.goto(f"{address}/rules")
    write_rules(tab, rules_text(page.parts.settings.rules).replace("hn_oar", "lung"))
    tab.get_by_role("button", name="Check and back-test").click()
    tab.get_by_text("line 3, column 9").wait_for()
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    if violations := tab.evaluate(SERIOUS):
        found["a draft with a fault"] = violations
    tab.set_viewport_size({"width": 640, "height": 500})  # 1280 pixels at 200 %
    tab.set_extra_http_headers({"Accept-Language": "de"})  # whose words are the longest
    for path in PAGES:
        tab.goto(address + path)
        if (pixels := tab.evaluate(TOO_WIDE)) > 0:
            found[f"{path} at 200 %"] = f"{pixels} pixels too wide"
    assert found == {}
