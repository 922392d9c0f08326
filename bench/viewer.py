"""How soon the viewer shows a CT of 512 x 512 x 200 and 42 structures, and how smoothly it scrolls, in a real Chromium.

    python -m bench.viewer [--rounds 5] [--slices 200] [--tmp DIR]

The structure set is the node's own, made by its worker from a phantom's masks; the role `web` runs as a process on
loopback. In each round it is started again, and a fresh browser without WebGL opens the viewer twice from the job's
page: first when the role has read nothing (cold), then while it still has the volume (warm). Times are those since the
click, each up to the next frame after the picture was painted. Then the axial plane scrolls through all slices, one
key in each frame.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.stow import wait_for
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract
from inference.ports import free_port
from phantoms.head_neck import head_neck_grid
from phantoms.head_neck_42 import make_head_neck_42
from phantoms.phantom import Phantom
from service.application import Actor, ActorKind, ActorRole, invite_person, set_password
from service.components import node_identity, opened_store
from service.config import Settings, load_settings
from service.store import Database, InstanceRecorder, JobState
from service.supervise import role_command
from service.web.passwords import hash_password
from tests.service.work.test_worker import Server, worker
from tests.support.clock import ManualClock
from tests.support.models import OneModel, model_contract
from tests.support.small_node import SmallNode, model

ADMIN = Actor(kind=ActorKind.PERSON, name="root", role=ActorRole.ADMIN, entry="cli")
PASSWORD = "a long and quiet sentence"  # noqa: S105  (of a node that lives for a minute)
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu-compositing", "--disable-3d-apis"]
SIZE = {"width": 1300, "height": 820}
LINK = "a[href='/jobs/1/viewer']"
MARKS = """
document.addEventListener("click", (event) =>
  sessionStorage.setItem("clicked", String(performance.timeOrigin + event.timeStamp)), true);
