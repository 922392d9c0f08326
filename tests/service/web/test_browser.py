"""The page in a real browser, over a real socket: sign in, watch a job, look at its contours."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract
from service.application import ActorRole, invite_person, set_password
from tests.service.web.conftest import ADMIN, HASH, PASSWORD, Page
from tests.service.web.test_comparison import (
    WIDE,
    by_evaluation,
    edited,
    moved,
    one_wide_slice,
    other_patient,
)
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.network,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: make peers"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu-compositing", "--disable-3d-apis"]
        )
        yield found
        found.close()


def signed_in(
    browser: Any, page: Page, address: str, role: ActorRole = ActorRole.ADMIN, **context: Any
) -> Any:
    secret = invite_person(page.parts.database, ADMIN, "otto", role, sees_patients=True)
    set_password(page.parts.database, secret, HASH)
    tab = browser.new_context(viewport={"width": 1300, "height": 820}, **context).new_page()
    tab.set_default_timeout(30_000)
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    tab.faults = faults
    tab.goto(address)
    tab.fill("#name", "otto")
    tab.fill("#password", PASSWORD)
    tab.click("button.main")
    tab.wait_for_selector("#work")
    return tab


def contour(page: Page, answer: Callable[[ModelContract, Volume], Prediction]) -> None:
    """Let a series come and be contoured."""
    page.node.receive()
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    assert worker(page.node, Server(answer)).work_one()


def test_a_job_appears_and_moves_on_without_reloading(
    browser: Any, served: tuple[Page, str], tmp_path: Path
) -> None:
    page, address = served
    tab = signed_in(browser, page, address)
    tab.get_by_text("No series received yet").wait_for()
    page.node.receive()
    tab.get_by_text("receiving").wait_for()
    tab.locator("#job-1 a").focus()
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    tab.locator("#job-1").get_by_text("queued").wait_for()
    assert worker(page.node, Server(brainstem_and_larynx)).work_one()
    tab.locator("#job-1").get_by_text("delivering").wait_for()
    assert tab.evaluate("() => document.activeElement.textContent.trim()") == "1"  # the focus stayed
    tab.screenshot(path=tmp_path / "work.png")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Timeline").wait_for()
    tab.get_by_text("Brainstem").first.wait_for()
    assert tab.faults == []


def test_marks_outlast_updates_and_what_was_ordered_about_them_is_undone(
    browser: Any, served: tuple[Page, str]
) -> None:
    page, address = served
    for sender in ("A", "B"):
        page.node.receive(calling=sender, only=slice(0, 2))
    tab = signed_in(browser, page, address)
    tab.get_by_label("Select job 1").check()
    page.node.receive(calling="C", only=slice(0, 2))
    tab.locator("#job-3").wait_for()
    tab.get_by_text("1 job selected").wait_for()
    assert tab.get_by_label("Select job 1").is_checked()
    tab.get_by_text("Cancel…").click()
    tab.get_by_role("button", name="Cancel 1 job").click()
    tab.get_by_text("1 job cancelled").wait_for()
    tab.get_by_role("button", name="Undo").click()
    tab.get_by_text("1 job resumed").wait_for()
    assert page.node.book.job(1).state.value == "receiving"
    assert tab.faults == []


def test_the_viewer_draws_the_outlines_of_the_file_and_their_exact_cuts(
    browser: Any, served: tuple[Page, str], tmp_path: Path
) -> None:
    page, address = served
    contour(page, brainstem_and_larynx)
    tab = signed_in(browser, page, address)
    tab.goto(f"{address}/jobs/1/viewer")
    tab.wait_for_selector("#viewer[data-loaded='1.000'][data-contours]")
    tab.keyboard.press("n")  # the first structure, at its middle
    tab.wait_for_function("() => document.querySelector('#structures li.current') !== null")
    tab.wait_for_timeout(300)
    tab.screenshot(path=tmp_path / "viewer.png")

    grid = page.parts.images.series(1).series.volume.grid
    drawn_last = page.parts.images.contours(1)["structures"][-1]
    place = _place(tab, "axial")
    shown = int(re.findall(r"· (\d+)/", place["caption"])[0]) - 1
    (outline,) = [one for one in drawn_last["contours"] if round(one["slice"]) == shown]
    points = np.array(outline["points"]).reshape(-1, 2)
    scale = min(
        place["width"] / (grid.shape_zyx[2] * grid.spacing_zyx_mm[2]),
        place["height"] / (grid.shape_zyx[1] * grid.spacing_zyx_mm[1]),
    )
    size = (
        np.array([grid.shape_zyx[2] * grid.spacing_zyx_mm[2], grid.shape_zyx[1] * grid.spacing_zyx_mm[1]])
        * scale
    )
    corner = (np.array([place["width"], place["height"]]) - size) / 2
    on_screen = corner + (points + 0.5) * np.array([grid.spacing_zyx_mm[2], grid.spacing_zyx_mm[1]]) * scale
    middles = (on_screen + np.roll(on_screen, -1, axis=0)) / 2
    colour = drawn_last["colour"]
    for x, y in middles[:: max(1, len(middles) // 8)]:
        drawn = _colours(tab, "axial", x, y)
        assert any(max(abs(a - b) for a, b in zip(pixel[:3], colour, strict=True)) < 40 for pixel in drawn), (
            x,
            y,
        )
    far = (
        corner
        + (points.mean(axis=0) + np.array([0, 12]))
        * np.array([grid.spacing_zyx_mm[2], grid.spacing_zyx_mm[1]])
        * scale
    )
    assert all(pixel[3] < 255 or pixel[:3] != colour for pixel in _colours(tab, "axial", *far))
    assert tab.locator(".banner").inner_text().startswith("UNAPPROVED")
    assert tab.faults == []


def test_a_second_set_is_compared_beside_the_nodes(
    browser: Any, served: tuple[Page, str], tmp_path: Path
) -> None:
    page, address = served
    contour(page, one_wide_slice)
    second, other = tmp_path / "edited.dcm", tmp_path / "other.dcm"
    second.write_bytes(edited(page.parts.images.result(1), moved))
    other.write_bytes(edited(page.parts.images.result(1), other_patient))
    tab = signed_in(browser, page, address)
    tab.goto(f"{address}/jobs/1/viewer")
    tab.wait_for_selector("#viewer[data-loaded='1.000'][data-contours]")
    tab.set_input_files("#second-file", other)
    tab.get_by_text("Not compared: the set is of another patient").wait_for()
    assert tab.locator("#compared").is_hidden()
    tab.set_input_files("#second-file", second)
    tab.wait_for_selector("#viewer[data-compared='2']")

    expected = by_evaluation(page, 1, second.read_bytes(), tmp_path).by_structure["Brainstem"].values
    item = tab.locator("#structures li").filter(has_text="Brainstem").locator(".figures")
    assert " ".join(item.inner_text().split()) == (
        f"A {expected['volume_cm3']:.1f} cc B {expected['reference_volume_cm3']:.1f} cc DSC {expected['dice']:.3f} "
        f"HD95 {expected['hausdorff95_pooled_mm']:.1f} mm SDSC {expected['surface_dice_area_weighted_at_2mm']:.3f}"
    )
    tab.keyboard.press("m")  # the slice on which most differs
    tab.get_by_text(f"most on slice {WIDE + 1}:").wait_for()
    tab.get_by_text(re.compile(rf"^slice {WIDE + 1}: [1-9]")).wait_for()
    assert f" {WIDE + 1}/" in _place(tab, "axial")["caption"]
    assert _has_colours(tab) == [True, True]
    _take_screenshots(tab, tmp_path, "compare")
    tab.keyboard.press("d")
    tab.wait_for_selector("#difference[aria-pressed='false']")
    tab.wait_for_timeout(200)
    assert _has_colours(tab) == [False, False]
    box = tab.locator("#areas").bounding_box()
    tab.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    tab.get_by_text("slice 1: 0 mm²").wait_for()
    assert [fault for fault in tab.faults if "422" not in fault] == []


def _take_screenshots(tab: Any, folder: Path, name: str) -> None:
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.wait_for_timeout(200)
        tab.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)


def _has_colours(tab: Any) -> list[bool]:
    """Whether the axial plane shows what only A has, and what only B has: orange and blue, see-through."""
    found: list[bool] = tab.evaluate(
        """() => {
            const canvas = document.querySelector('[data-plane=axial] .overlay');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const near = (i, [r, g, b]) => Math.abs(data[i + 3] - 140) < 8 && Math.abs(data[i] - r) < 8
                && Math.abs(data[i + 1] - g) < 8 && Math.abs(data[i + 2] - b) < 8;
            return [[255, 146, 36], [74, 163, 255]].map((colour) => {
                let count = 0;
                for (let i = 0; i < data.length; i += 4) count += near(i, colour);
                return count > 100;
            });
        }"""
    )
    return found


def _place(tab: Any, plane: str) -> dict[str, Any]:
    found: dict[str, Any] = tab.evaluate(
        """(plane) => {
            const figure = document.querySelector(`[data-plane=${plane}]`);
            const canvas = figure.querySelector('.overlay');
            return {width: canvas.width, height: canvas.height, caption: figure.querySelector('figcaption').textContent};
        }""",
        plane,
    )
    return found


def _colours(tab: Any, plane: str, x: float, y: float) -> list[list[int]]:
    """The colours of the overlay within 1.5 pixels of a point."""
    found: list[list[int]] = tab.evaluate(
        """([plane, x, y]) => {
            const context = document.querySelector(`[data-plane=${plane}] .overlay`).getContext('2d');
            const data = context.getImageData(Math.round(x) - 1, Math.round(y) - 1, 3, 3).data;
            return Array.from({length: 9}, (_, i) => [...data.slice(4 * i, 4 * i + 4)]);
        }""",
        [plane, x, y],
    )
    return found


def write_rules(tab: Any, text: str) -> None:
    tab.locator(".cm-content").click()
    for key in ("Control+a", "Delete"):
        tab.keyboard.press(key)
    tab.keyboard.insert_text(text)


def test_a_rule_is_changed_with_its_faults_shown_and_taken_back(
    browser: Any, served: tuple[Page, str], tmp_path: Path
) -> None:
    page, address = served
    tab = signed_in(browser, page, address)
    tab.goto(f"{address}/rules")
    text = tab.locator("#text").input_value()
    write_rules(tab, text.replace("hn_oar", "lung"))
    for key in ("j", "/", "Backspace", "Backspace"):  # letters of the editor, not keys of the page
        tab.keyboard.press(key)
    assert tab.locator("#text").input_value() == text.replace("hn_oar", "lung")
    tab.get_by_role("button", name="Check and back-test").click()
    tab.get_by_text("line 3, column 9").click()
    assert tab.locator(".cm-lintRange-error").inner_text() == '"lung"'
    assert tab.locator(".cm-activeLine").inner_text() == 'model = "lung"'  # where the click led
    assert tab.get_by_role("button", name="Activate", exact=True).is_disabled()
    tab.screenshot(path=tmp_path / "faults.png", full_page=True)
    write_rules(tab, text.replace("head-neck", "neck"))
    tab.get_by_role("button", name="Check and back-test").click()
    tab.get_by_text("of the last 0 series would change").wait_for()
    tab.fill("#reason", "the neck needs the mask")
    tab.screenshot(path=tmp_path / "checked.png", full_page=True)
    tab.get_by_role("button", name="Activate", exact=True).click()
    tab.get_by_text("Version 2").wait_for()
    tab.get_by_role("link", name="History").click()
    tab.get_by_text("Changes").first.click()
    tab.get_by_text("Roll back…").click()
    tab.screenshot(path=tmp_path / "history.png", full_page=True)
    tab.get_by_label("Reason").fill("as it was")
    tab.get_by_role("button", name="Activate version 1 again").click()
    tab.get_by_text("Version 3").wait_for()
    tab.screenshot(path=tmp_path / "held.png", full_page=True)
    assert [rule.name for rule in page.parts.ruled.rules] == ["head-neck"]
    assert [fault for fault in tab.faults if "422" not in fault] == []
