//go:build unix

package runs_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

var (
	proxyWait = flag.Int("torture.wait", 40, "how many seconds runs wait behind a proxy")
	_         = flag.Uint64("torture.seed", 0, "a wait has no seed; every stage of .ci/torture is told one")
)

// turn is what the command of a run has written.
type turn struct {
	who, token int
	from, to   float64 // Unix time
}

// writeTurn is a command that appends the beginning and the end of its turn to a file.
func writeTurn(dir string, who int) string {
	line := fmt.Sprintf(`echo "$1 %d $OCTOSTORE_FENCING_TOKEN $(date +%%s.%%N)" >>%s`, who, filepath.Join(dir, "turns"))
	return "turn() { " + line + "; }; turn start; sleep 0.03; turn end"
}

// turnsOf reads the file. It fails the test unless every beginning is followed by its own end,
// later than whatever came before.
func turnsOf(t *testing.T, dir string) (turns []turn) {
	t.Helper()
	last := 0.0
	for i, line := range strings.Split(content(t, dir, "turns"), "\n") {
		var mark string
		var at turn
		if _, err := fmt.Sscan(line, &mark, &at.who, &at.token, &at.from); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if at.from < last {
			t.Errorf("line %d is earlier than the one before: %s", i+1, line)
		}
		last = at.from
		if i%2 == 0 && mark == "start" {
			turns = append(turns, at)
			continue
		}
		now := &turns[len(turns)-1]
		if mark != "end" || at.who != now.who || at.token != now.token {
			t.Fatalf("line %d is not the end of run %d: %s", i+1, now.who, line)
		}
		now.to = at.from
	}
	return turns
}

// Fifty runs for one lock: one at a time, each once, under growing fencing tokens, although the
// server is killed ten times meanwhile.
func TestRunsTakeTurnsOverKillsOfTheServer(t *testing.T) {
	t.Parallel()
	const runs, kills = 50, 10
	db, dir := t.TempDir(), t.TempDir()
	p := octotest.Start(t, db)
	first := p.Take(t, "a", "?ttl=1h")
	var all []*wrapped
	for i := range runs {
		all = append(all, start(t, p, append([]string{"--holder", fmt.Sprint(i)}, shell("a", writeTurn(dir, i))...)...))
	}
	octotest.WaitUntil(t, "all wait", func() bool { return p.Look("a").WaitersTotal == runs })
	octotest.Expect(t, p.Release(first), 200, "")
	for k := range kills {
		octotest.WaitUntil(t, "some have run", func() bool {
			text, err := os.ReadFile(filepath.Join(dir, "turns"))
			return err == nil && strings.Count(string(text), "start") >= 1+4*k
		})
		time.Sleep(rand.N(100 * time.Millisecond)) // in whatever they are doing
		p.Kill()
		p = octotest.Start(t, db, "OCTOSTORE_ADDR="+p.Addr)
	}
	for _, r := range all {
		r.ends(t, 0)
	}
	turns := turnsOf(t, dir)
	var who []int
	var longest, total float64
	for i, now := range turns {
		who = append(who, now.who)
		if i == 0 {
			continue
		}
		if now.token <= turns[i-1].token {
			t.Errorf("run %d had token %d after %d", now.who, now.token, turns[i-1].token)
		}
		gap := now.from - turns[i-1].to
		longest, total = max(longest, gap), total+gap
	}
	slices.Sort(who)
	if len(who) != runs || len(slices.Compact(who)) != runs {
		t.Errorf("%d runs had %d turns: %v", runs, len(who), who)
	}
	t.Logf("from the end of a command to the start of the next: %.3f s on average, %.3f s at most, kills included", total/float64(len(turns)-1), longest)
	expectFree(t, p, "a")
}

const nginxConf = `
daemon off; master_process off; pid DIR/pid; error_log stderr crit;
events { worker_connections 100; }
http {
	access_log off;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	server {
		listen 127.0.0.1:PORT;
		location / {
			proxy_pass http://SERVER;
			TIMEOUT
		}
	}
}
`

// nginx starts one in front of a server, and returns its address.
func nginx(t *testing.T, p *octotest.Server, timeout string) (addr string) {
	t.Helper()
	octotest.NeedTools(t, "nginx")
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	writeFile(t, dir, "nginx.conf", strings.NewReplacer("PORT", port, "SERVER", p.Addr, "DIR", dir, "TIMEOUT", timeout).Replace(nginxConf))
	var said octotest.Buffer
	proxy := exec.Command("nginx", "-c", filepath.Join(dir, "nginx.conf"))
	proxy.Stdout, proxy.Stderr = &said, &said
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Kill() // ended already: fine
		_ = proxy.Wait()         // it was killed
	})
	octotest.WaitUntil(t, "nginx passes requests on: "+said.String(), func() bool { return octotest.Call("GET", addr, "/healthz").Status == 200 })
	return addr
}

// consul lock and etcdctl lock lose their place when a proxy cuts the connection. Here three runs
// behind nginx, with its own timeouts and with one of ten seconds, get the lock in order, and
// within 300 ms of their turns. Where other tests keep the processors busy, one may take two seconds.
func TestRunUnlikeOthersKeepsItsPlaceBehindNginx(t *testing.T) {
	t.Parallel()
	const promised, most = 300 * time.Millisecond, 2 * time.Second
	for what, timeout := range map[string]string{"its own timeouts": "", "a timeout of 10 s": "proxy_read_timeout 10s;"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := octotest.Start(t, t.TempDir())
			url := "http://" + nginx(t, p, timeout)
			first := p.Take(t, "a", "?ttl=1h")
			var all []*wrapped
			for i := range 3 {
				r := prepare(t, url, nil, "--json", "--holder", fmt.Sprint(i), "a", "--", "true").begin(t)
				r.waits(t, p, "a", fmt.Sprint(i))
				all = append(all, r)
			}
			time.Sleep(time.Duration(*proxyWait) * time.Second) // the subject of this test
			freed, slow := time.Now(), 0
			octotest.Expect(t, p.Release(first), 200, "")
			for i, r := range all {
				r.ends(t, 0)
				var got time.Time
				for _, e := range r.events(t) {
					at, err := time.Parse(time.RFC3339, e.Time)
					if err != nil {
						t.Fatal(err)
					}
					switch e.Event {
					case "granted":
						got = at
					case "released":
						late := got.Sub(freed)
						t.Logf("run %d was granted the lock %s after its turn", i, late)
						if late > promised {
							slow++
						}
						if late < -10*time.Millisecond || late > most || slow > 1 {
							t.Errorf("run %d was granted the lock %s after its turn, %s are promised", i, late, promised)
						}
						freed = at
					}
				}
				if got.IsZero() {
					t.Errorf("run %d has no event of its grant:\n%s", i, r.errs.String())
				}
			}
		})
	}
}
