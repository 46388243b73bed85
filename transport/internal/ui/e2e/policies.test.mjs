import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessible, assert, browse, phone, until } from './harness.mjs';
import { echo, ticket, withPolicies } from './policies.mjs';

const row = (page, name) => page.locator('table', { hasText: 'Call p50' }).locator('tbody tr').filter({ has: page.locator('td.name', { hasText: name }) });
const cell = async (page, name, column) => row(page, name).locator(`td.${column}`).innerText();

browse('Policies says that none are configured', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/policies', token: server.token });
  await page.getByText('No policies are configured.').waitFor();
  assert.equal(await page.getByRole('button', { name: /Reload/ }).count(), 0);
  await accessible(page);
});

browse('Policies shows the set, and counts its calls', withPolicies([ticket, { ...echo, mode: 'shadow' }], { tokens: true }), async ({ server, open }) => {
  const page = await open({ hash: '#/policies', token: server.token });
  await row(page, 'ticket').waitFor();
  assert.equal(await cell(page, 'ticket', 'mode'), 'enforce');
  assert.equal(await cell(page, 'echo', 'mode'), 'shadow');
  for (let i = 0; i < 40; i += 1) await server.acquire('deploy/a', {}).catch(() => {});
  await until(async () => (await cell(page, 'ticket', 'denials')) === '40', 'denials of ticket');
  assert.match(await cell(page, 'ticket', 'p50'), /^[\d.]+ (µs|ms)$/);
  const listed = (await server.get('/v1/policies')).policies[0];
  await row(page, 'ticket').getByRole('link').click();
  const drawer = page.getByRole('region', { name: 'Policy ticket' });
  assert.ok((await drawer.getByRole('button', { name: /Copy the digest/ }).getAttribute('title')).startsWith(listed.digest));
  await drawer.locator('.histogram div').first().waitFor();
  await accessible(page);
});

browse('Policies reloads for a reason, which the audit log has', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  const page = await open({ hash: '#/policies', token: server.token, expects: [/400/] });
  await row(page, 'ticket').waitFor();
  const reload = async (reason) => {
    await page.getByRole('button', { name: 'Reload…' }).click();
    const dialog = page.getByRole('dialog');
    await accessible(page);
    assert.ok(await dialog.getByRole('button', { name: 'Reload' }).isDisabled(), 'it reloads without a reason');
    await dialog.getByLabel('Reason').fill(reason);
    await dialog.getByRole('button', { name: 'Reload' }).click();
    return dialog;
  };
  const manifest = join(server.folder, 'policies.json');
  writeFileSync(manifest, JSON.stringify({ policies: [ticket, echo] }));
  await (await reload('OPS-12: echo')).waitFor({ state: 'detached' });
  await page.getByText(/^Reloaded: /).waitFor();
  await row(page, 'echo').waitFor();
  const [record] = (await server.get('/v1/audit?last=1&kind=policies_loaded')).split('\n').filter(Boolean).slice(1).map((l) => JSON.parse(l));
  assert.equal(record.by || record.account, 'root');
  assert.match(JSON.stringify([record.cause, record.reason]), /OPS-12: echo/);

  writeFileSync(manifest, '{"policies": [');
  const dialog = await reload('worse');
  await dialog.getByRole('alert').waitFor();
  await page.keyboard.press('Escape');
  await row(page, 'echo').waitFor(); // the set of before is still there
});

browse('Policies explains what would happen if', withPolicies([ticket, echo], { tokens: true }), async ({ server, open }) => {
  const page = await open({ hash: '#/policies', token: server.token, expects: [/40\d/] });
  await page.getByLabel('Lock', { exact: true }).fill('deploy/prod');
  await page.getByLabel('Account').fill('alice');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByText('Denied by ticket').waitFor();
  await accessible(page);
  await page.getByText('More about the request').click();
  await page.getByLabel(/^Metadata/).fill('ticket=OPS-7');
  await page.getByLabel('TTL').fill('5m');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByText('Allowed').waitFor();
  await page.locator('.outcome').getByText('ttl at most').waitFor();
  await page.locator('select[name=hook]').selectOption('renew');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.locator('.explain').getByRole('alert').waitFor(); // nothing is held
  assert.deepEqual((await server.get('/v1/locks')).locks, []);
});

browse('Policies is for accounts with the scope, on any screen', withPolicies([ticket], { tokens: true }), async ({ server, open }) => {
  const none = await open({ hash: '#/policies', token: await server.newToken('carol', 'read:**') });
  await none.getByText('its token would need the scope policies').waitFor();
  const token = await server.newToken('dave', 'policies');
  for (const how of [{ viewport: phone }, { dark: true }]) {
    const page = await open({ hash: '#/policies', token, ...how });
    await row(page, 'ticket').waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the screen');
    await accessible(page);
  }
});
