package etcd

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
)

const (
	defaultQuota = 2 << 30 // of a server that does not say its quota

	spaceEvery = 10 * time.Second
	spaceTime  = 3 * time.Second // for the answer of a member
)

// usage is how full etcd is: the fullest of its members.
type usage struct {
	Quota int64 // bytes the database may have
	Size  int64 // bytes of its file
	InUse int64 // bytes of the file that hold something
	Alarm bool  // etcd refuses writes until a person has disarmed it
	Known bool  // a member has answered
}

// full reports whether the last fifth of the quota is in use, or nothing is left.
func (u usage) full() bool { return u.Alarm || u.Known && u.InUse > u.Quota/5*4 }

// statusOf asks one member how it is, as a client of etcd does.
type statusOf interface {
	Endpoints() []string
	Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error)
}

// space knows how full etcd is. Any goroutine may use it.
type space struct {
	members statusOf
	log     *slog.Logger
	seen    atomic.Pointer[usage]
	look    chan struct{} // capacity 1: look now

	mu sync.Mutex // held while one is looking
}

func newSpace(members statusOf, log *slog.Logger) *space {
	s := &space{members: members, log: log, look: make(chan struct{}, 1)}
	s.seen.Store(&usage{})
	return s
}

// now returns what was last seen.
func (s *space) now() usage { return *s.seen.Load() }

// ranOut notes that etcd has refused something for its quota.
func (s *space) ranOut() {
	for {
		before := s.seen.Load()
		if before.Alarm {
			return
		}
		u := *before
		u.Alarm = true
		if s.seen.CompareAndSwap(before, &u) {
			s.log.Warn("etcd is full: compact it, defragment it and disarm the alarm", "quota", u.Quota, "in_use", u.InUse)
			break
		}
	}
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// watch looks again and again until ctx ends.
func (s *space) watch(ctx context.Context) {
	for ctx.Err() == nil {
		s.refresh(ctx)
		if s.now().Alarm {
			if sleep.For(ctx, time.Second) != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.look:
			sleep.For(ctx, time.Second) // the alarm is raised through the log of etcd
		case <-time.After(spaceEvery):
		}
	}
}

// refresh asks all members. What none of them answers stays as it was.
func (s *space) refresh(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.seen.Load()
	var u usage
	for _, endpoint := range s.members.Endpoints() {
		if m, err := s.ask(ctx, endpoint); err == nil {
			u.add(m)
		}
	}
	if !u.Known || !s.seen.CompareAndSwap(before, &u) {
		return // what came meanwhile is newer
	}
	if before.Alarm && !u.Alarm {
		s.log.Info("etcd has space again within its quota", "quota", u.Quota, "in_use", u.InUse)
	}
}

func (s *space) ask(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, spaceTime)
	defer cancel()
	return s.members.Status(ctx, endpoint)
}

// add takes a member into account.
func (u *usage) add(m *clientv3.StatusResponse) {
	quota := m.DbSizeQuota
	if quota <= 0 {
		quota = defaultQuota
	}
	if !u.Known || quota < u.Quota {
		u.Quota = quota
	}
	u.Known = true
	u.Size, u.InUse = max(u.Size, m.DbSize), max(u.InUse, m.DbSizeInUse)
	for _, e := range m.Errors { // texts: "memberID:1 alarm:NOSPACE"
		u.Alarm = u.Alarm || strings.Contains(e, etcdserverpb.AlarmType_NOSPACE.String())
	}
}

// Full reports whether only the ends of leases should be written: etcd refuses writes for its
// quota, or more than four fifths of it are in use. It does not ask etcd.
func (r *records) Full() bool { return r.space.now().full() }

// Sizes returns the bytes of etcd's database file, for all of its users together. There is no
// log beside it.
func (r *records) Sizes() (db, wal int64) { return r.space.now().Size, 0 }

// Reserve returns the bytes of the quota that are kept for the ends of leases.
func (r *records) Reserve() int64 { return r.space.now().Quota / 5 }
