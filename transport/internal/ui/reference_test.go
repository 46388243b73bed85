package ui

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func reference(p Page, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/docs", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	ServeReference(w, r, p)
	return w
}

// The reference has no script and no style of its own, and loads nothing from elsewhere.
func TestReferenceLoadsOnlyFilesOfThisServer(t *testing.T) {
	for base, want := range map[string]string{"": `href="ui/`, "/octo": `href="/octo/ui/`, `/"><b>`: `href="/&#34;&gt;&lt;b&gt;/ui/`} {
		page := reference(Page{Base: base, Version: `v1"><b>`}).Body.String()
		if !strings.Contains(page, want+load().hash+"/docs.css") {
			t.Errorf("with the base %q the page does not have %s", base, want)
		}
		if strings.Contains(page, "{{") || strings.Contains(page, "<b>") {
			t.Errorf("with the base %q something is not filled in or not escaped", base)
		}
		if found := regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son\w+=|javascript:|src=|<form|<input`).FindString(page); found != "" {
			t.Errorf("the page has %q", found)
		}
		for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], "://") {
				t.Errorf("the page leads to %s", m[1])
			}
		}
	}
}

// Every place that the reference leads to within itself is there, once.
func TestReferenceLinksLeadToHeadings(t *testing.T) {
	page := reference(Page{}).Body.String()
	headings := map[string]int{}
	for _, m := range regexp.MustCompile(`<h[1-6] id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		headings[m[1]]++
	}
	links := regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1)
	for _, m := range links {
		if headings[m[1]] != 1 {
			t.Errorf("#%s is the id of %d headings", m[1], headings[m[1]])
		}
	}
	if len(links) < 100 {
		t.Errorf("only %d links were found", len(links))
	}
}

func TestReferenceIsCompressedAndRevalidated(t *testing.T) {
	whole, small := reference(Page{}), reference(Page{}, "Accept-Encoding", "gzip")
	if n := small.Body.Len(); small.Header().Get("Content-Encoding") != "gzip" || n > 32<<10 {
		t.Errorf("compressed it is %d bytes of %q", n, small.Header().Get("Content-Encoding"))
	}
	if !strings.Contains(whole.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("it has no policy")
	}
	if w := reference(Page{}, "If-None-Match", whole.Header().Get("Etag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the page a browser has: %d with %d bytes", w.Code, w.Body.Len())
	}
	if w := reference(Page{Version: "another"}, "If-None-Match", whole.Header().Get("Etag")); w.Code != http.StatusOK {
		t.Errorf("the page of another version: %d", w.Code)
	}
	if w := get(t, "docs.html"); w.Code != http.StatusNotFound {
		t.Errorf("what is not filled in is served: %d", w.Code)
	}
}
