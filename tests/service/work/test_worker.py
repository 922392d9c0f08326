import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract, ModelLibrary
from inference.errors import AnswerLost, CaseTooLarge, ModelFailed, ModelUnavailable
from inference.host_memory import Memory
from phantoms.dicom import CtExport
from service.config import Settings
from service.store import EventKind, JobState
from service.template import Template, default_template, load_template
from service.work import Worker
from service.work.case import PipelineRequest
from service.work.pipeline import Stage, run_pipeline
from service.work.series_reading import load_sources
from tests.support.models import OneModel
from tests.support.small_node import MODELS, RULE, SmallNode, model, only, settings

TEMPLATE = default_template()
FOUND = slice(3, 6), slice(4, 10), slice(5, 12)


def brainstem_and_larynx(contract: ModelContract, volume: Volume) -> Prediction:
    planes = np.zeros((contract.planes, *volume.grid.shape_zyx), np.uint8)
    for code in ("Brainstem", "Larynx"):
        planes[(0, *FOUND)] |= 1 << contract.labels.index(code)
    return Prediction(planes=planes, mean_probability=np.full(len(contract.labels), 0.875, np.float32))


def nothing(contract: ModelContract, volume: Volume) -> Prediction:
    planes = np.zeros((contract.planes, *volume.grid.shape_zyx), np.uint8)
    return Prediction(planes=planes, mean_probability=np.zeros(len(contract.labels), np.float32))


def unavailable(contract: ModelContract, volume: Volume) -> Prediction:
    raise ModelUnavailable("the Triton server at nowhere:1 does not answer")


def nonsense(contract: ModelContract, volume: Volume) -> Prediction:
    raise ModelFailed("the model answered with masks of another grid")


def bug(contract: ModelContract, volume: Volume) -> Prediction:
    raise ZeroDivisionError("somebody's patient name")


@dataclass
class Server:
    """A model server in this process with a given answer."""

    answer: Callable[[ModelContract, Volume], Prediction]
    checks: int = 0
    check_fails: bool = False
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def check(self) -> None:
        self.checks += 1
        if self.check_fails:
            raise ModelFailed("a known tensor came back changed; install numpy<2")

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        self.seen.append(volume.grid.shape_zyx)
        return self.answer(contract, volume)


def worker(
    node: SmallNode, server: Server, tree: Settings | None = None, template: Template | None = None
) -> Worker:
    tree = tree or settings()
    return Worker(
        name="w1",
        queue=node.queue,
        content=node.content,
        server=server,
        models=OneModel(model()),
        rules=only(tree, {"head-neck": template or TEMPLATE}),
        settings=tree,
    )


@pytest.fixture
def queued(small_node: SmallNode) -> SmallNode:
    """A node with one complete series in the queue."""
    queue_series(small_node)
    return small_node


def queue_series(node: SmallNode, how: CtExport | None = None) -> None:
    node.receive(how)
    node.clock.tick(20)
    node.assembler().poll_once()
    assert node.job().state is JobState.QUEUED


def test_a_job_becomes_a_structure_set_on_its_way_to_the_rules_destination(queued: SmallNode) -> None:
    assert worker(queued, Server(brainstem_and_larynx)).work_one()

    job = queued.job()
    assert (job.state, job.destinations) == (JobState.DELIVERING, "tps: 1 pending")
    delivery = queued.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    structure_set = dcmread(BytesIO(queued.objects.get(delivery.result.path)))
    assert [roi.ROIName for roi in structure_set.StructureSetROISequence] == ["Brainstem", "Larynx"]
    assert structure_set.ApprovalStatus == "UNAPPROVED"
    assert f"hn_oar version {model().version}" in structure_set.StructureSetDescription
    assert "0.88" in structure_set.StructureSetROISequence[0].ROIDescription


def test_structures_that_the_model_did_not_find_are_named_in_the_history(queued: SmallNode) -> None:
    worker(queued, Server(brainstem_and_larynx)).work_one()
    assert final_note(queued).startswith("for tps; ")
    assert "SpinalCord" in final_note(queued)


def test_the_history_shows_the_pipelines_steps_in_order(queued: SmallNode) -> None:
    tree = settings(rules=[{**RULE, "companions": ["report"]}])
    worker(queued, Server(brainstem_and_larynx), tree).work_one()
    stages = [e.message for e in queued.book.events(queued.job().id) if e.kind is EventKind.STAGE]
    assert stages == ["self-test", "read", "predict", "derive", "export", "write", "validate", "write"]
    assert set(stages) == set(Stage)


