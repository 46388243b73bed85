package demo

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/transport/api"
)

const frozen = "no deployments before Monday, 08:00; ask #release"

// freeze is a complete policy in WebAssembly: it denies every request with a reason. Real
// policies look at the request and are compiled from a programming language.
const freeze = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0a\x02\x60\x02\x7f\x7f\x00\x60\x00\x01\x7f" + // type 0: (i32 i32) -> (), type 1: () -> i32
	"\x02\x15\x01\x0coctostore_v1\x04deny\x00\x00" + // import deny, of type 0
	"\x03\x02\x01\x01" + // one function, of type 1
	"\x05\x03\x01\x00\x01" + // a memory of one page
	"\x07\x12\x02\x05check\x00\x01\x06memory\x02\x00" +
	"\x0a\x0c\x01\x0a\x00\x41\x00\x41\x31\x10\x00\x41\x01\x0b" + // deny(0, 49), and return 1
	"\x0b\x37\x01\x00\x41\x00\x0b\x31" + frozen // at address 0, 49 bytes

func (s *stage) manifest() string { return filepath.Join(s.dir, "policies.json") }

// rule writes the manifest.
func (s *stage) rule(policies ...map[string]any) error {
	if policies == nil {
		policies = []map[string]any{}
	}
	text, err := json.MarshalIndent(map[string]any{"policies": policies}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.manifest(), text, 0o600)
}

// policy: a policy denies with a reason, and stops when it is switched off; the server
// keeps running.
func (s *stage) policy(ctx context.Context) error {
	const name = "deploy/web"
	module := filepath.Join(s.dir, "freeze.wasm")
	if err := os.WriteFile(module, []byte(freeze), 0o600); err != nil {
		return err
	}
	s.say("     freeze.wasm, %d bytes of WebAssembly, comes into policies.json for %q", len(freeze), "deploy/**")
	entry := map[string]any{"name": "freeze", "module": "freeze.wasm", "match": []string{"deploy/**"}}
	if err := s.reload(ctx, entry); err != nil {
		return err
	}
	s.does("G", "POST /v1/locks/%s/acquire?holder=G", name)
	denied, err := s.client.acquire(ctx, name, "holder=G")
	if err != nil || denied.problem == nil || denied.problem.Code != api.CodePolicyDenied {
		return unexpected("G", denied.problem, err)
	}
	s.hears("G", "403 policy_denied: %s", denied.problem.Detail)
	s.does("H", "POST /v1/locks/reports/acquire?holder=H   (no policy says anything about it)")
	if _, err := s.client.granted(ctx, "reports", "holder=H"); err != nil {
		return err
	}
	s.hears("H", "200, it is yours")
	s.say("     … Monday, 08:00: the operator switches it off …")
	entry["mode"] = "off"
	if err := s.reload(ctx, entry); err != nil {
		return err
	}
	s.does("G", "POST /v1/locks/%s/acquire?holder=G", name)
	g, err := s.client.granted(ctx, name, "holder=G")
	if err != nil {
		return err
	}
	s.hears("G", "200, it is yours. fencing token %d", g.FencingToken)
	return nil
}

// reload makes the server load the manifest again.
func (s *stage) reload(ctx context.Context, policies ...map[string]any) error {
	if err := s.rule(policies...); err != nil {
		return err
	}
	s.does("op", "POST /v1/policies/reload")
	began := time.Now()
	var done api.Reloaded
	problem, err := s.client.do(ctx, "POST", "/v1/policies/reload", "", &done)
	if err != nil || problem != nil {
		return unexpected("the reload", problem, err)
	}
	s.hears("op", "200 after %d ms: %s", time.Since(began).Milliseconds(), done.Changes)
	return nil
}
