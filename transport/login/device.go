package login

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/octostore/octostore/core/lock"
)

// Bounds of logins with a code. Such a login polls GitHub until the code is entered, as long
// as its client polls here.
const (
	mostDevices   = 100
	mostOfOne     = 20 // begun from the same network
	deviceLife    = 15 * time.Minute
	idleLife      = time.Minute // since the last poll of the client; three intervals, if that is more
	leastInterval = 1           // seconds
	usualInterval = 5
	mostInterval  = 60
)

// devices are the logins with a code that are in progress.
type devices struct {
	mu   sync.Mutex
	byID map[string]*device // and not nil
	of   map[string]int     // how many each network has begun and not ended

	ctx   context.Context
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// device is one device login. The answers of GitHub stay here.
type device struct {
	network  string
	interval time.Duration
	patience time.Duration // until the next poll of the client
	end      func()        // stops polling GitHub
	idle     *time.Timer

	// Guarded by the mutex of devices.
	from *oauth2.Token // the GitHub token, once the code was entered
	err  error         // why there will be no GitHub token
	busy bool          // a token is being created
}

func (ds *devices) open() {
	ds.byID, ds.of = map[string]*device{}, map[string]int{}
	ds.ctx, ds.stop = context.WithCancel(context.Background())
}

func (ds *devices) close() {
	ds.mu.Lock()
	for id := range ds.byID {
		ds.forget(id)
	}
	ds.stop()
	ds.mu.Unlock()
	ds.ended.Wait()
}

// forget removes a login. The caller holds mu.
func (ds *devices) forget(id string) {
	if d := ds.byID[id]; d != nil {
		d.idle.Stop()
		d.end()
		delete(ds.byID, id)
		if ds.of[d.network]--; ds.of[d.network] == 0 {
			delete(ds.of, d.network)
		}
	}
}

// room reports whether a network may begin another login.
func (ds *devices) room(network string) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.hasRoom(network)
}

// hasRoom is room for a caller that holds mu.
func (ds *devices) hasRoom(network string) bool {
	return len(ds.byID) < mostDevices && ds.of[network] < mostOfOne && ds.ctx.Err() == nil
}

// Device is a login with a code, as the client sees it.
type Device struct {
	ID       string // a secret: the client that sends it gets the token
	UserCode string // to be entered
	URL      string // there
	Interval time.Duration
	Life     time.Duration
}

// BeginDevice begins a login with a code. One network may have a fifth of the logins in
// progress, so that no network keeps all others out. mayAsk is called right before the request
// to GitHub, and not if there is no room for the login; nil allows it.
//
// Errors: [ErrBusy], [ErrUnavailable], that of mayAsk, and that of the context.
func (g *GitHub) BeginDevice(ctx context.Context, network string, mayAsk func() error) (Device, error) {
	leave, err := g.enter()
	if err != nil {
		return Device{}, err
	}
	defer leave()
	if !g.devices.room(network) {
		return Device{}, ErrBusy
	}
	if err := allowed(mayAsk); err != nil {
		return Device{}, err
	}
	given, err := g.device.DeviceAuth(g.with(ctx))
	if err == nil {
		err = g.check(given)
	}
	if err != nil {
		return Device{}, g.unavailable(ctx, "for a code to be typed in; is the device flow enabled there?", err)
	}
	shown := Device{
		ID:       rand.Text() + rand.Text(),
		UserCode: given.UserCode,
		URL:      given.VerificationURI,
		Interval: time.Duration(given.Interval) * time.Second,
		Life:     time.Until(given.Expiry).Truncate(time.Second),
	}
	if !g.await(shown.ID, network, given) {
		return Device{}, ErrBusy
	}
	return shown, nil
}

