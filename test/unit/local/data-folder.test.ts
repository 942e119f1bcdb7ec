import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataFolder, StartError } from '../../../infra/local/data-folder.ts';
import { checkStage, loadStageFile } from '../../../infra/local/load-stage.ts';
import { loadLocalSecrets, memorySecretSource } from '../../../infra/local/local-secrets.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { providers } from '../../../shared/providers/registry.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let root: { readonly path: string; remove(): void };
beforeEach(() => {
  root = temporaryFolder();
});
afterEach(() => root.remove());

/** What a start would print instead of starting; one line. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(StartError);
    const text = error instanceof Error ? error.message : '';
    expect(text).not.toContain('\n');
    return text;
  }
  throw new Error('it started');
}

describe('the data folder', () => {
  it('is made, locked for this process, and free again after release', () => {
    const path = join(root.path, 'a', 'b');
    const folder = openDataFolder(path);
    expect(readFileSync(join(path, 'lock'), 'utf8')).toBe(String(process.pid));
    expect(folder.file('x.db')).toBe(join(path, 'x.db'));
    folder.release();
    expect(existsSync(join(path, 'lock'))).toBe(false);
  });

  it('in use by a process that lives is refused with its number and a way out', () => {
    writeFileSync(join(root.path, 'lock'), '4242');
    expect(refusal(() => openDataFolder(root.path, (pid) => pid === 4242))).toBe(
      `the data folder ${root.path} is in use by process 4242: stop it, or choose another one with --data`,
    );
    expect(readFileSync(join(root.path, 'lock'), 'utf8')).toBe('4242');
  });

  it.each(['4242', '', 'x'])('left behind by a process that died (lock %j) is taken over', (lock) => {
    writeFileSync(join(root.path, 'lock'), lock);
    openDataFolder(root.path, () => false).release();
  });

  it('that cannot be made is refused with the code and a way out', () => {
    const file = join(root.path, 'file');
    writeFileSync(file, '');
    expect(refusal(() => openDataFolder(join(file, 'sub')))).toBe(
      `the data folder ${join(file, 'sub')} can't be used (ENOTDIR): choose another one with --data`,
    );
  });
});

describe('a stage file', () => {
  it('that is not there or is not JSON is refused in one line', () => {
    const path = join(root.path, 'stage.json');
    expect(refusal(() => loadStageFile(path))).toBe(
      `the stage file ${path} can't be read (ENOENT): check the path`,
    );
    writeFileSync(path, '{"name": ');
    expect(refusal(() => loadStageFile(path))).toContain(`the stage file ${path} is not JSON: `);
  });

  it('with a wrong field is refused with its line', () => {
    const path = join(root.path, 'stage.json');
    writeFileSync(path, '{\n  "name": "My Stage",\n  "providers": {},\n  "rules": []\n}');
    expect(refusal(() => checkStage(loadStageFile(path), providers))).toBe(
      `${path}:2: name: a stage name is lower-case letters, digits and hyphens, at most 30, but it is "My Stage"`,
    );
  });
});

describe('the local secrets', () => {
  const path = () => join(root.path, 'secrets.json');

  it('are made at the first start, for the owner only, and are the same at the second', () => {
    const first = loadLocalSecrets(path(), seededRandom(1));
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(loadLocalSecrets(path(), seededRandom(2))).toEqual(first);
    const values = Object.values(first).flatMap((set) =>
      [...set.callback, ...set.api].map((key) => key.value),
    );
    expect(new Set(values).size).toBe(values.length);
    expect(Math.min(...values.map((value) => value.length))).toBeGreaterThanOrEqual(32);
    expect(first['linksfield-csss']?.pathToken).toMatch(/^[0-9a-f]{32}$/);
  });

  // Found in review: this was told with a stack trace.
  it.each(['', '{}x', '[]', '{"eiotclub":{"callback":[{"value":"hunter2"}]}}'])(
    'that nobody can read (%j) are refused in one line that shows none',
    (text) => {
      writeFileSync(path(), text);
      const line = refusal(() => loadLocalSecrets(path(), seededRandom(1)));
      expect(line).toContain(`${path()} is not a secrets file`);
      expect(line).toContain('delete it and a new one is made');
      expect(line).not.toContain('hunter2');
    },
  );

  it('are served from memory, the path token with the callback keys only', async () => {
    const set = {
      callback: [{ keyId: null, value: 'c' }],
      api: [{ keyId: 'k', value: 'a' }],
      pathToken: 't',
    };
    const source = memorySecretSource({ eiotclub: set });
    const callback = await source.read('eiotclub', 'callback');
    expect([callback.keys[0]?.secret.reveal(), callback.pathToken?.reveal()]).toEqual(['c', 't']);
    const api = await source.read('eiotclub', 'api');
    expect([api.keys[0]?.keyId, api.pathToken]).toEqual(['k', null]);
    expect(await source.read('nobody', 'api')).toEqual({ keys: [], pathToken: null });
    expect(await source.reread('eiotclub', 'callback')).toBeNull();
    expect(String(callback.keys[0]?.secret)).toBe('[secret]');
  });
});
