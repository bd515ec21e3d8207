"""Signs the owner of an account in, who has forgotten the password: prints shell lines with e-mail, password and token.

STAPE_URL: the server. STAPE_KEY: an API key of the account. STAPE_MAIL_DIR: where the server writes its mails.
"""

import email
import os
import re
import secrets
import sys
import time
from email import policy
from pathlib import Path

import requests

URL = os.environ["STAPE_URL"]
OUTBOX = Path(os.environ["STAPE_MAIL_DIR"])


def call(method, path, **arguments):
    answer = requests.request(method, URL + path, timeout=30, **arguments)
    if answer.status_code >= 400:
        sys.exit(f"{method} {path}: {answer.text}")
    return answer.json() if answer.content else None


def mailed_tokens(address, seen):
    """The tokens of mails to `address` but those in `seen`, as they come."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in sorted(set(OUTBOX.glob("*.eml")) - seen):
            seen.add(path)
            letter = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            token = re.search(r"password-reset\?token=([\w.~-]+)", letter.get_body().get_content())
            if address in letter["To"] and token:
                yield token.group(1)
        time.sleep(0.1)
    sys.exit(f"no mail to {address} in {OUTBOX} whose token is good")


def main():
    address = call("GET", "/v3/account", headers={"X-AUTH-TOKEN": os.environ["STAPE_KEY"]})["email"]
    seen = set(OUTBOX.glob("*.eml"))
    call("POST", "/v3/password-resets", json={"email": address})
    password = secrets.token_urlsafe(24)
    # Somebody else's request for the same address may come in between: its token is replaced by ours.
    for token in mailed_tokens(address, seen):
        confirm = {"token": token, "password": password}
        if requests.post(URL + "/v3/password-resets/confirm", json=confirm, timeout=30).ok:
            break
    tokens = call("POST", "/v3/sessions", json={"email": address, "password": password})
    print(f"export STAPE_EMAIL='{address}' STAPE_PASSWORD='{password}' STAPE_TOKEN='{tokens['accessToken']}'")


main()
