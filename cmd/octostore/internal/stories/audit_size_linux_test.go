package stories_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

var auditRecords = flag.Int("audit.records", 0, "how many records to export when its cost is measured (0: as many as is usual)")

// An export takes as much memory whatever its size, and is not much slower than
// reading the same segments from the file.
func TestExportIsStreamed(t *testing.T) {
	records := octotest.HowMany(*auditRecords, 100_000, 20_000)
	dir := t.TempDir()
	path := filepath.Join(dir, "octostore.db")
	fillJournal(t, path, records)
	scan := rawScan(t, path)

	server := octotest.Start(t, dir, "OCTOSTORE_AUDIT_MAX_SIZE=1TiB")
	before := residentPeak(t, server)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	begun := time.Now()
	resp, err := client.Get("http://" + server.Addr + "/v1/audit")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	grown := residentPeak(t, server) - before
	t.Logf("%d records, %d MiB: %s exported, %s read from the file (%.2f of the speed); %d KiB more memory",
		records, n>>20, took, scan, scan.Seconds()/took.Seconds(), grown>>10)
	if grown > 64<<20 {
		t.Errorf("the export took %d MiB of memory", grown>>20)
	}
}

// fillJournal writes many records into a new database.
func fillJournal(t *testing.T, path string, records int) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(store)
	snap, err := j.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seq, now := snap.Head.Seq, time.Now()
	for left := records; left > 0; left -= 256 {
		b := &lock.Batch{}
		for range min(left, 256) {
			seq++
			b.Events = append(b.Events, lock.Event{
				Seq: seq, Time: now, Kind: lock.Denied, RequestID: fmt.Sprintf("fl33m4cspv-%d", seq), Cause: "no",
				Actor: lock.Actor{Account: "local", RemoteAddr: "127.0.0.1:43210", UserAgent: "curl/8.5.0"},
				Lease: &lock.Lease{Name: "deploy/prod", Account: "local", Holder: "ci-4711", TTL: time.Minute},
			})
		}
		if err := j.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		j.Publish()
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// rawScan reads all segments and returns how long that took.
func rawScan(t *testing.T, path string) time.Duration {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	begun := time.Now()
	for after := lock.Seq(0); ; {
		page, err := store.Segments(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return time.Since(begun)
		}
		after = page[len(page)-1].Last
	}
}

// residentPeak returns the most memory a process has had.
func residentPeak(t *testing.T, p *octotest.Server) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
