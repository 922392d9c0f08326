"""Series fetched from a real Orthanc, by C-MOVE and by C-GET, into a real receiver."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.ct.series import SourceFile
from inference.ports import free_port as free_tcp_port
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from service.audit import audit_message
from service.cli import main
from service.components import opened_store
from service.config import Peer, load_settings
from service.dimse import file_meta
from service.receive import object_families
from service.scu.client import Scu
from service.scu.find import FoundSeries, count_images, find_series, find_studies
from service.scu.outcome import PermanentRefusal, Sent, TransientFailure
from service.scu.retrieve import MOST_CONTEXTS, AcceptedObjects
from service.store import AuditKind, AuditLog, AuditOutcome, EventKind, JobState
from service.wiring import assemble, receive
from tests.support import orthanc as orthanc_support
from tests.support.archive import Site, running_site
from tests.support.certificates import Authority, needs_openssl
from tests.support.node import until
from tests.support.small_node import small_volume

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        orthanc_support.PROGRAM is None, reason="Orthanc is not installed: apt-get install orthanc"
    ),
]

SLICES = len(small_volume().array_zyx)
ANNA, BERTA = (
    Identity(patient_id="ANNA-4711", study="a"),
    Identity(patient_id="BERTA-4711", study="b"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        folder = tmp_path_factory.mktemp("files")
        for name, identity in (("anna", ANNA), ("berta", BERTA)):
            site.put(ct_files(small_volume(), CtExport(identity=identity)), folder / name)
        yield site


@pytest.fixture
def pull(site: Site, capsys: pytest.CaptureFixture[str]):
    """Runs the verb; gives exit code, JSON and standard error."""

    def run(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
        code = main(["pull", "--settings", str(site.settings_file), "--peer", "pacs", "--json", *arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else [], err

    return run


def test_a_dry_run_shows_what_would_come_and_fetches_nothing(site, pull) -> None:
    code, rows, _ = pull("--patient-id", "ANNA-4711", "--dry-run")
    assert code == 0
    assert [(row["modality"], row["description"], row["images"], row["result"]) for row in rows] == [
        ("CT", "Phantom CT", SLICES, "")
    ]
    assert site.book.list_jobs(series_uid=str(rows[0]["series_uid"])) == []


@pytest.mark.parametrize(("who", "how"), [("ANNA-4711", []), ("BERTA-4711", ["--get"])])
def test_what_is_fetched_is_kept_and_opens_a_job_of_the_archive(site, pull, who, how) -> None:
    code, rows, _ = pull("--patient-id", who, "--series-description", "phantom", *how)
    assert code == 0, rows
    assert rows[0]["result"] == f"{SLICES} fetched"
    (job,) = site.book.list_jobs(series_uid=str(rows[0]["series_uid"]))
    assert (job.state, job.slice_count, job.calling_aet, job.called_aet) == (
        JobState.RECEIVING,
        SLICES,
        "ORTHANC",
        "CONTOURNODE",
    )
    again, rows, _ = pull("--patient-id", who, *how)
    assert (again, rows[0]["result"]) == (0, f"{SLICES} fetched")
    assert site.book.job(job.id).slice_count == SLICES


@needs_openssl
def test_c_get_needs_no_door_of_the_node(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node with TLS alone, whose one sender is another: the images come, and as from the archive."""
    authority = Authority(tmp_path / "ca")
    own, tls_port = authority.issue("node"), free_tcp_port()
    receive_keys = f'[receive]\ntls_port = {tls_port}\nadmit = "peers"\n'
    more = f"""
[receive.tls]
certificate = "{own.certificate}"
key = "{own.key}"
ca = "{authority.ca}"
[peers.scanner]
ae_title = "SCANNER"
may_send = true
networks = ["192.0.2.0/24"]
"""
    settings = elsewhere(site, tmp_path, more, receive_keys)
    stop = threading.Event()
    receiver = threading.Thread(target=receive(), args=(load_settings(settings, {}), stop))
    receiver.start()
    try:
        until(lambda: is_open(tls_port), why="the node listens")
        code, rows = get(settings, "ANNA-4711", capsys)
    finally:
        stop.set()
        receiver.join()
    assert (code, rows[0]["result"]) == (0, f"{SLICES} fetched"), rows
    with opened_store(load_settings(settings, {}), may_create=True) as store:
        (job,) = store.book.list_jobs()
        assert (job.slice_count, job.calling_aet, job.called_aet) == (SLICES, "ORTHANC", "CONTOURNODE")
        for one in store.book.instances_of(job.id):
            assert store.files.verify(one.file)
            head = file_meta.decode(store.files.read(one.file.path)[: file_meta.HEADER_BYTES])
            assert head.origin == file_meta.TransferRoute(
                calling_aet="ORTHANC", called_aet="CONTOURNODE", peer_host="127.0.0.1"
            )
        (entry,) = [
            entry for entry in AuditLog(store.database).entries() if entry.event.kind is AuditKind.RECEIVED
        ]
        assert (entry.event.role, entry.event.actor, entry.event.address) == ("pull", "ORTHANC", "127.0.0.1")
        assert (entry.event.instance_count, entry.event.study_uid) == (SLICES, rows[0]["study_uid"])
        root = ElementTree.fromstring(audit_message(entry, load_settings(settings, {}), lambda _: ""))
        assert [one.get("UserIsRequestor") for one in root.findall("ActiveParticipant")] == ["false", "true"]


