package faults_test

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
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/storetool"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

const (
	enough = 1000 // records
	// record is how a record begins in an export: that has openings and checkpoints, too.
	record = `{"seq":`
)

// checkExport verifies and replays an export.
func checkExport(t *testing.T, path, dir string) {
	t.Helper()
	var said bytes.Buffer
	if err := audittool.Replay(t.Context(), nil, &said, nil, nil, storetool.FileTable(filepath.Join(dir, "octostore.db")), []string{path}); err != nil {
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
	// Records younger than twice the largest ttl, here four seconds, are never pruned.
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
	s.untilEnough(testing.Short())
	stop()
	s.wg.Wait()
	s.check(kills, testing.Short())
}

// untilEnough waits until what was exported has enough records, and a pruning: how soon
// that is, the disk decides.
func (s *soak) untilEnough(short bool) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		exported, err := os.ReadFile(s.output())
		if err == nil && bytes.Count(exported, []byte("\n"+record)) >= enough && (short || bytes.Contains(exported, []byte(`"kind":"pruned"`))) {
			return
		}
	}
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
		if !strings.HasPrefix(line, record) {
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
	if starts != kills+1 || !short && pruned == 0 || len(lines) < enough {
		t.Errorf("%d starts, %d prunings, %d records: it tries too little", starts, pruned, len(lines))
	}
	t.Logf("%d records, %d of them followed, %d prunings", len(lines), len(followed), pruned)
}
