import { describe, expect, it } from 'vitest';
import { subjectOf } from '../../../shared/core/subject.ts';
import { after, before, epochMs, minutes } from '../../../shared/core/time.ts';
import { providerOrderOf as eiotclubOrder } from '../../../shared/providers/eiotclub/records.ts';
import { readOrderRecords, readReply } from '../../../shared/providers/eiotclub/wire.ts';
import { providerOrderOf as csssOrder } from '../../../shared/providers/linksfield-csss/records.ts';
import { orderRowSchema } from '../../../shared/providers/linksfield-csss/wire.ts';

const iccid = '89852000263320817044';
/** 2026-11-22 18:00:00 in Beijing. */
const moment = epochMs(Date.UTC(2026, 10, 22, 10));

function sim(provider: string) {
  const subject = subjectOf(provider, 'iccid', iccid);
  if (subject === null) throw new Error(`${iccid} is no ICCID`);
  return subject;
}

describe('an EIOTCLUB order record', () => {
  function read(fields: object, zone: number | null = 480) {
    const row = { orderId: 10004996, iccid, packageCode: 'PKG001', ...fields };
    const reply = readReply(JSON.stringify({ code: '0', message: '', total: 1, data: [row] }));
    const rows = reply === null ? null : readOrderRecords(reply);
    const first = rows?.[0];
    if (first === undefined) throw new Error('the record can not be read');
    return eiotclubOrder(first, sim('eiotclub'), zone);
  }

  it('says the phase and what its callback would say', () => {
    expect(read({ state: 0 })).toMatchObject({ phase: 'waiting', told: null });
    expect(read({ state: 1 })).toMatchObject({
      phase: 'active',
      told: { kind: 'package-effective', order: { orderId: '10004996' } },
    });
    expect(read({ state: 2 })).toMatchObject({
      phase: 'ended',
      told: { kind: 'package-stopped', order: { packageCode: 'PKG001' } },
    });
    expect(read({ state: 7 })).toMatchObject({ phase: 'unknown', told: null });
  });

  it('has times only where the stage names the zone', () => {
    const dates = { state: 2, createDate: '2026-11-22 18:00:00', endDate: '2026-11-22 18:00:00' };
    expect(read(dates)).toMatchObject({ createdAt: moment, endsAt: moment });
    expect(read(dates, null)).toMatchObject({
      createdAt: null,
      endsAt: null,
      endsAtText: '2026-11-22 18:00:00',
    });
    expect(read({ state: 2, endDate: 'soon' })).toMatchObject({ endsAt: null });
    expect(read({ state: 0, endDate: '2026-11-22 18:00:00' })).toMatchObject({ endsAt: null });
  });
});

describe('a CSSS order record', () => {
  const read = (fields: object, zoneOffsetMinutes: number | null, now = moment) =>
    csssOrder(
      orderRowSchema.parse({ orderCode: 'ORDER_1', deviceId: iccid, ...fields }),
      sim('linksfield-csss'),
      {
        zoneOffsetMinutes,
        now,
      },
    );
  const ends = { orderStatus: '2', expireDate: '20261122180000' };

  it('has ended once its end is past for certain', () => {
    expect(read(ends, 480, after(moment, minutes(11)))).toMatchObject({
      phase: 'ended',
      endsAt: moment,
      told: { kind: 'order-status', status: 'expired', order: { orderId: 'ORDER_1' } },
    });
    expect(read(ends, 480, before(moment, minutes(1))).phase).toBe('active');
  });

  it('has ended without a zone only when no zone could put its end into the future', () => {
    const at = (hours: number) => epochMs(moment + hours * 3_600_000);
    expect(read(ends, null, at(12))).toMatchObject({ phase: 'active', endsAt: null });
    expect(read(ends, null, at(24))).toMatchObject({ phase: 'ended', endsAt: null });
  });

  it('waits, runs, or is in a state that nobody has listed', () => {
    expect(read({ orderStatus: '1' }, 480)).toMatchObject({ phase: 'waiting', told: null });
    expect(read({ orderStatus: '2' }, 480)).toMatchObject({ phase: 'active', told: { status: 'started' } });
    expect(read({ orderStatus: '9' }, 480)).toMatchObject({ phase: 'unknown', told: null });
  });
});
