import pytest

from service.config import Settings, SettingsRefused, load_settings

RULE = [{"name": "r", "model": "m", "destinations": ["a"]}]
WEB = {"url": "https://pacs/dicom-web"}


def peer(**more: object) -> dict[str, object]:
    return {"ae_title": "A", "host": "h", "port": 104, **more}


def tree(destinations: dict[str, object], **more: object) -> Settings:
    return Settings.model_validate({"peers": destinations, "rules": RULE, **more})


@pytest.mark.parametrize(
    ("peers", "told"),
    [
        ({"a": peer(fallback="b")}, "the fallback of a, 'b', is not a destination; allowed: a"),
        ({"a": peer(fallback="a")}, "the fallbacks a -> a form a circle"),
        ({"a": peer(fallback="b"), "b": peer(fallback="a")}, "a -> b -> a form"),
        ({"a": peer(), "w": {**WEB, "ae_title": "W"}}, "ae_title"),
        ({"a": peer(), "w": {"url": "http://pacs"}}, "allow_http"),
        ({"a": peer(), "w": {**WEB, "confirm": "commitment"}}, "none, query"),
        ({"a": peer(max_attempts=0)}, "max_attempts"),
    ],
)
def test_destinations_that_cannot_work_are_refused(peers: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tree(peers)


def test_a_chain_of_fallbacks_over_both_kinds_gives_who_stands_by_for_whom() -> None:
    known = tree(
        {"a": peer(fallback="w"), "b": peer(fallback="w"), "c": peer(), "w": {**WEB, "fallback": "c"}},
    )
    assert known.fallbacks_for(("a", "b")) == {"w": ("a", "b"), "c": ("w",)}
    assert known.fallbacks_for(("a", "w")) == {"c": ("w",)}
    assert known.fallbacks_for(("c",)) == {}


def test_a_dicomweb_destination_comes_from_the_environment_too() -> None:
    environment = {
        "CONTOUR_NODE_PEERS__ARCHIVE__URL": "https://pacs/dicom-web",
        "CONTOUR_NODE_RULES": '[{"name": "r", "model": "m", "destinations": ["archive"]}]',
    }
    assert load_settings(None, environment).destination("archive") is not None
    with pytest.raises(SettingsRefused, match="url"):
        load_settings(None, {**environment, "CONTOUR_NODE_PEERS__ARCHIVE__URL": "https://u:p@pacs"})


def test_the_node_answers_to_the_title_under_which_it_asks_for_commitment() -> None:
    send = {"ae_title": "SENDER"}
    assert "SENDER" not in tree({"a": peer()}, send=send).called_aets
    assert "SENDER" in tree({"a": peer(confirm="commitment")}, send=send).called_aets
