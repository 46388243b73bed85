package transport

import (
	"fmt"
	"strings"
)

// The corpus of the twins: what clients send, and what they had better not.

const (
	host    = "Host: localhost\r\n"
	acquire = "POST /v1/locks/a/acquire HTTP/1.1\r\n" + host
	status  = "GET /v1/locks/a HTTP/1.1\r\n" + host
	form    = "Content-Type: application/x-www-form-urlencoded\r\n"
)

// plainScripts are requests for the lane, alone and one behind the other.
func plainScripts() map[string]script {
	renew := "POST /v1/locks/held/renew HTTP/1.1\r\n" + host + "Octostore-Lease: {lease}\r\n\r\n"
	release := "POST /v1/locks/held/release HTTP/1.1\r\n" + host + "Octostore-Lease: {lease}\r\n\r\n"
	inBody := func(head, body string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(strings.ReplaceAll(body, "{lease}", long(leaseLength))), body)
	}
	return map[string]script{
		"acquire":                  {acquire + "\r\n"},
		"acquire, with parameters": {"POST /v1/locks/a/acquire?ttl=30s&wait=0&holder=x&reason=y&meta.k=v HTTP/1.1\r\n" + host + "\r\n"},
		"acquire, no content":      {acquire + "Content-Length: 0\r\n\r\n"},
		"acquire, form":            {inBody(acquire+form, "ttl=30s&holder=%41")},
		"acquire, JSON":            {inBody(acquire+"Content-Type: application/json\r\n", `{"ttl":30,"metadata":{"a":"b"}}`)},
		"acquire, bad JSON":        {inBody(acquire+"Content-Type: application/json\r\n", `{"ttl":30,`)},
		"acquire twice":            {acquire + "\r\n" + acquire + "\r\n"},
		"acquire what is held":     {"POST /v1/locks/held/acquire HTTP/1.1\r\n" + host + "\r\n"},
		"wait for what is held":    {"POST /v1/locks/held/acquire?wait=5ms HTTP/1.1\r\n" + host + "\r\n"},
		"wait by Prefer":           {"POST /v1/locks/held/acquire HTTP/1.1\r\nPrefer: wait=1\r\n" + host + "\r\n"},
		"wait in the body":         {inBody("POST /v1/locks/held/acquire HTTP/1.1\r\n"+host+form, "wait=1")},
		"renew":                    {renew},
		"release":                  {release},
		"renew and release":        {renew + release + renew},
		"release in the body":      {inBody("POST /v1/locks/held/release HTTP/1.1\r\n"+host+form, "lease_id={lease}")},
		"release in the query":     {"POST /v1/locks/held/release?lease_id={lease} HTTP/1.1\r\n" + host + "\r\n"},
		"renew nothing":            {"POST /v1/locks/a/renew HTTP/1.1\r\n" + host + "Octostore-Lease: nonsense\r\n\r\n"},
		"status":                   {status + "\r\n"},
		"status of what is held":   {"GET /v1/locks/held HTTP/1.1\r\n" + host + "\r\n"},
		"status, with parameters":  {"GET /v1/locks/held?waiters=3 HTTP/1.1\r\n" + host + "\r\n"},
		"status, bad parameter":    {"GET /v1/locks/held?colour=red HTTP/1.1\r\n" + host + "\r\n"},
		"status with a body":       {inBody(status, "limit=5")},
		"a hundred":                {strings.Repeat(status+"\r\n", 100)},
		"all at once":              {acquire + "\r\n" + renew + status + "\r\n" + release + inBody(acquire+form, "ttl=9") + status + "\r\n"},
		"key":                      {strings.Repeat(acquire+"Idempotency-Key: 0123456789abcdef\r\n\r\n", 2)},
		"key, other parameters": {acquire + "Idempotency-Key: 0123456789abcdefg\r\n\r\n" +
			"POST /v1/locks/a/acquire?ttl=7 HTTP/1.1\r\n" + host + "Idempotency-Key: 0123456789abcdefg\r\n\r\n"},
		"id of its own":         {acquire + "X-Request-Id: my-own.id_1\r\n\r\n"},
		"bad id of its own":     {acquire + "X-Request-Id: my own\r\n\r\n"},
		"two ids of its own":    {acquire + "X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n"},
		"agent":                 {acquire + "User-Agent: curl/8.5.0\r\nAccept: */*\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"},
		"foreign host":          {"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: evil.example\r\n\r\n"},
		"cross origin":          {acquire + "Origin: http://evil.example\r\n\r\n"},
		"cross site":            {acquire + "Sec-Fetch-Site: cross-site\r\n\r\n"},
		"keep-alive":            {acquire + "Connection: keep-alive\r\n\r\n"},
		"Keep-Alive":            {acquire + "connection: Keep-Alive\r\n\r\n"},
		"close":                 {acquire + "Connection: close\r\n\r\n"},
		"close, then another":   {acquire + "Connection: close\r\n\r\n" + status + "\r\n"},
		"CLOSE":                 {acquire + "CONNECTION: CLOSE\r\n\r\n"},
		"keep-alive and close":  {acquire + "Connection: keep-alive, close\r\n\r\n"},
		"close, keep-alive":     {acquire + "Connection: close\r\nConnection: keep-alive\r\n\r\n"},
		"connection of nothing": {acquire + "Connection:\r\n\r\n"},
		"connection to drop":    {acquire + "Connection: Octostore-Lease\r\n\r\n"},
		"closes with a body":    {inBody(acquire+form+"Connection: close\r\n", "ttl=5")},
		"name with slashes":     {"POST /v1/locks/a%2Fb/c/acquire HTTP/1.1\r\n" + host + "\r\n"},
		"name of a verb":        {"GET /v1/locks/refs/heads/release HTTP/1.1\r\n" + host + "\r\n"},
		"name that is none":     {"GET /v1/locks/a//b HTTP/1.1\r\n" + host + "\r\n"},
		"name with dots":        {"GET /v1/locks/../../healthz HTTP/1.1\r\n" + host + "\r\n"},
		"name that is escaped":  {"POST /v1/locks/x/%61%63quire HTTP/1.1\r\n" + host + "\r\n"},
		"name with a NUL":       {"POST /v1/locks/a%00b/acquire HTTP/1.1\r\n" + host + "\r\n"},
		"name of bytes":         {"GET /v1/locks/caf\xc3\xa9 HTTP/1.1\r\n" + host + "\r\n"},
		"no name":               {"GET /v1/locks/ HTTP/1.1\r\n" + host + "\r\n"},
		"verb only":             {"POST /v1/locks/acquire HTTP/1.1\r\n" + host + "\r\n"},
		"GET of a verb":         {"GET /v1/locks/a/acquire HTTP/1.1\r\n" + host + "\r\n"},
		"POST without a verb":   {"POST /v1/locks/a HTTP/1.1\r\n" + host + "\r\n"},
		"token":                 {acquire + "Authorization: Bearer {token}\r\n\r\n"},
		"token of Basic":        {acquire + "Authorization: Basic eDp5\r\n\r\n"},
		"bad token":             {acquire + "Authorization: Bearer nonsense\r\n\r\n"},
		"token twice":           {acquire + "Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n\r\n"},
		"token in the query":    {"POST /v1/locks/a/acquire?token={token} HTTP/1.1\r\n" + host + "\r\n"},
		"lease twice":           {"POST /v1/locks/held/renew?lease_id={lease} HTTP/1.1\r\n" + host + "Octostore-Lease: {lease}\r\n\r\n"},
		"lease in two lines":    {"POST /v1/locks/held/renew HTTP/1.1\r\n" + host + "Octostore-Lease: {lease}\r\nOctostore-Lease: x\r\n\r\n"},
		"break":                 {"POST /v1/locks/held/break?reason=x HTTP/1.1\r\n" + host + "\r\n" + status + "\r\n"},
	}
}

