package session_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/transport/client"
)

// A client trusts what the system trusts, and the certificates in OCTOSTORE_CA_FILE, in
// --ca-file and of the profile.
func TestClientTrustsTheCertificatesItIsGiven(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "{}")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("OCTOSTORE_URL", server.URL)
	t.Setenv("OCTOSTORE_TOKEN", "")
	for _, test := range []struct{ file, want string }{
		{"", "certificate"},
		{filepath.Join(dir, "key.pem"), "has no certificate in PEM"},
		{filepath.Join(dir, "no.pem"), "OCTOSTORE_CA_FILE: open "},
		{filepath.Join(dir, "cert.pem"), ""},
	} {
		t.Setenv("OCTOSTORE_CA_FILE", test.file)
		err := readSomeAudit(t.Context(), session.Server{})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("with %q: %v, want %q", test.file, err, test.want)
		}
	}
	t.Setenv("OCTOSTORE_CA_FILE", filepath.Join(dir, "no.pem"))
	if err := readSomeAudit(t.Context(), session.Server{CAFile: filepath.Join(dir, "cert.pem")}); err != nil {
		t.Errorf("with --ca-file: %v", err)
	}
	if _, err := session.KeepProfile("p", session.Profile{URL: server.URL, CAFile: filepath.Join(dir, "cert.pem")}); err != nil {
		t.Fatal(err)
	}
	if err := readSomeAudit(t.Context(), session.Server{Profile: "p"}); err != nil {
		t.Errorf("with a profile: %v", err)
	}
}

func readSomeAudit(ctx context.Context, s session.Server) error {
	c, err := s.NewClient()
	if err != nil {
		return err
	}
	body, err := c.Audit(ctx, client.AuditQuery{Limit: 1})
	if err != nil {
		return err
	}
	return body.Close()
}
