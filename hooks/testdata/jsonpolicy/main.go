// Command jsonpolicy is the policy that comes to mind first in Go: it reads the whole
// request with encoding/json, and its configuration too.
package main

import (
	"encoding/json"

	"github.com/octostore/octostore/plugins/guest"
)

func init() {
	guest.Configure(func(config []byte) error { return json.Unmarshal(config, &limits) })
	guest.Check(check)
}

func main() {}

var limits struct {
	MostMS int64 `json:"most_ms"`
}

type request struct {
	Lock struct {
		Name string `json:"name"`
	} `json:"lock"`
	TTL      int64             `json:"ttl_ms"`
	Metadata map[string]string `json:"metadata"`
}

func check(r guest.Request) guest.Verdict {
	var q request
	if err := json.Unmarshal([]byte(r.JSON()), &q); err != nil {
		panic(err)
	}
	if limits.MostMS > 0 && q.TTL > limits.MostMS {
		return guest.Deny(q.Lock.Name, " may not be held for so long; ticket ", q.Metadata["ticket"])
	}
	if q.Metadata["ticket"] == "panic" {
		var none []string
		return guest.Deny(none[q.TTL])
	}
	return guest.Allow
}
