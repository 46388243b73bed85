package transport

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scrape returns the metrics as lines, by their name and labels.
func (s *server) scrape(t *testing.T) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for line := range strings.Lines(string(s.do(t, "GET /metrics").want(200).body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		lines[line[:i]] = strings.TrimSpace(line[i:])
	}
	return lines
}

func TestMetricsOfRequests(t *testing.T) {
	s := newServer(t, setup{})
	g := s.acquire(t, "a")
	s.do(t, "POST /v1/locks/a/acquire").want(409)
	s.do(t, "POST /v1/locks/a/acquire").want(409)
	left, leave := context.WithCancel(t.Context())
	leave()
	s.do(t, "POST /v1/locks/a/acquire?wait=1m", during(left))
	s.do(t, "POST /v1/locks/a/acquire?ttl=no", onPurpose).want(400)
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	s.do(t, "GET /v1/locks/a").want(200)
	s.do(t, "GET /nothing").want(404)
	s.do(t, "GET /v1/locks/a/acquire").want(405)
	s.do(t, "GET /healthz").want(200)
	s.table.Drain()
	s.do(t, "GET /readyz").want(503)
	s.do(t, "POST /v1/locks/a/acquire").want(503)

	got := s.scrape(t)
	for line, want := range map[string]string{
		`octostore_http_requests_total{code="ok",route="acquireLock"}`:          "1",
		`octostore_http_requests_total{code="held",route="acquireLock"}`:        "2",
		`octostore_http_requests_total{code="invalid",route="acquireLock"}`:     "1",
		`octostore_http_requests_total{code="draining",route="acquireLock"}`:    "1",
		`octostore_http_requests_total{code="ok",route="getLock"}`:              "1",
		`octostore_http_requests_total{code="not_found",route="none"}`:          "1",
		`octostore_http_requests_total{code="method_not_allowed",route="none"}`: "1",
		`octostore_http_requests_total{code="ok",route="health"}`:               "1",
		`octostore_http_requests_total{code="draining",route="ready"}`:          "1",
		`octostore_http_requests_total{code="gone",route="acquireLock"}`:        "1",
		`octostore_http_request_seconds_count{route="acquireLock"}`:             "6",
		`octostore_draining`: "1",
		`octostore_granting`: "0",
		`octostore_serving`:  "1",
	} {
		if got[line] != want {
			t.Errorf("%s is %q, want %s", line, got[line], want)
		}
	}
}

func TestMetricsOfTheTable(t *testing.T) {
	s := newServer(t, setup{sizes: func() (int64, int64) { return 4096, 8192 }})
	g := s.acquire(t, "a")
	s.acquire(t, "b")
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	got := s.scrape(t)
	for line, want := range map[string]string{
		`octostore_locks_held`:                     "1",
		`octostore_watches`:                        "0",
		`octostore_exports`:                        "0",
		`octostore_waiters`:                        "0",
		`octostore_queue_waiters{priority="back"}`: "0",
		`octostore_wait_seconds_count`:             "2",
		`octostore_hold_seconds_count`:             "1",
		`octostore_hold_seconds_bucket{le="+Inf"}`: "1",
		`octostore_commits_without_space_total`:    "0",
		`octostore_database_bytes`:                 "4096",
		`octostore_wal_bytes`:                      "8192",
		`octostore_http_panics_total`:              "0",
	} {
		if got[line] != want {
			t.Errorf("%s is %q, want %s", line, got[line], want)
		}
	}
	for _, name := range []string{`octostore_commit_seconds_count`, `octostore_batch_events_count`, "go_goroutines", "process_start_time_seconds"} {
		if got[name] == "" || got[name] == "0" {
			t.Errorf("%s is %q", name, got[name])
		}
	}
	if !slices.ContainsFunc(keys(got), func(line string) bool {
		return strings.HasPrefix(line, "octostore_build_info{") && strings.Contains(line, `version="test"`)
	}) {
		t.Error("there is no build info")
	}
}

