"""Series fetched from DCMTK's dcmqrscp, which answers no counts, by C-MOVE and by C-GET."""

import json
import shutil
from collections.abc import Iterator

import pytest

from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from service.cli import main
from service.scu.client import Scu
from service.scu.find import count_images
from service.scu.outcome import PermanentRefusal
from tests.support.archive import Site, running_dcmtk_site
from tests.support.small_node import small_volume

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        shutil.which("dcmqrscp") is None, reason="DCMTK is not installed: apt-get install dcmtk"
    ),
]

SLICES = len(small_volume().array_zyx)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_dcmtk_site(tmp_path_factory.mktemp("dcmtk")) as site:
        for name in ("ANNA", "BERTA"):
            who = Identity(patient_id=name, study=name)
            folder = tmp_path_factory.mktemp("files")
            site.put(ct_files(small_volume(), CtExport(identity=who)), folder)
        yield site


@pytest.mark.parametrize(("who", "how"), [("ANNA", []), ("BERTA", ["--get"])])
def test_what_is_fetched_is_kept_and_opens_a_job(
    site: Site, capsys: pytest.CaptureFixture[str], who: str, how: list[str]
) -> None:
    asked = ["pull", "--settings", str(site.settings_file), "--peer", "pacs", "--json", "--patient-id", who]
    code = main([*asked, *how])
    rows = json.loads(capsys.readouterr().out)
    assert code == 0, rows
    assert rows[0]["result"] == f"{SLICES} fetched"
    (job,) = site.book.list_jobs(series_uid=rows[0]["series_uid"])
    assert (job.slice_count, job.calling_aet) == (SLICES, "DCMQRSCP")
    unknown = count_images(
        Scu(calling_aet="CONTOURNODE", timeout_s=30),
        site.peer,
        study_uid=rows[0]["study_uid"],
        series_uid=rows[0]["series_uid"],
    )
    assert unknown == PermanentRefusal(reason="DCMQRSCP does not say how many images a series has")
