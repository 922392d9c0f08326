"""What one part of the settings says of another: names that must exist, rules that must differ."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from service.config.rules import Rule
from service.config.values import Destination, Peer
from service.config.web import WebDestination


def problems(
    rules: Sequence[Rule],
    destinations: Mapping[str, Peer],
    peers: Mapping[str, Peer],
    dicomweb: Mapping[str, WebDestination],
) -> list[str]:
    """Give every contradiction as 'key = value: what is allowed'; empty when there is none."""
    known: dict[str, Destination] = {**peers, **dicomweb, **destinations}
    named = {**dicomweb, **destinations}
    return [
        *_same_names(rules, destinations, peers),
        *(
            f"dicomweb.{name} has the name of a destination or peer; allowed: a name of its own"
            for name in sorted(dicomweb.keys() & (destinations.keys() | peers.keys()))
        ),
        *(line for name in known for line in _wrong_fallback(name, known)),
        *_same_conditions(rules),
        *(line for number, rule in enumerate(rules) for line in _lost_results(number, rule, named, peers)),
    ]


def _same_names(
    rules: Sequence[Rule], destinations: Mapping[str, Peer], peers: Mapping[str, Peer]
) -> Iterator[str]:
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            yield f"rules.name = {name!r} stands {count} times; allowed: a different name for each rule"
    for name in sorted(destinations.keys() & peers.keys()):
        yield f"peers.{name} has the name of a destination; allowed: a name that is not in destinations"
    for title, count in Counter(peer.ae_title for peer in peers.values()).items():
        if count > 1:
            yield f"peers.*.ae_title = {title!r} stands {count} times; allowed: one peer for each AE title"


def _same_conditions(rules: Sequence[Rule]) -> Iterator[str]:
    first_with: dict[tuple[object, ...], str] = {}
    for number, rule in enumerate(rules):
        first = first_with.setdefault(rule.conditions(), rule.name)
        if first != rule.name:
            yield (
                f"rules.{number} = {rule.name!r} has the conditions of rule {first!r} and would never be reached; "
                "allowed: conditions that no earlier rule has"
            )


def _wrong_fallback(name: str, known: Mapping[str, Destination]) -> Iterator[str]:
    """Give what is wrong with the fallback of one destination, and with the chain that begins there."""
    chain = [name]
    while (fallback := known[chain[-1]].fallback) is not None:
        if fallback not in known:
            if len(chain) == 1:
                there_are = ", ".join(sorted(known))
                yield f"the fallback of {name}, {fallback!r}, is not a destination; allowed: {there_are}"
            return
        if fallback in chain:
            if fallback == name:
                yield f"the fallbacks {' -> '.join([*chain, name])} go round in a circle; allowed: chains that end"
            return
        chain.append(fallback)


def _lost_results(
    number: int, rule: Rule, destinations: Mapping[str, Destination], peers: Mapping[str, Peer]
) -> Iterator[str]:
    key = f"rules.{number}"
    for name in rule.destinations:
        if name not in destinations:
            known = ", ".join(sorted(destinations)) or "none is defined"
            yield f"{key}.destinations = {name!r} is not a destination; allowed: {known}"
    if not rule.destinations and not rule.return_to_sender:
        yield f"{key}.destinations = () with return_to_sender = false sends to nobody; allowed: one of the two"
    if rule.return_to_sender:
        titles = {peer.ae_title for peer in peers.values()}
        if not titles:
            yield f"{key}.return_to_sender = true needs the senders' ports; allowed: with at least one entry in peers"
        for title in sorted(set(rule.calling_aets) - titles):
            yield f"{key}.return_to_sender = true, but no entry in peers has the AE title {title!r} of its calling_aets"
