// The page as a whole: logging in, what it costs, where it can be, and what it survives.

import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { connect, createServer as listen } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible, assert, browse, shot, soon, until } from './harness.mjs';

const row = (page, name) => page.locator('tbody tr').filter({ has: page.getByRole('link', { name, exact: true }) });
const refused = [/401/];
const ended = [/401/, /ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED/]; // of the stream, when its token ends

// --- login ---

browse('Login takes a token, keeps it out of addresses, and forgets it', { tokens: true }, async ({ server, open }) => {
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
  const alice = await server.newToken('alice', 'read:**');
  const page = await open({ expects: ended });
  await page.getByLabel('Token').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Log in with GitHub' }).count(), 0);
  await accessible(page);
  await shot(page, 'login');
  await page.getByLabel('Token').fill('octo_wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('this token is not known here').waitFor();
  await page.getByLabel('Token').fill(alice);
  await page.getByRole('button', { name: 'Log in' }).click();
  await row(page, 'deploy/prod').waitFor();
  assert.equal(await page.locator('.account').first().innerText(), 'alice');
  await page.reload();
  await row(page, 'deploy/prod').waitFor();
  assert.deepEqual(await page.evaluate(() => [document.cookie, JSON.stringify(localStorage)]), ['', '{}']);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await server.get('/v1/locks', { token: alice }); // a token that was pasted is not revoked
});

browse('Login may keep the token in memory only', { tokens: true }, async ({ server, open }) => {
  const page = await open({ expects: refused });
  await page.getByLabel('Token').fill(server.token);
  await page.getByLabel('Keep it until this tab is closed').uncheck();
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('No lock is held.').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.getByLabel('Token').waitFor();
});

browse('Login asks again when the token is revoked', { tokens: true }, async ({ server, open }) => {
  const made = await server.post('/v1/tokens', { account: 'alice', scopes: 'read:**' });
  const page = await open({ token: made.token, expects: ended });
  await page.locator('.connection.live').waitFor();
  await server.request('DELETE', `/v1/tokens/${made.id}`);
  await page.getByText('this token has been revoked').waitFor();
  await page.getByLabel('Token').waitFor();
});

browse('Login says so if the token of the page could not be revoked', { tokens: true }, async ({ server, open }) => {
  const made = await server.post('/v1/tokens', { account: 'alice', scopes: 'read:**' });
  const page = await open({ expects: [...refused, /ERR_FAILED/] });
  await page.getByLabel('Token').waitFor(); // a refusal of a request without a token forgets nothing, however late
  await page.evaluate((token) => sessionStorage.setItem('octostore.token /', JSON.stringify({ token, created: true })), made.token);
  await page.reload();
  await page.route('**/v1/logout', (route) => route.abort());
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByText(`could not be revoked: The server does not answer. Revoke it with: octostore token revoke ${made.id}`).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

browse('Login asks again who it is if there was no answer', { tokens: true }, async ({ server, open }) => {
  const page = await open({ token: server.token, expects: [/ERR_CONNECTION_RESET/] });
  let failed = 0;
  await page.route('**/v1/whoami', (route) => (failed++ < 2 ? route.abort('connectionreset') : route.continue()));
  await page.reload();
  await page.locator('.account').waitFor();
  assert.equal(failed, 3);
});

browse('Login shows the screens that the scopes allow', { tokens: true }, async ({ server, open }) => {
  const titles = async (scopes) => {
    const page = await open({ token: await server.newToken(`a${scopes.length}`, scopes), expects: refused });
    await page.locator('.account').waitFor();
    return page.locator('header nav a').allInnerTexts();
  };
  assert.deepEqual(await titles('read:**'), ['Locks', 'Contention']);
  assert.deepEqual(await titles('read,audit:team-a/** policies'), ['Locks', 'Contention', 'Audit', 'Policies']);
  assert.deepEqual(await titles('admin'), ['Locks', 'Contention', 'Audit', 'Policies', 'Server']);
  const page = await open({ token: await server.newToken('reader', 'read:**'), hash: '#/server' });
  await page.getByText('its token would need the scope admin').waitFor();
});

browse('Login shows no lock that the account may not read', { tokens: true }, async ({ server, open }) => {
  await server.acquire('team-a/x', { ttl: '10m' });
  await server.acquire('team-b/secret', { ttl: '10m' });
  const page = await open({ token: await server.newToken('a', 'read:team-a/**') });
  await row(page, 'team-a/x').waitFor();
  assert.equal((await page.content()).includes('secret'), false);
});

// A GitHub that gives a code, and says pending once.
async function gitHub() {
  let polls = 0;
  const server = createServer((req, res) => {
    const say = (value) => { res.setHeader('Content-Type', 'application/json'); res.end(JSON.stringify(value)); };
    if (req.url === '/login/device/code') return say({ device_code: 'd', user_code: 'WDJB-MJHT', verification_uri: `${at}/login/device`, interval: 1, expires_in: 900 });
    if (req.url === '/login/oauth/access_token') { polls += 1; return say(polls < 2 ? { error: 'authorization_pending' } : { access_token: 't', token_type: 'bearer' }); }
    if (req.url.startsWith('/api/v3/user')) return say({ id: 583231, login: 'alice' });
    res.statusCode = 404;
    return res.end();
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const at = `http://127.0.0.1:${server.address().port}`;
  return { at, close: () => server.close() };
}

const github = await gitHub();
browse('Login with GitHub shows a code, and goes on when the user has entered it', {
  settings: {
    OCTOSTORE_GITHUB_URL: github.at, OCTOSTORE_GITHUB_CLIENT_ID: 'Iv1.0000000000000000', OCTOSTORE_GITHUB_CLIENT_SECRET: 'secret',
    OCTOSTORE_GITHUB_ALLOW: 'user:alice@583231=read,acquire:**',
  },
}, async ({ server, open }) => {
  const page = await open({ expects: ended });
  await page.getByRole('button', { name: 'Log in with GitHub' }).click();
  await page.getByText('WDJB-MJHT').waitFor();
  await accessible(page);
  await page.getByText('No lock is held.').waitFor();
  assert.match(await page.locator('.account').innerText(), /alice/);
  const { token } = JSON.parse(await page.evaluate(() => Object.values(sessionStorage)[0]));
  await server.get('/v1/locks', { token });
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token').waitFor();
  await assert.rejects(server.get('/v1/locks', { token }), /401/); // its token was made for the page
  github.close();
});

// --- what it costs ---

browse('Page transfers less than 300 KB, all screens included', {}, async ({ server, open, t }) => {
  const page = await open({ wait: false, hash: '#/locks' });
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
  let bytes = 0;
  let requests = 0;
  cdp.on('Network.loadingFinished', (e) => { bytes += e.encodedDataLength; requests += 1; });
  await page.reload();
  await page.getByText('No lock is held.').waitFor();
  await until(() => requests > 8, 'page');
  const first = bytes;
  for (const title of ['Contention', 'Audit', 'Policies', 'Server']) {
    await page.locator('header nav').getByRole('link', { name: title }).click();
    await page.locator('main h1').filter({ hasText: title }).waitFor();
  }
  await new Promise((r) => { setTimeout(r, 500); }); // charts are loaded when they are drawn
  t.diagnostic(`${first} bytes for the first screen, ${bytes} with all screens`);
  assert.ok(bytes < 300_000, `${bytes} bytes`);
});

// The bound is 200 ms on a machine that does nothing else; this one runs other tests beside it.
browse('Page shows locks soon after its first byte', {}, async ({ server, open, t }) => {
  for (let i = 0; i < 50; i += 1) await server.acquire(`deploy/${i}`, { ttl: '10m' });
  const took = [];
  for (let i = 0; i < 5 && (took[0] ?? Infinity) > 200; i += 1) {
    const page = await open({ wait: false });
    await page.locator('tbody tr').first().waitFor();
    took.push(await shown(page));
    took.sort((a, b) => a - b);
    await page.context().close();
  }
  t.diagnostic(`locks are shown ${took.map(Math.round).join(', ')} ms after the first byte`);
  assert.ok(took[0] < 2000, `the fastest took ${took[0]} ms`);
});

// shown returns how long after the first byte of the page its first locks were there.
const shown = (page) => page.evaluate(() => performance.getEntriesByName('locks')[0].startTime - performance.getEntriesByType('navigation')[0].responseStart);

// fill takes n locks, by requests one after the other on a few connections.
async function fill(server, n) {
  const { hostname, port } = new URL(server.url);
  const lanes = 64;
  await Promise.all(Array.from({ length: lanes }, (_, lane) => new Promise((done, failed) => {
    const mine = Array.from({ length: Math.ceil((n - lane) / lanes) }, (_, i) => lane + i * lanes);
    const socket = connect(Number(port), hostname);
    let answers = 0;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      answers += text.split('HTTP/1.1 200').length - 1;
      if (answers === mine.length) { socket.destroy(); done(); }
    });
    socket.on('error', failed);
    socket.on('close', () => (answers < mine.length ? failed(new Error(`${answers} of ${mine.length} locks`)) : done()));
    socket.write(mine.map((i) => `POST /v1/locks/load/${String(i).padStart(6, '0')}/acquire?ttl=1h&holder=ci-${i} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`).join(''));
  })));
}

browse('Locks stays smooth with 100,000 locks', { timeout: 300_000 }, async ({ server, open, t }) => {
  const n = 100_000;
  const began = Date.now();
  await fill(server, n);
  t.diagnostic(`${n} locks taken in ${Date.now() - began} ms`);
  const page = await open({ wait: false });
  await page.locator('tbody tr').nth(99).waitFor();
  assert.equal(await page.locator('tbody tr').count(), 100);
  t.diagnostic(`shown ${Math.round(await shown(page))} ms after the first byte`);
  await page.getByRole('button', { name: 'Next' }).click();
  await row(page, 'load/000100').waitFor();
  await page.getByRole('button', { name: 'Previous' }).click();
  await row(page, 'load/000000').waitFor();
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration); }).observe({ type: 'longtask' });
  });
  await page.getByRole('searchbox').fill('load/0999');
  await row(page, 'load/099900').waitFor();
  for (let i = 0; i < 20; i += 1) await server.acquire(`load/0999${String(i).padStart(2, '0')}/x`, { ttl: '1m' });
  await row(page, 'load/099919/x').waitFor();
  const longest = await page.evaluate(() => window.longest);
  t.diagnostic(`the longest task of the page was ${Math.round(longest)} ms`);
  assert.ok(longest < 1000, `the page did nothing else for ${longest} ms`);
});

