import { accessible, assert, browse, phone, shot, until } from './harness.mjs';

const rows = (page) => page.locator('tbody tr');
const row = (page, name) => page.locator('tbody tr').filter({ has: page.locator('td.name', { hasText: name }) });

browse('Locks shows an acquire within a second, without a reload', {}, async ({ server, open }) => {
  const page = await open();
  await page.getByText('No lock is held.').waitFor();
  await page.locator('.connection.live').waitFor();
  await page.evaluate(() => { window.notReloaded = true; });
  await server.acquire('deploy/prod', { ttl: '1m', holder: 'ci-4711', reason: 'release' });
  const answered = Date.now();
  await row(page, 'deploy/prod').waitFor();
  assert.ok(Date.now() - answered < 1000, `it took ${Date.now() - answered} ms`);
  assert.match(await row(page, 'deploy/prod').innerText(), /ci-4711\s+local/);
  assert.equal(await page.evaluate(() => window.notReloaded), true);
});
