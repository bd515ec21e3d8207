"""What schemathesis cannot read from the document: which refusals of well-formed requests are the contract.

No check is left out. `positive_data_acceptance` expects that a request which fits the schema is accepted, or refused with
401, 403, 404, 409 or 429. The API also refuses, with 400, 412 or 422 and a code of its own, what no schema can know: a
cursor, token or ETag that the server never gave, an idempotency key that was used for something else, an id that does not
exist, and what a secret of other accounts decides. Each of these codes is named here; any other refusal is a failure.
"""

import os
import re

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

KNOWN_ONLY_TO_THE_SERVER = {
    "attachRefused": "which accounts there are",
    "currencyNotSupported": "which currencies the program lists",
    "idempotencyKeyReused": "which keys were used before",
    "invalidCursor": "which cursors were given",
    "invalidToken": "which tokens were mailed",
    "preconditionFailed": "which ETag holds",
    "transferRefused": "which accounts there are",
}

RULES_KNOWN_ONLY_TO_THE_SERVER = {
    "commonPassword": "which passwords are guessed first",
    "accountId from a manager": "who calls: a client may leave it out",
    "belowMinimum": "what the program demands",
    "currencyNotSupported": "which currencies the program lists",
    "currencyMismatch": "which type of method pays in the currency of the path",
    "digits of a currency": "how many digits each currency has",
    "duplicate": "which currency comes twice",
    "largest amount": "how large an amount of each currency may be",
    "past": "what time it is",
    "range of from": "which of two days comes first",
    "range of to": "how far two days are apart",
    "scopeNotGranted": "which scopes the login has",
    "targetNotAllowed": "which hosts the program allows",
    "unknown": "which ids there are",
    "wrongPassword": "which password the login has",
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether `failure` counts."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    if problem["code"] in KNOWN_ONLY_TO_THE_SERVER:
        return False
    rules = {rule(error) for error in problem["errors"]}
    return not (rules and rules <= RULES_KNOWN_ONLY_TO_THE_SERVER.keys())


def rule(error):
    """The code of a broken rule, or what it stands for here where it stands for several."""
    if error["code"] == "range":
        return f"range of {error.get('parameter')}"
    if error["code"] == "malformed" and re.search(r"has more than the \d digits of [A-Z]{3}$", error["detail"]):
        return "digits of a currency"
    if error["code"] == "malformed" and re.search(r"is more than [\d.]+$", error["detail"]):
        return "largest amount"
    if error["code"] == "required" and error.get("pointer") == "/accountId":
        return "accountId from a manager"
    return error["code"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signing out ends a session of its own: the other requests still need theirs."""
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    token = os.environ.get("STAPE_TOKEN")
    sends_it = token and (case.headers or {}).get("Authorization") == f"Bearer {token}"
    if sends_it and case.operation.label == "DELETE /v3/sessions/current":
        case.headers["Authorization"] = f"Bearer {sign_in()}"


def sign_in():
    """An access token of a new session."""
    login = {"email": os.environ["STAPE_EMAIL"], "password": os.environ["STAPE_PASSWORD"]}
    answer = requests.post(os.environ["STAPE_URL"] + "/v3/sessions", json=login, timeout=10)
    answer.raise_for_status()
    return answer.json()["accessToken"]
