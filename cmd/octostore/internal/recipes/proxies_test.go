//go:build unix

package recipes_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// startProxy starts a proxy with a configuration in front of a server. PORT in it is
// where it listens, SERVER where the server does, DIR a folder of its own, and ABORT the
// line of HAProxy's that is tried out.
func startProxy(t *testing.T, p *octotest.Server, configuration, abort string, command ...string) (addr string) {
	t.Helper()
	return startProxyUntil(t, 200, p, configuration, abort, command...)
}

// startProxyUntil is startProxy for a server that answers a plain probe with another status.
func startProxyUntil(t *testing.T, healthy int, p *octotest.Server, configuration, abort string, command ...string) (addr string) {
	t.Helper()
	octotest.NeedTools(t, command[0])
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	text := strings.NewReplacer("PORT", addr[strings.LastIndexByte(addr, ':')+1:], "SERVER", p.Addr, "DIR", dir, "ABORT", abort).Replace(configuration)
	file := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said octotest.Buffer
	proxy := exec.Command(command[0], append(command[1:], file)...)
	proxy.Stdout, proxy.Stderr = &said, &said
	proxy.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = proxy.Wait() // it is killed
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-proxy.Process.Pid, syscall.SIGKILL) // ended already: fine
		<-ended
	})
	octotest.WaitUntil(t, command[0]+" passes requests on", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s has ended: %s", command[0], said.String())
		default:
		}
		return octotest.Call("GET", addr, "/healthz").Status == healthy
	})
	return addr
}

const nginxConf = `
daemon off; master_process off; pid DIR/pid; error_log stderr;
events { worker_connections 100; }
http {
	access_log off;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	server {
		listen 127.0.0.1:PORT;
		location / {
			proxy_pass http://SERVER;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_read_timeout 11m;
			proxy_next_upstream off;
			ABORT
		}
	}
}
`

const haproxyConf = `
defaults
	mode http
	option dontlognull
	timeout connect 5000
	timeout client 50000
	timeout server 50000
	ABORT
frontend f
	bind 127.0.0.1:PORT
	default_backend b
backend b
	server octostore SERVER
`

const apacheConf = `
ServerName localhost
ServerRoot DIR
PidFile DIR/pid
Listen 127.0.0.1:PORT
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ProxyPass / http://SERVER/ timeout=660
ABORT
`

var proxies = map[string]struct {
	configuration, abort string
	command              []string
	passes               bool // it tells the server that a client has hung up
}{
	"nginx":                                                 {nginxConf, "", []string{"nginx", "-c"}, true},
	"nginx, proxy_ignore_client_abort":                      {nginxConf, "proxy_ignore_client_abort on;", []string{"nginx", "-c"}, false},
	"HAProxy with option abortonclose":                      {haproxyConf, "option abortonclose", []string{"haproxy", "-db", "-f"}, true},
	"HAProxy with the defaults of Debian":                   {haproxyConf, "", []string{"haproxy", "-db", "-f"}, false},
	"HAProxy with option abortonclose in the back end only": {haproxyConf + "\toption abortonclose\n", "", []string{"haproxy", "-db", "-f"}, false},
	"Apache": {apacheConf, "", []string{"apache2", "-DFOREGROUND", "-f"}, false},
}

// What docs/proxies.md says of each proxy: whether a waiter whose client has hung up
// leaves the queue.
func TestProxiesPassHangUpsOnAsThePageSays(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	for name, c := range proxies {
		beside(&all, t, name, func(t *testing.T) {
			p := octotest.Start(t, t.TempDir())
			addr := startProxy(t, p, c.configuration, c.abort, c.command...)
			other := p.Take(t, "a", "?ttl=1h")
			client := octotest.NewCaller(t, addr)
			if err := client.Post("/v1/locks/a/acquire?wait=30s&ttl=1h&confirm=2s&holder=gone"); err != nil {
				t.Fatal(err)
			}
			octotest.WaitUntil(t, "it waits", func() bool { return p.Look("a").WaitersTotal == 1 })
			_ = client.Close()
			if c.passes {
				octotest.WaitUntil(t, "it has left", func() bool { return p.Look("a").WaitersTotal == 0 })
				octotest.Expect(t, p.Release(other), 200, "")
				if l := p.Look("a"); l.State != api.Free {
					t.Errorf("a client that hung up got the lock: %+v", l)
				}
				return
			}
			octotest.Expect(t, p.Release(other), 200, "")
			got := p.Look("a")
			if got.State != api.Held || got.Lease.Holder != "gone" {
				t.Fatalf("the proxy passes hang-ups on, against what the page says: %+v", got)
			}
			// confirm= bounds what that costs.
			begun := time.Now()
			expectFree(t, p, "a")
			if took := time.Since(begun); took > 2*time.Second+octotest.Promptly {
				t.Errorf("the ghost had the lock for %s", took)
			}
		})
	}
}

// The script leaves no ghost behind any of them, and waits through them.
func TestWithLockWorksBehindRealProxies(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	for name, c := range proxies {
		beside(&all, t, name, func(t *testing.T) {
			p := octotest.Start(t, t.TempDir())
			addr := startProxy(t, p, c.configuration, c.abort, c.command...)
			eachShell(t, func(t *testing.T, sh shell) {
				lock := fmt.Sprintf("real/%s", sh.name)
				other := p.Take(t, lock, "?ttl=1h")
				gone := sh.start(t, "http://"+addr, []string{"LOCK_SLICE=25s"}, lock, "/bin/echo", "ran")
				withLockWaits(t, p, lock)
				gone.signal(t, syscall.SIGTERM)
				gone.ends(t, 143)
				stays := sh.start(t, "http://"+addr, []string{"LOCK_HOLDER=stays"}, lock, "/bin/echo", "ran")
				octotest.WaitUntil(t, "the next waits", func() bool {
					for _, w := range p.Look(lock).Waiters {
						if w.Holder == "stays" {
							return true
						}
					}
					return false
				})
				octotest.Expect(t, p.Release(other), 200, "")
				stays.ends(t, 0)
				if gone.out.String() != "" || stays.out.String() != "ran\n" {
					t.Errorf("they printed %q and %q", gone.out.String(), stays.out.String())
				}
				expectFree(t, p, lock)
			})
		})
	}
}
