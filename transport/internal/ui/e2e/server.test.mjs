import { readFileSync } from 'node:fs';
import { accessible, assert, browse, phone, until } from './harness.mjs';

const stat = (page, label) => page.locator('.stat', { hasText: label });
const setting = (page, name) => page.locator('.settings tbody tr').filter({ hasText: name });
const recordsOf = async (server, kind) => (await server.get(`/v1/audit?kind=${kind}`)).split('\n').filter(Boolean).map((l) => JSON.parse(l)).filter((r) => r.kind);

const github = { OCTOSTORE_GITHUB_CLIENT_ID: 'client-1', OCTOSTORE_GITHUB_CLIENT_SECRET: 'do-not-show-this', OCTOSTORE_GITHUB_ALLOW: 'user:octocat=read:**', OCTOSTORE_PUBLIC_URL: 'http://localhost' };

browse('Server shows its state, and hides its secrets', { tokens: true }, async ({ server, open }) => {
  await server.stop({ keep: true });
  Object.assign(server.settings, github);
  await server.start();
  await server.acquire('team/a', { ttl: '1m' });
  const page = await open({ hash: '#/server', token: server.token });
  await stat(page, 'Status').getByText('in order').waitFor();
  const now = await server.get('/v1/server');
  await stat(page, 'Version').getByText(now.version, { exact: true }).waitFor();
  await stat(page, 'Held and waiting').getByText('1 / 0').waitFor();
  await page.getByText(now.database.path).first().waitFor();
  await setting(page, 'OCTOSTORE_GITHUB_CLIENT_SECRET').getByText('(set)').waitFor();
  await setting(page, 'OCTOSTORE_GITHUB_CLIENT_ID').getByText('environment').waitFor();
  await page.getByRole('searchbox').fill('max_ttl');
  await setting(page, 'OCTOSTORE_MAX_TTL').getByText('default').waitFor();
  await page.getByRole('searchbox').fill('');
  await page.getByRole('switch').check();
  await until(async () => (await page.locator('.settings tbody tr').count()) === now.settings.length, 'list of all settings');
  assert.ok(!(await page.content()).includes('do-not-show-this'), 'the page has a secret');
  await accessible(page);
  await server.enqueue('team/a');
  await stat(page, 'Held and waiting').getByText('1 / 1').waitFor(); // without a reload
});

browse('Server is drained for a reason, after a warning', { tokens: true }, async ({ server, open }) => {
  await server.acquire('team/a', { ttl: '1m' });
  await server.enqueue('team/a');
  const page = await open({ hash: '#/server', token: server.token });
  await page.getByRole('button', { name: 'Drain…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('This cannot be undone. Only a restart of the process ends it.').waitFor();
  await dialog.getByText('1 request that waits').waitFor();
  await accessible(page);
  const drain = dialog.getByRole('button', { name: 'Drain the server' });
  assert.ok(await drain.isDisabled(), 'it drains without a reason');
  await dialog.getByLabel('Reason').fill('new disk');
  await drain.click();
  await page.getByText('This server is draining').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Drain…' }).isDisabled());
  await assert.rejects(server.acquire('team/b', {}), /draining/);
  const [record] = await recordsOf(server, 'drained');
  assert.equal(record.by || record.account, 'root');
  assert.equal(record.reason, 'new disk');
});

browse('Server gives administrators a backup', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/server', token: server.token });
  await page.getByRole('button', { name: 'Download a backup…' }).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('dialog').getByRole('button', { name: 'Download' }).click()]);
  assert.match(file.suggestedFilename(), /^octostore-\d{8}T\d{6}\.db$/);
  assert.equal(readFileSync(await file.path()).subarray(0, 15).toString(), 'SQLite format 3');
  await page.getByText('none is known').waitFor({ state: 'detached' });
  const [record] = await recordsOf(server, 'backed_up');
  assert.equal(record.by || record.account, 'root');
});

browse('Server is for administrators, on any screen', { tokens: true }, async ({ server, open }) => {
  const none = await open({ hash: '#/server', token: await server.newToken('carol', 'acquire,read,break,audit:** policies') });
  await none.getByText('its token would need the scope admin').waitFor();
  assert.equal(await none.getByRole('link', { name: 'Server' }).count(), 0);
  for (const how of [{ viewport: phone }, { dark: true }]) {
    const page = await open({ hash: '#/server', token: server.token, ...how });
    await stat(page, 'Status').getByText('in order').waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the screen');
    await accessible(page);
  }
});

// asCluster has the page see the server as a node of a cluster.
const asCluster = (page, takes) => page.route('**/v1/live?*', async (route) => {
  const url = new URL(route.request().url());
  if (url.searchParams.get('show') !== 'server') return route.continue();
  let got;
  try {
    got = await (await route.fetch({ url: `${url.origin}/v1/server` })).json();
  } catch {
    return; // the page was closed meanwhile
  }
  const node = (name, more) => ({ name, url: `http://${name}:3000`, version: got.version, policies: '5f2c8a1e9d3b7c60', since: got.started_at, serving: false, policies_differ: false, ...more });
  got.waiters = 2;
  got.cluster = {
    node: 'node-2', serving: { node: 'node-2', url: 'http://node-2:3000', term: 4711, since: got.started_at },
    nodes: [node('node-1'), node('node-2', { serving: true }), node('node-3', { policies: 'other', policies_differ: true })],
    takes: { count: takes, within_ms: 60_000 },
  };
  return route.fulfill({ contentType: 'text/event-stream', body: `event: server\ndata: ${JSON.stringify(got)}\n\n` });
});

browse('Server shows the nodes of a cluster, and hands the lock table over', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/locks', token: server.token });
  await asCluster(page, 3);
  let asked;
  await page.route('**/v1/cluster/hand-over*', (route) => {
    asked = route.request().postData() || route.request().url();
    return route.fulfill({ json: { from: 'node-2', term: 4711, others: 2 } });
  });
  await page.evaluate(() => { location.hash = '#/server'; });
  const row = (name) => page.locator('.nodes tbody tr', { hasText: name });
  await row('node-2').getByText('serves').waitFor();
  await row('node-1').getByText('forwards').waitFor();
  await row('node-3').getByText('differ').waitFor();
  await page.getByText('took the lock table 3 times').waitFor();
  await page.getByText('4711').waitFor();
  await accessible(page);
  await page.getByRole('button', { name: 'Hand over…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('2 other nodes').waitFor();
  await dialog.getByText('2 requests that wait').waitFor();
  await dialog.getByLabel('Reason').fill('upgrade');
  await dialog.getByRole('button', { name: 'Hand over' }).click();
  await until(() => asked, 'request to hand over');
  assert.match(decodeURIComponent(asked), /upgrade/);
});
