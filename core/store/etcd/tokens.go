package etcd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// A token has three keys: t/ has what it is, th/ leads from the hash of its secret to its
// id, and tu/ has when it was last used.

func (s sums) tokenValue(t *auth.Token) string {
	scopes := t.Scopes.String()
	b := newValue(96 + len(t.Name) + len(t.Account) + len(scopes) + len(t.Groups))
	b = appendText(b, t.Hash[:])
	for _, text := range []string{t.Name, t.Account, scopes, t.Groups} {
		b = appendText(b, text)
	}
	for _, at := range []time.Time{t.Created, t.Expires, t.Revoked} {
		b = appendTime(b, at)
	}
	return s.seal(s.keys.token(t.ID), b)
}

// token reads a token without its last use.
func (s sums) token(key string, value []byte) (t auth.Token, err error) {
	f, err := s.open(key, value)
	if err != nil {
		return t, err
	}
	t.ID = key[len(s.keys.tokens()):]
	f.hash((*lock.Hash)(&t.Hash))
	t.Name, t.Account = f.text(), f.text()
	scopes := f.text()
	t.Groups = f.text()
	t.Created, t.Expires, t.Revoked = f.time(), f.time(), f.time()
	if err := f.end(key); err != nil {
		return t, err
	}
	if t.Scopes, err = auth.ParseScopes(scopes); err != nil {
		return t, fmt.Errorf("token %s: %w", t.ID, err)
	}
	return t, nil
}

func (s sums) useValue(id string, at time.Time) string {
	return s.seal(s.keys.tokenUse(id), appendTime(newValue(12), at))
}

func (s sums) use(key string, value []byte) (time.Time, error) {
	f, err := s.open(key, value)
	if err != nil {
		return time.Time{}, err
	}
	at := f.time()
	return at, f.end(key)
}

