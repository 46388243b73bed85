package main

// docsMutants break how ended tokens are deleted and listed, and what the documents are made of.
var docsMutants = []mutant{
	{
		name: "last-token-pruned", file: "core/store/sqlite/internal/rows/tokens.go",
		old:    " AND EXISTS (SELECT 1 FROM tokens WHERE id <> ?1)\"",
		new:    "\"",
		breaks: "a store forgets that there ever was a token, and the next start serves requests without one",
		tests:  []string{"-run=TestStore ./core/store/sqlite"},
	},
	{
		name: "pruned-before-its-time", file: "core/auth/prune.go",
		old:    "!end.IsZero() && end.Before(limit) && !s.listed[hash]",
		new:    "!end.IsZero() && limit.Before(now) && !s.listed[hash]",
		breaks: "a token that is to expire is deleted while it is good",
		tests:  []string{"-run=TestTokensPruned ./core/auth"},
	},
	{
		name: "pruned-though-listed", file: "core/auth/prune.go",
		old:    "		hashes[t.Hash] = true\n",
		new:    "		hashes[t.Hash] = false\n",
		breaks: "a revoked token that the tokens file lists is good again after its deletion",
		tests:  []string{"-run=TestTokensOfTheFile ./core/auth"},
	},
	{
		name: "pruned-lets-requests-go-on", file: "core/auth/prune.go",
		old:    "		e.life.end(ErrBadToken)\n",
		new:    "		_ = e\n",
		breaks: "a request goes on with a token that was deleted",
		tests:  []string{"-run=TestTokensPruned ./core/auth"},
	},
	{
		name: "token-page-skips", file: "core/auth/list.go",
		old:    "		next = cursorOf(entries[limit-1])\n",
		new:    "		next = cursorOf(entries[0])\n",
		breaks: "pages of tokens overlap",
		tests:  []string{"-run=TestTokenPages ./core/auth"},
	},
	{
		name: "reference-without-policy", file: "transport/internal/ui/reference.go",
		old:    "	SetHeaders(h)\n",
		new:    "",
		breaks: "the reference of the API has no Content-Security-Policy",
		tests:  []string{"-run=TestReference ./transport/internal/ui"},
	},
	{
		name: "reference-base-unescaped", file: "transport/internal/ui/reference.go",
		old:    "\"{{base}}\", html.EscapeString(base),",
		new:    "\"{{base}}\", base,",
		breaks: "the path of OCTOSTORE_PUBLIC_URL becomes markup in the reference",
		tests:  []string{"-run=TestReference ./transport/internal/ui"},
	},
}
