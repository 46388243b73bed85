// Package httplocktest is a lock service over HTTP as the clients of a workload see it. It makes
// their requests, and says what each answer means to the check of a history. It is for tests.
package httplocktest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Answer is an answer that came back whole.
type Answer struct {
	From           string // the server, "" if there is only one
	Status         int
	Body           []byte
	Problem        api.Problem // if the status is not 200 and the body has one
	Sent, Received time.Time
}

// Send sends a request to the server at an address, once. Headers are names and values by turns.
// The outcome of a request with an error is unknown, unless the error says that nobody listened.
// Nothing but From and Sent is set then.
func Send(ctx context.Context, client *http.Client, from, addr, method, path string, headers ...string) (Answer, error) {
	a := Answer{From: from, Sent: time.Now()}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, nil)
	if err != nil {
		panic(err) // a mistake of the test, of which no history should tell
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	a.Status, a.Body, a.Received = response.StatusCode, body, time.Now()
	if a.Status != http.StatusOK {
		_ = json.Unmarshal(body, &a.Problem) // one without a code is an unexpected answer
	}
	return a, nil
}

// detail says who has answered, and what.
func (a *Answer) detail() string { return strings.TrimSpace(a.From + " " + string(a.Problem.Code)) }

// Path returns the path of a lock, or of a verb on it.
func Path(name, verb string) string { return "/v1/locks/" + name + verb }
