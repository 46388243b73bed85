//go:build unix

package examples_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// withPython runs Python code with a database as db, and a number as token.
func withPython(file string, token int, code string) (string, error) {
	out, err := exec.Command("python3", "-c", fmt.Sprintf(`
import sqlite3
db = sqlite3.connect(%q, timeout=60)
token = %d
%s
`, file, token, code)).CombinedOutput()
	return string(out), err
}

// each is Python code that runs a block for tokens, and prints why it failed.
func each[Token int | int64](tokens []Token, block string) string {
	code := "for token in " + strings.ReplaceAll(fmt.Sprint(tokens), " ", ",") + ":\n    try:\n"
	for line := range strings.Lines(strings.TrimSpace(block)) {
		code += "        " + line
	}
	return code + "\n    except sqlite3.IntegrityError as error: print(error)"
}

func TestFencingInSQLite(t *testing.T) {
	t.Parallel() // it waits more than it works
	octotest.NeedTools(t, "python3")
	file := filepath.Join(t.TempDir(), "db")
	do := func(token int, code string) string {
		t.Helper()
		out, err := withPython(file, token, code)
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		return out
	}
	do(0, `
for again in range(2): db.executescript("""`+read(t, fencing+"sqlite.sql")+`""")
db.executescript("""PRAGMA journal_mode = WAL; CREATE TABLE writes (id INTEGER PRIMARY KEY AUTOINCREMENT, token INTEGER);
    CREATE TABLE config (name, value); INSERT INTO config VALUES ('version', 'v1')""")`)

	t.Run("the page", func(t *testing.T) {
		page := block(t, read(t, fencing+"README.md"), "python")
		got := do(0, each([]int64{7, 7, 6, 9007199254740991, 7}, page+`
    print(token, "writes")`))
		stale := "the fencing token is stale\n"
		if want := "7 writes\n7 writes\n" + stale + "9007199254740991 writes\n" + stale; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
	const guarded = `
with db:
    db.execute("INSERT INTO fence VALUES (?, ?) ON CONFLICT (lock) DO UPDATE SET token = excluded.token", ("b", token))
    db.execute("UPDATE config SET value = ?", (token,))
`
	t.Run("a stale token changes nothing", func(t *testing.T) {
		do(5, guarded)
		if out, err := withPython(file, 4, guarded); err == nil || !strings.Contains(out, "stale") {
			t.Errorf("%v %s", err, out)
		}
		if value := do(0, `print(*db.execute("SELECT value FROM config").fetchone())`); value != "5\n" {
			t.Errorf("the value is %s", value)
		}
	})
	t.Run("a token is a number", func(t *testing.T) {
		if out, err := withPython(file, 6, strings.Replace(guarded, `("b", token)`, `("b", str(token) + "x")`, 1)); err == nil {
			t.Errorf("a text was accepted: %s", out)
		}
	})
	t.Run("races", func(t *testing.T) {
		write := strings.NewReplacer(`"b"`, `"a"`, "UPDATE config SET value = ?", "INSERT INTO writes (token) VALUES (?)").Replace(guarded)
		race(t, func(tokens []int) (string, error) {
			return withPython(file, 0, each(tokens, write))
		})
		checkOrder(t, strings.Fields(do(0, `print(*[token for token, in db.execute("SELECT token FROM writes ORDER BY id")])`)))
	})
}
