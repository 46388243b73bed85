package api_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// examples are the requests of operations whose examples in openapi.yaml are not enough for one.
var examples = map[string]string{
	"acquireLock":       `curl -X POST 'URL/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s&holder=ci-4711'`,
	"renewLock":         `curl -X POST -H 'Octostore-Lease: LEASE_ID' 'URL/v1/locks/deploy/prod/renew?ttl=60s'`,
	"releaseLock":       `curl -X POST -H 'Octostore-Lease: LEASE_ID' 'URL/v1/locks/deploy/prod/release'`,
	"breakLock":         `curl -X POST 'URL/v1/locks/deploy/prod/break?reason=the+runner+is+gone'`,
	"lockTerraform":     `curl -X POST -d '{"ID":"e1f0c1d2-8a3b-4c5d-9e6f-7a8b9c0d1e2f","Operation":"apply","Who":"alice"}' 'URL/v1/terraform/states/web?ttl=1h'`,
	"unlockTerraform":   `curl -X DELETE -d '{"ID":"e1f0c1d2-8a3b-4c5d-9e6f-7a8b9c0d1e2f"}' 'URL/v1/terraform/states/web'`,
	"listLocks":         `curl 'URL/v1/locks?prefix=deploy/&limit=100'`,
	"readAudit":         `curl --compressed -o audit.ndjson 'URL/v1/audit'`,
	"getBackup":         `curl -f -o backup.db 'URL/v1/backup'`,
	"watchEvents":       `curl -N 'URL/v1/events?prefix=deploy/'`,
	"explainPolicies":   `curl 'URL/v1/policies/explain?name=deploy/prod&ttl=60s'`,
	"listTokens":        `curl 'URL/v1/tokens?limit=100'`,
	"createToken":       `curl -X POST 'URL/v1/tokens?account=ci&scopes=acquire,read:team-a/**&expires=90d'`,
	"revokeToken":       `curl -X DELETE 'URL/v1/tokens/TOKEN_ID'`,
	"rotateToken":       `curl -X POST 'URL/v1/tokens/TOKEN_ID/rotate?grace=1h'`,
	"pollDeviceLogin":   `curl -X POST -d device_id=DEVICE_ID 'URL/v1/login/device/poll'`,
	"finishGitHubLogin": `# the form of the page before sends it`,
	"gitHubCallback":    `# GitHub sends the browser there`,
	"beginGitHubLogin":  `# open URL/auth/github in a browser`,
	"ready":             `curl -f 'URL/readyz?grants=1'`,
	"health":            `curl -f 'URL/healthz'`,
}

// curl returns a request that shows an operation.
func curl(o operation) string {
	const server = "http://127.0.0.1:3000"
	if example := examples[o.get("operationId").text()]; example != "" {
		return strings.ReplaceAll(example, "URL", server)
	}
	command := "curl"
	if o.method != "GET" {
		command += " -X " + o.method
	}
	query := url.Values{}
	for p := range o.get("parameters").items() {
		if example := p.get("example").text(); example != "" && p.get("in").text() == "query" {
			query.Set(strings.ReplaceAll(p.get("name").text(), "KEY", "ticket"), example)
		}
	}
	path := strings.ReplaceAll(strings.ReplaceAll(o.path, "{name}", "deploy/prod"), "{id}", "TOKEN_ID")
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return command + " '" + server + path + "'"
}

// pageTop and pageEnd are around the reference. The server fills in where its files are.
const pageTop = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>API · OctoStore</title>
<link rel="icon" type="image/svg+xml" href="{{files}}icon.svg">
<link rel="stylesheet" href="{{files}}vendor/pico.css">
<link rel="stylesheet" href="{{files}}style.css">
<link rel="stylesheet" href="{{files}}docs.css">
</head>
<body class="docs">
<header><nav aria-label="Server"><a href="{{base}}">OctoStore</a> <a href="{{base}}openapi.yaml">openapi.yaml</a> <span>{{version}}</span></nav></header>
<main>
`

const pageEnd = "</main>\n</body>\n</html>\n"

// pageOf returns the page of a Markdown text.
func pageOf(t *testing.T, text string) string {
	t.Helper()
	markdown := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	var out bytes.Buffer
	out.WriteString(pageTop)
	if err := markdown.Convert([]byte(text), &out, parser.WithContext(parser.NewContext(parser.WithIDs(ids{})))); err != nil {
		t.Fatal(err)
	}
	out.WriteString(pageEnd)
	return out.String()
}

// ids gives headings the ids that GitHub gives them.
type ids struct{}

func (ids) Generate(heading []byte, _ ast.NodeKind) []byte { return []byte(anchor(string(heading))) }
func (ids) Put([]byte)                                     {}
