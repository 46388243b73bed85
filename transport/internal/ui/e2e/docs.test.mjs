import { createServer, request } from 'node:http';
import { accessible, assert, browse, phone, shot } from './harness.mjs';

const reference = { hash: 'docs', wait: false };

// shorten leaves the first parts of the page: axe-core takes half a minute for all of it, and the
// parts are of one kind.
const shorten = (page) => page.evaluate(() => {
  const parts = [...document.querySelector('main').children];
  const end = parts.indexOf(document.querySelectorAll('h3')[7]);
  for (const part of parts.slice(end)) part.remove();
});

browse('Docs shows every request of the API, without a script and without keeping anything', {}, async ({ server, open }) => {
  const page = await open(reference);
  assert.equal(await page.locator('h1').innerText(), 'API');
  const described = (await server.get('/openapi.yaml')).match(/^ {6}operationId: /gm).length;
  assert.equal(await page.locator('h3:has(> code)').count(), described);
  assert.equal(await page.locator('script, style, [style], form, iframe').count(), 0);
  assert.match(await page.locator('pre').first().innerText(), /^curl -X POST 'http/);
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]), [0, 0, '']);
  await shot(page, 'docs');
  await shorten(page);
  await accessible(page);
});

browse('Docs is reached from the page, and leads to each of its parts', { tokens: true }, async ({ server, open }) => {
  const page = await open({ token: server.token });
  await page.getByRole('link', { name: 'API', exact: true }).click();
  await page.waitForURL(/\/docs$/);
  await page.locator('main > ul').getByRole('link', { name: 'POST /v1/locks/{name}/release' }).click();
  const heading = page.locator('h3#post-v1locksnamerelease');
  await heading.waitFor();
  assert.ok(await heading.evaluate((h) => h.getBoundingClientRect().top < innerHeight));
  await page.getByRole('link', { name: 'OctoStore', exact: true }).click();
  await page.locator('#app').waitFor();
});

// behind starts a proxy that serves a server below /octo/.
async function behind(server, run) {
  const proxy = createServer((incoming, answer) => {
    if (!incoming.url.startsWith('/octo/')) { answer.writeHead(404).end(); return; }
    const { hostname, port } = new URL(server.url);
    const onward = request({ hostname, port, method: incoming.method, path: incoming.url.slice('/octo'.length), headers: incoming.headers },
      (answered) => { answer.writeHead(answered.statusCode, answered.headers); answered.pipe(answer); });
    onward.on('error', () => answer.destroy());
    incoming.pipe(onward);
  });
  await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
  try {
    await run(`http://127.0.0.1:${proxy.address().port}/octo/`);
  } finally {
    proxy.closeAllConnections();
    await new Promise((done) => { proxy.close(done); });
  }
}

browse('Docs works below a path of a proxy', {}, async ({ server, open }) => {
  await behind(server, async (base) => {
    const page = await open({ ...reference, base });
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('main')).maxWidth !== 'none'), true, 'its stylesheet is missing');
    await page.getByRole('link', { name: 'openapi.yaml', exact: true }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'openapi.yaml', exact: true }).evaluate((a) => a.href), `${base}openapi.yaml`);
    assert.equal(await page.getByRole('link', { name: 'OctoStore', exact: true }).evaluate((a) => a.href), base);
  });
});

for (const dark of [false, true]) {
  browse(`Docs fits a phone, ${dark ? 'dark' : 'light'}`, {}, async ({ open }) => {
    const page = await open({ ...reference, dark, viewport: phone });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
    await shorten(page);
    await accessible(page);
  });
}
