package ui

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestPagePrefersHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/*": false, "text/plain": false, "application/json": false,
		"text/html": true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8":  true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif": true,
		"text/plain,text/html;q=0.5":                                       false,
		"text/plain;q=0.5,text/html":                                       true,
		"text/html;q=0":                                                    false,
		"text/html;q=nonsense":                                             false,
		"TEXT/HTML":                                                        true,
	} {
		if got := PrefersHTML([]string{accept}); got != want {
			t.Errorf("Accept: %s: prefers HTML: %v, want %v", accept, got, want)
		}
	}
}

func TestPageNamesItsFiles(t *testing.T) {
	for base, want := range map[string]string{"": `src="ui/`, "/octo": `src="/octo/ui/`, `/"><script>`: `src="/&#34;&gt;&lt;script&gt;/ui/`} {
		w := httptest.NewRecorder()
		ServePage(w, httptest.NewRequest("GET", "/", nil), Page{Base: base, Version: `v1"><b>`})
		page := w.Body.String()
		if !strings.Contains(page, want+load().hash+"/app.js") {
			t.Errorf("with the base %q the page does not have %s:\n%s", base, want, page)
		}
		if strings.Contains(page, "{{") || strings.Contains(page, "<b>") || strings.Contains(page, "<script>") {
			t.Errorf("with the base %q something is not filled in or not escaped:\n%s", base, page)
		}
	}
}

// Every file that the page or another file names is there.
func TestPageFilesAreComplete(t *testing.T) {
	s := load()
	index := string(s.files["index.html"].body)
	for _, m := range regexp.MustCompile(`\{\{files\}\}([^"]+)`).FindAllStringSubmatch(index, -1) {
		if _, ok := s.files[m[1]]; !ok {
			t.Errorf("index.html names %s, which is not there", m[1])
		}
	}
	imports := regexp.MustCompile(`(?:from |import\(|import )'(\.[^']+)'`)
	for name, f := range s.files {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "vendor/") {
			continue
		}
		for _, m := range imports.FindAllStringSubmatch(string(f.body), -1) {
			if _, ok := s.files[path.Join(path.Dir(name), m[1])]; !ok {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
		}
	}
}

// The page has no inline script or style, and its own scripts never make markup of a text.
func TestPageMakesNoMarkupOfTexts(t *testing.T) {
	index := string(load().files["index.html"].body)
	if found := regexp.MustCompile(`(?i)<style|style=|\son\w+=|javascript:|<script>`).FindString(index); found != "" {
		t.Errorf("index.html has %q", found)
	}
	wrong := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|DOMParser|srcdoc|https?://[a-z]`)
	for name, f := range load().files {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "vendor/") {
			continue
		}
		if found := wrong.FindString(string(f.body)); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
}

func get(t *testing.T, name string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/ui/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if !ServeFile(w, r, name) {
		w.Code = http.StatusNotFound
	}
	return w
}

func TestPageFilesMayBeKeptBelowTheirHash(t *testing.T) {
	hashed, plain := get(t, load().hash+"/app.js"), get(t, "app.js")
	if got := hashed.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("below the hash: Cache-Control: %s", got)
	}
	if got := plain.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("without the hash: Cache-Control: %s", got)
	}
	tag := plain.Header().Get("Etag")
	for _, sent := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if w := get(t, "app.js", "If-None-Match", sent); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("If-None-Match: %s: %d with %d bytes", sent, w.Code, w.Body.Len())
		}
	}
	small := get(t, "app.js", "Accept-Encoding", "gzip").Header().Get("Etag")
	if w := get(t, "app.js", "If-None-Match", small, "Accept-Encoding", "gzip"); w.Code != http.StatusNotModified {
		t.Errorf("compressed, If-None-Match: %s: %d", small, w.Code)
	}
	if w := get(t, "app.js", "If-None-Match", small); w.Code != http.StatusOK {
		t.Errorf("the tag of the compressed file stands for the whole file: %d", w.Code)
	}
	if w := get(t, "app.js", "If-None-Match", `"x"`); w.Code != http.StatusOK {
		t.Errorf("another tag: %d", w.Code)
	}
	for _, name := range []string{"", "nothing.js", "index.html", "0123456789abcdef/app.js", "../ui.go", "static/app.js", load().hash, "screens"} {
		if w := get(t, name); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestPageFilesAreCompressed(t *testing.T) {
	small, whole := get(t, "app.js", "Accept-Encoding", "br, gzip;q=0.8"), get(t, "app.js", "Accept-Encoding", "gzip;q=0")
	if small.Header().Get("Content-Encoding") != "gzip" || whole.Header().Get("Content-Encoding") != "" {
		t.Fatalf("Content-Encoding: %q and %q", small.Header().Get("Content-Encoding"), whole.Header().Get("Content-Encoding"))
	}
	r, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil || string(body) != whole.Body.String() {
		t.Errorf("the compressed file is another one: %v", err)
	}
	for _, w := range []*httptest.ResponseRecorder{small, whole} {
		for name, want := range map[string]string{
			"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding",
			"Referrer-Policy": "no-referrer", "Content-Security-Policy": policy,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

// Everything that the page can load, compressed as browsers get it. Only charts are heavy.
func TestPageIsSmall(t *testing.T) {
	total := 0
	for name, f := range load().files {
		if name == "vendor/vendor.json" || strings.Contains(name, "LICENSE") {
			continue
		}
		size := len(f.body)
		if small := f.gzip(); small != nil {
			size = len(small)
		}
		total += size
	}
	const most = 300_000
	if total >= most {
		t.Errorf("the page has %d bytes, compressed; want fewer than %d", total, most)
	}
	t.Logf("%d bytes", total)
}

func TestPageEmbedsEveryFile(t *testing.T) {
	n := 0
	_ = fs.WalkDir(embedded, "static", func(_ string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			n++
		}
		return nil
	})
	if n != len(load().files) {
		t.Errorf("%d files are served, %d are embedded", len(load().files), n)
	}
}

// vendored is vendor.json; make vendored compares it with what npm publishes.
type vendored struct {
	Packages []struct {
		Name, Version, License, Integrity string
		Files                             []struct{ File, From, SHA256 string }
	}
}

// Every library is pinned, unchanged, and comes with its licence.
func TestPageLibrariesArePinned(t *testing.T) {
	var list vendored
	files := load().files
	if err := json.Unmarshal(files["vendor/vendor.json"].body, &list); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"vendor/vendor.json": true}
	for _, p := range list.Packages {
		if p.Version == "" || p.License == "" || !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("%s is not pinned: %+v", p.Name, p)
		}
		licensed := false
		for _, f := range p.Files {
			name := "vendor/" + f.File
			listed[name] = true
			licensed = licensed || strings.Contains(name, "LICENSE")
			if sum := sha256.Sum256(files[name].body); hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is not the file that vendor.json lists: %x", name, sum)
			}
		}
		if !licensed {
			t.Errorf("%s comes without its licence", p.Name)
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "vendor/") && !listed[name] {
			t.Errorf("%s is not in vendor.json", name)
		}
	}
}
