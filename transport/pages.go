package transport

import (
	"net/http"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
)

// index says what this is, to whoever finds the port.
func (x *exchange) index() error {
	if x.on == adminSide {
		return x.adminIndex()
	}
	base := "http://" + x.r.Host
	if x.r.TLS != nil {
		base = "https://" + x.r.Host
	}
	x.buf = append(x.buf[:0], "OctoStore "+x.api.version+`: named locks over HTTP, with leases that expire and fencing tokens.

Take a lock for a minute, waiting up to half a minute for it:

    curl -X POST '`+base+`/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s'

A 200 with a lease_id and a fencing_token means that the lock is yours until the lease
ends. Nothing else does: a proxy may answer with a redirect or a login page, for which
curl -f exits 0. Keep the lease_id; pass the fencing_token to whatever the lock protects.

    curl -X POST -H 'Octostore-Lease: LEASE_ID' '`+base+`/v1/locks/deploy/prod/renew'
    curl -X POST -H 'Octostore-Lease: LEASE_ID' '`+base+`/v1/locks/deploy/prod/release'

Who holds it, who waits, and what else is held:

    curl '`+base+`/v1/locks/deploy/prod'
    curl '`+base+`/v1/locks?prefix=deploy/'

Everything else there is:

    /v1/audit       the record of all of it, to keep and to verify
    /v1/events      what happens to locks, as it happens
    /openapi.yaml   the whole API
    /auth/github    log in by GitHub, if the operator has set that up
    /v1/policies    which policies are asked before a lock is given
    /v1/tokens      who may do what; once there is a token, every request needs one
    /healthz        200 unless the server has failed and has to be started again
`...)
	x.watched(x.api.metricsOn != AdminOnly, x.api.readyOn != AdminOnly)
	x.reply(http.StatusOK, typeText)
	return nil
}

// watched adds the lines about what others watch the server by.
func (x *exchange) watched(metrics, ready bool) {
	if metrics {
		x.buf = append(x.buf, "    /metrics        numbers for Prometheus\n"...)
	}
	if ready {
		x.buf = append(x.buf, "    /readyz         200 while leases can be renewed and released; with ?grants=1 while locks are granted, too\n"...)
	}
}

// adminIndex is index for the listener for administration.
func (x *exchange) adminIndex() error {
	x.buf = append(x.buf[:0], "OctoStore "+x.api.version+`: administration. Locks are on the other listener.

    /v1/tokens      who may do what; once there is a token, every request needs one
    /v1/policies    which policies are asked before a lock is given
    `+profilesPath+`   what the process is doing
    /healthz        200 unless the server has failed and has to be started again
`...)
	x.watched(x.api.metricsOn != MainOnly, x.api.readyOn != MainOnly)
	x.reply(http.StatusOK, typeText)
	return nil
}

// health says whether the server can go on: 503 once it has failed for good. Stopping,
// or a full disk, is no failure: those who hold a lock can renew it and give it back.
func (x *exchange) health() error {
	if x.api.service.Serving() != nil {
		return x.status503(api.Failing)
	}
	return x.healthy()
}

// ready says whether clients should be sent here: 200 while holders can renew and release,
// on a full disk too, which the answer then says. With grants=1 it is 503 unless locks are
// granted.
func (x *exchange) ready() error {
	grants, err := x.params.Flag(param.Grants)
	if err != nil {
		return err
	}
	switch {
	case x.api.service.Draining():
		return x.status503(api.Draining)
	case x.api.service.Serving() != nil:
		return x.status503(api.Failing)
	case x.api.service.Full() && grants:
		return x.status503(api.StorageFull)
	case x.api.service.Full():
		x.buf = append(x.buf[:0], `{"status":"ok","degraded":["storage_full"]}`+"\n"...)
		x.reply(http.StatusOK, typeJSON)
		return nil
	}
	return x.healthy()
}

func (x *exchange) healthy() error {
	x.buf = append(x.buf[:0], `{"status":"ok"}`+"\n"...)
	x.reply(http.StatusOK, typeJSON)
	return nil
}

func (x *exchange) status503(status api.HealthStatus) error {
	x.code = api.Code(status)
	x.buf = append(x.buf[:0], `{"status":"`+string(status)+`"}`+"\n"...)
	x.reply(http.StatusServiceUnavailable, typeJSON)
	return nil
}

// openAPI serves the description of the API.
func (x *exchange) openAPI() error {
	x.buf = append(x.buf[:0], api.OpenAPI...)
	x.reply(http.StatusOK, typeYAML)
	return nil
}

// metrics serves the metrics.
func (x *exchange) metrics() error {
	x.armWrite()
	x.api.metrics.Handler.ServeHTTP(x, x.r)
	return nil
}
