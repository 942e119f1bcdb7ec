import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const root = fileURLToPath(new URL('../../', import.meta.url));
let outdir: string;
beforeAll(async () => {
  outdir = await mkdtemp(join(tmpdir(), 'simhook-cdk-'));
});
afterAll(() => rm(outdir, { recursive: true, force: true }));

/** Runs CDK's command line as npx does, with no credentials and no way to any network that could give some. */
function cdk(
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const cli = join(root, 'node_modules/aws-cdk/bin/cdk');
  const env = {
    PATH: [dirname(process.execPath), join(root, 'node_modules/.bin'), process.env.PATH ?? ''].join(
      delimiter,
    ),
    HOME: outdir,
    AWS_EC2_METADATA_DISABLED: 'true',
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    HTTPS_PROXY: 'http://127.0.0.1:1',
  };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [cli, ...args, '--output', outdir, '--no-notices'],
      { cwd: root, env },
      (error, out, err) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err });
      },
    );
  });
}

describe('npx cdk', () => {
  it('synthesizes offline, without credentials, in strict mode: no warning, no finding', async () => {
    const { code, err } = await cdk('synth', '-c', 'stage=production', '--strict', '--quiet');
    expect([code, err]).toEqual([0, expect.not.stringMatching(/warning|error/i)]);
    const manifest = await readFile(join(outdir, 'manifest.json'), 'utf8');
    const { artifacts } = z
      .object({ artifacts: z.record(z.string(), z.unknown()) })
      .parse(JSON.parse(manifest));
    expect(Object.keys(artifacts)).toEqual(
      expect.arrayContaining(['simhook-production', 'simhook-production-state']),
    );
    const template = await readFile(join(outdir, 'simhook-production.template.json'), 'utf8');
    expect(template).not.toContain('us-east-1');
  });

  it('refuses an unknown stage with one clear line and no stack trace', async () => {
    const { code, err } = await cdk('synth', '-c', 'stage=prodution', '--quiet');
    expect(code).not.toBe(0);
    expect(err).toContain('there is no stage "prodution"; infra/stages has local, production');
    expect(err).not.toMatch(/^\s+at /m);
  });
});
