// Package login creates tokens for people who log in with GitHub: in a browser, or with a code
// that they enter at GitHub while a command waits.
//
// OctoStore never sees a password and keeps nothing of GitHub's: the GitHub token is used for
// the few queries of one login, and forgotten. The result of a login is an ordinary token of
// OctoStore that expires.
//
// # Accounts
//
// [Allow] lists users, organisations and teams with their scopes; all other users are refused.
// An account is named after the user's login and number at GitHub, as in
// "github:alice.583231": GitHub gives logins to other users after a while, but never numbers.
// Names of accounts without a login have no colon.
//
// # Security of a login in a browser
//
// The browser that begins the login gets a cookie with a random ticket. The OAuth state and the
// PKCE verifier are derived from the ticket with a key of this process, so a server that has to
// begin many logins keeps nothing for them. A callback is accepted only with the cookie, and
// once. It changes nothing by itself, because it is a GET, which browsers may send early, twice,
// or for another page: it shows a page with a button, and only the form behind that button
// creates a token.
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
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
)

// Errors that end a login. Each says what to do; the details of GitHub are for the log.
var (
	ErrOff         = errors.New("logins are not set up on this server; ask its operator for a token")
	ErrUnavailable = errors.New("GitHub did not answer as it should; try again in a moment")
	ErrBusy        = errors.New("too many logins are under way; try again in a minute")
	ErrNotBegun    = errors.New("this login was not begun in this browser, or it was finished before; begin again at " + BeginPath)
	ErrDenied      = errors.New("the login was turned down at GitHub")
	ErrNotAllowed  = errors.New("this GitHub account may not log in here; ask the operator of this server to allow it")
	ErrOver        = errors.New("this login has taken too long, or does not exist; begin again")
)

// Paths of a login in a browser: where it begins, and where GitHub redirects to.
const (
	BeginPath    = "/auth/github"
	CallbackPath = "/auth/github/callback"
)

// Token is the result of a login: a token and its secret, which is shown once.
type Token struct {
	auth.Token
	Secret string
}

// Tokens creates and revokes tokens; see [auth.Tokens]. Errors of Create are passed on to the
// caller.
type Tokens interface {
	Create(ctx context.Context, by lock.Origin, w auth.TokenSpec) (auth.Token, string, error)
	Revoke(ctx context.Context, by lock.Origin, id string) (auth.Token, error)
}

// Config configures a [GitHub]. All but URL, Transport and Logger must be set.
type Config struct {
	ClientID     string
	ClientSecret string
	Allow        Allow
	Tokens       Tokens
	TokenTTL     time.Duration // how long tokens are valid
	// PublicURL is the URL of this server for browsers: https, or http on loopback.
	PublicURL string
	// URL is the URL of GitHub; empty: https://github.com. Any other is that of a GitHub
	// Enterprise Server.
	URL       string
	Transport http.RoundTripper // for requests to GitHub; nil: http.DefaultTransport
	Logger    *slog.Logger      // nil: nothing is logged
}

// GitHub lets people log in with GitHub. It is safe for use by many goroutines.
type GitHub struct {
	allow  Allow
	tokens Tokens
	ttl    time.Duration
	log    *slog.Logger
	sparse *sparselog.Log // for lines that any client can cause
	oauth  oauth2.Config  // not to be copied: it keeps state about GitHub
	device oauth2.Config  // without the secret, which GitHub does not want for devices
	client *http.Client
	home   *url.URL // of GitHub
	api    string
	public *url.URL // of this server
	secure bool     // browsers use https

	key      []byte // of tickets
	used     usedStates
	exchange chan struct{} // has room for as many as may query GitHub at a time

	devices devices

	may func(account string) error // may the account have another token? nil: yes
}

// Limit sets a function that may refuse another token for an account that has logged in; its
// error is the answer. Limit is called before the first login.
func (g *GitHub) Limit(may func(account string) error) { g.may = may }

// DefaultURL is the URL of GitHub.
const DefaultURL = "https://github.com"

// mostAtOnce is how many logins may query GitHub at a time. A client that floods the server with
// callbacks waits for GitHub, and does not multiply the requests to it.
const mostAtOnce = 16

