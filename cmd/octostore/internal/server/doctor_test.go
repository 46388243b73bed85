package server

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/doctor"
)

// What serve refuses to start for the doctor finds, in the same words; and what serve
// starts with the doctor passes.
func TestDoctorFindsWhatServeRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := func() string {
		path := filepath.Join(t.TempDir(), "o.db")
		store, err := openSQLite(t.Context(), path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	readOnly := t.TempDir()
	if err := os.Chmod(readOnly, 0o500); err != nil {
		t.Fatal(err)
	}
	linked := database()
	if err := os.Link(linked, linked+"2"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		environ []string
		want    string // empty: it starts
	}{
		{"defaults", nil, ""},
		{"a port that is taken", []string{"OCTOSTORE_ADDR=" + taken.Addr().String()}, "the port is taken"},
		{"a port that is taken, for administration", []string{"OCTOSTORE_ADMIN_ADDR=" + taken.Addr().String()}, "OCTOSTORE_ADMIN_ADDR names another"},
		{"an address of another machine", []string{"OCTOSTORE_ADDR=192.0.2.1:0"}, "listen on 192.0.2.1:0"},
		{"strangers, and no database", []string{"OCTOSTORE_ADDR=0.0.0.0:0"}, "this is not a loopback address"},
		{"strangers, and no tokens", []string{"OCTOSTORE_ADDR=0.0.0.0:0", "OCTOSTORE_DB=" + database()}, "this is not a loopback address"},
		{"strangers to administration", []string{"OCTOSTORE_ADMIN_ADDR=0.0.0.0:0", "OCTOSTORE_DB=" + database()}, "this is not a loopback address"},
		{"strangers, and a tokens file", []string{"OCTOSTORE_ADDR=0.0.0.0:0", "OCTOSTORE_TOKENS_FILE=" + file("tokens", "a:"+strings.Repeat("x", 40)+"\n", 0o600)}, ""},
		{"a folder that is not there", []string{"OCTOSTORE_DB=" + filepath.Join(t.TempDir(), "none", "o.db")}, "no such file or directory"},
		{"a folder that cannot be written to", []string{"OCTOSTORE_DB=" + filepath.Join(readOnly, "o.db")}, "OCTOSTORE_DB can name another folder"},
		{"a database that is a folder", []string{"OCTOSTORE_DB=" + t.TempDir()}, "not a regular file"},
		{"a database of two names", []string{"OCTOSTORE_DB=" + linked}, "2 names"},
		{"a tokens file that all users can read", []string{"OCTOSTORE_TOKENS_FILE=" + file("tokens", "a:"+strings.Repeat("x", 40)+"\n", 0o644)}, "can be read or changed by everybody"},
		{"a file as the archive", []string{"OCTOSTORE_AUDIT_ARCHIVE=" + file("archive", "", 0o600)}, "OCTOSTORE_AUDIT_ARCHIVE: "},
		{"an archive that cannot be written to", []string{"OCTOSTORE_AUDIT_ARCHIVE=" + readOnly}, "OCTOSTORE_AUDIT_ARCHIVE: "},
		{"no certificate", []string{"OCTOSTORE_TLS_CERT=none.pem", "OCTOSTORE_TLS_KEY=none.pem"}, "OCTOSTORE_TLS_CERT: open none.pem"},
		{"no secret for logins", []string{"OCTOSTORE_GITHUB_CLIENT_ID=x", "OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=absent", "OCTOSTORE_GITHUB_ALLOW=user:a@1=read:**"}, "OCTOSTORE_GITHUB_CLIENT_SECRET_FILE"},
		{"no place to come back to", []string{"OCTOSTORE_ADDR=0.0.0.0:0", "OCTOSTORE_GITHUB_CLIENT_ID=x", "OCTOSTORE_GITHUB_CLIENT_SECRET=y", "OCTOSTORE_GITHUB_ALLOW=user:a@1=read:**"}, "OCTOSTORE_PUBLIC_URL is missing"},
		{"no policies", []string{"OCTOSTORE_POLICIES=none.json"}, "none.json: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(test.name, "cannot be written to") && os.Geteuid() == 0 {
				t.Skip("SKIP: root may write to every folder")
			}
			t.Chdir(t.TempDir())
			environ := append([]string{"OCTOSTORE_ADDR=127.0.0.1:0"}, test.environ...)
			refusal := serveRefuses(t, environ)
			if (refusal == "") != (test.want == "") || !strings.Contains(refusal, test.want) {
				t.Errorf("serve says %q, want %q", refusal, test.want)
			}
			if left, _ := filepath.Glob("*"); test.want != "" && len(left) > 0 {
				t.Errorf("a start that was refused left %v", left)
			}
			for _, variable := range environ {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			var out strings.Builder
			_ = doctor.Examine(t.Context(), &out, nil, "") // what it finds counts
			failed := slices.DeleteFunc(strings.Split(out.String(), "\n"), func(line string) bool {
				return !strings.HasPrefix(line, "FAIL") || strings.Contains(line, "octostore serve makes it")
			})
			found := strings.Join(failed, "\n")
			if (found == "") != (test.want == "") || !strings.Contains(found, refusal) {
				t.Errorf("serve says %q, the doctor\n%s", refusal, out.String())
			}
		})
	}
}

// serveRefuses returns why a server does not start, empty if it does.
func serveRefuses(t *testing.T, environ []string) string {
	t.Helper()
	loaded, err := config.Load(config.Sources{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), loaded.Config, slog.New(slog.DiscardHandler), func(ctx context.Context, path string, log *slog.Logger) (storage, error) {
		return openSQLite(ctx, path, log)
	})
	if err != nil {
		return strings.TrimPrefix(err.Error(), "load policies: ")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	return ""
}
