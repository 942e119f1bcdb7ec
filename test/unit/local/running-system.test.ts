import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announceRunning, readRunning } from '../../../infra/local/running-system.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let folder: { readonly path: string; remove(): void };
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const system = { pid: 4_711, url: 'http://127.0.0.1:8080', simulatorUrl: 'http://127.0.0.1:9000' };

describe('where a local system listens', () => {
  it('is told while it runs, and no longer', () => {
    expect(readRunning(folder.path)).toEqual({ kind: 'none' });
    const unannounce = announceRunning(folder.path, system);
    expect(readRunning(folder.path, () => true)).toEqual({ kind: 'running', system });
    unannounce();
    expect(readRunning(folder.path, () => true)).toEqual({ kind: 'none' });
    expect(existsSync(join(folder.path, 'running.json.part'))).toBe(false);
  });

  it('is stale when the process is gone', () => {
    announceRunning(folder.path, system);
    expect(readRunning(folder.path, (pid) => pid !== system.pid)).toEqual({ kind: 'stale', pid: system.pid });
  });

  it.each([
    '',
    '{"pid":1',
    '{"pid":0,"url":"http://h","simulatorUrl":null}',
    '{"pid":1,"url":"x","simulatorUrl":null}',
  ])('is not read from a file that holds %j', (text) => {
    writeFileSync(join(folder.path, 'running.json'), text);
    expect(readRunning(folder.path, () => true)).toEqual({ kind: 'none' });
  });
});