// Open returns a login with GitHub. It does not query GitHub yet. The caller closes it before
// the tokens.
func Open(cfg Config) (*GitHub, error) {
	home, err := CheckURL(orDefault(cfg.URL))
	if err != nil {
		return nil, fmt.Errorf("the URL of GitHub %w", err)
	}
	public, err := CheckPublicURL(cfg.PublicURL)
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
				AuthStyle:     oauth2.AuthStyleInParams, // detecting the style would send the code twice
			},
		}
	}
	g.oauth, g.device = oauth(cfg.ClientSecret), oauth("")
	g.devices.open()
	return g, nil
}

// Close ends the logins in progress.
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

// apiURL returns the URL of the API: beside a GitHub that GitHub runs, below any other.
func apiURL(home *url.URL) string {
	if home.String() == DefaultURL || strings.HasSuffix(home.Host, ".ghe.com") {
		return "https://api." + home.Host
	}
	return home.String() + "/api/v3"
}

// CheckURL reads the URL of a site: https, or http on loopback, as secrets are sent there. Its
// errors continue the sentence "the URL".
func CheckURL(text string) (*url.URL, error) {
	u, err := parseURL(text)
	if err == nil && u.Path != "" {
		return nil, errNoSite
	}
	return u, err
}

// CheckPublicURL is [CheckURL] for the URL of this server, which may have a path: below it a
// proxy serves OctoStore.
func CheckPublicURL(text string) (*url.URL, error) {
	u, err := parseURL(text)
	if err == nil && (u.RawPath != "" || u.Path != "" && path.Clean(u.Path) != u.Path || strings.ContainsFunc(u.Path, notInPath)) {
		return nil, errors.New("has a path that is not like /octostore, of letters, digits, '.', '_' and '-'")
	}
	return u, err
}

func notInPath(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-", r))
}

var errNoSite = errors.New("is not like https://HOST or https://HOST:PORT")

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errNoSite
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

// admit creates a token for the user of a GitHub token, if the user may log in.
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
	t.Token, t.Secret, err = g.tokens.Create(
		ctx,
		by,
		auth.TokenSpec{Account: account, LoggedIn: true, Name: "GitHub login, " + how, Scopes: scopes, Groups: groups, Expires: g.ttl},
	)
	if err != nil {
		return Token{}, err
	}
	g.log.Info(
		"logged in",
		"account", account,
		"scopes", scopes.String(),
		"token_id", t.ID,
		"expires", t.Expires,
		"remote", by.Actor.RemoteAddr,
	)
	return t, nil
}

// Undo revokes a token that could not be delivered.
func (g *GitHub) Undo(ctx context.Context, by lock.Origin, t Token) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := g.tokens.Revoke(ctx, by, t.ID); err != nil {
		g.log.Error("a token that was not delivered could not be revoked", "token_id", t.ID, "expires", t.Expires, "err", err)
	}
}

// unavailable logs what went wrong with GitHub, and returns the error for the client.
func (g *GitHub) unavailable(ctx context.Context, asked string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // the client has left
	}
	g.warn(asked, said(err))
	return ErrUnavailable
}

// warn logs what is wrong with GitHub, once a minute per query.
func (g *GitHub) warn(asked, err string) {
	g.sparse.Log(slog.LevelWarn, "asked "+asked, "GitHub did not answer as it should", slog.String("asked", asked), slog.String("err", err))
}

// enter does not wait: it returns [ErrBusy] if too many logins query GitHub already.
func (g *GitHub) enter() (leave func(), err error) {
	select {
	case g.exchange <- struct{}{}:
		return func() { <-g.exchange }, nil
	default:
		return nil, ErrBusy
	}
}

// user is a user of GitHub.
type user struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// account returns the account of a user. Logins at GitHub are case-insensitive.
func (u user) account() string {
	return accountPrefix + strings.ToLower(u.Login) + "." + strconv.FormatInt(u.ID, 10)
}

const accountPrefix = "github:"

// usedStates remembers the states of finished logins, as long as they could be sent again.
// Only those whose code GitHub has accepted are kept: any client can send invalid codes.
type usedStates struct {
	mu    sync.Mutex
	ends  map[string]time.Time
	asked map[string]bool // their code is being redeemed; at most mostAtOnce
}

// mostUsed bounds them. Each took a login at GitHub.
const mostUsed = 20_000

// begin reports whether the state is neither used nor being used (first); full means that it
// cannot tell. After first the caller calls end.
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

// end records whether GitHub accepted the code that came with the state.
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