def test_what_c_get_brings_is_refused_as_what_is_sent_is(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = elsewhere(site, tmp_path, "[retention]\nrefuse_below_free_bytes = 1_000_000_000_000_000\n")
    code, rows = get(settings, "ANNA-4711", capsys)
    assert (code, rows[0]["failed"]) == (1, SLICES)
    assert f"{SLICES} not stored here: disk nearly full" in str(rows[0]["result"])
    with opened_store(load_settings(settings, {}), may_create=True) as store:
        assert store.book.list_jobs() == []
        (event,) = [entry.event for entry in AuditLog(store.database).entries()]
    assert (event.outcome, event.instance_count) == (AuditOutcome.MINOR_FAILURE, SLICES)
    assert event.detail == "answered 0xA700: disk nearly full"


def elsewhere(site: Site, folder: Path, more: str, receive_keys: str = "[receive]\n") -> Path:
    """Settings of another node beside the same archive, with a store of its own."""
    text = site.settings_file.read_text().replace(str(site.settings.node.storage_dir), str(folder / "store"))
    text = text.replace("[receive]\n", receive_keys)
    file = folder / "elsewhere.toml"
    file.write_text(text.replace(f"port = {site.settings.receive.port}", f"port = {free_tcp_port()}") + more)
    assert main(["migrate", "--settings", str(file)]) == 0
    return file


def get(
    settings: Path, patient: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, object]]]:
    asked = [
        "pull",
        "--settings",
        str(settings),
        "--peer",
        "pacs",
        "--patient-id",
        patient,
        "--get",
        "--json",
    ]
    code = main(asked)
    return code, json.loads(capsys.readouterr().out)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_several_patients_are_fetched_only_on_purpose(pull) -> None:
    code, _, err = pull("--patient-id", "*4711", "--dry-run")
    assert code == 1
    assert "2 patients in ORTHANC match" in err
    assert "4711" not in err
    code, rows, _ = pull("--patient-id", "*4711", "--dry-run", "--all")
    assert (code, len(rows)) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--accession", "no such"], "has 0 matching studies"),
        (["--patient-id", "ANNA-4711", "--modality", "MR"], "has 1 matching studies, but no matching series"),
        (["--patient-id", "ANNA-4711", "--series-description", "spine"], "no matching series"),
    ],
)
def test_nothing_that_matches_is_a_failure(pull, arguments, words) -> None:
    code, _, err = pull(*arguments)
    assert code == 1
    assert words in err


def test_an_archive_that_does_not_know_the_destination_says_so(pull) -> None:
    code, rows, _ = pull("--patient-id", "ANNA-4711", "--move-to", "NOBODY")
    assert code == 1
    assert "ORTHANC answered 0x" in str(rows[0]["result"])


def test_images_that_arrive_nowhere_are_a_failure(pull) -> None:
    code, rows, _ = pull("--patient-id", "ANNA-4711", "--move-to", "STRAY")
    assert code == 1
    assert "fetched" in str(rows[0]["result"])


