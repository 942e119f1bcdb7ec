import { afterEach, describe, expect, it, vi } from 'vitest';
import { bodyBytesMax } from '../../../functions/receive/receive.ts';
import { sweep } from '../../../functions/sweep/sweep.ts';
import { after, days, epochMs, hours, minutes, seconds } from '../../../shared/core/time.ts';
import type { HttpLambdaResult } from '../../../shared/lambda/http-event.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import { QueueError } from '../../../shared/queue/errors.ts';
import { Secret } from '../../../shared/signing/index.ts';
import { StoreError } from '../../../shared/store/errors.ts';
import { loadEvent, loadEvidence } from '../../../shared/store/event-store.ts';
import {
  csss,
  cube,
  cubeKeyId,
  flowAlert,
  noon,
  openReceiver,
  type Receiver,
  secrets,
  signed,
} from './receiver.ts';

let opened: Receiver[] = [];
const open: typeof openReceiver = (changes) => {
  const receiver = openReceiver(changes);
  opened.push(receiver);
  return receiver;
};
afterEach(async () => {
  const receivers = opened;
  opened = [];
  for (const { lines, table } of receivers) {
    await table.close();
    // Whatever a test sent: no secret, signature or body may stand in a log line.
    const said = JSON.stringify(lines);
    const bodies = ['"sign\\":', '98.5', 'FlowAlert', '89852000263320817044', 'x-lf-md5', 'alert_value'];
    for (const text of [...Object.values(secrets), ...bodies]) expect(said).not.toContain(text);
  }
});

/** A refusal: the status, nothing in the answer, the reason in the log only, nothing stored, nothing queued. */
async function expectRefused(
  receiver: Receiver,
  result: HttpLambdaResult,
  status: number,
  reason: string,
): Promise<void> {
  expect(result).toEqual({ statusCode: status, headers: {}, body: '' });
  expect(receiver.lines.filter((line) => line.message === 'callback rejected')).toMatchObject([
    { level: 'warn', fields: { status, reason, requestId: 'request-1' } },
  ]);
  expect(receiver.notices).toMatchObject([{ status, reason, events: [] }]);
  expect(receiver.rows('EVENT#')).toEqual([]);
  expect(await receiver.queued()).toEqual([]);
}

describe('a good callback', () => {
  it('is stored with its bytes, queued once, and answered with what the provider wants to read', async () => {
    const receiver = open();
    const body = signed();
    const result = await receiver.send({ body });
    expect(result.statusCode).toBe(200);
    const [queued] = await receiver.queued();
    const { id } = JSON.parse(queued ?? '{}') as { id: string };
    const row = await loadEvent(receiver.table, id);
    expect(row?.value).toMatchObject({
      state: 'recorded',
      event: {
        provider: 'eiotclub',
        providerType: 'FlowAlert',
        facts: { kind: 'usage-alert', alert: 'low-data', value: '98.5' },
        subject: { simId: '89852000263320817044' },
        proof: { kind: 'signed', scheme: 'eiotclub' },
        occurredAt: noon,
        receivedAt: noon,
      },
    });
    const evidence = row === null ? null : await loadEvidence(receiver.table, row.value);
    expect(Buffer.from(evidence?.body ?? []).toString('utf8')).toBe(body);
    expect(evidence?.headers).toEqual({ 'content-type': 'application/json' });
  });

  it('is answered with the body that the stage sets', async () => {
    const receiver = open();
    const acknowledgement = { contentType: 'text/plain', body: 'SUCCESS' };
    const providers = receiver.deps.providers.map((p) => ({
      ...p,
      callbacks: { ...p.callbacks, acknowledgement },
    }));
    const changed = open({ providers });
    expect(await changed.send({ body: signed() })).toEqual({
      statusCode: 200,
      headers: { 'content-type': 'text/plain' },
      body: 'SUCCESS',
    });
  });

  it('is understood in Base64, as API Gateway hands over what it takes for binary', async () => {
    const receiver = open();
    const body = Buffer.from(signed(flowAlert({ note: '中国 é 😀' }))).toString('base64');
    expect((await receiver.send({ body, isBase64Encoded: true })).statusCode).toBe(200);
    expect(receiver.rows('EVENT#')).toHaveLength(1);
  });

  it('is the same event in Base64 and as text', async () => {
    const receiver = open();
    const body = signed();
    await receiver.send({ body });
    await receiver.send({ body: Buffer.from(body).toString('base64'), isBase64Encoded: true });
    expect(receiver.rows('EVENT#')).toHaveLength(1);
    expect(await receiver.queued()).toHaveLength(1);
  });

  it.each([
    'application/json',
    'application/json; charset=UTF-8',
    'Application/JSON',
    'text/plain;charset=utf-8',
    'application/cloudevents+json',
  ])('may be called %s', async (type) => {
    const receiver = open();
    const result = await receiver.send({ body: signed(), headers: { 'content-type': type } });
    expect(result.statusCode).toBe(200);
  });

  it('may come without a content type, and with a slash at the end of its path', async () => {
    const receiver = open();
    expect((await receiver.send({ body: signed(), headers: {} })).statusCode).toBe(200);
    expect((await receiver.send({ body: signed(), rawPath: '/callbacks/eiotclub/' })).statusCode).toBe(200);
  });

  it('of Cube is accepted with its signed headers', async () => {
    const receiver = open();
    expect((await receiver.send(cube(noon))).statusCode).toBe(200);
    expect(receiver.notices[0]?.events[0]?.proof).toMatchObject({
      kind: 'signed',
      scheme: 'linksfield-cube',
    });
  });
});

