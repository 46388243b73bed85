package transport

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, text := range []string{"text/html", "text/javascript", "text/css", "image/svg+xml"} {
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.FileBodyDecoder)
	}
	spec() // before any test runs in a bubble, where reading files would be waiting
	strict()
	goleak.VerifyTestMain(recording{m},
		// After the answer to what is no request, net/http gives the client half a second
		// to read it, and nothing tells when that is over.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// server is an API over a real table, and the only client the tests have: every
// request and every answer that passes through it is held to openapi.yaml.
type server struct {
	*API
	table *table.Table
	log   *journal.Journal
}

// setup says what a test wants to be different from the usual.
type setup struct {
	store journal.Store // nil: in memory
	core  core.Config
	lock  table.Config
	log   slog.Handler
	sizes func() (int64, int64)
	file  string // of tokens

	limits             Limits
	metricsOn, readyOn Listeners
	watches, exports   int // how many may, as in Config
	policies           Policies
	proxies            Proxies
	tracer             Tracer
	public             *url.URL
	backups            Backups
	server             func() api.Server
	forwarded          *forward.Receiver
	cluster            Cluster
}

func newServer(t testing.TB, with setup) *server {
	t.Helper()
	if with.store == nil {
		with.store = memory.New()
	}
	log := journal.New(with.store)
	published := with.lock.Published
	with.lock.Published = func() {
		log.Publish()
		if published != nil {
			published()
		}
	}
	with.lock.Rechecks = core.Rechecks(with.core.Guard)
	table, err := table.Open(context.Background(), log, with.lock)
	if err != nil {
		t.Fatalf("opening the table: %v", err)
	}
	t.Cleanup(func() {
		_ = table.Close() // a test that breaks its table knows
		_ = log.Close()
	})
	kept, ok := with.store.(auth.Store)
	if !ok {
		kept = memory.New()
	}
	tokens, err := auth.Open(context.Background(), auth.Config{Store: kept, Recorder: table, File: with.file})
	if err != nil {
		t.Fatalf("opening the tokens: %v", err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	cfg := Config{
		Service: core.New(table, with.core), Journal: log, Tokens: tokens, Version: "test", Sizes: with.sizes, Policies: with.policies, Backups: with.backups, Server: with.server, Cluster: with.cluster,
		MaxWatches: with.watches, MaxExports: with.exports,
		Proxies: with.proxies, Tracer: with.tracer,
		Public: with.public, Forwarded: with.forwarded,
		Limits: with.limits, MetricsOn: with.metricsOn, ReadyOn: with.readyOn,
	}
	if with.log != nil {
		cfg.Logger = slog.New(with.log)
	}
	s := &server{API: New(cfg), table: table, log: log}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// request is a request as a test writes it: "POST /v1/locks/a/acquire?ttl=60s".
type request struct {
	line    string
	header  http.Header
	body    string
	invalid bool   // on purpose: openapi.yaml need not allow it
	remote  string // address and port; empty: one for documentation
	ctx     context.Context
}

type option func(*request)

func header(name, value string) option {
	return func(r *request) { r.header.Add(name, value) }
}

func body(contentType, s string) option {
	return func(r *request) {
		r.header.Set("Content-Type", contentType)
		r.body = s
	}
}

func jsonBody(s string) option { return body("application/json", s) }
func formBody(s string) option { return body("application/x-www-form-urlencoded", s) }

func from(remote string) option { return func(r *request) { r.remote = remote } }

func bearer(secret string) option { return header("Authorization", "Bearer "+secret) }

func during(ctx context.Context) option { return func(r *request) { r.ctx = ctx } }

// onPurpose marks a request openapi.yaml does not allow.
func onPurpose(r *request) { r.invalid = true }

func newRequest(line string, options []option) request {
	r := request{line: line, header: http.Header{}, ctx: context.Background()}
	for _, o := range options {
		o(&r)
	}
	return r
}

// http returns the request as a server would see it.
func (r request) http() *http.Request {
	method, target, _ := strings.Cut(r.line, " ")
	var content io.Reader
	if r.body != "" {
		content = strings.NewReader(r.body)
	}
	req := httptest.NewRequestWithContext(r.ctx, method, target, content)
	req.Host = "localhost"
	req.RemoteAddr = cmp.Or(r.remote, req.RemoteAddr)
	req.Header = r.header.Clone()
	if host := r.header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return req
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	cut    bool // the connection was cut instead
}

// do sends a request straight to ServeHTTP.
func (s *server) do(t testing.TB, line string, options ...option) answer {
	t.Helper()
	r := newRequest(line, options)
	keepForTwins(r.wire())
	rec := httptest.NewRecorder()
	if cut := serve(s, rec, r.http()); cut {
		return answer{t: t, cut: true}
	}
	a := answer{t: t, status: rec.Code, header: rec.Result().Header, body: rec.Body.Bytes()}
	s.check(t, r, a)
	return a
}

// serve calls the handler the way net/http does, and reports whether it cut the
// connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // a panic is any value, not an error
				panic(p)
			}
			cut = true
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

// want fails the test unless the answer has this status and, if it is a problem,
// this code.
func (a answer) want(status int, code ...api.Code) answer {
	a.t.Helper()
	if a.cut {
		a.t.Fatalf("the connection was cut; want status %d", status)
	}
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if len(code) > 0 && a.problem().Code != code[0] {
		a.t.Fatalf("code %q, want %q: %s", a.problem().Code, code[0], a.body)
	}
	return a
}

func decode[T any](a answer) T {
	a.t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

func (a answer) problem() api.Problem { a.t.Helper(); return decode[api.Problem](a) }
func (a answer) grant() api.Grant     { a.t.Helper(); return decode[api.Grant](a.want(200)) }
func (a answer) lock() api.Lock       { a.t.Helper(); return decode[api.Lock](a.want(200)) }

// wantInvalid fails the test unless the request was refused because of that field.
func (a answer) wantInvalid(field string) api.Problem {
	a.t.Helper()
	p := a.want(400, api.CodeInvalid).problem()
	if p.InvalidProblem == nil || p.Field != field || p.InvalidProblem.Problem == "" || p.Want == "" {
		a.t.Fatalf("want the field %q, what is wrong and what would be right: %s", field, a.body)
	}
	return p
}

// spec is openapi.yaml, read and validated once.
var spec = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		panic(err)
	}
	return doc
})

// check holds a request and its answer to openapi.yaml. The operation is the one
// our own routes say it is, for validators' routers do not match a {name} that has
// slashes.
func (s *server) check(t testing.TB, r request, a answer) {
	t.Helper()
	if a.status == 400 && !r.invalid {
		t.Errorf("%s: refused as invalid, but not marked as such: %s", r.line, a.body)
	}
	if !checksSpec {
		return
	}
	req := r.http()
	input := &openapi3filter.RequestValidationInput{
		Request: req,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	input.Route, input.PathParams = s.operation(req)
	if !r.invalid && a.status != 404 && a.status != 405 {
		if err := openapi3filter.ValidateRequest(r.ctx, input); err != nil {
			t.Errorf("openapi.yaml does not allow the request %s: %v", r.line, err)
		}
	}
	// That library compiles a schema anew for each body.
	input.Options.ExcludeResponseBody = s.checkStrictly(t, r, a)
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 a.status,
		Header:                 a.header,
		Body:                   io.NopCloser(bytes.NewReader(a.body)),
		Options:                input.Options,
	})
	if err != nil {
		t.Errorf("openapi.yaml does not allow this answer to %s: %v\n%d %s", r.line, err, a.status, a.body)
	}
}

