"""Credentials for Snowflake: every way of signing in, and every mistake named at once."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from recsys.errors import AuthenticationFailed, ConfigError
from recsys.sources.snowflake.credentials import Credentials, SignIn
from standins.snowflake.canaries import PASSPHRASE, KeyPair, new_key

if TYPE_CHECKING:
    from pathlib import Path

WHO = {"SNOWFLAKE_ACCOUNT": "MYORG-ACC", "SNOWFLAKE_USER": "TRAINER"}


@pytest.fixture(scope="module")
def key() -> KeyPair:
    """Return a key pair of our own."""
    return new_key()


def numbers(der: bytes) -> object:
    """Return what makes a key: two texts are of one key when these are equal."""
    return load_der_private_key(der, None).private_numbers()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "sign_in"),
    [
        ({"TOKEN": "t"}, SignIn.ACCESS_TOKEN),
        ({"TOKEN": "t", "AUTHENTICATOR": "programmatic_access_token"}, SignIn.ACCESS_TOKEN),
        ({"TOKEN": "t", "AUTHENTICATOR": "oauth"}, SignIn.OAUTH),
        ({"WORKLOAD_IDENTITY_PROVIDER": "aws"}, SignIn.WORKLOAD_IDENTITY),
        ({"WORKLOAD_IDENTITY_PROVIDER": "OIDC", "TOKEN": "t"}, SignIn.WORKLOAD_IDENTITY),
        ({"PASSWORD": "p"}, SignIn.PASSWORD),
        ({"PASSWORD": "p", "AUTHENTICATOR": "snowflake"}, SignIn.PASSWORD),
    ],
)
def test_variables_choose_the_way_of_signing_in(given: dict[str, str], sign_in: SignIn) -> None:
    """One way is set, and that way is taken."""
    named = {f"SNOWFLAKE_{name}": value for name, value in given.items()}
    credentials = Credentials.from_environment(WHO | named)
    assert credentials.sign_in is sign_in
    assert credentials.arguments()["authenticator"] == sign_in.value


def test_every_form_of_a_private_key_is_the_same_key(key: KeyPair, tmp_path: Path) -> None:
    """A file, a raw PEM, one on a single line, base64 of DER and an encrypted one give one key."""
    path = tmp_path / "key.p8"
    path.write_text(key.plain)
    loaded = load_pem_private_key(key.plain.encode(), None)
    der = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    forms = [
        {"SNOWFLAKE_PRIVATE_KEY_FILE": str(path)},
        {"SNOWFLAKE_PRIVATE_KEY_PATH": str(path)},
        {"SNOWFLAKE_PRIVATE_KEY_RAW": key.plain},
        {"SNOWFLAKE_PRIVATE_KEY_RAW": key.plain.replace("\n", "\\n")},
        {"SNOWFLAKE_PRIVATE_KEY_RAW": base64.b64encode(der).decode()},
        {"SNOWFLAKE_PRIVATE_KEY_RAW": key.encrypted, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": PASSPHRASE},
    ]
    for form in forms:
        credentials = Credentials.from_environment(WHO | form)
        assert credentials.sign_in is SignIn.KEY_PAIR
        assert numbers(credentials.arguments()["private_key"]) == loaded.private_numbers()  # type: ignore[union-attr]


def test_a_dictionary_takes_both_spellings(key: KeyPair) -> None:
    """``SNOWFLAKE_ACCOUNT`` and the connector's ``account`` are one key; a port may be a number."""
    capital = {
        "SNOWFLAKE_ACCOUNT": "a",
        "SNOWFLAKE_USER": "u",
        "SNOWFLAKE_PRIVATE_KEY": key.plain,
        "SNOWFLAKE_PORT": "8",
    }
    small = {"account": "a", "user": "u", "private_key": key.plain.encode(), "port": 8}
    assert Credentials.from_mapping(capital) == Credentials.from_mapping(small)


def test_every_mistake_is_named_at_once() -> None:
    """A run is not started five times to learn of five mistakes."""
    with pytest.raises(ConfigError) as caught:
        Credentials.from_environment(
            {
                "SNOWFLAKE_PORT": "https",
                "SNOWFLAKE_HOST": "https://x.example",
                "SNOWFLAKE_PROTOCOL": "ftp",
                "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "canary",
            }
        )
    message = str(caught.value)
    for named in ("ACCOUNT", "USER", "PORT", "HOST", "PROTOCOL", "PRIVATE_KEY_PASSPHRASE", "PRIVATE_KEY_FILE", "TOKEN"):
        assert f"SNOWFLAKE_{named}" in message
    assert "canary" not in message


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ["no way of signing in"]),
        ({"PASSWORD": "p", "TOKEN": "t"}, ["SNOWFLAKE_TOKEN", "SNOWFLAKE_PASSWORD", "several ways"]),
        ({"PRIVATE_KEY_FILE": "a", "PRIVATE_KEY_RAW": "b"}, ["PRIVATE_KEY_FILE", "PRIVATE_KEY_RAW"]),
        ({"PRIVATE_KEY_FILE": "a", "PRIVATE_KEY_PATH": "b"}, ["PRIVATE_KEY_FILE", "PRIVATE_KEY_PATH", "contradict"]),
        ({"TOKEN": "t", "TOKEN_FILE_PATH": "b"}, ["SNOWFLAKE_TOKEN", "TOKEN_FILE_PATH"]),
        ({"AUTHENTICATOR": "oauth"}, ["'oauth'", "SNOWFLAKE_TOKEN"]),
        ({"AUTHENTICATOR": "oauth", "PASSWORD": "p"}, ["'oauth'", "SNOWFLAKE_PASSWORD"]),
        ({"AUTHENTICATOR": "externalbrowser", "PASSWORD": "p"}, ["'externalbrowser'", "not one of"]),
        ({"PRIVATE_KEY_FILE": "/no/such/key.p8"}, ["PRIVATE_KEY_FILE", "/no/such/key.p8", "No such file"]),
        ({"WORKLOAD_IDENTITY_PROVIDER": "OIDC"}, ["OIDC", "SNOWFLAKE_TOKEN"]),
        ({"WORKLOAD_IDENTITY_PROVIDER": "AWS", "TOKEN": "t"}, ["SNOWFLAKE_TOKEN", "AWS"]),
        ({"WORKLOAD_IDENTITY_PROVIDER": "ACME"}, ["WORKLOAD_IDENTITY_PROVIDER", "OIDC"]),
        ({"TOKEN": "t", "PROTOCOL": "http", "HOST": "db.example.com"}, ["PROTOCOL", "loopback"]),
        ({"TOKEN": "t", "PROTOCOL": "http"}, ["PROTOCOL", "loopback"]),
        ({"TOKEN": "t", "ACCOUNT": "https://a.snowflakecomputing.com"}, ["SNOWFLAKE_ACCOUNT", "MYORG-MYACCOUNT"]),
        ({"TOKEN": "t", "PORT": "70000"}, ["SNOWFLAKE_PORT", "65535"]),
    ],
)
def test_contradictions_are_refused(given: dict[str, str], named: list[str]) -> None:
    """Nothing is guessed where variables are missing or contradict each other."""
    variables = WHO | {f"SNOWFLAKE_{name}": value for name, value in given.items()}
    with pytest.raises(ConfigError) as caught:
        Credentials.from_environment(variables)
    for text in named:
        assert text in str(caught.value)


