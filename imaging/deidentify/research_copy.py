"""One stored object becomes one research copy: attributes follow the table, references the project's key."""

import io
from dataclasses import dataclass, field

import pydicom
from pydicom import DataElement, Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from imaging.deidentify.errors import DeidentificationRefused
from imaging.deidentify.files import part10
from imaging.deidentify.identifiers import IdentifyingWords, identities, still_named, texts, walk
from imaging.deidentify.names import NAMES, clean_name
from imaging.deidentify.options import DeidentificationOptions
from imaging.deidentify.pixels import check_pixels, clean_pixels
from imaging.deidentify.pseudonyms import ProjectKey, is_registered
from imaging.deidentify.representations import is_number_of, restate
from imaging.deidentify.table import Action, action_for, vr_of
from imaging.deidentify.terms import is_term
from imaging.deidentify.values import age, dummy, moved
from imaging.deidentify.words import has_date_or_telephone, has_uid
from imaging.errors import PARSE_ERRORS

SUPPORTED = frozenset(
    {
        CTImageStorage,
        EnhancedCTImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
        MRImageStorage,
        PositronEmissionTomographyImageStorage,
        RTDoseStorage,
        RTStructureSetStorage,
        SegmentationStorage,
    }
)
METHOD = "PS3.15 E Basic Profile, by Contour Node"
_DEEPEST = 60
_TRACKING_ID = 0x00620020


@dataclass(frozen=True, kw_only=True)
class ResearchCopy:
    """A de-identified object as a Part 10 file, and what re-identification needs."""

    data: bytes
    modality: str
    pseudonym: str
    uids: dict[str, str] = field(default_factory=dict)  # original UID by replacement


@dataclass(frozen=True, kw_only=True)
class _Rules:
    key: ProjectKey
    options: DeidentificationOptions
    patient_key: str
    sop_class_uid: str
    whom: IdentifyingWords


def deidentify(
    data: bytes, key: ProjectKey, options: DeidentificationOptions, name: str = ""
) -> ResearchCopy:
    """Return the research copy of a Part 10 file, in its transfer syntax and with its pixels untouched.

    The same object, key and options give the same bytes. Raises DeidentificationRefused for a class that the
    table alone cannot clean (reports, captures), for burned-in annotation, and where somebody would still be named.
    """
    dataset = _read(data, name)
    try:
        restate(dataset)
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(f"object {name} cannot be read as DICOM: {error}") from error
    sop_class = str(dataset.get("SOPClassUID", ""))
    called = f"object {name or dataset.get('SOPInstanceUID', '')}"
    if sop_class not in SUPPORTED:
        raise DeidentificationRefused(
            f"{called} is {pydicom.uid.UID(sop_class).name}: not de-identified here"
        )
    if not options.allow_burned_in:
        check_pixels(data, dataset, called)
    walked = list(walk(dataset))
    rules = _Rules(
        key=key,
        options=options,
        patient_key=patient_key(dataset),
        sop_class_uid=sop_class,
        whom=identities(walked),
    )
    clean_pixels(dataset, called)
    originals = {uid for element in walked if element.VR == "UI" for uid in texts(element)}
    modality = str(dataset.get("Modality", "")) or "OT"
    try:
        _clean(dataset, rules, depth=0)
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(f"{called} cannot be read as DICOM: {error}") from error
    _check(dataset, rules, originals, called)
    _say_what_was_done(dataset, rules)
    uids = {str(key.uid(uid)): uid for uid in originals if uid and not is_registered(uid)}
    try:
        written = part10(dataset)
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(f"{called} cannot be written as DICOM: {error}") from error
    return ResearchCopy(
        data=written, modality=modality, pseudonym=key.pseudonym(rules.patient_key), uids=uids
    )


def patient_key(dataset: Dataset) -> str:
    """Return the key of a patient: Patient ID and its issuer; the study where there is no Patient ID."""
    patient_id = str(dataset.get("PatientID", None) or "").strip()
    if not patient_id:
        return f"study\\{dataset.get('StudyInstanceUID', '')}"
    return f"{str(dataset.get('IssuerOfPatientID', None) or '').strip()}\\{patient_id}"


def _read(data: bytes, name: str) -> Dataset:
    try:
        return pydicom.dcmread(io.BytesIO(data))
    except (*PARSE_ERRORS, pydicom.errors.InvalidDicomError) as error:
        raise DeidentificationRefused(f"object {name} cannot be read as DICOM: {error}") from error


def _clean(dataset: Dataset, rules: _Rules, depth: int) -> None:
    if depth > _DEEPEST:
        raise DeidentificationRefused(f"sequences are nested over {_DEEPEST} deep")
    for tag, raw in list(dataset.items()):
        vr = vr_of(tag, raw.VR)
        action = action_for(tag, vr, rules.options, rules.sop_class_uid)
        if action is Action.KEEP and is_number_of(dataset, tag, rules.whom):
            action = Action.REMOVE
        elif action is Action.KEEP and vr not in ("SQ", "AS"):
            continue  # as the file has it, undecoded
        _apply(action, dataset, tag, rules, depth)


