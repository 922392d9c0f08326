"""What a person asks for in a rerun instead of what the rules say: another rule, another model.

The columns of a job are empty if nobody asked. A version that a late slice opens keeps them; the next plain rerun
does not.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person asks for in a rerun instead of what the rules say; empty: as the rules say."""

    rule: str = ""  # its template and destinations come with it
    model: str = ""
    model_version: int | None = None  # None: the model's default version

    @property
    def words(self) -> str:
        """What is asked for, for the job's history; empty if nothing is."""
        version = "" if self.model_version is None else f" version {self.model_version}"
        return ", ".join(
            filter(None, (self.rule and f"rule {self.rule}", self.model and f"model {self.model}{version}"))
        )


AS_THE_RULES_SAY = Wanted()
"""A rerun for which nothing else is asked."""


def wanted_of(row: Row[Any]) -> Wanted:
    """Return what a person asked for in a job, from its row."""
    return Wanted(rule=row.wanted_rule, model=row.wanted_model, model_version=row.wanted_model_version)
