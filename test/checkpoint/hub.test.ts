/** Models of the hub, against a local server that answers like it. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { afterEach, beforeEach, test } from 'node:test';
import { loadCheckpoint, resolveModel } from '../../src/checkpoint/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import { sha256 } from '../../src/files/index.ts';
import type { HubServer } from './hub-server.ts';
import { hubServer } from './hub-server.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyConfig, tinyJson, tinyWeights, writeFolder } from './tiny-bert.ts';

const variables = ['HF_TOKEN', 'HF_ENDPOINT', 'HF_HUB_OFFLINE', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_HOME'];
let environment: (string | undefined)[];
beforeEach(() => {
  environment = variables.map((name) => process.env[name]);
  for (const name of variables) delete process.env[name];
});
afterEach(() => {
  variables.forEach((name, i) => {
    if (environment[i] === undefined) delete process.env[name];
    else process.env[name] = environment[i];
  });
});

const weights = tinyWeights(tinyConfig());

async function setUp(t: TestContext): Promise<{ hub: HubServer; cacheDir: string; repo: string }> {
  const dir = await temporaryFolder(t);
  const folder = join(dir, 'original');
  await writeFolder(folder, tinyJson, weights);
  for (const name of ['tokenizer.json', 'vocab.json', 'merges.txt']) await writeFile(join(folder, name), `{}${name}`);
  await writeFile(join(folder, 'pytorch_model.bin'), 'never fetched');
  const files = new Map<string, Buffer>();
  for (const name of await readdir(folder)) files.set(name, await readFile(join(folder, name)));
  const cacheDir = join(dir, 'cache');
  return { hub: await hubServer(t, 'org/tiny', files), cacheDir, repo: join(cacheDir, 'models--org--tiny') };
}

async function allFiles(dir: string): Promise<string[]> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  return found.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

test('a model is downloaded into the usual layout, once', async (t) => {
  const { hub, cacheDir, repo } = await setUp(t);
  const seen: string[] = [];
  const onProgress = (file: string, bytes: number, total: number) => {
    if (bytes === total) seen.push(file);
  };
  const loaded = await loadCheckpoint('org/tiny', { cacheDir, endpoint: `${hub.endpoint}/`, onProgress });
  assert.deepEqual(loaded.weights, weights);
  assert.equal(loaded.dir, join(repo, 'snapshots', hub.commit));
  assert.deepEqual(seen, ['config.json', 'tokenizer.json', 'vocab.json', 'merges.txt', 'model.safetensors']);
  assert.equal(await readFile(join(repo, 'refs', 'main'), 'utf8'), hub.commit);
  const model = join(loaded.dir, 'model.safetensors');
  const blob = join(repo, 'blobs', sha256(hub.files.get('model.safetensors') as Buffer));
  assert.equal(resolve(loaded.dir, await readlink(model)), resolve(blob));
  assert.ok((await lstat(blob)).isFile());
  assert.ok(!(await allFiles(cacheDir)).some((name) => name.endsWith('.tmp') || name.endsWith('.bin')));

  hub.requests.length = 0;
  await resolveModel('org/tiny', { cacheDir, endpoint: hub.endpoint });
  assert.ok(!hub.requests.some((request) => request.includes('/resolve/')), 'nothing is fetched twice');
  hub.requests.length = 0;
  await resolveModel(`org/tiny@${hub.commit}`, { cacheDir, endpoint: hub.endpoint });
  assert.deepEqual(hub.requests, [], 'a commit never changes');
});

test('revisions: after @, as an option', async (t) => {
  const { hub, cacheDir, repo } = await setUp(t);
  const options = { cacheDir, endpoint: hub.endpoint };
  await resolveModel('org/tiny@v1', options);
  assert.equal(await readFile(join(repo, 'refs', 'v1'), 'utf8'), hub.commit);
  await resolveModel('org/tiny', { ...options, revision: 'main' });
  await assert.rejects(resolveModel('org/tiny@v2', options), { code: 'hub-not-found', message: /org\/tiny@v2/ });
  await assert.rejects(resolveModel('org/tiny', { ...options, revision: '../../x' }), { code: 'hub-not-found' });
});

test('the environment is heard: endpoint, token, cache, offline', async (t) => {
  const { hub, cacheDir, repo } = await setUp(t);
  process.env['HF_ENDPOINT'] = hub.endpoint;
  process.env['HF_TOKEN'] = 'hf_secret';
  process.env['HF_HUB_CACHE'] = cacheDir;
  const dir = await resolveModel('org/tiny');
  assert.ok(dir.startsWith(repo));
  assert.deepEqual([...hub.tokens], ['Bearer hf_secret']);
  hub.requests.length = 0;
  process.env['HF_HUB_OFFLINE'] = '1';
  assert.equal(await resolveModel('org/tiny'), dir);
  assert.deepEqual(hub.requests, []);
  delete process.env['HF_HUB_OFFLINE'];
  process.env['HF_TOKEN'] = 'secret';
  await assert.rejects(resolveModel('org/tiny'), { code: 'hub-not-authorized', message: /HF_TOKEN/ });
  delete process.env['HF_HUB_CACHE'];
  process.env['HF_HOME'] = cacheDir;
  process.env['HF_HUB_OFFLINE'] = 'true';
  await mkdir(cacheDir, { recursive: true });
  await assert.rejects(resolveModel('org/tiny'), { code: 'hub-offline' }, 'HF_HOME/hub is another cache');
});

test('without network: the cache if it is complete, else what to do', async (t) => {
  const { hub, cacheDir, repo } = await setUp(t);
  const nowhere = { cacheDir, endpoint: 'http://127.0.0.1:9' };
  const offline = (error: KdxError) => {
    assert.equal(error.code, 'hub-offline');
    assert.match(error.message, /org\/tiny is no local folder/);
    assert.match(error.suggestions.join('\n'), /local folder[^]*hf download org\/tiny --revision main/);
    return true;
  };
  await assert.rejects(resolveModel('org/tiny', nowhere), offline);
  await assert.rejects(resolveModel('org/tiny', { ...nowhere, offline: true }), offline);

  const dir = await resolveModel('org/tiny', { cacheDir, endpoint: hub.endpoint });
  assert.equal(await resolveModel('org/tiny', nowhere), dir);
  hub.status = 503;
  assert.equal(await resolveModel('org/tiny', { cacheDir, endpoint: hub.endpoint }), dir);
  await rm(join(repo, 'blobs', sha256(hub.files.get('model.safetensors') as Buffer)));
  await assert.rejects(resolveModel('org/tiny', nowhere), offline, 'a link that leads nowhere is no file');
});

test('refusals of the hub', async (t) => {
  const { hub, cacheDir } = await setUp(t);
  const options = { cacheDir, endpoint: hub.endpoint };
  await assert.rejects(resolveModel('org/other', options), { code: 'hub-not-found', message: /org\/other@main/ });
  await assert.rejects(resolveModel('tiny', options), { code: 'hub-not-found' });
  for (const status of [401, 403]) {
    hub.status = status;
    await assert.rejects(resolveModel('org/tiny', options), { code: 'hub-not-authorized' });
  }
  hub.status = 500;
  await assert.rejects(resolveModel('org/tiny', options), { code: 'hub-offline', message: /status 500/ });
  hub.status = undefined;
  hub.files.delete('model.safetensors');
  await assert.rejects(resolveModel('org/tiny', options), { code: 'unsafe-weights' });
  hub.files.delete('pytorch_model.bin');
  await assert.rejects(resolveModel('org/tiny', options), { code: 'not-a-checkpoint' });
  assert.deepEqual(await allFiles(cacheDir), [], 'nothing is downloaded in vain');
});

const sabotages: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  'a flipped bit': (content) => Buffer.concat([content.subarray(0, -1), Buffer.of(1)]),
  'a short file': (content) => content.subarray(0, -1),
  'a long file': (content) => Buffer.concat([content, Buffer.alloc(1)]),
};
for (const file of ['model.safetensors', 'tokenizer.json'])
  for (const [what, change] of Object.entries(sabotages))
    test(`${what} of ${file} is refused and not kept`, async (t) => {
      const { hub, cacheDir, repo } = await setUp(t);
      const options = { cacheDir, endpoint: hub.endpoint };
      hub.sabotage = (name, response) => {
        if (name === file) response.end(change(hub.files.get(name) as Buffer));
        return name === file;
      };
      await assert.rejects(resolveModel('org/tiny', options), {
        code: 'hub-corrupt-download',
        exitCode: 1,
        message: new RegExp(file),
      });
      const left = await allFiles(cacheDir);
      assert.ok(!left.some((name) => name.endsWith('.tmp') || name === file || name === 'main'), left.join());
      assert.ok(!(await readdir(join(repo, 'refs')).catch(() => [])).length);
      await assert.rejects(resolveModel('org/tiny', { ...options, offline: true }), { code: 'hub-offline' });
      hub.sabotage = undefined;
      assert.deepEqual((await loadCheckpoint('org/tiny', options)).weights, weights);
    });

test('a connection that breaks leaves nothing that is taken for a file', async (t) => {
  const { hub, cacheDir } = await setUp(t);
  const options = { cacheDir, endpoint: hub.endpoint };
  hub.sabotage = (name, response) => {
    if (name !== 'model.safetensors') return false;
    const content = hub.files.get(name) as Buffer;
    response.writeHead(200, { 'Content-Length': content.byteLength });
    response.write(content.subarray(0, 100), () => response.destroy());
    return true;
  };
  await assert.rejects(resolveModel('org/tiny', options), { code: 'hub-offline', message: /model\.safetensors/ });
  const left = await allFiles(cacheDir);
  assert.ok(!left.some((name) => name.endsWith('.tmp') || name === 'model.safetensors'), left.join());
  await assert.rejects(resolveModel('org/tiny', { ...options, offline: true }), { code: 'hub-offline' });
  hub.sabotage = undefined;
  assert.deepEqual((await loadCheckpoint('org/tiny', options)).weights, weights);
});

test('shards are downloaded as the index says', async (t) => {
  const { hub, cacheDir } = await setUp(t);
  const shard = 'model-00001-of-00001.safetensors';
  hub.files.set(shard, hub.files.get('model.safetensors') as Buffer);
  hub.files.delete('model.safetensors');
  const map = Object.fromEntries([...weights.keys()].map((name) => [name, shard]));
  hub.files.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ weight_map: map })));
  const loaded = await loadCheckpoint('org/tiny', { cacheDir, endpoint: hub.endpoint });
  assert.deepEqual(loaded.weights, weights);
  hub.files.delete(shard);
  await rm(cacheDir, { recursive: true });
  await assert.rejects(resolveModel('org/tiny', { cacheDir, endpoint: hub.endpoint }), { code: 'not-a-checkpoint' });
});

test('a local folder wins over a hub id; what can be neither is no folder', async (t) => {
  const dir = await temporaryFolder(t);
  const before = process.cwd();
  process.chdir(dir);
  t.after(() => process.chdir(before));
  await mkdir('org/tiny', { recursive: true });
  assert.equal(await resolveModel('org/tiny', { endpoint: 'http://127.0.0.1:9' }), 'org/tiny');
  for (const ref of ['./tiny', '../tiny', '/none', 'a/b/c', 'org/...', 'a--b', 'x@', 'x@..', 'a@b@c', ''])
    await assert.rejects(resolveModel(ref), { code: 'file-not-found' }, ref);
});

test('nothing is printed on stdout, which belongs to --json', async (t) => {
  const { hub, cacheDir } = await setUp(t);
  const write = t.mock.method(process.stdout, 'write', () => true);
  await resolveModel('org/tiny', { cacheDir, endpoint: hub.endpoint });
  const calls = write.mock.callCount();
  write.mock.restore();
  assert.equal(calls, 0);
});
