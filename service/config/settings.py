"""The settings tree. Every field has a description, a range if it is a number, and its unit in its name."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, model_validator

from inference.local_socket import embedded_url
from service.config.advanced import AdvancedSettings
from service.config.audit import AuditSettings
from service.config.checks import ChecksSettings
from service.config.monitor import MonitorSettings
from service.config.node import DatabaseSettings, NodeSettings
from service.config.peers import AnyPeer, Confirm, Destination, Peer, Sender
from service.config.references import problems
from service.config.retention import RetentionSettings
from service.config.rules import JobPurpose, Rule, SeriesFacts
from service.config.section import SettingsSection
from service.config.tls import TlsSettings
from service.config.triton import TritonSettings
from service.config.values import AeTitle, Host, ListeningPort, Name, ObjectFamily, SopClassUid, is_address
from service.config.web import WebSettings

PLAIN_PORT, TLS_PORT = "receive.port", "receive.tls_port"


class Admit(StrEnum):
    """Applications that may open an association with the node."""

    ANYONE = "anyone"
    PEERS = "peers"


class ReceiveSettings(SettingsSection):
    """The DICOM listener."""

    host: Host = Field(default="0.0.0.0", description="Address to listen on; 0.0.0.0: every interface.")
    port: ListeningPort = Field(default=11112, description="TCP port to listen on; 0: any free one.")
    ae_title: AeTitle = Field(default="CONTOURNODE", description="AE title of the node.")
    admit: Admit = Field(
        default=Admit.ANYONE,
        description="Applications that may open an association: anyone, or only peers with may_send = true.",
    )
    tls: TlsSettings | None = Field(default=None, description="TLS on a port of its own; absent: none.")
    tls_port: ListeningPort = Field(default=2762, description="TCP port for DICOM over TLS; 0: any free one.")
    require_client_certificate: bool = Field(
        default=True,
        description="With tls: admit nobody without a certificate that receive.tls.ca has signed.",
    )
    also_plaintext: bool = Field(
        default=False,
        description="With tls: also listen on receive.port without TLS, while senders are moved over.",
    )
    max_associations: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64,
        description="Associations open at the same time, half of them from one address; a quarter is kept for the addresses of peers.",
    )
    max_connections_per_minute: Annotated[int, Field(ge=1, le=1000000)] = Field(
        default=3000,
        description="Connections that one address may open in a minute; further ones are refused for the time being.",
    )
    companions: tuple[ObjectFamily, ...] = Field(
        default=tuple(ObjectFamily),
        description="Families of objects that are stored with CT and RT objects; [] for none. See docs/conformance.md.",
    )
    additional_sop_classes: tuple[SopClassUid, ...] = Field(
        default=(), description="Further SOP classes that are kept, by UID: private ones, say."
    )
    network_timeout_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60, description="An association with no traffic for this long is aborted."
    )

    @property
    def max_associations_per_address(self) -> int:
        """Associations open at the same time from one address."""
        return (self.max_associations + 1) // 2

    @property
    def ports(self) -> dict[str, int]:
        """The TCP ports to listen on, by their settings."""
        plain = {PLAIN_PORT: self.port} if self.tls is None or self.also_plaintext else {}
        return plain | ({} if self.tls is None else {TLS_PORT: self.tls_port})

    @model_validator(mode="after")
    def _client_certificates_can_be_checked(self) -> Self:
        if self.tls is not None and self.tls.for_listener().ca is None and self.require_client_certificate:
            raise ValueError(
                "client certificates are required (mutual authentication): name the authority that signs them in tls.ca"
            )
        return self


class AssembleSettings(SettingsSection):
    """When a series is complete."""

    quiet_s: Annotated[float, Field(ge=0, le=86400)] = Field(
        default=10, description="Seconds without a new slice after which a series counts as quiet."
    )
    incomplete_timeout_s: Annotated[float, Field(ge=0, le=604800)] = Field(
        default=900, description="How long a series with missing slices waits for them before it is refused."
    )


class WorkSettings(SettingsSection):
    """How jobs are processed."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Failed attempts after which a job fails for good."
    )


class SendSettings(SettingsSection):
    """Outgoing associations."""

    ae_title: AeTitle = Field(default="CONTOURNODE", description="AE title the node calls peers with.")


