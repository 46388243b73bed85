import { execFileSync } from 'node:child_process';
import { accessible, assert, browse, phone, shot, soon, until } from './harness.mjs';

const row = (page, name) => page.locator('tbody tr').filter({ has: page.getByRole('link', { name, exact: true }) });
const drawer = (page) => page.locator('.drawer');

// Locks as a small company has them, with four jobs that wait for one.
async function company(server) {
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-4711', reason: 'release 1.4', metadata: { ticket: 'OPS-7', commit: '31c38f6' } });
  for (const [name, holder, ttl] of [['backup/nightly', 'backup-2', '45m'], ['cron/cleanup', 'cron-7', '5m'], ['db/migrate', 'ci-4702', '1h'],
    ['deploy/staging', 'ci-4712', '20m'], ['terraform/network', 'alice@laptop:4242', '30m']]) await server.acquire(name, { holder, ttl });
  for (let i = 0; i < 4; i += 1) await server.enqueue('deploy/prod', { holder: `ci-${4713 + i}`, reason: `hotfix ${i + 1}` });
  await server.enqueue('db/migrate', { holder: 'ci-4720', reason: 'add an index' });
}

browse('Locks is empty at first, says how to take one, and shows it within a second, without a reload', {}, async ({ server, open }) => {
  const page = await open();
  await page.getByText('No lock is held.').waitFor();
  await page.getByText('octostore run deploy/prod -- sleep 30').waitFor();
  await accessible(page);
  await shot(page, 'locks-empty');
  await page.locator('.connection.live').waitFor();
  await page.evaluate(() => { window.notReloaded = true; });
  await server.acquire('deploy/prod', { ttl: '1m', holder: 'ci-4711', reason: 'release' });
  const answered = Date.now();
  await row(page, 'deploy/prod').waitFor();
  assert.ok(Date.now() - answered < 1000, `it took ${Date.now() - answered} ms`);
  assert.match(await row(page, 'deploy/prod').innerText(), /ci-4711\s+local/);
  assert.equal(await page.evaluate(() => window.notReloaded), true);
});