// leaseLength is the length of a lease id.
const leaseLength = 43

// mixedScripts go from the lane to net/http in the middle of a connection.
func mixedScripts() map[string]script {
	scripts := map[string]script{}
	for name, other := range map[string]string{
		"HEAD":      "HEAD /v1/locks/a HTTP/1.1\r\n" + host + "\r\n",
		"list":      "GET /v1/locks HTTP/1.1\r\n" + host + "\r\n",
		"health":    "GET /healthz HTTP/1.1\r\n" + host + "\r\n",
		"ready":     "GET /readyz HTTP/1.1\r\n" + host + "\r\n",
		"index":     "GET / HTTP/1.1\r\n" + host + "Accept: text/html\r\n\r\n",
		"openapi":   "GET /openapi.yaml HTTP/1.1\r\n" + host + "\r\n",
		"nothing":   "GET /nothing HTTP/1.1\r\n" + host + "\r\n",
		"chunks":    acquire + "Transfer-Encoding: chunked\r\n\r\n6\r\nttl=5s\r\n0\r\n\r\n",
		"expect":    acquire + "Expect: 100-continue\r\nContent-Length: 6\r\n\r\nttl=5s",
		"upgrade":   acquire + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"1.0":       "GET /v1/locks/a HTTP/1.0\r\n" + host + "\r\n",
		"1.0 kept":  "GET /v1/locks/a HTTP/1.0\r\nConnection: keep-alive\r\n" + host + "\r\n",
		"absolute":  "GET http://localhost/v1/locks/a HTTP/1.1\r\n" + host + "\r\n",
		"options":   "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
		"delete":    "DELETE /v1/locks/a HTTP/1.1\r\n" + host + "\r\n",
		"terraform": "LOCK /v1/terraform/a HTTP/1.1\r\n" + host + "\r\n",
		"HTTP/2":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"long body": acquire + fmt.Sprintf("Content-Length: %d\r\n\r\n", 5000) + strings.Repeat(" ", 5000),
		"bare LF":   strings.ReplaceAll(status+"\r\n", "\r\n", "\n"),
		"blank":     "\r\n" + status + "\r\n",
		"broken":    "GET /v1/locks/a HTTP/1.1\r\nno colon\r\n\r\n",
	} {
		scripts[name] = script{other}
		scripts[name+", behind"] = script{status + "\r\n" + other + status + "\r\n"}
		scripts[name+", later"] = script{status + "\r\n", other, acquire + "\r\n"}
		scripts[name+", behind a body"] = script{acquire + form + "Content-Length: 5\r\n\r\nttl=5" + other}
	}
	return scripts
}

