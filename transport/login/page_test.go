package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
)

// A page may do nothing but look as it does, whatever is on it.
func TestPagesDoNothing(t *testing.T) {
	const nasty = `"><script>alert(1)</script>`
	h := http.Header{}
	SetHeaders(h)
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy is %q", csp)
		}
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("got %v", h)
	}
	pages := map[string][]byte{
		"land":    landPage(Callback{State: nasty, Code: nasty}, nasty),
		"token":   TokenPage(Token{auth.Token{Account: nasty, Expires: time.Now()}, nasty}),
		"refused": RefusedPage(nasty, nasty, nasty, nasty),
	}
	for name, page := range pages {
		text := string(page)
		if strings.Contains(text, "<script") || strings.Contains(text, "http:") || strings.Contains(text, "https:") || !strings.HasPrefix(text, "<!DOCTYPE html>") {
			t.Errorf("%s: %s", name, text)
		}
		styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(text)
		sum := sha256.Sum256([]byte(styles[1]))
		if !strings.Contains(csp, base64.StdEncoding.EncodeToString(sum[:])) {
			t.Errorf("%s: the policy does not allow its style", name)
		}
	}
	if n := strings.Count(string(pages["token"]), "alert(1)"); n != 2 {
		t.Errorf("the token is on the page %d times: %s", n-1, pages["token"])
	}
}

// The table of logins is bounded, and its entries expire.
func TestUsedStatesAreForgotten(t *testing.T) {
	var u usedStates
	now := time.Now()
	for i := range mostUsed {
		state := strconv.Itoa(i)
		if first, _ := u.begin(state, now); !first {
			t.Fatal("it was not used before")
		}
		u.end(state, true, now)
	}
	if first, full := u.begin("one more", now.Add(time.Minute)); first || !full {
		t.Errorf("got %v %v", first, full)
	}
	if first, full := u.begin("one more", now.Add(ticketLife+time.Second)); !first || full {
		t.Errorf("later: got %v %v", first, full)
	}
}

// TestUsedStatesAreThoseGitHubHasAccepted tries more codes that are none than can be
// remembered.
func TestUsedStatesAreThoseGitHubHasAccepted(t *testing.T) {
	var u usedStates
	now := time.Now()
	for i := range 2 * mostUsed {
		state := strconv.Itoa(i)
		if first, full := u.begin(state, now); !first || full {
			t.Fatalf("%d: got %t %t", i, first, full)
		}
		if first, full := u.begin(state, now); first || full {
			t.Fatalf("%d, while GitHub is asked: got %t %t", i, first, full)
		}
		u.end(state, false, now)
	}
	if len(u.ends) != 0 || len(u.asked) != 0 {
		t.Errorf("%d are remembered, %d under way", len(u.ends), len(u.asked))
	}
}

func TestGitHubAPIURL(t *testing.T) {
	for home, want := range map[string]string{
		"https://github.com":         "https://api.github.com",
		"https://GitHub.com:443/":    "https://api.github.com",
		"https://acme.ghe.com":       "https://api.acme.ghe.com",
		"https://github.example.com": "https://github.example.com/api/v3",
		"https://notghe.com":         "https://notghe.com/api/v3",
	} {
		u, err := CheckURL(home)
		if err != nil || apiURL(u) != want {
			t.Errorf("%s: %v, want %s", home, err, want)
		}
	}
}
