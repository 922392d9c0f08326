"""What can go wrong between a volume and its masks, sorted by what the caller does next."""


class ModelUnavailable(Exception):
    """The server is down, the model is not ready, or the answer took too long: try again later."""


class AnswerLost(ModelUnavailable):
    """The server, or the model's process in it, ended or fell silent while it had a volume, perhaps because of it."""


class ModelFailed(Exception):
    """The model answered with an error or an invalid answer: trying again gives the same."""


class CaseTooLarge(ModelFailed):
    """A case needs more memory than this host can ever provide; the message gives the figures."""


class ContractRefused(Exception):
    """A contract.json that is unreadable, contradicts itself or does not fit its folder; names file and field."""


class ServerNotStarted(Exception):
    """The embedded server did not start; the message gives the reason and the last lines of its log."""


class ImportRefused(Exception):
    """A foreign model that cannot become a package here; the message names what is at fault and what to do."""