// hostileScripts are malformed, ambiguous or at a border.
func hostileScripts() map[string]script {
	const body = "ttl=5"
	scripts := map[string]script{}
	head := func(name, lines string) {
		scripts["acquire: "+name] = script{acquire + lines + "\r\n" + body}
		scripts["status: "+name] = script{status + lines + "\r\n"}
		scripts["behind another: "+name] = script{status + "\r\n" + acquire + lines + "\r\n" + body}
	}
	for name, lines := range map[string]string{
		"both lengths":              "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"both lengths, reversed":    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"length twice":              "Content-Length: 5\r\nContent-Length: 5\r\n",
		"two lengths":               "Content-Length: 5\r\nContent-Length: 6\r\n",
		"two lengths, one short":    "Content-Length: 5\r\nContent-Length: 0\r\n",
		"lengths in one line":       "Content-Length: 5, 5\r\n",
		"length with a plus":        "Content-Length: +5\r\n",
		"length with a minus":       "Content-Length: -5\r\n",
		"length in hex":             "Content-Length: 0x5\r\n",
		"length with zeros":         "Content-Length: 0000000005\r\n",
		"length with more zeros":    "Content-Length: " + strings.Repeat("0", 40) + "5\r\n",
		"length with blanks":        "Content-Length:   5  \r\n",
		"length with a tab":         "Content-Length:\t5\t\r\n",
		"length without a blank":    "Content-Length:5\r\n",
		"length behind a blank":     "Content-Length : 5\r\n",
		"length behind a tab":       "Content-Length\t: 5\r\n",
		"length with a NUL":         "Content-Length: 5\x00\r\n",
		"length of nothing":         "Content-Length:\r\n",
		"length of a blank":         "Content-Length: \r\n",
		"length with underscores":   "Content-Length: 1_0\r\n",
		"length of a fraction":      "Content-Length: 5.0\r\n",
		"length of a superscript":   "Content-Length: \xb2\r\n",
		"length that is too large":  "Content-Length: 99999999999999999999\r\n",
		"length of 2^63":            "Content-Length: 9223372036854775808\r\n",
		"length of 2^64 and 5":      "Content-Length: 18446744073709551621\r\n",
		"length with inner blank":   "Content-Length: 5 0\r\n",
		"length, another case":      "cOnTeNt-LeNgTh: 5\r\n",
		"length with underscore":    "Content_Length: 5\r\n",
		"folded length":             "Content-Length:\r\n 5\r\n",
		"folded":                    "X-Folded: a\r\n b\r\nContent-Length: 5\r\n",
		"folded with a tab":         "X-Folded: a\r\n\tb\r\nContent-Length: 5\r\n",
		"folded at once":            " X-Folded: a\r\nContent-Length: 5\r\n",
		"length behind a CR":        "X: a\rContent-Length: 5\r\n",
		"length behind a LF":        "X: a\nContent-Length: 5\r\n",
		"CR alone":                  "X: a\rb\r\nContent-Length: 5\r\n",
		"CR CR LF":                  "X: a\r\r\nContent-Length: 5\r\n",
		"bare LF":                   "Content-Length: 5\n",
		"bare LF as an end":         "X: a\n\nContent-Length: 5\r\n",
		"chunked":                   "Transfer-Encoding: chunked\r\n",
		"Chunked":                   "Transfer-Encoding: Chunked\r\n",
		"chunked, with a blank":     "Transfer-Encoding: chunked \r\n",
		"chunked behind a blank":    "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
		"chunked behind a tab":      "Transfer-Encoding:\tchunked\r\n",
		"chunked twice":             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"chunked in a list":         "Transfer-Encoding: identity, chunked\r\n",
		"chunked last but one":      "Transfer-Encoding: chunked, identity\r\n",
		"xchunked":                  "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
		"quoted chunked":            "Transfer-Encoding: \"chunked\"\r\nContent-Length: 5\r\n",
		"chunked with a NUL":        "Transfer-Encoding: chunked\x00\r\nContent-Length: 5\r\n",
		"chunked with a VT":         "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n",
		"identity":                  "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
		"gzip":                      "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
		"encoding of nothing":       "Transfer-Encoding:\r\nContent-Length: 5\r\n",
		"folded encoding":           "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
		"encoding with underscore":  "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n",
		"encoding behind a CR":      "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"trailer":                   "Trailer: X\r\nContent-Length: 5\r\n",
		"TE":                        "TE: trailers\r\nConnection: TE\r\nContent-Length: 5\r\n",
		"expect a miracle":          "Expect: a miracle\r\nContent-Length: 5\r\n",
		"expect":                    "Expect: 100-continue\r\nContent-Length: 5\r\n",
		"expect, no body":           "Expect: 100-continue\r\n",
		"expect, another case":      "EXPECT: 100-Continue\r\nContent-Length: 5\r\n",
		"upgrade":                   "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
		"upgrade without a word":    "Upgrade: h2c\r\nContent-Length: 5\r\n",
		"HTTP2-Settings":            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
		"keep-alive of proxies":     "Proxy-Connection: close\r\nContent-Length: 5\r\n",
		"connection with blanks":    "Connection:  close \r\nContent-Length: 5\r\n",
		"connection with commas":    "Connection: ,,close,,\r\nContent-Length: 5\r\n",
		"connection of two":         "Connection: keep-alive\r\nConnection: keep-alive\r\nContent-Length: 5\r\n",
		"connection with a tab":     "Connection:\tclose\t\r\nContent-Length: 5\r\n",
		"connection of closed":      "Connection: closed\r\nContent-Length: 5\r\n",
		"host twice":                host + "Content-Length: 5\r\n",
		"another host":              "Host: evil.example\r\nContent-Length: 5\r\n",
		"host behind a blank":       "Host : localhost\r\nContent-Length: 5\r\n",
		"NUL in a name":             "X\x00: a\r\nContent-Length: 5\r\n",
		"NUL in a value":            "X: a\x00b\r\nContent-Length: 5\r\n",
		"DEL in a value":            "X: a\x7fb\r\nContent-Length: 5\r\n",
		"control in a value":        "X: a\x01b\r\nContent-Length: 5\r\n",
		"tab in a value":            "X: a\tb\r\nContent-Length: 5\r\n",
		"high bytes in a value":     "X: caf\xc3\xa9 \xff\r\nContent-Length: 5\r\n",
		"high bytes in a name":      "X\xff: a\r\nContent-Length: 5\r\n",
		"blank in a name":           "a b: c\r\nContent-Length: 5\r\n",
		"slash in a name":           "a/b: c\r\nContent-Length: 5\r\n",
		"no name":                   ": c\r\nContent-Length: 5\r\n",
		"no colon":                  "no colon\r\nContent-Length: 5\r\n",
		"empty value":               "X:\r\nContent-Length: 5\r\n",
		"value of blanks":           "X:    \r\nContent-Length: 5\r\n",
		"odd name":                  "!#$%&'*+-.^_`|~09az: c\r\nContent-Length: 5\r\n",
		"pseudo header":             ":method: GET\r\nContent-Length: 5\r\n",
		"lengths of many names":     "Content-Length: 5\r\nContent-length: 5\r\nCONTENT-LENGTH: 5\r\n",
		"method override":           "X-HTTP-Method-Override: DELETE\r\nContent-Length: 5\r\n",
		"forwarded":                 "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nContent-Length: 5\r\n",
		"two bodies":                "Content-Length: 0\r\n\r\nPOST /v1/locks/smuggled/acquire HTTP/1.1\r\n" + host,
		"request in a body":         fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(acquire)+2, acquire),
		"range and conditions":      "Range: bytes=0-5\r\nIf-None-Match: *\r\nIf-Match: x\r\nContent-Length: 5\r\n",
		"encodings":                 "Accept-Encoding: gzip, br\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n",
		"cookie":                    "Cookie: a=b; c=d\r\nContent-Length: 5\r\n",
		"pragma":                    "Pragma: no-cache\r\nContent-Length: 5\r\n",
		"many lines":                strings.Repeat("X: y\r\n", 300) + "Content-Length: 5\r\n",
		"many lines, just about":    strings.Repeat("X: y\r\n", 600) + "Content-Length: 5\r\n",
		"multipart":                 "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n",
		"type twice":                form + "Content-Type: application/json\r\nContent-Length: 5\r\n",
		"authorization of nothing":  "Authorization:\r\nContent-Length: 5\r\n",
		"authorization of a scheme": "Authorization: Bearer\r\nContent-Length: 5\r\n",
		"lease in two lines":        "Octostore-Lease: {lease}\r\nOctostore-Lease: {lease}\r\nContent-Length: 5\r\n",
		"prefer":                    "Prefer: wait=1, respond-async\r\nContent-Length: 5\r\n",
		"prefer twice":              "Prefer: wait=1\r\nPrefer: wait=2\r\nContent-Length: 5\r\n",
	} {
		head(name, lines)
	}
	for name, first := range map[string]string{
		"two blanks":            "GET  /v1/locks/a HTTP/1.1",
		"two blanks behind":     "GET /v1/locks/a  HTTP/1.1",
		"a tab":                 "GET\t/v1/locks/a\tHTTP/1.1",
		"a blank before":        " GET /v1/locks/a HTTP/1.1",
		"a blank at the end":    "GET /v1/locks/a HTTP/1.1 ",
		"lower case":            "get /v1/locks/a HTTP/1.1",
		"a method with a NUL":   "GET\x00 /v1/locks/a HTTP/1.1",
		"a method that is none": "G@T /v1/locks/a HTTP/1.1",
		"no method":             "/v1/locks/a HTTP/1.1",
		"no version":            "GET /v1/locks/a",
		"HTTP/0.9":              "GET /v1/locks/a HTTP/0.9",
		"HTTP/1.0":              "GET /v1/locks/a HTTP/1.0",
		"HTTP/1.2":              "GET /v1/locks/a HTTP/1.2",
		"HTTP/1.10":             "GET /v1/locks/a HTTP/1.10",
		"HTTP/01.1":             "GET /v1/locks/a HTTP/01.1",
		"HTTP/1.":               "GET /v1/locks/a HTTP/1.",
		"HTTP/2.0":              "GET /v1/locks/a HTTP/2.0",
		"HTTP/3.0":              "GET /v1/locks/a HTTP/3.0",
		"http/1.1":              "GET /v1/locks/a http/1.1",
		"HTTPS/1.1":             "GET /v1/locks/a HTTPS/1.1",
		"absolute":              "GET http://localhost/v1/locks/a HTTP/1.1",
		"absolute, elsewhere":   "GET http://evil.example/v1/locks/a HTTP/1.1",
		"absolute, with a user": "GET http://user:password@localhost/v1/locks/a HTTP/1.1",
		"no slash":              "GET v1/locks/a HTTP/1.1",
		"two slashes":           "GET //v1/locks/a HTTP/1.1",
		"slashes of a host":     "GET //evil.example/v1/locks/a HTTP/1.1",
		"authority":             "CONNECT localhost:80 HTTP/1.1",
		"a star":                "GET * HTTP/1.1",
		"a fragment":            "GET /v1/locks/a#b HTTP/1.1",
		"a query of nothing":    "GET /v1/locks/a? HTTP/1.1",
		"two question marks":    "GET /v1/locks/a?? HTTP/1.1",
		"a bad escape":          "GET /v1/locks/a%zz HTTP/1.1",
		"half an escape":        "GET /v1/locks/a% HTTP/1.1",
		"a bad escape behind":   "GET /v1/locks/a?ttl=%zz HTTP/1.1",
		"a NUL":                 "GET /v1/locks/a\x00b HTTP/1.1",
		"a NUL in a query":      "GET /v1/locks/a?x=\x00 HTTP/1.1",
		"a DEL":                 "GET /v1/locks/a\x7f HTTP/1.1",
		"a tab in a path":       "GET /v1/locks/a\tb HTTP/1.1",
		"a CR in a path":        "GET /v1/locks/a\rb HTTP/1.1",
		"high bytes":            "GET /v1/locks/\xff\xfe HTTP/1.1",
		"high bytes in a query": "GET /v1/locks/a?x=\xff HTTP/1.1",
		"brackets":              "GET /v1/locks/[::1] HTTP/1.1",
		"a backslash":           "GET \\v1\\locks\\a HTTP/1.1",
		"a scheme only":         "GET http: HTTP/1.1",
		"a colon":               "GET : HTTP/1.1",
		"semicolons":            "GET /v1/locks/a;b?c;d HTTP/1.1",
		"plus":                  "GET /v1/locks/a+b HTTP/1.1",
		"nothing":               "",
		"words":                 "hello",
		"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"the PROXY protocol":    "PROXY TCP4 203.0.113.7 127.0.0.1 1 2",
		"a long method":         strings.Repeat("M", 300) + " /v1/locks/a HTTP/1.1",
		"POST":                  "POST /v1/locks/a/acquire HTTP/1.1",
		"TRACE":                 "TRACE /v1/locks/a HTTP/1.1",
		"PATCH":                 "PATCH /v1/locks/a HTTP/1.1",
	} {
		scripts["first line: "+name] = script{first + "\r\n" + host + "\r\n"}
		scripts["first line behind another: "+name] = script{status + "\r\n" + first + "\r\n" + host + "\r\n" + status + "\r\n"}
	}
	for name, value := range map[string]string{
		"empty": "", "a blank": " ", "a port": "localhost:3000", "a bad port": "localhost:99999", "two": "localhost, localhost", "a slash": "localhost/x",
		"a user": "u@localhost", "an address": "127.0.0.1", "IPv6": "[::1]:80", "IPv6, bare": "::1", "a zone": "[::1%25lo]", "a bracket": "[::1", "upper case": "LOCALHOST",
		"a dot": "localhost.", "an underscore": "local_host", "high bytes": "caf\xc3\xa9", "a NUL": "local\x00host", "an inner blank": "local host", "percent": "local%68ost",
	} {
		scripts["host: "+name] = script{"GET /v1/locks/a HTTP/1.1\r\nHost: " + value + "\r\n\r\n"}
	}
	scripts["no host"] = script{"GET /v1/locks/a HTTP/1.1\r\n\r\n"}
	scripts["no host, 1.0"] = script{"GET /v1/locks/a HTTP/1.0\r\n\r\n"}
	scripts["host last"] = script{"GET /v1/locks/a HTTP/1.1\r\nA: b\r\n" + host + "\r\n"}
	scripts["host in lower case"] = script{"GET /v1/locks/a HTTP/1.1\r\nhost: localhost\r\n\r\n"}
	scripts["host twice in other cases"] = script{"GET /v1/locks/a HTTP/1.1\r\nhost: localhost\r\nHOST: localhost\r\n\r\n"}
	scripts["blank lines"] = script{"\r\n\r\n" + status + "\r\n"}
	scripts["blank line behind a body"] = script{acquire + "Content-Length: 5\r\n\r\nttl=5\r\n" + status + "\r\n"}
	scripts["LF before"] = script{"\n" + status + "\r\n"}
	scripts["half a header"] = script{status}
	scripts["half a body"] = script{acquire + "Content-Length: 50\r\n\r\nttl"}
	scripts["only bare LF"] = script{strings.ReplaceAll(status+"\r\n", "\r\n", "\n")}
	scripts["only CR"] = script{strings.ReplaceAll(status+"\r\n", "\r\n", "\r")}
	scripts["bytes"] = script{"\x00\x01\x02\xff\xfe"}
	for _, size := range borders() {
		for name, s := range sized(size) {
			if name == "header, behind" && size > maxHeader+2<<10 {
				continue // net/http takes more of it the more it had read with the request before
			}
			scripts[fmt.Sprintf("%s of %d", name, size)] = s
		}
	}
	return scripts
}

