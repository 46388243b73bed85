package stories_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// checkExport verifies and replays an export.
func checkExport(t *testing.T, path, dir string) {
	t.Helper()
	var said bytes.Buffer
	if err := audittool.Replay(t.Context(), nil, &said, nil, filepath.Join(dir, "octostore.db"), []string{path}); err != nil {
		t.Errorf("%v\n%s", err, &said)
	}
	t.Logf("%s", &said)
}

func clientOf(t *testing.T, addr string) *client.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{URL: "http://" + addr, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// freePort returns an address that a server can be started on again and again.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// soak writes, prunes, exports and follows at once on a server that is killed now and
// then.
type soak struct {
	t    *testing.T
	addr string
	dir  string
	done context.Context
	wg   sync.WaitGroup

	followed bytes.Buffer // by one that follows all the time
}

// A server is written to, killed, pruned, exported from and followed, all at once. What
// the exports hold, put together, is unbroken; who follows gets every record once; and
// the database is what the records say.
func TestAuditLogHoldsWhileEverythingHappensAtOnce(t *testing.T) {
	// What is younger than twice the largest ttl, here four seconds, is never pruned.
	kills, apart := 3, 3*time.Second
	if testing.Short() {
		kills, apart = 2, time.Second
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &soak{t: t, addr: freePort(t), dir: t.TempDir(), done: ctx}
	environ := []string{
		"OCTOSTORE_ADDR=" + s.addr, "OCTOSTORE_DEFAULT_TTL=1s", "OCTOSTORE_MAX_TTL=2s",
		"OCTOSTORE_AUDIT_MAX_SIZE=1MiB", "OCTOSTORE_AUDIT_LEVEL=all",
	}
	server := octotest.Start(t, s.dir, environ...)
	for n := range 4 {
		s.wg.Go(func() { s.write(n) })
	}
	s.wg.Go(s.follow)
	s.wg.Go(s.export)
	for range kills {
		time.Sleep(apart)
		server.Kill()
		server = octotest.Start(t, s.dir, environ...)
	}
	time.Sleep(apart)
	stop()
	s.wg.Wait()
	s.check(kills, testing.Short())
}

func (s *soak) output() string { return filepath.Join(s.dir, "audit.ndjson") }
func (s *soak) state() string  { return filepath.Join(s.dir, "audit.state") }

// write takes locks, gives them back, lets some expire, and is refused others.
func (s *soak) write(n int) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for s.done.Err() == nil {
		path := fmt.Sprintf("http://%s/v1/locks/soak/%d", s.addr, rng.IntN(20))
		resp, err := client.Post(path+"/acquire?holder="+fmt.Sprint(n), "", nil)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // it is being started again
			continue
		}
		var g api.Grant
		err = json.NewDecoder(resp.Body).Decode(&g)
		_ = resp.Body.Close() // read to its end
		if err == nil && g.LeaseID != "" && rng.IntN(10) > 0 {
			if resp, err := client.Post(path+"/release?lease_id="+g.LeaseID, "", nil); err == nil {
				_ = resp.Body.Close() // whatever it says: the lease ends by itself, too
			}
		}
	}
}

// follow is octostore audit tail -f.
func (s *soak) follow() {
	f := audittool.TailConfig{Client: clientOf(s.t, s.addr), Query: client.AuditQuery{Follow: true}, Out: &s.followed, Errors: io.Discard}
	if err := audittool.Tail(s.done, f); err != nil {
		s.t.Errorf("following: %v", err)
	}
}

// export is octostore audit export --state, again and again.
func (s *soak) export() {
	for s.done.Err() == nil {
		e := audittool.ExportConfig{Client: clientOf(s.t, s.addr), Progress: io.Discard}
		err := e.Resume(s.done, s.output(), s.state())
		if err != nil && strings.Contains(err.Error(), "pruned") {
			s.t.Errorf("export: %v", err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// check holds everything against everything else.
func (s *soak) check(kills int, short bool) {
	t := s.t
	e := audittool.ExportConfig{Client: clientOf(t, s.addr), Progress: io.Discard}
	if err := e.Resume(t.Context(), s.output(), s.state()); err != nil {
		t.Fatal(err)
	}
	checkExport(t, s.output(), s.dir)
	exported, err := os.ReadFile(s.output())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	starts, pruned := 0, 0
	for line := range strings.Lines(string(exported)) {
		if !strings.HasPrefix(line, `{"seq":`) {
			continue
		}
		lines = append(lines, line)
		switch {
		case strings.Contains(line, `"kind":"started"`):
			starts++
		case strings.Contains(line, `"kind":"pruned"`):
			pruned++
		}
	}
	followed := strings.SplitAfter(s.followed.String(), "\n")
	followed = followed[:len(followed)-1]
	if len(followed) < len(lines)/2 {
		t.Errorf("%d of %d records were followed", len(followed), len(lines))
	}
	for i, line := range followed {
		if line != lines[i] {
			t.Fatalf("record %d that was followed is\n%swant\n%s", i, line, lines[i])
		}
	}
	if starts != kills+1 || !short && pruned == 0 || len(lines) < 1000 {
		t.Errorf("%d starts, %d prunings, %d records: it tries too little", starts, pruned, len(lines))
	}
	t.Logf("%d records, %d of them followed, %d prunings", len(lines), len(followed), pruned)
}

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
		return octotest.Answer{Status: response.StatusCode, Body: string(body), Err: err}
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
