package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
	"github.com/octostore/octostore/core/store/storetest"
)

// Another program writes into the log of an open store, under its own name.
var overwritings = []struct {
	name string
	do   func(t *testing.T, wal string, old []byte)
}{
	{"cut", func(t *testing.T, wal string, _ []byte) { writeAt(t, wal, true, nil) }},
	{"its header zeroed", func(t *testing.T, wal string, _ []byte) { writeAt(t, wal, false, make([]byte, 32)) }},
	{"with its own old bytes", func(t *testing.T, wal string, old []byte) { writeAt(t, wal, false, old) }},
	{"with its own old bytes, cut before", func(t *testing.T, wal string, old []byte) { writeAt(t, wal, true, old) }},
}

func writeAt(t *testing.T, path string, cut bool, b []byte) {
	t.Helper()
	flag := os.O_WRONLY
	if cut {
		flag |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// A check and Close notice such a log, with and without later commits, and move nothing of
// it into the database.
func TestLogOverwrittenInPlaceIsNoticed(t *testing.T) {
	if !host.HasInodeLocks {
		t.Skip("SKIP: the log is only looked into where its files can be kept open")
	}
	for _, test := range overwritings {
		for _, more := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				path := newPath(t)
				s := open(t, Config{Path: path, checkEvery: never})
				storetest.Load(t, s)
				var line storetest.Line
				line.Commit(t, s, 1)
				old, err := os.ReadFile(path + "-wal")
				if err != nil {
					t.Fatal(err)
				}
				line.Commit(t, s, 1)
				if err := s.checkContents(); err != nil {
					t.Fatal(err)
				}
				test.do(t, path+"-wal", old)
				if more {
					line.Commit(t, s, 1)
				}
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				err = s.checkContents()
				if !errors.Is(err, ErrReplaced) || !errors.Is(err, errOtherWriter) || !strings.Contains(err.Error(), "octostore.db-wal was overwritten") {
					t.Errorf("a look = %v, want ErrReplaced and the name of the log", err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
					t.Errorf("the database was written to (%v)", err)
				}
			})
		}
	}
}

// Checks of the log find nothing wrong while it starts over again and again, through this
// process and another.
func TestLogIsQuietWhileItStartsOver(t *testing.T) {
	s := open(t, Config{Path: newPath(t), checkEvery: 50 * time.Microsecond, walSize: 64 << 10})
	storetest.Load(t, s)
	other, err := conn.Open(s.path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var line storetest.Line
	for n := range 600 {
		line.Commit(t, s, 1, bulkyRow(line.Head.Seq%20))
		switch {
		case n%20 == 0:
			err = other.Checkpoint(conn.Truncate)
		case n%20 == 7:
			err = other.Checkpoint(conn.Restart)
		case n%20 == 13:
			err = other.Exec(fmt.Sprintf("PRAGMA user_version = %d", rows.NewestVersion()))
		case n%5 == 0:
			s.wakeUpkeep()
		}
		if err != nil && !retryable(err) {
			t.Fatal(err)
		}
	}
	if err := s.checkContents(); err != nil {
		t.Error(err)
	}
}
