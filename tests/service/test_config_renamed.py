"""A settings file of an earlier version: refused by name, rewritten, and then the same node."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import main
from service.config import SettingsRefused, load_settings, migrate_tree, setting_lines

FILES = Path(__file__).parent / "files"
OLD_KEYS = (FILES / "settings_keys_2026.txt").read_text().split()
NEW_KEYS = {line.key for line in setting_lines()}


def tree_of(key: str, value: object) -> dict[str, Any]:
    """Give a tree that holds one key; 'x' stands for a name, one entry for a list."""
    head, _, rest = key.partition(".")
    inner = tree_of(rest, value) if rest and not rest.startswith("N.") else value
    if rest.startswith("N."):
        return {head: [tree_of(rest[2:], value)]}
    return {"x" if head == "*" else head: inner}


def keys_of(tree: Any, prefix: str = "") -> set[str]:
    if isinstance(tree, dict):
        return set().union(*(keys_of(one, f"{prefix}{name}.") for name, one in tree.items()))
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return set().union(*(keys_of(one, f"{prefix}N.") for one in tree))
    return {prefix.removesuffix(".")}


def known(key: str) -> bool:
    """Whether this version has the key; a peer's name and the block tls are spelt as the documentation does."""
    parts = key.split(".")
    named = ".".join([parts[0], "*", *parts[2:]] if parts[0] == "peers" else parts)
    head, block, tail = named.partition(".tls.")
    return named in NEW_KEYS or (bool(block) and f"{head}.tls" in NEW_KEYS and f"tls.{tail}" in NEW_KEYS)


@pytest.mark.parametrize("key", OLD_KEYS)
def test_every_old_key_is_a_key_now_or_says_what_to_do(key: str) -> None:
    tree = tree_of(key, 60)
    changes = migrate_tree(tree).changes
    left = {one for one in keys_of(tree) if one}
    assert all(known(one) for one in left), (left, changes)
    if left and left != keys_of(tree_of(key, 60)):
        assert any(": now " in change for change in changes)
    if not left:
        assert any("removed: " in change for change in changes)
    assert migrate_tree(tree).changes == ()


