import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config import (
    Peer,
    Rule,
    SeriesFacts,
    Settings,
    SettingsRefused,
    load_settings,
    process_environment,
    setting_lines,
)

ROOT = Path(__file__).parents[2]
TPS = {"CONTOUR_NODE_PEERS": '{"tps": {"ae_title": "TPS", "host": "tps", "port": 104}}'}


def test_without_file_and_environment_the_defaults_hold() -> None:
    settings = load_settings(None, {})
    assert (settings.receive.port, settings.receive.ae_title) == (11112, "CONTOURNODE")
    assert settings.database_url == f"sqlite:///{Path.cwd()}/contour-node-data/contour-node.sqlite"
    assert settings.rules == ()


def test_the_environment_overrides_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = _file(tmp_path, "[receive]\nport = 104\nae_title = 'FILE'\n[work]\nmax_attempts = 9\n")
    settings = load_settings(file, {"CONTOUR_NODE_RECEIVE__PORT": "105", "contour_node": "x", "PATH": "/bin"})
    assert (settings.receive.port, settings.receive.ae_title, settings.work.max_attempts) == (105, "FILE", 9)


def test_the_environment_can_hold_tables_and_lists() -> None:
    settings = _load({"CONTOUR_NODE_RULES": '[{"name": "hn", "model": "hn_oar", "destinations": ["tps"]}]'})
    assert settings.rules[0].destinations == ("tps",)
    named = load_settings(
        None,
        {
            "CONTOUR_NODE_PEERS__TPS__AE_TITLE": "TPS",
            "CONTOUR_NODE_PEERS__TPS__HOST": "10.0.0.1",
            "CONTOUR_NODE_PEERS__TPS__PORT": "104",
        },
    )
    assert named.peers["tps"] == Peer(ae_title="TPS", host="10.0.0.1", port=104)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(None, {}).receive.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"CONTOUR_NODE_RECEIVE__PORT": "99999"}, r"receive\.port = '99999': .* 0 to 65535"),
        ({"CONTOUR_NODE_RECEIVE__PORT": "eleven"}, r"receive\.port = 'eleven': .* whole number 0 to 65535"),
        (
            {"CONTOUR_NODE_RECEIVE__PROT": "104"},
            r"receive\.prot: no such setting; allowed: host, port, ae_title",
        ),
        ({"CONTOUR_NODE_PORT": "104"}, r"  port: no such setting; allowed: node, receive"),
        ({"CONTOUR_NODE_RECEIVE": "104"}, r"receive = '104': .* allowed: host, port"),
        ({"CONTOUR_NODE_RECEIVE__PORT__X": "1", "CONTOUR_NODE_RECEIVE__PORT": "1"}, r"port is not a section"),
        (
            {"CONTOUR_NODE_RECEIVE__AE_TITLE": "SEVENTEEN_LETTERS"},
            r"ae_title = 'SEVENTEEN_LETTERS': .*1 to 16",
        ),
        ({"CONTOUR_NODE_RECEIVE__AE_TITLE": "BACK\\SLASH"}, r"no backslash"),
        ({"CONTOUR_NODE_RECEIVE__AE_TITLE": "  "}, r"1 to 16 printable"),
        (
            {"CONTOUR_NODE_PEERS__CT": '{"ae_title": "\u00dc"}'},
            r"peers\.ct\.ae_title = 'Ü': an AE title",
        ),
        (
            {"CONTOUR_NODE_PEERS__CT": '{"ae_title": "A", "networks": ["10.0.0.1/8"]}'},
            r"peers\.ct\.networks\.0 = '10\.0\.0\.1/8': a network is .* has host bits set",
        ),
        (
            {"CONTOUR_NODE_PEERS__CT": '{"ae_title": "A", "certificates": ["sha256:12"]}'},
            r"certificates\.0 = 'sha256:12': a certificate is named sha256:",
        ),
        (
            {"CONTOUR_NODE_RECEIVE__TLS": '{"certificate": "c", "key": "k"}'},
            r"receive = .*client certificates are required.*: name the authority",
        ),
        (
            {"CONTOUR_NODE_AUDIT__SYSLOG": '{"host": "arr"}'},
            r"audit\.syslog = .*transport = 'tls' needs a section tls",
        ),
        ({"CONTOUR_NODE_RECEIVE__HOST": "http://x"}, r"receive\.host = 'http://x': .*without scheme"),
        ({"CONTOUR_NODE_NODE__LOG_LEVEL": "LOUD"}, r"log_level = 'LOUD': .* one of DEBUG, INFO"),
        ({"CONTOUR_NODE_ASSEMBLE__QUIET_S": "-1"}, r"assemble\.quiet_s = '-1': .* seconds 0 to 86400"),
        (
            {"CONTOUR_NODE_DATABASE__URL": "mysql://u@h/x"},
            r"database\.url = .* starts with sqlite:/// or postgresql",
        ),
        ({"CONTOUR_NODE_RULES": "[{"}, r"CONTOUR_NODE_RULES is not JSON"),
        ({"CONTOUR_NODE_RULES": '[{"name": "hn"}]'}, r"rules\.0\.model is missing"),
        (
            {"CONTOUR_NODE_PEERS__TPS__HOST": "h"},
            r"peers\.tps\.port is missing; allowed: whole number",
        ),
        (
            {"CONTOUR_NODE_WEB__PROXY": '{"addresses": ["10.0.0.1"], "user_header": "X-User"}'},
            r"web\.proxy = .*user_header and secret_file: give both or none",
        ),
        (
            {"CONTOUR_NODE_WEB__PROXY": '{"addresses": ["10.0.0.1"], "secret_file": "s"}'},
            r"web\.proxy = .*user_header and secret_file: give both or none",
        ),
        ({"CONTOUR_NODE_PEERS__TPS": "3"}, r"peers\.tps = '3': "),
        ({"CONTOUR_NODE_PEERS": "3"}, r"peers = '3': "),
    ],
)
def test_what_is_not_allowed_is_refused_by_key_and_value(environment: Mapping[str, str], told: str) -> None:
    with pytest.raises(SettingsRefused, match=told):
        load_settings(None, environment)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            [{"destinations": ["nowhere"]}],
            r"rules\.0\.destinations = 'nowhere' is not a destination; allowed: tps",
        ),
        ([{"purpose": "shadow"}], r"rules\.0\.purpose = 'shadow' delivers nothing"),
        ([{"purpose": "evaluation", "destinations": [], "on_failure": "capture"}], r"delivers nothing"),
        ([{"name": "a"}, {"name": "a", "called_aet": "X"}], r"rules\.name = 'a' occurs 2 times"),
        ([{"name": "a"}, {"name": "b"}], r"rules\.1 = 'b' has the conditions of rule 'a'"),
        (
            [{"return_to_sender": True, "calling_aets": ["CT"]}],
            r"rules\.0\.return_to_sender = true, but no peer with host and port has the AE title 'CT'",
        ),
        ([{"body_part": "("}], r"rules\.0\.body_part = '\(': not a regular expression"),
        ([{"priority": 101}], r"rules\.0\.priority = 101: .* 0 to 100"),
    ],
)
def test_rules_that_cannot_work_are_refused(rules: list[dict[str, object]], told: str) -> None:
    tree = {
        "rules": [{"name": "hn", "model": "m", "destinations": ["tps"], **rule} for rule in rules],
        "peers": {"tps": {"ae_title": "TPS", "host": "tps", "port": 104}},
    }
    with pytest.raises(SettingsRefused, match=told):
        load_settings(None, {f"CONTOUR_NODE_{key}": _json(value) for key, value in tree.items()})


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsRefused) as caught:
        _load(
            {
                "CONTOUR_NODE_RECEIVE__PORT": "-1",
                "CONTOUR_NODE_SEND__PORT": "1",
                "CONTOUR_NODE_WORK__MAX_ATTEMPTS": "x",
            }
        )
    assert str(caught.value).splitlines()[0] == "3 problem(s) with the settings from the environment:"
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("text", ["receive = [", "\xff"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "node.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsRefused, match=r"node\.toml is not TOML"):
        load_settings(file, {})


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"node\.toml cannot be read: No such file"):
        load_settings(tmp_path / "node.toml", {})


def test_the_password_is_shown_nowhere() -> None:
    url = "postgresql+psycopg://node:hunter2@db/contours"
    settings = load_settings(None, {"CONTOUR_NODE_DATABASE__URL": url})
    assert settings.database_url == url
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.database.url)):
        assert "hunter2" not in shown
    assert "postgresql+psycopg://node:***@db/contours" in repr(settings)
    for variable, text in (
        ("CONTOUR_NODE_DATABASE__URL", url.replace("postgresql", "mysql")),
        ("CONTOUR_NODE_DATABASE", url),
        ("CONTOUR_NODE_DATABASE", f'{{"url": ["{url}"]}}'),
        ("CONTOUR_NODE_DATABASE", f'{{"url": "{url}"'),
        ("CONTOUR_NODE_DATABASE", f'{{"uri": "{url}"}}'),
    ):
        with pytest.raises(SettingsRefused) as caught:
            load_settings(None, {variable: text})
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__ or "hunter2" not in str(caught.value.__context__)


