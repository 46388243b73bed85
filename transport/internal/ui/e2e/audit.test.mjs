import { readFileSync } from 'node:fs';
import { accessible, assert, browse, phone, until } from './harness.mjs';
import { ticket, withPolicies } from './policies.mjs';

const rows = (page) => page.locator('.records tbody tr');
const kindsOf = (page) => page.locator('.records td.kind').allInnerTexts();

// some makes records of several kinds.
async function some(server) {
  const grant = await server.acquire('deploy/prod', { ttl: '1m', holder: 'ci-4711', reason: 'rollout, "blue"', metadata: { ticket: 'OPS-7' } });
  await server.post('/v1/locks/deploy/prod/release', { lease_id: grant.lease_id });
  await server.acquire('db/orders', { ttl: '1m', holder: '=1+1' });
  await server.post('/v1/locks/db/orders/break', { reason: 'runner-3 is gone' });
  await server.acquire('deploy/web', {}).catch(() => {}); // denied
}

browse('Audit shows the newest records first, and follows', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  const page = await open({ hash: '#/audit', token: server.token });
  await rows(page).first().waitFor();
  assert.deepEqual((await kindsOf(page)).slice(0, 5), ['denied', 'broken', 'granted', 'released', 'granted']);
  await accessible(page);
  await server.acquire('team/new', { ttl: '1m' });
  const answered = Date.now();
  await rows(page).filter({ hasText: 'team/new' }).waitFor();
  assert.ok(Date.now() - answered < 1000, `it took ${Date.now() - answered} ms`);

  await page.getByRole('button', { name: 'Follow' }).click();
  await page.getByText('New records do not appear').waitFor();
  await server.acquire('team/unseen', { ttl: '1m' });
  await page.getByRole('button', { name: 'Follow' }).click();
  await rows(page).filter({ hasText: 'team/unseen' }).waitFor(); // none is left out
});

browse('Audit filters by lock, account, kind and time', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  await server.acquire('deploy/other', { 'metadata': { ticket: 'OPS-8' } }, { token: await server.newToken('bob', 'acquire:**') });
  const page = await open({ hash: '#/audit', token: server.token });
  await rows(page).first().waitFor();
  await page.getByLabel('Lock begins with').fill('deploy/');
  await until(async () => (await kindsOf(page)).join() === 'granted,denied,released,granted', 'list of records of deploy/');
  await page.getByLabel('Account').fill('bob');
  await until(async () => (await kindsOf(page)).join() === 'granted', 'list of records of bob');
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.locator('.menu summary').click();
  await page.getByRole('checkbox', { name: 'broken' }).check();
  await page.getByRole('checkbox', { name: 'denied' }).check();
  await accessible(page);
  await page.keyboard.press('Escape');
  await until(async () => (await kindsOf(page)).join() === 'denied,broken', 'list of these kinds');
  assert.match(page.url(), /#\/audit\?kind=broken%2Cdenied$/);
  await page.reload();
  await until(async () => (await kindsOf(page)).join() === 'denied,broken', 'list of these kinds after a reload');
  await server.acquire('team/x', { ttl: '1m' });
  await server.acquire('deploy/web', {}).catch(() => {});
  await until(async () => (await kindsOf(page)).join() === 'denied,denied,broken', 'record that matches, and no other');
  await page.locator('select[name=since]').selectOption('between');
  await page.getByLabel('From').fill('2020-01-01T00:00:00');
  await page.getByLabel('To', { exact: true }).fill('2020-01-02T00:00:00');
  await page.getByText('No record matches.').waitFor();
  await page.getByText('Not followed: the time has an end').waitFor();
});

// saved returns the text of the file that a button saves.
async function saved(page, name) {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
  assert.match(file.suggestedFilename(), /^octostore-audit-\d{8}T\d{6}\.(ndjson|csv)$/);
  return readFileSync(await file.path(), 'utf8');
}

