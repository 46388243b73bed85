package etcd

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/storetest"
)

// configBelow returns how to reach the table below a prefix.
func configBelow(t *testing.T, prefix string) Config {
	t.Helper()
	return Config{Endpoints: etcdtest.Shared(t).Endpoints(), Prefix: prefix, Lease: 2 * time.Second, Node: "tool"}
}

// fillTable writes something of everything in a term, which goes on.
func fillTable(t *testing.T, s *Store) {
	t.Helper()
	storetest.Load(t, s)
	var line storetest.Line
	for i := range 300 {
		line.Commit(t, s, 1, storetest.Row(lock.Name("a/"+string(rune('a'+i%26))), lock.Token(i+1), time.Hour))
	}
	scopes, err := auth.ParseScopes("acquire,read:team/**")
	if err != nil {
		t.Fatal(err)
	}
	token := auth.Token{ID: "t1", Hash: [32]byte{1}, Name: "ci", Account: "ci", Scopes: scopes, Created: time.Unix(1, 2).UTC(), Used: time.Unix(3, 4).UTC()}
	cursor := journal.ObserverCursor{Observer: "billing", After: 2, Parked: 1}
	err = errors.Join(s.PutTokens(t.Context(), token), s.SetObserverCursors(t.Context(), []journal.ObserverCursor{cursor}, nil))
	if err != nil {
		t.Fatal(err)
	}
}