def test_the_patient_stands_in_no_log(pull, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pynetdicom").setLevel(logging.DEBUG)
    try:
        code, rows, err = pull("--patient-id", "ANNA-4711")
    finally:
        logging.getLogger("pynetdicom").setLevel(logging.NOTSET)
    assert code == 0
    assert caplog.records  # the log works
    for text in (caplog.text, err, json.dumps(rows)):
        assert "ANNA" not in text
        assert "PHANTOM^" not in text


@pytest.mark.parametrize(
    "arguments", [[], ["--patient-id", "*"], ["--study", ""], ["--accession", "1", "--study", "2"]]
)
def test_a_wrong_call_is_one(site, arguments) -> None:
    with pytest.raises(SystemExit) as left:
        main(["pull", "--settings", str(site.settings_file), "--peer", "pacs", *arguments])
    assert left.value.code == 2


def test_an_archive_tells_how_many_images_a_series_has(site: Site) -> None:
    scu = Scu(calling_aet="CONTOURNODE", timeout_s=30)
    studies = find_studies(scu, site.peer, {"PatientID": "ANNA-4711"})
    assert isinstance(studies, list)
    series = find_series(scu, site.peer, study_uid=studies[0].study_uid)
    assert isinstance(series, list)
    one = series[0]
    assert one == FoundSeries(
        study_uid=studies[0].study_uid,
        series_uid=one.series_uid,
        modality="CT",
        description="Phantom CT",
        images=SLICES,
    )
    assert count_images(scu, site.peer, study_uid=one.study_uid, series_uid=one.series_uid) == SLICES
    unknown = count_images(scu, site.peer, study_uid=one.study_uid, series_uid="1.2.3")
    assert unknown == PermanentRefusal(reason="ORTHANC does not know the series")


def test_an_archive_that_does_not_let_this_node_ask_is_a_reason(site: Site) -> None:
    found = count_images(
        Scu(calling_aet="STRANGER", timeout_s=30), site.peer, study_uid="1.2", series_uid="1.3"
    )
    assert found == TransientFailure(
        reason="ORTHANC ended the association or was silent: does it know this node?"
    )


def test_the_assembler_asks_the_archive_that_sent_a_series(site: Site, pull, tmp_path: Path) -> None:
    """One image less than the archive has: it looks whole and is not."""
    carla = Identity(patient_id="CARLA", study="c")
    files = ct_files(small_volume(), CtExport(identity=carla))
    site.put(files, tmp_path / "carla")
    own = Peer(ae_title="CONTOURNODE", host="127.0.0.1", port=site.settings.receive.port)
    for source in files[:-1]:
        path = tmp_path / "one.dcm"
        path.write_bytes(source.data)
        assert Scu(calling_aet="ORTHANC", timeout_s=30).store(path, own) == Sent()
    quick = site.settings.model_copy(
        update={
            "assemble": site.settings.assemble.model_copy(update={"quiet_s": 0.0}),
            "advanced": site.settings.advanced.model_copy(update={"poll_s": 0.01}),
        }
    )
    stop = threading.Event()
    assembler = threading.Thread(target=assemble(), args=(quick, stop))
    assembler.start()
    try:
        mine = until(lambda: [job for job in site.book.list_jobs() if job.completeness == "incomplete"])
        assert isinstance(mine, list)
        (job,) = mine
        assert (job.expected_images, job.slice_count) == (SLICES, SLICES - 1)
        said = f"incomplete: has {SLICES - 1} of the {SLICES} images that ORTHANC says the series has."
        assert job.reason == said
        assert pull("--patient-id", "CARLA")[0] == 0
        until(lambda: site.book.job(job.id).state is JobState.QUEUED)
        (closed,) = (event for event in site.book.events(job.id) if event.kind is EventKind.CLOSED)
        assert closed.message.endswith(f"ORTHANC says the series has {SLICES} images")
    finally:
        stop.set()
        assembler.join()


def test_nobody_there_is_a_reason(free_port: int, site: Site, tmp_path: Path) -> None:
    gone = site.peer.model_copy(update={"port": free_port})
    found = count_images(Scu(calling_aet="NODE", timeout_s=2), gone, study_uid="1.2", series_uid="1.3")
    assert isinstance(found, TransientFailure)
    assert "no connection to ORTHANC" in found.reason


def test_c_get_brings_what_is_kept_beside_ct(site: Site, pull, tmp_path: Path) -> None:
    """A dose page as a Secondary Capture, whose SOP class stands in no list but that of the families."""
    page = dcmread(
        BytesIO(ct_files(small_volume(), CtExport(identity=Identity(patient_id="PAGE-1")))[0].data)
    )
    page.SOPClassUID = page.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    page.Modality, page.ConversionType = "OT", "WSD"
    stored = BytesIO()
    page.save_as(stored)
    site.put([SourceFile(name="page", data=stored.getvalue())], tmp_path / "page")
    code, (row,), _ = pull("--patient-id", "PAGE-1", "--modality", "OT", "--get")
    assert (code, row["images"]) == (0, 1)
    uid = (page.StudyInstanceUID, page.SeriesInstanceUID)
    (kept,) = site.book.instances_of_series(uid[1], study_uid=uid[0])
    assert kept.sop_instance_uid == page.SOPInstanceUID


def test_c_get_asks_for_no_more_than_an_association_holds() -> None:
    every = [uid for _, uid in object_families.named()]
    taken = AcceptedObjects(sop_classes=[*every, *every], compressed=["1.2.840.10008.1.2.5"])
    contexts = list(taken.contexts())
    assert len(contexts) == MOST_CONTEXTS - 1  # one more asks for the series
    assert len(set(taken.classes)) == len(taken.classes)
    assert [str(context.abstract_syntax) for context in contexts[:-1]] == every[: MOST_CONTEXTS - 2]