def test_an_empty_variable_is_not_set() -> None:
    """CI systems pass secrets that do not exist as empty texts."""
    given = WHO | {"SNOWFLAKE_TOKEN": "t", "SNOWFLAKE_PASSWORD": "", "SNOWFLAKE_PRIVATE_KEY_RAW": " "}
    assert Credentials.from_environment(given).sign_in is SignIn.ACCESS_TOKEN


def test_other_variables_of_the_prefix_are_left_alone() -> None:
    """``SNOWFLAKE_HOME`` is the connector's, not ours."""
    assert Credentials.from_environment(WHO | {"SNOWFLAKE_TOKEN": "t", "SNOWFLAKE_HOME": "/tmp"}).account == "MYORG-ACC"


def test_an_unknown_key_of_a_dictionary_is_refused() -> None:
    """A misspelt key would otherwise be a credential that silently is not there."""
    with pytest.raises(ConfigError, match=r"pasword.*private_key_file"):
        Credentials.from_mapping({"account": "a", "user": "u", "pasword": "x"})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8"])
def test_plain_http_goes_to_this_machine(host: str) -> None:
    """Loopback is the one place where secrets may travel in the clear."""
    given = WHO | {"SNOWFLAKE_TOKEN": "t", "SNOWFLAKE_HOST": host, "SNOWFLAKE_PROTOCOL": "HTTP"}
    assert Credentials.from_environment(given).protocol == "http"


def test_an_encrypted_key_asks_for_its_passphrase(key: KeyPair) -> None:
    """The setting that is missing is named: no prompt, no TypeError of a library."""
    with pytest.raises(ConfigError, match="SNOWFLAKE_PRIVATE_KEY_PASSPHRASE is not set"):
        Credentials.from_environment(WHO | {"SNOWFLAKE_PRIVATE_KEY_RAW": key.encrypted})


def test_a_passphrase_without_need_is_a_contradiction(key: KeyPair) -> None:
    """Whoever sets a passphrase believes the key to be encrypted: it is not, and that is said."""
    with pytest.raises(ConfigError, match="is not encrypted"):
        Credentials.from_environment(
            WHO | {"SNOWFLAKE_PRIVATE_KEY_RAW": key.plain, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "canary"}
        )


@pytest.mark.parametrize("damage", ["wrong passphrase", "no key", "half a key"])
def test_a_bad_key_is_an_authentication_failure(key: KeyPair, damage: str) -> None:
    """Exit code 77 and a message of one line, without the key or the passphrase in it."""
    text, passphrase = {
        "wrong passphrase": (key.encrypted, "canary-wrong"),
        "no key": ("canary-not-a-key", ""),
        "half a key": (key.plain[: len(key.plain) // 2], ""),
    }[damage]
    given = {"SNOWFLAKE_PRIVATE_KEY_RAW": text, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": passphrase}
    with pytest.raises(AuthenticationFailed) as caught:
        Credentials.from_environment(WHO | given)
    assert caught.value.exit_code == 77
    assert "canary" not in str(caught.value)
    assert "SNOWFLAKE_PRIVATE_KEY" in str(caught.value)


def test_a_token_may_lie_in_a_file(tmp_path: Path) -> None:
    """Orchestrators mount tokens as files, with a line break at the end."""
    (tmp_path / "token").write_text("abc\n")
    credentials = Credentials.from_environment(WHO | {"SNOWFLAKE_TOKEN_FILE_PATH": str(tmp_path / "token")})
    assert credentials.arguments()["token"] == "abc"


def test_secrets_stay_out_of_the_repr(key: KeyPair) -> None:
    """Debuggers, tracebacks with locals and logs print objects."""
    for way in ({"PASSWORD": "canary"}, {"TOKEN": "canary"}, {"PRIVATE_KEY_RAW": key.plain}):
        credentials = Credentials.from_environment(WHO | {f"SNOWFLAKE_{name}": text for name, text in way.items()})
        shown = repr(credentials)
        assert "canary" not in shown
        assert "PRIVATE" not in shown