describe('a repeated callback', () => {
  it('is answered 200 without queueing it twice', async () => {
    const receiver = open();
    await receiver.send({ body: signed() });
    const again = await receiver.send({ body: signed() }, after(noon, hours(1)));
    expect(again.statusCode).toBe(200);
    expect(receiver.rows('EVENT#')).toHaveLength(1);
    expect(await receiver.queued()).toHaveLength(1);
    expect(receiver.notices.at(-1)).toMatchObject({ status: 200, duplicates: 1 });
  });

  it('signed afresh, with another nonce and time, is still the same fact', async () => {
    const receiver = open();
    await receiver.send({ body: signed() });
    const afresh = flowAlert({ nonce: 54_321, timestamp: Math.floor(noon / 1_000) + 300 });
    await receiver.send({ body: signed(afresh) }, after(noon, seconds(300)));
    expect(receiver.rows('EVENT#')).toHaveLength(1);
  });

  it('under another delivery id is another fact', async () => {
    const receiver = open();
    await receiver.send({ body: signed() });
    await receiver.send({ body: signed(flowAlert({ id: 'delivery-000000000002' })) });
    expect(receiver.rows('EVENT#')).toHaveLength(2);
  });

  it('twenty times at once is stored and queued once', async () => {
    const receiver = open();
    const body = signed();
    const results = await Promise.all(Array.from({ length: 20 }, () => receiver.send({ body })));
    expect(new Set(results.map((r) => r.statusCode))).toEqual(new Set([200]));
    expect(receiver.rows('EVENT#')).toHaveLength(1);
    expect(await receiver.queued()).toHaveLength(1);
  });
});

