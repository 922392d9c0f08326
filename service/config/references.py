"""Consistency between parts of the settings: names that must exist, rules that must differ."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from service.config.peers import AnyPeer, Destination, Peer, Sender
from service.config.rules import JobPurpose, OnFailure, Rule


def problems(rules: Sequence[Rule], peers: Mapping[str, AnyPeer], *, admits_peers_only: bool) -> list[str]:
    """Return every contradiction as 'key = value: what is allowed'; empty if there is none."""
    known = {name: peer for name, peer in peers.items() if isinstance(peer, Destination)}
    return [
        *_same_names(rules),
        *_admitted(peers, admits_peers_only=admits_peers_only),
        *_same_titles(rules, peers),
        *(line for name in known for line in _wrong_fallback(name, known)),
        *_same_conditions(rules),
        *(line for number, rule in enumerate(rules) for line in _lost_results(number, rule, known)),
    ]


def _same_names(rules: Sequence[Rule]) -> Iterator[str]:
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            yield f"rules.name = {name!r} occurs {count} times; allowed: a different name for each rule"


def _admitted(peers: Mapping[str, AnyPeer], *, admits_peers_only: bool) -> Iterator[str]:
    """Yield what contradicts receive.admit: a limit without effect, or a node that nobody can send to."""
    senders = [name for name, peer in peers.items() if isinstance(peer, Sender) and peer.may_send]
    if admits_peers_only and not senders:
        yield "receive.admit = 'peers', but no entry of peers has may_send = true; allowed: with at least one"
    if senders and not admits_peers_only:
        yield (
            f"peers.{senders[0]}.may_send = true limits no one while receive.admit = 'anyone'; "
            "allowed: receive.admit = 'peers'"
        )
    for name, peer in peers.items():
        if isinstance(peer, Sender) and not isinstance(peer, Peer) and not peer.may_send:
            yield f"peers.{name} can do nothing; allowed: with host and port, with a url, or may_send = true"


def _same_titles(rules: Sequence[Rule], peers: Mapping[str, AnyPeer]) -> Iterator[str]:
    """Yield the AE titles that leave open which peer a result returns to, or which one answers for a sender."""
    addressed = [peer for peer in peers.values() if isinstance(peer, Peer)]
    if not any(rule.return_to_sender for rule in rules):
        addressed = [peer for peer in addressed if peer.answers_queries]
    for title, count in Counter(peer.ae_title for peer in addressed).items():
        if count > 1:
            yield (
                f"peers.*.ae_title = {title!r} occurs {count} times; allowed: one peer with host and port for each "
                "AE title if a rule has return_to_sender or the peers have answers_queries"
            )


def _same_conditions(rules: Sequence[Rule]) -> Iterator[str]:
    first_with: dict[tuple[object, ...], str] = {}
    for number, rule in enumerate(rules):
        if rule.purpose is JobPurpose.SHADOW:  # every matching one runs
            continue
        first = first_with.setdefault(rule.conditions(), rule.name)
        if first != rule.name:
            yield (
                f"rules.{number} = {rule.name!r} has the conditions of rule {first!r} and would never be reached; "
                "allowed: conditions that no earlier rule has"
            )


def _wrong_fallback(name: str, known: Mapping[str, Destination]) -> Iterator[str]:
    """Yield what is wrong with the fallback of one destination, and with the chain that begins there."""
    chain = [name]
    while (fallback := known[chain[-1]].fallback) is not None:
        if fallback not in known:
            if len(chain) == 1:
                there_are = ", ".join(sorted(known))
                yield f"the fallback of {name}, {fallback!r}, is not a destination; allowed: {there_are}"
            return
        if fallback in chain:
            if fallback == name:
                yield f"the fallbacks {' -> '.join([*chain, name])} form a circle; allowed: chains that end"
            return
        chain.append(fallback)


def _lost_results(number: int, rule: Rule, destinations: Mapping[str, Destination]) -> Iterator[str]:
    key = f"rules.{number}"
    for name in rule.destinations:
        if name not in destinations:
            known = ", ".join(sorted(destinations)) or "none is defined"
            yield f"{key}.destinations = {name!r} is not a destination; allowed: {known}"
    if rule.purpose is not JobPurpose.CLINICAL and _delivers(rule):
        yield (
            f"{key}.purpose = '{rule.purpose}' delivers nothing; allowed: without destinations, return_to_sender and "
            "on_failure"
        )
    if rule.return_to_sender:
        titles = {peer.ae_title for peer in destinations.values() if isinstance(peer, Peer)}
        if not titles:
            yield f"{key}.return_to_sender = true needs the senders' addresses; allowed: with a peer that has ae_title, host and port"
        for title in sorted(set(rule.calling_aets) - titles):
            yield f"{key}.return_to_sender = true, but no peer with host and port has the AE title {title!r} of its calling_aets"


def _delivers(rule: Rule) -> bool:
    """Tell whether anything of the rule's jobs is to be delivered."""
    return bool(rule.destinations) or rule.return_to_sender or rule.on_failure is not OnFailure.NONE
