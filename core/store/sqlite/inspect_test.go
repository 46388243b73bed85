package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
	"github.com/octostore/octostore/core/store/storetest"
)

// undoMigration leads from each version of the schema to the one before.
var undoMigration = map[int]string{
	6: "ALTER TABLE tokens DROP COLUMN member_of",
	5: "ALTER TABLE leases DROP COLUMN confirm",
	4: "DROP TABLE tokens",
	3: "DROP TABLE observers",
	2: `DELETE FROM meta WHERE key = 'signing_key';
		UPDATE segments SET span = first + span, sum = sum & 0xffffffff;
		ALTER TABLE segments RENAME COLUMN span TO last`,
}

// A database of an older program can be read as it is, whatever its version.
func TestInspectReadsEveryVersionOfTheSchema(t *testing.T) {
	for version := 1; version <= int(rows.NewestVersion()); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := newPath(t)
			s := open(t, Config{Path: path})
			storetest.Load(t, s)
			var line storetest.Line
			for n := range 8 { // some of their checksums have the highest bit
				line.Commit(t, s, 2, storetest.Row("held", lock.Token(n+1), time.Hour))
			}
			for v := int(rows.NewestVersion()); v > version; v-- {
				if err := s.w.Exec(undoMigration[v]); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.w.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			checkInspected(t, path, line.Head, version)
		})
	}
}

func checkInspected(t *testing.T, path string, head lock.Head, version int) {
	t.Helper()
	var firsts []lock.Seq
	each := func(g lock.Segment) error {
		firsts = append(firsts, g.First)
		return nil
	}
	inspected, err := Inspect(t.Context(), path, 4, each)
	if err != nil {
		t.Fatalf("inspect: %v", err)
	}
	examined, err := Examine(t.Context(), path, func(Inspection) func(lock.Segment) error { return each })
	if err != nil {
		t.Fatalf("examine: %v", err)
	}
	for _, in := range []Inspection{inspected, examined} {
		if in.Head != head || len(in.Leases) != 1 || in.Tokens != 0 || (len(in.Key) != 0) != (version >= 2) {
			t.Errorf("%+v, want one lease, no token, and the head %v", in, head)
		}
	}
	if want := []lock.Seq{5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15}; !slices.Equal(firsts, want) {
		t.Errorf("the segments begin at %v, want %v", firsts, want)
	}
}
