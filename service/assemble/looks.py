"""The attributes of each image of a series, and the rule that most of its slices match."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from imaging.ct.image_kinds import BESIDE_THE_SLICES, ImageKind, cone_beam_sign, kind_of, modality_of
from imaging.ct.raw_slice import RawSlice, named, read_raw
from imaging.ct.series import SourceFile
from imaging.errors import ImageRefused
from imaging.modality import Modality
from service.config import Rule, SeriesFacts, Settings
from service.config.matching import limited
from service.store import OpenJob

_BODY_PART, _DESCRIPTION = "BodyPartExamined", "SeriesDescription"


@dataclass(frozen=True, kw_only=True)
class Look:
    """One image: its kind (None if unreadable), and the attributes that rules test (empty if absent)."""

    kind: ImageKind | None
    modality: Modality = Modality.CT
    cone_beam: str = ""  # the attribute that says that it is cone-beam CT
    body_part: str = ""
    series_description: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The rule of a series, its attributes, and notes on where its images differ."""

    rule: Rule | None
    facts: SeriesFacts
    notes: tuple[str, ...]
    cone_beam: str = ""
    shadows: tuple[Rule, ...] = ()  # rules of shadow jobs that match too
    rule_for_ct: Rule | None = None  # of a cone-beam CT: the rule that would take it as a CT


def look_at(file: SourceFile) -> Look:
    """Read the attributes of one image once, without its pixels."""
    try:
        raw = read_raw(file.data, file.name)
        return Look(
            kind=kind_of(raw),
            modality=modality_of(raw),
            cone_beam=cone_beam_sign(raw),
            body_part=_text(raw, _BODY_PART, file.data),
            series_description=_text(raw, _DESCRIPTION, file.data),
            place=raw.text("ImagePositionPatient"),
        )
    except (ImageRefused, InvalidDicomError):
        return Look(kind=None)


def nothing_in(looks: Sequence[Look]) -> str:
    """Describe a series that has nothing to contour, such as "2 localizers"; else return an empty text.

    Contours need at least two positions: a scanner that tracks contrast (bolus tracking) images one position again and
    again. An image that cannot be read could be anything.
    """
    kinds = Counter(look.kind for look in looks)
    places = {look.place for look in looks if look.kind is ImageKind.SLICE}
    if None in kinds or ImageKind.MULTI_FRAME in kinds or len(places) > 1:
        return ""
    if kinds[ImageKind.SLICE] > 1 and places == {""}:
        return ""
    found = ((kinds[kind], kind.value) for kind in (ImageKind.SLICE, *BESIDE_THE_SLICES))
    words = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in found if count]
    if kinds[ImageKind.SLICE] > 1:
        words[0] += " at one position (bolus tracking, or one slice again and again)"
    return " and ".join(words)


def aside_in(looks: Sequence[Look], uids: Sequence[str]) -> tuple[str, ...]:
    """Return notes on images that are not slices and so not contoured; `uids` are in the order of `looks`."""
    notes = []
    for kind in BESIDE_THE_SLICES:
        named_ones = [uid for look, uid in zip(looks, uids, strict=True) if look.kind is kind]
        words = f"1 {kind.value} is" if len(named_ones) == 1 else f"{len(named_ones)} {kind.value}s are"
        if named_ones:
            notes.append(f"{words} not contoured: image {', '.join(named_ones)}")
    return tuple(notes)


def choose(job: OpenJob, looks: Sequence[Look], settings: Settings) -> Choice:
    """Return the rule that most slices match; in a tie, the one that comes first.

    Raises:
        RuleTooSlow: a regular expression takes longer than anybody waits.
    """
    slices = [look for look in looks if look.kind not in BESIDE_THE_SLICES] or looks
    texts = Counter((look.modality, look.body_part, look.series_description) for look in slices)
    facts = {said: _facts(job, *said) for said in texts}
    rules: dict[tuple[Modality, str, str], Rule | None] = {}
    for one, found in facts.items():
        with limited(settings.rules, found):
            rules[one] = settings.rule_for(found)
    votes = Counter[str]()
    for said, count in texts.items():
        rule = rules[said]
        votes["" if rule is None else rule.name] += count
    order = [*(rule.name for rule in settings.rules), ""]
    winner = min(votes, key=lambda name: (-votes[name], order.index(name)))
    said = next(said for said, _ in texts.most_common() if _name(rules[said]) == winner)
    cone_beam = next((look.cone_beam for look in slices if look.cone_beam), "")
    chosen = facts[said]
    with limited(settings.rules, chosen):
        shadows = settings.shadow_rules_for(chosen)
        as_ct = settings.rule_for(replace(chosen, modality=Modality.CT))
    return Choice(
        rule=rules[said],
        facts=chosen,
        notes=_notes(slices, votes, winner),
        cone_beam=cone_beam,
        shadows=shadows,
        rule_for_ct=as_ct if chosen.modality is Modality.CBCT else None,
    )


def _name(rule: Rule | None) -> str:
    return "" if rule is None else rule.name


def _facts(job: OpenJob, modality: Modality, body_part: str, series_description: str) -> SeriesFacts:
    return SeriesFacts(
        called_aet=job.called_aet,
        calling_aet=job.calling_aet,
        modality=modality,
        body_part=body_part,
        series_description=series_description,
    )


def _notes(slices: Sequence[Look], votes: Counter[str], winner: str) -> tuple[str, ...]:
    """Return notes on tested attributes that differ. Descriptions are not quoted: they may name a patient."""
    notes = []
    parts = Counter(look.body_part for look in slices)
    if len(parts) > 1:
        found = ", ".join(f"{text!r} in {count}" for text, count in parts.most_common())
        notes.append(f"{named(_BODY_PART)} differs between the images: {found}")
    descriptions = len({look.series_description for look in slices})
    if descriptions > 1:
        notes.append(f"{named(_DESCRIPTION)} differs between the images: {descriptions} texts")
    if len(votes) > 1:
        asked = f"{votes[winner]} of {sum(votes.values())} images match"
        notes.append(f"{asked} {'rule ' + winner if winner else 'no rule'}; the majority decides")
    return tuple(notes)


def _text(raw: RawSlice, keyword: str, data: bytes) -> str:
    """Return the decoded value: text other than ASCII needs the Specific Character Set."""
    if raw.values.get(keyword, b"").isascii():
        return raw.text(keyword)
    image = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=[keyword])
    return str(image.get(keyword, None) or "")