@pytest.mark.parametrize(
    ("conditions", "facts", "matches"),
    [
        ({}, {}, True),
        ({"called_aet": "NODE"}, {}, True),
        ({"called_aet": "OTHER"}, {}, False),
        ({"calling_aets": ("PACS", "SCANNER")}, {}, True),
        ({"calling_aets": ("PACS",)}, {}, False),
        ({"body_part": "head|neck"}, {"body_part": "HEADNECK"}, True),
        ({"body_part": "head|neck"}, {"body_part": "THORAX"}, False),
        ({"body_part": "head"}, {}, False),
        ({"series_description": "plan"}, {"series_description": "CT Planning"}, True),
        ({"body_part": "head", "series_description": "plan"}, {"body_part": "HEAD"}, False),
    ],
)
def test_a_rule_matches_when_all_its_conditions_hold(
    conditions: dict[str, object], facts: dict[str, str], matches: bool
) -> None:
    rule = Rule.model_validate({"name": "hn", "model": "m", "destinations": ("tps",), **conditions})
    assert rule.matches(SeriesFacts(called_aet="NODE", calling_aet="SCANNER", **facts)) is matches


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    settings = load_settings(ROOT / "deploy" / "settings.example.toml", {})
    urgent = settings.rule_for(SeriesFacts(called_aet="CONTOUR_URGENT", calling_aet="PACS", body_part="HEAD"))
    pacs = settings.rule_for(SeriesFacts(called_aet="CONTOURNODE", calling_aet="PACS", body_part="HEAD"))
    other = settings.rule_for(SeriesFacts(called_aet="CONTOURNODE", calling_aet="CT_SCANNER"))
    assert urgent is not None
    assert pacs is not None
    assert other is not None
    assert (urgent.name, pacs.name, other.name) == ("urgent-head-neck", "head-neck-from-pacs", "head-neck")
    assert settings.destinations_for(pacs, "PACS") == ("tps", "pacs")
    assert settings.destinations_for(other, "CT_SCANNER") == ("tps",)
    assert settings.called_aets == {"CONTOURNODE", "CONTOUR_URGENT"}
    assert settings.destination("nobody") is None


