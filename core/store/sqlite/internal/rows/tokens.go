package rows

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// tokenColumns are the columns that readToken reads, in its order.
const tokenColumns = "id, hash, name, account, scopes, created, expires, used, revoked, sum, member_of"

// tokenColumnsOf are the columns of a database with an older schema, which is only read.
func tokenColumnsOf(version int64) string {
	if version < groupsVersion {
		return strings.TrimSuffix(tokenColumns, "member_of") + "''"
	}
	return tokenColumns
}

// TokenByHash returns the token whose secret has the given hash.
func (d *DB) TokenByHash(hash [sha256.Size]byte) (t auth.Token, found bool, err error) {
	q, err := d.Prepare("SELECT " + tokenColumns + " FROM tokens WHERE hash = ?1")
	if err != nil {
		return t, false, err
	}
	defer q.Close()
	q.Reserve(len(hash))
	q.BindBlob(1, hash[:])
	if more, err := q.Step(); err != nil || !more {
		return t, false, err
	}
	t, err = readToken(q, &d.checksums)
	return t, err == nil, err
}

// ReadTokens returns all tokens, ordered by id.
func (d *DB) ReadTokens(ctx context.Context) ([]auth.Token, error) {
	version, err := d.Version()
	if err != nil {
		return nil, err
	}
	q, err := d.Prepare("SELECT " + tokenColumnsOf(version) + " FROM tokens ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var all []auth.Token
	for {
		more, err := q.Step()
		if err != nil || !more {
			return all, err
		}
		t, err := readToken(q, &d.checksums)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

func readToken(q *conn.Stmt, sums *checksums) (t auth.Token, err error) {
	t = auth.Token{
		ID: q.Text(0), Name: q.Text(2), Account: q.Text(3), Groups: q.Text(10),
		Created: readTime(q.Int(5)), Expires: readTime(q.Int(6)), Used: readTime(q.Int(7)), Revoked: readTime(q.Int(8)),
	}
	hash, scopes := q.Blob(1), q.Text(4)
	if copy(t.Hash[:], hash) != len(t.Hash) || len(hash) != len(t.Hash) || sums.token(&t, scopes) != q.Int(9) {
		return t, Damaged("the token %q does not match its checksum", t.ID)
	}
	if t.Scopes, err = auth.ParseScopes(scopes); err != nil {
		return t, fmt.Errorf("token %s: %w", t.ID, err)
	}
	return t, nil
}

// readTime is the inverse of writeTime.
func readTime(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// writeTime is 0 for the zero time.
func writeTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// token returns the checksum of a row of tokens. It leaves out the time of the last use,
// which is written separately and decides nothing.
func (s *checksums) token(t *auth.Token, scopes string) int64 {
	b := s.buf[:0]
	for _, text := range []string{t.ID, t.Name, t.Account, scopes} {
		b = appendText(b, text)
	}
	if t.Groups != "" { // rows without groups keep their older checksums
		b = appendText(b, t.Groups)
	}
	b = append(b, t.Hash[:]...)
	for _, at := range []time.Time{t.Created, t.Expires, t.Revoked} {
		b = binary.BigEndian.AppendUint64(b, uint64(writeTime(at)))
	}
	s.buf = b
	return int64(crc32.Update(s.seed, castagnoli, b))
}

// PutToken adds or replaces a token.
func (d *DB) PutToken(t *auth.Token) error {
	q, err := d.Prepare("REPLACE INTO tokens (" + tokenColumns + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")
	if err != nil {
		return err
	}
	defer q.Close()
	scopes := t.Scopes.String()
	q.Reserve(len(t.ID) + len(t.Hash) + len(t.Name) + len(t.Account) + len(scopes) + len(t.Groups))
	q.BindText(1, t.ID)
	q.BindBlob(2, t.Hash[:])
	q.BindText(3, t.Name)
	q.BindText(4, t.Account)
	q.BindText(5, scopes)
	q.BindInt(6, writeTime(t.Created))
	q.BindInt(7, writeTime(t.Expires))
	q.BindInt(8, writeTime(t.Used))
	q.BindInt(9, writeTime(t.Revoked))
	q.BindInt(10, d.checksums.token(t, scopes))
	q.BindText(11, t.Groups)
	return q.Run()
}

// TouchTokens stores when the tokens of some ids were last used.
func (d *DB) TouchTokens(ids []string, used map[string]time.Time) error {
	q, err := d.Prepare("UPDATE tokens SET used = ?2 WHERE id = ?1")
	if err != nil {
		return err
	}
	defer q.Close()
	for _, id := range ids {
		q.Reserve(len(id))
		q.BindText(1, id)
		q.BindInt(2, writeTime(used[id]))
		if err := q.Run(); err != nil {
			return err
		}
	}
	return nil
}

// PruneTokens deletes the tokens of some ids. The last token of a database stays: that there
// is one is what keeps a server from serving requests without tokens.
func (d *DB) PruneTokens(ids []string) error {
	q, err := d.Prepare("DELETE FROM tokens WHERE id = ?1 AND EXISTS (SELECT 1 FROM tokens WHERE id <> ?1)")
	if err != nil {
		return err
	}
	defer q.Close()
	for _, id := range ids {
		q.Reserve(len(id))
		q.BindText(1, id)
		if err := q.Run(); err != nil {
			return err
		}
	}
	return nil
}

// TokensAndKey returns the number of tokens, and the key that verifies signatures of the
// journal. An older schema has none of them.
func (d *DB) TokensAndKey(ctx context.Context, version int64) (tokens int, key ed25519.PublicKey, err error) {
	if version >= tokensVersion {
		all, err := d.ReadTokens(ctx)
		if err != nil {
			return 0, nil, err
		}
		tokens = len(all)
	}
	if version >= keyVersion {
		private, err := d.SigningKey()
		if err != nil {
			return 0, nil, err
		}
		key = private.Public().(ed25519.PublicKey)
	}
	return tokens, key, nil
}
