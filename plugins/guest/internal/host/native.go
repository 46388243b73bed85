//go:build !wasip1

package host

// Host replaces OctoStore in tests. A key may be used until the method returns.
type Host interface {
	Get(key string) (value string, there bool)
	GetI64(key string) int64
	Deny(reason string)
	RetryAfterMS(n int64)
	Cap(key string, n int64)
	Note(key, value string)
	Log(level int32, text string)
}

// Now is the host of the call under way; there is one call at a time, as there is in
// an instance.
var Now Host

// Get copies a field into buf and returns its whole length, or -1 if it is absent.
func Get(key string, buf []byte) int {
	value, there := Now.Get(key)
	if !there {
		return -1
	}
	copy(buf, value)
	return len(value)
}

// GetI64 returns the number of a field, or the smallest there is.
func GetI64(key string) int64 { return Now.GetI64(key) }

// Deny sets what the caller reads if check returns 1.
func Deny(reason string) { Now.Deny(reason) }

// RetryAfterMS says when the caller should ask again if check returns 1.
func RetryAfterMS(n int64) { Now.RetryAfterMS(n) }

// Cap lowers a field of the request.
func Cap(key string, n int64) { Now.Cap(key, n) }

// Note keeps a pair with the decision.
func Note(key, value string) { Now.Note(key, value) }

// Log writes a line into the log of the server.
func Log(level int32, text string) { Now.Log(level, text) }

// RunConfigure calls what the export configure would.
func RunConfigure() int32 { return runConfigure() }

// RunCheck calls what the export check would.
func RunCheck() int32 { return run(Check) }

// RunObserve calls what the export observe would.
func RunObserve() int32 { return run(Observe) }
