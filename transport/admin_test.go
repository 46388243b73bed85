package transport

import (
	"bytes"
	"net/http/httptest"
	"testing"
)

// admin asks the listener for administration.
func (s *server) admin(t *testing.T, line string, options ...option) (status int, body string) {
	t.Helper()
	rec := httptest.NewRecorder()
	if serve(s.AdminServer().Handler, rec, newRequest(line, options).http()) {
		t.Fatalf("%s: the connection was cut", line)
	}
	return rec.Code, rec.Body.String()
}

// Each listener answers what is for it, and says 404 to the rest.
func TestListenersAnswerTheirRoutes(t *testing.T) {
	const main, admin = true, true
	for _, test := range []struct {
		name               string
		metricsOn, readyOn Listeners
		where              map[string][2]bool // main, admin
	}{
		{"as it comes", Both, Both, map[string][2]bool{
			"/": {main, admin}, "/healthz": {main, admin}, "/readyz": {main, admin}, "/metrics": {main, admin},
			"/v1/policies": {main, admin}, "/v1/tokens": {main, admin},
			"/v1/locks": {main, false}, "/v1/locks/a": {main, false}, "/v1/audit": {main, false}, "/openapi.yaml": {main, false},
			"/debug/pprof/": {false, admin}, "/debug/pprof/heap": {false, admin}, "/debug/pprof/cmdline": {false, admin},
		}},
		{"metrics here, readiness there", AdminOnly, MainOnly, map[string][2]bool{"/metrics": {false, admin}, "/readyz": {main, false}}},
		{"and the other way round", MainOnly, AdminOnly, map[string][2]bool{"/metrics": {main, false}, "/readyz": {false, admin}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, setup{metricsOn: test.metricsOn, readyOn: test.readyOn})
			for path, want := range test.where {
				rec := httptest.NewRecorder()
				serve(s, rec, newRequest("GET "+path, nil).http())
				onAdmin, _ := s.admin(t, "GET "+path)
				if got := [2]bool{rec.Code == 200, onAdmin == 200}; got != want {
					t.Errorf("%s is answered on main, admin %v (%d, %d); want %v", path, got, rec.Code, onAdmin, want)
				}
			}
		})
	}
}

func TestAdminListenerHasNoLocks(t *testing.T) {
	s := newServer(t, setup{})
	for _, line := range []string{"POST /v1/locks/a/acquire", "POST /v1/locks/a/break?reason=x", "PUT /v1/locks/a"} {
		if status, body := s.admin(t, line); status != 404 {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	if s.table.Stats().Held != 0 {
		t.Error("a lock was taken")
	}
}

// Profiles show what is in memory, so they are for administrators, and not for web pages.
func TestProfilesAreForAdministrators(t *testing.T) {
	s := newServer(t, setup{})
	if status, _ := s.admin(t, "GET /debug/pprof/goroutine?debug=1"); status != 200 {
		t.Errorf("in open mode, on loopback: %d", status)
	}
	if status, _ := s.admin(t, "GET /debug/pprof/heap", header("Host", "example.com")); status != 403 {
		t.Errorf("by a foreign name: %d", status)
	}
	admin, reader := s.as(t, "root", "admin"), s.as(t, "reader", "read,audit:** policies")
	for _, test := range []struct {
		who    []option
		status int
	}{{nil, 401}, {[]option{bearer("octo_wrong")}, 401}, {[]option{reader}, 403}, {[]option{admin}, 200}} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=0.01", "/debug/pprof/cmdline"} {
			if test.status == 200 && path == "/debug/pprof/profile?seconds=0.01" {
				continue // a second, for any fraction of one
			}
			if status, body := s.admin(t, "GET "+path, test.who...); status != test.status {
				t.Errorf("%s: %d, want %d: %s", path, status, test.status, body)
			}
		}
	}
	if status, _ := s.admin(t, "POST /debug/pprof/symbol", admin); status != 404 {
		t.Errorf("POST: %d", status)
	}
	if status, _ := s.admin(t, "GET /debug/pprof/nothing", admin); status != 404 {
		t.Errorf("an unknown profile: %d", status)
	}
}

func TestIndexOfEachListener(t *testing.T) {
	s := newServer(t, setup{metricsOn: AdminOnly, readyOn: MainOnly})
	_, there := s.admin(t, "GET /")
	here := s.do(t, "GET /").want(200).body
	if bytes.Contains(here, []byte("/metrics")) || !bytes.Contains(here, []byte("/readyz")) {
		t.Errorf("the main one:\n%s", here)
	}
	if there := []byte(there); !bytes.Contains(there, []byte("/metrics")) || bytes.Contains(there, []byte("/readyz")) || !bytes.Contains(there, []byte("/debug/pprof/")) {
		t.Errorf("the other one:\n%s", there)
	}
	if s.AdminServer().ReadHeaderTimeout != headerTimeout || s.AdminServer().MaxHeaderBytes != maxHeader || s.AdminServer().WriteTimeout != 0 {
		t.Error("the limits of the listeners differ")
	}
}
