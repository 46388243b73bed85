package server

import (
	"log/slog"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/forward"
)

// newDoor returns the door that the APIs of all terms share.
func newDoor(s *server, cfg config.Config) *transport.Door {
	d := transport.DoorConfig{
		Logger: s.log, Version: version.Own(),
		Connections: cfg.MaxConnections, AdminConnections: adminConnections(cfg.MaxConnections),
		Proxies: transport.Proxies{Trusted: cfg.TrustedProxies.List(), Source: transport.ProxySource(cfg.ProxyHeader)},
	}
	if cfg.Store == config.Etcd {
		d.Cluster = clusterView{s}
	}
	if s.certificate != nil {
		d.CertificateExpires = s.certificate.Expires
	}
	return transport.NewDoor(d)
}

// newAPI returns the API of a term.
func newAPI(s *server, t *term, cfg config.Config, log *slog.Logger) *transport.API {
	rules := core.Config{
		DefaultTTL: cfg.DefaultTTL,
		MaxTTL:     cfg.MaxTTL,
		MaxWait:    cfg.MaxWait,
	}
	if s.policies != nil {
		rules.Guard = s.policies
	}
	shown := transport.Config{
		Door:    s.door,
		Service: core.New(t.table, rules),
		Journal: t.journal,
		Logger:  log,
		Version: version.Own(),
		Sizes:   t.store.Sizes,
		Server:  s.describe(t, cfg),
		Audit: transport.AuditSettings{
			Level:     string(cfg.AuditLevel),
			Retention: cfg.AuditRetention,
			MaxBytes:  int64(cfg.AuditMaxSize),
		},
		Tokens:  t.tokens.Tokens,
		Login:   t.login,
		Public:  cfg.PublicURL.URL(),
		Backups: newBackups(t, log),

		MetricsOn: listenersOf[cfg.MetricsOn],
		ReadyOn:   listenersOf[cfg.ReadyOn],
		Limits: transport.Limits{
			Rate:        cfg.AccountRate,
			InFlight:    cfg.AccountInFlight,
			AddressRate: cfg.AddressRate,
			NewTokens:   cfg.NewTokens,
		},
		MaxWatches: cfg.MaxWatches,
		MaxExports: cfg.MaxExports,
		Ends:       t.claim != nil,
	}
	if s.policies != nil {
		shown.Policies = administered{s.policies}
	}
	if s.node != nil {
		shown.Cluster = clusterView{s}
		shown.Forwarded = forward.NewReceiver(s.node.ForwardKey(), t.claim.Term())
	}
	if s.tracer != nil {
		shown.Tracer = s.tracer
	}
	return transport.New(shown)
}

var listenersOf = map[config.Listeners]transport.Listeners{
	"both":  transport.Both,
	"main":  transport.MainOnly,
	"admin": transport.AdminOnly,
}
