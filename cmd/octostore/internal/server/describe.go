package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/api"
)

// describe returns a function that returns what the API cannot know of the server itself.
func (s *server) describe(t *term, cfg config.Config) func() api.Server {
	limits, settings, kept := shownLimits(cfg), shownSettings(s.settings), t.place(cfg)
	return func() api.Server {
		return api.Server{
			StartedAt: s.started, ProcessID: os.Getpid(), Addresses: s.addresses(), Database: t.database(kept),
			Certificate: s.shownCertificate(), Limits: slices.Clone(limits), Settings: settings,
		}
	}
}

// addresses returns the URLs of the listeners, the main one first.
func (s *server) addresses() []string {
	all := []string{s.url()}
	if s.admin != nil {
		scheme, _, _ := strings.Cut(s.url(), "://")
		all = append(all, scheme+"://"+s.admin.Addr().String())
	}
	return all
}

// place returns where the lock table is kept: a path, or a URL.
func (t *term) place(cfg config.Config) string {
	if t.claim == nil {
		return string(cfg.DB)
	}
	if endpoints := cfg.EtcdEndpoints.List(); len(endpoints) > 0 {
		_, host, _ := strings.Cut(endpoints[0], "://")
		return "etcd://" + host + string(cfg.EtcdPrefix)
	}
	return "etcd"
}

func (t *term) database(path string) api.Database {
	db := api.Database{Path: path, ReserveBytes: t.store.Reserve()}
	db.Bytes, db.WALBytes = t.store.Sizes()
	if t.claim != nil {
		return db // its disk is not of this machine
	}
	if free, known := sqlite.FreeSpace(filepath.Dir(path)); known {
		db.DiskFree = &free
	}
	return db
}

func (s *server) shownCertificate() *api.Certificate {
	if s.certificate == nil {
		return nil
	}
	return &api.Certificate{ExpiresAt: s.certificate.Expires().UTC(), Subject: s.certificate.Subject()}
}

// shownLimits returns the limits in effect, under the names of their settings.
func shownLimits(cfg config.Config) []api.Limit {
	return []api.Limit{
		{Name: "max_waiters", Value: int64(cfg.MaxWaiters)},
		{Name: "max_waiters_per_lock", Value: int64(cfg.MaxWaitersPerLock)},
		{Name: "max_connections", Value: int64(cfg.MaxConnections)},
		{Name: "max_watches", Value: int64(cfg.MaxWatches)},
		{Name: "max_exports", Value: int64(cfg.MaxExports)},
		{Name: "account_rate", Value: int64(cfg.AccountRate)},
		{Name: "account_in_flight", Value: int64(cfg.AccountInFlight)},
		{Name: "account_waiters", Value: int64(cfg.AccountWaiters)},
		{Name: "account_locks", Value: int64(cfg.AccountLocks)},
		{Name: "address_rate", Value: int64(cfg.AddressRate)},
		{Name: "new_tokens_per_hour", Value: int64(cfg.NewTokens)},
	}
}

// shownSettings returns the settings as administrators see them: of a secret only that it is
// set, and of everything else nothing that may be one.
func shownSettings(values []config.Value) []api.Setting {
	all := []api.Setting{}
	for _, v := range values {
		one := api.Setting{Name: v.Name, Value: v.Text, Source: v.Source, Secret: v.Secret}
		if v.Secret && v.Text != v.Default || holdsSecret(v.Text) {
			one.Value = "(set)"
		}
		if holdsSecret(v.Source) {
			one.Source = "a file"
		}
		all = append(all, one)
	}
	return all
}

// holdsSecret reports whether a text has a token in it, or a URL with a user or a password.
func holdsSecret(text string) bool {
	if auth.HoldsSecret(text) {
		return true
	}
	for _, after := range strings.Split(text, "://")[1:] {
		if authority, _, _ := strings.Cut(after, "/"); strings.Contains(authority, "@") {
			return true
		}
	}
	return false
}
