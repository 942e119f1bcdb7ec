import { describe, expect, it } from 'vitest';
import { envSchema as receiveEnv } from '../../../functions/receive/env.ts';
import { envSchema as sweepEnv } from '../../../functions/sweep/env.ts';
import { readEnv } from '../../../shared/platform/env.ts';

const receive = {
  AWS_REGION: 'eu-central-1',
  TABLE_NAME: 'simhook-production',
  EVENTS_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/111122223333/events',
  CALLBACK_SECRET_IDS: '{"eiotclub":"arn:1"}',
};

describe('a function’s environment', () => {
  it('is read as its schema says, maps parsed and endpoints left out', () => {
    const env = readEnv('receive', receiveEnv, { ...receive, PATH: '/bin' });
    expect(env).toEqual({ ...receive, CALLBACK_SECRET_IDS: { eiotclub: 'arn:1' } });
  });

  it.each([
    [
      'a missing variable',
      { TABLE_NAME: undefined },
      /^receive: environment variable TABLE_NAME is not set\./,
    ],
    ['an empty one', { TABLE_NAME: '' }, /TABLE_NAME is wrong/],
    ['the region that Lambda sets', { AWS_REGION: undefined }, /AWS_REGION is not set/],
    ['a queue that is no URL', { EVENTS_QUEUE_URL: 'events' }, /EVENTS_QUEUE_URL is wrong/],
    [
      'a map that is no JSON',
      { CALLBACK_SECRET_IDS: 'eiotclub' },
      /CALLBACK_SECRET_IDS is wrong \(must be a JSON object of texts\)/,
    ],
    ['a map of something else', { CALLBACK_SECRET_IDS: '{"eiotclub":1}' }, /CALLBACK_SECRET_IDS is wrong/],
    ['a map that is a list', { CALLBACK_SECRET_IDS: '["a"]' }, /CALLBACK_SECRET_IDS is wrong/],
  ])('is refused for %s, by name', (_what, change, expected) => {
    expect(() => readEnv('receive', receiveEnv, { ...receive, ...change })).toThrow(expected);
  });

  it('names every variable that is wrong at once, without its value', () => {
    const read = () => readEnv('receive', receiveEnv, { CALLBACK_SECRET_IDS: 'sekrit' });
    expect(read).toThrow(
      /TABLE_NAME is not set; .*EVENTS_QUEUE_URL is not set; .*CALLBACK_SECRET_IDS is wrong.*AWS_REGION/,
    );
    expect(read).not.toThrow(/sekrit/);
  });

  it.each(['', 'no json', '{}', '[1]'])('refuses a list of providers that reads %j', (text) => {
    const sweep = { ...receive, STAGE_NAME: 'production', ACTIONS_QUEUE_URLS: '{}', ABSENT_PROVIDERS: text };
    expect(() => readEnv('sweep', sweepEnv, sweep)).toThrow(/ABSENT_PROVIDERS is wrong/);
  });
});
