"""Contour cases in the clinic's own folders on the path that jobs take: same reading, same server, same model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from evaluation.dicom_folder import DicomFolder
from evaluation.fingerprint import model_fingerprint, node_fingerprint
from imaging.structures import CATALOGUE
from inference.client import TritonClient
from inference.contract import ModelContract
from inference.errors import ModelFailed, ModelUnavailable, ServerNotStarted
from service.cli.output import warn
from service.cli.store_owner import expect_own
from service.components import embedded_triton, model_library, triton_client
from service.config import Settings
from service.errors import Refused, TryAgain
from service.work.case import ContouringResult
from service.work.pipeline import contour

CT_FOLDER = "ct"


@contextmanager
def model_server(
    settings: Settings, model: str, version: int | None = None, *, may_start: bool = False
) -> Iterator[tuple[TritonClient, ModelContract]]:
    """Open the self-tested model server of these settings, with the contract of the model (default: default version).

    With ``may_start``, an embedded server that is not running is started for as long as the context is open.
    Raises Refused for an unknown model or if server or model fail, TryAgain if the server cannot be reached.
    """
    contract = _contract(settings, model, version)
    try:
        expect_own(settings.node.storage_dir)
        with ExitStack() as stack:
            if may_start and settings.triton.embedded and not _answers(settings):
                warn("contour-node: no model server is running; starting one for this command")
                stack.enter_context(embedded_triton(settings))
            server = stack.enter_context(triton_client(settings))
            server.check()
            server.models.make_ready(contract)
            yield server, contract
    except ModelUnavailable as reason:
        raise TryAgain(f"{reason}; start `contour-node serve` or `contour-node triton` first") from reason
    except (ModelFailed, ServerNotStarted) as reason:
        raise Refused(str(reason)) from reason


def _contract(settings: Settings, model: str, version: int | None) -> ModelContract:
    contracts = model_library(settings)
    if model not in contracts:
        raise Refused(
            f"no model {model} in {settings.triton.model_repository}; there are: {', '.join(contracts)}"
        )
    found = contracts[model] if version is None else contracts.version(model, version)
    if found is None:
        raise Refused(f"model {model} has no version {version} in {settings.triton.model_repository}")
    return found


def _answers(settings: Settings) -> bool:
    with triton_client(settings) as server:
        return server.live()


def case_folders(folder: Path) -> list[Path]:
    """Return the cases of a folder: its subfolders that have a `ct`; Refused if there is none."""
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder")
    found = [path for path in sorted(folder.iterdir()) if (path / CT_FOLDER).is_dir()]
    if not found:
        raise Refused(f"{folder}: no case; expected one <case>/{CT_FOLDER} with a CT series per case")
    return found


def reference_of(case: Path, name: str) -> Path:
    """Return the path of a case's reference set; Refused if it has none of this name."""
    found = [path for path in sorted(case.iterdir()) if path.name.split(".")[0] == name]
    if not found:
        raise Refused(f"{case}: no set '{name}'; expected an RTSTRUCT, a mask or a folder of masks")
    return found[0]


def contoured_case(case: Path, contract: ModelContract, server: TritonClient) -> ContouringResult:
    """Contour the case's CT as a job would."""
    sources = DicomFolder.of(case / CT_FOLDER).sources()
    return contour(sources, contract, server, lambda _stage: None)


def tg263_name(code: str) -> str:
    """Return the TG-263 name under which the node writes a structure."""
    return CATALOGUE[code].name if code in CATALOGUE else code


def fingerprint(settings: Settings, contract: ModelContract) -> dict[str, str]:
    """Return the versions behind a result: model, node, libraries and host."""
    folder = settings.triton.model_repository / contract.name / str(contract.version)
    return {
        "model": f"{contract.name} version {contract.version}",
        "model package SHA-256": contract.package_sha256,
        **model_fingerprint(folder, settings.triton.environment),
        **node_fingerprint(),
    }
