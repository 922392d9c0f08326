"""The OpenID provider: requests to it, made by Authlib, and what its answers mean here."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import Response

from service.application import ActorRole
from service.config import OidcSettings, Settings, read_secret
from service.errors import Refused
from service.web.translation import _

if TYPE_CHECKING:
    from authlib.integrations.starlette_client import StarletteOAuth2App

log = logging.getLogger(__name__)
PREFIX = "oidc:"
"""Prefix of the names of the provider's people, who are thus never mistaken for those with a password here."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
CLOCK_DIFFERENCE_S = 60
PATIENTS = "patients"


def role_of(claims: Mapping[str, Any], oidc: OidcSettings) -> tuple[ActorRole, bool]:
    """Return the highest role that a person's groups give them, and whether they may see patients.

    Raises:
        Refused: none of their groups has a role here; the message names the claim.
    """
    groups = claims.get(oidc.groups_claim, [])
    names = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    rights = {right for name in names if isinstance(name, str) for right in oidc.roles.get(name, ())}
    roles = [role for role in ActorRole if role.value in rights]
    if not roles:
        raise Refused(
            _(
                "none of your groups has a role on this node (claim %(claim)s; web.oidc.roles in its settings)",
                claim=oidc.groups_claim,
            )
        )
    return roles[-1], PATIENTS in rights


def reason_of(error: Exception) -> str:
    """Say why the provider's answer was not accepted; the error itself is logged."""
    log.warning("a sign-in at the OpenID provider was refused: %s: %s", type(error).__name__, error)
    kind, said = type(error).__name__, str(error)
    if kind == "MismatchingStateError":
        return _("the answer belongs to another sign-in (state); start again")
    if kind == "ExpiredTokenError":
        return _("the provider's token has expired; check the clocks of the node and the provider")
    for claim in ("iss", "aud", "nonce", "azp", "iat", "exp", "sub"):
        if f"'{claim}'" in said or f'"{claim}"' in said:
            return _("the provider's token is not for this sign-in (claim %(claim)s)", claim=claim)
    if kind == "OAuthError":
        return _("the provider refused it: %(reason)s", reason=said[:200])
    return _("the provider's answer could not be used; the node's log says why")


async def to_provider(oidc: OidcSettings, request: Request, callback: str) -> Response:
    """Return the redirect to the provider; what is needed on return is put into the request's session."""
    client = await _client(oidc)
    answer: Response = await client.authorize_redirect(request, callback)
    return answer


async def claims_of(oidc: OidcSettings, request: Request) -> Mapping[str, Any]:
    """Return the claims of the ID token that the provider issues for a browser that has returned."""
    client = await _client(oidc)
    options = {
        "iss": {"essential": True, "value": oidc.issuer},
        "aud": {"essential": True, "value": oidc.client_id},
        "nonce": {"essential": True},
    }
    token = await client.authorize_access_token(request, claims_options=options, leeway=CLOCK_DIFFERENCE_S)
    claims = token.get("userinfo")
    if not claims:
        raise Refused(_("the provider sent no ID token"))
    found: Mapping[str, Any] = claims
    return found


async def _client(oidc: OidcSettings) -> "StarletteOAuth2App":
    """Return Authlib's client with the provider's metadata, which must name the configured issuer.

    Raises:
        Refused: the metadata name another issuer.
    """
    from authlib.integrations.starlette_client import OAuth  # only if a provider is configured

    client = OAuth().register(
        "provider",
        client_id=oidc.client_id,
        client_secret=read_secret(oidc.secret_file),
        server_metadata_url=f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 10},
    )
    described = await client.load_server_metadata()
    if described.get("issuer") != oidc.issuer:
        raise Refused(
            _("the provider names another issuer: %(issuer)s", issuer=str(described.get("issuer"))[:200])
        )
    offered = described.get("id_token_signing_alg_values_supported") or ["RS256"]
    described["id_token_signing_alg_values_supported"] = [one for one in offered if one in ALGORITHMS] or [
        "RS256"
    ]
    return client


def sign_out_address(settings: Settings) -> str | None:
    """Return the address at which the provider ends its own session; None if it has none or does not answer."""
    oidc = settings.web.oidc
    if oidc is None:
        return None
    try:
        client = asyncio.run(_client(oidc))
        made = asyncio.run(client.create_logout_url(client_id=oidc.client_id))
    except Exception as error:  # noqa: BLE001 # the session here has ended anyway
        log.warning("the OpenID provider does not say where to sign out: %s", error)
        return None
    return str(made["url"])
