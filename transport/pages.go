package transport

import (
	"context"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
)

// index says what this server is, and how to use it.
func (a *API) index(_ context.Context, c *caller, _ *param.Values) (wire.Raw, error) {
	if c.listener == adminListener {
		return a.adminIndex(), nil
	}
	base := "http://" + c.r.Host
	if c.r.TLS != nil {
		base = "https://" + c.r.Host
	}
	return textPage("OctoStore " + a.version + `: named locks over HTTP, with leases that expire and fencing tokens.

Take a lock for a minute, waiting up to half a minute for it:

    curl -X POST '` + base + `/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s'

A 200 with a lease_id and a fencing_token means that the lock is yours until the lease
ends. Nothing else does: a proxy may answer with a redirect or a login page, for which
curl -f exits 0. Keep the lease_id; pass the fencing_token to whatever the lock protects.

    curl -X POST -H 'Octostore-Lease: LEASE_ID' '` + base + `/v1/locks/deploy/prod/renew'
    curl -X POST -H 'Octostore-Lease: LEASE_ID' '` + base + `/v1/locks/deploy/prod/release'

Show its holder and its waiters, and list locks:

    curl '` + base + `/v1/locks/deploy/prod'
    curl '` + base + `/v1/locks?prefix=deploy/'

Everything else there is:

    /v1/audit       the audit log, to export and to verify
    /v1/events      events of locks, as they happen
    /docs           the whole API, to read in a browser
    /openapi.yaml   the same for programs
    /auth/github    log in with GitHub, if the operator has set it up
    /v1/policies    the policies that are evaluated before a lock is granted
    /v1/terraform/  the locks as Terraform's http backend locks its state
    /v1/tokens      tokens and their scopes; once there is a token, every request needs one
    /v1/backup      a copy of the database, for administrators
    /healthz        200 unless the server has failed and has to be restarted
` + monitoring(a.metricsOn != AdminOnly, a.readyOn != AdminOnly)), nil
}

func textPage(text string) wire.Raw { return wire.Raw{Body: []byte(text), ContentType: wire.TypeText} }

// monitoring returns the lines about what monitors the server.
func monitoring(metrics, ready bool) (lines string) {
	if metrics {
		lines += "    /metrics        Prometheus metrics\n"
	}
	if ready {
		lines += "    /readyz         200 while leases can be renewed and released; with ?grants=1 only while locks are granted\n"
	}
	return lines
}

// adminIndex is index on the admin listener.
func (a *API) adminIndex() wire.Raw {
	return textPage("OctoStore " + a.version + `: administration. Locks are on the other listener.

    /v1/tokens      tokens and their scopes; once there is a token, every request needs one
    /v1/policies    the policies that are evaluated before a lock is granted
    /v1/backup      a copy of the database, for administrators
    ` + profilesPath + `   profiles of the process
    /healthz        200 unless the server has failed and has to be restarted
` + monitoring(a.metricsOn != MainOnly, a.readyOn != MainOnly))
}

// health answers the liveness probe: 503 once the server has failed for good. A server that
// stops, or has a full disk, has not failed: holders can still renew and release.
func (a *API) health(context.Context, *caller, *param.Values) (wire.Health, error) {
	if a.service.Serving() != nil {
		return wire.Health{Status: api.Failing}, nil
	}
	return wire.Health{}, nil
}

// ready answers the readiness probe: 200 while holders can renew and release. On a full disk
// it is 200 too, and says that the server is degraded. With grants=1 it is 503 unless locks
// are granted.
func (a *API) ready(_ context.Context, _ *caller, p *param.Values) (wire.Health, error) {
	grants, err := p.Flag(param.Grants)
	if err != nil {
		return wire.Health{}, err
	}
	switch {
	case a.service.Draining():
		return wire.Health{Status: api.Draining}, nil
	case a.service.Serving() != nil:
		return wire.Health{Status: api.Failing}, nil
	case a.service.Full() && grants:
		return wire.Health{Status: api.StorageFull}, nil
	}
	return wire.Health{Degraded: a.service.Full()}, nil
}

// openAPI serves the description of the API.
func (a *API) openAPI(context.Context, *caller, *param.Values) (wire.Raw, error) {
	return wire.Raw{Body: api.OpenAPI, ContentType: wire.TypeYAML}, nil
}

// metrics serves the metrics.
func (x *exchange) metrics() error {
	x.armWrite()
	x.api.metrics.Handler.ServeHTTP(x, x.r)
	return nil
}
