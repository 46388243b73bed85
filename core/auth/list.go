package auth

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
)

// List returns all tokens, including revoked ones, the oldest first.
func (ts *Tokens) List() []Token {
	entries := ts.current.Load().ordered()
	all := make([]Token, len(entries))
	for i, e := range entries {
		all[i] = e.token()
	}
	return all
}

// Page returns at most limit tokens in the order of [Tokens.List], and the cursor of the next
// page, empty at the end. After is such a cursor, or empty for the first page; anything else
// is an [*input.Error]. A token that is there from the first page to the last is in exactly
// one of them, whatever is created or pruned meanwhile.
func (ts *Tokens) Page(after string, limit int) (page []Token, next string, err error) {
	entries := ts.current.Load().ordered()
	if after != "" {
		created, id, err := parseCursor(after)
		if err != nil {
			return nil, "", &input.Error{Field: "after", Problem: "is no place in the list of tokens", Want: "the next of the page before"}
		}
		from, found := slices.BinarySearchFunc(entries, created, func(e *entry, created int64) int {
			return cmp.Or(cmp.Compare(e.Created.UnixNano(), created), cmp.Compare(e.ID, id))
		})
		if found {
			from++
		}
		entries = entries[from:]
	}
	more := len(entries) > limit
	entries = entries[:min(limit, len(entries))]
	for _, e := range entries {
		page = append(page, e.token())
	}
	if more {
		next = cursorOf(entries[limit-1])
	}
	return page, next, nil
}

// sorted returns the tokens by their time of creation.
func (s *snapshot) sorted() []*entry {
	all := make([]*entry, 0, len(s.byHash))
	for _, e := range s.byHash {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.Created.UnixNano(), b.Created.UnixNano()), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Get returns the token with this id; false if there is none. A revoked token is returned too.
func (ts *Tokens) Get(id string) (Token, bool) {
	for _, e := range ts.current.Load().byHash {
		if e.ID == id {
			return e.token(), true
		}
	}
	return Token{}, false
}

func (e *entry) token() Token {
	t := e.Token
	if used := e.used.Load(); used > 0 {
		t.Used = time.Unix(used, 0).UTC()
	}
	return t
}

// A cursor is a time of creation and an id, so it is a place in the list also when that token
// is deleted.
func cursorOf(e *entry) string { return strconv.FormatInt(e.Created.UnixNano(), 10) + "." + e.ID }

func parseCursor(text string) (created int64, id string, err error) {
	number, id, found := strings.Cut(text, ".")
	if !found {
		return 0, "", errors.New("no id")
	}
	created, err = strconv.ParseInt(number, 10, 64)
	return created, id, err
}
