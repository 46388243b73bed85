package forward

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const movedProblem = `{"type":"urn:octostore:problem:moved","title":"Moved","status":503,"code":"moved"}`

func answerMoved(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, movedProblem)
}

// A serving node that hands over answers moved: nothing was done. The request is sent again, whole,
// and its client notices nothing.
func TestPassLeavesARequestThatMovedToBeSentAgain(t *testing.T) {
	var bodies []string
	serving := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("idempotency-key")+" "+string(body))
		if n.requests.Load() < 3 {
			answerMoved(w)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
	f, _, _ := forwardingNode(t, serving)
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/a/acquire", strings.NewReader("ttl=10s"))
	r.Header.Set("Idempotency-Key", "key")
	until := time.Now().Add(time.Minute)
	for range 2 {
		if !f.Pass(w, r, until) {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		if w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Fatalf("something was answered: %v %s", w.Header(), w.Body)
		}
	}
	if f.Pass(w, r, until) || w.Body.String() != "done" {
		t.Errorf("the answer is %d %s", w.Code, w.Body)
	}
	for _, body := range bodies {
		if body != "key ttl=10s" {
			t.Errorf("sent were %q", bodies)
		}
	}
}

// What comes too late to be sent again, or says something else, is the answer.
func TestPassAnswersWhatIsNotToBeSentAgain(t *testing.T) {
	long := `{"code":"moved","detail":"` + strings.Repeat("x", mostProblem) + `"}`
	for _, tt := range []struct {
		name   string
		until  time.Duration
		status int
		body   string
	}{
		{"late", -time.Second, http.StatusServiceUnavailable, movedProblem},
		{"draining", time.Minute, http.StatusServiceUnavailable, `{"code":"draining"}`},
		{"another status", time.Minute, http.StatusConflict, movedProblem},
		{"unknown", time.Minute, http.StatusServiceUnavailable, `{"code":"outcome_unknown"}`},
		{"no problem", time.Minute, http.StatusServiceUnavailable, "moved"},
		{"long", time.Minute, http.StatusServiceUnavailable, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			serving := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			f, _, _ := forwardingNode(t, serving)
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/a/renew", http.NoBody)
			if f.Pass(w, r, time.Now().Add(tt.until)) {
				t.Error("it is to be sent again")
			}
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
}