describe('one callback about several SIMs', () => {
  const list = (...iccids: string[]) => ({
    event: 'PkgQuantityList',
    id: 'delivery-list',
    timestamp: Math.floor(noon / 1_000),
    nonce: 1,
    data: iccids.map((iccid) => ({ iccid, packageCode: 'PKG001' })),
  });

  it('becomes one event per SIM with one evidence row', async () => {
    const receiver = open();
    const iccids = Array.from({ length: 23 }, (_, i) => `8985200026332081${String(i).padStart(4, '0')}`);
    expect((await receiver.send({ body: signed(list(...iccids)) })).statusCode).toBe(200);
    expect(receiver.rows('EVENT#')).toHaveLength(23);
    expect(receiver.rows('CALLBACK#')).toHaveLength(1);
    expect(await receiver.queued()).toHaveLength(23);
    const sims = receiver.notices[0]?.events.map((event) => event.subject?.simId);
    expect(sims).toEqual(iccids);
  });

  it('of which some are stored already queues the others only', async () => {
    let writes = 0;
    const whole = open();
    const table = {
      ...whole.table,
      write: (changes: Parameters<typeof whole.table.write>[0]) => {
        writes += 1;
        // The store goes away in the middle of the list.
        if (writes === 3) throw new StoreError('unavailable', 'gone');
        return whole.table.write(changes);
      },
    };
    const body = signed(list('89852000263320810001', '89852000263320810002', '89852000263320810003'));
    const broken = { ...whole, deps: { ...whole.deps, table } };
    const first = open({ ...broken.deps });
    expect((await first.send({ body })).statusCode).toBe(503);
    const stored = whole.rows('EVENT#').length;
    expect(stored).toBe(2);
    expect(await whole.queued()).toEqual([]);
    expect((await whole.send({ body })).statusCode).toBe(200);
    expect(whole.rows('EVENT#')).toHaveLength(3);
    expect(whole.notices.at(-1)).toMatchObject({ duplicates: 2 });
    expect(await whole.queued()).toHaveLength(1);
  });
});

describe('a signature', () => {
  it('that is wrong: 401', async () => {
    const receiver = open();
    const result = await receiver.send({ body: signed(flowAlert(), 'another-secret') });
    await expectRefused(receiver, result, 401, 'wrong-signature');
  });

  it('over another body: 401', async () => {
    const receiver = open();
    const result = await receiver.send({ body: signed().replace('"98.5"', '"98.6"') });
    await expectRefused(receiver, result, 401, 'wrong-signature');
  });

  it('that is missing: 401', async () => {
    const receiver = open();
    await expectRefused(
      receiver,
      await receiver.send({ body: JSON.stringify(flowAlert()) }),
      401,
      'missing-signature',
    );
  });

  it.each([
    ['linksfield-cube', 0],
    ['eiotclub', 1],
  ])(
    'that is missing: the body is taken apart only where the signature would stand in it (%s: %i times)',
    async (id, times) => {
      const receiver = open();
      const body = JSON.stringify({ padding: 'x'.repeat(20_000) });
      const decode = vi.spyOn(TextDecoder.prototype, 'decode');
      const result = await receiver.send({ rawPath: `/callbacks/${id}`, body });
      const decoded = decode.mock.calls.filter(([bytes]) => bytes?.byteLength === body.length);
      decode.mockRestore();
      await expectRefused(receiver, result, 401, 'missing-signature');
      expect(decoded).toHaveLength(times);
    },
  );

  it('that is missing where unsigned is accepted, but the path holds no secret: 401', async () => {
    const receiver = open();
    const providers = receiver.deps.providers.map((p) => ({
      ...p,
      callbacks: { ...p.callbacks, acceptUnsigned: true },
    }));
    const open_ = open({ providers });
    await expectRefused(
      open_,
      await open_.send({ body: JSON.stringify(flowAlert()) }),
      401,
      'missing-signature',
    );
  });

  it('that is missing where unsigned is accepted on a secret path: 200, and marked as unsigned', async () => {
    const receiver = open();
    const { rawPath, body } = csss({ status: '1008', order_id: 'L1', device_id: '89852022018041800192' });
    expect((await receiver.send({ rawPath, body })).statusCode).toBe(200);
    expect(receiver.notices[0]?.events[0]).toMatchObject({
      proof: { kind: 'unsigned' },
      facts: { status: 'expired' },
    });
  });

  it('that is present and wrong is never taken for unsigned, even where unsigned is accepted', async () => {
    const receiver = open();
    const forged = csss({ status: '1008', order_id: 'L1', device_id: '89852022018041800192' }, 'guessed');
    await expectRefused(receiver, await receiver.send(forged), 401, 'wrong-signature');
  });

  it('by a key id that is not ours: 401', async () => {
    const receiver = open();
    const result = await receiver.send(cube(noon, '0'.repeat(32)));
    await expectRefused(receiver, result, 401, 'unknown-key');
  });

  it.each([
    ['a time beyond the age that is accepted', -hours(72) - 1_000, 'stale-timestamp'],
    ['a time in the future', minutes(10) + 1_000, 'future-timestamp'],
  ])('with %s: 401', async (_what, off, reason) => {
    const receiver = open();
    const timestamp = Math.floor((noon + off) / 1_000);
    await expectRefused(
      receiver,
      await receiver.send({ body: signed(flowAlert({ timestamp })) }),
      401,
      reason,
    );
    const other = open();
    await expectRefused(other, await other.send(cube(timestamp * 1_000)), 401, reason);
  });

  it.each([-hours(72), minutes(10)])('with a time just inside the limit (%i ms) is accepted', async (off) => {
    const receiver = open();
    const timestamp = Math.floor((noon + off) / 1_000);
    expect((await receiver.send({ body: signed(flowAlert({ timestamp })) })).statusCode).toBe(200);
  });

  it('with a time that nobody can read: 401', async () => {
    const receiver = open();
    const result = await receiver.send({ body: signed(flowAlert({ timestamp: 'yesterday' })) });
    await expectRefused(receiver, result, 401, 'malformed-timestamp');
  });

  it('is never good while the provider has no secret', async () => {
    const receiver = open();
    receiver.sets.set('eiotclub', { keys: [], pathToken: null });
    await expectRefused(receiver, await receiver.send({ body: signed() }), 401, 'no-secret');
  });

  it('is found under its header name in lower case, as the gateway hands it over', async () => {
    const receiver = open();
    const good = csss({ status: '1008', order_id: 'L1', device_id: '89852022018041800192' });
    expect((await receiver.send(good)).statusCode).toBe(200);
    expect(receiver.notices[0]?.events[0]?.proof.kind).toBe('signed');
  });
});

