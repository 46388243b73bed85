package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// What is kept is checked without an export, and the record where it is not as it was
// written is named.
func TestJournalIsCheckedWhereItIsKept(t *testing.T) {
	store := memory.New()
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	journaltest.History(t, j, 1, 60)
	segments, err := store.Segments(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	key, err := store.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	other, _, _ := ed25519.GenerateKey(nil)
	snapshot, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check := func(cut lock.Head, by ed25519.PublicKey, segments []lock.Segment) (*verify.SegmentVerifier, error) {
		c := verify.NewSegmentVerifier(cut, by)
		for _, s := range segments {
			if err := c.Segment(s); err != nil {
				return c, err
			}
		}
		return c, c.End(snapshot.Head)
	}
	if c, err := check(lock.Head{}, public, segments); err != nil || c.Records != 60 || c.Vouched != 50 || c.Newest.Sub(journaltest.Event(60).Time).Abs() > time.Millisecond {
		t.Errorf("%+v, %v", c, err)
	}

	// After a prune it begins with what follows the cut.
	half := verify.NewSegmentVerifier(lock.Head{}, public)
	if err := half.Segment(segments[0]); err != nil {
		t.Fatal(err)
	}
	if c, err := check(lock.Head{Seq: 1}, public, segments[1:]); err == nil {
		t.Errorf("another cut: %+v", c)
	}

	changed := append([]lock.Segment{}, segments...)
	changed[3].Bytes = bytes.Replace(changed[3].Bytes, []byte("acme"), []byte("evil"), 1)
	for _, test := range []struct {
		name     string
		by       ed25519.PublicKey
		segments []lock.Segment
		want     string
	}{
		{"a change", public, changed, "does not follow from"},
		{"a missing segment", public, append(append([]lock.Segment{}, segments[:4]...), segments[5:]...), "does not follow from 10"},
		{"a missing first segment", public, segments[1:], "record 2 does not follow from 0"},
		{"a missing last segment", public, segments[:len(segments)-1], "the journal ends at"},
		{"another key", other, segments, "the checkpoint 50 is not signed by the key"},
	} {
		if _, err := check(lock.Head{}, test.by, test.segments); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}
