"""Why a folder cannot be prepared, or one of its cases cannot be used."""


class PreparationRefused(Exception):
    """Nothing was prepared; the message names the folder or file and what to do."""


class CaseRefused(Exception):
    """One series or patient that is not used; the message is written into findings.csv."""
