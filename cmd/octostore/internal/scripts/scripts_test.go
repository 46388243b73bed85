// Package scripts_test runs the scripts in testdata/script, which use octostore as people
// do: each begins in an empty folder, and says what comes out.
package scripts_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// TestScripts runs the scripts in testdata/script with the real command. Besides the
// usual commands of testscript they have:
//
//	serve [VAR=VALUE...]     start a server; sets $ADDR
//	halt                     stop it by SIGTERM; it has to exit with 0 ("stop" is testscript's
//	                         own and ends the script)
//	crash                    end it by SIGKILL
//	http METHOD PATH         send a request to it, with $TOKEN if set, and print the answer
//	sql FILE STATEMENT       change a database behind its back
//	settoken FILE            take the token in a file for requests and commands
//	revoke FILE              revoke the token that a file shows as JSON
//	module NAME FILE         write a policy of octotest
func TestScripts(t *testing.T) {
	params := testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve":  scriptServe,
			"halt":   scriptHalt,
			"crash":  scriptCrash,
			"http":   scriptHTTP,
			"sql":    scriptSQL,
			"module": scriptModule,

			"settoken": scriptSetToken,
			"revoke":   scriptRevoke,
		},
		Setup: func(e *testscript.Env) error {
			e.Values[running{}] = new(running)
			e.Vars = append(e.Vars, octotest.SearchPath(t))
			return nil
		},
	}
	if testing.Short() {
		// With the race detector every command takes long to start. The demonstration has a
		// server do all it can; what else stands in scripts is about single commands.
		params.Dir, params.Files = "", []string{"testdata/script/demo.txtar"}
	}
	testscript.Run(t, params)
}

// running is the server a script has started.
type running struct{ *octotest.Server }

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	var environ []string
	for _, name := range []string{"PATH", "HOME", "OCTOSTORE_DB"} {
		if value := ts.Getenv(name); value != "" {
			environ = append(environ, name+"="+value)
		}
	}
	p, err := octotest.TryStart(ts.MkAbs("."), append(environ, args...)...)
	if neg {
		if err == nil {
			p.Kill()
			ts.Fatalf("the server started")
		}
		fmt.Fprintln(ts.Stderr(), err)
		return
	}
	ts.Check(err)
	ts.Defer(p.Kill)
	ts.Value(running{}).(*running).Server = p
	ts.Setenv("ADDR", p.Addr)
}

func scriptHalt(ts *testscript.TestScript, _ bool, _ []string) {
	p := ts.Value(running{}).(*running)
	ts.Check(p.Signal(syscall.SIGTERM))
	state, err := p.Wait(5 * time.Second)
	ts.Check(err)
	if !state.Success() {
		ts.Fatalf("the server ended with %s", state)
	}
}

func scriptCrash(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(running{}).(*running).Kill()
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: http METHOD PATH")
	}
	request, err := http.NewRequest(args[0], "http://"+ts.Getenv("ADDR")+args[1], nil)
	ts.Check(err)
	request.Close = true
	if token := ts.Getenv("TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n%s", response.Status, body)
	if failed := response.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s %s: %s\n%s", args[0], args[1], response.Status, body)
	}
}

func scriptSQL(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(strings.Join(args[1:], " "))
	ts.Check(err)
}

func scriptSetToken(ts *testscript.TestScript, _ bool, args []string) {
	token := strings.TrimSpace(ts.ReadFile(args[0]))
	ts.Setenv("TOKEN", token)
	ts.Setenv("OCTOSTORE_TOKEN", token)
}

func scriptRevoke(ts *testscript.TestScript, neg bool, args []string) {
	var shown struct{ ID string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &shown))
	err := ts.Exec("octostore", "token", "revoke", shown.ID)
	if failed := err != nil; failed != neg {
		ts.Fatalf("revoke %s: %v", shown.ID, err)
	}
}

func scriptModule(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: module NAME FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), octotest.Module(args[0]), 0o600))
}

func TestMain(m *testing.M) { octotest.Main(m) }
