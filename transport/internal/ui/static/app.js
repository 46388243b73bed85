// The shell: which screen is shown, who is looking, the theme, the keys.

import { html, useEffect, useLayoutEffect, useRef, useSession, useSignal, useState, connection, Problem, Loading } from './components.js';
import { render } from './vendor/preact.js';
import { server, session, signal } from './api.js';
import { Login } from './login.js';
import locks from './screens/locks.js';

// The screens, in the order of the menu. Only the first is loaded with the page.
const screens = [
  { id: 'locks', title: 'Locks', needs: 'read', screen: locks },
  { id: 'contention', title: 'Contention', needs: 'read', load: () => import('./screens/contention.js') },
  { id: 'audit', title: 'Audit', needs: 'audit', load: () => import('./screens/audit.js') },
  { id: 'policies', title: 'Policies', needs: 'policies', load: () => import('./screens/policies.js') },
  { id: 'server', title: 'Server', needs: 'admin', load: () => import('./screens/server.js') },
];

// --- where we are: #/locks?prefix=deploy/&lock=deploy/prod ---

function here() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  return { id: path || 'locks', params: Object.fromEntries(new URLSearchParams(query || '')) };
}

const place = signal(here());
addEventListener('hashchange', () => place.set(here()));

// link returns the address of a screen with parameters; empty ones are left out.
export function link(id, params = {}) {
  const given = Object.entries(params).filter(([, v]) => v !== undefined && v !== null && v !== '');
  const query = new URLSearchParams(given).toString().replaceAll('%2F', '/');
  return `#/${id}${query ? `?${query}` : ''}`;
}

// go shows a screen. replace: without an entry in the history, for what changes with each key.
export function go(id, params, { replace = false } = {}) {
  if (!replace) {
    location.hash = link(id, params);
    return;
  }
  history.replaceState(null, '', link(id, params));
  place.set(here());
}

// --- theme ---

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = signal(document.documentElement.dataset.theme || '');
const isDark = () => (theme.value || (dark.matches ? 'dark' : 'light')) === 'dark';
dark.addEventListener('change', () => theme.set(theme.value));

function switchTheme() {
  const next = isDark() ? 'light' : 'dark';
  const system = dark.matches ? 'dark' : 'light';
  const chosen = next === system ? '' : next;
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  try {
    if (chosen) localStorage.setItem('octostore.theme', chosen);
    else localStorage.removeItem('octostore.theme');
  } catch { /* a browser that keeps nothing follows the system after a reload */ }
  theme.set(chosen);
}

// --- keys ---

const help = signal(false);
const typing = (e) => e.target.closest?.('input, textarea, select, [contenteditable]');

addEventListener('keydown', (e) => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || typing(e) || document.querySelector('dialog[open]')) return;
  const screen = /^[1-9]$/.test(e.key) ? allowed()[Number(e.key) - 1] : undefined;
  if (e.key === '/') document.querySelector('[data-search]')?.focus();
  else if (e.key === '?') help.set(true);
  else if (e.key === 't') switchTheme();
  else if (screen) go(screen.id);
  else return;
  e.preventDefault();
});

function Help() {
  const ref = useRef();
  useLayoutEffect(() => { ref.current.showModal(); }, []);
  const close = () => help.set(false);
  const keys = [['/', 'search'], ['↑ ↓', 'move between rows'], ['Enter', 'open a row'], ['Esc', 'close what is open'],
    ['1 – 5', 'change the screen'], ['t', 'light or dark'], ['?', 'this help']];
  return html`<dialog ref=${ref} class="confirm" aria-labelledby="help-title" onClose=${close}>
    <form method="dialog">
      <h2 id="help-title">Keys</h2>
      <dl class="keys">${keys.map(([key, does]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}</dl>
      <div class="actions"><button>Close</button></div>
    </form>
  </dialog>`;
}

// --- the parts of the shell ---

// allowed returns the screens that the user may see; all of them until that is known.
function allowed() {
  if (!session.whoami) return screens;
  return screens.filter((s) => session.may(s.needs));
}

const moon = 'M20 14.5A8.500 8.500 0 0 1 9.500 4a7 7 0 1 0 10.500 10.500Z';
const sun = 'M12 4V2m0 20v-2m8-8h2M2 12h2m13.700-5.700 1.400-1.400M4.900 19.100l1.400-1.400m11.400 0 1.400 1.400M4.900 4.900l1.400 1.400M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z';

function ThemeSwitch() {
  useSignal(theme);
  const label = isDark() ? 'Switch to light' : 'Switch to dark';
  return html`<button type="button" class="quiet icon" aria-label=${label} title=${`${label} (t)`} onClick=${switchTheme}>
    <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${isDark() ? sun : moon} /></svg>
  </button>`;
}