window.marks = {};
const begun = new Set();
const stamp = (name) => {
  if (begun.has(name)) return;
  begun.add(name);
  requestAnimationFrame(() => {
    window.marks[name] = performance.timeOrigin + performance.now() - Number(sessionStorage.getItem("clicked"));
  });
};
new MutationObserver((changes) => {
  if (!changes.some((one) => one.attributeName === "data-frames")) return;
  const { loaded, contours } = document.getElementById("viewer").dataset;
  if (loaded !== undefined) stamp("first picture");
  if (loaded === "1.000") stamp("whole CT");
  if (contours !== undefined) stamp("contours");
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-frames"] });
"""
ARRIVALS = """
() => {
  const clicked = Number(sessionStorage.getItem("clicked"));
  const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const ends = (what) => Math.max(...parts.filter((one) => what.test(one.name)).map((one) => one.responseEnd));
  const at = (what) => performance.timeOrigin + ends(what) - clicked;
  return {
    "page": at(/viewer$/), "script": at(/viewer[.]js$/), "grid": at(/ct$/), "middle slice": at(/slices/),
    "last voxels": at(/voxels/), "polygons": at(/contours/),
    "MB": parts.reduce((sum, one) => sum + one.transferSize, 0) / 1e6,
  };
}
"""
SCROLL = """
async (steps) => {
  const root = document.getElementById("viewer");
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  press("Home");
  await frame();
  await frame();
  const painted = () => Number(root.dataset.frames);
  const [began, before, gaps] = [performance.now(), painted(), []];
  for (let i = 0, last = began; i < steps; i++) {
    press("ArrowDown");
    await frame();
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  gaps.sort((a, b) => a - b);
  const seconds = (performance.now() - began) / 1000;
  return { "frames/s": (painted() - before) / seconds, "slowest of 20": gaps[Math.floor(0.95 * gaps.length)] };
}
"""
DRAWN = """
() => {
  const canvas = document.querySelector("[data-plane='axial'] .overlay");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0 ? 1 : 0;
  return count;
}
"""


def main() -> None:
    """Print the medians of all rounds, with the least and the most."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--tmp", type=Path, help="where the storage folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.tmp) as folder, chromium() as browser:
        settings = made_node(Path(folder).resolve(), phantom_of(arguments.slices))
        rows = [_round(browser, settings, arguments.slices) for _ in range(arguments.rounds)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{statistics.median(values):12.2f}  {name} ({min(values):.2f} to {max(values):.2f})")


def _round(browser: Any, settings: Settings, slices: int) -> dict[str, float]:
    row: dict[str, float] = {}
    with running_web(settings) as web:
        row["idle role, MiB"] = web.memory_info().rss / 2**20
        for which in ("cold", "warm"):
            tab = signed_in(browser, settings)
            busy = cpu_s(web)
            found = opened(tab)
            row |= {f"{which}: {name}": value for name, value in found.items()}
            row[f"{which}: ms of the role's processor"] = (cpu_s(web) - busy) * 1000
            if which == "warm":
                row |= {f"scroll: {name}": value for name, value in _scrolled(tab, slices).items()}
                row |= _memory(tab)
            tab.context.close()
        row["role with the volume, MiB"] = web.memory_info().rss / 2**20
    return row


def _scrolled(tab: Any, slices: int) -> Mapping[str, float]:
    busy = _chromium_cpu_s()
    found: dict[str, float] = tab.evaluate(SCROLL, slices - 1)
    return {**found, "ms of the processor a frame": (_chromium_cpu_s() - busy) * 1000 / (slices - 1)}


def _memory(tab: Any) -> Mapping[str, float]:
    usage = tab.context.new_cdp_session(tab).send("Runtime.getHeapUsage")
    mib = {"heap": usage["usedSize"], "voxels and pictures": usage.get("backingStorageSize", 0)}
    return {f"browser: {name}, MiB": value / 2**20 for name, value in mib.items()}


def phantom_of(slices: int) -> Phantom:
    """Make the patient: 512 x 512 voxels of 0.98 mm, slices 2 mm apart, 42 structures."""
    return make_head_neck_42(
        grid=head_neck_grid(shape_zyx=(slices, 512, 512), spacing_zyx_mm=(2.0, 0.9765625, 0.9765625))
    )


def made_node(folder: Path, phantom: Phantom) -> Settings:
    """Make a node whose job 1 is contoured: its worker got the phantom's own masks as the model's answer."""
    settings = _settings(folder)
    codes = tuple(phantom.masks.by_code)
    pairs = [[code, CATALOGUE[code].partner] for code in codes if code.endswith("_L")]
    contract = model_contract("hn_oar", codes, version=model().version, left_right_pairs=pairs)
    clock = ManualClock(datetime.now(UTC))
    with opened_store(settings, may_create=True) as store:
        node_identity(settings, store).settle()
        invite_otto(store.database)
        files = store.files
    database = Database(settings.database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        node = SmallNode(database=database, files=files, clock=clock, recorder=recorder)
        node.receive(volume=phantom.volume)
        clock.tick(60)
        node.assembler(settings).poll_once()

        def answer(_contract: ModelContract, _volume: Volume) -> Prediction:
            return _prediction(phantom, codes)

        one = worker(node, Server(answer), settings)
        one.models = OneModel(contract)
        if not one.work_one() or node.job().state is not JobState.DELIVERING:
            raise SystemExit(f"the job was not contoured: {node.job()}")
    database.close()
    return settings


def _prediction(phantom: Phantom, codes: tuple[str, ...]) -> Prediction:
    planes = np.zeros((-(-len(codes) // 8), *phantom.volume.grid.shape_zyx), np.uint8)
    for number, code in enumerate(codes):
        mask = phantom.masks.by_code[code]
        box = tuple(slice(a, a + n) for a, n in zip(mask.start_zyx, mask.crop_zyx.shape, strict=True))
        planes[number // 8][box] |= mask.crop_zyx.astype(np.uint8) << np.uint8(number % 8)
    return Prediction(planes=planes, mean_probability=np.full(len(codes), 0.9, np.float32))


def _settings(folder: Path) -> Settings:
    file = folder / "node.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{folder / "store"}"\nlog_level = "WARNING"\n[assemble]\nquiet_s = 1\n'
        f'[web]\nport = {free_port()}\n[peers.tps]\nae_title = "TPS"\nhost = "127.0.0.1"\nport = 104\n'
        '[[rules]]\nname = "head-neck"\nmodel = "hn_oar"\ndestinations = ["tps"]\n'
    )
    return load_settings(file, {})


def invite_otto(database: Database) -> None:
    """Add a person who may see images and patients."""
    secret = invite_person(database, ADMIN, "otto", ActorRole.ADMIN, sees_patients=True)
    set_password(database, secret, hash_password(PASSWORD, "nobody"))


@contextmanager
def running_web(settings: Settings) -> Iterator[psutil.Process]:
    """Run the role `web` of a node as a process of its own while the context is open."""
    file = settings.node.storage_dir.parent / "node.toml"
    process = subprocess.Popen(role_command(("web",), file))
    try:
        wait_for(settings.web.port)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium() -> Iterator[Any]:
    """Open Debian's Chromium without WebGL and without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


def signed_in(browser: Any, settings: Settings) -> Any:
    """Return a tab of a fresh browser context that shows job 1."""
    address = f"http://127.0.0.1:{settings.web.port}"
    tab = browser.new_context(viewport=SIZE).new_page()
    tab.add_init_script(MARKS)
    tab.goto(address)
    tab.fill("#name", "otto")
    tab.fill("#password", PASSWORD)
    tab.click("button.main")
    tab.wait_for_selector("#work")
    tab.goto(f"{address}/jobs/1")
    tab.locator(LINK).first.wait_for()
    tab.wait_for_timeout(500)
    return tab


def opened(tab: Any) -> dict[str, float]:
    """Click on the job's viewer; return ms from the click to each picture and arrival, and the bytes moved."""
    tab.locator(LINK).first.click()
    tab.wait_for_function(
        "() => ['first picture', 'whole CT', 'contours'].every((one) => one in window.marks)"
    )
    shown: dict[str, float] = tab.evaluate("() => window.marks")
    if not tab.evaluate(DRAWN):
        raise SystemExit("no contour is to be seen on the axial plane")
    return {**shown, **{f"{name} arrived": value for name, value in tab.evaluate(ARRIVALS).items()}}


def cpu_s(process: psutil.Process) -> float:
    """Return the processor seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _chromium_cpu_s() -> float:
    children = psutil.Process().children(recursive=True)
    return sum(cpu_s(one) for one in children if one.name().startswith("chrom"))


if __name__ == "__main__":
    main()
