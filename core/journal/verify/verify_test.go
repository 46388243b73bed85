package verify_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// sample is an export of 300 records with two restarts and a checkpoint every 50.
func sample(t testing.TB) []byte {
	t.Helper()
	j := journal.New(memory.New())
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	journaltest.History(t, j, 1, 100)
	journaltest.History(t, j, 10_003, 120) // begins with "started", as after a restart
	journaltest.History(t, j, 20_003, 80)
	return journaltest.Export(t, j, journal.Query{})
}

func verifyFile(export []byte) (verify.Result, error) {
	v := verify.NewVerifier(nil)
	err := v.Verify(bytes.NewReader(export))
	return v.Result(), err
}

func TestVerifyAcceptsAnExport(t *testing.T) {
	out := sample(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(out)
	z.Close()
	for name, file := range map[string][]byte{"plain": out, "compressed": packed.Bytes()} {
		d, err := verifyFile(file)
		if err != nil || d.Records != 300 || d.First != 1 || d.Last != 20_082 || d.Vouched != 20_082 || d.Exports != 1 || !d.Complete || d.More {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// An error about a changed file names the line and its fault.
func TestVerifyNamesTheFirstFault(t *testing.T) {
	out := sample(t)
	lines := strings.SplitAfter(string(out), "\n")
	lines = lines[:len(lines)-1]
	const at = 41 // the 40th record is in line 41
	replace := func(line int, old, new string) func([]string) []string {
		return func(l []string) []string {
			changed := strings.Replace(l[line-1], old, new, 1)
			if changed == l[line-1] {
				t.Fatalf("%q is not in %s", old, l[line-1])
			}
			l[line-1] = changed
			return l
		}
	}
	for _, test := range []struct {
		name string
		do   func([]string) []string
		line int
		want string
	}{
		{"a changed record", replace(at, `"acme"`, `"evil"`), at, "it was changed"},
		{"a changed first record", replace(2, `"kind":"denied"`, `"kind":"granted"`), 2, "it was changed"},
		{"a changed last record", replace(301, `"r-20082"`, `"r-20083"`), 301, "it was changed"},
		{"a changed hash", replace(at, `"prev":"`, `"prev":"A`), at - 1, "it was changed, or 40 after it was"},
		{"a dropped record", func(l []string) []string { return slices.Delete(l, at-1, at) }, at, "dropped"},
		{"many dropped records", func(l []string) []string { return slices.Delete(l, at-1, at+19) }, at, "dropped"},
		{"a dropped last record", func(l []string) []string { return slices.Delete(l, 300, 301) }, 301, "closing line says 300"},
		{"a dropped first record", func(l []string) []string { return slices.Delete(l, 1, 2) }, 301, "closing line says 300"},
		{"an inserted copy", func(l []string) []string { return slices.Insert(l, at, l[at-1]) }, at, "it was inserted"},
		{"a copy from elsewhere", func(l []string) []string { return slices.Insert(l, at, l[9]) }, at + 1, "it was inserted"},
		{"an inserted line", func(l []string) []string { return slices.Insert(l, at, "{}\n") }, at + 1, "inserted"},
		{"an empty line at the end", func(l []string) []string { return append(l, "\n") }, 303, "opening line"},
		{"two records swapped", func(l []string) []string { l[at-1], l[at] = l[at], l[at-1]; return l }, at, "moved here"},
		{"a record moved down", func(l []string) []string { r := l[at-1]; return slices.Insert(slices.Delete(l, at-1, at), at+30, r) }, at, "moved here"},
		{"the tail cut off", func(l []string) []string { return l[:at] }, at + 1, "tail was cut off"},
		{"the tail cut off in a line", func(l []string) []string { l[at] = l[at][:20]; return l[:at+1] }, at + 1, "tail was cut off"},
		{"the closing line of another", replace(302, `"records":300`, `"records":299`), 302, "closing line says 299"},
		{"a closing line that lies about the rest", replace(302, `"more":false`, `"more":true`), 302, "not signed"},
		{"a changed opening line", replace(1, `"after":"0"`, `"after":"1"`), 302, "opening line has been changed"},
		{"an unsigned checkpoint", replace(51, `"signature":"`, `"signature":"A`), 51, "not signed"},
		{"nothing", func([]string) []string { return nil }, 1, "empty"},
		{"a CSV", func([]string) []string { return []string{"seq,time,kind,name,token\n"} }, 1, "in CSV, which cannot be verified"},
		{"a CSV of an earlier version", func([]string) []string { return []string{`# {"export":1}` + "\n", "seq,time\n"} }, 1, "in CSV, which cannot be verified"},
		{"something else", func([]string) []string { return []string{"# octostore\n", "seq,time\n"} }, 1, "opening line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Join(test.do(slices.Clone(lines)), "")
			_, err := verifyFile([]byte(changed))
			var fault *verify.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			if fault.Line != test.line || !strings.Contains(fault.Problem, test.want) {
				t.Errorf("got %v, want line %d: %s", fault, test.line, test.want)
			}
		})
	}
}

// 10,000 random changes of an export are all found, and near where they are.
func TestVerifyNoticesEveryMutation(t *testing.T) {
	out := sample(t)
	lines := bytes.SplitAfter(out, []byte("\n"))
	lines = lines[:len(lines)-1]
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := 10_000
	if testing.Short() {
		rounds = 1000
	}
	for n := range rounds {
		what, at, changed := mutate(rng, lines)
		if bytes.Equal(changed, out) {
			continue
		}
		_, err := verifyFile(changed)
		var fault *verify.Fault
		if !errors.As(err, &fault) {
			t.Fatalf("mutation %d, %s in line %d, is not noticed: %v", n, what, at, err)
		}
		// The closing line shows changes at both ends.
		if atEnds := at < 3 || fault.Line >= len(lines)-1; !atEnds && (fault.Line < at-1 || fault.Line > at+1) {
			t.Fatalf("mutation %d, %s in line %d, is said to be in: %v", n, what, at, fault)
		}
	}
}

// mutate changes a file in one random way, and says how and in which line first.
func mutate(rng *rand.Rand, lines [][]byte) (what string, line int, changed []byte) {
	l := slices.Clone(lines)
	i, j := rng.IntN(len(l)), rng.IntN(len(l))
	at := rng.IntN(len(l[i]))
	edit := func(f func([]byte) []byte) { l[i] = f(slices.Clone(l[i])) }
	switch rng.IntN(9) {
	case 0:
		what = "a flipped bit"
		edit(func(b []byte) []byte { b[at] ^= 1 << rng.IntN(8); return b })
	case 1:
		what = "a changed byte"
		edit(func(b []byte) []byte { b[at] = byte(' ' + rng.IntN(95)); return b })
	case 2:
		what = "a missing byte"
		edit(func(b []byte) []byte { return slices.Delete(b, at, at+1) })
	case 3:
		what = "an inserted byte"
		edit(func(b []byte) []byte { return slices.Insert(b, at, byte(' '+rng.IntN(95))) })
	case 4:
		what = "a missing line"
		l = slices.Delete(l, i, i+1)
	case 5:
		what = "an inserted line"
		l = slices.Insert(l, i, lines[j])
	case 6:
		what = "swapped lines"
		i, j = min(i, j), max(i, j)
		l[i], l[j] = l[j], l[i]
	case 7:
		what = "missing lines"
		l = slices.Delete(l, i, min(len(l), i+1+rng.IntN(20)))
	case 8:
		what = "a missing tail"
		l = append(l[:i], l[i][:at])
	}
	return what, i + 1, bytes.Join(l, nil)
}

func TestVerifyAcceptsOnlyTheRightKey(t *testing.T) {
	out := sample(t)
	d, _ := verifyFile(out)
	other, _, _ := ed25519.GenerateKey(nil)
	for _, test := range []struct {
		name   string
		pinned ed25519.PublicKey
		wrong  bool
	}{
		{"the key that signed", d.Key, false},
		{"another key", other, true},
	} {
		err := verify.NewVerifier(test.pinned).Verify(bytes.NewReader(out))
		if (err != nil) != test.wrong {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	text := record.FormatKey(d.Key)
	if key, err := record.ParseKey(text); err != nil || !key.Equal(d.Key) {
		t.Errorf("the key %s is read back as %s, %v", text, record.FormatKey(key), err)
	}
	for _, bad := range []string{"", "x", text + "A", text[1:]} {
		if _, err := record.ParseKey(bad); err == nil {
			t.Errorf("%q is read as a key", bad)
		}
	}
}

// Where the tail is missing, the checkpoints say how far signatures vouch.
func TestCheckpointVouchesForTheRecordsBeforeIt(t *testing.T) {
	lines := strings.SplitAfter(string(sample(t)), "\n")
	d, err := verifyFile([]byte(strings.Join(lines[:90], "")))
	if err == nil || d.Vouched != 50 || d.Signed != 50 || d.Records != 89 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestExportsThatDoNotJoinAreNoticed(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 100)
	first := journaltest.Export(t, j, journal.Query{Limit: 40})
	for after, fits := range map[lock.Seq]bool{40: true, 39: false, 41: false, 0: false} {
		second := journaltest.Export(t, j, journal.Query{After: after})
		_, err := verifyFile(slices.Concat(first, second))
		if (err == nil) != fits {
			t.Errorf("after %d: %v", after, err)
		}
	}
}

// A database that has been replaced by a backup goes on from another record than the
// one that was exported last.
func TestVerifyNamesAnExportThatGoesOnElsewhere(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 100)
	first := journaltest.Export(t, j, journal.Query{Limit: 40})
	second := journaltest.Export(t, j, journal.Query{After: 40})
	other := bytes.Replace(second, []byte(`"prev":"`), []byte(`"prev":"x`), 1)
	d, err := verifyFile(slices.Concat(first, other))
	fault, _ := errors.AsType[*verify.Fault](err)
	if fault == nil || fault.Seq != 41 || fault.Line != 44 || !strings.Contains(fault.Problem, "replaced by a backup") || d.Last != 40 || d.Signed != 40 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestCursors(t *testing.T) {
	for _, seq := range []lock.Seq{0, 1, 1882638332723201, 1<<53 - 1} {
		if got, err := record.ParseCursor(record.FormatCursor(seq)); err != nil || got != seq {
			t.Errorf("%d is read back as %d, %v", seq, got, err)
		}
	}
	for _, bad := range []string{"x", "-1", "+1", "01", " 1", "1 ", fmt.Sprint(uint64(1) << 53), "99999999999999999999999"} {
		if _, err := record.ParseCursor(bad); err == nil {
			t.Errorf("%q is read as a cursor", bad)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"export":1,"verifiable":true}` + "\n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte{0x1f, 0x8b, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := verifyFile(file); err == nil {
			t.Errorf("a file without a valid signature verifies: %q", file)
		}
	})
}