describe('a rotation of secrets', () => {
  const both = (): Receiver => {
    const receiver = open();
    const keys = [secrets.eiotclub, secrets.old].map((value) => ({ keyId: null, secret: new Secret(value) }));
    receiver.sets.set('eiotclub', { keys, pathToken: null });
    return receiver;
  };

  it('accepts both live secrets', async () => {
    const receiver = both();
    expect((await receiver.send({ body: signed(flowAlert(), secrets.old) })).statusCode).toBe(200);
    expect((await receiver.send({ body: signed(flowAlert({ id: 'delivery-2' })) })).statusCode).toBe(200);
    expect(receiver.rereads).toEqual([]);
  });

  it('reads the secrets anew once when no key fits, and accepts what the fresh key proves', async () => {
    const receiver = open();
    const fresh = { keys: [{ keyId: null, secret: new Secret('brand-new-secret') }], pathToken: null };
    let rereads = 0;
    const deps = {
      ...receiver.deps,
      secrets: {
        ...receiver.deps.secrets,
        reread: async () => {
          rereads += 1;
          return fresh;
        },
      },
    };
    const rotated = open(deps);
    expect((await rotated.send({ body: signed(flowAlert(), 'brand-new-secret') })).statusCode).toBe(200);
    expect(rereads).toBe(1);
    const forged = await rotated.send({ body: signed(flowAlert({ id: 'x' }), 'nobody-knows') });
    expect([forged.statusCode, rereads]).toEqual([401, 2]);
  });

  it('does not read anew for what no key could prove', async () => {
    const receiver = open();
    const stale = flowAlert({ timestamp: Math.floor(noon / 1_000) - 86_400 * 9 });
    await receiver.send({ body: signed(stale) });
    await receiver.send({ body: '{' });
    await receiver.send({ body: JSON.stringify(flowAlert()) });
    expect(receiver.rereads).toEqual([]);
  });
});