// readTable reads a table with its segments.
func readTable(t *testing.T, cfg Config, read func(context.Context, Config, func(content.Table) (func(lock.Segment) error, error)) error) (table content.Table, segments []lock.Segment) {
	t.Helper()
	err := read(t.Context(), cfg, func(got content.Table) (func(lock.Segment) error, error) {
		table = got
		return func(g lock.Segment) error { segments = append(segments, g); return nil }, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return table, segments
}

func importTable(ctx context.Context, cfg Config, table content.Table, segments []lock.Segment) error {
	im, err := NewImport(ctx, cfg, table)
	if err != nil {
		return err
	}
	err = im.Begin(ctx, table.Cut)
	for _, g := range segments {
		err = errors.Join(err, im.Add(ctx, g))
	}
	if err == nil {
		err = im.Finish(ctx)
	}
	return errors.Join(err, im.Abort())
}

func TestImportIntoEtcdHasEverythingThatWasRead(t *testing.T) {
	from, to := newNodes(t), newNodes(t)
	node := from.open("a")
	s := from.take(node)
	fillTable(t, s)
	err := Read(t.Context(), configBelow(t, from.prefix), func(content.Table) (func(lock.Segment) error, error) { return nil, nil })
	if !errors.Is(err, ErrServed) || !strings.Contains(err.Error(), `node "a", at http://a`) {
		t.Errorf("a table that is served was read to be moved: %v", err)
	}
	served, segments := readTable(t, configBelow(t, from.prefix), Snapshot)
	if len(served.Leases) != 26 || len(served.Tokens) != 1 || len(served.Cursors) != 1 || len(segments) != 300 || served.Bytes < 300*50 {
		t.Fatalf("read %d leases, %d tokens, %d cursors, %d segments of %d bytes", len(served.Leases), len(served.Tokens), len(served.Cursors), len(segments), served.Bytes)
	}
	if err := s.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	table, segments := readTable(t, configBelow(t, from.prefix), Read)
	table.Cut = lock.Head{Seq: 1, Hash: lock.Hash{9}} // as if one was pruned
	if err := importTable(t.Context(), configBelow(t, to.prefix), table, segments[1:]); err != nil {
		t.Fatal(err)
	}
	again, segmentsAgain := readTable(t, configBelow(t, to.prefix), Read)
	same := cmp.Options{
		cmp.Comparer(func(a, b auth.Scopes) bool { return a.String() == b.String() }), cmpopts.IgnoreFields(content.Table{}, "Bytes"), cmpopts.EquateApproxTime(0),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Remaining" }, cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Minute })),
	}
	if diff := cmp.Diff(table, again, same); diff != "" {
		t.Errorf("the table (-read +imported):\n%s", diff)
	}
	if diff := cmp.Diff(segments[1:], segmentsAgain); diff != "" {
		t.Errorf("the segments (-read +imported):\n%s", diff)
	}
	next := to.take(to.open("b")) // a node goes on with it
	snap := storetest.Load(t, next)
	line := storetest.Line{Head: snap.Head}
	line.Commit(t, next, 1, storetest.Row("a/new", snap.Head.Seq+1, time.Hour))
	before, err := next.SegmentsBefore(t.Context(), snap.Head.Seq+2, 1000)
	if err != nil || len(before) != 300 {
		t.Errorf("read backward: %d segments, %v; want 300", len(before), err)
	}
}

func TestImportRefusesAPrefixInUse(t *testing.T) {
	from, to := newNodes(t), newNodes(t)
	s := from.take(from.open("a"))
	fillTable(t, s)
	table, segments := readTable(t, configBelow(t, from.prefix), Snapshot)
	to.open("b") // makes meta
	if err := importTable(t.Context(), configBelow(t, to.prefix), table, segments); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("got %v, want that it is not empty", err)
	}
}

func TestImportThatIsNotFinishedIsNeverServed(t *testing.T) {
	from, to := newNodes(t), newNodes(t)
	s := from.take(from.open("a"))
	fillTable(t, s)
	table, segments := readTable(t, configBelow(t, from.prefix), Snapshot)
	im, err := NewImport(t.Context(), configBelow(t, to.prefix), table)
	if err != nil {
		t.Fatal(err)
	}
	err = im.Begin(t.Context(), table.Cut)
	for _, g := range segments {
		err = errors.Join(err, im.Add(t.Context(), g))
	}
	if err != nil {
		t.Fatal(err)
	}
	what := "etcdctl del --prefix " + to.prefix
	if _, err := Open(t.Context(), configBelow(t, to.prefix)); !errors.Is(err, ErrHalfCopied) || !strings.Contains(err.Error(), what) {
		t.Errorf("a node that is started too early: %v, want what to do", err)
	}
	if _, err := NewImport(t.Context(), configBelow(t, to.prefix), table); !errors.Is(err, ErrHalfCopied) || !strings.Contains(err.Error(), what) {
		t.Errorf("a second copy: %v, want what to do", err)
	}
	if err := im.Abort(); err != nil {
		t.Fatal(err)
	}
	client, _ := to.client()
	left, err := client.Get(t.Context(), to.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil || left.Count != 0 {
		t.Errorf("left behind: %v, %v", left.Kvs, err)
	}
	to.take(to.open("b"))
}

// What a killed copy has left makes no new table, also if somebody has deleted its key only: its
// tokens would be missing, and its audit log would be damaged.
func TestImportThatLostItsKeyIsNeverServed(t *testing.T) {
	from, to := newNodes(t), newNodes(t)
	s := from.take(from.open("a"))
	fillTable(t, s)
	table, segments := readTable(t, configBelow(t, from.prefix), Snapshot)
	im, err := NewImport(t.Context(), configBelow(t, to.prefix), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range segments {
		err = errors.Join(err, im.Add(t.Context(), g))
	}
	if err := errors.Join(err, im.flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	client, k := to.client()
	if _, err := client.Delete(t.Context(), k.own()); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), configBelow(t, to.prefix))
	if err == nil {
		t.Fatal("a table was made among what is there", c.Close())
	}
	if !strings.Contains(err.Error(), k.meta()) {
		t.Errorf("%v, want what is missing", err)
	}
}

// A node that was there before the copy says once why it does not serve.
func TestNodeSaysThatItWaitsForACopy(t *testing.T) {
	n := newNodes(t)
	var logged strings.Builder
	n.log = slog.New(slog.NewTextHandler(&logged, nil))
	node := n.open("a")
	client, k := n.client()
	for range 2 {
		if _, err := client.Put(t.Context(), k.own(), `{"node":"`+CopyingNode+`"}`); err != nil {
			t.Fatal(err)
		}
		awaitOwner(t, node, func(o Owner) bool { return o.Node == CopyingNode })
		if _, err := client.Delete(t.Context(), k.own()); err != nil {
			t.Fatal(err)
		}
		awaitOwner(t, node, func(o Owner) bool { return o.Node == "" })
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "etcdctl del --prefix "+n.prefix) {
		t.Errorf("it logs %q, want one line that says what to do", got)
	}
}

func TestImportRefusesAPrefixWithinAnother(t *testing.T) {
	from, to := newNodes(t), newNodes(t)
	s := from.take(from.open("a"))
	fillTable(t, s)
	table, segments := readTable(t, configBelow(t, from.prefix), Snapshot)
	to.open("b") // makes a table
	for prefix, want := range map[string]error{
		to.prefix + "t/":                    ErrWithin,
		to.prefix + "x/y/":                  ErrWithin,
		"/" + t.Name() + "/":                ErrNotEmpty, // the others lie in it
		to.prefix[:len(to.prefix)-1] + "0/": nil,
	} {
		if err := importTable(t.Context(), configBelow(t, prefix), table, segments); !errors.Is(err, want) {
			t.Errorf("below %s: %v, want %v", prefix, err, want)
		}
	}
}

func TestSnapshotOfNothingIsAnError(t *testing.T) {
	for _, read := range []func(context.Context, Config, func(content.Table) (func(lock.Segment) error, error)) error{Snapshot, Read} {
		err := read(t.Context(), configBelow(t, newNodes(t).prefix), func(content.Table) (func(lock.Segment) error, error) { return nil, nil })
		if !errors.Is(err, ErrEmpty) {
			t.Errorf("got %v, want that there is no table", err)
		}
	}
}

func TestReadNoticesANodeThatServesMeanwhile(t *testing.T) {
	n := newNodes(t)
	node := n.open("a")
	s := n.take(node)
	fillTable(t, s)
	if err := errors.Join(s.HandOver(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	err := Read(t.Context(), configBelow(t, n.prefix), func(content.Table) (func(lock.Segment) error, error) {
		s := n.take(node)
		line := storetest.Line{Head: storetest.Load(t, s).Head}
		line.Commit(t, s, 1, storetest.Row("late", 1<<40, time.Hour))
		return nil, errors.Join(s.HandOver(t.Context()), s.Close())
	})
	if !errors.Is(err, ErrServed) {
		t.Errorf("got %v, want that a node has served it", err)
	}
}
