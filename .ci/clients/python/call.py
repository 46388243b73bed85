"""Calls every operation of a server by a client that openapi-python-client has made of
openapi.yaml, and prints what was called. An answer that is not as described ends it."""

import os
import sys
import time
from urllib.parse import parse_qs, urlparse

import httpx

from generated import AuthenticatedClient, models
from generated.api.audit import read_audit, watch_events
from generated.api.locks import acquire_lock, break_lock, get_lock, list_locks, release_lock, renew_lock
from generated.api.login import (
    begin_device_login,
    begin_git_hub_login,
    finish_git_hub_login,
    git_hub_callback,
    logout,
    poll_device_login,
)
from generated.api.policies import explain_policies, list_policies, reload_policies
from generated.api.server import health, index, metrics, openapi, ready
from generated.api.tokens import create_token, list_tokens, revoke_token, rotate_token

URL = os.environ["CLIENT_URL"]


def client(token):
    return AuthenticatedClient(base_url=URL, token=token, raise_on_unexpected_status=True)


c = client(os.environ["CLIENT_TOKEN"])


def call(operation, module, status=200, of=None, using=None, **arguments):
    """Calls an operation and returns its answer, which has to be of a status and a type."""
    response = module.sync_detailed(client=using or c, **arguments)
    if response.status_code != status or of and not isinstance(response.parsed, of):
        sys.exit(f"{operation}: {response}")
    print(operation)
    return response.parsed


def locks():
    name = "team-a/python"
    metadata = models.Metadata()
    metadata["ticket"] = "OPS-7"
    grant = call("acquireLock", acquire_lock, name=name, of=models.Grant,
                 body=models.AcquireBody(ttl=60, holder="python", metadata=metadata))
    held = call("getLock", get_lock, name=name, of=models.Lock)
    if held.lease.holder != "python":
        sys.exit(f"getLock: {held}")
    if len(call("listLocks", list_locks, prefix="team-a/", of=models.List).locks) != 1:
        sys.exit("listLocks: not one")
    call("acquireLock", acquire_lock, name=name, status=409, of=models.Problem)
    call("renewLock", renew_lock, name=name, of=models.Grant, body=models.RenewBody(lease_id=grant.lease_id, ttl="90s"))
    call("releaseLock", release_lock, name=name, of=models.Ended, body=models.ReleaseBody(lease_id=grant.lease_id))
    grant = call("acquireLock", acquire_lock, name=name, of=models.Grant, body=models.AcquireForm(ttl="60s", reason="a form"))
    call("breakLock", break_lock, name=name, of=models.Ended,
         body=models.BreakBody(reason="stuck", fencing_token=grant.fencing_token))


def reads():
    call("index", index)
    call("health", health, of=models.Healthy)
    call("ready", ready, grants=models.ReadyGrants("1"), of=models.Ready)
    call("metrics", metrics)
    call("openapi", openapi)
    call("listPolicies", list_policies, of=models.PolicyList)
    call("explainPolicies", explain_policies, name="team-a/x", of=models.Explanation)
    call("reloadPolicies", reload_policies, of=models.Reloaded, body=models.NoBody())
    call("readAudit", read_audit, limit=5)
    try:
        call("watchEvents", watch_events, using=client(c.token).with_timeout(httpx.Timeout(1)))
    except httpx.ReadTimeout:  # it goes on for ever
        print("watchEvents")


def tokens():
    first = call("createToken", create_token, of=models.NewToken,
                 body=models.CreateTokenBody(account="ci", scopes="acquire:team-a/**", expires=600))
    second = call("rotateToken", rotate_token, id=first.id, of=models.NewToken, body=models.RotateTokenBody(grace="60s"))
    call("listTokens", list_tokens, of=models.TokenList)
    call("revokeToken", revoke_token, id=first.id, of=models.Token)
    call("logout", logout, using=client(second.token), of=models.Token, body=models.NoBody())


def logins():
    device = call("beginDeviceLogin", begin_device_login, of=models.DeviceLogin, body=models.NoBody())
    while call("pollDeviceLogin", poll_device_login, of=models.Login,
               body=models.PollLoginBody(device_id=device.device_id)).status != "complete":
        time.sleep(0.2)
    begun = begin_git_hub_login.sync_detailed(client=c)
    if begun.status_code != 303:
        sys.exit(f"beginGitHubLogin: {begun}")
    print("beginGitHubLogin")
    back = parse_qs(urlparse(httpx.get(begun.headers["Location"]).headers["Location"]).query)
    code, state = back["code"][0], back["state"][0]
    call("gitHubCallback", git_hub_callback, code=code, state=state)
    call("finishGitHubLogin", finish_git_hub_login, body=models.FinishLoginForm(code=code, state=state))


locks()
reads()
tokens()
logins()
