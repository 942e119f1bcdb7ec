import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRunning } from '../../infra/local/running-system.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

let folder: { readonly path: string; remove(): void };
let children: ChildProcess[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  children = [];
  folder.remove();
});

interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** Resolves with the first match in what it printed; rejects when it ends without. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** `npm start -- …` without npm in between. */
function start(...options: readonly string[]): Run {
  const { FORCE_COLOR: _color, ...env } = process.env;
  const child = spawn(process.execPath, ['infra/local/start.ts', ...options], {
    cwd: root,
    env: { ...env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const until = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(out);
        if (match) resolve(match);
      };
      child.stdout.on('data', look);
      void ended.then(() => reject(new Error(`it ended without ${pattern}:\n${out}\n${err}`)));
      look();
    });
  // A slow machine is told what it waits for; that is no complaint.
  const complaints = (): string => err.replace(/^.* … \d+ s\n/gm, '');
  return { child, out: () => out, err: complaints, until, ended };
}

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

describe('npm start -- --exit', () => {
  it('plays the three scenes and ends with 0, and the next start finds the events of this one', async () => {
    const first = start('--exit', '--port', '0', '--data', folder.path);
    expect(await first.ended).toEqual({ code: 0, signal: null });
    const out = first.out();
    expect(out).not.toMatch(/found .* events/);
    for (const scene of ['1. EIOTCLUB says', '2. Linksfield CSSS says', '3. Linksfield reminds']) {
      expect(out).toContain(scene);
    }
    for (const action of ['renew', 'order', 'order-ota']) {
      expect(out).toMatch(
        new RegExp(` bought +${action} act_\\w+: provider order \\S+, (USD|CNY) [\\d.]+ charged`),
      );
    }
    expect(count(out, / decided +\S+: reports on act_/g)).toBe(3);
    expect(first.err()).toBe('');

    const second = start('--exit', '--port', '0', '--data', folder.path);
    expect(await second.ended).toEqual({ code: 0, signal: null });
    const found = /found (\d+) events of the last 30 days, the latest of \d{4}-/.exec(second.out());
    expect(Number(found?.[1])).toBeGreaterThanOrEqual(6);
    expect(count(second.out(), / bought /g)).toBe(3);
  });

  // Found in review: Ctrl-C in the middle of the scene ended with 0, as if every step had happened.
  it('does not end with 0 when it is interrupted in the middle', async () => {
    const run = start('--exit', '--port', '0', '--data', folder.path);
    await run.until(/1\. EIOTCLUB says/);
    run.child.kill('SIGINT');
    const interruptedAt = performance.now();
    expect(await run.ended).toEqual({ code: 1, signal: null });
    // It used to wait for the time-out of the step it was in, 20 seconds.
    expect(performance.now() - interruptedAt).toBeLessThan(10_000);
    expect(run.out()).toMatch(/stopped;/);
    expect(run.err()).toBe('');
  });
});

describe('npm start', () => {
  it('stays up for a callback sent as it says, keeps its folder to itself, and stops with Ctrl-C', async () => {
    const run = start('--port', '0', '--data', folder.path);
    const [, line = ''] = await run.until(/^ {2}(curl .*)$/m);
    const bought = count(run.out(), / bought /g);
    const answer = await send(line);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const iccid = /"iccid":"(\d+)"/.exec(line)?.[1];
    await run.until(new RegExp(`${iccid} +bought +renew`));
    expect(count(run.out(), / bought /g)).toBe(bought + 1);
    expect(await send(line)).toMatch(/^HTTP\/1\.1 200 /);

    // The system chose its ports; the command line finds them in the data folder.
    const sent = spawnSync(
      process.execPath,
      ['infra/ops/simhook.ts', 'send', 'eiotclub', 'FlowAlert', '--data', folder.path, '--json'],
      { cwd: root, encoding: 'utf8' },
    );
    expect(sent).toMatchObject({ status: 0, stderr: '' });
    await run.until(new RegExp(`${JSON.parse(sent.stdout).sims[0]} +bought +renew`));

    const second = start('--port', '0', '--data', folder.path, '--exit');
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.err()).toBe(
      `simhook can't start: the data folder ${folder.path} is in use by process ${run.child.pid}: stop it, or choose another one with --data\n`,
    );

    run.child.kill('SIGINT');
    expect(await run.ended).toEqual({ code: 0, signal: null });
    expect(run.err()).toBe('');
    expect(count(run.out(), / bought /g)).toBe(bought + 2);
    expect(readRunning(folder.path)).toEqual({ kind: 'none' });
    const again = start('--port', '0', '--data', folder.path, '--exit', '--no-simulator');
    expect(await again.ended).toEqual({ code: 0, signal: null });
  });
});