def test_an_old_file_is_refused_with_the_new_spelling_of_every_key(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text(
        "[watch]\npoll_s = 5\ntls_certificate = 'c'\ntls_key = 'k'\n[keep]\nsweep_s = 60\nverify_days = 3\n"
        "[work]\nheartbeat_s = 5\n[send]\ntimeout_s = 5\n[destinations.tps]\nae_title = 'TPS'\nhost = 'h'\nport = 104\n"
        "[[rules]]\nname = 'r'\nmodel = 'm'\ndestinations = ['tps']\nbeside = ['report']\n"
    )
    with pytest.raises(SettingsRefused) as caught:
        load_settings(file, {})
    told = str(caught.value)
    assert f"contour-node settings migrate {file}" in told
    for line in (
        "watch.poll_s: removed: always ten times advanced.poll_s",
        "send.timeout_s: now peers.tps.timeout_s",
        "watch.tls_certificate: now monitor.tls.certificate",
        "keep.sweep_s: removed: always 600 s",
        "keep: now retention",
        "work.heartbeat_s: removed: a heartbeat comes every quarter of advanced.silent_s",
        "destinations.tps: now peers.tps",
        "rules.0.beside: now rules.0.companions",
    ):
        assert f"  {line}\n" in told + "\n", told


def test_an_old_variable_of_the_environment_is_refused_too() -> None:
    with pytest.raises(SettingsRefused, match=r"watch\.silent_s: now advanced\.silent_s"):
        load_settings(None, {"CONTOUR_NODE_WATCH__SILENT_S": "30"})


def test_the_migrated_example_is_the_same_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.toml"
    assert main(["settings", "migrate", str(FILES / "settings_2026.toml"), "-o", str(new)]) == 0
    assert "receive.senders.1: now peers.pacs with may_send = true" in capsys.readouterr().err
    settings = load_settings(new, {})
    example = load_settings(Path(__file__).parents[2] / "deploy/settings.example.toml", {})
    assert {one.ae_title: one for one in settings.senders} == {one.ae_title: one for one in example.senders}
    assert settings.dicom_peers == example.dicom_peers
    assert len(settings.peers) == len(example.peers)
    apart: dict[str, Any] = {"peers": True, "triton": {"model_repository"}}  # a path from the file's folder
    assert settings.model_dump(exclude=apart) == example.model_dump(exclude=apart)
    old = (FILES / "settings_2026.toml").read_text()
    comment = "# The first rule that matches a CT series decides."
    assert comment in old
    assert comment in new.read_text()


def test_what_a_scanner_was_allowed_it_is_allowed_now(tmp_path: Path) -> None:
    tree = {
        "receive": {
            "senders": [
                {"ae_title": "CT", "networks": ["10.0.0.0/8"]},
                {"ae_title": "CT", "certificates": ["DNS:ct"]},
                {"ae_title": "PACS"},
            ]
        },
        "peers": {"archive": {"ae_title": "PACS", "host": "h", "port": 104}},
    }
    migrate_tree(tree)
    assert tree["receive"] == {"admit": "peers"}
    assert tree["peers"] == {
        "archive": {"ae_title": "PACS", "host": "h", "port": 104, "may_send": True},
        "ct": {"ae_title": "CT", "networks": ["10.0.0.0/8"], "may_send": True},
        "ct-2": {"ae_title": "CT", "certificates": ["DNS:ct"], "may_send": True},
    }


def test_tls_files_of_a_web_server_with_the_key_in_the_certificate_s_file() -> None:
    tree: dict[str, Any] = {
        "dicomweb": {"w": {"url": "https://w/x", "ca_file": "a", "certificate_file": "c"}}
    }
    migrate_tree(tree)
    assert tree == {
        "peers": {"w": {"url": "https://w/x", "tls": {"ca": "a", "certificate": "c", "key": "c"}}}
    }


def test_a_destination_and_a_peer_of_one_address_become_one() -> None:
    one = {"ae_title": "A", "host": "h", "port": 104}
    tree: dict[str, Any] = {
        "destinations": {"tps": {**one, "profile": "eclipse"}},
        "peers": {"back": {**one, "answers_queries": True}},
    }
    migrate_tree(tree)
    assert tree == {"peers": {"tps": {**one, "profile": "eclipse", "answers_queries": True}}}


def test_what_held_for_every_peer_goes_to_each_that_has_no_value_of_its_own() -> None:
    one = {"ae_title": "A", "host": "h", "port": 104}
    tree: dict[str, Any] = {
        "send": {"ae_title": "N", "max_attempts": 7, "timeout_s": 20},
        "peers": {"a": dict(one), "b": {"url": "https://w/x", "max_attempts": 3}, "ct": {"ae_title": "CT"}},
    }
    assert migrate_tree(tree).changes == (
        "send.max_attempts: now peers.a.max_attempts, peers.b.max_attempts",
        "send.timeout_s: now peers.a.timeout_s, peers.b.timeout_s",
    )
    assert tree == {
        "send": {"ae_title": "N"},
        "peers": {
            "a": {**one, "max_attempts": 7, "timeout_s": 20},
            "b": {"url": "https://w/x", "max_attempts": 3, "timeout_s": 20},
            "ct": {"ae_title": "CT"},
        },
    }


@pytest.mark.parametrize(("embedded", "url"), [(True, None), ("true", None), (False, "h:8001")])
def test_an_embedded_server_stays_embedded(embedded: bool | str, url: str | None) -> None:
    tree: dict[str, Any] = {"triton": {"url": "h:8001", "embedded": embedded, "timeout_s": 9}}
    migrate_tree(tree)
    assert tree == {"triton": {"timeout_s": 9} | ({} if url is None else {"url": url})}


@pytest.mark.parametrize("to_file", [True, False])
def test_two_entries_of_one_name_end_in_a_failure_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to_file: bool
) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(
        "[destinations.x]\nae_title = 'A'\nhost = 'h'\nport = 104\n"
        "[peers.x]\nae_title = 'B'\nhost = 'h'\nport = 104\n"
    )
    assert main(["settings", "migrate", str(old), *(["-o", str(new)] if to_file else [])]) == 1
    said = capsys.readouterr()
    assert "destinations.x: peers has another entry x; give one of them another name" in said.err
    assert said.out == ""
    assert not new.exists()
    with pytest.raises(SettingsRefused, match=r"destinations\.x: peers has another entry x"):
        load_settings(old, {})


@pytest.mark.parametrize("section", ["watch", "monitor"])
def test_an_old_event_is_named_and_rewritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str
) -> None:
    old = tmp_path / "old.toml"
    old.write_text(
        f"[[{section}.notify]]\nname = 'staff'\nevents = ['late', 'parked']  # both\n"
        "[monitor.notify.webhook]\nurl = 'https://w/x'\n".replace("monitor", section)
    )
    with pytest.raises(SettingsRefused, match=f"{section}.notify.0.events: 'parked' is now 'failed'"):
        load_settings(old, {})
    assert main(["settings", "migrate", str(old)]) == 0
    said = capsys.readouterr()
    assert f"{section}.notify.0.events: 'parked' is now 'failed'" in said.err
    assert tomllib.loads(said.out)["monitor"]["notify"][0]["events"] == ["late", "failed"]
    assert "# both" in said.out


def test_a_file_of_this_version_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "deploy/settings.example.toml"
    assert main(["settings", "migrate", str(example)]) == 0
    said = capsys.readouterr()
    assert said.out == example.read_text()
    assert "nothing to change" in said.err


def test_the_new_file_replaces_nothing_and_a_contradiction_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("[keep]\nresults_days = 'x'\n")
    new.write_text("mine")
    assert main(["settings", "migrate", str(old), "-o", str(new)]) == 1
    assert new.read_text() == "mine"
    assert main(["settings", "migrate", str(old)]) == 1
    assert "retention.results_days = 'x'" in capsys.readouterr().err


def test_show_prints_what_holds_without_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        "[database]\nurl = 'postgresql+psycopg://node:hunter2@db/contours'\n[peers.w]\nurl = 'https://w/x'\n"
    )
    assert main(["settings", "show", "--settings", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    tree = tomllib.loads(shown)
    assert tree["database"]["url"] == "postgresql+psycopg://node:***@db/contours"
    assert (tree["receive"]["port"], tree["peers"]["w"]["url"]) == (11112, "https://w/x")
