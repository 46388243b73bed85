package server

import (
	"log/slog"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/transport"
)

func newAPI(s *server, cfg config.Config, log *slog.Logger) *transport.API {
	rules := core.Config{
		DefaultTTL: cfg.DefaultTTL,
		MaxTTL:     cfg.MaxTTL,
		MaxWait:    cfg.MaxWait,
	}
	if s.policies != nil {
		rules.Guard = s.policies
	}
	shown := transport.Config{
		Service: core.New(s.table, rules),
		Journal: s.journal,
		Logger:  log,
		Version: version.Own(),
		Sizes:   s.store.Sizes,
		Server:  s.describe(cfg),
		Audit: transport.AuditSettings{
			Level:     string(cfg.AuditLevel),
			Retention: cfg.AuditRetention,
			MaxBytes:  int64(cfg.AuditMaxSize),
		},
		Tokens:  s.tokens.Tokens,
		Login:   s.login,
		Public:  cfg.PublicURL.URL(),
		Backups: newBackups(s),

		MetricsOn: listenersOf[cfg.MetricsOn],
		ReadyOn:   listenersOf[cfg.ReadyOn],
		Limits: transport.Limits{
			Rate:        cfg.AccountRate,
			InFlight:    cfg.AccountInFlight,
			AddressRate: cfg.AddressRate,
			NewTokens:   cfg.NewTokens,
			Connections: cfg.MaxConnections,

			AdminConnections: adminConnections(cfg.MaxConnections),
		},
		Proxies: transport.Proxies{
			Trusted: cfg.TrustedProxies.List(),
			Source:  transport.ProxySource(cfg.ProxyHeader),
		},
		MaxWatches: cfg.MaxWatches,
		MaxExports: cfg.MaxExports,
	}
	if s.certificate != nil {
		shown.CertificateExpires = s.certificate.Expires
	}
	if s.policies != nil {
		shown.Policies = administered{s.policies}
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
