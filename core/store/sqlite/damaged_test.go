package sqlite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Damage to whole files.
func TestDamagedFiles(t *testing.T) {
	m := makeImages(t)
	other := makeImages(t)
	stopped, killed := m.stopped, m.killed
	main, wal := killed.files[""], killed.files["-wal"]
	fresh := stopped
	fresh.events = nil
	for _, test := range []struct {
		name  string
		image image
		want  fate
	}{
		{"none, after a stop", stopped, whole},
		{"none, after a crash", killed, whole},
		{"the main file lacks its end", stopped.with("", main[:len(stopped.files[""])-4096]), refused},
		{"the main file lacks a piece of a page", stopped.with("", stopped.files[""][:len(stopped.files[""])-100]), refused},
		{"the main file lacks all but its first page", stopped.with("", stopped.files[""][:4096]), refused},
		{"the main file lacks most of its first page", stopped.with("", stopped.files[""][:512]), refused},
		{"the main file lacks its end, after a crash", killed.with("", main[:len(main)-4096]), either},
		{"the main file is empty", fresh.with("", []byte{}), whole},
		{"the main file is empty, after a crash", killed.with("", []byte{}), refused},
		{"zeros", stopped.with("", make([]byte, 64<<10)), refused},
		{"a few zeros", stopped.with("", make([]byte, 10)), refused},
		{"text", stopped.with("", []byte(strings.Repeat("some text\n", 1000))), refused},
		{"a short text", stopped.with("", []byte("some text\n")), refused},
		{"no WAL after a stop", stopped.with("-wal", nil), whole},
		{"no WAL after a crash", killed.with("-wal", nil), safe},
		{"an empty WAL after a crash", killed.with("-wal", []byte{}), safe},
		{"a WAL that lacks its end", killed.with("-wal", wal[:len(wal)/2]), safe},
		{"a WAL that lacks its newest commits", killed.with("-wal", cutFrames(wal, 1)), earlier},
		{"a WAL of zeros", killed.with("-wal", make([]byte, len(wal))), safe},
		{"a WAL that is text", killed.with("-wal", []byte(strings.Repeat("some text\n", 1000))), refused},
		{"the WAL of another database", stopped.with("-wal", other.killed.files["-wal"]), refused},
		{"the WAL of another database, after a crash", killed.with("-wal", other.killed.files["-wal"]), refused},
		{"a WAL from before the stop", stopped.with("-wal", wal), refused},
		{"an old backup", m.backup, whole},
		{"an old backup beside a newer WAL", m.backup.with("-wal", wal), refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := test.image.open(t)
			t.Logf("%d of %d events, %v", len(found), len(test.image.events), err)
			test.want(t, test.image, found, err)
		})
	}
}

// Sizes of a log in its file, with pages of 4,096 bytes.
const (
	logHeader = 32
	logFrame  = 24 + 4096
)

// cutFrames returns the log without its newest n frames. Frames of this log have the salts
// of its header.
func cutFrames(wal []byte, n int) []byte {
	frames := 0
	for at := logHeader; at+logFrame <= len(wal) && bytes.Equal(wal[at+8:at+16], wal[16:24]); at += logFrame {
		frames++
	}
	return wal[:logHeader+(frames-n)*logFrame]
}

// One bit that flipped: in any page of the database, and of each part of the log.
func TestFlippedBits(t *testing.T) {
	m := makeImages(t)
	rng := rand.New(rand.NewPCG(*tortureSeed, 0))
	t.Logf("seed %d", *tortureSeed)
	main, wal := m.stopped.files[""], m.killed.files["-wal"]
	const page, frame = 4096, logFrame
	pages := pagesOf(t, m.stopped)
	in := func(table string) (from, to int) {
		p := pages[table][rng.IntN(len(pages[table]))]
		return (p - 1) * page, p * page
	}
	anyFrame := func() int { return logHeader + frame*rng.IntN(8) }
	for _, test := range []struct {
		name string
		next func() (from, to int)
		wal  bool
		want fate
	}{
		{"the header of the main file", func() (int, int) { return 0, 100 }, false, either},
		{"the schema", func() (int, int) { return 100, page }, false, either},
		{"a page of leases", func() (int, int) { return in("leases") }, false, either},
		{"a page of segments", func() (int, int) { return in("segments") }, false, either},
		{"a page of meta", func() (int, int) { return in("meta") }, false, either},
		{"anywhere in the main file", func() (int, int) { return 0, len(main) }, false, either},
		{"the header of the WAL", func() (int, int) { return 0, 24 }, true, refused},
		{"the checksum of the WAL's header", func() (int, int) { return 24, 32 }, true, refused},
		{"the header of a frame", func() (int, int) { at := anyFrame(); return at, at + 16 }, true, refused},
		{"the checksum of a frame", func() (int, int) { at := anyFrame(); return at + 16, at + 24 }, true, refused},
		{"the page in a frame", func() (int, int) { at := anyFrame(); return at + 24, at + frame }, true, refused},
		{"anywhere in the WAL", func() (int, int) { return 0, len(wal) }, true, safe},
	} {
		t.Run(test.name, func(t *testing.T) {
			count := 0
			for range flips() {
				from, to := test.next()
				var damaged image
				if test.wal {
					damaged = m.killed.with("-wal", flipped(wal, from, to, rng))
				} else {
					damaged = m.stopped.with("", flipped(main, from, to, rng))
				}
				found, err := damaged.open(t)
				test.want(t, damaged, found, err)
				if err != nil {
					count++
				}
			}
			t.Logf("%d of %d were refused", count, flips())
		})
	}
}

// pagesOf returns the numbers of the pages of each table.
func pagesOf(t *testing.T, m image) map[string][]int {
	t.Helper()
	path := newPath(t)
	write(t, m.files, "", path)
	c, err := conn.Open(path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q, err := c.Prepare("SELECT name, pageno FROM dbstat")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	pages := make(map[string][]int)
	for {
		more, err := q.Step()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		pages[q.Text(0)] = append(pages[q.Text(0)], int(q.Int(1)))
	}
	for _, table := range []string{"leases", "segments", "meta"} {
		if len(pages[table]) == 0 {
			t.Fatal(fmt.Errorf("no pages of %s", table))
		}
	}
	return pages
}
