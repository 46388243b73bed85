"""Calls every operation of a server by a client that openapi-python-client has made of
openapi.yaml, and prints what was called. An answer that is not as described ends it."""

import os
import sys
import time
from urllib.parse import parse_qs, urlparse

import httpx

from generated import AuthenticatedClient, models
from generated.api.audit import audit_state, read_audit, watch_events
from generated.api.locks import (
    acquire_lock,
    break_lock,
    get_lock,
    list_locks,
    release_lock,
    renew_lock,
    show_activity,
    show_live,
)
from generated.api.login import (
    begin_device_login,
    begin_git_hub_login,
    finish_git_hub_login,
    git_hub_callback,
    logout,
    poll_device_login,
    whoami,
)
from generated.api.policies import explain_policies, list_policies, reload_policies
from generated.api.server import drain, get_backup, health, index, metrics, openapi, page, ready, reference, server
from generated.api.terraform import lock_terraform, unlock_terraform
from generated.api.tokens import create_token, list_tokens, revoke_token, rotate_token
from generated.types import File

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


def terraform():
    name = "team-a/state-python"
    info = models.TerraformLockInfo(id="0d6d6a35-8a0c-4f0e-b1c5-7c1f4f7ed6b2", operation="OperationTypeApply", info="",
                                    who="python@ci", version="1.9.0", created="2026-11-27T14:30:00Z", path="")
    call("lockTerraform", lock_terraform, name=name, of=models.Grant, body=info)
    holder = call("lockTerraform", lock_terraform, name=name, status=423, of=models.TerraformLock,
                  body=models.TerraformLockInfo(id="7be8ab1e-93c1-4a0a-8a3e-2d9f6c5b4a31"))
    if holder.id != info.id or holder.who != "python@ci":
        sys.exit(f"lockTerraform: {holder}")
    call("unlockTerraform", unlock_terraform, name=name, of=models.Ended, body=info)


def reads():
    call("index", index)
    call("health", health, of=models.Healthy)
    call("ready", ready, grants=models.ReadyGrants("1"), of=models.Ready)
    call("metrics", metrics)
    call("openapi", openapi)
    call("listPolicies", list_policies, of=models.PolicyList)
    call("explainPolicies", explain_policies, name="team-a/x", of=models.Explanation)
    call("reloadPolicies", reload_policies, of=models.Reloaded, body=models.ReasonBody(reason="OPS-7"))
    call("reloadPolicies", reload_policies, of=models.Reloaded)
    me = call("whoami", whoami, of=models.Whoami)
    if not me.account or not me.tokens:
        sys.exit(f"whoami: {me}")
    call("showActivity", show_activity, of=models.Activity)
    if not call("auditState", audit_state, of=models.AuditState).head:
        sys.exit("auditState: nothing is recorded")
    call("server", server, of=models.Server)
    call("readAudit", read_audit, limit=5)
    call("reference", reference, of=str)
    if not call("page", page, file="app.js", of=File).payload.read():
        sys.exit("page: it is empty")
    call("getBackup", get_backup)
    stream("watchEvents", watch_events)
    stream("showLive", show_live, show="locks,activity", last_event_id="2026-11-27T14:30:00Z")


def stream(operation, module, **arguments):
    """Calls an operation whose answer goes on for ever, for a second without a word."""
    try:
        call(operation, module, using=client(c.token).with_timeout(httpx.Timeout(1)), **arguments)
    except httpx.ReadTimeout:
        print(operation)
    else:
        sys.exit(f"{operation}: it ended")



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


def drained():
    """The last of all: no lock is granted afterwards."""
    if call("drain", drain, of=models.Drain, body=models.ReasonBody(reason="an upgrade")).already:
        sys.exit("drain: it was draining before")
    if not call("drain", drain, of=models.Drain).already:
        sys.exit("drain: it was not draining")
    call("acquireLock", acquire_lock, name="team-a/late", status=503, of=models.Problem)


locks()
terraform()
reads()
tokens()
logins()
drained()
