// What the browser tests have in common: real servers, a real browser, and pages that fail their
// test on any error in the console, any uncaught error and any violation of the
// Content-Security-Policy.
//
//   import { browse, accessible, shot } from './harness.mjs';
//
//   browse('Locks shows …', { tokens: true }, async ({ server, open }) => {
//     await server.acquire('deploy/prod', { ttl: '1m', holder: 'ci-1' });
//     const page = await open({ hash: '#/locks', token: server.token });
//     await page.getByRole('link', { name: 'deploy/prod' }).waitFor();
//     await accessible(page);
//   });

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export { assert };

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const octostore = process.env.OCTOSTORE_BIN || join(root, 'bin', 'octostore');
const browserPath = process.env.CHROMIUM || ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Enough for a machine that is several times slower than ours.
export const soon = 15_000;

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
});
after(() => browser?.close());

// --- servers ---

// serve starts a server in a folder of its own. files are written there first: {name: text};
// settings are variables of its environment. With tokens it has an administrator, whose secret is
// server.token.
export async function serve({ tokens = false, files = {}, settings = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'octostore-e2e-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const server = new Server(folder, settings);
  await server.start();
  try {
    if (tokens) server.token = (await server.post('/v1/tokens', { account: 'root', name: 'root', scopes: 'admin' })).token;
  } catch (error) {
    await server.stop(); // a server that is left keeps the test from ending
    throw error;
  }
  return server;
}

class Server {
  constructor(folder, settings) {
    Object.assign(this, { folder, settings, address: '127.0.0.1:0', token: undefined });
  }

  async start() {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OCTOSTORE_')));
    this.process = spawn(octostore, ['serve'], {
      cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, OCTOSTORE_LOG_FORMAT: 'json', ...this.settings, OCTOSTORE_ADDR: this.address },
    });
    this.output = '';
    this.ended = new Promise((done) => { this.process.once('exit', done); });
    this.url = await new Promise((found, failed) => {
      const read = (data) => {
        this.output += data;
        const at = this.output.match(/"(?:url|addr|address)":"(?:https?:\/\/)?(127\.0\.0\.1:\d+)"/);
        if (at) found(`http://${at[1]}`);
      };
      this.process.stdout.on('data', read);
      this.process.stderr.on('data', read);
      this.process.once('exit', () => failed(new Error(`the server ended: ${this.output}`)));
      setTimeout(() => failed(new Error(`the server does not say where it listens: ${this.output}`)), soon).unref();
    });
    this.address = new URL(this.url).host; // a restart comes back to the same
  }

  // stop ends the server and waits for that. keep: its folder stays, for start.
  async stop({ keep = false } = {}) {
    this.process.kill('SIGTERM');
    await this.ended;
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  async request(method, path, params, { token = this.token, body } = {}) {
    const answer = await fetch(this.url + path, {
      method, body: body ?? (params && method !== 'GET' ? JSON.stringify(params) : undefined),
      headers: { ...(token && { Authorization: `Bearer ${token}` }) },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    try { return JSON.parse(text); } catch { return text; }
  }

  get(path, options) { return this.request('GET', path, undefined, options); }
  post(path, params, options) { return this.request('POST', path, params, options); }

  // acquire takes a lock; params are those of the API, metadata too.
  acquire(name, params = {}, options) { return this.post(`/v1/locks/${name}/acquire`, params, options); }

  // enqueue puts a request into the queue of a lock, and returns once it is there. The server
  // answers it when it stops, at the latest.
  async enqueue(name, params = {}, options) {
    const n = (await this.get(`/v1/locks?name=${encodeURIComponent(name)}`)).locks[0].waiters_total;
    this.post(`/v1/locks/${name}/acquire`, { wait: '10m', ...params }, options).catch(() => {});
    await until(async () => (await this.get(`/v1/locks?name=${encodeURIComponent(name)}`)).locks[0].waiters_total > n, `a waiter for ${name}`);
  }

  // newToken creates a token and returns its secret.
  async newToken(account, scopes, name = account) { return (await this.post('/v1/tokens', { account, name, scopes })).token; }
}

// until waits for a condition, which may be a promise.
export async function until(condition, what) {
  for (const began = Date.now(); ; await new Promise((r) => { setTimeout(r, 20); })) {
    if (await condition()) return;
    if (Date.now() - began > soon) throw new Error(`there is still no ${what}`);
  }
}

// --- pages ---

export const phone = { width: 390, height: 844 };

// visit opens the page of a server and returns it. token: logs in by what the page keeps in
// sessionStorage. base: another address of the server, such as a proxy's. expects: patterns of
// console messages that are no error here. init: functions that run in
// the page before its own scripts. Errors are in page.problems.
async function visit(server, { hash = '', token, base = `${server.url}/`, dark = false, viewport = { width: 1280, height: 800 }, expects = [], init = [], wait = true } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: dark ? 'dark' : 'light', locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' });
  context.setDefaultTimeout(soon);
  const page = await context.newPage();
  page.problems = [];
  page.expects = expects;
  const note = (text) => { if (!page.expects.some((e) => e.test(text))) page.problems.push(text); };
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) note(`${m.type()}: ${m.text()} ${m.location().url}`); });
  page.on('pageerror', (e) => note(`uncaught: ${e.stack}`));
  page.on('dialog', (d) => { note(`dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => {
    const url = new URL(r.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.host !== new URL(base).host) note(`a request to another host: ${r.url()}`);
    if (/octo_[\w-]{20}/.test(r.url())) note(`a token in an address: ${r.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
  });
  for (const script of init) await page.addInitScript(script);
  if (token) {
    const key = `octostore.token ${new URL(base).pathname}`;
    await page.addInitScript(([k, v]) => { if (location.protocol !== 'about:') sessionStorage.setItem(k, v); }, [key, JSON.stringify({ token })]);
  }
  await page.goto(base + hash);
  if (wait) await page.locator('#app > *').first().waitFor();
  return page;
}

// browse is a test with a server and pages. Its server ends with it; so do its pages, and a page
// with problems fails it.
export function browse(title, options, run) {
  test(title, { timeout: options.timeout || 120_000 }, async (t) => {
    const server = await serve(options);
    const pages = [];
    try {
      const open = async (how) => {
        const page = await visit(server, how);
        pages.push(page);
        return page;
      };
      await run({ server, open, t });
      for (const page of pages) assert.deepEqual(page.problems, [], 'the page has problems');
    } catch (error) {
      for (const page of pages) {
        if (page.problems.length) error.message += `\nproblems of the page: ${page.problems.join('\n')}`;
        if (process.env.E2E_FAILED) await page.screenshot({ path: join(process.env.E2E_FAILED, `${title.replaceAll(/\W+/g, '-')}.png`) }).catch(() => {});
      }
      throw error;
    } finally {
      await Promise.all(pages.map((page) => page.context().close()));
      await server.stop();
    }
  });
}

// accessible fails if axe-core finds anything serious in the page as it is.
export async function accessible(page) {
  await page.evaluate(axe); // from outside: the page's policy allows no eval
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => ({
      rule: v.id, help: v.help, nodes: v.nodes.map((n) => `${n.target.join(' ')}: ${n.failureSummary}`),
    }));
  });
  assert.deepEqual(found, [], 'axe-core finds serious problems');
}

// shot writes a picture of the page to docs/img, if pictures are wanted (SHOTS=1).
export async function shot(page, name) {
  if (!process.env.SHOTS) return;
  const folder = join(root, 'docs', 'img');
  mkdirSync(folder, { recursive: true });
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' });
}