def _apply(action: Action, dataset: Dataset, tag: BaseTag, rules: _Rules, depth: int) -> None:
    opaque = action is not Action.REMOVE and dataset[tag].VR == "UN"  # nobody can tell what it holds
    if action is Action.REMOVE or (opaque and action not in (Action.EMPTY, Action.DUMMY)):
        del dataset[tag]
    else:
        _change(action, dataset, tag, rules, depth)


def _change(action: Action, dataset: Dataset, tag: BaseTag, rules: _Rules, depth: int) -> None:
    element = dataset[tag]
    if tag in _PSEUDONYM_TAGS:
        element.value = rules.key.pseudonym(rules.patient_key)
    elif tag == _TRACKING_ID:
        _track(dataset, rules)
    elif tag in NAMES:
        clean_name(dataset, tag, rules.options, rules.whom)
    elif element.VR == "SQ":
        _apply_to_sequence(action, element, rules, depth)
    elif action is Action.EMPTY:
        element.value = None if element.VR not in ("PN", "LO", "SH", "CS") else ""
    elif action is Action.DUMMY and element.VR != "UI":
        element.value = dummy(element.VR)
    else:
        _replace(action, element, rules)


def _track(segment: Dataset, rules: _Rules) -> None:
    """Replace Tracking ID beside a Tracking UID; one without the other is not allowed (PS3.3 C.8.20.4)."""
    text = str(segment[_TRACKING_ID].value or "")
    if segment.get("TrackingUID") and text:
        segment[_TRACKING_ID].value = str(rules.key.uid(text))
    else:
        del segment[_TRACKING_ID]


def _apply_to_sequence(action: Action, element: DataElement, rules: _Rules, depth: int) -> None:
    if action is Action.EMPTY:
        element.value = []
        return
    for item in element.value:
        if action is Action.DUMMY:
            _make_dummies(item, rules, depth + 1)
        else:
            _clean(item, rules, depth + 1)


def _make_dummies(item: Dataset, rules: _Rules, depth: int) -> None:
    """Replace every value of an item with a dummy, and keep its form."""
    if depth > _DEEPEST:
        raise DeidentificationRefused(f"sequences are nested over {_DEEPEST} deep")
    for tag in list(item.keys()):
        if tag.is_private or item[tag].VR == "UN":
            del item[tag]
        elif item[tag].VR == "SQ":
            for inner in item[tag].value:
                _make_dummies(inner, rules, depth + 1)
        elif item[tag].VR == "UI":
            _replace(Action.REPLACE_UID, item[tag], rules)
        else:
            item[tag].value = dummy(item[tag].VR)


def _replace(action: Action, element: DataElement, rules: _Rules) -> None:
    values = list(texts(element))
    if element.VR == "UI":
        element.value = [rules.key.uid(uid) for uid in values if uid] or None
    elif action is Action.SHIFT_DATE:
        by = rules.key.shift(rules.patient_key)
        element.value = [moved(value, element.VR, by) for value in values] or None
    elif element.VR == "AS":
        element.value = [age(value) for value in values] or None
    elif action is Action.SEARCH and any(_tells(value, element, rules) for value in values):
        element.value = ["REMOVED" if _tells(value, element, rules) else value for value in values]


def _tells(value: str, element: DataElement, rules: _Rules) -> bool:
    """Tell whether a text names somebody or something; codes and terms of the standard do not count."""
    if is_term(element.VR, value):
        return False
    number = element.keyword != "CodeValue" and has_date_or_telephone(value)
    return number or has_uid(value) or rules.whom.named_in(value)


_PSEUDONYM_TAGS = frozenset({0x00100010, 0x00100020})  # Patient's Name, Patient ID


def _say_what_was_done(dataset: Dataset, rules: _Rules) -> None:
    dataset.PatientIdentityRemoved = "YES"
    before = (
        [str(text) for text in texts(dataset["DeidentificationMethod"])]
        if "DeidentificationMethod" in dataset
        else []
    )
    dataset.DeidentificationMethod = [text for text in before if text and text != METHOD] + [METHOD]
    known = list(dataset.get("DeidentificationMethodCodeSequence", None) or [])
    values = {item.get("CodeValue") for item in known}
    dataset.DeidentificationMethodCodeSequence = known + [
        code for code in rules.options.codes() if code.CodeValue not in values
    ]
    dataset.LongitudinalTemporalInformationModified = (
        "MODIFIED" if rules.options.modified_dates else "REMOVED"
    )


def _check(dataset: Dataset, rules: _Rules, originals: set[str], called: str) -> None:
    """Search the finished copy once more, and refuse it where an identifier remains that the table did not cover."""
    walked = list(walk(dataset))
    named = next(still_named(walked, rules.whom), None)
    if named is not None:
        raise DeidentificationRefused(
            f"{called}: {named.keyword} {named.tag} still has a word of a name or identifier; remove it at its source"
        )
    private = {uid for uid in originals if uid and not is_registered(uid)}
    for element in walked:
        if element.VR == "UI" and private & set(texts(element)):
            raise DeidentificationRefused(f"{called}: {element.keyword} {element.tag} still has its UID")