const said = { live: 'Live', connecting: 'Connecting', offline: 'Offline' };

function Connection() {
  const { state, error } = useSignal(connection);
  return html`<span class=${`connection ${state}`} role="status" title=${error?.message || ''}><span class="dot" aria-hidden="true"></span>${said[state]}</span>`;
}

function Who() {
  const { whoami } = useSession();
  if (!whoami) return null;
  if (!whoami.tokens) return html`<span class="who faint" title="This server has no tokens: every client on this machine may do everything.">no tokens</span>`;
  const title = `${whoami.token_name ? `Token ${whoami.token_name} (${whoami.token_id})` : `Token ${whoami.token_id}`}: ${whoami.scopes.join(' ')}`;
  return html`<span class="who"><span class="account" title=${title}>${whoami.account}</span>
    <button type="button" class="quiet small" onClick=${() => session.logout()}>Log out</button></span>`;
}

function Header({ at }) {
  return html`<header class="top">
    <a class="brand" href="#/locks"><svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent-fill)" /><path d="M11 14v-3a5 5 0 0 1 10 0v3M8 17.500A3.500 3.500 0 0 1 11.500 14h9a3.500 3.500 0 0 1 3.500 3.500v1.500c0 2 .6 3.200 1.600 4.100M8 17.500v1.500c0 2-.6 3.200-1.600 4.100M12.200 20v2.200c0 1.500-.5 2.500-1.300 3.300M19.800 20v2.200c0 1.500.5 2.500 1.300 3.300M16 20v5.600" fill="none" stroke="#fff" stroke-width="2.600" stroke-linecap="round" /></svg>OctoStore</a>
    <nav aria-label="Screens"><ul>${allowed().map((s) => html`<li key=${s.id}>
      <a href=${link(s.id)} aria-current=${s.id === at ? 'page' : undefined}>${s.title}</a></li>`)}</ul></nav>
    <div class="tools"><${Connection} /><${Who} /><${ThemeSwitch} />
      <button type="button" class="quiet icon keys-button" aria-label="Keys" title="Keys (?)" onClick=${() => help.set(true)}>?</button></div>
  </header>`;
}

// Screen loads a screen and shows it. A server that was replaced has no files of this page.
function Screen({ of, params }) {
  const [loaded, set] = useState({});
  useEffect(() => {
    if (of.screen) return;
    of.load().then(
      (module) => { of.screen = module.default; set({ id: of.id }); },
      () => set({ id: of.id, error: new Error('This screen could not be loaded. If the server was updated, reload the page.') }),
    );
  }, [of.id]);
  const View = of.screen?.View;
  if (View) return html`<${View} params=${params} go=${(next, how) => go(of.id, next, how)} link=${(next) => link(of.id, next)} />`;
  if (loaded.error) return html`<${Problem} error=${loaded.error} retry=${() => location.reload()} />`;
  return html`<${Loading} />`;
}

function Shell() {
  const { id, params } = useSignal(place);
  const { needed, error } = useSession().state;
  const asked = useSignal(help);
  const screen = screens.find((s) => s.id === id);
  // Until it is known what the token may do, only screens that nearly all may see are shown: the
  // requests of others would be refused.
  const known = Boolean(session.whoami);
  const may = screen && (known ? session.may(screen.needs) : screen.needs === 'read' || Boolean(error));
  useEffect(() => { document.title = `${needed ? 'Log in' : screen?.title || 'Not found'} · OctoStore`; }, [needed, screen]);
  if (needed) return html`<${Login} theme=${html`<${ThemeSwitch} />`} />`;
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>Skip to the content</a>
    <${Header} at=${id} />
    <main id="main" tabindex="-1" class=${`screen-${screen?.id}`}>
      ${error && error.status !== 0 && html`<${Problem} error=${error} retry=${() => session.check()} />`}
      ${!screen && html`<${Problem} error=${new Error('There is no such screen.')} />`}
      ${screen && !may && !known && html`<${Loading} />`}
      ${screen && !may && known && html`<${Problem} error=${new Error(`This account may not see this screen: its token would need the scope ${screen.needs}.`)} />`}
      ${screen && may && html`<${Screen} key=${screen.id} of=${screen} params=${params} />`}
    </main>
    <footer class="bottom"><span>OctoStore ${server.version}</span><a href="docs">API</a></footer>
    ${asked && html`<${Help} />`}`;
}

session.check();
render(html`<${Shell} />`, document.getElementById('app'));
