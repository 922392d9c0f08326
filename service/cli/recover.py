"""The verb `recover`: a person's decision when database and storage folder do not match."""

import argparse
from collections.abc import Sequence

from service.application import RecoveryQuestion, decide_recovery, recovery_question
from service.cli.audit import administrator
from service.cli.output import print_table, say, say_json
from service.components import node_identity, opened_store
from service.store import UnfinishedJob

COLUMNS = ("job", "state", "series", "sender", "images")


def recover(arguments: argparse.Namespace) -> int:
    """Show what is uncertain, or decide; return 1 while a decision is still needed."""
    with opened_store(arguments.settings_tree) as store:
        identity = node_identity(arguments.settings_tree, store)
        identity.settle()
        if arguments.hold or arguments.deliver:
            decided = decide_recovery(
                store.database, store.files, identity, administrator(), delivers=arguments.deliver
            )
            return _say_decided(arguments, decided)
        question = recovery_question(store.database, store.files, administrator())
    return _say_question(arguments, question)


def _say_question(arguments: argparse.Namespace, question: RecoveryQuestion | None) -> int:
    if arguments.json:
        say_json(None if question is None else _plain(question))
    elif question is None:
        say("the node is not held: database and storage folder belong together")
    else:
        hold = question.hold
        say(f"held since {hold.since:%Y-%m-%d %H:%M:%S} UTC: {hold.reason}")
        if hold.is_recorded:
            _say_jobs("may have been contoured and delivered before", question.uncertain)
            _say_jobs("arrived since and will be contoured in any case", question.new)
            say(
                "--hold: cancel the former (`retry` restarts each); --deliver: contour and deliver all, again if need be"
            )
        else:
            say(
                "files are not recorded yet: start the node, which only receives while held, and run this again"
            )
    return 0 if question is None else 1


def _say_decided(arguments: argparse.Namespace, decided: RecoveryQuestion) -> int:
    if arguments.json:
        say_json(_plain(decided))
    elif arguments.deliver:
        say(f"released: {len(decided.uncertain) + len(decided.new)} jobs continue")
    else:
        say(f"released: {len(decided.uncertain)} jobs are cancelled, {len(decided.new)} continue")
        _say_jobs("cancelled", decided.uncertain)
    return 0


def _say_jobs(what: str, jobs: Sequence[UnfinishedJob]) -> None:
    say(f"{len(jobs)} jobs: {what}")
    if jobs:
        print_table(COLUMNS, [list(_job(one).values()) for one in jobs])


def _job(one: UnfinishedJob) -> dict[str, object]:
    return {
        "job": one.id,
        "state": one.state.value,
        "series": one.series_uid,
        "sender": one.calling_aet,
        "images": one.slice_count,
    }


def _plain(question: RecoveryQuestion) -> dict[str, object]:
    hold = question.hold
    return {
        "since": hold.since.isoformat(timespec="seconds"),
        "reason": hold.reason,
        "is_recorded": hold.is_recorded,
        "uncertain": [_job(one) for one in question.uncertain],
        "new": [_job(one) for one in question.new],
    }
