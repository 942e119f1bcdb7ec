import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Writes the name of each SDK client that a process loads to standard error, in front of everything else. */
const tell = `import { registerHooks } from 'node:module';
const seen = new Set();
registerHooks({ load(url, context, next) {
  const client = /@aws-sdk\\/(client-[a-z-]+)\\/|@smithy\\//.exec(url);
  if (client) seen.add(client[1] ?? 'smithy');
  return next(url, context);
} });
process.on('exit', () => process.stderr.write('loaded: ' + [...seen].sort().join(' ') + '\\n'));`;

function loadedBy(...argv: string[]): Promise<readonly [number, string]> {
  const hook = `data:text/javascript,${encodeURIComponent(tell)}`;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', hook, 'infra/ops/simhook.ts', ...argv],
      { cwd: root },
      (error, _out, err) =>
        resolve([
          typeof error?.code === 'number' ? error.code : 0,
          /^loaded: (.*)$/m.exec(err)?.[1] ?? 'the hook said nothing',
        ]),
    );
  });
}

describe('the SDK', () => {
  it('is not loaded for a command on this machine', async () => {
    expect(await loadedBy('events', '--data', 'no-such-folder')).toEqual([3, '']);
  });

  it('is loaded for a deployed stage, by the services that the command asks', async () => {
    const [code, loaded] = await loadedBy(
      ...['actions', '--stage', 'production', '--region', 'eu-central-1'],
      ...['--control-endpoint', 'http://127.0.0.1:9'],
    );
    expect(code).toBe(5);
    expect(loaded.split(' ')).toEqual(
      expect.arrayContaining(['client-cloudformation', 'client-dynamodb', 'client-sqs']),
    );
    expect(loaded).not.toMatch(/secrets-manager|ssm/);
  });
});