def test_no_rule_matches_a_stranger() -> None:
    settings = _load(
        {
            "CONTOUR_NODE_RULES": '[{"name": "a", "calling_aets": ["PACS"], "model": "m", "destinations": ["tps"]}]'
        }
    )
    assert settings.rule_for(SeriesFacts(called_aet="CONTOURNODE", calling_aet="STRANGER")) is None


def test_every_setting_has_its_line_in_the_documentation() -> None:
    lines = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [line.markdown() for line in setting_lines()]


def test_every_setting_says_what_it_is_and_every_number_its_range() -> None:
    for line in setting_lines():
        assert re.fullmatch(r".{10,}\.", line.description), line.key
        assert line.allowed or "number" not in line.kind, line.key
        assert line.unit or not re.search("seconds|bytes", line.description, re.IGNORECASE), line.key


def test_the_environment_of_the_process_is_a_copy() -> None:
    environment = process_environment()
    environment["CONTOUR_NODE_X"] = "1"
    assert "CONTOUR_NODE_X" not in process_environment()


def _load(environment: Mapping[str, str]) -> Settings:
    return load_settings(None, {**TPS, **environment})


def _file(folder: Path, text: str) -> Path:
    file = folder / "node.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _json(value: object) -> str:
    return repr(value).replace("'", '"').replace("True", "true")


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 5000 + "]" * 5000, "x = " + "9" * 5000, ".".join(["a"] * 100_000) + " = 1"],
    ids=["nested", "digits", "parts"],
)
def test_what_the_parser_of_toml_cannot_bear_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(text)
    with pytest.raises(SettingsRefused, match=r"node\.toml"):
        load_settings(file, {})


def test_json_without_end_in_the_environment_is_refused() -> None:
    with pytest.raises(SettingsRefused, match="is not JSON"):
        load_settings(None, {"CONTOUR_NODE_RULES": "[" * 200_000})


@pytest.mark.parametrize("more", [0, 1])
def test_a_line_of_the_file_has_at_most_10000_characters(tmp_path: Path, more: int) -> None:
    file = _file(tmp_path, "[node]\n" + "# ".ljust(10_000 + more, "x"))
    if more:
        with pytest.raises(SettingsRefused, match=r"node\.toml has a line of more than 10000 characters"):
            load_settings(file, {})
    else:
        load_settings(file, {})


@pytest.mark.parametrize("named", [{}, {"user_header": "X-User", "secret_file": "secret"}])
def test_a_proxy_names_people_with_its_secret_or_nobody(named: dict[str, str]) -> None:
    found = _load({"CONTOUR_NODE_WEB__PROXY": _json({"addresses": ["10.0.0.0/24"], **named})}).web.proxy
    assert found is not None
    assert found.user_header == named.get("user_header")
