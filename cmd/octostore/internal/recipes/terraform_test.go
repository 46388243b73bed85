//go:build unix

package recipes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

func TestTerraformAppliesExcludeEachOther(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	first, firstOut := s.apply(s.folder("?ttl=10m"), s.token, file)
	id := s.heldByTerraform("")
	if l := s.lock().Lease; l.Account != "ci" || !strings.Contains(l.Holder, "@") || l.Reason != "OperationTypeApply" || l.TTLMS != 600_000 {
		t.Errorf("the lease of terraform: %+v", l)
	}

	// One that does not wait is told who has the lock.
	second := s.folder("?ttl=10m")
	out, err := s.terraform(second, s.token, "plan").CombinedOutput()
	if text := strings.Join(strings.Fields(string(out)), " "); err == nil || !strings.Contains(text, "HTTP remote state already locked: ID="+id) {
		t.Errorf("a second plan: %v\n%s", err, out)
	}

	// One that waits in the queue has the lock when the first apply has ended.
	waiting, waitingOut := s.apply(s.folder("?ttl=10m&wait=30s"), s.token, file)
	octotest.WaitUntil(t, "one waits", func() bool { return s.lock().WaitersTotal == 1 })
	s.touch(file)
	s.ends(first, firstOut)
	s.ends(waiting, waitingOut)

	var state struct{ Serial int }
	if err := json.Unmarshal(s.state, &state); err != nil || state.Serial < 2 {
		t.Errorf("two applies end with the serial %d: %v", state.Serial, err)
	}
	if !s.passwords[s.token] {
		t.Error("the state server did not see the password of the backend; docs/terraform.md says that it does")
	}
	if s.lock().State != api.Free {
		t.Error("the lock is still held")
	}
	// What Terraform sends is what the conversations in transport/testdata were recorded from.
	for _, r := range s.requests() {
		var info map[string]string
		if err := json.Unmarshal([]byte(r.body), &info); err != nil {
			t.Fatalf("%s: %v in %q", r.line, err, r.body)
		}
		for _, name := range []string{"ID", "Operation", "Info", "Who", "Version", "Created", "Path"} {
			if _, is := info[name]; !is || len(info) != 7 {
				t.Errorf("%s has no %s, or more: %s", r.line, name, r.body)
			}
		}
	}
}

// With -lock-timeout Terraform asks again with the same ID, until the lock is free.
func TestTerraformLockTimeoutAsksAgain(t *testing.T) {
	t.Parallel() // it waits
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	s.touch(file)
	held := octotest.CallAs(s.token, "POST", s.locks.Addr, "/v1/locks/prod/network/acquire?ttl=10m")
	octotest.Expect(t, held, 200, "")
	polling, out := s.apply(s.folder("?ttl=10m"), s.token, file, "-lock-timeout=1m")
	octotest.WaitUntil(t, "it was refused twice", func() bool {
		all := s.requests()
		return len(all) == 2 && all[1].status == 423
	})
	octotest.Expect(t, octotest.CallAs(s.token, "POST", s.locks.Addr, "/v1/locks/prod/network/release?lease_id="+octotest.Member(t, held.Body, "lease_id")), 200, "")
	s.ends(polling, out)
	if all := s.requests(); len(all) != 4 || all[0].body != all[2].body || all[0].status != 423 || all[2].status != 200 {
		t.Errorf("terraform sent %+v", all)
	}
}

func TestTerraformForceUnlock(t *testing.T) {
	t.Parallel() // it waits
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	dir := s.folder("?ttl=10m")
	killed, _ := s.apply(dir, s.token, file)
	id := s.heldByTerraform("")
	_ = killed.Process.Kill()
	_ = killed.Wait()
	s.touch(file) // for what the killed apply started
	if out, err := s.terraform(dir, s.token, "plan").CombinedOutput(); err == nil || !strings.Contains(string(out), id) {
		t.Fatalf("the lock of a killed apply is not held: %v\n%s", err, out)
	}
	s.waitUntilNotNew()
	before := len(s.requests())
	out, err := s.terraform(dir, s.breaks, "force-unlock", "-force", id).CombinedOutput()
	if err != nil {
		t.Fatalf("terraform force-unlock: %v\n%s", err, out)
	}
	if sent := s.requests()[before]; sent.status != 200 || sent.body != "" && !strings.Contains(sent.body, id) {
		t.Errorf("force-unlock sent %+v, want an empty body or the ID", sent)
	}
	if out, err := s.terraform(dir, s.token, "plan").CombinedOutput(); err != nil {
		t.Errorf("after force-unlock: %v\n%s", err, out)
	}

	// An account without the scope break does not unlock by force with an empty body.
	octotest.Expect(t, octotest.CallAs(s.token, "POST", s.locks.Addr, "/v1/locks/prod/network/acquire?ttl=10m"), 200, "")
	out, err = s.terraform(dir, s.token, "force-unlock", "-force", id).CombinedOutput()
	if err == nil || s.lock().State != api.Held {
		t.Errorf("force-unlock without the scope break: %v\n%s", err, out)
	}
}