describe('a body', () => {
  const filled = (bytes: number): string => {
    const room = bytes - Buffer.byteLength(signed(flowAlert({ pad: '' })));
    return signed(flowAlert({ pad: 'x'.repeat(room) }));
  };

  it('of exactly the limit is read', async () => {
    const receiver = open();
    const body = filled(bodyBytesMax);
    expect(Buffer.byteLength(body)).toBe(bodyBytesMax);
    expect((await receiver.send({ body })).statusCode).toBe(200);
    expect(receiver.rows('CALLBACK#')).toHaveLength(1);
  });

  it('one byte above the limit: 413', async () => {
    const receiver = open();
    await expectRefused(
      receiver,
      await receiver.send({ body: filled(bodyBytesMax + 1) }),
      413,
      'body-too-large',
    );
  });

  it('above the limit in bytes, though not in characters: 413', async () => {
    const receiver = open();
    const body = `{"note":"${'中'.repeat(bodyBytesMax / 2)}"}`;
    expect(body.length).toBeLessThan(bodyBytesMax);
    await expectRefused(receiver, await receiver.send({ body }), 413, 'body-too-large');
  });

  it('that declares more than the limit: 413 before anything is decoded', async () => {
    const receiver = open();
    const headers = { 'content-type': 'application/json', 'content-length': String(bodyBytesMax + 1) };
    await expectRefused(receiver, await receiver.send({ body: signed(), headers }), 413, 'body-too-large');
  });

  it('above the limit in Base64: 413', async () => {
    const receiver = open();
    const body = Buffer.alloc(bodyBytesMax + 1, 0x20).toString('base64');
    await expectRefused(
      receiver,
      await receiver.send({ body, isBase64Encoded: true }),
      413,
      'body-too-large',
    );
  });

  it.each([
    ['that is not JSON', 'event=FlowAlert&iccid=1'],
    ['that is cut off', signed().slice(0, -5)],
    ['that is no object', '"FlowAlert"'],
    ['with a member twice', signed().replace('{', '{"event":"CardStopped",')],
  ])('%s: 400', async (_what, body) => {
    const receiver = open();
    await expectRefused(receiver, await receiver.send({ body }), 400, 'malformed-body');
  });

  it('that is not UTF-8: 400', async () => {
    const receiver = open();
    const bytes = Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const result = await receiver.send({ body: bytes.toString('base64'), isBase64Encoded: true });
    await expectRefused(receiver, result, 400, 'malformed-body');
  });

  it.each([undefined, ''])('that is empty (%j): 400', async (body) => {
    const receiver = open();
    await expectRefused(receiver, await receiver.send(body === undefined ? {} : { body }), 400, 'empty-body');
  });

  it('unsigned and unreadable: 400', async () => {
    const receiver = open();
    const { rawPath } = csss({ a: 'b' });
    await expectRefused(receiver, await receiver.send({ rawPath, body: '{"a":1' }), 400, 'not-json');
  });

  it.each([
    'text/html',
    'application/xml',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    '',
  ])('called %j: 415', async (type) => {
    const receiver = open();
    const result = await receiver.send({ body: signed(), headers: { 'content-type': type } });
    await expectRefused(receiver, result, 415, 'wrong-content-type');
  });

  it('that is signed but says something unknown is kept and named unknown', async () => {
    const receiver = open();
    expect((await receiver.send({ body: signed(flowAlert({ event: 'BrandNewEvent' })) })).statusCode).toBe(
      200,
    );
    expect(receiver.notices[0]?.events[0]?.facts).toEqual({ kind: 'unknown' });
  });
});

describe('a path or method', () => {
  it.each([
    '/',
    '/callbacks',
    '/callbacks/nobody',
    '/callbacks/eiotclubs',
    '/callbacks/eiotclub/extra',
    '//callbacks/eiotclub',
    '/CALLBACKS/EIOTCLUB',
  ])('that no provider has (%s): 404', async (rawPath) => {
    const receiver = open();
    const result = await receiver.send({ rawPath, body: signed() });
    expect(result).toEqual({ statusCode: 404, headers: {}, body: '' });
    expect(receiver.rows('')).toEqual([]);
  });

  it('with a wrong, missing or longer token: 404, as if nobody had the path', async () => {
    for (const token of ['', '/', '/wrong', `/${secrets.pathToken}x`, `/${secrets.pathToken}/x`]) {
      const receiver = open();
      const good = csss({ status: '1008', order_id: 'L1', device_id: '89852022018041800192' });
      const result = await receiver.send({ ...good, rawPath: `/callbacks/linksfield-csss${token}` });
      await expectRefused(receiver, result, 404, 'wrong-path-token');
    }
  });

  it('GET and HEAD: 200 that tells nothing and stores nothing', async () => {
    for (const method of ['GET', 'HEAD']) {
      const receiver = open();
      const result = await receiver.send({ method });
      expect(result).toMatchObject({ statusCode: 200, body: method === 'HEAD' ? '' : 'ok' });
      expect(receiver.lines).toMatchObject([
        { level: 'info', message: 'handshake answered', fields: { method } },
      ]);
      expect(receiver.rows('')).toEqual([]);
      expect((await receiver.send({ method, rawPath: '/callbacks/linksfield-csss/guess' })).statusCode).toBe(
        404,
      );
    }
  });

  it.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'])('%s: 405', async (method) => {
    const receiver = open();
    await expectRefused(receiver, await receiver.send({ method, body: signed() }), 405, 'wrong-method');
  });
});