// check refuses an answer that cannot be used, and brings its times into bounds. Its texts are
// shown on terminals.
func (g *GitHub) check(given *oauth2.DeviceAuthResponse) error {
	u, err := url.Parse(given.VerificationURI)
	switch {
	case given.DeviceCode == "":
		return errors.New("the answer has no code")
	case !visible(given.UserCode, 32):
		return errors.New("the answer has no code for people")
	case err != nil || u.Scheme != g.home.Scheme || u.Host == "" || !visible(given.VerificationURI, 200):
		return errors.New("the answer does not say where to go")
	}
	if given.Interval <= 0 {
		given.Interval = usualInterval
	}
	given.Interval = min(max(given.Interval, leastInterval), mostInterval)
	if end := time.Now().Add(deviceLife); given.Expiry.IsZero() || given.Expiry.After(end) {
		given.Expiry = end
	}
	return nil
}

func visible(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// await keeps a login until it ends, or reports that there is no room for it.
func (g *GitHub) await(id, network string, given *oauth2.DeviceAuthResponse) bool {
	ds := &g.devices
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if !ds.hasRoom(network) {
		return false
	}
	ctx, end := context.WithDeadline(ds.ctx, given.Expiry)
	d := &device{network: network, interval: time.Duration(given.Interval) * time.Second, end: end}
	d.patience = max(idleLife, 3*d.interval)
	d.idle = time.AfterFunc(d.patience, func() {
		ds.mu.Lock()
		defer ds.mu.Unlock()
		ds.forget(id)
	})
	ds.byID[id] = d
	ds.of[network]++
	ds.ended.Go(func() {
		from, err := g.typedIn(ctx, given)
		ds.mu.Lock()
		defer ds.mu.Unlock()
		d.from, d.err = from, err
	})
	return true
}

// typedIn waits until the code was entered. It retries when GitHub cannot be reached.
func (g *GitHub) typedIn(ctx context.Context, given *oauth2.DeviceAuthResponse) (*oauth2.Token, error) {
	for {
		from, err := g.device.DeviceAccessToken(g.with(ctx), given)
		switch {
		case err == nil:
			return from, nil
		case ctx.Err() != nil:
			return nil, ErrOver
		}
		switch errorCode(err) {
		case "":
			g.warn("whether a code was typed in", said(err))
		case "access_denied":
			return nil, ErrDenied
		case "expired_token", "token_expired":
			return nil, ErrOver
		default:
			return nil, g.unavailable(ctx, "whether a code was typed in", err)
		}
	}
}

// errorCode returns the code of an error of GitHub, or nothing.
func errorCode(err error) string {
	if e, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return plain(e.ErrorCode)
	}
	return ""
}

// PollDevice creates a token if the code was entered. Until then done is false, and next is
// when to poll again. If the client does not poll for a minute, the login is over.
//
// Errors: [ErrOver], [ErrDenied] and [ErrNotAllowed] end it; [ErrBusy], [ErrUnavailable], and
// those of the tokens may pass.
func (g *GitHub) PollDevice(ctx context.Context, by lock.Origin, id string) (t Token, done bool, next time.Duration, err error) {
	from, next, err := g.devices.take(id)
	if from == nil || err != nil {
		return Token{}, false, next, err
	}
	leave, err := g.enter()
	if err == nil {
		defer leave()
		t, err = g.admit(ctx, by, from, "device")
	}
	g.devices.taken(id, err != nil && !errors.Is(err, ErrNotAllowed))
	return t, err == nil, next, err
}

// take returns the GitHub token of a login, to one caller at a time.
func (ds *devices) take(id string) (from *oauth2.Token, next time.Duration, err error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.byID[id]
	switch {
	case d == nil:
		return nil, 0, ErrOver
	case d.err != nil:
		ds.forget(id)
		return nil, 0, d.err
	case d.from == nil || d.busy:
		d.idle.Reset(d.patience)
		return nil, d.interval, nil
	}
	d.idle.Reset(d.patience)
	d.busy = true
	return d.from, d.interval, nil
}

// taken puts a login back, or ends it.
func (ds *devices) taken(id string, again bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if d := ds.byID[id]; d != nil && again {
		d.busy = false
		return
	}
	ds.forget(id)
}