// Terraform repeats a request whose answer was lost: with the same ID, it gets the same lease, and
// the same answer to an unlock.
func TestTerraformRepeatsWhatWasLost(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	s.touch(file)
	dir := s.folder("?ttl=10m")
	for _, method := range []string{"LOCK", "UNLOCK"} {
		s.mu.Lock()
		s.lose = method
		s.mu.Unlock()
		cmd, out := s.apply(dir, s.token, file)
		s.ends(cmd, out)
	}
	var sent []string
	for _, r := range s.requests() {
		sent = append(sent, fmt.Sprintf("%.6s %d", r.line, r.status))
	}
	if got := strings.Join(sent, ", "); got != "LOCK / 200, LOCK / 200, UNLOCK 200, LOCK / 200, UNLOCK 200, UNLOCK 200" {
		t.Errorf("terraform sent %s", got)
	}
	granted := octotest.CallAs(s.admin, "GET", s.locks.Addr, "/v1/audit?prefix=prod/network").Body
	if n := strings.Count(granted, `"kind":"granted"`); n != 2 {
		t.Errorf("two applies had %d leases:\n%s", n, granted)
	}
}

// The server restarts while an apply runs: the lease and its ID survive.
func TestTerraformUnlocksAfterARestart(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	dir := s.folder("?ttl=10m")
	cmd, out := s.apply(dir, s.token, file)
	id := s.heldByTerraform("")
	_ = s.locks.Signal(syscall.SIGKILL)
	<-s.locks.Done
	again := octotest.Start(t, s.locks.Cmd.Dir)
	s.mu.Lock()
	s.locks = again
	s.mu.Unlock()
	if now := s.heldByTerraform(""); now != id {
		t.Fatalf("the lock is held under %s, before it was %s", now, id)
	}
	s.touch(file)
	s.ends(cmd, out)
	if s.lock().State != api.Free {
		t.Error("the lock is still held")
	}
}

// A run that is killed while it waits gets no lock, as far as the server can see: its connection
// is cut.
func TestTerraformKilledWhileItWaitsGetsNoLock(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	first, firstOut := s.apply(s.folder("?ttl=10m"), s.token, file)
	s.heldByTerraform("")
	waiting, _ := s.apply(s.folder("?ttl=10m&wait=1m"), s.token, file)
	octotest.WaitUntil(t, "one waits", func() bool { return s.lock().WaitersTotal == 1 })
	_ = waiting.Process.Kill()
	_ = waiting.Wait()
	octotest.WaitUntil(t, "its place is passed over", func() bool {
		l := s.lock()
		return l.WaitersTotal == 0 || l.Waiters[0].Away
	})
	s.touch(file)
	s.ends(first, firstOut)
	if s.lock().State != api.Free {
		t.Error("the lock is still held")
	}
}

// A lease that ends before its apply is no secret: Terraform says so when it unlocks.
func TestTerraformReportsALeaseThatEnded(t *testing.T) {
	s := newStack(t)
	file := filepath.Join(t.TempDir(), "go")
	cmd, out := s.apply(s.folder("?ttl=1s"), s.token, file)
	s.heldByTerraform("")
	octotest.WaitUntil(t, "the lease has ended", func() bool { return s.lock().State == api.Free })
	s.touch(file)
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "Error releasing the state lock") || !strings.Contains(out.String(), "409") {
		t.Errorf("an apply that was longer than its lease: %v\n%s", err, out)
	}
}

// The commands of docs/terraform.md are run in order.
func TestTerraformPageTellsTheTruth(t *testing.T) {
	t.Parallel() // it waits
	s := newStack(t)
	page, err := os.ReadFile(octotest.Path("docs/terraform.md"))
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile(octotest.Path("sdk-examples/recipes/terraform/main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	dir := s.folder("?ttl=10m")
	ran := 0
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		language, text := m[1], strings.TrimPrefix(m[2], "$ ")
		if language == "hcl" {
			if !strings.Contains(string(recipe), strings.TrimSuffix(text, "\n")) {
				t.Errorf("main.tf does not have the backend of the page:\n%s", text)
			}
			continue
		}
		id := regexp.MustCompile("[0-9a-f-]{36}").FindString(text)
		if id != "" { // of a run that crashed
			info := `{"ID":"` + id + `","Operation":"OperationTypeApply","Info":"","Who":"alice@build-7","Version":"1.11.4","Created":"2026-11-27T17:11:09Z","Path":""}`
			if got := s.lockWith(s.token, info); got != 200 {
				t.Fatalf("the lock of the page: %d", got)
			}
			s.waitUntilNotNew()
		}
		cmd := octotest.Shell(t, dir, text, append(s.terraform(dir, s.breaks).Env[1:], "TF_CLI_ARGS_apply=-auto-approve", "OCTOSTORE_URL=http://"+s.locks.Addr, "OCTOSTORE_TOKEN="+s.admin)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("$ %s: %v\n%s", text, err, out)
		}
		if s.lock().State != api.Free {
			t.Errorf("$ %s: the lock is still held", text)
		}
		ran++
	}
	if ran < 5 {
		t.Errorf("only %d commands were found", ran)
	}
}
