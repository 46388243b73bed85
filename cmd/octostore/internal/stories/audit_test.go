package stories_test

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// A curl that watches ends well when the server is told to stop, and so does the
// server.
func TestCurlWatchesUntilTheServerStops(t *testing.T) {
	octotest.NeedTools(t, "curl")
	server := octotest.Start(t, t.TempDir())
	curl := exec.Command("curl", "-sSN", "http://"+server.Addr+"/v1/events?prefix=deploy/")
	out := &octotest.Buffer{}
	curl.Stdout, curl.Stderr = out, out
	if err := curl.Start(); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "curl is told its place", func() bool { return strings.Contains(out.String(), "id: ") })
	octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/deploy/prod/acquire?holder=ci"), 200, "")
	octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/other/acquire"), 200, "")
	octotest.WaitUntil(t, "curl is told of the grant", func() bool { return strings.Contains(out.String(), `"holder":"ci"`) })

	asked := time.Now()
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := curl.Wait(); err != nil {
		t.Errorf("curl: %v", err)
	}
	state, err := server.Wait(10 * time.Second)
	if err != nil || !state.Success() {
		t.Errorf("the server ended with %v, %v", state, err)
	}
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if text := out.String(); !strings.Contains(text, "event: granted\ndata: {") || strings.Contains(text, "other") {
		t.Errorf("curl was told\n%s", text)
	}
}

// What is secret comes out nowhere but where it belongs: not in exports, events, logs or
// metrics, in no form.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	const key, bearer = "canary-key-0123456789abcdef", "canary-bearer-0123456789"
	dir := t.TempDir()
	server := octotest.Start(t, dir, "OCTOSTORE_AUDIT_LEVEL=all", "OCTOSTORE_LOG_LEVEL=debug")
	send := func(path string, headers ...string) octotest.Answer {
		request, err := http.NewRequest("POST", "http://"+server.Addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+bearer)
		request.Header.Set(api.HeaderKey, key)
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return octotest.Answer{Status: response.StatusCode, Body: string(body), After: time.Now(), Err: err}
	}
	defer http.DefaultClient.CloseIdleConnections()
	watched := exec.Command("curl", "-sSN", "http://"+server.Addr+"/v1/events")
	events := &octotest.Buffer{}
	watched.Stdout = events
	if err := watched.Start(); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "it watches", func() bool { return strings.Contains(events.String(), "id: ") })

	got := send("/v1/locks/a/acquire?ttl=60s")
	octotest.Expect(t, got, 200, "")
	lease := octotest.Member(t, got.Body, "lease_id")
	octotest.Expect(t, send("/v1/locks/a/acquire?ttl=61s"), 422, "")
	octotest.Expect(t, send("/v1/locks/b/acquire?ttl=60s", api.HeaderKey, "another-"+key), 200, "")
	octotest.Expect(t, send("/v1/locks/a/acquire", api.HeaderKey, "stranger-"+key), 409, "")
	octotest.Expect(t, send("/v1/locks/a/renew?lease_id="+lease), 200, "")
	octotest.Expect(t, send("/v1/locks/b/release", api.HeaderLease, lease), 409, "")
	octotest.Expect(t, send("/v1/locks/a/release", api.HeaderLease, lease), 200, "")

	outputs := map[string]string{
		"ndjson":  octotest.Call("GET", server.Addr, "/v1/audit").Body,
		"csv":     octotest.Call("GET", server.Addr, "/v1/audit?format=csv").Body,
		"metrics": octotest.Call("GET", server.Addr, "/metrics").Body,
		"list":    octotest.Call("GET", server.Addr, "/v1/locks").Body,
		"lock":    octotest.Call("GET", server.Addr, "/v1/locks/b").Body,
	}
	octotest.WaitUntil(t, "the release is watched", func() bool { return strings.Contains(events.String(), "event: released") })
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := watched.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := server.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	outputs["events"] = events.String()
	outputs["log"] = server.RawLog()
	for where, text := range outputs {
		if len(text) < 100 {
			t.Errorf("%s: only %q", where, text)
		}
		for what, canary := range map[string]string{"a lease id": lease, "an idempotency key": key, "a bearer token": bearer} {
			if strings.Contains(text, canary) {
				t.Errorf("%s has %s", where, what)
			}
		}
	}
}
