import threading
from pathlib import Path

import pytest

from service.config import load_settings
from service.errors import TryAgain
from service.store import InstanceRecorder, upgrade
from service.wiring import receive


def test_a_receiver_that_can_record_nothing_any_more_ends_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{tmp_path / "store"}"\n[receive]\nhost = "127.0.0.1"\nport = 0\n'
    )
    settings = load_settings(file, {})
    (tmp_path / "store").mkdir()
    upgrade(settings.database_url)
    opened = InstanceRecorder.__init__

    def ended(self: InstanceRecorder, *args: object, **options: object) -> None:
        opened(self, *args, **options)  # type: ignore[arg-type]
        self.close()

    monkeypatch.setattr(InstanceRecorder, "__init__", ended)
    with pytest.raises(TryAgain, match="the instance recorder has ended"):
        receive()(settings, threading.Event())
