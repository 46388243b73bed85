// Package manifest reads policies.json, the file that lists the policies of a server with their modules,
// lock names and limits.
//
// It promises to report all mistakes of a manifest at once, and that its policies have all defaults and
// are within all bounds. It does not read the modules.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
	"github.com/octostore/octostore/hooks/abi"
)

// Mode says whether the answers of a policy count.
type Mode string

// Modes.
const (
	Enforce Mode = "enforce" // the default
	Shadow  Mode = "shadow"  // recorded, without effect
	Off     Mode = "off"     // not asked
)

// OnError says what happens to a request if the policy cannot answer.
type OnError string

// Values of OnError.
const (
	DenyOnError  OnError = "deny" // the default: 503, to tell an outage from a veto
	AllowOnError OnError = "allow"
)

// ObserveFrom is the first event of a new observer.
type ObserveFrom string

// Values of ObserveFrom.
const (
	FromNow   ObserveFrom = "now"   // the default
	FromStart ObserveFrom = "start" // the oldest event
)

// HookObserve shows a policy committed events, after the fact. Its answers have no effect on locks.
const HookObserve core.Hook = abi.HookObserve

// Defaults and bounds of a policy. There is no unlimited.
const (
	DefaultFuel      = 10_000_000
	MinFuel          = 1_000
	MaxFuel          = 20_000_000
	DefaultMemoryMiB = 16
	MaxMemoryMiB     = 256

	// FirstCallFuel is the extra fuel of the first call of an instance, because language runtimes
	// initialize parts of themselves lazily. In mode shadow a first call has no extra fuel.
	FirstCallFuel = 10_000_000

	maxManifest = 1 << 20
	MaxPolicies = 64 // so that all answers fit into one line of the audit log
)

// Manifest is the contents of policies.json.
type Manifest struct{ Policies []Policy }

// Policy is one entry of a manifest, complete with defaults.
type Policy struct {
	Name      string
	Module    string // path
	SHA256    string // in hex; empty: any
	Match     []string
	Hooks     []core.Hook
	Mode      Mode
	OnError   OnError
	Fuel      int64
	MemoryMiB int
	Config    json.RawMessage // never empty
	// ObserveFrom is the first event of an observer without a saved position.
	ObserveFrom ObserveFrom
	// Reads are prefixes of lock names: the locks that the policy may read besides that of the
	// request. "" is every lock; empty: no other lock.
	Reads []string

	patterns pattern.List
}

// Matches reports whether the patterns of a policy match a name.
func (p *Policy) Matches(name lock.Name) bool { return p.patterns.Match(name) }

// Error lists all mistakes of a manifest.
type Error struct {
	Path     string
	Mistakes []string // "policy freeze: match: …"
}

func (e *Error) Error() string {
	return e.Path + ": " + strings.Join(e.Mistakes, "; ")
}

// Read reads and checks a manifest. Mistakes in its contents are an [*Error]. It does not read the
// modules.
func Read(path string) (Manifest, error) {
	text, err := files.Read(path, maxManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("read policies: %w", err)
	}
	m, mistakes := parseManifest(text, filepath.Dir(path))
	if len(mistakes) > 0 {
		return Manifest{}, &Error{Path: path, Mistakes: mistakes}
	}
	return m, nil
}

func parseManifest(text []byte, dir string) (m Manifest, mistakes []string) {
	document, err := jsontext.Object(text)
	if err != nil {
		return m, []string{err.Error() + `; want {"policies": […]}`}
	}
	for name := range document {
		if name != "policies" {
			return m, []string{fmt.Sprintf(`%q is not known; want {"policies": […]}`, name)}
		}
	}
	var policies []json.RawMessage
	if json.Unmarshal(document["policies"], &policies) != nil || policies == nil { // of nothing, too
		is := "missing"
		if given, there := document["policies"]; there {
			is = jsontext.Kind(given)
		}
		return m, []string{fmt.Sprintf(`policies: is %s; want a list, as in {"policies": […]}`, is)}
	}
	if len(policies) > MaxPolicies {
		return m, []string{fmt.Sprintf("has %d policies; want at most %d", len(policies), MaxPolicies)}
	}
	seen := map[string]bool{}
	for i, raw := range policies {
		p, wrong := parsePolicy(raw)
		where := "policy " + p.Name
		if p.Name == "" {
			where = fmt.Sprintf("policy number %d", i+1)
		}
		if p.Name != "" && seen[p.Name] {
			wrong = append(wrong, "name: is used twice")
		}
		seen[p.Name] = true
		for _, w := range wrong {
			mistakes = append(mistakes, where+": "+w)
		}
		if p.Module != "" && !filepath.IsAbs(p.Module) {
			p.Module = filepath.Join(dir, p.Module)
		}
		m.Policies = append(m.Policies, p)
	}
	return m, mistakes
}

