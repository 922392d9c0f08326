"""Destinations that take objects by DICOMweb."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.config.values import Confirm, Destination

Url = Annotated[str, Field(pattern=r"^https?://[^\s@?#]{1,500}$")]


class WebDestination(Destination):
    """A DICOMweb server that objects are sent to by STOW-RS."""

    url: Url = Field(
        description="Base URL of its DICOMweb service, in front of /studies; no user, query or fragment."
    )
    allow_http: bool = Field(
        default=False, description="Send over plain http; images and credentials can be read on the way."
    )
    token_file: Path | None = Field(
        default=None, description="File with a bearer token; read for each request."
    )
    user: str | None = Field(
        default=None, min_length=1, max_length=128, description="User for Basic authentication."
    )
    password_file: Path | None = Field(default=None, description="File with the password of `user`.")
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that its certificate is checked against; absent: the system's.",
    )
    certificate_file: Path | None = Field(
        default=None, description="PEM file of the node's client certificate, with its chain."
    )
    key_file: Path | None = Field(
        default=None,
        description="PEM file of the client certificate's key; absent: it is in certificate_file.",
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        is_plain = self.url.startswith("http://")
        if is_plain and not self.allow_http:
            raise ValueError("url is http://; allowed: https://, or http:// with allow_http = true")
        if is_plain and (self.ca_file or self.certificate_file):
            raise ValueError("ca_file and certificate_file are for https://, url is http://")
        if self.token_file and self.user:
            raise ValueError("token_file and user: allowed is one of the two")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file needs certificate_file")
        if self.confirm is Confirm.COMMITMENT:
            raise ValueError("confirm = commitment is DIMSE's; allowed for DICOMweb: none, query")
        return self
