// Logging in: with a token, or with GitHub by a code that the user enters there.

import { html, Problem, useEffect, useRef, useState } from './components.js';
import { base, post, server, session } from './api.js';

// How long a code of GitHub is polled at the shortest, whatever the server says.
const pollAtLeast = 1000;

function WithToken() {
  const [token, setToken] = useState('');
  const [keep, setKeep] = useState(true);
  const [error, setError] = useState(session.state.error);
  const [busy, setBusy] = useState(false);
  const submit = async (e) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await session.login(token.trim(), { keep });
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return html`<form onSubmit=${submit}>
    <label>Token
      <input type="password" name="token" required autofocus autocomplete="off" spellcheck="false" placeholder="octo_…" value=${token} onInput=${(e) => setToken(e.target.value)} />
    </label>
    <label class="check"><input type="checkbox" checked=${keep} onChange=${(e) => setKeep(e.target.checked)} /> Keep it until this tab is closed</label>
    <${Problem} error=${error} />
    <button type="submit" disabled=${busy || !token.trim()}>Log in</button>
  </form>`;
}

// WithGitHub shows the code, and polls until the user has entered it.
function WithGitHub() {
  const [login, setLogin] = useState(null);
  const [error, setError] = useState(null);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);

  const begin = async () => {
    stop.current?.abort();
    const mine = new AbortController();
    stop.current = mine;
    setError(null);
    try {
      const device = await post('v1/login/device');
      setLogin(device);
      let wait = device.interval_ms;
      while (!mine.signal.aborted) {
        await new Promise((done) => { setTimeout(done, Math.max(pollAtLeast, wait)); });
        if (mine.signal.aborted) return;
        const answer = await post('v1/login/device/poll', { device_id: device.device_id });
        if (answer.status === 'complete') {
          await session.login(answer.token.token, { created: true });
          return;
        }
        wait = answer.interval_ms;
      }
    } catch (err) {
      setLogin(null);
      setError(err);
    }
  };

  if (!login) {
    return html`<${Problem} error=${error} /><button type="button" class="outline" onClick=${begin}>Log in with GitHub</button>`;
  }
  const https = /^https?:\/\//.test(login.verification_uri);
  return html`<div class="device" role="status">
    <p>Enter this code at GitHub:</p>
    <p class="code"><code>${login.user_code}</code></p>
    ${https && html`<p><a href=${login.verification_uri} target="_blank" rel="noopener noreferrer">${login.verification_uri.replace(/^https?:\/\//, '')}</a></p>`}
    <p class="faint">This page goes on when that is done. Enter a code only if you have asked for it yourself.</p>
    <button type="button" class="quiet" onClick=${() => { stop.current?.abort(); setLogin(null); }}>Cancel</button>
  </div>`;
}

export function Login({ theme }) {
  return html`<main class="login">
    <div class="card">
      <div class="head"><h1>OctoStore</h1>${theme}</div>
      <p class="faint">This server wants a token. It is sent to ${base.host} only, and never part of an address.</p>
      <${WithToken} />
      ${server.github === 'true' && html`<p class="or"><span>or</span></p><${WithGitHub} />`}
    </div>
  </main>`;
}