browse('Audit exports exactly what is shown', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  const page = await open({ hash: '#/audit?prefix=de&paused=1', token: server.token });
  await until(async () => (await rows(page).count()) === 3, 'list of three records');
  await server.acquire('deploy/prod', { metadata: { ticket: 'OPS-9' } }); // not shown: the page is paused
  const lines = (await saved(page, 'NDJSON of what is shown')).trimEnd().split('\n');
  assert.equal(JSON.parse(lines[0]).verifiable, false);
  assert.deepEqual(lines.slice(1).map((l) => JSON.parse(l).kind), ['granted', 'released', 'denied']);
  const served = (await server.get('/v1/audit?prefix=de')).trimEnd().split('\n');
  assert.deepEqual(lines.slice(1), served.slice(1, 4), 'the lines are not those of the log');
  const all = (await saved(page, 'NDJSON of all that match')).trimEnd().split('\n');
  assert.equal(all.length, 4 + 2, 'opening line, four records, closing line');
});

browse('Audit writes the CSV that the server writes', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  for (const holder of ['+x', '@x', ' x', '"x",y', 'x', '；x', "'x", '\\.', 'é, ü']) await server.acquire(`csv/${server.n = (server.n || 0) + 1}`, { holder, reason: 'a,b' });
  const page = await open({ hash: '#/audit?paused=1', token: server.token });
  await rows(page).nth(14).waitFor();
  const csv = await saved(page, 'CSV of what is shown');
  const served = await server.get(`/v1/audit?last=100&format=csv`);
  assert.deepEqual(csv.split('\n'), served.split('\n').slice(0, csv.split('\n').length - 1).concat(''));
});

browse('Audit goes back to the first record', { tokens: true }, async ({ server, open }) => {
  for (let i = 0; i < 60; i += 1) {
    const grant = await server.acquire(`n/${i}`, { ttl: '1m' });
    await server.post(`/v1/locks/n/${i}/release`, { lease_id: grant.lease_id });
  }
  const page = await open({ hash: '#/audit', token: server.token });
  await until(async () => (await rows(page).count()) >= 100, 'first page');
  await page.getByRole('button', { name: 'Show older records' }).click();
  const first = (await server.get('/v1/audit?limit=1')).split('\n')[1];
  await until(async () => (await rows(page).count()) > 120, 'second page');
  assert.equal(await rows(page).last().locator('td.kind').innerText(), JSON.parse(first).kind);
  assert.equal(await page.getByRole('button', { name: 'Show older records' }).count(), 0);
  const times = await page.locator('td.when button').evaluateAll((all) => all.map((b) => b.title));
  assert.deepEqual(times, times.toSorted().toReversed());
});

browse('Audit shows a record whole, and the state of the chain', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  const page = await open({ hash: '#/audit', token: server.token });
  await rows(page).filter({ hasText: 'deploy/web' }).getByRole('button').click();
  const drawer = page.getByRole('region', { name: /^Record \d+$/ });
  await drawer.getByText('ticket', { exact: true }).waitFor();
  await drawer.getByText('Verdicts of policies').waitFor();
  assert.equal(JSON.parse(await drawer.locator('pre.raw').innerText()).kind, 'denied');
  await accessible(page);
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  const state = await server.get('/v1/audit/state');
  const key = page.locator('.stat', { hasText: 'Signing key' }).getByRole('button');
  assert.ok((await key.getAttribute('title')).startsWith(state.public_key));
  await page.locator('.stat', { hasText: 'Recorded' }).getByText(state.level).waitFor();
});

browse('Audit is for accounts with the scope', { tokens: true }, async ({ server, open }) => {
  await server.acquire('team/a', { ttl: '1m' });
  await server.acquire('other/b', { ttl: '1m' });
  const none = await open({ hash: '#/audit', token: await server.newToken('carol', 'acquire,read:**') });
  await none.getByText('its token would need the scope audit').waitFor();
  assert.equal(await none.getByRole('link', { name: 'Audit' }).count(), 0);
  const some = await open({ hash: '#/audit', token: await server.newToken('dave', 'audit:team/**') });
  await rows(some).filter({ hasText: 'team/a' }).waitFor();
  assert.equal(await rows(some).count(), 1);
});

browse('Audit fits a phone, and the dark', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  await some(server);
  for (const how of [{ viewport: phone }, { dark: true }]) {
    const page = await open({ hash: '#/audit', token: server.token, ...how });
    await rows(page).first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the screen');
    await accessible(page);
  }
});
