package ui

import (
	"html"
	"net/http"
	"strings"
	"sync"
)

// references are the pages of [ServeReference] by what is filled into them. A server has two at
// most.
var references sync.Map // of func() file, by Page

// ServeReference answers with the reference of the API: a page without a script, made of
// openapi.yaml by a test of package api.
func ServeReference(w http.ResponseWriter, r *http.Request, p Page) {
	made, ok := references.Load(p)
	if !ok {
		made, _ = references.LoadOrStore(p, sync.OnceValue(func() file { return newReference(p) }))
	}
	f := made.(func() file)()
	h := w.Header()
	SetHeaders(h)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	serve(w, r, f)
}

func newReference(p Page) file {
	s := load()
	files, base := "ui/"+s.hash+"/", "./"
	if p.Base != "" {
		files, base = p.Base+"/"+files, p.Base+"/"
	}
	body := []byte(strings.NewReplacer(
		"{{files}}", html.EscapeString(files),
		"{{base}}", html.EscapeString(base),
		"{{version}}", html.EscapeString(p.Version),
	).Replace(string(s.files[referenceFile].body)))
	return newFile(referenceFile, body)
}

// referenceFile is served filled in only.
const referenceFile = "docs.html"
