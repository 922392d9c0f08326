"""What a start makes of files and rows that do not belong together."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.dimse import file_meta
from service.dimse.file_meta import FileMeta, ForeignFileMeta, TransferRoute
from service.receive.recovery import RecoveryReport, recover
from service.store import Database, FileStore, InstanceRecorder, JobRepository, SeriesRepository, path_of
from tests.service.receive.samples import CT, DEFLATED, EVERY_SYNTAX, EXPLICIT, SERIES, ct_slice, encoded


class Storeroom:
    """A storage folder and a database that may disagree."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.database = Database(url)
        self.files = FileStore(root)
        self.book = JobRepository(self.database)

    def put(
        self, data: bytes, uid: str = f"{SERIES}.1", *, calling: str = "SCANNER", syntax: str = EXPLICIT
    ) -> str:
        """A received file without a row."""
        origin = TransferRoute(calling_aet=calling, called_aet="NODE", peer_host="10.0.0.7")
        meta = FileMeta(sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax_uid=syntax, origin=origin)
        return self.files.put(uid, data, header=file_meta.encode(meta)).path

    def start(self) -> RecoveryReport:
        with InstanceRecorder(self.database) as recorder:
            return recover(self.files, self.book, recorder)

    def aside(self) -> list[str]:
        return [file.name for file in (self.root / "unverified").iterdir()]


@pytest.fixture
def room(tmp_path: Path, database_url: str) -> Iterator[Storeroom]:
    storeroom = Storeroom(tmp_path / "storage", database_url)
    yield storeroom
    storeroom.database.close()


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_a_whole_file_without_a_row_is_recorded_as_it_came(room, syntax):
    path = room.put(encoded(ct_slice(), syntax), calling="SCANNER 2", syntax=syntax)
    assert room.start().recorded == (path,)
    (kept,) = room.book.instances_of_series(SERIES)
    assert (kept.sop_instance_uid, kept.transfer_syntax_uid, kept.file.path) == (f"{SERIES}.1", syntax, path)
    assert room.files.verify(kept.file)
    (job,) = SeriesRepository(room.database).open_jobs()
    assert (job.calling_aet, job.called_aet, job.slice_count) == ("SCANNER 2", "NODE", 1)
    assert room.start().recorded == ()


@pytest.mark.parametrize("keep", [0, 500, 1024, 1100, -1])
def test_a_file_that_a_power_cut_left_incomplete_is_set_aside(room, keep):
    path = room.put(encoded(ct_slice(), EXPLICIT))
    whole = (room.root / path).read_bytes()
    (room.root / path).write_bytes(whole[:keep])
    assert room.start().set_aside == (path,)
    assert room.aside() == [Path(path).name]
    assert room.book.instances_of_series(SERIES) == []


@pytest.mark.parametrize("at", [0, 130, 400, 1000, 1500, -1])
def test_a_file_with_one_changed_byte_is_set_aside(room, at):
    path = room.put(encoded(ct_slice(), EXPLICIT))
    changed = bytearray((room.root / path).read_bytes())
    changed[at] ^= 1
    (room.root / path).write_bytes(changed)
    assert room.start().set_aside == (path,)


def test_another_content_of_a_recorded_uid_is_set_aside(room):
    first = room.put(encoded(ct_slice(), EXPLICIT))
    assert room.start().recorded == (first,)
    other = room.put(encoded(ct_slice(pixels=bytes(512)), EXPLICIT))
    assert room.start().set_aside == (other,)
    assert [one.file.path for one in room.book.instances_of_series(SERIES)] == [first]


def test_a_result_that_no_job_names_yet_stays_where_it_is(room):
    path = room.files.put("2.25.1", b"a structure set that a worker made").path
    found = room.start()
    assert (found.undelivered, found.set_aside) == ((path,), ())
    assert room.files.read(path)


def test_what_another_process_keeps_while_a_start_looks_is_not_told_as_gone(room):
    """`pull` beside a starting receiver: file and row come between the look at their folder and at its rows."""
    theirs = path_of(f"{SERIES}.1", "0" * 64).rpartition("/")[0]

    class Meanwhile(JobRepository):
        def received_in(self, folder):
            if folder == theirs:
                room.put(encoded(ct_slice(), EXPLICIT))
                with InstanceRecorder(room.database) as recorder:
                    recover(room.files, JobRepository(room.database), recorder)
            return super().received_in(folder)

    room.book = Meanwhile(room.database)
    assert room.start() == RecoveryReport(unfinished=0, recorded=(), set_aside=(), undelivered=(), damaged=())
    assert len(room.book.instances_of_series(SERIES)) == 1


def test_a_file_that_its_writer_discards_while_a_start_looks_is_passed_over(room):
    path = room.put(encoded(ct_slice(), EXPLICIT))

    class Meanwhile(JobRepository):
        def received_in(self, folder):
            if path.startswith(f"{folder}/"):
                (room.root / path).unlink()
            return super().received_in(folder)

    room.book = Meanwhile(room.database)
    assert room.start() == RecoveryReport(unfinished=0, recorded=(), set_aside=(), undelivered=(), damaged=())


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_recorded_file_that_is_gone_or_cut_is_told_and_healed_when_it_is_sent_again(room, is_gone, caplog):
    data = encoded(ct_slice(), EXPLICIT)
    path = room.put(data)
    room.start()
    if is_gone:
        (room.root / path).unlink()
    else:
        (room.root / path).write_bytes(b"cut")
    assert [one.sop_instance_uid for one in room.start().damaged] == [f"{SERIES}.1"]
    assert f"{SERIES}.1" in [vars(line).get("sop_instance_uid") for line in caplog.records]
    assert room.start().damaged == ()  # it is known by now
    assert room.put(data) == path
    (kept,) = room.book.instances_of_series(SERIES)
    assert room.files.verify(kept.file)


def test_a_head_is_read_as_it_was_written():
    origin = TransferRoute(calling_aet="A", called_aet="SIXTEEN LETTERS.", peer_host="fe80::1%eth0")
    longest = "1." * 31 + "99"
    meta = FileMeta(sop_class_uid=CT, sop_instance_uid=longest, transfer_syntax_uid=DEFLATED, origin=origin)
    head = file_meta.encode(meta)
    assert len(head) == file_meta.HEADER_BYTES
    assert file_meta.decode(head) == meta
    for damaged in (b"", head[:-1], head + b" ", head[:200] + bytes(100) + head[300:], bytes(len(head))):
        with pytest.raises(ForeignFileMeta):
            file_meta.decode(damaged)
