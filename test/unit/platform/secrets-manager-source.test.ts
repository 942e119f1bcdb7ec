import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type DurationMs, durationMs, type EpochMs, epochMs } from '../../../shared/core/time.ts';
import {
  createSecretsManagerSource,
  failureFloor,
  readSecretValue,
  rereadFloor,
  SecretUnusableError,
  secretFreshFor,
  secretStaleFor,
} from '../../../shared/platform/secrets-manager-source.ts';

const text = (...values: string[]): string =>
  JSON.stringify({ keys: values.map((value) => ({ keyId: null, value })), pathToken: null });

/** A vault of one secret whose answers the test chooses, and a clock that the test turns. */
function vault(first: string | Error) {
  let answer = first;
  let now = epochMs(1_700_000_000_000);
  const fetched: string[] = [];
  const source = createSecretsManagerSource({
    fetchSecret: async (id) => {
      fetched.push(id);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    secretIds: { callback: { eiotclub: 'arn:callback-eiotclub' } },
    clock: () => now,
  });
  return {
    source,
    fetched,
    answer: (next: string | Error) => {
      answer = next;
    },
    pass: (span: DurationMs) => {
      now = (now + span) as EpochMs;
    },
    keys: async () => (await source.read('eiotclub', 'callback')).keys.map(({ secret }) => secret.reveal()),
  };
}

const outage = Object.assign(new Error('connect timed out'), { name: 'TimeoutError' });
const noValue = Object.assign(new Error('no AWSCURRENT'), { name: 'ResourceNotFoundException' });
const just = (span: DurationMs): DurationMs => durationMs(span - 1);

describe('secrets manager source', () => {
  it('reads a secret once while it is fresh, and again after that', async () => {
    const v = vault(text('a'));
    expect(await v.keys()).toEqual(['a']);
    v.answer(text('b', 'a'));
    v.pass(just(secretFreshFor));
    expect(await v.keys()).toEqual(['a']);
    v.pass(durationMs(1));
    expect(await v.keys()).toEqual(['b', 'a']);
    expect(v.fetched).toEqual(['arn:callback-eiotclub', 'arn:callback-eiotclub']);
  });

  it('shares one call between callers that come at once', async () => {
    const v = vault(text('a'));
    await Promise.all([v.keys(), v.keys(), v.source.reread('eiotclub', 'callback')]);
    expect(v.fetched).toHaveLength(1);
  });

  it('reads anew at once when a signature failed, but not more often than its floor', async () => {
    const v = vault(text('old'));
    await v.keys();
    v.answer(text('new', 'old'));
    expect(await v.source.reread('eiotclub', 'callback')).toBeNull();
    v.pass(rereadFloor);
    const fresh = await v.source.reread('eiotclub', 'callback');
    expect(fresh?.keys.map(({ secret }) => secret.reveal())).toEqual(['new', 'old']);
    for (let i = 0; i < 100; i++) expect(await v.source.reread('eiotclub', 'callback')).toBeNull();
    expect(v.fetched).toHaveLength(2);
    expect(await v.keys()).toEqual(['new', 'old']);
  });

  it('uses the last good value during an outage, but not for ever', async () => {
    const v = vault(text('a'));
    await v.keys();
    v.answer(outage);
    v.pass(just(secretStaleFor));
    expect(await v.keys()).toEqual(['a']);
    v.pass(durationMs(failureFloor + 1));
    await expect(v.keys()).rejects.toMatchObject({ code: 'unreachable-secret' });
    v.answer(text('b'));
    v.pass(failureFloor);
    expect(await v.keys()).toEqual(['b']);
  });

  it('does not use an old value once the new one is unreadable, since someone took the old one away', async () => {
    const v = vault(text('a'));
    await v.keys();
    v.answer('oops');
    v.pass(secretFreshFor);
    await expect(v.keys()).rejects.toMatchObject({ code: 'unreadable-secret' });
  });

  it('does not call again for each callback while a secret has no value', async () => {
    const v = vault(noValue);
    for (let i = 0; i < 50; i++)
      await expect(v.keys()).rejects.toThrow(/has no value yet; set it with: npx simhook secrets set/);
    await expect(v.source.reread('eiotclub', 'callback')).rejects.toBeInstanceOf(SecretUnusableError);
    expect(v.fetched).toHaveLength(1);
    v.answer(text('a'));
    v.pass(failureFloor);
    expect(await v.keys()).toEqual(['a']);
  });

  it('refuses a provider and a purpose that this function was not given, and says what it has', async () => {
    const v = vault(text('a'));
    await expect(v.source.read('eiotclub', 'api')).rejects.toThrow(
      /no api secret of eiotclub.*callback of eiotclub/,
    );
    await expect(v.source.read('other', 'callback')).rejects.toThrow(/no callback secret of other/);
    expect(v.fetched).toEqual([]);
  });

  it('keeps the path token and the names of keys', async () => {
    const v = vault(
      JSON.stringify({ keys: [{ keyId: 'k2', value: 'b' }], pathToken: 'a-token-of-20-letters' }),
    );
    const set = await v.source.read('eiotclub', 'callback');
    expect(set.keys[0]?.keyId).toBe('k2');
    expect(set.pathToken?.reveal()).toBe('a-token-of-20-letters');
    expect(inspect(set, { depth: 9 }) + JSON.stringify(set)).not.toContain('a-token-of-20-letters');
  });
});

describe('the text of a secret', () => {
  it.each([
    ['a generated placeholder', 'hunter2-placeholder'],
    ['a generated JSON placeholder', '{"password":"hunter2"}'],
    ['an empty text', ''],
    ['no key and no token', '{"keys":[],"pathToken":null}'],
    ['an empty key', '{"keys":[{"keyId":null,"value":""}]}'],
    ['a short path token', '{"keys":[],"pathToken":"hunter2"}'],
    ['a key that is not text', '{"keys":[{"keyId":null,"value":123456789}]}'],
    ['a bare list', '["hunter2"]'],
    ['too many keys', JSON.stringify({ keys: Array(11).fill({ keyId: null, value: 'hunter2' }) })],
    ['an unknown member', '{"keys":[{"keyId":null,"value":"hunter2"}],"hunter2":1}'],
  ])('refuses %s without quoting it', (_what, value) => {
    const reading = readSecretValue(value);
    expect(reading.ok).toBe(false);
    expect(reading.ok ? '' : reading.problem).not.toMatch(/hunter2|123456789/);
  });
});
