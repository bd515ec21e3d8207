"""A small HTTP client that tells an answer from none."""

import http.client
import json
import time

# Nobody sends on a connection that the server may be closing.
IDLE_SECONDS = 3


class Gone(Exception):
    """No whole answer came: the effect may be there or not."""


class Answer:
    """A whole answer."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self):
        return json.loads(self.body) if self.body else None

    def code(self):
        return self.json().get("code") if self.status >= 400 else None

    def __str__(self):
        return f"{self.status} {self.body[:500].decode(errors='replace')}"


class Client:
    """A connection of its own to a server, kept open between requests."""

    def __init__(self, server, credential=None):
        self.server = server
        self.credential = credential
        self.connection = None
        self.address = None
        self.used = 0.0

    def request(self, method, path, body=None, key=None, timeout=45, headers=None):
        """Sends a request. An answer that does not come while the server lives is a failure of its own."""
        headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", **(headers or {})}
        if self.credential:
            # A token has dots, a key has none.
            name, value = ("Authorization", "Bearer ") if "." in self.credential else ("X-AUTH-TOKEN", "")
            headers[name] = value + self.credential
        if key:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection = self.connected(timeout)
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = Answer(response, response.read())
        except TimeoutError as error:
            self.close()
            if self.server.is_running():
                raise AssertionError(f"{method} {path}: no answer within {timeout} s") from error
            raise Gone from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Gone from error
        # Only an honest 503 may say that something is wrong inside.
        assert answer.status < 500 or answer.status == 503, f"{method} {path}: {answer}"
        return answer

    def connected(self, timeout):
        idle = time.monotonic() - self.used > IDLE_SECONDS
        self.used = time.monotonic()
        if self.connection is None or idle or self.address != self.server.address:
            self.close()
            host, port = self.server.address.split(":")
            self.address = self.server.address
            self.connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        elif self.connection.sock is not None:
            self.connection.sock.settimeout(timeout)
        return self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def expect(self, status, method, path, body=None, key=None):
        answer = self.request(method, path, body, key)
        assert answer.status == status, f"{method} {path}: {answer}"
        return answer.json()
