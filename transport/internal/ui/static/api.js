// Requests to the server that the page came from, and who the user of the page is.
//
// Paths are relative to the server: 'v1/locks'. The address of this file tells where that is,
// so the page works below any path of a proxy.

export const base = new URL('../../', import.meta.url);

// What the server says about itself in the page.
export const server = { ...document.documentElement.dataset };

// ApiError is a problem document of the server, or the lack of an answer (status 0).
export class ApiError extends Error {
  constructor(status, code, message, requestID) {
    super(message);
    Object.assign(this, { name: 'ApiError', status, code, requestID });
  }
  get offline() { return this.status === 0; }
}

// signal returns a value with subscribers: {get value, set(value), subscribe(fn) → unsubscribe}.
export function signal(value) {
  const subscribers = new Set();
  return {
    get value() { return value; },
    set(next) {
      value = next;
      for (const f of [...subscribers]) f(value);
    },
    subscribe(f) {
      subscribers.add(f);
      return () => subscribers.delete(f);
    },
  };
}

// Difference between the clocks of server and browser in ms, as far as headers tell it.
let skew = 0;
export const serverNow = () => Date.now() + skew;

function learnClock(answer) {
  const date = Date.parse(answer.headers.get('Date'));
  if (!Number.isNaN(date)) {
    const apart = date + 500 - Date.now(); // the header has whole seconds
    skew = Math.abs(apart) > 2000 ? apart : 0;
  }
}

function address(path, params) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(params || {})) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value);
  }
  return url;
}

async function send(path, { method = 'GET', params, body, accept = 'application/json', headers = {}, signal: abort } = {}) {
  const token = session.token;
  let answer;
  try {
    answer = await fetch(address(path, params), {
      method, body, signal: abort, cache: 'no-store', credentials: 'same-origin', redirect: 'error', referrerPolicy: 'no-referrer',
      headers: { Accept: accept, 'X-Requested-With': 'OctoStore', ...headers, ...(token && { Authorization: `Bearer ${token}` }) },
    });
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new ApiError(0, 'offline', 'The server does not answer.');
  }
  learnClock(answer);
  if (answer.ok) return answer;
  const err = await problemOf(answer);
  if (err.status === 401) session.refused(token, err);
  throw err;
}

async function problemOf(answer) {
  try {
    const p = await answer.json();
    return new ApiError(answer.status, p.code, p.detail || p.title, p.request_id);
  } catch {
    return new ApiError(answer.status, '', `The answer is ${answer.status} ${answer.statusText}, and not from OctoStore.`);
  }
}

async function json(answer) {
  try {
    return await answer.json();
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new ApiError(answer.status, '', 'The answer is not from OctoStore: it is no JSON.');
  }
}

// get returns the JSON of an answer, or throws an ApiError.
export async function get(path, params, { signal: abort } = {}) {
  return json(await send(path, { params, signal: abort }));
}

// post sends parameters in the body, where no log keeps them, and returns the JSON of the answer.
export async function post(path, params = {}) {
  const given = Object.fromEntries(Object.entries(params).filter(([, v]) => v !== undefined && v !== null));
  return json(await send(path, { method: 'POST', body: JSON.stringify(given), headers: { 'Content-Type': 'application/json' } }));
}

// text returns the body of an answer as text, for what is not JSON.
export async function text(path, params, { signal: abort } = {}) {
  return (await send(path, { params, accept: '*/*', signal: abort })).text();
}

// lines reads an answer line by line, as it arrives: the audit log, which may never end. It calls
// on(line) for each, and returns at the end of the answer.
export async function lines(path, params, on, { signal: abort } = {}) {
  const answer = await send(path, { params, accept: 'application/x-ndjson', signal: abort });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split('\n');
    rest = whole.pop();
    whole.forEach((line) => on(line));
  }
}

