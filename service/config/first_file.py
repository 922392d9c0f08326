"""The first settings file of a host, from the template in deploy/, with comments for whoever edits it."""

import re
import string
from collections.abc import Mapping
from pathlib import Path

from service.config.load import SettingsRefused, settings_of
from service.config.shipped import shipped

_TPS = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>[^:@]+):(?P<port>[0-9]{1,5})")
_USUAL_PORT = 11112
_PEER = """\
[peers.tps]
ae_title = "{ae_title}"
host = "{host}"
port = {port}
# may_send = true    # with receive.admit = "peers"
# profile = "eclipse" # what it accepts: standard, eclipse, raystation, monaco, pinnacle
"""
_RULE = """\
[[rules]]
name = "head-neck"
model = "hn_oar"
destinations = ["tps"]
"""


def settings_file_text(*, storage_dir: Path, ae_title: str, tps: str | None, ports: Mapping[str, int]) -> str:
    """Return the file's text; ``tps`` is AETITLE@host:port of the planning system, or None: an example in comments.

    Raises SettingsRefused if a value is wrong.
    """
    peer, rule = _PEER, _RULE
    if tps is None:
        peer = _commented(_PEER.format(ae_title="TPS", host="tps.example.org", port=104))
        rule = _commented(_RULE)
    else:
        found = _TPS.fullmatch(tps)
        if found is None:
            raise SettingsRefused(f"--tps {tps}: expected AETITLE@host:port, as in ARIA@10.1.2.3:104")
        peer = _PEER.format(**found.groupdict())
    taken = (
        f"{_USUAL_PORT} was in use"
        if ports["port"] != _USUAL_PORT
        else "the port that scanners and the TPS connect to"
    )
    template = string.Template(shipped("deploy/settings.template.toml").read_text(encoding="utf-8"))
    text = template.substitute(
        ports, storage_dir=storage_dir, ae_title=ae_title, port_note=taken, peers=peer, rules=rule
    )
    settings_of(_parsed(text), "init")
    return text


def _parsed(text: str) -> dict[str, object]:
    import tomllib

    return tomllib.loads(text)


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())