def test_the_history_names_the_model_by_its_packages_checksum(queued: SmallNode) -> None:
    worker(queued, Server(brainstem_and_larynx)).work_one()
    version = model().version
    weights = MODELS / "hn_oar" / str(version) / "weights.safetensors"
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert f"model hn_oar version {version}, package sha256 {sha256}" in final_note(queued)


def test_a_second_attempt_makes_the_same_bytes(queued: SmallNode) -> None:
    def attempt() -> bytes:
        claim = queued.queue.claim("w1", lease_s=1, max_attempts=9)
        assert claim is not None
        sources = load_sources(queued.files, queued.queue.instances_of(claim.id))
        tree = settings()
        request = PipelineRequest(rule=tree.rules[0], contract=model(), template=TEMPLATE, settings=tree)
        server = Server(brainstem_and_larynx)
        return next(run_pipeline(claim, sources, request, server, lambda _stage: None)).data

    first = attempt()
    queued.clock.tick(5)  # the first worker vanished
    assert attempt() == first


def test_a_server_that_is_not_there_costs_no_attempt(queued: SmallNode) -> None:
    worker(queued, Server(unavailable)).work_one()
    job = queued.job()
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert "does not answer" in job.reason
    assert worker(queued, Server(brainstem_and_larynx)).work_one() is False

    queued.clock.tick(15)
    assert worker(queued, Server(brainstem_and_larynx)).work_one()
    assert queued.job().state is JobState.DELIVERING


def test_nonsense_is_tried_again_and_then_fails_with_its_reason(queued: SmallNode) -> None:
    worker(queued, Server(nonsense)).work_one()
    assert queued.job().state is JobState.RETRYING

    queued.clock.tick(30)
    worker(queued, Server(nonsense)).work_one()

    job = queued.job()
    assert (job.state, job.attempts) == (JobState.FAILED, 2)
    assert "another grid" in job.reason


def test_a_bug_fails_one_job_stays_in_the_log_and_tells_the_database_no_patient(
    queued: SmallNode, caplog: pytest.LogCaptureFixture
) -> None:
    worker(queued, Server(bug)).work_one()
    job = queued.job()
    assert job.state is JobState.RETRYING
    assert job.reason == "ZeroDivisionError in this program; the worker's log has the details"
    assert "ZeroDivisionError" in caplog.text


def test_a_model_that_finds_nothing_refuses_the_series_instead_of_sending_an_empty_set(
    queued: SmallNode,
) -> None:
    worker(queued, Server(nothing)).work_one()
    job = queued.job()
    assert job.state is JobState.REFUSED
    assert "found none of its structures" in job.reason


def test_a_corrupting_server_gets_no_patient(queued: SmallNode) -> None:
    server = Server(brainstem_and_larynx, check_fails=True)
    worker(queued, server).work_one()
    assert server.seen == []
    assert "numpy<2" in queued.job().reason


def test_the_known_tensor_goes_before_the_first_job_and_again_after_trouble(small_node: SmallNode) -> None:
    server = Server(brainstem_and_larynx)
    one = worker(small_node, server)
    queue_series(small_node)
    one.work_one()
    queue_series(small_node, CtExport(signed=False))
    one.work_one()
    assert server.checks == 1

    server.answer = unavailable
    queue_series(small_node, CtExport(padded_corners=True))
    one.work_one()
    server.answer = brainstem_and_larynx
    small_node.clock.tick(15)
    one.work_one()
    assert server.checks == 2


def lost(contract: ModelContract, volume: Volume) -> Prediction:
    raise AnswerLost("Socket closed")


def test_a_job_that_takes_the_server_with_it_fails_for_good_after_so_many_losses(queued: SmallNode) -> None:
    one = worker(queued, Server(lost))
    reasons = []
    while queued.job().state is not JobState.FAILED:
        assert one.work_one(), "the job is due"
        reasons.append(queued.job().reason)
        queued.clock.tick(3600)
    assert len(reasons) == settings().work.max_attempts
    assert "the model server was lost while it had this case: Socket closed" in reasons[-1]


def test_a_loss_that_comes_with_the_order_to_stop_is_not_the_jobs(queued: SmallNode) -> None:
    stop = threading.Event()

    def stopped_meanwhile(contract: ModelContract, volume: Volume) -> Prediction:
        stop.set()
        return lost(contract, volume)

    worker(queued, Server(stopped_meanwhile)).run(stop)
    assert (queued.job().state, queued.job().attempts) == (JobState.QUEUED, 0)


def test_a_case_that_never_fits_is_refused_with_figures(queued: SmallNode) -> None:
    def too_large(contract: ModelContract, volume: Volume) -> Prediction:
        raise CaseTooLarge("needs about 20.0 GB of memory, and this host has 8.0 GB in all")

    worker(queued, Server(too_large)).work_one()
    assert queued.job().state is JobState.REFUSED
    assert "20.0 GB" in queued.job().reason