// download saves an answer as a file. The token goes in a header, so a link would not do.
export async function download(path, params, filename) {
  const blob = await (await send(path, { params, accept: '*/*' })).blob();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// lockPath returns the path of a verb on a lock. A text that is no name leads nowhere else.
export function lockPath(name, verb) {
  const segments = name.split('/');
  if (segments.some((s) => s === '' || s === '.' || s === '..')) throw new ApiError(400, 'invalid', 'This is not the name of a lock.');
  return ['v1/locks', ...segments.map(encodeURIComponent), verb].join('/');
}

// isRefusal reports whether the server said that a request is wrong or refused, so that asking again
// is of no use. An answer of a proxy has no code.
const isRefusal = (err) => err.status >= 400 && err.status < 500 && err.status !== 429 && Boolean(err.code);

const backoffFirst = 500;
const backoffMost = 15_000;
const silent = 40_000; // without a ping, a stream is dead

// stream reads server-sent events until signal aborts. It calls on(event, data, id) for each, and
// on('state', 'connecting' | 'live' | 'offline', error) when that changes. It resumes with
// Last-Event-ID after a pause that grows, and pauses in hidden tabs. An answer of the server that
// says that the request is wrong or refused ends it; one of a proxy, which has no code, does not.
export function stream(path, params, on, { signal: abort } = {}) {
  let last = '';
  let pause = backoffFirst;
  let current;
  const stopped = () => abort?.aborted;
  const visible = () => document.visibilityState !== 'hidden';
  const changed = () => { if (!visible()) current?.abort(); };
  const gone = () => { on('state', 'offline', new ApiError(0, 'offline', 'This browser is offline.')); current?.abort(); };

  const attempt = async () => {
    current = new AbortController();
    const quiet = { timer: 0 };
    const heard = () => { clearTimeout(quiet.timer); quiet.timer = setTimeout(() => current.abort(), silent); };
    try {
      const answer = await send(path, {
        params, accept: 'text/event-stream', signal: current.signal, headers: last ? { 'Last-Event-ID': last } : {},
      });
      on('state', 'live');
      pause = backoffFirst;
      heard();
      await readEvents(answer.body, heard, (event, data, id) => {
        if (id) last = id;
        if (!stopped()) on(event, data, id);
      });
    } finally {
      clearTimeout(quiet.timer);
    }
  };

  const run = async () => {
    document.addEventListener('visibilitychange', changed);
    window.addEventListener('offline', gone);
    abort?.addEventListener('abort', () => current?.abort());
    on('state', 'connecting');
    while (!stopped()) {
      await until(visible, 'visibilitychange', document, abort);
      if (stopped()) break;
      let wait = pause;
      try {
        await attempt();
        if (!stopped()) on('state', 'connecting');
      } catch (err) {
        if (stopped()) break;
        if (err.name === 'AbortError') { on('state', 'connecting'); continue; }
        on('state', 'offline', err instanceof ApiError ? err : new ApiError(0, 'offline', 'The connection to the server was lost.'));
        if (isRefusal(err)) break;
        wait = pause * (0.75 + Math.random() / 2);
        pause = Math.min(pause * 2, backoffMost);
      }
      await sleep(wait, abort);
    }
    document.removeEventListener('visibilitychange', changed);
    window.removeEventListener('offline', gone);
  };
  run();
}

// readEvents parses a stream of server-sent events.
async function readEvents(body, heard, on) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = { name: 'message', data: [], id: '' };
  const line = (text) => {
    if (text === '') {
      if (event.data.length) on(event.name, parsed(event.data.join('\n')), event.id);
      event = { name: 'message', data: [], id: '' };
      return;
    }
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event.name = value;
    if (field === 'data') event.data.push(value);
    if (field === 'id') event.id = value;
  };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const one of lines) line(one.replace(/\r$/, ''));
  }
}

function parsed(data) {
  try { return JSON.parse(data); } catch { return data; }
}

// sleep waits so long, or until the browser is online again, or for the abort.
function sleep(ms, abort) {
  return new Promise((done) => {
    const wake = () => {
      clearTimeout(timer);
      window.removeEventListener('online', wake);
      abort?.removeEventListener('abort', wake);
      done();
    };
    const timer = setTimeout(wake, ms);
    window.addEventListener('online', wake);
    abort?.addEventListener('abort', wake);
  });
}

