package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// terraformWhole is the path of the lock protocol of Terraform's http backend.
const (
	terraformPrefix = "/v1/terraform/"
	terraformWhole  = terraformPrefix + "{name}"
)

// terraformFields are the parameters of the address. An unlock ignores them, so that the
// addresses of lock and unlock may be the same.
var terraformFields = param.SetOf(param.TTL, param.Wait, param.Metadata)

// Metadata of the leases that Terraform holds. With the holder they are the lock info, also
// after a restart.
const (
	metaTerraform        = "terraform."
	metaTerraformID      = metaTerraform + "id"
	metaTerraformInfo    = metaTerraform + "info"
	metaTerraformOp      = metaTerraform + "operation"
	metaTerraformVersion = metaTerraform + "version"
	metaTerraformCreated = metaTerraform + "created"
	metaTerraformPath    = metaTerraform + "path"
)

// lockTerraform acquires a lock for Terraform. It is an acquire whose key is the ID of the lock
// info; a lock that is held is answered with the lock info of its holder.
func (x *exchange) lockTerraform() error {
	req, err := x.terraformRequest()
	if err != nil {
		return err
	}
	if req.Wait > 0 {
		defer x.endWithToken()()
	}
	grant, err := x.api.service.Acquire(x.context(), x.principal, req)
	if held, is := errors.AsType[*lock.HeldError](err); is {
		return x.replyLocked(held)
	}
	if err != nil {
		return x.cause(err)
	}
	if x.params.Has(param.TTL) && grant.Lease.TTL < req.TTL {
		return x.refuseShortened(grant, req)
	}
	return x.cause(x.deliverGrant(grant, x.api.service.Wait(req.Wait), x.params.PrefersText()))
}

// refuseShortened gives back a lease that a policy made shorter than the address asks for.
// Terraform does not read how long its lease is, and would work on after its end. If the disk is
// full, the lease is undone later: no client has its lease id, so the release does not show it.
func (x *exchange) refuseShortened(grant table.Grant, req core.AcquireRequest) error {
	_, err := x.api.service.Release(x.context(), x.principal, lock.ReleaseRequest{Origin: req.Origin, Name: req.Name, Key: req.Key})
	if err != nil {
		x.api.service.Undo(grant)
		return err
	}
	return &input.Error{
		Field:   "ttl",
		Problem: fmt.Sprintf("is %s, of which a policy allows %s", req.TTL, grant.Lease.TTL),
		Want:    "as much as the policy allows, if that is long enough",
	}
}

func (x *exchange) terraformRequest() (core.AcquireRequest, error) {
	p := &x.params
	req := core.AcquireRequest{Origin: x.origin(), Name: p.Lock}
	info, err := lockInfo(p)
	if err != nil {
		return req, err
	}
	if req.Metadata, err = terraformMetadata(info, p.Metadata()); err != nil {
		return req, err
	}
	if req.TTL, err = p.TTL(); err != nil {
		return req, err
	}
	if req.Wait, err = p.Wait(); err != nil {
		return req, err
	}
	req.TTL = cmp.Or(req.TTL, x.api.service.MaxTTL()) // Terraform never renews
	req.Key, req.Holder = info.ID, info.Who
	req.Reason = param.Shown(joinTexts(info.Operation, info.Info), lock.MaxReason)
	return req, nil
}

// lockInfo returns the lock info of a request to lock, which is the only place of its key.
func lockInfo(p *param.Values) (*api.TerraformLock, error) {
	info := p.LockInfo()
	if info == nil {
		return nil, &input.Error{Field: "body", Problem: "is empty", Want: "the lock info of Terraform"}
	}
	if key, err := p.Key(); key != "" || err != nil {
		return nil, &input.Error{Field: api.HeaderKey, Problem: "is given", Want: "no such header: the ID of the lock info is the key"}
	}
	return info, nil
}

// terraformMetadata returns the metadata of the address with what the lock info has.
func terraformMetadata(info *api.TerraformLock, given map[string]string) (map[string]string, error) {
	metadata := map[string]string{}
	for key := range given {
		if strings.HasPrefix(key, metaTerraform) {
			return nil, &input.Error{Field: param.Shorten("meta." + key), Problem: "is taken from the lock info", Want: "another key"}
		}
	}
	maps.Copy(metadata, given)
	for key, value := range map[string]string{
		metaTerraformID: info.ID, metaTerraformOp: info.Operation, metaTerraformInfo: info.Info,
		metaTerraformVersion: info.Version, metaTerraformPath: info.Path,
	} {
		if value != "" {
			metadata[key] = value
		}
	}
	if !info.Created.IsZero() {
		metadata[metaTerraformCreated] = info.Created.Format(time.RFC3339Nano)
	}
	return metadata, nil
}