def test_a_series_that_cannot_be_read_into_what_is_free_waits(queued: SmallNode) -> None:
    one = worker(queued, Server(brainstem_and_larynx))
    one.memory = lambda: Memory(total_bytes=1 << 40, available_bytes=1000, whose="this host")
    one.work_one()
    assert (queued.job().state, queued.job().attempts) == (JobState.QUEUED, 0)
    assert "are free now" in queued.job().reason


def test_a_job_cancelled_in_the_middle_is_dropped(queued: SmallNode) -> None:
    job_id = queued.job().id

    def cancelled_meanwhile(contract: ModelContract, volume: Volume) -> Prediction:
        queued.changes.cancel(job_id)
        return brainstem_and_larynx(contract, volume)

    assert worker(queued, Server(cancelled_meanwhile)).work_one()
    assert queued.job().state is JobState.CANCELLED
    assert queued.book.result(job_id) is None


def test_a_model_that_this_worker_lacks_is_waited_for(queued: SmallNode, tmp_path: Path) -> None:
    one = worker(queued, Server(brainstem_and_larynx))
    one.models = ModelLibrary(tmp_path)
    one.work_one()
    assert f"hn_oar version {model().version} is not in this worker's model repository" in queued.job().reason


def test_each_kind_of_destination_gets_its_own_structure_set_and_every_change_is_told(
    queued: SmallNode, tmp_path: Path
) -> None:
    file = tmp_path / "long.toml"
    file.write_text(
        'template = 1\nname = "long"\n[[structure]]\nname = "Brainstem_with_a_long_name"\nfrom = "Brainstem"\n'
    )
    long_names = load_template(file, model().labels)
    peer = {"host": "127.0.0.1", "port": 104}
    tree = settings(
        peers={
            "tps": {"ae_title": "TPS", **peer, "profile": "eclipse"},
            "pacs": {"ae_title": "PACS", **peer},
        },
        rules=[{**RULE, "destinations": ["tps", "pacs"]}],
    )
    worker(queued, Server(brainstem_and_larynx), tree, long_names).work_one()

    sets = {name: dcmread(BytesIO(data)) for name, (data,) in delivered(queued).items()}
    assert sets["tps"].SOPInstanceUID != sets["pacs"].SOPInstanceUID
    first_names = {name: s.StructureSetROISequence[0].ROIName for name, s in sets.items()}
    assert first_names["pacs"] == "Brainstem_with_a_long_name"
    assert len(first_names["tps"]) <= 16
    assert (
        f"profile eclipse: Brainstem_with_a_long_name: name: Brainstem_with_a_long_name -> {first_names['tps']}"
        in (final_note(queued))
    )
    row = queued.book.structures(queued.job().id)[0]  # named as in the first destination's set
    assert (row.name, row.code, row.is_sent) == (first_names["tps"], "Brainstem", True)


def test_a_destination_can_have_a_boundary_of_its_own(queued: SmallNode) -> None:
    peer = {"host": "127.0.0.1", "port": 104}
    tree = settings(
        peers={
            "one": {"ae_title": "ONE", **peer},
            "two": {"ae_title": "TWO", **peer, "boundary": "smooth"},
            "three": {"ae_title": "THREE", **peer, "boundary": "decimated", "boundary_tolerance_mm": 2},
            "four": {"ae_title": "FOUR", **peer, "boundary": "exact"},
        },
        rules=[{**RULE, "destinations": ["one", "two", "three", "four"]}],
    )
    worker(queued, Server(brainstem_and_larynx), tree).work_one()

    sets = {name: dcmread(BytesIO(data)) for name, (data,) in delivered(queued).items()}
    assert sets["one"].SOPInstanceUID == sets["four"].SOPInstanceUID
    assert len({s.SOPInstanceUID for s in sets.values()}) == 3
    assert [final_note(queued).count(f"standard {b} mm:") for b in ("smooth 0.5", "decimated 2")] == [
        2,
        2,
    ]


def test_what_a_rule_wants_beside_goes_to_its_destinations_too(queued: SmallNode) -> None:
    tree = settings(rules=[{**RULE, "companions": ["segmentation", "report", "capture"]}])
    worker(queued, Server(brainstem_and_larynx), tree).work_one()

    (objects_sent,) = delivered(queued).values()

    assert [dcmread(BytesIO(data)).Modality for data in objects_sent] == ["RTSTRUCT", "SEG", "SR", "OT"]


def final_note(node: SmallNode) -> str:
    """What the job's history says of its result."""
    events = node.book.events(node.job().id)
    return "; ".join(event.message for event in events if event.kind in (EventKind.FINISHED, EventKind.NOTE))