// until waits for an event of target after which condition holds, or for the abort.
function until(condition, event, target, abort) {
  if (condition() || abort?.aborted) return Promise.resolve();
  return new Promise((done) => {
    const look = () => {
      if (!condition() && !abort?.aborted) return;
      target.removeEventListener(event, look);
      abort?.removeEventListener('abort', look);
      done();
    };
    target.addEventListener(event, look);
    abort?.addEventListener('abort', look);
  });
}

// --- who is looking ---

const key = `octostore.token ${base.pathname}`;

function remembered() {
  try { return JSON.parse(sessionStorage.getItem(key)) || {}; } catch { return {}; }
}

function remember(value) {
  try {
    if (value) sessionStorage.setItem(key, JSON.stringify(value));
    else sessionStorage.removeItem(key);
  } catch { /* a browser that keeps nothing asks again after a reload */ }
}

const state = signal({ ...remembered(), whoami: null, error: null, needed: false });

// session is who the user of the page is. Its state is {token, whoami, error, needed}: needed
// means that the page has to ask for a token. The token is kept in memory, and in sessionStorage
// if the user wants it to survive a reload; it is never part of an address.
export const session = {
  get token() { return state.value.token; },
  get state() { return state.value; },
  get whoami() { return state.value.whoami; },
  subscribe: state.subscribe,

  // check asks the server who this is, again and again while it does not answer.
  async check() {
    const token = state.value.token;
    for (let pause = backoffFirst; ; pause = Math.min(pause * 2, backoffMost)) {
      try {
        const whoami = await get('v1/whoami');
        if (token === state.value.token) state.set({ ...state.value, whoami, error: null, needed: false });
        return;
      } catch (error) {
        if (token !== state.value.token) return;
        state.set({ ...state.value, error });
        if (isRefusal(error)) return;
      }
      await sleep(pause);
      if (token !== state.value.token || state.value.whoami) return;
    }
  },

  // login uses a token from now on. created: the page has had it created, and revokes it at logout.
  async login(token, { keep = true, created = false } = {}) {
    state.set({ token, created, whoami: null, error: null, needed: true });
    const whoami = await get('v1/whoami');
    if (keep) remember({ token, created });
    state.set({ token, created, whoami, error: null, needed: false });
  },

  // logout forgets the token, and revokes it if the page had it created. If that fails, the page
  // that asks for a token says so.
  async logout() {
    const { created, whoami } = state.value;
    let error = null;
    try {
      if (created) await post('v1/logout');
    } catch (err) {
      const id = whoami?.token_id || 'ID';
      if (err.status !== 401) error = new ApiError(err.status, err.code, `The token is forgotten here, but could not be revoked: ${err.message} Revoke it with: octostore token revoke ${id}`, err.requestID);
    }
    remember(null);
    state.set({ token: undefined, whoami: null, error, needed: true });
  },

  // refused notes a 401 to a request with that token.
  refused(token, error) {
    if (token !== state.value.token) return;
    if (token) remember(null);
    state.set({ token: undefined, whoami: null, error: token ? error : null, needed: true });
  },

  // may reports whether the user may do verb to some locks, or to the one that is named. The
  // server decides; this only saves the user a button that would be refused.
  may(verb, name) {
    const scopes = state.value.whoami?.scopes || [];
    return scopes.some((scope) => {
      const colon = scope.indexOf(':');
      const verbs = (colon < 0 ? scope : scope.slice(0, colon)).split(',');
      if (verbs.includes('admin')) return true;
      if (!verbs.includes(verb)) return false;
      return name === undefined || colon < 0 || selects(scope.slice(colon + 1).split(','), name);
    });
  },
};

// selects reports whether a list of patterns selects a name: the last that matches counts, and !
// excludes. * is within a segment, ** across segments.
export function selects(patterns, name) {
  return patterns.reduce((selected, pattern) => {
    const without = pattern.startsWith('!');
    return matches(without ? pattern.slice(1) : pattern, name) ? !without : selected;
  }, false);
}

function matches(pattern, name) {
  const source = pattern.split('**').map((part) => part.split('*').map((s) => s.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('[^/]*')).join('.*');
  return new RegExp(`^${source}$`).test(name);
}