browse('Locks searches by prefix, sorts by waiting, and keeps both in the address', {}, async ({ server, open }) => {
  await company(server);
  const page = await open();
  await row(page, 'terraform/network').waitFor();
  await page.getByRole('searchbox').fill('deploy/');
  await until(async () => (await page.locator('tbody tr').count()) === 2, 'list of two');
  assert.match(page.url(), /#\/locks\?prefix=deploy\/$/);
  await page.getByRole('searchbox').fill('');
  await page.getByLabel('Sort by').selectOption('waiters');
  await until(async () => (await page.locator('td.name').allInnerTexts()).join() === 'deploy/prod,db/migrate', 'list of those with waiters');
  await page.reload();
  await row(page, 'deploy/prod').waitFor();
  assert.equal(await page.getByLabel('Sort by').inputValue(), 'waiters');
  assert.equal(await page.locator('tbody tr').count(), 2);
});

browse('Locks shows one lock: its queue, reason, metadata, events and commands', {}, async ({ server, open }) => {
  await company(server);
  const page = await open({ hash: '#/locks' });
  await row(page, 'deploy/prod').waitFor();
  await accessible(page);
  await shot(page, 'locks');
  await row(page, 'deploy/prod').click();
  const text = async () => drawer(page).innerText();
  await drawer(page).getByText('release 1.4').waitFor();
  assert.deepEqual(await drawer(page).locator('.queue .line bdi').allInnerTexts(), ['ci-4713', 'ci-4714', 'ci-4715', 'ci-4716']);
  await drawer(page).getByText('granted', { exact: true }).waitFor();
  for (const part of ['OPS-7', '31c38f6', 'hotfix 3', "octostore run --wait 30s 'deploy/prod' -- COMMAND", `curl -f -X POST '${server.url}/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s'`]) {
    assert.ok((await text()).includes(part), `${part} is not in ${await text()}`);
  }
  await accessible(page);
  await shot(page, 'lock');
  await server.enqueue('deploy/prod', { holder: 'the-newest' });
  await drawer(page).getByText('the-newest').waitFor();
  await page.keyboard.press('Escape');
  await drawer(page).waitFor({ state: 'detached' });
  assert.match(page.url(), /#\/locks$/);
});

browse('Locks breaks a lease with a reason, and the audit log has both', { tokens: true }, async ({ server, open }) => {
  const ops = await server.newToken('ops', 'read,break,audit:**');
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-4711' });
  await server.enqueue('deploy/prod', { holder: 'ci-4712' });
  const page = await open({ token: ops, hash: '#/locks?lock=deploy/prod' });
  await page.getByRole('button', { name: 'Break…' }).click();
  const dialog = page.getByRole('dialog');
  assert.match(await dialog.innerText(), /deploy\/prod is held by ci-4711 \(root\)/);
  assert.equal(await dialog.getByRole('button', { name: 'Break the lease' }).isDisabled(), true);
  await accessible(page);
  await dialog.getByLabel('Reason').fill('OPS-7: the runner is gone');
  await shot(page, 'break');
  await dialog.getByRole('button', { name: 'Break the lease' }).click();
  await dialog.waitFor({ state: 'detached' });
  await drawer(page).locator('.facts').getByText('ci-4712').waitFor();
  await drawer(page).getByText('OPS-7: the runner is gone').waitFor();
  const records = (await server.get('/v1/audit?kind=broken')).split('\n').filter(Boolean).map((l) => JSON.parse(l)).filter((r) => r.kind === 'broken');
  assert.deepEqual(records.map((r) => [r.name, r.by, r.cause]), [['deploy/prod', 'ops', 'OPS-7: the runner is gone']]);
});

browse('Locks offers no break without the scope, and shows why a break was refused', { tokens: true }, async ({ server, open }) => {
  const reader = await server.newToken('reader', 'read:**');
  const breaker = await server.newToken('breaker', 'read,break:**');
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
  const page = await open({ token: reader, hash: '#/locks?lock=deploy/prod' });
  await drawer(page).getByText('ci-1').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Break…' }).count(), 0);
  await page.getByText('The audit log needs the scope').waitFor();

  const other = await open({ token: breaker, hash: '#/locks?lock=deploy/prod', expects: [/409/] });
  await other.getByRole('button', { name: 'Break…' }).click();
  await server.post('/v1/locks/deploy/prod/break', { reason: 'first' });
  await drawer(other).getByText('Nothing holds this lock.').waitFor();
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-2' });
  await drawer(other).locator('.facts').getByText('ci-2').waitFor();
  const dialog = other.getByRole('dialog');
  assert.match(await dialog.innerText(), /is held by ci-1 /, 'the dialog is about the lease that was shown');
  await dialog.getByLabel('Reason').fill('second');
  await dialog.getByRole('button', { name: 'Break the lease' }).click();
  await dialog.getByRole('alert').waitFor();
  assert.equal((await server.get('/v1/locks/deploy/prod')).lease.holder, 'ci-2');
});

browse('Locks shows commands that mean the lock, whatever its name', {}, async ({ server, open }) => {
  const page = await open();
  const commands = async (name) => {
    await server.acquire(name, { ttl: '10m' });
    await page.evaluate((lock) => { location.hash = `#/locks?lock=${encodeURIComponent(lock)}`; }, name);
    await drawer(page).getByRole('heading', { name, exact: true }).waitFor();
    await drawer(page).locator('.command').first().waitFor();
    return drawer(page).locator('.command code').allInnerTexts();
  };
  const [run, , , breakIt] = await commands('--json');
  assert.equal(run, "octostore run --wait 30s -- '--json' COMMAND");
  assert.match(breakIt, /^octostore break --token \d+ --reason TEXT -- '--json'$/);
  const line = (await commands('jobs/a+b/acquire'))[2];
  const shown = JSON.parse(execFileSync('bash', ['-c', `${line} -s`], { encoding: 'utf8' }));
  assert.deepEqual(shown.locks.map((l) => l.name), ['jobs/a+b/acquire']);
});

browse('Locks goes on after the server was away', {}, async ({ server, open }) => {
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
  const page = await open({ expects: [/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE/] });
  await row(page, 'deploy/prod').waitFor();
  await server.stop({ keep: true });
  await page.locator('.connection.offline').waitFor();
  await page.getByText('What is shown may be out of date.').waitFor();
  assert.equal(await page.locator('tbody tr').count(), 1, 'the locks of before stay');
  await accessible(page);
  await server.start();
  await page.locator('.connection.live').waitFor({ timeout: 2 * soon });
  await server.acquire('deploy/staging', { ttl: '10m', holder: 'ci-2' });
  await row(page, 'deploy/staging').waitFor();
});

browse('Locks says that the browser is offline, or that a proxy answers, and tries again', {}, async ({ server, open }) => {
  await server.acquire('deploy/prod', { ttl: '10m', holder: 'ci-1' });
  const page = await open({ expects: [/ERR_INTERNET_DISCONNECTED/, /404/] });
  await row(page, 'deploy/prod').waitFor();
  await page.route('**/v1/live?*', (route) => route.fulfill({ status: 404, body: 'no such site' }));
  await page.context().setOffline(true);
  await page.locator('.connection.offline').waitFor();
  await page.context().setOffline(false);
  await page.getByText('The answer is 404 Not Found, and not from OctoStore.').waitFor();
  await page.unroute('**/v1/live?*');
  await page.locator('.connection.live').waitFor();
});

browse('Locks fits a phone', {}, async ({ server, open }) => {
  await company(server);
  const page = await open({ viewport: phone });
  await row(page, 'deploy/prod').waitFor();
  const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(await tooWide() <= 0, 'the page scrolls sideways');
  await accessible(page);
  await shot(page, 'phone');
  await row(page, 'deploy/prod').getByRole('link').click();
  await drawer(page).getByText('hotfix 1').waitFor();
  assert.equal((await drawer(page).boundingBox()).width, phone.width);
  assert.ok(await tooWide() <= 0, 'the drawer scrolls sideways');
  await accessible(page);
  await drawer(page).getByRole('button', { name: 'Close' }).click();
  await drawer(page).waitFor({ state: 'detached' });
});

browse('Locks is dark where the system is, and as the switch says', {}, async ({ server, open }) => {
  await company(server);
  const page = await open({ dark: true, hash: '#/locks?lock=deploy/prod' });
  await drawer(page).getByText('hotfix 1').waitFor();
  const brightness = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0));
  assert.ok(await brightness() < 200);
  await accessible(page);
  await shot(page, 'dark');
  await page.getByRole('button', { name: 'Switch to light' }).click();
  assert.ok(await brightness() > 600);
  await page.reload();
  await drawer(page).getByText('hotfix 1').waitFor();
  assert.ok(await brightness() > 600, 'the choice survives a reload');
  await accessible(page);
});

browse('Locks can be used by keyboard alone', {}, async ({ server, open }) => {
  await company(server);
  const page = await open();
  await row(page, 'deploy/prod').waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.getAttribute('aria-label'));
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  await page.keyboard.press('/');
  assert.equal(await focused(), 'Names that begin with');
  await page.keyboard.type('de');
  await until(async () => (await page.locator('tbody tr').count()) === 2, 'list of two');
  await page.keyboard.press('Tab'); // to the order
  await page.keyboard.press('Tab'); // to the first row
  assert.equal(await focused(), 'deploy/prod');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'deploy/staging');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await drawer(page).getByText('hotfix 1').waitFor();
  assert.equal(await focused(), 'deploy/prod');
  for (let i = 0; i < 12 && await focused() !== 'Break…'; i += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await drawer(page).waitFor({ state: 'detached' });
  assert.equal(await focused(), 'deploy/prod', 'the focus is where it was');
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await accessible(page);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});
