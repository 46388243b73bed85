// Package ui is the page for browsers: an application of static files, embedded in the binary,
// that uses the HTTP API as any client does.
//
// The files need no build step. They are served below a segment that is the hash of all of
// them, so a browser may keep them forever, and a new server never mixes with old files. All
// URLs in them are relative: the page works below any path of a proxy.
//
// The page loads nothing from another origin, and has no script or style outside of its files;
// its Content-Security-Policy allows nothing else.
package ui

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed static
var embedded embed.FS

// file is one file of the page.
type file struct {
	body        []byte
	contentType string
	etag        string
	gzip        func() []byte // the body, compressed; nil if that does not make it smaller
}

// set are the files of the page by their paths, and the hash of all of them.
type set struct {
	files map[string]file
	hash  string
}

var load = sync.OnceValue(func() set {
	s := set{files: map[string]file{}}
	all := sha256.New()
	err := fs.WalkDir(embedded, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(all, "%s %d\n", name, len(body))
		_, _ = all.Write(body)
		s.files[strings.TrimPrefix(name, "static/")] = newFile(name, body)
		return nil
	})
	if err != nil {
		panic(err) // embedded files can be read
	}
	s.hash = hex.EncodeToString(all.Sum(nil))[:16]
	return s
})

// contentTypes are those of the files; package mime would ask the system.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
}

func newFile(name string, body []byte) file {
	sum := sha256.Sum256(body)
	return file{
		body:        body,
		contentType: cmp.Or(contentTypes[path.Ext(name)], "text/plain; charset=utf-8"),
		etag:        `"` + hex.EncodeToString(sum[:12]) + `"`,
		gzip:        sync.OnceValue(func() []byte { return compress(body) }),
	}
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a valid level
	_, _ = w.Write(body)
	_ = w.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// policy is the Content-Security-Policy of the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// SetHeaders sets the headers that isolate a page from other sites.
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// Page is what the page knows before its first request.
type Page struct {
	Base    string // path of the server, without a slash at its end; empty: where the page is
	Version string // of the server
	GitHub  bool   // users can log in with GitHub
}

// ServePage answers with the page. It is never kept by a browser, as it names the files of one
// server.
func ServePage(w http.ResponseWriter, r *http.Request, p Page) {
	s := load()
	prefix := "ui/" + s.hash + "/"
	if p.Base != "" {
		prefix = p.Base + "/" + prefix
	}
	body := strings.NewReplacer(
		"{{files}}", html.EscapeString(prefix),
		"{{version}}", html.EscapeString(p.Version),
		"{{github}}", strconv.FormatBool(p.GitHub),
	).Replace(string(s.files["index.html"].body))
	h := w.Header()
	SetHeaders(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", contentTypes[".html"])
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // a browser that has left needs no page
	}
}

// ServeFile answers with a file of the page, or returns false if there is none with this path.
// Below the hash of all files it may be kept for a year; without the hash it is revalidated.
func ServeFile(w http.ResponseWriter, r *http.Request, name string) bool {
	s := load()
	caching := "no-cache"
	if rest, ok := strings.CutPrefix(name, s.hash+"/"); ok {
		name, caching = rest, "public, max-age=31536000, immutable"
	}
	f, ok := s.files[name]
	if !ok || name == "index.html" || name == referenceFile {
		return false
	}
	h := w.Header()
	SetHeaders(h)
	h.Set("Cache-Control", caching)
	h.Set("Vary", "Accept-Encoding")
	serve(w, r, f)
	return true
}

// serve answers with a file, compressed if the browser takes that, or with the word that it has
// the file already.
func serve(w http.ResponseWriter, r *http.Request, f file) {
	h := w.Header()
	body, etag := f.body, f.etag
	if accepts(r.Header["Accept-Encoding"], "gzip") {
		if small := f.gzip(); small != nil {
			h.Set("Content-Encoding", "gzip")
			body, etag = small, strings.TrimSuffix(etag, `"`)+`-gzip"` // other bytes, another tag
		}
	}
	h.Set("Etag", etag)
	if matches(r.Header["If-None-Match"], etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a browser that has left needs no file
	}
}

// matches reports whether an If-None-Match header has the tag. Proxies that compress may have
// made it a weak one.
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// PrefersHTML reports whether an Accept header names text/html, and nothing that the server could
// answer instead with a higher quality. A wildcard, as curl sends it, prefers nothing.
func PrefersHTML(accept []string) bool {
	return quality(accept, "text/html") > quality(accept, "text/plain")
}

func accepts(lines []string, what string) bool { return quality(lines, what) > 0 }

// quality returns the quality that Accept or Accept-Encoding headers give a value by its name;
// 0 if they do not name it.
func quality(lines []string, want string) float64 {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != want {
				continue
			}
			q, given := params["q"]
			if !given {
				return 1
			}
			n, err := strconv.ParseFloat(q, 64)
			if err != nil || !(n >= 0 && n <= 1) {
				return 0
			}
			return n
		}
	}
	return 0
}
