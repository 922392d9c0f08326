"""The settings tree. Every field has a description, a range where it is a number, and its unit in its name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.config.audit import AuditSettings
from service.config.checks import ChecksSettings
from service.config.listeners import Sender, TlsServerSettings
from service.config.monitor import MonitorSettings
from service.config.node import DatabaseSettings, NodeSettings
from service.config.references import problems
from service.config.retention import RetentionSettings
from service.config.rules import Rule, SeriesFacts
from service.config.section import SettingsSection
from service.config.values import (
    AeTitle,
    Confirm,
    Delay,
    Destination,
    Host,
    ListeningPort,
    Name,
    ObjectFamily,
    Peer,
    SopClassUid,
)
from service.config.web import WebDestination

Poll = Annotated[float, Field(ge=0.01, le=60)]


class ReceiveSettings(SettingsSection):
    """The DICOM listener."""

    host: Host = Field(default="0.0.0.0", description="Address to listen on; 0.0.0.0: every interface.")
    port: ListeningPort = Field(default=11112, description="TCP port to listen on; 0: any free one.")
    ae_title: AeTitle = Field(default="CONTOURNODE", description="AE title of the node.")
    senders: tuple[Sender, ...] = Field(
        default=(), description="Who may open an association; empty: anybody."
    )
    tls: TlsServerSettings | None = Field(default=None, description="TLS on the listener; absent: none.")
    max_associations: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="Associations open at the same time."
    )
    max_associations_per_address: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=32, description="Associations open at the same time from one address."
    )
    max_connections_per_minute: Annotated[int, Field(ge=1, le=1000000)] = Field(
        default=3000,
        description="Connections that one address may open in a minute; more are refused for now.",
    )
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16777216)] = Field(
        default=262144, description="Largest P-DATA PDU that senders may send."
    )
    max_object_bytes: Annotated[int, Field(ge=1048576, le=17179869184)] = Field(
        default=4294967296, description="Largest object that is kept."
    )
    beside_ct: tuple[ObjectFamily, ...] = Field(
        default=tuple(ObjectFamily),
        description="Families of objects that are kept beside CT and RT objects; [] for none. See docs/conformance.md.",
    )
    additional_sop_classes: tuple[SopClassUid, ...] = Field(
        default=(), description="Further SOP classes that are kept, by UID: private ones, say."
    )
    network_timeout_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60, description="An association with no traffic for this long is aborted."
    )


class TritonSettings(SettingsSection):
    """The inference server."""

    url: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$")] = Field(
        default="127.0.0.1:8001", description="host:port of Triton's gRPC endpoint."
    )
    embedded: bool = Field(default=True, description="Start a Triton server as a child process of `serve`.")
    environment: Path = Field(
        default=Path(".venv-triton"), description="Python environment of the embedded server (numpy < 2)."
    )
    model_repository: Path = Field(default=Path("model_repository"), description="Triton's folder of models.")
    shared_memory: bool = Field(
        default=True,
        description="Hand volumes over by system shared memory; needs node and Triton on one host.",
    )
    timeout_s: Annotated[float, Field(ge=1, le=7200)] = Field(
        default=900, description="Longest inference of one case."
    )
    start_timeout_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=180, description="How long the embedded server may take to start, and a model to load."
    )
    models_at_once: Annotated[int, Field(ge=0, le=100)] = Field(
        default=2,
        description="Model versions that stay loaded; for another, the least used is unloaded. 0: no limit.",
    )


class AssembleSettings(SettingsSection):
    """When a series is complete."""

    quiet_s: Annotated[float, Field(ge=0, le=86400)] = Field(
        default=10, description="Seconds without a new slice after which a series is taken as sent."
    )
    incomplete_timeout_s: Annotated[float, Field(ge=0, le=604800)] = Field(
        default=900, description="How long a series with missing slices waits for them before it is refused."
    )
    count_timeout_s: Annotated[float, Field(ge=1, le=60)] = Field(
        default=5, description="How long a sender may take to connect or to answer a question for the count."
    )
    count_every_s: Annotated[float, Field(ge=1, le=86400)] = Field(
        default=60, description="Shortest time between two questions to a sender about one series."
    )
    poll_s: Poll = Field(default=1, description="Time between two looks at the open series.")


class WorkSettings(SettingsSection):
    """How jobs are worked off."""

    poll_s: Poll = Field(default=1, description="Time between two looks for a queued job.")
    lease_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60, description="A worker that gave no sign of life for this long loses its job to another."
    )
    heartbeat_s: Annotated[float, Field(ge=0.1, le=1200)] = Field(
        default=15, description="Time between two signs of life; at most half of work.lease_s."
    )
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Failed attempts after which a job fails for good."
    )
    backoff_s: Delay = Field(
        default=30, description="Delay after the first failure; doubles with each further one."
    )
    backoff_max_s: Delay = Field(default=3600, description="Longest delay between two attempts.")
    unavailable_delay_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=15, description="Delay before a job that found no inference server is looked at again."
    )

    @model_validator(mode="after")
    def _heartbeat_keeps_the_lease(self) -> Self:
        if self.heartbeat_s > self.lease_s / 2:
            raise ValueError(
                f"heartbeat_s is {self.heartbeat_s:g}, allowed: at most half of lease_s ({self.lease_s:g})"
            )
        return self


class SendSettings(SettingsSection):
    """Outgoing associations."""

    ae_title: AeTitle = Field(default="CONTOURNODE", description="AE title the node calls destinations with.")
    poll_s: Poll = Field(default=1, description="Time between two looks for a delivery.")
    lease_s: Annotated[float, Field(ge=1, le=86400)] = Field(
        default=300, description="A sender that gave no result for this long loses its delivery to another."
    )
    max_attempts: Annotated[int, Field(ge=1, le=10000)] = Field(
        default=400,
        description="Failed attempts after which a delivery fails for good; 400 last for about a week.",
    )
    backoff_s: Delay = Field(
        default=15, description="Delay after the first failure; doubles with each further one."
    )
    backoff_max_s: Delay = Field(default=1800, description="Longest delay between two attempts.")
    timeout_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60, description="How long to wait for a destination to connect or to answer."
    )


class Settings(SettingsSection):
    """Everything the node can be told; valid as a whole once constructed."""

    node: NodeSettings = Field(default=NodeSettings(), description="Where the node keeps things.")
    receive: ReceiveSettings = Field(default=ReceiveSettings(), description="The DICOM listener.")
    database: DatabaseSettings = Field(default=DatabaseSettings(), description="Where jobs are recorded.")
    triton: TritonSettings = Field(default=TritonSettings(), description="The inference server.")
    assemble: AssembleSettings = Field(default=AssembleSettings(), description="When a series is complete.")
    checks: ChecksSettings = Field(
        default=ChecksSettings(), description="What images may say and be contoured all the same."
    )
    work: WorkSettings = Field(default=WorkSettings(), description="How jobs are worked off.")
    send: SendSettings = Field(default=SendSettings(), description="Outgoing associations.")
    keep: RetentionSettings = Field(default=RetentionSettings(), description="How long things are kept.")
    watch: MonitorSettings = Field(
        default=MonitorSettings(), description="Metrics, health and notifications."
    )
    audit: AuditSettings = Field(default=AuditSettings(), description="The audit trail.")
    destinations: dict[Name, Peer] = Field(default={}, description="Who can get structure sets, by name.")
    peers: dict[Name, Peer] = Field(
        default={}, description="Where senders listen, for `return_to_sender`, by name."
    )
    dicomweb: dict[Name, WebDestination] = Field(
        default={}, description="Who can get objects by STOW-RS, by name; rules name them under destinations."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="The first rule that matches a series decides.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        found = problems(self.rules, self.destinations, self.peers, self.dicomweb)
        if found:
            raise ValueError("\n".join(found))
        return self

    @property
    def database_url(self) -> str:
        """The database's URL with its password."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.node.storage_dir.absolute() / 'contour-node.sqlite'}"

    @property
    def called_aets(self) -> frozenset[str]:
        """The AE titles this node answers to: its own, those of its rules, and where it asks for commitment its caller's."""
        named = {rule.called_aet for rule in self.rules if rule.called_aet is not None}
        asks = any(
            peer.confirm is Confirm.COMMITMENT for peer in (*self.destinations.values(), *self.peers.values())
        )
        return frozenset({self.receive.ae_title, *named, *([self.send.ae_title] if asks else [])})

    def rule_for(self, facts: SeriesFacts) -> Rule | None:
        """Give the first rule that matches the series."""
        return next((rule for rule in self.rules if rule.matches(facts)), None)

    def destinations_for(self, rule: Rule, calling_aet: str) -> tuple[str, ...]:
        """Give the names of all who get the structure set; empty where the only one, the sender, is not in `peers`."""
        names = list(rule.destinations)
        if rule.return_to_sender:
            names += [name for name, peer in self.peers.items() if peer.ae_title == calling_aet]
        return tuple(dict.fromkeys(names))

    def fallbacks_for(self, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Give the destinations that stand by for these or for each other, and for whom; those of ``names`` are not among them."""
        stand_ins: dict[str, list[str]] = {}
        open_names = list(names)
        for name in open_names:
            destination = self.destination(name)
            fallback = None if destination is None else destination.fallback
            if fallback is None or fallback in names:
                continue
            if fallback not in stand_ins:
                open_names.append(fallback)
            stand_ins.setdefault(fallback, []).append(name)
        return {name: tuple(dict.fromkeys(instead_of)) for name, instead_of in stand_ins.items()}

    def destination(self, name: str) -> Destination | None:
        """Give who gets objects under this name, of whatever kind."""
        return self.peer(name) or self.dicomweb.get(name)

    def peer(self, name: str) -> Peer | None:
        """Give the destination or known sender of this name."""
        return self.destinations.get(name) or self.peers.get(name)
