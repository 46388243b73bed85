package transport

import (
	"context"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/ui"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// Paths of the page. Its API is that of every client.
const (
	uiPrefix = "/ui/"
	uiWhole  = uiPrefix + "{file}"
)

// front serves the page to browsers, and the text of [API.index] to other clients.
func (x *exchange) front() error {
	if x.listener == adminListener {
		return respond((*API).index)(x)
	}
	x.Header()["Vary"] = []string{"Accept"}
	if !ui.PrefersHTML(x.r.Header["Accept"]) {
		return respond((*API).index)(x)
	}
	x.armWrite()
	ui.ServePage(x, x.r, x.page())
	return nil
}

// page is what a page knows about its server.
func (x *exchange) page() ui.Page {
	a := x.api
	page := ui.Page{Version: a.version, GitHub: a.login != nil}
	if a.public != nil && strings.EqualFold(x.r.Host, a.public.Host) {
		page.Base = a.public.Path
	}
	return page
}

// reference serves the reference of the API as a page.
func (x *exchange) reference() error {
	x.armWrite()
	ui.ServeReference(x, x.r, x.page())
	return nil
}

// uiRoute returns what serves the files of the page.
func uiRoute(rt *route) httprouter.Handle {
	return func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.(*exchange).run(rt)
	}
}

// asset serves a file of the page.
func (x *exchange) asset() error {
	x.armWrite()
	if !ui.ServeFile(x, x.r, strings.TrimPrefix(x.r.URL.Path, uiPrefix)) {
		return problem.ErrNotFound
	}
	return nil
}

// whoami shows the account of the caller, and what it may do.
func (a *API) whoami(_ context.Context, c *caller, _ *param.Values) (wire.JSON, error) {
	who := api.Whoami{
		Account: c.principal.Account, TokenID: c.principal.TokenID, Scopes: c.principal.ScopeList(),
		Tokens: a.requiresTokens(), GitHub: a.login != nil, Version: a.version,
	}
	if a.tokens != nil && who.TokenID != "" {
		t, _ := a.tokens.Get(who.TokenID)
		who.TokenName, who.ExpiresAt = t.Name, orNone(t.Expires)
	}
	return wire.JSON{Value: who}, nil
}

// isAsset reports whether a request is for a file of the page. A browser loads several at once.
func isAsset(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, uiPrefix) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}
