import { describe, expect, it } from 'vitest';
import { checkDeployable, loadStage, RefusedStageError, type Target } from '../../infra/aws/stage-file.ts';
import production, { aws as productionAws } from '../../infra/stages/production.ts';
import { offline } from './synthesized.ts';

const source = { fileName: 'infra/stages/production.ts', text: null };

function check(change: { input?: object; aws?: object; name?: string }, target: Target = offline): string {
  try {
    checkDeployable(
      {
        name: change.name ?? 'production',
        input: { ...production, ...change.input },
        aws: { ...productionAws, ...change.aws },
        source,
      },
      target,
    );
    return 'accepted';
  } catch (error) {
    if (error instanceof RefusedStageError) return error.message;
    throw error;
  }
}

const csss = production.providers['linksfield-csss'];
const secret = { callback: [], api: [{ value: 'sekrit-key' }], pathToken: null };

describe('a stage before it is deployed', () => {
  it('is accepted as it stands', () => {
    expect(check({})).toBe('accepted');
  });

  it.each([
    [
      'an invalid rule',
      { input: { rules: [{ ...production.rules[0], cooldown: '12 hours' }] } },
      /"renew-low-data" cooldown: .*12h/,
    ],
    [
      'a rule of an unknown provider',
      { input: { rules: [{ ...production.rules[0], provider: 'airalo' }] } },
      /no provider "airalo"/,
    ],
    [
      'a rule without a price limit',
      { input: { rules: [{ ...production.rules[0], maxCost: undefined }] } },
      /maxCost/,
    ],
    [
      'an unknown provider',
      { input: { providers: { airalo: csss }, rules: [] } },
      /there is no provider "airalo"/,
    ],
    [
      'no provider at all',
      { input: { providers: {}, rules: [] }, aws: { silence: {} } },
      /needs at least one/,
    ],
    [
      'a name that is not the file’s',
      { input: { name: 'staging' } },
      /name is "staging"; it must be "production"/,
    ],
    [
      'plain http',
      {
        input: {
          providers: {
            'linksfield-csss': { ...csss, settings: { accessCode: 'P1', baseUrl: 'http://127.0.0.1:1' } },
          },
          rules: [],
        },
        aws: { silence: {} },
      },
      /https addresses only/,
    ],
    [
      'a call that outlives its function',
      {
        input: {
          providers: {
            ...production.providers,
            'linksfield-csss': { ...csss, limits: { callTimeout: '21s' } },
          },
        },
      },
      /linksfield-csss.limits.callTimeout: .*20s/,
    ],
    ['a malformed account', { aws: { account: '123' } }, /aws.account: an account is 12 digits/],
    ['an unknown AWS setting', { aws: { acount: '111122223333' } }, /acount/],
    [
      'a gap that CloudWatch can’t watch',
      { aws: { silence: { eiotclub: '90m' } } },
      /aws.silence.eiotclub: must be whole hours from 1h to 24h/,
    ],
    ['a gap of a provider that is not there', { aws: { silence: { airalo: '2h' } } }, /no such provider/],
  ])('is refused with one clear line for %s', (_what, change, expected) => {
    const answer = check(change);
    expect(answer).toMatch(expected);
    expect(answer.split('\n')).toHaveLength(1);
  });

  it('is refused when it holds secrets, which are not repeated', () => {
    const answer = check({
      input: { providers: { ...production.providers, 'linksfield-csss': { ...csss, secrets: secret } } },
    });
    expect(answer).toMatch(
      /linksfield-csss.secrets: a deployed stage holds none; use npx simhook secrets set/,
    );
    expect(answer).not.toContain('sekrit');
  });

  it('goes to its own account and region only', () => {
    const aws = { account: '111122223333', region: 'eu-central-1' };
    const at = (account: string, region: string) => check({ aws }, { account, region });
    expect(at('111122223333', 'eu-central-1')).toBe('accepted');
    expect(at('444455556666', 'eu-central-1')).toMatch(
      /belongs to 111122223333, but the credentials are for 444455556666/,
    );
    expect(at('111122223333', 'us-east-1')).toMatch(/aws.region: the stage belongs to eu-central-1/);
    expect(check({ aws })).toBe('accepted');
  });

  it.each([
    ['prod', /there is no stage "prod"; infra\/stages has local, production/],
    ['../aws/deployment', /there is no stage/],
    [undefined, /name a stage: -c stage=<name>/],
    ['local', /https addresses only/],
  ])('is refused by the name %s', async (name, expected) => {
    await expect(loadStage(name, offline)).rejects.toThrow(expected);
  });
});
