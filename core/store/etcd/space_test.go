package etcd

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/storetest"
)

// members are members of etcd that answer with what is given.
type members []*clientv3.StatusResponse

func (m members) Endpoints() []string {
	names := make([]string, len(m))
	for i := range m {
		names[i] = string(rune('a' + i))
	}
	return names
}

func (m members) Status(_ context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	if s := m[endpoint[0]-'a']; s != nil {
		return s, nil
	}
	return nil, errors.New("it does not answer")
}

func TestEtcdSpaceIsThatOfTheFullestMember(t *testing.T) {
	s := newSpace(members{
		{DbSize: 60, DbSizeInUse: 50, DbSizeQuota: 200},
		nil,
		{DbSize: 90, DbSizeInUse: 40, DbSizeQuota: 100},
	}, slog.New(slog.DiscardHandler))
	if s.now().full() {
		t.Error("an etcd of which nothing is known is full")
	}
	s.refresh(t.Context())
	if got, want := s.now(), (usage{Quota: 100, Size: 90, InUse: 50, Known: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.members = members{nil, nil}
	s.refresh(t.Context())
	if s.now().Quota != 100 {
		t.Errorf("nobody answers, and what was known is now %+v", s.now())
	}
	s.members = members{{DbSizeInUse: 5, Errors: []string{"memberID:77 alarm:NOSPACE "}}}
	s.refresh(t.Context())
	if got := s.now(); !got.full() || got.Quota != defaultQuota {
		t.Errorf("got %+v, want an alarm and the default quota", got)
	}
}

func TestEtcdSpaceIsFullAboveFourFifths(t *testing.T) {
	for _, test := range []struct {
		inUse int64
		want  bool
	}{{79, false}, {80, false}, {81, true}, {100, true}} {
		s := newSpace(members{{DbSizeInUse: test.inUse, DbSizeQuota: 100}}, slog.New(slog.DiscardHandler))
		s.refresh(t.Context())
		if got := s.now().full(); got != test.want {
			t.Errorf("%d of 100 bytes: full is %v, want %v", test.inUse, got, test.want)
		}
	}
}

// A table that ran out of space goes on by itself once there is some again.
func TestEtcdSpaceComesBack(t *testing.T) {
	k := termsIn(t, etcdtest.StartWith(t, etcdtest.Config{Quota: 16 << 20}).Endpoints())
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { defer close(watched); k.space.watch(ctx) }()
	defer func() { stop(); <-watched }()
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	line.Commit(t, r, 1)
	k.fill(true)
	if err := r.Commit(t.Context(), line.Batch(1)); !errors.Is(err, lock.ErrFull) {
		t.Fatalf("commit without space = %v, want ErrFull", err)
	}
	if !r.Full() {
		t.Error("it does not say that it is full")
	}
	if err := r.SetObserverCursors(t.Context(), nil, []string{"x"}); !errors.Is(err, lock.ErrFull) {
		t.Errorf("a cursor is written into the last space: %v", err)
	}
	k.fill(false)
	for deadline := time.Now().Add(time.Minute); r.Full(); {
		if time.Now().After(deadline) {
			t.Fatal("it is still full")
		}
		time.Sleep(10 * time.Millisecond)
	}
	line.Commit(t, r, 1)
	if size, _ := r.Sizes(); size == 0 || r.Reserve() != 16<<20/5 {
		t.Errorf("%d bytes, %d in reserve", size, r.Reserve())
	}
}
