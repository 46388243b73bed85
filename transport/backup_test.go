package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
)

// copies are backups of a content, instead of a database.
type copies struct {
	content   []byte
	err       error
	blocked   chan struct{} // not nil: Begin waits until it is closed
	by        lock.Origin   // who asked last
	open      atomic.Int64
	begun     atomic.Int64
	delivered atomic.Int64
}

func (c *copies) Begin(ctx context.Context, by lock.Origin) (*Backup, error) {
	c.by = by
	c.begun.Add(1)
	if c.blocked != nil {
		select {
		case <-c.blocked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	c.open.Add(1)
	return &Backup{
		At: time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC), Size: int64(len(c.content)), SHA256: sha256.Sum256(c.content),
		Content: &openCopy{Reader: bytes.NewReader(c.content), of: c},
	}, nil
}

func (c *copies) Delivered(time.Time) { c.delivered.Add(1) }
func (c *copies) Last() time.Time     { return time.Time{} }

type openCopy struct {
	io.Reader
	of *copies
}

func (o *openCopy) Close() error {
	o.of.open.Add(-1)
	return nil
}

// A backup comes with its length, its digest and a name for the file.
func TestBackupIsSentWhole(t *testing.T) {
	c := &copies{content: bytes.Repeat([]byte("0123456789"), 20_000)}
	s := newServer(t, setup{backups: c})
	a := s.do(t, "GET /v1/backup", header("Accept-Encoding", "gzip")).want(200)
	sum := sha256.Sum256(c.content)
	for name, want := range map[string]string{
		"Content-Type":        "application/vnd.sqlite3",
		"Content-Length":      fmt.Sprint(len(c.content)),
		"Content-Digest":      "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		"Content-Disposition": `attachment; filename="octostore-20261127T200000Z.db"`,
		"Content-Encoding":    "",
		"Cache-Control":       "no-store",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !bytes.Equal(a.body, c.content) {
		t.Errorf("%d bytes came, not the %d of the copy", len(a.body), len(c.content))
	}
	if c.by.Actor.Account != auth.LocalAccount || c.by.RequestID == "" {
		t.Errorf("it was made for %+v", c.by)
	}
	if c.delivered.Load() != 1 || c.open.Load() != 0 {
		t.Errorf("%d were delivered, %d are open", c.delivered.Load(), c.open.Load())
	}
	if a := s.do(t, "HEAD /v1/backup").want(200); len(a.body) != 0 || c.begun.Load() != 1 {
		t.Error("a HEAD made a copy")
	}
	s.do(t, "POST /v1/backup").want(405, api.CodeMethodNotAllowed)
	s.do(t, "GET /v1/backup?full=1", onPurpose).wantInvalid("full")
}

// Only administrators get backups, one at a time, and no parts of one.
func TestBackupRefusals(t *testing.T) {
	newServer(t, setup{}).do(t, "GET /v1/backup").want(404, api.CodeNotFound)

	root, ci := auth.NewSecret(), auth.NewSecret()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("root:"+root+":admin\nci:"+ci+":acquire,read,audit:** policies\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &copies{content: []byte("x")}
	s := newServer(t, setup{backups: c, file: file})
	s.do(t, "GET /v1/backup").want(401, api.CodeUnauthenticated)
	if detail := s.do(t, "GET /v1/backup", bearer(ci)).want(403, api.CodeForbidden).problem().Detail; !strings.Contains(detail, "admin") {
		t.Errorf("what is missing is not named: %s", detail)
	}
	c.blocked = make(chan struct{})
	first := make(chan answer, 1)
	go func() { first <- s.do(t, "GET /v1/backup", bearer(root)) }()
	eventuallyTrue(t, "the first is being made", func() bool { return c.begun.Load() == 1 })
	second := s.do(t, "GET /v1/backup", bearer(root)).want(429, api.CodeTooManyReaders)
	if second.header.Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
	close(c.blocked)
	(<-first).want(200)
	c.err = fmt.Errorf("no space: %w", lock.ErrFull)
	s.do(t, "GET /v1/backup", bearer(root)).want(507, api.CodeStorageFull)
	c.err = errors.New("a detail of the disk")
	s.do(t, "GET /v1/backup", bearer(root)).want(500, api.CodeInternal)
	c.err = nil
	s.do(t, "GET /v1/backup", bearer(root)).want(200)
	if c.delivered.Load() != 2 || c.open.Load() != 0 {
		t.Errorf("%d were delivered, want 2; %d are open", c.delivered.Load(), c.open.Load())
	}
}

func eventuallyTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not yet: %s", what)
		}
		_ = sleep.For(t.Context(), 2*time.Millisecond)
	}
}

// A client that hangs up frees the copy, whether it is being made or being sent.
func TestBackupEndsWithItsClient(t *testing.T) {
	c := &copies{content: make([]byte, 64<<20), blocked: make(chan struct{})}
	s := newServer(t, setup{backups: c})
	on := httptest.NewUnstartedServer(nil)
	on.Config = s.Server()
	on.Start()
	defer on.Close()
	dial := func() net.Conn {
		t.Helper()
		to, err := net.Dial("tcp", on.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(to, "GET /v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return to
	}
	making := dial()
	eventuallyTrue(t, "it is being made", func() bool { return c.begun.Load() == 1 })
	_ = making.Close()
	eventuallyTrue(t, "the next may begin", func() bool { return s.backing.InUse() == 0 })

	close(c.blocked)
	sending := dial()
	if _, err := io.ReadFull(sending, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	_ = sending.Close()
	eventuallyTrue(t, "the copy is closed", func() bool { return c.open.Load() == 0 && s.backing.InUse() == 0 })
	if c.delivered.Load() != 0 {
		t.Error("a part counts as a backup")
	}
	resp, err := http.Get(on.URL + "/v1/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(c.content)) {
		t.Errorf("the next: %d bytes, %v", n, err)
	}
}
