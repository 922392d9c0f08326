"""Whether the node has what it acknowledged: a row, a file with exactly the bytes that were sent, and a job."""

from collections import defaultdict
from collections.abc import Iterable

from reliability.series import Slice
from service.store import FileLost, FileStore, JobRepository, StoredInstance


def missing_slices(book: JobRepository, files: FileStore, acknowledged: Iterable[Slice]) -> list[str]:
    """Return what is wrong with slices that were answered with 0x0000, and with the jobs of their series."""
    by_series: dict[str, list[Slice]] = defaultdict(list)
    for one in acknowledged:
        by_series[one.series_uid].append(one)
    found = []
    for series_uid, slices in by_series.items():
        rows = {row.sop_instance_uid: row for row in book.instances_of_series(series_uid)}
        for one in slices:
            wrong = _wrong(files, one, rows.get(one.sop_instance_uid))
            if wrong:
                found.append(f"slice {one.sop_instance_uid} was acknowledged, but {wrong}")
        counts = [job.slice_count for job in book.list_jobs(series_uid=series_uid)]
        if max(counts, default=0) != len(rows):
            found.append(f"series {series_uid} has {len(rows)} slices and jobs with {counts} of them")
    return found


def _wrong(files: FileStore, one: Slice, row: StoredInstance | None) -> str:
    if row is None:
        return "it has no row"
    try:
        kept = files.read(row.file.path)
    except FileLost:
        return "it has no file"
    if kept[row.file.header_bytes :] != one.data_set or len(kept) != row.file.size_bytes:
        return "its file has other bytes"
    return ""
