// Package login lets people get a token by showing who they are at GitHub: in a
// browser, or by a code they type in there while a command waits.
//
// OctoStore never sees a password, and keeps nothing of GitHub's: the token GitHub gives
// out is used for the few questions of one login and forgotten. What a login leads to is
// a token of OctoStore like any other, with an end.
//
// # Who may log in, as whom
//
// [Allow] lists users, organisations and teams with what they may do; everybody else is
// refused. An account is named after the user's login and number at GitHub, as in
// "github:alice.583231": logins are given to others after a while, numbers never are. Accounts of
// those who did not log in have no colon in their names.
//
// # What a login in a browser is guarded by
//
// A random ticket lies in a cookie of the browser that began the login. The state sent
// along to GitHub and the verifier of PKCE are both derived from it by a key of this
// process, so a server that is asked to begin many logins has nothing to keep. A
// callback counts only together with the cookie, and once. It changes nothing by itself:
// it is a GET, which browsers may send ahead, twice, or for another page. It shows a page
// with a button, and only what that sends makes a token.
package login

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
)

// How a login can end without a token. Each says what to do; what GitHub said is for the
// log.
var (
	ErrOff         = errors.New("nobody can log in to this server; its operator gives out tokens")
	ErrUnavailable = errors.New("GitHub did not answer as it should; try again in a moment")
	ErrBusy        = errors.New("too many logins are under way; try again in a minute")
	ErrNotBegun    = errors.New("this login was not begun in this browser, or it was finished before; begin again at " + BeginPath)
	ErrDenied      = errors.New("the login was turned down at GitHub")
	ErrNotAllowed  = errors.New("this account of GitHub may not log in here; the operator of this server decides who may")
	ErrOver        = errors.New("this login has taken too long, or does not exist; begin again")
)

// Where a login in a browser begins, and where GitHub sends it back to.
const (
	BeginPath    = "/auth/github"
	CallbackPath = "/auth/github/callback"
)

// Token is what somebody gets who has logged in: a token, and its secret, which is shown
// once.
type Token struct {
	auth.Token
	Secret string
}

// Tokens makes tokens and ends them; see [auth.Tokens]. Errors of Create are handed on to
// the caller as they are.
type Tokens interface {
	Create(ctx context.Context, by lock.Origin, w auth.TokenSpec) (auth.Token, string, error)
	Revoke(ctx context.Context, by lock.Origin, id string) (auth.Token, error)
}

// Config is what a [GitHub] needs. All but URL, Transport and Logger must be set.
type Config struct {
	ClientID     string
	ClientSecret string
	Allow        Allow
	Tokens       Tokens
	TokenTTL     time.Duration // how long tokens are good
	// PublicURL is where browsers find this server: https, or http on loopback.
	PublicURL string
	// URL is that of GitHub; empty: https://github.com. Anything else is taken for a GitHub
	// Enterprise Server.
	URL       string
	Transport http.RoundTripper // how to get there; nil: http.DefaultTransport
	Logger    *slog.Logger      // nil: nothing is logged
}

// GitHub lets people log in by GitHub. It is safe for use by many goroutines.
type GitHub struct {
	allow  Allow
	tokens Tokens
	ttl    time.Duration
	log    *slog.Logger
	sparse *sparselog.Log // about what strangers can cause
	oauth  oauth2.Config  // not to be copied: it remembers what it learned of GitHub
	device oauth2.Config  // without the secret, which GitHub does not want for devices
	client *http.Client
	home   *url.URL // of GitHub
	api    string
	public *url.URL // of this server
	secure bool     // browsers come by https

	key      []byte // of tickets
	used     usedStates
	exchange chan struct{} // has room for as many as may ask GitHub at a time

	devices devices

	may func(account string) error // have another token; nil: always
}

// Limit has a function asked whether an account that has logged in may have another token;
// its error is what is answered. It is called before the first login.
func (g *GitHub) Limit(may func(account string) error) { g.may = may }

// DefaultURL is where GitHub is.
const DefaultURL = "https://github.com"

// mostAtOnce is how many logins may ask GitHub something at a time. Whoever floods the
// server with callbacks waits for GitHub, and does not multiply what is sent there.
const mostAtOnce = 16

// Open returns a GitHub that people can log in by. It asks GitHub nothing yet. The caller
// closes it, before the tokens.
func Open(cfg Config) (*GitHub, error) {
	home, err := CheckURL(orDefault(cfg.URL))
	if err != nil {
		return nil, fmt.Errorf("the URL of GitHub %w", err)
	}
	public, err := CheckURL(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("the public URL %w", err)
	}
	g := &GitHub{
		allow:  cfg.Allow,
		tokens: cfg.Tokens,
		ttl:    cfg.TokenTTL,
		log:    cfg.Logger,
		client: newClient(cfg.Transport),
		home:   home,
		api:    apiURL(home),
		public: public,
		secure: public.Scheme == "https",

		key:      []byte(rand.Text() + rand.Text()),
		exchange: make(chan struct{}, mostAtOnce),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.sparse = sparselog.New(g.log)
	oauth := func(secret string) oauth2.Config {
		return oauth2.Config{
			ClientID:     cfg.ClientID,
			ClientSecret: secret,
			RedirectURL:  public.String() + CallbackPath,
			Scopes:       cfg.Allow.oauthScopes(),
			Endpoint: oauth2.Endpoint{
				AuthURL:       home.String() + "/login/oauth/authorize",
				TokenURL:      home.String() + "/login/oauth/access_token",
				DeviceAuthURL: home.String() + "/login/device/code",
				AuthStyle:     oauth2.AuthStyleInParams, // to find out would send the code twice
			},
		}
	}
	g.oauth, g.device = oauth(cfg.ClientSecret), oauth("")
	g.devices.open()
	return g, nil
}

// Close ends the logins under way.
func (g *GitHub) Close() error {
	g.devices.close()
	g.client.CloseIdleConnections()
	g.sparse.Close()
	return nil
}

func orDefault(u string) string {
	if u == "" {
		return DefaultURL
	}
	return u
}

// apiURL returns where the API is: beside a GitHub that GitHub runs, below any other.
func apiURL(home *url.URL) string {
	if home.String() == DefaultURL || strings.HasSuffix(home.Host, ".ghe.com") {
		return "https://api." + home.Host
	}
	return home.String() + "/api/v3"
}

// CheckURL reads the URL of a site: https, or http on loopback, for secrets go there. Its
// errors go on after "the URL".
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.Path != "" {
		return nil, errors.New("is not like https://HOST or https://HOST:PORT")
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port) // as browsers write it
	}
	if u.Scheme == "https" || u.Scheme == "http" && onLoopback(u.Hostname()) {
		return u, nil
	}
	return nil, errors.New("does not begin with https://, which only loopback addresses may do without")
}

func onLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// admit turns a token of GitHub's into one of ours, if whoever has it may log in.
func (g *GitHub) admit(ctx context.Context, by lock.Origin, from *oauth2.Token, how string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	asked := &asker{g: g, token: from.AccessToken}
	user, err := asked.user(ctx)
	if err != nil {
		return Token{}, g.unavailable(ctx, "who has logged in", err)
	}
	scopes, groups, err := asked.scopes(ctx, user)
	if err != nil {
		return Token{}, g.unavailable(ctx, "what a user is a member of", err)
	}
	account := user.account()
	if scopes.String() == "" {
		g.sparse.Log(slog.LevelWarn, "refused "+account, "a login was refused: nothing in OCTOSTORE_GITHUB_ALLOW is about this user",
			slog.String("account", account), slog.String("remote", by.Actor.RemoteAddr))
		return Token{}, ErrNotAllowed
	}
	if g.may != nil {
		if err := g.may(account); err != nil {
			return Token{}, err
		}
	}
	by.Actor.Account = account
	t := Token{}
	t.Token, t.Secret, err = g.tokens.Create(ctx, by, auth.TokenSpec{Account: account, LoggedIn: true, Name: "GitHub login, " + how, Scopes: scopes, Groups: groups, Expires: g.ttl})
	if err != nil {
		return Token{}, err
	}
	g.log.Info("logged in", "account", account, "scopes", scopes.String(), "token_id", t.ID, "expires", t.Expires, "remote", by.Actor.RemoteAddr)
	return t, nil
}

// Undo ends a token that could not be handed over: nobody has it.
func (g *GitHub) Undo(ctx context.Context, by lock.Origin, t Token) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := g.tokens.Revoke(ctx, by, t.ID); err != nil {
		g.log.Error("a token nobody was given is still good", "token_id", t.ID, "expires", t.Expires, "err", err)
	}
}

// unavailable logs what GitHub did instead of answering, and returns what to say.
func (g *GitHub) unavailable(ctx context.Context, asked string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // whoever wanted to log in has left
	}
	g.warn(asked, said(err))
	return ErrUnavailable
}

// warn logs what is wrong with GitHub, once a minute for each question.
func (g *GitHub) warn(asked, err string) {
	g.sparse.Log(slog.LevelWarn, "asked "+asked, "GitHub did not answer as it should", slog.String("asked", asked), slog.String("err", err))
}

// enter waits for nobody: it returns [ErrBusy] where too many ask GitHub already.
func (g *GitHub) enter() (leave func(), err error) {
	select {
	case g.exchange <- struct{}{}:
		return func() { <-g.exchange }, nil
	default:
		return nil, ErrBusy
	}
}

// user is somebody at GitHub.
type user struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// account returns the name of the user's account here. GitHub does not tell small
// letters in logins from large ones.
func (u user) account() string {
	return accountPrefix + strings.ToLower(u.Login) + "." + strconv.FormatInt(u.ID, 10)
}

const accountPrefix = "github:"

// usedStates remembers which logins were finished, as long as they could be tried again:
// those whose code GitHub has accepted. Anybody can send codes that are none, so of those
// nothing is kept.
type usedStates struct {
	mu    sync.Mutex
	ends  map[string]time.Time
	asked map[string]bool // GitHub is asked about them just now; at most mostAtOnce
}

// mostUsed bounds them. Each took somebody a login at GitHub.
const mostUsed = 20_000

// begin reports whether the state was not used before and nobody uses it just now; full
// means that it cannot tell. After first the caller calls end.
func (u *usedStates) begin(state string, now time.Time) (first, full bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, again := u.ends[state]; again || u.asked[state] {
		return false, false
	}
	if len(u.ends)+len(u.asked) >= mostUsed {
		for s, end := range u.ends {
			if now.After(end) {
				delete(u.ends, s)
			}
		}
	}
	if len(u.ends)+len(u.asked) >= mostUsed {
		return false, true
	}
	if u.asked == nil {
		u.asked = map[string]bool{}
	}
	u.asked[state] = true
	return true, false
}

// end says whether GitHub has accepted the code that came with the state.
func (u *usedStates) end(state string, accepted bool, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.asked, state)
	if !accepted {
		return
	}
	if u.ends == nil {
		u.ends = map[string]time.Time{}
	}
	u.ends[state] = now.Add(ticketLife)
}
