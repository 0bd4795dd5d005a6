"""Private keys for signing in: read here, so that each mistake gets a message of its own."""

from __future__ import annotations

import base64
import binascii

from recsys.errors import AuthenticationFailed, ConfigError, MissingExtra


def private_key(text: str, passphrase: str | None, origin: str, prefix: str = "SNOWFLAKE_") -> bytes:
    r"""Return a private key as the connector wants it: PKCS#8 in DER, decrypted.

    Parameters
    ----------
    text
        PEM (also with ``\n`` written out, as one-line variables carry it), or base64 of DER.
    passphrase
        The passphrase of an encrypted key; None for a plain one.
    origin
        The variable that it came from, for messages.
    prefix
        Of the variables, likewise.

    Raises
    ------
    ConfigError
        If the key is encrypted and no passphrase is given, or the other way round.
    AuthenticationFailed
        If it is no key, or the passphrase is wrong.
    """
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise MissingExtra("snowflake", "reading from Snowflake") from error
    secret = passphrase.encode() if passphrase else None
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_private_key(text.replace("\\n", "\n").encode(), secret)
        else:
            key = serialization.load_der_private_key(base64.b64decode("".join(text.split()), validate=True), secret)
        return key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    except TypeError:  # what cryptography makes of a passphrase that is missing, or not needed
        if secret is None:
            problem = f"is encrypted, and {prefix}PRIVATE_KEY_PASSPHRASE is not set"
        else:
            problem = f"is not encrypted, but {prefix}PRIVATE_KEY_PASSPHRASE is set"
        raise ConfigError(f"the private key of {origin} {problem}") from None
    except (ValueError, binascii.Error) as error:
        if secret is not None and "decrypt" in str(error).lower():
            problem = f"cannot be decrypted: {prefix}PRIVATE_KEY_PASSPHRASE is wrong"
        else:
            problem = "is no private key in PEM (-----BEGIN … PRIVATE KEY-----) or base64 DER, or is damaged"
        # The library's own message may quote what it was given: it is left out of the traceback.
        raise AuthenticationFailed(f"the private key of {origin} {problem}") from None
