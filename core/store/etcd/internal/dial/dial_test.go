package dial

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

func member(version string) Member {
	return Member{Endpoint: "http://m", Status: &etcdserverpb.StatusResponse{Version: version}}
}

func TestDialRefusesAnOldEtcd(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	silent := Member{Endpoint: "http://s", Err: errors.New("connection refused")}
	for _, tt := range []struct {
		members []Member
		want    string // in the error; "": none
	}{
		{[]Member{member("3.6.0")}, ""},
		{[]Member{member("3.10.2"), member("4.0.0-rc.1")}, ""},
		{[]Member{member("3.6.1"), silent}, ""},
		{[]Member{member("3.6.1"), member("3.5.21")}, "http://m has version 3.5.21"},
		{[]Member{member("2.9.0")}, "has version 2.9.0"},
		{[]Member{member("")}, "has version"},
		{[]Member{silent}, "http://s: connection refused"},
		{[]Member{silent}, "5s"},
	} {
		err := check(tt.members, log)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d members, the first of version %q: %v, want %q", len(tt.members), tt.members[0].Status.GetVersion(), err, tt.want)
		}
		if err != nil && !errors.Is(err, ErrOld) && !errors.Is(err, ErrUnreachable) {
			t.Errorf("%v is no known reason", err)
		}
	}
}

func TestDialNamesAnEtcdThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	c, err := Open(ctx, Config{Endpoints: []string{"http://127.0.0.1:1"}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Fatal(c.Close())
	}
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "http://127.0.0.1:1") || !strings.Contains(err.Error(), ": dial tcp 127.0.0.1:1: connect: connection refused") {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "rpc error") || strings.Contains(err.Error(), "desc =") {
		t.Errorf("%v: says more about gRPC than about etcd", err)
	}
}

func TestDialNamesAnEtcdThatDoesNotAnswerALogin(t *testing.T) {
	t.Parallel()
	c, err := Client(Config{Endpoints: []string{"http://127.0.0.1:1"}, User: "octostore", Password: "secret", Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Fatal(c.Close())
	}
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

// clockAt serves the time of a clock that runs so much as fast, as etcd does. Each answer is kept back for a
// while before and after the clock is read.
func clockAt(t *testing.T, rate float64, before, after func() time.Duration) string {
	t.Helper()
	began := time.Now()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(before())
		passed := float64(time.Since(began))
		w.Header().Set("Date", began.Add(time.Duration(rate*passed)).UTC().Format(http.TimeFormat))
		time.Sleep(after())
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func atOnce() time.Duration { return 0 }

func TestRateOfAClock(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, clock := range []float64{0.9, 1, 1.1, 2} {
		all.Go(func() {
			rate, err := Rate(t.Context(), clockAt(t, clock, atOnce, atOnce), nil)
			if err != nil || math.Abs(rate-clock) > 0.05 {
				t.Errorf("a clock that runs %v times as fast has the rate %.3f, %v", clock, rate, err)
			}
		})
	}
	all.Wait()
}

// A clock that is right is not said to be wrong because its answers are slow.
func TestRateOfAClockBehindSlowAnswers(t *testing.T) {
	t.Parallel()
	slow := func() time.Duration { return rand.N(150 * time.Millisecond) }
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			rate, err := Rate(t.Context(), clockAt(t, 1, slow, slow), nil)
			if err != nil || math.Abs(rate-1) > 1e-6 {
				t.Errorf("the rate is %.4f, %v", rate, err)
			}
		})
	}
	all.Wait()
}

// A clock that stands still has no rate.
func TestRateOfAClockThatStands(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if rate, err := Rate(ctx, clockAt(t, 0, atOnce, atOnce), nil); err == nil {
		t.Errorf("the rate is %.4f", rate)
	}
}
