package login_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/login/logintest"
)

const tokenPath = "POST /login/oauth/access_token"

// device begins a login by a code and polls as often as it is told to, until it ends.
func (h *house) device(t *testing.T) (login.Token, time.Duration, error) {
	t.Helper()
	begun := time.Now()
	d, err := h.BeginDevice(t.Context(), "192.0.2.1", nil)
	if err != nil {
		return login.Token{}, 0, err
	}
	for next := d.Interval; ; {
		time.Sleep(next)
		var token login.Token
		var done bool
		token, done, next, err = h.PollDevice(t.Context(), lock.Origin{}, d.ID)
		if done || err != nil && err != login.ErrUnavailable {
			return token, time.Since(begun), err
		}
		if err != nil {
			next = d.Interval
		}
	}
}

// polls counts how often GitHub was asked whether the code was typed in.
func polls(fake *logintest.GitHub) (n int) {
	for _, line := range fake.Asked() {
		if line == tokenPath {
			n++
		}
	}
	return n
}

func TestDeviceLogin(t *testing.T) {
	const pending, slower = "authorization_pending", "slow_down"
	for _, test := range []struct {
		name  string
		fake  *logintest.GitHub
		want  error
		after time.Duration // within the interval of a poll
		polls int
	}{
		{"typed in at once", &logintest.GitHub{}, nil, 5 * time.Second, 1},
		{"typed in after a while", &logintest.GitHub{Polls: []string{pending, pending, ""}, Interval: 7}, nil, 21 * time.Second, 3},
		{"slower, please", &logintest.GitHub{Polls: []string{slower, pending, ""}}, nil, 25 * time.Second, 3},
		{"turned down", &logintest.GitHub{Polls: []string{pending, "access_denied"}}, login.ErrDenied, 10 * time.Second, 2},
		{"expired there", &logintest.GitHub{Polls: []string{"expired_token"}}, login.ErrOver, 5 * time.Second, 1},
		{"expired here", &logintest.GitHub{Polls: []string{pending}, Life: 60}, login.ErrOver, 60 * time.Second, 12},
		{"a lifetime that never ends", &logintest.GitHub{Polls: []string{pending}, Life: 1 << 30, Interval: 30}, login.ErrOver, 15 * time.Minute, 30},
		{"an interval that never ends", &logintest.GitHub{Interval: math.MaxInt}, nil, time.Minute, 1},
		{"an interval below nothing", &logintest.GitHub{Interval: -1}, nil, 5 * time.Second, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := test.fake
				fake.Login, fake.ID = "alice", 583231
				h := open(t, "user:alice=read:**", fake)
				token, took, err := h.device(t)
				if err != test.want {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if took < test.after || took > test.after+time.Minute {
					t.Errorf("it took %s, want %s", took, test.after)
				}
				if n := polls(fake); n < test.polls-1 || n > test.polls {
					t.Errorf("GitHub was asked %d times, want %d", n, test.polls)
				}
				if err == nil && token.Account != "github:alice.583231" {
					t.Errorf("got %+v", token.Account)
				}
				if n := len(h.tokens.List()); (n == 1) != (err == nil) {
					t.Errorf("%d tokens", n)
				}
			})
		})
	}
}

func TestDeviceCodeLeadsToOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Instead = func(_ http.ResponseWriter, r *http.Request) bool {
			time.Sleep(time.Second) // so that all polls come while the first is at work
			return false
		}
		h := open(t, "user:alice=read:**", fake)
		d, err := h.BeginDevice(t.Context(), "192.0.2.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", d), logintest.CanaryDevice) {
			t.Error("the code of GitHub's is shown")
		}
		time.Sleep(8 * time.Second)
		type answer struct {
			done bool
			err  error
		}
		answers := make(chan answer)
		for range 10 {
			go func() {
				_, done, _, err := h.PollDevice(t.Context(), lock.Origin{}, d.ID)
				answers <- answer{done, err}
			}()
		}
		done := 0
		for range 10 {
			a := <-answers
			if a.done {
				done++
			} else if a.err != nil && a.err != login.ErrOver {
				t.Errorf("got %v", a.err)
			}
		}
		if n := len(h.tokens.List()); done != 1 || n != 1 {
			t.Errorf("%d were given one of %d tokens", done, n)
		}
	})
}

func TestDeviceLoginIsPolledWithItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, "user:alice=read:**", aliceAtGitHub())
		d, err := h.BeginDevice(t.Context(), "192.0.2.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		for _, id := range []string{"", "x", d.ID[1:], strings.ToLower(d.ID), d.UserCode, logintest.CanaryDevice} {
			if _, _, _, err := h.PollDevice(t.Context(), lock.Origin{}, id); err != login.ErrOver {
				t.Errorf("%q: got %v", id, err)
			}
		}
	})
}

