package transport

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// everythingMeasured is a server with everything that has metrics.
func everythingMeasured(t *testing.T) *server {
	t.Helper()
	free := int64(1 << 30)
	return newServer(t, setup{
		sizes: func() (int64, int64) { return 4096, 8192 }, policies: ruled{}, backups: backedUp{},
		server: func() api.Server {
			return api.Server{
				Database:    api.Database{Path: "octostore.db", ReserveBytes: 20 << 20, DiskFree: &free},
				Limits:      []api.Limit{{Name: "max_waiters", Value: 50000}},
				Certificate: &api.Certificate{ExpiresAt: time.Unix(1_800_000_000, 0)},
			}
		},
	})
}

// backedUp are backups of which the last was made at a known time.
type backedUp struct{ Backups }

func (backedUp) Last() time.Time { return time.Unix(1_700_000_000, 0) }

func TestMetricsAreWellNamed(t *testing.T) {
	text := everythingMeasured(t).do(t, "GET /metrics").want(200).body
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The values of labels are from the program, the settings or the manifest: never from a
// client, whose names, holders, accounts and tokens are confidential and without number.
func TestMetricsHaveKnownLabelsOnly(t *testing.T) {
	known := []string{"code", "go_version", "kind", "le", "limit", "listener", "mode", "policy", "priority", "quantile", "route", "version"}
	text := string(everythingMeasured(t).do(t, "GET /metrics").want(200).body)
	for _, found := range regexp.MustCompile(`[{,]([a-zA-Z_]+)="`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, found[1]) {
			t.Errorf("a series has the label %q", found[1])
		}
	}
}

func TestMetricsOfEvents(t *testing.T) {
	s := newServer(t, setup{})
	g := s.acquire(t, "a")
	s.do(t, "POST /v1/locks/a/renew", header("Octostore-Lease", g.LeaseID)).want(200)
	s.do(t, "POST /v1/locks/a/break?reason=stuck").want(200)
	s.acquire(t, "a")
	got := s.scrape(t)
	for line, want := range map[string]string{
		`octostore_events_total{kind="granted"}`:          "2",
		`octostore_events_total{kind="renewed"}`:          "1",
		`octostore_events_total{kind="broken"}`:           "1",
		`octostore_events_total{kind="expired"}`:          "0",
		`octostore_events_total{kind="undone"}`:           "0",
		`octostore_events_total{kind="denied"}`:           "0",
		`octostore_renew_margin_ratio_count`:              "1",
		`octostore_renew_margin_ratio_bucket{le="0.9"}`:   "0", // it was renewed at once
		`octostore_renew_margin_ratio_bucket{le="1"}`:     "1",
		`octostore_journal_checkpoint_timestamp_seconds`:  "0", // none yet
		`octostore_configured_limit{limit="max_waiters"}`: "",
	} {
		if got[line] != want {
			t.Errorf("%s is %q, want %q", line, got[line], want)
		}
	}
}

func TestMetricsOfTheJournalAndTheDisk(t *testing.T) {
	s := everythingMeasured(t)
	if _, err := s.table.Append(context.Background(), lock.Event{Kind: lock.Checkpoint}); err != nil {
		t.Fatal(err)
	}
	got := s.scrape(t)
	for line, want := range map[string]string{
		`octostore_disk_free_bytes`:                       "1.073741824e+09",
		`octostore_reserve_bytes`:                         "2.097152e+07",
		`octostore_configured_limit{limit="max_waiters"}`: "50000",
		`octostore_events_total{kind="checkpoint"}`:       "1",
	} {
		if got[line] != want {
			t.Errorf("%s is %q, want %q", line, got[line], want)
		}
	}
	for _, line := range []string{"octostore_journal_head", "octostore_journal_head_timestamp_seconds", "octostore_journal_checkpoint_timestamp_seconds"} {
		if got[line] == "" || got[line] == "0" {
			t.Errorf("%s is %q", line, got[line])
		}
	}
}
