package documents_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// The commands in docs/names.md are run against a real server.
func TestNamesPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh", "curl", "awk", "tr")
	_, blocks := pageBlocks(t, octotest.Path("docs/names.md"))
	r := readmeRun{t: t, addr: octotest.Start(t, t.TempDir()).Addr, dir: octotest.Root(), mask: masked}
	for _, b := range blocks {
		r.console(b)
	}
	if len(blocks) < 3 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}

// The client reads every lock there can be, and its queue.
func TestNamesAreReadByTheClient(t *testing.T) {
	server := octotest.Start(t, t.TempDir())
	c, err := client.New(client.Config{URL: "http://" + server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"deploy/prod", "refs/heads/release", "release/1.0+build5", "@types/node", "Router-A:57400", "~/x"} {
		octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/"+name+"/acquire?ttl=1h&holder=h"), 200, "")
		l, err := c.Lock(t.Context(), name, client.QueuePage{Waiters: 5, After: 1})
		if err != nil || l.Name != name || l.State != api.Held || l.Lease.Holder != "h" {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	var refused *client.Error
	if _, err := c.Lock(t.Context(), "a b", client.QueuePage{}); !errors.As(err, &refused) || refused.Code != api.CodeInvalid {
		t.Errorf("a name that is none: %v", err)
	}
}

var lockName = octotest.Path("sdk-examples/locks/lock-name.sh")

// nameOf is what lock-name.sh says it does, written down a second time.
func nameOf(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		first, last := i == 0 || text[i-1] == '/', i == len(text)-1
		rest, _, _ := strings.Cut(text[i:], "/")
		_, err := lock.ParseName("x" + string([]byte{c}) + "x")
		good := err == nil && c != '~'
		if c == '/' && (first || last) || c == '.' && first && (rest == "." || rest == "..") {
			good = false
		}
		if good {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "~%02X", c)
	}
	return b.String()
}

// Every text that is in use as the name of something becomes the name of a lock, in every
// shell and with every awk that is here, and no two texts become the same.
func TestNamesAreMadeOfAnyText(t *testing.T) {
	octotest.NeedTools(t, "sh", "awk")
	seen := map[string]string{}
	for _, text := range textsForNames(t) {
		want := nameOf(text)
		if other, twice := seen[want]; twice && other != text {
			t.Errorf("%q and %q both become %q", text, other, want)
		}
		seen[want] = text
		if _, err := lock.ParseName(want); err != nil && len(want) <= lock.MaxSegment {
			t.Errorf("%q becomes %q: %v", text, want, err)
		}
		if plain, err := lock.ParseName(text); err == nil && !strings.Contains(text, "~") && string(plain) != want {
			t.Errorf("%q is a name already, and becomes %q", text, want)
		}
	}
	for _, shell := range []string{"sh", "dash", "bash", "busybox sh"} {
		for _, awk := range []string{"awk", "mawk", "gawk", "original-awk", "busybox awk"} {
			path, there := pathWith(t, awk)
			words := strings.Fields(shell)
			if _, err := exec.LookPath(words[0]); err != nil || !there {
				t.Logf("SKIP: %s or %s is not installed", words[0], awk)
				continue
			}
			for text := range values(seen) {
				run := exec.Command(words[0], append(words[1:], lockName, text)...)
				run.Env = append(os.Environ(), "PATH="+path)
				out, err := run.CombinedOutput()
				if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != nameOf(text) {
					t.Errorf("%s with %s: %q becomes %q (%v), want %q", shell, awk, text, got, err, nameOf(text))
				}
			}
		}
	}
}

func values(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// textsForNames are those that people use, those that are at the borders, and some at random.
func textsForNames(t *testing.T) []string {
	file, err := os.ReadFile(octotest.Path("core/lock/testdata/real_names.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{".", "..", "...", "/", "//", "./", "../", "a/.", "a/..", "a//", "~", "~7E", "%7E", "a~2F", "a/", "a\tb", "-n", "-e x", "\\", "\\n", "\xff\xfe"}
	for line := range strings.Lines(string(file)) {
		texts = append(texts, strings.Split(line, "\t")[1])
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		var b strings.Builder
		for range 1 + random.IntN(12) {
			b.WriteString([]string{"a", "/", ".", "~", "2F", " ", "é", "+", ":", "\\", "\"", "'", "$"}[random.IntN(13)])
		}
		texts = append(texts, b.String())
	}
	return texts
}

// pathWith returns a PATH on which awk is that one, if it is installed.
func pathWith(t *testing.T, awk string) (path string, there bool) {
	t.Helper()
	words := strings.Fields(awk)
	program, err := exec.LookPath(words[0])
	if err != nil {
		return "", false
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "awk")); err != nil { // busybox goes by what it is called
		t.Fatal(err)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH"), true
}
