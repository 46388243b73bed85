package transport

// forbiddenToBob is what he may not do, as he is told, and the scopes he would need.
var forbiddenToBob = map[string]string{
	"GET /v1/locks/team-a/x":                           "read the lock team-a/x|read:team-a/x…",
	"GET /v1/locks/team-a/free":                        "read the lock team-a/free|read:team-a/free…",
	"GET /v1/locks/team-a%2Fx":                         "read the lock team-a/x|read:team-a/x…",
	"GET /v1/locks?name=team-a/x":                      "read the lock team-a/x|read:team-a/x…",
	"GET /v1/locks/team-a/x?waiters=10":                "read the lock team-a/x|read:team-a/x…",
	"GET /v1/locks/shared":                             "read the lock shared|read:shared, or admin",
	"POST /v1/locks/team-a/x/acquire":                  "acquire the lock team-a/x|acquire:team-a/x…",
	"POST /v1/locks/team-a/free/acquire":               "acquire the lock team-a/free|acquire:team-a/free…",
	"POST /v1/locks/audit:2026/acquire":                "acquire the lock audit:2026|acquire:audi*:2026, or admin",
	"POST /v1/locks/team-a/x/acquire?wait=10s":         "acquire the lock team-a/x|acquire:team-a/x…",
	"POST /v1/locks/team-a/x/renew?lease_id=guessed":   "renew the lock team-a/x|acquire:team-a/x…",
	"POST /v1/locks/team-a/x/release?lease_id=guessed": "release the lock team-a/x|acquire:team-a/x…",
	"POST /v1/locks/team-a/x/break?reason=why":         "break the lock team-a/x|break:team-a/x…",
	"POST /v1/locks/team-b/x/break?reason=why":         "break the lock team-b/x|break:team-b/x…",
	"POST /v1/locks/team-b/x/break?reason=why&take=1":  "break the lock team-b/x|break:team-b/x…",
	"GET /v1/policies":                                 "see the policies|policies or admin",
	"GET /v1/policies/explain?name=team-b/x":           "have the policies explained|policies or admin",
	"POST /v1/policies/reload":                         "reload the policies|policies or admin",
	"GET /v1/tokens":                                   "see or change tokens|admin",
	"POST /v1/tokens?account=bob&scopes=admin":         "see or change tokens|admin",
	"DELETE /v1/tokens/x":                              "see or change tokens|admin",
	"POST /v1/tokens/x/rotate":                         "see or change tokens|admin",
}