def delivered(node: SmallNode) -> dict[str, list[bytes]]:
    """The bytes of every delivery by destination, in the order in which they go out."""
    sent: dict[str, list[bytes]] = {}
    while (claim := node.outbox.claim_delivery("s1", lease_s=60)) is not None:
        sent.setdefault(claim.destination, []).append(node.objects.get(claim.result.path))
        assert node.outbox.sent(claim)
    return sent


def test_a_rules_template_names_and_derives_what_goes_out(queued: SmallNode, tmp_path: Path) -> None:
    file = tmp_path / "template.toml"
    file.write_text("""
template = 1
name = "clinic"
unlisted = "omit"
[[structure]]
name = "Hirnstamm"
from = "Brainstem"
number = 41
[[structure]]
name = "Hirnstamm_3mm"
from = "Hirnstamm"
type = "DOSE_REGION"
steps = [{ margin_mm = 3 }]
""")
    one = worker(queued, Server(brainstem_and_larynx), template=load_template(file, model().labels))
    one.work_one()

    ((structure_set,),) = delivered(queued).values()

    dataset = dcmread(BytesIO(structure_set))
    assert [roi.ROIName for roi in dataset.StructureSetROISequence] == ["Hirnstamm", "Hirnstamm_3mm"]
    assert [o.RTROIInterpretedType for o in dataset.RTROIObservationsSequence] == ["ORGAN", "DOSE_REGION"]
    assert [roi.ROINumber for roi in dataset.StructureSetROISequence] == [41, 1]
    for sequence in (dataset.ROIContourSequence, dataset.RTROIObservationsSequence):
        assert [item.ReferencedROINumber for item in sequence] == [41, 1]


def densities(image: Dataset) -> None:
    """Relative electron densities x 1000, with nothing that says so."""
    image.RescaleIntercept = str(float(image.RescaleIntercept) + 1000)


@pytest.mark.parametrize("then", ["refuse", "note"])
def test_values_that_are_no_hounsfield_units_are_refused_or_noted_by_rule(
    small_node: SmallNode, then: str
) -> None:
    tree = settings(rules=[{**RULE, "doubtful_values": then}])
    small_node.receive(change=densities)
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    server = Server(brainstem_and_larynx)
    worker(small_node, server, tree).work_one()
    job = small_node.job()
    told = job.reason if then == "refuse" else final_note(small_node)
    assert "these are not Hounsfield units" in told
    assert (job.state is JobState.REFUSED) == (then == "refuse")
    assert len(server.seen) == (then == "note")  # nothing is drawn before the look


def test_at_rest_is_called_between_jobs_and_not_while_one_is_due(queued: SmallNode) -> None:
    rested: list[JobState] = []
    stop = threading.Event()

    def at_rest() -> None:
        rested.append(queued.job().state)
        stop.set()

    busy = worker(queued, Server(brainstem_and_larynx))
    busy.at_rest = at_rest
    busy.run(stop)
    assert rested == [JobState.DELIVERING], "the job that was due comes first"


@pytest.mark.parametrize("destinations", [["tps"], ["pacs", "tps"], ["tps", "pacs"]])
def test_a_set_that_one_destination_cannot_hold_refuses_the_job_with_the_words_and_sends_nothing(
    queued: SmallNode, tmp_path: Path, destinations: list[str]
) -> None:
    file = tmp_path / "long.toml"
    name = "PRV123456789012345"  # the margin alone is longer than 16 characters
    file.write_text(f'template = 1\nname = "long"\n[[structure]]\nname = "{name}"\nfrom = "Brainstem"\n')
    peer = {"host": "127.0.0.1", "port": 104}
    tree = settings(
        peers={
            "tps": {"ae_title": "TPS", **peer, "profile": "eclipse"},
            "pacs": {"ae_title": "PACS", **peer},
        },
        rules=[{**RULE, "destinations": destinations}],
    )
    worker(queued, Server(brainstem_and_larynx), tree, load_template(file, model().labels)).work_one()
    job = queued.job()
    assert job.state is JobState.REFUSED
    assert "cannot be shortened to 16 characters" in job.reason
    assert queued.outbox.claim_delivery("s1", lease_s=60) is None


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_what_the_check_of_the_set_warns_of_stands_in_the_history(small_node: SmallNode) -> None:
    def long_study_id(image: Dataset) -> None:
        image.StudyID = "A" * 17

    small_node.receive(change=long_study_id)
    small_node.clock.tick(20)
    small_node.assembler().poll_once()
    worker(small_node, Server(brainstem_and_larynx)).work_one()
    assert "profile standard: StudyID (0020,0010): " in final_note(small_node)
