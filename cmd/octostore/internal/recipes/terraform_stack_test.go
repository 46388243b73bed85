//go:build unix

package recipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// stack is a state with its server, and a server of locks with tokens. Its lock is prod/network.
type stack struct {
	t      *testing.T
	locks  *octotest.Server
	states *httptest.Server
	gate   *httptest.Server // in front of locks
	token  string           // of an account that may acquire and read
	breaks string           // of one that may break, too
	admin  string

	mu        sync.Mutex
	state     []byte
	passwords map[string]bool // that the state server saw
	asked     []*recorded     // through the gate
	lose      string          // the method whose next answer is lost
}

// recorded is a request of Terraform to the server of locks, and the status of its answer.
type recorded struct {
	line   string
	body   string
	status int
}

func newStack(t *testing.T) *stack {
	t.Helper()
	octotest.NeedTools(t, "terraform")
	s := &stack{t: t, locks: octotest.Start(t, t.TempDir()), passwords: map[string]bool{}}
	s.admin = s.makeToken("", "admin", "admin")
	s.token = s.makeToken(s.admin, "ci", "acquire,read:prod/**")
	s.breaks = s.makeToken(s.admin, "operator", "acquire,read,break:prod/**")
	s.states = httptest.NewServer(http.HandlerFunc(s.serveState))
	t.Cleanup(s.states.Close)
	s.gate = httptest.NewServer(http.HandlerFunc(s.pass))
	t.Cleanup(s.gate.Close)
	return s
}

func (s *stack) makeToken(as, account, scopes string) string {
	s.t.Helper()
	got := octotest.CallAs(as, "POST", s.locks.Addr, "/v1/tokens?account="+account+"&scopes="+url.QueryEscape(scopes))
	octotest.Expect(s.t, got, 200, "")
	return octotest.Member(s.t, got.Body, "token")
}

// serveState is all that the backend needs of a state server besides locks.
func (s *stack) serveState(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, password, _ := r.BasicAuth()
	s.passwords[password] = true
	switch {
	case r.Method == http.MethodPost:
		s.state, _ = io.ReadAll(r.Body)
	case s.state == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write(s.state)
	}
}

// pass records the requests of Terraform, and loses an answer if it is to.
func (s *stack) pass(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	kept := &recorded{line: r.Method + " " + r.URL.RequestURI(), body: string(body)}
	s.mu.Lock()
	s.asked = append(s.asked, kept)
	lose := s.lose == r.Method
	if lose {
		s.lose = ""
	}
	addr := s.locks.Addr
	s.mu.Unlock()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // a server that was killed
	proxy.ModifyResponse = func(answer *http.Response) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		kept.status = answer.StatusCode
		return nil
	}
	if lose {
		proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	proxy.ServeHTTP(w, r)
}

func (s *stack) requests() (all []recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		all = append(all, *r)
	}
	return all
}

// folder returns a new working directory with the recipe, initialized.
func (s *stack) folder(query string) string {
	s.t.Helper()
	recipe, err := os.ReadFile(octotest.Path("sdk-examples/recipes/terraform/main.tf"))
	if err != nil {
		s.t.Fatal(err)
	}
	text := strings.NewReplacer("https://states.example.com", s.states.URL, "https://locks.example.com", s.gate.URL, "?ttl=1h&wait=5m", query).Replace(string(recipe))
	if strings.Contains(text, "example.com") || !strings.Contains(text, query) {
		s.t.Fatalf("the recipe has other addresses:\n%s", recipe)
	}
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out, err := s.terraform(dir, s.token, "init").CombinedOutput(); err != nil {
		s.t.Fatalf("terraform init: %v\n%s", err, out)
	}
	return dir
}

func (s *stack) terraform(dir, token string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*octotest.Patient)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "terraform", args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1", "TF_INPUT=0",
		"TF_CLI_ARGS=-no-color", "TF_HTTP_PASSWORD=" + token,
	}
	return cmd
}

// apply begins an apply that lasts until the file is there.
func (s *stack) apply(dir, token, file string, args ...string) (cmd *exec.Cmd, out *octotest.Buffer) {
	s.t.Helper()
	args = append([]string{"apply", "-auto-approve", "-var", "command=until [ -e " + file + " ]; do sleep 0.02; done"}, args...)
	cmd, out = s.terraform(dir, token, args...), &octotest.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill() }) // ended already: fine
	return cmd, out
}

func (s *stack) lock() (l api.Lock) {
	_ = json.Unmarshal([]byte(octotest.CallAs(s.admin, "GET", s.locks.Addr, "/v1/locks/prod/network").Body), &l)
	return l
}

// heldByTerraform waits until Terraform has the lock under an ID other than this one.
func (s *stack) heldByTerraform(other string) (id string) {
	s.t.Helper()
	octotest.WaitUntil(s.t, "Terraform has the lock", func() bool {
		if l := s.lock(); l.Lease != nil {
			id = l.Lease.Metadata["terraform.id"]
		}
		return id != "" && id != other
	})
	return id
}

// waitUntilNotNew waits until a force-unlock that does not say which lease it means may end this
// one.
func (s *stack) waitUntilNotNew() {
	s.t.Helper()
	octotest.WaitWithin(s.t, octotest.Patient, "the lease is not new", func() bool { return time.Since(s.lock().Lease.GrantedAt) > 5*time.Second })
}

func (s *stack) touch(file string) {
	s.t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// ends fails the test unless the command ends with success.
func (s *stack) ends(cmd *exec.Cmd, out *octotest.Buffer) {
	s.t.Helper()
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("terraform: %v\n%s", err, out)
	}
}

// lockWith sends a LOCK with a lock info, and returns the status of the answer.
func (s *stack) lockWith(token, info string) int {
	s.t.Helper()
	r, err := http.NewRequest("LOCK", "http://"+s.locks.Addr+"/v1/terraform/prod/network", strings.NewReader(info))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("terraform", token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