func TestMetricsWithoutSizes(t *testing.T) {
	for line := range newServer(t, setup{}).scrape(t) {
		if strings.HasPrefix(line, "octostore_database_bytes") || strings.HasPrefix(line, "octostore_wal_bytes") {
			t.Errorf("there is %s", line)
		}
	}
}

// Whatever a client says, it is the value of no label: names, holders and accounts
// would make a series each, and are confidential.
func TestMetricsTellNothingAboutClients(t *testing.T) {
	s := newServer(t, setup{})
	g := s.do(t, "POST /v1/locks/canary-name/acquire?holder=canary-holder&reason=canary-reason&meta.canary=canary",
		header("X-Request-Id", "canary-id"), header("User-Agent", "canary-agent"), header("Idempotency-Key", "canary-key-0123456789")).grant()
	s.do(t, "POST /v1/locks/canary-name/release", header("Octostore-Lease", g.LeaseID)).want(200)
	s.do(t, "GET /canary-path").want(404)
	s.do(t, "CANARY /v1/locks/canary-name").want(405)
	s.do(t, "GET /v1/locks?canary=1", onPurpose).want(400)
	metrics := string(s.do(t, "GET /metrics").want(200).body)
	if found := regexp.MustCompile(`(?i)canary|account|` + g.LeaseID).FindString(metrics); found != "" {
		t.Errorf("the metrics have %q", found)
	}
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestMetricsOfPolicies(t *testing.T) {
	got := newServer(t, setup{policies: ruled{}}).scrape(t)
	for line, want := range map[string]string{
		`octostore_policies_loaded_timestamp_seconds`:                    "1.767323045e+09",
		`octostore_policies_failed_reloads_total`:                        "2",
		`octostore_policy_calls_total{mode="enforce",policy="freeze"}`:   "3",
		`octostore_policy_denials_total{mode="enforce",policy="freeze"}`: "1",
		`octostore_policy_errors_total{mode="shadow",policy="audit"}`:    "3",
		`octostore_policy_fuel_total{mode="enforce",policy="freeze"}`:    "900",
		`octostore_observer_lag_seconds{policy="audit"}`:                 "1.5",
		`octostore_observer_parked_total{policy="audit"}`:                "1",
		`octostore_observer_gaps_total{policy="audit"}`:                  "4",
		`octostore_observer_lag_seconds{policy="freeze"}`:                "",
		`octostore_policy_breaker_open{policy="freeze"}`:                 "0",
		`octostore_policy_breaker_open{policy="audit"}`:                  "1",
		`octostore_policy_breaker_opened_total{policy="audit"}`:          "2",
		`octostore_policy_instances{policy="audit"}`:                     "3",
		`octostore_policy_memory_bytes{policy="audit"}`:                  "4096",
		`octostore_policy_starts_total{policy="audit"}`:                  "5",
		`octostore_policy_place_waits_total{policy="audit"}`:             "6",
		`octostore_policy_place_wait_seconds_total{policy="audit"}`:      "0.007",
		`octostore_policy_log_lines_dropped_total{policy="audit"}`:       "8",

		`octostore_policy_call_duration_seconds_bucket{mode="shadow",policy="audit",le="1.024e-06"}`: "4",
		`octostore_policy_call_duration_seconds_bucket{mode="shadow",policy="audit",le="4.096e-06"}`: "8",
		`octostore_policy_call_duration_seconds_bucket{mode="shadow",policy="audit",le="+Inf"}`:      "9",
		`octostore_policy_call_duration_seconds_sum{mode="shadow",policy="audit"}`:                   "0.5",
		`octostore_policy_call_duration_seconds_count{mode="shadow",policy="audit"}`:                 "9",
	} {
		if got[line] != want {
			t.Errorf("%s is %q, want %q", line, got[line], want)
		}
	}
	without := newServer(t, setup{}).scrape(t)
	if without[`octostore_policies_loaded_timestamp_seconds`] != "0" {
		t.Errorf("without policies: %q", without[`octostore_policies_loaded_timestamp_seconds`])
	}
}
