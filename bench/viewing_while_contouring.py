"""How much slower the model contours while somebody views a CT of 512 x 512 x 200.

    python -m bench.viewing_while_contouring [--turns 3] [--slices 200] [--tmp DIR]

The model hn_oar contours a phantom in this process, with as many threads as there are cores: alone; while the role
`web` is asked once, in each prediction, for everything that the viewer of a job needs, as by a browser elsewhere; and
while Chromium on this machine scrolls through the CT, a key in every frame. These take turns; ratios are within one.
"""

import argparse
import http.client
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from bench.stow import ADMIN
from bench.viewer import chromium, cpu_s, made_node, opened, phantom_of, running_web, signed_in
from imaging.volumes.volume import Volume
from inference.contract import load_contracts
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.catalogue import load_predictor
from service.application import TokenScope, create_token
from service.components import opened_store
from service.config import Settings

MODELS = Path(__file__).resolve().parents[1] / "model_repository"
SLAB = 16
"""Slices in one request of the viewer."""
SCROLL_ON = """
() => {
  let step = 0;
  window.isStopped = false;
  const go = () => {
    if (window.isStopped) return;
    document.dispatchEvent(new KeyboardEvent("keydown", { key: step++ % 200 === 0 ? "Home" : "ArrowDown" }));
    requestAnimationFrame(go);
  };
  go();
}
"""


def main() -> None:
    """Print seconds and ratios of each turn, and the medians of the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--tmp", type=Path, help="where the storage folder is made")
    arguments = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    phantom, predictor = phantom_of(arguments.slices), _predictor()
    with tempfile.TemporaryDirectory(dir=arguments.tmp) as folder, chromium() as browser:
        settings = made_node(Path(folder).resolve(), phantom)
        token = _token(settings)
        with running_web(settings) as web:
            tab = signed_in(browser, settings)
            opened(tab)
            _seconds(predictor, phantom.volume)  # warms up
            turns = []
            for _ in range(arguments.turns):
                turns.append(_turn(predictor, phantom.volume, settings, token, web, tab))
                print("  ".join(f"{name} {value:.2f}" for name, value in turns[-1].items()), flush=True)
    for what in ("viewed elsewhere", "scrolled here"):
        ratios = [turn[what] / turn["alone"] for turn in turns]
        print(f"{what}: {statistics.median(ratios):.3f} ({', '.join(f'{one:.3f}' for one in ratios)})")


def _turn(
    predictor: ServedPredictor,
    volume: Volume,
    settings: Settings,
    token: str,
    web: psutil.Process,
    tab: Any,
) -> dict[str, float]:
    turn = {"alone": _seconds(predictor, volume)}
    busy = cpu_s(web)
    with _viewed_elsewhere(settings.web.port, token, len(volume.array_zyx)):
        turn["viewed elsewhere"] = _seconds(predictor, volume)
    turn["processor of the role"] = cpu_s(web) - busy
    painted = "() => Number(document.getElementById('viewer').dataset.frames)"
    before = tab.evaluate(painted)
    tab.evaluate(SCROLL_ON)
    turn["scrolled here"] = _seconds(predictor, volume)
    tab.evaluate("() => { window.isStopped = true; }")
    return turn | {"frames/s": (tab.evaluate(painted) - before) / turn["scrolled here"]}


def _seconds(predictor: ServedPredictor, volume: Volume) -> float:
    began = time.monotonic()
    with torch.inference_mode():
        predictor.predict(volume.hu_zyx, volume.grid.spacing_zyx_mm)
    return time.monotonic() - began


@contextmanager
def _viewed_elsewhere(port: int, token: str, slices: int) -> Iterator[None]:
    """Ask for everything that one opening of the viewer needs, in a thread, while the context is open."""
    paths = ["ct", f"ct/slices/{slices // 2}", "contours", "structures"]
    paths += [f"ct/voxels?first={first}&count={SLAB}" for first in range(0, slices, SLAB)]

    def view() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for path in paths:
            connection.request("GET", f"/api/v1/jobs/1/{path}", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        connection.close()

    thread = threading.Thread(target=view)
    thread.start()
    yield
    thread.join()


def _predictor() -> ServedPredictor:
    contract = load_contracts(MODELS)["hn_oar"]
    folder = MODELS / "hn_oar" / str(contract.version)
    predictor = load_predictor(contract, folder, torch.device("cpu"))
    with torch.inference_mode():
        predictor.warm_up()
    return predictor


def _token(settings: Settings) -> str:
    with opened_store(settings) as store:
        return create_token(store.database, ADMIN, "BENCH", [TokenScope.READ], days=1).secret


if __name__ == "__main__":
    main()
