import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpsShop, openOpsShop, stageInput } from './ops-shop.ts';

let on: OpsShop;
beforeEach(async () => {
  on = await openOpsShop();
});
afterEach(() => on.close());

const hour = 3_600_000;

/** The id of a forged callback that came and was refused. */
async function forged(): Promise<string> {
  const sent = await on.run('send', 'eiotclub', 'FlowAlert', '--forged', '--url', on.front.url);
  expect(sent).toMatchObject({ code: 0 });
  const { json } = await on.run('quarantine', 'list', '--json');
  expect(json).toMatchObject([{ provider: 'eiotclub', reason: 'wrong-signature', admitted: null }]);
  return String(json[0]?.quarantineId);
}

describe('explain of a quarantined callback', () => {
  it.each([['--quarantined'], []])(
    'takes its id (%s), without a secret in what it says',
    async (...option) => {
      const id = await forged();
      const said = await on.run('explain', ...option, id);
      expect(said.code).toBe(1);
      expect(said.out).toContain('wrong-signature');
      expect(said.out).toContain('<secret>');
      const secret = stageInput('http://h').providers.eiotclub?.secrets?.callback?.[0]?.value;
      expect(said.out + said.err).not.toContain(String(secret));
    },
  );

  it('judges it as of the moment at which it came, days later, and with the secrets of now', async () => {
    const id = await forged();
    on.clock.advance(100 * hour);
    const later = await on.run('explain', id, '--json');
    expect(later.json[0]).toMatchObject({ received: { ok: false, reason: 'wrong-signature' } });
    const good = await on.run('send', 'eiotclub', 'FlowAlert', '--url', on.front.url);
    expect(good).toMatchObject({ code: 0 });
    const [event] = (await on.run('events', '--json')).json;
    on.clock.advance(100 * hour);
    expect(await on.run('explain', String(event?.eventId))).toMatchObject({ code: 0 });
    const stale = await on.run('explain', String(event?.eventId), '--at', 'now', '--json');
    expect(stale).toMatchObject({ code: 1, json: [{ received: { reason: 'stale-timestamp' } }] });
  });

  it.each([
    [['qua_nope'], 3, 'there is no quarantined callback qua_nope'],
    [['--quarantined', 'nope'], 3, 'there is no quarantined callback nope'],
    [['evt_nope'], 3, 'there is no event evt_nope'],
    [['qua_nope', '--event', 'evt_nope'], 2, 'takes one thing'],
    [[], 2, 'nothing to explain'],
  ] as const)('answers %j with one line', async (argv, code, text) => {
    const said = await on.run('explain', ...argv);
    expect(said).toMatchObject({ code, out: '' });
    expect(said.err.trim().split('\n')).toHaveLength(1);
    expect(said.err).toContain(text);
  });
});
