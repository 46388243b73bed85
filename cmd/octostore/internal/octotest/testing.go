package octotest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Patient is for answers that have to come, however busy the machine is. Promptly is for
// what takes a moment on an idle machine, and must take neither the ten seconds for which
// an idempotency key keeps its place in a queue nor the length of a wait.
const (
	Patient  = 30 * time.Second
	Promptly = 5 * time.Second
)

// Main is a TestMain that fails if goroutines are left when the tests have passed.
// Parallel tests of processes wait more than they work, so eight run at a time, however
// few processors there are.
func Main(m *testing.M) {
	if flag.Parse(); flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", "8") // a number
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goleak:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// HowMany returns the number that a flag asks for, else the usual one, else the one
// with -short.
func HowMany(asked, usual, short int) int {
	switch {
	case asked > 0:
		return asked
	case testing.Short():
		return short
	}
	return usual
}

// WaitUntil polls until a condition is true.
func WaitUntil(t *testing.T, what string, true func() bool) {
	t.Helper()
	for giveUp := time.Now().Add(Patient); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("still not so after %s: %s", Patient, what)
		}
	}
}

// WaitWithin is [WaitUntil] with a limit, and polls less often.
func WaitWithin(t *testing.T, most time.Duration, what string, true func() bool) {
	t.Helper()
	for giveUp := time.Now().Add(most); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("still not so after %s: %s", most, what)
		}
	}
}

// NeedTools skips the test if a program is not installed.
func NeedTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: %s is not installed", tool)
		}
	}
}

// Output is the exit code of a command, and the text it printed.
type Output struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command of octostore to its end, without input.
func Run(t *testing.T, args ...string) Output {
	t.Helper()
	return RunWith(t, nil, args...)
}

// RunWith is [Run] with more environment variables.
func RunWith(t *testing.T, environ []string, args ...string) Output {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(Binary(t), args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return Output{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Buffer is a strings.Builder for many goroutines.
type Buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *Buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *Buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Shell returns a command for the system's shell, which finds octostore on its PATH.
func Shell(t *testing.T, dir, script string, environ ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	// The tests may have been started by make, of which the script is no part.
	cmd.Env = append(append(os.Environ(), SearchPath(t), "http_proxy=", "HTTP_PROXY=", "MAKELEVEL=", "MAKEFLAGS=", "MFLAGS="), environ...)
	return cmd
}

// SearchPath returns the variable PATH with the folder of octostore before all others.
func SearchPath(t testing.TB) string {
	t.Helper()
	return "PATH=" + filepath.Dir(Binary(t)) + string(os.PathListSeparator) + os.Getenv("PATH")
}
