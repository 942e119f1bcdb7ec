import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { type ControlPlane, startControlPlane } from '../../support/aws-control-plane.ts';
import { runOnce, type Said, start } from './ops-shop.ts';

const region = 'eu-central-1';
const key = 'sekrit-of-the-provider';
let plane: ControlPlane | null = null;
const at = (): ControlPlane => {
  if (plane === null) throw new Error('no control plane');
  return plane;
};

beforeEach(async () => {
  await plane?.stop();
  plane = await startControlPlane(region);
  for (const provider of ['eiotclub', 'linksfield-csss'])
    for (const purpose of ['callback', 'api']) plane.secrets.set(`simhook/shop/${provider}/${purpose}`, null);
});
afterAll(() => plane?.stop());

function run(...argv: string[]): Promise<Said> {
  const where = ['--stage', 'shop', '--region', region, '--control-endpoint', at().endpoint];
  return runOnce([...argv, ...where], {
    clock: () => epochMs(start),
    random: seededRandom(1),
    readStdin: async () => Buffer.from(`${key}\n`),
  });
}

const set = (...more: string[]): Promise<Said> =>
  run('secrets', 'set', '--provider', 'eiotclub', '--purpose', 'callback', ...more);
const markOf = (name: string): string | undefined => at().parameters.get(`/simhook/shop/${name}`)?.value;

describe('npx simhook secrets', () => {
  it('writes the secret first and then the mark that a deployment asks for, and shows neither', async () => {
    const said = await set();
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(at().calls).toEqual([
      'secretsmanager:GetSecretValue',
      'secretsmanager:PutSecretValue',
      'ssm:PutParameter',
    ]);
    expect(at().parameters.get('/simhook/shop/eiotclub/callback')).toEqual({
      value: 'key',
      description: '1 live keys, seen 2026-01-14 12:00:00Z by npx simhook secrets',
    });
    expect(JSON.stringify([...at().parameters]) + said.out).not.toContain(key);
    expect(at().secrets.get('simhook/shop/eiotclub/callback')).toContain(key);
  });

  it('says in the mark whether there is a key, a path token or both', async () => {
    const token = [
      'secrets',
      'set',
      '--provider',
      'linksfield-csss',
      '--purpose',
      'callback',
      '--path-token',
    ];
    await run(...token);
    expect(markOf('linksfield-csss/callback')).toBe('path-token');
    await run('secrets', 'set', '--provider', 'linksfield-csss', '--purpose', 'callback');
    expect(markOf('linksfield-csss/callback')).toBe('key and path-token');
    expect(markOf('linksfield-csss/api')).toBeUndefined();
  });

  it('keeps the secret and the path token on the screen when the mark fails, and mends it by secrets mark', async () => {
    at().refuse('ssm:PutParameter', 'AccessDeniedException');
    const said = await set('--path-token');
    expect(said.code).toBe(5);
    expect(said.out).toMatch(/path token, .*: [0-9a-f]{32}\n/);
    expect(said.err).toMatch(
      /^simhook: the secret is kept .* \/simhook\/shop\/eiotclub\/callback could not be written; run npx simhook secrets mark --stage shop .*: these credentials lack ssm:PutParameter.*\n$/,
    );
    expect((await run('secrets', 'list')).out).toMatch(
      /eiotclub +callback +no key, path token set; its mark is not/,
    );
    at().refuse('ssm:PutParameter', null);
    expect(await run('secrets', 'mark')).toMatchObject({ code: 0 });
    expect(markOf('eiotclub/callback')).toBe('path-token');
    expect((await run('secrets', 'list')).out).not.toContain('its mark');
  });

  it('writes no mark when the secret could not be written', async () => {
    at().refuse('secretsmanager:PutSecretValue', 'AccessDeniedException');
    const said = await set();
    expect(said).toMatchObject({ code: 5, out: '' });
    expect(said.err).toContain('lack secretsmanager:GetSecretValue and secretsmanager:PutSecretValue');
    expect(at().calls).not.toContain('ssm:PutParameter');
  });

  it('marks what was put in by the console, and takes the mark of what was emptied', async () => {
    at().secrets.set('simhook/shop/eiotclub/api', JSON.stringify({ keys: [{ keyId: 'k', value: key }] }));
    await set();
    at().secrets.set('simhook/shop/eiotclub/callback', null);
    const said = await run('secrets', 'mark', '--json');
    expect(said.code).toBe(0);
    expect(said.json).toContainEqual({ provider: 'eiotclub', purpose: 'api', mark: 'key' });
    expect([...at().parameters.keys()]).toEqual(['/simhook/shop/eiotclub/api']);
  });

  it('says so when the stage is not deployed there, and touches nothing', async () => {
    at().secrets.clear();
    const said = await set();
    expect(said).toMatchObject({ code: 1 });
    expect(said.err).toBe(
      'simhook: the stage has no such secret: deploy its state stack first, or check --stage and --region\n',
    );
    expect((await run('secrets', 'mark')).err).toContain('no secret of the stage shop holds anything');
    expect(at().parameters.size).toBe(0);
  });
});