// borders are sizes around those at which something changes: 4 KiB, and what net/http takes.
func borders() (sizes []int) {
	for _, at := range []int{2 << 10, 4 << 10, 8 << 10, maxHeader, maxHeader + 4<<10} {
		sizes = append(sizes, at-1, at, at+1)
	}
	return append(sizes, 4<<10-2, 4<<10+2, 4<<10-4, 4<<10+4)
}

// sized are requests of a size, by what is that large.
func sized(n int) map[string]script {
	pad := func(head, tail string) string {
		return head + "X: " + strings.Repeat("x", max(0, n-len(head)-len("X: \r\n")-len(tail))) + "\r\n" + tail
	}
	body := fmt.Sprintf("Content-Length: %d\r\n", n)
	rest := func(head string) string { return strings.Repeat(" ", max(0, n-len(head))) }
	length := len(rest(acquire + "Content-Length: 0000\r\n\r\n"))
	whole := fmt.Sprintf("%sContent-Length: %04d\r\n\r\n", acquire, length)
	return map[string]script{
		"header":           {pad(status, "\r\n")},
		"header, behind":   {status + "\r\n" + pad(status, "\r\n") + status + "\r\n"},
		"header with body": {pad(acquire+"Content-Length: 5\r\n", "\r\n") + "ttl=5"},
		"both":             {pad(acquire+"Content-Length: 5\r\n", "\r\nttl=5") + status + "\r\n"},
		"body":             {acquire + body + "\r\n" + strings.Repeat(" ", n) + status + "\r\n"},
		"all":              {whole + rest(whole) + status + "\r\n"},
		"all, behind":      {status + "\r\n" + whole + rest(whole) + status + "\r\n"},
		"first line":       {"GET /v1/locks/a?x=" + strings.Repeat("y", max(0, n-len("GET /v1/locks/a?x= HTTP/1.1\r\n"+host+"\r\n"))) + " HTTP/1.1\r\n" + host + "\r\n"},
		"name":             {pad(status, strings.Repeat("y", n/2)+": z\r\n\r\n")},
		"pipeline":         {strings.Repeat(status+"\r\n", max(1, n/len(status+"\r\n"))) + status, "\r\n" + status + "\r\n"},
	}
}
