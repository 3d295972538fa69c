"""The certificates and keys with which a client asks."""

import ssl

from tfrobust.errors import InputError
from tfrobust.serving.channel import Address


def context(address: Address) -> ssl.SSLContext:
    """What the address says of TLS, with the system's certificates where it names none.

    Raises:
        InputError: a file cannot be read, or holds no certificate or key.
    """
    certificate = address.read(address.certificate)
    try:
        found = ssl.create_default_context(
            cadata=None if certificate is None else certificate.decode()
        )
        if address.client_certificate is not None:
            found.load_cert_chain(address.client_certificate, address.client_key)
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected certificates and keys (PEM) at {address.certificate}, "
            f"{address.client_certificate}, {address.client_key}: {error}"
        ) from None
    return found
