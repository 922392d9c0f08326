"""The structures of a contract as `imaging` uses them: the catalogue's, and those that the model defines itself."""

from collections.abc import Mapping

from imaging.structures import CATALOGUE, Code, InterpretedType, Structure
from inference.contract import ModelContract, ModelStructure
from inference.errors import ContractRefused


def own_structures(contract: ModelContract) -> Mapping[str, Structure]:
    """Build the structures that the catalogue lacks, by code.

    Raises ContractRefused where a structure is neither in the catalogue nor defined, is both, or is paired with a
    partner other than the catalogue's.
    """
    own = {}
    for index, structure in enumerate(contract.structures):
        where = f"{contract.name} version {contract.version}: structures.{index}.definition"
        if structure.definition is None and structure.code not in CATALOGUE:
            raise ContractRefused(
                f"{where}: the structure catalogue has no {structure.code!r}; define its name, colour and type here"
            )
        if structure.definition is not None:
            if structure.code in CATALOGUE:
                raise ContractRefused(
                    f"{where}: the structure catalogue defines {structure.code!r}; remove this definition or choose "
                    "another code"
                )
            own[structure.code] = _structure(structure, where)
    _check_pairs(contract)
    return own


def _structure(structure: ModelStructure, where: str) -> Structure:
    definition = structure.definition
    if definition is None:
        raise ValueError(f"{where} is missing")
    types = {member.value: member for member in InterpretedType}
    if definition.interpreted_type not in types:
        raise ContractRefused(
            f"{where}.interpreted_type: {definition.interpreted_type!r} is not a defined term of RT ROI Interpreted "
            f"Type; there are: {', '.join(types)}"
        )
    concept = definition.concept
    return Structure(
        code=structure.code,
        name=definition.name,
        colour_rgb=definition.colour_rgb,
        interpreted_type=types[definition.interpreted_type],
        concept=None
        if concept is None
        else Code(value=concept.value, scheme=concept.scheme, meaning=concept.meaning),
    )


def _check_pairs(contract: ModelContract) -> None:
    """Refuse a mirrored pass that swaps the wrong structures: it would swap left and right without an error."""
    stated = {a: b for pair in contract.left_right_pairs for a, b in (pair, pair[::-1])}
    labels = set(contract.labels)
    for code in contract.labels:
        known = CATALOGUE.get(code)
        partner = known.partner if known is not None and known.partner in labels else None
        if known is not None and stated.get(code) != partner:
            raise ContractRefused(
                f"{contract.name} version {contract.version}: left_right_pairs: {code} is paired with "
                f"{stated.get(code)}, in the structure catalogue with {partner}"
            )
