package login

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"sync"
	"time"
)

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em;color:#222;background:#fff}
code{display:block;padding:1em;background:#f3f3f3;overflow-wrap:anywhere;user-select:all}
button{font:inherit;padding:.5em 1em}
dt{font-weight:bold}
footer{color:#666;font-size:.85em}`

// policy is the Content-Security-Policy of pages: their own style, and a form to this server.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// SetHeaders sets the headers that isolate a page from other sites.
func SetHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// SetLandHeaders is [SetHeaders] for the page with the button. Without any referrer browsers
// send the form with "Origin: null", as if it came from another site.
func SetLandHeaders(h http.Header) {
	SetHeaders(h)
	h.Set("Referrer-Policy", "same-origin")
}

var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Parse(`
{{define "top"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.}} - OctoStore</title><style>` + style + `</style></head>
<body><h1>{{.}}</h1>
{{end}}

{{define "land"}}{{template "top" "Log in to OctoStore"}}<p>GitHub has sent you back. This creates a new token, which is shown once.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="state" value="{{.State}}"><input type="hidden" name="code" value="{{.Code}}">
<button>Create a token</button>
</form></body></html>
{{end}}

{{define "token"}}{{template "top" "Your token"}}<p>Copy it now: it is not shown again. Keep it secret: it lets any client act as you.</p>
<code>{{.Secret}}</code>
<dl><dt>Account</dt><dd>{{.Account}}</dd><dt>May do</dt><dd>{{.Scopes}}</dd><dt>Valid until</dt><dd>{{.Until}}</dd></dl>
<p>Set OCTOSTORE_TOKEN for the command; with curl, send the header <i>Authorization: Bearer TOKEN</i>.</p></body></html>
{{end}}

{{define "refused"}}{{template "top" .Title}}<p>{{.Detail}}</p>
{{if .Again}}<p><a href="{{.Again}}">Begin again</a></p>
{{end}}<footer>Request {{.RequestID}}</footer></body></html>
{{end}}`))
})

func render(name string, v any) []byte {
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, name, v); err != nil {
		panic(err) // the templates are ours, and a buffer takes everything
	}
	return b.Bytes()
}

// landPage is the page with the button, which posts the callback to action.
func landPage(c Callback, action string) []byte {
	return render("land", struct {
		Callback
		Action string
	}{c, action})
}

// TokenPage is the page that shows a token, once.
func TokenPage(t Token) []byte {
	return render("token", struct {
		Token
		Until string
	}{t, t.Expires.UTC().Format(time.RFC1123)})
}

// RefusedPage is the page for a login that failed. It offers another attempt at the path again,
// if that is not empty.
func RefusedPage(title, detail, requestID, again string) []byte {
	return render("refused", struct {
		Title, Detail, RequestID, Again string
	}{title, detail, requestID, again})
}
