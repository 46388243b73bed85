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

// Bounds of logins by a code. One that is begun asks GitHub at its interval whether
// the code was typed in, as long as somebody asks us.
const (
	mostDevices   = 100
	mostOfOne     = 20 // begun by the same network
	deviceLife    = 15 * time.Minute
	idleLife      = time.Minute // since somebody asked; three intervals, if that is more
	leastInterval = 1           // seconds
	usualInterval = 5
	mostInterval  = 60
)

// devices are the logins by a code that are under way.
type devices struct {
	mu   sync.Mutex
	byID map[string]*device // and not nil
	of   map[string]int     // how many each network has begun, as long as it has one

	ctx   context.Context
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// device is one of them. What GitHub gives out for it stays here.
type device struct {
	network  string
	interval time.Duration
	patience time.Duration // until somebody asks again
	end      func()        // GitHub is asked no more
	idle     *time.Timer

	// Guarded by the mutex of devices.
	from *oauth2.Token // that of GitHub, once the code was typed in
	err  error         // or why that will not happen
	busy bool          // a token is being made
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

// forget ends a login. The caller holds mu.
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

// room reports whether a network may begin another one.
func (ds *devices) room(network string) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.hasRoom(network)
}

// hasRoom is room for a caller that holds mu.
func (ds *devices) hasRoom(network string) bool {
	return len(ds.byID) < mostDevices && ds.of[network] < mostOfOne && ds.ctx.Err() == nil
}

// Device is a login by a code as those see it who wait for it.
type Device struct {
	ID       string // a secret: whoever has it gets the token
	UserCode string // to be typed in
	URL      string // there
	Interval time.Duration
	Life     time.Duration
}

// BeginDevice begins a login by a code for a client in a network, which may have a fifth of
// those under way, so that none keeps all others out. mayAsk is called right before GitHub
// is asked, and not where there is no place for the login; nil: always.
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

// check refuses an answer that cannot be used, and brings its times into bounds. What
// it says ends up on terminals.
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

// typedIn waits until the code was typed in. What goes wrong on the way to GitHub is no
// reason to give up.
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

// errorCode returns the code of an error of GitHub's, or nothing.
func errorCode(err error) string {
	if e, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return plain(e.ErrorCode)
	}
	return ""
}

// PollDevice makes a token if the code was typed in. Until then done is false, and next
// is when to ask again. If somebody stops asking for a minute, the login is over.
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
	g.devices.taken(id, err != nil && err != ErrNotAllowed)
	return t, err == nil, next, err
}

// take returns the token of GitHub's that a login has led to, for one to use.
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
