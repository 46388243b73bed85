"""Locks of an OctoStore server, for Python 3.9 or newer with its standard library. Copy this file.

    with OctoStore("http://127.0.0.1:3000").acquire("deploy/prod") as lease:
        for part in parts:
            lease.check()  # raises LeaseLost, before another client can have the lock
            target.write(part, fencing_token=lease.token)
"""
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

SLICE = 25.0  # seconds that one request waits: less than the read timeouts of proxies
CONFIRM = 15.0  # seconds until the first renewal, so that a grant lost on the way ends soon


def now():  # seconds, on a clock that is never set, and that counts suspends where the system has one
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LockError(Exception):
    """An answer that is not a grant, or none: code is for programs (held, policy_denied, …), the text for people."""

    def __init__(self, code, detail, status=0, pause=0.0):
        super().__init__(detail)
        self.code, self.status, self.pause = code, status, pause
        self.passes = code in ("held", "superseded") or status in (0, 408, 425, 429) or status >= 500


class LeaseLost(LockError):
    """The lease is over, or nearly so and could not be renewed. Stop the work."""


class _AnyAnswer(urllib.request.HTTPErrorProcessor):
    def http_response(self, request, response):  # redirects are not followed: a login page is no grant
        return response

    https_response = http_response


class OctoStore:
    """A server. Threads may share it."""

    def __init__(self, url, token=None):
        self._url, self._opener = url.rstrip("/"), urllib.request.build_opener(_AnyAnswer)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def acquire(self, name, ttl=60.0, wait=600.0, holder=""):
        """Waits for a lock for so many seconds, outages included. The lease renews itself until it is released."""
        give_up, key = now() + wait, uuid.uuid4().hex  # one key for all requests of one attempt: it keeps the place
        while True:
            sent, left = now(), max(0.0, give_up - now())
            times = {"ttl": ttl, "confirm": min(ttl, CONFIRM), "wait": min(left, SLICE)}
            parameters = {"holder": holder, **{k: f"{round(s * 1000)}ms" for k, s in times.items()}}
            try:
                answer = self.post(name, "acquire", times["wait"] + 10, {"Idempotency-Key": key}, parameters)
                return Lease(self, name, answer, sent)
            except LeaseLost:
                raise
            except LockError as error:
                if error.code == "attempt_over":  # the grant was lost on the way, and its lease has ended
                    key = uuid.uuid4().hex
                elif not error.passes:
                    raise
                if now() >= give_up:
                    raise
                pause = error.pause or (1.0 if now() - sent < 1 else 0.0)
            time.sleep(max(0.0, min(pause, give_up - now())))

    def post(self, name, verb, timeout, headers, parameters=None):
        """Sends one request about a lock, and returns the answer if it is a good one of OctoStore."""
        url, body = f"{self._url}/v1/locks/{urllib.parse.quote(name)}/{verb}", json.dumps(parameters or {}).encode()
        request = urllib.request.Request(url, body, {**self._headers, **headers}, method="POST")
        try:
            with self._opener.open(request, timeout=timeout) as response:
                answer = response.read(65536)
        except (OSError, http.client.HTTPException) as error:
            raise LockError("unreachable", f"no answer from {self._url}: {error}") from error
        try:
            answer = json.loads(answer)
            if response.status == 200 and answer["fencing_token"] and (verb == "release" or answer["lease_id"]):
                return answer
            code, detail = answer["code"], answer["detail"]
        except (ValueError, KeyError, TypeError):
            code, detail = "unknown", f"{url} answered {response.status}, not the way OctoStore does"
        seconds = response.headers.get("Retry-After", "")
        raise LockError(code, detail, response.status, min(float(seconds), 60.0) if seconds.isdigit() else 0.0)


class Lease:
    """A lock that is held. token is its fencing token; the event lost is set when the work has to stop."""

    def __init__(self, store, name, grant, sent):
        self._store, self.name, self.token = store, name, grant["fencing_token"]
        self._header = {"Octostore-Lease": grant["lease_id"]}
        self.lost, self._released, self._why = threading.Event(), threading.Event(), ""
        self._extend(grant, sent)
        while not self._renew():  # at once, which confirms the lease
            self.check()
            time.sleep(0.2)
        threading.Thread(target=self._keep, daemon=True).start()

    def left(self):
        """Seconds until the work has to stop, which is a while before another client can have the lock."""
        return 0.0 if self.lost.is_set() else max(0.0, self._end - min(5.0, self._span / 6) - now())

    def check(self):
        """Raises LeaseLost if the work has to stop."""
        if self.left() <= 0:
            raise LeaseLost("not_held", f"the lease of {self.name} is lost: {self._why}")

    def release(self):
        """Gives the lock back. Raises LeaseLost if the lease was over: the work was not alone to its end."""
        self._released.set()
        give_up, unsure = now() + 10, False
        while True:
            try:
                return self._store.post(self.name, "release", 5, self._header)
            except LockError as error:
                if error.code == "not_held" and unsure:
                    return None  # an earlier request has released it, and only the answer was lost
                if error.code == "not_held":
                    raise LeaseLost("not_held", f"the lease of {self.name} ended before the work did") from error
                if not error.passes or now() >= give_up:
                    raise  # the lease ends by itself
                unsure = unsure or error.status != 429
            time.sleep(1)

    def _extend(self, answer, sent):  # it counts from before the request was sent, so it ends here before it does there
        self._sent, self._span = sent, (answer["server_ms"] + answer["expires_in_ms"]) / 1000
        self._end = sent + self._span

    def _renew(self):
        sent = now()
        try:
            self._extend(self._store.post(self.name, "renew", max(0.2, min(5.0, self.left())), self._header), sent)
            return True
        except LockError as error:
            self._why = error
            if error.code == "not_held":
                self.lost.set()
            return False

    def _keep(self):  # it looks at the clock often, for the machine may have been suspended
        due = self._sent + self._span / 3
        while not self._released.wait(min(1.0, self._span / 12)) and self.left() > 0:
            if now() >= due:
                due = self._sent + self._span / 3 if self._renew() else now() + min(5.0, self._span / 12)
        self.lost.set()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.release()
        except LockError:
            if kind is None:  # else the error of the work says more
                raise


def main(name, file, seconds):  # the work: for so long, append the fencing token to a file ten times a second
    store = OctoStore(os.environ.get("OCTOSTORE_URL", "http://127.0.0.1:3000"), os.environ.get("OCTOSTORE_TOKEN"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of release, as Ctrl-C does
    ttl, wait = float(os.environ.get("LOCK_TTL", "60")), float(os.environ.get("LOCK_WAIT", "600"))
    try:
        with store.acquire(name, ttl, wait, holder=f"python:{os.getpid()}") as lease:
            print(f"{name} is locked, with fencing token {lease.token}", flush=True)
            end = now() + float(seconds)
            while now() < end:
                lease.check()
                with open(file, "a", encoding="utf-8") as out:
                    out.write(f"{lease.token}\n")
                time.sleep(0.1)
    except LockError as error:
        codes = {"held": 75, "policy_denied": 77, "forbidden": 77, "unauthenticated": 77, "not_held": 79}
        print(f"lock.py: {error}", file=sys.stderr)
        sys.exit(codes.get(error.code, 64 if error.status in (400, 413, 422) else 69))


if __name__ == "__main__":
    main(*sys.argv[1:])
