package exitcode

import (
	"net/http"

	"github.com/octostore/octostore/transport/api"
)

// OfAnswer returns the code for an answer of a server that is not a success, by its status
// and its code. An answer without a code is that of a proxy.
func OfAnswer(status int, code api.Code) Code {
	switch code {
	case api.CodeHeld, api.CodeSuperseded:
		return Held
	case api.CodeNotHeld, api.CodeAttemptOver:
		return Lost
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Denied
	case status == http.StatusTooManyRequests:
		return Held
	case status >= 500:
		return Unavailable
	}
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		return Usage
	}
	return Failed
}
