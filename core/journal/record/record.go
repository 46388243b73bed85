// Package record is the format of the audit log: how an event becomes a line, how lines
// are chained and signed, and how exports begin and end. [Seal] writes lines; [Parse],
// [Lines] and [ReadExport] read them.
//
// # The chain
//
// Each event is one line: a JSON object without insignificant space, its members in
// fixed order, ended by a newline. Its last member, "prev", is the SHA-256 of the line
// before (without the newline) in unpadded base64url; in the first line of a journal it
// is empty. The lines alone are enough to check the chain.
//
// A checkpoint is a line with an Ed25519 signature by the key of the store. The signature
// covers the line itself and, through "prev", every line before it. When the oldest
// segments are pruned, a line of kind "pruned" has the sequence number and the hash of
// the last pruned event.
package record

import (
	"encoding/json"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Record is a parsed line. Its members are those of the line.
type Record struct {
	Seq        lock.Seq          `json:"seq"`
	Time       time.Time         `json:"time"`
	Kind       lock.Kind         `json:"kind"`
	Name       lock.Name         `json:"name"`
	Token      lock.Token        `json:"token"`
	Account    string            `json:"account"`
	Holder     string            `json:"holder"`
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata"`
	TTLMS      int64             `json:"ttl_ms"`
	ConfirmMS  int64             `json:"confirm_ms"` // granted: when the lease ends unless it is renewed before; 0: after its ttl
	WaitedMS   int64             `json:"waited_ms"`
	Priority   string            `json:"priority"` // class of the waiter: front or back; empty: normal
	ExpiresAt  time.Time         `json:"expires_at"`
	HeldMS     int64             `json:"held_ms"`
	By         string            `json:"by"`
	TokenID    string            `json:"token_id"`
	RemoteAddr string            `json:"remote_addr"`
	UserAgent  string            `json:"user_agent"`
	RequestID  string            `json:"request_id"`
	TraceID    string            `json:"trace_id"`
	Cause      string            `json:"cause"`
	Notes      []lock.Note       `json:"notes"`
	Verdicts   Verdicts          `json:"verdicts"`
	PolicySet  string            `json:"policy_set"`          // id of the policy set that judged the request; policies_loaded, stopped: of the set in Policies
	SetAtGrant string            `json:"policy_set_at_grant"` // id of the policy set that judged it again when it reached the front
	Policies   []Policy          `json:"policies"`            // policies_loaded, stopped
	Replaced   *PolicySet        `json:"replaced"`            // policies_loaded
	Cut        lock.Seq          `json:"cut"`
	CutHash    string            `json:"cut_hash"`
	Signature  string            `json:"signature"`
	Prev       string            `json:"prev"`
}

// PolicySet is a set of policies that judge requests together.
type PolicySet struct {
	ID       string   `json:"policy_set"`
	Policies []Policy `json:"policies"`
}

// Policy is a policy of a set.
type Policy struct {
	Policy string   `json:"policy"`
	Digest string   `json:"digest"` // SHA-256 of its module, in hex
	Mode   string   `json:"mode"`
	Hooks  []string `json:"hooks"`
	Match  []string `json:"match"` // nil: too many to record
}

// PolicySets returns the policy sets that a record describes: the one that was loaded or
// was in effect when the server stopped, and the one it replaced.
func (r *Record) PolicySets() (sets []PolicySet) {
	if r.Policies != nil {
		sets = append(sets, PolicySet{ID: r.PolicySet, Policies: r.Policies})
	}
	if r.Replaced != nil {
		sets = append(sets, *r.Replaced)
	}
	return sets
}

// Parse reads a line, with or without its newline.
func Parse(line []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(line, &r)
	return r, err
}
