"""Sign-in at a real little OpenID provider on a port of its own; each wrong answer is refused in words."""

import base64
import hashlib
import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from service.application import ActorRole, invite_person, set_password
from tests.service.web.conftest import ADMIN, HASH, Page, make_page
from tests.support.small_node import SmallNode

if importlib.util.find_spec("authlib") is None:
    pytest.skip("authlib is not installed: make dev", allow_module_level=True)

from joserfc import jwt
from joserfc.jwk import RSAKey

pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.network]
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
SECRET = "a secret of the clinic"
ROLES = {"physics": ["physicist", "patients"], "students": ["viewer"]}


class Provider(ThreadingHTTPServer):
    """Discovery, keys and tokens; a test changes `claims`, `key` and `described` to have it lie."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.claims: dict[str, Any] = {"preferred_username": "anna", "groups": ["students", "physics"]}
        self.key = KEY
        self.described: dict[str, Any] = {}
        self.asked: dict[str, str] = {}  # what the browser brought
        self.tokens: list[dict[str, str]] = []  # what the node sent for each token


class Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        at = self.server.issuer
        if self.path == "/jwks":
            self._say({"keys": [KEY.as_dict(private=False)]})
            return
        self._say(
            {
                "issuer": at,
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/jwks",
                "end_session_endpoint": f"{at}/end",
                "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
                **self.server.described,
            }
        )

    def do_POST(self) -> None:
        sent = {
            key: one[0]
            for key, one in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()
        }
        self.server.tokens.append({**sent, "authorization": self.headers.get("authorization", "")})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).rstrip(
            b"="
        )
        assert challenge.decode() == self.server.asked["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.server.issuer,
            "aud": "contour-node",
            "sub": "1234",
            "iat": now,
            "exp": now + 300,
            "nonce": self.server.asked["nonce"],
            **self.server.claims,
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.server.key)
        self._say({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _say(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(small_node: SmallNode, provider: Provider, tmp_path: Path) -> Page:
    secret = tmp_path / "oidc.secret"
    secret.write_text(SECRET)
    oidc = {
        "issuer": provider.issuer,
        "client_id": "contour-node",
        "secret_file": str(secret),
        "roles": ROLES,
    }
    made = make_page(small_node, web={"oidc": oidc})
    set_password(
        made.parts.database,
        invite_person(made.parts.database, ADMIN, "root", ActorRole.ADMIN, sees_patients=True),
        HASH,
    )
    return made


def begin(browser: TestClient, provider: Provider, next: str = "/jobs") -> str:
    """Go to the provider and come back; give the address of the way back."""
    answer = browser.get("/oidc/sign-in", params={"next": next})
    asked = urlsplit(answer.headers["location"])
    provider.asked = {key: one[0] for key, one in parse_qs(asked.query).items()}
    assert f"{asked.scheme}://{asked.netloc}" == provider.issuer
    assert provider.asked["code_challenge_method"] == "S256"
    return f"/oidc/callback?code=abc&state={provider.asked['state']}"


def trail(page: Page) -> list[tuple[str, str]]:
    with page.parts.database.reading() as connection:
        from sqlalchemy import text

        rows = connection.execute(text("SELECT actor, detail FROM audit_event ORDER BY id"))
        return [(row.actor, row.detail) for row in rows]


def test_a_person_of_a_group_gets_its_role_a_session_and_an_entry(page: Page, provider: Provider) -> None:
    browser = page.browser()
    assert "/oidc/sign-in" in browser.get("/sign-in").text
    answer = browser.get(begin(browser, provider))
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")
    assert browser.get("/").status_code == 200
    user = page.parts.accounts.find("oidc:anna")
    assert user is not None
    assert (user.role, user.sees_patients, user.password_hash) == ("physicist", True, "")
    assert ("oidc:anna", "") in trail(page)
    answer = browser.post("/sign-out")
    assert answer.headers["location"].startswith(f"{provider.issuer}/end?")
    assert provider.issuer in answer.headers["content-security-policy"]
    assert browser.get("/").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"iss": "https://elsewhere.example"}, "claim iss"),
        ({"aud": "another"}, "claim aud"),
        ({"nonce": "of another sign-in"}, "claim nonce"),
        ({"exp": 1_000_000}, "has expired"),
        ({"groups": ["nurses"]}, "none of your groups"),
        ({"groups": None}, "none of your groups"),
        ({"groups": {"physics": 1}}, "none of your groups"),
    ],
    ids=["issuer", "audience", "nonce", "expired", "group", "no groups", "odd groups"],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused_in_words(
    page: Page, provider: Provider, lie: dict[str, Any], said: str
) -> None:
    browser = page.browser()
    back = begin(browser, provider)
    provider.claims |= lie
    answer = browser.get(back)
    assert answer.status_code == 401
    assert said in answer.text
    assert page.parts.accounts.find("oidc:anna") is None
    assert browser.get("/").status_code == 303
    assert trail(page)[-1][1].startswith("refused: ")


def test_a_state_works_once_and_in_its_own_browser_only(page: Page, provider: Provider) -> None:
    browser, thief = page.browser(), page.browser()
    back = begin(browser, provider)
    assert "start again" in thief.get(back).text
    assert browser.get(back).status_code == 303
    assert "start again" in page.browser().get(back).text
    begin(browser, provider)
    assert "state" in browser.get("/oidc/callback?code=abc&state=wrong").text
    assert len(provider.tokens) == 1


def test_a_foreign_key_another_issuer_and_a_provider_that_is_away_are_refused(
    page: Page, provider: Provider
) -> None:
    browser = page.browser()
    back = begin(browser, provider)
    provider.key = OTHER
    assert browser.get(back).status_code == 401
    provider.described = {"issuer": "https://elsewhere.example"}
    assert "another issuer" in browser.get("/oidc/sign-in").text
    provider.described = {"authorization_endpoint": None}
    assert browser.get("/oidc/sign-in").status_code == 401


def test_an_address_with_too_many_refusals_waits(page: Page, provider: Provider) -> None:
    browser = page.browser()
    for _ in range(24):
        answer = browser.get("/oidc/callback?code=a&state=b")
    assert answer.status_code == 429
    assert "Too many failed sign-ins" in answer.text


def test_somebody_whom_an_admin_ended_stays_out_and_a_new_role_ends_sessions(
    page: Page, provider: Provider
) -> None:
    from service.application import change_person

    browser = page.browser()
    browser.get(begin(browser, provider))
    provider.claims["groups"] = "students"
    second = page.browser()
    second.get(begin(second, provider))
    assert browser.get("/").status_code == 303
    assert second.get("/rules").status_code == 403
    change_person(page.parts.database, ADMIN, "oidc:anna", ends=True)
    third = page.browser()
    assert "may not sign in" in third.get(begin(third, provider)).text


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "", "email": "anna@example.org"}, "oidc:anna@example.org"),
        ({"preferred_username": None, "email": None}, "oidc:1234"),
        ({"preferred_username": "a" * 101, "email": "anna@example.org"}, "oidc:" + "a" * 100),
    ],
    ids=["mail", "subject", "long"],
)
def test_a_person_is_named_by_user_name_else_mail_else_subject(
    page: Page, provider: Provider, claims: dict[str, Any], name: str
) -> None:
    provider.claims |= claims
    browser = page.browser()
    assert browser.get(begin(browser, provider)).status_code == 303
    assert page.parts.accounts.find(name) is not None
