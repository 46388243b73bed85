package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Limits of the limits.
const (
	longestTTL  = 30 * 24 * time.Hour
	longestWait = 24 * time.Hour
	mostWaiters = 1_000_000
	mostAtATime = 1_000_000
	longestKept = 36_500 * 24 * time.Hour

	longestLogin = 365 * 24 * time.Hour

	leastSize = 1 << 20
	mostSize  = 1 << 50
)

// outOfRange returns what is wrong with each field whose value is well formed but
// out of its range. Fields that are wrong already are not judged, nor used to judge
// others.
func outOfRange(c Config, wrong map[string]string) map[string]string {
	highestTTL := c.MaxTTL
	if _, is := wrong["MaxTTL"]; is {
		highestTTL = longestTTL
	}
	rules := []struct {
		field string
		right bool
	}{
		{"DefaultTTL", lock.MinTTL <= c.DefaultTTL && c.DefaultTTL <= highestTTL},
		{"MaxTTL", lock.MinTTL <= c.MaxTTL && c.MaxTTL <= longestTTL},
		{"MaxWait", time.Second <= c.MaxWait && c.MaxWait <= longestWait},
		{"AuditRetention", time.Second <= c.AuditRetention && c.AuditRetention <= longestKept},
		{"TokenRetention", time.Second <= c.TokenRetention && c.TokenRetention <= longestKept},
		{"WatchFiles", c.WatchFiles == 0 || 10*time.Millisecond <= c.WatchFiles && c.WatchFiles <= time.Hour},
		{"EtcdLease", leastLease <= c.EtcdLease && c.EtcdLease <= longestLease && c.EtcdLease%time.Second == 0},
		{"AuditMaxSize", leastSize <= c.AuditMaxSize && c.AuditMaxSize <= mostSize},
		{"LoginTokenTTL", time.Minute <= c.LoginTokenTTL && c.LoginTokenTTL <= longestLogin},
		{"MaxWaiters", 1 <= c.MaxWaiters && c.MaxWaiters <= mostWaiters},
		{"MaxWaitersPerLock", 1 <= c.MaxWaitersPerLock && c.MaxWaitersPerLock <= mostWaiters},
		{"MaxConnections", 0 <= c.MaxConnections && c.MaxConnections <= mostAtATime},
		{"AccountRate", 0 <= c.AccountRate && c.AccountRate <= mostAtATime},
		{"AccountInFlight", 0 <= c.AccountInFlight && c.AccountInFlight <= mostAtATime},
		{"AccountWaiters", 0 <= c.AccountWaiters && c.AccountWaiters <= mostAtATime},
		{"AccountLocks", 0 <= c.AccountLocks && c.AccountLocks <= mostAtATime},
		{"NewTokens", 0 <= c.NewTokens && c.NewTokens <= mostAtATime},
		{"AddressRate", 0 <= c.AddressRate && c.AddressRate <= mostAtATime},
		{"MaxWatches", 1 <= c.MaxWatches && c.MaxWatches <= mostWaiters},
		{"MaxExports", 1 <= c.MaxExports && c.MaxExports <= mostWaiters},
	}
	out := map[string]string{}
	for _, r := range rules {
		if _, is := wrong[r.field]; !r.right && !is {
			out[r.field] = "is out of range"
		}
	}
	if len(wrong) == 0 {
		unfit(c, out)
		unfitCluster(c, out)
	}
	return out
}

// unfit adds what is wrong with each field that does not go with another.
func unfit(c Config, out map[string]string) {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		out["TLSKey"] = "is missing, for there is OCTOSTORE_TLS_CERT"
	case c.TLSKey != "" && c.TLSCert == "":
		out["TLSCert"] = "is missing, for there is OCTOSTORE_TLS_KEY"
	}
	if c.TrustedProxies == "" && c.ProxyHeader != defaultProxyHeader {
		out["ProxyHeader"] = "has no effect without OCTOSTORE_TRUSTED_PROXIES"
	}
	if c.AdminAddr == "" {
		for field, on := range map[string]Listeners{"MetricsOn": c.MetricsOn, "ReadyOn": c.ReadyOn} {
			if on == "admin" {
				out[field] = "is a listener that there is not, without OCTOSTORE_ADMIN_ADDR"
			}
		}
	}
}

// notTogether returns what is missing, or too much, among the settings of the login by
// GitHub: there is all of it or nothing.
func notTogether(c Config, wrong map[string]string) map[string]string {
	out := map[string]string{}
	if c.GitHubClientID == "" && c.GitHubSecret == "" && c.GitHubSecretFile == "" && c.GitHubAllow == "" {
		return out
	}
	const missing = "is missing, and other settings for logging in by GitHub are there"
	if c.GitHubClientID == "" {
		out["GitHubClientID"] = missing
	}
	if c.GitHubSecret == "" && c.GitHubSecretFile == "" {
		out["GitHubSecretFile"] = missing
	}
	if c.GitHubSecret != "" && c.GitHubSecretFile != "" {
		out["GitHubSecretFile"] = "is there beside OCTOSTORE_GITHUB_CLIENT_SECRET"
	}
	if _, is := wrong["GitHubAllow"]; c.GitHubAllow == "" && !is {
		out["GitHubAllow"] = missing
	}
	return out
}

func parseCount(s string) (any, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, errors.New("is not a whole number")
	}
	return n, nil
}

// Mistake is a setting that cannot be used.
type Mistake struct {
	Value
	Problem string // "is not a duration"
}

func (m Mistake) Error() string {
	from := ""
	if m.Source != FromEnvironment {
		from = " (" + m.Source + ")"
	}
	return fmt.Sprintf("%s=%q%s %s; want %s", m.Name, m.Text, from, m.Problem, m.Want)
}

// Mistakes are all the settings that cannot be used, one line each.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := []string{fmt.Sprintf("%d settings cannot be used:", len(m))}
	if len(m) == 1 {
		lines[0] = "a setting cannot be used:"
	}
	for _, one := range m {
		lines = append(lines, "  "+one.Error())
	}
	return strings.Join(lines, "\n")
}
