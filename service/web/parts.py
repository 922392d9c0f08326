"""What all requests of the web page share: settings, store, caches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.application import FaultyRules, RuleOffice
from service.config import Settings
from service.config.rules_text import RuleDraft
from service.rules import RuleBook
from service.store import Accounts, Database, JobLists, JobRepository, Sessions
from service.store.objects import StoredContent
from service.web.images import JobImages, Shelf
from service.web.rules.checking import checked
from service.web.throttles import AddressWaits, BegunSignIns, Recent

if TYPE_CHECKING:
    from inference.contract import ModelContract
    from service.monitor.node_status import NodeStatus
    from service.web.dicomweb.store import ObjectIntake
    from service.web.live import LiveJobs

STATUS_KEPT_S = 5.0
"""How long the node's status is kept and shown to everybody who asks."""


@dataclass(frozen=True, kw_only=True)
class WebParts:
    """Built once per process; every request reads it."""

    settings: Settings
    database: Database
    content: StoredContent
    models: "Mapping[str, ModelContract]"
    live: "LiveJobs"
    look_at_node: "Callable[[], NodeStatus]"
    object_intake: "ObjectIntake | None" = None
    status_shelf: Shelf = field(default_factory=lambda: Shelf(1, STATUS_KEPT_S))
    address_waits: AddressWaits = field(default_factory=AddressWaits)
    begun_sign_ins: BegunSignIns = field(default_factory=BegunSignIns)
    recent_looks: Recent = field(default_factory=Recent)
    header_shelf: Shelf = field(default_factory=lambda: Shelf(10_000, 3600.0))
    accounts: Accounts = field(init=False)
    sessions: Sessions = field(init=False)
    lists: JobLists = field(init=False)
    images: JobImages = field(init=False)
    rules: RuleBook = field(init=False)
    office: RuleOffice = field(init=False)

    def __post_init__(self) -> None:
        """Open the parts of the store that pages read."""
        object.__setattr__(self, "accounts", Accounts(self.database))
        object.__setattr__(self, "sessions", Sessions(self.database))
        object.__setattr__(self, "lists", JobLists(self.database))
        object.__setattr__(self, "rules", RuleBook(self.settings, self.database, lambda: self.models))
        office = RuleOffice(
            database=self.database,
            settings=self.settings,
            find_faults=lambda text: self.checked(text).faults,
        )
        object.__setattr__(self, "office", office)
        images = JobImages(JobRepository(self.database), self.content, self.settings.checks.rescale_types)
        object.__setattr__(self, "images", images)

    @property
    def ruled(self) -> Settings:
        """The node's settings with the active rules; `settings` has those of the file."""
        return self.rules.current().settings

    def checked(self, text: str) -> RuleDraft:
        """Check a text of rules as if it were activated now."""
        return checked(text, self.settings, self.models, self.database)

    def fit(self, text: str) -> Settings:
        """Return the settings with the rules of a text; raises FaultyRules if it cannot be activated."""
        draft = self.checked(text)
        if draft.settings is None:
            raise FaultyRules(draft.faults)
        return draft.settings
