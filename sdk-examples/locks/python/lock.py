"""A lock of an OctoStore server, for Python 3.9 or newer with its standard library. Copy this file.

    with Lock("deploy/prod", "http://127.0.0.1:3000", token) as lock:
        for part in parts:
            lock.check()  # raises LockError, before another client can have the lock
            target.write(part, fencing_token=lock.token)
"""
import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
import uuid

SLICE = 25.0  # seconds that one request waits: less than the read timeouts of proxies
CONFIRM = 15.0  # seconds until the first renewal, so that a grant lost on the way ends soon
RELEASED = {"fencing_token": int}
GRANT = {"lease_id": str, "server_ms": int, "expires_in_ms": int, **RELEASED}


def now():  # seconds, on a clock that is never set, and that counts suspends where the system has one
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LockError(Exception):
    """Anything but a grant. code is for programs (held, policy_denied, not_held, …), the text for people."""

    def __init__(self, code, detail, status=0, pause=0.0):
        super().__init__(detail)
        self.code, self.status, self.pause = code, status, pause

    def wait_out(self, sent, give_up):
        """Sleeps until the next request. Raises the error if another request is of no use, or too late."""
        passes = self.code in ("held", "superseded", "attempt_over", "unreachable")
        if not (passes or self.status in (408, 425, 429) or self.status >= 500) or now() >= give_up:
            raise self
        pause = self.pause or (1.0 if now() - sent < 1 else 0.0)  # 0: the request itself has waited
        time.sleep(max(0.0, min(pause, give_up - now())))


class Lock:
    """A lock. Each object is used once. token is its fencing token: pass it along with every write."""

    def __init__(self, name, url="http://127.0.0.1:3000", token="", ttl=60.0, wait=600.0, holder=""):
        self.name, self.ttl, self.wait, self.holder = name, ttl, wait, holder
        self._url = urllib.parse.urlsplit(url.rstrip("/"))
        self._connect = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        self._auth = {"Authorization": "Bearer " + "".join(token.split())} if token else {}  # errors show line breaks
        self._released, self._why = threading.Event(), "it could not be renewed in time"

    def acquire(self):
        """Waits for the lock for wait seconds, outages included. The lease renews itself until it is released."""
        give_up, key = now() + self.wait, uuid.uuid4().hex  # one key for all requests: it keeps the place
        while True:
            sent = now()
            slice_ = max(0.0, min(SLICE, give_up - sent))
            times = {"ttl": f"{self.ttl}s", "confirm": f"{min(self.ttl, CONFIRM)}s", "wait": f"{slice_:.3f}s"}
            try:
                grant = self._ask("acquire", slice_ + 10, {"Idempotency-Key": key}, {"holder": self.holder, **times})
                break
            except LockError as error:
                if error.code == "attempt_over":  # the grant was lost on the way, and its lease has ended
                    key = uuid.uuid4().hex
                error.wait_out(sent, give_up)
        self.token, self._lease = grant["fencing_token"], {"Octostore-Lease": grant["lease_id"]}
        self._stop = now() + CONFIRM
        while not self._renew():  # at once, which confirms the lease: only then the work begins
            self.check()
            time.sleep(0.2)
        threading.Thread(target=self._keep, daemon=True).start()

    def left(self):
        """Seconds until the work has to stop, which is a while before another client can have the lock."""
        return max(0.0, self._stop - now())

    def check(self):
        """Raises not_held if the work has to stop. It looks at the clock only, so that it never waits."""
        if self.left() <= 0:
            raise LockError("not_held", f"the lease of {self.name} is lost: {self._why}")

    def release(self):
        """Gives the lock back. Raises not_held if the lease was over: the work was not alone to its end."""
        self._released.set()
        give_up, again = now() + 10, False
        while True:
            sent = now()
            try:
                return self._ask("release", 5, self._lease)
            except LockError as error:
                if error.code == "not_held" and again:
                    return None  # an earlier request has released it, and only the answer was lost
                error.wait_out(sent, give_up)  # if it fails, the lease ends by itself
                again = True

    def _renew(self):
        sent = now()
        try:
            grant = self._ask("renew", max(0.2, min(5.0, self.left())), self._lease)
        except LockError as error:
            self._why = error
            if error.code == "not_held":
                self._stop = 0.0
            return False
        span = (grant["server_ms"] + grant["expires_in_ms"]) / 1000  # from before it was sent: it ends here first
        self._due, self._tick, self._stop = sent + span / 3, min(1.0, span / 12), sent + span - min(5.0, span / 6)
        return True

    def _keep(self):  # it looks at the clock often, for the machine may have been suspended
        while not self._released.wait(self._tick) and self.left() > 0:
            if now() >= self._due:
                self._renew()

    def _ask(self, verb, timeout, headers, body=None):
        """Sends one request, and returns the answer if it is status 200 with all that a grant has."""
        path = f"{self._url.path}/v1/locks/{urllib.parse.quote(self.name)}/{verb}"
        try:
            with contextlib.closing(self._connect(self._url.netloc, timeout=timeout)) as connection:
                connection.request("POST", path, json.dumps(body or {}), {**self._auth, **headers})
                response = connection.getresponse()  # redirects are not followed
                status, pause = response.status, response.headers.get("Retry-After", "")
                answer = dict(json.loads(response.read()))
        except (OSError, http.client.HTTPException) as error:
            raise LockError("unreachable", f"no answer from {self._url.netloc}: {error}") from error
        except (ValueError, TypeError):  # no JSON object
            answer = {}
        wanted = RELEASED if verb == "release" else GRANT  # a login page is neither
        if status == 200 and all(isinstance(answer.get(member), kind) for member, kind in wanted.items()):
            return answer
        detail = answer.get("detail") or f"{path} was answered with {status}, not the way OctoStore does"
        raise LockError(answer.get("code"), detail, status, min(float(pause), 60.0) if pause.isdecimal() else 0.0)

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, kind, *_):
        with contextlib.suppress(LockError if kind else ()):  # the error of the work says more
            self.release()


def main(name, file, seconds):  # the work: for so long, append the fencing token to a file ten times a second
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of release, as Ctrl-C does
    url, token = os.environ.get("OCTOSTORE_URL", "http://127.0.0.1:3000"), os.environ.get("OCTOSTORE_TOKEN", "")
    ttl, wait = float(os.environ.get("LOCK_TTL", "60")), float(os.environ.get("LOCK_WAIT", "600"))
    try:
        with Lock(name, url, token, ttl, wait, f"python:{os.getpid()}") as lock, open(file, "a", buffering=1) as out:
            print(f"{name} is locked, with fencing token {lock.token}", flush=True)
            end = now() + float(seconds)
            while now() < end:
                lock.check()
                out.write(f"{lock.token}\n")
                time.sleep(0.1)
    except LockError as error:
        codes = {"held": 75, "policy_denied": 77, "forbidden": 77, "unauthenticated": 77, "not_held": 79}
        print(f"lock.py: {error}", file=sys.stderr)
        sys.exit(codes.get(error.code, 64 if error.status in (400, 413, 422) else 69))


if __name__ == "__main__":
    main(*sys.argv[1:])