func joinTexts(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

// replyLocked answers with the lock info of the holder.
func (x *exchange) replyLocked(held *lock.HeldError) error {
	answer := wire.JSON{Value: lockInfoOf(held)}
	x.code = api.CodeHeld
	x.buf = answer.Append(x.buf[:0], wire.Times{})
	return x.reply(http.StatusLocked, wire.TypeJSON)
}

func lockInfoOf(held *lock.HeldError) api.TerraformLock {
	if held.Lease == nil {
		return api.TerraformLock{ID: "unknown", Info: held.Error()}
	}
	return lockInfoOfLease(held.Lease)
}

// lockInfoOfLease returns the lock info with which Terraform acquired the lease, or one that
// says what there is to say of the lease of another client.
func lockInfoOfLease(l *lock.Lease) api.TerraformLock {
	info := api.TerraformLock{
		ID:        l.Metadata[metaTerraformID],
		Operation: l.Metadata[metaTerraformOp],
		Info:      l.Metadata[metaTerraformInfo],
		Who:       l.Holder,
		Version:   l.Metadata[metaTerraformVersion],
		Path:      l.Metadata[metaTerraformPath],
		Created:   l.GrantedAt.UTC().Truncate(time.Millisecond),
	}
	if info.ID == "" {
		info.ID = "octostore-" + strconv.FormatUint(uint64(l.Token), 10)
		info.Info = cmp.Or(info.Info, l.Reason)
		info.Who = cmp.Or(info.Who, "account "+l.Account)
		return info
	}
	if at, err := param.LockInfoTime(l.Metadata[metaTerraformCreated]); err == nil {
		info.Created = at
	}
	return info
}

// unlockTerraform releases a lock of Terraform, or breaks it. The ID of a lock info is no
// secret: it releases the lock only for the account that acquired with it. All other requests are
// breaks, for which the account needs that scope: the force-unlock of an operator with the ID of
// the holder, and that of the versions of Terraform that send no lock info.
func (a *API) unlockTerraform(ctx context.Context, c *caller, p *param.Values) (wire.Ended, error) {
	info := p.LockInfo()
	if info == nil {
		ended, err := a.service.BreakIf(ctx, c.principal, forceUnlock(c, p), isNotNew)
		return wire.Ended{Lease: ended}, err
	}
	ended, err := a.service.Release(ctx, c.principal, lock.ReleaseRequest{Origin: c.origin(), Name: p.Lock, Key: info.ID})
	if refused := errors.Is(err, lock.ErrNotHeld) || errors.Is(err, core.ErrForbidden); refused && c.principal.May(auth.Break, p.Lock) {
		ended, err = a.service.BreakIf(ctx, c.principal, forceUnlock(c, p), func(l *lock.Lease) error {
			if lockInfoOfLease(l).ID != info.ID {
				return lock.ErrNotHeld
			}
			return nil
		})
	}
	return wire.Ended{Lease: ended}, err
}

// newLease is how long a lease is safe from a force-unlock that does not say which one it means.
// Terraform repeats a request whose answer was lost, after 1 and 3 seconds: the first one may
// have ended the lease, and the repeat must not end that of the next waiter.
const newLease = 5 * time.Second

// isNotNew refuses a lease that was granted a moment ago. A grant in the future is one from before
// a restart, and the clock was set back since.
func isNotNew(l *lock.Lease) error {
	if held := time.Since(l.GrantedAt); held >= 0 && held < newLease {
		return problem.ErrJustGranted
	}
	return nil
}

func forceUnlock(c *caller, p *param.Values) lock.BreakRequest {
	return lock.BreakRequest{Origin: c.origin(), Name: p.Lock, Cause: "unlocked by force by Terraform"}
}

// terraformRoute returns the handler for the paths of a route of Terraform's lock protocol.
func terraformRoute(rt *route) httprouter.Handle {
	return func(w http.ResponseWriter, _ *http.Request, ps httprouter.Params) {
		w.(*exchange).runNamed(rt, ps[0].Value[1:]) // it begins with the slash
	}
}
