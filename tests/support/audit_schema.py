"""The audit message schema of PS3.15 A.5.1.1 (RELAX NG), as a table, and a check of a message against it.

Each element: its attributes (required, and a pattern of what may stand there) and its children in order.
"""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

TOKEN, OID, NUMBER = r".*\S.*", r"[0-2](\.(0|[1-9][0-9]*))*", r"[0-9]+"
BASE64, BOOLEAN = r"[A-Za-z0-9+/]*={0,2}", "true|false|1|0"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


def _one_of(*values: object) -> str:
    return "|".join(map(str, values))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What an element looks like; children are a regular expression over 'Name ' words."""

    required: dict[str, str]
    optional: dict[str, str]
    children: str = ""
    text: str | None = None  # a pattern; None: no text but white space


CODED = Shape(
    required={"csd-code": TOKEN, "codeSystemName": TOKEN, "originalText": TOKEN},
    optional={"displayName": TOKEN},
)
SHAPES = {
    "AuditMessage": Shape(
        required={},
        optional={},
        children=r"EventIdentification (ActiveParticipant )+AuditSourceIdentification (ParticipantObjectIdentification )*",
    ),
    "EventIdentification": Shape(
        required={"EventDateTime": TIME, "EventOutcomeIndicator": _one_of(0, 4, 8, 12)},
        optional={"EventActionCode": "[CRUDE]"},
        children=r"EventID (EventTypeCode )*(EventOutcomeDescription )?",
    ),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "EventOutcomeDescription": Shape(required={}, optional={}, text=r".*"),
    "ActiveParticipant": Shape(
        required={"UserID": r".*", "UserIsRequestor": BOOLEAN},
        optional={
            "AlternativeUserID": r".*",
            "UserName": r".*",
            "NetworkAccessPointID": TOKEN,
            "NetworkAccessPointTypeCode": "[1-5]",
        },
        children=r"(RoleIDCode )*(MediaIdentifier )?",
    ),
    "RoleIDCode": CODED,
    "AuditSourceIdentification": Shape(
        required={"AuditSourceID": TOKEN},
        optional={"AuditEnterpriseSiteID": TOKEN},
        children=r"(AuditSourceTypeCode )*",
    ),
    "AuditSourceTypeCode": Shape(required={"csd-code": "[1-9]"}, optional={}),
    "ParticipantObjectIdentification": Shape(
        required={"ParticipantObjectID": TOKEN},
        optional={
            "ParticipantObjectTypeCode": "[1-4]",
            "ParticipantObjectTypeCodeRole": _one_of(*range(1, 27)),
            "ParticipantObjectDataLifeCycle": _one_of(*range(1, 16)),
            "ParticipantObjectSensitivity": TOKEN,
        },
        children=(
            r"ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )"
            r"(ParticipantObjectDetail )*(ParticipantObjectDescription )*"
        ),
    ),
    "ParticipantObjectIDTypeCode": CODED,
    "ParticipantObjectName": Shape(required={}, optional={}, text=r".*"),
    "ParticipantObjectDetail": Shape(required={"type": TOKEN, "value": BASE64}, optional={}),
    "ParticipantObjectDescription": Shape(
        required={},
        optional={},
        children=r"(MPPS )*(Accession )*(SOPClass )*(ParticipantObjectContainsStudy )?",
    ),
    "SOPClass": Shape(
        required={"NumberOfInstances": NUMBER}, optional={"UID": OID}, children=r"(Instance )*"
    ),
}


def violations(element: Element) -> list[str]:
    """Every place where the message is not as the schema has it."""
    shape = SHAPES.get(element.tag)
    if shape is None:
        return [f"{element.tag} is not in the schema"]
    found = [f"{element.tag} lacks {name}" for name in shape.required if name not in element.attrib]
    known = shape.required | shape.optional
    for name, value in element.attrib.items():
        if name not in known or not re.fullmatch(known[name], value):
            found.append(f"{element.tag}/@{name}={value!r}")
    children = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(shape.children, children):
        found.append(f"{element.tag} contains {children}")
    text = element.text or ""
    if not re.fullmatch(shape.text or r"\s*", text, re.DOTALL):
        found.append(f"{element.tag} says {text!r}")
    return found + [problem for child in element for problem in violations(child)]