// Tokens returns all tokens; see [auth.Store].
func (r *records) Tokens(ctx context.Context) ([]auth.Token, error) {
	var all []auth.Token
	err := r.each(ctx, r.keys.tokens(), func(key string, value []byte) error {
		t, err := r.sums.token(key, value)
		all = append(all, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	at := 0
	err = r.each(ctx, r.keys.tokenUses(), func(key string, value []byte) error {
		for id := key[len(r.keys.tokenUses()):]; at < len(all) && all[at].ID <= id; at++ {
			if all[at].ID == id {
				all[at].Used, err = r.sums.use(key, value)
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read when the tokens were last used: %w", err)
	}
	return all, nil
}

// TokenByHash returns one token; see [auth.Store].
func (r *records) TokenByHash(ctx context.Context, hash [sha256.Size]byte) (auth.Token, bool, error) {
	t, found, err := r.tokenByHash(ctx, hash)
	if err != nil {
		return auth.Token{}, false, fmt.Errorf("read a token: %w", err)
	}
	return t, found, nil
}

func (r *records) tokenByHash(ctx context.Context, hash [sha256.Size]byte) (t auth.Token, found bool, err error) {
	at, err := r.get(ctx, r.keys.tokenHash(hash))
	if err != nil || len(at.Kvs) == 0 {
		return t, false, err
	}
	id := string(at.Kvs[0].Value)
	key, use := r.keys.token(id), r.keys.tokenUse(id)
	answer, err := r.read(ctx, clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(key), clientv3.OpGet(use)}, nil))
	if err != nil {
		return t, false, err
	}
	kept, used := rangeOf(answer.Txn(), 0), rangeOf(answer.Txn(), 1)
	if len(kept.Kvs) == 0 {
		return t, false, nil // deleted meanwhile
	}
	if t, err = r.sums.token(key, kept.Kvs[0].Value); err != nil || t.Hash != hash {
		return t, false, err
	}
	if len(used.Kvs) > 0 {
		t.Used, err = r.sums.use(use, used.Kvs[0].Value)
	}
	return t, err == nil, err
}

// PutTokens adds or replaces tokens; see [auth.Store]. Together they may have about a
// megabyte.
func (r *records) PutTokens(ctx context.Context, tokens ...auth.Token) error {
	err := r.write(ctx, func(ctx context.Context) ([]clientv3.Op, error) {
		ids := make([]string, len(tokens))
		for i := range tokens {
			ids[i] = tokens[i].ID
		}
		before, err := r.readTokens(ctx, ids)
		if err != nil {
			return nil, err
		}
		return r.putTokens(tokens, before), nil
	})
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}

// putTokens returns the operations that add or replace tokens. Of two with one id the later
// counts.
func (r *records) putTokens(tokens []auth.Token, before map[string]auth.Token) (ops []clientv3.Op) {
	hashes, last := make(map[[32]byte]bool), make(map[string]int)
	for i := range tokens {
		last[tokens[i].ID] = i
	}
	for i := range tokens {
		t := &tokens[i]
		if last[t.ID] != i {
			continue
		}
		ops = append(ops, clientv3.OpPut(r.keys.token(t.ID), r.sums.tokenValue(t)))
		if !hashes[t.Hash] {
			hashes[t.Hash] = true
			ops = append(ops, clientv3.OpPut(r.keys.tokenHash(t.Hash), t.ID))
		}
		if t.Used.IsZero() {
			ops = append(ops, clientv3.OpDelete(r.keys.tokenUse(t.ID)))
		} else {
			ops = append(ops, clientv3.OpPut(r.keys.tokenUse(t.ID), r.sums.useValue(t.ID, t.Used)))
		}
	}
	for _, old := range before {
		if !hashes[old.Hash] { // its secret has changed
			hashes[old.Hash] = true
			ops = append(ops, clientv3.OpDelete(r.keys.tokenHash(old.Hash)))
		}
	}
	return ops
}

// tokenStep is the number of tokens read, touched or deleted in one transaction.
const tokenStep = 100

// readTokens returns those of some tokens that there are, by id.
func (r *records) readTokens(ctx context.Context, ids []string) (map[string]auth.Token, error) {
	found := make(map[string]auth.Token)
	for step := range slices.Chunk(ids, tokenStep) {
		var ops []clientv3.Op
		for _, id := range step {
			ops = append(ops, clientv3.OpGet(r.keys.token(id)))
		}
		answer, err := r.read(ctx, clientv3.OpTxn(nil, ops, nil))
		if err != nil {
			return nil, err
		}
		for i := range ops {
			for _, kv := range rangeOf(answer.Txn(), i).Kvs {
				t, err := r.sums.token(string(kv.Key), kv.Value)
				if err != nil {
					return nil, err
				}
				found[t.ID] = t
			}
		}
	}
	return found, nil
}

// TouchTokens stores when tokens were last used; see [auth.Store]. It works in steps.
func (r *records) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	for step := range slices.Chunk(slices.Sorted(maps.Keys(used)), tokenStep) {
		err := r.write(ctx, func(ctx context.Context) ([]clientv3.Op, error) {
			known, err := r.readTokens(ctx, step)
			if err != nil {
				return nil, err
			}
			var ops []clientv3.Op
			for id := range known {
				ops = append(ops, clientv3.OpPut(r.keys.tokenUse(id), r.sums.useValue(id, used[id])))
			}
			return ops, orNothing(ops)
		})
		if err != nil {
			return fmt.Errorf("write the use of tokens: %w", err)
		}
	}
	return nil
}

func orNothing(ops []clientv3.Op) error {
	if len(ops) == 0 {
		return errNothing
	}
	return nil
}

// PruneTokens deletes tokens, all but the last one there is; see [auth.Store]. It works in
// steps.
func (r *records) PruneTokens(ctx context.Context, ids []string) error {
	for step := range slices.Chunk(ids, tokenStep) {
		start := time.Now()
		err := r.write(ctx, func(ctx context.Context) ([]clientv3.Op, error) { return r.pruneTokens(ctx, step) })
		if err != nil {
			return fmt.Errorf("prune tokens: %w", err)
		}
		if err := sleep.For(ctx, pruneRest+time.Since(start)); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) pruneTokens(ctx context.Context, ids []string) (ops []clientv3.Op, err error) {
	count, err := r.get(ctx, r.keys.tokens(), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	known, err := r.readTokens(ctx, ids)
	if err != nil {
		return nil, err
	}
	left := count.Count
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if left <= 1 {
			break
		}
		left--
		for _, key := range []string{r.keys.token(id), r.keys.tokenHash(known[id].Hash), r.keys.tokenUse(id)} {
			ops = append(ops, clientv3.OpDelete(key))
		}
	}
	return ops, orNothing(ops)
}