// --- where it can be ---

const freePort = () => new Promise((done) => { const s = listen().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });
const hasNginx = spawnSync('nginx', ['-v']).error === undefined;

// nginx serves OctoStore below a path. host: what it sends as Host; empty: nginx's own default.
async function nginx(port, upstream, host) {
  const folder = mkdtempSync(join(tmpdir(), 'octostore-nginx-'));
  const header = host ? `proxy_set_header Host ${host};` : '';
  writeFileSync(join(folder, 'nginx.conf'), `
    daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1;
    events { worker_connections 128; }
    http {
      access_log off;
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      server {
        listen 127.0.0.1:${port};
        location = /octo { ${header} proxy_pass ${upstream}/; }
        location /octo/ { ${header} proxy_pass ${upstream}/; proxy_http_version 1.1; }
      }
    }`);
  const process = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], { stdio: 'ignore' });
  await until(() => new Promise((done) => { const s = connect(port, '127.0.0.1', () => { s.destroy(); done(true); }).on('error', () => done(false)); }), 'nginx');
  return { stop: () => { process.kill(); rmSync(folder, { recursive: true, force: true }); } };
}

browse('Page works below a path of nginx, without any setting', {}, async ({ server, open, t }) => {
  if (!hasNginx) return t.skip('SKIP: there is no nginx');
  const port = await freePort();
  const proxy = await nginx(port, server.url, '');
  try {
    const page = await open({ base: `http://127.0.0.1:${port}/octo/` });
    await page.locator('.connection.live').waitFor();
    await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
    await row(page, 'deploy/prod').click();
    await page.getByText(`'http://127.0.0.1:${port}/octo/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s'`).waitFor();
    await page.getByRole('button', { name: 'Break…' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('behind a proxy');
    await page.getByRole('dialog').getByRole('button', { name: 'Break the lease' }).click();
    await page.getByText('Nothing holds this lock.').waitFor();
  } finally {
    proxy.stop();
  }
});

const publicPort = await freePort();
browse('Page is found below the path of OCTOSTORE_PUBLIC_URL, without its last slash too', {
  tokens: true, settings: { OCTOSTORE_PUBLIC_URL: `http://127.0.0.1:${publicPort}/octo` },
}, async ({ server, open, t }) => {
  if (!hasNginx) return t.skip('SKIP: there is no nginx');
  const proxy = await nginx(publicPort, server.url, '$http_host');
  try {
    await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
    const page = await open({ base: `http://127.0.0.1:${publicPort}/octo`, expects: refused });
    await page.getByLabel('Token').fill(server.token);
    await page.getByRole('button', { name: 'Log in' }).click();
    await row(page, 'deploy/prod').waitFor();
    const direct = await open({ token: server.token }); // not by way of the proxy
    await row(direct, 'deploy/prod').waitFor();
  } finally {
    proxy.stop();
  }
});

// --- what it survives ---

const hostile = [
  '<script>window.pwned=1</script>', '<img src=x onerror="window.pwned=1">', '"><svg onload=window.pwned=1>', "';window.pwned=1;//",
  'javascript:window.pwned=1', '</title><script>window.pwned=1</script>', '${window.pwned=1}', '{{constructor.constructor("window.pwned=1")()}}',
  '<iframe srcdoc="<script>parent.pwned=1</script>">', '&lt;b&gt;', '<style>*{display:none}</style>', '<a href="javascript:window.pwned=1">x</a>',
  '<!--', ']]><x>', '%3Cscript%3E', '\\u003cscript\\u003e', '<base href="//evil.example/">', '<form action="//evil.example">', '__proto__',
  '<math><mtext></form><form><mglyph><style></math><img src onerror=window.pwned=1>',
];

browse('Texts of clients never become markup', {}, async ({ server, open }) => {
  for (const [i, text] of hostile.entries()) {
    const params = { ttl: '10m', holder: text, reason: text, metadata: { a: text, __proto__x: text } };
    await server.acquire(`hostile/${String(i).padStart(2, '0')}`, params);
    await server.enqueue('hostile/00', { ...params, reason: `waiter ${text}` });
  }
  for (const name of ['javascript:alert', '__proto__/toString', 'constructor', 'data:text/html', "a/script@x:~b"]) await server.acquire(name, { ttl: '10m' });
  const page = await open();
  await row(page, '__proto__/toString').waitFor();
  const clean = async (where) => {
    const found = await page.evaluate(() => ({
      pwned: window.pwned ?? null, polluted: {}.a ?? null, title: document.title,
      elements: [...document.querySelectorAll('#app :is(script, img, iframe, style, base, object, embed, math, form:not(dialog form), link, a[href^="javascript" i], a[href^="data" i])')].map((e) => e.outerHTML),
      handlers: [...document.querySelectorAll('#app *')].flatMap((e) => [...e.attributes].filter((a) => /^on/i.test(a.name)).map((a) => a.name)),
    }));
    assert.deepEqual({ ...found, title: '' }, { pwned: null, polluted: null, title: '', elements: [], handlers: [] }, where);
  };
  await clean('the list');
  for (const text of hostile) assert.ok((await page.locator('td.holder bdi').evaluateAll((all) => all.map((e) => e.textContent))).includes(text), `${text} is shown as it is`);
  for (const [i, text] of hostile.entries()) {
    await page.evaluate((name) => { location.hash = `#/locks?lock=${name}`; }, `hostile/${String(i).padStart(2, '0')}`);
    await until(async () => (await page.locator('.drawer .reason').allTextContents()).join() === text, `reason ${text}`);
    await page.locator('.drawer .events li').first().waitFor();
    await clean(text);
  }
  await page.getByRole('button', { name: 'Break…' }).click();
  await page.getByRole('dialog').waitFor();
  await clean('the dialog');
  await page.keyboard.press('Escape');
  await page.evaluate(() => { location.hash = '#/locks?lock=hostile/00'; });
  await until(async () => (await page.locator('.drawer .queue li').count()) === hostile.length, 'whole queue');
  await clean('the queue');
  // Addresses may come from anybody.
  for (const hash of ['#/<img src=x onerror=window.pwned=1>', '#/locks?lock=../../../evil', '#/locks?prefix=%3Cscript%3E&account=%3Cimg%3E', '#/constructor', '#/__proto__', '#/locks?sort=%3Cb%3E']) {
    page.expects.push(/400/, /403/, /404/);
    await page.evaluate((h) => { location.hash = h; }, hash);
    await page.waitForTimeout(150);
    await clean(hash);
  }
});
