// What clients say never becomes markup: hostile texts are put wherever a client or an operator can
// put a text, and every screen is looked at in the DOM, where they have to be text.

import { assert, browse } from './harness.mjs';
import { echo, withPolicies } from './policies.mjs';

// A text that becomes an element or a script if anything takes it for markup. Each that runs would
// call hit().
const texts = [
  '<img src=x onerror=hit(1) class=pwned>',
  '"><svg onload=hit(2) class=pwned>',
  "'><b class=pwned onmouseover=hit(3)>",
  '</script><script class=pwned>hit(4)</script>',
  '</textarea></title></style><iframe srcdoc="<script>parent.hit(5)</script>" class=pwned></iframe>',
  'javascript:hit(6)//<a href=javascript:hit(7) class=pwned>',
  '{{constructor.constructor("hit(8)")()}}${hit(9)}',
  '<math><mtext><table><mglyph><style><!--</style><img title="--><img src=x onerror=hit(10) class=pwned>">',
];
const all = texts.join(' ');
const half = texts.slice(0, 4).join(' ');

// hostile fills a server with them: a lease, a waiter, a denial with its reason, a note of a policy, an
// undone try, a break, a token. Names of locks and accounts cannot have them: that is tried, too.
async function hostile(server) {
  const metadata = Object.fromEntries(texts.map((t, i) => [`key${i}`, t]));
  for (const t of texts) {
    await assert.rejects(server.acquire(encodeURIComponent(t), {}), /400/);
    await assert.rejects(server.newToken(t, 'read:**'), /400/);
  }
  await server.acquire('echo/held', { ttl: '5m', holder: half.slice(0, 250), reason: all.slice(0, 500), metadata });
  for (const t of texts) await server.enqueue('echo/held', { holder: t, reason: t, metadata });
  for (const t of texts) await assert.rejects(server.acquire('echo/denied', { holder: t, reason: t, metadata: { show: 'reason' } }), /policy_denied/);
  for (const [i, t] of texts.entries()) await server.acquire(`echo/noted/${i}`, { ttl: '5m', metadata: { show: t } });
  await server.acquire('team/broken', { ttl: '5m', holder: texts[0] });
  await server.post('/v1/locks/team/broken/break', { reason: texts[1] });
  for (const t of texts.filter((one) => one.length <= 64)) await server.newToken('bob', 'read:**', t);
}

// untouched fails if a text has become an element, an attribute that runs, or has run.
async function untouched(page, where) {
  const found = await page.evaluate(() => ({
    hits: window.hits,
    elements: [...document.querySelectorAll('.pwned, iframe, script:not([src]), style, img, math, [srcdoc]')].map((e) => e.outerHTML.slice(0, 120)),
    handlers: [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter((a) => /^on/i.test(a.name) || (/^(href|src|action|formaction)$/i.test(a.name) && /^\s*javascript:/i.test(a.value))).map((a) => `${a.name}=${a.value}`),
  }));
  assert.deepEqual(found, { hits: [], elements: [], handlers: [] }, where);
}

const trap = () => { window.hits = []; window.hit = (n) => window.hits.push(n); };
const shows = (page, text) => page.locator('#app').getByText(text, { exact: false }).first().waitFor();

browse('Hostile texts of clients are texts on every screen', withPolicies([echo], { tokens: true, timeout: 180_000 }), async ({ server, open }) => {
  await hostile(server);
  const page = await open({ hash: '#/locks', token: server.token, init: [trap], expects: [/40\d/] });
  await shows(page, 'echo/held');
  await untouched(page, 'locks');
  await page.goto(`${server.url}/#/locks?lock=echo/held`);
  await shows(page, texts[7]);
  await untouched(page, 'a lock');

  await page.goto(`${server.url}/#/contention`);
  await shows(page, 'held by <img src=x');
  await untouched(page, 'contention');

  await page.goto(`${server.url}/#/audit?prefix=echo/`);
  for (const t of texts) await shows(page, t);
  await untouched(page, 'audit');
  for (const kind of ['denied', 'granted', 'broken', 'token_created']) {
    await page.goto(`${server.url}/#/audit?kind=${kind}`);
    await page.locator('.records tbody tr').filter({ hasText: kind }).first().waitFor();
    await page.waitForFunction((k) => [...document.querySelectorAll('.records td.kind')].every((td) => td.innerText === k), kind);
    await page.locator('.records [data-row]').first().click();
    await page.getByRole('region', { name: /^Record / }).waitFor();
    await untouched(page, `a record ${kind}`);
  }

  await page.goto(`${server.url}/#/policies`);
  await page.getByLabel('Lock', { exact: true }).fill('echo/x');
  await page.getByText('More about the request').click();
  await page.getByLabel('Reason', { exact: true }).fill(texts[0]);
  await page.getByLabel(/^Metadata/).fill('show=reason');
  await page.getByRole('button', { name: 'Explain' }).click();
  await shows(page, texts[0]);
  await page.getByLabel(/^Metadata/).fill(`show=${texts[1]}`);
  await page.getByRole('button', { name: 'Explain' }).click();
  await shows(page, texts[1]);
  await untouched(page, 'an explanation');
  for (const t of texts) {
    await page.getByLabel('Lock', { exact: true }).fill(t);
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('.explain').getByRole('alert').waitFor();
    await untouched(page, 'a problem');
  }

  await page.goto(`${server.url}/#/server`);
  await page.getByText('in order').waitFor();
  await untouched(page, 'server');

  // An address is made by an attacker, too.
  for (const t of texts) {
    const q = encodeURIComponent(t);
    for (const hash of [`locks?prefix=${q}&lock=${q}&account=${q}&sort=${q}`, `audit?prefix=${q}&kind=${q}&since=${q}&record=${q}`, `policies?policy=${q}`, `contention?minutes=${q}`, q]) {
      await page.goto(`${server.url}/#/${hash}`);
      await page.locator('#main').waitFor();
      await untouched(page, hash);
    }
  }
});

browse('Hostile names of policies and modules are texts, or are refused', withPolicies([echo], { tokens: true }), async ({ server, open }) => {
  const { writeFileSync } = await import('node:fs');
  const manifest = (policies) => writeFileSync(`${server.folder}/policies.json`, JSON.stringify({ policies }));
  const page = await open({ hash: '#/policies', token: server.token, init: [trap], expects: [/400/] });
  const reload = async () => {
    await page.getByRole('button', { name: 'Reload…' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill(half.slice(0, 500));
    await page.getByRole('dialog').getByRole('button', { name: 'Reload' }).click();
  };
  for (const policy of [{ ...echo, name: texts[0] }, { ...echo, module: texts[0] }, { ...echo, match: [texts[0]] }]) {
    manifest([policy]);
    await reload();
    await page.getByRole('dialog').getByRole('alert').waitFor();
    await untouched(page, 'a mistake in the manifest');
    await page.keyboard.press('Escape');
  }
  manifest([echo, { ...echo, name: 'second', config: { text: texts[0] } }]);
  await reload();
  await page.getByText(/^Reloaded: /).waitFor();
  await untouched(page, 'a reload');
  await page.goto(`${server.url}/#/audit?kind=policies_loaded`);
  await shows(page, texts[0]);
  await untouched(page, 'its record');
});