class Settings(SettingsSection):
    """All settings of the node; valid as a whole once constructed."""

    node: NodeSettings = Field(default=NodeSettings(), description="Where the node keeps things.")
    receive: ReceiveSettings = Field(default=ReceiveSettings(), description="The DICOM listener.")
    database: DatabaseSettings = Field(default=DatabaseSettings(), description="Where jobs are recorded.")
    triton: TritonSettings = Field(default=TritonSettings(), description="The inference server.")
    assemble: AssembleSettings = Field(default=AssembleSettings(), description="When a series is complete.")
    checks: ChecksSettings = Field(
        default=ChecksSettings(), description="What images may say of themselves and still be contoured."
    )
    work: WorkSettings = Field(default=WorkSettings(), description="How jobs are processed.")
    send: SendSettings = Field(default=SendSettings(), description="Outgoing associations.")
    retention: RetentionSettings = Field(default=RetentionSettings(), description="How long things are kept.")
    monitor: MonitorSettings = Field(
        default=MonitorSettings(), description="Metrics, health and notifications."
    )
    web: WebSettings = Field(default=WebSettings(), description="The web page.")
    audit: AuditSettings = Field(default=AuditSettings(), description="The audit trail.")
    peers: dict[Name, AnyPeer] = Field(
        default={},
        description="DICOM applications (ae_title, host, port) and DICOMweb servers (url), by name.",
    )
    rules: tuple[Rule, ...] = Field(default=(), description="The first rule that matches a series decides.")
    advanced: AdvancedSettings = Field(
        default=AdvancedSettings(), description="Times that no clinic should need to change."
    )
    _locked_rules: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        found = problems(self.rules, self.peers, admits_peers_only=self.receive.admit is Admit.PEERS)
        if found:
            raise ValueError("\n".join(found))
        return self

    @property
    def locked_rules(self) -> str:
        """Say why no version of the rules can replace these; empty if one can."""
        return self._locked_rules

    def with_rules(self, rules: Sequence[Rule]) -> "Settings":
        """Return the settings with other rules, which are not checked against the rest."""
        return self.model_copy(update={"rules": tuple(rules)})

    @property
    def database_url(self) -> str:
        """The database's URL with its password."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.node.storage_dir.absolute() / 'contour-node.sqlite'}"

    @property
    def listening(self) -> dict[str, tuple[str, int]]:
        """Where the node listens: host and TCP port, by setting."""
        found = {setting: (self.receive.host, port) for setting, port in self.receive.ports.items()}
        found["monitor.port"] = (self.monitor.host, self.monitor.port)
        return found | ({"web.port": (self.web.host, self.web.port)} if self.web.enabled else {})

    @property
    def sqlite_file(self) -> Path | None:
        """The database's file; None if the database is a server."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme == "sqlite" else None

    @property
    def triton_directory(self) -> Path:
        """The folder of the embedded Triton server: its socket, log and backends."""
        return self.node.storage_dir / "triton"

    @property
    def triton_url(self) -> str:
        """The address of the model server, embedded or not."""
        return self.triton.url or embedded_url(self.triton_directory)

    @property
    def called_aets(self) -> frozenset[str]:
        """The AE titles this node answers to.

        Its own, those that its rules name, and, if it asks for storage commitment, the one it calls peers with.
        """
        named = {rule.called_aet for rule in self.rules if rule.called_aet is not None}
        asks = any(peer.confirm is Confirm.COMMITMENT for peer in self.dicom_peers.values())
        return frozenset({self.receive.ae_title, *named, *([self.send.ae_title] if asks else [])})

    @property
    def deciding_rules(self) -> tuple[Rule, ...]:
        """The rules in their order, without shadow rules, which decide nothing."""
        return tuple(rule for rule in self.rules if rule.purpose is not JobPurpose.SHADOW)

    def rule_for(self, facts: SeriesFacts) -> Rule | None:
        """Return the first rule that matches the series; a shadow rule decides nothing."""
        return next((rule for rule in self.deciding_rules if rule.matches(facts)), None)

    def rule_named(self, name: str) -> Rule | None:
        """Return the rule with this name; None if there is none or it is a shadow rule."""
        return next((rule for rule in self.deciding_rules if rule.name == name), None)

    def shadow_rules_for(self, facts: SeriesFacts) -> tuple[Rule, ...]:
        """Return every shadow rule that matches the series."""
        shadows = (rule for rule in self.rules if rule.purpose is JobPurpose.SHADOW)
        return tuple(rule for rule in shadows if rule.matches(facts))

    def destinations_for(self, rule: Rule, calling_aet: str) -> tuple[str, ...]:
        """Return the names of the peers that get the structure set; empty if that is only a sender not in `peers`."""
        names = list(rule.destinations)
        if rule.return_to_sender:
            names += [name for name, peer in self.dicom_peers.items() if peer.ae_title == calling_aet]
        return tuple(dict.fromkeys(names))

    def fallbacks_for(self, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the fallbacks of these destinations and of each other, each with the destinations it is for.

        Destinations in ``names`` are left out.
        """
        found: dict[str, list[str]] = {}
        open_names = list(names)
        for name in open_names:
            destination = self.destination(name)
            fallback = None if destination is None else destination.fallback
            if fallback is None or fallback in names:
                continue
            if fallback not in found:
                open_names.append(fallback)
            found.setdefault(fallback, []).append(name)
        return {name: tuple(dict.fromkeys(instead_of)) for name, instead_of in found.items()}

    def destination(self, name: str) -> Destination | None:
        """Return the peer with this name if objects can be sent to it, by DIMSE or STOW-RS."""
        peer = self.peers.get(name)
        return peer if isinstance(peer, Destination) else None

    @property
    def dicom_peers(self) -> Mapping[str, Peer]:
        """The DICOM applications with an address, by name."""
        return {name: peer for name, peer in self.peers.items() if isinstance(peer, Peer)}

    @property
    def known_networks(self) -> tuple[str, ...]:
        """The networks that peers send from, and the addresses at which they are called, if these are IP addresses."""
        networks = [
            network for peer in self.peers.values() if isinstance(peer, Sender) for network in peer.networks
        ]
        hosts = [peer.host for peer in self.dicom_peers.values() if is_address(peer.host)]
        return tuple(dict.fromkeys([*networks, *hosts]))

    @property
    def senders(self) -> tuple[Sender, ...]:
        """The only applications that may open an association; empty: anyone may."""
        if self.receive.admit is Admit.ANYONE:
            return ()
        return tuple(peer for peer in self.peers.values() if isinstance(peer, Sender) and peer.may_send)

    @property
    def destination_names(self) -> tuple[str, ...]:
        """The names of the peers that rules send to, with their fallbacks."""
        returned = {title for rule in self.rules if rule.return_to_sender for title in rule.calling_aets}
        is_open = any(rule.return_to_sender and not rule.calling_aets for rule in self.rules)
        names = [name for rule in self.rules for name in rule.destinations]
        names += [name for name, peer in self.dicom_peers.items() if is_open or peer.ae_title in returned]
        return tuple(dict.fromkeys([*names, *self.fallbacks_for(names)]))
