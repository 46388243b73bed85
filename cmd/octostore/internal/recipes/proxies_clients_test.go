//go:build unix

package recipes_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// pageBlock returns the block of docs/proxies.md that has these words.
func pageBlock(t *testing.T, words string) string {
	t.Helper()
	page, err := os.ReadFile(octotest.Path("docs/proxies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(page), "\n```") {
		if i%2 == 1 && strings.Contains(block, words) {
			_, text, _ := strings.Cut(block, "\n")
			return text + "\n"
		}
	}
	t.Fatalf("no block of the page has %q", words)
	return ""
}

// What docs/proxies.md shows for HAProxy and nginx leads to the client's address in the audit log.
// Both proxies connect from 127.0.0.1, which alone is trusted; the client comes from 127.0.0.2.
func TestProxiesNameTheirClients(t *testing.T) {
	t.Parallel() // it waits more than it works
	tcp := "defaults\n\ttimeout connect 5s\n" + strings.NewReplacer(":443", "127.0.0.1:PORT", "127.0.0.1:3000", "SERVER").Replace(pageBlock(t, "send-proxy-v2"))
	location := strings.Replace(pageBlock(t, "proxy_pass"), "127.0.0.1:3000", "SERVER", 1)
	head, _, _ := strings.Cut(nginxConf, "location")
	var all sync.WaitGroup
	defer all.Wait()
	for name, c := range map[string]struct {
		source, configuration string
		command               []string
		tls, port             bool
	}{
		"HAProxy, PROXY version 2": {"proxy-protocol", tcp, []string{"haproxy", "-db", "-f"}, false, true},
		"HAProxy, PROXY version 1": {"proxy-protocol", strings.Replace(tcp, "send-proxy-v2", "send-proxy", 1), []string{"haproxy", "-db", "-f"}, false, true},
		"HAProxy, before TLS":      {"proxy-protocol", tcp, []string{"haproxy", "-db", "-f"}, true, true},
		"HAProxy, forwardfor":      {"x-forwarded-for", haproxyConf, []string{"haproxy", "-db", "-f"}, false, false},
		"nginx":                    {"x-forwarded-for", head + location + "\t}\n}\n", []string{"nginx", "-c"}, false, false},
	} {
		beside(&all, t, name, func(t *testing.T) {
			settings := []string{"OCTOSTORE_TRUSTED_PROXIES=127.0.0.1", "OCTOSTORE_PROXY_HEADER=" + c.source}
			client := &http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				DialContext: (&net.Dialer{
					LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)},
				}).DialContext,
			}}
			t.Cleanup(client.CloseIdleConnections)
			scheme, healthy := "http://", http.StatusOK
			if c.tls {
				cert, key := octotest.WriteCertificate(t, t.TempDir(), "octostore", time.Now().Add(time.Hour))
				settings = append(settings, "OCTOSTORE_TLS_CERT="+cert, "OCTOSTORE_TLS_KEY="+key)
				scheme, healthy = "https://", http.StatusBadRequest
			}
			p := octotest.Start(t, t.TempDir(), settings...)
			addr := startProxyUntil(t, healthy, p, c.configuration, "option forwardfor", c.command...)
			call := func(method, path string) string {
				req, err := http.NewRequestWithContext(context.Background(), method, scheme+addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-Forwarded-For", "198.51.100.1")
				req.Header.Set("Forwarded", "for=198.51.100.1")
				req.Host = "localhost"
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%s %s: %s %v %s", method, path, resp.Status, err, body)
				}
				return string(body)
			}
			call("POST", "/v1/locks/a/acquire")
			log := call("GET", "/v1/audit?prefix=a")
			want := `"remote_addr":"127.0.0.2:`
			if !c.port {
				want += `0"`
			}
			if !strings.Contains(log, want) {
				t.Errorf("the audit log has not %s:\n%s", want, log)
			}
		})
	}
}