// operation returns what openapi.yaml says about a request.
func (s *server) operation(req *http.Request) (*routers.Route, map[string]string) {
	rt, name := s.match(req)
	if rt == nil { // nothing there: it has only the answer 404
		op := openapi3.NewOperation()
		op.Responses = openapi3.NewResponses(openapi3.WithStatus(404, spec().Components.Responses["NotFound"]))
		return &routers.Route{Spec: spec(), Path: req.URL.Path, PathItem: &openapi3.PathItem{}, Method: req.Method, Operation: op}, nil
	}
	item := spec().Paths.Value(rt.pattern)
	return &routers.Route{
		Spec: spec(), Path: rt.pattern, PathItem: item, Method: rt.method, Operation: item.GetOperation(rt.method),
	}, map[string]string{"name": name, "id": "any", "file": "any"}
}

// match finds the route of a request, or of its path if the method is wrong.
func (s *server) match(req *http.Request) (rt *route, name string) {
	if path, ok := strings.CutPrefix(req.URL.Path, lockPrefix); ok {
		rt := s.lockRoutes(path)[0]
		return rt, path[:max(0, len(path)-len(rt.verb()))]
	}
	for i := range s.routes {
		if !s.routes[i].at(req.URL.Path) {
			continue
		}
		if rt == nil || s.routes[i].answers(req.Method) {
			rt = &s.routes[i]
		}
	}
	if rt != nil && rt.pattern == terraformWhole {
		name = strings.TrimPrefix(req.URL.Path, terraformPrefix)
	}
	return rt, name
}

// acquire takes a lock that must be free and returns the grant.
func (s *server) acquire(t testing.TB, name string) api.Grant {
	t.Helper()
	return s.do(t, fmt.Sprintf("POST /v1/locks/%s/acquire", name)).grant()
}
