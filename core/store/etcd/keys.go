package etcd

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// keys names the keys below a prefix, which ends with a slash. The keys of the table lie
// under p/00/, so that names can be spread over several tables one day.
type keys struct{ prefix string }

func (k keys) meta() string            { return k.prefix + "meta" }
func (k keys) nodes() string           { return k.prefix + "node/" }
func (k keys) node(name string) string { return k.nodes() + name }

// own is the key of the term: its create revision is the number of the term.
func (k keys) own() string { return k.prefix + "p/00/own" }

// head is written by every commit.
func (k keys) head() string { return k.prefix + "p/00/head" }

// beside is written by every write beside the journal, see [records.write].
func (k keys) beside() string { return k.prefix + "p/00/beside" }

// past says how long ago earlier terms ended, see [past].
func (k keys) past() string { return k.prefix + "p/00/past" }

// table begins the keys of all tables, own among them.
func (k keys) table() string { return k.prefix + "p/" }

func (k keys) cut() string                 { return k.prefix + "p/00/cut" }
func (k keys) leases() string              { return k.prefix + "p/00/l/" }
func (k keys) lease(name lock.Name) string { return k.leases() + string(name) }
func (k keys) segments() string            { return k.prefix + "p/00/a/" }
func (k keys) segment(at lock.Seq) string  { return fmt.Sprintf("%s%016x", k.segments(), uint64(at)) }
func (k keys) observers() string           { return k.prefix + "p/00/o/" }
func (k keys) observer(name string) string { return k.observers() + name }
func (k keys) tokens() string              { return k.prefix + "t/" }
func (k keys) token(id string) string      { return k.tokens() + id }
func (k keys) tokenHash(h [32]byte) string { return k.prefix + "th/" + hex.EncodeToString(h[:]) }
func (k keys) tokenUses() string           { return k.prefix + "tu/" }
func (k keys) tokenUse(id string) string   { return k.tokenUses() + id }
func (k keys) relative(key string) string  { return strings.TrimPrefix(key, k.prefix) }
func afterKey(key string) string           { return key + "\x00" }

// firstOf returns the number in the key of a segment.
func (k keys) firstOf(key string) (lock.Seq, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, k.segments()), 16, 64)
	if err != nil {
		return 0, damaged("%s is no key of a segment", key)
	}
	return lock.Seq(n), nil
}