// A login that is not polled ends after a minute, and so do the requests to GitHub for it.
func TestDeviceLoginEndsWithoutPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Polls = []string{"authorization_pending"}
		h := open(t, "user:alice=read:**", fake)
		d, err := h.BeginDevice(t.Context(), "192.0.2.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := polls(fake); n > 12 {
			t.Errorf("GitHub was asked %d times", n)
		}
		if _, _, _, err := h.PollDevice(t.Context(), lock.Origin{}, d.ID); err != login.ErrOver {
			t.Errorf("got %v", err)
		}
	})
}

func TestDeviceLoginsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Polls = []string{"authorization_pending"}
		h := open(t, "user:alice=read:**", fake)
		for i := range 100 {
			if _, err := h.BeginDevice(t.Context(), fmt.Sprintf("192.0.2.%d", i/20), nil); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		asked := len(fake.Asked())
		if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != login.ErrBusy || len(fake.Asked()) != asked {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute + time.Second)
		if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// TestDeviceLoginsOfOneNetworkHaveAShare has one network begin as many logins as it can. It
// does not keep others out, and gets its places back.
func TestDeviceLoginsOfOneNetworkHaveAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Polls = []string{"authorization_pending"}
		h := open(t, "user:alice=read:**", fake)
		begun := 0
		for range 100 {
			_, err := h.BeginDevice(t.Context(), "192.0.2.1", nil)
			if err == nil {
				begun++
			} else if err != login.ErrBusy {
				t.Fatal(err)
			}
		}
		if asked := len(fake.Asked()); begun != 20 || asked != 20 {
			t.Errorf("it has begun %d logins and had GitHub asked %d times, want 20", begun, asked)
		}
		if _, err := h.BeginDevice(t.Context(), "192.0.2.2", nil); err != nil {
			t.Errorf("another network: %v", err)
		}
		time.Sleep(time.Minute + time.Second) // they are not polled
		if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// What goes wrong for a while is tried again; what is typed in then is not lost.
func TestDeviceLoginOutlivesAFaultOfGitHub(t *testing.T) {
	for name, at := range map[string]string{"while it waits": "/login/oauth/access_token", "when it is asked who that is": "/api/v3/user"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := aliceAtGitHub()
				began := time.Now()
				fake.Instead = instead(at, func(w http.ResponseWriter, _ *http.Request) {})
				down := fake.Instead
				fake.Instead = func(w http.ResponseWriter, r *http.Request) bool {
					if time.Since(began) > 40*time.Second {
						return false
					}
					return down(w, r)
				}
				h := open(t, "user:alice=read:**", fake)
				_, took, err := h.device(t)
				if err != nil || took < 40*time.Second {
					t.Errorf("got %v after %s", err, took)
				}
			})
		})
	}
}

func TestGitHubThatGivesNoCode(t *testing.T) {
	right := map[string]string{"device_code": `"d"`, "user_code": `"AB-CD"`, "verification_uri": `"http://127.0.0.1/x"`, "interval": "5"}
	with := func(name, value string) string {
		var all []string
		for k, v := range right {
			if k == name {
				v = value
			}
			all = append(all, fmt.Sprintf("%q:%s", k, v))
		}
		slices.Sort(all)
		return "{" + strings.Join(all, ",") + "}"
	}
	for _, answer := range []string{
		"", "[]", "null", "<html>", "{}", `{"error":"device_flow_disabled"}`,
		with("device_code", `""`), with("user_code", `""`), with("user_code", `"A\u001b[2JB"`), with("user_code", `"`+strings.Repeat("A", 33)+`"`),
		with("verification_uri", `""`), with("verification_uri", `"javascript:alert(1)"`), with("verification_uri", `"http://a\u0000"`),
		with("verification_uri", `"http://`+strings.Repeat("a", 300)+`"`), with("interval", `"x"`), `{"x":"` + strings.Repeat("x", 300_000) + `"}`,
	} {
		fake := aliceAtGitHub()
		fake.Instead = instead("/login/device/code", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		h := open(t, "user:alice=read:**", fake)
		if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); !errors.Is(err, login.ErrUnavailable) {
			t.Errorf("%.80s: got %v", answer, err)
		}
	}
}

// A GitHub that hangs does not keep those waiting who want to log in, nor a server that
// stops.
func TestGitHubThatHangs(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	t.Run("when it is asked for a code", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fake := aliceAtGitHub()
			fake.Instead = instead("/login/device/code", hang)
			h := open(t, "user:alice=read:**", fake)
			began := time.Now()
			if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != login.ErrUnavailable || time.Since(began) > 6*time.Second {
				t.Errorf("got %v after %s", err, time.Since(began))
			}
		})
	})
	t.Run("while the server stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fake := aliceAtGitHub()
			fake.Instead = instead("/login/oauth/access_token", hang)
			h := open(t, "user:alice=read:**", fake)
			if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second) // it is asking
			began := time.Now()
			_ = h.Close()
			if took := time.Since(began); took > 0 {
				t.Errorf("closing took %s", took)
			}
			if _, err := h.BeginDevice(t.Context(), "192.0.2.1", nil); err != login.ErrBusy {
				t.Errorf("after it was closed: %v", err)
			}
		})
	})
}
