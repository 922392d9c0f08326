"""The one table of peers: what an entry may be, who may send, and where results return to."""

import pytest

from service.config import Peer, Sender, Settings, WebDestination

TPS = {"ae_title": "TPS", "host": "h", "port": 104}
CT = {"ae_title": "CT", "may_send": True}


def settings(peers: dict[str, object], **more: object) -> Settings:
    return Settings.model_validate({"peers": peers, **more})


def test_an_entry_is_what_its_keys_make_it() -> None:
    admitted = {"admit": "peers"}
    peers = settings({"tps": TPS, "web": {"url": "https://w/x"}, "ct": CT}, receive=admitted).peers
    assert [type(peers[name]) for name in ("tps", "web", "ct")] == [Peer, WebDestination, Sender]


@pytest.mark.parametrize(
    ("peers", "admit", "told"),
    [
        ({"ct": CT}, "anyone", r"peers\.ct\.may_send = true limits no one while receive\.admit = 'anyone'"),
        ({"tps": TPS}, "peers", r"receive\.admit = 'peers', but no entry of peers has may_send"),
        ({"ct": {"ae_title": "CT"}, "pacs": {**TPS, "may_send": True}}, "peers", r"peers\.ct can do nothing"),
        ({"ct": {"ae_title": "CT", "networks": ["10.0.0.0/8"]}}, "anyone", r"allowed with may_send = true"),
        ({"tps": {**TPS, "tls": {}}}, "anyone", r"tls needs ca here"),
        ({"tps": {"ae_title": "TPS", "host": "h"}}, "anyone", r"port\n.*Field required"),
        ({"w": {"url": "http://w", "allow_http": True, "tls": {}}}, "anyone", r"tls is for https"),
    ],
)
def test_entries_that_contradict_are_refused(peers: dict[str, object], admit: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        settings(peers, receive={"admit": admit})


def test_only_peers_that_may_send_are_let_in_where_admit_says_so() -> None:
    assert settings({"tps": TPS}).senders == ()
    closed = settings({"tps": TPS, "ct": CT}, receive={"admit": "peers"})
    assert [one.ae_title for one in closed.senders] == ["CT"]


def test_results_return_to_one_address_for_each_title() -> None:
    twice = {"one": TPS, "two": {**TPS, "port": 105}}
    rule = {"name": "r", "model": "m", "destinations": ["one"]}
    assert settings(twice, rules=[rule]).destination_names == ("one",)
    with pytest.raises(ValueError, match=r"peers\.\*\.ae_title = 'TPS' occurs 2 times"):
        settings(twice, rules=[{**rule, "return_to_sender": True}])
    with pytest.raises(ValueError, match=r"occurs 2 times"):
        settings({name: {**one, "answers_queries": True} for name, one in twice.items()})


def test_the_destinations_are_those_of_the_rules_with_fallbacks_and_senders_that_get_results() -> None:
    peers = {
        "tps": {**TPS, "fallback": "spare"},
        "spare": {"url": "https://w/x"},
        "pacs": {"ae_title": "PACS", "host": "h", "port": 104},
        "archive": {"ae_title": "OLD", "host": "h", "port": 104},
    }
    rule = {"name": "r", "model": "m", "destinations": ["tps"]}
    assert settings(peers, rules=[rule]).destination_names == ("tps", "spare")
    back = {**rule, "calling_aets": ["PACS"], "return_to_sender": True}
    assert settings(peers, rules=[back]).destination_names == ("tps", "pacs", "spare")