/** Runs the line as printed; where there is no curl, says the same with fetch. */
async function send(line: string): Promise<string> {
  if (spawnSync('curl', ['--version']).status === 0) {
    return new Promise((resolve, reject) => {
      execFile('sh', ['-c', line], (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
  }
  const parts = /^curl -i -H '([^:]+): ([^']+)' -d '([^']+)' (\S+)$/.exec(line);
  if (!parts) throw new Error(`this is no curl line: ${line}`);
  const [, name = '', value = '', body = '', url = ''] = parts;
  const response = await fetch(url, { method: 'POST', headers: { [name]: value }, body });
  return `HTTP/1.1 ${response.status} ${await response.text()}`;
}

describe('what keeps it from starting is told in one line, with what to do', () => {
  async function refusal(...options: readonly string[]): Promise<string> {
    const run = start('--exit', '--no-simulator', ...options);
    expect(await run.ended).toEqual({ code: 1, signal: null });
    const lines = run.err().trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/\n\s+at /);
    return lines[0] ?? '';
  }

  it('a port in use', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    expect(await refusal('--port', String(port), '--data', folder.path)).toBe(
      "simhook can't start: the port is in use: stop what listens on it, or choose another one with --port",
    );
    server.close();
  });

  it('a folder that cannot be used', async () => {
    const file = join(folder.path, 'file');
    writeFileSync(file, '');
    expect(await refusal('--port', '0', '--data', join(file, 'data'))).toBe(
      `simhook can't start: the data folder ${join(file, 'data')} can't be used (ENOTDIR): choose another one with --data`,
    );
  });

  it.each([
    ['that is not JSON', '{"name": "x",', 'is not JSON'],
    [
      'with a wrong field',
      '{\n  "name": "x",\n  "providers": {},\n  "rules": "none"\n}',
      ':4: rules: Invalid input',
    ],
  ])('a stage %s', async (_what, text, says) => {
    const stage = join(folder.path, 'stage.json');
    writeFileSync(stage, text);
    const line = await refusal('--port', '0', '--data', join(folder.path, 'data'), '--stage', stage);
    expect(line).toContain("simhook can't start: ");
    expect(line).toContain(stage);
    expect(line).toContain(says);
  });

  it('a stage file that is not there', async () => {
    const stage = join(folder.path, 'none.json');
    expect(await refusal('--port', '0', '--data', folder.path, '--stage', stage)).toBe(
      `simhook can't start: the stage file ${stage} can't be read (ENOENT): check the path`,
    );
  });

  it('secrets that nobody can read', async () => {
    writeFileSync(join(folder.path, 'secrets.json'), '{');
    expect(await refusal('--port', '0', '--data', folder.path)).toContain(
      'secrets.json is not a secrets file',
    );
  });

  it('a store that is no database', async () => {
    writeFileSync(join(folder.path, 'simhook.db'), 'x'.repeat(5_000));
    expect(await refusal('--port', '0', '--data', folder.path)).toBe(
      "simhook can't go on: the database file is damaged or is not a SQLite database; restore it from a copy",
    );
  });

  it('a port that is none', async () => {
    const run = start('--port', '99999', '--data', folder.path);
    expect((await run.ended).code).toBe(1);
    expect(run.err()).toContain('a port is a number from 0 to 65535, but this is "99999"');
  });
});