func parsePolicy(raw json.RawMessage) (p Policy, wrong []string) {
	p = Policy{
		Hooks: []core.Hook{core.HookAcquire}, Mode: Enforce, OnError: DenyOnError,
		Fuel: DefaultFuel, MemoryMiB: DefaultMemoryMiB, Config: json.RawMessage("{}"), ObserveFrom: FromNow,
	}
	members, err := jsontext.Object(raw)
	if err != nil {
		return p, []string{err.Error()}
	}
	fields := []struct {
		name string
		to   any
	}{
		{"name", &p.Name}, {"module", &p.Module}, {"sha256", &p.SHA256}, {"match", &p.Match}, {"hooks", &p.Hooks},
		{"mode", &p.Mode}, {"on_error", &p.OnError}, {"fuel", &p.Fuel}, {"memory_mib", &p.MemoryMiB}, {"config", &p.Config},
		{"observe_from", &p.ObserveFrom}, {"reads", &p.Reads},
	}
	bad := map[string]bool{}
	for _, f := range fields {
		member, there := members[f.name]
		delete(members, f.name)
		if there && (string(member) == "null" || json.Unmarshal(member, f.to) != nil) {
			wrong = append(wrong, wrongType(f.name, member))
			bad[f.name] = true
		}
	}
	unknown := make([]string, 0, len(members))
	for name := range members {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		wrong = append(wrong, name+": is not known")
	}
	for _, c := range p.check() {
		if field, _, _ := strings.Cut(c, ":"); !bad[field] {
			wrong = append(wrong, c)
		}
	}
	return p, wrong
}

// Compiled when they are needed: octostore run starts this program twice, and needs neither.
var (
	policyName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`) })
	hexSHA256  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
)

// check returns the mistakes in the values, each with its field first.
func (p *Policy) check() (wrong []string) {
	want := func(right bool, field, what string) {
		if !right {
			wrong = append(wrong, field+": "+what)
		}
	}
	want(policyName().MatchString(p.Name), "name", "want 1 to 64 characters out of a-z, 0-9, '_', '.' and '-', the first a letter or a digit")
	want(p.Module != "", "module", "is missing; want the path of a .wasm file")
	want(p.SHA256 == "" || hexSHA256().MatchString(p.SHA256), "sha256", "want 64 hex digits, in lower case")
	want(len(p.Hooks) > 0, "hooks", "is empty; want acquire, renew, break or observe")
	for _, h := range p.Hooks {
		known := h == core.HookAcquire || h == core.HookRenew || h == core.HookBreak || h == HookObserve
		want(known, "hooks", fmt.Sprintf("%q is not known; want acquire, renew, break or observe", h))
	}
	want(p.Mode == Enforce || p.Mode == Shadow || p.Mode == Off, "mode", fmt.Sprintf("is %q; want enforce, shadow or off", p.Mode))
	want(p.OnError == DenyOnError || p.OnError == AllowOnError, "on_error", fmt.Sprintf("is %q; want deny or allow", p.OnError))
	want(p.ObserveFrom == FromNow || p.ObserveFrom == FromStart, "observe_from", fmt.Sprintf("is %q; want now or start", p.ObserveFrom))
	want(MinFuel <= p.Fuel && p.Fuel <= MaxFuel, "fuel", fmt.Sprintf("is %d; want %d to %d", p.Fuel, MinFuel, MaxFuel))
	want(1 <= p.MemoryMiB && p.MemoryMiB <= MaxMemoryMiB, "memory_mib", fmt.Sprintf("is %d; want 1 to %d", p.MemoryMiB, MaxMemoryMiB))
	for _, problem := range checkReads(p.Reads) {
		want(false, "reads", problem)
	}
	patterns, err := pattern.Parse(p.Match)
	if len(p.Match) == 0 {
		err = errors.New("is missing; want patterns of lock names, such as \"prod/**\"")
	}
	if err != nil {
		want(false, "match", err.Error())
	}
	p.patterns = patterns
	return wrong
}
