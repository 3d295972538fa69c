"""Writes TF Serving's `--ssl_config_file`, which holds keys and certificates themselves.

    python tls/ssl_config.py --key server.key --cert server.crt [--client_ca ca.crt]

With --client_ca only clients get in that show a certificate signed by it. The file is a secret:
it is made readable for its owner alone; TF Serving must run as that user (compose: `user:`).
"""

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def pem(path: Path, kind: str) -> str:
    """The text of a PEM file.

    Raises:
        SystemExit: it cannot be read, or holds something else.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: expected a PEM file at {path}: {error}")
    if not text.lstrip().startswith("-----BEGIN") or kind not in text.splitlines()[0]:
        sys.exit(f"error: expected a PEM {kind} at {path}, beginning with -----BEGIN … {kind}-----")
    return text


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--key", type=Path, required=True, help="the server's private key, PEM")
    parser.add_argument("--cert", type=Path, required=True, help="its certificate (chain), PEM")
    parser.add_argument("--client_ca", type=Path, help="who signs the clients' certificates, PEM")
    parser.add_argument("--output", type=Path, default=HERE / "ssl.config")
    flags = parser.parse_args()
    fields = {
        "server_key": pem(flags.key, "PRIVATE KEY"),
        "server_cert": pem(flags.cert, "CERTIFICATE"),
    }
    if flags.client_ca:
        fields["custom_ca"] = pem(flags.client_ca, "CERTIFICATE")
    # A JSON string is a string of the protobuf text format as well, for PEM's plain letters.
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    lines.append(f"client_verify: {'true' if flags.client_ca else 'false'}")
    beside = flags.output.with_name(f".{flags.output.name}.tmp")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    beside.replace(flags.output)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
