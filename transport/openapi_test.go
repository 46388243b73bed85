package transport

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/problem"
)

func TestDescriptionIsValid(t *testing.T) {
	if err := spec().Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
}

// What the router answers and what openapi.yaml describes are the same operations,
// with the same parameters.
func TestDescriptionHasTheRoutes(t *testing.T) {
	type operation struct {
		ID         string
		Parameters []string
	}
	served, described := map[string]operation{}, map[string]operation{}
	for _, rt := range routeTable() {
		op := operation{ID: rt.id}
		for f := range param.NumFields {
			switch {
			case !rt.fields.Has(f):
			case f == param.Metadata:
				op.Parameters = append(op.Parameters, "meta.KEY")
			default:
				op.Parameters = append(op.Parameters, f.String())
			}
		}
		slices.Sort(op.Parameters)
		served[rt.method+" "+rt.pattern] = op
	}
	for path, item := range spec().Paths.Map() {
		for method, o := range item.Operations() {
			op := operation{ID: o.OperationID}
			for _, p := range o.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					op.Parameters = append(op.Parameters, p.Value.Name)
				}
			}
			slices.Sort(op.Parameters)
			described[method+" "+path] = op
		}
	}
	if diff := cmp.Diff(described, served); diff != "" {
		t.Errorf("openapi.yaml (-) and the router (+) differ:\n%s", diff)
	}
}

// The members of a JSON body are the parameters of the query.
func TestDescriptionOfBodies(t *testing.T) {
	for _, rt := range routeTable() {
		if rt.method != "POST" {
			continue
		}
		t.Run(rt.id, func(t *testing.T) {
			o := spec().Paths.Value(rt.pattern).GetOperation(rt.method)
			schema := o.RequestBody.Value.Content.Get("application/json").Schema.Value
			var served []string
			for f := range param.NumFields {
				if rt.fields.Has(f) && !rt.lockInfo {
					served = append(served, f.String())
				}
			}
			if rt.lockInfo {
				served = membersOf(api.TerraformLock{})
			}
			slices.Sort(served)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(schema.Properties)), served); diff != "" {
				t.Errorf("openapi.yaml (-) and the router (+) differ:\n%s", diff)
			}
		})
	}
}

// membersOf returns the names of the members of a struct that has no tags.
func membersOf(of any) (names []string) {
	for field := range reflect.TypeOf(of).Fields() {
		names = append(names, field.Name)
	}
	return names
}

// The methods that OpenAPI does not know are those of Terraform, and each does what a method
// of the description does.
func TestDescriptionLacksOnlyTerraformsMethods(t *testing.T) {
	also := map[string]string{}
	for _, rt := range routeTable() {
		if rt.also != "" {
			also[rt.also+" "+rt.pattern] = rt.method
		}
	}
	want := map[string]string{"LOCK /v1/terraform/{name}": "POST", "UNLOCK /v1/terraform/{name}": "DELETE"}
	if diff := cmp.Diff(want, also); diff != "" {
		t.Errorf("methods beside those of openapi.yaml: wanted (-), got (+):\n%s", diff)
	}
}

// TestDescriptionOfForms is the same about forms, to which metadata comes as
// it does to a query. An operation without parameters takes no form.
func TestDescriptionOfForms(t *testing.T) {
	for _, rt := range routeTable() {
		if rt.method != "POST" {
			continue
		}
		var described, served []string
		if form := spec().Paths.Value(rt.pattern).GetOperation(rt.method).RequestBody.Value.Content.Get("application/x-www-form-urlencoded"); form != nil {
			described = slices.Sorted(maps.Keys(form.Schema.Value.Properties))
		}
		for f := range param.NumFields {
			if rt.fields.Has(f) && f != param.Metadata && !rt.lockInfo {
				served = append(served, f.String())
			}
		}
		slices.Sort(served)
		if diff := cmp.Diff(described, served); diff != "" {
			t.Errorf("%s: openapi.yaml (-) and the router (+) differ:\n%s", rt.id, diff)
		}
	}
}

func TestDescriptionHasTheCodes(t *testing.T) {
	var described []string
	for _, c := range spec().Components.Schemas["Code"].Value.Enum {
		described = append(described, c.(string))
	}
	var known []string
	for _, c := range api.Codes() {
		known = append(known, string(c))
	}
	slices.Sort(described)
	slices.Sort(known)
	if diff := cmp.Diff(described, known); diff != "" {
		t.Errorf("openapi.yaml (-) and package api (+) differ:\n%s", diff)
	}
}

func TestCodesCanBeCounted(t *testing.T) {
	want := append(problem.Codes(), metrics.OK, api.Code(api.Draining), api.Code(api.Failing))
	for _, c := range want {
		if !slices.Contains(metrics.Codes(), c) {
			t.Errorf("requests answered with %q cannot be counted", c)
		}
	}
}

func TestDescriptionIsServed(t *testing.T) {
	s := newServer(t, setup{})
	a := s.do(t, "GET /openapi.yaml").want(200)
	if !strings.HasPrefix(string(a.body), "openapi: 3.1.0\n") {
		t.Errorf("got %.40s", a.body)
	}
}

func TestDescriptionHasTheKinds(t *testing.T) {
	var described []string
	for _, k := range spec().Components.Schemas["Record"].Value.Properties["kind"].Value.Enum {
		described = append(described, k.(string))
	}
	var known []string
	for _, k := range lock.Kinds() {
		known = append(known, string(k))
	}
	if diff := cmp.Diff(described, known); diff != "" {
		t.Errorf("openapi.yaml (-) and package lock (+) differ:\n%s", diff)
	}
}

// Every record is what the description says of one.
func TestDescriptionOfRecords(t *testing.T) {
	_, records, _ := busy(t).do(t, "GET /v1/audit").lines()
	if len(records) == 0 {
		t.Fatal("there are none")
	}
	for line := range strings.Lines(string(busy(t).do(t, "GET /v1/audit").body)) {
		var value any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatal(err)
		}
		if value.(map[string]any)["seq"] == nil {
			continue // the first and the last
		}
		if err := spec().Components.Schemas["Record"].Value.VisitJSON(value); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