describe('when something is down', () => {
  it('answers 503 for a good callback while the store is down, so that the provider tries again', async () => {
    const whole = open();
    const table = { ...whole.table, write: () => Promise.reject(new StoreError('unavailable', 'gone')) };
    const receiver = open({ ...whole.deps, table });
    const result = await receiver.send({ body: signed() });
    expect(result).toEqual({ statusCode: 503, headers: { 'retry-after': '5' }, body: '' });
    expect(await whole.queued()).toEqual([]);
    expect((await whole.send({ body: signed() })).statusCode).toBe(200);
  });

  it('answers 401 to a forged callback while the store is down', async () => {
    const whole = open();
    const down = () => Promise.reject(new StoreError('unavailable', 'gone'));
    const table = { ...whole.table, write: down, get: down };
    const receiver = open({ table });
    expect((await receiver.send({ body: signed(flowAlert(), 'forged') })).statusCode).toBe(401);
  });

  it('answers 200 while the queue is down, and the sweep finds the event', async () => {
    const whole = open();
    const events = {
      ...whole.deps.events,
      send: () => Promise.reject(new QueueError('unavailable', 'gone')),
    };
    const receiver = open({ ...whole.deps, events });
    expect((await receiver.send({ body: signed() })).statusCode).toBe(200);
    expect(receiver.lines.length + whole.lines.length).toBeGreaterThan(1);
    expect(await whole.queued()).toEqual([]);
    const deps = { table: whole.table, events: whole.deps.events, actions: new Map(), log: silentLog };
    await sweep(after(noon, minutes(1)), deps);
    expect(await whole.queued()).toEqual([]);
    await sweep(after(noon, minutes(2)), deps);
    expect(await whole.queued()).toHaveLength(1);
  });
});

describe('a fact without a time of its own', () => {
  const reminder = { devices: [{ deviceId: '89852022018041800192', warningCode: '1' }] };

  it('is a repetition within seven days, and a new fact after them', async () => {
    const receiver = open();
    const start = epochMs(days(35) * 600 - 1);
    await receiver.send(csss(reminder), start);
    await receiver.send(csss(reminder), epochMs(start + days(7) - 1));
    expect(receiver.rows('EVENT#')).toHaveLength(1);
    await receiver.send(csss(reminder), after(start, days(31)));
    expect(receiver.rows('EVENT#')).toHaveLength(2);
    await receiver.send(csss(reminder), after(start, days(32)));
    expect(receiver.rows('EVENT#')).toHaveLength(2);
    await receiver.send(csss(reminder), after(start, days(62)));
    expect(receiver.rows('EVENT#')).toHaveLength(3);
  });
});

describe('evidence', () => {
  it('holds the signature header that proves it, and none that proves nothing', async () => {
    const receiver = open();
    const good = csss({ status: '1008', order_id: 'L1', device_id: '89852022018041800192' });
    await receiver.send({ ...good, headers: { ...good.headers, authorization: 'Bearer x', cookie: 'a=b' } });
    const eventId = receiver.notices[0]?.events[0]?.eventId ?? '';
    const row = await loadEvent(receiver.table, eventId);
    expect(Object.keys(row?.value.evidence?.headers ?? {}).sort()).toEqual(['content-type', 'x-lf-md5']);
    expect(cubeKeyId).toHaveLength(32);
  });
});
